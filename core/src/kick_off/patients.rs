//! `patient` (BD-PAT-01 to BD-PAT-05): which patients of those of the level.
//!
//! It narrows an export, so nothing that is wrong with it may widen one: where it cannot be honoured at all it is refused
//! under any handling, and lenient handling leaves away no more than the patient who cannot be told.

use std::collections::BTreeMap;

use super::{
    Level,
    parse::{Given, Reader},
};
use crate::{
    outcome::{Issue, IssueCode},
    reference::local_id,
};

/// The ids, each with its place in the Parameters. Who they are is looked up later.
pub(super) fn read(reader: &mut Reader<'_>, level: &Level, values: &[&Given<'_>]) -> BTreeMap<String, u32> {
    let mut patients = BTreeMap::new();
    if let Some(diagnostics) = refusal(level, values) {
        reader.problem(Issue::error(IssueCode::NotSupported, diagnostics).about("patient"));
        return patients;
    }
    if values.len() > PATIENTS_MAX {
        let diagnostics = format!("more than {PATIENTS_MAX} patients; without `patient` all of the level are exported");
        reader.problem(Issue::error(IssueCode::TooLong, diagnostics).about("patient"));
        return patients;
    }
    for value in values {
        let place = value.index.and_then(|index| u32::try_from(index).ok()).unwrap_or_default();
        match local_id(&value.text, "Patient", reader.base_url) {
            Some(id) => {
                patients.entry(id.to_owned()).or_insert(place);
            }
            None => {
                let diagnostics = "is no reference to a patient of this server, such as `Patient/[id]`";
                reader.tolerable(about(place, IssueCode::Value, diagnostics));
            }
        }
    }
    patients
}

/// What is said of one of the patients, who is named by their place in the request: an id is not repeated in a text that
/// may be logged.
pub(crate) fn about(place: u32, code: IssueCode, diagnostics: &str) -> Issue {
    let place = format!("Parameters.parameter[{place}]");
    Issue::error(code, format!("`patient` in `{place}` {diagnostics}")).about(place)
}

fn refusal(level: &Level, values: &[&Given<'_>]) -> Option<&'static str> {
    match level {
        Level::System | Level::Practitioner(_) | Level::Patient(_) => Some(
            "`patient` is of the levels of all patients and of a group; this address has no list of patients to narrow",
        ),
        Level::AllPatients | Level::Group(_) if values.iter().any(|value| value.index.is_none()) => {
            Some("`patient` is a parameter of POST kick-offs only")
        }
        Level::AllPatients | Level::Group(_) => None,
    }
}

/// As many as fit into a body of the size that is taken at all.
const PATIENTS_MAX: usize = 10_000;

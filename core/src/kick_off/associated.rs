//! `includeAssociatedData` (BD-IAD-01 to BD-IAD-06).

use serde_json::{Map, Value};

use super::{
    from_query::shown,
    parse::{Given, Reader},
};
use crate::{
    Edition,
    outcome::{Issue, IssueCode},
    plan::Provenance,
};

/// Reads all values together. Of values that conflict the least restrictive counts (BD-IAD-03).
pub(super) fn read(reader: &mut Reader<'_>, values: &[&Given<'_>]) -> Provenance {
    let mut widest = Provenance::Unasked;
    for value in values {
        // The 4.0 ballot gives one code at a time.
        let is_list = reader.edition != Edition::Stu4Ballot;
        let codes = value.text.split(|c| c == ',' && is_list).map(str::trim).filter(|code| !code.is_empty());
        for code in codes {
            match CODES.iter().find(|(known, _)| *known == code) {
                // `Relevant` comes after `Latest`: it holds all that the other does.
                Some((_, provenance)) => widest = widest.max(*provenance),
                None => reader.tolerable(unknown(code)),
            }
        }
    }
    widest
}

/// The code of a Coding (BD4-09). In a system of another's making it is another code, whatever it looks like, and is
/// answered like one that is not known.
pub(super) fn code(coding: &Map<String, Value>) -> Option<String> {
    let code = coding.get("code")?.as_str()?;
    match coding.get("system") {
        None => Some(code.to_owned()),
        Some(Value::String(system)) if system == SYSTEM => Some(code.to_owned()),
        Some(Value::String(system)) => Some(format!("{system}|{code}")),
        Some(_) => None,
    }
}

fn unknown(code: &str) -> Issue {
    let known = CODES.map(|(code, _)| format!("`{code}`")).join(", ");
    let diagnostics = if code.starts_with('_') {
        format!("this server has no associated data of its own called `{}`; supported are {known}", shown(code))
    } else {
        format!("unknown code `{}` in `includeAssociatedData`; supported are {known}", shown(code))
    };
    Issue::error(IssueCode::NotSupported, diagnostics).about("includeAssociatedData")
}

/// Of the codes that the guides define.
pub(crate) const SYSTEM: &str = "http://hl7.org/fhir/uv/bulkdata/CodeSystem/include-associated-data";

const CODES: [(&str, Provenance); 2] =
    [("LatestProvenanceResources", Provenance::Latest), ("RelevantProvenanceResources", Provenance::Relevant)];

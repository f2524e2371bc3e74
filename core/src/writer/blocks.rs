//! Output organised by patient: whose block it is, and what belongs in it (BD-ORG-04, BD-ORG-09).

use serde_json::json;

use super::compartment::patients;
use crate::{
    Definitions,
    json::to_string,
    plan::{ExportPlan, Organize},
};

/// The block that is being written, and the rule by which resources belong in it.
pub(super) struct Blocks {
    definitions: Definitions<'static>,
    base_url: String,
    /// Whether every selected resource is somebody's.
    of_patients: bool,
    /// `None` before the first block.
    patient: Option<String>,
    /// Whether the patient is part of the export.
    is_listed: bool,
    has_resources: bool,
}

/// Where a selected resource stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// In the block of a patient whose it is.
    Inside,
    /// Where nothing is written: it is no patient's (BD-ORG-08), or the block is that of a patient who is not part of the
    /// export. What is shared with one who is, comes in that one's block too.
    LeftOut,
    /// Not in the block of a patient whose it is.
    Elsewhere,
    /// The block's own Patient, after other resources.
    Late,
}

impl Blocks {
    /// `None` if output is not organised.
    pub(super) fn new(plan: &ExportPlan) -> Option<Self> {
        (plan.organize == Organize::ByPatient).then(|| Self {
            definitions: plan.definitions(),
            base_url: plan.base_url.clone(),
            of_patients: plan.level.is_of_patients(),
            patient: None,
            is_listed: true,
            has_resources: false,
        })
    }

    /// Begins the block of a patient; the line that says so in a file.
    pub(super) fn begin(&mut self, patient: &str, is_listed: bool) -> String {
        self.patient = Some(patient.to_owned());
        self.is_listed = is_listed;
        self.has_resources = false;
        to_string(&json!({
            "resourceType": "Parameters",
            "parameter": [{ "name": "header", "valueReference": { "reference": format!("Patient/{patient}") } }],
        }))
    }

    /// Where the resource of a line stands. What stands inside is taken to be written.
    pub(super) fn standing(&mut self, resource_type: &str, line: &[u8]) -> Standing {
        let patients = patients(line, resource_type, &self.definitions, &self.base_url);
        if patients.is_empty() && !self.of_patients || !self.is_listed {
            return Standing::LeftOut;
        }
        if !patients.iter().any(|patient| self.patient.as_deref() == Some(patient)) {
            return Standing::Elsewhere;
        }
        if resource_type == "Patient" && self.has_resources {
            return Standing::Late;
        }
        self.has_resources = true;
        Standing::Inside
    }
}

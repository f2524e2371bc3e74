//! What is a new member's of the group, for the passes that judge without looking at patients (BD-SINCE-03).

use super::{compartment::patients, select::Selector, walk::root_text};
use crate::{Definitions, plan::ExportPlan};

/// Tells which resources are a new member's.
pub(super) struct Newcomers {
    definitions: Definitions<'static>,
    base_url: String,
}

impl Newcomers {
    /// For resources that a selection lets through; `None` where `_since` holds for everybody.
    pub(super) fn new(plan: &ExportPlan, selector: &Selector<'_>) -> Option<Self> {
        let spared = plan.new_after().is_some() && selector.has_new();
        spared.then(|| Self { definitions: plan.definitions(), base_url: plan.base_url.clone() })
    }

    /// Whether one of the patients in whose compartments a line's resource is, is new, or it is a new member itself.
    pub(super) fn have(&self, selector: &Selector<'_>, resource_type: &str, line: &[u8]) -> bool {
        let patients = patients(line, resource_type, &self.definitions, &self.base_url);
        patients.iter().any(|id| selector.is_new(id))
            || root_text(line, "id").is_some_and(|id| selector.is_new_member(resource_type, &id))
    }
}

/// How a set says that a resource is a new member's.
pub(super) fn of_new(target: &str) -> String {
    format!("{target}#new")
}

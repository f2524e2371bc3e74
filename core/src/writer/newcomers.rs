//! What is a new member's of the group, for the passes that judge without looking at patients (BD-SINCE-03).

use super::{compartment::patients, walk::root_text};
use crate::{Definitions, plan::ExportPlan, population::Population};

/// Tells which resources are a new patient's.
pub(super) struct Newcomers<'p> {
    population: Population<'p>,
    definitions: Definitions<'static>,
    base_url: String,
}

impl<'p> Newcomers<'p> {
    /// `None` where `_since` holds for everybody.
    pub(super) fn new(plan: &ExportPlan, population: Option<&Population<'p>>) -> Option<Self> {
        let population = population.filter(|population| plan.new_after().is_some() && population.has_new())?;
        let (definitions, base_url) = (plan.definitions(), plan.base_url.clone());
        Some(Self { population: population.clone(), definitions, base_url })
    }

    /// Whether one of the patients in whose compartments a line's resource is, is new, or it is a new member itself.
    pub(super) fn have(&self, resource_type: &str, line: &[u8]) -> bool {
        let patients = patients(line, resource_type, &self.definitions, &self.base_url);
        let own = root_text(line, "id").and_then(|id| self.population.find_resource(resource_type, &id));
        patients.iter().filter_map(|id| self.population.find(id)).chain(own).any(|listed| listed.is_new)
    }
}

/// How a set says that a resource is a new patient's.
pub(super) fn of_new(target: &str) -> String {
    format!("{target}#new")
}

//! Which resources are exported. Every line is judged by the same rules: type, time, compartment, queries.
//!
//! A line is walked from root element to root element, and each rule speaks as soon as what it asks for has come: the
//! first that says no ends the walk. What the walk cannot make sense of goes to a reader that decides every line
//! exactly, and says what is wrong with it.

mod judge;
mod patients;
#[cfg(test)]
mod tests;
mod time;

use std::{cell::Cell, collections::BTreeMap};

use super::{WriterError, limits::Validation};
use crate::{
    Edition, ResourceType,
    hash::{HashIndex, hash},
    plan::{Chain, ExportPlan},
    population::Population,
    search::{RootNames, RootTable, Slot},
    type_filter::{self, AskedSets, Filter, FilterContext, TypeFilterSource, TypeProgram},
};
use judge::Scratch;
use patients::{PatientRule, Patients};
use time::TimeRule;

/// The plan, made ready for lines.
pub(super) struct Selector<'p> {
    types: Vec<TypeRule>,
    /// The types by name.
    index: HashIndex,
    /// The root elements that anything looks at.
    table: RootTable,
    head: Head,
    time: TimeRule,
    patients: Patients<'p>,
    validation: Validation,
    /// Kept from line to line for its memory.
    scratch: Cell<Scratch>,
}

/// What becomes of a well-formed resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict<'s> {
    /// Exported.
    In(&'s ResourceType),
    /// Exported, though its last update cannot be read.
    InUndated(&'s ResourceType),
    /// Not asked for.
    Out,
    /// Changed after the transaction time.
    Later,
}

/// What is asked of resources of one type.
struct TypeRule {
    resource_type: ResourceType,
    selected: bool,
    patients: PatientRule,
    /// If there are queries of the type, what meets one of them.
    queries: Option<TypeProgram>,
    /// By slot, whether any of these looks at it.
    looks_at: Vec<bool>,
    /// Whether the queries leave type, id and `meta` alone.
    leaves_head_alone: bool,
}

/// The root elements that every line is asked for.
#[derive(Clone, Copy)]
struct Head {
    resource_type: Slot,
    id: Slot,
    meta: Slot,
}

impl<'p> Selector<'p> {
    pub(super) fn new(
        plan: &ExportPlan,
        population: Option<Population<'p>>,
        validation: Validation,
    ) -> Result<Self, WriterError> {
        let patients = Patients::new(plan, population)?;
        let time = TimeRule::new(plan, patients.has_new())?;
        let (mut names, mut queries) = queries(plan, time.transaction_time)?;
        let head = Head { resource_type: names.slot("resourceType"), id: names.slot("id"), meta: names.slot("meta") };
        let definitions = plan.definitions();
        let types: Vec<TypeRule> = definitions
            .resource_types()
            .filter_map(|name| definitions.resource_type(name))
            .map(|resource_type| TypeRule {
                selected: plan.types.has(resource_type.as_str()),
                patients: PatientRule::new(plan, &patients, &resource_type, &mut names),
                queries: queries.remove(&resource_type),
                looks_at: Vec::new(),
                leaves_head_alone: false,
                resource_type,
            })
            .collect();
        let table = names.table();
        let types: Vec<_> = types.into_iter().map(|rule| rule.looking(&head, table.len())).collect();
        let entries: Vec<_> =
            (0..).zip(&types).map(|(number, rule)| (hash(rule.resource_type.as_str().as_bytes()), number)).collect();
        let index = HashIndex::new(&entries);
        Ok(Self { types, index, table, head, time, patients, validation, scratch: Cell::default() })
    }

    /// Whether that patient is part of the export.
    pub(super) fn lists(&self, patient: &str) -> bool {
        self.patients.lists(patient)
    }

    /// Whether anyone of the export is new.
    pub(super) fn has_new(&self) -> bool {
        self.patients.has_new()
    }

    /// Whether that patient is part of the export, and new.
    pub(super) fn is_new(&self, patient: &str) -> bool {
        self.patients.find(patient).is_some_and(|listed| listed.is_new)
    }

    /// The same of a member of the group that is no patient.
    pub(super) fn is_new_member(&self, resource_type: &str, id: &str) -> bool {
        self.patients.find_resource(resource_type, id).is_some_and(|listed| listed.is_new)
    }

    /// The rule of the type of that name.
    fn rule(&self, name: &[u8]) -> Option<&TypeRule> {
        let of = |number: u32| usize::try_from(number).ok().and_then(|number| self.types.get(number));
        let is_it = |number| of(number).is_some_and(|rule| rule.resource_type.as_str().as_bytes() == name);
        self.index.find(hash(name), is_it).and_then(of)
    }
}

impl TypeRule {
    fn looking(self, head: &Head, slots: usize) -> Self {
        let of_head = [head.resource_type, head.id, head.meta];
        let of_queries = || self.queries.iter().flat_map(TypeProgram::slots);
        let leaves_head_alone = !of_queries().any(|slot| of_head.contains(&slot));
        let mut looks_at = vec![false; slots];
        for slot in of_head.into_iter().chain(self.patients.slots()).chain(of_queries()) {
            looks_at.get_mut(slot.index()).into_iter().for_each(|looks| *looks = true);
        }
        Self { looks_at, leaves_head_alone, ..self }
    }
}

/// The queries of a plan, compiled. They were checked at kick-off; were they not readable here, nothing is exported.
fn queries(
    plan: &ExportPlan,
    now: crate::Timestamp,
) -> Result<(RootNames, BTreeMap<ResourceType, TypeProgram>), WriterError> {
    let definitions = plan.search_definitions();
    let sources: Vec<_> = plan.type_filters.iter().map(|query| TypeFilterSource::Post(query)).collect();
    // A query's own text is one value of the 3.0 grammar, whatever edition it came in.
    let queries = type_filter::parse(&sources, Edition::Stu3, &definitions).map_err(|_| WriterError::TypeFilter)?;
    let context = FilterContext { base_url: plan.base_url.clone(), now };
    let mut sets = AskedSets::only(&plan.value_sets, plan.chains.iter().map(Chain::asked));
    let filter = Filter::compile_with_sets(&queries, &definitions, &context, &mut sets);
    let filter = filter.map_err(|_| WriterError::TypeFilter)?;
    Ok(filter.into_programs())
}

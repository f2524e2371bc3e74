//! Compiled queries, and the resources that they let through.

mod evaluate;
mod of_type;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use super::{alternatives::Alternatives, ast::Query, compile, error::TypeFilterError, sets::AskedSets};
use crate::{
    Definitions, ResourceType, Timestamp,
    json::Element,
    pass::SetWanted,
    search::{RootNames, RootTable, Roots, SearchParameter},
    sets::Set,
};

pub(crate) use evaluate::Progress;
pub(crate) use of_type::TypeProgram;

/// What the meaning of a query depends on besides its text. A time without a zone is UTC.
#[derive(Clone, Debug)]
pub struct FilterContext {
    /// The server's own base, without a slash at its end: absolute references below it are relative ones in disguise.
    pub base_url: String,
    /// What `ap` measures from.
    pub now: Timestamp,
}

/// The queries of a kick-off, ready to look at resources one by one.
///
/// A resource passes if it meets every criterion of any query of its type, or if its type has no query.
pub struct Filter {
    queries: usize,
    types: BTreeMap<ResourceType, TypeProgram>,
    names: RootNames,
    table: RootTable,
}

/// One criterion.
pub(super) struct Test<'d> {
    /// As it was written. What was written alike asks the same.
    pub(super) asked: String,
    pub(super) parameter: SearchParameter<'d>,
    pub(super) condition: Condition,
}

/// What must hold of the values that a parameter finds.
pub(super) enum Condition {
    /// One of them meets one of these.
    Any(Alternatives),
    /// In one of the elements where a composite looks, all parts of one of these find a value that meets them.
    AnyTogether(Vec<Vec<Alternatives>>),
    /// Whether there are none.
    Missing(bool),
    /// None of them meets any of these, as where there are none.
    NoneOf(Alternatives),
}

impl Condition {
    /// The sets that it looks into.
    fn sets(&self) -> &[SetWanted] {
        match self {
            Self::Any(alternatives) | Self::NoneOf(alternatives) => alternatives.sets(),
            // Parts of a composite have no modifiers, and lead nowhere.
            Self::AnyTogether(_) | Self::Missing(_) => &[],
        }
    }
}

impl Filter {
    /// Whether queries can ask by that parameter, at least by its plain values: for the capability statement.
    pub fn supports(parameter: &SearchParameter<'_>) -> bool {
        compile::is_supported(parameter)
    }

    /// Looks up the parameters of all queries and reads their values. The errors are given together, one for each query
    /// that has any. What one resource does not decide is one.
    pub fn compile(
        queries: &[Query],
        definitions: &Definitions<'_>,
        context: &FilterContext,
    ) -> Result<Self, Vec<TypeFilterError>> {
        Self::compile_with_sets(queries, definitions, context, &mut AskedSets::default())
    }

    /// The same, but for what sets answer. Those that the queries ask for are added to `sets`.
    pub(crate) fn compile_with_sets(
        queries: &[Query],
        definitions: &Definitions<'_>,
        context: &FilterContext,
        sets: &mut AskedSets,
    ) -> Result<Self, Vec<TypeFilterError>> {
        let mut by_type: BTreeMap<ResourceType, Vec<Vec<Test<'_>>>> = BTreeMap::new();
        let mut errors = Vec::new();
        for query in queries {
            match compile::query(query, definitions, context, sets) {
                Ok(tests) => by_type.entry(query.resource_type().clone()).or_default().push(tests),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut names = RootNames::default();
        let base_url = &context.base_url;
        let programs = by_type.into_iter().map(|(name, tests)| (name, TypeProgram::new(tests, base_url, &mut names)));
        let types = programs.collect();
        Ok(Self { queries: queries.len(), types, table: names.table(), names })
    }

    /// Whether a resource passes, given as its JSON text; of a repeated root element the first counts. What is no
    /// resource of a type that has queries passes: it is not what they ask about.
    pub fn matches(&self, resource: &[u8]) -> bool {
        self.matches_with(resource, &[])
    }

    /// The same with the sets that the queries ask for.
    pub(super) fn matches_with(&self, resource: &[u8], sets: &[Set<'_>]) -> bool {
        let members = || Element::new(resource.trim_ascii()).members();
        let type_name = members().find(|(name, _)| name.is("resourceType")).and_then(|(_, element)| element.string());
        let Some(program) = type_name.and_then(|name| self.types.get(&*name)) else { return true };
        let mut progress = Progress::default();
        program.begin(sets, &mut progress);
        let mut roots = Roots::default();
        for (name, element) in members() {
            let Some(slot) = self.table.slot(name) else { continue };
            if roots.put(slot, element) && !program.take(slot, element, sets, &mut progress) {
                return false;
            }
        }
        program.finish(&roots, sets, &mut progress)
    }

    /// The queries of each type, for a walk that asks more than they do, and the root elements by the slots that they
    /// know them by.
    pub(crate) fn into_programs(self) -> (RootNames, BTreeMap<ResourceType, TypeProgram>) {
        (self.names, self.types)
    }
}

/// Says how much it holds, never what is searched for.
impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({} queries of {} types)", self.queries, self.types.len())
    }
}

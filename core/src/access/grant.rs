//! What scopes grant of the resource types: all of a type, or those that meet one of some searches.

use std::collections::{BTreeMap, BTreeSet};

use super::scope::{Context, ResourceScope, Scope};
use crate::{
    Definitions, Edition, Timestamp,
    type_filter::{self, Filter, FilterContext, Query, TypeFilterSource},
};

/// What may be exported of each resource type: the union of some scopes (SM-SCP-06).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeGrant {
    everything: bool,
    types: BTreeSet<String>,
    /// Searches by type, as they are written in the scopes; `None` stands for every type.
    searches: BTreeMap<Option<String>, BTreeSet<String>>,
}

/// How much of one type may be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// None of it.
    Nothing,
    /// What meets one of these queries, each in the form of [`Query`]'s text (SM-SCP-05).
    Matching(BTreeSet<String>),
    /// All of it.
    Whole,
}

impl TypeGrant {
    /// No type.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Every type.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// What the scopes grant whose context is among these.
    pub fn of_scopes(scopes: &[String], contexts: &BTreeSet<Context>) -> Self {
        let mut grant = Self::nothing();
        for scope in scopes {
            match Scope::parse(scope) {
                Scope::Resources(scope) if contexts.contains(&scope.context) => grant.add(&scope),
                Scope::Resources(_) | Scope::Operation { .. } | Scope::Other => {}
            }
        }
        grant
    }

    /// Whether all resources of that type may be exported.
    pub fn covers(&self, resource_type: &str) -> bool {
        self.everything || self.types.contains(resource_type)
    }

    /// How much of a type may be exported. A search that cannot be evaluated grants nothing.
    pub fn coverage(&self, resource_type: &str, definitions: &Definitions<'_>) -> Coverage {
        if self.covers(resource_type) {
            return Coverage::Whole;
        }
        let of_type = self.searches.get(&Some(resource_type.to_owned()));
        let searches = of_type.into_iter().chain(self.searches.get(&None)).flatten();
        let queries = searches.filter_map(|search| query(resource_type, search, definitions));
        let queries: BTreeSet<String> = queries.map(|query| query.to_string()).collect();
        if queries.is_empty() { Coverage::Nothing } else { Coverage::Matching(queries) }
    }

    /// Whether every resource of every type may be exported.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether no scope names a type.
    pub fn is_nothing(&self) -> bool {
        !self.everything && self.types.is_empty() && self.searches.is_empty()
    }

    fn add(&mut self, scope: &ResourceScope<'_>) {
        if !scope.permissions.include_export() {
            return;
        }
        let resource_type = scope.resource_type.map(str::to_owned);
        match (resource_type, scope.query) {
            (resource_type, Some(query)) => {
                self.searches.entry(resource_type).or_default().insert(query.to_owned());
            }
            (Some(resource_type), None) => {
                self.types.insert(resource_type);
            }
            (None, None) => self.everything = true,
        }
    }
}

/// The search of a scope as a query of a type, if it can be evaluated there and restricts anything.
fn query(resource_type: &str, search: &str, definitions: &Definitions<'_>) -> Option<Query> {
    let text = format!("{resource_type}?{search}");
    let queries = type_filter::parse(&[TypeFilterSource::Post(&text)], Edition::Stu3, definitions).ok()?;
    let [query] = queries.as_slice() else { return None };
    // A parameter without a value restricts nothing, and was meant to.
    let restricts = !query.criteria().is_empty() && query.ignored().is_empty();
    // When it is evaluated makes no difference to whether it can be.
    let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
    (restricts && Filter::compile(&queries, definitions, &context).is_ok()).then(|| query.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(scopes: &[&str], resource_type: &str) -> Coverage {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        TypeGrant::of_scopes(&scopes, &[Context::System].into()).coverage(resource_type, &Definitions::R4)
    }

    fn matching(queries: &[&str]) -> Coverage {
        Coverage::Matching(queries.iter().map(|query| (*query).to_owned()).collect())
    }

    #[test]
    fn scopes_grant_what_they_say() {
        for scope in
            ["system/*.read", "system/*.*", "system/*.rs", "system/*.cruds", "system/Patient.read", "system/Patient.rs"]
        {
            assert_eq!(coverage(&[scope], "Patient"), Coverage::Whole, "{scope}");
        }
        assert_eq!(coverage(&["system/Patient.rs"], "Observation"), Coverage::Nothing);
    }

    /// SM-SCP-04 among others: one letter alone is not enough.
    #[test]
    fn what_is_not_understood_or_not_enough_grants_nothing() {
        for scope in [
            "",
            "system/Patient.r",
            "system/Patient.s",
            "system/Patient.sr",
            "system/Patient.write",
            "user/*.read",
            "patient/*.rs",
            "system/$ehi-export",
            "system/Patient.rs?",
            "system/Patient.rs?gender=",
            "system/Patient.rs?gender=male&name=",
            "system/Patient.rs?surprise=1",
            "system/Patient.r?gender=male",
            "system/Observation.rs?status=final",
        ] {
            assert_eq!(coverage(&[scope], "Patient"), Coverage::Nothing, "{scope}");
        }
    }

    /// SM-SCP-05, SM-SCP-06.
    #[test]
    fn searches_are_united_and_give_way_to_the_whole_type() {
        let laboratory = "system/Observation.rs?category=laboratory";
        let vital_signs = "system/Observation.crus?category=http%3A%2F%2Fx.example|vital-signs&status=final";
        let expected =
            ["Observation?category=laboratory", "Observation?category=http://x.example|vital-signs&status=final"];
        assert_eq!(coverage(&[laboratory, vital_signs, laboratory], "Observation"), matching(&expected));
        assert_eq!(coverage(&[laboratory, "system/Observation.read"], "Observation"), Coverage::Whole);
        assert_eq!(coverage(&[laboratory, "system/*.rs"], "Observation"), Coverage::Whole);
        assert_eq!(
            coverage(&[laboratory, "system/Observation.rs?nonsense=1"], "Observation"),
            matching(&expected[..1])
        );
        // A search of every type counts for those that have its parameters.
        let of_all = "system/*.rs?code=a";
        assert_eq!(coverage(&[of_all], "Observation"), matching(&["Observation?code=a"]));
        assert_eq!(coverage(&[of_all], "Patient"), Coverage::Nothing);
    }
}

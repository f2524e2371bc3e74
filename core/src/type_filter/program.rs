//! Compiled queries, and the resources that they let through.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    ast::Query,
    compile,
    error::TypeFilterError,
    eval,
    value::{DateTest, NumberTest, OfType, QuantityTest, ReferenceTest, StringTest, TokenTest, UriTest},
};
use crate::{
    Definitions, ResourceType, Timestamp,
    json::RawElement,
    search::{Component, SearchParameter},
};

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
pub struct Filter<'d> {
    base_url: String,
    types: BTreeMap<ResourceType, TypeProgram<'d>>,
}

/// All queries of one resource type.
#[derive(Default)]
struct TypeProgram<'d> {
    queries: Vec<Vec<Test<'d>>>,
    roots: BTreeSet<&'d str>,
}

/// One criterion.
pub(super) struct Test<'d> {
    pub(super) parameter: SearchParameter<'d>,
    pub(super) condition: Condition<'d>,
}

/// What must hold of the values that a parameter finds.
pub(super) enum Condition<'d> {
    /// One of them meets one of these.
    Any(Vec<Matcher<'d>>),
    /// Whether there are none.
    Missing(bool),
    /// None of them meets any of these, as where there are none.
    NoneOf(Vec<Matcher<'d>>),
}

/// One alternative.
pub(super) enum Matcher<'d> {
    Composite(Vec<Part<'d>>),
    Date(DateTest),
    Id(String),
    Name(StringTest),
    Number(NumberTest),
    Quantity(QuantityTest),
    Reference(ReferenceTest),
    ReferenceIdentifier(TokenTest),
    String(StringTest),
    Token(TokenTest),
    TokenOfType(OfType),
    TokenText(StringTest),
    Uri(UriTest),
}

/// One value of a composite.
pub(super) struct Part<'d> {
    pub(super) component: Component<'d>,
    pub(super) matcher: Matcher<'d>,
}

impl<'d> Filter<'d> {
    /// Whether queries can ask by that parameter, at least by its plain values: for the capability statement.
    pub fn supports(parameter: &SearchParameter<'_>) -> bool {
        compile::is_supported(parameter)
    }

    /// Looks up the parameters of all queries and reads their values. The errors are given together, one for each query
    /// that has any.
    pub fn compile(
        queries: &[Query],
        definitions: &Definitions<'d>,
        context: &FilterContext,
    ) -> Result<Self, Vec<TypeFilterError>> {
        let mut types: BTreeMap<ResourceType, TypeProgram<'d>> = BTreeMap::new();
        let mut errors = Vec::new();
        for query in queries {
            match compile::query(query, definitions, context) {
                Ok(tests) => types.entry(query.resource_type().clone()).or_default().add(tests),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Self { base_url: context.base_url.clone(), types }) } else { Err(errors) }
    }

    /// The root elements that [`matches`](Self::matches) looks at in resources of that type, in name order.
    pub fn roots(&self, resource_type: &str) -> impl Iterator<Item = &'d str> {
        self.types.get(resource_type).into_iter().flat_map(|program| program.roots.iter().copied())
    }

    /// Whether a resource passes. `roots` are its root elements, in any order; those that [`roots`](Self::roots) does
    /// not name may be left out.
    pub fn matches<'l>(&self, resource_type: &str, id: &str, roots: &[(Cow<'l, str>, &'l RawElement)]) -> bool
    where
        'd: 'l,
    {
        let subject = Subject { id, roots, base_url: &self.base_url };
        match self.types.get(resource_type) {
            None => true,
            Some(program) => program.queries.iter().any(|tests| tests.iter().all(|test| test.holds(subject))),
        }
    }
}

/// Says how much it holds, never what is searched for.
impl fmt::Debug for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queries: usize = self.types.values().map(|program| program.queries.len()).sum();
        write!(f, "Filter({queries} queries of {} types)", self.types.len())
    }
}

impl<'d> TypeProgram<'d> {
    fn add(&mut self, tests: Vec<Test<'d>>) {
        self.roots.extend(tests.iter().flat_map(|test| test.parameter.roots()));
        self.queries.push(tests);
    }
}

/// The resource that is looked at.
#[derive(Clone, Copy)]
struct Subject<'s, 'l> {
    id: &'s str,
    roots: &'s [(Cow<'l, str>, &'l RawElement)],
    base_url: &'s str,
}

impl<'d> Test<'d> {
    fn holds<'l>(&self, subject: Subject<'_, 'l>) -> bool
    where
        'd: 'l,
    {
        match &self.condition {
            Condition::Any(matchers) => self.finds(matchers, subject),
            Condition::Missing(missing) => self.parameter.extract(subject.roots).is_empty() == *missing,
            Condition::NoneOf(matchers) => !self.finds(matchers, subject),
        }
    }

    fn finds<'l>(&self, matchers: &[Matcher<'d>], subject: Subject<'_, 'l>) -> bool
    where
        'd: 'l,
    {
        let nodes = self.parameter.extract(subject.roots);
        matchers.iter().any(|matcher| match matcher {
            Matcher::Composite(parts) => {
                eval::matches_composite(&self.parameter, parts, subject.roots, subject.base_url)
            }
            Matcher::Id(id) => id == subject.id,
            _ => nodes.iter().any(|node| eval::matches(matcher, *node, subject.base_url)),
        })
    }
}

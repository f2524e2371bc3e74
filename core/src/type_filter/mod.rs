//! `_typeFilter`: from the values of the kick-off parameter to queries, back, and on to the resources that match.
//!
//! [`parse`] knows the grammar and nothing else: which text is one query (the editions disagree, see
//! [`TypeFilterSource`]), which resource type it filters, and how its parameters are named and combined. Whether a
//! search parameter exists and what its values mean is decided by [`Filter::compile`] over the same tree, and which
//! resources match by [`Filter::matches`]. `docs/type-filter.md` says what each search parameter type means here.
//!
//! | text | in the tree | means |
//! |---|---|---|
//! | several values, or a list in 1.0 and 2.0 | several [`Query`]s | OR within a type (BD-TF-04, -05, -08) |
//! | `&` | several [`Criterion`]s of a query | AND, also for one name twice (BD-TF-21) |
//! | `,` not after `\` | several alternatives of a criterion | OR (BD-TF-21) |
//!
//! A query without criteria, `Patient?` or `Patient`, matches every resource of its type (BD-TF-23).

mod alternatives;
#[cfg(test)]
mod answered;
mod ast;
#[cfg(test)]
mod cases;
mod chain;
mod compile;
mod display;
mod error;
mod eval;
mod grammar;
mod intersect;
mod name;
mod percent;
mod program;
mod sets;
mod split;
#[cfg(test)]
mod tests;
mod undecidable;
mod value;

use std::fmt;

use crate::Edition;
use crate::definitions::Definitions;

pub use ast::{Criterion, Link, Modifier, ParameterName, Query, ValueText};
pub(crate) use compile::is_reserved;
pub use error::{TypeFilterError, TypeFilterErrorKind, ValueForm};
pub(crate) use intersect::intersect;
pub use program::{Filter, FilterContext};
pub(crate) use program::{Progress, TypeProgram};
pub(crate) use sets::AskedSets;
pub use sets::FilterSets;
pub use undecidable::Undecidable;

/// One value of `_typeFilter` and where it came from, which decides how often it is decoded.
///
/// Every query is a piece of a URL: its names and values are percent-decoded once, whatever carried it. A GET kick-off
/// wraps it in another URL, which costs one decoding more. Nothing is ever decoded a third time, and `+` stays `+`
/// (BD-TF-22).
///
/// In 1.0 and 2.0 a value is a list of queries. In a GET a `,` separates them and `%2C` belongs to one, and the two can
/// only be told apart before decoding; so [`Get`](Self::Get) takes the value as it stands in the request target. As
/// clients do not all encode, a part that does not start with a known resource type and `?` is glued back to the one
/// before it, and so is one whose comma is escaped by `\`.
#[derive(Clone, Copy)]
pub enum TypeFilterSource<'a> {
    /// The raw value in the query string of a GET kick-off: after `_typeFilter=`, up to the next `&`, not decoded.
    Get(&'a str),
    /// The `valueString` of a `Parameters` resource, as it is.
    Post(&'a str),
}

/// Parses all values of one kick-off, in their order; the errors of all queries are given together, one for each.
///
/// Takes no notice of the HTTP method that an edition allows: that is the kick-off's own rule.
pub fn parse(
    values: &[TypeFilterSource<'_>],
    edition: Edition,
    definitions: &Definitions<'_>,
) -> Result<Vec<Query>, Vec<TypeFilterError>> {
    let mut queries = Vec::new();
    let mut errors = Vec::new();
    for result in parse_each(values, edition, definitions) {
        match result {
            Ok(query) => queries.push(query),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(queries) } else { Err(errors) }
}

/// As [`parse`], with a result for each query: for lenient handling, which drops a query that it cannot understand and
/// reports it (BD-TF-14).
///
/// Before dropping a query ask [`TypeFilterError::concerns_one_query`], and remember its
/// [`TypeFilterError::resource_type`]: a type whose last query was dropped must not become unfiltered unseen.
pub fn parse_each(
    values: &[TypeFilterSource<'_>],
    edition: Edition,
    definitions: &Definitions<'_>,
) -> Vec<Result<Query, TypeFilterError>> {
    if let Some(value) = first_value_over_bound(values) {
        return vec![Err(TypeFilterError::new(TypeFilterErrorKind::TooLong, 0).in_query(value, 0))];
    }
    let mut results = Vec::new();
    for (value, source) in values.iter().enumerate() {
        for (query, text) in split::queries(*source, edition, definitions).into_iter().enumerate() {
            if results.len() == QUERIES_MAX {
                let error = TypeFilterError::new(TypeFilterErrorKind::TooManyQueries, 0);
                results.push(Err(error.in_query(value, query)));
                return results;
            }
            let result = text.and_then(|text| grammar::query(&text, definitions));
            results.push(match result {
                Ok(tree) => Ok(Query { origin: ast::Origin { value, query }, ..tree }),
                Err(error) => Err(error.in_query(value, query)),
            });
        }
    }
    results
}

fn first_value_over_bound(values: &[TypeFilterSource<'_>]) -> Option<usize> {
    let mut bytes = 0_usize;
    values.iter().position(|value| {
        bytes = bytes.saturating_add(value.text().len());
        bytes > BYTES_MAX
    })
}

impl<'a> TypeFilterSource<'a> {
    fn text(self) -> &'a str {
        match self {
            TypeFilterSource::Get(text) | TypeFilterSource::Post(text) => text,
        }
    }
}

/// Says the carrier and the length, never the text: a searched value may identify a patient.
impl fmt::Debug for TypeFilterSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let carrier = match self {
            TypeFilterSource::Get(_) => "Get",
            TypeFilterSource::Post(_) => "Post",
        };
        write!(f, "{carrier}({} bytes)", self.text().len())
    }
}

/// Bytes of all values of a kick-off together. Servers commonly refuse a request target beyond 8 to 64 KiB, so only a
/// POST comes near; 20,000 ids still fit, and parsing them costs milliseconds and a few MiB.
pub const BYTES_MAX: usize = 1 << 20;

/// Queries of a kick-off. There are fewer than 200 resource types, and queries of one type can mostly be written as
/// alternatives of one.
pub const QUERIES_MAX: usize = 1_000;

/// Criteria of a query, those with an empty value included. No resource type of R4 has 100 search parameters, and
/// each may come twice, as the two ends of a range.
pub const CRITERIA_MAX: usize = 200;

/// Alternatives of a criterion: room for the ids of a cohort or the codes of a value set, written out by hand. Larger
/// sets have `Group` and `:in`.
pub const ALTERNATIVES_MAX: usize = 1_000;

/// Links of a chained name. Each is a join over the whole source, and FHIR's examples stop at two.
pub const LINKS_MAX: usize = 8;

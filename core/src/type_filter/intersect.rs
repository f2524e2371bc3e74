//! Two sets of queries that must both hold.

use std::{collections::BTreeMap, fmt};

use super::{BYTES_MAX, CRITERIA_MAX, QUERIES_MAX, Query};
use crate::ResourceType;

/// Queries for what meets one query of each list, type by type. A type that one list does not speak of is not restricted
/// by it.
pub(crate) fn intersect(one: &[Query], other: &[Query]) -> Result<Vec<Query>, TooMany> {
    let mut types: BTreeMap<&ResourceType, [Vec<&Query>; 2]> = BTreeMap::new();
    for (side, queries) in [one, other].into_iter().enumerate() {
        for query in queries {
            let sides = types.entry(&query.resource_type).or_default();
            sides.get_mut(side).into_iter().for_each(|side| side.push(query));
        }
    }
    let mut queries = Vec::new();
    let mut bytes = 0_usize;
    for [one, other] in types.into_values() {
        for query in pairs(&one, &other) {
            bytes = bytes.saturating_add(query.to_string().len());
            if query.criteria.len() + query.ignored.len() > CRITERIA_MAX || bytes > BYTES_MAX {
                return Err(TooMany);
            }
            queries.push(query);
            if queries.len() > QUERIES_MAX {
                return Err(TooMany);
            }
        }
    }
    Ok(queries)
}

/// Each of one with each of the other; all of one where there is no other.
fn pairs<'q>(one: &'q [&Query], other: &'q [&Query]) -> Box<dyn Iterator<Item = Query> + 'q> {
    match (one, other) {
        (all, []) | ([], all) => Box::new(all.iter().map(|query| (*query).clone())),
        (one, other) => Box::new(one.iter().flat_map(|one| other.iter().map(|other| both(one, other)))),
    }
}

fn both(one: &Query, other: &Query) -> Query {
    let mut query = one.clone();
    let criteria = other.criteria.iter().filter(|criterion| !one.criteria.contains(criterion));
    query.criteria.extend(criteria.cloned());
    let ignored = other.ignored.iter().filter(|name| !one.ignored.contains(name));
    query.ignored.extend(ignored.cloned());
    query
}

/// The queries are too many, or too long, when they are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "combined with what is granted, `_typeFilter` makes more than {QUERIES_MAX} queries, {CRITERIA_MAX} criteria \
             of one or {BYTES_MAX} bytes"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Definitions, Edition,
        type_filter::{TypeFilterSource, parse},
    };

    fn queries(texts: &[String]) -> Vec<Query> {
        let sources: Vec<_> = texts.iter().map(|text| TypeFilterSource::Post(text)).collect();
        parse(&sources, Edition::Stu3, &Definitions::R4).unwrap()
    }

    fn texts(one: &[&str], other: &[&str]) -> Vec<String> {
        let owned = |texts: &[&str]| queries(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        intersect(&owned(one), &owned(other)).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_lists_must_hold_for_a_type_that_both_speak_of() {
        let asked = ["Observation?status=final", "Observation?code=a,b", "Patient?gender=male"];
        let granted = ["Observation?category=laboratory", "Observation?category=survey&status=final", "Group?_id=g"];
        let expected = [
            "Group?_id=g",
            "Observation?status=final&category=laboratory",
            "Observation?status=final&category=survey",
            "Observation?code=a,b&category=laboratory",
            "Observation?code=a,b&category=survey&status=final",
            "Patient?gender=male",
        ];
        assert_eq!(texts(&asked, &granted), expected);
        assert_eq!(texts(&asked, &[]), ["Observation?status=final", "Observation?code=a,b", "Patient?gender=male"]);
        assert_eq!(texts(&["Patient?"], &["Patient?gender=male"]), ["Patient?gender=male"]);
    }

    #[test]
    fn a_product_beyond_the_bounds_is_refused() {
        let many = |name: &str| (0..40).map(|n| format!("Observation?{name}={n}")).collect::<Vec<_>>();
        assert_eq!(intersect(&queries(&many("code")), &queries(&many("status"))), Err(TooMany));
        let long = |name: &str| vec![format!("Patient?{}", vec![format!("{name}=a"); CRITERIA_MAX].join("&"))];
        assert_eq!(intersect(&queries(&long("name")), &queries(&long("family"))), Err(TooMany));
        let wide = |name: &str, n: usize| {
            (0..n).map(|n| format!("Patient?{name}={n}{}", "x".repeat(30_000))).collect::<Vec<_>>()
        };
        assert_eq!(intersect(&queries(&wide("name", 8)), &queries(&wide("family", 8))), Err(TooMany));
    }
}

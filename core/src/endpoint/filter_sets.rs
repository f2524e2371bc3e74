//! What `_typeFilter` asks that one resource does not decide: whether it is known, and whether the client may ask it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Endpoint, Grant, forbidden, subset::left_out};
use crate::{
    Definitions, Edition, Refusal, ResourceType, Timestamp,
    access::{Coverage, TypeGrant},
    kick_off::{Facts, KickOff},
    outcome::{Issue, IssueCode},
    plan::Chain,
    type_filter::{self, AskedSets, Filter, FilterContext, Query, TypeFilterSource},
};

impl Endpoint {
    /// The grant with the queries that are followed: those of the kick-off whose sets are known, within what the scopes
    /// select, and what they ask about other resources.
    ///
    /// A chain that leads to a type of which the scopes grant nothing is refused like that type itself: what it selects
    /// would tell of those resources.
    pub(super) fn answer_filters(
        &self,
        grant: Grant,
        kick_off: &KickOff,
        scopes: &TypeGrant,
        facts: &Facts,
    ) -> Result<Grant, Refusal> {
        let definitions = self.definitions();
        let Known { queries, withheld, notices: unknown } = known(kick_off, facts, &definitions)?;
        let asked = read(&queries, &definitions)?;
        let mut sets = AskedSets::new(self.config.filter_sets);
        // They were evaluated before; were it otherwise, nothing is exported by them.
        let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
        Filter::compile_with_sets(&asked, &definitions, &context, &mut sets).map_err(|_| too_many())?;
        let chains = sets.chains().iter().map(|asked| {
            let chain = chain(asked, scopes, &definitions)?;
            self.within_subset(chain, &definitions)
        });
        let chains = chains.collect::<Result<_, _>>()?;
        let type_filters = if grant.granted_filters.is_empty() {
            queries
        } else {
            both(&asked, &grant.granted_filters, &definitions)?
        };
        let mut notices = grant.notices;
        notices.extend(unknown);
        let value_sets = sets.value_sets().to_vec();
        let types = grant.types.without(&withheld);
        let grant = Grant { types, type_filters, value_sets, chains, notices, ..grant };
        match &self.config.subset {
            Some(subset) => subset.narrow(grant, kick_off, &definitions),
            None => Ok(grant),
        }
    }

    /// A question, as far as exports hold what it is about: of other resources an answer would tell too.
    fn within_subset(&self, chain: Chain, definitions: &Definitions<'_>) -> Result<Chain, Refusal> {
        let Some(subset) = &self.config.subset else { return Ok(chain) };
        if !subset.has(chain.resource_type()) {
            return Err(Refusal::new(400, left_out(chain.resource_type()).about("_typeFilter")));
        }
        let standing: Vec<&String> = subset.queries_of(chain.resource_type()).collect();
        if standing.is_empty() {
            return Ok(chain);
        }
        let queries = met_by_both(&read(chain.queries(), definitions)?, &read(standing, definitions)?)?;
        Ok(chain.answered_by(queries))
    }
}

/// The queries whose ValueSets are known.
struct Known {
    queries: Vec<String>,
    /// Types of which no query is left.
    withheld: BTreeSet<ResourceType>,
    notices: Vec<Issue>,
}

/// BD-TF-13, BD-TF-14: as with any other query that cannot be evaluated.
fn known(kick_off: &KickOff, facts: &Facts, definitions: &Definitions<'_>) -> Result<Known, Refusal> {
    let unknown: Vec<_> = kick_off.value_sets.iter().filter(|asked| !facts.value_sets.contains(&asked.url)).collect();
    let issues = unknown.iter().map(|asked| Issue::error(IssueCode::Value, asked.unknown.clone()).about("_typeFilter"));
    if !unknown.is_empty() && !kick_off.lenient {
        return Err(Refusal { status: 400, issues: issues.collect(), headers: Vec::new() });
    }
    let is_dropped = |number: u32| unknown.iter().any(|asked| asked.query == number);
    let (dropped, kept): (Vec<_>, Vec<_>) =
        (0..).zip(&kick_off.type_filters).partition(|(number, _)| is_dropped(*number));
    let types = |queries: &[(u32, &String)]| -> BTreeSet<ResourceType> {
        let names = queries.iter().filter_map(|(_, query)| query.split('?').next());
        names.filter_map(|name| definitions.resource_type(name)).collect()
    };
    Ok(Known {
        withheld: types(&dropped).difference(&types(&kept)).cloned().collect(),
        queries: kept.into_iter().map(|(_, query)| query.clone()).collect(),
        notices: issues.map(Issue::as_warning).collect(),
    })
}

/// A question, as far as the scopes let it be asked.
fn chain(asked: &str, scopes: &TypeGrant, definitions: &Definitions<'_>) -> Result<Chain, Refusal> {
    let chain = Chain::whole(asked.to_owned());
    let refused = |name: &str| {
        forbidden(&format!(
            "the token does not grant the export of `{name}`, which a chain in `_typeFilter` asks about"
        ))
    };
    let Some(resource_type) = definitions.resource_type(chain.resource_type()) else {
        return Err(refused(chain.resource_type()));
    };
    match scopes.coverage(resource_type.as_str(), definitions) {
        Coverage::Whole => Ok(chain),
        Coverage::Nothing => Err(refused(resource_type.as_str())),
        Coverage::Matching(granted) => {
            let question = read(chain.queries(), definitions)?;
            let queries = both(&question, &BTreeMap::from([(resource_type, granted.clone())]), definitions)?;
            Ok(Chain::within(asked.to_owned(), granted, queries))
        }
    }
}

/// What was asked for and is granted: both must hold (SM-SCP-05).
fn both(
    asked: &[Query],
    granted: &BTreeMap<ResourceType, BTreeSet<String>>,
    definitions: &Definitions<'_>,
) -> Result<Vec<String>, Refusal> {
    met_by_both(asked, &read(granted.values().flatten(), definitions)?)
}

/// Queries for what meets one of each list.
pub(super) fn met_by_both(one: &[Query], other: &[Query]) -> Result<Vec<String>, Refusal> {
    let queries = type_filter::intersect(one, other).map_err(|error| too_costly(error.to_string()))?;
    Ok(queries.iter().map(ToString::to_string).collect())
}

/// Queries from their own texts: one value each of the 3.0 grammar, whatever edition they came in. They were read before,
/// so all that can be wrong is that there are too many.
pub(super) fn read<'t>(
    texts: impl IntoIterator<Item = &'t String>,
    definitions: &Definitions<'_>,
) -> Result<Vec<Query>, Refusal> {
    let sources: Vec<_> = texts.into_iter().map(|text| TypeFilterSource::Post(text)).collect();
    type_filter::parse(&sources, Edition::Stu3, definitions).map_err(|_| too_many())
}

pub(super) fn too_many() -> Refusal {
    too_costly(String::from("there are too many queries in `_typeFilter` and the token together"))
}

fn too_costly(text: String) -> Refusal {
    Refusal::new(400, Issue::error(IssueCode::TooCostly, text).about("_typeFilter"))
}

//! The queries of one resource type, arranged so that their number hardly counts: each parameter is looked for once,
//! what all queries ask is asked once, queries that ask the same of one parameter become one, and the rest is found by
//! what it asks most particularly.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::Discriminant,
    ops::Range,
};

use super::{Condition, Test};
use crate::{
    pass::SetWanted,
    search::{Composite, Extraction, RootNames, SearchParameter, Slot},
    type_filter::alternatives::Alternatives,
};

/// All queries of one resource type.
pub(crate) struct TypeProgram {
    pub(super) base_url: String,
    /// The sets without any of which nothing passes.
    pub(super) wanted: BTreeSet<SetWanted>,
    pub(super) sources: Vec<Source>,
    /// The sources that look at a root element as soon as it is there, by slot.
    pub(super) watchers: Vec<Vec<usize>>,
    pub(super) plan: Plan,
}

/// Where a parameter finds its values. Each is there once, however many criteria ask by it.
pub(super) struct Source {
    pub(super) finder: Finder,
    pub(super) slots: BTreeSet<Slot>,
    /// Those gates that ask by it.
    pub(super) gates: Range<usize>,
}

pub(super) enum Finder {
    Values(Extraction),
    Composite(Composite),
}

/// How the criteria are combined. A query without criteria leaves nothing of either: everything passes.
#[derive(Default)]
pub(super) struct Plan {
    /// What every query asks, in the order of the sources.
    pub(super) gates: Vec<Criterion>,
    /// What one of them must ask besides.
    pub(super) any: Option<AnyQuery>,
}

/// Several queries, each without what all of them ask.
pub(super) struct AnyQuery {
    /// All of them, each without the criterion by which it is filed.
    pub(super) queries: Vec<Vec<Criterion>>,
    /// By what most of them are found.
    pub(super) indexes: Vec<QueryIndex>,
    /// Those that are found by nothing and so are tried each.
    pub(super) unfiled: Vec<usize>,
}

/// A criterion of one query.
pub(super) struct Criterion {
    /// The same for criteria that were written alike.
    asked: usize,
    pub(super) source: usize,
    pub(super) condition: Condition,
}

/// Queries by one of their criteria, which is an exact look-up.
pub(super) struct QueryIndex {
    pub(super) source: usize,
    /// Those of all queries.
    pub(super) alternatives: Alternatives,
    /// Which query an alternative is from.
    pub(super) owners: Vec<usize>,
}

impl TypeProgram {
    pub(super) fn new(queries: Vec<Vec<Test<'_>>>, base_url: &str, names: &mut RootNames) -> Self {
        let mut sources = Sources { names, by_code: BTreeMap::new(), sources: Vec::new(), asked: BTreeMap::new() };
        let queries: Vec<Vec<Criterion>> =
            queries.into_iter().map(|tests| tests.into_iter().map(|test| sources.criterion(test)).collect()).collect();
        let mut sources = sources.sources;
        let wanted = queries.iter().flatten().flat_map(|criterion| criterion.condition.sets()).cloned().collect();
        let plan = Plan::new(queries, &sources);
        for (source, number) in sources.iter_mut().zip(0..) {
            let from = plan.gates.partition_point(|gate| gate.source < number);
            source.gates = from..plan.gates.partition_point(|gate| gate.source <= number);
        }
        let is_gate = |number: &usize| sources.get(*number).is_some_and(|it| it.is_by_root() && !it.gates.is_empty());
        let indexed = plan.any.iter().flat_map(|any| any.indexes.iter().map(|index| index.source));
        let watching: BTreeSet<usize> = (0..sources.len()).filter(is_gate).chain(indexed).collect();
        let slots = sources.iter().flat_map(|source| &source.slots).map(|slot| slot.index() + 1).max().unwrap_or(0);
        let mut watchers = vec![Vec::new(); slots];
        for number in watching {
            for slot in sources.get(number).into_iter().flat_map(|source| &source.slots) {
                let watchers: Option<&mut Vec<usize>> = watchers.get_mut(slot.index());
                watchers.filter(|watchers| !watchers.contains(&number)).into_iter().for_each(|it| it.push(number));
            }
        }
        Self { base_url: base_url.to_owned(), wanted, sources, watchers, plan }
    }

    /// The root elements that the queries look at.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.sources.iter().flat_map(|source| source.slots.iter().copied())
    }
}

impl Source {
    /// Whether its values are found in one root element without looking at others.
    pub(super) fn is_by_root(&self) -> bool {
        match &self.finder {
            Finder::Values(extraction) => extraction.is_by_root(),
            Finder::Composite(_) => false,
        }
    }
}

/// The sources, as criteria ask for them.
struct Sources<'n, 'd> {
    names: &'n mut RootNames,
    by_code: BTreeMap<&'d str, usize>,
    sources: Vec<Source>,
    asked: BTreeMap<String, usize>,
}

impl<'d> Sources<'_, 'd> {
    fn criterion(&mut self, test: Test<'d>) -> Criterion {
        let code = test.parameter.code();
        let known = self.by_code.get(code).copied();
        let source = known.unwrap_or_else(|| {
            let source = self.source(&test.parameter, &test.condition);
            self.sources.push(source);
            self.by_code.insert(code, self.sources.len() - 1);
            self.sources.len() - 1
        });
        let next = self.asked.len();
        let asked = *self.asked.entry(test.asked).or_insert(next);
        Criterion { asked, source, condition: test.condition }
    }

    fn source(&mut self, parameter: &SearchParameter<'d>, condition: &Condition) -> Source {
        let (finder, slots) = match condition {
            // A composite has no other conditions.
            Condition::AnyTogether(_) => {
                let composite = parameter.composite(self.names);
                let slots = composite.slots().collect();
                (Finder::Composite(composite), slots)
            }
            _ => {
                let extraction = parameter.extraction(self.names);
                let slots = extraction.slots().collect();
                (Finder::Values(extraction), slots)
            }
        };
        Source { finder, slots, gates: 0..0 }
    }
}

impl Plan {
    fn new(queries: Vec<Vec<Criterion>>, sources: &[Source]) -> Self {
        if queries.iter().any(Vec::is_empty) {
            return Self::default();
        }
        let (mut gates, rests) = parted(queries);
        let mut any = None;
        // Whoever asks nothing but what all ask asks least: what meets another query meets that one too.
        if !rests.iter().any(Vec::is_empty) {
            let mut rests = joined(rests);
            if rests.len() > 1 {
                any = Some(AnyQuery::filed(rests, sources));
            } else {
                gates.extend(rests.pop().unwrap_or_default());
            }
        }
        gates.sort_by_key(|gate| gate.source);
        Self { gates, any }
    }
}

impl AnyQuery {
    /// Files each query by that of its criteria which tells most queries apart.
    fn filed(mut queries: Vec<Vec<Criterion>>, sources: &[Source]) -> Self {
        let mut kinds: Vec<(Kind, BTreeSet<u64>)> = Vec::new();
        for criterion in queries.iter().flatten() {
            if let Some((kind, keys)) = Kind::of(criterion, sources) {
                match kinds.iter_mut().find(|(known, _)| *known == kind) {
                    Some((_, known)) => known.extend(keys),
                    None => kinds.push((kind, keys.into_iter().collect())),
                }
            }
        }
        kinds.sort_by_key(|(_, keys)| std::cmp::Reverse(keys.len()));
        let mut filed: Vec<(Vec<Alternatives>, Vec<usize>)> = kinds.iter().map(|_| Default::default()).collect();
        let mut unfiled = Vec::new();
        for (number, query) in queries.iter_mut().enumerate() {
            let kinds_here: Vec<_> = query.iter().map(|criterion| Kind::of(criterion, sources)).collect();
            let place =
                |kind: Kind| kinds_here.iter().position(|here| here.as_ref().is_some_and(|(it, _)| *it == kind));
            let best = kinds.iter().zip(&mut filed).find_map(|((kind, _), filed)| Some((place(*kind)?, filed)));
            match best.map(|(place, filed)| (query.remove(place).condition, filed)) {
                Some((Condition::Any(alternatives), (list, owners))) => {
                    owners.extend(std::iter::repeat_n(number, alternatives.len()));
                    list.push(alternatives);
                }
                _ => unfiled.push(number),
            }
        }
        let indexes = kinds.iter().zip(filed).filter_map(|((kind, _), (list, owners))| {
            Some(QueryIndex { source: kind.source, alternatives: Alternatives::joined(list)?, owners })
        });
        Self { indexes: indexes.collect(), queries, unfiled }
    }
}

/// What a criterion must have in common with another for their alternatives to be joined.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    source: usize,
    manner: Discriminant<Alternatives>,
}

impl Kind {
    /// Of a criterion by which a query can be filed, with the keys of its alternatives.
    fn of(criterion: &Criterion, sources: &[Source]) -> Option<(Self, Vec<u64>)> {
        let Condition::Any(alternatives) = &criterion.condition else { return None };
        let is_by_root = sources.get(criterion.source).is_some_and(Source::is_by_root);
        let keys = alternatives.keys().filter(|_| is_by_root)?;
        Some((Self { source: criterion.source, manner: alternatives.manner() }, keys))
    }
}

/// What all queries ask, and what each of them asks besides.
fn parted(mut queries: Vec<Vec<Criterion>>) -> (Vec<Criterion>, Vec<Vec<Criterion>>) {
    let Some((first, others)) = queries.split_first_mut() else { return Default::default() };
    let asked_by = |query: &[Criterion]| query.iter().map(|criterion| criterion.asked).collect::<BTreeSet<_>>();
    let mut common = asked_by(first);
    for query in &*others {
        common = &common & &asked_by(query);
    }
    let is_common = |criterion: &mut Criterion| common.contains(&criterion.asked);
    let gates = first.extract_if(.., is_common).collect();
    others.iter_mut().for_each(|query| query.retain_mut(|criterion| !is_common(criterion)));
    (gates, queries)
}

/// Of queries that have one criterion each, and ask the same kind of thing by the same parameter, one.
fn joined(queries: Vec<Vec<Criterion>>) -> Vec<Vec<Criterion>> {
    let mut rest = Vec::new();
    let mut kinds: Vec<(Kind, usize, Vec<Alternatives>)> = Vec::new();
    for mut query in queries {
        match (query.pop(), query.is_empty()) {
            (Some(Criterion { asked, source, condition: Condition::Any(alternatives) }), true) => {
                let kind = Kind { source, manner: alternatives.manner() };
                match kinds.iter_mut().find(|(known, ..)| *known == kind) {
                    Some((.., list)) => list.push(alternatives),
                    None => kinds.push((kind, asked, vec![alternatives])),
                }
            }
            (last, _) => {
                query.extend(last);
                rest.push(query);
            }
        }
    }
    let joined = kinds.into_iter().filter_map(|(kind, asked, list)| {
        let condition = Condition::Any(Alternatives::joined(list)?);
        Some(vec![Criterion { asked, source: kind.source, condition }])
    });
    rest.extend(joined);
    rest
}

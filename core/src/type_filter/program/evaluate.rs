//! Looking at one resource, root element by root element, until nothing can change the answer.

use std::ops::{ControlFlow, Range};

use super::{
    Condition,
    of_type::{Criterion, Finder, QueryIndex, Source, TypeProgram},
};
use crate::{
    json::Element,
    search::{Composite, Node, Roots, Slot},
    sets::Set,
    type_filter::alternatives::{Alternatives, Known},
};

/// How far the look at one resource has come. Kept from line to line for its memory.
#[derive(Default)]
pub(crate) struct Progress {
    /// Of the gates, which are met whatever comes.
    met: Vec<bool>,
    /// Of each source, how many root elements are still to come.
    awaited: Vec<usize>,
    /// Of several queries, those that one of their criteria has found.
    candidates: Vec<usize>,
    /// Whether a set is not there: what it would say is not guessed.
    is_unanswered: bool,
}

impl TypeProgram {
    /// Another resource of the type. The sets are those that all queries want.
    pub(crate) fn begin(&self, sets: &[Set<'_>], progress: &mut Progress) {
        let is_there = |wanted| sets.iter().any(|set| set.wanted() == wanted);
        progress.is_unanswered = !self.wanted.iter().all(is_there);
        progress.awaited.clear();
        progress.awaited.extend(self.sources.iter().map(|source| source.slots.len()));
        progress.met.clear();
        progress.candidates.clear();
        progress.met.resize(self.plan.gates.len(), false);
    }

    /// Looks at a root element, the first of its name. Whether the resource may still pass.
    pub(crate) fn take<'l>(
        &'l self,
        slot: Slot,
        element: Element<'l>,
        sets: &[Set<'_>],
        progress: &mut Progress,
    ) -> bool {
        if progress.is_unanswered {
            return false;
        }
        let known = self.known(sets);
        let watchers = self.watchers.get(slot.index()).map_or([].as_slice(), Vec::as_slice);
        watchers.iter().all(|number| {
            let Some((source, awaited)) = self.sources.get(*number).zip(progress.awaited.get_mut(*number)) else {
                return true;
            };
            *awaited = awaited.saturating_sub(1);
            let is_last = *awaited == 0;
            let criteria = self.plan.gates.get(source.gates.clone()).unwrap_or_default();
            let met = progress.met.get_mut(source.gates.clone()).unwrap_or_default();
            if !self.pass(source, criteria, met, (slot, element), is_last, known) {
                return false;
            }
            let Some(any) = &self.plan.any else { return true };
            self.find(source, *number, &any.indexes, (slot, element), &mut progress.candidates, known);
            let may_find = |index: &QueryIndex| progress.awaited.get(index.source).is_none_or(|left| *left > 0);
            !any.unfiled.is_empty() || !progress.candidates.is_empty() || any.indexes.iter().any(may_find)
        })
    }

    /// Whether the resource passes whatever root elements are still to come.
    pub(crate) fn has_passed(&self, progress: &Progress) -> bool {
        !progress.is_unanswered && self.plan.any.is_none() && progress.met.iter().all(|met| *met)
    }

    /// Whether the resource passes, now that all of its root elements have been looked at.
    pub(crate) fn finish<'l>(&'l self, roots: &Roots<'l>, sets: &[Set<'_>], progress: &mut Progress) -> bool {
        if progress.is_unanswered {
            return false;
        }
        let known = self.known(sets);
        let passes = self.plan.gates.iter().zip(&progress.met).all(|(gate, met)| {
            let source = self.sources.get(gate.source);
            let is_late = source.is_some_and(|source| !source.is_by_root());
            *met || if is_late {
                self.holds(gate, roots, &mut Values::default(), known)
            } else {
                gate.holds_of_nothing()
            }
        });
        let Some(any) = self.plan.any.as_ref().filter(|_| passes) else { return passes };
        let mut values = Values::default();
        let mut numbers = progress.candidates.iter().chain(&any.unfiled);
        numbers.any(|number| {
            let query = any.queries.get(*number);
            query.is_some_and(|query| query.iter().all(|one| self.holds(one, roots, &mut values, known)))
        })
    }

    fn known<'k>(&'k self, sets: &'k [Set<'k>]) -> Known<'k> {
        Known { base_url: &self.base_url, sets }
    }

    /// Asks the criteria of one source about the values in a root element. Whether none of them has failed.
    fn pass<'l>(
        &'l self,
        source: &'l Source,
        criteria: &[Criterion],
        met: &mut [bool],
        (slot, element): (Slot, Element<'l>),
        is_last: bool,
        known: Known<'_>,
    ) -> bool {
        let Finder::Values(extraction) = &source.finder else { return true };
        if met.iter().all(|met| *met) {
            return true;
        }
        let visited = extraction.visit_root(slot, element, |node| {
            for (criterion, met) in criteria.iter().zip(&mut *met).filter(|(_, met)| !**met) {
                match &criterion.condition {
                    Condition::Any(alternatives) => *met = alternatives.matches(node, known),
                    Condition::Missing(false) => *met = true,
                    Condition::Missing(true) => return ControlFlow::Break(()),
                    Condition::NoneOf(alternatives) if alternatives.matches(node, known) => {
                        return ControlFlow::Break(());
                    }
                    Condition::NoneOf(_) | Condition::AnyTogether(_) => {}
                }
            }
            ControlFlow::Continue(())
        });
        let may_hold = |(criterion, met): (&Criterion, &bool)| *met || !is_last || criterion.holds_of_nothing();
        visited.is_continue() && criteria.iter().zip(&*met).all(may_hold)
    }

    /// Finds queries by the values in a root element.
    fn find<'l>(
        &self,
        source: &'l Source,
        number: usize,
        indexes: &[QueryIndex],
        (slot, element): (Slot, Element<'l>),
        candidates: &mut Vec<usize>,
        known: Known<'_>,
    ) {
        let Finder::Values(extraction) = &source.finder else { return };
        let _ = extraction.visit_root(slot, element, |node| {
            for index in indexes.iter().filter(|index| index.source == number) {
                index.alternatives.visit(node, known, |alternative| {
                    let owner = usize::try_from(alternative).ok().and_then(|number| index.owners.get(number));
                    candidates.extend(owner);
                    false
                });
            }
            ControlFlow::Continue(())
        });
    }

    /// Whether a criterion holds of the whole resource.
    fn holds<'l>(
        &'l self,
        criterion: &Criterion,
        roots: &Roots<'l>,
        values: &mut Values<'l>,
        known: Known<'_>,
    ) -> bool {
        let Some(source) = self.sources.get(criterion.source) else { return false };
        let extraction = match (&source.finder, &criterion.condition) {
            (Finder::Values(extraction), _) => extraction,
            (Finder::Composite(composite), Condition::AnyTogether(alternatives)) => {
                return alternatives.iter().any(|parts| self.holds_together(composite, parts, roots, known));
            }
            (Finder::Composite(_), _) => return false,
        };
        let nodes = values.of(criterion.source, |nodes| {
            let _ = extraction.visit_resource(roots, |node| {
                nodes.push(node);
                ControlFlow::Continue(())
            });
        });
        let finds = |alternatives: &Alternatives| nodes.iter().any(|node| alternatives.matches(*node, known));
        match &criterion.condition {
            Condition::Any(alternatives) => finds(alternatives),
            Condition::AnyTogether(_) => false,
            Condition::Missing(missing) => nodes.is_empty() == *missing,
            Condition::NoneOf(alternatives) => !finds(alternatives),
        }
    }

    /// Whether in one of a composite's contexts every part finds a value that meets it.
    fn holds_together<'l>(
        &self,
        composite: &'l Composite,
        parts: &[Alternatives],
        roots: &Roots<'l>,
        known: Known<'_>,
    ) -> bool {
        let visited = composite.visit_contexts(roots, |context| {
            let all = composite.components().iter().zip(parts).all(|(component, part)| {
                let visited = component.visit_context(context, roots, |node| break_if(part.matches(node, known)));
                visited.is_break()
            });
            break_if(all)
        });
        visited.is_break()
    }
}

impl Criterion {
    /// Whether it holds where no value meets it.
    fn holds_of_nothing(&self) -> bool {
        matches!(self.condition, Condition::NoneOf(_) | Condition::Missing(true))
    }
}

/// What sources find in one resource, each looked for once.
#[derive(Default)]
struct Values<'l> {
    nodes: Vec<Node<'l, 'l>>,
    found: Vec<(usize, Range<usize>)>,
}

impl<'l> Values<'l> {
    fn of(&mut self, source: usize, find: impl FnOnce(&mut Vec<Node<'l, 'l>>)) -> &[Node<'l, 'l>] {
        let known = self.found.iter().find(|(known, _)| *known == source).map(|(_, range)| range.clone());
        let range = known.unwrap_or_else(|| {
            let from = self.nodes.len();
            find(&mut self.nodes);
            self.found.push((source, from..self.nodes.len()));
            from..self.nodes.len()
        });
        self.nodes.get(range).unwrap_or_default()
    }
}

fn break_if(seen: bool) -> ControlFlow<()> {
    if seen { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

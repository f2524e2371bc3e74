//! The walk over one line, and what is decided on it.

use super::{
    super::limits::Validation,
    Head, Selector, TypeRule, Verdict,
    patients::Belonging,
    time::{When, Whens, instant, last_updated},
};
use crate::{
    json::{Element, Header, LineError, Opening, validate},
    reference::{is_id, is_id_of_bytes},
    search::{Roots, Slot},
    sets::Set,
    type_filter::Progress,
};

/// What is kept from line to line for its memory.
#[derive(Default)]
pub(super) struct Scratch {
    roots: Roots<'static>,
    repeated: Vec<Slot>,
    progress: Progress,
}

/// Why a walk ends before the line does.
enum Stop {
    /// The resource is not asked for.
    Out,
    /// Something is not as it should be; the exact reader says what.
    Odd,
    /// The line is reported.
    Problem(LineError),
    /// The resource is of the type that is judged elsewhere.
    Apart,
}

/// What is known of a resource so far.
#[derive(Default)]
struct State<'s> {
    /// The type that is judged elsewhere.
    apart: Option<&'static str>,
    /// What the queries ask for.
    sets: &'s [Set<'s>],
    progress: Progress,
    belonging: Belonging,
    has_id: bool,
    when: Option<Whens>,
}

/// The root elements of a line.
struct Found<'l> {
    roots: Roots<'l>,
    /// Those that came again.
    repeated: Vec<Slot>,
}

impl Selector<'_> {
    /// What becomes of a line.
    ///
    /// | validation | what is checked | of a repeated name |
    /// |---|---|---|
    /// | strict output | whatever is exported, whole; of other lines what was walked until they were out | refused if anything looks at it |
    /// | strict all | every line, whole | refused if anything looks at it |
    /// | trust | nothing | the first counts |
    pub(in super::super) fn judge(&self, line: &[u8], sets: &[Set<'_>]) -> Result<Verdict<'_>, LineError> {
        self.judge_apart_from(None, line, sets).unwrap_or(Ok(Verdict::Out))
    }

    /// The same; `None` if the resource is of a type that the caller judges otherwise.
    pub(in super::super) fn judge_apart_from(
        &self,
        apart: Option<&'static str>,
        line: &[u8],
        sets: &[Set<'_>],
    ) -> Option<Result<Verdict<'_>, LineError>> {
        let Scratch { roots, repeated, progress } = self.scratch.take();
        let mut found = Found { roots: roots.emptied(), repeated };
        let mut state = State { apart, sets, progress, ..State::default() };
        let verdict = match self.validation {
            Validation::Trust => self.walk(line, &mut found, &mut state),
            Validation::StrictOutput => {
                let verdict = self.walk(line, &mut found, &mut state);
                verdict.and_then(|(rule, verdict)| self.check_exported(line, rule, &found).map(|()| (rule, verdict)))
            }
            Validation::StrictAll => self.read_whole(line, &mut found, &mut state),
        };
        let verdict = match verdict {
            Err(Stop::Odd) => self.judge_exactly(line, &mut state),
            judged => judged,
        };
        let Found { roots, mut repeated } = found;
        repeated.clear();
        self.scratch.set(Scratch { roots: roots.emptied(), repeated, progress: state.progress });
        match verdict {
            Ok((_, verdict)) => Some(Ok(verdict)),
            Err(Stop::Out) => Some(Ok(Verdict::Out)),
            Err(Stop::Problem(problem)) => Some(Err(problem)),
            // The readers disagree about the line, so neither is believed.
            Err(Stop::Odd) => Some(Err(LineError::NotJson { at: 0 })),
            Err(Stop::Apart) => None,
        }
    }

    /// Walks until the verdict.
    fn walk<'l>(
        &self,
        line: &'l [u8],
        found: &mut Found<'l>,
        state: &mut State<'_>,
    ) -> Result<(&TypeRule, Verdict<'_>), Stop> {
        let trusts = self.validation == Validation::Trust;
        let mut rule: Option<&TypeRule> = None;
        let mut members = Element::new(line).members();
        if trusts && let Some((known, opening)) = self.opening(line, state)? {
            self.take_opening(known, &opening, state)?;
            if self.has_passed(known, state) {
                return Ok((known, self.verdict(known, state)?));
            }
            let meta;
            (meta, members) = opening.meta().ok_or(Stop::Odd)?;
            let Head { resource_type, id, meta: meta_slot } = self.head;
            for (slot, element) in [(resource_type, opening.resource_type), (id, opening.id), (meta_slot, meta)] {
                found.roots.put(slot, element);
            }
            rule = Some(known);
        }
        for (name, element) in members.by_ref() {
            let Some(slot) = self.table.slot(name) else { continue };
            if !found.roots.put(slot, element) {
                found.repeated.push(slot);
                continue;
            }
            match rule {
                Some(rule) => self.take(rule, slot, element, state)?,
                None if slot == self.head.resource_type => {
                    let known = self.selected_rule(element, state)?;
                    self.take_all(known, &found.roots, state)?;
                    rule = Some(known);
                }
                None => {}
            }
            if let Some(rule) = rule.filter(|rule| trusts && self.has_passed(rule, state)) {
                return Ok((rule, self.verdict(rule, state)?));
            }
        }
        if !members.has_ended() {
            return Err(Stop::Odd);
        }
        let rule = rule.ok_or(Stop::Odd)?;
        self.finish(rule, &found.roots, state)?;
        Ok((rule, self.verdict(rule, state)?))
    }

    /// The head of a resource, if it stands as it nearly always does and the queries of its type ask nothing of it.
    fn opening<'l>(&self, line: &'l [u8], state: &State<'_>) -> Result<Option<(&TypeRule, Opening<'l>)>, Stop> {
        let mut known = None;
        let opening = Opening::read(line, |resource_type| {
            known = resource_type.undecoded().and_then(|name| self.rule(name));
            known.is_some_and(|rule| rule.leaves_head_alone && self.refuse_unselected(rule, state).is_ok())
        });
        known.map_or(Ok(()), |rule| self.refuse_unselected(rule, state))?;
        Ok(known.zip(opening))
    }

    /// What [`take_all`](Self::take_all) does, of the head alone.
    fn take_opening(&self, rule: &TypeRule, opening: &Opening<'_>, state: &mut State<'_>) -> Result<(), Stop> {
        self.take_id(rule, opening.id, state)?;
        let updated = instant(opening.last_updated).ok_or(Stop::Odd)?;
        state.when = Some(self.time.when(Some(updated)));
        out_unless(self.may_be_in_time(rule, state))?;
        if let Some(queries) = &rule.queries {
            queries.begin(state.sets, &mut state.progress);
        }
        Ok(())
    }

    /// Looks at all of a line before anything is decided.
    fn read_whole<'l>(
        &self,
        line: &'l [u8],
        found: &mut Found<'l>,
        state: &mut State<'_>,
    ) -> Result<(&TypeRule, Verdict<'_>), Stop> {
        check_whole(line)?;
        let mut members = Element::new(line).members();
        for (name, element) in members.by_ref() {
            if let Some(slot) = self.table.slot(name)
                && !found.roots.put(slot, element)
            {
                found.repeated.push(slot);
            }
        }
        if !members.has_ended() {
            return Err(Stop::Odd);
        }
        self.judge_roots(found, state)
    }

    /// Judges by an exact reader that shares nothing with the walk, and says what is wrong with a line.
    #[cold]
    fn judge_exactly(&self, line: &[u8], state: &mut State<'_>) -> Result<(&TypeRule, Verdict<'_>), Stop> {
        let header = Header::read(line, |name| self.table.slot_of(name).is_some()).map_err(Stop::Problem)?;
        let mut found = Found { roots: Roots::default(), repeated: Vec::new() };
        for (name, element) in &header.captured {
            if let Some(slot) = self.table.slot_of(name)
                && !found.roots.put(slot, Element::new(element.get().as_bytes()))
            {
                found.repeated.push(slot);
            }
        }
        self.judge_roots(&found, state)
    }

    /// Judges by all root elements that anything looks at.
    fn judge_roots(&self, found: &Found<'_>, state: &mut State<'_>) -> Result<(&TypeRule, Verdict<'_>), Stop> {
        let text = |slot| found.roots.get(slot).and_then(Element::string).filter(|text| !text.is_empty());
        let Head { resource_type, id, meta } = self.head;
        let (name, id) = text(resource_type).zip(text(id)).ok_or(Stop::Odd)?;
        let is_meta = found.roots.get(meta).is_none_or(|meta| last_updated(meta, true).is_some());
        let is_head = |slot: &Slot| [resource_type, self.head.id, meta].contains(slot);
        if !is_meta || found.repeated.iter().any(is_head) {
            return Err(Stop::Odd);
        }
        let rule = self.rule(name.as_bytes()).ok_or(Stop::Problem(LineError::UnknownType))?;
        if !is_id(&id) {
            return Err(Stop::Problem(LineError::MalformedId));
        }
        refuse_apart(rule, state)?;
        if !rule.selected {
            return Err(Stop::Out);
        }
        self.refuse_repeated(rule, found)?;
        let progress = std::mem::take(&mut state.progress);
        *state = State { apart: state.apart, sets: state.sets, progress, ..State::default() };
        self.take_all(rule, &found.roots, state)?;
        self.finish(rule, &found.roots, state)?;
        Ok((rule, self.verdict(rule, state)?))
    }

    /// The rule of the line's type, if resources of that type are selected.
    fn selected_rule(&self, resource_type: Element<'_>, state: &State<'_>) -> Result<&TypeRule, Stop> {
        let rule = resource_type.undecoded().and_then(|name| self.rule(name));
        let decoded = || resource_type.string().and_then(|name| self.rule(name.as_bytes()));
        let rule = rule.or_else(decoded).ok_or(Stop::Odd)?;
        self.refuse_unselected(rule, state).map(|()| rule)
    }

    /// Whether resources of the type are judged here, and selected.
    fn refuse_unselected(&self, rule: &TypeRule, state: &State<'_>) -> Result<(), Stop> {
        refuse_apart(rule, state)?;
        out_unless(rule.selected && !rule.patients.is_outside())
    }

    /// Takes what came before the type was known, and the type.
    fn take_all(&self, rule: &TypeRule, roots: &Roots<'_>, state: &mut State<'_>) -> Result<(), Stop> {
        if let Some(queries) = &rule.queries {
            queries.begin(state.sets, &mut state.progress);
        }
        roots.iter().try_for_each(|(slot, element)| self.take(rule, slot, element, state))
    }

    /// Asks all rules about a root element. Whoever has a rule more to give adds it here, and to [`Self::finish`] what
    /// it says where its element is absent.
    fn take(&self, rule: &TypeRule, slot: Slot, element: Element<'_>, state: &mut State<'_>) -> Result<(), Stop> {
        if !rule.looks_at.get(slot.index()).is_some_and(|looks| *looks) {
            return Ok(());
        }
        if slot == self.head.id {
            self.take_id(rule, element, state)?;
        } else if slot == self.head.meta {
            let strict = self.validation != Validation::Trust;
            let updated = last_updated(element, strict).ok_or(Stop::Odd)?;
            state.when = Some(self.time.when(updated));
        }
        out_unless(self.patients.take(&rule.patients, slot, element, &mut state.belonging))?;
        out_unless(self.may_be_in_time(rule, state))?;
        out_unless(
            rule.queries.as_ref().is_none_or(|queries| queries.take(slot, element, state.sets, &mut state.progress)),
        )
    }

    /// Asks about the resource's own id, which must be one.
    fn take_id(&self, rule: &TypeRule, id: Element<'_>, state: &mut State<'_>) -> Result<(), Stop> {
        state.has_id = true;
        if !rule.patients.is_by_id() && id.undecoded().is_some_and(is_id_of_bytes) {
            return Ok(());
        }
        let id = id.string().filter(|id| is_id(id)).ok_or(Stop::Odd)?;
        out_unless(self.patients.take_id(&rule.patients, &id, &mut state.belonging))
    }

    /// Whether what is known of the last update lets a resource through, whosever it may still turn out to be.
    fn may_be_in_time(&self, rule: &TypeRule, state: &State<'_>) -> bool {
        state.when.is_none_or(|when| {
            let may_be_new = !when.is_settled() && !self.knows_whether_new(rule, state);
            may_be_new || when.of(state.belonging.has_new) != When::Without
        })
    }

    /// Whether it is certain that a resource is a new patient's, or that it is not.
    fn knows_whether_new(&self, rule: &TypeRule, state: &State<'_>) -> bool {
        state.belonging.has_new || self.patients.has_seen_all(&rule.patients, &state.belonging)
    }

    /// Whether all rules have said yes, whatever is still to come.
    fn has_passed(&self, rule: &TypeRule, state: &State<'_>) -> bool {
        state.has_id
            && state.when.is_some_and(|when| when.is_settled() || self.knows_whether_new(rule, state))
            && self.patients.has_decided(&rule.patients, &state.belonging)
            && rule.queries.as_ref().is_none_or(|queries| queries.has_passed(&state.progress))
    }

    /// Asks all rules again, now that nothing more will come.
    fn finish(&self, rule: &TypeRule, roots: &Roots<'_>, state: &mut State<'_>) -> Result<(), Stop> {
        if !state.has_id {
            return Err(Stop::Odd);
        }
        let when = *state.when.get_or_insert_with(|| self.time.when(None));
        out_unless(when.of(state.belonging.has_new) != When::Without)?;
        out_unless(self.patients.belongs(&rule.patients, &state.belonging))?;
        out_unless(rule.queries.as_ref().is_none_or(|queries| queries.finish(roots, state.sets, &mut state.progress)))
    }

    /// What is said of a resource that all rules let through.
    fn verdict<'s>(&self, rule: &'s TypeRule, state: &State<'_>) -> Result<Verdict<'s>, Stop> {
        match state.when.map(|when| when.of(state.belonging.has_new)) {
            Some(When::Later) => Ok(Verdict::Later),
            Some(When::Unreadable) if self.time.takes_undated() => Ok(Verdict::InUndated(&rule.resource_type)),
            // Neither exported nor dropped unseen.
            Some(When::Unreadable) => Err(Stop::Problem(LineError::WrongShape("meta.lastUpdated"))),
            Some(When::Without) => Err(Stop::Out),
            Some(When::Within) | None => Ok(Verdict::In(&rule.resource_type)),
        }
    }

    /// What is exported must be valid as a whole, and mean to every reader what it meant here.
    fn check_exported(&self, line: &[u8], rule: &TypeRule, found: &Found<'_>) -> Result<(), Stop> {
        check_whole(line)?;
        self.refuse_repeated(rule, found)
    }

    /// Readers disagree which of two counts: one that was looked at must be the only one of its name.
    fn refuse_repeated(&self, rule: &TypeRule, found: &Found<'_>) -> Result<(), Stop> {
        let looked_at = |slot: &&Slot| rule.looks_at.get(slot.index()).is_some_and(|looks| *looks);
        let name = found.repeated.iter().find(looked_at).and_then(|slot| self.table.name(*slot));
        name.map_or(Ok(()), |name| Err(Stop::Problem(LineError::Repeated(name.into()))))
    }
}

/// What is wrong is said by the reader of heads, as it is of all lines.
fn check_whole(line: &[u8]) -> Result<(), Stop> {
    validate(line).map_err(|problem| Stop::Problem(Header::read(line, |_| false).err().unwrap_or(problem)))
}

fn refuse_apart(rule: &TypeRule, state: &State<'_>) -> Result<(), Stop> {
    if state.apart.is_some_and(|apart| apart == rule.resource_type.as_str()) { Err(Stop::Apart) } else { Ok(()) }
}

fn out_unless(passes: bool) -> Result<(), Stop> {
    if passes { Ok(()) } else { Err(Stop::Out) }
}

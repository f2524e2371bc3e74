//! What really happened to each job, and whether it may have.

use std::collections::{BTreeMap, BTreeSet};

use ehi_core::{
    job::{FormAnswers, Job, State},
    kick_off::Level,
    manifest::{OutputFile, Section},
    writer::Digester,
};

use crate::{
    coverage::{Fault, Group},
    data::{HOUR, LABEL, MINUTE, SECOND},
    reference::{Ask, Contents, Fixed, expected},
    world::World,
};

/// What really happened.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) jobs: BTreeMap<String, Facts>,
}

/// What really happened to a job.
#[derive(Default)]
pub(crate) struct Facts {
    /// Its number in this run, for reports.
    pub(crate) number: usize,
    pub(crate) accepted: i64,
    pub(crate) state: Option<State>,
    pub(crate) population: Option<BTreeSet<String>>,
    pub(crate) answers: FormAnswers,
    /// Steps that staff approved.
    pub(crate) approved: BTreeSet<String>,
    pub(crate) completed: Option<i64>,
    /// When it was deleted, expired or failed.
    pub(crate) over: Option<i64>,
    /// Pages that were shown, without their links.
    pub(crate) pages: BTreeMap<u32, serde_json::Value>,
    /// The last page of which anything was shown.
    pub(crate) shown: u32,
    /// What it held when it was complete.
    pub(crate) contents: Option<Contents>,
    /// Who has the lease, and in which stretch of work it was taken.
    lease: Option<(usize, Option<u64>)>,
}

impl World {
    /// A job was accepted.
    pub(crate) fn accepted(&self, job: &str, state: State) {
        let mut ledger = self.ledger.borrow_mut();
        let number = ledger.jobs.len() + 1;
        let facts = Facts { number, accepted: self.time.now(), state: Some(state), ..Facts::default() };
        ledger.jobs.insert(job.to_owned(), facts);
        self.note(|| format!("job {number} accepted: {state:?}"));
    }

    /// A job was stored: whether it may have gone where it went.
    pub(crate) fn stored(&self, id: &str, job: &Job, why: &str) {
        let next = job.state();
        let mut ledger = self.ledger.borrow_mut();
        let Some(facts) = ledger.jobs.get_mut(id) else { return self.violate("a job was stored that nobody accepted") };
        let before = facts.state.replace(next).unwrap_or(next);
        let number = facts.number;
        self.note(|| format!("job {number}: {why}: {before:?} -> {next:?}"));
        let moves = before != next || matches!((why, next), ("begin", State::Running)) || why == "approve";
        if moves {
            if !State::transitions().any(|(from, _, to)| (from, to) == (before, next)) {
                return self.violate(format!("job {number} went from {before:?} to {next:?}"));
            }
            self.coverage.borrow_mut().hit(Group::Job, format!("{before:?} -> {next:?}"));
        }
        if before == next {
            return;
        }
        let may_fail = [Fault::SourceFails, Fault::StoreUnavailable, Fault::StoreAnswerLost];
        if why == "fail" && !may_fail.iter().any(|fault| self.scenario.may(*fault)) {
            return self.violate(format!("job {number} failed, and nothing had"));
        }
        match next {
            State::Complete => facts.completed = Some(self.time.now()),
            State::Failed | State::FailedEmpty | State::Expired | State::Deleted | State::Gone => {
                facts.over.get_or_insert(self.time.now());
            }
            _ => {}
        }
        let steps = &self.scenario.config.steps;
        let operation = job.plan().operation;
        let lacks = |of: &[ehi_core::job::StepConfig]| {
            of.iter().any(|step| step.operations.contains(&operation) && !facts.approved.contains(&step.name))
        };
        if next == State::Complete && lacks(&steps.release) {
            return self.violate(format!("job {number} was released without its staff"));
        }
        if next == State::Running && lacks(&steps.before) {
            return self.violate(format!("job {number} began without its staff"));
        }
        if next == State::Complete {
            match self.check(id, job, facts) {
                Ok(contents) => facts.contents = Some(contents),
                Err(what) => self.violate(format!("job {number} is complete, but {what}")),
            }
        }
    }

    /// What a complete job serves is what it must hold: nothing less, nothing twice, nothing else.
    fn check(&self, id: &str, job: &Job, facts: &Facts) -> Result<Contents, String> {
        let store = self.store.borrow();
        let mut found = Contents::default();
        for row in store.rows(id) {
            let object = store.get(&row.key).ok_or("a file of it is not there")?;
            check_row(&row, &object)?;
            let text = std::str::from_utf8(&object).map_err(|_| "a file of it is no text")?;
            for line in text.lines() {
                match row.section {
                    Section::Output => found.output.push(line.to_owned()),
                    Section::Deleted => found.deleted.push(line.to_owned()),
                    Section::Error | Section::Attachment => found.errors.push(place(line)),
                }
            }
        }
        [&mut found.output, &mut found.errors, &mut found.deleted].into_iter().for_each(|part| part.sort());
        self.check_pages(&store.rows(id))?;
        let transaction_time = job.plan().transaction_time.ok_or("it never began")?.as_millis();
        let wanted = self.expected(facts, transaction_time);
        compare(&wanted.output, &found.output).map_err(|what| format!("of its lines {what}"))?;
        compare(&wanted.errors, &found.errors).map_err(|what| format!("of its reports {what}"))?;
        compare(&wanted.deleted, &found.deleted).map_err(|what| format!("of its deletions {what}"))?;
        Ok(wanted)
    }

    fn expected(&self, facts: &Facts, transaction_time: i64) -> Contents {
        let FormAnswers { types, withheld_labels, type_filters } = &facts.answers;
        let mut ask: Ask = self.scenario.ask.clone();
        if let Some(types) = types {
            let all = ["Patient", "Observation", "Encounter", "Organization", "Provenance"];
            ask.types = Some(all.into_iter().filter(|name| types.contains(*name)).collect());
        }
        ask.is_label_withheld |= withheld_labels.contains(LABEL);
        ask.is_finals_only |= !type_filters.is_empty();
        let own = match &ask.level {
            Level::Patient(id) => Some([id.clone()].into()),
            Level::System | Level::AllPatients | Level::Group(_) | Level::Practitioner(_) => None,
        };
        let population = own.as_ref().or(facts.population.as_ref());
        expected(&self.data, &ask, &Fixed { transaction_time, population })
    }

    /// A host took the lease. One that is alive, and was never still for long, does not lose its lease to another.
    pub(crate) fn leased(&self, id: &str, host: usize, is_fresh: bool, stretch: &dyn Fn(usize) -> Option<u64>) {
        let mut ledger = self.ledger.borrow_mut();
        let Some(facts) = ledger.jobs.get_mut(id) else { return };
        let before = facts.lease.replace((host, stretch(host).filter(|_| is_fresh)));
        let Some((other, since)) = before.filter(|(other, _)| *other != host) else { return };
        self.met(Fault::Takeover);
        if since.is_some() && stretch(other) == since && !self.scenario.may(Fault::ClockJump) {
            self.violate(format!("job {} was taken from a host that works on it", facts.number));
        }
    }

    /// Whether what the server says of a job may still be said.
    pub(crate) fn served(&self, id: &str, began: i64) {
        let ledger = self.ledger.borrow();
        let Some(facts) = ledger.jobs.get(id) else {
            return self.violate("something was served of a job that there is not");
        };
        let number = facts.number;
        if facts.over.is_some_and(|over| over < began) {
            return self.violate(format!("job {number} was served after it was over"));
        }
        let retention = i64::try_from(self.scenario.config.retention_seconds).unwrap_or(i64::MAX) * 1_000;
        let until = facts.completed.map(|at| at + retention + self.scenario.skew_max() + MINUTE);
        let is_early = until.is_none() && self.scenario.is_early();
        if !is_early && until.is_none_or(|until| until < began) {
            self.violate(format!("job {number} was served before or after its time"));
        }
    }

    /// After the last job is forgotten, nothing of any is left.
    pub(crate) fn check_end(&self) {
        let left = self.store.borrow().objects();
        if left > 0 {
            self.violate(format!("{left} objects are left of jobs that are forgotten"));
        }
        let ledger = self.ledger.borrow();
        let steps = &self.scenario.config.steps;
        let of_steps = steps.before.iter().chain(&steps.release).map(|step| step.deadline_seconds);
        let of_form = steps.patient_form.iter().map(|form| form.deadline_seconds);
        let seconds: u64 = of_steps.chain(of_form).sum::<u64>() + self.scenario.config.run_seconds;
        let longest = i64::try_from(seconds).unwrap_or(i64::MAX) * SECOND + self.scenario.skew_max() + HOUR;
        for facts in ledger.jobs.values() {
            match facts.completed.or(facts.over) {
                None => self.violate(format!("job {} was forgotten without an end", facts.number)),
                Some(ended) if ended - facts.accepted > longest => {
                    self.violate(format!("job {} took longer than all its deadlines", facts.number));
                }
                Some(_) => {}
            }
        }
    }
}

/// A row says of its file what is true.
fn check_row(row: &OutputFile, object: &[u8]) -> Result<(), String> {
    let lines = object.iter().filter(|byte| **byte == b'\n').count();
    let mut digester = Digester::default();
    digester.update(object);
    let digest = digester.finish();
    if row.bytes != object.len() as u64 || row.count != lines as u64 {
        return Err("a row lies about its file".into());
    }
    if row.sha256.as_ref().is_some_and(|claim| *claim != digest) {
        return Err("a row has the digest of something else".into());
    }
    Ok(())
}

/// Source and line that a report is about.
pub(crate) fn place(report: &str) -> String {
    let outcome: serde_json::Value = serde_json::from_str(report).unwrap_or_default();
    let said = outcome["issue"][0]["diagnostics"].as_str().unwrap_or_default();
    said.split(':').next().unwrap_or_default().to_owned()
}

/// Both sorted. What differs, in numbers.
pub(crate) fn compare(wanted: &[String], found: &[String]) -> Result<(), String> {
    if wanted == found {
        return Ok(());
    }
    let count = |of: &[String], one: &String| of.iter().filter(|other| *other == one).count();
    let lost = wanted.iter().filter(|one| count(found, one) == 0).count();
    let other = found.iter().filter(|one| count(wanted, one) == 0).count();
    let twice = found.iter().filter(|one| count(wanted, one) > 0 && count(found, one) > count(wanted, one)).count();
    Err(format!("{lost} of {} are lost, {twice} are there too often, {other} are not of it", wanted.len()))
}

//! The core's job, called as a host calls it: from its stored record, with nothing kept between calls.
//!
//! The same calls give the same bytes, so each is made once and its outcome kept; that each is made twice then, and
//! compared, is what makes this no assumption.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use ehi_core::{
    Endpoint, Timestamp,
    access::Principal,
    http::{Body, Request},
    job::{Command, Epoch, FormAnswers, Job, PollAccount, State, Wants},
    manifest::{OutputFile, Section},
    writer::{Checkpoint, Resume},
};
use serde_json::Value;

use crate::{
    call::{Account, Attempt, Call, File, HostId, Outcome, Record, View, Wanted},
    fault::Fault,
    mutant::{Look, Mutant},
    scenario::{self, Hour, KNOWN_CODE, LEASE_HOURS, REPORTS_MAX, Scenario, instant, step_name},
};

/// The core's job, and what its calls came to.
pub(crate) struct Engine {
    scenario: Scenario,
    mutant: Option<Mutant>,
    endpoint: Endpoint,
    owner: Principal,
    stranger: Principal,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    records: HashMap<Arc<str>, Record>,
    outcomes: HashMap<(Record, Call, Hour), Result<Outcome, Fault>>,
    views: HashMap<(Record, Hour), Arc<View>>,
    transitions: BTreeSet<Transition>,
}

/// A row of the table that a call has taken: from a state, by a call, to a state.
pub type Transition = (State, &'static str, State);

impl Engine {
    pub(crate) fn new(scenario: &Scenario, mutant: Option<Mutant>) -> Result<Self> {
        Ok(Self {
            scenario: scenario.clone(),
            mutant,
            endpoint: scenario.endpoint()?,
            owner: scenario.owner(),
            stranger: scenario::stranger(scenario.ehi),
            kept: Mutex::default(),
        })
    }

    /// The job at the kick-off.
    pub(crate) fn kick_off(&self) -> Result<Record> {
        Ok(self.record_of(&self.scenario.kick_off(&self.endpoint)?))
    }

    /// Makes a call. A fault is one that shows in this call alone.
    pub(crate) fn call(&self, record: &Record, call: Call, now: Hour) -> Result<Outcome, Fault> {
        let key = (record.clone(), call, now);
        if let Some(outcome) = self.kept().outcomes.get(&key) {
            return outcome.clone();
        }
        let outcome = self.call_twice(record, call, now);
        if let Ok(Outcome::Taken { record: next, .. }) = &outcome {
            // A job that stays where it is has gone nowhere, but where the table says so.
            let is_row = next.state() != record.state() || matches!(call, Call::Begin { .. } | Call::Approve { .. });
            if is_row {
                self.kept().transitions.insert((record.state(), call.label(), next.state()));
            }
        }
        self.kept().outcomes.insert(key, outcome.clone());
        outcome
    }

    /// What is seen of a job.
    pub(crate) fn view(&self, record: &Record, now: Hour) -> Result<Arc<View>, Fault> {
        let key = (record.clone(), now);
        if let Some(view) = self.kept().views.get(&key) {
            return Ok(Arc::clone(view));
        }
        let view = Arc::new(self.look(record, now)?);
        self.kept().views.insert(key, Arc::clone(&view));
        Ok(view)
    }

    /// The rows of the table that calls have taken so far.
    pub(crate) fn transitions(&self) -> BTreeSet<Transition> {
        self.kept().transitions.clone()
    }

    fn call_twice(&self, record: &Record, call: Call, now: Hour) -> Result<Outcome, Fault> {
        let (first, taken) = self.call_once(record.text(), call, now)?;
        let (again, _) = self.call_once(record.text(), call, now)?;
        let reread = read(&first.encode())?;
        if again != first || reread != first {
            return Err(Fault::NotAValue);
        }
        let next = self.record_of(&first);
        Ok(match taken {
            Some((epoch, account)) => Outcome::Taken { record: next, epoch, account },
            None if next == *record => Outcome::Refused,
            None => return Err(Fault::RefusalChanged),
        })
    }

    /// The job after the call; epoch and account if it took it.
    fn call_once(&self, record: &str, call: Call, now: Hour) -> Result<(Job, Option<Taken>), Fault> {
        let Some(mutant) = self.mutant else {
            let mut job = read(record)?;
            let taken = self.give(&mut job, call, now, instant(now));
            return Ok((job, taken));
        };
        let before: Value = serde_json::from_str(record).map_err(|_| Fault::NotAValue)?;
        let mut edited = before.clone();
        let call = mutant.before(&mut edited, call, now);
        let mut job = read(&edited.to_string())?;
        let clock = instant(if mutant == Mutant::ClockFast && call == Call::Timeout { now + 1 } else { now });
        let taken = self.give(&mut job, call, now, clock);
        let mut after: Value = serde_json::from_str(&job.encode()).map_err(|_| Fault::NotAValue)?;
        match taken {
            Some(_) => mutant.after(&before, &mut after, call),
            // What was edited for a call that was refused all the same was never there.
            None => {
                after = before;
                mutant.after_refusal(&mut after);
            }
        }
        Ok((read(&after.to_string())?, taken))
    }

    /// Gives a call to a job. Returns the epoch and the poll account if it took it.
    fn give(&self, job: &mut Job, call: Call, now: Hour, clock: Timestamp) -> Option<Taken> {
        let command = match call {
            Call::Begin { host, said } => Command::Begin {
                holder: name_of(host),
                until: instant(said + LEASE_HOURS),
                transaction_time: instant(said),
                snapshot: "snapshot".to_owned(),
                partitions: u32::from(self.scenario.partitions),
            },
            Call::Renew { epoch, said } => {
                Command::Renew { epoch: epoch_of(epoch), until: instant(said + LEASE_HOURS) }
            }
            Call::Publish { epoch, file } => Command::Publish {
                epoch: epoch_of(epoch),
                partition: u32::from(file.partition),
                rows: vec![self.row(Attempt { epoch, file })],
                checkpoint: checkpoint_after(file),
            },
            Call::Finish { epoch, partition } => {
                Command::FinishPartition { epoch: epoch_of(epoch), partition: u32::from(partition) }
            }
            Call::Fail { epoch } => {
                Command::Fail { epoch: epoch_of(epoch), diagnostics: "the data could not be read".to_owned() }
            }
            Call::Removed => Command::Removed,
            Call::Form { sound } => Command::FormSubmitted { answers: answers(sound) },
            Call::Approve { step } => Command::Approve { step: step_name(step), by: "staff".to_owned() },
            Call::Reject { step, known_code } => Command::Reject {
                step: step_name(step),
                code: if known_code { KNOWN_CODE } else { "whatever" }.to_owned(),
                by: "staff".to_owned(),
                note: String::new(),
            },
            Call::Timeout => return job.handle_timeout(clock).job.then_some((0, None)),
            Call::Delete => {
                let (_, changed) = self.request(job, "DELETE", "", &self.owner, Account::default(), now);
                return changed.then_some((0, None));
            }
            Call::Poll(account) => {
                let mut account = to_core(account);
                self.request_with(job, "GET", "", &self.owner, &mut account, now);
                return Some((0, Some(from_core(account))));
            }
        };
        job.apply(command, clock).ok().map(|(epoch, _)| (u8::try_from(epoch.0).unwrap_or(u8::MAX), None))
    }

    fn look(&self, record: &Record, now: Hour) -> Result<View, Fault> {
        let job = read(record.text())?;
        let status = self
            .request(&mut self.shown(record, Look::Status, now)?, "GET", "", &self.owner, Account::default(), now)
            .0;
        let mut for_file = self.shown(record, Look::File, now)?;
        let file = self.request(&mut for_file, "GET", FILE, &self.owner, Account::default(), now).0;
        let stranger = if self.mutant == Some(Mutant::OwnersToken) { &self.owner } else { &self.stranger };
        let told = [("GET", ""), ("GET", FILE), ("DELETE", "")].into_iter().any(|(method, below)| {
            let (answer, changed) = self.request(&mut job.clone(), method, below, stranger, Account::default(), now);
            answer.0 != 404 || changed
        });
        Ok(View {
            wants: [0, 1].map(|host| wanted(job.wants(&name_of(host), instant(now)))),
            due: self.shown(record, Look::Time, now)?.handle_timeout(instant(now)).job,
            status: status.0,
            served: file.1,
            told_to_strangers: told,
            transaction_time: job.plan().transaction_time.map(hour_of),
        })
    }

    /// The job as someone is shown it.
    fn shown(&self, record: &Record, look: Look, now: Hour) -> Result<Job, Fault> {
        let Some(mutant) = self.mutant else { return read(record.text()) };
        let mut edited: Value = serde_json::from_str(record.text()).map_err(|_| Fault::NotAValue)?;
        mutant.before_view(&mut edited, look, now);
        read(&edited.to_string())
    }

    /// Status, whether a file's row is to be looked up, and whether the job changed.
    fn request(
        &self,
        job: &mut Job,
        method: &str,
        below: &str,
        principal: &Principal,
        account: Account,
        now: Hour,
    ) -> ((u16, bool), bool) {
        self.request_with(job, method, below, principal, &mut to_core(account), now)
    }

    fn request_with(
        &self,
        job: &mut Job,
        method: &str,
        below: &str,
        principal: &Principal,
        account: &mut PollAccount,
        now: Hour,
    ) -> ((u16, bool), bool) {
        let target = format!("/fhir/bulk/{}{below}", job.id());
        let request = Request { method, target: &target, headers: &[], body: b"" };
        let (response, effects) = job.handle_request(&self.endpoint, &request, principal, account, instant(now));
        ((response.status, matches!(response.body, Body::Row(_))), effects.job)
    }

    /// The row that lists a file.
    fn row(&self, attempt: Attempt) -> OutputFile {
        let Attempt { epoch, file: File { partition, number } } = attempt;
        let is_spoilt = self.scenario.is_spoilt(attempt.file);
        OutputFile {
            section: if is_spoilt { Section::Error } else { Section::Output },
            resource_type: None,
            name: format!("{partition}-{number}.ndjson"),
            key: format!("{epoch}-{partition}-{number}"),
            content_type: None,
            count: if is_spoilt { REPORTS_MAX + 1 } else { 1 },
            bytes: 1,
            gzip_bytes: None,
            sha256: None,
            continues_in_file: None,
            page: None,
        }
    }

    fn record_of(&self, job: &Job) -> Record {
        let text: Arc<str> = job.encode().into();
        let mut kept = self.kept();
        let number = u32::try_from(kept.records.len()).unwrap_or(u32::MAX);
        kept.records.entry(Arc::clone(&text)).or_insert_with(|| Record::new(number, text, job.state())).clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The epoch, and the poll account after a poll.
type Taken = (u8, Option<Account>);

fn checkpoint_after(file: File) -> Checkpoint {
    let next = file.number + 1;
    let resume = Resume::At { cursor: vec![next], offset: 0, source: "data".to_owned(), line: u64::from(next) + 1 };
    Checkpoint { resume, kinds: Vec::new() }
}

fn wanted(wants: Wants) -> Wanted {
    match wants {
        Wants::Nothing => Wanted::Nothing,
        Wants::Step(step) => Wanted::Step(step.name),
        Wants::Remove => Wanted::Remove,
        Wants::Forget => Wanted::Forget,
        Wants::Run { partitions, .. } => {
            let next = |checkpoint: Option<Checkpoint>| match checkpoint.map(|checkpoint| checkpoint.resume) {
                Some(Resume::At { cursor, .. }) => cursor.first().copied().unwrap_or_default(),
                Some(Resume::Start) | None => 0,
            };
            let file = |task: ehi_core::pass::PartitionTask| File {
                partition: u8::try_from(task.partition).unwrap_or(u8::MAX),
                number: next(task.checkpoint),
            };
            Wanted::Run(partitions.into_iter().map(file).collect())
        }
    }
}

fn answers(sound: bool) -> FormAnswers {
    let chosen = if sound { "Patient" } else { "Surprise" };
    FormAnswers { types: Some([chosen.to_owned()].into()), ..FormAnswers::default() }
}

fn read(record: &str) -> Result<Job, Fault> {
    Job::decode(record).map_err(|_| Fault::NotAValue)
}

fn to_core(account: Account) -> PollAccount {
    PollAccount { next_allowed: instant(account.next_allowed).as_millis(), strikes: u32::from(account.strikes) }
}

fn from_core(account: PollAccount) -> Account {
    Account {
        next_allowed: hour_of(Timestamp::from_millis(account.next_allowed)),
        strikes: u8::try_from(account.strikes).unwrap_or(u8::MAX),
    }
}

fn hour_of(instant: Timestamp) -> Hour {
    let hours = instant.seconds_since(scenario::instant(0)) / 3600;
    Hour::try_from(hours).unwrap_or(Hour::MAX)
}

fn epoch_of(epoch: u8) -> Epoch {
    Epoch(u64::from(epoch))
}

fn name_of(host: HostId) -> String {
    format!("host-{host}")
}

const FILE: &str = "/files/0-0.ndjson";

//! One export, server side, as a value: it lives in the embedder's store between calls, never in an instance.

mod account;
mod command;
mod form;
mod id;
mod pages;
mod permit;
mod record;
mod serve;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod threshold;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{
    Sensitive,
    access::{Owner, Principal},
    endpoint::EndpointConfig,
    kick_off::Level,
    manifest::OutputFile,
    outcome::{Issue, IssueCode, OperationOutcome},
    pass::PartitionTask,
    plan::ExportPlan,
    time::Timestamp,
};

pub use account::PollAccount;
pub use command::{Command, PARTITIONS_MAX};
pub use id::JobId;
pub use pages::{EarlyPages, PartialManifests};
use record::{Lease, PartitionProgress, Record};
pub use state::State;
pub use steps::{FormAnswers, PatientForm, RejectionCode, StepConfig, StepTaken, StepWanted, StepsConfig};
pub use threshold::FailAbove;

/// One export, server side. Small, whatever the export's size: rows, population and poll account lie beside it.
///
/// Methods are of four kinds:
///
/// - **getters**: [`id`](Self::id), [`state`](Self::state), [`plan`](Self::plan), [`wake_at`](Self::wake_at), and
///   [`wants`](Self::wants), which says what is to be done, derived from state alone: a restarted host asks each job and
///   has lost nothing;
/// - **`handle_*`**: [`handle_request`](Self::handle_request), [`handle_timeout`](Self::handle_timeout);
/// - **commands** of the host that does the work, [`apply`](Self::apply);
/// - **to and from bytes**: [`encode`](Self::encode), [`decode`](Self::decode).
///
/// Whatever changes the job returns [`Effects`]: store them **before** answering, job and rows in one transaction, and
/// only if the stored job is still the version that was read. If it is not, read it again and repeat the call.
#[derive(Clone, PartialEq)]
pub struct Job {
    record: Record,
}

/// The record holds what was asked for and what people wrote.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({:?}, {})", self.record.id, self.record.state)
    }
}

/// What to store before answering.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Effects {
    /// Whether the job changed.
    pub job: bool,
    /// Rows to append to the job's list.
    pub rows: Vec<OutputFile>,
    /// Whether the poll account changed. It may be lost without harm and is stored without a version.
    pub account: bool,
}

/// What is to be done for a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wants {
    /// Nothing, until [`Job::wake_at`] or a request.
    Nothing,
    /// Begin, with that population, and run these partitions. An empty list: begin with as many as you like.
    Run {
        /// Whose ids the population must hold.
        population: PopulationWanted,
        /// The instant after which a membership of the group makes its member new: list such ones with
        /// [`PopulationBuilder::push_new`](crate::population::PopulationBuilder::push_new). Without it nobody is new.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_after: Option<Timestamp>,
        /// What is unfinished.
        partitions: Vec<PartitionTask>,
    },
    /// Have staff take a step: see [`Command::Approve`] and [`Command::Reject`].
    Step(StepWanted),
    /// Remove everything below the job's storage prefix, by listing it, then say [`Command::Removed`]. Nothing hurries it: no
    /// file is served to anyone new, so let downloads that are open end first, within a bound of your own (BD-SEC-09).
    Remove,
    /// Forget the job altogether.
    Forget,
}

/// Whose ids a population must hold.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum PopulationWanted {
    /// None is wanted.
    Nobody,
    /// The members of that group now: its patients, and what it has beside them of
    /// [`RESOURCE_MEMBERS`](crate::group::RESOURCE_MEMBERS).
    Group(String),
    /// Those of these patients who are members of that group now, and nobody else.
    Members {
        /// The group.
        group: String,
        /// The patients.
        patients: Vec<String>,
    },
    /// The patients of that practitioner now.
    Practitioner(String),
    /// That patient.
    Patient(String),
    /// These patients. An empty list is nobody, and exports nobody.
    Patients(Vec<String>),
}

/// As that of [`Level`].
impl fmt::Debug for PopulationWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Group(id) => write!(f, "Group({id:?})"),
            Self::Members { group, patients } => write!(f, "Members({group:?}, {} withheld)", patients.len()),
            Self::Practitioner(id) => write!(f, "Practitioner({id:?})"),
            Self::Patient(_) => f.write_str("Patient(withheld)"),
            Self::Patients(patients) => write!(f, "Patients({} withheld)", patients.len()),
        }
    }
}

/// Proof of the lease that a command is given under: a later lease makes it stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Job {
    pub(crate) fn new(
        config: &EndpointConfig,
        id: JobId,
        principal: &Principal,
        plan: ExportPlan,
        patients: Option<BTreeSet<String>>,
        separate_status: bool,
        now: Timestamp,
    ) -> Self {
        let operation = plan.operation;
        let record = Record {
            version: record::VERSION,
            id,
            owner: principal.owner(),
            user: principal.user().cloned(),
            plan,
            patients: patients.map(|ids| Sensitive::new(ids.into_iter().collect::<Vec<_>>().join(" "))),
            requires_access_token: config.auth == crate::endpoint::Auth::Bearer,
            retention_seconds: config.retention_seconds,
            state: State::AwaitingPatient,
            created: now,
            epoch: Epoch(0),
            lease: None,
            snapshot: None,
            partitions: BTreeMap::new(),
            files: 0,
            resources: 0,
            bytes: 0,
            reports: 0,
            fail_above: config.fail_above,
            ended: None,
            failure: None,
            steps: config.steps.of(operation),
            deadline: None,
            run_seconds: Some(config.run_seconds),
            separate_status,
            pages: None,
        };
        let mut job = Self { record };
        job.start(now);
        job
    }

    /// To the first state: the patient's form if there is one, else what comes after it.
    fn start(&mut self, now: Timestamp) {
        if let Some(form) = &self.record.steps.form {
            self.record.deadline = Some(now.plus_seconds(form.deadline_seconds));
            return;
        }
        // INVARIANT: from the first state there is a way to both states that come next.
        let _ = self.prepare(now);
    }

    /// Its id, under which it is stored.
    pub fn id(&self) -> JobId {
        self.record.id
    }

    /// To whom it belongs.
    pub fn owner(&self) -> &Owner {
        &self.record.owner
    }

    /// The user for whom it was started, where there was one.
    pub(crate) fn user(&self) -> Option<&Sensitive<String>> {
        self.record.user.as_ref()
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.record.state
    }

    /// What it exports.
    pub fn plan(&self) -> &ExportPlan {
        &self.record.plan
    }

    /// What the embedder said of its data when the job began; a restarted run compares.
    pub fn snapshot(&self) -> Option<&str> {
        self.record.snapshot.as_deref()
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&OperationOutcome> {
        self.record.failure.as_ref()
    }

    /// What is to be done, as `holder` sees it: while another holder's lease lasts, nothing.
    ///
    /// An unfinished job whose deadline has passed wants nothing but [`handle_timeout`](Self::handle_timeout), which fails it.
    ///
    /// A holder's own older lease does not stop it: a host that restarts under its old name goes on at once, and the new
    /// epoch makes whatever its former self still does stale. So a name must not be shared by hosts that run together.
    pub fn wants(&self, holder: &str, now: Timestamp) -> Wants {
        match self.record.state {
            // Else a job that takes every host down with it would be begun again for ever.
            State::Queued | State::Running if self.is_overdue(now) => Wants::Nothing,
            State::Queued | State::Running => match &self.record.lease {
                Some(lease) if lease.until > now && lease.holder != holder => Wants::Nothing,
                _ => Wants::Run {
                    population: self.population_wanted(),
                    new_after: self.record.plan.new_after(),
                    partitions: self.unfinished(),
                },
            },
            State::AwaitingStep | State::AwaitingRelease => self.step().map_or(Wants::Nothing, |step| {
                Wants::Step(StepWanted { name: step.name, until: self.record.deadline })
            }),
            State::AwaitingPatient => Wants::Nothing,
            State::Failed | State::Expired | State::Deleted => Wants::Remove,
            State::FailedEmpty | State::Gone if self.wake_at().is_some_and(|at| at <= now) => Wants::Forget,
            State::Complete | State::FailedEmpty | State::Gone => Wants::Nothing,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`wants`](Self::wants) is to be called next if nothing happens
    /// before. Store it as an indexed column.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let ended = self.record.ended.unwrap_or(self.record.created);
        match self.record.state {
            State::AwaitingPatient | State::AwaitingStep | State::AwaitingRelease => self.record.deadline,
            State::Queued | State::Running => {
                let lease = self.record.lease.as_ref().map_or(self.record.created, |lease| lease.until);
                Some(self.record.deadline.map_or(lease, |deadline| deadline.min(lease)))
            }
            State::Complete => Some(self.retained_until()),
            State::Failed | State::Expired | State::Deleted => Some(ended),
            // However short the retention is, the tombstone stands for its time.
            State::FailedEmpty => Some(self.retained_until().max(ended.plus_seconds(TOMBSTONE_SECONDS))),
            State::Gone => Some(ended.plus_seconds(TOMBSTONE_SECONDS)),
        }
    }

    /// Moves on what time alone moves: a complete job whose retention has passed expires, one that waited too long fails.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Effects {
        if self.is_overdue(now) {
            return self.time_out(now);
        }
        let due = self.wake_at().is_some_and(|at| at <= now);
        if due && self.record.state == State::Complete && self.enter(state::Event::Expire) {
            self.record.ended = Some(now);
            return Effects { job: true, ..Effects::default() };
        }
        Effects::default()
    }

    /// The record, to store.
    pub fn encode(&self) -> String {
        crate::json::to_string(&self.record)
    }

    /// Reads a stored record. One that a newer version of this library wrote is refused, so that nothing of it is lost.
    pub fn decode(record: &str) -> Result<Self, JobMisuse> {
        Record::decode(record).map(|record| Self { record })
    }

    /// Whether it has been in its present state for longer than it may.
    fn is_overdue(&self, now: Timestamp) -> bool {
        self.record.state.is_unfinished() && self.record.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Until when the outcome of an ended job is told.
    fn retained_until(&self) -> Timestamp {
        self.record.ended.unwrap_or(self.record.created).plus_seconds(self.record.retention_seconds)
    }

    /// Takes the transition if the table has it.
    fn enter(&mut self, event: state::Event) -> bool {
        match self.record.state.after(event) {
            Some(next) => {
                self.record.state = next;
                true
            }
            None => false,
        }
    }

    fn population_wanted(&self) -> PopulationWanted {
        let listed = || {
            let ids = self.record.patients.as_ref().map_or("", |ids| ids.expose());
            ids.split_ascii_whitespace().map(str::to_owned).collect()
        };
        match &self.record.plan.level {
            Level::AllPatients if self.record.plan.patients_listed => PopulationWanted::Patients(listed()),
            Level::System | Level::AllPatients => PopulationWanted::Nobody,
            Level::Group(id) if self.record.plan.patients_listed => {
                PopulationWanted::Members { group: id.clone(), patients: listed() }
            }
            Level::Group(id) => PopulationWanted::Group(id.clone()),
            Level::Practitioner(id) => PopulationWanted::Practitioner(id.clone()),
            Level::Patient(id) => PopulationWanted::Patient(id.clone()),
        }
    }

    fn unfinished(&self) -> Vec<PartitionTask> {
        let partitions = self.record.partitions.iter().filter(|(_, progress)| !progress.finished);
        let wanted = |(partition, progress): (&u32, &PartitionProgress)| {
            let PartitionProgress { checkpoint, pass, .. } = progress.clone();
            PartitionTask { partition: *partition, pass, checkpoint }
        };
        self.ordered(partitions.map(wanted).collect())
    }

    fn fail_with(&mut self, issue: Issue, now: Timestamp) -> bool {
        let failed = self.enter(state::Event::Fail);
        if failed {
            self.record.lease = None;
            self.record.deadline = None;
            self.record.ended = Some(now);
            self.record.failure = Some(OperationOutcome::new(issue));
        }
        failed
    }
}

/// A command that the job cannot take. The job is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobMisuse {
    /// Another holder's lease lasts.
    Leased,
    /// The epoch is not that of the present lease: another host has taken over. Stop.
    Stale,
    /// The state does not allow it, for example because the job was deleted. Stop.
    WrongState(State),
    /// There is no such partition, or it is finished.
    NoSuchPartition,
    /// The data is to be cut into more than [`PARTITIONS_MAX`] partitions.
    TooManyPartitions,
    /// The step is not the one that is waited for.
    OtherStep,
    /// The rejection has none of the deployment's codes.
    UnknownRejection,
    /// The answers of a form name something that there is not, or would widen the export.
    Answers,
    /// The bytes are not a job record.
    Unreadable,
    /// A newer version of this library wrote the record.
    TooNew,
}

impl fmt::Display for JobMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leased => f.write_str("the job is leased to another host"),
            Self::Stale => f.write_str("the lease has passed to another host"),
            Self::WrongState(state) => write!(f, "a job that is {state} does not take this command"),
            Self::NoSuchPartition => f.write_str("the job has no such unfinished partition"),
            Self::TooManyPartitions => write!(f, "a job has at most {PARTITIONS_MAX} partitions"),
            Self::OtherStep => f.write_str("the job does not wait for that step"),
            Self::UnknownRejection => f.write_str("a step is rejected with one of the configured codes"),
            Self::Answers => f.write_str("the answers of the form cannot be applied to the export"),
            Self::Unreadable => f.write_str("the bytes are not a job record"),
            Self::TooNew => f.write_str("the job record is of a newer version than this library reads"),
        }
    }
}

impl std::error::Error for JobMisuse {}

impl From<state::State> for JobMisuse {
    fn from(state: State) -> Self {
        Self::WrongState(state)
    }
}

/// How long a tombstone stands after its files were removed: longer than any upload that a lost host may still finish.
const TOMBSTONE_SECONDS: u64 = 60 * 60;

/// Why a job failed. Not a transient code: a client that reads one polls on (BD-STAT-16, BD-STAT-17).
fn internal(diagnostics: &str) -> Issue {
    Issue::error(IssueCode::Processing, diagnostics)
}

//! The guards, taken away one at a time. Each must be missed by some property, or nothing guards the guard.
//!
//! The code of the core stays as it is. A guard of the core is taken away from outside, in one of two ways: the call
//! says what the guard wants to hear (the newest epoch, the step that is waited for, the known code), or the record is
//! edited before the call so that the guard finds nothing wrong (a state in which the call is allowed, a partition that
//! is not finished), and what the call has left of the edit is put back afterwards. A guard of the host or of its store
//! is a branch of the model.

use ehi_core::job::State;
use serde_json::{Value, json};

use crate::{
    call::Call,
    scenario::{Hour, Scenario, instant},
};

/// A guard that is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// Beginning does not look at the lease: the record says that it has ended.
    LeaseIgnored,
    /// A late renewal shortens the lease: the record gets the end that was said.
    RenewalShortens,
    /// Commands do not look at the epoch: they carry the newest.
    EpochIgnored,
    /// Commands do not look at the state: the record says that the job runs.
    StateIgnored,
    /// Commands do not look whether the partition is finished: the record says that it is not.
    PartitionIgnored,
    /// Beginning does not wait for people: the record says that the job is queued.
    PeopleIgnored,
    /// Each beginning is the first: the record has no partitions.
    BegunAnew,
    /// The form may be sent again: the record says that the job waits for it.
    FormAgain,
    /// Whatever the form says is applied: what cannot be applied is dropped on the way.
    AnswersIgnored,
    /// Any step may be approved: staff name the one that is waited for.
    StepIgnored,
    /// Steps may be approved unasked: the record says that the job waits for one.
    Unasked,
    /// Any code rejects: staff give the known one.
    CodeIgnored,
    /// Removal may be told of at any time: the record says that the job failed.
    RemovedAnytime,
    /// What is over may be deleted: the record says that the job is complete.
    DeletedAgain,
    /// Nothing is too much to report: the record has no bound.
    ReportsIgnored,
    /// Files are served before they are released: the record says that the job is complete.
    ServedEarly,
    /// Files are served after expiry and deletion: the record says that the job is complete.
    ServedLate,
    /// A poll does not look whether the outcome is still told: the record says that it came just now.
    ToldForEver,
    /// Nobody is a stranger: each comes with the owner's token.
    OwnersToken,
    /// Time is over early: hosts ask for an hour later.
    ClockFast,
    /// No wait has an end: the record has no deadline.
    NoDeadline,
    /// A poll is noted in the record.
    PollNoted,
    /// A refused command leaves a raised epoch.
    RefusalNoted,
    /// A lease of a host's own stops it too: the record has it under another name.
    OwnLeaseStops,
    /// The epoch is not raised: what a beginning raised is put back.
    SameEpoch,
    /// The store takes whatever was made of whatever was read.
    StoredBlindly,
    /// The store takes a name twice.
    NamesTwice,
    /// Rows are stored before the job, and stay where the rest is lost.
    RowsApart,
    /// A file is listed first and stored then.
    ListedFirst,
    /// What is removed is what rows list.
    RemovedByRow,
    /// A host removes the files of what it is not asked to remove.
    RemovedUnasked,
    /// A job is forgotten as soon as its files are removed.
    ForgottenAtOnce,
    /// Nothing is removed once more when a job is forgotten.
    RemovedOnce,
    /// No host looks whether time has ended something.
    Unswept,
    /// A host that has heard nothing for long goes on to write files.
    NeverRenewed,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 35] = [
        Self::LeaseIgnored,
        Self::RenewalShortens,
        Self::EpochIgnored,
        Self::StateIgnored,
        Self::PartitionIgnored,
        Self::PeopleIgnored,
        Self::BegunAnew,
        Self::FormAgain,
        Self::AnswersIgnored,
        Self::StepIgnored,
        Self::Unasked,
        Self::CodeIgnored,
        Self::RemovedAnytime,
        Self::DeletedAgain,
        Self::ReportsIgnored,
        Self::ServedEarly,
        Self::ServedLate,
        Self::ToldForEver,
        Self::OwnersToken,
        Self::ClockFast,
        Self::NoDeadline,
        Self::PollNoted,
        Self::RefusalNoted,
        Self::OwnLeaseStops,
        Self::SameEpoch,
        Self::StoredBlindly,
        Self::NamesTwice,
        Self::RowsApart,
        Self::ListedFirst,
        Self::RemovedByRow,
        Self::RemovedUnasked,
        Self::ForgottenAtOnce,
        Self::RemovedOnce,
        Self::Unswept,
        Self::NeverRenewed,
    ];

    /// The scenario of [`Scenario::small`] in which it is missed.
    pub fn scenario(self) -> Scenario {
        match self {
            Self::PollNoted => Scenario::polled(),
            Self::OwnLeaseStops => Scenario::crash(),
            Self::ReportsIgnored => Scenario::spoilt(),
            Self::RenewalShortens => Scenario::long(),
            Self::NamesTwice | Self::RowsApart => Scenario::faults(),
            Self::FormAgain
            | Self::AnswersIgnored
            | Self::StepIgnored
            | Self::Unasked
            | Self::CodeIgnored
            | Self::PeopleIgnored => Scenario::steps_each(),
            Self::PartitionIgnored => Scenario::two_partitions(),
            Self::StoredBlindly
            | Self::ServedEarly
            | Self::ServedLate
            | Self::ToldForEver
            | Self::RemovedUnasked
            | Self::ListedFirst => Scenario::apart(),
            _ => Scenario::no_time(),
        }
    }

    /// Makes call and record such that the guard finds nothing wrong.
    pub(crate) fn before(self, record: &mut Value, call: Call, now: Hour) -> Call {
        let state = state_of(record);
        let epoch = record.get("epoch").and_then(Value::as_u64).and_then(|epoch| u8::try_from(epoch).ok());
        match (self, call) {
            (Self::EpochIgnored, Call::Renew { said, .. }) => Call::Renew { epoch: epoch.unwrap_or_default(), said },
            (Self::EpochIgnored, Call::Publish { file, .. }) => {
                Call::Publish { epoch: epoch.unwrap_or_default(), file }
            }
            (Self::EpochIgnored, Call::Finish { partition, .. }) => {
                Call::Finish { epoch: epoch.unwrap_or_default(), partition }
            }
            (Self::EpochIgnored, Call::Fail { .. }) => Call::Fail { epoch: epoch.unwrap_or_default() },
            (Self::StateIgnored, call) if call.epoch().is_some() => {
                set(record, "state", json!("running"));
                if record.get("lease").is_some_and(Value::is_null) {
                    set(record, "lease", json!({ "holder": "host-0", "until": instant(now) }));
                }
                call
            }
            (Self::PartitionIgnored, call) => {
                if let Some(finished) = call.partition().and_then(|number| finished(record, number)) {
                    *finished = json!(false);
                }
                call
            }
            (Self::PeopleIgnored, Call::Begin { .. })
                if matches!(state, Some(State::AwaitingPatient | State::AwaitingStep)) =>
            {
                set(record, "state", json!("queued"));
                call
            }
            (Self::LeaseIgnored, Call::Begin { .. }) => {
                if let Some(lease) = record.get_mut("lease").and_then(Value::as_object_mut) {
                    lease.insert("until".to_owned(), json!(instant(0)));
                }
                call
            }
            (Self::OwnLeaseStops, Call::Begin { .. }) => {
                if let Some(lease) = record.get_mut("lease").and_then(Value::as_object_mut) {
                    lease.insert("holder".to_owned(), json!("somebody"));
                }
                call
            }
            (Self::BegunAnew, Call::Begin { .. }) => {
                set(record, "partitions", json!({}));
                call
            }
            (Self::FormAgain, Call::Form { .. }) => {
                set(record, "state", json!("awaiting-patient"));
                call
            }
            (Self::AnswersIgnored, Call::Form { .. }) => Call::Form { sound: true },
            (Self::StepIgnored, Call::Approve { .. }) => Call::Approve { step: taken(record) },
            (Self::Unasked, Call::Approve { .. }) if matches!(state, Some(State::Running)) => {
                set(record, "state", json!("awaiting-release"));
                call
            }
            (Self::CodeIgnored, Call::Reject { step, .. }) => Call::Reject { step, known_code: true },
            (Self::RemovedAnytime, Call::Removed) if matches!(state, Some(State::FailedEmpty | State::Gone)) => {
                set(record, "state", json!("failed"));
                call
            }
            (Self::DeletedAgain, Call::Delete) => {
                complete(record, now);
                call
            }
            (Self::NoDeadline, Call::Timeout) => {
                set(record, "deadline", Value::Null);
                call
            }
            (Self::ReportsIgnored, Call::Publish { .. }) => {
                set(record, "failAbove", Value::Null);
                call
            }
            _ => call,
        }
    }

    /// Puts back what a call has left of the edit, or does what a guard would have prevented.
    pub(crate) fn after(self, before: &Value, record: &mut Value, call: Call) {
        let put_back = |record: &mut Value, member: &str| {
            set(record, member, before.get(member).cloned().unwrap_or_default());
        };
        match (self, call) {
            (Self::StateIgnored, call)
                if call.epoch().is_some()
                    && state_of(before) != Some(State::Running)
                    && state_of(record) == Some(State::Running) =>
            {
                put_back(record, "state");
                put_back(record, "lease");
            }
            (Self::PartitionIgnored, call) => {
                let number = call.partition().unwrap_or_default();
                let was_finished = before.pointer(&format!("/partitions/{number}/finished")) == Some(&json!(true));
                if let Some(finished) = finished(record, number).filter(|_| was_finished) {
                    *finished = json!(true);
                }
            }
            (Self::RenewalShortens, Call::Renew { said, .. }) => {
                if let Some(lease) = record.get_mut("lease").and_then(Value::as_object_mut) {
                    lease.insert("until".to_owned(), json!(instant(said + crate::scenario::LEASE_HOURS)));
                }
            }
            (Self::SameEpoch, Call::Begin { .. }) if before.get("epoch") != Some(&json!(0)) => {
                put_back(record, "epoch");
            }
            (Self::PollNoted, Call::Poll(_)) => {
                let files = record.get("files").and_then(Value::as_u64).unwrap_or_default();
                set(record, "files", json!(files + 1));
            }
            _ => {}
        }
    }

    /// What is left in the record by a call that was refused.
    pub(crate) fn after_refusal(self, record: &mut Value) {
        if self == Self::RefusalNoted {
            let epoch = record.get("epoch").and_then(Value::as_u64).unwrap_or_default();
            set(record, "epoch", json!(epoch + 1));
        }
    }

    /// Makes the record such that whoever looks is shown what a guard hides.
    pub(crate) fn before_view(self, record: &mut Value, of: Look, now: Hour) {
        let state = state_of(record);
        match (self, of) {
            (Self::ServedEarly, Look::File) if state.is_some_and(State::is_unfinished) => complete(record, now),
            (Self::ServedLate, Look::File)
                if matches!(state, Some(State::Complete | State::Expired | State::Deleted | State::Gone)) =>
            {
                complete(record, now);
            }
            (Self::ToldForEver, Look::Status) if record.get("ended").is_some_and(|ended| !ended.is_null()) => {
                set(record, "ended", json!(instant(now)));
            }
            (Self::NoDeadline, Look::Time) => set(record, "deadline", Value::Null),
            _ => {}
        }
    }
}

/// What someone looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Status,
    File,
    Time,
}

fn complete(record: &mut Value, now: Hour) {
    set(record, "state", json!("complete"));
    set(record, "ended", json!(instant(now)));
}

fn state_of(record: &Value) -> Option<State> {
    record.get("state").and_then(|state| serde_json::from_value(state.clone()).ok())
}

fn finished(record: &mut Value, partition: u8) -> Option<&mut Value> {
    record.pointer_mut(&format!("/partitions/{partition}/finished"))
}

/// How many steps are taken: the number of the next.
fn taken(record: &Value) -> u8 {
    let taken = record.pointer("/steps/taken").and_then(Value::as_array).map(Vec::len);
    taken.and_then(|taken| u8::try_from(taken).ok()).unwrap_or_default()
}

fn set(record: &mut Value, member: &str, value: Value) {
    if let Some(members) = record.as_object_mut() {
        members.insert(member.to_owned(), value);
    }
}

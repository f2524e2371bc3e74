//! The states of a job and what moves it between them, as data. Everything that decides a transition stands here;
//! nothing else does: this file knows no request, no clock and no file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The patient has a form to fill in, at the address in the `patient-interaction` link.
    AwaitingPatient,
    /// Someone has a step to take before the export begins: a contract, a fee, a review of the request.
    AwaitingStep,
    /// Accepted, not begun.
    Queued,
    /// Begun; files are being written.
    Running,
    /// All files are there, and someone has to look at them before the client may.
    AwaitingRelease,
    /// All files are there, until they expire.
    Complete,
    /// It ended with an error; its files are to be removed.
    Failed,
    /// It ended with an error and its files are removed; the error is still told.
    FailedEmpty,
    /// Its time is over; its files are to be removed.
    Expired,
    /// The client deleted it; its files are to be removed.
    Deleted,
    /// Its files are removed; only the name remains for a while, so that nothing late is taken for something new.
    Gone,
}

/// What moves a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// What was waited for has come, and another step is to be taken before the export.
    AwaitStep,
    /// What was waited for has come, and the export can begin.
    Queue,
    /// A host took the lease.
    Begin,
    /// The last partition is finished, or a step was taken, and another step is to be taken before the release.
    AwaitRelease,
    /// The last partition is finished and the last step taken.
    Finish,
    /// It cannot go on.
    Fail,
    /// The client sent DELETE.
    Delete,
    /// Retention has passed.
    Expire,
    /// The host removed the files.
    Removed,
}

impl State {
    /// The state after an event; `None` where the table has no such transition.
    pub(super) fn after(self, event: Event) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, by, _)| *from == self && *by == event).map(|(_, _, to)| *to)
    }

    /// Whether the job is still on its way to completion.
    pub fn is_unfinished(self) -> bool {
        self.is_waiting() || matches!(self, Self::Queued | Self::Running)
    }

    /// Whether someone else than a host is to do something.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::AwaitingPatient | Self::AwaitingStep | Self::AwaitingRelease)
    }

    /// Every transition there is: from a state, by an event, to a state. For diagrams and proofs.
    pub fn transitions() -> impl Iterator<Item = (Self, &'static str, Self)> {
        TRANSITIONS.iter().map(|(from, by, to)| (*from, by.name(), *to))
    }
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::AwaitStep => "await step",
            Self::Queue => "queue",
            Self::Begin => "begin",
            Self::AwaitRelease => "await release",
            Self::Finish => "finish",
            Self::Fail => "fail",
            Self::Delete => "delete",
            Self::Expire => "expire",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwaitingPatient => "awaiting-patient",
            Self::AwaitingStep => "awaiting-step",
            Self::AwaitingRelease => "awaiting-release",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed | Self::FailedEmpty => "failed",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::Gone => "gone",
        })
    }
}

/// Every transition there is.
static TRANSITIONS: &[(State, Event, State)] = &[
    (State::AwaitingPatient, Event::AwaitStep, State::AwaitingStep),
    (State::AwaitingPatient, Event::Queue, State::Queued),
    (State::AwaitingPatient, Event::Fail, State::FailedEmpty),
    (State::AwaitingPatient, Event::Delete, State::Gone),
    (State::AwaitingStep, Event::AwaitStep, State::AwaitingStep),
    (State::AwaitingStep, Event::Queue, State::Queued),
    (State::AwaitingStep, Event::Fail, State::FailedEmpty),
    (State::AwaitingStep, Event::Delete, State::Gone),
    (State::Queued, Event::Begin, State::Running),
    (State::Queued, Event::Fail, State::Failed),
    (State::Queued, Event::Delete, State::Deleted),
    (State::Running, Event::Begin, State::Running),
    (State::Running, Event::AwaitRelease, State::AwaitingRelease),
    (State::Running, Event::Finish, State::Complete),
    (State::Running, Event::Fail, State::Failed),
    (State::Running, Event::Delete, State::Deleted),
    (State::AwaitingRelease, Event::AwaitRelease, State::AwaitingRelease),
    (State::AwaitingRelease, Event::Finish, State::Complete),
    (State::AwaitingRelease, Event::Fail, State::Failed),
    (State::AwaitingRelease, Event::Delete, State::Deleted),
    (State::Complete, Event::Expire, State::Expired),
    (State::Complete, Event::Delete, State::Deleted),
    (State::Failed, Event::Removed, State::FailedEmpty),
    (State::Failed, Event::Delete, State::Deleted),
    (State::FailedEmpty, Event::Delete, State::Gone),
    (State::Expired, Event::Removed, State::Gone),
    (State::Deleted, Event::Removed, State::Gone),
];

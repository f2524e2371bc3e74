//! The states of a job and what moves it between them, as data. Everything that decides a transition stands here;
//! nothing else does: this file knows no request, no clock and no file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Accepted, not begun.
    Queued,
    /// Begun; files are being written.
    Running,
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
    /// A host took the lease.
    Begin,
    /// The last partition is finished.
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

    /// Whether files may still be added.
    pub fn is_unfinished(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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
    (State::Queued, Event::Begin, State::Running),
    (State::Queued, Event::Fail, State::Failed),
    (State::Queued, Event::Delete, State::Deleted),
    (State::Running, Event::Begin, State::Running),
    (State::Running, Event::Finish, State::Complete),
    (State::Running, Event::Fail, State::Failed),
    (State::Running, Event::Delete, State::Deleted),
    (State::Complete, Event::Expire, State::Expired),
    (State::Complete, Event::Delete, State::Deleted),
    (State::Failed, Event::Removed, State::FailedEmpty),
    (State::Failed, Event::Delete, State::Deleted),
    (State::FailedEmpty, Event::Delete, State::Gone),
    (State::Expired, Event::Removed, State::Gone),
    (State::Deleted, Event::Removed, State::Gone),
];

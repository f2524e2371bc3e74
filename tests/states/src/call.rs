//! What can be asked of a job, and what is seen of it.

use std::{fmt, sync::Arc};

use ehi_core::job::State;

use crate::scenario::Hour;

/// One of the two hosts.
pub type HostId = u8;

/// Anything that may change a job, as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// A host takes the lease, for an hour from when it says so.
    Begin {
        /// Who.
        host: HostId,
        /// When it was said; what the network repeats arrives later.
        said: Hour,
    },
    /// A host keeps the lease, for an hour from when it says so.
    Renew {
        /// Under which lease.
        epoch: u8,
        /// When it was said.
        said: Hour,
    },
    /// A file is stored whole.
    Publish {
        /// Under which lease.
        epoch: u8,
        /// Which.
        file: File,
    },
    /// A partition has nothing left.
    Finish {
        /// Under which lease.
        epoch: u8,
        /// Which.
        partition: u8,
    },
    /// The export cannot go on.
    Fail {
        /// Under which lease.
        epoch: u8,
    },
    /// A host has removed the files.
    Removed,
    /// A host looks whether time has ended something.
    Timeout,
    /// The patient sends the form.
    Form {
        /// Whether what it says can be applied to the export.
        sound: bool,
    },
    /// Staff approve the step of that number.
    Approve {
        /// Which.
        step: u8,
    },
    /// Staff reject the step of that number.
    Reject {
        /// Which.
        step: u8,
        /// Whether with a code that the deployment has.
        known_code: bool,
    },
    /// The client polls.
    Poll(Account),
    /// The client deletes the export.
    Delete,
}

impl Call {
    /// The epoch that a command of a working host carries.
    pub(crate) fn epoch(self) -> Option<u8> {
        match self {
            Self::Renew { epoch, .. }
            | Self::Publish { epoch, .. }
            | Self::Finish { epoch, .. }
            | Self::Fail { epoch } => Some(epoch),
            _ => None,
        }
    }

    /// The partition that a command is about.
    pub(crate) fn partition(self) -> Option<u8> {
        match self {
            Self::Publish { file, .. } => Some(file.partition),
            Self::Finish { partition, .. } => Some(partition),
            _ => None,
        }
    }

    /// As the diagram names it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Begin { .. } => "begin",
            Self::Renew { .. } => "renew",
            Self::Publish { .. } => "publish",
            Self::Finish { .. } => "finish the last partition",
            Self::Fail { .. } => "fail",
            Self::Removed => "removed",
            Self::Timeout => "time is over",
            Self::Form { .. } => "form submitted",
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
            Self::Poll(_) => "polled too fast",
            Self::Delete => "DELETE",
        }
    }
}

/// A file of the export, whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct File {
    /// Of which partition.
    pub partition: u8,
    /// Its number in the partition.
    pub number: u8,
}

/// A file as one attempt wrote it: an object in storage, or the row that lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// Under which lease.
    pub epoch: u8,
    /// Which file.
    pub file: File,
}

impl Attempt {
    pub(crate) fn is(self, epoch: u8, file: File) -> bool {
        self == Self { epoch, file }
    }
}

/// A client's poll account, in hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Polls before this hour are too early.
    pub next_allowed: Hour,
    /// How many polls were too early.
    pub strikes: u8,
}

/// A job's record. One text has one number, so that records are compared and hashed by it.
#[derive(Clone)]
pub struct Record {
    number: u32,
    text: Arc<str>,
    state: State,
}

impl Record {
    pub(crate) fn new(number: u32, text: Arc<str>, state: State) -> Self {
        Self { number, text, state }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where the job stands.
    pub fn state(&self) -> State {
        self.state
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Record {}

impl std::hash::Hash for Record {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        self.number.hash(hasher);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (record {})", self.state, self.number)
    }
}

/// What became of a call.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It was taken: store this record.
    Taken {
        record: Record,
        /// The epoch that the answer names, where there is one.
        epoch: u8,
        /// The poll account after a poll.
        account: Option<Account>,
    },
    /// It was refused.
    Refused,
}

/// What is to be done for a job, as a host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    /// The unfinished partitions, each with the number of the file to go on with.
    Run(Vec<File>),
    /// The step that staff are to take.
    Step(String),
    Remove,
    Forget,
}

/// What is seen of a job without changing it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// What each host is to do.
    pub(crate) wants: [Wanted; 2],
    /// Whether a call of `handle_timeout` would change the job.
    pub(crate) due: bool,
    /// The status that a poll in time gets.
    pub(crate) status: u16,
    /// Whether a file is served.
    pub(crate) served: bool,
    /// Whether someone else gets anything but 404.
    pub(crate) told_to_strangers: bool,
    /// The hour of the transaction time, once there is one.
    pub(crate) transaction_time: Option<Hour>,
}

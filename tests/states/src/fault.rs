//! What must never be, each as one property.

use stateright::Property;

use crate::{model::Model, world::World};

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A write was taken from another host than the one that has the newest lease.
    TwoWriters,
    /// A host took the job from another whose lease lasts.
    Displaced,
    /// The export began without the form or a step before it.
    Skipped,
    /// A step was taken before its turn, twice, or for no reason that the deployment knows.
    OutOfTurn,
    /// The job changed its state where the table has no such row.
    NotInTable,
    /// Something that has ended took what only something unfinished may.
    AfterTheEnd,
    /// A partition that is finished took something.
    FinishedPartition,
    /// A refused call left its traces.
    RefusalChanged,
    /// A poll changed more than its account.
    PollChanged,
    /// What the ledger permits was refused.
    WronglyRefused,
    /// The same call, repeated, gave another record; or a record that was stored is not what is read.
    NotAValue,
    /// A later beginning changed the transaction time.
    TransactionTime,
    /// A row lists a file that is not there.
    ListedOnly,
    /// The rows are not what was published, or of a complete export not every file once.
    Rows,
    /// A poll gets another status than the ledger says.
    Status,
    /// A file is served before its release, or after expiry or deletion; or not in between.
    Served,
    /// Someone else than the owner is told that the job exists.
    Told,
    /// Time ended something early, or not at all.
    Time,
    /// A host is to do something else than the ledger says.
    Wants,
    /// The job is forgotten, and files of it are left.
    LeftBehind,
    /// The job is there after its last hour.
    TooLong,
}

impl Fault {
    /// The property that it breaks.
    pub fn property(self) -> &'static str {
        match self {
            Self::TwoWriters => "only the host with the newest lease writes",
            Self::Displaced => "no host is displaced while its lease lasts",
            Self::Skipped => "no export begins before the form and the steps before it",
            Self::OutOfTurn => "every step is taken once, in its turn, for a reason that the deployment knows",
            Self::NotInTable => "every change of state is a row of the table",
            Self::AfterTheEnd => "what has ended takes no more work",
            Self::FinishedPartition => "a finished partition takes nothing more",
            Self::RefusalChanged => "what is refused changes nothing",
            Self::PollChanged => "a poll changes its account alone, unless it ends the job",
            Self::WronglyRefused => "what may be done is not refused",
            Self::NotAValue => "a job is what its record says",
            Self::TransactionTime => "the transaction time stays",
            Self::ListedOnly => "what is listed is there",
            Self::Rows => "the rows are what was published, and of a complete export every file once",
            Self::Status => "a poll says how the job stands",
            Self::Served => "files are served from the release until expiry or deletion",
            Self::Told => "strangers are told nothing",
            Self::Time => "time ends what lasted too long, and nothing earlier",
            Self::Wants => "a host is asked for what is to be done, and for nothing else",
            Self::LeftBehind => "a job is forgotten with all that was written for it",
            Self::TooLong => "every job is over by its last hour",
        }
    }
}

macro_rules! never {
    ($fault:ident) => {
        Property::always(Fault::$fault.property(), |_, world: &World| world.fault != Some(Fault::$fault))
    };
}

/// Everything that is checked.
pub(crate) fn properties() -> Vec<Property<Model>> {
    vec![
        never!(TwoWriters),
        never!(Displaced),
        never!(Skipped),
        never!(OutOfTurn),
        never!(NotInTable),
        never!(AfterTheEnd),
        never!(FinishedPartition),
        never!(RefusalChanged),
        never!(PollChanged),
        never!(WronglyRefused),
        never!(NotAValue),
        never!(TransactionTime),
        never!(ListedOnly),
        never!(Rows),
        never!(Status),
        never!(Served),
        never!(Told),
        never!(Time),
        never!(Wants),
        never!(LeftBehind),
        never!(TooLong),
        // Where something is wrong already, the way ends for that reason.
        Property::eventually(FORGOTTEN, |_, world: &World| world.job.is_none() || world.fault.is_some()),
        Property::sometimes("an export comes as far as it can", |model, world: &World| {
            if model.scenario.spoilt { world.ledger.is_failed() } else { world.is_complete() }
        }),
    ]
}

/// That time alone brings every job to its end: hosts may crash, and nobody else need do anything.
pub(crate) const FORGOTTEN: &str = "every job is forgotten in the end";

//! Everything that can differ between two moments: the job as it is stored, the files, the hosts, what is on its way
//! between them, and the clock.

use crate::{
    call::{Account, Attempt, Call, File, HostId, Record},
    fault::Fault,
    ledger::{End, Ledger},
    scenario::Hour,
};

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The clock.
    pub now: Hour,
    /// The job's record, until the job is forgotten.
    pub job: Option<Record>,
    /// The job's rows.
    pub rows: Vec<Attempt>,
    /// The client's poll account.
    pub account: Account,
    /// The files in storage that a row lists or that one may yet list, in order.
    pub objects: Vec<Attempt>,
    /// Whether there are others in storage: of them it matters only that they go.
    pub orphans: bool,
    /// Both hosts.
    pub hosts: [Host; 2],
    /// Commands that the network will repeat, in order, with the host that gave them.
    pub late: Vec<(HostId, Call)>,
    /// How many more messages are lost or repeated.
    pub faults: u8,
    /// How many more hosts crash.
    pub crashes: u8,
    /// What the job must have come to.
    pub ledger: Ledger,
    /// What must never be, if it is so.
    pub fault: Option<Fault>,
}

/// A host, as far as it has to do with the job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// What it is about.
    pub work: Work,
    /// The call that it is about to make, and the record that it has read for it, where reading and writing are two.
    pub read: Option<(Call, Record)>,
}

/// What a host is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Nothing: it looks at the job now and then.
    Idle,
    /// It writes files.
    Running {
        /// Under which lease.
        epoch: u8,
        /// Whether the store took something from it within this hour.
        heard: bool,
        /// What is left: in each partition from that file on.
        left: Vec<File>,
        /// Whether the file that is next to be published is stored.
        stored: bool,
    },
    /// Something went wrong, and it is about to say so.
    Failing {
        /// Under which lease.
        epoch: u8,
    },
    /// It has removed the files, and is about to say so.
    Removing,
    /// It has removed the files once more, and is about to forget the job.
    Forgetting,
}

impl Host {
    pub(crate) const IDLE: Self = Self { work: Work::Idle, read: None };
}

impl World {
    /// Whether the export is complete and told of.
    pub fn is_complete(&self) -> bool {
        matches!(self.ledger.end, Some((End::Complete, _)))
    }

    /// Whether any file is in storage.
    pub(crate) fn has_files(&self) -> bool {
        self.orphans || !self.objects.is_empty()
    }

    /// Forgets of the files that no row can list any more which they are.
    pub(crate) fn tidy(&mut self) {
        let Self { objects, rows, hosts, late, .. } = self;
        let count = objects.len();
        objects.retain(|object| {
            let publishes = |call: &Call| matches!(call, Call::Publish { epoch, file } if object.is(*epoch, *file));
            let is_pending = |host: &Host| match &host.work {
                Work::Running { epoch, left, stored: true, .. } => {
                    left.first().is_some_and(|file| object.is(*epoch, *file))
                }
                _ => false,
            };
            rows.contains(object) || hosts.iter().any(is_pending) || late.iter().any(|(_, call)| publishes(call))
        });
        self.orphans |= objects.len() < count;
    }
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An hour passes.
    Hour,
    /// The patient, staff or the client ask for something. They may at any time and as often as they like: so whatever a
    /// network does to what they send, losing, repeating or delaying it, is among this.
    Ask(Call),
    /// A host reads the job for that call.
    Read(HostId, Call),
    /// A host's call comes to the job.
    Say(HostId, Call, Delivery),
    /// A call that the network repeats comes to the job.
    Repeat(HostId, Call),
    /// A host stores the file that it has written.
    Store(HostId),
    /// A host cannot read the data or write the files.
    Trouble(HostId),
    /// A host that was asked to removes all files of the job.
    Remove(HostId),
    /// A host that was asked to removes all files of the job, and will forget it.
    RemoveOnceMore(HostId),
    /// A host forgets the job.
    Forget(HostId),
    /// A host dies, and starts again under its name with nothing in mind.
    Crash(HostId),
}

/// How a host's call comes to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once, and the host hears what became of it.
    Heard,
    /// Not at all: the host sees an error.
    Lost,
    /// Once, but the host sees an error.
    Unheard,
    /// Once, and a second time later.
    Repeated,
}

impl Delivery {
    /// What the network may do to a call, beyond what comes to the same as something that may happen anyway: to a host
    /// that writes, a lost call or a lost answer is [`Trouble`](Action::Trouble) before or after it, and a host that looks
    /// at a job in vain will look again.
    pub(crate) fn faults_of(call: Call) -> &'static [Self] {
        match call {
            Call::Begin { .. } | Call::Finish { .. } => &[Self::Unheard, Self::Repeated],
            Call::Fail { .. } => &[Self::Lost, Self::Repeated],
            Call::Renew { .. } | Call::Publish { .. } | Call::Removed => &[Self::Repeated],
            _ => &[],
        }
    }
}

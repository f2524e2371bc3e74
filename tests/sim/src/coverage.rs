//! How often what was hit: faults, transitions of jobs and of clients, lies of servers, outcomes.

use std::{collections::BTreeMap, fmt};

use ehi_core::job::State;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What went wrong, or was met because something did.
    Fault,
    /// Transitions of jobs.
    Job,
    /// Transitions of clients.
    Client,
    /// What hostile servers did.
    Lie,
    /// How jobs and clients ended.
    Outcome,
}

/// How often what was hit.
#[derive(Clone, Debug)]
pub struct Coverage(BTreeMap<(Group, String), u64>);

impl Default for Coverage {
    /// Everything that must be hit, not hit so far.
    fn default() -> Self {
        let faults = Fault::ALL.iter().map(|fault| (Group::Fault, fault.name().to_owned()));
        let jobs = State::transitions().map(|(from, _, to)| (Group::Job, format!("{from:?} -> {to:?}")));
        let clients = CLIENT.iter().map(|(from, to)| (Group::Client, format!("{from} -> {to}")));
        let lies = crate::hostile::names().map(|lie| (Group::Lie, lie.to_owned()));
        Self(faults.chain(jobs).chain(clients).chain(lies).map(|key| (key, 0)).collect())
    }
}

impl Coverage {
    pub(crate) fn hit(&mut self, group: Group, what: impl Into<String>) {
        *self.0.entry((group, what.into())).or_default() += 1;
    }

    /// Adds what another run has hit.
    pub fn merge(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            *self.0.entry(key.clone()).or_default() += count;
        }
    }

    /// What was hit less often than that.
    pub fn below(&self, least: u64) -> Vec<String> {
        let counted = self.0.iter().filter(|((group, what), _)| must_be_hit(*group, what));
        counted.filter(|(_, count)| **count < least).map(|((_, what), _)| what.clone()).collect()
    }
}

/// What is met in passing need not be met often.
fn must_be_hit(group: Group, what: &str) -> bool {
    match group {
        Group::Outcome => false,
        Group::Client => CLIENT.iter().any(|(from, to)| format!("{from} -> {to}") == what),
        Group::Fault | Group::Job | Group::Lie => true,
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((group, what), count) in &self.0 {
            if last.replace(*group) != Some(*group) {
                writeln!(f, "{}", heading(*group))?;
            }
            writeln!(f, "{count:>10}  {what}")?;
        }
        Ok(())
    }
}

fn heading(group: Group) -> &'static str {
    match group {
        Group::Fault => "faults",
        Group::Job => "transitions of jobs",
        Group::Client => "transitions of clients",
        Group::Lie => "lies of hostile servers",
        Group::Outcome => "outcomes",
    }
}

/// What goes wrong, or is met because something did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    HostCrash,
    HostPause,
    ClockJump,
    StoreUnavailable,
    StoreAnswerLost,
    SourceFails,
    PoisonedLine,
    AccountLost,
    RequestLost,
    ResponseLost,
    RequestRepeated,
    DownloadCut,
    ClientCrash,
    SaveTorn,
    PartTorn,
    TokenRefused,
    ClientCancels,
    StaffSilent,
    StaffRejects,
    FormSilent,
    FormWrong,
    FastPolls,
    WriteConflict,
    StaleCommand,
    LeaseRefused,
    Takeover,
    UnpublishedRemoved,
    RangeContinued,
    JobLimitMet,
    EarlyManifest,
    EarlyFile,
    LaterPage,
}

impl Fault {
    pub(crate) const ALL: [Self; 32] = [
        Self::HostCrash,
        Self::HostPause,
        Self::ClockJump,
        Self::StoreUnavailable,
        Self::StoreAnswerLost,
        Self::SourceFails,
        Self::PoisonedLine,
        Self::AccountLost,
        Self::RequestLost,
        Self::ResponseLost,
        Self::RequestRepeated,
        Self::DownloadCut,
        Self::ClientCrash,
        Self::SaveTorn,
        Self::PartTorn,
        Self::TokenRefused,
        Self::ClientCancels,
        Self::StaffSilent,
        Self::StaffRejects,
        Self::FormSilent,
        Self::FormWrong,
        Self::FastPolls,
        Self::WriteConflict,
        Self::StaleCommand,
        Self::LeaseRefused,
        Self::Takeover,
        Self::UnpublishedRemoved,
        Self::RangeContinued,
        Self::JobLimitMet,
        Self::EarlyManifest,
        Self::EarlyFile,
        Self::LaterPage,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HostCrash => "host crashes between two calls",
            Self::HostPause => "host pauses, and goes on as a zombie",
            Self::ClockJump => "clock of a host jumps",
            Self::StoreUnavailable => "store call not done",
            Self::StoreAnswerLost => "store call done, its answer lost",
            Self::SourceFails => "data cannot be read",
            Self::PoisonedLine => "host crashes at one line every time",
            Self::AccountLost => "poll account lost",
            Self::RequestLost => "request lost",
            Self::ResponseLost => "response lost",
            Self::RequestRepeated => "request repeated",
            Self::DownloadCut => "connection cut in the middle of a download",
            Self::ClientCrash => "client crashes",
            Self::SaveTorn => "client's record torn",
            Self::PartTorn => "client's file torn",
            Self::TokenRefused => "token refused",
            Self::ClientCancels => "client cancels",
            Self::StaffSilent => "staff do nothing",
            Self::StaffRejects => "staff reject",
            Self::FormSilent => "patient does nothing",
            Self::FormWrong => "form answers that cannot be applied",
            Self::FastPolls => "polls too fast",
            Self::WriteConflict => "met: someone else changed the job",
            Self::StaleCommand => "met: command of a lost lease",
            Self::LeaseRefused => "met: lease of another host",
            Self::Takeover => "met: lease taken over",
            Self::UnpublishedRemoved => "met: unpublished upload removed",
            Self::RangeContinued => "met: download continued by range",
            Self::JobLimitMet => "met: too many jobs of a client",
            Self::EarlyManifest => "met: manifest before the export is complete",
            Self::EarlyFile => "met: file served before the export is complete",
            Self::LaterPage => "met: page of a manifest that another links to",
        }
    }
}

/// The table of the client's stages.
const CLIENT: [(&str, &str); 13] = [
    ("Discovering", "KickingOff"),
    ("Discovering", "Ended"),
    ("KickingOff", "Polling"),
    ("KickingOff", "Ended"),
    ("Polling", "Fetching"),
    ("Polling", "Cancelling"),
    ("Polling", "Ended"),
    ("Fetching", "Deleting"),
    ("Fetching", "Cancelling"),
    ("Fetching", "Ended"),
    ("Deleting", "Ended"),
    ("Cancelling", "Ended"),
    ("Ended", "Polling"),
];

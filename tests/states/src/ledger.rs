//! What must become of a job, said a second time and without its code: a ledger of everything that the job took, and
//! from it what it may take next and what anyone may see. Where job and ledger differ, one of them is wrong.

use crate::{
    call::{Account, Attempt, Call, File, HostId, Wanted},
    fault::Fault,
    scenario::{Hour, LEASE_HOURS, STRIKES_MAX, Scenario, TOMBSTONE_HOURS, step_name},
};

/// Everything that a job took.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Whether the patient has sent the form.
    pub form: bool,
    /// How many steps are approved: they come in one order.
    pub approved: u8,
    /// Until when the present wait may last.
    pub deadline: Hour,
    /// Which host began with which epoch; the epoch is the index, from 1.
    pub hosts: Vec<HostId>,
    /// Until when the last of them was promised the job.
    pub lease: Hour,
    /// The hour of the first beginning.
    pub transaction_time: Option<Hour>,
    /// What was published.
    pub published: Vec<Attempt>,
    /// Which partitions have nothing left.
    pub finished: Vec<u8>,
    /// How it ended, and when.
    pub end: Option<(End, Hour)>,
    /// Whether nothing is left to remove since it ended.
    pub removed: bool,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// All files are there for the client.
    Complete,
    /// An error, for the client to read.
    Failed,
    /// Someone decided that it ends.
    Refused,
    /// Its time is over.
    Expired,
    /// The client deleted it.
    Deleted,
}

impl Ledger {
    /// At the kick-off.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut ledger = Self {
            form: !scenario.ehi,
            approved: 0,
            deadline: 1,
            hosts: Vec::new(),
            lease: 0,
            transaction_time: None,
            published: Vec::new(),
            finished: Vec::new(),
            end: None,
            removed: false,
        };
        if ledger.form {
            ledger.wait(scenario, 0);
        }
        ledger
    }

    /// Whether it ended with an error.
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self.end, Some((End::Failed, _)))
    }

    /// The epoch of the present lease; 0 before the first.
    pub(crate) fn epoch(&self) -> u8 {
        u8::try_from(self.hosts.len()).unwrap_or(u8::MAX)
    }

    /// Who began with that epoch.
    pub(crate) fn host_of(&self, epoch: u8) -> Option<HostId> {
        self.hosts.get(usize::from(epoch).checked_sub(1)?).copied()
    }

    /// Why the job must not take a call, if it must not. `host` is who really speaks, whatever the call says.
    pub(crate) fn objection(&self, scenario: &Scenario, call: Call, host: Option<HostId>, now: Hour) -> Option<Fault> {
        if self.end.is_some() && !matches!(call, Call::Delete | Call::Timeout | Call::Removed | Call::Poll(_)) {
            return Some(Fault::AfterTheEnd);
        }
        match call {
            Call::Form { sound } => (self.form || !sound).then_some(Fault::OutOfTurn),
            Call::Approve { step } => (self.step(scenario) != Some(step)).then_some(Fault::OutOfTurn),
            Call::Reject { step, known_code } => {
                (self.step(scenario) != Some(step) || !known_code).then_some(Fault::OutOfTurn)
            }
            Call::Begin { .. } if !self.is_prepared(scenario) => Some(Fault::Skipped),
            Call::Begin { .. } if self.is_written(scenario) => Some(Fault::AfterTheEnd),
            Call::Begin { .. } => (self.is_leased(host, now)).then_some(Fault::Displaced),
            Call::Renew { .. } | Call::Publish { .. } | Call::Finish { .. } | Call::Fail { .. } => {
                self.objection_to_work(scenario, call, host)
            }
            Call::Removed => (!self.wants_removal()).then_some(Fault::NotInTable),
            Call::Timeout => (!self.is_due(scenario, now)).then_some(Fault::Time),
            Call::Poll(account) => (!self.is_too_fast(account, now)).then_some(Fault::PollChanged),
            Call::Delete => self.is_over(scenario, now).then_some(Fault::AfterTheEnd),
        }
    }

    fn objection_to_work(&self, scenario: &Scenario, call: Call, host: Option<HostId>) -> Option<Fault> {
        let epoch = call.epoch()?;
        if self.is_written(scenario) || self.hosts.is_empty() {
            return Some(Fault::AfterTheEnd);
        }
        if epoch != self.epoch() || self.host_of(epoch) != host {
            return Some(Fault::TwoWriters);
        }
        let partition = call.partition()?;
        self.finished.contains(&partition).then_some(Fault::FinishedPartition)
    }

    /// Takes what the job took.
    pub(crate) fn take(&mut self, scenario: &Scenario, call: Call, host: Option<HostId>, now: Hour) {
        match call {
            Call::Form { .. } => {
                self.form = true;
                self.wait(scenario, now);
            }
            Call::Approve { .. } => {
                self.approved = self.approved.saturating_add(1);
                self.wait(scenario, now);
            }
            Call::Begin { said, .. } => {
                self.hosts.extend(host);
                self.lease = said + LEASE_HOURS;
                self.transaction_time.get_or_insert(said);
            }
            Call::Renew { said, .. } => self.lease = self.lease.max(said + LEASE_HOURS),
            Call::Publish { epoch, file } => {
                self.published.push(Attempt { epoch, file });
                if scenario.is_spoilt(file) {
                    self.end(scenario, End::Failed, now);
                }
            }
            Call::Finish { partition, .. } => {
                self.finished.push(partition);
                self.finished.sort_unstable();
                if self.is_written(scenario) {
                    self.wait(scenario, now);
                }
            }
            Call::Timeout if self.end.is_some() => self.end(scenario, End::Expired, now),
            Call::Fail { .. } | Call::Timeout => self.end(scenario, End::Failed, now),
            Call::Reject { .. } | Call::Poll(_) => self.end(scenario, End::Refused, now),
            Call::Delete => self.end(scenario, End::Deleted, now),
            Call::Removed => self.removed = true,
        }
    }

    /// Goes on to the next wait, or to completion.
    fn wait(&mut self, scenario: &Scenario, now: Hour) {
        if !self.is_written(scenario) && self.is_prepared(scenario) {
            self.deadline = now + scenario.run_hours;
        } else if self.is_written(scenario) && self.approved == scenario.steps() {
            self.end = Some((End::Complete, now));
        } else {
            self.deadline = now + 1;
        }
    }

    fn end(&mut self, scenario: &Scenario, end: End, now: Hour) {
        // What never began has written nothing, and what is removed stays so.
        self.removed = self.removed || !self.is_prepared(scenario);
        self.end = Some((end, now));
    }

    /// The step that staff are to take.
    fn step(&self, scenario: &Scenario) -> Option<u8> {
        let waits = if self.approved < scenario.before { self.form } else { self.is_written(scenario) };
        (waits && self.end.is_none() && self.approved < scenario.steps()).then_some(self.approved)
    }

    /// Whether everything before the export is done.
    fn is_prepared(&self, scenario: &Scenario) -> bool {
        self.form && self.approved >= scenario.before
    }

    /// Whether every partition is finished.
    fn is_written(&self, scenario: &Scenario) -> bool {
        self.finished.len() >= usize::from(scenario.partitions)
    }

    fn is_leased(&self, to_others_than: Option<HostId>, now: Hour) -> bool {
        self.lease > now && self.hosts.last().copied() != to_others_than
    }

    fn is_too_fast(&self, account: Account, now: Hour) -> bool {
        self.end.is_none() && now < account.next_allowed && account.strikes >= STRIKES_MAX
    }

    /// Whether time is to end something.
    pub(crate) fn is_due(&self, scenario: &Scenario, now: Hour) -> bool {
        match self.end {
            None => self.deadline <= now,
            Some((End::Complete, at)) => at + scenario.retention_hours <= now,
            Some(_) => false,
        }
    }

    /// Whether everyone gets 404.
    fn is_over(&self, scenario: &Scenario, now: Hour) -> bool {
        match self.end {
            None => false,
            Some((End::Expired | End::Deleted, _)) => true,
            Some((End::Complete | End::Failed | End::Refused, at)) => at + scenario.retention_hours <= now,
        }
    }

    /// The status that a poll in time gets.
    pub(crate) fn status(&self, scenario: &Scenario, now: Hour) -> u16 {
        match self.end {
            _ if self.is_over(scenario, now) => 404,
            None => 202,
            Some((End::Complete, _)) => 200,
            Some((End::Refused, _)) => 403,
            Some(_) => 500,
        }
    }

    /// Whether files are served: from the release on, until retention has passed or the client has deleted them.
    pub(crate) fn serves(&self, scenario: &Scenario, now: Hour) -> bool {
        matches!(self.end, Some((End::Complete, _))) && !self.is_over(scenario, now)
    }

    /// What a host is to do.
    pub(crate) fn wants(&self, scenario: &Scenario, host: HostId, now: Hour) -> Wanted {
        if self.wants_removal() {
            return Wanted::Remove;
        }
        if self.wants_forgetting(scenario, now) {
            return Wanted::Forget;
        }
        if let Some(step) = self.step(scenario) {
            return Wanted::Step(step_name(step));
        }
        let is_running = self.end.is_none() && self.is_prepared(scenario) && !self.is_written(scenario);
        // What has lasted too long is not begun again, or a job that takes every host down with it never ends.
        if is_running && !self.is_due(scenario, now) && !self.is_leased(Some(host), now) {
            return Wanted::Run(self.unfinished(scenario));
        }
        Wanted::Nothing
    }

    /// The file to go on with in each partition that is not finished; nothing before the first beginning.
    fn unfinished(&self, scenario: &Scenario) -> Vec<File> {
        let partitions = if self.hosts.is_empty() { 0 } else { scenario.partitions };
        let published = |partition| self.published.iter().filter(|attempt| attempt.file.partition == partition).count();
        let next = |partition| File { partition, number: u8::try_from(published(partition)).unwrap_or(u8::MAX) };
        (0..partitions).filter(|partition| !self.finished.contains(partition)).map(next).collect()
    }

    /// Whether files are to be removed.
    fn wants_removal(&self) -> bool {
        !self.removed && self.end.is_some_and(|(end, _)| end != End::Complete)
    }

    /// Whether the job is to be forgotten: when its outcome is told no more, and nothing can still be written for it.
    fn wants_forgetting(&self, scenario: &Scenario, now: Hour) -> bool {
        let told = |end, at: Hour| match end {
            End::Failed | End::Refused => at + scenario.retention_hours.max(TOMBSTONE_HOURS) <= now,
            End::Complete | End::Expired | End::Deleted => at + TOMBSTONE_HOURS <= now,
        };
        self.removed && self.end.is_some_and(|(end, at)| told(end, at))
    }
}

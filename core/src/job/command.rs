//! What the host that does the work tells a job. Commands are values, so that they cross any boundary and can be
//! replayed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Effects, Epoch, FormAnswers, Job, JobMisuse, Lease, PartitionProgress, StepTaken, internal, state::Event};
use crate::{manifest::OutputFile, manifest::Section, pass::Pass, time::Timestamp, writer::Checkpoint};

/// A command to a job.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Command {
    /// Take the lease and begin, or go on. Only the first beginning fixes the transaction time, the snapshot and the
    /// partitions; a later one gets them back from the job.
    Begin {
        /// Who.
        holder: String,
        /// Until when, unless renewed.
        until: Timestamp,
        /// What the export is a picture of: later than the `lastUpdated` of nothing that the snapshot lacks.
        transaction_time: Timestamp,
        /// What identifies the data that is read; opaque here.
        snapshot: String,
        /// Into how many partitions the data is cut for the main pass; at most [`PARTITIONS_MAX`].
        partitions: u32,
    },
    /// Keep the lease.
    Renew {
        /// Of the lease.
        epoch: Epoch,
        /// Until when.
        until: Timestamp,
    },
    /// Files are stored whole: list them, and go on from the checkpoint if the host is lost. Too many reports in them fail the
    /// job; then it takes no more of the work.
    Publish {
        /// Of the lease.
        epoch: Epoch,
        /// Which partition.
        partition: u32,
        /// The files, in the order in which they were closed. Their page is for the job to say.
        rows: Vec<OutputFile>,
        /// That came with the last of them.
        checkpoint: Checkpoint,
    },
    /// A partition has nothing left. With the last one the job is complete.
    FinishPartition {
        /// Of the lease.
        epoch: Epoch,
        /// Which partition.
        partition: u32,
    },
    /// It cannot go on.
    Fail {
        /// Of the lease.
        epoch: Epoch,
        /// Why, in lower case; shown to the client, so no patient data and no paths.
        diagnostics: String,
    },
    /// The patient has filled in the form. No lease is needed for what people do.
    FormSubmitted {
        /// What was chosen.
        answers: FormAnswers,
    },
    /// Staff approve the step that is waited for.
    Approve {
        /// The step.
        step: String,
        /// Who.
        by: String,
    },
    /// Staff reject the step that is waited for, and with it the export.
    Reject {
        /// The step.
        step: String,
        /// One of the deployment's rejection codes.
        code: String,
        /// Who.
        by: String,
        /// For staff alone.
        #[serde(default)]
        note: String,
    },
    /// Everything below the job's storage prefix is removed.
    Removed,
}

/// The name alone: what people write and what failed may say anything of the patient.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begin { .. } => "Begin",
            Self::Renew { .. } => "Renew",
            Self::Publish { .. } => "Publish",
            Self::FinishPartition { .. } => "FinishPartition",
            Self::Fail { .. } => "Fail",
            Self::FormSubmitted { .. } => "FormSubmitted",
            Self::Approve { .. } => "Approve",
            Self::Reject { .. } => "Reject",
            Self::Removed => "Removed",
        })
    }
}

impl Job {
    /// Takes a command, or says why not and stays as it is. Returns the epoch to work under and what to store.
    pub fn apply(&mut self, command: Command, now: Timestamp) -> Result<(Epoch, Effects), JobMisuse> {
        let mut rows = Vec::new();
        match command {
            Command::Begin { holder, until, transaction_time, snapshot, partitions } => {
                self.begin(holder, until, transaction_time, snapshot, partitions, now)?;
            }
            Command::Renew { epoch, until } => {
                self.check_epoch(epoch)?;
                if let Some(lease) = &mut self.record.lease {
                    // A renewal that arrives late never shortens the lease.
                    lease.until = lease.until.max(until);
                }
            }
            Command::Publish { epoch, partition, rows: mut published, checkpoint } => {
                self.check_epoch(epoch)?;
                let progress = self.partition(partition)?;
                progress.checkpoint = Some(checkpoint);
                progress.published(&published);
                self.deal(&mut published, now);
                self.count(&published);
                self.count_reports(&published, now);
                rows = published;
            }
            Command::FinishPartition { epoch, partition } => {
                self.check_epoch(epoch)?;
                self.partition(partition)?.finished = true;
                if self.record.partitions.values().all(|progress| progress.finished) {
                    self.release(now);
                }
            }
            Command::Fail { epoch, diagnostics } => {
                self.check_epoch(epoch)?;
                self.fail_with(internal(&diagnostics), now);
            }
            Command::FormSubmitted { answers } => self.submit_form(&answers, now)?,
            Command::Approve { step, by } => {
                let taken = StepTaken { name: step, rejected: None, by, note: String::new(), at: now };
                self.take_step(taken, now)?;
            }
            Command::Reject { step, code, by, note } => {
                let taken = StepTaken { name: step, rejected: Some(code), by, note, at: now };
                self.take_step(taken, now)?;
            }
            Command::Removed => {
                if !self.enter(Event::Removed) {
                    return Err(self.record.state.into());
                }
            }
        }
        Ok((self.record.epoch, Effects { job: true, rows, account: false }))
    }

    fn begin(
        &mut self,
        holder: String,
        until: Timestamp,
        transaction_time: Timestamp,
        snapshot: String,
        partitions: u32,
        now: Timestamp,
    ) -> Result<(), JobMisuse> {
        if self.record.lease.as_ref().is_some_and(|lease| lease.until > now && lease.holder != holder) {
            return Err(JobMisuse::Leased);
        }
        if self.record.partitions.is_empty() && partitions > PARTITIONS_MAX {
            return Err(JobMisuse::TooManyPartitions);
        }
        // An epoch that came again would let in a host that lost its lease; no record of ours ever has the last one.
        let epoch = self.record.epoch.0.checked_add(1).ok_or(JobMisuse::Unreadable)?;
        if !self.enter(Event::Begin) {
            return Err(self.record.state.into());
        }
        if self.record.partitions.is_empty() {
            self.record.plan.transaction_time = Some(transaction_time);
            self.record.snapshot = Some(snapshot);
            // Every other pass is one more partition.
            let others = self.record.plan.passes().into_iter().filter(|pass| *pass != Pass::Main);
            let passes = (0..partitions.max(1)).map(|_| Pass::Main).chain(others);
            let progress = |pass| PartitionProgress { pass, ..PartitionProgress::default() };
            self.record.partitions = (0..).zip(passes.map(progress)).collect();
        }
        self.record.epoch = Epoch(epoch);
        self.record.lease = Some(Lease { holder, until });
        Ok(())
    }

    /// The fence: a host that lost its lease changes nothing, however late it speaks.
    fn check_epoch(&self, epoch: Epoch) -> Result<(), JobMisuse> {
        if self.record.state != super::State::Running {
            return Err(self.record.state.into());
        }
        if self.record.epoch == epoch && self.record.lease.is_some() { Ok(()) } else { Err(JobMisuse::Stale) }
    }

    fn partition(&mut self, number: u32) -> Result<&mut PartitionProgress, JobMisuse> {
        let partition = self.record.partitions.get_mut(&number).filter(|progress| !progress.finished);
        partition.ok_or(JobMisuse::NoSuchPartition)
    }

    fn count(&mut self, rows: &[OutputFile]) {
        let files = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.record.files = self.record.files.saturating_add(files);
        for row in rows {
            self.record.bytes = self.record.bytes.saturating_add(row.bytes);
            if row.section == Section::Output {
                self.record.resources = self.record.resources.saturating_add(row.count);
            }
        }
    }
}

/// Partitions of a job's main pass. The record holds a checkpoint of each and must stay small; no host has more cores.
pub const PARTITIONS_MAX: u32 = 1_000;

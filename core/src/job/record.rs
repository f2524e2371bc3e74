//! A job as it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Epoch, FailAbove, JobId, JobMisuse, State, pages::Pages, steps::StepsTaken};
use crate::{
    Sensitive, access::Owner, outcome::OperationOutcome, pass::Pass, plan::ExportPlan, time::Timestamp,
    writer::Checkpoint,
};

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) id: JobId,
    pub(super) owner: Owner,
    /// The user for whom it was started, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Sensitive<String>>,
    pub(super) plan: ExportPlan,
    /// The ids of the patients whom the kick-off listed, with a space between two: one text, since the record is read with
    /// every poll and the list only when the work begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) patients: Option<Sensitive<String>>,
    pub(super) requires_access_token: bool,
    pub(super) retention_seconds: u64,
    pub(super) state: State,
    pub(super) created: Timestamp,
    pub(super) epoch: Epoch,
    pub(super) lease: Option<Lease>,
    pub(super) snapshot: Option<String>,
    pub(super) partitions: BTreeMap<u32, PartitionProgress>,
    pub(super) files: u64,
    pub(super) resources: u64,
    pub(super) bytes: u64,
    /// How many OperationOutcomes are in the error files.
    #[serde(default)]
    pub(super) reports: u64,
    /// With how many of them it fails, as the deployment had it at the kick-off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fail_above: Option<FailAbove>,
    pub(super) ended: Option<Timestamp>,
    pub(super) failure: Option<OperationOutcome>,
    /// Steps that people take, as the deployment had them at the kick-off.
    #[serde(default)]
    pub(super) steps: StepsTaken,
    /// Until when the present state may last.
    #[serde(default)]
    pub(super) deadline: Option<Timestamp>,
    /// How long the work may take, in seconds.
    #[serde(default)]
    pub(super) run_seconds: Option<u64>,
    /// Whether status travels beside the answer to a poll (BD-HDR-07).
    #[serde(default)]
    pub(super) separate_status: bool,
    /// Where the manifest is in pages, how far its files are dealt into them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pages: Option<Pages>,
}

/// Who works on the job, and until when nobody else may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) holder: String,
    pub(super) until: Timestamp,
}

/// Where one partition stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartitionProgress {
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) finished: bool,
    #[serde(default)]
    pub(super) pass: Pass,
    /// The file that a published one names as its continuation, until it is published too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) continues_in_file: Option<String>,
}

impl Record {
    pub(super) fn decode(record: &str) -> Result<Self, JobMisuse> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_str(record).map_err(|_| JobMisuse::Unreadable)?;
        match version {
            // What came since has a default that is what it was before.
            1..=VERSION => {
                let read: Self = serde_json::from_str(record).map_err(|_| JobMisuse::Unreadable)?;
                Ok(Self { version: VERSION, ..read })
            }
            newer if newer > VERSION => Err(JobMisuse::TooNew),
            _ => Err(JobMisuse::Unreadable),
        }
    }
}

/// Raised when the meaning of a record changes; older versions are then read by their own shape.
pub(super) const VERSION: u32 = 5;

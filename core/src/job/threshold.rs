//! When an export has reported too much to count as done in part (BD-STAT-19).

use serde::{Deserialize, Serialize};

use super::{Job, internal};
use crate::{
    manifest::{OutputFile, Section},
    time::Timestamp,
};

/// What is too much for an export to count as done in part: then it fails as a whole, and its files are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailAbove {
    /// More reports than these in its error files: of lines that cannot be exported, and of such that are exported otherwise
    /// than they stand or left to the next export. What the kick-off was told itself, of parameters that are left aside, is
    /// not counted.
    pub reports: u64,
}

impl Job {
    /// Counts what published files report, and fails the job if it is too much. As soon as it is, so that no host works on
    /// for what nobody will get.
    pub(super) fn count_reports(&mut self, rows: &[OutputFile], now: Timestamp) {
        let published = rows.iter().filter(|row| row.section == Section::Error).map(|row| row.count);
        self.record.reports = published.fold(self.record.reports, u64::saturating_add);
        let Some(FailAbove { reports: most }) = self.record.fail_above else { return };
        // Each was told at the kick-off too, and is published once.
        let told = u64::try_from(self.record.plan.notices.len()).unwrap_or(u64::MAX);
        let reports = self.record.reports.saturating_sub(told);
        if reports > most {
            let text = format!("the export reported {reports} problems of its data, and more than {most} fail it here");
            self.fail_with(internal(&text), now);
        }
    }
}

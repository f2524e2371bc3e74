//! How an export ends: when nothing is left to do, what the report says, and what may be taken up again.

use std::collections::BTreeMap;

use super::{
    Client, Failure, FailureReason, FileKind, FileState, Finding, LogDetail, Outcome, PeerIssue, Report, Stage, Step,
    download::part_name, state::Event,
};
use crate::time::Timestamp;

impl Client {
    /// Ends what has nothing left to do.
    pub(super) fn settle(&mut self, now: Timestamp) -> bool {
        let idle =
            self.control.is_none() && self.fetches.is_empty() && self.waiting.is_empty() && self.stale.is_empty();
        if self.record.head.stage != Stage::Fetching || !idle {
            return false;
        }
        let lost = self.has_losses();
        if self.record.plan.request().delete_when_done && !lost {
            self.enter(Event::Arrived);
        } else {
            self.end(if lost { Outcome::Incomplete } else { Outcome::Complete }, now);
        }
        true
    }

    pub(super) fn fail(
        &mut self,
        step: Step,
        reason: FailureReason,
        status: Option<u16>,
        issues: Vec<PeerIssue>,
        now: Timestamp,
    ) {
        let outcome =
            if self.cancelled { Outcome::Cancelled } else { Outcome::Failed(Failure { step, reason, status, issues }) };
        self.end(outcome, now);
    }

    pub(super) fn end(&mut self, outcome: Outcome, now: Timestamp) {
        self.abort(false);
        self.record.head_mut().outcome = Some(outcome.clone());
        self.discard_what_failed();
        let report = self.make_report(outcome);
        self.enter(Event::End);
        let reason = if let Outcome::Failed(failure) = &report.outcome { Some(failure.reason) } else { None };
        self.log(
            LogDetail::ExportComplete {
                files: report.files,
                resources: report.resources,
                bytes: report.bytes,
                attachments: report.attachments,
                duration: u64::try_from(now.as_millis().saturating_sub(self.record.created.as_millis())).unwrap_or(0),
                outcome: report.outcome.as_str().into(),
                reason,
            },
            now,
        );
        self.report = Some(Box::new(report));
    }

    /// BD-MAN-29. A run that was stopped before all was discarded leaves the rest to the next.
    pub(super) fn discard_what_failed(&mut self) {
        let Some(Outcome::Failed(failure)) = &self.record.head.outcome else { return };
        if !failure.reason.is_for_good() || !self.record.plan.request().discard_when_failed {
            return;
        }
        let reason = failure.reason;
        for id in self.record.files.keys().copied().collect::<Vec<_>>() {
            if let Some(file) = self.record.file_mut(id) {
                file.state = FileState::Missing { reason };
                self.discards.extend([file.name.clone(), part_name(&file.name)]);
            }
        }
    }

    pub(super) fn make_report(&self, outcome: Outcome) -> Report {
        let (findings, findings_left_out) = self.record.findings();
        let head = &self.record.head;
        let mut report = Report {
            outcome: head.outcome.clone().unwrap_or(outcome),
            transaction_time: head.transaction_time.clone(),
            documentation_url: head.documentation_url.clone(),
            extension: head.extension.clone(),
            files: 0,
            deleted_files: 0,
            resources: 0,
            attachments: 0,
            bytes: 0,
            issues: BTreeMap::new(),
            failed_files: 0,
            findings: findings.to_vec(),
            findings_left_out,
        };
        for file in self.record.files.values() {
            match &file.state {
                FileState::Arrived { bytes, resources, problem, issues } => {
                    report.bytes = report.bytes.saturating_add(*bytes);
                    report.resources = report.resources.saturating_add(*resources);
                    report.failed_files += u64::from(problem.is_some());
                    match file.kind {
                        FileKind::Attachment => report.attachments += 1,
                        FileKind::Output | FileKind::Error => report.files += 1,
                        FileKind::Deleted => {
                            report.files += 1;
                            report.deleted_files += 1;
                        }
                    }
                    for (severity, count) in issues {
                        *report.issues.entry(severity.clone()).or_default() += count;
                    }
                }
                FileState::Waiting | FileState::Partial { .. } | FileState::Missing { .. } => report.failed_files += 1,
            }
        }
        report
    }

    pub(super) fn can_reopen(&self) -> bool {
        let head = &self.record.head;
        head.stage == Stage::Ended
            && head.polling_location.is_some()
            && match &head.outcome {
                Some(Outcome::Incomplete) => true,
                Some(Outcome::Failed(failure)) => !failure.reason.is_for_good(),
                Some(Outcome::Complete | Outcome::Cancelled) | None => false,
            }
    }

    fn has_losses(&self) -> bool {
        let (findings, left_out) = self.record.findings();
        // What was left out of the list may have been a loss.
        left_out > 0 || findings.iter().any(Finding::is_loss)
    }
}

//! What the server answers to kick-off, status and delete requests.

use std::collections::BTreeMap;

use super::{
    Client, ClientOutput, ExportKind, FailureReason, Finding, LogDetail, Outcome, PeerIssue, Stage, Step, Task, Url,
    control::{Control, codes, is_transient, issues},
    manifest::Walk,
    state::Event,
};
use crate::{Sensitive, http::Reply, kick_off::Level, time::Timestamp};

impl Client {
    pub(super) fn kick_off_replied(&mut self, control: Control, reply: Reply<'_>, now: Timestamp) {
        let reason = match reply.status {
            202 => match self.polling_location(&control.url, reply) {
                Ok(url) => return self.accepted(url, reply, now),
                Err(reason) => reason,
            },
            // BD-KRSP-07.
            _ if is_transient(reply) => return self.try_again(control, Some(reply), FailureReason::Unreachable, now),
            400..=599 => FailureReason::Refused,
            _ => FailureReason::UnexpectedStatus,
        };
        self.give_up(Task::KickOff, reason, Some(reply.status), issues(reply), now);
    }

    /// BD-KRSP-06. Polls carry the token, so the location must be at a server that may see it.
    fn polling_location(&mut self, kick_off: &Url, reply: Reply<'_>) -> Result<Url, FailureReason> {
        let location = reply.only("content-location").ok_or(FailureReason::NoPollingLocation)?;
        let url = kick_off.resolve(location).map_err(FailureReason::Url)?;
        if Url::parse(location).is_err() {
            self.record.find(Finding::RelativePollingLocation);
        }
        let policy = &self.record.plan.policy;
        if !policy.is_trusted(&url) {
            return Err(FailureReason::Url(super::UrlError::ForeignOrigin));
        }
        policy.may_contact(&url).map_err(FailureReason::Url)?;
        Ok(url)
    }

    fn accepted(&mut self, polling_location: Url, reply: Reply<'_>, now: Timestamp) {
        let applied = reply.header("preference-applied").flat_map(|value| value.split(','));
        let separate = applied.map(str::trim).any(|name| name.eq_ignore_ascii_case("separate-export-status"));
        let asked = self.record.plan.request().separate_export_status;
        let head = self.record.head_mut();
        head.polling_location = Some(polling_location);
        // BD-HDR-08: only if the server says that it applies what was asked for.
        head.separate_status = separate && asked;
        self.log_kick_off(None, None, Some(reply), now);
        self.enter(Event::Accepted);
        if self.cancelled {
            self.enter(Event::Cancel);
            return;
        }
        self.open_link(reply);
        // The first poll is at once, unless the server says otherwise: small exports are done by then.
        let first = if reply.retry_after(now).is_some() { self.again_at(Some(reply), 0, now) } else { now };
        self.begin_at(Task::Poll, first, now);
    }

    pub(super) fn poll_replied(&mut self, control: Control, reply: Reply<'_>, now: Timestamp) {
        let status = self.export_status(reply);
        match status {
            202 => self.in_progress(reply, now),
            200 => self.complete(control, reply, now),
            _ if is_transient(Reply { status, ..reply }) => {
                self.log_status_error(FailureReason::Unreachable, Some(status), &issues(reply), now);
                self.try_again(control, Some(reply), FailureReason::Unreachable, now);
            }
            404 | 410 => self.give_up(Task::Poll, FailureReason::Gone, Some(status), issues(reply), now),
            400..=599 => self.give_up(Task::Poll, FailureReason::ExportFailed, Some(status), issues(reply), now),
            // BD-STAT-23.
            _ => self.give_up(Task::Poll, FailureReason::UnexpectedStatus, Some(status), issues(reply), now),
        }
    }

    /// The status of the export: that of the response, or of `X-Export-Status` where the server applies
    /// `separate-export-status` (BD-HDR-07).
    fn export_status(&self, reply: Reply<'_>) -> u16 {
        let separate = self.record.head.separate_status && reply.status == 200;
        let stated = reply.only("x-export-status").filter(|_| separate);
        stated.and_then(|text| text.parse().ok()).unwrap_or(reply.status)
    }

    fn in_progress(&mut self, reply: Reply<'_>, now: Timestamp) {
        let next = self.again_at(Some(reply), self.polls, now);
        self.polls = if reply.retry_after(now).is_some() { 0 } else { self.polls.saturating_add(1) };
        self.progress = reply.only("x-progress").map(|text| {
            let shown = text.chars().filter(|c| !c.is_control()).take(100).collect();
            Sensitive::new(shown)
        });
        let x_progress = self.progress.as_ref().and_then(|text| percentage(text.expose()));
        let retry_after = Some(next.seconds_since(now));
        self.log(LogDetail::StatusProgress { x_progress, retry_after, body: None }, now);
        if self.record.head.stage == Stage::Fetching {
            // It was complete before, and is being asked for fresh URLs.
            return self.give_up_refresh(now);
        }
        self.open_link(reply);
        // BD-PART-02: a manifest of what is ready. Anything else that a 202 carries is not for us.
        match self.read_manifest(reply, false) {
            Ok(manifest) => {
                self.merge_page(0, manifest, now);
                self.walk_on(Walk { complete: false, refresh: !self.stale.is_empty(), poll_again: next }, 0, now);
            }
            Err(_) => self.begin_at(Task::Poll, next, now),
        }
    }

    fn complete(&mut self, control: Control, reply: Reply<'_>, now: Timestamp) {
        match self.read_manifest(reply, true) {
            Err(reason) => {
                // A body that was cut on the way is whole the next time.
                self.log_status_error(reason, Some(reply.status), &[], now);
                self.try_again(control, None, reason, now);
            }
            Ok(manifest) => {
                self.record.head_mut().expires = reply.expires();
                if self.record.head.stage == Stage::Polling {
                    let transaction_time = manifest.transaction_time.clone();
                    self.log(LogDetail::StatusComplete { transaction_time }, now);
                }
                self.merge_page(0, manifest, now);
                let refresh = !self.stale.is_empty();
                self.walk_on(Walk { complete: true, refresh, poll_again: now }, 0, now);
            }
        }
    }

    pub(super) fn delete_replied(&mut self, control: Control, reply: Reply<'_>, now: Timestamp) {
        match reply.status {
            // Not there any more is what was wanted.
            200..=299 | 404 | 410 => self.deleted(now),
            _ if is_transient(reply) => self.try_again(control, Some(reply), FailureReason::Unreachable, now),
            _ => self.not_deleted(FailureReason::Refused, now),
        }
    }

    pub(super) fn not_deleted(&mut self, reason: FailureReason, now: Timestamp) {
        self.record.find(Finding::NotDeleted { reason });
        self.deleted(now);
    }

    fn deleted(&mut self, now: Timestamp) {
        let outcome = if self.cancelled { Outcome::Cancelled } else { Outcome::Complete };
        self.end(outcome, now);
    }

    /// EHI-KICK-08: each page once.
    fn open_link(&mut self, reply: Reply<'_>) {
        let Some(link) = reply.link("patient-interaction") else { return };
        if !link.bracketed {
            self.record.find(Finding::BareLink);
        }
        let base = self.record.head.polling_location.as_ref().unwrap_or(&self.record.plan.policy.base);
        let checked = base.resolve(link.target).and_then(|url| {
            self.record.plan.policy.may_contact(&url)?;
            Ok(url)
        });
        match checked {
            Ok(url) if self.opened.len() < LINKS_MAX && self.opened.insert(url.clone()) => {
                self.queue.push_back(ClientOutput::OpenBrowser { url });
            }
            Ok(_) => {}
            Err(reason) => self.record.find(Finding::LinkNotOpened { reason }),
        }
    }

    pub(super) fn log_kick_off_failed(&mut self, status: Option<u16>, issues: &[PeerIssue], now: Timestamp) {
        self.log_kick_off(status, codes(issues).or_else(|| Some(String::from("no OperationOutcome"))), None, now);
    }

    fn log_kick_off(
        &mut self,
        error_code: Option<u16>,
        error_body: Option<String>,
        reply: Option<Reply<'_>>,
        now: Timestamp,
    ) {
        let server = self.record.head.server.clone();
        let detail = LogDetail::Kickoff {
            export_url: self.shown_export_url(),
            software_name: server.software_name,
            software_version: server.software_version,
            software_release_date: server.software_release_date,
            fhir_version: server.fhir_version,
            request_parameters: self.shown_parameters(),
            error_code,
            error_body,
            response_headers: reply.map(shown_headers).unwrap_or_default(),
        };
        self.log(detail, now);
    }

    pub(super) fn log_status_error(
        &mut self,
        reason: FailureReason,
        code: Option<u16>,
        issues: &[PeerIssue],
        now: Timestamp,
    ) {
        self.log(LogDetail::StatusError { body: codes(issues), code, message: reason.to_string() }, now);
    }

    /// Group and practitioner stay, for tools read them from here; a patient does not.
    fn shown_export_url(&self) -> String {
        let request = self.record.plan.request();
        let operation = if request.kind == ExportKind::Ehi { "$ehi-export" } else { "$export" };
        self.record.plan.policy.base.join(&match &request.level {
            Level::System => operation.to_owned(),
            Level::AllPatients => format!("Patient/{operation}"),
            Level::Group(id) => format!("Group/{id}/{operation}"),
            Level::Practitioner(id) => format!("Practitioner/{id}/{operation}"),
            Level::Patient(_) => format!("Patient/(withheld)/{operation}"),
        })
    }

    fn shown_parameters(&self) -> BTreeMap<String, String> {
        let request = self.record.plan.request();
        let queries = self.record.plan.queries.iter();
        let filters: Vec<_> = queries.map(|query| format!("{}?(withheld)", query.resource_type().as_str())).collect();
        let all = [
            ("_outputFormat", request.output_format.clone().unwrap_or_default()),
            ("_since", request.since.clone().unwrap_or_default()),
            ("_until", request.until.clone().unwrap_or_default()),
            ("_type", request.types.join(",")),
            ("_typeFilter", filters.join(",")),
            ("_elements", request.elements.join(",")),
            ("includeAssociatedData", request.include_associated_data.join(",")),
            ("organizeOutputBy", request.organize_output_by.clone().unwrap_or_default()),
        ];
        all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), text)).collect()
    }
}

/// Fields that tell of the server's making; an address or an id is in none of them.
fn shown_headers(reply: Reply<'_>) -> BTreeMap<String, String> {
    let shown =
        |name: &str| Some((name.to_owned(), reply.only(name)?.chars().filter(|c| !c.is_control()).take(100).collect()));
    ["server", "date", "content-type"].into_iter().filter_map(shown).collect()
}

/// BD-STAT-11: `17%` from `17% complete`. The rest of the text may hold anything.
fn percentage(text: &str) -> Option<String> {
    let (before, _) = text.split_once('%')?;
    let digits: String = before.chars().rev().take_while(char::is_ascii_digit).take(3).collect();
    (!digits.is_empty()).then(|| digits.chars().rev().chain(['%']).collect())
}

impl Client {
    /// In which step a manifest was read: for what is found about it.
    pub(super) fn manifest_step(page: usize) -> Step {
        if page == 0 { Step::Status } else { Step::Manifest }
    }
}

/// Pages that one export opens in a browser.
const LINKS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::percentage;

    #[test]
    fn bd_stat_11_the_percentage_is_read_and_nothing_else() {
        assert_eq!(percentage("17% complete").as_deref(), Some("17%"));
        assert_eq!(percentage("Exporting Muster: 100%").as_deref(), Some("100%"));
        for text in ["", "%", "Muster%", "half"] {
            assert_eq!(percentage(text), None, "{text}");
        }
    }
}

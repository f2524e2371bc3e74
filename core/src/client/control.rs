//! Protocol requests: everything but downloads, one at a time.

use serde::Deserialize;

use super::{
    Client, FailureReason, Finding, Owner, PeerIssue, Step, Token, TransferError, Url, kick_off::KickOffRequest,
    output::ClientOutput, state::Stage,
};
use crate::{
    Sensitive,
    http::{FHIR_JSON, Reply},
    time::Timestamp,
};

/// A protocol request that is due or in flight.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) task: Task,
    pub(super) method: &'static str,
    pub(super) url: Url,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    pub(super) not_before: Timestamp,
    /// In flight.
    pub(super) op: Option<u64>,
    /// Sent with the token.
    authorized: bool,
    pub(super) tries: u32,
    redirects: u32,
    token_tries: u32,
}

/// What a protocol request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Metadata,
    SmartConfiguration,
    KickOff,
    Poll,
    /// The page of that index.
    Page(usize),
    Delete,
}

impl Task {
    pub(super) fn step(self) -> Step {
        match self {
            Self::Metadata | Self::SmartConfiguration => Step::Discovery,
            Self::KickOff => Step::KickOff,
            Self::Poll => Step::Status,
            Self::Page(_) => Step::Manifest,
            Self::Delete => Step::Delete,
        }
    }
}

impl Client {
    /// Makes that request the one that is due, now.
    pub(super) fn begin(&mut self, task: Task, now: Timestamp) {
        self.begin_at(task, now, now);
    }

    pub(super) fn begin_at(&mut self, task: Task, not_before: Timestamp, now: Timestamp) {
        let accept = |media_type: &str| vec![("accept".to_owned(), media_type.to_owned())];
        let base = &self.record.plan.policy.base;
        let polling = || self.record.head.polling_location.clone().ok_or(super::UrlError::Malformed);
        let made = match task {
            Task::Metadata => Url::parse(&base.join("metadata")).map(|url| ("GET", url, accept(FHIR_JSON), Vec::new())),
            Task::SmartConfiguration => {
                let url = Url::parse(&base.join(".well-known/smart-configuration"));
                url.map(|url| ("GET", url, accept("application/json"), Vec::new()))
            }
            Task::KickOff => {
                let KickOffRequest { method, url, headers, body } = KickOffRequest::new(&self.record.plan);
                Url::parse(&url).map(|url| (method, url, headers, body))
            }
            Task::Poll => polling().map(|url| ("GET", url, accept("application/json"), Vec::new())),
            Task::Page(index) => {
                let url = self.page_url(index).ok_or(super::UrlError::Malformed);
                url.map(|url| ("GET", url, accept("application/json"), Vec::new()))
            }
            Task::Delete => polling().map(|url| ("DELETE", url, accept(FHIR_JSON), Vec::new())),
        };
        match made {
            Ok((method, url, headers, body)) => {
                let (op, authorized) = (None, false);
                let (tries, redirects, token_tries) = (0, 0, 0);
                self.control = Some(Control {
                    task,
                    method,
                    url,
                    headers,
                    body,
                    not_before,
                    op,
                    authorized,
                    tries,
                    redirects,
                    token_tries,
                });
            }
            Err(error) => self.give_up(task, FailureReason::Url(error), None, Vec::new(), now),
        }
    }

    /// Sends the request that is due, if it is time and there is a token for it.
    pub(super) fn send_control(&mut self, now: Timestamp) -> bool {
        let Some(control) = &self.control else { return false };
        if control.op.is_some() || control.not_before > now {
            return false;
        }
        let (task, url) = (control.task, control.url.clone());
        if let Err(error) = self.record.plan.policy.may_contact(&url) {
            self.control = None;
            self.give_up(task, FailureReason::Url(error), None, Vec::new(), now);
            return true;
        }
        // Saved before it is sent: a later run then knows that the server may hold an export.
        if task == Task::KickOff && !self.record.head.kick_off_sent {
            self.record.head_mut().kick_off_sent = true;
            return true;
        }
        let public = task.step() == Step::Discovery;
        let authorize = !public && self.record.plan.request().authorize && self.record.plan.policy.may_authorize(&url);
        if authorize && !self.has_token(now) {
            return !self.queue.is_empty();
        }
        let op = self.new_op(Owner::Control);
        let body_bytes_max = self.record.limits.response_bytes_max;
        let Some(control) = &mut self.control else { return false };
        control.op = Some(op.0);
        control.authorized = authorize;
        self.queue.push_back(ClientOutput::Transmit {
            op,
            method: control.method.to_owned(),
            url,
            headers: control.headers.clone(),
            body: Sensitive::new(control.body.clone()),
            authorize,
            body_bytes_max,
        });
        true
    }

    pub(super) fn control_replied(&mut self, reply: Reply<'_>, now: Timestamp) {
        let Some(mut control) = self.control.take() else { return };
        control.op = None;
        match reply.status {
            301 | 302 | 307 | 308 => self.redirected(control, reply, now),
            401 if control.authorized && control.token_tries < TOKEN_TRIES_MAX => {
                // EHI-AUTH-08: it has ended, as tokens do over a long review.
                control.token_tries += 1;
                self.token = Token::None;
                self.control = Some(control);
            }
            401 if control.task.step() != Step::Discovery => {
                let task = control.task;
                self.give_up(task, FailureReason::Unauthorized, Some(401), issues(reply), now);
            }
            _ => match control.task {
                Task::Metadata | Task::SmartConfiguration => self.discovered(control.task, reply, now),
                Task::KickOff => self.kick_off_replied(control, reply, now),
                Task::Poll => self.poll_replied(control, reply, now),
                Task::Page(index) => self.page_replied(control, index, reply, now),
                Task::Delete => self.delete_replied(control, reply, now),
            },
        }
    }

    pub(super) fn control_failed(&mut self, error: TransferError, now: Timestamp) {
        let Some(mut control) = self.control.take() else { return };
        control.op = None;
        let reason = match error {
            TransferError::Network | TransferError::PartMissing | TransferError::Storage => {
                return self.try_again(control, None, FailureReason::Unreachable, now);
            }
            TransferError::TooLarge => FailureReason::TooLarge,
            TransferError::AddressRefused => FailureReason::Url(super::UrlError::PrivateAddress),
        };
        self.give_up(control.task, reason, None, Vec::new(), now);
    }

    /// Sends the request again later, unless that was done too often.
    pub(super) fn try_again(
        &mut self,
        mut control: Control,
        reply: Option<Reply<'_>>,
        reason: FailureReason,
        now: Timestamp,
    ) {
        if control.tries >= self.record.limits.retries_max || self.is_over_with(control.task) {
            let (status, issues) = reply.map_or((None, Vec::new()), |reply| (Some(reply.status), issues(reply)));
            return self.give_up(control.task, reason, status, issues, now);
        }
        control.not_before = self.again_at(reply, control.tries, now);
        control.tries += 1;
        self.control = Some(control);
    }

    /// A cancelled kick-off is not tried again: there is nothing to remove then.
    fn is_over_with(&self, task: Task) -> bool {
        self.cancelled && task == Task::KickOff
    }

    fn redirected(&mut self, mut control: Control, reply: Reply<'_>, now: Timestamp) {
        control.redirects += 1;
        let target = reply.only("location").map(|location| control.url.resolve(location));
        // 301 and 302 turn a POST into a GET in the hands of most clients.
        let changes = control.method != "GET" && matches!(reply.status, 301 | 302);
        let policy = &self.record.plan.policy;
        let reason = match target {
            _ if changes || control.redirects > self.record.limits.redirects_max => FailureReason::Redirect,
            None => FailureReason::Redirect,
            Some(Err(error)) => FailureReason::Url(error),
            Some(Ok(url)) if !policy.is_trusted(&url) => FailureReason::Url(super::UrlError::ForeignOrigin),
            Some(Ok(url)) => match policy.may_contact(&url) {
                Err(error) => FailureReason::Url(error),
                Ok(()) => {
                    control.url = url;
                    self.control = Some(control);
                    return;
                }
            },
        };
        self.give_up(control.task, reason, Some(reply.status), Vec::new(), now);
    }

    /// The request has failed for good. What that means depends on what it was for.
    pub(super) fn give_up(
        &mut self,
        task: Task,
        reason: FailureReason,
        status: Option<u16>,
        issues: Vec<PeerIssue>,
        now: Timestamp,
    ) {
        match task {
            Task::Metadata | Task::SmartConfiguration => {
                self.record.find(Finding::NotDiscovered { reason });
                self.after_discovery(task, now);
            }
            Task::Delete => self.not_deleted(reason, now),
            // The export was complete, and only fresh URLs were asked for: what has arrived counts.
            Task::Poll | Task::Page(_) if self.record.head.stage == Stage::Fetching => self.give_up_refresh(now),
            Task::KickOff | Task::Poll | Task::Page(_) => {
                if task == Task::KickOff {
                    self.log_kick_off_failed(status, &issues, now);
                } else {
                    self.log_status_error(reason, status, &issues, now);
                }
                self.fail(task.step(), reason, status, issues, now);
            }
        }
    }

    pub(super) fn check_media_type(&mut self, reply: Reply<'_>, step: Step) {
        let is_json = reply.media_type().is_some_and(|name| name == "application/json" || name.ends_with("+json"));
        if !is_json {
            self.record.find(Finding::MediaType { step });
        }
    }
}

/// Whether asking again may help (BD-STAT-16, BD-STAT-17): all issues are of the transient kinds, or the server said
/// nothing that FHIR knows.
pub(super) fn is_transient(reply: Reply<'_>) -> bool {
    let transient_status = matches!(reply.status, 408 | 425 | 429 | 500..=599);
    let issues = issues(reply);
    let is_transient = |issue: &PeerIssue| issue.code.as_deref().is_some_and(|code| TRANSIENT_CODES.contains(&code));
    transient_status && (reply.status == 429 || issues.iter().all(is_transient))
}

/// The issues of an OperationOutcome in the body; none if it is something else (BD-STAT-15).
pub(super) fn issues(reply: Reply<'_>) -> Vec<PeerIssue> {
    #[derive(Deserialize)]
    struct Outcome {
        #[serde(rename = "resourceType")]
        resource_type: String,
        #[serde(default)]
        issue: Vec<Issue>,
    }
    #[derive(Deserialize)]
    struct Issue {
        severity: Option<String>,
        code: Option<String>,
        diagnostics: Option<String>,
        details: Option<Details>,
    }
    #[derive(Deserialize)]
    struct Details {
        text: Option<String>,
    }
    let body = reply.body.get(..reply.body.len().min(OUTCOME_BYTES_MAX)).unwrap_or_default();
    let Ok(outcome) = serde_json::from_slice::<Outcome>(body) else { return Vec::new() };
    if outcome.resource_type != "OperationOutcome" {
        return Vec::new();
    }
    // What merely looks like a code may be a name.
    let is_code = |text: &String| CODES.contains(&text.as_str());
    let known = |text: &String| SEVERITIES.contains(&text.as_str());
    let issues = outcome.issue.into_iter().take(ISSUES_MAX).map(|issue| PeerIssue {
        severity: issue.severity.filter(known),
        code: issue.code.filter(is_code),
        text: issue
            .diagnostics
            .or(issue.details.and_then(|details| details.text))
            .map(|text| Sensitive::new(cut(&text))),
    });
    issues.collect()
}

/// The codes of issues, as a log may show them.
pub(super) fn codes(issues: &[PeerIssue]) -> Option<String> {
    let codes: Vec<_> = issues.iter().filter_map(|issue| issue.code.as_deref()).collect();
    (!codes.is_empty()).then(|| codes.join(", "))
}

/// At most that many characters, without control characters.
fn cut(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARACTERS_MAX).collect()
}

const SEVERITIES: [&str; 5] = ["fatal", "error", "warning", "information", "success"];

/// `transient` and what lies below it in `http://hl7.org/fhir/issue-type`.
const TRANSIENT_CODES: [&str; 7] =
    ["transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"];

/// All of `http://hl7.org/fhir/issue-type`.
const CODES: [&str; 31] = [
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "security",
    "login",
    "unknown",
    "expired",
    "forbidden",
    "suppressed",
    "processing",
    "not-supported",
    "duplicate",
    "multiple-matches",
    "not-found",
    "deleted",
    "too-long",
    "code-invalid",
    "extension",
    "too-costly",
    "business-rule",
    "conflict",
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "incomplete",
    "throttled",
    "informational",
];

/// Tokens asked for in a row for one request.
const TOKEN_TRIES_MAX: u32 = 2;
const ISSUES_MAX: usize = 100;
const OUTCOME_BYTES_MAX: usize = 1 << 20;
const TEXT_CHARACTERS_MAX: usize = 1_000;

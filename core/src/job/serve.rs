//! What a client asks of a job: status, deletion, files.

use super::{Effects, Job, PollAccount, State, record::Record, state::Event};
use crate::{
    Refusal,
    access::Principal,
    endpoint::{Endpoint, allow, not_found, unauthorized},
    http::{Body, Request, Response, Target, accepts_gzip},
    manifest::{ManifestHead, OutputFile, Section},
    outcome::{Issue, IssueCode, OperationOutcome},
    time::Timestamp,
};

impl Job {
    /// Answers a request that [`Endpoint::route`] found to be about this job.
    ///
    /// The principal is checked again each time (BD-SEC-03, BD-SEC-04): another client gets what it would get for a job
    /// that does not exist, the owner with a token that covers less than the export gets 403.
    pub fn handle_request(
        &mut self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        principal: &Principal,
        account: &mut PollAccount,
        now: Timestamp,
    ) -> (Response, Effects) {
        let mut effects = Effects::default();
        let response = self.answer(endpoint, request, principal, account, &mut effects, now);
        (response.unwrap_or_else(Response::from), effects)
    }

    /// Answers a request for a file whose row was looked up, after [`handle_request`](Self::handle_request) answered
    /// [`Body::Row`]. A single byte range is honoured (BD-FILE-16). A file that no manifest lists yet is not there.
    pub fn serve_file(&self, file: &OutputFile, request: &Request<'_>) -> Response {
        if !self.serves(file) {
            return not_found();
        }
        let is_packed = file.gzip_bytes.is_some();
        // Who asks for a part asks for one of the file that the manifest speaks of.
        if let Some(stored) =
            file.gzip_bytes.filter(|_| accepts_gzip(request) && request.header("range").next().is_none())
        {
            let response =
                file_response(200, file, stored).with("vary", "accept-encoding").with("content-encoding", "gzip");
            return with_object(response, request, file, None, false);
        }
        let tag = file.sha256.as_ref().map(|sha256| format!("\"{sha256}\""));
        let range = byte_range(request, file.bytes, tag.as_deref());
        let (status, range, length) = match range {
            Range::Whole => (200, None, file.bytes),
            Range::Part(from, to) => (206, Some((from, to)), to - from),
            Range::Unsatisfiable => {
                let issue = Issue::error(IssueCode::Value, "the range lies outside the file").about("Range");
                return Refusal::new(416, issue).with("content-range", format!("bytes */{}", file.bytes)).into();
            }
        };
        let mut response = file_response(status, file, length).with("accept-ranges", "bytes");
        if is_packed {
            response = response.with("vary", "accept-encoding");
        }
        if let Some(tag) = tag {
            response = response.with("etag", tag);
        }
        if let Some((from, to)) = range {
            response = response.with("content-range", format!("bytes {from}-{}/{}", to - 1, file.bytes));
        }
        with_object(response, request, file, range, is_packed)
    }

    fn answer(
        &mut self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        principal: &Principal,
        account: &mut PollAccount,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<Response, Refusal> {
        let target = Target::parse(request.target);
        let segments = target.segments_below(endpoint.config().base_path()).unwrap_or_default();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let signed = self.is_signed(endpoint.config(), &segments, &target, now);
        if principal.has_expired(now) && !signed {
            return Ok(unauthorized());
        }
        if self.is_over(now) {
            return Ok(not_found());
        }
        if !signed {
            self.permit(endpoint.config(), request, principal)?;
        }
        match segments.as_slice() {
            ["bulk", _] => {
                allow(request, &["GET", "DELETE"])?;
                if request.method == "DELETE" {
                    Ok(self.delete(effects, now))
                } else {
                    self.status(endpoint, account, effects, now)
                }
            }
            ["bulk", _, "files", name] => {
                allow(request, &["GET", "HEAD"])?;
                // Of which page it is, its row says.
                let available = self.record.state == State::Complete || self.pages_shown() > 0;
                Ok(if available {
                    Response { body: Body::Row((*name).to_owned()), ..Response::new(200) }
                } else {
                    not_found()
                })
            }
            ["bulk", _, "manifests", page] => {
                allow(request, &["GET"])?;
                Ok(self.page(endpoint, page, now))
            }
            _ => Ok(not_found()),
        }
    }

    /// Deleted, expired, or due to expire: the host's sweep may come later, the answer does not change with it (BD-STAT-22).
    fn is_over(&self, now: Timestamp) -> bool {
        match self.record.state {
            State::Expired | State::Deleted | State::Gone => true,
            State::Complete | State::Failed | State::FailedEmpty => self.retained_until() <= now,
            State::AwaitingPatient | State::AwaitingStep | State::AwaitingRelease | State::Queued | State::Running => {
                false
            }
        }
    }

    /// BD-DEL-02, BD-DEL-04: cancels a job in progress, or says that the files of a complete one can go.
    fn delete(&mut self, effects: &mut Effects, now: Timestamp) -> Response {
        if !self.enter(Event::Delete) {
            return not_found();
        }
        self.record.lease = None;
        self.record.deadline = None;
        self.record.ended = Some(now);
        self.record.failure = None;
        effects.job = true;
        Response::outcome(202, &OperationOutcome::new(Issue::information("the export and its files are being removed")))
    }

    fn status(
        &mut self,
        endpoint: &Endpoint,
        account: &mut PollAccount,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<Response, Refusal> {
        effects.account = true;
        if let Err(seconds) = account.poll(endpoint.config().poll_interval_millis, now) {
            // BD-STAT-06: a client that never listens is not served for ever.
            let strikes_max = endpoint.config().poll_strikes_max;
            if strikes_max.is_some_and(|max| account.strikes > max) && self.record.state.is_unfinished() {
                let text = "the client polled too fast for too long, so the export was ended";
                effects.job |= self.fail_with(Issue::error(IssueCode::TooCostly, text), now);
            }
            let issue = Issue::error(IssueCode::Throttled, "polled too soon; wait as long as Retry-After says");
            return Err(Refusal::new(429, issue).with("retry-after", seconds.to_string()));
        }
        let response = match self.record.state {
            State::AwaitingPatient | State::AwaitingStep | State::AwaitingRelease | State::Queued | State::Running => {
                let response = Response::new(202)
                    .with("retry-after", self.retry_after(endpoint.config().retry_after_seconds, now).to_string())
                    .with("x-progress", self.progress());
                // BD-PART-02.
                let response = if self.pages_shown() > 0 {
                    self.with_manifest(response, endpoint, Some(1), now)
                } else {
                    response
                };
                // The same on every poll until the form is filled in (EHI-STAT-02).
                match self.patient_link() {
                    Some(link) => response.with("link", link),
                    None => response,
                }
            }
            State::Complete => {
                let response = Response::new(200).with("expires", self.retained_until().to_http_date());
                let first = self.record.pages.as_ref().map(|_| 1);
                self.with_manifest(response, endpoint, first, now)
            }
            State::Failed | State::FailedEmpty => self.failed(),
            State::Expired | State::Deleted | State::Gone => return Ok(not_found()),
        };
        Ok(if self.record.separate_status { separated(response) } else { response })
    }

    /// A tenth of the time it took so far, at least what the deployment says and at most a minute.
    fn retry_after(&self, at_least: u64, now: Timestamp) -> u64 {
        (now.seconds_since(self.record.created) / 10).clamp(at_least, at_least.max(60))
    }

    /// Under 100 characters and without patient data (BD-STAT-10).
    fn progress(&self) -> String {
        let Record { state, files, resources, .. } = &self.record;
        match (self.step(), state) {
            (Some(step), _) => step.progress,
            (None, State::AwaitingPatient) => String::from("waiting for the patient to fill in a form"),
            (None, _) => format!("{state}: {resources} resources in {files} files"),
        }
    }

    /// A page that another links to. Fetching it is no poll: it is asked for once, and says nothing of how far the export is.
    fn page(&self, endpoint: &Endpoint, number: &str, now: Timestamp) -> Response {
        // The first is the answer to a poll, and a page has one address.
        let page = number.parse().ok().filter(|page: &u32| *page > 1 && page.to_string() == number);
        match (page, self.record.state) {
            (Some(page), State::Failed | State::FailedEmpty) if self.was_linked(page) => self.failed(),
            (Some(page), _) if page <= self.pages_shown() => {
                self.with_manifest(Response::new(200), endpoint, Some(page), now)
            }
            _ => not_found(),
        }
    }

    /// The response with the manifest, or a page of it.
    fn with_manifest(&self, response: Response, endpoint: &Endpoint, page: Option<u32>, now: Timestamp) -> Response {
        let response = response.with("content-type", "application/json").with("cache-control", "no-store");
        // From the present configuration: a deployment may have moved since the kick-off.
        let (config, id) = (endpoint.config(), &self.record.id);
        let files_url = config.files_url(id);
        let next =
            page.filter(|page| *page < self.pages_shown()).map(|page| config.page_url(id, page.saturating_add(1)));
        let head = ManifestHead { files_url, page, next, ..self.manifest_head() };
        let signer = config.signed_urls.as_ref().and_then(|urls| {
            let until = urls.until(self.record.ended.unwrap_or(self.record.created), now);
            // While it runs, nobody knows when its files go.
            let is_complete = self.record.state == State::Complete;
            urls.signer(id, if is_complete { until.min(self.retained_until()) } else { until })
        });
        let head = match signer {
            Some(signer) => ManifestHead { requires_access_token: false, signer: Some(signer), ..head },
            None => head,
        };
        Response { body: Body::Manifest(Box::new(head)), ..response }
    }

    /// What the manifest says besides its files, whose URLs are their names, relative to the manifest: for an export
    /// without a server. A client that asks gets absolute ones.
    pub fn manifest_head(&self) -> ManifestHead {
        let plan = &self.record.plan;
        let left_out = plan.left_out().map(|text| (String::from("leftOut"), text));
        let documentation = plan.documentation_url.clone().map(|url| (String::from("ehiDocumentationUrl"), url));
        ManifestHead {
            edition: plan.edition,
            transaction_time: plan.transaction_time.unwrap_or(self.record.created),
            request: plan.request.clone(),
            output_organized_by: plan.organize.resource_type(&plan.definitions()),
            requires_access_token: self.record.requires_access_token,
            files_url: String::new(),
            page: None,
            next: None,
            signer: None,
            extension: left_out.into_iter().chain(documentation).collect(),
        }
    }

    /// BD-STAT-08, BD-STAT-12.
    fn failed(&self) -> Response {
        let unknown = || OperationOutcome::new(super::internal("the export failed"));
        let outcome = self.record.failure.clone().unwrap_or_else(unknown);
        // What people or the client itself brought about is no error of the server's.
        let by_decision = |issue: &Issue| matches!(issue.code, IssueCode::Suppressed | IssueCode::TooCostly);
        let status = if outcome.issue.iter().any(by_decision) { 403 } else { 500 };
        Response::outcome(status, &outcome)
    }
}

/// What is said of a file, however it is sent.
fn file_response(status: u16, file: &OutputFile, length: u64) -> Response {
    let response = Response::new(status)
        .with("content-type", content_type(file))
        .with("content-length", length.to_string())
        .with("cache-control", "no-store")
        .with("x-content-type-options", "nosniff");
    if file.section == Section::Attachment {
        // Whatever is in it, a browser saves it and runs none of it.
        return response.with("content-disposition", "attachment").with("content-security-policy", "sandbox");
    }
    response
}

fn with_object(
    response: Response,
    request: &Request<'_>,
    file: &OutputFile,
    range: Option<(u64, u64)>,
    unpack: bool,
) -> Response {
    if request.method == "HEAD" {
        return response;
    }
    Response { body: Body::Object { key: file.key.clone(), range, unpack }, ..response }
}

/// BD-HDR-07: the answer is about the poll, and `X-Export-Status` about the export.
fn separated(response: Response) -> Response {
    let status = response.status;
    Response { status: 200, ..response }.with("x-export-status", status.to_string())
}

/// The media type of a file. That of an attachment is what the data say if it is harmless, in our spelling.
fn content_type(file: &OutputFile) -> &'static str {
    if file.section != Section::Attachment {
        return "application/fhir+ndjson";
    }
    let said = file.content_type.as_deref().unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim_ascii();
    let harmless = HARMLESS.iter().find(|harmless| harmless.eq_ignore_ascii_case(essence));
    harmless.copied().unwrap_or("application/octet-stream")
}

enum Range {
    Whole,
    /// First byte and one past the last.
    Part(u64, u64),
    Unsatisfiable,
}

/// One range of bytes (RFC 9110 §14). What is not understood is ignored, as the RFC says: the whole file is always right.
fn byte_range(request: &Request<'_>, length: u64, tag: Option<&str>) -> Range {
    let mut fields = request.header("range");
    let (Some(field), None) = (fields.next(), fields.next()) else { return Range::Whole };
    // A part of another state of the file than the client has is no help: If-Range asks for the whole then.
    if request.header("if-range").next().is_some_and(|condition| Some(condition) != tag) {
        return Range::Whole;
    }
    let spec = field.strip_prefix("bytes=").filter(|spec| !spec.contains(','));
    let Some((first, last)) = spec.and_then(|spec| spec.split_once('-')) else { return Range::Whole };
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (first, last) {
        ("", suffix) => match number(suffix) {
            Some(0) => Range::Unsatisfiable,
            Some(_) if length == 0 => Range::Unsatisfiable,
            Some(suffix) => Range::Part(length.saturating_sub(suffix), length),
            None => Range::Whole,
        },
        (first, last) => match (number(first), number(last), last.is_empty()) {
            (Some(first), _, true) if first < length => Range::Part(first, length),
            (Some(first), Some(last), _) if first <= last && first < length => {
                Range::Part(first, last.saturating_add(1).min(length))
            }
            (Some(first), Some(last), _) if first > last => Range::Whole,
            (Some(_), Some(_), _) | (Some(_), None, true) => Range::Unsatisfiable,
            _ => Range::Whole,
        },
    }
}

/// Media types that no browser takes for a page or a program.
const HARMLESS: [&str; 15] = [
    "application/dicom",
    "application/fhir+json",
    "application/json",
    "application/msword",
    "application/pdf",
    "application/rtf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "audio/mpeg",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "text/csv",
    "text/plain",
    "video/mp4",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_media_types_are_said_again() {
        let said = |section, text: Option<&str>| {
            let (name, key) = (String::from("attachment-1"), String::from("1/1-attachment-1"));
            let content_type = text.map(str::to_owned);
            content_type_of(OutputFile {
                section,
                resource_type: None,
                name,
                key,
                content_type,
                count: 0,
                bytes: 0,
                gzip_bytes: None,
                sha256: None,
                continues_in_file: None,
                page: None,
            })
        };
        fn content_type_of(file: OutputFile) -> &'static str {
            content_type(&file)
        }
        assert_eq!(said(Section::Attachment, Some("Image/PNG")), "image/png");
        assert_eq!(said(Section::Attachment, Some(" text/plain ;charset=utf-8")), "text/plain");
        for harmful in [None, Some(""), Some("text/html"), Some("image/svg+xml"), Some("application/pdf x")] {
            assert_eq!(said(Section::Attachment, harmful), "application/octet-stream");
        }
        assert_eq!(said(Section::Output, Some("text/html")), "application/fhir+ndjson");
    }

    fn range(field: &str, length: u64) -> Option<(u64, u64)> {
        let headers = [("Range", field.as_bytes())];
        let request = Request { method: "GET", target: "/", headers: &headers, body: b"" };
        match byte_range(&request, length, None) {
            Range::Whole => Some((0, length)),
            Range::Part(from, to) => Some((from, to)),
            Range::Unsatisfiable => None,
        }
    }

    #[test]
    fn one_range_is_honoured_and_nonsense_is_ignored() {
        assert_eq!(range("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(range("bytes=3-", 10), Some((3, 10)));
        assert_eq!(range("bytes=3-99", 10), Some((3, 10)));
        assert_eq!(range("bytes=-3", 10), Some((7, 10)));
        assert_eq!(range("bytes=-99", 10), Some((0, 10)));
        for unsatisfiable in ["bytes=10-", "bytes=10-11", "bytes=-0"] {
            assert_eq!(range(unsatisfiable, 10), None, "{unsatisfiable}");
        }
        for ignored in [
            "bytes=5-3",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=1-99999999999999999999x",
        ] {
            assert_eq!(range(ignored, 10), Some((0, 10)), "{ignored}");
        }
    }
}

//! Downloads: which file next, from which byte, and what became of it.

use super::{
    Client, ClientOutput, Expect, FailureReason, FileProblem, Finding, LogDetail, Op, Owner, Stage, Token,
    TransferError, Url,
    control::is_transient,
    event::shown,
    record::{FileKind, FileState},
    verify::{Claims, Contents, problems},
};
use crate::{http::Reply, manifest::Section, time::Timestamp};

/// A download that is in flight, or due again.
#[derive(Debug)]
pub(super) struct Fetch {
    /// In flight.
    pub(super) op: Option<u64>,
    pub(super) not_before: Timestamp,
    /// Where it is fetched from, after redirects.
    url: Url,
    /// Sent with the token.
    authorized: bool,
    /// The answer's head was accepted and its body is being stored.
    receiving: bool,
    /// Bytes of the file that are stored.
    got: u64,
    /// Up to there the last save knows of.
    saved: u64,
    /// What was stored when the last failure was counted.
    mark: u64,
    /// The strong validator of what is stored; without one a download begins anew.
    etag: Option<String>,
    /// The length of the file that the answer announced.
    length: Option<u64>,
    /// The last status.
    status: Option<u16>,
    tries: u32,
    verify_tries: u32,
    token_tries: u32,
    redirects: u32,
}

impl Client {
    /// Takes up what a saved export has still to fetch.
    pub(super) fn take_up_files(&mut self) {
        let wanted = matches!(self.record.head.stage, Stage::Polling | Stage::Fetching);
        for (id, file) in &self.record.files {
            self.by_url.insert(file.url.clone(), *id);
            if let Some((stem, number)) = stem_and_number(&file.name) {
                let next = self.numbers.entry(stem.to_owned()).or_default();
                *next = (*next).max(number.saturating_add(1));
            }
            match file.state {
                FileState::Waiting | FileState::Partial { .. } if wanted => {
                    self.waiting.insert(*id);
                }
                FileState::Arrived { bytes, .. } => self.bytes = self.bytes.saturating_add(bytes),
                FileState::Waiting | FileState::Partial { .. } | FileState::Missing { .. } => {}
            }
        }
        self.listed = self.record.pages.iter().flat_map(|page| page.rows.iter().flatten()).copied().collect();
    }

    /// Begins the next download, if there is a place for one.
    pub(super) fn start_fetch(&mut self, now: Timestamp) -> bool {
        let places = usize::try_from(self.record.limits.downloads_max.max(1)).unwrap_or(usize::MAX);
        let in_flight = self.fetches.values().filter(|fetch| fetch.op.is_some()).count();
        if !matches!(self.record.head.stage, Stage::Polling | Stage::Fetching) || in_flight >= places {
            return false;
        }
        if self.have_expired(now) {
            // BD-FILE-01.
            let mut expired = std::mem::take(&mut self.waiting);
            self.stale.append(&mut expired);
            return true;
        }
        let due =
            self.fetches.iter().find(|(_, fetch)| fetch.op.is_none() && fetch.not_before <= now).map(|(id, _)| *id);
        if let Some(id) = due {
            return self.send_fetch(id, now);
        }
        // Those that are to be tried again count too, so that a server that refuses all is not asked for all at once.
        if self.fetches.len() >= places.saturating_mul(FETCHES_PER_PLACE) {
            return false;
        }
        let Some(id) = self.waiting.pop_first() else { return false };
        let Some(file) = self.record.files.get(&id) else { return true };
        let (got, etag) = match &file.state {
            FileState::Partial { got, etag } => (*got, Some(etag.clone())),
            FileState::Waiting | FileState::Arrived { .. } | FileState::Missing { .. } => (0, None),
        };
        let fetch = Fetch {
            op: None,
            not_before: now,
            url: file.url.clone(),
            authorized: false,
            receiving: false,
            got,
            saved: got,
            mark: got,
            etag,
            length: None,
            status: None,
            tries: 0,
            verify_tries: 0,
            token_tries: 0,
            redirects: 0,
        };
        self.fetches.insert(id, fetch);
        true
    }

    fn have_expired(&self, now: Timestamp) -> bool {
        let head = &self.record.head;
        head.stage == Stage::Fetching
            && self.control.is_none()
            && !self.waiting.is_empty()
            && head.expires.is_some_and(|expires| expires <= now)
            && head.refreshes < self.record.limits.refreshes_max
    }

    fn send_fetch(&mut self, id: u32, now: Timestamp) -> bool {
        let (Some(fetch), Some(file)) = (self.fetches.get(&id), self.record.files.get(&id)) else { return false };
        let url = fetch.url.clone();
        let policy = &self.record.plan.policy;
        if let Err(error) = policy.may_contact(&url) {
            self.miss(id, FailureReason::Url(error), now);
            return true;
        }
        // BD-FILE-03, BD-FILE-04, BD-ATT-06: what the manifest says, and never to a server that may not see it.
        let authorize = self.record.plan.request().authorize
            && self.record.head.requires_access_token
            && policy.may_authorize(&url);
        let mut headers = vec![("accept".to_owned(), file.accept())];
        let from = if fetch.etag.is_some() { fetch.got } else { 0 };
        match &fetch.etag {
            Some(etag) if from > 0 => {
                headers.push(("range".into(), format!("bytes={from}-")));
                headers.push(("if-range".into(), etag.clone()));
                headers.push(("accept-encoding".into(), "identity".into()));
            }
            // BD-FILE-09.
            _ => headers.push(("accept-encoding".into(), "gzip".into())),
        }
        let expect = file.expect(if self.record.plan.request().attachments { self.attachments_left() } else { 0 });
        let to = part_name(&file.name);
        let detail = LogDetail::DownloadRequest {
            file_url: self.shown_url(id),
            item_type: file.kind.as_str().into(),
            resource_type: file.resource_type.as_ref().map(|name| name.as_str().to_owned()),
            file_name: file.name.clone(),
        };
        if authorize && !self.has_token(now) {
            return !self.queue.is_empty();
        }
        self.log(detail, now);
        let op = self.new_op(Owner::Fetch(id));
        let Some(fetch) = self.fetches.get_mut(&id) else { return false };
        fetch.op = Some(op.0);
        (fetch.authorized, fetch.receiving, fetch.got, fetch.status) = (authorize, false, from, None);
        self.queue.push_back(ClientOutput::Download { op, url, headers, authorize, from, to, expect });
        true
    }

    pub(super) fn fetch_replied(&mut self, id: u32, reply: Reply<'_>, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        // A second head for one operation says nothing.
        let Some(op) = fetch.op.filter(|_| !fetch.receiving) else { return };
        fetch.status = Some(reply.status);
        match reply.status {
            200 => return self.receive(id, Op(op), 0, reply, reply.content_length(), now),
            206 => match reply.content_range() {
                Some((first, total)) if first == fetch.got && first > 0 && reply.is_identity() => {
                    return self.receive(id, Op(op), first, reply, total, now);
                }
                // Another part than was asked for.
                _ => {
                    self.queue.push_back(ClientOutput::Abort { op: Op(op) });
                    self.begin_anew(id);
                    self.leave(op);
                    return self.fetch_again(id, None, FailureReason::UnexpectedStatus, now);
                }
            },
            _ => {}
        }
        self.leave(op);
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        fetch.op = None;
        match reply.status {
            416 if fetch.got > 0 => {
                self.begin_anew(id);
                self.fetch_again(id, None, FailureReason::UnexpectedStatus, now);
            }
            301 | 302 | 303 | 307 | 308 => self.fetch_redirected(id, reply, now),
            401 if fetch.authorized => {
                fetch.token_tries += 1;
                if fetch.token_tries > TOKEN_TRIES_MAX {
                    return self.miss(id, FailureReason::Unauthorized, now);
                }
                fetch.not_before = now;
                self.token = Token::None;
            }
            401 | 403 | 404 | 410 => self.fetch_stale(id, now),
            _ if is_transient(reply) => self.fetch_again(id, Some(reply), FailureReason::Unreachable, now),
            400..=599 => self.miss(id, FailureReason::Refused, now),
            _ => self.miss(id, FailureReason::UnexpectedStatus, now),
        }
    }

    fn receive(&mut self, id: u32, op: Op, from: u64, reply: Reply<'_>, length: Option<u64>, now: Timestamp) {
        let limits = &self.record.limits;
        let file_bytes_max = limits.file_bytes_max.min(limits.total_bytes_max.saturating_sub(self.bytes));
        if length.is_some_and(|length| length > file_bytes_max) {
            self.queue.push_back(ClientOutput::Abort { op });
            self.leave(op.0);
            return self.miss(id, FailureReason::TooLarge, now);
        }
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        // What is stored of a body that was decoded on the way cannot be continued: ranges are of the encoded one.
        fetch.etag = reply.strong_etag().filter(|_| reply.is_identity()).map(str::to_owned);
        (fetch.receiving, fetch.got, fetch.length) = (true, from, length);
        self.queue.push_back(ClientOutput::Receive { op, from, file_bytes_max });
        if from == 0 {
            self.set_waiting(id);
        }
    }

    pub(super) fn fetch_progressed(&mut self, id: u32, bytes: u64) {
        let save_bytes = self.record.limits.save_bytes.max(1);
        let Some(fetch) = self.fetches.get_mut(&id).filter(|fetch| fetch.receiving) else { return };
        fetch.got = fetch.got.max(bytes);
        if fetch.got.saturating_sub(fetch.saved) >= save_bytes {
            self.save_part(id);
        }
    }

    pub(super) fn fetch_failed(&mut self, id: u32, error: TransferError, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        fetch.op = None;
        match error {
            TransferError::Network => {
                self.save_part(id);
                self.fetch_again(id, None, FailureReason::Unreachable, now);
            }
            TransferError::PartMissing => {
                self.begin_anew(id);
                self.fetch_again(id, None, FailureReason::Storage, now);
            }
            TransferError::TooLarge => self.miss(id, FailureReason::TooLarge, now),
            TransferError::Storage => self.miss(id, FailureReason::Storage, now),
            TransferError::AddressRefused => self.miss(id, FailureReason::Url(super::UrlError::PrivateAddress), now),
        }
    }

    pub(super) fn fetch_ended(&mut self, id: u32, contents: &Contents, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        fetch.op = None;
        if !fetch.receiving {
            return self.fetch_again(id, None, FailureReason::UnexpectedStatus, now);
        }
        let Some(file) = self.record.files.get(&id) else { return };
        let claims =
            Claims { count: file.count, size: file.size, sha256: file.sha256.as_deref(), length: fetch.length };
        let found = problems(contents, claims);
        // Sizes of attachments are written by hand in many systems; those of files are not.
        let is_broken =
            |p: &FileProblem| p.is_broken() && !(file.kind == FileKind::Attachment && *p == FileProblem::Size);
        let broken = found.iter().find(|problem| is_broken(problem)).copied();
        let missing_lines = file.count.is_some_and(|count| contents.resources < count);
        if broken.is_some() || missing_lines {
            if fetch.verify_tries < self.record.limits.verify_retries_max {
                return self.fetch_repeated(id, contents, broken.unwrap_or(FileProblem::Count), now);
            }
            if let Some(problem) = broken {
                return self.miss(id, FailureReason::File(problem), now);
            }
        }
        self.keep(id, contents, found.first().copied(), now);
    }

    /// What came is not what it should be: once more, from where it broke off or from the beginning.
    fn fetch_repeated(&mut self, id: u32, contents: &Contents, problem: FileProblem, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        fetch.verify_tries += 1;
        let broke_off = problem == FileProblem::Length && fetch.length.is_some_and(|length| contents.bytes < length);
        if broke_off && fetch.etag.is_some() {
            fetch.got = contents.bytes;
            self.save_part(id);
        } else {
            self.begin_anew(id);
        }
        self.fetch_again(id, None, FailureReason::File(problem), now);
    }

    fn keep(&mut self, id: u32, contents: &Contents, problem: Option<FileProblem>, now: Timestamp) {
        self.fetches.remove(&id);
        let Some(file) = self.record.files.get(&id) else { return };
        let (name, kind) = (file.name.clone(), file.kind);
        if let Some(problem) = problem {
            let line = contents.first_malformed.filter(|_| problem == FileProblem::Malformed);
            self.record.find(Finding::Doubtful { file: name.clone(), problem, line });
        }
        if kind != FileKind::Attachment {
            self.take_attachments(&name, contents);
        }
        let resources = if kind == FileKind::Attachment { 0 } else { contents.resources };
        let (bytes, issues) = (contents.bytes, contents.issues.clone());
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(file) = self.record.file_mut(id) {
            file.state = FileState::Arrived { bytes, resources, problem, issues };
        }
        self.queue.push_back(ClientOutput::Keep { from: part_name(&name), to: name.clone() });
        let resource_count = (kind != FileKind::Attachment).then_some(resources);
        let file_url = self.shown_url(id);
        self.log(LogDetail::DownloadComplete { file_url, resource_count, file_size: bytes, file_name: name }, now);
    }

    /// Later again, unless that was done too often without getting on.
    fn fetch_again(&mut self, id: u32, reply: Option<Reply<'_>>, reason: FailureReason, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        if fetch.got >= fetch.mark.saturating_add(PROGRESS_BYTES) {
            fetch.tries = 0;
        }
        fetch.mark = fetch.got;
        (fetch.op, fetch.receiving) = (None, false);
        if fetch.tries >= self.record.limits.retries_max {
            return self.miss(id, reason, now);
        }
        let tries = fetch.tries;
        fetch.tries += 1;
        let not_before = self.again_at(reply, tries, now);
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.not_before = not_before;
            // From the beginning of the chain: what a redirect led to may be valid for once only.
            if let Some(file) = self.record.files.get(&id) {
                fetch.url = file.url.clone();
                fetch.redirects = 0;
            }
        }
        self.log_download_error(id, reason, true, now);
    }

    fn fetch_redirected(&mut self, id: u32, reply: Reply<'_>, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        fetch.redirects += 1;
        let reason = match reply.only("location").map(|location| fetch.url.resolve(location)) {
            Some(Ok(url)) if fetch.redirects <= self.record.limits.redirects_max => {
                // Whether it may be contacted, and with the token, is judged when it is sent.
                (fetch.url, fetch.not_before) = (url, now);
                return;
            }
            Some(Err(error)) => FailureReason::Url(error),
            _ => FailureReason::Redirect,
        };
        self.miss(id, reason, now);
    }

    /// BD-FILE-02: perhaps the URL has expired, and the manifest has a fresh one. Asked once for a file.
    fn fetch_stale(&mut self, id: u32, now: Timestamp) {
        let is_manifest_file = self.record.files.get(&id).is_some_and(|file| file.kind != FileKind::Attachment);
        let may_refresh = self.record.head.refreshes < self.record.limits.refreshes_max;
        if !is_manifest_file || self.refreshed.contains(&id) || !may_refresh {
            let unauthorized = self.fetches.get(&id).is_some_and(|fetch| matches!(fetch.status, Some(401 | 403)));
            return self.miss(id, if unauthorized { FailureReason::Unauthorized } else { FailureReason::Gone }, now);
        }
        self.log_download_error(id, FailureReason::Gone, true, now);
        self.fetches.remove(&id);
        self.stale.insert(id);
    }

    /// The manifest was read anew: whatever it says now is tried.
    pub(super) fn refreshed_urls(&mut self) {
        self.record.head_mut().refreshes += 1;
        let stale = std::mem::take(&mut self.stale);
        self.refreshed.extend(&stale);
        self.waiting.extend(stale);
    }

    pub(super) fn give_up_refresh(&mut self, now: Timestamp) {
        self.control = None;
        self.walk = None;
        for id in std::mem::take(&mut self.stale) {
            self.miss(id, FailureReason::Gone, now);
        }
    }

    /// A fresh URL of a file that is known.
    pub(super) fn refresh_file(&mut self, id: u32, url: Option<Url>) {
        let Some(url) = url else { return };
        self.by_url.insert(url.clone(), id);
        if let Some(file) = self.record.file_mut(id) {
            file.url = url;
        }
    }

    /// The file is given up.
    fn miss(&mut self, id: u32, reason: FailureReason, now: Timestamp) {
        self.log_download_error(id, reason, false, now);
        let status = self.fetches.remove(&id).and_then(|fetch| fetch.status);
        if let Some(file) = self.record.file_mut(id) {
            file.state = FileState::Missing { reason };
            let name = file.name.clone();
            self.queue.push_back(ClientOutput::Discard { name: part_name(&name) });
            self.record.find(Finding::Missing { file: name, reason, status });
        }
    }

    /// Nothing that is stored counts.
    fn begin_anew(&mut self, id: u32) {
        if let Some(fetch) = self.fetches.get_mut(&id) {
            (fetch.got, fetch.saved, fetch.mark, fetch.etag) = (0, 0, 0, None);
        }
        self.set_waiting(id);
    }

    fn set_waiting(&mut self, id: u32) {
        let waiting = self.record.files.get(&id).is_some_and(|file| file.state == FileState::Waiting);
        if !waiting && let Some(file) = self.record.file_mut(id) {
            file.state = FileState::Waiting;
        }
    }

    /// What is stored is saved, if a later run could go on from it.
    fn save_part(&mut self, id: u32) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        let Some(etag) = fetch.etag.clone().filter(|_| fetch.got > 0) else { return };
        fetch.saved = fetch.got;
        let state = FileState::Partial { got: fetch.got, etag };
        if let Some(file) = self.record.file_mut(id) {
            file.state = state;
        }
    }

    fn leave(&mut self, op: u64) {
        self.ops.remove(&op);
    }

    fn log_download_error(&mut self, id: u32, reason: FailureReason, will_retry: bool, now: Timestamp) {
        let Some(file) = self.record.files.get(&id) else { return };
        let detail = LogDetail::DownloadError {
            file_url: self.shown_url(id),
            body: None,
            code: self.fetches.get(&id).and_then(|fetch| fetch.status),
            message: reason.to_string(),
            file_name: file.name.clone(),
            will_retry,
        };
        self.log(detail, now);
    }

    /// The URL of a file as the log shows it.
    fn shown_url(&self, id: u32) -> String {
        let file = self.record.files.get(&id);
        let policy = &self.record.plan.policy;
        // A server that may not see the token opens the file to whoever has the URL, whatever the manifest says.
        let guarded = |url: &Url| self.record.head.requires_access_token && policy.may_authorize(url);
        file.map_or_else(String::new, |file| shown(&file.url, guarded(&file.url) && file.kind != FileKind::Attachment))
    }
}

impl super::record::File {
    fn accept(&self) -> String {
        match (self.kind, &self.media_type) {
            (FileKind::Attachment, Some(media_type)) => format!("{media_type}, */*;q=0.1"),
            (FileKind::Attachment, None) => "*/*".into(),
            // BD-FILE-13.
            _ => "application/fhir+ndjson".into(),
        }
    }

    fn expect(&self, attachments_max: u32) -> Expect {
        let section = match self.kind {
            FileKind::Attachment => return Expect::Bytes,
            FileKind::Output => Section::Output,
            FileKind::Deleted => Section::Deleted,
            FileKind::Error => Section::Error,
        };
        Expect::Lines { section, resource_type: self.resource_type.clone(), attachments_max }
    }
}

/// What a file is called until it is known to be sound.
pub(super) fn part_name(name: &str) -> String {
    format!("{name}.part")
}

/// `Patient` and 3 of `Patient.003.ndjson`; `attachments/` and 3 of `attachments/000003.pdf`.
fn stem_and_number(name: &str) -> Option<(&str, u32)> {
    if let Some(rest) = name.strip_prefix(super::attachment::FOLDER) {
        return Some((super::attachment::FOLDER, rest.split('.').next()?.parse().ok()?));
    }
    let (stem, rest) = name.split_once('.')?;
    Some((stem, rest.split('.').next()?.parse().ok()?))
}

/// Downloads that are to be tried again, for each that may be in flight.
const FETCHES_PER_PLACE: usize = 8;

/// A download that gets on by that much between two failures is not stuck.
const PROGRESS_BYTES: u64 = 1 << 20;

/// Tokens asked for in a row for one download.
const TOKEN_TRIES_MAX: u32 = 2;

//! The client and a server that answers anything.
//!
//! The four lowest bits of the first byte say what is asked for (`@` is 0, `A` is 1, …): 1 with discovery, 2 from a server
//! whose kick-off works, 4 with partial manifests, 8 `$ehi-export`; the next one (`P` is 0, `Q` is 1, …) that the client is
//! stopped at every fifth save and made again from what it saved.
//!
//! Each part is an answer; they are given in turn. The first line is a status, perhaps with a space and the number of bytes
//! after which the connection breaks, or `!` and the number of a failure. Then come header fields, an empty line and the
//! body.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ehi_core::{
    Timestamp,
    client::{
        Checker, Client, ClientInput, ClientLimits, ClientOutput, Expect, ExportRequest, LogEvent, Op, Outcome, Report,
        TransferError, Url,
    },
};

use crate::input::{Input, parts};

/// Every export ends in a stated outcome, within its bounds and in a time that they allow; nothing is asked of a server
/// that is none of its business; and whatever was saved can be taken up again.
pub fn client(data: &[u8]) {
    let mut input = Input::new(data);
    let options = input.byte();
    let answers: Vec<_> = parts(input.rest()).into_iter().map(Answer::of).collect();
    let mut run = Run::new(request(options), options & 2 != 0, options & 16 != 0, answers);
    let report = run.finish();
    assert!(run.now.seconds_since(Timestamp::from_millis(START)) <= 2 * LIMITS.total_seconds_max);
    assert!(run.files.values().map(Vec::len).sum::<usize>() as u64 <= 4 * LIMITS.total_bytes_max);
    assert!(report.findings.len() <= LIMITS.findings_max as usize);
    if report.outcome == Outcome::Complete {
        assert!(run.files.keys().all(|name| !name.ends_with(".part")), "{:?}", run.files.keys());
        assert_eq!(report.failed_files, 0);
    }
    let written = serde_json::to_string(&report).expect("a report can be written");
    assert_eq!(serde_json::from_str::<Report>(&written).expect("and read"), report);
    Client::resume(&run.saved, 1, run.now).expect("what was saved can be read");
}

fn request(options: u8) -> ExportRequest {
    let request = if options & 8 != 0 { ExportRequest::ehi(BASE, "p1") } else { ExportRequest::new(BASE) };
    ExportRequest { discover: options & 1 != 0, allow_partial_manifests: options & 4 != 0, ..request }
}

/// What the server does.
enum Answer<'d> {
    Fail(TransferError),
    /// The head, and as much of the body as comes before the connection breaks.
    Reply {
        status: u16,
        headers: Vec<(&'d str, &'d [u8])>,
        body: &'d [u8],
        is_broken: bool,
    },
}

impl<'d> Answer<'d> {
    fn of(part: &'d [u8]) -> Self {
        let (head, body) = match memchr::memmem::find(part, b"\n\n") {
            Some(end) => (&part[..end], &part[end + 2..]),
            None => (part, &[] as &[u8]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
        if let Some(failure) = first.strip_prefix('!') {
            let number: usize = failure.parse().unwrap_or(0);
            return Self::Fail(FAILURES[number % FAILURES.len()]);
        }
        let (status, cut) = first.split_once(' ').unwrap_or((first, ""));
        let cut: Option<usize> = cut.parse().ok();
        let field = |line: &'d [u8]| {
            let colon = memchr::memchr(b':', line)?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii_start()))
        };
        Self::Reply {
            status: status.parse().unwrap_or(200),
            headers: lines.filter_map(field).collect(),
            body: &body[..cut.unwrap_or(body.len()).min(body.len())],
            is_broken: cut.is_some(),
        }
    }
}

/// The embedder's loop.
struct Run<'d> {
    client: Client,
    accepts: bool,
    stops: bool,
    answers: Vec<Answer<'d>>,
    asked: usize,
    saves: u32,
    now: Timestamp,
    saved: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
    receiving: BTreeMap<u64, (String, &'d [u8], bool, Expect)>,
}

impl<'d> Run<'d> {
    fn new(request: ExportRequest, accepts: bool, stops: bool, answers: Vec<Answer<'d>>) -> Self {
        let now = Timestamp::from_millis(START);
        let plan = request.check().expect("the request is one");
        Self {
            client: Client::new(plan, LIMITS, 7, now),
            accepts,
            stops,
            answers,
            asked: 0,
            saves: 0,
            now,
            saved: Vec::new(),
            files: BTreeMap::new(),
            receiving: BTreeMap::new(),
        }
    }

    fn finish(&mut self) -> Report {
        for _ in 0..OUTPUTS_MAX {
            match self.client.poll_output(self.now) {
                ClientOutput::Done(report) => return *report,
                ClientOutput::Wait { until } => {
                    assert!(until > self.now, "a wait must be for a later time");
                    self.now = until;
                    self.client.handle_input(ClientInput::Timeout, until);
                }
                output => self.act(output),
            }
        }
        panic!("no end in sight at {:?}", self.client.stage());
    }

    fn act(&mut self, output: ClientOutput) {
        match output {
            ClientOutput::Transmit { op, method, url, headers, authorize, .. } => {
                assert!(matches!(&*method, "GET" | "POST" | "DELETE"));
                may_ask(&url, &headers, authorize);
                let is_kick_off = url.as_str().contains("export");
                if is_kick_off && self.accepts {
                    return self.respond(op, 202, &[("Content-Location", b"/poll/1")], b"");
                }
                match self.next() {
                    Answer::Reply { is_broken: true, .. } => self.fail(op, TransferError::Network),
                    Answer::Reply { status, headers, body, .. } => self.respond(op, status, &headers, body),
                    Answer::Fail(error) => self.fail(op, error),
                }
            }
            ClientOutput::Download { op, url, headers, authorize, from, to, expect } => {
                may_ask(&url, &headers, authorize);
                is_file_name(&to);
                if (self.files.get(&to).map_or(0, Vec::len) as u64) < from {
                    return self.fail(op, TransferError::PartMissing);
                }
                match self.next() {
                    Answer::Reply { status: status @ (200 | 206), headers, body, is_broken } => {
                        self.receiving.insert(op.0, (to, body, is_broken, expect));
                        self.respond(op, status, &headers, b"");
                    }
                    Answer::Reply { status, headers, body, .. } => self.respond(op, status, &headers, body),
                    Answer::Fail(error) => self.fail(op, error),
                }
            }
            ClientOutput::Receive { op, from, file_bytes_max } => self.receive(op, from, file_bytes_max),
            ClientOutput::Abort { op } => drop(self.receiving.remove(&op.0)),
            ClientOutput::Keep { from, to } => {
                is_file_name(&to);
                if let Some(bytes) = self.files.remove(&from) {
                    self.files.insert(to, bytes);
                }
            }
            ClientOutput::Discard { name } => drop(self.files.remove(&name)),
            ClientOutput::TokenNeeded => {
                self.client.handle_input(ClientInput::TokenReady { expires: None }, self.now);
            }
            ClientOutput::OpenBrowser { url } => assert!(url.is_https()),
            ClientOutput::Save { bytes, append } => self.save(bytes.expose(), append),
            ClientOutput::Event(event) => {
                let line = event.to_json();
                assert!(!line.contains('\n'));
                assert_eq!(serde_json::from_str::<LogEvent>(&line).expect("an event can be read"), *event);
            }
            ClientOutput::Wait { .. } | ClientOutput::Done(_) => panic!("handled by the loop"),
        }
    }

    /// The next answer; `Fail` where the input has none.
    fn next(&mut self) -> Answer<'d> {
        self.asked += 1;
        match &self.answers[(self.asked - 1) % self.answers.len()] {
            Answer::Fail(error) => Answer::Fail(*error),
            Answer::Reply { status, headers, body, is_broken } => {
                Answer::Reply { status: *status, headers: headers.clone(), body, is_broken: *is_broken }
            }
        }
    }

    fn receive(&mut self, op: Op, from: u64, file_bytes_max: u64) {
        let (to, body, is_broken, expect) = self.receiving.remove(&op.0).expect("a head came before");
        let file = self.files.entry(to).or_default();
        assert!(from <= file.len() as u64, "bytes would be missing in between");
        file.truncate(usize::try_from(from).expect("it is less than a length"));
        file.extend_from_slice(body);
        let mut checker = Checker::new(expect);
        file.chunks(7).for_each(|block| checker.update(block));
        let (bytes, contents) = (file.len() as u64, checker.finish());
        assert_eq!(contents.bytes, bytes);
        if bytes > file_bytes_max {
            return self.fail(op, TransferError::TooLarge);
        }
        self.client.handle_input(ClientInput::Progress { op, bytes }, self.now);
        if is_broken {
            return self.fail(op, TransferError::Network);
        }
        self.client.handle_input(ClientInput::Downloaded { op, contents: &contents }, self.now);
    }

    fn save(&mut self, bytes: &[u8], append: bool) {
        if !append {
            self.saved.clear();
        }
        self.saved.extend_from_slice(bytes);
        self.saves += 1;
        if self.saves.is_multiple_of(5) && self.saves < 50 {
            let again = Client::resume(&self.saved, 3, self.now).expect("what was saved can be read");
            if self.stops {
                self.receiving.clear();
                self.client = again;
            }
        }
    }

    fn respond(&mut self, op: Op, status: u16, headers: &[(&str, &[u8])], body: &[u8]) {
        self.client.handle_input(ClientInput::Response { op, status, headers, body }, self.now);
    }

    fn fail(&mut self, op: Op, error: TransferError) {
        self.client.handle_input(ClientInput::Failed { op, error }, self.now);
    }
}

/// No token to another origin, nothing in the clear, nothing to an inner network, no header that a server put there.
fn may_ask(url: &Url, headers: &[(String, String)], authorize: bool) {
    assert!(url.is_https());
    assert!(url.as_str().bytes().all(|b| b.is_ascii_graphic()));
    assert!(!authorize || url.as_str().starts_with("https://ehr.example/"), "a token for {}", url.origin().as_str());
    let origin = url.origin();
    let host = origin.as_str().trim_start_matches("https://");
    let address = host.split(':').next().and_then(|host| host.parse::<Ipv4Addr>().ok());
    assert!(address.is_none_or(|address| !address.is_private() && !address.is_loopback() && !address.is_link_local()));
    for (name, value) in headers {
        assert!(!name.eq_ignore_ascii_case("authorization"));
        assert!(value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{name}");
    }
}

/// Made by the client, whatever the server calls it.
fn is_file_name(name: &str) {
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    assert!(name.split('/').count() <= 2 && name.split('/').all(is_plain), "{name}");
}

/// Bounds under which an end comes soon.
const LIMITS: ClientLimits = ClientLimits {
    total_seconds_max: 600,
    response_bytes_max: 10_000,
    files_max: 20,
    attachments_max: 5,
    file_bytes_max: 2_000,
    total_bytes_max: 10_000,
    pages_max: 4,
    redirects_max: 5,
    retries_max: 2,
    verify_retries_max: 1,
    refreshes_max: 1,
    downloads_max: 4,
    poll_first_millis: 1_000,
    backoff_millis_max: 60_000,
    retry_after_seconds_max: 24 * 60 * 60,
    save_bytes: 100,
    findings_max: 10,
};

/// A server that says `Retry-After: 1` is polled once a second, and each poll is an event, a request and a wait.
const OUTPUTS_MAX: u32 = 40_000;

const FAILURES: [TransferError; 5] = [
    TransferError::Network,
    TransferError::AddressRefused,
    TransferError::TooLarge,
    TransferError::Storage,
    TransferError::PartMissing,
];

const BASE: &str = "https://ehr.example/fhir";
const START: i64 = 1_700_000_000_000;

//! The client against servers that are functions: every request and its answer is a value, and time is a number.

mod any;
mod asking;
mod downloads;
mod faults;
mod fetching;
mod groups;
mod listing;
mod protocol;
mod resume;
mod safety;
mod waiting;

use std::collections::BTreeMap;

use ehi_requirement::requirement;

use super::*;
use crate::{
    Edition, Endpoint,
    access::Principal,
    endpoint::{Auth, EndpointConfig, Route},
    http::Request,
    writer::Digester,
};

/// A request that was sent.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    authorize: bool,
    download: bool,
    at: Timestamp,
}

impl Sent {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// What a server of this crate makes of it.
    fn received(&self, config: EndpointConfig) -> Route {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let target = self.url.strip_prefix(HOST).expect("a request to that server");
        let request = Request { method: &self.method, target, headers: &headers, body: &self.body };
        Endpoint::new(config).expect("a usable configuration").route(&request, &Principal::Open)
    }
}

/// A server of this crate without authorisation.
fn server(edition: Edition) -> EndpointConfig {
    EndpointConfig { edition, ..EndpointConfig::new(BASE, Auth::None) }
}

/// The kick-off that this request leads to.
fn kick_off(request: ExportRequest) -> Sent {
    let mut run = Run::new(ExportRequest { discover: false, ..request }, |_: &Sent| reply(400, &[], ""));
    run.done();
    run.sent.remove(0)
}

/// What a server does.
#[derive(Clone, Debug)]
enum Answer {
    Reply(u16, Vec<(String, String)>, Vec<u8>),
    /// The head, and that many bytes of the body; then the connection breaks.
    Break(u16, Vec<(String, String)>, Vec<u8>, usize),
    Fail(TransferError),
}

fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    Answer::Reply(status, owned(headers), body.into())
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A run of a client: the embedder's loop.
struct Run<'s> {
    client: Client,
    server: Box<dyn FnMut(&Sent) -> Answer + 's>,
    now: Timestamp,
    sent: Vec<Sent>,
    saved: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
    log: Vec<LogEvent>,
    opened: Vec<String>,
    tokens: u32,
    token_seconds: Option<u64>,
    waits: u32,
    outputs: u32,
    /// Crash before the output of that number.
    crash_at: Option<u32>,
    /// The last output was a save that went after others.
    last_was_append: bool,
    receiving: BTreeMap<u64, (String, Vec<u8>, Option<usize>, Expect)>,
}

impl<'s> Run<'s> {
    fn new(request: ExportRequest, server: impl FnMut(&Sent) -> Answer + 's) -> Self {
        Self::limited(request, ClientLimits::default(), server)
    }

    fn limited(request: ExportRequest, limits: ClientLimits, server: impl FnMut(&Sent) -> Answer + 's) -> Self {
        let now = Timestamp::from_millis(START);
        let client = Client::new(request.check().unwrap(), limits, 7, now);
        Self {
            client,
            server: Box::new(server),
            now,
            sent: Vec::new(),
            saved: Vec::new(),
            files: BTreeMap::new(),
            log: Vec::new(),
            opened: Vec::new(),
            tokens: 0,
            token_seconds: None,
            waits: 0,
            outputs: 0,
            crash_at: None,
            last_was_append: false,
            receiving: BTreeMap::new(),
        }
    }

    /// Runs to the end.
    fn done(&mut self) -> Report {
        self.run().expect("no crash was asked for")
    }

    /// Runs to the end or the crash.
    fn run(&mut self) -> Option<Report> {
        for _ in 0..200_000 {
            self.outputs += 1;
            if self.crash_at == Some(self.outputs) {
                return None;
            }
            match self.client.poll_output(self.now) {
                ClientOutput::Done(report) => return Some(*report),
                ClientOutput::Wait { until } => {
                    assert!(until > self.now, "a wait must be for a later time");
                    self.waits += 1;
                    self.now = until;
                    self.client.handle_input(ClientInput::Timeout, until);
                }
                output => self.act(output),
            }
        }
        panic!("no end in sight at {:?}", self.client.stage());
    }

    fn act(&mut self, output: ClientOutput) {
        self.last_was_append = matches!(output, ClientOutput::Save { append: true, .. });
        match output {
            ClientOutput::Transmit { op, method, url, headers, body, authorize, .. } => {
                let (url, body) = (url.as_str().into(), body.expose().clone());
                let sent = Sent { method, url, headers, body, authorize, download: false, at: self.now };
                let answer = (self.server)(&sent);
                self.sent.push(sent);
                match answer {
                    Answer::Reply(status, headers, body) => self.respond(op, status, &headers, &body),
                    Answer::Break(..) => self.fail(op, TransferError::Network),
                    Answer::Fail(error) => self.fail(op, error),
                }
            }
            ClientOutput::Download { op, url, headers, authorize, from, to, expect } => {
                let url = url.as_str().into();
                let (method, body) = ("GET".into(), Vec::new());
                let sent = Sent { method, url, headers, body, authorize, download: true, at: self.now };
                let stored = self.files.get(&to).map_or(0, Vec::len);
                let answer = (self.server)(&sent);
                self.sent.push(sent);
                if (stored as u64) < from {
                    return self.fail(op, TransferError::PartMissing);
                }
                let (status, headers, body, cut) = match answer {
                    Answer::Reply(status, headers, body) => (status, headers, body, None),
                    Answer::Break(status, headers, body, cut) => (status, headers, body, Some(cut)),
                    Answer::Fail(error) => return self.fail(op, error),
                };
                if matches!(status, 200 | 206) {
                    self.receiving.insert(op.0, (to, body, cut, expect));
                    self.respond(op, status, &headers, b"");
                } else {
                    self.respond(op, status, &headers, &body);
                }
            }
            ClientOutput::Receive { op, from, file_bytes_max } => self.receive(op, from, file_bytes_max),
            ClientOutput::Abort { op } => {
                self.receiving.remove(&op.0);
            }
            ClientOutput::Keep { from, to } => {
                if let Some(bytes) = self.files.remove(&from) {
                    self.files.insert(to, bytes);
                }
            }
            ClientOutput::Discard { name } => {
                self.files.remove(&name);
            }
            ClientOutput::TokenNeeded => {
                self.tokens += 1;
                let expires = self.token_seconds.map(|seconds| self.now.plus_seconds(seconds));
                self.client.handle_input(ClientInput::TokenReady { expires }, self.now);
            }
            ClientOutput::OpenBrowser { url } => self.opened.push(url.as_str().into()),
            ClientOutput::Save { bytes, append } => {
                if !append {
                    self.saved.clear();
                }
                self.saved.extend_from_slice(bytes.expose());
            }
            ClientOutput::Event(event) => self.log.push(*event),
            ClientOutput::Wait { .. } | ClientOutput::Done(_) => panic!("handled by the loop"),
        }
    }

    fn receive(&mut self, op: Op, from: u64, file_bytes_max: u64) {
        let (to, body, cut, expect) = self.receiving.remove(&op.0).expect("a head came before");
        let file = self.files.entry(to).or_default();
        file.truncate(usize::try_from(from).unwrap());
        file.extend_from_slice(&body[..cut.unwrap_or(body.len())]);
        if file.len() as u64 > file_bytes_max {
            return self.fail(op, TransferError::TooLarge);
        }
        let bytes = file.len() as u64;
        let mut checker = Checker::new(expect);
        checker.update(file);
        let contents = checker.finish();
        self.client.handle_input(ClientInput::Progress { op, bytes }, self.now);
        match cut {
            Some(_) => self.fail(op, TransferError::Network),
            None => self.client.handle_input(ClientInput::Downloaded { op, contents: &contents }, self.now),
        }
    }

    fn respond(&mut self, op: Op, status: u16, headers: &[(String, String)], body: &[u8]) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        self.client.handle_input(ClientInput::Response { op, status, headers: &headers, body }, self.now);
    }

    fn fail(&mut self, op: Op, error: TransferError) {
        self.client.handle_input(ClientInput::Failed { op, error }, self.now);
    }

    fn urls(&self) -> Vec<String> {
        self.sent.iter().map(|sent| format!("{} {}", sent.method, sent.url.trim_start_matches(HOST))).collect()
    }

    fn events(&self) -> Vec<String> {
        let line = |event: &LogEvent| serde_json::to_value(event).unwrap()["eventId"].as_str().unwrap().to_owned();
        self.log.iter().map(line).collect()
    }
}

/// A request that skips what most tests are not about.
fn plain() -> ExportRequest {
    let mut request = ExportRequest::new(BASE);
    (request.discover, request.delete_when_done) = (false, false);
    request
}

/// A server that accepts, is done at the first poll with that manifest, and answers the rest with `files`.
fn exporting(manifest: String, mut files: impl FnMut(&Sent) -> Answer) -> impl FnMut(&Sent) -> Answer {
    move |sent| match sent.url.trim_start_matches(HOST) {
        path if path.starts_with("/fhir/") && path.contains("$export") => {
            reply(202, &[("Content-Location", "https://ehr.example/poll/1")], "")
        }
        "/poll/1" if sent.method == "DELETE" => reply(202, &[], ""),
        "/poll/1" => reply(200, &[("Content-Type", "application/json")], manifest.clone()),
        _ => files(sent),
    }
}

/// A manifest with these rows of `output`.
fn manifest(rows: &[&str]) -> String {
    manifest_with(rows, "")
}

fn manifest_with(rows: &[&str], more: &str) -> String {
    let rows = rows.join(",");
    format!(
        r#"{{"transactionTime":"2024-01-01T00:00:00Z","request":"x","requiresAccessToken":true,"output":[{rows}],"error":[]{more}}}"#
    )
}

/// That many patients, one a line.
fn patients(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{n}\"}}\n").into_bytes()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let mut digester = Digester::default();
    digester.update(bytes);
    digester.finish()
}

fn failure(report: &Report) -> FailureReason {
    match &report.outcome {
        Outcome::Failed(failure) => failure.reason,
        other => panic!("{other:?}"),
    }
}

const HOST: &str = "https://ehr.example";
const BASE: &str = "https://ehr.example/fhir";
const START: i64 = 1_700_000_000_000;

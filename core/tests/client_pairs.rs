//! Client and server of this crate, talking to each other: real request and response bytes, and a clock that is a number.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is how tests fail"
)]

use std::collections::{BTreeMap, BTreeSet};

use ehi_core::{
    Definitions, Edition, Endpoint, Timestamp,
    access::Principal,
    client::{
        Checker, Client, ClientInput, ClientLimits, ClientOutput, Contents, Expect, ExportRequest, KickOffMethod,
        Outcome, Report,
    },
    endpoint::{Auth, Decision, EndpointConfig, Route},
    http::{Body, Request, Response},
    job::{Command, Epoch, Job, JobId, PollAccount, Wants},
    kick_off::{Facts, Level},
    manifest::{ManifestWriter, OutputFile},
    pass::PartitionTask,
    plan::ExportPlan,
    sets::{Set, SetBuilder},
    writer::{Output, Source, Writer, WriterLimits},
};
use ehi_requirement::requirement;

#[test]
fn every_edition_and_method_exports_all_lines_once() {
    for (edition, method) in [
        (Edition::Stu1, KickOffMethod::Get),
        (Edition::Stu2, KickOffMethod::Get),
        (Edition::Stu2, KickOffMethod::Post),
        (Edition::Stu3, KickOffMethod::Get),
        (Edition::Stu3, KickOffMethod::Post),
        (Edition::Stu4Ballot, KickOffMethod::Post),
    ] {
        let mut pair = Pair::new(edition, |request| request.method = Some(method));
        let report = pair.drive();
        assert_eq!(report.outcome, Outcome::Complete, "{edition:?} {method:?}: {report:?}");
        assert_eq!(report.findings, [], "{edition:?} {method:?}");
        assert_eq!(report.resources, LINES as u64, "{edition:?} {method:?}");
        assert_eq!(pair.lines(), source_lines(), "{edition:?} {method:?}");
        // The client said that it has everything, and the server forgot it.
        assert!(pair.server.jobs.values().all(|hosted| !hosted.job.state().is_unfinished()));
        assert!(pair.server.log.last().is_some_and(|line| line.starts_with("DELETE ")), "{:?}", pair.server.log);
    }
}

#[test]
fn a_filter_means_the_same_on_both_sides() {
    for edition in [Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot] {
        let mut pair = Pair::new(edition, |request| {
            request.types = vec!["Patient".into(), "Observation".into()];
            request.type_filters = vec![ehi_core::Sensitive::new("Observation?status=final,amended".into())];
        });
        let report = pair.drive();
        assert_eq!(report.outcome, Outcome::Complete, "{edition:?}: {report:?}");
        let expected: Vec<_> = source_lines().into_iter().filter(|line| !line.contains("preliminary")).collect();
        assert_eq!(pair.lines(), expected, "{edition:?}");
    }
}

#[test]
fn broken_connections_are_continued_by_range() {
    let mut pair = Pair::new(Edition::Stu3, |_| {});
    pair.cut_every = Some(1_000);
    let report = pair.drive();
    assert_eq!(report.outcome, Outcome::Complete, "{report:?}");
    assert_eq!(pair.lines(), source_lines());
    assert!(pair.server.log.iter().any(|line| line.contains("-> 206")), "{:?}", pair.server.log);
}

#[test]
fn a_client_that_restarts_all_the_time_ends_too() {
    // Long enough for the first file of a run to arrive: what takes longer than the time between two crashes never ends.
    for every in [17, 23, 41] {
        let mut pair = Pair::new(Edition::Stu3, |_| {});
        pair.restart_every = Some(every);
        let report = pair.drive();
        assert_eq!(report.outcome, Outcome::Complete, "{every}: {report:?}");
        assert_eq!(pair.lines(), source_lines(), "{every}");
    }
}

#[test]
fn a_token_of_another_client_is_refused_and_said_so() {
    let mut pair = Pair::new(Edition::Stu3, |_| {});
    pair.server.known_token = "another".into();
    let report = pair.drive();
    assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    assert!(pair.files.is_empty());
}

#[test]
fn a_cancelled_export_is_cancelled_on_the_server() {
    let mut pair = Pair::new(Edition::Stu3, |_| {});
    pair.cancel_at_wait = Some(1);
    let report = pair.drive();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!(pair.server.jobs.values().all(|hosted| !hosted.job.state().is_unfinished()));
}

#[test]
fn a_file_is_asked_for_as_ndjson_and_comes_however_it_is_asked_for() {
    let mut pair = Pair::new(Edition::Stu3, |request| request.delete_when_done = false);
    assert_eq!(pair.drive().outcome, Outcome::Complete);
    assert_eq!(pair.accepts, ["application/fhir+ndjson".to_owned()].into());
    let is_file = |line: &&String| line.contains("/files/") && line.ends_with(" -> 200");
    let fetched = pair.server.log.iter().find(is_file).unwrap().split(' ').nth(1).unwrap();
    let url = format!("{ORIGIN}{fetched}");
    let mut answers = Vec::new();
    for accept in [None, Some("*/*"), Some("application/fhir+ndjson")] {
        let headers: Vec<_> = accept.into_iter().map(|value| ("Accept".to_owned(), value.to_owned())).collect();
        answers.push(pair.send("GET", &url, &headers, b"", true));
    }
    let [(status, headers, body), others @ ..] = answers.as_slice() else { panic!("no answers") };
    assert_eq!(*status, 200);
    assert!(headers.contains(&("content-type".to_owned(), "application/fhir+ndjson".to_owned())), "{headers:?}");
    assert!(!body.is_empty() && others.iter().all(|other| other.0 == 200 && other.2 == *body));
    requirement!("core", "BD-FILE-13");
}

/// A client, a server, a network between them, and the client's disk.
struct Pair {
    client: Client,
    server: Server,
    now: Timestamp,
    saved: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
    receiving: BTreeMap<u64, (String, Vec<u8>, Expect)>,
    /// How files were asked for.
    accepts: BTreeSet<String>,
    cut_every: Option<usize>,
    restart_every: Option<u32>,
    cancel_at_wait: Option<u32>,
}

impl Pair {
    fn new(edition: Edition, change: impl FnOnce(&mut ExportRequest)) -> Self {
        let mut request = ExportRequest::new(BASE);
        (request.edition, request.level, request.discover) = (edition, Level::System, false);
        change(&mut request);
        let now = Timestamp::parse_instant("2026-01-01T00:00:00Z").unwrap();
        let limits = ClientLimits { save_bytes: 1_000, ..ClientLimits::default() };
        Self {
            client: Client::new(request.check().unwrap(), limits, 5, now),
            server: Server::new(edition),
            now,
            saved: Vec::new(),
            files: BTreeMap::new(),
            receiving: BTreeMap::new(),
            accepts: BTreeSet::new(),
            cut_every: None,
            restart_every: None,
            cancel_at_wait: None,
        }
    }

    fn drive(&mut self) -> Report {
        let mut waits = 0;
        for turn in 1..20_000 {
            match self.client.poll_output(self.now) {
                ClientOutput::Done(report) => return *report,
                ClientOutput::Wait { until } => {
                    waits += 1;
                    if self.cancel_at_wait == Some(waits) {
                        self.client.handle_input(ClientInput::Cancel, self.now);
                        continue;
                    }
                    self.now = until;
                    self.server.work(self.now);
                }
                output => self.act(output),
            }
            if self.restart_every.is_some_and(|every| turn % every == 0) && !self.saved.is_empty() {
                self.receiving.clear();
                self.client = Client::resume(&self.saved, u64::from(turn), self.now).unwrap();
            }
        }
        panic!("no end: {:?}", self.server.log);
    }

    fn act(&mut self, output: ClientOutput) {
        match output {
            ClientOutput::Transmit { op, method, url, headers, body, authorize, .. } => {
                let (status, headers, body) = self.send(&method, url.as_str(), &headers, body.expose(), authorize);
                let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
                self.client
                    .handle_input(ClientInput::Response { op, status, headers: &headers, body: &body }, self.now);
            }
            ClientOutput::Download { op, url, headers, authorize, from, to, expect } => {
                assert!(self.files.get(&to).map_or(0, Vec::len) as u64 >= from, "the part is there");
                self.accepts
                    .extend(headers.iter().filter(|(name, _)| name == "accept").map(|(_, value)| value.clone()));
                let (status, headers, body) = self.send("GET", url.as_str(), &headers, b"", authorize);
                let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
                let stored = matches!(status, 200 | 206);
                let shown: &[u8] = if stored { b"" } else { &body };
                self.client
                    .handle_input(ClientInput::Response { op, status, headers: &headers, body: shown }, self.now);
                self.receiving.insert(op.0, (to, body, expect));
            }
            ClientOutput::Receive { op, from, .. } => {
                let (to, body, expect) = self.receiving.remove(&op.0).unwrap();
                let file = self.files.entry(to).or_default();
                file.truncate(usize::try_from(from).unwrap());
                let sent = self.cut_every.unwrap_or(body.len()).min(body.len());
                file.extend_from_slice(&body[..sent]);
                self.client.handle_input(ClientInput::Progress { op, bytes: file.len() as u64 }, self.now);
                if sent < body.len() {
                    let error = ehi_core::client::TransferError::Network;
                    return self.client.handle_input(ClientInput::Failed { op, error }, self.now);
                }
                let contents = check(expect, file);
                self.client.handle_input(ClientInput::Downloaded { op, contents: &contents }, self.now);
            }
            ClientOutput::Keep { from, to } => {
                if let Some(file) = self.files.remove(&from) {
                    self.files.insert(to, file);
                }
            }
            ClientOutput::Discard { name } => {
                self.files.remove(&name);
            }
            ClientOutput::TokenNeeded => {
                self.client.handle_input(ClientInput::TokenReady { expires: None }, self.now);
            }
            ClientOutput::Save { bytes, append } => {
                if !append {
                    self.saved.clear();
                }
                self.saved.extend_from_slice(bytes.expose());
            }
            ClientOutput::Abort { op } => {
                self.receiving.remove(&op.0);
            }
            ClientOutput::Event(_) | ClientOutput::OpenBrowser { .. } => {}
            ClientOutput::Wait { .. } | ClientOutput::Done(_) => panic!("handled by the loop"),
        }
    }

    /// Over the wire: the request as bytes to the server, its response as bytes back.
    fn send(&mut self, method: &str, url: &str, headers: &[(String, String)], body: &[u8], authorize: bool) -> Message {
        let target = url.strip_prefix(ORIGIN).expect("no other server is known");
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if authorize {
            head.push_str("Authorization: Bearer token\r\n");
        }
        let wire = [head.as_bytes(), b"\r\n", body].concat();
        parse_response(&self.server.answer(&wire, self.now))
    }

    /// All lines of all files that were kept, sorted.
    fn lines(&self) -> Vec<String> {
        assert!(self.files.keys().all(|name| !name.ends_with(".part")), "{:?}", self.files.keys());
        let texts = self.files.values().map(|file| std::str::from_utf8(file).unwrap());
        let mut lines: Vec<_> = texts.flat_map(str::lines).map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

fn check(expect: Expect, file: &[u8]) -> Contents {
    let mut checker = Checker::new(expect);
    file.chunks(100).for_each(|block| checker.update(block));
    checker.finish()
}

type Message = (u16, Vec<(String, String)>, Vec<u8>);

/// The server: an endpoint, a store in memory, and a host that works when time passes.
struct Server {
    endpoint: Endpoint,
    jobs: BTreeMap<JobId, Hosted>,
    known_token: String,
    log: Vec<String>,
}

struct Hosted {
    job: Job,
    account: PollAccount,
    rows: Vec<OutputFile>,
    objects: BTreeMap<String, Vec<u8>>,
}

impl Server {
    fn new(edition: Edition) -> Self {
        let config = EndpointConfig { edition, ..EndpointConfig::new(BASE, Auth::Bearer) };
        let endpoint = Endpoint::new(config).unwrap();
        Self { endpoint, jobs: BTreeMap::new(), known_token: "token".into(), log: Vec::new() }
    }

    fn answer(&mut self, wire: &[u8], now: Timestamp) -> Vec<u8> {
        let end = wire.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&wire[..end]).unwrap().to_owned();
        let mut lines = head.split("\r\n");
        let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
        let target = rest.strip_suffix(" HTTP/1.1").unwrap();
        let headers: Vec<_> = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n, v.as_bytes())).collect();
        let request = Request { method, target, headers: &headers, body: &wire[end + 4..] };
        let (response, body) = self.respond(&request, now);
        self.log.push(format!("{method} {target} -> {}", response.status));
        let mut out = format!("HTTP/1.1 {} X\r\n", response.status);
        response.headers.iter().for_each(|(name, value)| out.push_str(&format!("{name}: {value}\r\n")));
        [out.as_bytes(), b"\r\n", &body].concat()
    }

    fn respond(&mut self, request: &Request<'_>, now: Timestamp) -> (Response, Vec<u8>) {
        let principal = self.principal(request, now);
        let route = self.endpoint.route(request, &principal);
        match route {
            Route::Respond(response) => plain(response),
            // This server has nothing but its exports.
            Route::LookUp(_) => plain(self.endpoint.not_found()),
            Route::KickOff(kick_off) => {
                let facts = Facts { active_jobs: Some(0), ..Facts::default() };
                let id = JobId::from_entropy([u8::try_from(self.jobs.len()).unwrap() + 1; 16]);
                match self.endpoint.decide(*kick_off, &principal, &facts, id, now) {
                    Decision::Accepted(job, response) => {
                        let (rows, objects) = (Vec::new(), BTreeMap::new());
                        self.jobs.insert(id, Hosted { job: *job, account: PollAccount::default(), rows, objects });
                        plain(response)
                    }
                    Decision::Refused(response) => plain(response),
                }
            }
            Route::Job(id) => {
                let Some(hosted) = self.jobs.get_mut(&id) else { return plain(self.endpoint.not_found()) };
                let Hosted { job, account, rows, objects } = hosted;
                let (response, _) = job.handle_request(&self.endpoint, request, &principal, account, now);
                match &response.body {
                    Body::Manifest(head) => {
                        let mut writer = ManifestWriter::new(head.clone());
                        let mut out = Vec::new();
                        rows.sort_by_key(|row| row.section);
                        rows.iter().for_each(|row| writer.row(row, &mut out).unwrap());
                        writer.finish(&mut out);
                        (response, out)
                    }
                    Body::Row(name) => {
                        let Some(row) = rows.iter().find(|row| row.name == *name) else {
                            return plain(self.endpoint.not_found());
                        };
                        let response = job.serve_file(row, request);
                        match &response.body {
                            Body::Object { key, range, .. } => {
                                let object = &objects[key];
                                let (from, to) = range.unwrap_or((0, object.len() as u64));
                                let bytes =
                                    object[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_vec();
                                (response, bytes)
                            }
                            _ => plain(response),
                        }
                    }
                    Body::Empty | Body::Text(_) | Body::Object { .. } => plain(response),
                }
            }
        }
    }

    fn principal(&self, request: &Request<'_>, now: Timestamp) -> Principal {
        let token = request.header("authorization").next().and_then(|value| value.strip_prefix("Bearer "));
        match token {
            Some(token) if token == self.known_token => Principal::Known {
                client: "c1".into(),
                user: None,
                patient: None,
                scopes: vec!["system/*.read".into()],
                roles: Vec::new(),
                expires: now.plus_seconds(60),
            },
            _ => Principal::Anonymous,
        }
    }

    /// Runs every job that has not run.
    fn work(&mut self, now: Timestamp) {
        for hosted in self.jobs.values_mut().filter(|hosted| hosted.job.state().is_unfinished()) {
            let begin = Command::Begin {
                holder: "host".into(),
                until: now.plus_seconds(60),
                transaction_time: now,
                snapshot: "1".into(),
                partitions: 1,
            };
            let (epoch, _) = hosted.job.apply(begin, now).unwrap();
            while let Wants::Run { partitions, .. } = hosted.job.wants("host", now) {
                for task in partitions {
                    hosted.run(epoch, &task, now);
                    hosted.job.apply(Command::FinishPartition { epoch, partition: task.partition }, now).unwrap();
                }
            }
        }
    }
}

impl Hosted {
    /// Runs a pass and publishes its files.
    fn run(&mut self, epoch: Epoch, task: &PartitionTask, now: Timestamp) {
        let plan = self.job.plan().clone();
        let mut open = BTreeMap::new();
        run_pass(&plan, task, &mut |output| match output {
            Output::Found { .. } => panic!("no task of a job finds something"),
            Output::Open { file, section, resource_type, name, .. } => {
                open.insert(file, (section, resource_type.cloned(), name.to_owned(), Vec::new()));
            }
            Output::Append { file, bytes } => open.get_mut(&file).unwrap().3.extend_from_slice(bytes),
            Output::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint } => {
                let (section, resource_type, name, object) = open.remove(&file).unwrap();
                let (key, sha256) = (name.clone(), sha256.map(str::to_owned));
                let continues_in_file = continues_in_file.map(str::to_owned);
                self.objects.insert(key.clone(), object);
                let content_type = None;
                let row = OutputFile {
                    section,
                    resource_type,
                    name,
                    key,
                    content_type,
                    count,
                    bytes,
                    gzip_bytes,
                    sha256,
                    continues_in_file,
                };
                let partition = task.partition;
                let publish = Command::Publish { epoch, partition, rows: vec![row], checkpoint: checkpoint.clone() };
                self.rows.extend(self.job.apply(publish, now).unwrap().1.rows);
            }
        });
    }
}

/// Writes what a pass writes, once the sets that it needs are there.
fn run_pass(plan: &ExportPlan, task: &PartitionTask, see: &mut dyn FnMut(Output<'_>)) {
    let limits = WriterLimits { shard_resources_max: 40, ..WriterLimits::default() };
    let mut writer = Writer::new(plan, task, None, limits).unwrap();
    let sets = plan.sets(task.pass).into_iter().map(|wanted| {
        let mut builder = SetBuilder::new(wanted.clone(), 1_000);
        run_pass(plan, &wanted.task().unwrap(), &mut |output| {
            if let Output::Found { bytes } = output {
                builder.push(bytes).unwrap();
            }
        });
        (wanted, builder.seal().unwrap())
    });
    let sets: Vec<_> = sets.collect();
    for (wanted, block) in &sets {
        writer.add_set(Set::load(wanted.clone(), block).unwrap()).unwrap();
    }
    let source = source_lines().join("\n");
    writer.write_lines(source.as_bytes(), Source { name: "all", cursor: b"", offset: 0 }).unwrap();
    writer.finish();
    while let Some(output) = writer.poll_output() {
        see(output);
    }
}

fn plain(response: Response) -> (Response, Vec<u8>) {
    let body = match &response.body {
        Body::Text(text) => text.clone().into_bytes(),
        _ => Vec::new(),
    };
    (response, body)
}

fn parse_response(wire: &[u8]) -> Message {
    let end = wire.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut lines = std::str::from_utf8(&wire[..end]).unwrap().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    (status, headers, wire[end + 4..].to_vec())
}

/// Patients and observations, sorted.
fn source_lines() -> Vec<String> {
    assert!(Definitions::R4.resource_type("Observation").is_some());
    let line = |n: usize| match n % 4 {
        0 => format!(r#"{{"resourceType":"Patient","id":"p{n}","name":[{{"family":"Müller 𝄞"}}]}}"#),
        1 => format!(r#"{{"resourceType":"Observation","id":"o{n}","status":"preliminary"}}"#),
        _ => format!(r#"{{"resourceType":"Observation","id":"o{n}","status":"final"}}"#),
    };
    let mut lines: Vec<_> = (0..LINES).map(line).collect();
    lines.sort();
    lines
}

const LINES: usize = 400;
const ORIGIN: &str = "https://ehr.example";
const BASE: &str = "https://ehr.example/fhir";

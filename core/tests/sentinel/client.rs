//! A client of a server that writes marks wherever a server can write: into answers of every kind, manifests, files.

use std::collections::BTreeMap;

use ehi_core::{
    Sensitive, Timestamp,
    client::{
        Checker, Client, ClientInput, ClientLimits, ClientOutput, Expect, ExportKind, ExportRequest, FailureReason,
        KickOffMethod, Op, Outcome, TransferError, VendorParameter,
    },
    kick_off::Level,
};
use serde_json::json;

use super::channels::{Channel, MARK, Sentinel};

/// What a server answers.
type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// Exports that go well, and exports that fail in every step.
pub(crate) fn fetched(sentinel: &mut Sentinel) {
    for request in requests() {
        let mut run = Run::new(request.clone(), Box::new(sound));
        let outcome = run.drive(sentinel);
        assert!(matches!(outcome, Outcome::Complete | Outcome::Incomplete), "{outcome:?}");
        assert!(run.files.values().any(|file| String::from_utf8_lossy(file).contains(MARK)), "files are marked");
        for path in ["$", "/poll/1", "/page/2", "/f/1", "/f/2", "/f/e", "/fhir/Binary/"] {
            for status in [200_u16, 202, 204, 302, 307, 400, 401, 404, 410, 429, 500, 503] {
                let broken = move |method: &str, url: &str, at: u32| {
                    if url.contains(path) { failing(status) } else { sound(method, url, at) }
                };
                Run::new(request.clone(), Box::new(broken)).drive(sentinel);
            }
        }
    }
    for error in [TransferError::Network, TransferError::Storage, TransferError::AddressRefused] {
        let mut run = Run::new(requests().swap_remove(0), Box::new(sound));
        run.fails = Some(error);
        run.drive(sentinel);
    }
}

/// Of everyone by POST with all parameters; of one patient by GET; an EHI export.
fn requests() -> Vec<ExportRequest> {
    let value = Sensitive::new(json!(MARK));
    let vendor = vec![VendorParameter { name: "concern".into(), member: "valueString".into(), value }];
    let type_filters = vec![Sensitive::new(format!("Patient?name={MARK}"))];
    let new = || ExportRequest::new("https://ehr.example/fhir");
    vec![
        ExportRequest {
            level: Level::Group("g1".into()),
            patients: vec![Sensitive::new(format!("{MARK}-1"))],
            method: Some(KickOffMethod::Post),
            type_filters: type_filters.clone(),
            vendor: vendor.clone(),
            ..new()
        },
        ExportRequest {
            level: Level::Patient(format!("{MARK}-1")),
            method: Some(KickOffMethod::Get),
            type_filters,
            ..new()
        },
        ExportRequest { kind: ExportKind::Ehi, level: Level::Patient(format!("{MARK}-1")), vendor, ..new() },
    ]
}

/// An answer that is wrong, and says so with marks.
fn failing(status: u16) -> Answer {
    let issue = json!([
        { "severity": MARK, "code": MARK, "diagnostics": MARK, "details": { "text": MARK } },
        { "severity": "error", "code": "transient", "diagnostics": format!("patient {MARK} is busy") },
    ]);
    let outcome = json!({ "resourceType": "OperationOutcome", "id": MARK, "text": { "div": MARK }, "issue": issue });
    let headers = vec![
        ("Retry-After", MARK.to_owned()),
        ("Location", format!("https://files.example/{MARK}")),
        ("Content-Location", format!("https://files.example/{MARK}")),
        ("X-Progress", format!("{MARK} is 5% done")),
        ("ETag", format!("\"{MARK}\"")),
        ("Link", format!("<https://files.example/{MARK}>; rel=\"patient-interaction\"")),
        ("Content-Type", String::from("application/json")),
    ];
    (status, headers, outcome.to_string().into_bytes())
}

/// The answers of a server that works.
fn sound(method: &str, url: &str, polls: u32) -> Answer {
    let json_type = || vec![("Content-Type", String::from("application/json")), ("X-Patient", MARK.to_owned())];
    let path = url.strip_prefix("https://ehr.example").unwrap_or_default().split('?').next().unwrap_or_default();
    let lines = |lines: &[serde_json::Value]| lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    match path {
        "/fhir/metadata" => {
            let contact = json!([{ "name": MARK }]);
            (200, json_type(), json!({ "resourceType": "CapabilityStatement", "contact": contact }).to_string().into())
        }
        _ if path.contains("export") => {
            let location = ("Content-Location", format!("https://ehr.example/poll/1?for={MARK}"));
            let form = ("Link", format!("<https://ehr.example/form/{MARK}>; rel=\"patient-interaction\""));
            (202, vec![location, form], Vec::new())
        }
        "/poll/1" if method == "DELETE" => (202, Vec::new(), Vec::new()),
        "/poll/1" if polls < 2 => (202, vec![("X-Progress", format!("{MARK} is 5% done"))], Vec::new()),
        "/poll/1" => (200, json_type(), manifest().to_string().into()),
        "/page/2" => (200, json_type(), page().to_string().into()),
        "/f/1" => {
            let attachment =
                json!({ "url": format!("Binary/{MARK}?{MARK}"), "contentType": "text/plain", "title": MARK });
            let foreign =
                json!({ "url": format!("https://files.example/{MARK}"), "contentType": format!("text/{MARK}") });
            let private = json!({ "url": format!("https://10.0.0.1/{MARK}") });
            let content = [attachment, foreign, private].map(|attachment| json!({ "attachment": attachment }));
            (200, Vec::new(), lines(&[json!({ "resourceType": "DocumentReference", "id": MARK, "content": content })]))
        }
        "/f/2" => (200, Vec::new(), format!("{{\"resourceType\":\"Patient\",\"id\":\"{MARK}\"}}\n{{{MARK}\n").into()),
        "/f/e" => {
            let issue = |severity: &str| json!({ "severity": severity, "code": MARK, "diagnostics": MARK });
            let issues = [issue(MARK), issue("error")];
            (200, Vec::new(), lines(&[json!({ "resourceType": "OperationOutcome", "issue": issues }), json!(MARK)]))
        }
        _ => (200, vec![("Content-Disposition", format!("attachment; filename={MARK}"))], MARK.into()),
    }
}

fn manifest() -> serde_json::Value {
    let file = |name: &str| json!({ "type": "DocumentReference", "url": format!("/f/{name}?sig={MARK}"), "extension": { "x": MARK } });
    json!({
        "transactionTime": "2024-01-01T00:00:00Z",
        "request": format!("https://ehr.example/fhir/$export?{MARK}"),
        "requiresAccessToken": true,
        "output": [file("1"), { "type": "Patient", "url": "/f/2", "count": 7 }, { "type": MARK, "url": format!("ftp://{MARK}/") }],
        "deleted": [],
        "error": [{ "type": "OperationOutcome", "url": "/f/e" }],
        "link": [{ "relation": "next", "url": format!("/page/2?{MARK}") }, { "relation": MARK, "url": MARK }],
        "extension": { MARK: MARK },
    })
}

fn page() -> serde_json::Value {
    let output = json!([{ "type": "Patient", "url": format!("https://files.example/{MARK}"), "count": 1, MARK: MARK }]);
    json!({
        "transactionTime": "2024-01-01T00:00:00Z", "request": MARK, "requiresAccessToken": true, "output": output, "error": [],
    })
}

/// What a server answers to a method, a URL and the number of the request.
type Answers = dyn Fn(&str, &str, u32) -> Answer;

/// A client, its disk, and whoever answers it.
struct Run {
    client: Client,
    posts: bool,
    server: Box<Answers>,
    now: Timestamp,
    polls: u32,
    files: BTreeMap<String, Vec<u8>>,
    receiving: BTreeMap<u64, (String, Vec<u8>, Expect)>,
    fails: Option<TransferError>,
}

impl Run {
    fn new(request: ExportRequest, server: Box<Answers>) -> Self {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let posts = request.method == Some(KickOffMethod::Post);
        let limits =
            ClientLimits { total_seconds_max: 100_000, retries_max: 2, refreshes_max: 1, ..ClientLimits::default() };
        let client = Client::new(request.check().unwrap(), limits, 5, now);
        let (polls, files, receiving) = (0, BTreeMap::new(), BTreeMap::new());
        Self { client, posts, server, now, polls, files, receiving, fails: None }
    }

    fn drive(&mut self, sentinel: &mut Sentinel) -> Outcome {
        for _ in 0..20_000 {
            let output = self.client.poll_output(self.now);
            sentinel.logged("what the client wants", &output);
            match output {
                ClientOutput::Done(report) => {
                    sentinel.logged("client", &self.client);
                    if let Outcome::Failed(failure) = &report.outcome {
                        let reason: FailureReason = failure.reason;
                        sentinel.hear(Channel::ErrorText, "failure", format!("{}: {reason}", failure.step));
                    }
                    return report.outcome;
                }
                ClientOutput::Wait { until } => {
                    self.now = until;
                    self.client.handle_input(ClientInput::Timeout, until);
                }
                output => self.act(sentinel, output),
            }
        }
        panic!("no end in sight at {:?}", self.client.stage());
    }

    fn act(&mut self, sentinel: &mut Sentinel, output: ClientOutput) {
        match output {
            ClientOutput::Transmit { op, method, url, headers, .. } => {
                headers
                    .iter()
                    .for_each(|(name, value)| sentinel.hear(Channel::Header, "request", format!("{name}: {value}")));
                // By POST nothing stands in the address; by GET, and of one patient, what is asked for does (BD-KICK-04).
                if self.posts && url.as_str().contains("export") {
                    sentinel.hear(Channel::Url, "kick-off", url.as_str());
                }
                self.polls += u32::from(url.as_str().contains("/poll/"));
                let (status, headers, body) = (self.server)(&method, url.as_str(), self.polls);
                match self.fails.filter(|_| url.as_str().contains("/poll/")) {
                    Some(error) => self.client.handle_input(ClientInput::Failed { op, error }, self.now),
                    None => self.respond(op, status, &headers, &body),
                }
            }
            ClientOutput::Download { op, url, headers, to, expect, .. } => {
                headers
                    .iter()
                    .for_each(|(name, value)| sentinel.hear(Channel::Header, "download", format!("{name}: {value}")));
                let (status, headers, body) = (self.server)("GET", url.as_str(), self.polls);
                if matches!(status, 200 | 206) {
                    self.receiving.insert(op.0, (to, body, expect));
                    self.respond(op, status, &headers, b"");
                } else {
                    self.respond(op, status, &headers, &body);
                }
            }
            ClientOutput::Receive { op, from, .. } => {
                let (to, body, expect) = self.receiving.remove(&op.0).unwrap();
                let file = self.files.entry(to).or_default();
                file.truncate(usize::try_from(from).unwrap());
                file.extend_from_slice(&body);
                let mut checker = Checker::new(expect);
                checker.update(file);
                sentinel.logged("checker", &checker);
                let contents = checker.finish();
                self.client.handle_input(ClientInput::Downloaded { op, contents: &contents }, self.now);
            }
            ClientOutput::Keep { from, to } => {
                if let Some(file) = self.files.remove(&from) {
                    self.files.insert(to, file);
                }
            }
            ClientOutput::Discard { name } => drop(self.files.remove(&name)),
            ClientOutput::TokenNeeded => {
                self.client.handle_input(ClientInput::TokenReady { expires: None }, self.now);
            }
            ClientOutput::Event(event) => sentinel.hear(Channel::Log, "export log", event.to_json()),
            ClientOutput::Abort { op } => drop(self.receiving.remove(&op.0)),
            ClientOutput::OpenBrowser { .. } | ClientOutput::Save { .. } => {}
            ClientOutput::Wait { .. } | ClientOutput::Done(_) => panic!("handled by the loop"),
        }
    }

    fn respond(&mut self, op: Op, status: u16, headers: &[(&'static str, String)], body: &[u8]) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        self.client.handle_input(ClientInput::Response { op, status, headers: &headers, body }, self.now);
    }
}

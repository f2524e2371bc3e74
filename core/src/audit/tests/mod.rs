//! Every decision is told, in the shape that audit logs read, and nothing else.

mod decisions;
mod shapes;
mod silence;

use serde_json::{Value, json};

use super::*;
use crate::{
    endpoint::{Decision, EndpointConfig, Route},
    http::{Body, Request, Response},
    job::{Command, FormAnswers, Job, PollAccount},
    kick_off::Facts,
    manifest::{OutputFile, Section},
};

/// A deployment and at most one job of it, as a host keeps them.
struct Host {
    endpoint: Endpoint,
    job: Option<Job>,
    account: PollAccount,
}

impl Host {
    fn new(change: impl FnOnce(&mut Value)) -> Self {
        let mut config = deployment();
        change(&mut config);
        let endpoint = Endpoint::new(EndpointConfig::from_json(&config.to_string()).unwrap()).unwrap();
        Self { endpoint, job: None, account: PollAccount::default() }
    }

    /// Answers a request as a host does, and says what is to be audited of it. `{job}` stands for the job's id.
    fn ask(&mut self, method: &str, target: &str, principal: &Principal, seconds: u64) -> (u16, Vec<AuditEvent>) {
        let target = self.job.as_ref().map_or(target.to_owned(), |job| target.replace("{job}", &job.id().to_string()));
        let body = json!({ "resourceType": "Parameters", "parameter": [{ "name": "charts", "valueCode": "all" }] });
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let headers: &[(&str, &[u8])] = &[("Content-Type", b"application/fhir+json")];
        let request = Request { method, target: &target, headers, body: body.as_bytes() };
        let (response, changed) = self.answer(&request, principal, at(seconds));
        let peer = Some("192.0.2.7".parse().unwrap());
        let job = self.job.as_ref();
        let exchange = Exchange { request: &request, principal, peer, response: &response, job, changed };
        (response.status, super::request(&self.endpoint, &exchange, at(seconds)))
    }

    fn answer(&mut self, request: &Request<'_>, principal: &Principal, now: Timestamp) -> (Response, bool) {
        match self.endpoint.route(request, principal) {
            Route::Respond(response) => (response, false),
            Route::KickOff(kick_off) => {
                let patients = ["p1".to_owned()].into();
                let facts = Facts { patients, active_jobs: Some(0), ..Facts::default() };
                match self.endpoint.decide(*kick_off, principal, &facts, JobId::from_entropy([0xab; 16]), now) {
                    Decision::Accepted(job, response) => {
                        self.job = Some(*job);
                        (response, true)
                    }
                    Decision::Refused(response) => (response, false),
                }
            }
            Route::LookUp(_) => panic!("no look-up is asked for here"),
            Route::Job(_) => {
                let Some(job) = &mut self.job else { return (self.endpoint.not_found(), false) };
                let (response, effects) =
                    job.handle_request(&self.endpoint, request, principal, &mut self.account, now);
                let response = match &response.body {
                    Body::Row(name) if *name == row().name => job.serve_file(&row(), request),
                    Body::Row(_) => self.endpoint.not_found(),
                    _ => response,
                };
                (response, effects.job)
            }
        }
    }

    fn command(&mut self, command: Command, seconds: u64) -> Vec<AuditEvent> {
        let before = self.job.clone().unwrap();
        let mut after = before.clone();
        let taken = after.apply(command.clone(), at(seconds)).is_ok();
        let events = super::command(&self.endpoint, &before, &command, taken.then_some(&after), at(seconds));
        self.job = Some(after);
        events
    }

    fn timeout(&mut self, seconds: u64) -> Vec<AuditEvent> {
        let before = self.job.clone().unwrap();
        let after = self.job.as_mut().unwrap();
        after.handle_timeout(at(seconds));
        super::timeout(&self.endpoint, &before, after, at(seconds))
    }

    /// From the form to the release.
    fn complete(&mut self) {
        self.command(Command::FormSubmitted { answers: FormAnswers::default() }, 10);
        self.command(approve("contract"), 11);
        self.work(12);
        self.command(approve("review"), 13);
    }

    fn work(&mut self, seconds: u64) -> Vec<AuditEvent> {
        let mut events = self.command(begin(seconds), seconds);
        for partition in 0.. {
            let epoch = crate::job::Epoch(1);
            if self.job.as_ref().unwrap().state() != crate::job::State::Running {
                break;
            }
            events.extend(self.command(Command::FinishPartition { epoch, partition }, seconds));
        }
        events
    }
}

fn begin(seconds: u64) -> Command {
    let (holder, snapshot) = ("host-a".into(), "s".into());
    Command::Begin { holder, until: at(seconds + 60), transaction_time: at(seconds), snapshot, partitions: 1 }
}

fn approve(step: &str) -> Command {
    Command::Approve { step: step.into(), by: "staff-7".into() }
}

fn reject(step: &str, code: &str) -> Command {
    Command::Reject { step: step.into(), code: code.into(), by: "staff-7".into(), note: "the neighbour called".into() }
}

fn row() -> OutputFile {
    OutputFile {
        section: Section::Output,
        resource_type: None,
        name: "Patient-0001.ndjson".into(),
        key: "1-Patient-0001.ndjson".into(),
        content_type: None,
        count: 1,
        bytes: 100,
        gzip_bytes: None,
        sha256: None,
        continues_in_file: None,
        page: None,
    }
}

fn known(scopes: &[&str]) -> Principal {
    Principal::Known {
        client: "app".into(),
        user: Some(Sensitive::new("user-3".into())),
        patient: Some(Sensitive::new("p1".into())),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        roles: Vec::new(),
        expires: at(100_000_000),
    }
}

fn ehi() -> Principal {
    known(&["patient/$ehi-export"])
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).plus_seconds(seconds)
}

fn deployment() -> Value {
    let step = |name: &str| json!({ "name": name, "progress": "waiting", "deadlineSeconds": 1_000, "operations": ["ehi-export"] });
    json!({
        "baseUrl": "https://ehr.example/fhir",
        "auth": "bearer",
        "retentionSeconds": 1_000,
        "pollIntervalMillis": 1_000,
        "ehi": { "documentationUrl": "https://ehr.example/formats" },
        "vendorParameters": { "charts": { "operations": ["ehi-export"] } },
        "steps": {
            "patientForm": { "url": "https://ehr.example/forms/{job}", "deadlineSeconds": 1_000 },
            "before": [step("contract")],
            "release": [step("review")],
            "rejectionCodes": [{ "code": "identity", "text": "the identity could not be confirmed" }],
        },
    })
}

fn told(events: &[AuditEvent]) -> Vec<(Audited, AuditOutcome)> {
    events.iter().map(|event| (event.decision, event.outcome)).collect()
}

fn detail<'e>(event: &'e AuditEvent, name: &str) -> Option<&'e str> {
    event.details.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
}

const EHI: &str = "/fhir/Patient/p1/$ehi-export";

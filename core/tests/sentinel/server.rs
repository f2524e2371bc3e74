//! A deployment, its clients, and exports of it from the kick-off to the end.

use std::collections::BTreeSet;

use ehi_core::{
    Endpoint, ResourceType, Sensitive, Timestamp,
    access::Principal,
    audit,
    endpoint::{Decision, EndpointConfig, Route},
    http::{Body, Request, Response},
    job::{Command, Epoch, FormAnswers, Job, JobId, PollAccount, State, Wants},
    kick_off::Facts,
    look_up::Found,
    manifest::{ManifestWriter, OutputFile, Section},
    values::{RequestHead, StoredJob},
};
use serde_json::{Value, json};

use super::{
    channels::{Channel, ID, MARK, Sentinel},
    data,
};

/// A host with at most one job.
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    pub(crate) job: Option<Job>,
    rows: Vec<OutputFile>,
    account: PollAccount,
}

/// A request of a test.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: String,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self { method: "GET", target: target.into(), headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn post(target: impl Into<String>, body: impl Into<String>) -> Self {
        let headers = vec![("Content-Type", String::from("application/fhir+json"))];
        Self { method: "POST", headers, body: body.into(), ..Self::get(target) }
    }

    pub(crate) fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Host {
    pub(crate) fn new(change: impl FnOnce(&mut Value)) -> Self {
        let mut config = deployment();
        change(&mut config);
        let endpoint = Endpoint::new(EndpointConfig::from_json(&config.to_string()).unwrap()).unwrap();
        Self { endpoint, job: None, rows: Vec::new(), account: PollAccount::default() }
    }

    /// Answers, and lets the sentinel hear all of it. `{job}` stands for the id of the job.
    pub(crate) fn ask(
        &mut self,
        sentinel: &mut Sentinel,
        ask: &Ask<'_>,
        principal: &Principal,
        seconds: u64,
    ) -> Response {
        let id = self.job.as_ref().map_or(String::new(), |job| job.id().to_string());
        let target = ask.target.replace("{job}", &id);
        let headers: Vec<_> = ask.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let request = Request { method: ask.method, target: &target, headers: &headers, body: ask.body.as_bytes() };
        let (response, changed) = self.answer(sentinel, &request, principal, at(seconds));
        let from = format!("{} {}", ask.method, ask.target);
        sentinel.logged(&from, &request);
        let headers = ask.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        sentinel.logged(&from, &RequestHead { method: ask.method.to_owned(), target: target.clone(), headers });
        sentinel.logged(&from, principal);
        sentinel.response(&from, &response);
        let peer = Some("192.0.2.7".parse().unwrap());
        let job = self.job.as_ref();
        let exchange = audit::Exchange { request: &request, principal, peer, response: &response, job, changed };
        sentinel.events(&from, &audit::request(&self.endpoint, &exchange, at(seconds)));
        self.look(sentinel);
        response
    }

    fn answer(
        &mut self,
        sentinel: &mut Sentinel,
        request: &Request<'_>,
        principal: &Principal,
        now: Timestamp,
    ) -> (Response, bool) {
        match self.endpoint.route(request, principal) {
            Route::Respond(response) => (response, false),
            Route::KickOff(kick_off) => {
                sentinel.logged("kick-off", &kick_off);
                sentinel.logged("needs", &self.endpoint.needs(&kick_off, principal));
                let patients = ["p1".to_owned(), ID.to_owned()].into();
                let facts = Facts { patients, active_jobs: Some(0), ..Facts::default() };
                sentinel.logged("facts", &facts);
                match self.endpoint.decide(*kick_off, principal, &facts, JobId::from_entropy([7; 16]), now) {
                    Decision::Accepted(job, response) => {
                        self.job = Some(*job);
                        (response, true)
                    }
                    Decision::Refused(response) => (response, false),
                }
            }
            Route::LookUp(look_up) => {
                sentinel.logged("look-up", &look_up);
                // What is looked up is the answer's body, like a file's, and is not for other channels.
                (self.endpoint.look_up(&look_up, principal, Found::default(), now), false)
            }
            Route::Job(_) => {
                let Some(job) = &mut self.job else { return (self.endpoint.not_found(), false) };
                let (response, effects) =
                    job.handle_request(&self.endpoint, request, principal, &mut self.account, now);
                let response = match &response.body {
                    Body::Row(name) => match self.rows.iter().find(|row| row.name == *name) {
                        Some(row) => job.serve_file(row, request),
                        None => self.endpoint.not_found(),
                    },
                    _ => response,
                };
                (response, effects.job)
            }
        }
    }

    pub(crate) fn command(&mut self, sentinel: &mut Sentinel, command: Command, seconds: u64) -> bool {
        let before = self.job.clone().unwrap();
        let job = self.job.as_mut().unwrap();
        sentinel.logged("command", &command);
        let applied = job.apply(command.clone(), at(seconds));
        if let Err(misuse) = &applied {
            sentinel.error("command", misuse);
        }
        let after = applied.is_ok().then_some(&*job);
        sentinel.events("command", &audit::command(&self.endpoint, &before, &command, after, at(seconds)));
        self.look(sentinel);
        applied.is_ok()
    }

    /// What a program might log of the job.
    fn look(&self, sentinel: &mut Sentinel) {
        let Some(job) = &self.job else { return };
        sentinel.logged("job", job);
        sentinel.logged("plan", job.plan());
        sentinel.logged("wants", &job.wants("host-a", at(0)));
        sentinel.logged("steps", &job.steps_taken());
        let (record, wake_at, client) = (job.encode(), None, Some(String::from("app")));
        sentinel.logged("record", &StoredJob { record, wake_at, unfinished: true, client });
    }

    /// Works until the files are there, and lists one of each kind that could tell something.
    fn work(&mut self, sentinel: &mut Sentinel, seconds: u64) {
        let (holder, snapshot) = ("host-a".into(), "s".into());
        let until = at(seconds + 60);
        let begin = Command::Begin { holder, until, transaction_time: at(seconds), snapshot, partitions: 1 };
        assert!(self.command(sentinel, begin, seconds));
        let plan = self.job.as_ref().unwrap().plan().clone();
        self.rows = data::files(sentinel, &plan);
        assert!(!self.rows.is_empty());
        self.rows.push(attachment());
        let epoch = Epoch(1);
        while let Wants::Run { partitions, .. } = self.job.as_ref().unwrap().wants("host-a", at(seconds)) {
            for task in partitions {
                self.command(sentinel, Command::FinishPartition { epoch, partition: task.partition }, seconds);
            }
        }
    }
}

/// Exports that end in every way there is.
pub(crate) fn exports(sentinel: &mut Sentinel) {
    released(sentinel);
    rejected(sentinel);
    timed_out(sentinel);
    filtered(sentinel);
}

/// Asked for with everything, filled in, approved, written, read, removed.
fn released(sentinel: &mut Sentinel) {
    let mut host = kicked_off(sentinel);
    host.ask(sentinel, &Ask::get("/fhir/bulk/{job}"), &patient(), 1);
    let wrong = [
        FormAnswers { types: Some([MARK.to_owned()].into()), ..FormAnswers::default() },
        FormAnswers { withheld_labels: [MARK.to_owned()].into(), ..FormAnswers::default() },
        FormAnswers { type_filters: vec![format!("Patient?{MARK}")], ..FormAnswers::default() },
    ];
    for answers in wrong {
        assert!(!host.command(sentinel, Command::FormSubmitted { answers }, 2));
    }
    let answers = FormAnswers {
        types: None,
        withheld_labels: BTreeSet::from([format!("s|{MARK}")]),
        type_filters: vec![format!("Patient?name=M,{MARK}")],
    };
    assert!(host.command(sentinel, Command::FormSubmitted { answers }, 3));
    let by = String::from("staff-7");
    assert!(!host.command(sentinel, Command::Approve { step: MARK.into(), by: by.clone() }, 4));
    host.ask(sentinel, &Ask::get("/fhir/bulk/{job}"), &patient(), 5);
    assert!(host.command(sentinel, Command::Approve { step: "contract".into(), by: by.clone() }, 6));
    host.work(sentinel, 7);
    host.ask(sentinel, &Ask::get("/fhir/bulk/{job}"), &patient(), 10);
    assert!(host.command(sentinel, Command::Approve { step: "review".into(), by }, 11));
    manifest(sentinel, &mut host, "/fhir/Patient/p1/$ehi-export", &patient());
    for row in host.rows.clone() {
        let target = format!("/fhir/bulk/{{job}}/files/{}", row.name);
        for range in ["bytes=0-3", "bytes=999999999-", MARK] {
            host.ask(sentinel, &Ask::get(&target).with("Range", range).with("If-Range", MARK), &patient(), 30);
        }
    }
    host.ask(sentinel, &Ask::get(format!("/fhir/bulk/{{job}}/files/{MARK}")), &patient(), 31);
    host.ask(sentinel, &Ask { method: "DELETE", ..Ask::get("/fhir/bulk/{job}") }, &patient(), 32);
    assert!(host.command(sentinel, Command::Removed, 33));
}

fn rejected(sentinel: &mut Sentinel) {
    let mut host = kicked_off(sentinel);
    assert!(host.command(sentinel, Command::FormSubmitted { answers: FormAnswers::default() }, 1));
    let reject = |code: &str| {
        let (step, by, note) = ("contract".into(), "staff-7".into(), format!("called {MARK} at home"));
        Command::Reject { step, code: code.into(), by, note }
    };
    assert!(!host.command(sentinel, reject(MARK), 2));
    assert!(host.command(sentinel, reject("identity"), 3));
    assert_eq!(host.job.as_ref().unwrap().steps_taken()[0].note, format!("called {MARK} at home"));
    host.ask(sentinel, &Ask::get("/fhir/bulk/{job}"), &patient(), 10);
}

fn timed_out(sentinel: &mut Sentinel) {
    let mut host = kicked_off(sentinel);
    let before = host.job.clone().unwrap();
    let job = host.job.as_mut().unwrap();
    assert!(job.handle_timeout(at(2_000)).job && job.state() == State::FailedEmpty);
    sentinel.events("timeout", &audit::timeout(&host.endpoint, &before, job, at(2_000)));
    host.ask(sentinel, &Ask::get("/fhir/bulk/{job}"), &patient(), 2_001);
}

/// An export of everything, with marks in what a GET carries, tolerated where it is wrong.
fn filtered(sentinel: &mut Sentinel) {
    let mut host = Host::new(|config| config["signedUrls"] = signed_urls());
    let chains = format!(
        "_typeFilter=Observation%3Fsubject:Patient.birthdate%3D{MARK}&_typeFilter=Encounter%3Fsubject:Patient.name%3D{MARK}"
    );
    let value_set = format!("_typeFilter=Observation%3Fcode:in%3Dhttp://v/{MARK}");
    let target = format!(
        "/fhir/$export?_typeFilter=Patient%3Fname%3D{MARK}&_typeFilter=Observation%3Fdate%3D{MARK}&{chains}&{value_set}&{SURPRISE}={MARK}&_type=Patient,Observation,Encounter"
    );
    let ask = Ask::get(&target).with("Prefer", format!("respond-async, handling=lenient, x={MARK}"));
    assert_eq!(host.ask(sentinel, &ask, &system(), 0).status, 202);
    let plan = host.job.as_ref().unwrap().plan();
    assert!(!plan.types.has("Observation") && plan.types.has("Encounter") && plan.chains.len() == 1);
    assert_eq!(plan.notices.len(), 4, "three filters and a parameter");
    sentinel.logged("chains", &plan.chains);
    host.work(sentinel, 1);
    manifest(sentinel, &mut host, &target, &system());
}

/// The manifest without `request`, which must be the kick-off URL as it was (BD-MAN-04): the client's own words.
fn manifest(sentinel: &mut Sentinel, host: &mut Host, target: &str, principal: &Principal) {
    let response = host.ask(sentinel, &Ask::get("/fhir/bulk/{job}"), principal, 20);
    let Body::Manifest(head) = response.body else { panic!("no manifest: {}", response.status) };
    let (mut writer, mut out) = (ManifestWriter::new(*head), Vec::new());
    host.rows.sort_by_key(|row| row.section);
    host.rows.iter().for_each(|row| writer.row(row, &mut out).unwrap());
    writer.finish(&mut out);
    let mut manifest: Value = serde_json::from_slice(&out).unwrap();
    let request = manifest.as_object_mut().unwrap().remove("request");
    assert_eq!(request, Some(json!(format!("https://ehr.example{target}"))), "BD-MAN-04");
    sentinel.hear(Channel::Url, "manifest", manifest.to_string());
}

/// `$ehi-export` with a marked vendor parameter.
fn kicked_off(sentinel: &mut Sentinel) -> Host {
    let mut host = Host::new(|_| {});
    let parameter = json!([{ "name": "concern", "valueString": format!("about {MARK}") }]);
    let body = json!({ "resourceType": "Parameters", "id": MARK, "parameter": parameter }).to_string();
    let ask = Ask::post("/fhir/Patient/p1/$ehi-export", body).with("Authorization", format!("Bearer {MARK}"));
    assert_eq!(host.ask(sentinel, &ask, &patient(), 0).status, 202);
    assert_eq!(host.job.as_ref().unwrap().plan().vendor_parameters["concern"], [format!("about {MARK}")]);
    host
}

/// The data say of it what they like.
fn attachment() -> OutputFile {
    OutputFile {
        section: Section::Attachment,
        resource_type: None::<ResourceType>,
        name: "attachment-1".into(),
        key: "1-attachment-1".into(),
        content_type: Some(format!("text/{MARK}; name={MARK}.pdf")),
        count: 0,
        bytes: 100,
        gzip_bytes: None,
        sha256: None,
        continues_in_file: None,
        page: None,
    }
}

pub(crate) fn patient() -> Principal {
    principal(&["patient/$ehi-export"], "p1")
}

pub(crate) fn system() -> Principal {
    principal(&["system/*.rs"], MARK)
}

/// A token with a user, and with that patient in context.
fn principal(scopes: &[&str], patient: &str) -> Principal {
    Principal::Known {
        client: "app".into(),
        user: Some(Sensitive::new("user-3".into())),
        patient: Some(Sensitive::new(patient.into())),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        roles: vec![],
        expires: at(100_000_000),
    }
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).plus_seconds(seconds)
}

fn signed_urls() -> Value {
    json!({ "keys": [{ "id": "a", "secret": "5e".repeat(32) }] })
}

fn deployment() -> Value {
    let step = |name: &str| json!({ "name": name, "progress": "waiting for staff", "deadlineSeconds": 1_000, "operations": ["ehi-export"] });
    let one_of = |values: &[&str]| json!({ "operations": ["ehi-export"], "values": values });
    json!({
        "baseUrl": "https://ehr.example/fhir",
        "auth": "bearer",
        "pollIntervalMillis": 0,
        "filterSets": { "valueSets": true, "chains": true },
        "ehi": { "documentationUrl": "https://ehr.example/formats" },
        "vendorParameters": { "concern": one_of(&[]), "charts": one_of(&["all", "signed"]) },
        "steps": {
            "patientForm": { "url": "https://ehr.example/forms/{job}", "deadlineSeconds": 1_000 },
            "before": [step("contract")],
            "release": [step("review")],
            "rejectionCodes": [{ "code": "identity", "text": "the identity could not be confirmed" }],
        },
    })
}

/// A name that nobody defined.
const SURPRISE: &str = super::channels::NAME;

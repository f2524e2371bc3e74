//! Jobs that wait for people, from the kick-off on, on a clock of our own.

mod pages;
mod threshold;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::{
    Endpoint, Sensitive,
    access::Principal,
    endpoint::{Decision, Route},
    http::{Body, Request, Response},
    kick_off::Facts,
    pass::Pass,
};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).plus_seconds(seconds)
}

/// A deployment with a form, two steps before an EHI export and one before its release.
fn deployment() -> Value {
    let step = |name: &str, progress: &str, days: u64| json!({ "name": name, "progress": progress, "deadlineSeconds": days * 86_400, "operations": ["ehi-export"] });
    json!({
        "baseUrl": "https://ehr.example/fhir",
        "auth": "bearer",
        "ehi": { "documentationUrl": "https://ehr.example/formats" },
        "separateExportStatus": true,
        "pollStrikesMax": 3,
        "runSeconds": 3600,
        "vendorParameters": { "charts": { "operations": ["ehi-export"], "values": ["all", "signed"] } },
        "steps": {
            "patientForm": { "url": "https://ehr.example/forms/{job}", "deadlineSeconds": 1_000 },
            "before": [step("contract", "the contract addendum is being signed", 14), step("fee", "the fee is being collected", 14)],
            "release": [step("review", "records staff are reviewing the files", 56)],
            "rejectionCodes": [{ "code": "identity", "text": "the identity of the requester could not be confirmed" }],
        },
    })
}

fn endpoint(config: &Value) -> Endpoint {
    Endpoint::new(EndpointConfig::from_json(&config.to_string()).unwrap()).unwrap()
}

fn known(scopes: &[&str], patient: Option<&str>) -> Principal {
    Principal::Known {
        client: "app".into(),
        user: None,
        patient: patient.map(|id| Sensitive::new(id.to_owned())),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        roles: Vec::new(),
        expires: at(100_000_000),
    }
}

fn ehi_patient() -> Principal {
    known(&["patient/$ehi-export"], Some("p1"))
}

fn kick_off(
    endpoint: &Endpoint,
    method: &str,
    target: &str,
    body: &str,
    principal: &Principal,
) -> Result<(Job, Response), Box<Response>> {
    let headers: &[(&str, &[u8])] = if body.is_empty() {
        &[("Prefer", b"respond-async")]
    } else {
        &[("Prefer", b"respond-async"), ("Content-Type", b"application/fhir+json")]
    };
    let request = Request { method, target, headers, body: body.as_bytes() };
    let kick_off = match endpoint.route(&request, principal) {
        Route::KickOff(kick_off) => kick_off,
        Route::Respond(response) => return Err(Box::new(response)),
        Route::Job(_) | Route::LookUp(_) => panic!("no kick-off"),
    };
    let facts =
        Facts { patients: BTreeSet::from(["p1".into(), "p2".into()]), active_jobs: Some(0), ..Facts::default() };
    match endpoint.decide(*kick_off, principal, &facts, JobId::from_entropy([1; 16]), at(0)) {
        Decision::Accepted(job, response) => Ok((*job, response)),
        Decision::Refused(response) => Err(Box::new(response)),
    }
}

fn ehi(endpoint: &Endpoint) -> (Job, Response) {
    kick_off(endpoint, "POST", "/fhir/Patient/p1/$ehi-export", "", &ehi_patient()).unwrap()
}

fn poll(job: &mut Job, endpoint: &Endpoint, seconds: u64) -> Response {
    poll_as(job, endpoint, seconds, &ehi_patient())
}

fn poll_as(job: &mut Job, endpoint: &Endpoint, seconds: u64, principal: &Principal) -> Response {
    let target = format!("/fhir/bulk/{}", job.id());
    let request = Request { method: "GET", target: &target, headers: &[], body: b"" };
    let account = &mut PollAccount::default();
    job.handle_request(endpoint, &request, principal, account, at(seconds)).0
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

fn text(response: &Response) -> &str {
    let Body::Text(text) = &response.body else { return "" };
    text
}

fn approve(step: &str) -> Command {
    Command::Approve { step: step.into(), by: "staff-7".into() }
}

fn run(job: &mut Job, seconds: u64) {
    let begin = Command::Begin {
        holder: "h".into(),
        until: at(seconds + 60),
        transaction_time: at(seconds),
        snapshot: String::new(),
        partitions: 1,
    };
    let (epoch, _) = job.apply(begin, at(seconds)).unwrap();
    let Wants::Run { partitions, .. } = job.wants("h", at(seconds)) else { panic!("a running job wants to be run") };
    for task in partitions {
        job.apply(Command::FinishPartition { epoch, partition: task.partition }, at(seconds)).unwrap();
    }
}

#[test]
fn an_ehi_export_waits_for_everyone_in_turn_and_says_for_whom() {
    let endpoint = endpoint(&deployment());
    let (mut job, accepted) = ehi(&endpoint);
    let link = format!("<https://ehr.example/forms/{}>; rel=\"patient-interaction\"", job.id());
    assert_eq!((accepted.status, header(&accepted, "link")), (202, Some(link.as_str())), "EHI-KICK-05 to -07");
    assert!(header(&accepted, "content-location").is_some());
    for seconds in [1, 50, 900] {
        let waiting = poll(&mut job, &endpoint, seconds);
        assert_eq!((waiting.status, header(&waiting, "link")), (202, Some(link.as_str())), "EHI-STAT-02");
    }
    assert_eq!(job.wants("h", at(900)), Wants::Nothing);
    assert_eq!(job.apply(approve("contract"), at(900)), Err(JobMisuse::WrongState(State::AwaitingPatient)));

    let answers = FormAnswers {
        types: Some(["Patient".into(), "Observation".into()].into()),
        withheld_labels: ["s|HIV".into()].into(),
        type_filters: vec!["Observation?date=ge2020".into()],
    };
    job.apply(Command::FormSubmitted { answers }, at(950)).unwrap();
    let waiting = poll(&mut job, &endpoint, 951);
    assert_eq!(
        (header(&waiting, "link"), header(&waiting, "x-progress")),
        (None, Some("the contract addendum is being signed"))
    );
    assert!(matches!(job.wants("h", at(951)), Wants::Step(step) if step.name == "contract"));
    assert_eq!(job.apply(approve("fee"), at(960)), Err(JobMisuse::OtherStep), "in their order");
    job.apply(approve("contract"), at(960)).unwrap();
    job.apply(approve("fee"), at(970)).unwrap();
    assert_eq!(job.state(), State::Queued);
    assert!(job.plan().types.has("Observation") && !job.plan().types.has("Condition"), "the answers count");
    assert_eq!(job.plan().withheld_labels, ["s|HIV".to_owned()].into());

    run(&mut job, 1_000);
    let waiting = poll(&mut job, &endpoint, 1_001);
    assert_eq!(
        (waiting.status, header(&waiting, "x-progress")),
        (202, Some("records staff are reviewing the files")),
        "EHI-STAT-04"
    );
    let file =
        Request { method: "GET", target: &format!("/fhir/bulk/{}/files/a.ndjson", job.id()), headers: &[], body: b"" };
    let (early, _) = job.handle_request(&endpoint, &file, &ehi_patient(), &mut PollAccount::default(), at(1_001));
    assert_eq!(early.status, 404, "no file before the release");
    job.apply(approve("review"), at(2_000)).unwrap();
    let complete = poll(&mut job, &endpoint, 2_001);
    let Body::Manifest(head) = &complete.body else { panic!("no manifest") };
    assert_eq!(head.extension.get("ehiDocumentationUrl").map(String::as_str), Some("https://ehr.example/formats"));
    assert_eq!((complete.status, head.request.as_str()), (200, "https://ehr.example/fhir/Patient/p1/$ehi-export"));
    assert_eq!(
        job.steps_taken().iter().map(|taken| taken.name.as_str()).collect::<Vec<_>>(),
        ["contract", "fee", "review"]
    );
}

/// What the form asks by must be what a writer can evaluate, alone: a form is no kick-off at which sets are asked for.
#[test]
fn answers_that_no_writer_could_follow_are_refused_when_they_are_given() {
    let mut config = deployment();
    config["filterSets"] = json!({ "valueSets": true, "chains": true });
    let (mut job, _) = ehi(&endpoint(&config));
    for query in [
        "Observation?date=nonsense",
        "Observation?nonsense=1",
        "Observation?date:exact=2020",
        "Observation?subject:Patient.name=x",
        "Observation?code:in=http://v",
        "Observation?_list=1",
    ] {
        let answers = FormAnswers { type_filters: vec![query.into()], ..FormAnswers::default() };
        let misuse = job.apply(Command::FormSubmitted { answers }, at(1)).unwrap_err();
        assert_eq!((misuse, job.state()), (JobMisuse::Answers, State::AwaitingPatient), "{query}");
    }
    let answers = FormAnswers { type_filters: vec!["Patient?race=x".into()], ..FormAnswers::default() };
    job.apply(Command::FormSubmitted { answers }, at(2)).unwrap();
    assert_eq!(job.plan().type_filters, ["Patient?race=x"], "US Core's, as a writer knows it");
}

/// Whoever may read what a chain has selected may read what it asked about.
#[test]
fn a_token_covers_an_export_if_it_covers_what_its_chains_lead_to() {
    let mut config = deployment();
    config["filterSets"] = json!({ "chains": true });
    let endpoint = endpoint(&config);
    let target = "/fhir/$export?_type=Observation&_typeFilter=Observation%3Fsubject:Patient.name=x";
    let whole = known(&["system/Observation.rs", "system/Patient.rs"], None);
    let part = known(&["system/Observation.rs", "system/Patient.rs?gender=male"], None);
    let more = known(&["system/Observation.rs", "system/Patient.rs?gender=male", "system/Patient.rs?name=a"], None);
    let none = known(&["system/Observation.rs"], None);
    let read = |principal: &Principal, others: [&Principal; 4]| {
        let (mut job, _) = kick_off(&endpoint, "GET", target, "", principal).unwrap();
        others.map(|other| poll_as(&mut job, &endpoint, 1, other).status)
    };
    assert_eq!(read(&whole, [&whole, &part, &more, &none]), [202, 403, 403, 403]);
    assert_eq!(read(&part, [&whole, &part, &more, &none]), [202, 202, 202, 403]);
    assert_eq!(kick_off(&endpoint, "GET", target, "", &none).unwrap_err().status, 403);
}

#[test]
fn the_scope_of_the_operation_is_that_of_one_patient_or_of_the_system() {
    let endpoint = endpoint(&deployment());
    let status = |target: &str, principal: &Principal| match kick_off(&endpoint, "POST", target, "", principal) {
        Ok((_, response)) => response.status,
        Err(response) => response.status,
    };
    let own = "/fhir/Patient/p1/$ehi-export";
    assert_eq!(status(own, &ehi_patient()), 202);
    assert_eq!(status("/fhir/Patient/p2/$ehi-export", &ehi_patient()), 403, "EHI-AUTH-05");
    assert_eq!(status("/fhir/Patient/p2/$ehi-export", &known(&["system/$ehi-export"], None)), 202, "EHI-AUTH-02");
    assert_eq!(status("/fhir/Patient/none/$ehi-export", &known(&["system/$ehi-export"], None)), 404, "EHI-KICK-12");
    assert_eq!(status("/fhir/Patient/none/$ehi-export", &ehi_patient()), 403, "not even whether it exists");
    for scopes in [&["patient/*.rs"][..], &["system/*.rs"], &["system/*.read", "user/$ehi-export"], &[]] {
        assert_eq!(status(own, &known(scopes, Some("p1"))), 403, "EHI-AUTH-06 {scopes:?}");
    }
    assert_eq!(status("/fhir/Patient/$export", &known(&["system/$ehi-export"], None)), 403);
    let get = kick_off(&endpoint, "GET", own, "", &ehi_patient()).unwrap_err();
    assert_eq!((get.status, header(&get, "allow")), (405, Some("POST")), "EHI-KICK-01");
    // The poll is judged like the kick-off.
    let (mut job, _) = ehi(&endpoint);
    let target = format!("/fhir/bulk/{}", job.id());
    let request = Request { method: "GET", target: &target, headers: &[], body: b"" };
    let narrower = known(&["patient/$ehi-export"], Some("p2"));
    assert_eq!(job.handle_request(&endpoint, &request, &narrower, &mut PollAccount::default(), at(1)).0.status, 403);
}

#[test]
fn vendor_parameters_are_those_that_the_deployment_declares() {
    let endpoint = endpoint(&deployment());
    let ask = |parameters: Value| {
        let body = json!({ "resourceType": "Parameters", "parameter": parameters }).to_string();
        kick_off(&endpoint, "POST", "/fhir/Patient/p1/$ehi-export", &body, &ehi_patient())
    };
    let (job, _) = ask(json!([{ "name": "charts", "valueCode": "signed" }])).unwrap();
    assert_eq!(job.plan().vendor_parameters.get("charts"), Some(&vec!["signed".to_owned()]));
    for (wrong, said) in [
        (json!([{ "name": "charts", "valueCode": "unsigned" }]), "`charts` takes `all`, `signed`"),
        (
            json!([{ "name": "chart", "valueCode": "all" }]),
            "`chart` is no parameter of `$ehi-export`; this server's are `charts`",
        ),
        (json!([{ "name": "_type", "valueString": "Patient" }]), "`_type` is no parameter of `$ehi-export`"),
    ] {
        let refused = ask(wrong).unwrap_err();
        assert!(refused.status == 400 && text(&refused).contains(said), "{}", text(&refused));
    }
    let bulk = kick_off(&endpoint, "GET", "/fhir/$export?charts=all", "", &known(&["system/*.rs"], None)).unwrap_err();
    assert_eq!(bulk.status, 400, "of another operation");
}

#[test]
fn a_rejection_ends_the_export_and_the_note_stays_with_staff() {
    let endpoint = endpoint(&deployment());
    let (mut job, _) = ehi(&endpoint);
    job.apply(Command::FormSubmitted { answers: FormAnswers::default() }, at(1)).unwrap();
    let reject = |code: &str| Command::Reject {
        step: "contract".into(),
        code: code.into(),
        by: "staff-7".into(),
        note: "SECRET: called the patient".into(),
    };
    assert_eq!(job.apply(reject("because"), at(2)), Err(JobMisuse::UnknownRejection));
    job.apply(reject("identity"), at(2)).unwrap();
    let failed = poll(&mut job, &endpoint, 3);
    assert!((400..500).contains(&failed.status), "{}", failed.status);
    assert!(text(&failed).contains("the identity of the requester could not be confirmed"), "EHI-STAT-06");
    assert!(!text(&failed).contains("SECRET") && failed.headers.iter().all(|(_, value)| !value.contains("SECRET")));
    assert_eq!(job.steps_taken()[0].note, "SECRET: called the patient");
    assert_eq!(job.wants("h", at(3)), Wants::Nothing, "nothing was written");
}

#[test]
fn no_wait_is_for_ever() {
    let endpoint = endpoint(&deployment());
    let expect_timeout = |job: &mut Job, deadline: u64| {
        assert_eq!(job.wake_at().map(|wake| wake <= at(deadline)), Some(true));
        assert!(!job.handle_timeout(at(deadline - 1)).job);
        assert!(job.handle_timeout(at(deadline)).job);
        let failed = poll(job, &endpoint, deadline + 1);
        assert!(failed.status >= 400 && text(&failed).contains("timeout"), "{}", text(&failed));
    };
    let (mut job, _) = ehi(&endpoint);
    expect_timeout(&mut job, 1_000);
    let (mut job, _) = ehi(&endpoint);
    job.apply(Command::FormSubmitted { answers: FormAnswers::default() }, at(1)).unwrap();
    expect_timeout(&mut job, 1 + 14 * 86_400);
    let (mut job, _) = ehi(&endpoint);
    job.apply(Command::FormSubmitted { answers: FormAnswers::default() }, at(1)).unwrap();
    job.apply(approve("contract"), at(1)).unwrap();
    job.apply(approve("fee"), at(1)).unwrap();
    expect_timeout(&mut job, 1 + 3_600);
    let (mut job, _) = ehi(&endpoint);
    job.apply(Command::FormSubmitted { answers: FormAnswers::default() }, at(1)).unwrap();
    job.apply(approve("contract"), at(1)).unwrap();
    job.apply(approve("fee"), at(1)).unwrap();
    run(&mut job, 2);
    expect_timeout(&mut job, 2 + 56 * 86_400);
    assert_eq!(job.wants("h", at(100_000_000)), Wants::Remove, "what was written is removed");
}

#[test]
fn a_job_that_outlasts_every_host_is_not_begun_again_for_ever() {
    let endpoint = endpoint(&deployment());
    let (mut job, _) = ehi(&endpoint);
    job.apply(Command::FormSubmitted { answers: FormAnswers::default() }, at(1)).unwrap();
    job.apply(approve("contract"), at(1)).unwrap();
    job.apply(approve("fee"), at(1)).unwrap();
    // Each host that takes it is lost with it.
    let mut now = 2;
    while let Wants::Run { .. } = job.wants("h", at(now)) {
        assert!(now < 10_000, "it is begun again for ever");
        let (until, transaction_time) = (at(now + 60), at(now));
        let (holder, snapshot) = ("h".into(), String::new());
        job.apply(Command::Begin { holder, until, transaction_time, snapshot, partitions: 1 }, at(now)).unwrap();
        now += 60;
    }
    assert!(job.wake_at().is_some_and(|wake| wake <= at(now)), "it is looked at all the same");
    assert!(job.handle_timeout(at(now)).job);
    assert_eq!(job.state(), State::Failed);
}

#[test]
fn a_failed_job_is_not_forgotten_before_its_last_upload_can_have_ended() {
    let mut config = deployment();
    config["retentionSeconds"] = json!(60);
    let endpoint = endpoint(&config);
    let (mut job, _) = ehi(&endpoint);
    assert!(job.handle_timeout(at(1_000)).job);
    assert_eq!(job.state(), State::FailedEmpty);
    assert_eq!(poll(&mut job, &endpoint, 1_061).status, 404, "its error is told for the retention");
    assert_eq!(job.wants("h", at(1_000 + TOMBSTONE_SECONDS - 1)), Wants::Nothing);
    assert_eq!(job.wants("h", at(1_000 + TOMBSTONE_SECONDS)), Wants::Forget);
}

#[test]
fn a_waiting_job_can_be_deleted_and_the_form_comes_too_late() {
    let endpoint = endpoint(&deployment());
    let (mut job, _) = ehi(&endpoint);
    let target = format!("/fhir/bulk/{}", job.id());
    let delete = Request { method: "DELETE", target: &target, headers: &[], body: b"" };
    let (deleted, effects) = job.handle_request(&endpoint, &delete, &ehi_patient(), &mut PollAccount::default(), at(5));
    assert_eq!((deleted.status, effects.job), (202, true), "EHI-STAT-07");
    assert_eq!(poll(&mut job, &endpoint, 6).status, 404);
    let late = job.apply(Command::FormSubmitted { answers: FormAnswers::default() }, at(7));
    assert_eq!(late, Err(JobMisuse::WrongState(State::Gone)));
}

#[test]
fn answers_never_widen_an_export() {
    let endpoint = endpoint(&deployment());
    let submit = |answers: Value| {
        let (mut job, _) = ehi(&endpoint);
        let answers = serde_json::from_value(answers).unwrap();
        let before = job.clone();
        let outcome = job.apply(Command::FormSubmitted { answers }, at(1)).map(|_| job.plan().types.clone());
        assert!(outcome.is_ok() || job == before, "a command that is not taken changes nothing");
        outcome
    };
    for wrong in [
        json!({ "types": ["Surprise"] }),
        json!({ "withheldLabels": ["HIV"], "types": ["Patient"] }),
        json!({ "typeFilters": ["Observation?bogus"] , "types": ["nothing"] }),
    ] {
        assert_eq!(submit(wrong.clone()), Err(JobMisuse::Answers), "{wrong}");
    }
    let none = submit(json!({ "types": [] })).unwrap();
    assert!(!none.has("Patient"), "who releases nothing exports nothing");
}

#[test]
fn a_client_that_never_listens_is_ended() {
    let endpoint = endpoint(&deployment());
    let (mut job, _) = ehi(&endpoint);
    let target = format!("/fhir/bulk/{}", job.id());
    let request = Request { method: "GET", target: &target, headers: &[], body: b"" };
    let mut account = PollAccount::default();
    let mut status =
        |job: &mut Job| job.handle_request(&endpoint, &request, &ehi_patient(), &mut account, at(1)).0.status;
    assert_eq!([status(&mut job), status(&mut job), status(&mut job), status(&mut job)], [202, 429, 429, 429]);
    assert_eq!(job.state(), State::AwaitingPatient);
    assert_eq!(status(&mut job), 429, "BD-STAT-06");
    assert_eq!(job.state(), State::FailedEmpty);
    assert!(text(&poll(&mut job, &endpoint, 60)).contains("polled too fast"));
}

#[test]
fn status_travels_beside_the_answer_if_the_client_asks_for_it() {
    let endpoint = endpoint(&deployment());
    let principal = known(&["system/*.rs"], None);
    let headers: &[(&str, &[u8])] =
        &[("Prefer", b"respond-async"), ("prefer", b"handling=lenient, Separate-Export-Status")];
    let request = Request { method: "GET", target: "/fhir/$export", headers, body: b"" };
    let Route::KickOff(kick_off) = endpoint.route(&request, &principal) else { panic!("no kick-off") };
    let facts = Facts { active_jobs: Some(0), ..Facts::default() };
    let decision = endpoint.decide(*kick_off, &principal, &facts, JobId::from_entropy([2; 16]), at(0));
    let Decision::Accepted(mut job, accepted) = decision else { panic!("refused") };
    assert_eq!(header(&accepted, "preference-applied"), Some("respond-async, separate-export-status"), "BD-HDR-06");
    let target = format!("/fhir/bulk/{}", job.id());
    let poll = Request { method: "GET", target: &target, headers: &[], body: b"" };
    let status = |job: &mut Job, seconds| {
        let (response, _) = job.handle_request(&endpoint, &poll, &principal, &mut PollAccount::default(), at(seconds));
        (response.status, header(&response, "x-export-status").map(str::to_owned))
    };
    assert_eq!(status(&mut job, 1), (200, Some("202".into())), "BD-HDR-07");
    run(&mut job, 2);
    assert_eq!(status(&mut job, 3), (200, Some("200".into())));
}

#[test]
fn records_of_older_versions_are_read_and_of_a_newer_one_refused() {
    let first = include_str!("golden/record-1.json").trim_end();
    let job = Job::decode(first).unwrap();
    assert_eq!((job.state(), job.wants("h", at(0))), (State::Running, job.wants("h", at(0))));
    let Wants::Run { partitions, .. } = job.wants("h", at(100_000_000)) else { panic!("it is to be run") };
    assert_eq!(partitions.len(), 1);
    assert!(partitions[0].checkpoint.is_some());
    let again = Job::decode(&job.encode()).unwrap();
    assert_eq!(again, job);
    // An export that was asked for before a patient's Binaries were exported stays what it was.
    let second = Job::decode(include_str!("golden/record-2.json").trim_end()).unwrap();
    assert_eq!((second.state(), second.plan().passes()), (State::AwaitingPatient, vec![Pass::Main, Pass::Context]));
    assert_eq!(Job::decode(&second.encode()).unwrap(), second);
    // One whose pages were dealt before there was a choice goes on as it began.
    let fourth = Job::decode(include_str!("golden/record-4.json").trim_end()).unwrap();
    assert_eq!((fourth.pages_shown(), Job::decode(&fourth.encode()).unwrap()), (1, fourth.clone()));
    // The present one, byte for byte: what changes its shape raises the version.
    let present = include_str!("golden/record-5.json").trim_end();
    assert_eq!(Job::decode(present).unwrap().encode(), present);
    let newer = first.replacen("\"version\":1", "\"version\":99", 1);
    assert_eq!(Job::decode(&newer), Err(JobMisuse::TooNew));
    assert_eq!(Job::decode(&first.replacen("\"version\":1", "\"version\":0", 1)), Err(JobMisuse::Unreadable));
}

#[test]
fn no_number_in_a_record_or_a_command_is_too_large_for_it() {
    let begin = |partitions| Command::Begin {
        holder: "h".into(),
        until: at(100_000_010),
        transaction_time: at(1),
        snapshot: "1".into(),
        partitions,
    };
    let record = include_str!("golden/record-1.json").trim_end();
    let mut last = Job::decode(&record.replacen("\"epoch\":1", &format!("\"epoch\":{}", u64::MAX), 1)).unwrap();
    let before = last.clone();
    assert_eq!(last.apply(begin(1), at(100_000_000)), Err(JobMisuse::Unreadable), "an epoch does not come again");
    assert_eq!(last, before);

    let endpoint = endpoint(&deployment());
    let accepted =
        || kick_off(&endpoint, "GET", "/fhir/$export", "", &known(&["system/*.rs"], None)).map(|(job, _)| job).unwrap();
    assert_eq!(accepted().apply(begin(PARTITIONS_MAX + 1), at(1)), Err(JobMisuse::TooManyPartitions));
    let mut job = accepted();
    let (epoch, _) = job.apply(begin(PARTITIONS_MAX), at(1)).unwrap();
    job.record.files = u64::MAX;
    let row = OutputFile {
        section: crate::manifest::Section::Output,
        resource_type: None,
        name: "a".into(),
        key: "a".into(),
        content_type: None,
        count: u64::MAX,
        bytes: u64::MAX,
        gzip_bytes: None,
        sha256: None,
        continues_in_file: None,
        page: None,
    };
    let checkpoint = crate::writer::Checkpoint { resume: crate::writer::Resume::Start, kinds: Vec::new() };
    let rows = vec![row.clone(), row];
    job.apply(Command::Publish { epoch, partition: 0, rows, checkpoint }, at(2)).unwrap();
    assert_eq!((job.record.files, job.record.bytes), (u64::MAX, u64::MAX));
}

/// A host writes a poll account for each poll, and record, row and nothing else for each publish.
#[test]
fn what_is_stored_stays_small_at_any_number_of_files() {
    let json = json!({ "baseUrl": "https://ehr.example/fhir", "auth": "none", "pollIntervalMillis": 1_000 });
    let endpoint = endpoint(&json);
    let (mut job, _) = kick_off(&endpoint, "GET", "/fhir/$export", "", &Principal::Open).unwrap();
    let begin = Command::Begin {
        holder: "0123456789abcdef0123456789abcdef".into(),
        until: at(10),
        transaction_time: at(1),
        snapshot: "0123456789abcdef".into(),
        partitions: 1,
    };
    let (epoch, _) = job.apply(begin, at(1)).unwrap();
    let mut account = PollAccount::default();
    let mut publish_bytes = 0;
    for number in 0..10_000_u32 {
        let row = OutputFile {
            section: crate::manifest::Section::Output,
            resource_type: crate::Definitions::R4.resource_type("Observation"),
            name: format!("Observation-{number:04}.ndjson"),
            key: format!("{}/1-Observation-{number:04}.ndjson", job.id()),
            content_type: None,
            count: 100_000,
            bytes: 100_000_000,
            gzip_bytes: None,
            sha256: Some("0".repeat(64)),
            continues_in_file: None,
            page: None,
        };
        let row_bytes = serde_json::to_string(&row).unwrap().len();
        let checkpoint = crate::writer::Checkpoint {
            resume: crate::writer::Resume::At {
                cursor: b"observations-0001.ndjson".to_vec(),
                offset: 1 << 40,
                source: "observations-0001.ndjson".into(),
                line: 1 << 40,
            },
            kinds: Vec::new(),
        };
        job.apply(Command::Publish { epoch, partition: 0, rows: vec![row], checkpoint }, at(2)).unwrap();
        publish_bytes = job.encode().len() + row_bytes;
        let poll = Request { method: "GET", target: &format!("/fhir/bulk/{}", job.id()), headers: &[], body: b"" };
        let (_, effects) = job.handle_request(&endpoint, &poll, &Principal::Open, &mut account, at(2));
        assert!(effects.account && !effects.job, "a poll writes its account alone");
    }
    let account_bytes = serde_json::to_string(&account).unwrap().len();
    assert!(account_bytes <= 64, "{account_bytes} bytes for a poll");
    assert!(publish_bytes <= 2_048, "{publish_bytes} bytes for a publish");
}

//! `Patient/[id]/$ehi-export` of the Argonaut EHI Export API, over HTTP, with the people who take part in it.

use std::thread;

use ehi_tests::{
    http::Reply,
    records::{names, observation, patient, resource, set},
    requirement,
    server::{POLL_INTERVAL, Server, data},
    tokens::{settings, tokens},
};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

const TARGET: &str = "Patient/p1/$ehi-export";

fn records() -> TempDir {
    let lines = [patient("p1"), patient("p2"), observation("o1", "p1"), observation("o2", "p2")];
    data(&[("a.ndjson", &lines.join("\n"))])
}

fn people() -> NamedTempFile {
    tokens(&[
        ("app", json!({ "scopes": ["patient/$ehi-export"], "patient": "p1" })),
        ("backend", json!({ "scopes": ["system/$ehi-export"] })),
        ("bulk", json!({ "scopes": ["system/*.rs", "patient/*.rs"], "patient": "p1" })),
        ("records", json!({ "staff": "records-7" })),
    ])
}

/// Settings with a form and two steps, or with none of them.
fn deployment(with_people: bool) -> NamedTempFile {
    let steps = json!({
        "patientForm": { "url": "https://portal.example/forms/{job}", "deadlineSeconds": 3600 },
        "before": [{ "name": "fee", "progress": "the fee is being collected", "deadlineSeconds": 3600 }],
        "release": [{ "name": "review", "progress": "records staff are reviewing the files", "deadlineSeconds": 3600 }],
        "rejectionCodes": [{ "code": "identity", "text": "the identity of the requester could not be confirmed" }],
    });
    settings(&json!({
        "ehi": { "documentationUrl": "https://ehr.example/formats" },
        "steps": if with_people { steps } else { json!({}) },
    }))
}

fn server(data: &TempDir, with_people: bool, arguments: &[&str]) -> (Server, NamedTempFile, NamedTempFile) {
    let (people, settings) = (people(), deployment(with_people));
    let server = Server::start_with_tokens(data.path(), people.path(), Some(settings.path()), arguments);
    (server, people, settings)
}

fn post(server: &Server, target: &str, headers: &[(&str, &str)]) -> Reply {
    server.send("POST", target, headers, "")
}

/// A step of staff; the status of the answer.
fn step(server: &Server, location: &str, step: &Value) -> u16 {
    server.bear("records");
    let job = location.rsplit('/').next().unwrap();
    let headers = [("Content-Type", "application/json")];
    let status = server.send("POST", &format!("/staff/jobs/{job}"), &headers, &step.to_string()).status;
    server.bear("app");
    status
}

fn poll(server: &Server, location: &str) -> Reply {
    thread::sleep(POLL_INTERVAL);
    server.get(location)
}

/// Polls until the work that needs no people is done.
fn poll_until(server: &Server, location: &str, status: u16, progress: &str) -> Reply {
    for _ in 0..100 {
        let reply = poll(server, location);
        let says = reply.header("x-progress").unwrap_or_default().to_owned();
        if reply.status == status && says.starts_with(progress) {
            return reply;
        }
        assert_eq!(reply.status, 202, "{}", String::from_utf8_lossy(&reply.body));
    }
    panic!("`{progress}` was never said");
}

#[test]
fn a_patient_gets_the_own_record() {
    let data = records();
    let (server, _people, _settings) = server(&data, false, &[]);
    server.bear("app");
    assert_eq!(server.get(TARGET).status, 405);
    let accepted = post(&server, TARGET, &[("Prefer", "respond-async")]);
    assert_eq!(accepted.status, 202, "an empty body asks for everything");
    assert_eq!(accepted.header("link"), None, "nobody has to do anything");
    let location = server.target_of(accepted.header("content-location").unwrap());
    let done = server.poll(&location);
    assert_eq!((done.status, done.header("content-type")), (200, Some("application/json")));
    let manifest = done.json();
    assert_eq!(names(&server.lines(&manifest, "output")), set(&["Observation/o1", "Patient/p1"]));
    assert_eq!(manifest["extension"]["ehiDocumentationUrl"], "https://ehr.example/formats");
    assert_eq!(manifest["request"], format!("{}/{TARGET}", server.base));
    requirement!(server, "EHI-KICK-01", "EHI-KICK-05", "EHI-STAT-05", "EHI-MAN-01", "EHI-MAN-03");
}

#[test]
fn documents_stand_beside_resources_and_their_formats_are_documented() {
    let scan = r#"{"resourceType":"Binary","id":"scan","contentType":"image/png","securityContext":{"reference":"Patient/p1"},"data":"iVBORw0KGgo="}"#;
    let data = data(&[("a.ndjson", &[patient("p1"), observation("o1", "p1"), scan.to_owned()].join("\n"))]);
    let (server, _people, _settings) = server(&data, false, &[]);
    server.bear("app");
    let accepted = post(&server, TARGET, &[("Prefer", "respond-async")]);
    let location = server.target_of(accepted.header("content-location").unwrap());
    let manifest = server.poll(&location).json();
    let types: Vec<&str> =
        manifest["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["DocumentReference", "Observation", "Patient"]);
    assert_eq!(server.lines(&manifest, "output").len(), 3);
    assert_eq!(manifest["extension"]["ehiDocumentationUrl"], "https://ehr.example/formats");
    requirement!(server, "EHI-MAN-02", "EHI-KICK-04");
}

#[test]
fn the_scope_of_the_operation_is_needed_and_is_bound_to_the_patient() {
    let data = records();
    let (server, _people, _settings) = server(&data, false, &["--jobs", "20"]);
    let status = |token: &str, target: &str| {
        server.bear(token);
        post(&server, target, &[("Prefer", "respond-async")]).status
    };
    assert_eq!(status("app", TARGET), 202);
    assert_eq!(status("app", "Patient/p2/$ehi-export"), 403);
    assert_eq!(status("backend", "Patient/p2/$ehi-export"), 202);
    assert_eq!(status("bulk", TARGET), 403, "scopes of resources do not imply it");
    server.bear("app");
    assert_eq!(server.get("Patient/p1/$export").status, 403, "nor does it imply them");
    server.bear("backend");
    let unknown = post(&server, "Patient/none/$ehi-export", &[("Prefer", "respond-async")]);
    assert_eq!(unknown.status, 404);
    assert!(!unknown.outcome().is_empty());
    requirement!(server, "EHI-AUTH-02", "EHI-AUTH-05", "EHI-AUTH-06", "EHI-AUTH-07", "EHI-KICK-12");
}

#[test]
fn the_patient_is_sent_to_the_form_until_it_is_filled_in() {
    let data = records();
    let (server, _people, _settings) = server(&data, true, &[]);
    server.bear("app");
    let accepted = post(&server, TARGET, &[("Prefer", "respond-async")]);
    let location = server.target_of(accepted.header("content-location").expect("with the link and without"));
    let job = location.rsplit('/').next().unwrap();
    let link = format!("<https://portal.example/forms/{job}>; rel=\"patient-interaction\"");
    assert_eq!(accepted.header("link"), Some(link.as_str()));
    for _ in 0..2 {
        let waiting = poll(&server, &location);
        assert_eq!((waiting.status, waiting.header("link")), (202, Some(link.as_str())));
    }
    assert_eq!(step(&server, &location, &json!({ "approve": { "step": "fee" } })), 409, "the form comes first");
    assert_eq!(step(&server, &location, &json!({ "formSubmitted": { "answers": {} } })), 200);
    let after = poll(&server, &location);
    assert_eq!((after.status, after.header("link")), (202, None));
    requirement!(server, "EHI-KICK-05", "EHI-KICK-06", "EHI-KICK-07", "EHI-STAT-02");
}

#[test]
fn the_form_is_handed_in_by_who_the_deployment_knows() {
    let data = records();
    let (server, _people, _settings) = server(&data, true, &[]);
    server.bear("app");
    let accepted = post(&server, TARGET, &[("Prefer", "respond-async")]);
    let location = server.target_of(accepted.header("content-location").unwrap());
    let job = location.rsplit('/').next().unwrap();
    let hand_in = || {
        let form = json!({ "formSubmitted": { "answers": {} } }).to_string();
        server.send("POST", &format!("/staff/jobs/{job}"), &[("Content-Type", "application/json")], &form).status
    };
    server.bear_none();
    assert_eq!(hand_in(), 401, "the page of the form has to say who it is");
    server.bear("app");
    assert_eq!(hand_in(), 401, "and the app's token is not the page's");
    let waiting = poll(&server, &location);
    assert_eq!((waiting.status, waiting.header("link")), (202, accepted.header("link")), "nothing has changed");
    requirement!(server, "EHI-KICK-09");
}

#[test]
fn the_browser_goes_back_to_where_the_app_registered_and_nowhere_else() {
    let data = records();
    let url = "https://app.example/ehi/done?from=form";
    let form = json!({ "url": "https://portal.example/forms/{job}", "deadlineSeconds": 3600 });
    let settings = settings(&json!({
        "ehi": { "documentationUrl": "https://ehr.example/formats" },
        "steps": { "patientForm": form },
        "clients": { "app": { "interactionReturnUrl": url } },
    }));
    let people = people();
    let server = Server::start_with_tokens(data.path(), people.path(), Some(settings.path()), &["--jobs", "20"]);
    let asked = |bearer: &str| {
        server.bear(bearer);
        let accepted = post(&server, TARGET, &[("Prefer", "respond-async")]);
        server.target_of(accepted.header("content-location").unwrap())
    };
    let submit = |location: &str, query: &str, content_type: &str, body: &str| {
        server.bear("records");
        let headers =
            [("Content-Type", content_type), ("Referer", "https://evil.example/"), ("X-Forwarded-Host", "evil")];
        let target = format!("/staff/jobs/{}{query}", location.rsplit('/').next().unwrap());
        let answer = server.send("POST", &target, &headers, body);
        (answer.status, answer.header("location").map(str::to_owned))
    };
    let (browser, json) = ("application/x-www-form-urlencoded; charset=UTF-8", "application/json");
    let location = asked("app");
    assert_eq!(submit(&location, "", browser, "redirect_uri=https%3A%2F%2Fevil.example"), (400, None), "no such field");
    assert_eq!(submit(&location, "", browser, "types=Surprise"), (409, None), "a form that is refused stays one");
    let fields = "types=&types=Patient&withheldLabels=";
    let back = (302, Some(url.to_owned()));
    assert_eq!(submit(&location, "?redirect_uri=https://evil.example", browser, fields), back);
    assert_eq!(submit(&location, "", browser, fields), (409, None), "it is sent once");
    server.bear("app");
    let manifest = server.poll(&location).json();
    assert_eq!(names(&server.lines(&manifest, "output")), set(&["Patient/p1"]), "what the form left in");

    let location = asked("app");
    assert_eq!(submit(&location, "", json, r#"{"formSubmitted":{"answers":{}}}"#), back);
    let location = asked("backend");
    let said_to_be_a_form = submit(&location, "", browser, r#"{"formSubmitted":{"answers":{}}}"#);
    assert_eq!(said_to_be_a_form, (200, None), "JSON is JSON, and this client registered no address");
    requirement!(server, "EHI-KICK-10");
}

#[test]
fn people_take_their_steps_before_and_after_the_export() {
    let data = records();
    let (server, _people, _settings) = server(&data, true, &[]);
    server.bear("app");
    let accepted = post(&server, TARGET, &[("Prefer", "respond-async")]);
    let location = server.target_of(accepted.header("content-location").unwrap());
    let answers = json!({ "formSubmitted": { "answers": { "types": ["Patient"] } } });
    assert_eq!(step(&server, &location, &answers), 200);
    assert_eq!(poll(&server, &location).header("x-progress"), Some("the fee is being collected"));
    assert_eq!(step(&server, &location, &json!({ "approve": { "step": "fee" } })), 200);
    poll_until(&server, &location, 202, "records staff are reviewing");
    assert_eq!(server.get(&format!("{location}/files/Patient-0001.ndjson")).status, 404, "not released yet");
    assert_eq!(step(&server, &location, &json!({ "approve": { "step": "other" } })), 409);
    assert_eq!(step(&server, &location, &json!({ "approve": { "step": "review" } })), 200);
    let manifest = poll_until(&server, &location, 200, "").json();
    assert_eq!(names(&server.lines(&manifest, "output")), set(&["Patient/p1"]), "what the form left in");
    assert_eq!(manifest["request"], format!("{}/{TARGET}", server.base));
    assert_eq!(server.delete(&location).status, 202);
    assert_eq!(poll(&server, &location).status, 404);
    // Nobody but staff takes steps.
    let headers = [("Content-Type", "application/json")];
    let target = format!("/staff/jobs/{}", location.rsplit('/').next().unwrap());
    for token in ["app", "bulk"] {
        server.bear(token);
        assert_eq!(server.send("POST", &target, &headers, "{}").status, 401);
        assert_eq!(server.send("GET", &target, &[], "").status, 401);
    }
    requirement!(server, "EHI-STAT-03", "EHI-STAT-04", "ASY-05");
}

#[test]
fn what_the_patient_did_not_release_is_in_no_file() {
    let sensitive = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY" }]);
    let members = json!({ "meta": { "security": sensitive }, "subject": { "reference": "Patient/p1" } });
    let lines = [patient("p1"), observation("o1", "p1"), resource("Observation", "o3", members)];
    let data = data(&[("a.ndjson", &lines.join("\n"))]);
    let (server, _people, _settings) = server(&data, true, &[]);
    server.bear("app");
    let location = server.accepted(&post(&server, TARGET, &[("Prefer", "respond-async")]));
    let withheld = ["http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"];
    let answers = json!({ "formSubmitted": { "answers": { "withheldLabels": withheld } } });
    assert_eq!(step(&server, &location, &answers), 200);
    assert_eq!(step(&server, &location, &json!({ "approve": { "step": "fee" } })), 200);
    poll_until(&server, &location, 202, "records staff are reviewing");
    assert_eq!(step(&server, &location, &json!({ "approve": { "step": "review" } })), 200);
    let manifest = poll_until(&server, &location, 200, "").json();
    assert_eq!(names(&server.lines(&manifest, "output")), set(&["Observation/o1", "Patient/p1"]));
    assert_eq!(manifest["error"], json!([]), "no report tells of it");
    requirement!(server, "BD-SEC-11");
}

#[test]
fn a_rejection_is_told_and_a_request_can_be_withdrawn() {
    let data = records();
    let (server, _people, _settings) = server(&data, true, &[]);
    server.bear("app");
    let location = server.accepted(&post(&server, TARGET, &[("Prefer", "respond-async")]));
    assert_eq!(step(&server, &location, &json!({ "formSubmitted": { "answers": {} } })), 200);
    let reject = |code: &str| json!({ "reject": { "step": "fee", "code": code, "note": "NOTE-OF-STAFF" } });
    assert_eq!(step(&server, &location, &reject("whim")), 409);
    assert_eq!(step(&server, &location, &reject("identity")), 200);
    let rejected = poll(&server, &location);
    assert!((400..500).contains(&rejected.status), "{rejected:?}");
    assert!(rejected.outcome().contains("identity of the requester could not be confirmed"));
    assert!(!rejected.outcome().contains("NOTE"), "notes stay with staff");

    let location = server.accepted(&post(&server, TARGET, &[("Prefer", "respond-async")]));
    assert_eq!(server.delete(&location).status, 202);
    assert_eq!(poll(&server, &location).status, 404);
    assert_eq!(step(&server, &location, &json!({ "formSubmitted": { "answers": {} } })), 409, "the form is too late");
    requirement!(server, "EHI-STAT-06", "EHI-STAT-07");
}

#[test]
fn a_web_page_of_the_named_origin_can_be_the_client() {
    let data = records();
    let (server, _people, _settings) = server(&data, true, &["--cors", "https://app.example"]);
    let asked = [
        ("Origin", "https://app.example"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,prefer,content-type"),
    ];
    let preflight = server.send("OPTIONS", TARGET, &asked, "");
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example"));
    let allowed = preflight.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    assert!(["authorization", "prefer", "content-type"].iter().all(|name| allowed.contains(name)), "{allowed}");
    server.bear("app");
    let headers = [("Prefer", "respond-async"), ("Origin", "https://app.example")];
    let accepted = post(&server, TARGET, &headers);
    let exposed = accepted.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
    for name in ["content-location", "link", "retry-after", "x-progress", "expires"] {
        assert!(exposed.contains(name), "{name} of {exposed}");
    }
    assert_eq!(accepted.status, 202);
    requirement!(server, "EHI-AUTH-04");
}

#[test]
fn a_request_without_preferences_follows_the_policy() {
    let data = records();
    let (server, _people, _settings) = server(&data, false, &["--jobs", "20"]);
    server.bear("app");
    assert_eq!(post(&server, TARGET, &[]).status, 202, "the policy is lenient unless told otherwise");
    let members = json!({ "ehi": { "documentationUrl": "https://ehr.example/formats" }, "preferRequired": true });
    let (people, strict) = (people(), settings(&members));
    let server = Server::start_with_tokens(data.path(), people.path(), Some(strict.path()), &[]);
    server.bear("app");
    let refused = post(&server, TARGET, &[]);
    assert_eq!(refused.status, 400);
    assert!(refused.outcome().contains("Prefer"));
    let accepted = post(&server, TARGET, &[("Prefer", "respond-async")]);
    assert_eq!(accepted.status, 202);
    assert!(accepted.header("content-location").is_some());
    requirement!(server, "EHI-KICK-11", "ASY-02");
}

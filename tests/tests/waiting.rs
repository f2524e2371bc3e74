//! Exports that wait for people, and what their clients are told meanwhile: the status beside the answer, and what
//! becomes of those who do not listen.

use std::{thread, time::Duration};

use ehi_tests::{
    http::Reply,
    records::ward,
    requirement,
    server::{KICK_OFF_HEADERS, POLL_INTERVAL, Server},
    tokens::{settings, tokens},
};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

fn people() -> NamedTempFile {
    tokens(&[("app", json!({ "scopes": ["system/*.rs"] })), ("records", json!({ "staff": "records-7" }))])
}

/// A server where staff look at every export before it begins.
fn server(more: &Value) -> (Server, TempDir, [NamedTempFile; 2]) {
    let review = json!({ "name": "review", "progress": "the request is being reviewed", "deadlineSeconds": 3600 });
    let code = json!({ "code": "no", "text": "the request was declined" });
    let mut members = json!({ "steps": { "before": [review], "rejectionCodes": [code] } });
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (people, settings) = (people(), settings(&members));
    let data = ward();
    let server = Server::start_with_tokens(data.path(), people.path(), Some(settings.path()), &[]);
    server.bear("app");
    (server, data, [people, settings])
}

fn tell(server: &Server, location: &str, step: &Value) {
    server.bear("records");
    let target = format!("/staff/jobs/{}", location.rsplit('/').next().unwrap());
    let headers = [("Content-Type", "application/json")];
    assert_eq!(server.send("POST", &target, &headers, &step.to_string()).status, 200);
    server.bear("app");
}

fn poll(server: &Server, location: &str) -> Reply {
    thread::sleep(POLL_INTERVAL);
    server.get(location)
}

#[test]
fn the_status_of_the_export_travels_beside_the_answer_if_asked_for() {
    let (server, _data, _files) = server(&json!({ "separateExportStatus": true }));
    let kick_off = |prefer: &[(&str, &str)]| {
        let headers = [&KICK_OFF_HEADERS[..1], prefer].concat();
        server.send("GET", "$export?_type=Patient", &headers, "")
    };
    for prefer in [
        &[("Prefer", "respond-async, separate-export-status")][..],
        &[("Prefer", "respond-async"), ("Prefer", "separate-export-status")],
    ] {
        let accepted = kick_off(prefer);
        let applied = accepted.header("preference-applied").expect("Preference-Applied").to_owned();
        assert!(applied.contains("respond-async") && applied.contains("separate-export-status"), "{applied}");
        let location = server.accepted(&accepted);
        let waiting = poll(&server, &location);
        assert_eq!((waiting.status, waiting.header("x-export-status")), (200, Some("202")));
        let is_rejected = prefer.len() == 2;
        let step = if is_rejected {
            json!({ "reject": { "step": "review", "code": "no" } })
        } else {
            json!({ "approve": { "step": "review" } })
        };
        tell(&server, &location, &step);
        let ended = loop {
            let reply = poll(&server, &location);
            assert_eq!(reply.status, 200);
            if reply.header("x-export-status") != Some("202") {
                break reply;
            }
        };
        let status = ended.header("x-export-status").unwrap().to_owned();
        assert!(status.starts_with(if is_rejected { '4' } else { '2' }), "{status}");
        assert_eq!(ended.json().get("output").is_some(), !is_rejected);
    }
    // Who does not ask is answered as ever.
    let accepted = kick_off(&[("Prefer", "respond-async")]);
    let waiting = poll(&server, &server.accepted(&accepted));
    assert_eq!((waiting.status, waiting.header("x-export-status")), (202, None));
    requirement!(server, "BD-HDR-06", "BD-HDR-07");
}

#[test]
fn who_never_stops_polling_too_fast_loses_the_export() {
    let (server, _data, _files) = server(&json!({ "pollStrikesMax": 3, "pollIntervalMillis": 2_000 }));
    let location = server.kick_off("$export?_type=Patient");
    assert_eq!(server.get(&location).status, 202);
    let hurried: Vec<u16> = (0..4).map(|_| server.get(&location).status).collect();
    assert_eq!(hurried, [429, 429, 429, 429]);
    thread::sleep(Duration::from_millis(2_100));
    let ended = server.get(&location);
    assert!(ended.status >= 400 && ended.status != 429 && !ended.outcome().is_empty(), "{ended:?}");
    // What it wanted to do is over.
    server.bear("records");
    let target = format!("/staff/jobs/{}", location.rsplit('/').next().unwrap());
    let step = json!({ "approve": { "step": "review" } }).to_string();
    let refused = server.send("POST", &target, &[("Content-Type", "application/json")], &step);
    assert_eq!(refused.status, 409);
    requirement!(server, "BD-STAT-06");
}

//! The audit log of a server: each decision once, as a FHIR AuditEvent, and no more of anyone than ids.

use std::{fs, thread};

use ehi_tests::{
    records::{folder, observation, parse, resource},
    server::{POLL_INTERVAL, Server},
    tokens::{settings, tokens},
};
use serde_json::{Value, json};

#[test]
fn every_decision_is_recorded_once_and_says_nothing_of_the_data() {
    let named = resource("Patient", "p1", json!({ "name": [{ "family": "MARK-FAMILY" }] }));
    let data = folder(&[("a.ndjson", &[named, observation("o1", "p1")])]);
    let people = tokens(&[
        ("MARK-TOKEN", json!({ "client": "app", "scopes": ["system/*.rs"] })),
        ("narrow", json!({ "scopes": ["system/Observation.rs"] })),
        ("records", json!({ "staff": "records-7" })),
    ]);
    let review = json!({ "name": "review", "progress": "the request is being reviewed", "deadlineSeconds": 3600 });
    let steps = settings(&json!({ "steps": { "before": [review] } }));
    let log = people.path().with_extension("audit");
    let arguments = ["--audit", log.to_str().unwrap()];
    let server = Server::start_with_tokens(data.path(), people.path(), Some(steps.path()), &arguments);

    server.bear("narrow");
    assert_eq!(server.get("$export?_type=Patient").status, 403);
    server.bear("MARK-TOKEN");
    assert_eq!(server.get("$export?_type=Patient&_since=MARK-SINCE").status, 400);
    let location = server.kick_off("$export?_typeFilter=Patient%3Ffamily%3DMARK-FAMILY");
    let job = location.rsplit('/').next().unwrap().to_owned();
    thread::sleep(POLL_INTERVAL);
    assert_eq!(server.get(&location).status, 202);
    server.bear("records");
    let step = json!({ "approve": { "step": "review" } }).to_string();
    let taken = server.send("POST", &format!("/staff/jobs/{job}"), &[("Content-Type", "application/json")], &step);
    assert_eq!(taken.status, 200);
    server.bear("MARK-TOKEN");
    let manifest = server.poll(&location).json();
    assert_eq!(server.files(&manifest, "output").len(), 2);
    assert_eq!(server.delete(&location).status, 202);

    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    for mark in ["MARK", "family", "Bearer"] {
        assert!(!text.contains(mark), "{mark} is in the log");
    }
    let events: Vec<Value> = text.lines().map(parse).collect();
    assert!(events.iter().all(|event| event["resourceType"] == "AuditEvent" && event["recorded"].is_string()));
    let told: Vec<(String, String)> = events
        .iter()
        .map(|event| {
            let subtype = event["subtype"].as_array().unwrap().last().unwrap()["code"].as_str().unwrap();
            (subtype.to_owned(), event["outcome"].as_str().unwrap().to_owned())
        })
        .collect();
    let count = |decision: &str, outcome: &str| {
        told.iter().filter(|(subtype, ended)| subtype == decision && ended == outcome).count()
    };
    assert_eq!((count("kick-off", "4"), count("kick-off", "0")), (2, 1), "{told:?}");
    assert_eq!((count("manifest", "0"), count("download", "0"), count("delete", "0")), (1, 2, 1), "{told:?}");
    assert_eq!(told.iter().filter(|(subtype, _)| subtype.contains("approve")).count(), 1, "{told:?}");
    assert!(text.contains("records-7"), "who took the step");
}

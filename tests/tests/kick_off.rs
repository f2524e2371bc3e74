//! Kick-off: where it is offered, what it answers, and that GET and POST ask for the same.

use std::{collections::BTreeSet, path::Path};

use ehi_tests::{
    http::Reply,
    records::{linking, names, set, ward},
    requirement,
    server::{KICK_OFF_HEADERS, MANY_FILES, POLL_INTERVAL, Server, sample},
};
use serde_json::{Value, json};

#[test]
fn an_export_is_offered_at_each_level() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let everyone = set(&["Group/both", "Group/one", "Observation/o1", "Observation/o2", "Patient/p1", "Patient/p2"]);
    let everything = &everyone | &set(&["Group/nobody", "Practitioner/d1"]);
    let p1 = set(&["Group/one", "Observation/o1", "Patient/p1"]);
    for (target, expected) in [
        ("$export", &everything),
        ("Patient/$export", &everyone),
        ("Group/both/$export", &everyone),
        ("Group/one/$export", &p1),
        ("Patient/p1/$export", &p1),
        ("Group/nobody/$export", &BTreeSet::new()),
    ] {
        for kick_off in [server.get(target), server.post(target, &json!([]))] {
            let (_, manifest) = server.finish(&kick_off);
            assert_eq!(&names(&server.lines(&manifest, "output")), expected, "{target}");
        }
    }

    let unknown = server.get("Group/unknown/$export");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.outcome(), "no such group");
    assert_eq!(server.get("Patient/unknown/$export").status, 404);
    requirement!(server, "BD-KICK-01", "BD-KICK-02", "BD-KICK-03");
}

#[test]
fn the_asynchronous_pattern_works_from_end_to_end() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let (location, running) = server.catch_running("$export");
    assert_eq!((running.status, running.body.as_slice()), (202, &b""[..]));
    let complete = server.poll(&location);
    assert_eq!(complete.status, 200);
    let manifest = complete.json();
    let file = server.get(&server.file_target(&manifest["output"][0]));
    assert_eq!(file.status, 200);
    assert!(!file.body.is_empty());
    assert_eq!(server.delete(&location).status, 202);
    assert_eq!(server.get(&location).status, 404);
    requirement!(server, "BD-KICK-04");
}

#[test]
fn the_answer_to_an_accepted_kick_off_is_an_operation_outcome() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    for target in ["$export", "Patient/$export", "Group/one/$export", "Patient/p1/$export"] {
        let reply = server.get(target);
        assert_eq!(reply.status, 202);
        let url = reply.header("content-location").expect("a polling location");
        assert!(url.starts_with(&format!("{}/", server.base)), "{url} is not an absolute URL of this server");
        assert!(reply.outcome().starts_with("the export was accepted"), "{}", reply.outcome());
        assert_eq!(reply.json()["issue"][0]["severity"], "information");
        server.poll(&server.accepted(&reply));
    }
    // What a patient-level export leaves out is said here already.
    assert!(server.get("Patient/$export").outcome().contains("not part of this export: "));
    assert!(!server.get("$export").outcome().contains("not part of this export: "));
    requirement!(server, "BD-KRSP-01", "BD-KRSP-03");
}

#[test]
fn a_polling_location_cannot_be_guessed() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "50"]);
    let prefix = format!("{}/bulk/", server.base);
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..20 {
        let reply = server.get("$export");
        let url = reply.header("content-location").expect("a polling location");
        let id = url.strip_prefix(&prefix).unwrap_or_else(|| panic!("{url} is not below {prefix}"));
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id} is not 16 random bytes");
        for other in &ids {
            let same = other.bytes().zip(id.bytes()).filter(|(a, b)| a == b).count();
            // Of 32 random digits two are alike on average; 17 have never been seen.
            assert!(same < 17, "{other} and {id} are alike");
        }
        ids.push(id.to_owned());
    }
    requirement!(server, "BD-KRSP-02");
}

#[test]
fn get_is_for_the_editions_up_to_3_0() {
    let data = ward();
    for edition in ["1", "2", "3"] {
        let server = Server::start(data.path(), &["--edition", edition]);
        let (_, manifest) = server.export("$export?_type=Patient,Observation&_since=2020-01-01T00:00:00Z");
        let expected = set(&["Observation/o1", "Observation/o2", "Patient/p1", "Patient/p2"]);
        assert_eq!(names(&server.lines(&manifest, "output")), expected, "edition {edition}");
    }
    let server = Server::start(data.path(), &["--edition", "4"]);
    for target in ["$export", "Patient/$export", "Group/one/$export"] {
        let refused = server.get(target);
        assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
        assert_eq!(refused.outcome(), "this address allows POST only");
        server.finish(&server.post(target, &json!([])));
    }
    requirement!(server, "BD-KICK-05", "BD4-01");
}

#[test]
fn get_and_post_ask_for_the_same() {
    let data = sample(8, 3);
    let links = linking();
    let server = Server::start(data.path(), &["--config", links.path().to_str().unwrap()]);
    let string = |name: &str, value: &str| json!({ "name": name, "valueString": value });
    let since = "2022-06-01T00:00:00+02:00";
    for (level, query, parameters) in [
        ("", String::new(), json!([])),
        ("Patient/", "_type=Patient,Encounter".to_owned(), json!([string("_type", "Patient,Encounter")])),
        (
            "Group/group-a/",
            format!("_since={since}&_outputFormat=ndjson&_type=Observation"),
            json!([
                { "name": "_since", "valueInstant": since },
                string("_outputFormat", "ndjson"),
                string("_type", "Observation"),
            ]),
        ),
    ] {
        let (_, by_get) = server.export(&format!("{level}$export?{query}"));
        let (_, by_post) = server.finish(&server.post(&format!("{level}$export"), &parameters));
        assert_eq!(files(&by_get), files(&by_post), "{level} {query}");
        assert!(!files(&by_get).is_empty(), "{level} {query}");
    }
    // A body that asks for nothing in particular may be left out.
    let (_, by_get) = server.export("$export");
    let (_, by_empty_post) = server.finish(&server.send("POST", "$export", &KICK_OFF_HEADERS, ""));
    assert_eq!(files(&by_get), files(&by_empty_post));
    requirement!(server, "BD-KICK-06");
}

#[test]
fn repeated_parameters_are_one_list() {
    let data = sample(8, 3);
    let types = |list: &[&str]| list.iter().map(|t| json!({ "name": "_type", "valueString": t })).collect::<Vec<_>>();
    for edition in ["2", "3"] {
        let server = Server::start(data.path(), &["--edition", edition]);
        let (_, joined) = server.export("$export?_type=Patient,Observation,Encounter");
        let (_, repeated) = server.export("$export?_type=Patient&_type=Observation,Encounter");
        let posted = server.post("$export", &json!(types(&["Patient", "Observation,Encounter"])));
        let (_, posted) = server.finish(&posted);
        assert_eq!(files(&joined).len(), 3);
        assert_eq!(files(&joined), files(&repeated), "edition {edition}");
        assert_eq!(files(&joined), files(&posted), "edition {edition}");
        requirement!(server, "BD-KICK-08");
    }
}

#[test]
fn one_export_too_many_is_asked_to_wait() {
    let data = sample(40, 1);
    let server = Server::start(data.path(), &[&MANY_FILES[..], &["--jobs", "1"]].concat());
    let first = server.kick_off("$export");
    let second = server.get("$export");
    assert_eq!(second.status, 429);
    let retry_after: u64 = second.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    assert_eq!(second.outcome(), "1 exports of this client are in progress already; wait for one to end or delete it");
    // An export that is cancelled makes room.
    assert_eq!(server.delete(&first).status, 202);
    assert_eq!(server.get("$export").status, 202);
    requirement!(server, "BD-KICK-16");
}

#[test]
fn what_cannot_be_done_is_never_accepted() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let check = |what: &str, status: u16, reply: Reply| {
        assert_eq!(reply.status, status, "{what}: {}", String::from_utf8_lossy(&reply.body));
        assert!(!reply.outcome().is_empty(), "{what}");
        assert_eq!(reply.json()["issue"][0]["severity"], "error", "{what}");
        assert_eq!(reply.header("content-location"), None, "{what}");
    };
    for (target, status) in [
        ("$export?_type=Foo", 400),
        ("$export?_type=", 400),
        ("$export?_since=yesterday", 400),
        ("$export?_since=2020-01-01T00:00:00Z&_since=2021-01-01T00:00:00Z", 400),
        ("$export?_outputFormat=text/csv", 400),
        ("$export?_type=%FF", 400),
        ("$export?%zz=1", 400),
        ("$export?surprise=1", 400),
        ("Patient/unknown/$export", 404),
        ("Group/unknown/$export", 404),
        ("Group/$export", 404),
        ("Observation/$export", 404),
        ("$Export", 404),
        ("$export/", 404),
        ("Group/a/b/$export", 404),
        ("/$export", 404),
        ("/", 404),
    ] {
        check(target, status, server.get(target));
    }
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
        let reply = server.send(method, "$export", &[], "");
        assert_eq!(reply.header("allow"), Some("GET, POST"));
        check(method, 405, reply);
    }
    requirement!(server, "BD-KRSP-04", "BD-KRSP-05");
}

#[test]
fn a_body_is_a_parameters_resource() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let post = |target: &str, content_type: &str, body: &str| {
        server.send("POST", target, &[KICK_OFF_HEADERS[0], ("Content-Type", content_type)], body)
    };
    let parameters = r#"{"resourceType":"Parameters"}"#;
    for (target, content_type, body, status) in [
        ("$export", "application/fhir+json", "{", 400),
        ("$export", "application/fhir+json", "[]", 400),
        ("$export", "application/fhir+json", r#"{"resourceType":"Patient"}"#, 400),
        ("$export", "application/fhir+json", r#"{"resourceType":"Parameters","parameter":{}}"#, 400),
        ("$export", "application/fhir+json", r#"{"resourceType":"Parameters","parameter":[{"valueString":"x"}]}"#, 400),
        ("$export", "application/fhir+xml", "<Parameters/>", 415),
        ("$export", "application/x-www-form-urlencoded", "_type=Patient", 415),
        // The parameters of a POST stand in its body: in the URL they would not be seen.
        ("$export?_type=Patient", "application/fhir+json", parameters, 400),
    ] {
        let reply = post(target, content_type, body);
        assert_eq!(reply.status, status, "{target} {content_type} {body}");
        assert!(!reply.outcome().is_empty());
    }
    for content_type in ["application/fhir+json", "application/json; charset=utf-8"] {
        assert_eq!(post("$export", content_type, parameters).status, 202);
    }
}

#[test]
fn posted_parameters_have_the_types_that_the_guides_give_them() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "50"]);
    let instant = "2020-01-01T00:00:00Z";
    for accepted in [
        json!({ "name": "_since", "valueInstant": instant }),
        json!({ "name": "_type", "valueString": "Patient" }),
        json!({ "name": "_outputFormat", "valueString": "ndjson" }),
    ] {
        assert_eq!(server.post("$export", &json!([accepted])).status, 202, "{accepted}");
    }
    for (name, wrong) in [
        ("_since", json!({ "valueString": instant })),
        ("_since", json!({ "valueDateTime": instant })),
        ("_since", json!({ "valueInstant": 2020 })),
        ("_since", json!({ "valueInstant": instant, "valueString": instant })),
        ("_since", json!({})),
        ("_type", json!({ "valueCode": "Patient" })),
        ("_type", json!({ "valueString": ["Patient"] })),
        ("_typeFilter", json!({ "valueUri": "Patient?" })),
        ("_outputFormat", json!({ "valueCode": "ndjson" })),
        ("_until", json!({ "valueString": instant })),
        ("_elements", json!({ "valueCode": "id" })),
        ("patient", json!({ "valueString": "Patient/p1" })),
        ("allowPartialManifests", json!({ "valueString": "true" })),
    ] {
        let mut parameter = wrong;
        parameter["name"] = json!(name);
        for reply in
            [server.post("$export", &json!([parameter])), server.post_leniently("$export", &json!([parameter]))]
        {
            assert_eq!(reply.status, 400, "{parameter}");
            assert!(reply.outcome().starts_with(&format!("`{name}` must be given as one ")), "{}", reply.outcome());
            assert_eq!(reply.expressions(), [name]);
        }
    }
    // Names are matched exactly.
    for name in ["_Type", "type", "_type "] {
        let reply = server.post("$export", &json!([{ "name": name, "valueString": "Patient" }]));
        assert_eq!(reply.status, 400);
        assert!(reply.outcome().starts_with("unknown parameter"), "{}", reply.outcome());
    }
    requirement!(server, "BD-KICK-20");
}

#[test]
fn a_file_that_appears_is_part_of_the_next_export() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let before = names(&server.exported("$export"));
    write_patient(data.path(), "p3");
    let added = &names(&server.exported("$export")) - &before;
    assert_eq!(added, set(&["Patient/p3"]));
    std::thread::sleep(POLL_INTERVAL);
    assert_eq!(server.get("Patient/p3/$export").status, 202);
}

fn write_patient(folder: &Path, id: &str) {
    let line = ehi_tests::records::patient(id);
    std::fs::write(folder.join(format!("{id}.ndjson")), line).expect("written");
}

/// What the manifest says of its files, whatever the job is called.
fn files(manifest: &Value) -> Vec<Value> {
    let mut items = manifest["output"].as_array().expect("an array").clone();
    for item in &mut items {
        let url = item["url"].as_str().expect("a URL");
        item["url"] = json!(url.rsplit('/').next());
    }
    items
}

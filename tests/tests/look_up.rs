//! Reading and searching groups, patients and practitioners over HTTP.

use ehi_tests::{
    records::{folder, parse, resource},
    requirement,
    server::Server,
    tokens::{settings, tokens},
};
use serde_json::{Value, json};

#[test]
fn groups_are_read_and_searched() {
    let named = |id: &str, name: &str| {
        resource("Group", id, json!({ "name": name, "identifier": [{ "system": "http://x.example", "value": id }] }))
    };
    let lines = [named("g1", "Ward One"), named("g2", "Ward Two"), named("g3", "Diabetes")];
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    let statement = server.get("metadata").json();
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let group = resources.iter().find(|resource| resource["type"] == "Group").unwrap();
    assert_eq!(group["interaction"], json!([{ "code": "read" }, { "code": "search-type" }]));
    let read = server.get("Group/g2");
    assert_eq!((read.status, read.header("content-type")), (200, Some("application/fhir+json")));
    assert_eq!(read.json(), parse(&lines[1]));
    assert_eq!(server.get("Group/g4").status, 404);
    for (target, expected) in [
        ("Group", &["g1", "g2", "g3"][..]),
        ("Group?name=ward", &["g1", "g2"]),
        ("Group?name=ward&identifier=http://x.example%7Cg2", &["g2"]),
        ("Group?identifier=http://other.example%7Cg2", &[]),
    ] {
        assert_eq!(found(&server, target), expected, "{target}");
    }
    requirement!(server, "BD-KICK-15");
    assert_eq!(server.get("Group?naem=ward").status, 400, "what is not understood is not left away");
    let first = server.get("Group?_count=1").json();
    assert_eq!((&first["total"], &first["entry"][1]["search"]["mode"]), (&json!(3), &json!("outcome")));
}

#[test]
fn patients_and_practitioners_are_found_by_identifier_and_name() {
    let person = |kind: &str, id: &str, family: &str| {
        resource(kind, id, json!({ "name": [{ "family": family }], "identifier": [{ "value": format!("n-{id}") }] }))
    };
    let old = resource("Patient", "p1", json!({ "meta": { "versionId": "1" }, "name": [{ "family": "Maiden" }] }));
    let new = resource("Patient", "p1", json!({ "meta": { "versionId": "2" }, "name": [{ "family": "Married" }] }));
    let lines = [old, new, person("Patient", "p2", "Married"), person("Practitioner", "d1", "Married")];
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    assert_eq!(found(&server, "Patient?name=married"), ["p1", "p2"]);
    assert!(found(&server, "Patient?name=maiden").is_empty(), "a version of the past");
    assert_eq!(found(&server, "Patient?identifier=n-p2&name:contains=RRI"), ["p2"]);
    assert_eq!(found(&server, "Practitioner?name=married"), ["d1"]);
    assert!(!server.log().to_lowercase().contains("married"), "what is searched for is in no log");
}

/// The page on which administrators choose a patient or a provider, and clinical users one of their patients.
#[test]
fn users_see_whom_they_may_export() {
    let patient = |id: &str| resource("Patient", id, json!({ "name": [{ "family": "Jackson" }] }));
    let group = |id: &str| resource("Group", id, json!({ "name": id }));
    let lines = [
        patient("p1"),
        patient("p2"),
        patient("p3"),
        resource("Practitioner", "d1", json!({})),
        group("g1"),
        group("g2"),
    ];
    let data = folder(&[("a.ndjson", &lines)]);
    let user = |name: &str, role: &str, access: Value| json!({ "client": "portal", "user": name, "roles": [role], "scopes": ["user/*.rs"], "access": access });
    let open = json!({ "patients": ["p1", "p3", "absent"], "groups": ["g2"] });
    let tokens = tokens(&[
        ("admin", user("a", "administrator", open.clone())),
        ("clinician", user("c", "clinical-user", open)),
        ("newcomer", user("n", "clinical-user", json!({}))),
        ("nobody", user("x", "janitor", json!({}))),
        ("narrow", json!({ "scopes": ["system/Observation.rs"] })),
    ]);
    let roles = settings(&json!({ "roles": { "presets": ["end-users"] }, "restrictGroups": true }));
    let server = Server::start_with_tokens(data.path(), tokens.path(), Some(roles.path()), &[]);
    for (token, patients, practitioners, groups) in [
        ("admin", &["p1", "p2", "p3"][..], &["d1"][..], &["g2"][..]),
        ("clinician", &["p1", "p3"], &[], &[]),
        ("newcomer", &[], &[], &[]),
        ("nobody", &[], &[], &[]),
        ("narrow", &[], &[], &[]),
    ] {
        server.bear(token);
        assert_eq!(found(&server, "Patient?name=jackson"), patients, "{token}");
        assert_eq!(found(&server, "Practitioner"), practitioners, "{token}");
        assert_eq!(found(&server, "Group"), groups, "{token}");
        // A group that a rule closes is not there, for anyone.
        assert_eq!(server.get("Group/g1").status, 404, "{token}");
        assert_eq!(server.get("Group/g2").status, if groups.is_empty() { 404 } else { 200 }, "{token}");
        let of_provider = if token == "admin" { 202 } else { 403 };
        assert_eq!(server.get("Practitioner/d1/$export").status, of_provider, "{token}");
    }
    requirement!(server, "BD-SEC-08");
    server.bear("clinician");
    let first = server.get("Patient?_count=1").json();
    assert_eq!(first["total"], 2, "who is not accessible is not counted");
    server.bear_none();
    assert_eq!(server.get("Patient?name=jackson").status, 401);
}

/// The ids in a Bundle, in the order of the answer.
fn found(server: &Server, target: &str) -> Vec<String> {
    let reply = server.get(target);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/fhir+json")), "{target}");
    let bundle = reply.json();
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("searchset")));
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(bundle["total"], entries.len(), "{target}");
    let id = |entry: &Value| {
        let id = entry["resource"]["id"].as_str().unwrap();
        let kind = entry["resource"]["resourceType"].as_str().unwrap();
        assert_eq!(entry["fullUrl"], format!("{}/{kind}/{id}", server.base));
        id.to_owned()
    };
    entries.iter().map(id).collect()
}

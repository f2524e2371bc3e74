//! Queries that one resource does not answer: chains over the export's own data, and value sets.

use std::collections::BTreeSet;

use ehi_tests::{
    records::{folder, group, names, patient, resource, set},
    requirement,
    server::Server,
    tokens::settings,
};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

#[test]
fn chains_ask_the_data_of_the_export() {
    let (data, settings) = (clinic(), answering());
    let server = Server::start(data.path(), &["--config", settings.path().to_str().unwrap()]);
    let exported = |level: &str, query: &str| exported(&server, level, query);
    assert_eq!(exported("", "Observation?subject:Patient.gender=female"), set(&["Observation/o1", "Observation/o2"]));
    assert_eq!(exported("", "Observation?patient.gender=male"), set(&["Observation/o3"]));
    assert_eq!(
        exported("", "Observation?patient.general-practitioner:Practitioner.name=ito"),
        set(&["Observation/o3"])
    );
    assert_eq!(exported("", "Observation?patient.gender=female&code=http://loinc.org|1"), set(&["Observation/o1"]));
    // Of others' patients nothing is learnt.
    assert_eq!(exported("Group/g1/", "Observation?patient.gender=female"), set(&["Observation/o1", "Observation/o2"]));
    assert_eq!(exported("Group/g1/", "Observation?patient.gender=male"), set(&[]));
    requirement!(server, "BD-TF-15");
}

#[test]
fn value_sets_are_those_of_the_data() {
    let (data, settings) = (clinic(), answering());
    let server = Server::start(data.path(), &["--config", settings.path().to_str().unwrap()]);
    let exported = |query: &str| exported(&server, "", query);
    assert_eq!(
        exported("Observation?code:in=http://clinic.example/lipids"),
        set(&["Observation/o1", "Observation/o3"])
    );
    assert_eq!(
        exported("Observation?code:in=http://clinic.example/lipids|2"),
        set(&["Observation/o1", "Observation/o3"])
    );
    assert_eq!(exported("Observation?code:not-in=http://clinic.example/lipids"), set(&["Observation/o2"]));
    for unknown in ["http://clinic.example/lipids|1", "http://clinic.example/all", "http://clinic.example/none"] {
        let reply = server.get(&format!(
            "$export?_type=Observation&_typeFilter={}",
            escaped(&format!("Observation?code:in={unknown}"))
        ));
        assert_eq!(reply.status, 400, "{unknown}");
        assert!(reply.outcome().contains("code:in"), "{}", reply.outcome());
    }
}

#[test]
fn without_the_setting_both_are_refused_by_name() {
    let data = clinic();
    let server = Server::start(data.path(), &[]);
    for query in ["Observation?patient.gender=male", "Observation?code:in=http://clinic.example/lipids"] {
        assert_eq!(server.get(&format!("$export?_typeFilter={}", escaped(query))).status, 400, "{query}");
    }
}

/// Three patients, two of a group, with an Observation each, and ValueSets of which one is written out.
fn clinic() -> TempDir {
    let person = |id: &str, gender: &str, practitioner: &str| {
        resource(
            "Patient",
            id,
            json!({ "gender": gender, "generalPractitioner": [{ "reference": format!("Practitioner/{practitioner}") }] }),
        )
    };
    let observation = |id: &str, patient: &str, code: &str| {
        resource(
            "Observation",
            id,
            json!({
                "subject": { "reference": format!("Patient/{patient}") },
                "code": { "coding": [{ "system": "http://loinc.org", "code": code }] },
            }),
        )
    };
    let practitioner = |id: &str, name: &str| resource("Practitioner", id, json!({ "name": [{ "family": name }] }));
    let value_set = |id: &str, compose: Value| {
        resource(
            "ValueSet",
            id,
            json!({ "url": format!("http://clinic.example/{id}"), "version": "2", "compose": { "include": [compose] } }),
        )
    };
    let lines = [
        person("p1", "female", "d1"),
        person("p2", "female", "d1"),
        person("p3", "male", "d2"),
        patient("p4"),
        practitioner("d1", "Silva"),
        practitioner("d2", "Ito"),
        observation("o1", "p1", "1"),
        observation("o2", "p2", "2"),
        observation("o3", "p3", "3"),
        group("g1", &["p1", "p2"]),
        value_set("lipids", json!({ "system": "http://loinc.org", "concept": [{ "code": "1" }, { "code": "3" }] })),
        value_set("all", json!({ "system": "http://loinc.org" })),
    ];
    folder(&[("a.ndjson", &lines)])
}

fn answering() -> NamedTempFile {
    settings(&json!({ "filterSets": { "valueSets": true, "chains": true } }))
}

fn exported(server: &Server, level: &str, query: &str) -> BTreeSet<String> {
    names(&server.exported(&format!("{level}$export?_type=Observation&_typeFilter={}", escaped(query))))
}

/// As a query parameter's value.
fn escaped(query: &str) -> String {
    query
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

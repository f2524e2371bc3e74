//! The JSON form: FHIR's rules for an AuditEvent, and the profiles that are claimed.

use std::collections::BTreeMap;

use super::*;

#[test]
fn a_kick_off_is_an_operation_that_was_executed() {
    let mut host = Host::new(|config| config["steps"] = json!({}));
    let scopes = ["system/Patient.rs", "system/Observation.rs?category=laboratory"];
    let (_, events) = host.ask("GET", "/fhir/$export?_type=Patient,Observation&_elements=id", &known(&scopes), 0);
    let expected = json!({
        "resourceType": "AuditEvent",
        "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest", "display": "Restful Operation" },
        "subtype": [
            { "system": "http://hl7.org/fhir/restful-interaction", "code": "operation", "display": "operation" },
            { "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110106", "display": "Export" },
            { "system": "https://ehi-export.github.io/fhir/CodeSystem/audit-decision", "code": "kick-off" },
        ],
        "action": "E",
        "recorded": "2027-01-15T08:00:00Z",
        "outcome": "0",
        "agent": [
            {
                "type": { "coding": [{ "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110153", "display": "Source Role ID" }] },
                "who": { "identifier": { "value": "app" } },
                "requestor": false,
                "network": { "address": "192.0.2.7", "type": "2" },
            },
            {
                "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP", "display": "information recipient" }] },
                "who": { "identifier": { "value": "user-3" } },
                "requestor": true,
            },
            {
                "type": { "coding": [{ "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110152", "display": "Destination Role ID" }] },
                "who": { "identifier": { "system": "urn:ietf:rfc:3986", "value": "https://ehr.example/fhir" } },
                "requestor": false,
                "network": { "address": "https://ehr.example/fhir", "type": "5" },
            },
        ],
        "source": {
            "site": "https://ehr.example/fhir",
            "observer": { "identifier": { "system": "urn:ietf:rfc:3986", "value": "https://ehr.example/fhir" } },
            "type": [{ "system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4", "display": "Application Server" }],
        },
        "entity": [{
            "what": { "identifier": { "value": "abababababababababababababababab" } },
            "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "2", "display": "System Object" },
            "role": { "system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "20", "display": "Job" },
            "name": "[base]/$export",
            "detail": [
                { "type": "status", "valueString": "202" },
                { "type": "types", "valueString": "Observation,Patient" },
                { "type": "types-in-part", "valueString": "Observation" },
                { "type": "parameters", "valueString": "_elements,_type" },
            ],
        }],
    });
    let line = events[0].to_json();
    assert!(!line.contains('\n'));
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    assert_eq!(serde_json::to_value(&events[0]).unwrap(), expected, "whichever way it is written");
}

/// BALP 1.1: Read, PatientRead, Delete, PatientDelete.
#[test]
fn profiles_are_claimed_where_they_are_met() {
    let mut host = Host::new(|_| {});
    host.ask("POST", EHI, &ehi(), 0);
    host.complete();
    let (_, manifest) = host.ask("GET", "/fhir/bulk/{job}", &ehi(), 20);
    let (_, file) = host.ask("GET", "/fhir/bulk/{job}/files/Patient-0001.ndjson", &ehi(), 21);
    let (_, deleted) = host.ask("DELETE", "/fhir/bulk/{job}", &ehi(), 22);
    let mut host = Host::new(|config| config["steps"] = json!({}));
    let system = known(&["system/*.rs"]);
    host.ask("GET", "/fhir/$export", &system, 0);
    host.work(1);
    let (_, of_system) = host.ask("GET", "/fhir/bulk/{job}", &system, 20);
    for (event, name, interaction, action, client, server, data) in [
        (&manifest[0], "PatientRead", "read", "R", "110152", "110153", 1),
        (&file[0], "PatientRead", "read", "R", "110152", "110153", 1),
        (&deleted[0], "PatientDelete", "delete", "D", "110150", "custodian", 1),
        (&of_system[0], "Read", "read", "R", "110152", "110153", 1),
    ] {
        let event = serde_json::to_value(event).unwrap();
        let profile = format!("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{name}");
        assert_eq!(event["meta"]["profile"], json!([profile]));
        assert_eq!(
            (&event["type"]["code"], &event["action"], &event["outcome"]),
            (&json!("rest"), &json!(action), &json!("0"))
        );
        let interaction =
            json!({ "system": "http://hl7.org/fhir/restful-interaction", "code": interaction, "display": interaction });
        assert_eq!(event["subtype"][0], interaction);
        let agents: BTreeMap<_, _> = event["agent"]
            .as_array()
            .unwrap()
            .iter()
            .map(|agent| (agent["type"]["coding"][0]["code"].as_str().unwrap(), agent))
            .collect();
        for code in [client, server] {
            let agent = agents[code];
            assert!(
                agent["who"]["identifier"]["value"].is_string() && agent["network"]["address"].is_string(),
                "{name} {code}"
            );
        }
        let users: Vec<_> = agents.iter().filter(|(code, _)| **code != client && **code != server).collect();
        assert!(matches!(users.as_slice(), [(_, user)] if user["requestor"] == true && user.get("network").is_none()));
        let of_type = |code: &str| {
            event["entity"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|entity| entity["type"]["code"] == code)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(of_type("2").len(), data, "{name}");
        let patients: Vec<_> = of_type("1").iter().map(|entity| entity["what"]["reference"].clone()).collect();
        assert_eq!(patients, if name.starts_with("Patient") { vec![json!("Patient/p1")] } else { vec![] });
    }
}

#[test]
fn no_profile_is_claimed_for_a_refusal_or_without_an_address() {
    let mut host = Host::new(|_| {});
    host.ask("POST", EHI, &ehi(), 0);
    let (_, refused) = host.ask("GET", "/fhir/bulk/{job}", &known(&[]), 1);
    assert_eq!(told(&refused), [(Audited::Manifest, AuditOutcome::Refused)]);
    host.complete();
    let (_, mut read) = host.ask("GET", "/fhir/bulk/{job}", &ehi(), 20);
    assert!(read[0].to_json().contains("PatientRead"));
    if let Actor::Client { address, .. } = &mut read[0].actor {
        *address = None;
    }
    for event in [&refused[0], &read[0]] {
        assert_eq!(serde_json::to_value(event).unwrap().get("meta"), None);
    }
}

/// FHIR R4: no empty array or object, one requestor, a code wherever it is required.
#[test]
fn every_event_is_a_sound_resource() {
    let mut host = Host::new(|_| {});
    let mut events = host.ask("POST", EHI, &ehi(), 0).1;
    events.extend(host.command(Command::FormSubmitted { answers: FormAnswers::default() }, 1));
    events.extend(host.command(reject("contract", "identity"), 2));
    events.extend(host.ask("GET", "/fhir/nowhere", &Principal::Anonymous, 3).1);
    events.extend(host.ask("GET", "/fhir/Group/g1/$export?x=1", &known(&["system/*.rs"]), 4).1);
    let mut host = Host::new(|config| config["steps"] = json!({}));
    host.ask("GET", "/fhir/$export", &known(&["system/*.rs"]), 0);
    events.extend(host.work(1));
    events.extend(host.timeout(10_000));
    assert!(events.len() >= 8, "{events:?}");
    for event in &events {
        let json = serde_json::to_value(event).unwrap();
        assert!(!has_empty(&json), "{json}");
        let requestors = json["agent"].as_array().unwrap().iter().filter(|agent| agent["requestor"] == true).count();
        assert_eq!(requestors, 1, "{json}");
        for member in ["action", "recorded", "outcome"] {
            assert!(json[member].is_string(), "{member}");
        }
        assert!(["C", "R", "U", "D", "E"].contains(&json["action"].as_str().unwrap()));
    }
}

#[test]
fn where_an_id_opens_the_files_only_its_beginning_is_told() {
    let mut host = Host::new(|config| {
        config["auth"] = json!("none");
        config["steps"] = json!({});
    });
    let (_, kick_off) = host.ask("GET", "/fhir/$export", &Principal::Open, 0);
    let begun = host.command(begin(1), 1);
    for event in [&kick_off[0], &begun[0]] {
        assert_eq!(event.job.as_deref(), Some("abababab"));
        assert!(!event.to_json().contains("ababababa"));
    }
    assert!(kick_off[0].to_json().contains("not authenticated"));
}

fn has_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty),
        Value::Object(members) => members.is_empty() || members.values().any(has_empty),
        Value::String(text) => text.is_empty(),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
    }
}

//! Whose data an export holds: everything, the compartments of all patients, of a group's members, of one patient.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use ehi_tests::{
    records::{
        all_lines, as_stored, folder, group, linking, name, names, observation, parse, patient, resource, set, ward,
    },
    requirement,
    server::{Server, sample},
};
use serde_json::{Value, json};

#[test]
fn the_patient_compartment_decides() {
    let actor = |reference: &str| json!({ "actor": { "reference": reference } });
    let appointment = json!({ "participant": [actor("Practitioner/d1"), actor("Patient/p1")] });
    let lines = [
        patient("p1"),
        observation("o1", "p1"),
        resource("Appointment", "a1", appointment),
        resource("Observation", "of-a-device", json!({ "subject": { "reference": "Device/x" } })),
        resource("Practitioner", "d1", json!({})),
        resource("Organization", "unreferenced", json!({})),
        resource("Medication", "m1", json!({})),
        // A reference in an element that makes no compartment.
        resource("Observation", "focus-only", json!({ "focus": [{ "reference": "Patient/p1" }] })),
    ];
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    let expected = set(&["Appointment/a1", "Observation/o1", "Patient/p1"]);
    for target in ["Patient/$export", "Patient/p1/$export"] {
        assert_eq!(names(&server.exported(target)), expected, "{target}");
    }
    assert_eq!(server.exported("$export").len(), lines.len());
    requirement!(server, "BD-KICK-09");
}

#[test]
fn binaries_of_nobody_are_part_of_a_system_export_only() {
    let binary = resource("Binary", "b1", json!({ "contentType": "text/plain", "data": "aGk=" }));
    let data = folder(&[("a.ndjson", &[binary.clone(), patient("p1")])]);
    let server = Server::start(data.path(), &[]);
    assert_eq!(server.exported("$export?_type=Binary"), [binary]);
    assert_eq!(names(&server.exported("Patient/$export")), set(&["Patient/p1"]));
    requirement!(server, "BD-KICK-12");
}

#[test]
fn references_are_relative_or_below_the_base() {
    let data = folder(&[("a.ndjson", &[patient("p1"), patient("p2"), observation("relative", "p1")])]);
    let server = Server::start(data.path(), &[]);
    let of = |reference: &str| json!({ "subject": { "reference": reference } });
    let absolute = format!("{}/Patient/p1", server.base);
    let more = [
        resource("Observation", "absolute", of(&absolute)),
        resource("Observation", "versioned", of(&format!("{absolute}/_history/2"))),
        resource("Observation", "elsewhere", of("https://other.example/fhir/Patient/p1")),
        resource("Observation", "of-another", of("Patient/p2")),
        resource("Group", "g1", json!({ "member": [{ "entity": { "reference": absolute } }] })),
    ];
    fs::write(data.path().join("b.ndjson"), more.join("\n")).unwrap();
    let expected =
        set(&["Group/g1", "Observation/absolute", "Observation/relative", "Observation/versioned", "Patient/p1"]);
    for target in ["Patient/p1/$export", "Group/g1/$export"] {
        let exported = server.exported(target);
        assert_eq!(names(&exported), expected, "{target}");
        // Each reference, in either form, finds its target among what was exported.
        let references = exported.iter().flat_map(|line| references(&parse(line)));
        for reference in references {
            let local = reference.strip_prefix(&format!("{}/", server.base)).unwrap_or(&reference);
            let target = local.split("/_history/").next().unwrap();
            assert!(names(&exported).contains(target), "{reference} leads nowhere");
        }
    }
    requirement!(server, "BD-KICK-13");
}

#[test]
fn what_is_shared_with_a_patient_who_is_not_exported_is_withheld() {
    let actor = |id: &str| json!({ "actor": { "reference": format!("Patient/{id}") } });
    let appointment = resource("Appointment", "shared", json!({ "participant": [actor("p1"), actor("p2")] }));
    let data = folder(&[
        ("people.ndjson", &[patient("p1"), patient("p2"), observation("o1", "p1")]),
        ("shared.ndjson", &[appointment, group("both", &["p1", "p2"]), group("one", &["p1"])]),
    ]);
    let server = Server::start(data.path(), &[]);
    let policy = "resources that are also in the compartment of a patient who is not part of this export";
    for target in ["Patient/p1/$export", "Group/one/$export"] {
        let kick_off = server.get(target);
        let (_, manifest) = server.finish(&kick_off);
        assert_eq!(names(&server.lines(&manifest, "output")), set(&["Group/one", "Observation/o1", "Patient/p1"]));
        // The policy is told, and the same whether anything was withheld: else it would tell of the other patient.
        assert_eq!(manifest["error"], json!([]), "{target}");
        assert!(manifest["extension"]["leftOut"].as_str().unwrap().contains(policy), "{target}");
        assert!(kick_off.outcome().contains(policy), "{target}");
    }
    let both = names(&server.exported("Group/both/$export"));
    assert!(both.is_superset(&set(&["Appointment/shared", "Group/both", "Patient/p1", "Patient/p2"])), "{both:?}");
    let all = names(&server.exported("Patient/$export"));
    assert!(all.is_superset(&both));
    requirement!(server, "BD-PAT-06");
}

#[test]
fn a_group_export_holds_the_data_of_members_and_of_nobody_else() {
    let data = sample(24, 6);
    let links = linking();
    let server = Server::start(data.path(), &["--jobs", "20", "--config", links.path().to_str().unwrap()]);
    let lines = all_lines(data.path());
    let stored: Vec<(String, Value)> = lines.iter().map(|line| (line.clone(), parse(line))).collect();
    let patients: Vec<String> = stored.iter().filter_map(|(_, json)| is(json, "Patient")).collect();
    assert_eq!(patients.len(), 24);
    let members = |group: &str| -> BTreeSet<String> {
        let (_, group) = stored.iter().find(|(_, json)| name(json) == format!("Group/{group}")).expect("a group");
        let reference = |member: &Value| member["entity"]["reference"].as_str().unwrap().replace("Patient/", "");
        group["member"].as_array().into_iter().flatten().map(reference).collect()
    };
    let targets_of: BTreeMap<String, BTreeSet<String>> =
        stored.iter().map(|(_, json)| (name(json), compartments(json))).collect();
    for (target, members) in [
        ("Group/group-a/$export", members("group-a")),
        ("Group/group-b/$export", members("group-b")),
        ("Group/group-empty/$export", members("group-empty")),
        ("Patient/pat-000003/$export", BTreeSet::from(["pat-000003".to_owned()])),
        ("Patient/$export", patients.iter().cloned().collect()),
    ] {
        assert!(members.len() < patients.len() || target == "Patient/$export");
        let (_, manifest) = server.export(target);
        let exported = server.lines(&manifest, "output");
        let exported: BTreeSet<String> = as_stored(exported, &server.base, &lines).into_iter().collect();
        // Provenance belongs to whom what it is about belongs.
        let of = |json: &Value| match json["target"].as_array().filter(|_| is(json, "Provenance").is_some()) {
            Some(targets) => {
                let about = |target: &Value| targets_of.get(target["reference"].as_str().unwrap()).cloned();
                targets.iter().filter_map(about).flatten().collect()
            }
            None => compartments(json),
        };
        for line in &exported {
            let of = of(&parse(line));
            assert!(!of.is_empty() && of.is_subset(&members), "{target} holds what belongs to {of:?}");
        }
        // And nothing of theirs is missing.
        let due = stored.iter().filter(|(_, json)| !of(json).is_empty() && of(json).is_subset(&members));
        let due: BTreeSet<String> = due.map(|(line, _)| line.clone()).collect();
        assert!(exported == due, "{target}: {} lines instead of {}", exported.len(), due.len());
        assert_eq!(due.is_empty(), members.is_empty());
    }
}

/// "Provider Export" of the document on EHI export for end users.
#[test]
fn a_provider_export_holds_the_data_of_the_providers_patients() {
    let of = |references: &[&str]| {
        let references: Vec<Value> = references.iter().map(|reference| json!({ "reference": reference })).collect();
        json!({ "generalPractitioner": references })
    };
    let role = |id: &str, more: Value| {
        let mut role = json!({ "practitioner": { "reference": "Practitioner/d1" } });
        role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        resource("PractitionerRole", id, role)
    };
    let lines = [
        resource("Practitioner", "d1", json!({})),
        resource("Practitioner", "d2", json!({})),
        resource("Practitioner", "idle", json!({})),
        role("r1", json!({})),
        role("left", json!({ "active": false })),
        resource("Patient", "direct", of(&["Organization/o", "Practitioner/d1"])),
        resource("Patient", "by-role", of(&["PractitionerRole/r1"])),
        resource("Patient", "by-a-role-that-ended", of(&["PractitionerRole/left"])),
        resource("Patient", "of-another", of(&["Practitioner/d2"])),
        patient("of-nobody"),
        observation("o1", "direct"),
        observation("o2", "by-role"),
        observation("o3", "of-another"),
    ];
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    let expected = set(&["Observation/o1", "Observation/o2", "Patient/by-role", "Patient/direct"]);
    assert_eq!(names(&server.exported("Practitioner/d1/$export")), expected);
    assert_eq!(names(&server.exported("Practitioner/d2/$export?_type=Patient")), set(&["Patient/of-another"]));
    let (_, manifest) = server.export("Practitioner/idle/$export");
    assert_eq!(manifest["output"], json!([]), "a provider without patients exports nobody");
    assert_eq!(server.get("Practitioner/absent/$export").status, 404);
    assert_eq!(server.get("Practitioner/$export").status, 404);
}

#[test]
fn an_empty_group_exports_nobody() {
    let data = ward();
    fs::write(data.path().join("memberless.ndjson"), resource("Group", "memberless", json!({ "member": [] }))).unwrap();
    let server = Server::start(data.path(), &[]);
    for target in ["Group/nobody/$export", "Group/memberless/$export", "Group/nobody/$export?_type=Patient"] {
        let (_, manifest) = server.export(target);
        assert_eq!((&manifest["output"], &manifest["error"]), (&json!([]), &json!([])), "{target}");
    }
}

#[test]
fn members_count_while_they_are_members() {
    let entity = |id: &str| json!({ "entity": { "reference": format!("Patient/{id}") } });
    let with = |id: &str, name: &str, value: Value| {
        let mut member = entity(id);
        member[name] = value;
        member
    };
    let members = json!([
        entity("in"),
        with("left", "inactive", json!(true)),
        with("back", "inactive", json!(false)),
        with("over", "period", json!({ "end": "2001-01-01" })),
        with("not-yet", "period", json!({ "start": "2999" })),
        with("now", "period", json!({ "start": "2001", "end": "2999-01-01T00:00:00Z" })),
        with("unclear", "period", json!({ "end": "some day" })),
        entity("unknown"),
        { "entity": { "reference": "Group/inner" } },
        { "entity": { "reference": "Practitioner/d1" } },
        { "entity": { "display": "nobody in particular" } },
    ]);
    let ids = ["in", "left", "back", "over", "not-yet", "now", "unclear", "inner", "out"];
    let mut lines: Vec<String> = ids.iter().map(|id| patient(id)).collect();
    lines.push(resource("Group", "outer", json!({ "member": members })));
    // Groups may contain one another.
    let ring = json!([entity("inner"), { "entity": { "reference": "Group/outer" } }]);
    lines.push(resource("Group", "inner", json!({ "member": ring })));
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    let exported = names(&server.exported("Group/outer/$export?_type=Patient"));
    assert_eq!(exported, set(&["Patient/back", "Patient/in", "Patient/inner", "Patient/now"]));
}

/// Nobody may be exported by a group that cannot be read, and nobody should wait for it for ever.
#[test]
fn an_export_of_a_group_that_cannot_be_read_fails() {
    let broken = resource("Group", "broken", json!({ "member": { "entity": { "reference": "Patient/p1" } } }));
    let data = folder(&[("a.ndjson", &[patient("p1"), broken])]);
    let server = Server::start(data.path(), &[]);
    let location = server.kick_off("Group/broken/$export");
    let ended = (0..10).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(250));
        Some(server.get(&location)).filter(|reply| reply.status != 202)
    });
    let reply = ended.expect("the export still says that it is in progress");
    assert_eq!(reply.status, 500);
    assert!(!reply.outcome().is_empty());
}

/// The patients in whose compartments a resource is, by its own id or by where it refers to patients: the elements that
/// FHIR R4 names for the types of the sample, written down here once more.
fn compartments(resource: &Value) -> BTreeSet<String> {
    let elements: &[&str] = match resource["resourceType"].as_str().unwrap() {
        "Patient" => return is(resource, "Patient").into_iter().collect(),
        "AllergyIntolerance" => &["patient", "recorder", "asserter"],
        "CarePlan" => &["subject", "activity.detail.performer"],
        "CareTeam" => &["subject", "participant.member"],
        "Condition" => &["subject", "asserter"],
        "Coverage" => &["policyHolder", "subscriber", "beneficiary", "payor"],
        "DocumentReference" => &["subject", "author"],
        "DiagnosticReport" | "Encounter" | "Goal" | "MedicationRequest" => &["subject"],
        "Group" => &["member.entity"],
        "Immunization" | "RelatedPerson" => &["patient"],
        "Observation" => &["subject", "performer"],
        "Procedure" => &["subject", "performer.actor"],
        "Provenance" => &["target"],
        "Binary" => &["securityContext"],
        "Device" | "Location" | "Medication" | "Organization" | "Practitioner" | "PractitionerRole" => &[],
        other => panic!("{other} is new in the sample: say here where it refers to patients"),
    };
    let mut patients = BTreeSet::new();
    for element in elements {
        let mut reached = vec![resource];
        for step in element.split('.') {
            reached = reached.into_iter().map(|value| &value[step]).flat_map(each).collect();
        }
        let references = reached.into_iter().filter_map(|value| value["reference"].as_str());
        patients.extend(references.filter_map(|reference| reference.strip_prefix("Patient/")).map(str::to_owned));
    }
    patients
}

/// The items of an array, or the one value.
fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

fn is(resource: &Value, resource_type: &str) -> Option<String> {
    let (found, id) = (resource["resourceType"].as_str()?, resource["id"].as_str()?);
    (found == resource_type).then(|| id.to_owned())
}

/// The texts of all references, wherever they stand.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("reference").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

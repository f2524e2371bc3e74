//! What a deployment decides about whose and which data an export takes.

use ehi_tests::{
    records::{folder, names, resource, set},
    requirement,
    server::Server,
    tokens::{settings, tokens},
};
use serde_json::{Value, json};

#[test]
fn who_joined_after_since_is_exported_whole_where_the_deployment_says_so() {
    let dated = |resource_type: &str, id: &str, patient: &str, updated: &str| {
        let meta = json!({ "lastUpdated": updated });
        match resource_type {
            "Patient" => resource(resource_type, id, json!({ "meta": meta })),
            _ => {
                let subject = json!({ "reference": format!("Patient/{patient}") });
                resource(resource_type, id, json!({ "meta": meta, "subject": subject }))
            }
        }
    };
    let (early, recent) = ("2020-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
    let mut lines = Vec::new();
    for patient in ["always", "before", "after", "inner", "stranger"] {
        lines.push(dated("Patient", patient, patient, early));
        lines.push(dated("Observation", &format!("{patient}-early"), patient, early));
        lines.push(dated("Observation", &format!("{patient}-recent"), patient, recent));
    }
    let member = |reference: &str, start: Option<&str>| match start {
        Some(start) => json!({ "entity": { "reference": reference }, "period": { "start": start } }),
        None => json!({ "entity": { "reference": reference } }),
    };
    let group = |id: &str, members: &[Value]| {
        resource("Group", id, json!({ "meta": { "lastUpdated": recent }, "member": members }))
    };
    lines.push(group("inner", &[member("Patient/inner", Some("2010")), member("Patient/always", None)]));
    let of_all = [
        member("Group/inner", Some("2024-07-01")),
        member("Patient/always", None),
        member("Patient/before", Some("2023-12-31T23:59:59Z")),
        member("Patient/after", Some("2024-01-01")),
    ];
    lines.push(group("all", &of_all));
    let data = folder(&[("a.ndjson", &lines)]);

    let target = "Group/all/$export?_since=2024-01-01T00:00:00Z&_type=Patient,Observation";
    let recent = ["always", "before", "after", "inner"].map(|patient| format!("Observation/{patient}-recent"));
    let alike = Server::start(data.path(), &[]);
    assert_eq!(names(&alike.exported(target)), recent.iter().cloned().collect());

    let whole = settings(&json!({ "newMembers": "whole" }));
    let server = Server::start(data.path(), &["--config", whole.path().to_str().unwrap()]);
    let older = ["Patient/after", "Observation/after-early", "Patient/inner", "Observation/inner-early"];
    let expected = recent.iter().cloned().chain(older.map(str::to_owned)).collect();
    assert_eq!(names(&server.exported(target)), expected, "the older data of new members, and of nobody else");
    // Who is a new member of some group is no new patient elsewhere.
    let of_one = server.exported("Patient/after/$export?_since=2024-01-01T00:00:00Z&_type=Patient,Observation");
    assert_eq!(names(&of_one), set(&["Observation/after-recent"]));
    // Of the members who were asked for, the same counts.
    let listed = json!([
        { "name": "_since", "valueInstant": "2024-01-01T00:00:00Z" },
        { "name": "_type", "valueString": "Patient,Observation" },
        { "name": "patient", "valueReference": { "reference": "Patient/after" } },
        { "name": "patient", "valueReference": { "reference": "Patient/before" } },
    ]);
    let (_, manifest) = server.finish(&server.post("Group/all/$export", &listed));
    let expected =
        set(&["Patient/after", "Observation/after-early", "Observation/after-recent", "Observation/before-recent"]);
    assert_eq!(names(&server.lines(&manifest, "output")), expected);
    let documentation = server.get("metadata").json();
    let documentation = documentation["rest"][0]["documentation"].as_str().unwrap();
    assert!(documentation.contains("_since does not apply to the data of patients whose membership began after it"));
    requirement!(server, "BD-SINCE-03");
}

#[test]
fn members_that_are_no_patients_are_exported_themselves() {
    let reference = |reference: &str| json!({ "reference": reference });
    let member = |of: &str| json!({ "entity": reference(of) });
    let group = |id: &str, group_type: &str, members: &[&str]| {
        let members: Vec<Value> = members.iter().map(|of| member(of)).collect();
        resource("Group", id, json!({ "type": group_type, "actual": true, "member": members }))
    };
    let data = folder(&[(
        "a.ndjson",
        &[
            resource("Patient", "p1", json!({ "generalPractitioner": [reference("Practitioner/d1")] })),
            resource("Patient", "p2", json!({ "generalPractitioner": [reference("Practitioner/d1")] })),
            resource("Practitioner", "d1", json!({ "meta": { "lastUpdated": "2020-01-01T00:00:00Z" } })),
            resource("Practitioner", "d2", json!({})),
            resource("Practitioner", "d3", json!({})),
            resource("Device", "x", json!({ "patient": reference("Patient/p2") })),
            resource("Device", "y", json!({})),
            resource(
                "Observation",
                "of-x",
                json!({ "subject": reference("Patient/p2"), "device": reference("Device/x") }),
            ),
            group("doctors", "practitioner", &["Practitioner/d1", "Practitioner/d2", "Practitioner/gone"]),
            group("devices", "device", &["Device/x"]),
            group("mixed", "person", &["Patient/p1", "Device/x", "Group/doctors"]),
            group(
                "odd",
                "person",
                &["Observation/of-x", "https://other.example/fhir/Practitioner/d3", "Practitioner/"],
            ),
        ],
    )]);
    let server = Server::start(data.path(), &[]);
    for (group, expected) in
        [("doctors", set(&["Practitioner/d1", "Practitioner/d2"])), ("devices", set(&["Device/x"])), ("odd", set(&[]))]
    {
        assert_eq!(names(&server.exported(&format!("Group/{group}/$export"))), expected, "{group}");
    }
    let mixed = set(&["Device/x", "Patient/p1", "Practitioner/d1", "Practitioner/d2"]);
    let exported = names(&server.exported("Group/mixed/$export?_type=Patient,Observation,Practitioner,Device"));
    assert_eq!(exported, mixed, "of p2 nothing, whose Device is a member");
    let since = names(&server.exported("Group/doctors/$export?_since=2021-01-01T00:00:00Z"));
    assert_eq!(since, set(&["Practitioner/d2"]));
    // What is a member and is referred to is exported once.
    let supporting = settings(&json!({ "supporting": "all" }));
    let server = Server::start(data.path(), &["--config", supporting.path().to_str().unwrap()]);
    assert_eq!(names(&server.exported("Group/mixed/$export?_type=Patient,Observation,Practitioner,Device")), mixed);

    let granted = tokens(&[("groups", json!({ "scopes": ["system/Group.rs", "system/Device.rs"] }))]);
    let server = Server::start_with_tokens(data.path(), granted.path(), None, &[]);
    server.bear("groups");
    let exported = names(&server.exported("Group/mixed/$export"));
    assert!(exported.contains("Device/x") && !exported.iter().any(|name| name.starts_with("Practitioner/")));
    requirement!(server, "BD-KICK-19");
}

#[test]
fn exports_are_limited_to_the_subset_of_the_deployment() {
    let profile = "http://example.org/StructureDefinition/lab";
    let patient = json!({ "reference": "Patient/p1" });
    let observation = |id: &str, profile: &str, status: &str| {
        let meta = json!({ "profile": [profile] });
        let performer = json!([{ "reference": format!("Practitioner/{id}") }]);
        let members = json!({ "meta": meta, "status": status, "subject": patient, "performer": performer });
        resource("Observation", id, members)
    };
    let data = folder(&[(
        "a.ndjson",
        &[
            resource("Patient", "p1", json!({})),
            observation("lab", profile, "final"),
            observation("draft", profile, "preliminary"),
            observation("other", "http://example.org/StructureDefinition/vital", "final"),
            resource("Condition", "c1", json!({ "subject": patient })),
            resource("Practitioner", "lab", json!({ "active": true })),
            resource("Practitioner", "draft", json!({})),
        ],
    )]);
    let queries = [format!("Observation?_profile={profile}"), "Patient".into(), "Practitioner?active=true".into()];
    let subset = json!({ "onlyMatching": queries, "othersLeftOut": true });
    let subset = settings(&json!({ "subset": subset, "supporting": "all" }));
    let server = Server::start(data.path(), &["--config", subset.path().to_str().unwrap()]);
    let all = set(&["Observation/draft", "Observation/lab", "Patient/p1", "Practitioner/lab"]);
    for level in ["", "Patient/", "Patient/p1/"] {
        let kick_off = server.get(&format!("{level}$export"));
        assert!(kick_off.outcome().contains("outside the FHIR subset"));
        let (_, manifest) = server.finish(&kick_off);
        assert_eq!(names(&server.lines(&manifest, "output")), all, "{level}");
        assert!(manifest["extension"]["leftOut"].as_str().unwrap().contains("outside the FHIR subset"));
    }
    let asked = "$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Dfinal";
    assert_eq!(names(&server.exported(asked)), set(&["Observation/lab"]), "both queries hold");
    let refused = server.get("$export?_type=Patient,Condition");
    assert_eq!((refused.status, refused.outcome().as_str()), (400, "the exports of this server hold no `Condition`"));
    let (_, manifest) = server.finish(&server.get_leniently("$export?_type=Patient,Condition"));
    assert_eq!(names(&server.lines(&manifest, "output")), set(&["Patient/p1"]));

    let statement = server.get("metadata").json();
    let rest = &statement["rest"][0];
    assert!(rest["documentation"].as_str().unwrap().contains(&queries.join(" ")));
    let resources = rest["resource"].as_array().unwrap();
    let observations = resources.iter().find(|resource| resource["type"] == "Observation").unwrap();
    assert_eq!(observations["supportedProfile"], json!([profile]));
    assert!(!resources.iter().any(|resource| resource["type"] == "Condition"));
    requirement!(server, "BD-KICK-17");
}

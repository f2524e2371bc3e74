//! What a deployment decides about whose and which data an export takes.

use ehi_tests::{
    records::{folder, names, resource, set},
    requirement,
    server::Server,
    tokens::settings,
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

//! What accompanies the resources that were asked for: Provenance, supporting resources, deletions.

use std::{collections::BTreeSet, fs};

use ehi_tests::{
    records::{folder, group, names, parse, patient, resource, set},
    requirement,
    server::Server,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two patients whose records others have touched: every Observation has Provenance, one of them three.
fn records() -> TempDir {
    let to = |reference: &str| json!({ "reference": reference });
    let observation = |id: &str, of: &str, updated: &str, performer: &str| {
        let meta = json!({ "lastUpdated": updated });
        let (subject, performer) = (to(&format!("Patient/{of}")), json!([to(performer)]));
        resource(
            "Observation",
            id,
            json!({ "meta": meta, "status": "final", "subject": subject, "performer": performer }),
        )
    };
    let provenance = |id: &str, target: &str, recorded: &str| {
        resource("Provenance", id, json!({ "target": [to(target)], "recorded": recorded }))
    };
    folder(&[
        ("a.ndjson", &[patient("p1"), patient("p2"), group("one", &["p1"])]),
        (
            "b.ndjson",
            &[
                observation("o1", "p1", "2020-01-01T00:00:00Z", "PractitionerRole/r1"),
                observation("o2", "p2", "2024-01-01T00:00:00Z", "Practitioner/d2"),
                observation("o3", "p1", "2024-01-01T00:00:00Z", "Practitioner/d1"),
            ],
        ),
        (
            "c.ndjson",
            &[
                provenance("v1", "Observation/o1", "2020-01-01T00:00:00Z"),
                provenance("v1b", "Observation/o1", "2021-01-01T00:00:00Z"),
                provenance("v1c", "Observation/o1", "2020-06-01T00:00:00Z"),
                provenance("v2", "Observation/o2", "2020-01-01T00:00:00Z"),
                provenance("v3", "Observation/o3", "2020-01-01T00:00:00Z"),
                provenance("vd", "Practitioner/d1", "2020-01-01T00:00:00Z"),
            ],
        ),
        (
            "d.ndjson",
            &[
                resource("Practitioner", "d1", json!({ "meta": { "lastUpdated": "2001-01-01T00:00:00Z" } })),
                resource("Practitioner", "d2", json!({})),
                resource("PractitionerRole", "r1", json!({ "organization": to("Organization/h1") })),
                resource("Organization", "h1", json!({})),
                resource("Organization", "nobodys", json!({})),
            ],
        ),
    ])
}

fn exported(server: &Server, target: &str) -> BTreeSet<String> {
    names(&server.exported(target))
}

fn of_type(resource_type: &str, names: &BTreeSet<String>) -> Vec<String> {
    let prefix = format!("{resource_type}/");
    names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect()
}

fn with_settings(settings: &Value) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("settings.json");
    fs::write(&file, settings.to_string()).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn provenance_comes_without_being_asked_for_unless_types_leave_it_out() {
    let data = records();
    let server = Server::start(data.path(), &[]);
    let provenance = |target: &str| of_type("Provenance", &exported(&server, target));
    assert_eq!(provenance("Group/one/$export"), ["v1", "v1b", "v1c", "v3"]);
    assert_eq!(provenance("Patient/$export"), ["v1", "v1b", "v1c", "v2", "v3"]);
    assert_eq!(provenance("$export"), ["v1", "v1b", "v1c", "v2", "v3", "vd"]);
    assert!(provenance("Group/one/$export?_type=Patient").is_empty());
    assert!(provenance("$export?_type=Patient").is_empty());
    requirement!(server, "BD-IAD-07");
}

#[test]
fn relevant_and_latest_provenance_go_with_what_is_returned() {
    let data = records();
    let server = Server::start(data.path(), &[]);
    let provenance = |query: &str| of_type("Provenance", &exported(&server, &format!("Patient/p1/$export?{query}")));
    let latest = "includeAssociatedData=LatestProvenanceResources";
    let relevant = "includeAssociatedData=RelevantProvenanceResources";
    assert_eq!(provenance(latest), ["v1b", "v3"]);
    assert_eq!(provenance(relevant), ["v1", "v1b", "v1c", "v3"]);
    assert_eq!(provenance(&format!("{relevant}&_since=2023-01-01T00:00:00Z")), ["v3"], "of what is returned");
    let both = "includeAssociatedData=LatestProvenanceResources,RelevantProvenanceResources";
    assert_eq!(provenance(both), provenance(relevant), "the least restrictive counts");
    assert_eq!(provenance(&format!("{relevant}&{latest}")), provenance(relevant));
    requirement!(server, "BD-IAD-01", "BD-IAD-02", "BD-IAD-03", "BD-IAD-04", "BD-IAD-05");
}

#[test]
fn associated_data_that_nobody_defined_is_refused_by_name() {
    let data = records();
    let server = Server::start(data.path(), &[]);
    for (code, said) in
        [("_ours", "no associated data of its own called `_ours`"), ("everything", "unknown code `everything`")]
    {
        let target = format!("$export?includeAssociatedData={code}");
        let refused = server.get(&target);
        assert_eq!((refused.status, refused.expressions()), (400, vec!["includeAssociatedData".to_owned()]));
        assert!(refused.outcome().contains(said), "{}", refused.outcome());
        let (_, manifest) = server.finish(&server.get_leniently(&target));
        assert_eq!(server.lines(&manifest, "error").len(), 1);
    }
    requirement!(server, "BD-IAD-06");
}

#[test]
fn supporting_resources_come_if_the_deployment_says_so() {
    let data = records();
    let (_folder, all) = with_settings(&json!({ "supporting": "all" }));
    let server = Server::start(data.path(), &["--config", &all]);
    let written = exported(&server, "Group/one/$export?_since=2023-01-01T00:00:00Z");
    assert_eq!(of_type("Observation", &written), ["o3"]);
    assert_eq!(of_type("Practitioner", &written), ["d1"], "older than `_since`, but referred to");
    let written = exported(&server, "Group/one/$export");
    assert_eq!(of_type("PractitionerRole", &written), ["r1"]);
    assert_eq!(of_type("Organization", &written), ["h1"], "what a supporting resource refers to");
    let written = exported(&server, "Group/one/$export?_type=Patient,Observation,Practitioner");
    assert_eq!(of_type("Practitioner", &written), ["d1"]);
    assert!(of_type("Organization", &written).is_empty() && of_type("PractitionerRole", &written).is_empty());
    let filtered = exported(&server, "Group/one/$export?_typeFilter=Practitioner%3F_id%3Dnone");
    assert_eq!(of_type("Practitioner", &filtered), ["d1"], "context is exempt from the filter");
    let documentation = server.get("metadata").json()["rest"][0]["documentation"].to_string();
    assert!(documentation.contains("that exported ones refer to are added"), "{documentation}");
    requirement!(server, "BD-TYPE-05", "BD-TYPE-06", "BD-SINCE-05", "BD-TF-18", "BD-KICK-10");

    let (_folder, listed) = with_settings(&json!({ "supporting": { "types": ["Practitioner"] } }));
    let server = Server::start(data.path(), &["--config", &listed]);
    let written = exported(&server, "Group/one/$export");
    assert_eq!(of_type("Practitioner", &written), ["d1"]);
    assert!(of_type("PractitionerRole", &written).is_empty());
    let server = Server::start(data.path(), &[]);
    assert!(of_type("Practitioner", &exported(&server, "Group/one/$export")).is_empty());
}

#[test]
fn labelled_resources_are_withheld_and_nothing_goes_with_them() {
    let label = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R" }]);
    let restricted = json!({ "meta": { "security": label }, "subject": { "reference": "Patient/p1" } });
    let provenance = |id: &str, of: &str| resource("Provenance", id, json!({ "target": [{ "reference": of }] }));
    let data = folder(&[(
        "a.ndjson",
        &[
            patient("p1"),
            resource("Condition", "open", json!({ "subject": { "reference": "Patient/p1" } })),
            resource("Condition", "restricted", restricted),
            provenance("v1", "Condition/open"),
            provenance("v2", "Condition/restricted"),
        ],
    )]);
    let labels = ["http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R"];
    let (_folder, settings) = with_settings(&json!({ "withheldLabels": labels }));
    let server = Server::start(data.path(), &["--config", &settings]);
    let expected = set(&["Condition/open", "Patient/p1", "Provenance/v1"]);
    assert_eq!(exported(&server, "Patient/p1/$export"), expected);
    let server = Server::start(data.path(), &[]);
    assert_eq!(exported(&server, "Patient/p1/$export").len(), 5);
}

#[test]
fn deletions_since_then_are_listed_and_what_is_there_again_is_not() {
    let tombstone = |resource_type: &str, id: &str, at: &str, patients: &[&str]| {
        json!({ "type": resource_type, "id": id, "deletedAt": at, "patients": patients }).to_string()
    };
    let observation = |id: &str, updated: &str| {
        let subject = json!({ "reference": "Patient/p1" });
        resource("Observation", id, json!({ "meta": { "lastUpdated": updated }, "subject": subject }))
    };
    let data = folder(&[
        (
            "a.ndjson",
            &[
                patient("p1"),
                patient("p2"),
                group("one", &["p1"]),
                observation("deleted", "2023-01-01T00:00:00Z"),
                observation("again", "2025-01-01T00:00:00Z"),
                observation("kept", "2025-01-01T00:00:00Z"),
            ],
        ),
        (
            "log.tombstones.ndjson",
            &[
                tombstone("Observation", "deleted", "2024-06-01T00:00:00Z", &["p1"]),
                tombstone("Observation", "again", "2024-06-01T00:00:00Z", &["p1"]),
                tombstone("Observation", "others", "2024-06-01T00:00:00Z", &["p2"]),
                tombstone("Observation", "before", "2022-06-01T00:00:00Z", &["p1"]),
                tombstone("Condition", "c1", "2024-06-01T00:00:00Z", &["p1"]),
            ],
        ),
    ]);
    let server = Server::start(data.path(), &[]);
    let since = "_since=2022-12-31T00:00:00Z";
    let (_, manifest) = server.export(&format!("Group/one/$export?{since}&_type=Observation,Condition"));
    let (output, deleted) = (server.lines(&manifest, "output"), server.lines(&manifest, "deleted"));
    assert_eq!(names(&output), set(&["Observation/again", "Observation/kept"]));
    let urls: BTreeSet<String> = deleted
        .iter()
        .map(|line| {
            let bundle = parse(line);
            assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("transaction")));
            let entries = bundle["entry"].as_array().unwrap();
            assert!(!entries.is_empty() && entries.iter().all(|entry| entry["request"]["method"] == "DELETE"));
            entries[0]["request"]["url"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(urls, set(&["Condition/c1", "Observation/deleted"]), "another group's patient is not named");
    assert!(urls.is_disjoint(&names(&output)));
    assert_eq!(manifest["deleted"][0]["type"], "Bundle");
    let (_, manifest) = server.export("Group/one/$export");
    assert!(manifest["deleted"].as_array().is_none_or(Vec::is_empty), "nothing was asked since");
    let server_log = server.log();
    assert!(!server_log.contains("\"deletedAt\""));
    requirement!(server, "BD-MAN-21", "BD-MAN-22", "BD-MAN-23", "BD-MAN-24", "BD-MAN-25");
}

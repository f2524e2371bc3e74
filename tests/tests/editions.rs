//! The manifest in the shape of each edition of the guide.

use std::collections::BTreeMap;

use ehi_tests::{
    records::{patient, ward},
    requirement,
    server::{Server, data, sample},
    tokens::settings,
};
use serde_json::{Value, json};

#[test]
fn up_to_3_0_a_manifest_has_the_five_members_of_the_base_pattern() {
    let data = ward();
    for edition in ["1", "2", "3"] {
        let server = Server::start(data.path(), &["--edition", edition]);
        let (_, manifest) = server.export("$export");
        assert!(manifest["transactionTime"].is_string() && manifest["request"].is_string());
        assert!(manifest["requiresAccessToken"].is_boolean());
        assert!(manifest["output"].is_array() && manifest["error"].is_array());
        for later in ["manifestType", "outputFormat", "outcome"] {
            assert_eq!(manifest.get(later), None, "{later} in edition {edition}");
        }
        requirement!(server, "ASY-03");
    }
}

#[test]
fn in_4_0_errors_are_outcomes_and_the_request_is_not_told() {
    let (_data, server, manifest) = ballot();
    assert_eq!((manifest.get("error"), manifest.get("request")), (None, None));
    let outcome = &manifest["outcome"][0];
    assert_eq!(outcome.get("type"), None);
    assert_eq!(server.lines(&manifest, "outcome").len(), 1);
    assert_eq!(manifest["output"][0]["type"], "Patient");
    requirement!(server, "BD4-03");
}

#[test]
fn in_4_0_a_manifest_says_what_it_is() {
    let (_data, server, manifest) = ballot();
    assert_eq!(manifest["manifestType"], "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export");
    assert_eq!(manifest["outputFormat"], "application/fhir+ndjson");
    requirement!(server, "BD4-04");
}

#[test]
fn in_4_0_extensions_are_fhir_extensions() {
    let (_data, server, manifest) = ballot();
    let (_, patient_level) = server.finish(&server.post("Patient/$export", &json!([])));
    for extension in
        [&manifest["output"][0]["extension"], &manifest["outcome"][0]["extension"], &patient_level["extension"]]
    {
        let extensions = extension.as_array().expect("an array");
        assert!(!extensions.is_empty());
        for extension in extensions {
            let url = extension["url"].as_str().expect("a URL");
            assert!(url.starts_with("https://"), "{url}");
            assert!(extension["valueString"].is_string());
        }
    }
    requirement!(server, "BD4-05");
}

#[test]
fn in_4_0_items_say_how_large_their_files_are() {
    let (_data, server, manifest) = ballot();
    for section in ["output", "outcome"] {
        for (item, file) in server.files(&manifest, section) {
            assert_eq!(item["fileSize"], file.body.len());
        }
    }
    requirement!(server, "BD4-06");
}

#[test]
fn in_4_0_a_type_is_named_alone() {
    let data = ward();
    let server = Server::start(data.path(), &["--edition", "4"]);
    let types = |lists: &[&str]| {
        json!(lists.iter().map(|list| json!({ "name": "_type", "valueString": list })).collect::<Vec<_>>())
    };
    let list = server.post("$export", &types(&["Patient,Observation"]));
    assert_eq!(list.status, 400);
    assert!(list.outcome().starts_with("`_type` holds a list"), "{}", list.outcome());
    let (_, manifest) = server.finish(&server.post("$export", &types(&["Patient", "Observation"])));
    assert_eq!(manifest["output"].as_array().unwrap().len(), 2);
}

#[test]
fn in_4_0_files_are_of_the_size_that_was_asked_for() {
    let data = sample(10, 1);
    let server = Server::start(data.path(), &["--edition", "4"]);
    let sizes = |min: u64, max: u64| {
        json!([
            { "name": "_minimumFileSize", "valuePositiveInt": min },
            { "name": "_maximumFileSize", "valuePositiveInt": max },
        ])
    };
    let (_, manifest) = server.finish(&server.post("$export", &sizes(2_000, 5_000)));
    let mut by_type: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for item in manifest["output"].as_array().unwrap() {
        let (size, count) = (item["fileSize"].as_u64().unwrap(), item["count"].as_u64().unwrap());
        assert!(size <= 5_000 || count == 1, "{size} bytes of {count} resources");
        by_type.entry(item["type"].as_str().unwrap()).or_default().push(size);
    }
    assert!(by_type.values().any(|sizes| sizes.len() > 3));
    for wrong in [sizes(5_000, 2_000), sizes(2_000, 2_000), sizes(0, 5)] {
        assert_eq!(server.post("$export", &wrong).status, 400, "{wrong}");
    }
    requirement!(server, "BD4-08", "ASY-06");
}

#[test]
fn in_4_0_associated_data_are_asked_for_by_a_coding() {
    let data = ward();
    let server = Server::start(data.path(), &["--edition", "4"]);
    let asked = |value: Value| {
        let mut parameter = json!({ "name": "includeAssociatedData" });
        parameter.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        server.post("$export", &json!([parameter])).status
    };
    assert_eq!(asked(json!({ "valueCoding": { "code": "LatestProvenanceResources" } })), 202);
    assert_eq!(asked(json!({ "valueCoding": { "code": "Surprise" } })), 400);
    requirement!(server, "BD4-09");
}

#[test]
fn in_4_0_deletions_have_a_url_and_no_type() {
    let tombstone = r#"{"type":"Patient","id":"p9","deletedAt":"2024-02-01T00:00:00Z","patients":["p9"]}"#;
    let data = data(&[("a.ndjson", &patient("p1")), ("a.tombstones.ndjson", tombstone)]);
    let server = Server::start(data.path(), &["--edition", "4"]);
    let (_, manifest) =
        server.finish(&server.post("$export", &json!([{ "name": "_since", "valueInstant": "2024-01-01T00:00:00Z" }])));
    let deleted = &manifest["deleted"][0];
    assert!(deleted["url"].is_string(), "{manifest}");
    assert_eq!(deleted.get("type"), None);
    assert_eq!(server.lines(&manifest, "deleted").len(), 1);
    requirement!(server, "BD4-07");
}

#[test]
fn one_endpoint_speaks_two_editions_by_operations_of_their_own() {
    let data = ward();
    let settings = settings(&json!({ "alsoEditions": ["4.0-ballot"] }));
    let server = Server::start(data.path(), &["--jobs", "20", "--config", settings.path().to_str().unwrap()]);
    let statement = server.get("metadata").json();
    let rest = &statement["rest"][0];
    let of = |name: &str| {
        let resources = rest["resource"].as_array().unwrap();
        &resources.iter().find(|resource| resource["type"] == name).expect("the type")["operation"]
    };
    for (operations, definition) in
        [(&rest["operation"], "export"), (of("Patient"), "patient-export"), (of("Group"), "group-export")]
    {
        for (name, version) in [("export", "3.0.0"), ("export-v4", "4.0.0-ballot")] {
            let canonical = format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{definition}|{version}");
            let declared = json!({ "name": name, "definition": canonical });
            assert!(operations.as_array().unwrap().contains(&declared), "{declared}");
        }
    }
    // Each is there, and what follows is of its edition.
    let (_, third) = server.export("$export");
    assert!(third["request"].is_string() && third["error"].is_array());
    for target in ["$export-v4", "Patient/$export-v4", "Group/one/$export-v4"] {
        let (_, fourth) = server.finish(&server.post(target, &json!([])));
        assert_eq!(fourth.get("request"), None, "{target}");
        assert!(fourth["manifestType"].is_string(), "{target}");
    }
    assert_eq!(server.get("$export-v4").status, 405, "the ballot has no GET");
    assert_eq!(server.post("$export-v3", &json!([])).status, 404);
    requirement!(server, "BD-CAP-08");
}

/// An export of a patient and of a line that is no resource, in the ballot edition.
fn ballot() -> (tempfile::TempDir, Server, Value) {
    let data = data(&[("a.ndjson", &format!("{}\nno json\n", patient("p1")))]);
    let server = Server::start(data.path(), &["--edition", "4"]);
    let (_, manifest) = server.finish(&server.post("$export", &json!([])));
    (data, server, manifest)
}

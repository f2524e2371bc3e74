//! `_elements` and `_until` over HTTP, and what NDJSON is.

use ehi_tests::{
    records::{folder, names, parse, resource, set, updated},
    requirement,
    server::Server,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A patient and an Observation with more than anyone asks for.
fn detailed() -> TempDir {
    let patient = json!({
        "meta": { "tag": [{ "system": "s", "code": "kept" }] },
        "modifierExtension": [{ "url": "http://example.org/m", "valueBoolean": true }],
        "name": [{ "family": "Ford" }],
        "birthDate": "1970-01-01",
        "_birthDate": { "extension": [] },
    });
    let observation = json!({
        "status": "final",
        "code": { "text": "weight" },
        "subject": { "reference": "Patient/p1" },
        "valueQuantity": { "value": 1 },
        "note": [{ "text": "long" }],
    });
    // The digits of a decimal are not those of a float.
    let observation = resource("Observation", "o1", observation).replace("\"value\":1", "\"value\":1.10");
    folder(&[("a.ndjson", &[resource("Patient", "p1", patient), observation])])
}

fn of(server: &Server, query: &str, resource_type: &str) -> Value {
    let lines = server.exported(&format!("$export?_elements={query}"));
    lines.iter().map(|line| parse(line)).find(|found| found["resourceType"] == resource_type).unwrap()
}

fn members(resource: &Value) -> Vec<&str> {
    resource.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn what_is_not_listed_is_left_out_and_what_is_mandatory_stays() {
    let data = detailed();
    let server = Server::start(data.path(), &[]);
    let patient = of(&server, "Patient.name", "Patient");
    assert_eq!(members(&patient), ["id", "meta", "modifierExtension", "name", "resourceType"]);
    let observation = of(&server, "Observation.value", "Observation");
    assert_eq!(members(&observation), ["code", "id", "meta", "resourceType", "status", "valueQuantity"]);
    requirement!(server, "BD-ELEM-01", "BD-ELEM-02", "BD-ELEM-05", "BD-ELEM-09");
}

#[test]
fn a_trimmed_resource_says_so_once() {
    let data = detailed();
    let server = Server::start(data.path(), &[]);
    let patient = of(&server, "Patient.name", "Patient");
    let tags = patient["meta"]["tag"].as_array().unwrap();
    assert_eq!(tags.len(), 2);
    assert!(tags.contains(&json!({ "system": "s", "code": "kept" })));
    assert_eq!(tags.iter().filter(|tag| tag["code"] == "SUBSETTED").count(), 1);
    requirement!(server, "BD-ELEM-06");
}

#[test]
fn an_element_without_a_type_is_for_all_and_other_types_stay_whole() {
    let data = detailed();
    let server = Server::start(data.path(), &[]);
    for resource_type in ["Patient", "Observation"] {
        let trimmed = of(&server, "id,meta", resource_type);
        assert!(trimmed.get("name").is_none() && trimmed.get("note").is_none() && trimmed["id"].is_string());
    }
    let whole = of(&server, "Patient.name", "Observation");
    assert!(whole.get("note").is_some() && whole.get("meta").is_none());
    requirement!(server, "BD-ELEM-04", "BD-ELEM-07");
}

#[test]
fn a_choice_and_its_siblings_follow_the_name_without_suffix() {
    let data = detailed();
    let server = Server::start(data.path(), &[]);
    let patient = of(&server, "Patient.birthDate", "Patient");
    assert!(patient.get("birthDate").is_some() && patient.get("_birthDate").is_some());
    let lines = server.exported("$export?_elements=Observation.value&_type=Observation");
    assert!(lines[0].contains(r#""value":1.10"#), "{}", lines[0]);
    requirement!(server, "BD-ELEM-08", "BD-NDJ-03");
}

#[test]
fn only_root_elements_that_there_are_may_be_listed() {
    let data = detailed();
    let server = Server::start(data.path(), &[]);
    for wrong in ["Patient.name.family", "a.b.c", "Patient.nmae", "Ptient.name", "", "Patient.,name"] {
        let refused = server.get(&format!("$export?_elements={wrong}"));
        assert_eq!((refused.status, refused.expressions()), (400, vec!["_elements".to_owned()]), "{wrong}");
    }
    assert!(server.get("$export?_elements=Patient.nmae").outcome().contains("`name`"));
    requirement!(server, "BD-ELEM-03");
}

#[test]
fn until_is_strict_on_both_sides_and_a_window_must_have_room() {
    let data = folder(&[(
        "a.ndjson",
        &[
            updated("before", "2024-01-01T00:00:00Z"),
            updated("first", "2024-01-01T00:00:00.001Z"),
            updated("last", "2024-06-01T01:59:59.999+02:00"),
            updated("after", "2024-06-01T00:00:00Z"),
            resource("Observation", "undated", json!({})),
        ],
    )]);
    let server = Server::start(data.path(), &[]);
    let window = "$export?_since=2024-01-01T00:00:00Z&_until=2024-06-01T00:00:00Z";
    let expected = ["Observation/first", "Observation/last", "Observation/undated"];
    assert_eq!(names(&server.exported(window)), set(&expected));
    for until in ["2024-01-01T00:00:00Z", "2023-01-01T00:00:00Z"] {
        let refused = server.get(&format!("$export?_since=2024-01-01T00:00:00Z&_until={until}"));
        assert_eq!((refused.status, refused.expressions()), (400, vec!["_until".to_owned()]));
    }
    assert_eq!(server.get("$export?_until=2024-01-01").status, 400);
    requirement!(server, "BD-UNTIL-01", "BD-UNTIL-02", "BD-UNTIL-03", "BD-UNTIL-04");

    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), r#"{"undatedIncluded":false}"#).unwrap();
    let server = Server::start(data.path(), &["--config", settings.path().to_str().unwrap()]);
    assert_eq!(names(&server.exported(window)), set(&expected[..2]));
    assert_eq!(server.exported("$export").len(), 5, "without a window there is nothing to be outside of");
    requirement!(server, "BD-SINCE-06");
}

#[test]
fn a_file_is_one_resource_a_line() {
    let data = folder(&[]);
    let spaced =
        "\u{feff}{\"resourceType\":\"Patient\",\t\"id\":\"p1\" }\r\n\r\n{\"resourceType\":\"Patient\",\"id\":\"p2\"}";
    std::fs::write(data.path().join("a.ndjson"), spaced).unwrap();
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export");
    for (_, reply) in server.files(&manifest, "output") {
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.ends_with('\n') && !text.contains('\r') && !text.starts_with('\u{feff}'), "{text:?}");
        for line in text.lines() {
            assert_eq!(parse(line)["resourceType"], "Patient");
        }
        assert_eq!(text.lines().count(), 2);
    }
    requirement!(server, "BD-NDJ-01");
}

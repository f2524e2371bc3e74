//! The kick-off parameters: what each selects, and what becomes of those that are not supported.

use ehi_tests::{
    records::{folder, names, parse, resource, set, updated, ward},
    requirement,
    server::{Server, sample},
    tokens::settings,
};
use serde_json::{Value, json};

#[test]
fn types_select_what_is_exported() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let export = |target: &str| names(&server.exported(target));
    let expected = set(&["Observation/o1", "Observation/o2", "Patient/p1", "Patient/p2"]);
    assert_eq!(export("$export?_type=Patient,Observation"), expected);
    // Duplicates and empty items are harmless.
    for list in ["Patient,,Patient", ",Patient,", "Patient%2C%20Patient"] {
        assert_eq!(export(&format!("$export?_type={list}")), set(&["Patient/p1", "Patient/p2"]), "{list}");
    }
    for list in ["patient,observation", "PATIENT", "Patients", "Resource"] {
        assert_eq!(server.get(&format!("$export?_type={list}")).status, 400, "{list}");
    }
    requirement!(server, "BD-TYPE-01", "BD-TYPE-07");
}

#[test]
fn without_types_all_are_exported() {
    let data = sample(6, 5);
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export");
    let mut exported: Vec<_> = manifest["output"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    exported.sort_by_key(Value::to_string);
    let files = std::fs::read_dir(data.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut present: Vec<_> = files.map(|name| json!(name.trim_end_matches(".ndjson"))).collect();
    present.sort_by_key(Value::to_string);
    // Every one is a patient's, and so exported as a DocumentReference (BD-KICK-11).
    present.retain(|name| name != "Binary");
    assert!(present.len() >= 15, "the sample holds {} types only", present.len());
    assert_eq!(exported, present);
    requirement!(server, "BD-TYPE-02");
}

#[test]
fn an_unknown_type_is_refused_by_name() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    for level in ["", "Patient/", "Group/one/"] {
        let reply = server.get(&format!("{level}$export?_type=Patient,Foo"));
        assert_eq!(reply.status, 400);
        assert_eq!(reply.outcome(), "unknown resource type `Foo` in `_type`");
        assert_eq!(reply.expressions(), ["_type"]);
    }
    requirement!(server, "BD-KICK-18", "SM-ACC-04");
}

#[test]
fn types_outside_the_patient_compartment_are_refused_at_its_levels() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    for level in ["Patient/", "Group/one/", "Patient/p1/"] {
        let reply = server.get(&format!("{level}$export?_type=Practitioner,Organization"));
        assert_eq!(reply.status, 400);
        assert!(reply.outcome().contains("Patient compartment"), "{}", reply.outcome());
        assert_eq!(reply.expressions(), ["_type"]);
        // One type of the compartment is enough.
        assert_eq!(server.get(&format!("{level}$export?_type=Practitioner,Patient")).status, 202);
    }
    assert_eq!(names(&server.exported("$export?_type=Practitioner")), set(&["Practitioner/d1"]));
    let (_, manifest) = server.finish(&server.get_leniently("Patient/$export?_type=Practitioner"));
    assert_eq!(manifest["output"], json!([]));
    requirement!(server, "BD-TYPE-04");
}

#[test]
fn what_the_deployment_does_not_support_is_refused_by_name() {
    let data = ward();
    let settings = settings(&json!({ "unsupportedParameters": ["_type", "_typeFilter"] }));
    let server = Server::start(data.path(), &["--config", settings.path().to_str().unwrap()]);
    for target in ["$export?_type=Patient", "$export?_typeFilter=Patient%3Factive%3Dtrue"] {
        // What narrows an export is not ignored for anybody.
        for reply in [server.get(target), server.get_leniently(target)] {
            assert_eq!(reply.status, 400, "{target}");
            assert!(reply.outcome().contains("is not supported"), "{target}");
        }
    }
    requirement!(server, "BD-TYPE-03", "BD-TF-01");
}

#[test]
fn the_output_format_is_ndjson_under_each_of_its_names() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "20"]);
    for query in [
        "",
        "?_outputFormat=application/fhir%2Bndjson",
        "?_outputFormat=application/fhir+ndjson",
        "?_outputFormat=application/fhir%20ndjson",
        "?_outputFormat=application/ndjson",
        "?_outputFormat=ndjson",
    ] {
        let (_, manifest) = server.export(&format!("$export{query}"));
        let files = server.files(&manifest, "output");
        assert_eq!(files.len(), 4);
        for (item, file) in files {
            assert_eq!(file.header("content-type"), Some("application/fhir+ndjson"), "{query}");
            let text = String::from_utf8(file.body).unwrap();
            assert!(text.ends_with('\n'));
            assert!(text.lines().all(|line| parse(line)["resourceType"] == item["type"]));
        }
    }
    requirement!(server, "BD-OUTF-01", "BD-OUTF-02", "BD-OUTF-03", "BD-OUTF-05");
}

#[test]
fn another_output_format_is_refused() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    for format in ["application/fhir+json", "text/csv", "application/vnd.apache.parquet", "x", "", "ndjson,ndjson"] {
        let reply = server.get(&format!("$export?_outputFormat={format}"));
        assert_eq!(reply.status, 400, "{format}");
        assert!(reply.outcome().starts_with("unsupported `_outputFormat`"), "{}", reply.outcome());
        assert_eq!(reply.expressions(), ["_outputFormat"]);
    }
    let twice = server.get("$export?_outputFormat=ndjson&_outputFormat=ndjson");
    assert_eq!((twice.status, twice.outcome()), (400, "`_outputFormat` may be given once".to_owned()));
    requirement!(server, "BD-OUTF-04");
}

#[test]
fn since_is_one_instant() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "50"]);
    for wrong in [
        "2020-01-01",
        "2020",
        "2020-01-01T00:00:00",
        "2020-01-01T00:00Z",
        "2020-13-01T00:00:00Z",
        "2020-02-30T00:00:00Z",
        "2020-01-01%2000:00:00Z",
        "yesterday",
        "1577836800",
        "",
    ] {
        let reply = server.get(&format!("$export?_since={wrong}"));
        assert_eq!(reply.status, 400, "{wrong}");
        assert!(reply.outcome().starts_with("`_since` is not a FHIR instant"), "{}", reply.outcome());
        assert_eq!(reply.expressions(), ["_since"]);
    }
    let twice = server.get("$export?_since=2020-01-01T00:00:00Z&_since=2020-01-01T00:00:00Z");
    assert_eq!((twice.status, twice.outcome()), (400, "`_since` may be given once".to_owned()));
    for right in [
        "2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00.123456Z",
        "2020-01-01T00:00:00%2B01:00",
        "2020-01-01T00:00:00-05:30",
    ] {
        assert_eq!(server.get(&format!("$export?_since={right}")).status, 202, "{right}");
    }
    requirement!(server, "BD-SINCE-01");
}

#[test]
fn since_selects_what_changed_later() {
    let lines = [
        updated("a-year-before", "2023-03-01T12:00:00.000Z"),
        updated("1-ms-before", "2024-03-01T11:59:59.999Z"),
        updated("at", "2024-03-01T12:00:00.000Z"),
        updated("at-in-paris", "2024-03-01T13:00:00+01:00"),
        updated("half-an-hour-before-in-india", "2024-03-01T17:00:00+05:30"),
        updated("1-us-after", "2024-03-01T12:00:00.000001Z"),
        updated("1-ms-after", "2024-03-01T12:00:00.001Z"),
        updated("1-ms-after-in-new-york", "2024-03-01T07:00:00.001-05:00"),
        updated("a-day-after", "2024-03-02T12:00:00Z"),
        // What does not say when it changed may have changed.
        resource("Observation", "undated", json!({})),
        resource("Observation", "undated-with-meta", json!({ "meta": { "versionId": "1" } })),
    ];
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    let later = ["1-us-after", "1-ms-after", "1-ms-after-in-new-york", "a-day-after", "undated", "undated-with-meta"];
    let later = set(&later.map(|id| format!("Observation/{id}")).each_ref().map(String::as_str));
    for since in ["2024-03-01T12:00:00Z", "2024-03-01T13:00:00%2B01:00", "2024-03-01T13:00:00+01:00"] {
        assert_eq!(names(&server.exported(&format!("$export?_since={since}"))), later, "{since}");
    }
    requirement!(server, "BD-SINCE-02", "BD-SINCE-06");
}

#[test]
fn optional_parameters_are_refused_by_name_or_left_aside() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "50"]);
    for name in ["_minimumFileSize", "_maximumFileSize"] {
        let said = format!("`{name}` is no parameter of this edition; it came with the ballot of 4.0");
        let target = format!("Patient/$export?{name}=1000&_type=Patient");
        let refused = server.get(&target);
        assert_eq!(refused.status, 400, "{name}");
        assert_eq!(refused.outcome(), said);
        assert_eq!(refused.expressions(), [name]);
        let tolerated = server.get_leniently(&target);
        assert_eq!(tolerated.status, 202, "{name}");
        assert!(tolerated.outcome().contains(&said));
    }
    let several = server.get("$export?_elements=Patient.nmae&surprise=1&_until=yesterday&_minimumFileSize=1000");
    let each = ["_elements", "surprise", "_until", "_minimumFileSize"];
    assert_eq!(several.expressions(), each, "all are found at once");
    requirement!(server, "BD-LEN-01", "BD-ORG-01");
}

#[test]
fn lenient_handling_leaves_aside_and_reports() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let target = "$export?_type=Patient&_elements=nmae&surprise=1&_type=Foo&_minimumFileSize=1000";
    let accepted = server.get_leniently(target);
    assert_eq!(accepted.status, 202);
    let ignored = ["_elements", "surprise", "_type", "_minimumFileSize"];
    assert_eq!(sorted(accepted.expressions()), sorted(ignored.map(str::to_owned).to_vec()));
    let (_, manifest) = server.finish(&accepted);
    assert_eq!(names(&server.lines(&manifest, "output")), set(&["Patient/p1", "Patient/p2"]));
    let outcomes: Vec<Value> = server.lines(&manifest, "error").iter().map(|line| parse(line)).collect();
    assert_eq!(outcomes.len(), ignored.len(), "one OperationOutcome for each");
    let mut reported = Vec::new();
    for outcome in &outcomes {
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        assert_eq!(outcome["issue"].as_array().unwrap().len(), 1);
        assert_eq!(outcome["issue"][0]["severity"], "warning");
        reported.push(outcome["issue"][0]["expression"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(sorted(reported), sorted(ignored.map(str::to_owned).to_vec()));
    requirement!(server, "BD-LEN-02", "BD-LEN-03", "BD-HDR-10");
}

#[test]
fn a_patient_list_is_refused_under_any_handling_where_it_narrows_nothing() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let parameters = listed(&["Patient/p1"]);
    for level in ["", "Patient/p1/"] {
        let target = format!("{level}$export");
        for reply in [server.post(&target, &parameters), server.post_leniently(&target, &parameters)] {
            // Left aside it would widen the export from one patient to all.
            assert_eq!((reply.status, reply.expressions()), (400, vec!["patient".to_owned()]), "{target}");
        }
    }
    requirement!(server, "BD-PAT-04");
    for level in ["", "Patient/", "Group/both/"] {
        let target = format!("{level}$export?patient=Patient/p1");
        for reply in [server.get(&target), server.get_leniently(&target)] {
            assert_eq!((reply.status, reply.expressions()), (400, vec!["patient".to_owned()]), "{target}");
        }
    }
    requirement!(server, "BD-PAT-01");
}

#[test]
fn a_patient_list_narrows_an_export_to_these_patients() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let absolute = format!("{}/Patient/p1", server.base);
    for level in ["Patient/", "Group/both/"] {
        for reference in ["Patient/p1", absolute.as_str()] {
            let reply = server.post(&format!("{level}$export"), &listed(&[reference]));
            let (_, manifest) = server.finish(&reply);
            let exported = names(&server.lines(&manifest, "output"));
            assert!(exported.is_superset(&set(&["Observation/o1", "Patient/p1"])), "{level}: {exported:?}");
            for other in ["Observation/o2", "Patient/p2", "Group/both"] {
                assert!(!exported.contains(other), "{level}: {other} is of a patient who is not listed");
            }
        }
    }
    requirement!(server, "BD-PAT-02", "BD-PAT-01");
}

#[test]
fn patients_who_are_not_there_are_named_by_their_place() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    for (target, other) in [("Patient/$export", "Patient/nobody"), ("Group/one/$export", "Patient/p2")] {
        let list = listed(&["Patient/p1", other]);
        let refused = server.post(target, &list);
        assert_eq!((refused.status, refused.expressions()), (400, vec!["Parameters.parameter[1]".to_owned()]));
        assert!(!refused.outcome().contains("nobody"), "an id is not repeated");
        requirement!(server, "BD-PAT-03");
        let tolerated = server.post_leniently(target, &list);
        assert!(tolerated.expressions().contains(&"Parameters.parameter[1]".to_owned()), "{target}");
        let (_, manifest) = server.finish(&tolerated);
        let exported = names(&server.lines(&manifest, "output"));
        assert!(exported.contains("Patient/p1") && !exported.contains("Patient/p2"), "{target}: {exported:?}");
        assert_eq!(server.lines(&manifest, "error").len(), 1);
        // Nobody is left of a list of nobody: never everyone.
        let nobody = server.post_leniently(target, &listed(&[other]));
        let (_, manifest) = server.finish(&nobody);
        assert_eq!(manifest["output"], json!([]), "{target}");
        requirement!(server, "BD-PAT-05");
    }
}

/// Parameters that list patients.
fn listed(references: &[&str]) -> Value {
    let one = |reference: &&str| json!({ "name": "patient", "valueReference": { "reference": reference } });
    references.iter().map(one).collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

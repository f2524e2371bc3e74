//! What the ballot of 4.0 adds to the parameters.

use super::*;
use crate::{
    Edition,
    kick_off::Level,
    plan::{FileSizes, Provenance},
};

/// The kick-off that a server of that edition reads, or the texts of what is wrong with it.
fn ask(edition: &str, parameters: Value) -> Result<KickOff, Vec<String>> {
    let endpoint = endpoint_with(json!({ "edition": edition }));
    let body = json!({ "resourceType": "Parameters", "parameter": parameters }).to_string();
    match route(&endpoint, "POST", "/fhir/$export", "respond-async", &body, &everything()) {
        Route::KickOff(kick_off) => Ok(*kick_off),
        Route::Respond(response) => {
            assert_eq!(response.status, 400);
            let issues = json_of(&response)["issue"].as_array().unwrap().clone();
            Err(issues.iter().map(|issue| issue["diagnostics"].as_str().unwrap().to_owned()).collect())
        }
        other => panic!("{other:?}"),
    }
}

fn size(name: &str, size: Value) -> Value {
    json!({ "name": name, "valuePositiveInt": size })
}

/// BD4-08.
#[test]
fn sizes_of_files_are_positive_and_the_maximum_is_greater() {
    let (min, max) = ("_minimumFileSize", "_maximumFileSize");
    let both = ask("4.0-ballot", json!([size(max, json!(2_147_483_647)), size(min, json!(1))])).unwrap();
    assert_eq!(both.file_sizes, FileSizes { min: Some(1), max: Some(2_147_483_647) });
    let one = ask("4.0-ballot", json!([size(max, json!(5))])).unwrap();
    assert_eq!(one.file_sizes, FileSizes { min: None, max: Some(5) });
    assert_eq!(ask("4.0-ballot", json!([])).unwrap().file_sizes, FileSizes::default());
    for wrong in [json!(0), json!(-1), json!(1.5), json!(1e3), json!(2_147_483_648_u64)] {
        let said = ask("4.0-ballot", json!([size(min, wrong.clone())])).unwrap_err();
        assert_eq!(said, ["`_minimumFileSize` is a number of bytes from 1 to 2147483647"], "{wrong}");
    }
    for wrong in [json!("5"), json!(true), json!(null)] {
        let said = ask("4.0-ballot", json!([size(max, wrong.clone())])).unwrap_err();
        assert_eq!(said, ["`_maximumFileSize` must be given as one `valuePositiveInt`"], "{wrong}");
    }
    for equal_or_less in [7, 6] {
        let said = ask("4.0-ballot", json!([size(min, json!(7)), size(max, json!(equal_or_less))])).unwrap_err();
        assert_eq!(said, ["`_maximumFileSize` is not greater than `_minimumFileSize`"]);
    }
    let said = ask("4.0-ballot", json!([size(min, json!(7)), size(min, json!(8))])).unwrap_err();
    assert_eq!(said, ["`_minimumFileSize` may be given once"]);
    for edition in ["1.0.1", "2.0", "3.0"] {
        let said = ask(edition, json!([size(min, json!(7))])).unwrap_err();
        let expected = "`_minimumFileSize` is no parameter of this edition; it came with the ballot of 4.0";
        assert_eq!(said, [expected], "{edition}");
    }
}

/// BD4-09.
#[test]
fn associated_data_are_named_by_codings() {
    let ask = |coding: Value| ask("4.0-ballot", json!([{ "name": "includeAssociatedData", "valueCoding": coding }]));
    let system = "http://hl7.org/fhir/uv/bulkdata/CodeSystem/include-associated-data";
    let code = "RelevantProvenanceResources";
    for coding in [json!({ "code": code }), json!({ "system": system, "code": code, "display": "all" })] {
        assert_eq!(ask(coding.clone()).unwrap().provenance, Provenance::Relevant, "{coding}");
    }
    // In another system it is another code.
    let said = ask(json!({ "system": "urn:other", "code": code })).unwrap_err();
    assert!(said[0].starts_with("unknown code `urn:other|RelevantProvenanceResources`"), "{said:?}");
    for wrong in [json!({}), json!({ "display": code }), json!({ "code": 1 }), json!({ "system": 1, "code": code })] {
        let said = ask(wrong.clone()).unwrap_err();
        assert_eq!(said, ["`includeAssociatedData` must be given as one `valueCode` or `valueCoding`"], "{wrong}");
    }
}

/// What came later is no parameter that an older edition lists.
#[test]
fn only_parameters_of_the_edition_are_said_to_be_supported() {
    let said = |edition| ask(edition, json!([{ "name": "surprise", "valueString": "x" }])).unwrap_err().remove(0);
    assert!(said("4.0-ballot").contains("`_maximumFileSize`"));
    assert!(said("3.0").contains("`allowPartialManifests`") && !said("3.0").contains("`_maximumFileSize`"));
    assert!(said("2.0").contains("`patient`") && !said("2.0").contains("`organizeOutputBy`"));
}

/// BD-CAP-08.
#[test]
fn a_second_edition_has_operations_of_its_own() {
    let endpoint = endpoint_with(json!({ "edition": "2.0", "alsoEditions": ["4.0-ballot"] }));
    let kick_off = |method: &str, target: &str| {
        let body = if method == "POST" { r#"{"resourceType":"Parameters"}"# } else { "" };
        match route(&endpoint, method, target, "respond-async", body, &everything()) {
            Route::KickOff(kick_off) => Ok((kick_off.edition, kick_off.level.clone())),
            Route::Respond(response) => Err(response.status),
            other => panic!("{other:?}"),
        }
    };
    let levels = [
        ("", Level::System),
        ("Patient/", Level::AllPatients),
        ("Group/g/", Level::Group("g".into())),
        ("Practitioner/d/", Level::Practitioner("d".into())),
        ("Patient/p/", Level::Patient("p".into())),
    ];
    for (of, level) in levels {
        assert_eq!(kick_off("GET", &format!("/fhir/{of}$export")), Ok((Edition::Stu2, level.clone())));
        assert_eq!(kick_off("POST", &format!("/fhir/{of}$export-v4")), Ok((Edition::Stu4Ballot, level)));
    }
    assert_eq!(kick_off("GET", "/fhir/$export-v4"), Err(405), "the ballot has no GET");
    for other in ["$export-v1", "$export-v2", "$export-v3", "$export-v5", "$export-", "export-v4", "Group/$export-v4"] {
        assert_eq!(kick_off("POST", &format!("/fhir/{other}")), Err(404), "{other}");
    }

    // All that follows is of the job's own edition.
    let asked = r#"{"resourceType":"Parameters","parameter":[{"name":"_maximumFileSize","valuePositiveInt":7}]}"#;
    let accepted = |target: &str| match route(&endpoint, "POST", target, "respond-async", asked, &everything()) {
        Route::KickOff(kick_off) => {
            let facts = Facts { active_jobs: Some(0), ..Facts::default() };
            match decide(&endpoint, *kick_off, &everything(), &facts) {
                Decision::Accepted(job, _) => Some(job.manifest_head().edition),
                Decision::Refused(_) => None,
            }
        }
        _ => None,
    };
    assert_eq!([accepted("/fhir/$export"), accepted("/fhir/$export-v4")], [None, Some(Edition::Stu4Ballot)]);
}

/// BD-CAP-08: without a second edition there is one operation, and its definition has no version.
#[test]
fn operations_of_several_editions_have_names_and_versions() {
    let operations = |more: Value, of: Option<&str>| {
        let endpoint = endpoint_with(more);
        let Route::Respond(response) = route(&endpoint, "GET", "/fhir/metadata", "", "", &everything()) else {
            panic!("no response");
        };
        let statement = json_of(&response);
        let rest = &statement["rest"][0];
        let resource = |name| rest["resource"].as_array().unwrap().iter().find(|one| one["type"] == name).unwrap();
        let listed = of.map_or(&rest["operation"], |name| &resource(name)["operation"]);
        let listed = listed.as_array().cloned().unwrap_or_default();
        let shown =
            |one: &Value| (one["name"].as_str().unwrap().to_owned(), one["definition"].as_str().unwrap().to_owned());
        listed.iter().map(shown).collect::<Vec<_>>()
    };
    let definition = |name: &str| format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{name}");
    let one = |name: &str, of: &str| (name.to_owned(), definition(of));
    let both = json!({ "alsoEditions": ["4.0-ballot", "1.0.1"] });
    let of_three = |of: &str| {
        vec![
            one("export", &format!("{of}|3.0.0")),
            one("export-v1", &format!("{of}|1.0.1")),
            one("export-v4", &format!("{of}|4.0.0-ballot")),
        ]
    };
    assert_eq!(operations(json!({}), None), [one("export", "export")]);
    assert_eq!(operations(both.clone(), None), of_three("export"));
    assert_eq!(operations(both.clone(), Some("Group")), of_three("group-export"));
    assert_eq!(operations(both.clone(), Some("Patient"))[..3], of_three("patient-export"));
    let mut none = both;
    none["bulkExport"] = json!(false);
    assert_eq!(operations(none, None), []);
    let twice = json!({ "baseUrl": "https://ehr.example/fhir", "auth": "bearer", "alsoEditions": ["3.0"] });
    assert!(Endpoint::new(EndpointConfig::from_json(&twice.to_string()).unwrap()).is_err());
}

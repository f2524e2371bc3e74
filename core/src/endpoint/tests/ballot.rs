//! What the ballot of 4.0 adds to the parameters.

use super::*;
use crate::plan::{FileSizes, Provenance};

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

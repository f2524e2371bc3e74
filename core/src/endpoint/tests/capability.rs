//! What the CapabilityStatement says beside the operations.

use super::*;

fn get(endpoint: &Endpoint, target: &str) -> Route {
    route(endpoint, "GET", &format!("/fhir/{target}"), "", "", &everything())
}

fn statement(endpoint: &Endpoint) -> Value {
    let Route::Respond(response) = get(endpoint, "metadata") else { panic!("no response") };
    json_of(&response)
}

/// BD-CAP-05.
#[test]
fn what_a_look_up_alone_is_asked_by_is_flagged() {
    let endpoint = endpoint();
    let statement = statement(&endpoint);
    let mut flagged = Vec::new();
    for resource in statement["rest"][0]["resource"].as_array().unwrap() {
        let parameters = resource["searchParam"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter.get("extension").is_some()) {
            flagged.push((&resource["type"], &parameter["name"], &parameter["extension"]));
        }
    }
    let flag = |operation: &str| {
        json!({
            "url": "http://hl7.org/fhir/uv/bulkdata/Extension/operation-not-supported",
            "valueCanonical": format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{operation}"),
        })
    };
    let flags = json!([flag("export"), flag("patient-export"), flag("group-export")]);
    assert_eq!(flagged, [(&json!("Group"), &json!("name"), &flags)]);
    // As it says: a search may ask by it, a filter may not.
    assert!(matches!(get(&endpoint, "Group?name=ward"), Route::LookUp(_)));
    let filtered = get(&endpoint, "$export?_typeFilter=Group%3Fname%3Dward");
    let Route::Respond(refused) = filtered else { panic!("accepted") };
    assert_eq!(refused.status, 400);
}

/// EHI-KICK-04.
#[test]
fn the_parameters_of_an_ehi_export_are_told_with_their_values() {
    let documented = |more: Value| {
        let mut config = json!({ "ehi": { "documentationUrl": "https://ehr.example/formats" } });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let statement = statement(&endpoint_with(config));
        let resources = statement["rest"][0]["resource"].as_array().unwrap();
        let patient = resources.iter().find(|resource| resource["type"] == "Patient").unwrap();
        let operations = patient["operation"].as_array().unwrap();
        let operation = operations.iter().find(|operation| operation["name"] == "ehi-export").unwrap();
        operation["documentation"].as_str().unwrap().to_owned()
    };
    let formats = "the format is documented at https://ehr.example/formats";
    assert_eq!(documented(json!({})), format!("{formats}; it has no parameters"));
    let parameters = json!({ "vendorParameters": {
        "recordClass": { "operations": ["ehi-export"], "values": ["notes", "images"] },
        "remark": { "operations": ["ehi-export", "export"] },
        "elsewhere": { "operations": ["export"] },
    } });
    let expected = format!("{formats}; its parameters: `recordClass` (images, notes), `remark` (any text)");
    assert_eq!(documented(parameters), expected);
}

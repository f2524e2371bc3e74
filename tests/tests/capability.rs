//! The CapabilityStatement: what it says is what the server does.

use ehi_tests::{records::ward, requirement, server::Server};
use serde_json::{Value, json};

#[test]
fn the_operations_are_those_that_are_there() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let statement = statement(&server);
    assert_eq!(statement["fhirVersion"], "4.0.1");
    let canonical = |name: &str| format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{name}");
    let declared = |operations: &Value, name: &str| {
        let operations = operations.as_array().expect("operations");
        let definition = json!(canonical(name));
        operations.iter().any(|operation| operation["name"] == "export" && operation["definition"] == definition)
    };
    let rest = &statement["rest"][0];
    assert!(declared(&rest["operation"], "export"));
    assert!(declared(&resource(&statement, "Patient")["operation"], "patient-export"));
    assert!(declared(&resource(&statement, "Group")["operation"], "group-export"));
    // That of a provider's patients is an operation of ours, with a canonical of its own.
    let of_provider = &resource(&statement, "Practitioner")["operation"][0];
    assert_eq!(of_provider["name"], "export");
    assert!(
        of_provider["definition"].as_str().is_some_and(|url| url.ends_with("/OperationDefinition/provider-export"))
    );
    // Each answers, and where none is declared none is.
    for target in ["$export", "Patient/$export", "Group/one/$export", "Practitioner/d1/$export", "Patient/p1/$export"] {
        assert_eq!(server.get(target).status, 202, "{target}");
    }
    for resource in rest["resource"].as_array().unwrap() {
        let name = resource["type"].as_str().unwrap();
        if !["Patient", "Group", "Practitioner"].contains(&name) {
            assert_eq!(resource.get("operation"), None, "{name}");
        }
        let interactions = match name {
            "Group" => Some(json!([{ "code": "read" }, { "code": "search-type" }])),
            "Patient" | "Practitioner" => Some(json!([{ "code": "search-type" }])),
            _ => None,
        };
        assert_eq!(resource.get("interaction"), interactions.as_ref(), "{name}: there is no other REST interface");
    }
    assert_eq!(server.get("Observation/$export").status, 404);
    requirement!(server, "BD-CAP-01", "BD-CAP-02");
}

#[test]
fn the_resource_types_are_those_that_can_be_exported() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "1000"]);
    let statement = statement(&server);
    let listed: Vec<&str> =
        statement["rest"][0]["resource"].as_array().unwrap().iter().map(|r| r["type"].as_str().unwrap()).collect();
    let known: Vec<&str> = ehi_core::Definitions::R4.resource_types().collect();
    assert_eq!(listed, known);
    let all = server.get(&format!("$export?_type={}", listed.join(",")));
    assert_eq!(all.status, 202);
    requirement!(server, "BD-CAP-03");
}

#[test]
fn what_only_searches_know_is_flagged() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let statement = statement(&server);
    let parameters = resource(&statement, "Group")["searchParam"].as_array().unwrap();
    let (name, others): (Vec<&Value>, Vec<&Value>) =
        parameters.iter().partition(|parameter| parameter["name"] == "name");
    let flags = name[0]["extension"].as_array().unwrap();
    for operation in ["export", "patient-export", "group-export"] {
        let canonical = format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{operation}");
        assert!(flags.iter().any(|flag| flag["valueCanonical"] == canonical.as_str()), "{operation}");
    }
    let url = "http://hl7.org/fhir/uv/bulkdata/Extension/operation-not-supported";
    assert!(flags.iter().all(|flag| flag["url"] == url));
    // It is so: the search knows it, an export does not, and what has no flag an export knows.
    assert_eq!(server.get("Group?name=x").status, 200);
    assert_eq!(server.get("$export?_typeFilter=Group%3Fname%3Dx").status, 400);
    assert!(others.iter().all(|parameter| parameter.get("extension").is_none()));
    requirement!(server, "BD-CAP-05");
}

#[test]
fn the_documentation_answers_what_the_guide_asks() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let statement = statement(&server);
    let documentation = statement["rest"][0]["documentation"].as_str().expect("documentation");
    for (question, answer) in [
        ("profiles", "Resources pass as they are stored, without a profile filter"),
        ("file splitting", "Files hold one resource type each and are split by number of resources and by bytes"),
        ("supporting resources", "supporting resources outside it are not added"),
        ("levels", "Levels: system, Patient, Group, the patients of one practitioner, one patient"),
        ("parameters", "Parameters: _type, _since, _until, _elements, _outputFormat"),
        ("output formats", "application/fhir+ndjson"),
        ("new members", "_since applies alike to new members of a group"),
        ("associated data", "includeAssociatedData with LatestProvenanceResources and RelevantProvenanceResources"),
    ] {
        assert!(documentation.contains(answer), "{question}: {documentation}");
    }
    requirement!(server, "BD-CAP-06", "BD-SINCE-04");
}

#[test]
fn the_statement_says_that_it_is_of_bulk_data() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let statement = statement(&server);
    let bulk_data = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data";
    assert_eq!(statement["instantiates"], json!([bulk_data]));
    requirement!(server, "BD-CAP-07");
}

/// What FHIR R4 demands of any CapabilityStatement.
#[test]
fn the_statement_is_a_valid_one() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let statement = statement(&server);
    assert_eq!((&statement["status"], &statement["kind"]), (&json!("active"), &json!("instance")));
    let date = statement["date"].as_str().expect("a date");
    assert_eq!((date.len(), date.matches('-').count()), (10, 2), "{date}");
    assert_eq!(statement["format"], json!(["json"]));
    // cpb-14 and cpb-15: an instance says what it is an implementation of.
    assert_eq!(statement["implementation"]["url"], json!(server.base));
    assert!(statement["implementation"]["description"].is_string());
    assert_eq!(statement["rest"][0]["mode"], "server");
    let names = statement["rest"][0]["resource"].as_array().unwrap().iter().map(|r| r["type"].to_string());
    let mut unique: Vec<String> = names.collect();
    let all = unique.len();
    unique.dedup();
    assert_eq!(unique.len(), all, "cpb-9: a type is listed once");
    assert_eq!(server.send("HEAD", "metadata", &[], "").status, 200);
    assert_eq!(server.send("POST", "metadata", &[], "").status, 405);
}

fn statement(server: &Server) -> Value {
    let reply = server.send("GET", "metadata", &[("Accept", "application/fhir+json")], "");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/fhir+json")));
    let statement = reply.json();
    assert_eq!(statement["resourceType"], "CapabilityStatement");
    statement
}

fn resource<'s>(statement: &'s Value, name: &str) -> &'s Value {
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    resources.iter().find(|resource| resource["type"] == name).expect("a resource")
}

//! What is asked for, how, and what is not asked for at all.

use serde_json::{Value, json};

use super::*;
use crate::{endpoint::EhiConfig, kick_off::Operation};

fn asked(edition: Edition, method: KickOffMethod) -> ExportRequest {
    let mut request = ExportRequest::new(BASE);
    (request.edition, request.method) = (edition, Some(method));
    request.types = ["Patient", "Observation", "Device"].map(String::from).to_vec();
    request.elements = ["id", "Observation.code"].map(String::from).to_vec();
    request.type_filters = filters(&["Observation?status=final", "Observation?code=x"]);
    request
}

fn filters(texts: &[&str]) -> Vec<Sensitive<String>> {
    texts.iter().map(|text| Sensitive::new((*text).to_owned())).collect()
}

/// The values of a parameter in a body.
fn posted(sent: &Sent, name: &str) -> Vec<String> {
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let of_name = body["parameter"].as_array().unwrap().iter().filter(|one| one["name"] == name);
    of_name.map(|one| one["valueString"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn bd_kick_07_lists_are_joined_or_repeated() {
    let (first, second) = ("Observation%3Fstatus%3Dfinal", "Observation%3Fcode%3Dx");
    let joined = kick_off(asked(Edition::Stu2, KickOffMethod::Get)).url;
    assert!(joined.ends_with(&format!("&_typeFilter={first},{second}&_elements=id,Observation.code")), "{joined}");
    let repeated = kick_off(asked(Edition::Stu3, KickOffMethod::Get)).url;
    assert!(repeated.contains(&format!("&_typeFilter={first}&_typeFilter={second}&")), "{repeated}");
    let joined = kick_off(asked(Edition::Stu3, KickOffMethod::Post));
    assert_eq!(posted(&joined, "_type"), ["Patient,Observation,Device"]);
    let repeated = kick_off(asked(Edition::Stu4Ballot, KickOffMethod::Post));
    assert_eq!(posted(&repeated, "_type"), ["Patient", "Observation", "Device"]);
    requirement!("core", "BD-KICK-07");
}

#[test]
fn bd4_02_the_ballot_is_sent_no_lists_and_takes_none() {
    let mut request = asked(Edition::Stu4Ballot, KickOffMethod::Post);
    request.include_associated_data =
        ["LatestProvenanceResources", "RelevantProvenanceResources"].map(String::from).to_vec();
    let sent = kick_off(request);
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let parameters = body["parameter"].as_array().unwrap();
    assert_eq!(parameters.len(), 3 + 2 + 2 + 2, "one entry for each value: {body}");
    assert!(!body.to_string().contains(r#"Patient,"#) && !body.to_string().contains("Resources,"), "{body}");
    let Route::KickOff(read) = sent.received(server(Edition::Stu4Ballot)) else { panic!("refused") };
    assert_eq!((read.types.unwrap().len(), read.type_filters.len()), (3, 2));

    let list = json!({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Patient,Device"}]});
    let wrong = Sent { body: list.to_string().into_bytes(), ..sent };
    let Route::Respond(refused) = wrong.received(server(Edition::Stu4Ballot)) else { panic!("accepted") };
    assert_eq!(refused.status, 400);
    assert!(matches!(wrong.received(server(Edition::Stu3)), Route::KickOff(_)), "other editions have lists");
    requirement!("core", "BD4-02");
}

#[test]
fn asy_01_both_headers_are_sent_whatever_is_asked_for() {
    let mut sent: Vec<_> = [Edition::Stu1, Edition::Stu2, Edition::Stu3]
        .map(|edition| kick_off(ExportRequest { edition, ..ExportRequest::new(BASE) }))
        .into();
    sent.push(kick_off(asked(Edition::Stu4Ballot, KickOffMethod::Post)));
    sent.push(kick_off(ExportRequest::ehi(BASE, "p1")));
    for sent in &sent {
        assert_eq!(sent.header("accept"), Some("application/fhir+json"));
        assert_eq!(sent.header("prefer"), Some("respond-async"));
    }
    let methods: Vec<_> = sent.iter().map(|sent| sent.method.as_str()).collect();
    assert_eq!(methods, ["GET", "GET", "GET", "POST", "POST"]);
    requirement!("core", "ASY-01");
}

#[test]
fn bd_hdr_05_a_separate_status_is_asked_for_if_told() {
    let request = ExportRequest { separate_export_status: true, ..ExportRequest::new(BASE) };
    let sent = kick_off(request);
    assert_eq!(sent.header("prefer"), Some("respond-async, separate-export-status"));
    let config = EndpointConfig { separate_export_status: true, ..server(Edition::Stu3) };
    let Route::KickOff(read) = sent.received(config) else { panic!("refused") };
    assert!(read.separate_status, "our own server reads it so");
    requirement!("core", "BD-HDR-05");
}

#[test]
fn bd_tf_11_parameters_of_a_search_result_are_sent_by_no_client_and_taken_by_no_server() {
    for name in [
        "_include",
        "_revinclude",
        "_sort",
        "_count",
        "_elements",
        "_summary",
        "_total",
        "_contained",
        "_containedType",
        "_score",
        "_graph",
        "_maxresults",
    ] {
        let filter = format!("Observation?status=final&{name}=1");
        let error =
            ExportRequest { type_filters: filters(&[&filter]), ..ExportRequest::new(BASE) }.check().unwrap_err();
        let parameters: Vec<_> = error.problems.iter().map(|problem| problem.parameter).collect();
        assert_eq!(parameters, ["typeFilters"], "{name}");

        let mut sent = kick_off(ExportRequest::new(BASE));
        sent.url.push_str(&format!("?_typeFilter=Observation%3Fstatus%3Dfinal%26{name}%3D1"));
        for edition in [Edition::Stu2, Edition::Stu3] {
            let Route::Respond(refused) = sent.received(server(edition)) else { panic!("accepted: {name}") };
            assert_eq!(refused.status, 400, "{name}");
        }
    }
    requirement!("core", "BD-TF-11");
}

#[test]
fn bd_tf_17_a_window_of_clinical_dates_belongs_into_a_filter() {
    let check = |request: ExportRequest| {
        let plan = request.check().unwrap();
        plan.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (from, to) = ("2024-01-01T00:00:00Z", "2024-07-01T00:00:00Z");
    let window = ExportRequest { since: Some(from.into()), until: Some(to.into()), ..ExportRequest::new(BASE) };
    let warnings = check(window);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.starts_with("`until`") && warning.ends_with("goes into `typeFilters`"), "{warning}");
    let incremental = ExportRequest { since: Some(from.into()), ..ExportRequest::new(BASE) };
    let in_a_filter = ExportRequest {
        type_filters: filters(&["Encounter?date=ge2024-01-01&date=lt2024-07-01"]),
        ..ExportRequest::new(BASE)
    };
    assert_eq!((check(incremental), check(in_a_filter)), (Vec::new(), Vec::new()));
    requirement!("core", "BD-TF-17");
}

#[test]
fn bd_tf_02_what_a_server_did_not_filter_is_filtered_here() {
    let lines = [
        r#"{"resourceType":"Observation","id":"1","status":"final"}"#,
        r#"{"resourceType":"Observation","id":"2","status":"preliminary"}"#,
        r#"{"resourceType":"Patient","id":"3"}"#,
        r#"{"resourceType":"Observation","id":"4","status":"amended","subject":{"reference":"Patient/3"}}"#,
    ];
    let request = ExportRequest {
        type_filters: filters(&["Observation?status=final", "Observation?subject=https://ehr.example/fhir/Patient/3"]),
        ..plain()
    };
    // One that sends all, whatever was asked.
    let rows = [r#"{"url":"https://ehr.example/f/1"}"#];
    let mut run = Run::new(request, exporting(manifest(&rows), |_| reply(200, &[], lines.join("\n"))));
    assert_eq!(run.done().outcome, Outcome::Complete);
    let filter = run.client.plan().filter(&crate::Definitions::R4, run.now).unwrap();
    let file = String::from_utf8(run.files["Resource.000.ndjson"].clone()).unwrap();
    let kept: Vec<_> = file.lines().filter(|line| filter.matches(line.as_bytes())).collect();
    assert_eq!(kept, [lines[0], lines[2], lines[3]]);
    requirement!("core", "BD-TF-02");
}

#[test]
fn bd_man_33_there_is_no_manifest_url_in_an_export() {
    let mut request = asked(Edition::Stu4Ballot, KickOffMethod::Post);
    request.allow_partial_manifests = true;
    let sent = kick_off(request);
    assert!(!format!("{}{}", sent.url, String::from_utf8(sent.body).unwrap()).contains("manifestUrl"));
    for edition in [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot] {
        let written = listing::written(edition);
        assert!(!written.contains("manifestUrl"), "{edition:?}: {written}");
    }
    // Where a server sends one, nothing is fetched from it.
    let text = manifest_with(&[], r#","manifestUrl":"https://ehr.example/another-manifest""#);
    let mut run = Run::new(plain(), exporting(text, |sent| panic!("contacted {}", sent.url)));
    assert_eq!(run.done().outcome, Outcome::Complete);
    requirement!("core", "BD-MAN-33");
}

/// A server of the EHI Export API with a parameter of its own.
fn ehi_server() -> EndpointConfig {
    let declared = crate::endpoint::VendorParameter { operations: [Operation::EhiExport].into(), values: [].into() };
    EndpointConfig {
        ehi: Some(EhiConfig { documentation_url: "https://ehr.example/formats".into() }),
        vendor_parameters: [("recordClass".to_owned(), declared)].into(),
        ..server(Edition::Stu2)
    }
}

#[test]
fn ehi_kick_02_a_patients_app_sends_no_parameters_and_no_body() {
    let sent = kick_off(ExportRequest::ehi(BASE, "p1"));
    assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "https://ehr.example/fhir/Patient/p1/$ehi-export"));
    assert!(sent.body.is_empty());
    assert_eq!(sent.header("content-type"), None);
    assert!(matches!(sent.received(ehi_server()), Route::KickOff(_)));
    requirement!("core", "EHI-KICK-02");
}

#[test]
fn ehi_kick_03_parameters_of_the_vendors_own_reach_the_vendor() {
    let mut request = ExportRequest::ehi(BASE, "p1");
    let value = Sensitive::new(json!("images"));
    request.vendor = vec![VendorParameter { name: "recordClass".into(), member: "valueString".into(), value }];
    let sent = kick_off(request);
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["parameter"], json!([{"name": "recordClass", "valueString": "images"}]));
    let Route::KickOff(read) = sent.received(ehi_server()) else { panic!("refused") };
    assert_eq!(read.vendor_parameters, [("recordClass".to_owned(), vec!["images".to_owned()])].into());
    requirement!("core", "EHI-KICK-03");
}

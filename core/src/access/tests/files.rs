//! Files whose addresses open by themselves.

use super::*;
use crate::manifest::{ManifestHead, ManifestWriter, OutputFile, Section};

fn deployment() -> Endpoint {
    let key = |id: &str, digits: &str| json!({ "id": id, "secret": digits.repeat(32) });
    endpoint(json!({ "signedUrls": { "keys": [key("b", "0b"), key("a", "0a")], "seconds": 60 } }))
}

fn head(job: &mut Job, endpoint: &Endpoint, principal: &Principal) -> ManifestHead {
    match request(job, endpoint, "GET", "", principal).body {
        Body::Manifest(head) => *head,
        body => panic!("no manifest: {body:?}"),
    }
}

/// The address of that file in a manifest of the head, below the polling location.
fn address(head: ManifestHead, job: &Job, name: &str) -> String {
    let row = OutputFile {
        section: Section::Output,
        resource_type: None,
        name: name.to_owned(),
        key: "k".into(),
        count: 1,
        bytes: 10,
        gzip_bytes: None,
        sha256: None,
        continues_in_file: None,
        page: None,
        content_type: None,
    };
    let mut manifest = Vec::new();
    let mut writer = ManifestWriter::new(head);
    writer.row(&row, &mut manifest).unwrap();
    writer.finish(&mut manifest);
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["requiresAccessToken"], false);
    let url = manifest["output"][0]["url"].as_str().unwrap();
    url.strip_prefix(&format!("https://ehr.example/fhir/bulk/{}", job.id())).unwrap().to_owned()
}

/// What a caller without a token gets at that second, from the route on.
fn fetch(job: &mut Job, endpoint: &Endpoint, method: &str, below: &str, seconds: u64) -> Response {
    let target = format!("/fhir/bulk/{}{below}", job.id());
    let request = Request { method, target: &target, headers: &[], body: b"" };
    match endpoint.route(&request, &Principal::Anonymous) {
        Route::Respond(response) => response,
        Route::Job(id) if id == job.id() => {
            let account = &mut PollAccount::default();
            job.handle_request(endpoint, &request, &Principal::Anonymous, account, at(seconds)).0
        }
        other => panic!("{other:?}"),
    }
}

/// BD-FILE-05, BD-SEC-05.
#[test]
fn a_signed_address_opens_its_file_without_a_token_for_a_while() {
    let (endpoint, principal) = (deployment(), client(&["system/*.rs"]));
    let mut job = kick_off(&endpoint, "/fhir/$export", &principal).unwrap();
    run(&mut job);
    let head = head(&mut job, &endpoint, &principal);
    let signed = address(head.clone(), &job, "Patient-0001.ndjson");
    for method in ["GET", "HEAD"] {
        let found = fetch(&mut job, &endpoint, method, &signed, 3);
        assert_eq!((found.status, found.body), (200, Body::Row("Patient-0001.ndjson".into())), "{method}");
    }
    assert_eq!(fetch(&mut job, &endpoint, "GET", &signed, 60).status, 200);
    let nothing = endpoint.not_found();
    assert_eq!(fetch(&mut job, &endpoint, "GET", &signed, 61), nothing, "ended");
    let of_another = address(head, &job, "Patient-0002.ndjson");
    let (_, signature) = of_another.split_once('?').unwrap();
    assert_eq!(fetch(&mut job, &endpoint, "GET", &format!("/files/Patient-0001.ndjson?{signature}"), 3), nothing);
    assert_eq!(fetch(&mut job, &endpoint, "GET", &format!("{signed}0"), 3), nothing);
    assert_eq!(fetch(&mut job, &endpoint, "GET", &signed.replace("e=1", "e=2"), 3), nothing);
    // It opens the file, and nothing else: not the status, and it removes nothing.
    let (_, signature) = signed.split_once('?').unwrap();
    assert_eq!(fetch(&mut job, &endpoint, "GET", &format!("?{signature}"), 3).status, 401);
    assert_eq!(
        fetch(&mut job, &endpoint, "GET", "/files/Patient-0001.ndjson", 3).status,
        401,
        "no signature, no token"
    );
    assert_eq!(fetch(&mut job, &endpoint, "DELETE", &signed, 3).status, 405);
    assert_eq!(fetch(&mut job, &endpoint, "DELETE", "", 3).status, 401);
    // A token still opens it, and a removed export has no files.
    assert_eq!(request(&mut job, &endpoint, "GET", "/files/Patient-0001.ndjson", &principal).status, 200);
    assert_eq!(request(&mut job, &endpoint, "DELETE", "", &principal).status, 202);
    assert_eq!(fetch(&mut job, &endpoint, "GET", &signed, 3), nothing);
}

#[test]
fn without_keys_nothing_is_signed_and_a_signature_opens_nothing() {
    let (signing, plain) = (deployment(), endpoint(json!({})));
    let principal = client(&["system/*.rs"]);
    let mut job = kick_off(&signing, "/fhir/$export", &principal).unwrap();
    run(&mut job);
    let head_of_signing = head(&mut job, &signing, &principal);
    let signed = address(head_of_signing, &job, "Patient-0001.ndjson");
    assert_eq!(fetch(&mut job, &plain, "GET", &signed, 3).status, 401);
    let head = head(&mut job, &plain, &principal);
    assert!(head.requires_access_token && head.signer.is_none());
    assert!(!job.encode().contains(&"0b".repeat(32)), "no key lies in a record");
}

/// BD-SEC-03.
#[test]
fn files_and_status_want_the_token_that_the_kick_off_wanted() {
    let endpoint = endpoint(json!({}));
    let mut job = kick_off(&endpoint, "/fhir/$export?_type=Patient,Observation", &client(&["system/*.rs"])).unwrap();
    run(&mut job);
    for below in ["", "/files/Patient-0001.ndjson"] {
        assert_eq!(fetch(&mut job, &endpoint, "GET", below, 3).status, 401);
        assert_eq!(request(&mut job, &endpoint, "GET", below, &client(&["system/Patient.rs"])).status, 403);
        assert_eq!(request(&mut job, &endpoint, "GET", below, &client(&["system/*.rs"])).status, 200);
    }
}

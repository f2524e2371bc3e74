//! Between kick-off and manifest: where the client polls, how, and what ends it; and what it knows of the server before.

use super::*;
use crate::{endpoint::SmartConfig, http::Body};

/// A server that names that polling location, answers the first poll 202, and is done at the second.
fn located(location: &'static str) -> impl FnMut(&Sent) -> Answer {
    let mut polls = 0;
    move |sent| {
        if sent.url.contains("export") {
            return reply(202, &[("Content-Location", location)], "");
        }
        polls += 1;
        let json = [("content-type", "application/json")];
        if polls == 1 { reply(202, &[], "") } else { reply(200, &json, manifest(&[])) }
    }
}

#[test]
fn bd_stat_01_a_poll_is_a_plain_get_of_the_polling_location() {
    for (location, resolved) in [
        ("https://ehr.example/poll/1?job=a%2Fb&x", "https://ehr.example/poll/1?job=a%2Fb&x"),
        ("/poll/1", "https://ehr.example/poll/1"),
        ("../jobs/1?x=y", "https://ehr.example/jobs/1?x=y"),
    ] {
        let mut run = Run::new(plain(), located(location));
        assert_eq!(run.done().outcome, Outcome::Complete, "{location}");
        assert_eq!(run.sent.len(), 3, "{location}");
        for poll in &run.sent[1..] {
            assert_eq!((poll.method.as_str(), poll.url.as_str()), ("GET", resolved));
            assert_eq!(poll.header("accept"), Some("application/json"));
            assert!(poll.body.is_empty() && poll.header("content-type").is_none());
        }
    }
    requirement!("core", "BD-STAT-01");
}

#[test]
fn ehi_stat_01_the_status_of_an_ehi_export_is_polled_alike() {
    let request = ExportRequest { discover: false, delete_when_done: false, ..ExportRequest::ehi(BASE, "p1") };
    let mut run = Run::new(request, located("status/1"));
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!(
        run.urls(),
        ["POST /fhir/Patient/p1/$ehi-export", "GET /fhir/Patient/p1/status/1", "GET /fhir/Patient/p1/status/1"]
    );
    assert!(run.sent[1..].iter().all(|poll| poll.body.is_empty()));
    requirement!("core", "EHI-STAT-01");
}

#[test]
fn bd_stat_23_see_other_is_an_error_and_leads_nowhere() {
    let result = r#"{"resourceType":"Bundle","type":"batch-response"}"#;
    let mut run = Run::new(plain(), |sent: &Sent| match sent.url.trim_start_matches(HOST) {
        "/fhir/$export" => reply(202, &[("Content-Location", "/poll/1")], ""),
        "/poll/1" => reply(303, &[("Location", "https://ehr.example/result/1")], ""),
        _ => reply(200, &[("content-type", "application/fhir+json")], result),
    });
    let report = run.done();
    let Outcome::Failed(failure) = report.outcome else { panic!("{:?}", report.outcome) };
    assert_eq!(
        (failure.step, failure.reason, failure.status),
        (Step::Status, FailureReason::UnexpectedStatus, Some(303))
    );
    assert_eq!(run.urls(), ["GET /fhir/$export", "GET /poll/1"]);
    requirement!("core", "BD-STAT-23");
}

#[test]
fn sm_wk_06_the_token_endpoint_is_taken_from_the_smart_configuration() {
    let smart = r#"{"tokenEndpoint":"https://login.example/token"}"#;
    let smart: SmartConfig = serde_json::from_str(smart).unwrap();
    let endpoint = Endpoint::new(EndpointConfig { smart: Some(smart), ..server(Edition::Stu3) }).unwrap();
    let target = "/fhir/.well-known/smart-configuration";
    let mut configurations = Vec::new();
    for headers in [&[][..], &[("accept", b"application/json".as_slice())]] {
        let request = Request { method: "GET", target, headers, body: b"" };
        let Route::Respond(response) = endpoint.route(&request, &Principal::Anonymous) else { panic!("a response") };
        let Body::Text(text) = response.body else { panic!("a body") };
        assert_eq!(response.status, 200);
        configurations.push(text);
    }
    assert_eq!(configurations[0], configurations[1], "the header may be omitted");

    let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
    let mut run = Run::new(ExportRequest { discover: true, ..plain() }, |sent: &Sent| {
        if sent.url.ends_with(target) {
            reply(200, &[("content-type", "application/json")], configurations[0].clone())
        } else {
            export(sent)
        }
    });
    assert_eq!(run.done().outcome, Outcome::Complete);
    let found = run.client.server().token_endpoint.as_ref().map(Url::as_str);
    assert_eq!(found, Some("https://login.example/token"));
    requirement!("core", "SM-WK-06");
}

#[test]
fn bd_sec_01_neither_side_speaks_http_unless_told() {
    let http = "http://ehr.example/fhir";
    // The server: every absolute URL that it writes begins with its base.
    let config = |insecure_http| EndpointConfig { insecure_http, ..EndpointConfig::new(http, Auth::Bearer) };
    assert!(Endpoint::new(config(false)).is_err());
    assert!(Endpoint::new(config(true)).is_ok());
    let smart = |token_endpoint: &str| {
        let smart = serde_json::from_value(serde_json::json!({ "tokenEndpoint": token_endpoint })).unwrap();
        Endpoint::new(EndpointConfig { smart: Some(smart), ..server(Edition::Stu3) })
    };
    assert!(smart("http://login.example/token").is_err());
    assert!(smart("https://login.example/token").is_ok());

    // The client: the base, and every address that it is told of on the way.
    let asked = |insecure_http| ExportRequest { insecure_http, ..ExportRequest::new(http) };
    assert_eq!(asked(false).check().unwrap_err().problems[0].parameter, "baseUrl");
    assert!(asked(true).check().is_ok());
    let insecure = "http://ehr.example/poll/1";
    let mut run = Run::new(plain(), |_: &Sent| reply(202, &[("Content-Location", insecure)], ""));
    assert!(matches!(failure(&run.done()), FailureReason::Url(_)));
    assert_eq!(run.sent.len(), 1);
    let row = r#"{"type":"Patient","url":"http://ehr.example/f/1"}"#;
    let mut run = Run::new(plain(), exporting(manifest(&[row]), |sent| panic!("contacted {}", sent.url)));
    let missing = Finding::Missing {
        file: "Patient.000.ndjson".into(),
        reason: FailureReason::Url(UrlError::Insecure),
        status: None,
    };
    assert_eq!(run.done().findings, [missing]);
    requirement!("core", "BD-SEC-01");
}

//! Where the client goes, what it carries there, and what it says of it.

use super::*;

fn moved(status: u16, to: &str) -> Answer {
    reply(status, &[("Location", to)], "")
}

#[test]
fn a_polling_location_elsewhere_is_refused() {
    for location in ["https://evil.example/poll", "http://ehr.example/poll/1", "https://ehr.example:8443/poll/1"] {
        let mut run = Run::new(plain(), |_: &Sent| reply(202, &[("Content-Location", location)], ""));
        assert_eq!(failure(&run.done()), FailureReason::Url(UrlError::ForeignOrigin), "{location}");
        assert_eq!(run.sent.len(), 1, "{location}");
    }
    let mut request = plain();
    request.allowed_origins = vec!["https://jobs.example".into()];
    let mut run = Run::new(request, |sent: &Sent| {
        if sent.url.starts_with(BASE) {
            reply(202, &[("Content-Location", "https://jobs.example/poll")], "")
        } else {
            reply(200, &[("content-type", "application/json")], manifest(&[]))
        }
    });
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert!(run.sent[1].authorize);
}

#[test]
fn a_protocol_request_is_redirected_within_its_server_only_and_not_for_ever() {
    let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
    let mut run = Run::new(plain(), |sent: &Sent| match sent.url.as_str() {
        "https://ehr.example/fhir/$export" => moved(307, "/fhir/v2/$export"),
        _ => export(sent),
    });
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!(run.urls()[1], "GET /fhir/v2/$export");

    let mut run = Run::new(plain(), |_: &Sent| moved(302, "https://evil.example/$export"));
    assert_eq!(failure(&run.done()), FailureReason::Url(UrlError::ForeignOrigin));
    assert_eq!(run.sent.len(), 1);

    let mut run = Run::new(plain(), |_: &Sent| moved(302, "https://ehr.example/again"));
    assert_eq!(failure(&run.done()), FailureReason::Redirect);
    assert_eq!(run.sent.len(), 1 + ClientLimits::default().redirects_max as usize);

    let mut run =
        Run::new(ExportRequest { discover: false, ..ExportRequest::ehi(BASE, "p1") }, |_: &Sent| moved(302, "/x"));
    assert_eq!(failure(&run.done()), FailureReason::Redirect, "a POST is not turned into a GET");
}

#[test]
fn bd_file_03_and_04_the_token_goes_where_the_manifest_and_the_origin_allow() {
    let rows = [
        r#"{"type":"Patient","url":"https://ehr.example/f/1"}"#,
        r#"{"type":"Patient","url":"https://files.example/f/2"}"#,
        r#"{"type":"Patient","url":"https://cdn.example/f/3"}"#,
    ];
    for required in [true, false] {
        let text =
            manifest(&rows).replace(r#""requiresAccessToken":true"#, &format!(r#""requiresAccessToken":{required}"#));
        let mut request = plain();
        request.allowed_origins = vec!["https://files.example".into()];
        let mut run = Run::new(request, exporting(text, |_| reply(200, &[], patients(1))));
        assert_eq!(run.done().outcome, Outcome::Complete);
        let sent: Vec<_> = run.sent.iter().filter(|sent| sent.download).map(|sent| sent.authorize).collect();
        assert_eq!(sent, [required, required, false]);
        let logged = |url: &str| run.log.iter().any(|event| event.to_json().contains(url));
        assert_eq!((logged("ehr.example/f/1"), logged("files.example/f/2")), (required, required));
        assert!(!logged("cdn.example/f/3"), "whoever has this URL can read the file");
    }
}

#[test]
fn bd_file_04_a_download_redirected_elsewhere_goes_without_the_token() {
    let rows = [r#"{"type":"Patient","url":"https://ehr.example/f/1"}"#];
    let mut run = Run::new(
        plain(),
        exporting(manifest(&rows), |sent| {
            if sent.url.starts_with(HOST) {
                moved(302, "https://bucket.example/1?sig=secret")
            } else {
                reply(200, &[], patients(1))
            }
        }),
    );
    assert_eq!(run.done().outcome, Outcome::Complete);
    let downloads: Vec<_> =
        run.sent.iter().filter(|sent| sent.download).map(|sent| (sent.url.as_str(), sent.authorize)).collect();
    assert_eq!(downloads, [("https://ehr.example/f/1", true), ("https://bucket.example/1?sig=secret", false)]);
    assert!(run.log.iter().all(|event| !event.to_json().contains("secret")));
}

#[test]
fn private_and_insecure_addresses_are_not_contacted() {
    for target in [
        "https://169.254.169.254/latest/meta-data/iam",
        "https://127.0.0.1:9200/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/",
        "http://files.example/f/1",
        "file:///etc/passwd",
    ] {
        let row = format!(r#"{{"type":"Patient","url":"{target}"}}"#);
        let mut run = Run::new(plain(), exporting(manifest(&[&row]), |_| panic!("contacted")));
        assert_eq!(run.done().outcome, Outcome::Incomplete, "{target}");
        let redirected = [r#"{"type":"Patient","url":"/f/1"}"#];
        let mut run = Run::new(
            plain(),
            exporting(manifest(&redirected), |sent| {
                assert!(sent.url.starts_with(HOST), "contacted");
                moved(302, target)
            }),
        );
        assert_eq!(run.done().outcome, Outcome::Incomplete, "{target}");
    }
}

#[test]
fn sm_acc_06_bd_att_06_attachments_elsewhere_are_fetched_without_the_token() {
    let line = r#"{"resourceType":"DocumentReference","content":[{"attachment":{"url":"https://cdn.example/a.pdf","contentType":"application/pdf"}},{"attachment":{"url":"Binary/7","contentType":"text/csv","size":3}},{"attachment":{"url":"https://10.0.0.1/x"}}]}"#;
    let rows = [r#"{"type":"DocumentReference","url":"/f/1"}"#];
    let mut run = Run::new(
        plain(),
        exporting(manifest(&rows), |sent| match sent.url.as_str() {
            "https://ehr.example/f/1" => reply(200, &[], line),
            _ => reply(200, &[], "abc"),
        }),
    );
    let report = run.done();
    assert_eq!((report.outcome, report.attachments), (Outcome::Incomplete, 2));
    let refused =
        Finding::AttachmentUrl { file: "DocumentReference.000.ndjson".into(), reason: UrlError::PrivateAddress };
    assert_eq!(report.findings, [refused]);
    let attachments: Vec<_> =
        run.sent[3..].iter().map(|sent| (sent.url.as_str(), sent.authorize, sent.header("accept").unwrap())).collect();
    assert_eq!(
        attachments,
        [
            ("https://cdn.example/a.pdf", false, "application/pdf, */*;q=0.1"),
            ("https://ehr.example/fhir/Binary/7", true, "text/csv, */*;q=0.1")
        ]
    );
    let names: Vec<_> = run.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["DocumentReference.000.ndjson", "attachments/000000.pdf", "attachments/000001.csv"]);
}

#[test]
fn a_form_elsewhere_may_be_opened_and_a_script_may_not() {
    for (link, opened) in [
        ("<https://forms.example/1>; rel=\"patient-interaction\"", 1),
        ("<javascript:alert(1)>; rel=\"patient-interaction\"", 0),
        ("<https://192.168.0.1/>; rel=\"patient-interaction\"", 0),
        ("<http://forms.example/1>; rel=\"patient-interaction\"", 0),
    ] {
        let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
        let mut run = Run::new(plain(), |sent: &Sent| {
            let Answer::Reply(status, mut headers, body) = export(sent) else { panic!() };
            headers.extend((status == 202).then(|| ("Link".to_owned(), link.to_owned())));
            Answer::Reply(status, headers, body)
        });
        let report = run.done();
        assert_eq!(run.opened.len(), opened, "{link}");
        assert_eq!(report.findings.len(), 1 - opened, "{link}");
    }
}

#[test]
fn nothing_of_a_patient_reaches_the_log_a_finding_or_a_debug_text() {
    const MARK: &str = "Mustermark";
    let outcome = format!(
        r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"{MARK}","code":"{}","diagnostics":"{MARK}"}}]}}"#,
        MARK.to_lowercase()
    );
    let mut request = ExportRequest::new(BASE);
    request.level = crate::kick_off::Level::Patient(MARK.into());
    request.type_filters = vec![Sensitive::new(format!("Observation?code={MARK}"))];
    let row = |n: u32| format!(r#"{{"type":"{MARK}","url":"https://ehr.example/{MARK}/{n}?q={MARK}"}}"#);
    let text = manifest_with(&[&row(1), &row(2)], &format!(r#","{MARK}":"{MARK}""#))
        .replace(r#""requiresAccessToken":true"#, r#""requiresAccessToken":false"#);
    let line = format!(
        r#"{{"resourceType":"DocumentReference","content":[{{"attachment":{{"url":"/{MARK}","contentType":"{MARK}"}}}}]}}"#
    );
    let mut polls = 0;
    let mut run = Run::new(request, |sent: &Sent| match sent.url.trim_start_matches(HOST) {
        path if path.contains("$export") => {
            reply(202, &[("Content-Location", &format!("/poll/{MARK}"))], outcome.clone())
        }
        path if path.starts_with("/poll") => {
            polls += 1;
            match polls {
                1 => reply(
                    202,
                    &[
                        ("X-Progress", &format!("{MARK} 7%")),
                        ("Link", &format!("<https://127.0.0.1/{MARK}>;rel=patient-interaction")),
                    ],
                    "",
                ),
                2 => reply(500, &[], outcome.replace(&MARK.to_lowercase(), "timeout")),
                _ => reply(200, &[("content-type", MARK)], text.clone()),
            }
        }
        path if path.ends_with(&format!("1?q={MARK}")) => reply(200, &[], format!("{line}\n{MARK}")),
        _ => reply(400, &[], outcome.clone()),
    });
    let report = run.done();
    assert_eq!(report.outcome, Outcome::Incomplete);
    for event in &run.log {
        assert!(!event.to_json().contains(MARK), "{}", event.to_json());
    }
    for finding in &report.findings {
        assert!(!serde_json::to_string(finding).unwrap().contains(MARK), "{finding:?}");
    }
    assert!(!format!("{report:?}").contains(MARK));
    assert!(run.files.keys().all(|name| !name.contains(MARK)));
    // The plan itself is what the embedder gave; the rest of the client prints nothing of anybody.
    let Run { client, .. } = &run;
    assert!(!format!("{:?} {:?} {:?}", client.record.pages, client.record.files, client.queue).contains(MARK));

    let failed = Run::new(plain(), |_: &Sent| reply(400, &[], outcome.clone())).done();
    let shown = format!("{failed:?} {}", failure(&failed));
    assert!(!shown.contains(MARK) && !shown.contains(&MARK.to_lowercase()), "{shown}");
}

//! Kick-off, status, manifest pages, delete: by requirement.

use super::*;

fn seconds(from: &Sent, to: &Sent) -> u64 {
    to.at.seconds_since(from.at)
}

#[test]
fn one_export_from_kick_off_to_delete() {
    let body = patients(3);
    let rows = [r#"{"type":"Patient","url":"https://ehr.example/f/1","count":3}"#];
    let mut request = plain();
    (request.delete_when_done, request.discover) = (true, true);
    let mut server = exporting(manifest(&rows), |_| reply(200, &[], body.clone()));
    let mut run = Run::new(request, |sent: &Sent| match sent.url.as_str() {
        "https://ehr.example/fhir/metadata" => reply(
            200,
            &[("content-type", "application/fhir+json")],
            r#"{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","software":{"name":"EHR","version":"1"}}"#,
        ),
        "https://ehr.example/fhir/.well-known/smart-configuration" => {
            reply(200, &[("content-type", "application/json")], r#"{"token_endpoint":"/token"}"#)
        }
        _ => server(sent),
    });
    let report = run.done();
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!((report.files, report.resources, report.bytes), (1, 3, body.len() as u64));
    assert_eq!(report.transaction_time.as_deref(), Some("2024-01-01T00:00:00Z"));
    assert_eq!(report.findings, []);
    assert_eq!(run.files["Patient.000.ndjson"], body);
    assert_eq!(run.client.server().token_endpoint.as_ref().map(Url::as_str), Some("https://ehr.example/token"));
    assert_eq!(
        run.urls(),
        [
            "GET /fhir/metadata",
            "GET /fhir/.well-known/smart-configuration",
            "GET /fhir/$export",
            "GET /poll/1",
            "GET /f/1",
            "DELETE /poll/1"
        ]
    );
    assert_eq!(run.sent.iter().map(|sent| sent.authorize).collect::<Vec<_>>(), [false, false, true, true, true, true]);
    assert_eq!(
        run.events(),
        [
            "kickoff",
            "status_complete",
            "status_page_complete",
            "manifest_complete",
            "download_request",
            "download_complete",
            "export_complete"
        ]
    );
    let kickoff = serde_json::to_value(&run.log[0]).unwrap();
    assert_eq!(kickoff["eventDetail"]["softwareName"], "EHR");
    assert_eq!(kickoff["eventDetail"]["exportUrl"], "https://ehr.example/fhir/$export");
    assert!(kickoff["eventDetail"]["errorCode"].is_null());
}

#[test]
fn bd_krsp_06_a_relative_location_is_resolved_and_a_missing_one_is_an_error() {
    let locate =
        |headers: &'static [(&'static str, &'static str)]| {
            let mut run = Run::new(plain(), |sent: &Sent| {
                if sent.url.contains("$export") { reply(202, headers, "") } else { reply(404, &[], "") }
            });
            (run.done(), run.urls())
        };
    let (report, urls) = locate(&[("Content-Location", "bulk/7")]);
    assert_eq!(urls[1], "GET /fhir/bulk/7");
    assert_eq!(report.findings, [Finding::RelativePollingLocation]);
    assert_eq!(failure(&locate(&[]).0), FailureReason::NoPollingLocation);
    assert_eq!(
        failure(&locate(&[("Content-Location", "a"), ("Content-Location", "b")]).0),
        FailureReason::NoPollingLocation
    );
    requirement!("core", "BD-KRSP-06");
}

#[test]
fn bd_krsp_07_a_throttled_kick_off_is_tried_again_after_the_delay() {
    let mut answers = 0;
    let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
    let mut run = Run::new(plain(), |sent: &Sent| {
        answers += 1;
        match answers {
            1 => reply(429, &[("Retry-After", "120")], ""),
            2 => reply(503, &[("Retry-After", "60")], "<html>"),
            _ => export(sent),
        }
    });
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!((seconds(&run.sent[0], &run.sent[1]), seconds(&run.sent[1], &run.sent[2])), (120, 60));
}

#[test]
fn bd_krsp_07_within_the_limit() {
    let mut run = Run::new(plain(), |_: &Sent| reply(503, &[], ""));
    assert_eq!(failure(&run.done()), FailureReason::Unreachable);
    assert_eq!(run.sent.len(), 1 + ClientLimits::default().retries_max as usize);
}

/// Polls that are answered 202 with these fields, then the manifest.
fn polled(fields: &[Vec<(&str, String)>]) -> Run<'static> {
    let fields: Vec<Vec<(String, String)>> =
        fields.iter().map(|f| f.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()).collect();
    let mut polls = 0;
    let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
    Run::new(plain(), move |sent: &Sent| {
        if !sent.url.ends_with("/poll/1") || polls == fields.len() {
            return export(sent);
        }
        polls += 1;
        Answer::Reply(202, fields[polls - 1].clone(), Vec::new())
    })
}

#[test]
fn bd_stat_02_delays_grow_to_a_cap_with_jitter() {
    let mut run = polled(&vec![Vec::new(); 10]);
    assert_eq!(run.done().outcome, Outcome::Complete);
    let delays: Vec<_> = run.sent[1..].windows(2).map(|pair| pair[1].at.as_millis() - pair[0].at.as_millis()).collect();
    for (n, delay) in delays.iter().enumerate() {
        let full = (1000 << n).min(60_000);
        assert!((full / 2..=full).contains(delay), "{n}: {delay}");
    }
    assert!(delays.iter().any(|delay| delay % 500 != 0), "no jitter: {delays:?}");
    requirement!("core", "BD-STAT-02");
}

#[test]
fn bd_stat_03_and_04_retry_after_is_followed_in_both_forms() {
    let date = Timestamp::from_millis(START).plus_seconds(300).to_http_date();
    let mut run = polled(&[vec![("Retry-After", "120".into())], vec![("retry-after", date)]]);
    run.done();
    assert_eq!((seconds(&run.sent[1], &run.sent[2]), seconds(&run.sent[2], &run.sent[3])), (120, 180));
    requirement!("core", "BD-STAT-04");
}

#[test]
fn a_retry_after_that_is_the_time_itself_is_read_as_the_time() {
    let (in_seconds, in_millis) = (START / 1000 + 90, START + 200_000);
    let mut run =
        polled(&[vec![("Retry-After", in_seconds.to_string())], vec![("Retry-After", in_millis.to_string())]]);
    let report = run.done();
    assert_eq!((seconds(&run.sent[1], &run.sent[2]), seconds(&run.sent[2], &run.sent[3])), (90, 110));
    assert_eq!(report.findings, [Finding::RetryAfter]);
}

#[test]
fn bd_stat_11_progress_is_shown_and_only_its_percentage_logged() {
    let mut run = polled(&[vec![("X-Progress", "17% of Muster".into())]]);
    run.done();
    assert_eq!(run.client.progress().map(|text| text.expose().as_str()), Some("17% of Muster"));
    let progress = run.log.iter().map(LogEvent::to_json).find(|line| line.contains("status_progress")).unwrap();
    assert!(progress.contains("\"xProgress\":\"17%\"") && !progress.contains("Muster"), "{progress}");
    requirement!("core", "BD-STAT-11");
}

#[test]
fn bd_stat_17_what_is_transient_is_tried_again_and_the_rest_ends_the_export() {
    let outcome = |code: &str| {
        format!(
            r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"{code}","diagnostics":"d"}}]}}"#
        )
    };
    for (status, body, tried_again, reason) in [
        (500, String::new(), true, None),
        (502, "<html>bad gateway</html>".into(), true, None),
        (500, outcome("timeout"), true, None),
        (503, outcome("throttled"), true, None),
        (500, outcome("exception"), true, None),
        (500, outcome("processing"), false, Some(FailureReason::ExportFailed)),
        (400, outcome("transient"), false, Some(FailureReason::ExportFailed)),
        (404, outcome("not-found"), false, Some(FailureReason::Gone)),
        (410, String::new(), false, Some(FailureReason::Gone)),
        (303, String::new(), false, Some(FailureReason::UnexpectedStatus)),
        (204, String::new(), false, Some(FailureReason::UnexpectedStatus)),
    ] {
        let mut polls = 0;
        let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
        let mut run = Run::new(plain(), |sent: &Sent| {
            if sent.url.ends_with("/poll/1") {
                polls += 1;
                if polls == 1 {
                    return reply(status, &[], body.clone());
                }
            }
            export(sent)
        });
        let report = run.done();
        assert_eq!(run.sent.len(), if tried_again { 3 } else { 2 }, "{status} {body}");
        match reason {
            None => assert_eq!(report.outcome, Outcome::Complete, "{status} {body}"),
            Some(reason) => assert_eq!(failure(&report), reason, "{status} {body}"),
        }
        if status == 400 {
            let Outcome::Failed(failure) = report.outcome else { panic!() };
            assert_eq!((failure.status, failure.issues[0].code.as_deref()), (Some(400), Some("transient")));
            assert_eq!(failure.issues[0].text.as_ref().map(|text| text.expose().as_str()), Some("d"));
        }
    }
}

#[test]
fn bd_hdr_07_and_08_separate_status_only_where_the_server_applies_it() {
    for applied in [true, false] {
        let mut polls = 0;
        let mut request = plain();
        request.separate_export_status = true;
        let mut run = Run::new(request, |sent: &Sent| {
            if sent.url.contains("$export") {
                let preference = if applied { "respond-async, Separate-Export-Status" } else { "respond-async" };
                return reply(
                    202,
                    &[("Content-Location", "https://ehr.example/poll/1"), ("Preference-Applied", preference)],
                    "",
                );
            }
            polls += 1;
            match polls {
                1 => reply(200, &[("X-Export-Status", "202")], if applied { String::new() } else { manifest(&[]) }),
                _ => reply(
                    200,
                    &[("X-Export-Status", "500")],
                    r#"{"resourceType":"OperationOutcome","issue":[{"code":"processing"}]}"#,
                ),
            }
        });
        let report = run.done();
        if applied {
            assert_eq!(failure(&report), FailureReason::ExportFailed);
        } else {
            assert_eq!(report.outcome, Outcome::Complete);
        }
    }
    requirement!("core", "BD-HDR-08");
}

#[test]
fn bd_part_07_pages_are_followed_while_the_export_grows() {
    let row = |n: usize| format!(r#"{{"type":"Patient","url":"https://ehr.example/f/{n}","count":1}}"#);
    let page = |n: usize, next: bool| {
        let link = format!(r#","link":[{{"relation":"next","url":"https://ehr.example/page/{}"}}]"#, n + 1);
        manifest_with(&[&row(n)], if next { &link } else { "" })
    };
    let mut polls = 0;
    let mut request = plain();
    request.allow_partial_manifests = true;
    let json = [("content-type", "application/json")];
    let mut run = Run::new(request, |sent: &Sent| match sent.url.trim_start_matches(HOST) {
        path if path.contains("$export") => reply(202, &[("Content-Location", "/poll/1")], ""),
        "/poll/1" => {
            polls += 1;
            match polls {
                1 => reply(202, &[], ""),
                2 => reply(202, &json, page(0, false)),
                3 => reply(202, &json, page(0, true)),
                _ => reply(200, &json, page(0, true)),
            }
        }
        "/page/1" => reply(200, &json, page(1, polls >= 4)),
        "/page/2" => reply(200, &json, page(2, false)),
        _ => reply(200, &[], patients(1)),
    });
    let report = run.done();
    assert_eq!((report.outcome, report.files), (Outcome::Complete, 3));
    assert_eq!(run.files.len(), 3);
    let downloads = run.sent.iter().filter(|sent| sent.download).count();
    assert_eq!(downloads, 3, "each file once: {:?}", run.urls());
    let first_download = run.sent.iter().position(|sent| sent.download).unwrap();
    let last_poll = run.sent.iter().rposition(|sent| sent.url.ends_with("/poll/1")).unwrap();
    assert!(first_download < last_poll, "what is ready is fetched while the rest is made");
    requirement!("core", "BD-PART-07");
}

#[test]
fn bd_part_04_a_page_that_changes_is_told() {
    let (a, other, b) = (
        r#"{"type":"Patient","url":"https://ehr.example/f/1","count":1}"#,
        r#"{"type":"Patient","url":"https://ehr.example/f/1","count":2}"#,
        r#"{"type":"Patient","url":"https://ehr.example/f/2","count":1}"#,
    );
    let seen_twice = |second: &[&str]| {
        let second = manifest(second);
        let mut polls = 0;
        let mut run = Run::new(plain(), |sent: &Sent| match sent.url.trim_start_matches(HOST) {
            path if path.contains("$export") => reply(202, &[("Content-Location", "https://ehr.example/poll/1")], ""),
            "/poll/1" => {
                polls += 1;
                let (status, body) = if polls == 1 { (202, manifest(&[a])) } else { (200, second.clone()) };
                reply(status, &[("content-type", "application/json")], body)
            }
            _ => reply(200, &[], patients(1)),
        });
        run.done()
    };
    assert_eq!(seen_twice(&[other]).findings, [Finding::PageChanged { page: 0 }]);
    assert_eq!(seen_twice(&[]).findings, [Finding::PageChanged { page: 0 }]);
    let grown = seen_twice(&[a, b]);
    assert_eq!((grown.outcome, grown.files), (Outcome::Complete, 2));
    assert_eq!(grown.findings, [Finding::PageGrew { page: 0 }]);
}

#[test]
fn pages_in_a_circle_and_repeated_rows_end() {
    let rows = [r#"{"type":"Patient","url":"https://ehr.example/f/1"}"#; 2];
    let link = r#","link":[{"relation":"next","url":"https://ehr.example/poll/1"}]"#;
    let mut run = Run::new(plain(), exporting(manifest_with(&rows, link), |_| reply(200, &[], patients(1))));
    let report = run.done();
    assert_eq!(report.outcome, Outcome::Incomplete);
    assert_eq!(report.findings, [Finding::UnaskedPages, Finding::RepeatedRow { page: 0 }, Finding::PagesInACircle]);
    assert_eq!(run.files.len(), 1);
}

#[test]
fn bd_del_01_cancelling_tells_the_server() {
    let mut run = polled(&vec![vec![("Retry-After", "60".to_owned())]; 5]);
    run.crash_at = Some(10);
    assert!(run.run().is_none());
    run.crash_at = None;
    run.client.handle_input(ClientInput::Cancel, run.now);
    assert_eq!(run.done().outcome, Outcome::Cancelled);
    assert_eq!(run.urls().last().map(String::as_str), Some("DELETE /poll/1"));
}

#[test]
fn a_kick_off_that_is_under_way_when_cancelled_is_removed_after_all() {
    let plan = plain().check().unwrap();
    let now = Timestamp::from_millis(START);
    let mut client = Client::new(plan, ClientLimits::default(), 1, now);
    let mut sent = Vec::new();
    let report = loop {
        match client.poll_output(now) {
            ClientOutput::TokenNeeded => client.handle_input(ClientInput::TokenReady { expires: None }, now),
            ClientOutput::Transmit { op, method, .. } => {
                if method == "GET" {
                    client.handle_input(ClientInput::Cancel, now);
                }
                sent.push(method);
                let headers: &[(&str, &[u8])] = &[("content-location", b"/poll/1")];
                client.handle_input(ClientInput::Response { op, status: 202, headers, body: b"" }, now);
            }
            ClientOutput::Done(report) => break report,
            ClientOutput::Wait { .. } => panic!("nothing to wait for"),
            _ => {}
        }
    };
    assert_eq!((report.outcome, sent), (Outcome::Cancelled, vec!["GET".to_owned(), "DELETE".to_owned()]));
}

#[test]
fn the_deadline_ends_an_export_that_does_not() {
    let limits = ClientLimits { total_seconds_max: 3_600, ..ClientLimits::default() };
    let mut run = Run::limited(plain(), limits, |sent: &Sent| {
        let headers = [("Content-Location", "/poll/1"), ("Retry-After", "1")];
        reply(202, if sent.url.contains("$export") { &headers } else { &headers[1..] }, "")
    });
    assert_eq!(failure(&run.done()), FailureReason::Deadline);
    assert_eq!(run.now, Timestamp::from_millis(START).plus_seconds(3_600));
}

#[test]
fn ehi_auth_08_a_token_that_ends_during_a_long_review_is_renewed() {
    let mut polls = 0;
    let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
    let mut run = Run::new(plain(), |sent: &Sent| {
        polls += u32::from(sent.url.ends_with("/poll/1"));
        match polls {
            1 => reply(202, &[("Retry-After", "3600")], ""),
            2 => reply(401, &[], ""),
            _ => export(sent),
        }
    });
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!(run.tokens, 2);
    requirement!("core", "EHI-AUTH-08");
}

#[test]
fn sm_res_07_a_token_is_renewed_before_it_ends() {
    let mut run = polled(&vec![vec![("Retry-After", "200".to_owned())]; 3]);
    run.token_seconds = Some(300);
    run.done();
    assert_eq!(run.tokens, 2, "at 0 and 400 seconds");
}

#[test]
fn without_a_token_there_is_no_export() {
    let mut run = Run::new(plain(), |_: &Sent| reply(401, &[], ""));
    assert_eq!(failure(&run.done()), FailureReason::Unauthorized);
    assert_eq!(run.sent.len(), 3);
    // One that ends at once is used until it is refused.
    run = Run::new(plain(), exporting(manifest(&[]), |_| reply(404, &[], "")));
    run.token_seconds = Some(0);
    assert_eq!(run.done().outcome, Outcome::Complete);
}

#[test]
fn an_embedder_without_a_token_says_so() {
    let now = Timestamp::from_millis(START);
    let mut client = Client::new(plain().check().unwrap(), ClientLimits::default(), 1, now);
    let report = loop {
        match client.poll_output(now) {
            ClientOutput::TokenNeeded => client.handle_input(ClientInput::TokenUnavailable, now),
            ClientOutput::Done(report) => break report,
            output => assert!(matches!(output, ClientOutput::Save { .. } | ClientOutput::Event(_)), "{output:?}"),
        }
    };
    assert_eq!(failure(&report), FailureReason::Unauthorized);
}

#[test]
fn ehi_kick_08_the_form_is_opened_once_and_polling_goes_on() {
    let link = "<https://ehr.example/form/1>; rel=\"patient-interaction\"";
    let mut polls = 0;
    let mut request = ExportRequest::ehi(BASE, "p1");
    (request.discover, request.delete_when_done) = (false, false);
    let mut run = Run::new(request, |sent: &Sent| {
        polls += u32::from(sent.url.ends_with("/poll/1"));
        match polls {
            0 => reply(202, &[("Content-Location", "https://ehr.example/poll/1"), ("Link", link)], ""),
            1..=3 => reply(202, &[("Link", link)], ""),
            _ => reply(
                200,
                &[],
                manifest_with(&[], r#","extension":{"ehiDocumentationUrl":"https://ehr.example/docs"}"#),
            ),
        }
    });
    let report = run.done();
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(report.documentation_url.as_deref(), Some("https://ehr.example/docs"));
    assert_eq!(run.opened, ["https://ehr.example/form/1"]);
    assert_eq!(run.urls()[0], "POST /fhir/Patient/p1/$ehi-export");
    assert_eq!(report.findings, [Finding::MediaType { step: Step::Status }]);
    requirement!("core", "EHI-KICK-08");
}

#[test]
fn bd_tf_16_an_undeclared_search_parameter_is_told() {
    let mut request = plain();
    request.discover = true;
    let filter = "Observation?status=final&bogus=1&code=x";
    request.type_filters = vec![Sensitive::new(filter.to_owned())];
    // BD-CAP-05: one that is there for searches only is as good as none.
    let searches_only =
        r#"{"name":"code","extension":[{"url":"http://hl7.org/fhir/uv/bulkdata/Extension/operation-not-supported"}]}"#;
    let capability = format!(
        r#"{{"rest":[{{"resource":[{{"type":"Observation","searchParam":[{{"name":"status"}},{searches_only}]}}]}}]}}"#
    );
    let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
    let mut run = Run::new(request, |sent: &Sent| {
        if sent.url.ends_with("/metadata") {
            reply(200, &[("content-type", "application/fhir+json")], capability.clone())
        } else {
            export(sent)
        }
    });
    let undeclared =
        |name: &str| Finding::UndeclaredSearchParameter { resource_type: "Observation".into(), name: name.into() };
    let not_discovered = Finding::NotDiscovered { reason: FailureReason::Refused };
    assert_eq!(run.done().findings, [undeclared("bogus"), undeclared("code"), not_discovered]);
    requirement!("core", "BD-TF-16");
}

//! What the clients in the field get wrong, one test for each: C1 to C10 are faults of a bulk data client, A1 to A10 of an
//! EHI app. (C1, A1 and A2 are tested where lines are read, C9 where the kick-off is made.)

use super::*;

fn rows(count: usize) -> Vec<String> {
    (0..count).map(|n| format!(r#"{{"type":"Patient","url":"https://ehr.example/f/{n}","count":1}}"#)).collect()
}

fn manifest_of(count: usize) -> String {
    let rows = rows(count);
    manifest(&rows.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn c2_a_connection_cut_in_a_file_is_no_success() {
    let body = patients(10);
    let mut run = Run::new(plain(), exporting(manifest_of(1), |_| Answer::Break(200, Vec::new(), body.clone(), 100)));
    let report = run.done();
    assert_eq!((report.outcome, report.failed_files), (Outcome::Incomplete, 1));
    assert!(run.files.is_empty(), "no half a file is left");
    assert!(run.events().contains(&"download_error".into()) && run.events().ends_with(&["export_complete".into()]));
}

#[test]
fn c2_a_body_shorter_than_its_length_is_completed() {
    let body = patients(1000);
    let length = body.len().to_string();
    let text = manifest_of(1).replace(r#""count":1"#, r#""count":1000"#);
    let mut tries = 0;
    let mut run = Run::new(
        plain(),
        exporting(text, |sent| {
            tries += 1;
            let fields = [("etag", "\"1\""), ("content-length", length.as_str())];
            match sent.header("range") {
                Some("bytes=5000-") => {
                    reply(206, &[("content-range", &format!("bytes 5000-{}/{length}", body.len() - 1))], &body[5000..])
                }
                _ => reply(200, &fields, &body[..5000]),
            }
        }),
    );
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!(run.files["Patient.000.ndjson"], body);
    drop(run);
    assert_eq!(tries, 2);
}

#[test]
fn c3_one_dead_file_does_not_take_the_others_with_it() {
    let mut run = Run::new(
        plain(),
        exporting(manifest_of(20), |sent| {
            if sent.url.ends_with("/f/7") { reply(404, &[], "") } else { reply(200, &[], patients(1)) }
        }),
    );
    let report = run.done();
    assert_eq!((report.outcome, report.files, report.failed_files), (Outcome::Incomplete, 19, 1));
    let missing =
        Finding::Missing { file: "Patient.007.ndjson".into(), reason: FailureReason::Gone, status: Some(404) };
    assert_eq!(report.findings, [missing]);
}

#[test]
fn c4_no_retry_after_makes_a_hot_loop() {
    let past = Timestamp::from_millis(START - 10_000_000).to_http_date();
    for value in [past.as_str(), "0", "NaN", "Wed, 99 Foo 2024 00:00:00 GMT"] {
        let mut polls = 0;
        let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
        let mut run = Run::new(plain(), |sent: &Sent| {
            polls += u32::from(sent.url.ends_with("/poll/1"));
            if (1..=20).contains(&polls) { reply(202, &[("Retry-After", value)], "") } else { export(sent) }
        });
        run.done();
        let fastest = run.sent[1..].windows(2).map(|pair| pair[1].at.as_millis() - pair[0].at.as_millis()).min();
        assert!(fastest >= Some(500), "{value}: {fastest:?} ms");
    }
}

#[test]
fn c5_a_manifest_without_error_is_read() {
    let text = r#"{"transactionTime":"2024-01-01T00:00:00Z","requiresAccessToken":false,"output":[]}"#;
    let report = Run::new(plain(), exporting(text.into(), |_| reply(404, &[], ""))).done();
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(report.findings.len(), 2, "told: no request, no error");
}

#[test]
fn c6_a_resumed_export_fetches_only_what_is_not_there() {
    let mut server = exporting(manifest_of(6), |_| reply(200, &[], patients(1)));
    let mut run = Run::new(plain(), &mut server);
    // After a few files.
    run.crash_at = Some(30);
    assert!(run.run().is_none());
    let (saved, files, now) = (run.saved.clone(), run.files.clone(), run.now);
    let fetched = files.keys().filter(|name| !name.ends_with(".part")).count();
    assert!((1..6).contains(&fetched), "the crash came in the middle: {fetched}");
    drop(run);
    let mut run = Run::new(plain(), &mut server);
    (run.client, run.files, run.now) = (Client::resume(&saved, 8, now).unwrap(), files, now);
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!(run.files.len(), 6);
    assert!(run.sent.iter().all(|sent| !sent.url.contains("$export")), "not kicked off again");
    let again = run.sent.iter().filter(|sent| sent.download).count();
    assert!(again <= 6 - fetched + 1, "{again} of {}", 6 - fetched);
}

#[test]
fn c7_pages_do_not_overwrite_each_other() {
    let page = |n: u32, link: &str| manifest_with(&[&format!(r#"{{"type":"Observation","url":"/f/{n}"}}"#)], link);
    let next = r#","link":[{"relation":"next","url":"/page/2"}]"#;
    let mut run = Run::new(
        plain(),
        exporting(page(1, next), |sent| match sent.url.trim_start_matches(HOST) {
            "/page/2" => reply(200, &[("content-type", "application/json")], page(2, "")),
            path => reply(
                200,
                &[],
                format!(r#"{{"resourceType":"Observation","id":"{}"}}"#, path.rsplit('/').next().unwrap()),
            ),
        }),
    );
    let report = run.done();
    assert_eq!((report.outcome, report.files), (Outcome::Complete, 2));
    assert_eq!(report.findings, [Finding::UnaskedPages]);
    let ids: Vec<_> = run.files.iter().map(|(name, bytes)| (name.as_str(), bytes[bytes.len() - 3])).collect();
    assert_eq!(ids, [("Observation.000.ndjson", b'1'), ("Observation.001.ndjson", b'2')]);
}

#[test]
fn c8_attachments_of_other_resources_are_fetched_and_their_failures_told() {
    let line = r#"{"resourceType":"DiagnosticReport","presentedForm":[{"url":"/a/1"},{"url":"/a/2"}]}"#;
    let rows = [r#"{"type":"DiagnosticReport","url":"/f/1"}"#];
    let mut run = Run::new(
        plain(),
        exporting(manifest(&rows), |sent| match sent.url.trim_start_matches(HOST) {
            "/f/1" => reply(200, &[], line),
            "/a/1" => reply(200, &[], vec![0; 100_000]),
            _ => reply(500, &[], ""),
        }),
    );
    let report = run.done();
    assert_eq!((report.outcome, report.attachments), (Outcome::Incomplete, 1));
    let missing = Finding::Missing {
        file: "attachments/000001.bin".into(),
        reason: FailureReason::Unreachable,
        status: Some(500),
    };
    assert_eq!(report.findings, [missing]);
}

#[test]
fn c10_an_export_without_files_says_so() {
    let mut run = Run::new(plain(), exporting(manifest(&[]), |_| reply(404, &[], "")));
    let report = run.done();
    assert_eq!((report.outcome, report.files), (Outcome::Complete, 0));
    assert!(run.log.last().unwrap().to_json().contains(r#""_outcome":"complete""#));
}

/// An EHI export of documents.
fn documents(lines: &str) -> (Report, Vec<String>, Vec<String>) {
    let rows = [r#"{"type":"DocumentReference","url":"/f/1"}"#];
    let lines = lines.to_owned();
    let mut run =
        Run::new(ExportRequest { discover: false, ..ExportRequest::ehi(BASE, "p1") }, |sent: &Sent| {
            match sent.url.trim_start_matches(HOST) {
                path if path.contains("$ehi-export") => reply(202, &[("Content-Location", "/poll/1")], ""),
                "/poll/1" if sent.method == "DELETE" => reply(202, &[], ""),
                "/poll/1" => reply(200, &[], manifest(&rows)),
                "/f/1" => reply(200, &[], lines.clone()),
                _ => reply(200, &[], "x"),
            }
        });
    let report = run.done();
    let urls = run.urls();
    (report, run.files.into_keys().collect(), urls)
}

fn document(url: &str) -> String {
    format!(r#"{{"resourceType":"DocumentReference","content":[{{"attachment":{{"url":"{url}"}}}}]}}"#)
}

#[test]
fn a3_and_a8_a_link_in_angle_brackets_and_one_without_are_opened_as_they_are() {
    for (value, findings) in [
        ("<https://ehr.example//form?x=1//2>; rel=\"patient-interaction\"", 0),
        ("https://ehr.example//form?x=1//2; rel=\"patient-interaction\"", 1),
    ] {
        let mut export = exporting(manifest(&[]), |_| reply(404, &[], ""));
        let mut run = Run::new(plain(), |sent: &Sent| {
            let Answer::Reply(status, mut headers, body) = export(sent) else { panic!() };
            headers.push(("link".into(), value.into()));
            Answer::Reply(status, headers, body)
        });
        let report = run.done();
        assert_eq!(run.opened, ["https://ehr.example//form?x=1//2"]);
        assert_eq!(report.findings.len(), findings, "{:?}", report.findings);
    }
    requirement!("core", "EHI-KICK-13");
}

#[test]
fn a4_no_refresh_token_is_needed_only_a_token() {
    let mut run = Run::new(plain(), exporting(manifest_of(2), |_| reply(200, &[], patients(1))));
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!(run.tokens, 1);
}

#[test]
fn a5_polling_follows_retry_after_and_ends() {
    let limits = ClientLimits { total_seconds_max: 100_000, ..ClientLimits::default() };
    let mut run =
        Run::limited(plain(), limits, |_: &Sent| reply(202, &[("Content-Location", "/p"), ("Retry-After", "100")], ""));
    assert_eq!(failure(&run.done()), FailureReason::Deadline);
    assert_eq!(run.sent.len(), 1_000);
}

#[test]
fn a6_an_error_destroys_nothing_on_either_side() {
    let mut request = plain();
    request.delete_when_done = true;
    let mut run = Run::new(
        request,
        exporting(manifest_of(2), |sent| {
            if sent.url.ends_with("/f/1") { reply(404, &[], "") } else { reply(200, &[], patients(1)) }
        }),
    );
    assert_eq!(run.done().outcome, Outcome::Incomplete);
    assert_eq!(run.files.len(), 1);
    assert!(run.sent.iter().all(|sent| sent.method != "DELETE"), "the server keeps what did not arrive");
}

#[test]
fn a7_an_attachment_is_fetched_once_however_often_it_is_named() {
    let lines =
        [document("/a/1"), document("/a/1"), document("https://ehr.example:443/a/1"), document("/a/2")].join("\n");
    let (report, files, urls) = documents(&lines);
    assert_eq!(report.outcome, Outcome::Complete);
    let expected =
        ["DocumentReference.000.ndjson", "attachments/000000.bin", "attachments/000001.bin", "attachments/000002.bin"];
    assert_eq!(files, expected);
    assert_eq!(urls.iter().filter(|url| *url == "GET /a/1").count(), 1);
}

#[test]
fn a9_a_restart_deletes_nothing_and_an_incomplete_export_can_be_taken_up_again() {
    let broken = std::cell::Cell::new(true);
    let mut server = exporting(manifest_of(3), |sent| {
        if sent.url.ends_with("/f/1") && broken.get() { reply(500, &[], "") } else { reply(200, &[], patients(1)) }
    });
    let mut run = Run::new(plain(), &mut server);
    assert_eq!(run.done().outcome, Outcome::Incomplete);
    let (saved, files, now) = (run.saved.clone(), run.files.clone(), run.now);
    drop(run);
    broken.set(false);
    let mut run = Run::new(plain(), &mut server);
    (run.client, run.files, run.now) = (Client::resume(&saved, 9, now).unwrap(), files, now);
    let report = run.done();
    assert_eq!((report.outcome, report.files, report.findings), (Outcome::Complete, 3, Vec::new()));
    assert_eq!(run.urls(), ["GET /poll/1", "GET /f/1"]);
}

#[test]
fn a10_nothing_is_over_before_the_last_attachment_is_here() {
    let (report, files, urls) = documents(&[document("/a/1"), document("/a/2")].join("\n"));
    assert_eq!((report.outcome, report.attachments, files.len()), (Outcome::Complete, 2, 3));
    assert_eq!(urls.last().map(String::as_str), Some("DELETE /poll/1"));
}

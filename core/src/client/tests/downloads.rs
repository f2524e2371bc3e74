//! Downloads: ranges, checks, refreshed URLs, attachments.

use super::*;

const FILE: &str = "https://ehr.example/f/1";

fn row(more: &str) -> String {
    format!(r#"{{"type":"Patient","url":"{FILE}"{more}}}"#)
}

/// A server of one file that can serve parts of it.
fn ranged(sent: &Sent, body: &[u8], etag: &str) -> Answer {
    let from =
        sent.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from.filter(|_| sent.header("if-range").is_none_or(|tag| tag == etag)) {
        Some(from) if from < body.len() => {
            let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            reply(206, &[("etag", etag), ("content-range", &range)], &body[from..])
        }
        Some(_) => reply(416, &[], ""),
        None => reply(200, &[("etag", etag), ("content-length", &body.len().to_string())], body),
    }
}

fn broken(answer: Answer, at: usize) -> Answer {
    let Answer::Reply(status, headers, body) = answer else { panic!("{answer:?}") };
    Answer::Break(status, headers, body, at)
}

#[test]
fn bd_file_16_a_download_that_broke_goes_on_from_there() {
    let body = patients(1000);
    let mut tries = 0;
    let mut run = Run::new(
        plain(),
        exporting(manifest(&[&row(r#","count":1000"#)]), |sent| {
            tries += 1;
            let answer = ranged(sent, &body, "\"v1\"");
            if tries <= 2 { broken(answer, 10_000) } else { answer }
        }),
    );
    let report = run.done();
    assert_eq!((report.outcome, report.bytes), (Outcome::Complete, body.len() as u64));
    assert_eq!(run.files["Patient.000.ndjson"], body);
    let ranges: Vec<_> = run.sent.iter().filter(|sent| sent.download).map(|sent| sent.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=10000-"), Some("bytes=20000-")]);
    assert_eq!(run.sent.last().unwrap().header("if-range"), Some("\"v1\""));
    assert_eq!(run.sent.last().unwrap().header("accept-encoding"), Some("identity"));
}

#[test]
fn a_file_that_is_another_now_is_fetched_from_the_beginning() {
    let (old, new) = (patients(1000), patients(900));
    let mut tries = 0;
    let mut run = Run::new(
        plain(),
        exporting(manifest(&[&row("")]), |sent| {
            tries += 1;
            if tries == 1 { broken(ranged(sent, &old, "\"v1\""), 10_000) } else { ranged(sent, &new, "\"v2\"") }
        }),
    );
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!(run.files["Patient.000.ndjson"], new);
}

#[test]
fn servers_that_cannot_do_ranges_or_do_them_wrong_are_asked_for_the_whole() {
    let body = patients(1000);
    // No tag; a weak tag; a compressed answer: nothing that a part could be added to.
    for fields in [vec![], vec![("etag", "W/\"v1\"")], vec![("etag", "\"v1\""), ("content-encoding", "gzip")]] {
        let mut tries = 0;
        let mut run = Run::new(
            plain(),
            exporting(manifest(&[&row("")]), |_| {
                tries += 1;
                let answer = reply(200, &fields, body.clone());
                if tries == 1 { broken(answer, 10_000) } else { answer }
            }),
        );
        assert_eq!(run.done().outcome, Outcome::Complete);
        assert!(run.sent.iter().all(|sent| sent.header("range").is_none()), "{fields:?}");
        assert_eq!(run.files["Patient.000.ndjson"], body);
    }
    // Another part than was asked for, a part of unknown place, and 416.
    for range in ["bytes 0-99/65000", "nonsense", ""] {
        let mut tries = 0;
        let mut run = Run::new(
            plain(),
            exporting(manifest(&[&row("")]), |sent| {
                tries += 1;
                match tries {
                    1 => broken(ranged(sent, &body, "\"v1\""), 10_000),
                    2 if range.is_empty() => reply(416, &[("content-range", "bytes */1")], ""),
                    2 => reply(206, &[("content-range", range)], "x"),
                    _ => ranged(sent, &body, "\"v1\""),
                }
            }),
        );
        assert_eq!(run.done().outcome, Outcome::Complete, "{range}");
        assert_eq!(run.files["Patient.000.ndjson"], body, "{range}");
        assert_eq!(run.sent.last().unwrap().header("range"), None, "{range}");
    }
}

#[test]
fn bd_file_17_what_is_not_what_the_manifest_says_is_fetched_again_and_then_not_kept() {
    let body = patients(3);
    let size = body.len() as u64;
    let other = "0".repeat(64);
    for (claim, problem) in [
        (format!(r#","extension":{{"fileSize":{}}}"#, size + 1), FileProblem::Size),
        (format!(r#","extension":{{"sha256":"{other}"}}"#), FileProblem::Digest),
        (format!(r#","fileSize":"{}""#, size - 1), FileProblem::Size),
    ] {
        let mut run = Run::new(plain(), exporting(manifest(&[&row(&claim)]), |_| reply(200, &[], body.clone())));
        let report = run.done();
        assert_eq!((report.outcome, report.failed_files), (Outcome::Incomplete, 1), "{claim}");
        let missing = Finding::Missing {
            file: "Patient.000.ndjson".into(),
            reason: FailureReason::File(problem),
            status: Some(200),
        };
        assert!(report.findings.contains(&missing), "{claim}: {:?}", report.findings);
        assert!(run.files.is_empty(), "{claim}");
        assert_eq!(run.sent.iter().filter(|sent| sent.download).count(), 2, "{claim}");
    }
    let claim = format!(r#","count":3,"extension":{{"fileSize":{size},"sha256":"{}"}}"#, sha256(&body).to_uppercase());
    let mut run = Run::new(plain(), exporting(manifest(&[&row(&claim)]), |_| reply(200, &[], body.clone())));
    assert_eq!(run.done().outcome, Outcome::Complete);
}

#[test]
fn bd_man_12_a_count_that_is_wrong_makes_a_file_doubtful_and_keeps_it() {
    for count in [2, 4] {
        let claim = format!(r#","count":{count}"#);
        let mut run = Run::new(plain(), exporting(manifest(&[&row(&claim)]), |_| reply(200, &[], patients(3))));
        let report = run.done();
        assert_eq!((report.outcome, report.files), (Outcome::Incomplete, 1));
        let doubt = Finding::Doubtful { file: "Patient.000.ndjson".into(), problem: FileProblem::Count, line: None };
        assert_eq!(report.findings, [doubt]);
        assert_eq!(run.files["Patient.000.ndjson"], patients(3));
    }
}

#[test]
fn lines_that_are_no_resources_are_told_with_their_place() {
    let body = b"{\"resourceType\":\"Patient\"}\nMuster\n{\"resourceType\":\"Group\"}\n";
    let mut run = Run::new(plain(), exporting(manifest(&[&row("")]), |_| reply(200, &[], body.to_vec())));
    let report = run.done();
    let doubt = Finding::Doubtful { file: "Patient.000.ndjson".into(), problem: FileProblem::Malformed, line: Some(2) };
    assert_eq!(report.findings, [doubt]);
}

#[test]
fn bd_file_02_an_expired_url_is_refreshed_by_the_manifest() {
    let fresh = "https://ehr.example/f/fresh";
    for status in [403, 404, 410] {
        let mut polls = 0;
        let mut run = Run::new(plain(), |sent: &Sent| match sent.url.as_str() {
            "https://ehr.example/fhir/$export" => reply(202, &[("Content-Location", "https://ehr.example/poll/1")], ""),
            "https://ehr.example/poll/1" => {
                polls += 1;
                let body = manifest(&[&row(r#","count":3"#)]);
                reply(
                    200,
                    &[("content-type", "application/json")],
                    if polls == 1 { body } else { body.replace(FILE, fresh) },
                )
            }
            url if url == fresh => reply(200, &[], patients(3)),
            _ => reply(status, &[], ""),
        });
        let report = run.done();
        assert_eq!((report.outcome, report.findings), (Outcome::Complete, Vec::new()), "{status}");
        assert_eq!(run.files["Patient.000.ndjson"], patients(3), "{status}");
        drop(run);
        assert_eq!(polls, 2, "{status}");
    }
    requirement!("core", "BD-FILE-02");
}

#[test]
fn bd_file_02_a_url_that_stays_dead_is_given_up() {
    for (status, reason) in [(404, FailureReason::Gone), (403, FailureReason::Unauthorized)] {
        let mut run = Run::new(plain(), exporting(manifest(&[&row("")]), |_| reply(status, &[], "")));
        let report = run.done();
        assert_eq!(report.outcome, Outcome::Incomplete);
        let missing = Finding::Missing { file: "Patient.000.ndjson".into(), reason, status: Some(status) };
        assert_eq!(report.findings, [missing]);
        assert_eq!(run.sent.iter().filter(|sent| sent.download).count(), 2);
    }
}

#[test]
fn bd_file_01_after_expires_the_manifest_is_asked_again() {
    let body = manifest(&[&row("")]);
    let mut polls = 0;
    let expired = Timestamp::from_millis(START).to_http_date();
    let mut run = Run::new(plain(), |sent: &Sent| match sent.url.as_str() {
        "https://ehr.example/fhir/$export" => reply(202, &[("Content-Location", "https://ehr.example/poll/1")], ""),
        "https://ehr.example/poll/1" => {
            polls += 1;
            let fields = [("content-type", "application/json"), ("expires", expired.as_str())];
            reply(200, if polls == 1 { &fields } else { &fields[..1] }, body.clone())
        }
        _ => reply(200, &[], patients(1)),
    });
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert_eq!(run.urls(), ["GET /fhir/$export", "GET /poll/1", "GET /poll/1", "GET /f/1"]);
    requirement!("core", "BD-FILE-01");
}

#[test]
fn bd_file_09_compression_is_offered() {
    let mut run = Run::new(plain(), exporting(manifest(&[&row("")]), |_| reply(200, &[], patients(1))));
    run.done();
    let download = run.sent.last().unwrap();
    assert_eq!(download.header("accept-encoding"), Some("gzip"));
    assert_eq!(download.header("accept"), Some("application/fhir+ndjson"));
}

#[test]
fn deleted_and_error_files_are_fetched_and_told() {
    let more = r#","deleted":[{"type":"Bundle","url":"/f/d"}]"#;
    let text = manifest_with(&[], more).replace(r#""error":[]"#, r#""error":[{"url":"/f/e"}]"#);
    let mut run = Run::new(
        plain(),
        exporting(text, |sent| match sent.url.as_str() {
            "https://ehr.example/f/d" => reply(200, &[], r#"{"resourceType":"Bundle","type":"transaction"}"#),
            _ => reply(
                200,
                &[],
                r#"{"resourceType":"OperationOutcome","issue":[{"severity":"warning"},{"severity":"error"}]}"#,
            ),
        }),
    );
    let report = run.done();
    assert_eq!((report.outcome, report.files, report.deleted_files), (Outcome::Complete, 2, 1));
    assert_eq!(report.issues, [("error".into(), 1), ("warning".into(), 1)].into());
    assert_eq!(
        run.files.keys().collect::<Vec<_>>(),
        ["deleted/Bundle.000.ndjson", "error/OperationOutcome.000.ndjson"]
    );
}

#[test]
fn no_more_downloads_at_once_than_allowed() {
    let rows: Vec<_> = (0..20).map(|n| format!(r#"{{"type":"Patient","url":"/f/{n}"}}"#)).collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let limits = ClientLimits { downloads_max: 3, ..ClientLimits::default() };
    let mut run = Run::limited(plain(), limits, exporting(manifest(&rows), |_| reply(404, &[], "")));
    // Outputs are done, but no download is answered.
    let mut in_flight = 0;
    loop {
        match run.client.poll_output(run.now) {
            ClientOutput::Download { .. } => in_flight += 1,
            ClientOutput::Wait { .. } => break,
            output => run.act(output),
        }
    }
    assert_eq!(in_flight, 3);
}

#[test]
fn what_is_larger_than_the_bounds_is_not_stored() {
    let limits = ClientLimits { file_bytes_max: 50, ..ClientLimits::default() };
    for fields in [vec![("content-length", "10000")], vec![]] {
        let mut run =
            Run::limited(plain(), limits, exporting(manifest(&[&row("")]), |_| reply(200, &fields, patients(100))));
        let report = run.done();
        let missing =
            Finding::Missing { file: "Patient.000.ndjson".into(), reason: FailureReason::TooLarge, status: Some(200) };
        assert_eq!(report.findings, [missing]);
        assert!(run.files.is_empty());
    }
    let limits = ClientLimits { files_max: 1, ..ClientLimits::default() };
    let rows = [r#"{"url":"a"}"#, r#"{"url":"b"}"#];
    let mut run = Run::limited(plain(), limits, exporting(manifest(&rows), |_| reply(200, &[], "")));
    let report = run.done();
    assert!(matches!(failure(&report), FailureReason::Manifest(_)), "{report:?}");
}

#[test]
fn files_of_unknown_type_get_a_name_of_ours() {
    let rows = [
        r#"{"type":"../../etc/passwd","url":"/f/1"}"#,
        r#"{"type":"Patient/..","url":"/f/2"}"#,
        r#"{"type":"patient","url":"/f/3"}"#,
        r#"{"url":"/f/%2e%2e/x"}"#,
    ];
    let mut run = Run::new(plain(), exporting(manifest(&rows), |_| reply(200, &[], patients(1))));
    let report = run.done();
    assert_eq!(report.findings.len(), 3);
    let names: Vec<_> = run.files.keys().cloned().collect();
    assert_eq!(names, ["Resource.000.ndjson", "Resource.001.ndjson", "Resource.002.ndjson", "Resource.003.ndjson"]);
}

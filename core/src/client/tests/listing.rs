//! What manifests say: what is kept of them, what is left aside, and what becomes of the files of one that failed.

use serde_json::json;

use super::*;
use crate::manifest::{Manifest, ManifestBounds, ManifestWriter, Oddity, OutputFile};

/// A manifest of a server of this crate.
pub(super) fn written(edition: Edition) -> String {
    let head = json!({
        "edition": edition,
        "transactionTime": Timestamp::from_millis(START),
        "request": format!("{BASE}/$export"),
        "requiresAccessToken": true,
        "filesUrl": format!("{BASE}/files/"),
        "extension": { "ehiDocumentationUrl": "https://ehr.example/formats" },
    });
    let row = json!({
        "section": "output", "type": "Patient", "name": "Patient-1.ndjson", "key": "k", "count": 1, "bytes": 10,
    });
    let mut writer = ManifestWriter::new(serde_json::from_value(head).unwrap());
    let mut out = Vec::new();
    let row: OutputFile = serde_json::from_value(row).unwrap();
    writer.row(&row, &mut out).unwrap();
    writer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn bd_man_31_unknown_members_are_left_aside_and_the_extension_is_kept() {
    let extension = r#"{"vendor":{"deep":[1, 2.50,"ü"]},"ehiDocumentationUrl":"https://ehr.example/formats"}"#;
    let row = r#"{"type":"Patient","url":"/f/1","surprise":{"url":"/f/2"},"extension":{"vendor":true}}"#;
    let text = manifest_with(&[row], &format!(r#","surprise":[{{"url":"/f/3"}}],"extension":{extension}"#));
    let mut run = Run::new(plain(), exporting(text, |_| reply(200, &[], patients(1))));
    let report = run.done();
    assert_eq!((&report.outcome, report.files, report.findings.len()), (&Outcome::Complete, 1, 0));
    assert_eq!(run.urls(), ["GET /fhir/$export", "GET /poll/1", "GET /f/1"]);
    let kept = |report: &Report| report.extension.as_ref().map(|text| text.expose().clone());
    assert_eq!(kept(&report).as_deref(), Some(extension));
    let resumed = Client::resume(&run.saved, 1, run.now).unwrap().poll_to_report(run.now);
    assert_eq!(kept(&resumed).as_deref(), Some(extension), "a later run has it too");

    // What our own server writes into it comes back as it was written, of every edition.
    for edition in [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot] {
        let written = written(edition);
        let read = Manifest::read(written.as_bytes(), edition == Edition::Stu4Ballot, BOUNDS).unwrap();
        let extension = read.extension.unwrap();
        assert!(written.contains(&format!(r#""extension":{}"#, extension.expose())), "{edition:?}: {written}");
    }
    requirement!("core", "BD-MAN-31");
}

#[test]
fn an_extension_too_long_to_keep_is_told() {
    let long = "x".repeat(20_000);
    let text =
        manifest_with(&[], &format!(r#","extension":{{"a":"{long}","ehiDocumentationUrl":"https://d.example"}}"#));
    let report = Run::new(plain(), exporting(text, |_| reply(404, &[], ""))).done();
    assert_eq!((report.extension, report.documentation_url.as_deref()), (None, Some("https://d.example")));
    assert_eq!(report.findings, [Finding::Manifest { page: 0, oddity: Oddity::Extension }]);
}

#[test]
fn bd4_10_an_absent_array_is_an_empty_one() {
    let head = r#""transactionTime":"2024-01-01T00:00:00Z","requiresAccessToken":false"#;
    let request = || ExportRequest { edition: Edition::Stu4Ballot, ..plain() };
    let reports = [format!("{{{head}}}"), format!(r#"{{{head},"output":[],"outcome":[]}}"#)].map(|text| {
        let report = Run::new(request(), exporting(text, |_| reply(404, &[], ""))).done();
        assert_eq!((&report.outcome, report.files, report.findings.as_slice()), (&Outcome::Complete, 0, &[][..]));
        report
    });
    assert_eq!(reports[0], reports[1]);
    requirement!("core", "BD4-10");
}

/// A server that lists a file and then fails the export.
fn failing_after_a_file(status: u16) -> impl FnMut(&Sent) -> Answer {
    let mut polls = 0;
    move |sent| match sent.url.trim_start_matches(HOST) {
        path if path.contains("$export") => reply(202, &[("Content-Location", "https://ehr.example/poll/1")], ""),
        "/poll/1" => {
            polls += 1;
            let row = r#"{"type":"Patient","url":"/f/1","count":1}"#;
            let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"processing"}]}"#;
            let partial = reply(202, &[("content-type", "application/json"), ("retry-after", "10")], manifest(&[row]));
            if polls == 1 { partial } else { reply(status, &[], outcome) }
        }
        _ => reply(200, &[], patients(1)),
    }
}

#[test]
fn bd_man_29_what_arrived_of_an_export_that_failed_is_used_or_discarded() {
    for discard_when_failed in [false, true] {
        let request = ExportRequest { allow_partial_manifests: true, discard_when_failed, ..plain() };
        let mut run = Run::new(request, failing_after_a_file(500));
        let report = run.done();
        assert_eq!(failure(&report), FailureReason::ExportFailed);
        let here = u64::from(!discard_when_failed);
        assert_eq!((report.files, run.files.len() as u64), (here, here));
        assert_eq!(run.sent.iter().filter(|sent| sent.download).count(), 1, "it had arrived");
    }
    requirement!("core", "BD-MAN-29");
}

#[test]
fn discarding_is_saved_before_it_is_done_and_finished_by_the_next_run() {
    let request = ExportRequest { allow_partial_manifests: true, discard_when_failed: true, ..plain() };
    let mut last = None;
    for crash_at in 1.. {
        let mut run = Run::new(request.clone(), failing_after_a_file(410));
        run.crash_at = Some(crash_at);
        if run.run().is_some() {
            break;
        }
        // Killed at the end: the export has failed, whatever was discarded until then.
        if run.client.stage() != Stage::Ended || run.saved.is_empty() {
            continue;
        }
        let Ok(client) = Client::resume(&run.saved, 1, run.now) else { continue };
        if client.stage() != Stage::Ended {
            assert!(run.files.contains_key("Patient.000.ndjson"), "nothing is discarded before it is saved");
            continue;
        }
        run.client = client;
        run.crash_at = None;
        let report = run.done();
        assert_eq!((failure(&report), report.files, run.files.len()), (FailureReason::Gone, 0, 0), "{crash_at}");
        last = Some(crash_at);
    }
    assert!(last.is_some(), "some crash came between the save and the end");
}

impl Client {
    /// What a client says that has nothing left to do.
    fn poll_to_report(mut self, now: Timestamp) -> Report {
        loop {
            match self.poll_output(now) {
                ClientOutput::Done(report) => return *report,
                ClientOutput::Save { .. } => {}
                output => panic!("{output:?}"),
            }
        }
    }
}

const BOUNDS: ManifestBounds = ManifestBounds { bytes_max: 100_000, rows_max: 10 };

//! Records: whatever is lost in a crash, a later run ends with the same files.

use super::*;

/// An export in pages, with attachments, a broken connection, an expired URL and a server that is busy now and then.
fn eventful(state: &mut BTreeMap<String, u32>, sent: &Sent) -> Answer {
    let seen = state.entry(sent.url.clone()).or_default();
    *seen += 1;
    let json = [("content-type", "application/json")];
    let row = |n: u32, count: u32| format!(r#"{{"type":"Patient","url":"/f/{n}","count":{count}}}"#);
    let next = |n: u32| format!(r#","link":[{{"relation":"next","url":"/page/{n}"}}]"#);
    let documents = r#"{"type":"DocumentReference","url":"/f/d"}"#;
    let document =
        |n: u32| format!(r#"{{"resourceType":"DocumentReference","content":[{{"attachment":{{"url":"/a/{n}"}}}}]}}"#);
    match sent.url.trim_start_matches(HOST) {
        path if path.contains("$export") => reply(202, &[("Content-Location", "/poll/1")], ""),
        "/poll/1" if sent.method == "DELETE" => reply(202, &[], ""),
        "/poll/1" if *seen == 1 => reply(202, &[], ""),
        "/poll/1" if *seen == 2 => reply(202, &json, manifest(&[&row(1, 1), documents])),
        "/poll/1" => reply(200, &json, manifest_with(&[&row(1, 1), documents], &next(1))),
        "/page/1" => reply(200, &json, manifest_with(&[&row(2, 500)], &next(2))),
        "/page/2" if *seen == 1 => reply(503, &[], ""),
        "/page/2" => reply(200, &json, manifest(&[&row(3, 2), &row(4, 1)])),
        "/f/d" => reply(200, &[], format!("{}\n{}\n", document(1), document(2))),
        "/f/2" => {
            let body = patients(500);
            let range =
                sent.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            let from: usize = range.unwrap_or(0);
            let content_range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            let fields = [("etag", "\"2\""), ("content-range", content_range.as_str())];
            let Answer::Reply(status, headers, body) =
                (if from > 0 { reply(206, &fields, &body[from..]) } else { reply(200, &fields[..1], body) })
            else {
                panic!()
            };
            if *seen <= 2 { Answer::Break(status, headers, body, 7_000) } else { Answer::Reply(status, headers, body) }
        }
        "/f/3" => reply(200, &[], patients(2)),
        "/f/4" if *seen == 1 => reply(410, &[], ""),
        "/a/2" if *seen == 1 => Answer::Fail(TransferError::Network),
        _ => reply(200, &[], patients(1)),
    }
}

fn request() -> ExportRequest {
    ExportRequest { allow_partial_manifests: true, delete_when_done: true, ..plain() }
}

fn limits() -> ClientLimits {
    ClientLimits { save_bytes: 1_000, ..ClientLimits::default() }
}

#[test]
fn a_crash_before_any_output_and_in_any_save_loses_nothing() {
    let mut state = BTreeMap::new();
    let mut whole = Run::limited(request(), limits(), |sent| eventful(&mut state, sent));
    let expected = whole.done();
    assert_eq!(expected.outcome, Outcome::Complete, "{expected:?}");
    let (files, outputs) = (whole.files.clone(), whole.outputs);
    drop(whole);
    assert!(outputs > 60, "{outputs}");
    for crash in 1..outputs {
        for tear in [0, 1, 40] {
            let mut state = BTreeMap::new();
            let mut server = |sent: &Sent| eventful(&mut state, sent);
            let mut run = Run::limited(request(), limits(), &mut server);
            run.crash_at = Some(crash);
            assert!(run.run().is_none());
            let (mut saved, mut stored, now) = (run.saved.clone(), run.files.clone(), run.now);
            let last_was_save = run.last_was_append;
            drop(run);
            if tear > 0 {
                if !last_was_save {
                    continue;
                }
                saved.truncate(saved.len() - tear.min(saved.len()));
            }
            let mut run = Run::limited(request(), limits(), &mut server);
            run.now = now.plus_seconds(3);
            // Nothing was saved before the first save: then it simply begins.
            if !saved.is_empty() {
                run.client = Client::resume(&saved, 99, run.now).unwrap();
            }
            std::mem::swap(&mut run.files, &mut stored);
            let report = run.done();
            assert_eq!(report.outcome, Outcome::Complete, "{crash} {tear}: {report:?}");
            let kept: BTreeMap<_, _> = run.files.into_iter().filter(|(name, _)| !name.ends_with(".part")).collect();
            assert_eq!(sorted(&kept), sorted(&files), "{crash} {tear}");
            let totals = |report: &Report| (report.files, report.resources, report.bytes, report.attachments);
            assert_eq!(totals(&report), totals(&expected), "{crash} {tear}");
        }
    }
}

/// The files by content: which of two files of one type gets which number may differ after a torn save.
fn sorted(files: &BTreeMap<String, Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let stem = |name: &str| name.split('.').next().unwrap().trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let mut all: Vec<_> = files.iter().map(|(name, bytes)| (stem(name), bytes.clone())).collect();
    all.sort();
    all
}

#[test]
fn what_was_cancelled_before_a_crash_stays_cancelled() {
    let server = |sent: &Sent| match sent.method.as_str() {
        "DELETE" => reply(202, &[], ""),
        _ if sent.url.contains("$export") => reply(202, &[("Content-Location", "/poll/1")], ""),
        _ => reply(202, &[("Retry-After", "60")], ""),
    };
    let mut run = Run::new(plain(), server);
    run.crash_at = Some(12);
    assert!(run.run().is_none());
    run.client.handle_input(ClientInput::Cancel, run.now);
    // Saved, and lost before the server is told.
    loop {
        match run.client.poll_output(run.now) {
            ClientOutput::Transmit { .. } => break,
            output => run.act(output),
        }
    }
    let saved = run.saved.clone();
    let mut run = Run::new(plain(), server);
    run.client = Client::resume(&saved, 1, run.now).unwrap();
    assert_eq!(run.done().outcome, Outcome::Cancelled);
}

#[test]
fn saves_grow_with_what_happens_and_not_with_the_export() {
    let rows: Vec<_> = (0..500).map(|n| format!(r#"{{"type":"Patient","url":"/f/{n}","count":1}}"#)).collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let mut run = Run::new(plain(), exporting(manifest(&rows), |_| reply(200, &[], patients(1))));
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert!(run.saved.len() < 500 * 800, "{} bytes for 500 files", run.saved.len());
}

#[test]
fn the_record_of_version_1_is_read_and_written_as_it_is() {
    let mut state = BTreeMap::new();
    let mut run = Run::limited(request(), limits(), |sent| eventful(&mut state, sent));
    run.crash_at = Some(GOLDEN_CRASH);
    assert!(run.run().is_none());
    let saved = String::from_utf8(run.saved.clone()).unwrap();
    drop(run);
    assert_eq!(
        saved, GOLDEN,
        "if a record changes its meaning, raise its version and read this one by its own shape:\n{saved}"
    );
    let mut state = BTreeMap::new();
    let mut run = Run::new(request(), |sent: &Sent| eventful(&mut state, sent));
    run.client = Client::resume(GOLDEN.as_bytes(), 1, run.now).unwrap();
    // What the record says is stored, is not here: then it is fetched anew.
    assert_eq!(run.done().outcome, Outcome::Complete);
    assert!(run.urls().iter().all(|url| !url.contains("$export") && url != "GET /f/1"), "{:?}", run.urls());
}

const GOLDEN: &str = include_str!("record-v1.ndjson");
const GOLDEN_CRASH: u32 = 52;

#[test]
fn a_newer_record_is_refused_and_a_broken_one_too() {
    let newer = GOLDEN.replacen(r#""version":1"#, r#""version":2"#, 1);
    assert_eq!(Client::resume(newer.as_bytes(), 1, Timestamp::from_millis(0)).err(), Some(ResumeError::TooNew));
    let unknown = GOLDEN.replacen(r#"{"head":{"#, r#"{"head":{"surprise":1,"#, 1);
    for broken in ["", "{}\n", "null\n", "\n", &unknown, &GOLDEN[1..], &GOLDEN.replacen('\n', "\nnonsense\n", 1)] {
        let resumed = Client::resume(broken.as_bytes(), 1, Timestamp::from_millis(0));
        assert_eq!(resumed.err(), Some(ResumeError::Unreadable), "{broken}");
    }
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    let run = || {
        let mut state = BTreeMap::new();
        let mut run = Run::limited(request(), limits(), |sent| eventful(&mut state, sent));
        run.done();
        (run.saved.clone(), run.log.iter().map(LogEvent::to_json).collect::<Vec<_>>(), run.urls())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_kick_off_whose_answer_was_lost_is_sent_again_and_told() {
    let mut run = Run::new(plain(), |_: &Sent| Answer::Fail(TransferError::Network));
    // Save, token, save of the kick-off, the kick-off itself.
    while run.sent.is_empty() {
        let output = run.client.poll_output(run.now);
        run.act(output);
    }
    let saved = run.saved.clone();
    let mut run = Run::new(plain(), exporting(manifest(&[]), |_| reply(404, &[], "")));
    run.client = Client::resume(&saved, 1, run.now).unwrap();
    let report = run.done();
    assert_eq!((report.outcome, report.findings), (Outcome::Complete, vec![Finding::KickOffRepeated]));
}

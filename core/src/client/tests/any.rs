//! A server that answers anything: no panic, and an end within bounds.

use proptest::prelude::*;

use super::*;

/// Bounds under which an end comes soon.
fn limits() -> ClientLimits {
    ClientLimits {
        total_seconds_max: 3_600,
        response_bytes_max: 10_000,
        files_max: 20,
        attachments_max: 5,
        file_bytes_max: 2_000,
        total_bytes_max: 10_000,
        pages_max: 4,
        retries_max: 2,
        refreshes_max: 1,
        save_bytes: 100,
        findings_max: 10,
        ..ClientLimits::default()
    }
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![
        6 => Just(200_u16),
        3 => Just(202),
        2 => Just(206),
        1 => prop::sample::select(vec![204_u16, 301, 302, 303, 307, 401, 403, 404, 410, 416, 429, 500, 503]),
        1 => any::<u16>(),
    ]
}

fn header() -> impl Strategy<Value = (String, String)> {
    let name = prop::sample::select(vec![
        "Content-Location",
        "Retry-After",
        "Link",
        "Location",
        "Expires",
        "ETag",
        "Content-Range",
        "Content-Length",
        "Content-Encoding",
        "Content-Type",
        "X-Progress",
        "X-Export-Status",
        "Preference-Applied",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "/poll/1",
            "https://ehr.example/poll/1",
            "https://evil.example/x",
            "http://127.0.0.1/",
            "<https://ehr.example/form>; rel=\"patient-interaction\"",
            "0",
            "5",
            "99999999999999999999",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "\"tag\"",
            "bytes 0-3/4",
            "bytes 5-9/10",
            "gzip",
            "application/json",
            "100%",
            "separate-export-status",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,20}",
    ];
    (name, value).prop_map(|(name, value)| (name.to_owned(), value))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![
        Just(Vec::new()),
        Just(patients(3)),
        (0..4_usize, any::<bool>()).prop_map(|(rows, next)| {
            let row = r#"{"type":"DocumentReference","url":"/f/1","count":"1","extension":{"fileSize":9}}"#;
            let rows: Vec<_> = (0..rows).map(|n| row.replace("/f/1", &format!("/f/{n}"))).collect();
            let rows: Vec<_> = rows.iter().map(String::as_str).collect();
            manifest_with(&rows, if next { r#","link":[{"relation":"next","url":"/p/2"}]"# } else { "" }).into_bytes()
        }),
        Just(br#"{"resourceType":"DocumentReference","content":[{"attachment":{"url":"/a/1"}}]}"#.to_vec()),
        Just(br#"{"resourceType":"OperationOutcome","issue":[{"code":"timeout"}]}"#.to_vec()),
        prop::collection::vec(any::<u8>(), 0..60),
    ];
    (whole, any::<prop::sample::Index>(), any::<u8>(), 0..4_u8).prop_map(|(mut body, at, byte, change)| {
        match change {
            0 if !body.is_empty() => body.truncate(at.index(body.len())),
            1 if !body.is_empty() => {
                let at = at.index(body.len());
                body[at] = byte;
            }
            _ => {}
        }
        body
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    let head = || (status(), prop::collection::vec(header(), 0..4), body());
    prop_oneof![
        8 => head().prop_map(|(status, headers, body)| Answer::Reply(status, headers, body)),
        1 => (head(), any::<prop::sample::Index>()).prop_map(|((status, headers, body), at)| {
            let cut = at.index(body.len() + 1);
            Answer::Break(status, headers, body, cut)
        }),
        1 => prop::sample::select(vec![
            TransferError::Network,
            TransferError::AddressRefused,
            TransferError::TooLarge,
            TransferError::Storage,
            TransferError::PartMissing,
        ])
        .prop_map(Answer::Fail),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_answers_lead_to_a_stated_end_within_bounds(
        answers in prop::collection::vec(answer(), 1..30),
        willing in any::<bool>(),
        crash in 1..80_u32,
    ) {
        let request = ExportRequest { discover: !willing, allow_partial_manifests: true, ..ExportRequest::new(BASE) };
        let mut asked = 0;
        let mut next = |sent: &Sent| {
            asked += 1;
            // Else few would get beyond the kick-off.
            if willing && sent.url.contains("$export") {
                return reply(202, &[("Content-Location", "/poll/1")], "");
            }
            answers[asked % answers.len()].clone()
        };
        let mut run = Run::limited(request.clone(), limits(), &mut next);
        run.crash_at = Some(crash);
        let report = match run.run() {
            Some(report) => report,
            None => {
                let (saved, files, now) = (run.saved.clone(), run.files.clone(), run.now);
                drop(run);
                run = Run::limited(request, limits(), &mut next);
                if !saved.is_empty() {
                    run.client = Client::resume(&saved, 3, now).expect("what was saved can be read");
                }
                (run.files, run.now) = (files, now);
                run.done()
            }
        };
        prop_assert!(run.now.seconds_since(Timestamp::from_millis(START)) <= 2 * 3_600);
        prop_assert!(run.sent.len() < 8_000, "{} requests", run.sent.len());
        prop_assert!(run.files.values().map(Vec::len).sum::<usize>() <= 4 * 10_000);
        prop_assert!(report.findings.len() <= 10);
        if report.outcome == Outcome::Complete {
            prop_assert!(run.files.keys().all(|name| !name.ends_with(".part")), "{:?}", run.files.keys());
            prop_assert_eq!(report.failed_files, 0);
        }
        for sent in &run.sent {
            prop_assert!(!sent.authorize || sent.url.starts_with("https://ehr.example/"), "{}", sent.url);
            prop_assert!(sent.url.starts_with("https://"), "{}", sent.url);
        }
    }
}

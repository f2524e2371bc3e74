//! Files and attachments: with which headers they are asked for, and what of them is counted.

use super::*;

fn downloads<'r>(run: &'r Run<'_>) -> Vec<(&'r str, bool)> {
    run.sent.iter().filter(|sent| sent.download).map(|sent| (sent.url.as_str(), sent.authorize)).collect()
}

/// A manifest of these rows whose files are open to whoever has the URL, or not.
fn guarded(rows: &[&str], requires_access_token: bool) -> String {
    let said = format!(r#""requiresAccessToken":{requires_access_token}"#);
    manifest(rows).replace(r#""requiresAccessToken":true"#, &said)
}

#[test]
fn bd_file_04_where_no_token_is_required_none_is_sent_not_after_a_redirect_either() {
    let row = r#"{"type":"Patient","url":"https://ehr.example/f/1"}"#;
    let request = || ExportRequest { allowed_origins: vec!["https://files.example".into()], ..plain() };
    for to in ["https://ehr.example/g/1", "https://files.example/1", "https://bucket.example/1?sig=k"] {
        let sent = |required| {
            let mut run = Run::new(
                request(),
                exporting(guarded(&[row], required), |sent| {
                    let moved = reply(302, &[("Location", to)], "");
                    if sent.url == to { reply(200, &[], patients(1)) } else { moved }
                }),
            );
            assert_eq!(run.done().outcome, Outcome::Complete);
            assert!(run.sent.iter().all(|sent| sent.header("authorization").is_none()), "only `authorize` sends it");
            downloads(&run).into_iter().map(|(url, authorize)| (url.to_owned(), authorize)).collect::<Vec<_>>()
        };
        assert_eq!(sent(false), [("https://ehr.example/f/1".to_owned(), false), (to.to_owned(), false)]);
        // The same chain with a token shows that it is the manifest that decides.
        let is_trusted = !to.contains("bucket");
        assert_eq!(sent(true), [("https://ehr.example/f/1".to_owned(), true), (to.to_owned(), is_trusted)]);
    }
    requirement!("core", "BD-FILE-04");
}

#[test]
fn bd_att_06_an_attachment_sees_the_token_only_if_manifest_and_origin_allow() {
    let urls = ["https://ehr.example/fhir/Binary/1", "https://files.example/2", "https://foreign.example/3"];
    let attachment = |url: &str| format!(r#"{{"attachment":{{"url":"{url}"}}}}"#);
    let line =
        format!(r#"{{"resourceType":"DocumentReference","id":"1","content":[{}]}}"#, urls.map(attachment).join(","));
    let rows = [r#"{"type":"DocumentReference","url":"/f/1"}"#];
    for (required, allowed, expected) in [
        (true, vec![], [true, false, false]),
        (true, vec!["https://files.example".to_owned()], [true, true, false]),
        (false, vec!["https://files.example".to_owned()], [false, false, false]),
    ] {
        let request = ExportRequest { allowed_origins: allowed, ..plain() };
        let mut run = Run::new(
            request,
            exporting(guarded(&rows, required), |sent| match sent.url.as_str() {
                "https://ehr.example/f/1" => reply(200, &[], line.clone()),
                _ => reply(200, &[], "content"),
            }),
        );
        let report = run.done();
        assert_eq!((report.outcome, report.attachments), (Outcome::Complete, 3));
        assert_eq!(downloads(&run)[1..], [(urls[0], expected[0]), (urls[1], expected[1]), (urls[2], expected[2])]);
    }
    requirement!("core", "BD-ATT-06");
}

#[test]
fn bd_org_11_header_lines_are_read_as_control_lines() {
    let header = |patient: &str| {
        format!(
            r#"{{"resourceType":"Parameters","parameter":[{{"name":"header","valueReference":{{"reference":"Patient/{patient}"}}}}]}}"#
        )
    };
    let lines = [
        header("1"),
        r#"{"resourceType":"Patient","id":"1"}"#.into(),
        r#"{"resourceType":"Observation","id":"2"}"#.into(),
        header("3"),
        r#"{"resourceType":"Patient","id":"3"}"#.into(),
        // One that somebody stored is a resource.
        r#"{"resourceType":"Parameters","id":"4","parameter":[{"name":"other"}]}"#.into(),
    ];
    let rows = [r#"{"url":"/f/1","count":4}"#];
    let text = manifest_with(&rows, r#","outputOrganizedBy":"Patient""#);
    let request = ExportRequest { organize_output_by: Some("Patient".into()), ..plain() };
    let mut run = Run::new(request, exporting(text, |_| reply(200, &[], lines.join("\n"))));
    let report = run.done();
    assert_eq!((report.outcome, report.resources, report.findings), (Outcome::Complete, 4, Vec::new()));
    requirement!("core", "BD-ORG-11");
}

#[test]
fn bd_ndj_02_every_way_to_end_a_line_reads_alike() {
    let line = |id: u32| format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
    let rows = [r#"{"type":"Patient","url":"/f/1","count":3}"#];
    for (between, end) in [
        ("\n", "\n"),
        ("\n", ""),
        ("\r\n", "\r\n"),
        ("\r\n", ""),
        ("\n\n", "\n"),
        ("\r\n\r\n", "\n\n\n"),
        ("\n \t\n", "\r\n "),
    ] {
        let text = format!("{between}{}{end}", [line(1), line(2), line(3)].join(between));
        for block in [1, 2, 7, text.len()] {
            let resource_type = crate::Definitions::R4.resource_type("Patient");
            let section = crate::manifest::Section::Output;
            let mut checker = Checker::new(Expect::Lines { section, resource_type, attachments_max: 0 });
            text.as_bytes().chunks(block).for_each(|part| checker.update(part));
            let found = checker.finish();
            assert_eq!((found.resources, found.malformed, found.cut_off), (3, 0, false), "{text:?} by {block}");
        }
        let mut run = Run::new(plain(), exporting(manifest(&rows), |_| reply(200, &[], text.clone())));
        let report = run.done();
        assert_eq!((report.outcome, report.findings), (Outcome::Complete, Vec::new()), "{text:?}");
    }
    requirement!("core", "BD-NDJ-02");
}

//! Binary resources and Attachments, over data small enough to be judged by eye.

use super::{
    passes::{export_of, run_pass},
    *,
};
use crate::{Definitions, Edition, plan::Attachments, writer::links::Links};

/// Binary resources of two patients, of what is theirs, of nobody, and of what is not there.
const DATA: &str = r#"{"resourceType":"Patient","id":"p1","photo":[{"url":"Binary/mine"},{"url":"/files/1.png"}]}
{"resourceType":"Patient","id":"p2"}
{"resourceType":"DiagnosticReport","id":"r1","subject":{"reference":"Patient/p1"},"presentedForm":[{"url":"https://ehr.example/fhir/Binary/ofreport"},{"url":"Binary/theirs"},{"url":"Binary/gone"},{"url":"Binary/mine/_history/1"}]}
{"resourceType":"DiagnosticReport","id":"r2","subject":{"reference":"Patient/p2"},"presentedForm":[{"url":"Binary/unlinked"}]}
{"resourceType":"Practitioner","id":"d1","photo":[{"url":"Binary/doctor"}]}
{"resourceType":"Binary","id":"mine","meta":{"lastUpdated":"2020-01-01T00:00:00Z"},"contentType":"text/plain","securityContext":{"reference":"Patient/p1"},"data":"bWluZQ=="}
{"resourceType":"Binary","id":"theirs","contentType":"text/plain","securityContext":{"reference":"Patient/p2"},"data":"dGhlaXJz"}
{"resourceType":"Binary","id":"ofreport","contentType":"application/pdf","securityContext":{"reference":"DiagnosticReport/r1"},"data":"cmVwb3J0"}
{"resourceType":"Binary","id":"ofreport2","contentType":"application/pdf","securityContext":{"reference":"DiagnosticReport/r2"},"data":""}
{"resourceType":"Binary","id":"unlinked","contentType":"text/plain","securityContext":{"reference":"Patient/p1"},"data":""}
{"resourceType":"Binary","id":"nobodys","contentType":"text/plain","data":""}
{"resourceType":"Binary","id":"doctor","contentType":"image/png","securityContext":{"reference":"Practitioner/d1"},"data":""}
{"resourceType":"Binary","id":"elsewhere","contentType":"text/plain","securityContext":{"reference":"https://other.example/fhir/Observation/o"},"data":""}
{"resourceType":"Binary","id":"lost","contentType":"text/plain","securityContext":{"reference":"Observation/none"},"data":""}
{"resourceType":"Binary","id":"device","contentType":"text/plain","securityContext":{"reference":"Device/unowned"},"data":""}
{"resourceType":"Device","id":"unowned"}
"#;

fn system() -> ExportPlan {
    let attachments = Attachments::Serve { files_url: "https://ehr.example/fhir/bulk/1/files/".to_owned() };
    ExportPlan {
        edition: Edition::Stu2,
        since: None,
        notices: Vec::new(),
        binary_documents: true,
        attachments,
        ..plan()
    }
}

fn group() -> ExportPlan {
    ExportPlan { level: Level::Group("g".into()), ..system() }
}

fn only(names: &[&str]) -> TypeSelection {
    TypeSelection::Only(names.iter().map(|name| Definitions::R4.resource_type(name).unwrap()).collect())
}

/// What an export writes, but for what is no Binary and was made of none.
fn of_binaries(plan: &ExportPlan, vetoes: &str) -> Vec<String> {
    let mut written = export_of(plan, vetoes, DATA);
    written.retain(|name| name.starts_with("Binary/") || name.starts_with("DocumentReference/"));
    written
}

/// The names of the files that the pass over contents writes, and what is in them.
fn contents(plan: &ExportPlan, vetoes: &str) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let bytes = run_pass(plan, Pass::Attachments, vetoes, DATA, &mut |output| {
        if let Output::Open { section, name, .. } = output {
            assert_eq!(*section, crate::manifest::Section::Attachment);
            names.push((*name).to_owned());
        }
    });
    // The contents hold no line ends here, and are all of another length.
    let lengths = ["mine", "report", "theirs", ""];
    let mut rest = String::from_utf8(bytes).unwrap();
    let cut = |name: String| {
        let content = lengths.iter().find(|content| rest.starts_with(**content)).unwrap();
        rest = rest[content.len()..].to_owned();
        (name, (*content).to_owned())
    };
    names.into_iter().map(cut).collect()
}

#[test]
fn of_a_group_the_binaries_of_its_patients_are_documents() {
    let expected =
        ["DocumentReference/binary-mine", "DocumentReference/binary-ofreport", "DocumentReference/binary-unlinked"];
    assert_eq!(of_binaries(&group(), ""), expected);
    let documents = ExportPlan { types: only(&["DocumentReference"]), ..group() };
    assert_eq!(of_binaries(&documents, ""), expected, "`_type` names what the files hold");
    let others = ExportPlan { types: only(&["Patient", "Binary"]), ..group() };
    assert!(of_binaries(&others, "").is_empty());
    let not_granted = ExportPlan { binary_documents: false, ..group() };
    assert!(of_binaries(&not_granted, "").is_empty());
    let since = ExportPlan { since: Some(Timestamp::from_millis(1_600_000_000_000)), ..group() };
    assert!(!of_binaries(&since, "").contains(&"DocumentReference/binary-mine".to_owned()), "it was changed before");
    let shared = ExportPlan { edition: Edition::Stu1, ..group() };
    assert!(of_binaries(&shared, "").is_empty());
}

#[test]
fn the_binaries_of_a_new_member_are_exported_however_old() {
    let data =
        DATA.replace(r#""Binary","id":"of"#, r#""Binary","meta":{"lastUpdated":"2020-01-01T00:00:00Z"},"id":"of"#);
    let since = Some(Timestamp::from_millis(1_600_000_000_000));
    let alike = ExportPlan { since, undated_included: false, types: only(&["DocumentReference"]), ..group() };
    let whole = ExportPlan { new_members_whole: true, ..alike.clone() };
    assert!(export_of(&alike, "", &data).is_empty());
    let expected =
        ["DocumentReference/binary-mine", "DocumentReference/binary-ofreport", "DocumentReference/binary-unlinked"];
    assert_eq!(export_of(&whole, "", &data), expected);
}

#[test]
fn of_everything_what_is_nobodys_stays_a_binary() {
    let expected = [
        "Binary/device",
        "Binary/doctor",
        "Binary/nobodys",
        "DocumentReference/binary-elsewhere",
        "DocumentReference/binary-mine",
        "DocumentReference/binary-ofreport",
        "DocumentReference/binary-ofreport2",
        "DocumentReference/binary-theirs",
        "DocumentReference/binary-unlinked",
    ];
    assert_eq!(of_binaries(&system(), ""), expected);
    let binaries = ExportPlan { types: only(&["Binary"]), ..system() };
    assert_eq!(of_binaries(&binaries, ""), expected[..3]);
    let of_edition_1 = ExportPlan { edition: Edition::Stu1, ..system() };
    assert_eq!(of_binaries(&of_edition_1, "").len(), 10, "a type like any other");
    let all_patients = ExportPlan { level: Level::AllPatients, ..system() };
    assert_eq!(of_binaries(&all_patients, ""), expected[4..]);
}

#[test]
fn what_consent_withholds_is_withheld_as_a_document_too() {
    let vetoed = |veto: &str| of_binaries(&ExportPlan { vetoes: true, ..group() }, veto);
    assert_eq!(vetoed("Binary/mine\n").len(), 2);
    assert_eq!(vetoed("DocumentReference/binary-mine\n").len(), 2);
    assert_eq!(vetoed("DiagnosticReport/r1\n"), ["DocumentReference/binary-mine", "DocumentReference/binary-unlinked"]);
    assert!(vetoed("Patient/p1\n").is_empty());
    let of_everything = of_binaries(&ExportPlan { vetoes: true, ..system() }, "Device/unowned\nPatient/p1\n");
    let expected = [
        "Binary/doctor",
        "Binary/nobodys",
        "DocumentReference/binary-elsewhere",
        "DocumentReference/binary-ofreport2",
        "DocumentReference/binary-theirs",
    ];
    assert_eq!(of_everything, expected);
}

#[test]
fn a_document_refers_to_what_governs_it() {
    let bytes = run_pass(&group(), Pass::Binaries, "", DATA, &mut |_| {});
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document["context"]["related"][0]["reference"], "DiagnosticReport/r1");
    assert_eq!(document["content"][0]["attachment"]["data"], "cmVwb3J0");
}

#[test]
fn only_the_contents_that_the_export_leads_to_are_served() {
    let file = |id: &str, content: &str| (format!("attachment-{id}"), content.to_owned());
    assert_eq!(contents(&group(), ""), [file("mine", "mine"), file("ofreport", "report")], "none of the other patient");
    let system = system();
    let of_everything = [
        file("mine", "mine"),
        file("theirs", "theirs"),
        file("ofreport", "report"),
        file("unlinked", ""),
        file("doctor", ""),
    ];
    assert_eq!(contents(&system, ""), of_everything);
    let types = ExportPlan { types: only(&["Patient"]), ..group() };
    assert_eq!(contents(&types, ""), [file("mine", "mine")]);
    let elements = crate::elements::Elements::parse(&["Patient.name"], &Definitions::R4).unwrap();
    let trimmed = ExportPlan { elements, ..group() };
    assert_eq!(contents(&trimmed, ""), [file("ofreport", "report")], "the photo is not exported");
    let vetoes = ExportPlan { vetoes: true, ..group() };
    for veto in ["Binary/mine\n", "Patient/p1\n"] {
        assert!(!contents(&vetoes, veto).contains(&file("mine", "mine")), "{veto}");
    }
    assert_eq!(contents(&vetoes, "DiagnosticReport/r1\n"), [file("mine", "mine")]);
}

#[test]
fn urls_lead_where_the_content_is() {
    let bytes = run_pass(&group(), Pass::Main, "", DATA, &mut |_| {});
    let text = String::from_utf8(bytes).unwrap();
    let files = "https://ehr.example/fhir/bulk/1/files/attachment-";
    for expected in [
        format!(r#""photo":[{{"url":"{files}mine"}},{{"url":"https://ehr.example/files/1.png"}}]"#),
        format!(
            r#""presentedForm":[{{"url":"{files}ofreport"}},{{"url":"{files}theirs"}},{{"url":"{files}gone"}},{{"url":"https://ehr.example/fhir/Binary/mine/_history/1"}}]"#
        ),
    ] {
        assert!(text.contains(&expected), "{expected} in {text}");
    }
    let linked = ExportPlan { attachments: Attachments::Link, ..group() };
    let text = String::from_utf8(run_pass(&linked, Pass::Main, "", DATA, &mut |_| {})).unwrap();
    assert!(
        text.contains(r#"[{"url":"https://ehr.example/fhir/Binary/mine"},{"url":"https://ehr.example/files/1.png"}]"#)
    );
    assert!(text.contains(r#"{"url":"https://ehr.example/fhir/Binary/ofreport"}"#));
    assert_eq!(linked.passes(), [Pass::Main, Pass::Context, Pass::Binaries]);
}

#[test]
fn a_lost_run_of_contents_goes_on_after_any_file() {
    let plan = system();
    let whole = closes(&plan, None);
    assert_eq!(whole.len(), 6, "five contents and a report");
    for (index, (_, checkpoint)) in whole.iter().enumerate() {
        let rest = closes(&plan, Some(checkpoint.clone()));
        let names = |closes: &[(String, Checkpoint)]| closes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let mut both = names(&whole[..=index]);
        both.extend(names(&rest));
        assert_eq!(both, names(&whole), "lost after {index}");
    }
}

/// The closed files of the pass over contents, with a malformed Binary among them whose report stays open for long.
fn closes(plan: &ExportPlan, from: Option<Checkpoint>) -> Vec<(String, Checkpoint)> {
    let bad = r#"{"resourceType":"Binary","id":"gone","contentType":"text/plain","data":"%"}"#;
    let data = DATA.replacen(
        "{\"resourceType\":\"Binary\",\"id\":\"theirs\"",
        &format!("{bad}\n{{\"resourceType\":\"Binary\",\"id\":\"theirs\""),
        1,
    );
    let resume = from.as_ref().map(|checkpoint| checkpoint.resume.clone());
    let task = PartitionTask { partition: 4, pass: Pass::Attachments, checkpoint: from };
    let mut writer = Writer::new(plan, &task, None, WriterLimits::default()).unwrap();
    let blocks: Vec<_> =
        plan.sets(Pass::Attachments).into_iter().map(|wanted| super::passes::set(plan, wanted, "", &data)).collect();
    blocks.iter().for_each(|(wanted, block)| writer.add_set(Set::load(wanted.clone(), block).unwrap()).unwrap());
    let offset = match resume {
        Some(Resume::At { offset, .. }) => usize::try_from(offset).unwrap(),
        Some(Resume::Start) | None => 0,
    };
    let at = Source { name: "data", cursor: b"", offset: offset as u64 };
    if offset < data.len() {
        writer.write_lines(&data.as_bytes()[offset..], at).unwrap();
    }
    writer.finish();
    let (mut open, mut closed) = (BTreeMap::new(), Vec::new());
    while let Some(output) = writer.poll_output() {
        match output {
            Output::Open { file, name, .. } => drop(open.insert(file, name.to_owned())),
            Output::Close { file, checkpoint, .. } => closed.push((open.remove(&file).unwrap(), checkpoint.clone())),
            _ => {}
        }
    }
    closed
}

fn links(serve: bool) -> Links {
    Links::new(&if serve { system() } else { ExportPlan { attachments: Attachments::Link, ..system() } })
}

fn rewritten(links: &Links, resource_type: &str, line: &str) -> String {
    let mut out = Vec::new();
    let changed = links.rewrite(resource_type, line.as_bytes(), &mut out);
    assert_eq!(changed, !out.is_empty());
    if changed { String::from_utf8(out).unwrap() } else { line.to_owned() }
}

#[test]
fn relative_urls_become_absolute_and_absolute_ones_stay() {
    let links = links(false);
    for (url, expected) in [
        ("Binary/1", "https://ehr.example/fhir/Binary/1"),
        (r"Binary\/1", r"https://ehr.example/fhir/Binary\/1"),
        ("a b?x=:", "https://ehr.example/fhir/a b?x=:"),
        ("/x/y", "https://ehr.example/x/y"),
        (r"\/x", r"https://ehr.example\/x"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("1:x", "https://ehr.example/fhir/1:x"),
        ("", ""),
        ("#a", "#a"),
        ("https://ehr.example/fhir/Binary/1", "https://ehr.example/fhir/Binary/1"),
        ("https://other.example/x", "https://other.example/x"),
        ("urn:oid:1.2.3", "urn:oid:1.2.3"),
        ("data:text/plain,x", "data:text/plain,x"),
    ] {
        let line = |url: &str| {
            format!(r#" {{"content":[ {{"attachment" : {{"title":"\"url\"","url":  "{url}","x":1}}}} ]}} "#)
        };
        assert_eq!(rewritten(&links, "DocumentReference", &line(url)), line(expected));
    }
}

#[test]
fn only_attachments_are_looked_at() {
    let links = links(false);
    let changes = |resource_type: &str, line: &str| rewritten(&links, resource_type, line) != line;
    for (resource_type, line) in [
        ("Patient", r#"{"photo":[{"url":"x"}]}"#),
        ("Patient", r#"{"photo":{"url":"x"}}"#),
        ("Patient", r#"{"photo":[{"\u0075rl":"x"},{"url":"y"}]}"#),
        ("Patient", r#"{"contained":[{"content":[{"attachment":{"url":"x"}}],"resourceType":"DocumentReference"}]}"#),
        ("Observation", r#"{"extension":[{"extension":[{"url":"a:b","valueAttachment":{"url":"x"}}]}]}"#),
        ("Observation", r#"{"contained":[{"resourceType":"Patient","photo":[{"url":"x"}]}]}"#),
        ("Bundle", r#"{"entry":[{"resource":{"resourceType":"Media","content":{"url":"x"}}}]}"#),
        ("QuestionnaireResponse", r#"{"item":[{"item":[{"answer":[{"valueAttachment":{"url":"x"}}]}]}]}"#),
        ("PlanDefinition", r#"{"action":[{"action":[{"documentation":[{"document":{"url":"x"}}]}]}]}"#),
        ("Communication", r#"{"payload":[{"contentAttachment":{"url":"x"}}]}"#),
    ] {
        assert!(changes(resource_type, line), "{line}");
    }
    for (resource_type, line) in [
        ("Observation", r#"{"photo":[{"url":"x"}]}"#),
        ("Patient", r#"{"contact":[{"photo":{"url":"x"}}],"photo":[{"id":"url"}]}"#),
        ("Patient", r#"{"extension":[{"url":"photo","valueString":"x"}],"photo":[{"extension":[{"url":"x"}]}]}"#),
        ("Patient", r#"{"photo":[{"_url":{"url":"x"},"url":{"url":"x"}}]}"#),
        ("DocumentReference", r#"{"attachment":{"url":"x"},"content":[{"format":{"url":"x"}}]}"#),
        ("Patient", r#"{"contained":[{"resourceType":"Observation","photo":[{"url":"x"}]}]}"#),
    ] {
        assert!(!changes(resource_type, line), "{line}");
    }
}

#[test]
fn nesting_without_end_is_walked() {
    let links = links(true);
    let deep = format!(
        r#"{{"a":{}{}{},"photo":[{{"url":"Binary/b"}}]}}"#,
        "[".repeat(100_000),
        r#"{"url":"x"}"#,
        "]".repeat(100_000)
    );
    assert!(rewritten(&links, "Patient", &deep).ends_with(r#"/files/attachment-b"}]}"#));
}

proptest! {
    #[test]
    fn only_the_urls_of_attachments_change(value in json(), urls in proptest::collection::vec(url(), 1..4), serve: bool) {
        let links = links(serve);
        let attachments: Vec<_> = urls.iter().map(|url| serde_json::json!({ "attachment": { "data": "x", "url": url } })).collect();
        let resource = serde_json::json!({ "a": value, "content": attachments, "z": value });
        let line = resource.to_string();
        let after: serde_json::Value = serde_json::from_str(&rewritten(&links, "DocumentReference", &line)).unwrap();
        let mut expected = resource.clone();
        for (index, url) in urls.iter().enumerate() {
            let own = &after["content"][index]["attachment"]["url"];
            let own = own.as_str().unwrap();
            prop_assert!(own.ends_with(url.as_str()) || serve && own.contains("/files/attachment-"));
            expected["content"][index]["attachment"]["url"] = own.into();
        }
        prop_assert_eq!(&after, &expected);
        // Once absolute, it stays.
        let again = rewritten(&links, "DocumentReference", &after.to_string());
        prop_assert_eq!(again, after.to_string());
    }

    #[test]
    fn no_bytes_make_a_walk_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut line = br#"{"contained":[{"url":"photo","photo":{"url":""#.to_vec();
        line.extend(bytes);
        let mut out = Vec::new();
        let _ = links(true).rewrite("Patient", &line, &mut out);
    }
}

fn url() -> impl Strategy<Value = String> {
    prop_oneof![
        "Binary/[a-z0-9]{1,8}",
        "https://ehr\\.example/fhir/Binary/[a-z]{1,3}",
        "[ -~é☃]{0,12}",
        "/[a-z\"\\\\]{0,5}",
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        "[ -~]{0,8}".prop_map(serde_json::Value::from),
    ];
    let name = prop_oneof![Just("url".to_owned()), Just("data".to_owned()), "[a-z]{1,4}"];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..3)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

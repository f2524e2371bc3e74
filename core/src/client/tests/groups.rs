//! Exports of a group, one after the other.

use super::*;
use crate::kick_off::Level;

/// A group of two patients who were members before and one who is new. It knows what was asked by what comes with it.
fn group(sent: &Sent) -> Answer {
    let json = [("content-type", "application/json")];
    let accepted = |poll: &str| reply(202, &[("Content-Location", poll)], "");
    let listing = |file: &str, time: &str| {
        let row = format!(r#"{{"url":"/f/{file}"}}"#);
        reply(200, &json, manifest(&[&row]).replace("2024-01-01T00:00:00Z", time))
    };
    let line = |kind: &str, id: &str, version: u32| {
        format!(r#"{{"resourceType":"{kind}","id":"{id}","meta":{{"versionId":"{version}"}}}}"#)
    };
    match sent.url.trim_start_matches(HOST) {
        "/fhir/Group/g/$export" if sent.method == "POST" => accepted("/poll/joined"),
        path if path.starts_with("/fhir/Group/g/$export") && path.contains("_since") => accepted("/poll/changes"),
        path if path.starts_with("/fhir/Group/g/$export") => accepted("/poll/members"),
        "/poll/members" => listing("members", "2024-02-01T00:00:00Z"),
        "/poll/joined" => listing("joined", "2024-02-01T00:01:00Z"),
        "/poll/changes" => listing("changes", "2024-02-01T00:02:00.000+01:00"),
        "/f/members" => {
            reply(200, &[], [line("Patient", "a", 1), line("Patient", "b", 1), line("Patient", "new", 1)].join("\n"))
        }
        "/f/joined" => reply(200, &[], [line("Patient", "new", 1), line("Observation", "old", 1)].join("\n")),
        "/f/changes" => reply(200, &[], [line("Patient", "new", 2), line("Observation", "a", 2)].join("\n")),
        other => panic!("{other}"),
    }
}

/// Runs an export of the group: its kick-off, its report, its lines.
fn exported(request: ExportRequest) -> (Sent, Report, Vec<String>) {
    let mut run = Run::new(request, group);
    let report = run.done();
    assert_eq!(report.outcome, Outcome::Complete);
    let texts = run.files.values().map(|file| String::from_utf8(file.clone()).unwrap());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    (run.sent.remove(0), report, lines)
}

fn of_group() -> ExportRequest {
    ExportRequest { level: Level::Group("g".into()), ..plain() }
}

#[test]
fn bd_grp_01_who_has_joined_is_asked_for_whole_and_everybody_for_what_changed() {
    let known = ["a".to_owned(), "b".to_owned(), "left".to_owned()];
    let mut update = GroupUpdate::new(of_group(), known, LAST).unwrap();
    assert_eq!(update.joined(), None, "nobody is known to be in it yet");

    let (sent, _, members) = exported(update.members());
    assert_eq!(sent.url, "https://ehr.example/fhir/Group/g/$export?_type=Patient&_elements=id");
    members.iter().for_each(|line| update.add_member(line.as_bytes()).unwrap());
    assert_eq!(update.members_now().iter().collect::<Vec<_>>(), ["a", "b", "new"]);

    let (sent, _, joined) = exported(update.joined().expect("one has joined"));
    let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(sent.method, "POST");
    let patients = serde_json::json!([{"name": "patient", "valueReference": {"reference": "Patient/new"}}]);
    assert_eq!(body["parameter"], patients, "those who joined, and nothing that narrows");

    let (sent, _, changes) = exported(update.changes());
    let since = "?_since=2024-01-01T00%3A00%3A00.1234%2B05%3A45";
    assert!(sent.url.ends_with(since), "{}", sent.url);

    // What both hold is taken once, as it was last.
    let mut index = ResourceIndex::new(BASE, 10);
    let lines = changes.iter().chain(&joined);
    let kept: Vec<_> = lines.filter(|line| index.insert(line.as_bytes(), ()).unwrap()).collect();
    assert_eq!(kept, [&changes[0], &changes[1], &joined[1]], "of the new patient the later version, once");
    requirement!("core", "BD-GRP-01");
}

#[test]
fn an_update_is_of_a_whole_group_and_of_patients() {
    let problems = |request| GroupUpdate::new(request, [], LAST).unwrap_err().problems[0].parameter;
    assert_eq!(problems(plain()), "level");
    let narrowed = ExportRequest { patients: vec![Sensitive::new("a".into())], ..of_group() };
    assert_eq!(problems(narrowed), "patients");
    let mut update = GroupUpdate::new(of_group(), ["Muster".to_owned()], LAST).unwrap();
    let practitioner = br#"{"resourceType":"Practitioner","id":"1"}"#;
    assert_eq!(update.add_member(practitioner), Err(GroupUpdateError::NotAPatient));
    assert!(matches!(update.add_member(b"nonsense"), Err(GroupUpdateError::Line(_))));
    assert_eq!(format!("{update:?}"), "GroupUpdate(1 members before, 0 now)");
}

#[test]
fn bd_grp_02_the_transaction_time_is_the_next_since_to_the_letter() {
    let time = "2024-02-01T00:00:00.120+05:45";
    let server = || exporting(manifest(&[]).replace("2024-01-01T00:00:00Z", time), |_| reply(404, &[], ""));
    let mut run = Run::new(of_group(), server());
    run.done();
    // What is kept is what was saved, read by another run.
    let mut resumed = Run::new(of_group(), server());
    resumed.client = Client::resume(&run.saved, 1, run.now).unwrap();
    let since = resumed.done().transaction_time;
    assert_eq!(since.as_deref(), Some(time));
    let get = kick_off(ExportRequest { since: since.clone(), ..of_group() });
    assert!(get.url.ends_with("?_since=2024-02-01T00%3A00%3A00.120%2B05%3A45"), "{}", get.url);
    let post = kick_off(ExportRequest { since, method: Some(KickOffMethod::Post), ..of_group() });
    let body: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
    assert_eq!(body["parameter"], serde_json::json!([{"name": "_since", "valueInstant": time}]));
    requirement!("core", "BD-GRP-02");
}

const LAST: &str = "2024-01-01T00:00:00.1234+05:45";

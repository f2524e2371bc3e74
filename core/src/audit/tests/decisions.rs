//! Each decision yields its event.

use super::*;
use crate::{
    job::{Epoch, State},
    writer::{Checkpoint, Resume},
};

const SUCCESS: AuditOutcome = AuditOutcome::Success;
const REFUSED: AuditOutcome = AuditOutcome::Refused;

#[test]
fn an_export_from_kick_off_to_removal_is_told_step_by_step() {
    let mut host = Host::new(|_| {});
    let (status, kick_off) = host.ask("POST", EHI, &ehi(), 0);
    assert_eq!((status, told(&kick_off)), (202, vec![(Audited::KickOff, SUCCESS)]));
    let granted = &kick_off[0];
    assert_eq!((detail(granted, "types"), detail(granted, "parameters")), (Some("all"), Some("charts")));
    assert_eq!(granted.job.as_deref(), Some("abababababababababababababababab"));
    assert_eq!(host.ask("GET", "/fhir/bulk/{job}", &ehi(), 1), (202, vec![]), "a poll that waits decides nothing");

    let form = host.command(Command::FormSubmitted { answers: FormAnswers::default() }, 2);
    assert_eq!(told(&form), [(Audited::FormSubmitted, SUCCESS)]);
    let approved = host.command(approve("contract"), 3);
    assert_eq!(told(&approved), [(Audited::StepApproved, SUCCESS)]);
    assert_eq!(approved[0].actor, Actor::Staff(Sensitive::new("staff-7".into())));
    assert_eq!(detail(&approved[0], "step"), Some("contract"));
    assert_eq!(told(&host.work(4)), [(Audited::Begun, SUCCESS)], "the release is still to come");
    assert_eq!(
        told(&host.command(approve("review"), 5)),
        [(Audited::StepApproved, SUCCESS), (Audited::Completed, SUCCESS)]
    );

    let (status, manifest) = host.ask("GET", "/fhir/bulk/{job}", &ehi(), 10);
    assert_eq!((status, told(&manifest)), (200, vec![(Audited::Manifest, SUCCESS)]));
    let (status, file) = host.ask("GET", "/fhir/bulk/{job}/files/Patient-0001.ndjson", &ehi(), 11);
    assert_eq!((status, told(&file)), (200, vec![(Audited::Download, SUCCESS)]));
    assert_eq!(detail(&file[0], "file"), Some("Patient-0001.ndjson"));
    let (status, none) = host.ask("GET", "/fhir/bulk/{job}/files/Surname.ndjson", &ehi(), 12);
    assert_eq!((status, told(&none), detail(&none[0], "file")), (404, vec![(Audited::Download, REFUSED)], None));

    let (status, deleted) = host.ask("DELETE", "/fhir/bulk/{job}", &ehi(), 13);
    assert_eq!((status, told(&deleted)), (202, vec![(Audited::Delete, SUCCESS)]));
    assert_eq!(told(&host.command(Command::Removed, 14)), [(Audited::FilesRemoved, SUCCESS)]);
    let events = [kick_off, form, approved, manifest, file, none, deleted].concat();
    assert!(events.iter().all(|event| event.export.as_ref().is_some_and(|export| {
        *export.level.expose() == Level::Patient("p1".into()) && export.operation == Operation::EhiExport
    })));
}

#[test]
fn every_refusal_is_told() {
    let mut host = Host::new(|_| {});
    for (method, target, principal, status, decision) in [
        ("POST", EHI, Principal::Anonymous, 401, Audited::KickOff),
        ("GET", EHI, ehi(), 405, Audited::KickOff),
        ("POST", "/fhir/Patient/p2/$ehi-export", ehi(), 403, Audited::KickOff),
        ("POST", "/fhir/Patient/none/$ehi-export", known(&["system/$ehi-export"]), 404, Audited::KickOff),
        ("GET", "/fhir/$export", ehi(), 403, Audited::KickOff),
        ("GET", "/fhir/$export?_since=yesterday", known(&["system/*.rs"]), 400, Audited::KickOff),
        ("GET", "/fhir/Group/g1/$export", known(&["system/*.rs"]), 404, Audited::KickOff),
        ("GET", "/fhir/nowhere", ehi(), 404, Audited::Request),
        ("GET", "/elsewhere", ehi(), 404, Audited::Request),
        ("GET", "/fhir/bulk/abababababababababababababababab", ehi(), 404, Audited::Manifest),
        ("DELETE", "/fhir/bulk/abababababababababababababababab", ehi(), 404, Audited::Delete),
        ("GET", "/fhir/bulk/abababababababababababababababab/files/a", Principal::Anonymous, 401, Audited::Download),
    ] {
        let (said, events) = host.ask(method, target, &principal, 0);
        assert_eq!((said, told(&events)), (status, vec![(decision, REFUSED)]), "{method} {target}");
        assert_eq!(detail(&events[0], "status"), Some(status.to_string().as_str()));
    }
    assert_eq!(host.ask("GET", "/fhir/metadata", &Principal::Anonymous, 0), (200, vec![]), "it is public");
}

#[test]
fn a_stranger_is_told_with_the_job_that_was_not_shown() {
    let mut host = Host::new(|_| {});
    host.ask("POST", EHI, &ehi(), 0);
    host.complete();
    let Principal::Known { user, patient, scopes, roles, expires, .. } = ehi() else { panic!("known") };
    let stranger = Principal::Known { client: "other".into(), user, patient, scopes, roles, expires };
    for (method, target, decision) in [
        ("GET", "/fhir/bulk/{job}", Audited::Manifest),
        ("GET", "/fhir/bulk/{job}/files/Patient-0001.ndjson", Audited::Download),
        ("DELETE", "/fhir/bulk/{job}", Audited::Delete),
    ] {
        let (status, events) = host.ask(method, target, &stranger, 20);
        assert_eq!((status, told(&events)), (404, vec![(decision, REFUSED)]));
        assert!(matches!(&events[0].actor, Actor::Client { client: Some(client), .. } if client == "other"));
        assert!(events[0].job.is_some() && events[0].export.is_some());
    }
}

#[test]
fn what_people_refuse_or_may_not_decide_is_told() {
    let mut host = Host::new(|_| {});
    host.ask("POST", EHI, &ehi(), 0);
    let early = host.command(approve("contract"), 1);
    assert_eq!((told(&early), detail(&early[0], "step")), (vec![(Audited::StepApproved, REFUSED)], None));
    host.command(Command::FormSubmitted { answers: FormAnswers::default() }, 2);
    let late = host.command(Command::FormSubmitted { answers: FormAnswers::default() }, 3);
    assert_eq!(told(&late), [(Audited::FormSubmitted, REFUSED)]);
    let unknown = host.command(reject("contract", "because"), 4);
    assert_eq!((told(&unknown), detail(&unknown[0], "rejection-code")), (vec![(Audited::StepRejected, REFUSED)], None));
    let rejected = host.command(reject("contract", "identity"), 5);
    assert_eq!(told(&rejected), [(Audited::StepRejected, SUCCESS), (Audited::Failed, REFUSED)]);
    assert_eq!(detail(&rejected[0], "rejection-code"), Some("identity"));
    assert_eq!(detail(&rejected[1], "reason"), Some("suppressed"));
    let (status, told_why) = host.ask("GET", "/fhir/bulk/{job}", &ehi(), 6);
    assert_eq!((status, told(&told_why)), (403, vec![(Audited::Manifest, REFUSED)]));
}

#[test]
fn what_time_does_is_told() {
    let mut host = Host::new(|_| {});
    host.ask("POST", EHI, &ehi(), 0);
    assert_eq!(host.timeout(999), []);
    let timed_out = host.timeout(1_000);
    assert_eq!(told(&timed_out), [(Audited::Failed, AuditOutcome::Failed)]);
    assert_eq!((detail(&timed_out[0], "reason"), &timed_out[0].actor), (Some("timeout"), &Actor::Server));

    let mut host = Host::new(|_| {});
    host.ask("POST", EHI, &ehi(), 0);
    host.complete();
    assert_eq!(host.timeout(1_012), []);
    assert_eq!(told(&host.timeout(1_013)), [(Audited::Expired, SUCCESS)]);
    assert_eq!(host.timeout(1_014), [], "once");
    assert_eq!(told(&host.command(Command::Removed, 1_015)), [(Audited::FilesRemoved, SUCCESS)]);
}

#[test]
fn a_failure_of_the_host_is_told_and_a_lost_lease_is_no_decision() {
    let mut host = Host::new(|config| config["steps"] = json!({}));
    host.ask("GET", "/fhir/$export", &known(&["system/*.rs"]), 0);
    assert_eq!(told(&host.command(begin(1), 1)), [(Audited::Begun, SUCCESS)]);
    assert_eq!(host.command(begin(2), 2), [], "a host that takes over goes on");
    let fail = |epoch| Command::Fail { epoch: Epoch(epoch), diagnostics: "the neighbour called".into() };
    assert_eq!(host.command(fail(1), 3), [], "stale");
    let renew = Command::Renew { epoch: Epoch(2), until: at(100) };
    assert_eq!(host.command(renew, 4), []);
    let failed = host.command(fail(2), 5);
    assert_eq!(told(&failed), [(Audited::Failed, AuditOutcome::Failed)]);
    assert_eq!(detail(&failed[0], "reason"), Some("processing"));
    assert_eq!(told(&host.command(Command::Removed, 6)), [(Audited::FilesRemoved, SUCCESS)]);
}

#[test]
fn an_export_that_the_client_polled_to_death_is_told_with_the_poll() {
    let mut host = Host::new(|config| config["pollStrikesMax"] = json!(1));
    host.ask("POST", EHI, &ehi(), 0);
    let mut poll = || host.ask("GET", "/fhir/bulk/{job}", &ehi(), 1);
    assert_eq!(poll(), (202, vec![]));
    let (status, events) = poll();
    assert_eq!((status, told(&events)), (429, vec![(Audited::Manifest, REFUSED)]));
    let (status, events) = poll();
    assert_eq!((status, told(&events)), (429, vec![(Audited::Manifest, REFUSED), (Audited::Failed, REFUSED)]));
    assert_eq!(detail(&events[1], "reason"), Some("too-costly"));
    assert_eq!(host.job.map(|job| job.state()), Some(State::FailedEmpty));
}

#[test]
fn status_that_travels_beside_the_answer_is_the_status() {
    let mut host = Host::new(|config| {
        config["separateExportStatus"] = json!(true);
        config["steps"] = json!({});
    });
    let principal = known(&["system/*.rs"]);
    let headers: &[(&str, &[u8])] = &[("Prefer", b"respond-async, separate-export-status")];
    let request = Request { method: "GET", target: "/fhir/$export", headers, body: b"" };
    assert_eq!(host.answer(&request, &principal, at(0)).0.status, 202);
    assert_eq!(host.ask("GET", "/fhir/bulk/{job}", &principal, 10), (200, vec![]), "still waiting");
    host.work(11);
    let (status, events) = host.ask("GET", "/fhir/bulk/{job}", &principal, 20);
    assert_eq!((status, told(&events)), (200, vec![(Audited::Manifest, SUCCESS)]));
}

/// Where pages are shown while the export runs, a poll tells of files.
#[test]
fn a_manifest_is_told_of_whether_or_not_the_export_is_complete() {
    let mut host = Host::new(|config| config["partialManifests"] = json!({ "files": 1, "early": "always" }));
    let client = known(&["system/*.rs"]);
    assert_eq!(host.ask("GET", "/fhir/$export?allowPartialManifests=true", &client, 0).0, 202);
    host.command(begin(1), 1);
    assert_eq!(host.ask("GET", "/fhir/bulk/{job}", &client, 2), (202, vec![]), "no page is closed");
    let checkpoint = Checkpoint { resume: Resume::Start, kinds: Vec::new() };
    let publish = Command::Publish { epoch: Epoch(1), partition: 0, rows: vec![row()], checkpoint };
    assert_eq!(told(&host.command(publish, 3)), []);
    let (status, manifest) = host.ask("GET", "/fhir/bulk/{job}", &client, 4);
    assert_eq!((status, told(&manifest)), (202, vec![(Audited::Manifest, SUCCESS)]));
    let (status, page) = host.ask("GET", "/fhir/bulk/{job}/manifests/2", &client, 5);
    assert_eq!((status, told(&page)), (404, vec![(Audited::Manifest, REFUSED)]));
}

//! Exports that report too much.

use super::*;
use crate::{
    manifest::Section,
    writer::{Checkpoint, Resume},
};

/// An export that a host works on, and what it works under.
fn begun(members: Value) -> (Endpoint, Job, Epoch) {
    let mut config = json!({ "baseUrl": "https://ehr.example/fhir", "auth": "bearer" });
    config.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let endpoint = endpoint(&config);
    let (mut job, _) = kick_off(&endpoint, "GET", "/fhir/$export", "", &known(&["system/*.rs"], None)).unwrap();
    let begin = Command::Begin {
        holder: "h".into(),
        until: at(1_000),
        transaction_time: at(1),
        snapshot: String::new(),
        partitions: 1,
    };
    let (epoch, _) = job.apply(begin, at(1)).unwrap();
    (endpoint, job, epoch)
}

fn publish(job: &mut Job, epoch: Epoch, section: Section, count: u64) -> State {
    let row = OutputFile {
        section,
        resource_type: None,
        name: "a".into(),
        key: "a".into(),
        content_type: None,
        count,
        bytes: 1,
        gzip_bytes: None,
        sha256: None,
        continues_in_file: None,
        page: None,
    };
    let checkpoint = Checkpoint { resume: Resume::Start, kinds: Vec::new() };
    let publish = Command::Publish { epoch, partition: 0, rows: vec![row], checkpoint };
    let (_, effects) = job.apply(publish, at(2)).unwrap();
    assert_eq!(effects.rows.len(), 1, "what was written is known, whatever becomes of it");
    job.state()
}

/// BD-STAT-19.
#[test]
fn more_reports_than_are_allowed_fail_the_export_as_a_whole() {
    let (endpoint, mut job, epoch) = begun(json!({ "failAbove": { "reports": 3 } }));
    assert_eq!(publish(&mut job, epoch, Section::Output, 100), State::Running);
    assert_eq!(publish(&mut job, epoch, Section::Error, 2), State::Running);
    assert_eq!(publish(&mut job, epoch, Section::Error, 1), State::Running, "as many as are allowed");
    job = Job::decode(&job.encode()).unwrap();
    assert_eq!(publish(&mut job, epoch, Section::Error, 1), State::Failed);
    let failed = poll_as(&mut job, &endpoint, 3, &known(&["system/*.rs"], None));
    assert_eq!(failed.status, 500);
    let said = "the export reported 4 problems of its data, and more than 3 fail it here";
    assert!(text(&failed).contains(said), "{}", text(&failed));
    assert_eq!(job.wants("h", at(3)), Wants::Remove);
    let finish = Command::FinishPartition { epoch, partition: 0 };
    assert_eq!(job.apply(finish, at(3)), Err(JobMisuse::WrongState(State::Failed)), "its host stops");
}

#[test]
fn without_a_bound_an_export_of_nothing_but_reports_completes() {
    let (endpoint, mut job, epoch) = begun(json!({}));
    assert_eq!(publish(&mut job, epoch, Section::Error, u64::MAX), State::Running);
    assert_eq!(publish(&mut job, epoch, Section::Error, u64::MAX), State::Running);
    let Wants::Run { partitions, .. } = job.wants("h", at(3)) else { panic!("it is to be run") };
    for task in partitions {
        job.apply(Command::FinishPartition { epoch, partition: task.partition }, at(3)).unwrap();
    }
    assert_eq!(poll_as(&mut job, &endpoint, 4, &known(&["system/*.rs"], None)).status, 200);
}

/// What was left aside of the request is no fault of the data.
#[test]
fn what_the_kick_off_was_told_is_not_counted() {
    let (_, mut job, epoch) = begun(json!({ "failAbove": { "reports": 0 } }));
    job.record.plan.notices = vec![Issue::information("one"), Issue::information("two")];
    assert_eq!(publish(&mut job, epoch, Section::Error, 2), State::Running);
    assert_eq!(publish(&mut job, epoch, Section::Error, 1), State::Failed);
}

/// What a deployment decides later is for later jobs.
#[test]
fn a_job_keeps_the_bound_of_its_kick_off() {
    let (_, job, epoch) = begun(json!({ "failAbove": { "reports": 0 } }));
    let mut again = Job::decode(&job.encode()).unwrap();
    assert_eq!(publish(&mut again, epoch, Section::Error, 1), State::Failed);
    let older = job.encode().replace(",\"reports\":0,\"failAbove\":{\"reports\":0}", "");
    let mut older = Job::decode(&older.replace("\"version\":5", "\"version\":4")).unwrap();
    assert_eq!(publish(&mut older, epoch, Section::Error, 1), State::Running, "one of before there was any");
}

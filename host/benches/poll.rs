//! What a poll of a running job costs through the component, above a call that does nothing:
//! `cargo bench -p ehi-host --bench poll`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use divan::Bencher;
use ehi_core::{
    Endpoint, Timestamp,
    access::Principal,
    endpoint::{Auth, EndpointConfig},
    job::{Command, PollAccount},
    kick_off::Facts,
    manifest::{OutputFile, Section},
    values::{Accepted, Decided, RequestHead, Routed},
    writer::{Checkpoint, Resume},
};
use ehi_host::engine::{Component, ComponentLimits, Engine, Engines, Native};

fn main() {
    divan::main();
}

#[divan::bench]
fn component_empty_call(bencher: Bencher<'_, '_>) {
    let mut engine = component();
    bencher.bench_local(|| engine.not_found().unwrap());
}

#[divan::bench(args = [0, 10_000])]
fn component_poll(bencher: Bencher<'_, '_>, files: u32) {
    poll(bencher, component().as_mut(), files);
}

#[divan::bench(args = [0, 10_000])]
fn native_poll(bencher: Bencher<'_, '_>, files: u32) {
    poll(bencher, native().as_mut(), files);
}

/// What a server pays once for each request.
#[divan::bench]
fn component_instance(bencher: Bencher<'_, '_>) {
    let engines = Component::embedded(&config(), ComponentLimits::default()).unwrap();
    bencher.bench_local(|| engines.instance().unwrap());
}

fn poll(bencher: Bencher<'_, '_>, engine: &mut dyn Engine, files: u32) {
    let (record, target) = running(files);
    let head = get(&target);
    bencher.bench_local(|| {
        let account = PollAccount::default();
        let answered = engine.handle_request(&record, account, &head, b"", &Principal::Open, NOW).unwrap();
        assert_eq!(answered.response.status, 202);
        answered
    });
}

/// The record of a job at work that has published so many files, and its polling location.
fn running(files: u32) -> (String, String) {
    let mut engine = native();
    let routed = engine.route(&get("/fhir/$export"), b"", &Principal::Open).unwrap();
    let Routed::KickOff { kick_off, .. } = routed else { panic!("not a kick-off") };
    let facts = Facts { active_jobs: Some(0), ..Facts::default() };
    let decided = engine.decide(&kick_off, &Principal::Open, &facts, [7; 16], NOW).unwrap();
    let Decided::Accepted(Accepted { id, job, .. }) = decided else { panic!("refused") };
    let now = Timestamp::from_millis(NOW);
    let begin = Command::Begin {
        holder: "host-a".into(),
        until: now.plus_seconds(30),
        transaction_time: now,
        snapshot: "1".into(),
        partitions: 1,
    };
    let begun = engine.apply(&job.record, &begin, NOW).unwrap();
    let mut record = begun.job.record;
    let row = |number: u32| OutputFile {
        section: Section::Output,
        resource_type: None,
        name: format!("Observation-{number:04}.ndjson"),
        key: format!("{id}/1-Observation-{number:04}.ndjson"),
        content_type: None,
        count: 100_000,
        bytes: 100_000_000,
        gzip_bytes: None,
        sha256: Some("0".repeat(64)),
        continues_in_file: None,
        page: None,
    };
    let checkpoint = Checkpoint { resume: Resume::Start, kinds: Vec::new() };
    if files > 0 {
        let rows = (0..files).map(row).collect();
        let publish = Command::Publish { epoch: begun.epoch, partition: 0, rows, checkpoint };
        record = engine.apply(&record, &publish, NOW).unwrap().job.record;
    }
    (record, format!("/fhir/bulk/{id}"))
}

fn get(target: &str) -> RequestHead {
    RequestHead { method: "GET".into(), target: target.into(), headers: Vec::new() }
}

fn component() -> Box<dyn Engine> {
    Component::embedded(&config(), ComponentLimits::default()).unwrap().instance().unwrap()
}

fn native() -> Box<dyn Engine> {
    Native::new(Endpoint::new(config()).unwrap()).instance().unwrap()
}

fn config() -> EndpointConfig {
    EndpointConfig::new("https://ehr.example/fhir", Auth::None)
}

const NOW: i64 = 1_800_000_000_000;

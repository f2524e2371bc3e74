//! What a poll of a running job costs, whatever it has published: `cargo bench -p ehi-core --bench job`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use divan::{Bencher, black_box};
use ehi_core::{
    Endpoint, Timestamp,
    access::Principal,
    endpoint::{Auth, Decision, EndpointConfig, Route},
    http::Request,
    job::{Command, Job, JobId, PollAccount},
    kick_off::Facts,
    manifest::{OutputFile, Section},
    writer::{Checkpoint, Resume},
};

fn main() {
    divan::main();
}

/// From the stored record to the response.
#[divan::bench(args = [0, 10_000])]
fn poll(bencher: Bencher<'_, '_>, files: u32) {
    let (endpoint, record, target) = running(files);
    let request = Request { method: "GET", target: &target, headers: &[], body: b"" };
    bencher.bench_local(|| {
        let mut account = PollAccount::default();
        let mut job = Job::decode(black_box(&record)).unwrap();
        let (response, _) = job.handle_request(&endpoint, &request, &Principal::Open, &mut account, now());
        assert_eq!(response.status, 202);
        (response, account)
    });
}

/// The same with the record read before.
#[divan::bench(args = [0, 10_000])]
fn poll_of_a_job_in_memory(bencher: Bencher<'_, '_>, files: u32) {
    let (endpoint, record, target) = running(files);
    let mut job = Job::decode(&record).unwrap();
    let request = Request { method: "GET", target: &target, headers: &[], body: b"" };
    bencher.bench_local(|| {
        let mut account = PollAccount::default();
        job.handle_request(&endpoint, black_box(&request), &Principal::Open, &mut account, now())
    });
}

/// A job at work that has published so many files, and its polling location.
fn running(files: u32) -> (Endpoint, String, String) {
    let endpoint = Endpoint::new(EndpointConfig::new("https://ehr.example/fhir", Auth::None)).unwrap();
    let request = Request { method: "GET", target: "/fhir/$export", headers: &[], body: b"" };
    let Route::KickOff(kick_off) = endpoint.route(&request, &Principal::Open) else { panic!("not a kick-off") };
    let facts = Facts { active_jobs: Some(0), ..Facts::default() };
    let decision = endpoint.decide(*kick_off, &Principal::Open, &facts, JobId::from_entropy([0; 16]), now());
    let Decision::Accepted(mut job, _) = decision else { panic!("refused") };
    let begin = Command::Begin {
        holder: "host-a".into(),
        until: now().plus_seconds(30),
        transaction_time: now(),
        snapshot: "1".into(),
        partitions: 1,
    };
    let (epoch, _) = job.apply(begin, now()).unwrap();
    for number in 0..files {
        let row = OutputFile {
            section: Section::Output,
            resource_type: job.plan().definitions().resource_type("Observation"),
            name: format!("Observation-{number:04}.ndjson"),
            key: format!("{}/1-Observation-{number:04}.ndjson", job.id()),
            content_type: None,
            count: 100_000,
            bytes: 100_000_000,
            gzip_bytes: None,
            sha256: Some("0".repeat(64)),
            continues_in_file: None,
            page: None,
        };
        let checkpoint = Checkpoint { resume: Resume::Start, kinds: Vec::new() };
        job.apply(Command::Publish { epoch, partition: 0, rows: vec![row], checkpoint }, now()).unwrap();
    }
    let target = format!("/fhir/bulk/{}", job.id());
    (endpoint, job.encode(), target)
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

//! How fast a plain `$export` goes, as a ratio against finding the line ends alone, in one run:
//! `cargo bench -p ehi-core --bench writer`.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use divan::{Bencher, counter::BytesCount};
use ehi_core::{
    Endpoint, Timestamp,
    access::Principal,
    endpoint::{Auth, Decision, EndpointConfig, Route},
    http::Request,
    job::{Command, JobId},
    kick_off::Facts,
    pass::PartitionTask,
    plan::ExportPlan,
    writer::{Output, Source, Writer, WriterLimits},
};

fn main() {
    divan::main();
}

/// The limit: nothing can be faster than finding where lines end.
#[divan::bench(sample_count = 20)]
fn split(bencher: Bencher<'_, '_>) {
    let input = input();
    bencher.counter(BytesCount::of_slice(&input)).bench_local(|| memchr::memchr_iter(b'\n', &input).count());
}

/// The limit for an export that copies every line once.
#[divan::bench(sample_count = 20)]
fn split_and_copy(bencher: Bencher<'_, '_>) {
    let input = input();
    let mut output = Vec::with_capacity(input.len());
    bencher.counter(BytesCount::of_slice(&input)).bench_local(|| {
        output.clear();
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', &input) {
            output.extend_from_slice(&input[from..=end]);
            from = end + 1;
        }
        output.len()
    });
}

#[divan::bench(sample_count = 10)]
fn writer_system(bencher: Bencher<'_, '_>) {
    export(bencher, "/fhir/$export", false);
}

#[divan::bench(sample_count = 10)]
fn writer_all_patients(bencher: Bencher<'_, '_>) {
    export(bencher, "/fhir/Patient/$export", false);
}

#[divan::bench(sample_count = 10)]
fn writer_system_sha256(bencher: Bencher<'_, '_>) {
    export(bencher, "/fhir/$export", true);
}

fn export(bencher: Bencher<'_, '_>, target: &str, digest: bool) {
    let (input, plan) = (input(), plan(target));
    let limits = WriterLimits { digest, ..WriterLimits::default() };
    bencher.counter(BytesCount::of_slice(&input)).bench_local(|| {
        let mut writer = Writer::new(&plan, &PartitionTask::default(), None, limits.clone()).unwrap();
        let (mut offset, mut written) = (0, 0_u64);
        while offset < input.len() {
            let end = (offset + BLOCK_BYTES).min(input.len());
            let at = Source { name: "bench", cursor: b"", offset: offset as u64 };
            offset += writer.write_lines(&input[offset..end], at).unwrap().consumed;
            written += drain(&mut writer);
        }
        writer.finish();
        written + drain(&mut writer)
    });
}

fn drain(writer: &mut Writer<'_>) -> u64 {
    let mut written = 0;
    while let Some(output) = writer.poll_output() {
        if let Output::Append { bytes, .. } = output {
            written += bytes.len() as u64;
        }
    }
    written
}

fn plan(target: &str) -> ExportPlan {
    let endpoint = Endpoint::new(EndpointConfig::new("https://ehr.example/fhir", Auth::None)).unwrap();
    let now = Timestamp::from_millis(1_800_000_000_000);
    let request = Request { method: "GET", target, headers: &[], body: b"" };
    let Route::KickOff(kick_off) = endpoint.route(&request, &Principal::Open) else { panic!("not a kick-off") };
    let facts = Facts { active_jobs: Some(0), ..Facts::default() };
    let decision = endpoint.decide(*kick_off, &Principal::Open, &facts, JobId::from_entropy([0; 16]), now);
    let Decision::Accepted(mut job, _) = decision else { panic!("refused") };
    let begin = Command::Begin {
        holder: "h".into(),
        until: now,
        transaction_time: now,
        snapshot: String::new(),
        partitions: 1,
    };
    job.apply(begin, now).unwrap();
    job.plan().clone()
}

/// 16 MiB of resources of three types, 1.6 KB a line on average, as real ones are.
fn input() -> Vec<u8> {
    let mut input = Vec::with_capacity(INPUT_BYTES + 4096);
    let mut n = 0_u64;
    while input.len() < INPUT_BYTES {
        n += 1;
        let kind = ["Observation", "Condition", "Encounter"][usize::try_from(n % 3).unwrap()];
        let text = "Lorem ipsum dolor sit amet, \\\"consectetur\\\" adipiscing elit. "
            .repeat(usize::try_from(n * 7 % 32).unwrap());
        let line = format!(
            r#"{{"resourceType":"{kind}","id":"{n}","meta":{{"versionId":"1","lastUpdated":"2024-01-01T00:00:00.000Z"}},"text":{{"status":"generated","div":"<div>{text}</div>"}},"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"2093-3","display":"Total Cholesterol"}}],"text":"Total Cholesterol"}},"subject":{{"reference":"Patient/{}"}},"encounter":{{"reference":"Encounter/{n}"}},"effectiveDateTime":"2023-05-01T10:00:00+02:00","valueQuantity":{{"value":185.31,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}}}"#,
            n % 1000
        );
        input.extend_from_slice(line.as_bytes());
        input.push(b'\n');
    }
    input
}

const INPUT_BYTES: usize = 16 << 20;
const BLOCK_BYTES: usize = 256 << 10;

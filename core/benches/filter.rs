//! What a selection costs, as ratios in one run: `cargo bench -p ehi-core --bench filter`.
//!
//! The question is `Observation?category=laboratory&date=gt2018-07-01` with `_since=2020-01-01`, over resources of mixed
//! types whose members come in varied order, 1.6 KB a line.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use std::{collections::BTreeSet, sync::OnceLock};

use divan::{Bencher, counter::BytesCount};
use ehi_core::{
    Endpoint, Timestamp,
    access::Principal,
    endpoint::{Auth, Decision, EndpointConfig, Route},
    http::Request,
    job::{Command, JobId},
    kick_off::{Facts, Level},
    pass::PartitionTask,
    plan::ExportPlan,
    population::{Population, PopulationBuilder},
    writer::{Output, Source, Validation, Writer, WriterLimits},
};

fn main() {
    divan::main();
}

/// The limit: nothing can be faster than finding where lines end.
#[divan::bench(sample_count = 30)]
fn split(bencher: Bencher<'_, '_>) {
    let input = mixed();
    bencher.counter(BytesCount::of_slice(input)).bench_local(|| memchr::memchr_iter(b'\n', input).count());
}

/// The limit for an export that copies every line once.
#[divan::bench(sample_count = 30)]
fn split_and_copy(bencher: Bencher<'_, '_>) {
    let input = mixed();
    let mut output = Vec::with_capacity(input.len());
    bencher.counter(BytesCount::of_slice(input)).bench_local(|| {
        output.clear();
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', input) {
            output.extend_from_slice(&input[from..=end]);
            from = end + 1;
        }
        output.len()
    });
}

/// What a JSON library takes to say that all lines are valid.
#[divan::bench(sample_count = 10)]
fn ignored_any(bencher: Bencher<'_, '_>) {
    let input = mixed();
    bencher.counter(BytesCount::of_slice(input)).bench_local(|| {
        let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.for_each(|line| {
            serde_json::from_slice::<serde::de::IgnoredAny>(line).unwrap();
        });
    });
}

#[divan::bench(args = MODES, sample_count = 30)]
fn mixed_file(bencher: Bencher<'_, '_>, mode: Validation) {
    export(bencher, mixed(), &question([QUESTION.to_owned()]), None, mode);
}

#[divan::bench(args = MODES, sample_count = 30)]
fn observations(bencher: Bencher<'_, '_>, mode: Validation) {
    static INPUT: OnceLock<Vec<u8>> = OnceLock::new();
    let input = INPUT.get_or_init(|| generate(Some("Observation")));
    export(bencher, input, &question([QUESTION.to_owned()]), None, mode);
}

/// A plain `$export`: every line is written.
#[divan::bench(args = MODES, sample_count = 30)]
fn everything(bencher: Bencher<'_, '_>, mode: Validation) {
    export(bencher, mixed(), &plan(), None, mode);
}

/// So many alternatives of one criterion.
#[divan::bench(args = [1, 1000], sample_count = 30)]
fn alternatives(bencher: Bencher<'_, '_>, count: usize) {
    let codes: Vec<_> = (0..count).map(|n| format!("http://loinc.org|{n}-x")).collect();
    let query = format!("Observation?code={}&date=gt2018-07-01", codes.join(","));
    export(bencher, mixed(), &question([query]), None, Validation::Trust);
}

/// So many queries of one type.
#[divan::bench(args = [1, 1000], sample_count = 30)]
fn queries(bencher: Bencher<'_, '_>, count: usize) {
    let queries = (0..count).map(|n| format!("Observation?code={n}-x&date=gt2018-07-01&category=laboratory"));
    export(bencher, mixed(), &question(queries), None, Validation::Trust);
}

/// So many patients, of whom one has data here.
#[divan::bench(args = [1, 100_000, 1_000_000], sample_count = 30)]
fn patients(bencher: Bencher<'_, '_>, count: u64) {
    let ids = (0..count).map(|n| if n == 0 { patient(0) } else { patient(PATIENTS + n) });
    population(bencher, ids);
}

/// All patients who have data here, so that nearly every line is written.
#[divan::bench(sample_count = 30)]
fn all_patients_listed(bencher: Bencher<'_, '_>) {
    population(bencher, (0..PATIENTS).map(patient));
}

fn population(bencher: Bencher<'_, '_>, ids: impl Iterator<Item = String>) {
    let mut builder = PopulationBuilder::default();
    ids.for_each(|id| builder.push(&id).unwrap());
    let block = builder.seal();
    let plan = ExportPlan { level: Level::Group("g".into()), export_shared: true, ..plan() };
    export(bencher, mixed(), &plan, Some(Population::load(&block).unwrap()), Validation::Trust);
}

fn export(
    bencher: Bencher<'_, '_>,
    input: &[u8],
    plan: &ExportPlan,
    population: Option<Population<'_>>,
    validate: Validation,
) {
    let limits = WriterLimits { digest: false, validate, ..WriterLimits::default() };
    bencher.counter(BytesCount::of_slice(input)).with_inputs(|| population.clone()).bench_local_values(|population| {
        let mut writer = Writer::new(plan, &PartitionTask::default(), population, limits.clone()).unwrap();
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

fn question(queries: impl IntoIterator<Item = String>) -> ExportPlan {
    let since = Some(Timestamp::parse_instant("2020-01-01T00:00:00Z").unwrap());
    let observation = plan().definitions().resource_type("Observation");
    let types = ehi_core::plan::TypeSelection::Only(BTreeSet::from_iter(observation));
    ExportPlan { since, types, type_filters: queries.into_iter().collect(), ..plan() }
}

fn plan() -> ExportPlan {
    let endpoint = Endpoint::new(EndpointConfig::new("https://ehr.example/fhir", Auth::None)).unwrap();
    let now = Timestamp::from_millis(1_800_000_000_000);
    let request = Request { method: "GET", target: "/fhir/$export", headers: &[], body: b"" };
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

fn mixed() -> &'static [u8] {
    static INPUT: OnceLock<Vec<u8>> = OnceLock::new();
    INPUT.get_or_init(|| generate(None))
}

/// Resources of one type or of all, the same in every run.
fn generate(only: Option<&str>) -> Vec<u8> {
    let mut random = Random(42);
    let mut input = Vec::with_capacity(INPUT_BYTES + 16384);
    while input.len() < INPUT_BYTES {
        let (resource_type, lengthy) = TYPES[random.below(TYPES.len() as u64)];
        if only.is_some_and(|only| only != resource_type) {
            continue;
        }
        let mut members = members(resource_type, lengthy, &mut random);
        if random.below(4) == 0 {
            for last in (1..members.len()).rev() {
                members.swap(last, random.below(last as u64 + 1));
            }
        }
        let separator = if random.below(3) == 0 { ", " } else { "," };
        input.extend_from_slice(format!("{{{}}}\n", members.join(separator)).as_bytes());
    }
    input
}

fn members(resource_type: &str, lengthy: usize, random: &mut Random) -> Vec<String> {
    let coding = |system: &str, code: &str| {
        format!(
            r#"{{"coding":[{{"system":"{system}","code":"{code}","display":"Total Cholesterol"}}],"text":"{code}"}}"#
        )
    };
    let time = |random: &mut Random, from: usize| {
        let (year, month, day) = (from + random.below(11), 1 + random.below(12), 1 + random.below(28));
        format!("{year}-{month:02}-{day:02}T{:02}:{:02}:07-05:00", random.below(24), random.below(60))
    };
    let patient = patient(random.below(PATIENTS) as u64);
    let category = ["laboratory", "vital-signs"][random.below(2)];
    let mut members = vec![
        format!(r#""resourceType":"{resource_type}""#),
        format!(r#""id":"{}""#, if resource_type == "Patient" { patient.clone() } else { uuid(random.next()) }),
        format!(
            r#""meta":{{"versionId":"1","lastUpdated":"{}","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-{resource_type}"]}}"#,
            time(random, 2015)
        ),
        format!(r#""status":"final","category":[{}]"#, coding(CATEGORY, category)),
        format!(r#""code":{}"#, coding("http://loinc.org", &format!("{}-5", 2000 + random.below(500)))),
        format!(r#""encounter":{{"reference":"Encounter/{}"}}"#, uuid(random.next())),
        format!(r#""effectiveDateTime":"{}","issued":"{}""#, time(random, 2013), time(random, 2013)),
        r#""valueQuantity":{"value":185.31,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}"#.into(),
        format!(
            r#""note":[{{"text":"{}"}}]"#,
            "Denies chest pain, \\\"normal\\\" limits.\\n".repeat(lengthy + random.below(8))
        ),
    ];
    if resource_type != "Patient" {
        members.push(format!(r#""subject":{{"reference":"Patient/{patient}"}}"#));
    }
    if random.below(20) == 0 {
        let inner =
            format!(r#"{{"resourceType":"Observation","id":"c1","category":[{}]}}"#, coding(CATEGORY, "laboratory"));
        members.insert(3, format!(r#""contained":[{inner}]"#));
    }
    members
}

fn patient(number: u64) -> String {
    uuid(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995)
}

fn uuid(seed: u64) -> String {
    let other = seed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        seed >> 32,
        seed >> 16 & 0xffff,
        seed & 0xfff,
        other >> 52,
        other & 0xffff_ffff_ffff
    )
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from((self.next() >> 11) % bound).unwrap()
    }
}

const QUESTION: &str = "Observation?category=laboratory&date=gt2018-07-01";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const MODES: [Validation; 3] = [Validation::Trust, Validation::StrictOutput, Validation::StrictAll];
/// As often as they occur, and how long their texts are.
const TYPES: [(&str, usize); 12] = [
    ("Observation", 3),
    ("Observation", 5),
    ("Observation", 8),
    ("Observation", 4),
    ("Observation", 6),
    ("Condition", 8),
    ("Encounter", 10),
    ("MedicationRequest", 14),
    ("Procedure", 6),
    ("DiagnosticReport", 30),
    ("DocumentReference", 90),
    ("Patient", 10),
];
const PATIENTS: u64 = 1_000_000;
/// More than caches hold: what is compared with is how fast lines come from memory, not from a cache.
const INPUT_BYTES: usize = 64 << 20;
const BLOCK_BYTES: usize = 256 << 10;

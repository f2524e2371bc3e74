//! What is to be reached: each ratio with what it is made of.

use super::{
    divan::Benches,
    programs::{Name, Runs, Taken},
    transfer::Transfer,
};

/// A figure of the page: the higher the better.
pub(super) struct Ratio {
    pub(super) what: &'static str,
    pub(super) at_least: f64,
    pub(super) hoped: f64,
    pub(super) measured: Option<f64>,
}

/// A figure of the page: the lower the better.
pub(super) struct Memory {
    pub(super) what: &'static str,
    pub(super) at_most: Option<&'static str>,
    pub(super) measured: Option<String>,
}

/// How many times faster the one is than the other.
pub(super) fn ratios(runs: &Runs, benches: &Benches, transfer: &Transfer) -> Vec<Ratio> {
    let cpu = |fast: Name, slow: Name| Some(runs.get(&slow)?.cpu_seconds / runs.get(&fast)?.cpu_seconds);
    let wall = |fast: Name, slow: Name| Some(runs.get(&slow)?.wall_seconds / runs.get(&fast)?.wall_seconds);
    let bench = |fast: &str, slow: &str| benches.ratio(fast, slow);
    let ratio = |what, at_least, hoped, measured| Ratio { what, at_least, hoped, measured };
    vec![
        ratio("whole process, `trust` / DuckDB", 8.0, 10.0, cpu(Name::Trust, Name::DuckDb)),
        ratio("whole process, `trust` / jq", 40.0, 60.0, cpu(Name::TrustSmall, Name::Jq)),
        ratio("whole process, `trust` / polars", 24.0, 30.0, cpu(Name::Trust, Name::Polars)),
        ratio("whole process, `trust` / orjson", 13.0, 18.0, cpu(Name::Trust, Name::Orjson)),
        ratio("whole process, `strict-output` / `trust`", 0.75, 0.9, cpu(Name::StrictOutput, Name::Trust)),
        ratio(
            "in memory, mixed file, `strict-output` / `trust`",
            0.75,
            0.9,
            bench("filter/mixed_file/StrictOutput", "filter/mixed_file/Trust"),
        ),
        ratio(
            "in memory, `strict-all` / serde_json's `IgnoredAny`",
            0.8,
            1.5,
            bench("filter/mixed_file/StrictAll", "filter/ignored_any"),
        ),
        ratio(
            "in memory, mixed file, `trust` / split into lines",
            0.33,
            0.5,
            bench("filter/mixed_file/Trust", "filter/split"),
        ),
        ratio(
            "in memory, file of Observations, `trust` / split into lines",
            0.22,
            0.3,
            bench("filter/observations/Trust", "filter/split"),
        ),
        ratio(
            "in memory, plain `$export`, `trust` / split into lines and copy",
            0.4,
            0.6,
            bench("filter/everything/Trust", "filter/split_and_copy"),
        ),
        ratio("without start-up, component / native", 0.7, 0.9, by_growth(runs)),
        ratio("whole process, component / native", 0.5, 0.8, cpu(Name::Component, Name::StrictOutput)),
        ratio("in memory, 1,000 clauses / 1", 0.85, 0.95, bench("filter/alternatives/1000", "filter/alternatives/1")),
        ratio("in memory, 10^5 patients / 1", 0.65, 0.9, bench("filter/patients/100000", "filter/patients/1")),
        ratio("in memory, 10^6 patients / 1", 0.3, 0.6, bench("filter/patients/1000000", "filter/patients/1")),
        ratio("wall time, `ehi fetch` / curl", 0.6, 1.0, Some(transfer.curl_seconds / transfer.fetch_seconds)),
        ratio("wall time, two threads over two files / one", 1.8, 1.95, wall(Name::TwoThreads, Name::OneThread)),
    ]
}

/// How fast the writer is by itself, with its names on the page.
pub(super) fn speeds(benches: &Benches) -> Vec<(&'static str, Option<f64>)> {
    let named = [
        ("split into lines", "filter/split"),
        ("split into lines and copy", "filter/split_and_copy"),
        ("mixed file, `trust`", "filter/mixed_file/Trust"),
        ("mixed file, `strict-output`", "filter/mixed_file/StrictOutput"),
        ("mixed file, `strict-all`", "filter/mixed_file/StrictAll"),
        ("file of Observations, `trust`", "filter/observations/Trust"),
        ("file of Observations, `strict-output`", "filter/observations/StrictOutput"),
        ("plain `$export`, `trust`", "filter/everything/Trust"),
        ("plain `$export`, `strict-output`", "filter/everything/StrictOutput"),
        ("plain `$export` with SHA-256", "writer/writer_system_sha256"),
        ("serde_json's `IgnoredAny`", "filter/ignored_any"),
    ];
    named.into_iter().map(|(shown, bench)| (shown, benches.speed(bench))).collect()
}

/// A figure of the page in microseconds: the lower the better.
pub(super) struct Time {
    pub(super) what: &'static str,
    pub(super) at_most: Option<f64>,
    pub(super) measured: Option<f64>,
}

/// What a poll costs.
pub(super) fn polls(benches: &Benches) -> Vec<Time> {
    let micros = |bench: &str| benches.seconds(bench).map(|seconds| seconds * 1e6);
    let above = |bench: &str, base: &str| Some(micros(bench)? - micros(base)?);
    let time = |what, at_most, measured| Time { what, at_most, measured };
    vec![
        time("native, no file yet", None, micros("job/poll/0")),
        time("native, 10,000 files", Some(5.0), micros("job/poll/10000")),
        time("component, an empty call", None, micros("poll/component_empty_call")),
        time(
            "component, 10,000 files, above an empty call",
            Some(30.0),
            above("poll/component_poll/10000", "poll/component_empty_call"),
        ),
        time("component, a new instance", None, micros("poll/component_instance")),
    ]
}

/// Resident memory, whatever the size of the input.
pub(super) fn memory(runs: &Runs) -> Vec<Memory> {
    let mebibytes = |name: Name| {
        let resident = runs.get(&name)?.resident_bytes as f64;
        Some(format!("{:.1} MiB", resident / f64::from(1 << 20)))
    };
    let a_patient = |name: Name, patients: u64| {
        let grown = runs.get(&name)?.resident_bytes.checked_sub(runs.get(&Name::OnePatient)?.resident_bytes)?;
        Some(format!("{} bytes", grown / patients))
    };
    let memory = |what, at_most, measured| Memory { what, at_most, measured };
    vec![
        memory("native, 50 MB", Some("16 MiB"), mebibytes(Name::StrictOutputSmall)),
        memory("native, 500 MB", Some("16 MiB"), mebibytes(Name::StrictOutput)),
        memory("each of 10^5 patients", Some("80 bytes"), a_patient(Name::ManyPatients, 100_000)),
        memory("each of 10^6 patients", Some("80 bytes"), a_patient(Name::MostPatients, 1_000_000)),
        memory("component, 50 MB", None, mebibytes(Name::ComponentSmall)),
        memory("component, 500 MB", None, mebibytes(Name::Component)),
    ]
}

/// What more input costs: both start, and end, but once.
fn by_growth(runs: &Runs) -> Option<f64> {
    let growth = |large: Name, small: Name| {
        let cpu = |name: Name| runs.get(&name).map(|taken: &Taken| taken.cpu_seconds);
        Some(cpu(large)? - cpu(small)?)
    };
    let native = growth(Name::StrictOutput, Name::StrictOutputSmall)?;
    Some(native / growth(Name::Component, Name::ComponentSmall)?)
}

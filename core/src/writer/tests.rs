//! Whatever the cut of the input, and wherever a run is lost: the same files.

mod answered;
mod binaries;
mod merge;
mod organize;
mod passes;
mod sizes;

use std::{collections::BTreeMap, io::Read};

use proptest::prelude::*;

use super::*;
use crate::{
    endpoint::{Auth, EndpointConfig},
    kick_off::{KickOff, Level},
    plan::TypeSelection,
    time::Timestamp,
};

/// Name to bytes, with what the close said of it.
type Files = BTreeMap<String, (Vec<u8>, u64, Option<String>)>;

/// One closed file and where to go on after it.
struct Closed {
    name: String,
    file: (Vec<u8>, u64, Option<String>),
    checkpoint: Checkpoint,
}

fn plan() -> ExportPlan {
    let kick_off = KickOff {
        operation: Default::default(),
        edition: Default::default(),
        separate_status: false,
        lenient: false,
        vendor_parameters: BTreeMap::new(),
        level: Level::System,
        patients: None,
        request: String::new(),
        types: None,
        type_filters: Vec::new(),
        value_sets: Vec::new(),
        withheld: Default::default(),
        since: Some(Timestamp::from_millis(0)),
        until: None,
        elements: Default::default(),
        provenance: Default::default(),
        organize: Default::default(),
        file_sizes: Default::default(),
        partial_manifests: false,
        notices: vec![crate::outcome::Issue::information("a notice of the kick-off")],
    };
    let config = EndpointConfig::new("https://ehr.example/fhir", Auth::Bearer);
    let grant = crate::endpoint::Grant::whole(TypeSelection::All, &kick_off);
    let plan = ExportPlan::new(&config, kick_off, grant);
    ExportPlan { transaction_time: Some(Timestamp::from_millis(1_700_000_000_000)), ..plan }
}

fn task(from: Option<&Checkpoint>) -> PartitionTask {
    PartitionTask { checkpoint: from.cloned(), ..PartitionTask::default() }
}

/// Feeds sources from where the checkpoint says, in blocks of those sizes, and stops after so many closed files.
fn run(
    sources: &[(String, Vec<u8>)],
    from: Option<&Checkpoint>,
    limits: &WriterLimits,
    sizes: &[usize],
    stop_after: usize,
) -> Vec<Closed> {
    run_of(&plan(), sources, from, limits, sizes, stop_after)
}

fn run_of(
    plan: &ExportPlan,
    sources: &[(String, Vec<u8>)],
    from: Option<&Checkpoint>,
    limits: &WriterLimits,
    sizes: &[usize],
    stop_after: usize,
) -> Vec<Closed> {
    let mut writer = Writer::new(plan, &task(from), None, limits.clone()).unwrap();
    let (mut open, mut closed) = (BTreeMap::new(), Vec::new());
    let mut sizes = sizes.iter().cycle();
    let resume = from.map(|checkpoint| checkpoint.resume.clone());
    let (first, mut offset) = match resume {
        Some(Resume::At { cursor, offset, .. }) => {
            (sources.iter().position(|(name, _)| name.as_bytes() == cursor).unwrap(), usize::try_from(offset).unwrap())
        }
        Some(Resume::Start) | None => (0, 0),
    };
    for (name, bytes) in &sources[first..] {
        while offset < bytes.len() {
            let end = (offset + sizes.next().unwrap()).min(bytes.len());
            let at = Source { name, cursor: name.as_bytes(), offset: offset as u64 };
            offset += writer.write_lines(&bytes[offset..end], at).unwrap().consumed;
            drain(&mut writer, &mut open, &mut closed);
            if closed.len() >= stop_after {
                closed.truncate(stop_after);
                return closed;
            }
        }
        offset = 0;
    }
    writer.finish();
    drain(&mut writer, &mut open, &mut closed);
    closed.truncate(stop_after);
    closed
}

fn drain(writer: &mut Writer<'_>, open: &mut BTreeMap<u32, (String, Vec<u8>)>, closed: &mut Vec<Closed>) {
    while let Some(output) = writer.poll_output() {
        match output {
            Output::Found { .. } => panic!("the main pass finds nothing"),
            Output::Open { file, name, .. } => {
                open.insert(file, (name.to_owned(), Vec::new()));
            }
            Output::Append { file, bytes } => open.get_mut(&file).unwrap().1.extend_from_slice(bytes),
            Output::Close { file, count, bytes, gzip_bytes, sha256, checkpoint, .. } => {
                let (name, mut text) = open.remove(&file).unwrap();
                if let Some(gzip_bytes) = gzip_bytes {
                    assert_eq!(gzip_bytes, text.len() as u64);
                    let gzip = std::mem::take(&mut text);
                    flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut text).unwrap();
                }
                assert_eq!(bytes, text.len() as u64);
                assert_eq!(count, memchr::memchr_iter(b'\n', &text).count() as u64);
                let file = (text, count, sha256.map(str::to_owned));
                closed.push(Closed { name, file, checkpoint: checkpoint.clone() });
            }
        }
    }
}

fn files(closed: Vec<Closed>) -> Files {
    closed.into_iter().map(|closed| (closed.name, closed.file)).collect()
}

/// A few types, so that several files are open at once; now and then a line that is no resource.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => (prop::sample::select(vec!["Patient", "Observation", "Condition", "Group"]), 0_u32..1000, 0_usize..60)
            .prop_map(|(kind, id, pad)| {
                format!(r#"{{"resourceType":"{kind}","id":"{id}","x":"{}"}}"#, "é".repeat(pad))
            }),
        // Exported and reported: one line, records of two kinds.
        4 => (0_u32..1000).prop_map(|id| format!(r#"{{"resourceType":"Goal","id":"{id}","meta":{{"lastUpdated":"?"}}}}"#)),
        1 => Just(String::from("{")),
        1 => Just(String::new()),
        1 => Just(format!(r#"{{"resourceType":"Patient","id":"long","x":"{}"}}"#, "y".repeat(300))),
    ]
}

fn sources() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    prop::collection::vec((prop::collection::vec(line(), 0..40), any::<bool>()), 1..4).prop_map(|sources| {
        let text = |(lines, ends): (Vec<String>, bool)| lines.join("\n") + if ends { "\n" } else { "" };
        let named = |(n, source)| (format!("{n}.ndjson"), text(source).into_bytes());
        sources.into_iter().enumerate().map(named).collect()
    })
}

fn limits() -> impl Strategy<Value = WriterLimits> {
    let layout = prop_oneof![Just(Layout::ByType), Just(Layout::Together)];
    (1_u64..12, 100_u64..2_000, 1_usize..2_000, 1_usize..400, 200_u64..20_000, layout).prop_map(
        |(shard_resources_max, shard_bytes_max, queue_bytes_max, append_bytes, open_span_bytes_max, layout)| {
            WriterLimits {
                shard_resources_max,
                shard_bytes_max,
                line_bytes_max: 200,
                queue_bytes_max,
                append_bytes,
                open_span_bytes_max,
                layout,
                ..WriterLimits::default()
            }
        },
    )
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1_usize..8, 1_usize..300, Just(100_000)], 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_cut_of_the_input_does_not_matter(
        sources in sources(), limits in limits(), cut in sizes(), whole in Just(vec![1 << 20]),
    ) {
        let expected = files(run(&sources, None, &limits, &whole, usize::MAX));
        prop_assert_eq!(files(run(&sources, None, &limits, &cut, usize::MAX)), expected);
    }

    #[test]
    fn gzip_holds_what_is_written_without_it(sources in sources(), limits in limits(), cut in sizes()) {
        let packed = WriterLimits { gzip: true, ..limits.clone() };
        let expected = files(run(&sources, None, &limits, &cut, usize::MAX));
        prop_assert_eq!(files(run(&sources, None, &packed, &cut, usize::MAX)), expected);
    }

    #[test]
    fn a_lost_run_goes_on_from_any_checkpoint(sources in sources(), limits in limits(), cut in sizes(), losses in prop::collection::vec(0_usize..6, 1..5)) {
        let expected = files(run(&sources, None, &limits, &cut, usize::MAX));
        let mut made = Files::new();
        let mut from: Option<Checkpoint> = None;
        for lost_after in losses.into_iter().chain([usize::MAX]) {
            let closed = run(&sources, from.as_ref(), &limits, &cut, lost_after);
            // A checkpoint survives being stored.
            let stored = closed.last().map(|closed| serde_json::to_string(&closed.checkpoint).unwrap());
            from = stored.map(|json| serde_json::from_str(&json).unwrap()).or(from);
            for closed in closed {
                prop_assert!(made.insert(closed.name.clone(), closed.file).is_none(), "{} is made twice", closed.name);
            }
        }
        prop_assert_eq!(made, expected);
    }

    #[test]
    fn every_resource_comes_out_once_and_limits_hold(sources in sources(), limits in limits(), cut in sizes()) {
        let made = files(run(&sources, None, &limits, &cut, usize::MAX));
        let mut out: Vec<String> = Vec::new();
        for (name, (bytes, count, _)) in &made {
            prop_assert!(*count > 0 && *count <= limits.shard_resources_max);
            prop_assert!(bytes.len() as u64 <= limits.shard_bytes_max || *count == 1, "{name}");
            if !name.starts_with("error") {
                out.extend(String::from_utf8(bytes.clone()).unwrap().lines().map(str::to_owned));
            }
        }
        let resources = |text: &[u8]| -> Vec<String> {
            let lines = std::str::from_utf8(text).unwrap().lines().map(str::trim);
            lines.filter(|line| line.len() <= 200 && line.len() > 1).map(str::to_owned).collect()
        };
        let mut expected: Vec<String> = sources.iter().flat_map(|(_, text)| resources(text)).collect();
        expected.sort();
        out.sort();
        prop_assert_eq!(out, expected);
    }
}

#[test]
fn memory_is_bounded_by_the_queue() {
    let limits = WriterLimits { queue_bytes_max: 1000, append_bytes: 100, ..WriterLimits::default() };
    let mut writer = Writer::new(&plan(), &task(None), None, limits).unwrap();
    let line = r#"{"resourceType":"Patient","id":"1"}"#.to_owned() + "\n";
    let block = line.repeat(1000);
    let at = Source { name: "a", cursor: b"a", offset: 0 };
    let progress = writer.write_lines(block.as_bytes(), at).unwrap();
    assert!(progress.drain_first && progress.consumed < 2000, "{progress:?}");
    assert_eq!(writer.write_lines(b"x", at).unwrap(), Progress { consumed: 0, drain_first: true });
    while writer.poll_output().is_some() {}
    assert!(writer.write_lines(&block.as_bytes()[progress.consumed..], at).unwrap().consumed > 0);
}

#[test]
fn misuse_is_an_error() {
    let limits = WriterLimits::default();
    let not_begun = ExportPlan { transaction_time: None, ..plan() };
    assert_eq!(Writer::new(&not_begun, &task(None), None, limits.clone()).unwrap_err(), WriterError::NotBegun);
    let of_group = ExportPlan { level: Level::Group("g".into()), ..plan() };
    assert_eq!(Writer::new(&of_group, &task(None), None, limits.clone()).unwrap_err(), WriterError::PopulationMismatch);
    let listed = ExportPlan { level: Level::AllPatients, patients_listed: true, ..plan() };
    assert_eq!(Writer::new(&listed, &task(None), None, limits.clone()).unwrap_err(), WriterError::PopulationMismatch);
    let all = ExportPlan { level: Level::AllPatients, ..plan() };
    let block = crate::population::PopulationBuilder::default().seal();
    let population = Population::load(&block).unwrap();
    for of_nobody in [plan(), all] {
        let writer = Writer::new(&of_nobody, &task(None), Some(population.clone()), limits.clone());
        assert_eq!(writer.unwrap_err(), WriterError::PopulationMismatch);
    }
    let none = WriterLimits { append_bytes: 0, ..WriterLimits::default() };
    assert_eq!(Writer::new(&plan(), &task(None), None, none).unwrap_err(), WriterError::Limits);

    let mut writer = Writer::new(&plan(), &task(None), None, WriterLimits::default()).unwrap();
    let at = Source { name: "a", cursor: b"a", offset: 0 };
    writer.write_lines(b"{", at).unwrap();
    assert_eq!(writer.supersede_next_line(), Err(WriterError::InsideLine));
    writer.finish();
    assert_eq!(writer.write_lines(b"{", at), Err(WriterError::Finished));
    let resume = Resume::At { cursor: b"b".to_vec(), offset: 1, source: "b".into(), line: 2 };
    let from = Checkpoint { resume, kinds: Vec::new() };
    let mut resumed = Writer::new(&plan(), &task(Some(&from)), None, WriterLimits::default()).unwrap();
    // Said again as long as it is so.
    assert_eq!(resumed.write_lines(b"{", at), Err(WriterError::WrongPlace));
    assert_eq!(resumed.write_lines(b"{", at), Err(WriterError::WrongPlace));
    assert!(resumed.write_lines(b"{", Source { name: "b", cursor: b"b", offset: 1 }).is_ok());
}

//! Output organised by patient: blocks as the guide has them, whatever the limits and wherever a run is lost.

use std::collections::BTreeSet;

use super::*;
use crate::{
    Definitions,
    outcome::OperationOutcome,
    plan::{Organize, Provenance, Supporting},
    population::PopulationBuilder,
};

fn organized() -> ExportPlan {
    ExportPlan { organize: Organize::ByPatient, since: None, notices: Vec::new(), ..plan() }
}

/// Files in the order in which they were closed: name, text, and where the last block goes on.
pub(super) type Files = Vec<(String, String, Option<String>)>;

/// What one run made, and the checkpoint of its last closed file.
#[derive(Default)]
pub(super) struct Made {
    pub(super) files: Files,
    checkpoint: Option<Checkpoint>,
}

/// Feeds blocks from where the checkpoint says, and stops after so many closed files. The first block is nobody's.
pub(super) fn run(
    plan: &ExportPlan,
    blocks: &[(String, String)],
    from: Option<&Checkpoint>,
    limits: &WriterLimits,
    sizes: &[usize],
    stop_after: usize,
) -> Made {
    let mut population = PopulationBuilder::default();
    (0..4).for_each(|number| population.push(&format!("p{number}")).unwrap());
    let population = population.seal();
    let listed = plan.has_listed_patients().then(|| Population::load(&population).unwrap());
    let mut writer = Writer::new(plan, &task(from), listed, limits.clone()).unwrap();
    let (mut made, mut open, mut sizes) = (Made::default(), BTreeMap::new(), sizes.iter().cycle());
    let (first, mut offset) = match from.map(|checkpoint| checkpoint.resume.clone()) {
        Some(Resume::At { cursor, offset, .. }) => {
            let first = blocks.iter().position(|(patient, _)| patient.as_bytes() == cursor).unwrap();
            (first, usize::try_from(offset).unwrap())
        }
        Some(Resume::Start) | None => (0, 0),
    };
    for (patient, text) in &blocks[first..] {
        if !patient.is_empty() && offset < text.len() {
            assert_eq!(offset, 0, "a block is given again from its beginning");
            writer.begin_block(patient).unwrap();
        }
        while offset < text.len() {
            let end = (offset + sizes.next().unwrap()).min(text.len());
            let at = Source { name: &format!("of {patient}"), cursor: patient.as_bytes(), offset: offset as u64 };
            offset += writer.write_lines(&text.as_bytes()[offset..end], at).unwrap().consumed;
            take(&mut writer, &mut open, &mut made, stop_after);
            if made.files.len() >= stop_after {
                return made;
            }
        }
        offset = 0;
    }
    writer.finish();
    take(&mut writer, &mut open, &mut made, stop_after);
    made
}

fn take(writer: &mut Writer<'_>, open: &mut BTreeMap<u32, (String, Vec<u8>)>, made: &mut Made, stop_after: usize) {
    while let Some(output) = writer.poll_output() {
        match output {
            Output::Found { .. } => panic!("the main pass finds nothing"),
            Output::Open { file, resource_type, name, .. } => {
                assert_eq!(resource_type.is_none(), name.starts_with("resources-"), "BD-MAN-10");
                open.insert(file, (name.to_owned(), Vec::new()));
            }
            Output::Append { file, bytes } => open.get_mut(&file).unwrap().1.extend_from_slice(bytes),
            Output::Close { file, count, bytes, continues_in_file, checkpoint, .. } => {
                let (name, text) = open.remove(&file).unwrap();
                let text = String::from_utf8(text).unwrap();
                assert_eq!(bytes, text.len() as u64);
                assert_eq!(count, text.lines().filter(|line| header(line).is_none()).count() as u64, "BD-MAN-12");
                if made.files.len() < stop_after {
                    made.files.push((name, text, continues_in_file.map(str::to_owned)));
                    made.checkpoint = Some(checkpoint.clone());
                }
            }
        }
    }
}

/// The patient whose block a line begins.
pub(super) fn header(line: &str) -> Option<String> {
    let resource: serde_json::Value = serde_json::from_str(line).unwrap();
    let parameter = &resource["parameter"][0];
    let is_header = resource["resourceType"] == "Parameters" && parameter["name"] == "header";
    is_header.then(|| {
        parameter["valueReference"]["reference"].as_str().unwrap().strip_prefix("Patient/").unwrap().to_owned()
    })
}

/// The resources of each patient, from files that must be as the guide says.
fn walk(files: &Files, limits: &WriterLimits) -> Result<BTreeMap<String, Vec<String>>, TestCaseError> {
    let files: BTreeMap<_, _> =
        files.iter().filter(|(name, ..)| name.starts_with("resources-")).map(|file| (file.0.as_str(), file)).collect();
    let mut blocks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut continued: Option<(String, String)> = None;
    for (name, text, continues) in files.values() {
        let mut patient: Option<String> = None;
        for line in text.lines() {
            if let Some(begun) = header(line) {
                let goes_on = continued.take();
                if let Some(expected) = goes_on {
                    prop_assert_eq!(&expected, &(name.clone(), begun.clone()), "BD-ORG-07");
                } else {
                    prop_assert!(!blocks.contains_key(&begun), "{} has one block", begun);
                }
                patient = Some(begun);
                continue;
            }
            let Some(patient) = &patient else { panic!("{name} does not begin with a header") };
            prop_assert!(patients_of(line.as_bytes(), &Definitions::R4, "").contains(patient), "BD-ORG-09");
            let block = blocks.entry(patient.clone()).or_default();
            prop_assert!(block.is_empty() || !line.contains("\"Patient\","), "BD-ORG-04");
            block.push(line.to_owned());
        }
        prop_assert!(text.len() as u64 <= 2 * limits.shard_bytes_max + 400);
        if let Some(next) = continues {
            prop_assert!(next > name, "so no chain has a circle");
            continued = Some((next.clone(), patient.unwrap()));
        }
    }
    prop_assert_eq!(continued, None, "BD-MAN-16");
    Ok(blocks)
}

/// Patients, what is theirs, what several share, and what is nobody's.
pub(super) fn resources() -> impl Strategy<Value = Vec<String>> {
    let patients = prop::collection::btree_set(0_u8..6, 0..4);
    let resource = (any::<bool>(), patients, 0_usize..120);
    prop::collection::vec(resource, 0..60).prop_map(|resources| {
        let of = |(id, (is_appointment, patients, pad)): (usize, (bool, BTreeSet<u8>, usize))| {
            let to = |patient: &u8| format!(r#"{{"reference":"Patient/p{patient}"}}"#);
            let pad = "x".repeat(pad);
            match patients.first() {
                None => format!(r#"{{"resourceType":"Organization","id":"{id}","x":"{pad}"}}"#),
                Some(patient) if patients.len() == 1 && !is_appointment => {
                    format!(r#"{{"resourceType":"Observation","id":"{id}","subject":{},"x":"{pad}"}}"#, to(patient))
                }
                Some(_) => {
                    let actors: Vec<_> =
                        patients.iter().map(|patient| format!(r#"{{"actor":{}}}"#, to(patient))).collect();
                    format!(
                        r#"{{"resourceType":"Appointment","id":"{id}","participant":[{}],"x":"{pad}"}}"#,
                        actors.join(",")
                    )
                }
            }
        };
        // The last has no Patient.
        let patients = (0..5).map(|number| format!(r#"{{"resourceType":"Patient","id":"p{number}"}}"#));
        patients.chain(resources.into_iter().enumerate().map(of)).collect()
    })
}

/// The resources by patient as a source gives them, nobody's first.
pub(super) fn blocks(resources: &[String]) -> Vec<(String, String)> {
    let mut blocks = BTreeMap::from([(String::new(), String::from("{\n"))]);
    for line in resources {
        let mut patients = patients_of(line.as_bytes(), &Definitions::R4, "");
        if patients.is_empty() {
            patients.insert(String::new());
        }
        for patient in patients {
            *blocks.entry(patient).or_default() += &format!("{line}\n");
        }
    }
    blocks.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn each_block_is_its_patients_compartment(
        resources in resources(), limits in limits(), cut in sizes(), listed in any::<bool>(), shared in any::<bool>(),
    ) {
        let limits = WriterLimits { line_bytes_max: 1_000, ..limits };
        let level = if listed { Level::Group("g".into()) } else { Level::System };
        let plan = ExportPlan { level, export_shared: shared, ..organized() };
        let made = run(&plan, &blocks(&resources), None, &limits, &cut, usize::MAX);
        let is_listed = |patient: &String| !listed || ["p0", "p1", "p2", "p3"].contains(&patient.as_str());
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in &resources {
            let patients = patients_of(line.as_bytes(), &Definitions::R4, "");
            if shared || patients.iter().all(is_listed) {
                patients.into_iter().filter(is_listed).for_each(|patient| expected.entry(patient).or_default().push(line.clone()));
            }
        }
        let found = walk(&made.files, &limits)?;
        prop_assert_eq!(&found, &expected);
        for (name, text, continues) in &made.files {
            let Some(patient) = continues.as_ref().and_then(|_| text.lines().rev().find_map(header)) else { continue };
            let block = &found[&patient];
            let bytes: usize = block.iter().map(|line| line.len() + 1).sum();
            let is_large = bytes as u64 + 120 > limits.shard_bytes_max || block.len() as u64 > limits.shard_resources_max;
            prop_assert!(is_large, "BD-ORG-06: {name}");
        }
        let reported = made.files.iter().filter(|(name, ..)| name.starts_with("error")).map(|(_, text, _)| text.lines().count());
        prop_assert_eq!(reported.sum::<usize>(), 1, "the line that is no resource");
    }

    #[test]
    fn a_lost_run_goes_on_block_by_block(
        resources in resources(), limits in limits(), cut in sizes(), losses in prop::collection::vec(0_usize..4, 1..6),
    ) {
        let limits = WriterLimits { line_bytes_max: 1_000, ..limits };
        let (plan, blocks) = (organized(), blocks(&resources));
        let mut expected = run(&plan, &blocks, None, &limits, &[1 << 20], usize::MAX).files;
        let (mut made, mut from) = (Files::new(), None);
        for lost_after in losses.into_iter().chain([usize::MAX]) {
            let again = run(&plan, &blocks, from.as_ref(), &limits, &cut, lost_after);
            made.extend(again.files);
            from = again.checkpoint.or(from);
        }
        expected.sort();
        made.sort();
        prop_assert_eq!(made, expected);
    }

    /// By the walk of blocks and by the selection alike.
    #[test]
    fn patients_of_agrees_with_the_selection(resources in resources(), patient in 0_u8..6) {
        let mut population = PopulationBuilder::default();
        population.push(&format!("p{patient}")).unwrap();
        let population = population.seal();
        let plan = ExportPlan { level: Level::Patient(format!("p{patient}")), export_shared: true, ..organized() };
        let selector = Selector::new(&plan, Some(Population::load(&population).unwrap()), Validation::default()).unwrap();
        for line in &resources {
            let is_in = matches!(selector.judge(line.as_bytes(), &[]).unwrap(), Verdict::In(_) | Verdict::InUndated(_));
            let is_of = patients_of(line.as_bytes(), &Definitions::R4, "").contains(&format!("p{patient}"));
            prop_assert_eq!(is_in, is_of, "{}", line);
        }
    }
}

#[test]
fn what_stands_in_the_wrong_place_is_reported_and_not_written() {
    let given = [
        ("", r#"{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/a"}}"#),
        ("a", r#"{"resourceType":"Patient","id":"b"}"#),
        ("a", r#"{"resourceType":"Observation","id":"2","subject":{"reference":"Patient/a"}}"#),
        ("a", r#"{"resourceType":"Patient","id":"a"}"#),
        ("a", r#"{"resourceType":"Organization","id":"3"}"#),
    ];
    let mut lines: BTreeMap<&str, String> = BTreeMap::new();
    given.iter().for_each(|(patient, line)| *lines.entry(patient).or_default() += &format!("{line}\n"));
    let blocks: Vec<_> = lines.into_iter().map(|(patient, lines)| (patient.to_owned(), lines)).collect();
    let made = run(&organized(), &blocks, None, &WriterLimits::default(), &[1 << 20], usize::MAX);
    let text = |name: &str| made.files.iter().find(|(own, ..)| own.starts_with(name)).unwrap().1.clone();
    assert_eq!(
        text("resources-0001.ndjson"),
        format!(
            "{}\n{}\n",
            r#"{"parameter":[{"name":"header","valueReference":{"reference":"Patient/a"}}],"resourceType":"Parameters"}"#,
            given[2].1
        ),
    );
    let reports: Vec<OperationOutcome> =
        text("error").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = reports.iter().map(|report| report.issue[0].diagnostics.as_str()).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("of , line 1") && said[0].contains("outside the blocks"), "{said:?}");
    assert!(said[1].starts_with("of a, line 1") && said[1].contains("outside the blocks"), "{said:?}");
    assert!(said[2].starts_with("of a, line 3") && said[2].contains("after other resources"), "{said:?}");
}

#[test]
fn blocks_are_begun_only_where_there_are_some() {
    let limits = WriterLimits::default();
    let mut writer = Writer::new(&plan(), &task(None), None, limits.clone()).unwrap();
    assert_eq!(writer.begin_block("a"), Err(WriterError::NotOrganized));
    let mut writer = Writer::new(&organized(), &task(None), None, limits).unwrap();
    assert_eq!(writer.begin_block("a/b"), Err(WriterError::MalformedPatient));
    assert_eq!(writer.begin_block("a"), Ok(()));
    writer.finish();
    assert_eq!(writer.begin_block("a"), Err(WriterError::Finished));
}

#[test]
fn what_belongs_to_no_patient_is_left_out_and_said_to_be() {
    let system = organized();
    assert!(system.left_out().unwrap().contains("no patient's compartment"));
    assert!(ExportPlan { organize: Organize::ByType, ..system.clone() }.left_out().is_none());
    let group = ExportPlan { level: Level::Group("g".into()), supporting: Supporting::All, ..system };
    assert_eq!(group.passes(), [Pass::Main]);
    let said = group.left_out().unwrap();
    assert!(said.contains("Practitioner") && said.contains("Provenance"), "{said}");
    let by_type = ExportPlan { organize: Organize::ByType, provenance: Provenance::Relevant, ..group };
    assert_eq!(by_type.passes(), [Pass::Main, Pass::Context]);
}

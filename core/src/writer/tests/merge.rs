//! Partitions written apart are the export that one writer writes, but for where files are cut.

use super::*;
use crate::{
    Definitions,
    manifest::{OutputFile, Section, merge},
};

/// The files of one writer, as rows and bytes by name.
#[derive(Debug, Default)]
struct Written {
    rows: Vec<OutputFile>,
    bytes: BTreeMap<String, Vec<u8>>,
}

/// Lines by section and type, sorted.
type Contents = BTreeMap<(Section, Option<String>), Vec<String>>;

fn write(plan: &ExportPlan, task: &PartitionTask, limits: &WriterLimits, lines: &[(&[u8], &str, bool)]) -> Written {
    let mut writer = Writer::new(plan, task, None, limits.clone()).unwrap();
    let (mut written, mut open) = (Written::default(), BTreeMap::new());
    for (line, name, superseded) in lines {
        let at = Source { name, cursor: name.as_bytes(), offset: 0 };
        if *superseded {
            writer.write_lines(&[], at).unwrap();
            writer.supersede_next_line().unwrap();
        }
        let mut rest = *line;
        while !rest.is_empty() {
            let taken = writer.write_lines(rest, at).unwrap().consumed;
            rest = &rest[taken..];
            take(&mut writer, task.partition, &mut open, &mut written);
        }
    }
    writer.finish();
    take(&mut writer, task.partition, &mut open, &mut written);
    assert!(open.is_empty());
    written
}

type Open = BTreeMap<u32, (Section, Option<crate::ResourceType>, String, Vec<u8>)>;

fn take(writer: &mut Writer<'_>, partition: u32, open: &mut Open, written: &mut Written) {
    while let Some(output) = writer.poll_output() {
        match output {
            Output::Found { .. } => panic!("nothing is collected"),
            Output::Open { file, section, resource_type, name, content_type } => {
                assert_eq!(content_type, None, "no attachments are read");
                open.insert(file, (section, resource_type.cloned(), name.to_owned(), Vec::new()));
            }
            Output::Append { file, bytes } => open.get_mut(&file).unwrap().3.extend_from_slice(bytes),
            Output::Close { file, count, bytes, sha256, continues_in_file, .. } => {
                let continues_in_file = continues_in_file.map(str::to_owned);
                let (section, resource_type, name, content) = open.remove(&file).unwrap();
                let (key, sha256) = (format!("{partition}/{name}"), sha256.map(str::to_owned));
                written.bytes.insert(name.clone(), content);
                let content_type = None;
                written.rows.push(OutputFile {
                    section,
                    resource_type,
                    name,
                    key,
                    content_type,
                    count,
                    bytes,
                    gzip_bytes: None,
                    sha256,
                    continues_in_file,
                    page: None,
                });
            }
        }
    }
}

/// What the rows list, each held against its file.
fn contents(rows: &[OutputFile], bytes: &BTreeMap<String, Vec<u8>>) -> Contents {
    let mut contents = Contents::new();
    for row in rows {
        let file = &bytes[&row.name];
        let lines: Vec<_> = std::str::from_utf8(file).unwrap().lines().map(str::to_owned).collect();
        assert_eq!((row.count, row.bytes), (lines.len() as u64, file.len() as u64), "{}", row.name);
        let mut digester = Digester::default();
        digester.update(file);
        assert_eq!(row.sha256.as_deref(), Some(digester.finish().as_str()), "{}", row.name);
        let kind = (row.section, row.resource_type.as_ref().map(ToString::to_string));
        contents.entry(kind).or_default().extend(lines);
    }
    contents.values_mut().for_each(|lines| lines.sort());
    contents
}

/// Resources and bytes by section and type.
fn totals(rows: &[OutputFile]) -> BTreeMap<(Section, Option<String>), (u64, u64)> {
    let mut totals = BTreeMap::new();
    for row in rows {
        let kind = (row.section, row.resource_type.as_ref().map(ToString::to_string));
        let (count, bytes) = totals.entry(kind).or_insert((0, 0));
        (*count, *bytes) = (*count + row.count, *bytes + row.bytes);
    }
    totals
}

/// One of three states of one of six resources: there, or deleted, at a time of its own.
fn versions() -> impl Strategy<Value = Vec<(u8, bool)>> {
    prop::collection::vec((0_u8..6, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn partitions_in_any_order_and_grouping_are_the_export_of_one_writer(
        sources in sources(),
        limits in limits(),
        dealt in prop::collection::vec(0_u32..4, 4),
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
        grouping in 0_usize..4,
    ) {
        let limits = WriterLimits { layout: Layout::ByType, ..limits };
        let whole: Vec<_> = sources.iter().map(|(name, text)| (text.as_slice(), name.as_str(), false)).collect();
        let one = write(&plan(), &task(None), &limits, &whole);
        let parts: Vec<Written> = (0..4)
            .map(|partition| {
                let own: Vec<_> =
                    whole.iter().zip(&dealt).filter(|(_, to)| **to == partition).map(|(source, _)| *source).collect();
                write(&plan(), &PartitionTask { partition, ..PartitionTask::default() }, &limits, &own)
            })
            .collect();
        let bytes: BTreeMap<_, _> = parts.iter().flat_map(|part| part.bytes.clone()).collect();
        let merged = merge(parts.iter().map(|part| part.rows.clone())).unwrap();
        prop_assert_eq!(contents(&merged, &bytes), contents(&one.rows, &one.bytes));
        prop_assert_eq!(totals(&merged), totals(&one.rows));

        let (first, second) = order.split_at(grouping);
        let of = |places: &[usize]| merge(places.iter().map(|place| parts[*place].rows.clone())).unwrap();
        prop_assert_eq!(merge([of(first), of(second)]).unwrap(), merged.clone());
        prop_assert_eq!(merge([of(second), of(&order), of(first)]).unwrap(), merged.clone(), "a repeated attempt");
        let mut sorted = merged.clone();
        sorted.sort_by_key(|row| (row.section, row.resource_type.clone()));
        prop_assert_eq!(sorted, merged, "as a manifest lists them");
    }

    /// The embedder says of each line, resource or tombstone, whether a newer version counts instead.
    #[test]
    fn nothing_is_both_exported_and_deleted(versions in versions(), since in 0_usize..40) {
        let at = |time: usize| Timestamp::from_millis(1_600_000_000_000 + time as i64 * 1_000);
        let plan = ExportPlan { since: Some(at(since)), notices: Vec::new(), ..plan() };
        let newest = |id: u8| versions.iter().rposition(|(other, _)| *other == id);
        let lines: Vec<(bool, String, bool)> = versions
            .iter()
            .enumerate()
            .map(|(time, (id, is_there))| {
                let line = if *is_there {
                    format!(r#"{{"resourceType":"Group","id":"g{id}","meta":{{"lastUpdated":"{}"}}}}"#, at(time))
                } else {
                    format!(r#"{{"type":"Group","id":"g{id}","deletedAt":"{}"}}"#, at(time))
                };
                (*is_there, line, newest(*id) != Some(time))
            })
            .collect();
        let of = |pass: Pass, resources: bool| {
            let own = lines.iter().filter(|(is_there, ..)| *is_there == resources);
            let own: Vec<_> = own.map(|(_, line, superseded)| (line.as_bytes(), line.as_str(), *superseded)).collect();
            let task = PartitionTask { partition: u32::from(!resources), pass, checkpoint: None };
            write(&plan, &task, &WriterLimits::default(), &own)
        };
        let (exported, deleted) = (of(Pass::Main, true), of(Pass::Deleted, false));
        let merged = merge([deleted.rows, exported.rows]).unwrap();
        let bytes: BTreeMap<_, _> = exported.bytes.into_iter().chain(deleted.bytes).collect();
        let contents = contents(&merged, &bytes);
        let named = |section: Section, resource_type: &str| -> Vec<u8> {
            let lines = contents.get(&(section, Definitions::R4.resource_type(resource_type).map(|t| t.to_string())));
            let has = |id: &u8| lines.is_some_and(|lines| lines.iter().any(|line| line.contains(&format!("g{id}\""))));
            (0..6).filter(has).collect()
        };
        let (exported, deleted) = (named(Section::Output, "Group"), named(Section::Deleted, "Bundle"));
        let changed = |there: bool| -> Vec<u8> {
            (0..6).filter(|id| newest(*id).is_some_and(|time| time > since && versions[time].1 == there)).collect()
        };
        prop_assert_eq!((exported, deleted), (changed(true), changed(false)));
    }
}

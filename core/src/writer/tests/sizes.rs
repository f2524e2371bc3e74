//! BD4-08: how large a client wants its files.

use super::*;
use crate::plan::{FileSizes, Organize};

/// What a kick-off lets through.
fn asked() -> impl Strategy<Value = FileSizes> {
    let max = prop::option::of(60_u32..1_500);
    (prop::option::of(1_u32..1_000), max)
        .prop_map(|(min, max)| FileSizes { min: min.filter(|min| max.is_none_or(|max| max > *min)), max })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_file_is_larger_and_only_the_last_is_smaller(
        sources in sources(), limits in limits(), asked in asked(), cut in sizes(),
    ) {
        let plan = ExportPlan { file_sizes: asked, ..plan() };
        let closed = run_of(&plan, &sources, None, &limits, &cut, usize::MAX);
        // What the deployment says bounds what is asked for.
        let max = asked.max.map_or(u64::MAX, u64::from).min(limits.shard_bytes_max);
        let min = asked.min.map_or(0, u64::from).min(max);
        let mut kinds: BTreeMap<String, Vec<&Closed>> = BTreeMap::new();
        for one in &closed {
            kinds.entry(one.name.rsplit_once('-').unwrap().0.to_owned()).or_default().push(one);
        }
        for files in kinds.values() {
            for (number, Closed { name, file: (text, count, _), .. }) in files.iter().enumerate() {
                prop_assert!(text.len() as u64 <= max || *count == 1, "{name}");
                let Some(next) = files.get(number + 1) else { continue };
                let first = next.file.0.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                prop_assert!(text.len() as u64 >= min || (text.len() + first) as u64 > max, "{name}");
            }
        }
        let lines = |closed: &[Closed]| {
            let texts = closed.iter().map(|one| std::str::from_utf8(&one.file.0).unwrap());
            let mut lines: Vec<String> = texts.flat_map(str::lines).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        prop_assert_eq!(lines(&closed), lines(&run(&sources, None, &limits, &cut, usize::MAX)));
    }

    #[test]
    fn a_lost_run_cuts_where_the_first_one_would_have(
        sources in sources(), limits in limits(), asked in asked(), cut in sizes(), lost_after in 1_usize..6,
    ) {
        let plan = ExportPlan { file_sizes: asked, ..plan() };
        let expected = files(run_of(&plan, &sources, None, &limits, &cut, usize::MAX));
        let mut made = run_of(&plan, &sources, None, &limits, &cut, lost_after);
        let from = made.last().map(|closed| closed.checkpoint.clone());
        let all = expected.len() <= lost_after;
        made.extend(if all { Vec::new() } else { run_of(&plan, &sources, from.as_ref(), &limits, &cut, usize::MAX) });
        prop_assert_eq!(files(made), expected);
    }

    #[test]
    fn a_file_of_blocks_is_no_larger_either(
        resources in organize::resources(), limits in limits(), max in 400_u32..3_000, cut in sizes(),
    ) {
        let limits = WriterLimits { line_bytes_max: 1_000, ..limits };
        let file_sizes = FileSizes { min: None, max: Some(max) };
        let plan = ExportPlan { organize: Organize::ByPatient, file_sizes, ..plan() };
        let made = organize::run(&plan, &organize::blocks(&resources), None, &limits, &cut, usize::MAX);
        for (name, text, _) in &made.files {
            let resources = text.lines().filter(|line| organize::header(line).is_none()).count();
            prop_assert!(text.len() as u64 <= u64::from(max) || resources == 1, "{name}: {}", text.len());
        }
    }
}

#[test]
fn a_minimum_holds_against_the_number_of_resources_and_the_span_of_input() {
    let line = |id: usize| format!("{{\"resourceType\":\"Patient\",\"id\":\"{id:03}\"}}\n");
    let text: String = (0..100).map(line).collect();
    let sources = [(String::from("a"), text.into_bytes())];
    let limits = WriterLimits { shard_resources_max: 2, open_span_bytes_max: 50, ..WriterLimits::default() };
    let bytes = |file_sizes| {
        let plan = ExportPlan { file_sizes, notices: Vec::new(), ..plan() };
        let made = run_of(&plan, &sources, None, &limits, &[1 << 20], usize::MAX);
        let sizes: Vec<usize> =
            made.iter().filter(|one| one.name.starts_with("Patient")).map(|one| one.file.0.len()).collect();
        sizes
    };
    assert!(bytes(FileSizes::default()).iter().all(|size| *size <= 2 * line(0).len()));
    let larger = bytes(FileSizes { min: Some(1_000), max: None });
    assert!(larger.len() > 1 && larger[..larger.len() - 1].iter().all(|size| *size >= 1_000), "{larger:?}");
    let both = bytes(FileSizes { min: Some(1_000), max: Some(1_010) });
    assert!(both.iter().all(|size| *size <= 1_010), "{both:?}");
}

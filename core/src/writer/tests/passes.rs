//! The passes around the main one, over data small enough to be judged by eye.

use super::*;
use crate::{
    Edition,
    pass::Collection,
    plan::{Provenance, Supporting},
    population::PopulationBuilder,
    sets::SetBuilder,
};

/// Two patients, what is theirs, what both share, and what stands around them.
const DATA: &str = r#"{"resourceType":"Patient","id":"p1","generalPractitioner":[{"reference":"Practitioner/d1"}]}
{"resourceType":"Patient","id":"p2"}
{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p1"},"meta":{"lastUpdated":"2020-01-01T00:00:00Z"},"performer":[{"reference":"PractitionerRole/r1"}]}
{"resourceType":"Observation","id":"o1b","subject":{"reference":"Patient/p1"},"meta":{"lastUpdated":"2023-01-01T00:00:00Z","security":[{"system":"s","code":"R"}]}}
{"resourceType":"Observation","id":"o2","subject":{"reference":"Patient/p2"},"performer":[{"reference":"Practitioner/d2"}]}
{"resourceType":"Appointment","id":"both","participant":[{"actor":{"reference":"Patient/p1"}},{"actor":{"reference":"Patient/p2"}}]}
{"resourceType":"Practitioner","id":"d1"}
{"resourceType":"Practitioner","id":"d2"}
{"resourceType":"Practitioner","id":"d3","meta":{"lastUpdated":"2001-01-01T00:00:00Z"}}
{"resourceType":"PractitionerRole","id":"r1","practitioner":{"reference":"https://ehr.example/fhir/Practitioner/d3"},"organization":{"reference":"Organization/x"}}
{"resourceType":"Device","id":"unowned"}
{"resourceType":"Device","id":"p2s","patient":{"reference":"Patient/p2"}}
{"resourceType":"Provenance","id":"v1","target":[{"reference":"Observation/o1"}],"recorded":"2020-01-01T00:00:00Z"}
{"resourceType":"Provenance","id":"v1later","target":[{"reference":"Observation/o1/_history/2"}],"recorded":"2020-01-01T01:00:00+00:30"}
{"resourceType":"Provenance","id":"v1b","target":[{"reference":"Observation/o1b"}],"recorded":"2020-01-01T00:00:00Z"}
{"resourceType":"Provenance","id":"v2","target":[{"reference":"Observation/o2"}],"recorded":"2020-01-01T00:00:00Z"}
{"resourceType":"Provenance","id":"v12","target":[{"reference":"Observation/o1"},{"reference":"Observation/o2"}],"recorded":"2019-01-01T00:00:00Z"}
{"resourceType":"Provenance","id":"vp","target":[{"reference":"Patient/p1"}],"recorded":"2020-01-01T00:00:00Z"}
{"resourceType":"Provenance","id":"vd","target":[{"reference":"Practitioner/d1"}],"recorded":"2020-01-01T00:00:00Z"}
"#;

fn group() -> ExportPlan {
    ExportPlan { level: Level::Group("g".into()), edition: Edition::Stu2, since: None, notices: Vec::new(), ..plan() }
}

/// What the passes of a plan write about the first patient: `Type/id`, sorted.
fn export(plan: &ExportPlan, vetoes: &str) -> Vec<String> {
    export_of(plan, vetoes, DATA)
}

pub(super) fn export_of(plan: &ExportPlan, vetoes: &str, data: &str) -> Vec<String> {
    let mut passes = plan.passes();
    // The data are no tombstones.
    passes.retain(|pass| !matches!(pass, Pass::Attachments | Pass::Deleted));
    let mut written: Vec<String> =
        passes.iter().flat_map(|pass| resources(&run_pass(plan, *pass, vetoes, data, &mut |_| {}))).collect();
    written.sort();
    written
}

pub(super) fn resources(files: &[u8]) -> Vec<String> {
    let lines = files.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let name = |line: &[u8]| {
        let resource: serde_json::Value = serde_json::from_slice(line).unwrap();
        format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap_or_default())
    };
    lines.map(name).collect()
}

/// All that a pass appends or finds, its sets made first.
pub(super) fn run_pass(
    plan: &ExportPlan,
    pass: Pass,
    vetoes: &str,
    data: &str,
    see: &mut dyn FnMut(&Output<'_>),
) -> Vec<u8> {
    let mut population = PopulationBuilder::default();
    if plan.new_members_whole {
        population.push_new("p1").unwrap()
    } else {
        population.push("p1").unwrap()
    }
    if plan.level == Level::Group("staff".into()) {
        population.push_resource("Practitioner", "d1", plan.new_members_whole).unwrap();
        population.push_resource("Device", "p2s", false).unwrap();
        population.push_resource("PractitionerRole", "gone", false).unwrap();
    }
    let population = population.seal();
    let population = plan.has_listed_patients().then(|| Population::load(&population).unwrap());
    let task = PartitionTask { pass, ..PartitionTask::default() };
    let mut writer = Writer::new(plan, &task, population, WriterLimits::default()).unwrap();
    let blocks: Vec<_> = plan.sets(pass).into_iter().map(|wanted| set(plan, wanted, vetoes, data)).collect();
    let at = Source { name: "data", cursor: b"", offset: 0 };
    if !blocks.is_empty() {
        assert_eq!(writer.write_lines(data.as_bytes(), at), Err(WriterError::MissingSet));
    }
    for (wanted, block) in &blocks {
        writer.add_set(Set::load(wanted.clone(), block).unwrap()).unwrap();
    }
    writer.write_lines(data.as_bytes(), at).unwrap();
    writer.finish();
    let mut bytes = Vec::new();
    while let Some(output) = writer.poll_output() {
        see(&output);
        if let Output::Append { bytes: part, .. } | Output::Found { bytes: part } = output {
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// The block of a set.
pub(super) fn set(plan: &ExportPlan, wanted: SetWanted, vetoes: &str, data: &str) -> (SetWanted, Vec<u8>) {
    let found = match wanted.task() {
        Some(task) => run_pass(plan, task.pass, vetoes, data, &mut |_| {}),
        None => vetoes.as_bytes().to_vec(),
    };
    let mut builder = SetBuilder::new(wanted.clone(), 1_000);
    builder.push(&found).unwrap();
    (wanted, builder.seal().unwrap())
}

#[test]
fn an_export_of_listed_patients_is_that_of_a_group_of_them() {
    for supporting in [Supporting::Off, Supporting::All] {
        for provenance in [Provenance::Unasked, Provenance::Latest] {
            let of_group = ExportPlan { supporting: supporting.clone(), provenance, ..group() };
            let listed = ExportPlan { level: Level::AllPatients, patients_listed: true, ..of_group.clone() };
            let exported = export(&listed, "");
            assert_eq!(exported, export(&of_group, ""));
            assert!(exported.contains(&"Patient/p1".into()) && !exported.contains(&"Patient/p2".into()));
            assert_eq!(listed.left_out(), of_group.left_out());
        }
    }
}

#[test]
fn a_group_export_holds_the_provenance_of_its_compartments_and_no_other() {
    let expected = [
        "Observation/o1",
        "Observation/o1b",
        "Patient/p1",
        "Provenance/v1",
        "Provenance/v1b",
        "Provenance/v1later",
        "Provenance/vp",
    ];
    assert_eq!(export(&group(), ""), expected, "BD-IAD-07; v12 also tells of another patient");
    let shared = ExportPlan { export_shared: true, ..group() };
    assert!(export(&shared, "").contains(&"Provenance/v12".to_owned()));
    let of_edition_1 = ExportPlan { edition: Edition::Stu1, ..group() };
    assert_eq!(of_edition_1.passes(), [Pass::Main]);
}

#[test]
fn types_decide_whether_provenance_is_part_of_it() {
    let only = |name| TypeSelection::Only([crate::Definitions::R4.resource_type(name).unwrap()].into());
    let patients = ExportPlan { types: only("Patient"), ..group() };
    assert_eq!(export(&patients, ""), ["Patient/p1"]);
    let relevant = ExportPlan { provenance: Provenance::Relevant, ..patients };
    assert_eq!(export(&relevant, ""), ["Patient/p1", "Provenance/vp"], "asked for by name");
}

#[test]
fn relevant_provenance_is_that_of_what_is_exported() {
    let since = Some(Timestamp::parse_instant("2022-01-01T00:00:00Z").unwrap());
    let relevant = ExportPlan { provenance: Provenance::Relevant, since, undated_included: false, ..group() };
    let written = export(&relevant, "");
    assert!(written.contains(&"Provenance/v1b".to_owned()), "{written:?}");
    assert!(!written.contains(&"Provenance/v1".to_owned()), "{written:?}");
}

/// What goes with the data of a new member is as old as they are.
#[test]
fn what_goes_with_a_new_member_s_data_is_exported_however_old() {
    let data = DATA
        .replace(r#""id":"p1","#, r#""id":"p1","meta":{"lastUpdated":"2019-01-01T00:00:00Z"},"#)
        .replace(r#""Provenance","id":"v"#, r#""Provenance","meta":{"lastUpdated":"2020-01-01T00:00:00Z"},"id":"v"#);
    let since = Some(Timestamp::parse_instant("2022-01-01T00:00:00Z").unwrap());
    let supporting = Supporting::All;
    let alike = ExportPlan { supporting, since, undated_included: false, ..group() };
    let whole = ExportPlan { new_members_whole: true, ..alike.clone() };
    assert_eq!(export_of(&alike, "", &data), ["Observation/o1b"]);
    let all = ExportPlan { since: None, ..whole.clone() };
    assert_eq!(export_of(&whole, "", &data), export_of(&all, "", &data), "the only patient is new");
    for provenance in [Provenance::Latest, Provenance::Relevant] {
        let asked = |plan: &ExportPlan| export_of(&ExportPlan { provenance, ..plan.clone() }, "", &data);
        assert_eq!(asked(&whole), asked(&all));
        assert_eq!(asked(&alike), ["Observation/o1b", "Provenance/v1b"]);
    }
    let until = Some(Timestamp::parse_instant("2019-06-01T00:00:00Z").unwrap());
    let ended = ExportPlan { until, supporting: Supporting::Off, ..whole };
    assert_eq!(export_of(&ended, "", &data), ["Patient/p1"], "`_until` holds for everybody");
}

#[test]
fn the_latest_provenance_is_one_for_each_resource() {
    let latest = ExportPlan { provenance: Provenance::Latest, ..group() };
    let written = export(&latest, "");
    let provenance: Vec<_> = written.iter().filter(|name| name.starts_with("Provenance")).collect();
    assert_eq!(
        provenance,
        ["Provenance/v1later", "Provenance/v1b", "Provenance/vp"]
            .iter()
            .map(|s| s.to_owned())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>(),
        "half past twelve beats midnight, whatever the zone"
    );
}

#[test]
fn a_provenance_that_is_withheld_takes_no_other_s_place() {
    // It is the newest of o1, and tells of another patient's Observation too.
    let newest = r#"{"resourceType":"Provenance","id":"v12","target":[{"reference":"Observation/o1"},{"reference":"Observation/o2"}],"recorded":"2030-01-01T00:00:00Z"}"#;
    let data = format!("{DATA}{newest}\n")
        .replace(r#""recorded":"2019-01-01T00:00:00Z""#, r#""recorded":"2030-01-01T00:00:00Z""#);
    let latest = ExportPlan { provenance: Provenance::Latest, ..group() };
    let written = resources(&run_pass(&latest, Pass::Context, "", &data, &mut |_| {}));
    assert!(written.contains(&"Provenance/v1later".to_owned()), "{written:?}");
    assert!(!written.contains(&"Provenance/v12".to_owned()), "{written:?}");
}

#[test]
fn supporting_resources_go_with_what_refers_to_them_and_no_further() {
    let all = ExportPlan { supporting: Supporting::All, types: TypeSelection::All, ..group() };
    let written = export(&all, "");
    for present in ["Practitioner/d1", "PractitionerRole/r1", "Practitioner/d3"] {
        assert!(written.contains(&present.to_owned()), "{present} in {written:?}");
    }
    for absent in ["Practitioner/d2", "Device/unowned", "Device/p2s", "Appointment/both", "Patient/p2"] {
        assert!(!written.contains(&absent.to_owned()), "{absent} in {written:?}");
    }
    assert_eq!(written.iter().collect::<std::collections::BTreeSet<_>>().len(), written.len(), "nothing twice");
    let listed = Supporting::Types([crate::Definitions::R4.resource_type("Practitioner").unwrap()].into());
    let written = export(&ExportPlan { supporting: listed, ..group() }, "");
    assert!(written.contains(&"Practitioner/d1".to_owned()) && !written.contains(&"PractitionerRole/r1".to_owned()));
}

/// BD-KICK-19.
#[test]
fn members_that_are_no_patients_are_exported_themselves_and_nothing_that_is_theirs() {
    let staff = ExportPlan { level: Level::Group("staff".into()), ..group() };
    let patients = export(&group(), "");
    let mut expected =
        [patients.clone(), ["Practitioner/d1", "Device/p2s", "Provenance/vd"].map(String::from).to_vec()].concat();
    expected.sort();
    assert_eq!(export(&staff, ""), expected, "not Observation/o2, though Device/p2s is its patient's");
    let supporting = export(&ExportPlan { supporting: Supporting::All, ..staff.clone() }, "");
    assert_eq!(supporting.iter().filter(|name| *name == "Practitioner/d1").count(), 1, "{supporting:?}");
    let since = Some(Timestamp::parse_instant("2022-01-01T00:00:00Z").unwrap());
    let old = DATA.replace(
        r#""Practitioner","id":"d1""#,
        r#""Practitioner","id":"d1","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}"#,
    );
    let dated = ExportPlan { since, ..staff.clone() };
    assert!(!export_of(&dated, "", &old).contains(&"Practitioner/d1".to_owned()), "`_since` holds for members too");
    let referred = export_of(&ExportPlan { supporting: Supporting::All, ..dated }, "", &old);
    assert!(referred.contains(&"Practitioner/d1".to_owned()), "what an exported resource refers to is of any age");
    let old = old.replace(
        r#""Provenance","id":"vd""#,
        r#""Provenance","id":"vd","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}"#,
    );
    let undated = ExportPlan { since, undated_included: false, ..staff.clone() };
    assert!(!export_of(&undated, "", &old).contains(&"Provenance/vd".to_owned()));
    let new = export_of(&ExportPlan { new_members_whole: true, ..undated }, "", &old);
    assert!(["Practitioner/d1", "Provenance/vd"].iter().all(|name| new.contains(&(*name).to_owned())), "{new:?}");
    let only = |name| TypeSelection::Only([crate::Definitions::R4.resource_type(name).unwrap()].into());
    assert_eq!(export(&ExportPlan { types: only("Device"), ..staff.clone() }, ""), ["Device/p2s"]);
    let labelled = ExportPlan { vetoes: true, ..staff.clone() };
    assert!(!export(&labelled, "Device/p2s\n").contains(&"Device/p2s".to_owned()));
    let organized = ExportPlan { organize: crate::plan::Organize::ByPatient, ..staff };
    assert!(organized.left_out().unwrap().contains("not patients"));
    assert!(!group().left_out().unwrap_or_default().contains("not patients"));
}

/// BD-KICK-17.
#[test]
fn supporting_resources_go_by_the_subset_and_refer_no_further_outside_of_it() {
    let all = ExportPlan { supporting: Supporting::All, ..group() };
    let expected = export(&all, "");
    let whole = ExportPlan { subset: vec!["PractitionerRole?".into()], ..all.clone() };
    assert_eq!(export(&whole, ""), expected);
    let none = ExportPlan { subset: vec!["PractitionerRole?active=true".into()], ..all };
    let without: Vec<_> =
        expected.into_iter().filter(|name| name != "PractitionerRole/r1" && name != "Practitioner/d3").collect();
    assert_eq!(export(&none, ""), without, "d3 is referred to by the role alone");
}

#[test]
fn labels_and_vetoes_withhold_and_take_their_provenance_along() {
    let labelled = ExportPlan { withheld_labels: ["s|R".to_owned()].into(), ..group() };
    let written = export(&labelled, "");
    assert!(!written.contains(&"Observation/o1b".to_owned()) && !written.contains(&"Provenance/v1b".to_owned()));
    let vetoing = ExportPlan { vetoes: true, ..group() };
    assert!(export(&vetoing, "Patient/p1\n").is_empty(), "a patient who says no to everything");
    let written = export(&vetoing, "Patient/p1#s|R\nProvenance/vp\n");
    assert_eq!(written, ["Observation/o1", "Patient/p1", "Provenance/v1", "Provenance/v1later"]);
    assert_eq!(export(&vetoing, "Patient/p2#s|R\n"), export(&group(), ""), "another patient's veto is another's");
}

#[test]
fn deletions_are_told_to_those_whose_they_were() {
    let since = Some(Timestamp::parse_instant("2021-01-01T00:00:00Z").unwrap());
    let tombstones = r#"{"type":"Observation","id":"a","deletedAt":"2022-01-01T00:00:00Z","patients":["p1"]}
{"type":"Observation","id":"b","deletedAt":"2022-01-01T00:00:00Z","patients":["p2"]}
{"type":"Observation","id":"c","deletedAt":"2021-01-01T00:00:00Z","patients":["p1"]}
{"type":"Observation","id":"d","deletedAt":"2022-01-01T00:00:00Z","patients":["p1","p2"]}
{"type":"Observation","id":"e","deletedAt":"2099-01-01T00:00:00Z","patients":["p1"]}
{"type":"Patient","id":"p1","deletedAt":"2022-01-01T00:00:00Z"}
{"type":"Organization","id":"f","deletedAt":"2022-01-01T00:00:00Z"}
{"type":"Nothing","id":"f","deletedAt":"2022-01-01T00:00:00Z"}
"#;
    let told = |plan: &ExportPlan| {
        let bytes = run_pass(plan, Pass::Deleted, "", tombstones, &mut |_| {});
        let text = String::from_utf8(bytes).unwrap();
        let url = |line: &str| {
            let bundle: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (bundle["resourceType"].as_str(), bundle["type"].as_str()),
                (Some("Bundle"), Some("transaction"))
            );
            assert_eq!(bundle["entry"][0]["request"]["method"], "DELETE");
            bundle["entry"][0]["request"]["url"].as_str().unwrap().to_owned()
        };
        text.lines().filter(|line| line.contains("Bundle")).map(url).collect::<Vec<_>>()
    };
    let plan_of_group = ExportPlan { since, ..group() };
    assert!(plan_of_group.passes().contains(&Pass::Deleted) && !group().passes().contains(&Pass::Deleted));
    assert_eq!(told(&plan_of_group), ["Observation/a", "Patient/p1"]);
    let system = ExportPlan { level: Level::System, ..plan_of_group };
    assert_eq!(told(&system), ["Observation/a", "Observation/b", "Observation/d", "Patient/p1", "Organization/f"]);
}

#[test]
fn a_set_is_taken_once_and_only_where_it_is_wanted() {
    let plan = group();
    let task = PartitionTask { pass: Pass::Collect(Collection::Subjects), ..PartitionTask::default() };
    let block = PopulationBuilder::default().seal();
    let mut writer =
        Writer::new(&plan, &task, Some(Population::load(&block).unwrap()), WriterLimits::default()).unwrap();
    let empty = SetBuilder::new(SetWanted::Vetoes, 1).seal().unwrap();
    assert_eq!(writer.add_set(Set::load(SetWanted::Vetoes, &empty).unwrap()), Err(WriterError::UnwantedSet));
}

#[test]
fn elements_trim_what_is_written_and_not_what_is_asked_of_it() {
    let elements = crate::elements::Elements::parse(&["Observation.code"], &crate::Definitions::R4).unwrap();
    let trimmed = run_pass(&ExportPlan { elements, ..group() }, Pass::Main, "", DATA, &mut |_| {});
    let text = String::from_utf8(trimmed).unwrap();
    let observation = text.lines().find(|line| line.contains("\"o1\"")).unwrap();
    assert!(!observation.contains("subject") && observation.contains("SUBSETTED"), "{observation}");
    assert!(!text.lines().any(|line| line.contains("\"o2\"")), "another patient's, though the subject would be cut");
    let patient = text.lines().find(|line| line.contains("\"p1\"")).unwrap();
    assert!(patient.contains("generalPractitioner") && !patient.contains("SUBSETTED"), "BD-ELEM-07");
}

#[test]
fn a_withheld_resource_is_told_by_no_report_and_hidden_by_no_repeated_name() {
    let labelled = ExportPlan { withheld_labels: ["s|R".to_owned()].into(), ..group() };
    let later = r#"{"resourceType":"Observation","id":"l","subject":{"reference":"Patient/p1"},"meta":{"lastUpdated":"2099-01-01T00:00:00Z","security":[{"system":"s","code":"R"}]}}"#;
    assert!(
        run_pass(&labelled, Pass::Main, "", &format!("{later}\n"), &mut |_| {}).is_empty(),
        "no report of what is withheld"
    );
    assert!(!run_pass(&group(), Pass::Main, "", &format!("{later}\n"), &mut |_| {}).is_empty());
    for security in [
        r#"{"system":"s","code":"N","code":"R"}"#,
        r#"{"system":"t","system":"s","code":"R"}"#,
        r#"{"system":"s","c\u006fde":"R"}"#,
    ] {
        let line = format!(
            r#"{{"resourceType":"Observation","id":"o","subject":{{"reference":"Patient/p1"}},"meta":{{"security":[{security}]}}}}"#
        );
        assert!(run_pass(&labelled, Pass::Main, "", &format!("{line}\n"), &mut |_| {}).is_empty(), "{security}");
    }
}

#[test]
fn a_deletion_of_what_is_withheld_is_not_told_and_one_without_labels_is_reported() {
    let since = Some(Timestamp::parse_instant("2021-01-01T00:00:00Z").unwrap());
    let plan = ExportPlan { since, withheld_labels: ["s|R".to_owned()].into(), ..group() };
    let tombstone = |id: &str, patient: &str, labels: &str| {
        format!(
            r#"{{"type":"Observation","id":"{id}","deletedAt":"2022-01-01T00:00:00Z","patients":["{patient}"]{labels}}}"#
        ) + "\n"
    };
    let told = |lines: &str| String::from_utf8(run_pass(&plan, Pass::Deleted, "", lines, &mut |_| {})).unwrap();
    assert!(told(&tombstone("a", "p1", r#","labels":[]"#)).contains("Observation/a"));
    assert!(told(&tombstone("b", "p1", r#","labels":["s|R"]"#)).is_empty());
    let unsaid = told(&tombstone("c", "p1", ""));
    assert!(unsaid.contains("no `labels`") && !unsaid.contains("Observation/c"), "{unsaid}");
    assert!(told(&tombstone("d", "p2", "")).is_empty(), "nothing is said of another patient's");
    let vetoing = ExportPlan { withheld_labels: Default::default(), vetoes: true, ..plan.clone() };
    let line = tombstone("e", "p1", r#","labels":["s|R"]"#);
    assert!(run_pass(&vetoing, Pass::Deleted, "Patient/p1#s|R\n", &line, &mut |_| {}).is_empty());
    assert!(!run_pass(&vetoing, Pass::Deleted, "", &line, &mut |_| {}).is_empty());
}

#[test]
fn what_is_withheld_is_stated_alike_whether_or_not_there_is_any() {
    let said = |plan: &ExportPlan| plan.left_out().unwrap_or_default();
    let system = ExportPlan { level: Level::System, ..group() };
    assert_eq!(said(&system), "");
    for level in [Level::System, Level::Group("g".into())] {
        let labelled = ExportPlan { level: level.clone(), withheld_labels: ["s|R".to_owned()].into(), ..group() };
        let vetoing = ExportPlan { level, vetoes: true, ..group() };
        assert!(said(&labelled).contains("security labels") && said(&vetoing).contains("consent"));
    }
}

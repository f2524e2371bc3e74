//! By example, and against a tree of values that knows nothing of walks.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Definitions, Timestamp,
    endpoint::{Auth, EndpointConfig},
    json::LineError,
    kick_off::{KickOff, Level},
    plan::TypeSelection,
    population::PopulationBuilder,
    reference::local_id,
};

const BASE: &str = "https://ehr.example/fhir";

fn plan(level: Level) -> ExportPlan {
    let kick_off = KickOff {
        operation: Default::default(),
        edition: Default::default(),
        separate_status: false,
        lenient: false,
        vendor_parameters: BTreeMap::new(),
        level,
        patients: None,
        request: String::new(),
        types: None,
        type_filters: Vec::new(),
        value_sets: Vec::new(),
        withheld: Default::default(),
        since: None,
        until: None,
        elements: Default::default(),
        provenance: Default::default(),
        organize: Default::default(),
        file_sizes: Default::default(),
        partial_manifests: false,
        notices: Vec::new(),
    };
    let grant = crate::endpoint::Grant::whole(TypeSelection::All, &kick_off);
    let plan = ExportPlan::new(&EndpointConfig::new(BASE, Auth::Bearer), kick_off, grant);
    ExportPlan { transaction_time: Some(instant("2024-01-01T00:00:00Z")), ..plan }
}

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_instant(text).unwrap()
}

const MODES: [Validation; 3] = [Validation::StrictOutput, Validation::StrictAll, Validation::Trust];

/// What becomes of a line, shown, in each mode.
fn judged(plan: &ExportPlan, listed: &[&str], line: &str) -> [Result<String, LineError>; 3] {
    let mut builder = PopulationBuilder::default();
    listed.iter().for_each(|id| builder.push(id).unwrap());
    let block = builder.seal();
    MODES.map(|mode| {
        let population = matches!(plan.level, Level::Group(_)).then(|| Population::load(&block).unwrap());
        let selector = Selector::new(plan, population, mode).unwrap();
        // Nothing is left over from one line to the next.
        let _ = selector
            .judge(br#"{"resourceType":"Observation","id":"x","meta":{},"subject":{"reference":"Patient/a"},"#, &[]);
        shown(selector.judge(line.as_bytes(), &[]))
    })
}

fn shown(verdict: Result<Verdict<'_>, LineError>) -> Result<String, LineError> {
    verdict.map(|verdict| match verdict {
        Verdict::In(resource_type) => format!("in {resource_type}"),
        Verdict::InUndated(resource_type) => format!("undated {resource_type}"),
        Verdict::Out => String::from("out"),
        Verdict::Later => String::from("later"),
    })
}

#[track_caller]
fn agreed(plan: &ExportPlan, listed: &[&str], line: &str) -> Result<String, LineError> {
    let [output, all, trust] = judged(plan, listed, line);
    assert_eq!(output, all, "{line}");
    assert_eq!(output, trust, "{line}");
    output
}

#[test]
fn a_contained_resource_fools_nobody() {
    let group = plan(Level::Group("g".into()));
    let line = r#"{"contained":[{"resourceType":"Patient","id":"a","subject":{"reference":"Patient/a"},"meta":{"lastUpdated":"2023-01-01T00:00:00Z"}}],
        "subject":{"reference":"Patient\/b"},"id":"1","resourceType":"Observation"}"#;
    assert_eq!(agreed(&group, &["a"], line), Ok("out".into()));
    assert_eq!(agreed(&group, &["b"], line), Ok("in Observation".into()));
    let escaped =
        r#"{"resourceT\u0079pe":"Obs\u0065rvation","\u0069d":"1","subj\u0065ct":[{"ref\u0065rence":"Patient/b"}]}"#;
    assert_eq!(agreed(&group, &["b"], escaped), Ok("in Observation".into()));
    assert_eq!(agreed(&group, &["a"], escaped), Ok("out".into()));
}

#[test]
fn what_is_wrong_is_reported_by_whoever_looks() {
    let types = TypeSelection::Only(BTreeSet::from([Definitions::R4.resource_type("Observation").unwrap()]));
    let since = Some(instant("2020-01-01T00:00:00Z"));
    let plan = ExportPlan { types, since, type_filters: vec!["Observation?code=a".into()], ..plan(Level::System) };
    let head = r#""resourceType":"Observation","id":"1","meta":{"lastUpdated":"2021-01-01T00:00:00Z"}"#;
    let late = r#""resourceType":"Observation","id":"1","meta":{"lastUpdated":"2019-01-01T00:00:00Z"}"#;
    let code = r#""code":{"coding":[{"code":"a"}]}"#;
    let [yes, out] = ["in Observation", "out"].map(|text| Ok(text.to_owned()));
    let repeated = |name: &str| Err(LineError::Repeated(name.into()));
    let syntax = Err(LineError::NotJson { at: 0 });
    for (line, expected) in [
        (format!("{{{head},{code}}}"), [yes.clone(), yes.clone(), yes.clone()]),
        // Wrong behind the verdict, and of no interest to who trusts.
        (format!("{{{head},{code},\"x\":01}}"), [syntax.clone(), syntax.clone(), yes.clone()]),
        (format!("{{{late},{code},\"x\":01}}"), [out.clone(), syntax.clone(), out.clone()]),
        (format!("{{{head},{code}"), [syntax.clone(), syntax.clone(), yes.clone()]),
        (format!("{{{head}"), [syntax.clone(), syntax.clone(), syntax.clone()]),
        (format!("{{{head},{code}}}{{}}"), [syntax.clone(), syntax.clone(), yes.clone()]),
        // Twice: what nobody looks at may be.
        (format!("{{{head},{code},{code}}}"), [repeated("code"), repeated("code"), yes.clone()]),
        (format!("{{{head},{code},\"id\":\"2\"}}"), [repeated("id"), repeated("id"), yes.clone()]),
        (format!("{{{head},{code},\"subject\":1,\"subject\":2}}"), [yes.clone(), yes.clone(), yes.clone()]),
        (format!("{{{late},{code},\"id\":\"2\"}}"), [out.clone(), repeated("id"), out.clone()]),
        (format!("{{{head},\"code\":0,{code}}}"), [out.clone(), repeated("code"), out.clone()]),
        // The head.
        (r#"{"resourceType":"Observation","id":1}"#.into(), [(); 3].map(|()| Err(LineError::WrongShape("id")))),
        (r#"{"resourceType":"Observation","id":"a b"}"#.into(), [(); 3].map(|()| Err(LineError::MalformedId))),
        (format!("{{{code}}}"), [(); 3].map(|()| Err(LineError::Missing("resourceType")))),
        (r#"{"resourceType":"Patient","id":"a b"}"#.into(), [out.clone(), Err(LineError::MalformedId), out.clone()]),
        (r#"{"id":"1","resourceType":"Nothing"}"#.into(), [(); 3].map(|()| Err(LineError::UnknownType))),
        (
            r#"{"meta":{"lastUpdated":7},"id":"1","resourceType":"Observation"}"#.into(),
            [(); 3].map(|()| Err(LineError::WrongShape("meta.lastUpdated"))),
        ),
        (
            r#"{"meta":{"versionId":7},"id":"1","resourceType":"Observation"}"#.into(),
            [Err(LineError::WrongShape("meta.versionId")), Err(LineError::WrongShape("meta.versionId")), out.clone()],
        ),
        ("[]".into(), [(); 3].map(|()| Err(LineError::NotAnObject))),
        ("7".into(), [(); 3].map(|()| Err(LineError::NotAnObject))),
        (String::new(), [(); 3].map(|()| syntax.clone())),
    ] {
        // Where is for the reader of JSON to say.
        let judged = judged(&plan, &[], &line).map(|verdict| match verdict {
            Err(LineError::NotJson { .. }) => syntax.clone(),
            verdict => verdict,
        });
        assert_eq!(judged, expected, "{line}");
    }
}

#[test]
fn a_time_that_is_no_text_is_no_missing_time() {
    let plan = ExportPlan { since: Some(instant("2020-01-01T00:00:00Z")), ..plan(Level::System) };
    let line = b"{\"resourceType\":\"Basic\",\"id\":\"1\",\"meta\":{\"lastUpdated\":\"2024\xff\"}}";
    for mode in MODES {
        let selector = Selector::new(&plan, None, mode).unwrap();
        assert_eq!(shown(selector.judge(line, &[])), Err(LineError::NotUtf8 { at: 60 }), "{mode:?}");
    }
}

#[test]
fn both_ends_of_time_are_exclusive() {
    let bounded = ExportPlan {
        since: Some(instant("2020-01-01T00:00:00Z")),
        until: Some(instant("2025-01-01T00:00:00Z")),
        ..plan(Level::System)
    };
    let line = |updated: &str| format!(r#"{{"resourceType":"Basic","id":"1","meta":{{"lastUpdated":"{updated}"}}}}"#);
    for (updated, expected) in [
        ("2020-01-01T00:00:00Z", "out"),
        ("2020-01-01T00:00:00.001Z", "in Basic"),
        ("2024-01-01T01:00:00+01:00", "in Basic"),
        ("2024-01-01T00:00:00.001Z", "later"),
        ("2025-01-01T00:00:00Z", "out"),
        ("2020", "undated Basic"),
    ] {
        assert_eq!(agreed(&bounded, &[], &line(updated)), Ok(expected.to_owned()), "{updated}");
    }
    let dated = ExportPlan { undated_included: false, ..bounded.clone() };
    let none = r#"{"resourceType":"Basic","id":"1"}"#;
    assert_eq!(agreed(&bounded, &[], none), Ok("in Basic".into()));
    assert_eq!(agreed(&dated, &[], none), Ok("out".into()));
    assert_eq!(agreed(&dated, &[], &line("2020")), Err(LineError::WrongShape("meta.lastUpdated")));
    assert_eq!(agreed(&plan(Level::System), &[], &line("2020")), Ok("in Basic".into()));
}

#[test]
fn since_spares_new_members_where_the_deployment_says_so() {
    let since = Some(instant("2020-01-01T00:00:00Z"));
    let until = Some(instant("2023-01-01T00:00:00Z"));
    let whole = ExportPlan { since, until, new_members_whole: true, ..plan(Level::Group("g".into())) };
    let mut builder = PopulationBuilder::default();
    builder.push("old").unwrap();
    builder.push_new("new").unwrap();
    let block = builder.seal();
    let verdicts = |plan: &ExportPlan, line: &str| {
        MODES.map(|mode| {
            let selector = Selector::new(plan, Some(Population::load(&block).unwrap()), mode).unwrap();
            shown(selector.judge(line.as_bytes(), &[])).unwrap()
        })
    };
    let observation = |updated: &str, patients: &[&str]| {
        let performers: Vec<_> = patients.iter().map(|id| json!({"reference": format!("Patient/{id}")})).collect();
        json!({"resourceType": "Observation", "id": "1", "meta": {"lastUpdated": updated}, "performer": performers})
            .to_string()
    };
    let early = "2019-01-01T00:00:00Z";
    for (line, expected) in [
        (observation(early, &["old"]), "out"),
        (observation(early, &["new"]), "in Observation"),
        (observation(early, &["old", "new"]), "in Observation"),
        (observation(early, &["new", "stranger"]), "out"),
        (observation("2023-06-01T00:00:00Z", &["new"]), "out"),
        (observation("2021-01-01T00:00:00Z", &["old"]), "in Observation"),
        (json!({"meta": {"lastUpdated": early}, "id": "new", "resourceType": "Patient"}).to_string(), "in Patient"),
        (json!({"meta": {"lastUpdated": early}, "id": "old", "resourceType": "Patient"}).to_string(), "out"),
    ] {
        assert_eq!(verdicts(&whole, &line), [(); 3].map(|()| expected.to_owned()), "{line}");
    }
    // Who is new counts only where the deployment says so, and there is a `_since`.
    let alike = ExportPlan { new_members_whole: false, ..whole.clone() };
    assert_eq!(verdicts(&alike, &observation(early, &["new"])), ["out", "out", "out"]);
    assert_eq!((alike.new_after(), whole.new_after()), (None, since));
    assert_eq!(ExportPlan { since: None, ..whole.clone() }.new_after(), None);
    assert_eq!(ExportPlan { level: Level::Patient("new".into()), ..whole }.new_after(), None);
}

/// The same rules on a tree.
fn expected(plan: &ExportPlan, listed: &[&str], new: &[&str], resource: &Value) -> String {
    let text = |name: &str| resource[name].as_str().unwrap();
    let resource_type = text("resourceType");
    let updated = resource["meta"]["lastUpdated"].as_str().map(Timestamp::parse_instant);
    let is_listed = |id: &str| !matches!(plan.level, Level::Group(_)) || listed.contains(&id);
    let mut patients = Vec::new();
    for path in Definitions::R4.patient_paths(resource_type) {
        follow(resource, &path.split('.').chain(["reference"]).collect::<Vec<_>>(), &mut patients);
    }
    let mut patients: Vec<_> = patients.iter().filter_map(|text| local_id(text, "Patient", BASE)).collect();
    if resource_type == "Patient" {
        patients = vec![text("id")];
    }
    let is_new = matches!(plan.level, Level::Group(_))
        && plan.new_members_whole
        && patients.iter().any(|id| listed.contains(id) && new.contains(id));
    let since = plan.since.filter(|_| !is_new);
    let is_bounded = since.is_some() || plan.until.is_some();
    let in_time = match &updated {
        None => !is_bounded || plan.undated_included,
        Some(Err(_)) => true,
        Some(Ok(at)) => since.is_none_or(|since| *at > since) && plan.until.is_none_or(|until| *at < until),
    };
    let belongs = plan.level == Level::System
        || patients.iter().any(|id| is_listed(id)) && (plan.export_shared || patients.iter().all(|id| is_listed(id)));
    let sources: Vec<_> = plan.type_filters.iter().map(|query| TypeFilterSource::Post(query)).collect();
    let queries = type_filter::parse(&sources, Edition::Stu3, &Definitions::R4).unwrap();
    let context = FilterContext { base_url: BASE.into(), now: plan.transaction_time.unwrap() };
    let filter = Filter::compile(&queries, &Definitions::R4, &context).unwrap();
    let passes = filter.matches(resource.to_string().as_bytes());
    if !(plan.types.has(resource_type) && in_time && belongs && passes) {
        return "out".into();
    }
    match updated {
        Some(Ok(at)) if at > plan.transaction_time.unwrap() => "later".into(),
        Some(Err(_)) if is_bounded && !plan.undated_included => "wrong".into(),
        Some(Err(_)) if is_bounded => format!("undated {resource_type}"),
        _ => format!("in {resource_type}"),
    }
}

fn follow<'v>(value: &'v Value, steps: &[&str], found: &mut Vec<&'v str>) {
    match (value, steps.split_first()) {
        (Value::Array(items), Some(_)) => {
            items.iter().filter(|item| item.is_object()).for_each(|v| follow(v, steps, found))
        }
        (Value::Object(members), Some((step, rest))) => {
            members.get(*step).into_iter().for_each(|value| follow(value, rest, found));
        }
        (Value::String(text), None) => found.push(text),
        _ => {}
    }
}

fn plans() -> impl Strategy<Value = ExportPlan> {
    let level = prop::sample::select(vec![Level::System, Level::AllPatients, Level::Group("g".into())]);
    let time = || prop::option::of(prop::sample::select(vec!["2020-01-01T00:00:00Z", "2022-06-01T00:00:00.5Z"]));
    let queries = prop::sample::subsequence(QUERIES.to_vec(), 0..4);
    let types = prop::option::of(prop::sample::subsequence(vec!["Patient", "Observation", "Encounter"], 1..3));
    (level, time(), time(), any::<[bool; 3]>(), queries, types).prop_map(
        |(level, since, until, [undated_included, export_shared, new_members_whole], queries, types)| {
            let of =
                |names: Vec<&str>| names.into_iter().filter_map(|name| Definitions::R4.resource_type(name)).collect();
            ExportPlan {
                since: since.map(instant),
                until: until.map(instant),
                undated_included,
                export_shared,
                new_members_whole,
                type_filters: queries.into_iter().map(str::to_owned).collect(),
                types: types.map_or(TypeSelection::All, |names| TypeSelection::Only(of(names))),
                ..plan(level)
            }
        },
    )
}

const QUERIES: [&str; 12] = [
    "Observation?code=a",
    "Observation?code=b,s|c&date=gt2021",
    "Observation?code:not=a&status=final",
    "Observation?date=le2021&date=ge2019",
    "Observation?category:missing=true",
    "Observation?code-value-quantity=a$gt1",
    "Observation?subject=Patient/a",
    "Observation?_id=1&_tag=s|c",
    "Patient?deceased=true",
    "Patient?name=eve,adam",
    "Patient?",
    "Encounter?status=final",
];

/// A resource whose members come in the usual order or in any, written with or without white space and escapes.
fn lines() -> impl Strategy<Value = (Value, String)> {
    let reference =
        || prop::sample::select(vec!["Patient/a", "Patient/b", "https://ehr.example/fhir/Patient/c", "Group/1", "#p"]);
    let code = || prop::sample::select(vec!["a", "A", "b", "c", "final"]);
    let coding =
        || (prop::option::of(Just("s")), code()).prop_map(|(system, code)| json!({"system": system, "code": code}));
    let updated = prop::sample::select(vec![
        None,
        Some("2020-01-01T00:00:00Z"),
        Some("2021-05-05T05:05:05+05:00"),
        Some("2022-06-01T00:00:00.5Z"),
        Some("2024-06-01T00:00:00Z"),
        Some("2020"),
    ]);
    let head = (
        prop::sample::select(vec!["Patient", "Observation", "Encounter", "Practitioner"]),
        prop::sample::select(vec!["a", "b", "1"]),
        prop::option::of((updated, prop::option::of(coding()))),
    );
    let subject = prop::option::of(prop_oneof![
        reference().prop_map(|r| json!({"reference": r})),
        Just(json!({"display": "x"})),
        Just(json!("Patient/a")),
    ]);
    let performers = prop::option::of(prop::collection::vec(reference().prop_map(|r| json!({"reference": r})), 0..3));
    let body = (
        subject,
        performers,
        prop::option::of(prop::collection::vec(coding(), 0..3)),
        prop::option::of(prop::sample::select(vec!["2019", "2021-05", "2023-01-01"])),
        prop::option::of(code()),
        prop::option::of(0_u8..3),
        any::<bool>(),
        any::<bool>(),
    );
    let style = any::<[bool; 4]>();
    (head, body, style, Just(()).prop_perturb(|(), mut rng| rng.random::<u64>())).prop_map(
        |(head, body, style, seed)| {
            let (resource_type, id, meta) = head;
            let (subject, performer, codings, date, status, value, dead, contained) = body;
            let mut members: Vec<(&str, Value)> = vec![("resourceType", json!(resource_type)), ("id", json!(id))];
            if let Some((updated, tag)) = meta {
                let mut meta = json!({});
                updated.into_iter().for_each(|at| meta["lastUpdated"] = json!(at));
                tag.into_iter().for_each(|tag| meta["tag"] = json!([tag]));
                members.push(("meta", meta));
            }
            members.extend(subject.map(|value| ("subject", value)));
            members.extend(performer.map(|value| ("performer", json!(value))));
            members.extend(codings.map(|codings| ("code", json!({"coding": codings}))));
            members.extend(date.map(|date| ("effectiveDateTime", json!(date))));
            members.extend(status.map(|status| ("status", json!(status))));
            members.extend(value.map(|value| ("valueQuantity", json!({"value": value}))));
            if dead {
                members.push(("deceasedBoolean", json!(true)));
                members.push(("name", json!([{"family": "Eve-Ann"}])));
            }
            if contained {
                let inner = json!({"resourceType": "Patient", "id": "a", "subject": {"reference": "Patient/a"}});
                members.push(("contained", json!([inner])));
            }
            let [spaced, escaped, is_usual, has_version] = style;
            let mut state = seed;
            for last in (1..members.len()).rev().filter(|_| !is_usual) {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                members.swap(last, usize::try_from(state >> 33).unwrap() % (last + 1));
            }
            let texts: Vec<String> =
                members.iter().map(|(name, value)| written(name, value, spaced, escaped)).collect();
            let mut line = format!("{{{}}}", texts.join(if spaced { " , " } else { "," }));
            if has_version {
                line = line.replace("{\"lastUpdated", "{\"versionId\":\"1\",\"lastUpdated");
            }
            (serde_json::from_str(&line).unwrap(), line)
        },
    )
}

fn written(name: &str, value: &Value, spaced: bool, escaped: bool) -> String {
    let colon = if spaced { "\t: " } else { ":" };
    let text = format!("\"{name}\"{colon}{value}");
    if escaped { text.replace('/', "\\/").replace("ef", "e\\u0066").replace("od", "\\u006fd") } else { text }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn all_modes_say_of_valid_lines_what_the_rules_say(
        plan in plans(), listed in prop::sample::subsequence(vec!["a", "b", "c"], 0..=3),
        new in prop::sample::subsequence(vec!["a", "b", "c"], 0..=3), lines in prop::collection::vec(lines(), 1..12),
    ) {
        let mut builder = PopulationBuilder::default();
        for id in &listed {
            if new.contains(id) { builder.push_new(id).unwrap() } else { builder.push(id).unwrap() }
        }
        let block = builder.seal();
        for mode in MODES {
            let population = matches!(plan.level, Level::Group(_)).then(|| Population::load(&block).unwrap());
            let selector = Selector::new(&plan, population, mode).unwrap();
            for (resource, line) in &lines {
                let said = shown(selector.judge(line.as_bytes(), &[])).unwrap_or_else(|_| "wrong".into());
                prop_assert_eq!(said, expected(&plan, &listed, &new, resource), "{:?} {} {:?}", mode, line, plan.type_filters);
            }
        }
    }

    /// A cut line is never exported by whoever checks, and never judged by half of it.
    #[test]
    fn cut_lines_are_refused(plan in plans(), (_, line) in lines(), at in any::<prop::sample::Index>()) {
        let end = at.index(line.len());
        let cut = line.get(..end).unwrap_or_default();
        let [output, all, trust] = judged(&plan, &["a"], cut);
        prop_assert!(all.is_err());
        prop_assert!(output.clone().map_or(true, |verdict| verdict == "out"), "{:?}", output);
        let whole = judged(&plan, &["a"], &line)[2].clone();
        prop_assert!(trust.is_err() || trust == whole, "{:?} {:?}", trust, whole);
    }

    #[test]
    fn any_bytes_are_survived(plan in plans(), line in prop::collection::vec(any::<u8>(), 0..80)) {
        let text = String::from_utf8_lossy(&line).into_owned();
        let _ = judged(&plan, &[], &text);
        for mode in MODES {
            let population = matches!(plan.level, Level::Group(_)).then(|| PopulationBuilder::default().seal());
            let population = population.as_deref().map(|block| Population::load(block).unwrap());
            let _ = Selector::new(&plan, population, mode).unwrap().judge(&line, &[]);
        }
    }
}

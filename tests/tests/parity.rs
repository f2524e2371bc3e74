//! Every case through every face: what each expects comes true, and all faces give the same full transcript.

use std::{fmt::Display, process::Command};

use anyhow::{Context, Result, bail};
use ehi_core::{
    Endpoint,
    endpoint::{Auth, EndpointConfig},
};
use ehi_host::engine::{Component, ComponentLimits, EngineError, Engines, Native};
use ehi_tests::{
    cases::{self, Case, Manner, Run},
    cut::Cuts,
    pipe::{Drivers, compile_c_driver},
};
use tempfile::TempDir;

/// Makes the engines of a face for a deployment.
type Face<'f> = Box<dyn Fn(&EndpointConfig) -> Box<dyn Engines> + 'f>;

#[test]
fn every_case_comes_true_natively() {
    for_each(&cases(), |case| play(case, "native", &native, Manner::Whole).map(drop));
}

#[test]
fn where_the_input_is_cut_changes_nothing_but_the_progress() {
    let cuts = Cuts::new();
    for_each(&cases(), |case| {
        let whole = play(case, "native", &native, Manner::Whole)?;
        for round in 0..CUT_ROUNDS {
            let cut = play(case, "native", &native, Manner::Cut(cuts.seed().wrapping_add(round)))?;
            same(("whole", &whole.visible), ("cut", &cut.visible))?;
            same(("whole", whole.transcript_without_progress()), ("cut", cut.transcript_without_progress()))?;
        }
        Ok(())
    });
}

#[test]
fn a_host_that_is_lost_anywhere_changes_nothing_that_is_visible() {
    for_each(&cases(), |case| {
        let undisturbed = play(case, "native", &native, Manner::Whole)?;
        for files in 0..=undisturbed.files {
            let resumed = play(case, "native", &native, Manner::CrashAfter(files))?;
            same(("undisturbed", &undisturbed.visible), ("resumed", &resumed.visible))?;
        }
        Ok(())
    });
}

#[test]
fn the_component_answers_as_the_core_does() {
    assert_same_transcripts(&cases(), &[("native", Box::new(native)), ("component", component_face())]);
}

#[test]
fn c_answers_as_the_core_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert_same_transcripts(&cases(), &[("native", Box::new(native)), ("C", c_face(&folder))]);
}

#[test]
fn javascript_answers_as_the_core_does() {
    assert_same_transcripts(&cases(), &[("native", Box::new(native)), ("JavaScript", js_face())]);
}

/// Cases list whom there is; here is listed what nobody is.
#[test]
fn every_face_lists_the_same_and_refuses_who_cannot_be_listed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let faces = [("native", Box::new(native) as Face<'_>), ("component", component_face()), ("C", c_face(&folder))];
    let expected = listed(&native);
    let refused = expected.0.iter().filter(|answer| answer.is_some()).count();
    assert_eq!((refused, expected.0.len()), (10, 14));
    for (name, face) in faces.into_iter().chain([("JavaScript", js_face())]) {
        assert_eq!(listed(&face), expected, "{name}");
    }
}

/// What is said to each of some calls to the builder of a population, and the block that comes of them.
fn listed(face: &dyn Fn(&EndpointConfig) -> Box<dyn Engines>) -> (Vec<Option<String>>, Vec<u8>) {
    let mut engine = face(&any_config()).instance().expect("an instance");
    let mut population = engine.population().expect("a builder");
    let long = "a".repeat(65);
    let mut answers: Vec<_> = ["a", "a/b", "", &long].iter().map(|id| refusal(population.push(id))).collect();
    answers.extend(["b", "a/b", "é"].iter().map(|id| refusal(population.push_new(id))));
    for (resource_type, id, is_new) in [
        ("Device", "a", true),
        ("Practitioner", "a", false),
        ("Device", "a/b", true),
        ("Device", "", false),
        ("Patient", "a", true),
        ("device", "a", false),
        ("", "a", true),
    ] {
        answers.push(refusal(population.push_resource(resource_type, id, is_new)));
    }
    (answers, population.finish().expect("a block"))
}

fn refusal(pushed: Result<(), EngineError>) -> Option<String> {
    match pushed {
        Ok(()) => None,
        Err(EngineError::Refused(text)) => Some(text),
        Err(stopped) => panic!("{stopped}"),
    }
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    assert_same_transcripts(&cases(), &[("native", Box::new(native)), ("native again", Box::new(native))]);
}

/// Plays every case through every face, with whole and with cut input, and compares the full transcripts with those of
/// the first face.
fn assert_same_transcripts(cases: &[Case], faces: &[(&str, Face<'_>)]) {
    let cuts = Cuts::new();
    let ((reference, face), others) = faces.split_first().expect("there is a face to compare with");
    for_each(cases, |case| {
        for manner in [Manner::Whole, Manner::Cut(cuts.seed())] {
            let expected = play(case, reference, face, manner)?;
            for (name, face) in others {
                let found = play(case, name, face, manner)?;
                same((reference, &expected.transcript), (name, &found.transcript))?;
            }
        }
        Ok(())
    });
}

fn play(case: &Case, name: &str, face: &dyn Fn(&EndpointConfig) -> Box<dyn Engines>, manner: Manner) -> Result<Run> {
    cases::run(case, &*face(&case.config), manner).with_context(|| format!("{name}, {manner:?}"))
}

fn component_face() -> Face<'static> {
    let component = Component::embedded(&any_config(), ComponentLimits::default());
    let component = component.expect("an engine that `cargo xtask` built in");
    Box::new(move |config| Box::new(component.with_config(config).expect("the configuration of a case")))
}

/// The driver lies in that folder for as long as the face is used.
fn c_face(folder: &TempDir) -> Face<'_> {
    let driver = compile_c_driver(folder.path()).expect("a C compiler and libehi");
    pipe_face(move || Command::new(&driver))
}

fn js_face() -> Face<'static> {
    pipe_face(|| {
        let mut node = Command::new("node");
        node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../wasm/js/tests/driver.mjs"));
        node
    })
}

/// A face that is a program of its own.
fn pipe_face(program: impl Fn() -> Command + Send + Sync + 'static) -> Face<'static> {
    let drivers = Drivers::new(program);
    Box::new(move |config| {
        let config = serde_json::to_string(config).expect("a configuration is JSON");
        Box::new(drivers.engines(config))
    })
}

/// Tells of the first difference only: transcripts are long.
fn same<I>((left, expected): (&str, I), (right, found): (&str, I)) -> Result<()>
where
    I: IntoIterator<Item: Display + PartialEq>,
{
    let (mut expected, mut found) = (expected.into_iter(), found.into_iter());
    for entry in 1.. {
        match (expected.next(), found.next()) {
            (None, None) => break,
            (Some(expected), Some(found)) if expected == found => {}
            (expected, found) => {
                let show =
                    |entry: Option<I::Item>| entry.map_or_else(|| "(the end)".to_owned(), |entry| entry.to_string());
                bail!("entry {entry} differs\n{left}: {}\n{right}: {}", show(expected), show(found));
            }
        }
    }
    Ok(())
}

/// Tells of every case that fails, not of the first alone.
fn for_each(cases: &[Case], test: impl Fn(&Case) -> Result<()>) {
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| test(case).err().map(|error| format!("case `{}`: {error:#}", case.name)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases fail\n\n{}", failed.len(), cases.len(), failed.join("\n\n"));
}

fn native(config: &EndpointConfig) -> Box<dyn Engines> {
    let endpoint = Endpoint::new(config.clone()).expect("a case has a configuration that works");
    Box::new(Native::new(endpoint))
}

fn any_config() -> EndpointConfig {
    EndpointConfig::new("https://ehr.example/fhir", Auth::Bearer)
}

fn cases() -> Vec<Case> {
    let whole = || Ok([cases::all()?, cases::type_filter()?].concat());
    whole().unwrap_or_else(|error: anyhow::Error| panic!("{error:#}"))
}

/// Where to cut is drawn anew this often for each case.
const CUT_ROUNDS: u64 = 8;

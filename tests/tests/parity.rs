//! Every case through every face: what each expects comes true, and all faces give the same full transcript.

use std::{fmt::Display, process::Command};

use anyhow::{Context, Result, bail};
use ehi_core::{
    Endpoint,
    endpoint::{Auth, EndpointConfig},
};
use ehi_host::engine::{Component, ComponentLimits, Engines, Native};
use ehi_tests::{
    cases::{self, Case, Manner, Run},
    cut::Cuts,
    pipe::{Drivers, compile_c_driver},
};

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
    let any = EndpointConfig::new("https://ehr.example/fhir", Auth::Bearer);
    let component =
        Component::embedded(&any, ComponentLimits::default()).expect("an engine that `cargo xtask` built in");
    let face = |config: &EndpointConfig| -> Box<dyn Engines> {
        Box::new(component.with_config(config).expect("the configuration of a case"))
    };
    assert_same_transcripts(&cases(), &[("native", Box::new(native)), ("component", Box::new(face))]);
}

#[test]
fn c_answers_as_the_core_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let driver = compile_c_driver(folder.path()).expect("a C compiler and libehi");
    let face = pipe_face(move || Command::new(&driver));
    assert_same_transcripts(&cases(), &[("native", Box::new(native)), ("C", face)]);
}

#[test]
fn javascript_answers_as_the_core_does() {
    let face = pipe_face(|| {
        let mut node = Command::new("node");
        node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../wasm/js/tests/driver.mjs"));
        node
    });
    assert_same_transcripts(&cases(), &[("native", Box::new(native)), ("JavaScript", face)]);
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

fn cases() -> Vec<Case> {
    let whole = || Ok([cases::all()?, cases::type_filter()?].concat());
    whole().unwrap_or_else(|error: anyhow::Error| panic!("{error:#}"))
}

/// Where to cut is drawn anew this often for each case.
const CUT_ROUNDS: u64 = 8;

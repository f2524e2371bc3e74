//! Every case through every face: what each expects comes true, and all faces give the same full transcript.

use ehi_core::{Endpoint, endpoint::EndpointConfig};
use ehi_host::engine::{Engines, Native};
use ehi_tests::{
    cases::{self, Case, Manner, Run},
    cut::Cuts,
};

/// Makes the engines of a face for a deployment.
type Face<'f> = Box<dyn Fn(&EndpointConfig) -> Box<dyn Engines> + 'f>;

#[test]
fn every_case_comes_true_natively() {
    for case in cases() {
        play(&case, "native", &native, Manner::Whole);
    }
}

#[test]
fn where_the_input_is_cut_changes_nothing_but_the_progress() {
    let cuts = Cuts::new();
    for case in cases() {
        let whole = play(&case, "native", &native, Manner::Whole);
        for round in 0..CUT_ROUNDS {
            let cut = play(&case, "native", &native, Manner::Cut(cuts.seed().wrapping_add(round)));
            assert_same(
                &case.name,
                ("whole", whole.transcript_without_progress()),
                ("cut", cut.transcript_without_progress()),
            );
            assert_same(&case.name, ("whole", &whole.visible), ("cut", &cut.visible));
        }
    }
}

#[test]
fn a_host_that_is_lost_anywhere_changes_nothing_that_is_visible() {
    for case in cases() {
        let undisturbed = play(&case, "native", &native, Manner::Whole);
        for files in 0..=undisturbed.files {
            let disturbed = play(&case, "native", &native, Manner::CrashAfter(files));
            assert_same(&case.name, ("undisturbed", &undisturbed.visible), ("resumed", &disturbed.visible));
        }
    }
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    assert_same_transcripts(&cases(), &[("native", Box::new(native)), ("native again", Box::new(native))]);
}

/// Plays every case through every face, with whole and with cut input, and compares the full transcripts with those of the
/// first face.
fn assert_same_transcripts(cases: &[Case], faces: &[(&str, Face<'_>)]) {
    let cuts = Cuts::new();
    let ((reference, face), others) = faces.split_first().expect("there is a face to compare with");
    for case in cases {
        for manner in [Manner::Whole, Manner::Cut(cuts.seed())] {
            let expected = play(case, reference, face, manner);
            for (name, face) in others {
                let found = play(case, name, face, manner);
                assert_same(&case.name, (reference, &expected.transcript), (name, &found.transcript));
            }
        }
    }
}

fn play(case: &Case, name: &str, face: &dyn Fn(&EndpointConfig) -> Box<dyn Engines>, manner: Manner) -> Run {
    match cases::run(case, &*face(&case.config), manner) {
        Ok(run) => run,
        Err(error) => panic!("{name}: {error:#}"),
    }
}

/// Shows the first difference only: transcripts are long.
fn assert_same<I>(case: &str, (left, expected): (&str, I), (right, found): (&str, I))
where
    I: IntoIterator<Item: std::fmt::Display + PartialEq>,
{
    let (mut expected, mut found) = (expected.into_iter(), found.into_iter());
    for entry in 1.. {
        match (expected.next(), found.next()) {
            (None, None) => return,
            (Some(expected), Some(found)) if expected == found => {}
            (expected, found) => {
                let show =
                    |entry: Option<I::Item>| entry.map_or_else(|| "(the end)".to_owned(), |entry| entry.to_string());
                panic!("case `{case}`, entry {entry}: {left}\n{}\n{right}\n{}", show(expected), show(found));
            }
        }
    }
}

fn native(config: &EndpointConfig) -> Box<dyn Engines> {
    let endpoint = Endpoint::new(config.clone()).expect("a case has a configuration that works");
    Box::new(Native::new(endpoint))
}

fn cases() -> Vec<Case> {
    cases::all().unwrap_or_else(|error| panic!("{error:#}"))
}

/// Where to cut is drawn anew this often for each case.
const CUT_ROUNDS: u64 = 8;

//! What fuzzing found once is asked again, and changed a little.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use ehi_fuzz::{TARGETS, Target};

/// Every input of the corpora, through its target.
#[test]
fn the_corpora_hold() {
    for target in &TARGETS {
        for (path, input) in corpus(target.name) {
            let told = Told(format!("{} of {}", path.display(), target.name));
            (target.run)(&input);
            drop(told);
        }
    }
}

/// A folder that nobody replays, or a target that nothing is replayed through, would prove nothing.
#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders: BTreeSet<_> = entries(&folder()).into_iter().collect();
    let expected: BTreeSet<_> = TARGETS.iter().map(|target| folder().join(target.name)).collect();
    assert_eq!(folders, expected);
    for target in &TARGETS {
        assert!(corpus(target.name).len() >= INPUTS_MIN, "{}", target.name);
    }
    let bytes: usize = TARGETS.iter().flat_map(|target| corpus(target.name)).map(|(_, input)| input.len()).sum();
    assert!(bytes < BYTES_MAX, "{bytes} bytes");
}

/// What the tests know and `cargo xtask fuzz` does not would be fuzzed by nobody.
#[test]
fn every_target_is_a_program_of_cargo_fuzz() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cargo-fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let programs = entries(&folder.join("fuzz_targets"));
    assert_eq!(programs.len(), TARGETS.len());
    for (Target { name, .. }, program) in TARGETS.iter().zip(programs) {
        assert!(fs::read_to_string(&program).unwrap().contains(&format!("ehi_fuzz::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

/// Changes of the corpora, the same in every run.
#[test]
fn changed_inputs_hold() {
    for (number, target) in TARGETS.iter().enumerate() {
        let corpus = corpus(target.name);
        for seed in 0..CHANGES {
            let mut random = Random(seed * TARGETS.len() as u64 + number as u64);
            let mut input = corpus[random.below(corpus.len())].1.clone();
            let other = &corpus[random.below(corpus.len())].1;
            for _ in 0..=random.below(4) {
                change(&mut input, other, &mut random);
            }
            let told = Told(format!("seed {seed} of {}: {}", target.name, input.escape_ascii()));
            (target.run)(&input);
            drop(told);
        }
    }
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + 1 + random.below(40)).min(input.len());
    match random.below(8) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => input.insert(at, INTERESTING[random.below(INTERESTING.len())]),
        3 => drop(input.splice(at..end, [INTERESTING[random.below(INTERESTING.len())]])),
        4 => drop(input.splice(at..at, input[at..end].to_vec())),
        5 if !input.is_empty() => {
            let at = at.min(input.len() - 1);
            input[at] ^= 1 << random.below(8);
        }
        6 if !input.is_empty() => {
            let at = at.min(input.len() - 1);
            input[at] = input[at].wrapping_add(1);
        }
        _ => {
            let from = random.below(other.len() + 1);
            let until = (from + random.below(80)).min(other.len());
            drop(input.splice(at..at, other[from..until].iter().copied()));
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// Says which input it was, if what it was fed to panics.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// The inputs of a target, by name.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = entries(&folder().join(name));
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Of each target. All together take about two seconds.
const CHANGES: u64 = 300;

/// What a person thought of.
const INPUTS_MIN: usize = 8;

/// So that a clone stays small; what a long run collects is for its machine alone.
const BYTES_MAX: usize = 300_000;

const INTERESTING: &[u8] = b"\0\t\n\r \"%&'+,-./0129:;<=>?A[\\]aeu{|}~\x7f\x80\xc3\xe2\xed\xf0\xff";

//! Cuts input at random places, so that every test that feeds bytes also feeds them in blocks that end anywhere: inside
//! a line, an escape, a character, or between `\r` and `\n`.
//!
//! Where it is cut follows from a seed. Each run draws a new one; `EHI_CUT_SEED` replays an old one, and a test that
//! fails prints it.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Cuts inputs, one after another, at places that follow from one seed.
///
/// Keep it alive until the last assertion: when it is dropped by a failing test, it prints the seed.
#[derive(Debug)]
pub struct Cuts {
    seed: u64,
    random: SplitMix64,
}

impl Cuts {
    /// Cuts of the seed in `EHI_CUT_SEED`, or of a new one.
    pub fn new() -> Self {
        Self::with_seed(seed())
    }

    /// Cuts of that seed.
    pub fn with_seed(seed: u64) -> Self {
        Self { seed, random: SplitMix64(seed) }
    }

    /// The seed that replays these cuts.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The input in blocks: together they are the input, and now and then one is empty.
    ///
    /// Each input is cut on its own scale, from single bytes to some thousands, and a large one never into more than a
    /// few thousand blocks.
    pub fn cut<'i>(&mut self, input: &'i [u8]) -> Vec<&'i [u8]> {
        let scale = (1 << (3 * self.random.below(5))).max(input.len() / BLOCKS);
        let mut blocks = Vec::new();
        let mut rest = input;
        while !rest.is_empty() {
            let length = if self.random.below(16) == 0 { 0 } else { 1 + self.random.below(2 * scale) };
            let (block, behind) = rest.split_at(length.min(rest.len()));
            blocks.push(block);
            rest = behind;
        }
        blocks
    }
}

impl Default for Cuts {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Cuts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was cut with {SEED_VARIABLE}={}", self.seed);
        }
    }
}

/// The seed of this run: what `EHI_CUT_SEED` says, or a new one.
fn seed() -> u64 {
    match std::env::var(SEED_VARIABLE) {
        Ok(text) => {
            let seed = text.parse();
            assert!(seed.is_ok(), "{SEED_VARIABLE} is not a number from 0 to 2^64 - 1");
            seed.unwrap_or_default()
        }
        // The standard library draws its hash keys from the system's randomness.
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}

/// Steele, Lea and Flood 2014: small, and the same on every machine for ever.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, even enough for where to cut.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }
}

const SEED_VARIABLE: &str = "EHI_CUT_SEED";

/// About how many blocks a large input is cut into: enough for every place to be hit over some runs, few enough for a
/// test.
const BLOCKS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_put_together_are_the_input() {
        let input: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for seed in 0..200 {
            let mut cuts = Cuts::with_seed(seed);
            assert_eq!(cuts.cut(&input).concat(), input, "seed {seed}");
            assert_eq!(cuts.cut(&[]).concat(), Vec::<u8>::new(), "seed {seed}");
        }
    }

    #[test]
    fn a_seed_cuts_alike_and_another_cuts_elsewhere() {
        let input = [b'x'; 1000];
        let lengths = |seed| Cuts::with_seed(seed).cut(&input).iter().map(|block| block.len()).collect::<Vec<_>>();
        assert_eq!(lengths(7), lengths(7));
        assert_ne!(lengths(7), lengths(8));
    }

    #[test]
    fn every_place_is_cut_at_by_some_seed() {
        let input = [b'x'; 40];
        let mut places = std::collections::BTreeSet::new();
        for seed in 0..400 {
            let mut place = 0;
            for block in Cuts::with_seed(seed).cut(&input) {
                place += block.len();
                places.insert(place);
            }
        }
        assert_eq!(places, (0..=40).collect());
    }

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }
}

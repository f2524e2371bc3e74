//! Numbers that look random and follow from a seed: for jitter, never for secrets.

/// SplitMix64: one word of state, every seed good.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A delay of `millis`, shortened by at most a half: clients that failed together must not come again together.
    pub(super) fn jitter(&mut self, millis: u64) -> u64 {
        let half = millis / 2;
        millis - if half == 0 { 0 } else { self.next() % (half + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_within_bounds() {
        let delays = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.jitter(1000)).collect::<Vec<_>>()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
        assert!(delays(3).iter().all(|delay| (500..=1000).contains(delay)));
        assert_eq!(Random::new(0).jitter(0), 0);
    }
}

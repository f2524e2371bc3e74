//! Everything drawn: integers from a ChaCha8 stream, so that every platform draws the same.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What is drawn for. Each has streams of its own, so that one more draw here changes nothing there.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Chart = 1,
    Clinician = 2,
    Directory = 3,
    Group = 4,
    Membership = 5,
}

/// One stream of draws.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream of one thing, by its kind and number.
    pub(super) fn new(seed: u64, subject: Subject, number: u32) -> Self {
        let mut key = [0; 32];
        for (byte, seeded) in key.iter_mut().zip(seed.to_le_bytes().into_iter().chain([subject as u8])) {
            *byte = seeded;
        }
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_stream(u64::from(number));
        Self(stream)
    }

    /// A number from 0 up to and without `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// A number from `low` to `high`, both included; `low` if they are the wrong way round.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u128::from(high.saturating_sub(low).max(0).unsigned_abs()) + 1;
        low + ((u128::from(self.0.next_u64()) * span) >> 64) as i64
    }

    /// True that many times in a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// An entry of a table.
    pub(super) fn pick<'t, T>(&mut self, table: &'t Table<T>) -> &'t T {
        let drawn = self.below(1 + table.rest.len() as u32) as usize;
        drawn.checked_sub(1).and_then(|at| table.rest.get(at)).unwrap_or(&table.first)
    }

    /// An entry of a table of words.
    pub(super) fn word(&mut self, table: &Table<&'static str>) -> &'static str {
        self.pick::<&str>(table)
    }

    /// Up to `count` different entries of a table, in the table's order.
    pub(super) fn pick_several<'t, T>(&mut self, table: &'t Table<T>, count: u32) -> Vec<&'t T> {
        let mut wanted = count;
        let mut left = 1 + table.rest.len() as u32;
        let mut picked = Vec::new();
        for entry in table.entries() {
            if self.below(left) < wanted {
                wanted -= 1;
                picked.push(entry);
            }
            left -= 1;
        }
        picked
    }

    /// One of the values at hand, if there are any.
    pub(super) fn any<'v, T>(&mut self, values: &'v [T]) -> Option<&'v T> {
        values.get(self.below(values.len() as u32) as usize)
    }
}

/// Entries to pick from. It cannot be empty, so picking cannot fail; `table!` writes one.
pub(super) struct Table<T: 'static> {
    pub(super) first: T,
    pub(super) rest: &'static [T],
}

impl<T> Table<T> {
    /// All entries, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(self.rest)
    }
}

macro_rules! table {
    ($first:expr $(, $rest:expr)* $(,)?) => {
        $crate::sample::random::Table { first: $first, rest: &[$($rest),*] }
    };
}
pub(super) use table;

#[cfg(test)]
mod tests {
    use super::*;

    static LETTERS: Table<char> = table!['a', 'b', 'c', 'd'];

    #[test]
    fn the_stream_is_that_of_chacha8() {
        // Worked out by another implementation.
        let mut draw = Draw::new(42, Subject::Chart, 7);
        assert_eq!([0; 4].map(|_| draw.below(1000)), [453, 735, 170, 135]);
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut draw = Draw::new(0, Subject::Group, 0);
        for _ in 0..1000 {
            assert!(draw.below(3) < 3);
            assert!((-2..=2).contains(&draw.between(-2, 2)));
            assert!(('a'..='d').contains(draw.pick(&LETTERS)));
        }
        assert_eq!(draw.between(5, 4), 5);
        assert_eq!(draw.any::<char>(&[]), None);
    }

    #[test]
    fn several_are_different_and_in_order() {
        let mut draw = Draw::new(0, Subject::Group, 1);
        for count in 0..6 {
            let picked = draw.pick_several(&LETTERS, count);
            assert_eq!(picked.len(), count.min(4) as usize);
            assert!(picked.is_sorted_by(|one, next| one < next));
        }
    }
}

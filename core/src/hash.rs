//! A fixed hash and a table over it: the same buckets on every machine and in every run.
//!
//! Only ever asked, never iterated, so that no order leaks out of it. A hash says where to look and what to pass over;
//! that two things are the same is said by comparing them.

/// The hash of a text. It is part of stored formats: it never changes.
#[inline]
pub(crate) fn hash(text: &[u8]) -> u64 {
    // The length tells a text from the same one with zeros behind it.
    let state = FIRST ^ text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    match text.last_chunk() {
        None => mix(state, short_word(text)),
        Some(last) => {
            let state = words.iter().fold(state, |state, word| mix(state, u64::from_le_bytes(*word)));
            // What is left is read together with bytes before it.
            if rest.is_empty() { state } else { mix(state, u64::from_le_bytes(*last)) }
        }
    }
}

/// One hash of two, in this order.
pub(crate) fn joined(one: u64, other: u64) -> u64 {
    mix(one.rotate_left(32), other)
}

/// An open-addressing table from hashes to numbers, built once.
pub(crate) struct HashIndex {
    buckets: Box<[Bucket]>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tag: u32,
    /// The number plus one; zero if the bucket is empty.
    occupant: u32,
}

impl HashIndex {
    /// Several numbers may be filed under one hash, and one under several.
    pub(crate) fn new(entries: &[(u64, u32)]) -> Self {
        // At most half full, so that a search ends soon, and ends at all.
        let empty = Bucket { tag: 0, occupant: 0 };
        let mut buckets = vec![empty; (entries.len() * 2).next_power_of_two()].into_boxed_slice();
        let mask = buckets.len() - 1;
        for (hash, number) in entries {
            let mut place = first_place(*hash) & mask;
            while let Some(bucket) = buckets.get_mut(place) {
                if bucket.occupant == 0 {
                    *bucket = Bucket { tag: tag(*hash), occupant: number.saturating_add(1) };
                    break;
                }
                place = (place + 1) & mask;
            }
        }
        Self { buckets }
    }

    /// The first of the numbers perhaps filed under a hash for which `is_it` says yes.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut place = first_place(hash) & mask;
        loop {
            let bucket = self.buckets.get(place)?;
            let number = bucket.occupant.checked_sub(1)?;
            if bucket.tag == tag(hash) && is_it(number) {
                return Some(number);
            }
            place = (place + 1) & mask;
        }
    }
}

/// The part of a hash that is compared before anything else is.
pub(crate) fn tag(hash: u64) -> u32 {
    // Truncation is the point.
    hash as u32
}

fn first_place(hash: u64) -> usize {
    // The half that is not the tag.
    (hash >> 32) as usize
}

/// Up to 7 bytes as a number, which of texts of one length no two share.
fn short_word(text: &[u8]) -> u64 {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32,
        _ => text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Both halves of a product, so that every bit of both factors counts everywhere.
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * u128::from(FACTOR);
    // Truncation is the point.
    (product as u64) ^ ((product >> 64) as u64)
}

/// Fractional digits of pi, as good as any.
const FIRST: u64 = 0x243f_6a88_85a3_08d3;
/// Odd.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_hash_is_part_of_stored_formats() {
        for (text, expected) in VECTORS {
            assert_eq!(hash(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn similar_texts_differ() {
        let texts = (0..20_000).map(|n| format!("patient-{n}")).chain((0..70).map(|n| "\0".repeat(n)));
        let hashes: Vec<u64> = texts.map(|text| hash(text.as_bytes())).collect();
        assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), hashes.len());
        let low: BTreeSet<_> = hashes.iter().map(|hash| hash & 0xfff).collect();
        let high: BTreeSet<_> = hashes.iter().map(|hash| hash >> 52).collect();
        assert!(low.len() > 4000 && high.len() > 4000, "{} {}", low.len(), high.len());
        assert_ne!(joined(hash(b"a"), hash(b"b")), joined(hash(b"b"), hash(b"a")));
    }

    #[test]
    fn what_is_filed_is_found_and_nothing_else() {
        let entries: Vec<(u64, u32)> = (0..1000).map(|n: u32| (hash(&n.to_le_bytes()), n)).collect();
        let index = HashIndex::new(&entries);
        for (hash, number) in &entries {
            assert_eq!(index.find(*hash, |found| found == *number), Some(*number));
            assert_eq!(index.find(*hash, |_| false), None);
        }
        assert_eq!(index.find(hash(b"absent"), |_| true), None);
        assert_eq!(HashIndex::new(&[]).find(0, |_| true), None);
        // All under one hash: each is found, whatever the hash.
        let same = HashIndex::new(&[(u64::MAX, 0), (u64::MAX, 1), (u64::MAX, u32::MAX - 1)]);
        assert_eq!(same.find(u64::MAX, |found| found == u32::MAX - 1), Some(u32::MAX - 1));
    }

    const VECTORS: &[(&str, u64)] = &[
        ("", 0xe18485764ba03644),
        ("a", 0x2695ba265c57b057),
        ("status", 0xd94f6bcd3b5dae83),
        ("12345678", 0xc5b3b7cbcf2b0b6c),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", 0xb5dc4fcfebbd2d65),
    ];
}

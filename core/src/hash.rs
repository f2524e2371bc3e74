//! A fixed hash: the same on every machine and in every run.
//!
//! It says where to look and what to pass over; that two things are the same is said by comparing them.

/// The hash of a text. It is part of stored formats: it never changes.
pub(crate) fn hash(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    // The length tells a text from the same one with zeros behind it.
    let state = words.iter().fold(FIRST ^ text.len() as u64, |state, word| mix(state, u64::from_le_bytes(*word)));
    if rest.is_empty() { state } else { mix(state, last_word(rest)) }
}

/// The part of a hash that is compared before anything else is.
pub(crate) fn tag(hash: u64) -> u32 {
    // Truncation is the point.
    hash as u32
}

/// Up to 7 bytes as a number.
fn last_word(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
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
    }

    const VECTORS: &[(&str, u64)] = &[
        ("", 0x243f6a8885a308d3),
        ("a", 0x2695ba265c57b057),
        ("12345678", 0xc5b3b7cbcf2b0b6c),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", 0x775407d0978417db),
    ];
}

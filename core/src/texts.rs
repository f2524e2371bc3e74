//! A set of short texts as one block of bytes: exact, hashed, position-independent.
//!
//! Layout (little endian): magic `EHIT0001`, `count: u32`, `slots: u32` (a power of two, or 0 of an empty set), `count`
//! ends of the texts (`u32`), `slots` pairs of tag and number of the text from 1 (`u32`, `u32`; 0 is free), the texts in
//! the order in which they were first given. A slot is found by hash, membership is decided by comparison.

use std::{borrow::Cow, fmt};

/// A set of short texts.
#[derive(Clone)]
pub(crate) struct Texts<'t> {
    ends: Cow<'t, [u8]>,
    slots: Cow<'t, [u8]>,
    text: Cow<'t, [u8]>,
}

impl<'t> Texts<'t> {
    /// Reads a block made by [`TextsBuilder::seal`]. A damaged block never reads as another set: every text must be found
    /// where it says, and nothing else be there.
    pub(crate) fn load(block: &'t [u8]) -> Result<Self, TextsError> {
        let rest = block.strip_prefix(MAGIC).ok_or(TextsError::Malformed)?;
        let (head, rest) = rest.split_at_checked(8).ok_or(TextsError::Malformed)?;
        let (count, slots) = pair(head, 0).ok_or(TextsError::Malformed)?;
        let cut = |bytes: &'t [u8], items: u32, size: usize| {
            let length = usize::try_from(items).ok().and_then(|items| items.checked_mul(size));
            length.and_then(|length| bytes.split_at_checked(length)).ok_or(TextsError::Malformed)
        };
        let (ends, rest) = cut(rest, count, 4)?;
        let (slots, text) = cut(rest, slots, 8)?;
        let texts = Self { ends: Cow::Borrowed(ends), slots: Cow::Borrowed(slots), text: Cow::Borrowed(text) };
        texts.check()?;
        Ok(texts)
    }

    /// The same, owning its bytes.
    pub(crate) fn into_owned(self) -> Texts<'static> {
        Texts {
            ends: Cow::Owned(self.ends.into_owned()),
            slots: Cow::Owned(self.slots.into_owned()),
            text: Cow::Owned(self.text.into_owned()),
        }
    }

    /// How many texts.
    pub(crate) fn len(&self) -> usize {
        self.ends.len() / 4
    }

    /// Whether that text is in the set.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.find(text.as_bytes()).is_some()
    }

    /// The number of a text, from 1.
    fn find(&self, text: &[u8]) -> Option<u32> {
        let (home, tag) = hash(text);
        let count = self.slots.len() / 8;
        // INVARIANT: at least half of the slots are free, so that a search ends early; `check` has seen one at least.
        for step in 0..count {
            let (found, number) = pair(&self.slots, slot(home, step, count))?;
            if number == 0 {
                return None;
            }
            if found == tag && self.text(number) == Some(text) {
                return Some(number);
            }
        }
        None
    }

    fn text(&self, number: u32) -> Option<&[u8]> {
        text_at(&self.ends, &self.text, usize::try_from(number).ok()?.checked_sub(1)?)
    }

    fn check(&self) -> Result<(), TextsError> {
        let (count, slots) = (self.len(), self.slots.len() / 8);
        let fits = if count == 0 { slots == 0 } else { slots.is_power_of_two() && slots >= count * 2 };
        let last = count.checked_sub(1).map_or(Some(0), |last| word(&self.ends, last));
        if !fits || last.and_then(|end| usize::try_from(end).ok()) != Some(self.text.len()) {
            return Err(TextsError::Malformed);
        }
        let taken = (0..slots).filter(|at| pair(&self.slots, *at) != Some((0, 0)));
        if taken.count() != count {
            return Err(TextsError::Malformed);
        }
        for number in 1..=count {
            let number = u32::try_from(number).map_err(|_| TextsError::Malformed)?;
            let text = self.text(number).ok_or(TextsError::Malformed)?;
            if self.find(text) != Some(number) {
                return Err(TextsError::Malformed);
            }
        }
        Ok(())
    }
}

/// Shows the size only.
impl fmt::Debug for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Texts({})", self.len())
    }
}

/// Collects texts.
#[derive(Default)]
pub(crate) struct TextsBuilder {
    /// Little-endian words, as in the block.
    ends: Vec<u8>,
    slots: Vec<u8>,
    text: Vec<u8>,
}

impl TextsBuilder {
    /// How many texts so far.
    pub(crate) fn len(&self) -> usize {
        self.ends.len() / 4
    }

    /// Adds a text. Adding twice is the same as once.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), TextsError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TextsError::TooLong);
        }
        let end = u32::try_from(self.text.len() + text.len());
        let number = u32::try_from(self.len() + 1);
        let (Ok(end), Ok(number)) = (end, number) else {
            return Err(TextsError::TooMany { limit: self.len() });
        };
        if self.len() * 2 >= self.slots.len() / 8 {
            self.grow();
        }
        if let Some(free) = self.free_slot(text.as_bytes()) {
            self.text.extend_from_slice(text.as_bytes());
            self.ends.extend_from_slice(&end.to_le_bytes());
            self.put(free, hash(text.as_bytes()).1, number);
        }
        Ok(())
    }

    /// The block.
    pub(crate) fn seal(self) -> Vec<u8> {
        let narrow = |items: usize| u32::try_from(items).unwrap_or(u32::MAX).to_le_bytes();
        let mut block = Vec::with_capacity(16 + self.ends.len() + self.slots.len() + self.text.len());
        block.extend_from_slice(MAGIC);
        block.extend_from_slice(&narrow(self.len()));
        block.extend_from_slice(&narrow(self.slots.len() / 8));
        for part in [self.ends, self.slots, self.text] {
            block.extend_from_slice(&part);
        }
        block
    }

    /// Where the text belongs, unless it is there.
    fn free_slot(&self, text: &[u8]) -> Option<usize> {
        let (home, tag) = hash(text);
        let count = self.slots.len() / 8;
        for step in 0..count {
            let at = slot(home, step, count);
            let (found, number) = pair(&self.slots, at)?;
            if number == 0 {
                return Some(at);
            }
            let number = usize::try_from(number).ok()?;
            if found == tag && text_at(&self.ends, &self.text, number - 1) == Some(text) {
                return None;
            }
        }
        None
    }

    fn grow(&mut self) {
        let count = (self.slots.len() / 8 * 2).max(SLOTS_MIN);
        self.slots = vec![0; count * 8];
        for index in 0..self.len() {
            let Some(text) = text_at(&self.ends, &self.text, index) else { continue };
            let (home, tag) = hash(text);
            let free = (0..count).map(|step| slot(home, step, count));
            let free = free.clone().find(|at| pair(&self.slots, *at).is_some_and(|(_, number)| number == 0));
            if let (Some(free), Ok(number)) = (free, u32::try_from(index + 1)) {
                self.put(free, tag, number);
            }
        }
    }

    fn put(&mut self, at: usize, tag: u32, number: u32) {
        if let Some(slot) = self.slots.get_mut(at * 8..at * 8 + 8) {
            let words = tag.to_le_bytes().into_iter().chain(number.to_le_bytes());
            slot.iter_mut().zip(words).for_each(|(byte, word)| *byte = word);
        }
    }
}

/// Shows the size only.
impl fmt::Debug for TextsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextsBuilder({})", self.len())
    }
}

/// Why a set of texts cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextsError {
    Malformed,
    TooLong,
    TooMany { limit: usize },
}

impl fmt::Display for TextsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the bytes are not a set"),
            Self::TooLong => write!(f, "a text is longer than {TEXT_BYTES_MAX} bytes"),
            Self::TooMany { limit } => write!(f, "more than {limit} texts"),
        }
    }
}

impl std::error::Error for TextsError {}

/// Home and tag. The same on every machine: it stands in stored blocks.
fn hash(text: &[u8]) -> (u64, u32) {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    let (words, rest) = text.as_chunks::<8>();
    let hash = words.iter().fold(text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = mix(hash, rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    let hash = mix(hash ^ hash >> 32, 0);
    (hash >> 32, (hash & 0xffff_ffff) as u32)
}

fn slot(home: u64, step: usize, count: usize) -> usize {
    // The lower bits of a home are as good as any; a count is a power of two below 2^32.
    (home as usize).wrapping_add(step) & count.wrapping_sub(1)
}

fn text_at<'t>(ends: &[u8], text: &'t [u8], index: usize) -> Option<&'t [u8]> {
    let begin = index.checked_sub(1).map_or(Some(0), |before| word(ends, before))?;
    text.get(usize::try_from(begin).ok()?..usize::try_from(word(ends, index)?).ok()?)
}

fn pair(bytes: &[u8], index: usize) -> Option<(u32, u32)> {
    let at = index.checked_mul(8)?;
    let [a, b, c, d, e, f, g, h] = *bytes.get(at..)?.first_chunk::<8>()?;
    Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    bytes.get(index.checked_mul(4)?..)?.first_chunk::<4>().copied().map(u32::from_le_bytes)
}

const MAGIC: &[u8; 8] = b"EHIT0001";
const SLOTS_MIN: usize = 16;
/// The fraction of the golden ratio, odd.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// More than `Type/id` and a security label.
const TEXT_BYTES_MAX: usize = 2 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn block(texts: &[String]) -> Vec<u8> {
        let mut builder = TextsBuilder::default();
        texts.iter().for_each(|text| builder.push(text).unwrap());
        builder.seal()
    }

    #[test]
    fn membership_is_exact() {
        let texts: Vec<String> = (0..5000).map(|n| format!("Patient/{}", n * 2)).collect();
        let block = block(&[texts.clone(), texts].concat());
        let set = Texts::load(&block).unwrap();
        assert_eq!(set.len(), 5000);
        for n in 0..10_002 {
            assert_eq!(set.contains(&format!("Patient/{n}")), n % 2 == 0 && n < 10_000, "{n}");
        }
        assert!(!set.contains("") && !set.contains("Patient/"));
    }

    #[test]
    fn an_empty_set_holds_nothing() {
        let block = block(&[]);
        let set = Texts::load(&block).unwrap();
        assert!(set.len() == 0 && !set.contains(""));
    }

    #[test]
    fn no_change_of_a_byte_and_no_cut_reads_as_another_set() {
        let texts: Vec<String> = ["a", "b", "", "Patient/1", "Patient/2"].map(str::to_owned).to_vec();
        let block = block(&texts);
        for cut in 0..block.len() {
            assert!(Texts::load(&block[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..block.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = block.clone();
                damaged[at] ^= flip;
                assert!(Texts::load(&damaged).is_err(), "byte {at}");
            }
        }
    }
}

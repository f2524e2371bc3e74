//! Who is exported: a flat, exact set of patient ids, built once when the job begins and borrowed by any number of writers.

use std::{borrow::Cow, collections::BTreeSet, fmt};

/// A set of patient ids as one block of position-independent bytes: it can be stored, mapped, or sent as it is.
///
/// Layout (little endian): magic `EHIP0001`, `count: u32`, `count + 1` offsets (`u32`) into the text, the ids in byte
/// order without separators. Membership is by comparison of ids, never by fingerprint.
#[derive(Clone)]
pub struct Population<'p> {
    count: usize,
    offsets: Cow<'p, [u8]>,
    text: Cow<'p, [u8]>,
}

impl<'p> Population<'p> {
    /// Reads a block made by [`PopulationBuilder::seal`].
    pub fn load(block: &'p [u8]) -> Result<Self, PopulationError> {
        let rest = block.strip_prefix(MAGIC).ok_or(PopulationError::Malformed)?;
        let (count, rest) = rest.split_at_checked(4).ok_or(PopulationError::Malformed)?;
        let count = word(count, 0).ok_or(PopulationError::Malformed)?;
        let table = count.checked_add(1).and_then(|n| n.checked_mul(4)).ok_or(PopulationError::Malformed)?;
        let (offsets, text) = rest.split_at_checked(table).ok_or(PopulationError::Malformed)?;
        let population = Self { count, offsets: Cow::Borrowed(offsets), text: Cow::Borrowed(text) };
        population.check()?;
        Ok(population)
    }

    /// The same, owning its bytes.
    pub fn into_owned(self) -> Population<'static> {
        Population {
            count: self.count,
            offsets: Cow::Owned(self.offsets.into_owned()),
            text: Cow::Owned(self.text.into_owned()),
        }
    }

    /// How many patients.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nobody is listed. An empty population exports nobody.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether that patient is listed.
    pub fn contains(&self, id: &str) -> bool {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.id(middle).map(|candidate| candidate.cmp(id.as_bytes())) {
                Some(std::cmp::Ordering::Equal) => return true,
                Some(std::cmp::Ordering::Less) => low = middle + 1,
                Some(std::cmp::Ordering::Greater) => high = middle,
                None => return false,
            }
        }
        false
    }

    fn id(&self, index: usize) -> Option<&[u8]> {
        self.text.get(word(&self.offsets, index)?..word(&self.offsets, index + 1)?)
    }

    /// A damaged block must not read as a smaller population that happens to work.
    fn check(&self) -> Result<(), PopulationError> {
        let mut previous: Option<&[u8]> = None;
        for index in 0..self.count {
            let id = self.id(index).ok_or(PopulationError::Malformed)?;
            if previous.is_some_and(|previous| previous >= id) {
                return Err(PopulationError::Malformed);
            }
            previous = Some(id);
        }
        let complete = word(&self.offsets, 0) == Some(0) && word(&self.offsets, self.count) == Some(self.text.len());
        if complete { Ok(()) } else { Err(PopulationError::Malformed) }
    }
}

/// Shows the size only.
impl fmt::Debug for Population<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Population({} patients)", self.count)
    }
}

/// Collects patient ids.
#[derive(Default)]
pub struct PopulationBuilder {
    ids: BTreeSet<Box<str>>,
}

impl PopulationBuilder {
    /// Adds one patient. Adding twice is the same as once.
    pub fn push(&mut self, id: &str) -> Result<(), PopulationError> {
        if !crate::reference::is_id(id) {
            return Err(PopulationError::MalformedId);
        }
        if self.ids.len() >= PATIENTS_MAX {
            return Err(PopulationError::TooMany);
        }
        self.ids.insert(id.into());
        Ok(())
    }

    /// The block.
    pub fn seal(self) -> Vec<u8> {
        // INVARIANT: `push` bounds count and id length, so all offsets fit 32 bits.
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        let mut block = Vec::from(MAGIC.as_slice());
        block.extend_from_slice(&narrow(self.ids.len()));
        let mut offset = 0;
        block.extend_from_slice(&narrow(offset));
        for id in &self.ids {
            offset += id.len();
            block.extend_from_slice(&narrow(offset));
        }
        self.ids.iter().for_each(|id| block.extend_from_slice(id.as_bytes()));
        block
    }
}

/// Why a population cannot be built or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PopulationError {
    /// The bytes are not a population block.
    Malformed,
    /// A text is not a FHIR id.
    MalformedId,
    /// More patients than a population holds.
    TooMany,
}

impl fmt::Display for PopulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the bytes are not a population block"),
            Self::MalformedId => f.write_str("a listed patient has an id that is not a FHIR id"),
            Self::TooMany => write!(f, "more than {PATIENTS_MAX} patients in one population"),
        }
    }
}

impl std::error::Error for PopulationError {}

fn word(bytes: &[u8], index: usize) -> Option<usize> {
    let at = index.checked_mul(4)?;
    let word: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(word)).ok()
}

const MAGIC: &[u8; 8] = b"EHIP0001";

/// 64 bytes an id at most, so that text offsets stay below 2^32. Larger populations are split over partitions.
const PATIENTS_MAX: usize = 50_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_is_exact() {
        let mut builder = PopulationBuilder::default();
        let listed: Vec<String> = (0..1000).map(|i| format!("p{}", i * 2)).collect();
        listed.iter().for_each(|id| builder.push(id).unwrap());
        builder.push("p4").unwrap();
        let block = builder.seal();
        let population = Population::load(&block).unwrap();
        assert_eq!(population.len(), 1000);
        for i in 0..2002 {
            assert_eq!(population.contains(&format!("p{i}")), i % 2 == 0 && i < 2000, "p{i}");
        }
        assert!(!population.contains("") && !population.contains("p") && !population.contains("p40x"));
        assert_eq!(format!("{population:?}"), "Population(1000 patients)");
    }

    #[test]
    fn an_empty_population_holds_nobody() {
        let block = PopulationBuilder::default().seal();
        let population = Population::load(&block).unwrap();
        assert!(population.is_empty() && !population.contains("") && !population.contains("p"));
    }

    #[test]
    fn damaged_blocks_are_refused() {
        let mut builder = PopulationBuilder::default();
        ["a", "b", "c"].iter().for_each(|id| builder.push(id).unwrap());
        let block = builder.seal();
        for cut in 0..block.len() {
            assert!(Population::load(&block[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = block.clone();
        longer.push(b'd');
        assert!(Population::load(&longer).is_err());
        let last = block.len() - 1;
        let mut unsorted = block;
        unsorted[last] = b'a';
        assert!(Population::load(&unsorted).is_err());
        assert_eq!(PopulationBuilder::default().push("a/b"), Err(PopulationError::MalformedId));
    }
}

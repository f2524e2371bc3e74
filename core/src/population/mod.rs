//! Who is exported: a flat, exact set of patient ids, built once when the job begins and borrowed by any number of writers.

mod builder;

use std::{borrow::Cow, fmt};

use crate::{
    group::RESOURCE_MEMBERS,
    hash::{hash, tag},
    reference::is_id,
};

pub use builder::PopulationBuilder;

/// A set of patient ids as one block of position-independent bytes: it can be stored, mapped, or sent as it is. Members of a
/// group that are no patients are listed as `Type/id`.
///
/// Layout (little endian): magic `EHIP0003`; `count: u32`; `buckets: u32`; `new: u32`; the ids in the order in which they
/// were added, without separators; `count + 1` offsets (`u32`) into that text; the buckets. A bucket is the low half of an
/// id's hash (`u32`) and its place in that order plus one (`u32`), or zero if it is empty; the highest bit says that the
/// patient is new, and `new` how many are. An id stands in the first free bucket from where the high half of its hash
/// points. Membership is by comparison of ids, never by hash alone.
#[derive(Clone)]
pub struct Population<'p> {
    count: usize,
    new: usize,
    has_resources: bool,
    offsets: Cow<'p, [u8]>,
    buckets: Cow<'p, [u8]>,
    text: Cow<'p, [u8]>,
}

impl<'p> Population<'p> {
    /// Reads a block made by [`PopulationBuilder::seal`].
    pub fn load(block: &'p [u8]) -> Result<Self, PopulationError> {
        Self::cut(block).filter(Population::is_sound).ok_or(PopulationError::Malformed)
    }

    fn cut(block: &'p [u8]) -> Option<Self> {
        let (head, rest) = block.strip_prefix(MAGIC)?.split_at_checked(WORDS_BYTES)?;
        let (count, buckets, new) = (word(head, 0)?, word(head, 1)?, word(head, 2)?);
        let (rest, buckets) = split_end(rest, buckets.checked_mul(BUCKET_BYTES)?)?;
        let (text, offsets) = split_end(rest, count.checked_add(1)?.checked_mul(4)?)?;
        let borrowed = Cow::Borrowed;
        let has_resources = memchr::memchr(b'/', text).is_some();
        Some(Self {
            count,
            new,
            has_resources,
            offsets: borrowed(offsets),
            buckets: borrowed(buckets),
            text: borrowed(text),
        })
    }

    /// The same, owning its bytes.
    pub fn into_owned(self) -> Population<'static> {
        Population {
            count: self.count,
            new: self.new,
            has_resources: self.has_resources,
            offsets: Cow::Owned(self.offsets.into_owned()),
            buckets: Cow::Owned(self.buckets.into_owned()),
            text: Cow::Owned(self.text.into_owned()),
        }
    }

    /// A block of those of these patients who are listed here too. What is no id is listed nowhere.
    pub fn narrowed<'i>(&self, ids: impl IntoIterator<Item = &'i str>) -> Result<Vec<u8>, PopulationError> {
        let mut both = PopulationBuilder::default();
        for id in ids {
            match self.find(id) {
                Some(Listed { is_new: true }) => both.push_new(id)?,
                Some(Listed { is_new: false }) => both.push(id)?,
                None => {}
            }
        }
        Ok(both.seal())
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
        self.find(id).is_some()
    }

    /// What is known of a patient, if listed.
    pub fn find(&self, id: &str) -> Option<Listed> {
        (!self.has_resources || is_id(id)).then(|| self.listed(id)).flatten()
    }

    /// What is known of a resource that is a member of the group by itself, if listed.
    pub fn find_resource(&self, resource_type: &str, id: &str) -> Option<Listed> {
        self.has_resources.then(|| self.listed(&format!("{resource_type}/{id}"))).flatten()
    }

    /// Whether any member is no patient.
    pub fn has_resources(&self) -> bool {
        self.has_resources
    }

    /// Whether anybody is new.
    pub fn has_new(&self) -> bool {
        self.new > 0
    }

    fn listed(&self, text: &str) -> Option<Listed> {
        self.place(text.as_bytes()).map(|(_, listed)| listed)
    }

    /// Where in the order of ids one stands, and as what.
    fn place(&self, id: &[u8]) -> Option<(usize, Listed)> {
        let (buckets, _) = self.buckets.as_chunks::<BUCKET_BYTES>();
        let hash = hash(id);
        let mut bucket = first_bucket(hash, buckets.len());
        for _ in 0..buckets.len() {
            // The tag is compared before the text is touched: the text is in memory, and far away.
            let (tag_found, occupant) = unpack(buckets.get(bucket)?);
            let place = usize::try_from((occupant & !NEW).checked_sub(1)?).ok()?;
            if tag_found == tag(hash) && self.id(place) == Some(id) {
                return Some((place, Listed { is_new: occupant & NEW != 0 }));
            }
            bucket = after(bucket, buckets.len());
        }
        None
    }

    fn id(&self, place: usize) -> Option<&[u8]> {
        self.text.get(word(&self.offsets, place)?..word(&self.offsets, place + 1)?)
    }

    /// A damaged block must not read as another population that happens to work: the ids fill the text, each is found
    /// where it stands, so no two are the same, no bucket leads anywhere else, and as many are new as there should be.
    fn is_sound(&self) -> bool {
        let ends = [(0, 0), (self.count, self.text.len())];
        let is_whole = ends.iter().all(|(place, offset)| word(&self.offsets, *place) == Some(*offset));
        let (buckets, _) = self.buckets.as_chunks::<BUCKET_BYTES>();
        let occupied = buckets.iter().filter(|bucket| **bucket != [0; BUCKET_BYTES]).count();
        let new = buckets.iter().filter(|bucket| unpack(bucket).1 & NEW != 0).count();
        let is_found = |place| {
            let found = |id| self.place(id).is_some_and(|(found, _)| found == place);
            self.id(place).is_some_and(|id| is_listable(id) && found(id))
        };
        is_whole
            && buckets.len() == bucket_count(self.count)
            && (occupied, new) == (self.count, self.new)
            && (0..self.count).all(is_found)
    }
}

/// What is known of a patient who is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Whether the patient came to the group after the instant that [`Wants::Run`](crate::job::Wants::Run) says.
    pub is_new: bool,
}

/// Shows the size only.
impl fmt::Debug for Population<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Population({} patients)", self.count)
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
    /// A member that is no patient is of a type that groups do not list, or its id is not a FHIR id.
    MalformedMember,
    /// More patients than a population holds.
    TooMany,
}

impl fmt::Display for PopulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the bytes are not a population block"),
            Self::MalformedId => f.write_str("a listed patient has an id that is not a FHIR id"),
            Self::MalformedMember => write!(
                f,
                "a listed member that is no patient must be one of {}, with a FHIR id",
                RESOURCE_MEMBERS.join(", ")
            ),
            Self::TooMany => write!(f, "more than {PATIENTS_MAX} patients in one population"),
        }
    }
}

impl std::error::Error for PopulationError {}

fn is_listable(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| is_id(text) || is_resource(text))
}

/// Whether a text is `Type/id` of what a group may have as a member beside patients.
fn is_resource(text: &str) -> bool {
    text.split_once('/').is_some_and(|(name, id)| RESOURCE_MEMBERS.contains(&name) && is_id(id))
}

/// The last so many bytes, and what comes before them.
fn split_end(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(bytes.len().checked_sub(length)?)
}

fn word(bytes: &[u8], index: usize) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<4>();
    usize::try_from(u32::from_le_bytes(*words.get(index)?)).ok()
}

fn unpack(bucket: &[u8; BUCKET_BYTES]) -> (u32, u32) {
    let [tag @ .., a, b, c, d] = *bucket;
    (u32::from_le_bytes(tag), u32::from_le_bytes([a, b, c, d]))
}

/// Half as many again as ids: a search looks at five buckets of a cache line or two before it gives up.
fn bucket_count(ids: usize) -> usize {
    ids + ids.div_ceil(2)
}

/// Where a search begins: the high half of the hash, scaled to the number of buckets.
fn first_bucket(hash: u64, buckets: usize) -> usize {
    usize::try_from(((hash >> 32) * buckets as u64) >> 32).unwrap_or(0)
}

fn after(bucket: usize, buckets: usize) -> usize {
    if bucket + 1 == buckets { 0 } else { bucket + 1 }
}

const MAGIC: &[u8; 8] = b"EHIP0003";

/// The numbers after the magic.
const WORDS_BYTES: usize = 12;

/// The bit of a bucket's place that says of a patient to be new.
const NEW: u32 = 1 << 31;
const _: () = assert!(PATIENTS_MAX < NEW as usize);

const BUCKET_BYTES: usize = 8;

/// 81 bytes each at most (`PractitionerRole/` and an id), so that text offsets stay below 2^32. Larger populations are split over partitions.
const PATIENTS_MAX: usize = 50_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn block(ids: impl IntoIterator<Item = String>) -> Vec<u8> {
        let mut builder = PopulationBuilder::default();
        ids.into_iter().for_each(|id| builder.push(&id).unwrap());
        builder.seal()
    }

    #[test]
    fn membership_is_exact() {
        let listed = (0..1000).map(|i| format!("p{}", i * 2));
        let block = block(listed.chain([String::from("p4")]));
        let population = Population::load(&block).unwrap();
        assert_eq!(population.len(), 1000);
        for i in 0..2002 {
            assert_eq!(population.contains(&format!("p{i}")), i % 2 == 0 && i < 2000, "p{i}");
        }
        assert!(!population.contains("") && !population.contains("p") && !population.contains("p40x"));
        assert_eq!(format!("{population:?}"), "Population(1000 patients)");
        assert!(population.into_owned().contains("p0"));
    }

    #[test]
    fn who_was_there_before_is_not_new() {
        let mut builder = PopulationBuilder::default();
        for (id, is_new) in
            [("a", true), ("b", false), ("c", true), ("b", true), ("c", false), ("d", true), ("a", true)]
        {
            if is_new { builder.push_new(id).unwrap() } else { builder.push(id).unwrap() }
        }
        assert_eq!(builder.push_new("a/b"), Err(PopulationError::MalformedId));
        let block = builder.seal();
        let population = Population::load(&block).unwrap();
        let news = ["a", "b", "c", "d", "e"].map(|id| population.find(id).map(|listed| listed.is_new));
        assert_eq!(news, [Some(true), Some(false), Some(false), Some(true), None]);
        assert!(population.has_new() && population.len() == 4);
        let narrowed = population.narrowed(["b", "d"]).unwrap();
        let narrowed = Population::load(&narrowed).unwrap();
        assert_eq!(narrowed.find("d"), Some(Listed { is_new: true }));
        assert_eq!(narrowed.find("b"), Some(Listed { is_new: false }));
        let nobody_new = population.narrowed(["b", "c"]).unwrap();
        assert!(!Population::load(&nobody_new).unwrap().has_new());
    }

    #[test]
    fn members_that_are_no_patients_are_listed_by_their_types() {
        let mut builder = PopulationBuilder::default();
        builder.push("a").unwrap();
        builder.push_resource("Device", "a", true).unwrap();
        builder.push_resource("Practitioner", "b", false).unwrap();
        for (resource_type, id) in
            [("Observation", "a"), ("Patient", "a"), ("Group", "a"), ("", "a"), ("Device", "a/b")]
        {
            assert_eq!(builder.push_resource(resource_type, id, false), Err(PopulationError::MalformedMember));
        }
        assert_eq!(builder.push("Device/a"), Err(PopulationError::MalformedId));
        let block = builder.seal();
        let population = Population::load(&block).unwrap();
        let found = |resource_type, id| population.find_resource(resource_type, id).map(|listed| listed.is_new);
        assert_eq!(found("Device", "a"), Some(true));
        assert_eq!(found("Practitioner", "b"), Some(false));
        assert_eq!([found("Practitioner", "a"), found("Device", "b"), found("", "a")], [None; 3]);
        assert!(population.contains("a") && !population.contains("b") && population.has_resources());
        assert!(!population.contains("Device/a"));
        let patients = population.narrowed(["a", "b", "Device/a"]).unwrap();
        let patients = Population::load(&patients).unwrap();
        assert!(patients.len() == 1 && patients.contains("a") && !patients.has_resources());
    }

    #[test]
    fn narrowing_adds_nobody() {
        let block = block(["a", "b", "c"].map(String::from));
        let both = Population::load(&block).unwrap().narrowed(["c", "d", "a/b", "a", "c"]).unwrap();
        let both = Population::load(&both).unwrap();
        assert!(both.len() == 2 && both.contains("a") && both.contains("c"));
        let nobody = Population::load(&block).unwrap().narrowed([]).unwrap();
        assert!(Population::load(&nobody).unwrap().is_empty());
    }

    #[test]
    fn every_size_is_exact() {
        for size in 0..70 {
            let block = block((0..size).map(|i| format!("{i}-{}", "x".repeat(i % 62))));
            let population = Population::load(&block).unwrap();
            assert_eq!((population.len(), population.has_new()), (size, false));
            let mut builder = PopulationBuilder::default();
            for i in 0..size {
                let id = format!("{i}-{}", "x".repeat(i % 62));
                if i % 3 == 0 { builder.push_new(&id).unwrap() } else { builder.push(&id).unwrap() }
            }
            let with_new = builder.seal();
            let with_new = Population::load(&with_new).unwrap();
            for i in 0..70 {
                let id = format!("{i}-{}", "x".repeat(i % 62));
                assert_eq!(population.contains(&id), i < size, "{i} of {size}");
                assert_eq!(with_new.find(&id), (i < size).then_some(Listed { is_new: i % 3 == 0 }), "{i} of {size}");
            }
        }
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
        ["a", "b", "c"].iter().try_for_each(|id| builder.push(id)).unwrap();
        builder.push_new("ab").unwrap();
        builder.push_resource("Device", "c", false).unwrap();
        let whole = builder.seal();
        for cut in 0..whole.len() {
            assert!(Population::load(&whole[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = whole.clone();
        longer.push(b'd');
        assert!(Population::load(&longer).is_err());
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                assert!(Population::load(&damaged).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert_eq!(PopulationBuilder::default().push("a/b"), Err(PopulationError::MalformedId));
    }

    #[test]
    fn a_block_may_lie_anywhere_and_is_small() {
        let ids = 10_000;
        let block = block((0..ids).map(|i| format!("{i:036}")));
        assert!(block.len() <= ids * (36 + 4 + 12) + 32, "{}", block.len());
        let mut moved = vec![0; 1];
        moved.extend_from_slice(&block);
        assert!(Population::load(&moved[1..]).unwrap().contains(&format!("{:036}", ids - 1)));
    }
}

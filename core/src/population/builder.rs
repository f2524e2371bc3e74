//! Collecting patient ids.

use super::{
    BUCKET_BYTES, MAGIC, NEW, PATIENTS_MAX, PopulationError, WORDS_BYTES, after, bucket_count, first_bucket,
    is_resource, word,
};
use crate::{
    hash::{hash, tag},
    reference::is_id,
};

/// Collects patient ids.
///
/// They lie where they will lie in the block, so that sealing it copies nothing: up to 80 bytes of memory for each
/// patient with an id of 36 characters, growing and the sealed block included.
#[derive(Default)]
pub struct PopulationBuilder {
    /// Room for the head, and the ids.
    block: Vec<u8>,
    /// Where each id ends, in insertion order, counted from the first one.
    ends: Vec<u32>,
    /// See [`Occupant`]; zero is empty. A power of two, at most three quarters full.
    buckets: Vec<u32>,
    /// A bit for each of those who are new, in insertion order; as long as it takes for the last of them.
    new: Vec<u8>,
}

/// Which id stands in a bucket, plus one; above that a few bits of its hash, so that the text of another is rarely
/// touched.
struct Occupant(u32);

/// Where the search for an id ends.
enum Bucket {
    Free(usize),
    /// By the id of that place.
    Taken(usize),
}

impl PopulationBuilder {
    /// Adds one patient. Adding twice is the same as once.
    pub fn push(&mut self, id: &str) -> Result<(), PopulationError> {
        if is_id(id) { self.add(id, false) } else { Err(PopulationError::MalformedId) }
    }

    /// Adds one patient as new: one who came to the group after the instant that [`Wants::Run`] says. Whoever is added in the
    /// other way too was there before, and is not new.
    ///
    /// [`Wants::Run`]: crate::job::Wants::Run
    pub fn push_new(&mut self, id: &str) -> Result<(), PopulationError> {
        if is_id(id) { self.add(id, true) } else { Err(PopulationError::MalformedId) }
    }

    /// Adds a member of a group that is no patient: a resource of one of
    /// [`RESOURCE_MEMBERS`](crate::group::RESOURCE_MEMBERS).
    pub fn push_resource(&mut self, resource_type: &str, id: &str, is_new: bool) -> Result<(), PopulationError> {
        let text = format!("{resource_type}/{id}");
        if is_resource(&text) { self.add(&text, is_new) } else { Err(PopulationError::MalformedMember) }
    }

    /// The block.
    pub fn seal(self) -> Vec<u8> {
        let Self { mut block, ends, buckets, new } = self;
        drop(buckets);
        let (count, buckets) = (ends.len(), bucket_count(ends.len()));
        let new_count: u32 = new.iter().map(|bits| bits.count_ones()).sum();
        block.reserve_exact((count + 1) * 4 + buckets * BUCKET_BYTES + HEAD_BYTES);
        block.resize(block.len().max(HEAD_BYTES), 0);
        let head: Vec<u8> =
            [narrow(count), narrow(buckets), new_count].iter().flat_map(|word| word.to_le_bytes()).collect();
        let head = MAGIC.iter().copied().chain(head);
        block.iter_mut().zip(head).for_each(|(byte, known)| *byte = known);
        let offsets_from = block.len();
        block.extend_from_slice(&0_u32.to_le_bytes());
        ends.iter().for_each(|end| block.extend_from_slice(&end.to_le_bytes()));
        drop(ends);
        let buckets_from = block.len();
        block.resize(buckets_from + buckets * BUCKET_BYTES, 0);
        let (known, buckets) = block.split_at_mut(buckets_from);
        let (text, offsets) = known.split_at_mut(offsets_from);
        file_all(buckets.as_chunks_mut().0, offsets, text.get(HEAD_BYTES..).unwrap_or_default(), &new);
        block.shrink_to_fit();
        block
    }

    fn add(&mut self, id: &str, is_new: bool) -> Result<(), PopulationError> {
        if (self.ends.len() + 1) * 4 > self.buckets.len() * 3 {
            self.grow();
        }
        let hash = hash(id.as_bytes());
        let free = match self.bucket(hash, |place| self.id(place) == Some(id.as_bytes())) {
            Bucket::Free(free) => free,
            Bucket::Taken(place) => {
                if !is_new {
                    self.new.get_mut(place / 8).into_iter().for_each(|bits| *bits &= !(1 << (place % 8)));
                }
                return Ok(());
            }
        };
        let place = self.ends.len();
        if place >= PATIENTS_MAX {
            return Err(PopulationError::TooMany);
        }
        if is_new {
            self.new.resize(place / 8 + 1, 0);
            self.new.last_mut().into_iter().for_each(|bits| *bits |= 1 << (place % 8));
        }
        self.occupy(free, Occupant::new(place, hash));
        self.block.resize(self.block.len().max(HEAD_BYTES), 0);
        self.block.extend_from_slice(id.as_bytes());
        self.ends.push(narrow(self.block.len() - HEAD_BYTES));
        Ok(())
    }

    /// The first empty bucket for a hash, or what is met before it that `is_it`.
    fn bucket(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Bucket {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut bucket = first_place(hash) & mask;
        // INVARIANT: a quarter of the buckets is empty.
        loop {
            let occupant = Occupant(self.buckets.get(bucket).copied().unwrap_or_default());
            match occupant.place() {
                None => return Bucket::Free(bucket),
                Some(place) if occupant.may_have(hash) && is_it(place) => return Bucket::Taken(place),
                Some(_) => bucket = (bucket + 1) & mask,
            }
        }
    }

    fn occupy(&mut self, bucket: usize, occupant: Occupant) {
        self.buckets.get_mut(bucket).into_iter().for_each(|bucket| *bucket = occupant.0);
    }

    fn id(&self, place: usize) -> Option<&[u8]> {
        let offset = |end: u32| usize::try_from(end).ok().map(|end| HEAD_BYTES + end);
        let from = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.block.get(offset(from)?..offset(*self.ends.get(place)?)?)
    }

    fn grow(&mut self) {
        let buckets = (self.buckets.len() * 2).max(BUCKETS_MIN);
        // Given back first: two tables at once would be the most that is ever held.
        self.buckets = Vec::new();
        self.buckets.resize(buckets, 0);
        for place in 0..self.ends.len() {
            let Some(hash) = self.id(place).map(hash) else { continue };
            // No two ids are the same.
            if let Bucket::Free(free) = self.bucket(hash, |_| false) {
                self.occupy(free, Occupant::new(place, hash));
            }
        }
    }
}

impl Occupant {
    fn new(place: usize, hash: u64) -> Self {
        Self(narrow(place + 1) | Self::bits(hash))
    }

    fn place(&self) -> Option<usize> {
        usize::try_from(self.0 & PLACE_MASK).ok()?.checked_sub(1)
    }

    fn may_have(&self, hash: u64) -> bool {
        self.0 & !PLACE_MASK == Self::bits(hash)
    }

    /// Those that say nothing of the bucket.
    fn bits(hash: u64) -> u32 {
        ((hash >> 32) as u32) & !PLACE_MASK
    }
}

/// Fills the empty buckets of a block.
fn file_all(buckets: &mut [[u8; BUCKET_BYTES]], offsets: &[u8], text: &[u8], new: &[u8]) {
    let bucket_count = buckets.len();
    let mut place = 0;
    while let Some((from, to)) = word(offsets, place).zip(word(offsets, place + 1)) {
        let Some(id) = text.get(from..to) else { break };
        let is_new = new.get(place / 8).is_some_and(|bits| bits & 1 << (place % 8) != 0);
        place += 1;
        let hash = hash(id);
        let occupant = narrow(place) | if is_new { NEW } else { 0 };
        let filed = u64::from(tag(hash)) | u64::from(occupant) << 32;
        let mut at = first_bucket(hash, bucket_count);
        while let Some(bucket) = buckets.get_mut(at) {
            if *bucket == [0; BUCKET_BYTES] {
                *bucket = filed.to_le_bytes();
                break;
            }
            at = after(at, bucket_count);
        }
    }
}

fn first_place(hash: u64) -> usize {
    // Truncation is the point.
    hash as usize
}

/// INVARIANT: `push` bounds count and id length, so that all numbers fit 32 bits.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Magic, count, number of buckets, and of those who are new.
const HEAD_BYTES: usize = MAGIC.len() + WORDS_BYTES;

/// The bits of an occupant that say which id it is: enough for `PATIENTS_MAX`.
const PLACE_MASK: u32 = (1 << 26) - 1;
const _: () = assert!(PATIENTS_MAX < PLACE_MASK as usize);

const BUCKETS_MIN: usize = 16;

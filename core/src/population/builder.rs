//! Collecting patient ids.

use super::{BUCKET_BYTES, MAGIC, PATIENTS_MAX, PopulationError, after, bucket_count, first_bucket, word};
use crate::{
    hash::{hash, tag},
    reference::is_id,
};

/// Collects patient ids.
///
/// Takes less than 70 bytes of memory for each patient with an id of 36 characters, growing and the sealed block
/// included: the ids lie in chunks, which never move, and are given back one by one as the block is written.
#[derive(Default)]
pub struct PopulationBuilder {
    /// Ids, each behind its length in one byte; none is cut.
    chunks: Vec<Vec<u8>>,
    /// In which chunk and where in it each id's length stands, in insertion order.
    places: Vec<u32>,
    /// Which id stands in a bucket, plus one; zero if none does. A power of two, at most three quarters full.
    buckets: Vec<u32>,
}

impl PopulationBuilder {
    /// Adds one patient. Adding twice is the same as once.
    pub fn push(&mut self, id: &str) -> Result<(), PopulationError> {
        if !is_id(id) {
            return Err(PopulationError::MalformedId);
        }
        if (self.places.len() + 1) * 4 > self.buckets.len() * 3 {
            self.grow();
        }
        let Some(free) = self.free_bucket(id.as_bytes()) else { return Ok(()) };
        if self.places.len() >= PATIENTS_MAX {
            return Err(PopulationError::TooMany);
        }
        self.append(id.as_bytes());
        let occupant = narrow(self.places.len());
        self.buckets.get_mut(free).into_iter().for_each(|bucket| *bucket = occupant);
        Ok(())
    }

    /// The block.
    pub fn seal(self) -> Vec<u8> {
        let Self { chunks, places, buckets } = self;
        let (count, bucket_count) = (places.len(), bucket_count(places.len()));
        drop((places, buckets));
        let text_bytes = chunks.iter().map(Vec::len).sum::<usize>() - count;
        let offsets_from = MAGIC.len() + 8;
        let buckets_from = offsets_from + (count + 1) * 4;
        let text_from = buckets_from + bucket_count * BUCKET_BYTES;

        let mut block = Vec::with_capacity(text_from + text_bytes);
        block.extend_from_slice(MAGIC);
        block.extend_from_slice(&narrow(count).to_le_bytes());
        block.extend_from_slice(&narrow(bucket_count).to_le_bytes());
        block.resize(text_from, 0);
        let mut offset_at = offsets_from;
        for chunk in chunks {
            for id in ids(&chunk) {
                block.extend_from_slice(id);
                let end = narrow(block.len() - text_from).to_le_bytes();
                offset_at += end.len();
                let offset = block.get_mut(offset_at..offset_at + end.len());
                offset.into_iter().for_each(|offset| offset.copy_from_slice(&end));
            }
        }
        let (head, text) = block.split_at_mut(text_from);
        let (head, buckets) = head.split_at_mut(buckets_from);
        let (_, offsets) = head.split_at_mut(offsets_from);
        file_all(buckets.as_chunks_mut().0, offsets, text, count);
        block
    }

    /// The bucket for an id; `None` if the id is there already.
    fn free_bucket(&self, id: &[u8]) -> Option<usize> {
        let mask = self.buckets.len() - 1;
        let mut bucket = first_place(id) & mask;
        loop {
            let occupant = *self.buckets.get(bucket)?;
            let Some(place) = occupant.checked_sub(1) else { return Some(bucket) };
            if self.id(place) == Some(id) {
                return None;
            }
            bucket = (bucket + 1) & mask;
        }
    }

    fn id(&self, place: u32) -> Option<&[u8]> {
        let at = usize::try_from(*self.places.get(usize::try_from(place).ok()?)?).ok()?;
        ids(self.chunks.get(at / CHUNK_BYTES)?.get(at % CHUNK_BYTES..)?).next()
    }

    fn append(&mut self, id: &[u8]) {
        // INVARIANT: `is_id` bounds the length.
        let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
        if self.chunks.last().is_none_or(|chunk| chunk.len() + 1 + id.len() > CHUNK_BYTES) {
            // The first one grows: most populations are small.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK_BYTES };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let chunks_before = self.chunks.len() - 1;
        let Some(chunk) = self.chunks.last_mut() else { return };
        self.places.push(narrow(chunks_before * CHUNK_BYTES + chunk.len()));
        chunk.push(length);
        chunk.extend_from_slice(id);
    }

    fn grow(&mut self) {
        self.buckets = vec![0; (self.buckets.len() * 2).max(BUCKETS_MIN)];
        for place in 0..narrow(self.places.len()) {
            let free = self.id(place).and_then(|id| self.free_bucket(id));
            let bucket = free.and_then(|free| self.buckets.get_mut(free));
            bucket.into_iter().for_each(|bucket| *bucket = place + 1);
        }
    }
}

/// Fills the empty buckets of a block.
fn file_all(buckets: &mut [[u8; BUCKET_BYTES]], offsets: &[u8], text: &[u8], count: usize) {
    let bucket_count = buckets.len();
    for place in 0..count {
        let bounds = word(offsets, place).zip(word(offsets, place + 1));
        let Some(id) = bounds.and_then(|(from, to)| text.get(from..to)) else { continue };
        let hash = hash(id);
        let filed = u64::from(tag(hash)) | u64::from(narrow(place + 1)) << 32;
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

/// The ids of a chunk from one of them on.
fn ids(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = chunk;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first()?;
        let (id, behind) = behind.split_at_checked(usize::from(*length))?;
        rest = behind;
        Some(id)
    })
}

fn first_place(id: &[u8]) -> usize {
    // Truncation is the point.
    hash(id) as usize
}

/// INVARIANT: `push` bounds count and id length, so that all numbers fit 32 bits.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Large enough that the allocator gives each chunk back by itself.
const CHUNK_BYTES: usize = 1 << 20;

const BUCKETS_MIN: usize = 16;

//! Where resources come from.

mod blocks;
mod catalogue;
mod folder;
mod scan;
mod tombstone;
mod value_set;
mod version;

use std::collections::BTreeSet;

use anyhow::Result;
use ehi_core::{
    ResourceType, Timestamp,
    look_up::{Found, LookUp},
    population::Population,
};

pub use folder::Folder;

/// Something that holds FHIR resources.
pub trait Source: Send + Sync {
    /// Looks at the data as they are now.
    fn snapshot(&self) -> Result<Snapshot>;

    /// Whether that patient is there.
    fn has_patient(&self, id: &str) -> Result<bool>;

    /// Those of these patients who are there.
    fn patients_among(&self, ids: &[String]) -> Result<Vec<String>>;

    /// Whether that group is there.
    fn has_group(&self, id: &str) -> Result<bool>;

    /// Whether that practitioner is there.
    fn has_practitioner(&self, id: &str) -> Result<bool>;

    /// The patients of that practitioner now, as a population block.
    fn patients_of(&self, practitioner: &str, now: Timestamp) -> Result<Vec<u8>>;

    /// The patients and other resources that are members of that group now, as a population block; members of member groups
    /// too. Those who came to it after an instant are new.
    fn members(&self, group: &str, now: Timestamp, new_after: Option<Timestamp>) -> Result<Vec<u8>>;

    /// The resources that a look-up asks for, as they are now. Where it asks about access, only those whose ids are among
    /// `accessible`.
    fn look_up(&self, look_up: &LookUp, accessible: &BTreeSet<String>, now: Timestamp) -> Result<Found>;

    /// All codes of the ValueSet of that canonical (`url` or `url|version`) now, each as `system|code`; nothing if there is no
    /// such ValueSet, or more than one, or if its codes are not known.
    fn value_set(&self, canonical: &str, now: Timestamp) -> Result<Option<Vec<String>>>;

    /// Whether any of the data is of one of those types. May say yes where it would take long to tell.
    fn has_any_of(&self, resource_types: &BTreeSet<ResourceType>) -> Result<bool>;

    /// The tombstones of a snapshot, from the beginning or from where a checkpoint says; `docs/architecture.md`
    /// has their form. None where deletions are not kept.
    fn tombstones(
        &self,
        snapshot: &str,
        transaction_time: Timestamp,
        from: Option<(&[u8], u64)>,
    ) -> Result<Box<dyn Blocks>>;

    /// The lines of a snapshot, from the beginning or from where a checkpoint says; of resources with several versions
    /// the newest at the transaction time counts. An error if the data are no longer those of the snapshot.
    fn blocks(
        &self,
        snapshot: &str,
        transaction_time: Timestamp,
        from: Option<(&[u8], u64)>,
    ) -> Result<Box<dyn Blocks>>;

    /// The same lines by patient: first those of none, then those of each patient's compartment, the Patient first, in the
    /// order of ids; of the patients listed only, if there is a list. A line of several patients comes for each.
    fn blocks_by_patient(
        &self,
        snapshot: &str,
        transaction_time: Timestamp,
        listed: Option<Population<'static>>,
        from: Option<(&[u8], u64)>,
    ) -> Result<Box<dyn Blocks>>;
}

/// The data at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Equal for equal data.
    pub id: String,
    /// Later than the last change of nothing that the data lack.
    pub transaction_time: Timestamp,
    /// How many bytes there are, for progress.
    pub bytes: u64,
}

/// Lines, block by block.
pub trait Blocks {
    /// The next block, into a buffer that is cleared first; `None` at the end.
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Block>>;

    /// Says that all blocks were taken; an error if the data changed meanwhile.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Where a block stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The name of the file or table.
    pub name: String,
    /// With the offset, finds the block again.
    pub cursor: Vec<u8>,
    /// Bytes after the cursor.
    pub offset: u64,
    /// The block is one whole line, of which a newer version is exported.
    pub superseded: bool,
    /// With it begins what is of that patient.
    pub begins: Option<String>,
}

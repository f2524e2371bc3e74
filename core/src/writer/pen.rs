//! From a selected resource to the bytes that are written: as it stands, or without what `_elements` leaves out.

use super::{
    WriterError, report,
    shards::{Place, Shards},
};
use crate::{ResourceType, elements::Trimmer, plan::ExportPlan};

/// Writes selected resources.
pub(super) struct Pen {
    /// `None` if all resources stay whole.
    trimmer: Option<Trimmer<'static>>,
    /// The trimmed line, kept for its memory.
    trimmed: Vec<u8>,
}

impl Pen {
    pub(super) fn new(plan: &ExportPlan) -> Result<Self, WriterError> {
        let trimmer = (!plan.elements.is_empty()).then(|| Trimmer::new(&plan.elements, &plan.definitions()));
        let trimmer = trimmer.transpose().map_err(|_| WriterError::Elements)?;
        Ok(Self { trimmer, trimmed: Vec::new() })
    }

    pub(super) fn write(&mut self, resource_type: &ResourceType, line: &[u8], shards: &mut Shards, place: &Place<'_>) {
        let trimmer = self.trimmer.as_ref().filter(|trimmer| !trimmer.is_whole(resource_type.as_str()));
        let Some(trimmer) = trimmer else {
            return shards.resource(resource_type, line, place);
        };
        self.trimmed.clear();
        match trimmer.trim(resource_type.as_str(), line, &mut self.trimmed) {
            Ok(()) => shards.resource(resource_type, &self.trimmed, place),
            // Unvalidated lines may turn out to be none only here.
            Err(problem) => shards.report(&report::malformed(place, problem), place),
        }
    }
}

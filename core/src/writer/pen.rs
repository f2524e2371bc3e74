//! From a selected resource to the bytes that are written: as it stands, or without what `_elements` leaves out; and with
//! Attachments whose URLs can be followed.

use super::{
    WriterError,
    links::Links,
    report,
    shards::{Place, Shards},
};
use crate::{
    ResourceType,
    elements::Trimmer,
    json::LineError,
    plan::{Attachments, ExportPlan},
};

/// Writes selected resources.
pub(super) struct Pen {
    /// `None` if all resources stay whole.
    trimmer: Option<Trimmer<'static>>,
    links: Links,
    /// The trimmed line, kept for its memory.
    trimmed: Vec<u8>,
    /// The same with other URLs.
    linked: Vec<u8>,
}

impl Pen {
    pub(super) fn new(plan: &ExportPlan) -> Result<Self, WriterError> {
        let trimmer = (!plan.elements.is_empty()).then(|| Trimmer::new(&plan.elements, &plan.definitions()));
        let trimmer = trimmer.transpose().map_err(|_| WriterError::Elements)?;
        Ok(Self { trimmer, links: Links::new(plan), trimmed: Vec::new(), linked: Vec::new() })
    }

    /// One for resources whose Attachments lead where they led before: what only accompanies the patients' data is not
    /// searched for Binary resources to serve.
    pub(super) fn of_company(plan: &ExportPlan) -> Result<Self, WriterError> {
        Self::new(&ExportPlan { attachments: Attachments::Link, ..plan.clone() })
    }

    pub(super) fn write(&mut self, resource_type: &ResourceType, line: &[u8], shards: &mut Shards, place: &Place<'_>) {
        let Self { trimmer, links, trimmed, linked } = self;
        match trim(trimmer.as_ref(), resource_type, line, trimmed) {
            Ok(line) => {
                linked.clear();
                let is_changed = links.rewrite(resource_type.as_str(), line, linked);
                shards.resource(resource_type, if is_changed { linked } else { line }, place);
            }
            // Unvalidated lines may turn out to be none only here.
            Err(problem) => shards.report(&report::malformed(place, problem), place),
        }
    }

    /// The ids of the Binary resources to which the Attachments of what would be written lead, where they are served.
    pub(super) fn look_for_binaries(&mut self, resource_type: &ResourceType, line: &[u8], found: impl FnMut(&str)) {
        let Self { trimmer, links, trimmed, .. } = self;
        if let Ok(line) = trim(trimmer.as_ref(), resource_type, line, trimmed) {
            links.binaries(resource_type.as_str(), line, found);
        }
    }
}

/// A line without what was not asked for.
fn trim<'l>(
    trimmer: Option<&Trimmer<'_>>,
    resource_type: &ResourceType,
    line: &'l [u8],
    trimmed: &'l mut Vec<u8>,
) -> Result<&'l [u8], LineError> {
    let Some(trimmer) = trimmer.filter(|trimmer| !trimmer.is_whole(resource_type.as_str())) else { return Ok(line) };
    trimmed.clear();
    trimmer.trim(resource_type.as_str(), line, trimmed)?;
    Ok(trimmed)
}

//! What a writer may use, and how files are cut.

use serde::{Deserialize, Serialize};

use super::WriterError;
use crate::plan::{ExportPlan, FileSizes, Organize};

/// What a writer may use, and how files are cut. Memory is at most `queueBytesMax`, two lines, and twice `appendBytes`
/// for each resource type that occurs and for eight more appends, whose memory is used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WriterLimits {
    /// Resources in one file. Where output is organised a block is not split unless it has more by itself, so a file may
    /// hold up to twice as many; the same goes for its bytes.
    pub shard_resources_max: u64,
    /// Bytes in one file, unless a single resource is larger. A client may ask for less; and that a file is not closed for
    /// the number of its resources, or after `openSpanBytesMax`, before it has some size.
    pub shard_bytes_max: u64,
    /// Bytes in one line; a longer one is reported.
    pub line_bytes_max: usize,
    /// Bytes of output that wait to be polled.
    pub queue_bytes_max: usize,
    /// Bytes of one append.
    pub append_bytes: usize,
    /// Bytes of input for which a file may stay open: what is read again after a crash is at most this and the lines of
    /// one file of each type.
    pub open_span_bytes_max: u64,
    /// What is checked of lines before their resources are exported.
    pub validate: Validation,
    /// How resources are dealt into files.
    pub layout: Layout,
    /// Whether each file's SHA-256 is taken here; if not, take it elsewhere with a [`Digester`](super::Digester).
    pub digest: bool,
    /// Whether files but attachments are put out as gzip. Takes some 300 KiB of memory for each open file besides. What is
    /// appended then has another digest than the file, so take that here or not at all.
    pub gzip: bool,
}

/// What is checked of lines before their resources are exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// Whatever is exported has been checked as a whole: UTF-8, JSON, no repeated name among the root elements that the
    /// selection looked at. A line that is not selected is read no further than to where that is certain, so what is
    /// wrong with it may go unreported.
    #[default]
    StrictOutput,
    /// Every line is checked as a whole before it is judged.
    StrictAll,
    /// Lines are taken to be valid. The first of a repeated name counts. What breaks the walk is reported all the same.
    Trust,
}

/// How resources are dealt into files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Each file holds one resource type, as a manifest requires.
    #[default]
    ByType,
    /// All types go through the same files, in the order of the input: for a stream.
    Together,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self {
            // What clients load at once without trouble; servers in the field use 10,000 to 1,000,000.
            shard_resources_max: 100_000,
            shard_bytes_max: 256 << 20,
            // Inline attachments reach some MiB; an imaging study in one line is a mistake to report.
            line_bytes_max: 16 << 20,
            queue_bytes_max: 1 << 20,
            append_bytes: 64 << 10,
            open_span_bytes_max: 1 << 30,
            validate: Validation::default(),
            layout: Layout::default(),
            digest: true,
            gzip: false,
        }
    }
}

/// When a file is closed: as the limits say, within what the client asked for (BD4-08).
#[derive(Clone, Copy)]
pub(super) struct Cuts {
    resources_max: u64,
    bytes_max: u64,
    bytes_min: u64,
    span_max: u64,
}

impl Cuts {
    pub(super) fn new(limits: &WriterLimits, plan: &ExportPlan) -> Self {
        let FileSizes { min, max } = plan.file_sizes;
        let (min, max) = (min.map_or(0, u64::from), max.map(u64::from));
        // A block that is begun is not split, so that a file may come to twice of what it is cut at.
        let asked = max.map(|max| if plan.organize == Organize::ByPatient { (max / 2).max(1) } else { max });
        let bytes_max = asked.map_or(limits.shard_bytes_max, |asked| asked.min(limits.shard_bytes_max));
        Self {
            resources_max: limits.shard_resources_max,
            bytes_max,
            bytes_min: min.min(bytes_max),
            span_max: limits.open_span_bytes_max,
        }
    }

    /// Whether a file of so many resources and bytes takes no other of that length.
    pub(super) fn is_full(&self, count: u64, bytes: u64, length: u64) -> bool {
        count >= self.resources_max && bytes >= self.bytes_min || bytes.saturating_add(length) > self.bytes_max
    }

    /// Whether a file of so many bytes has been open for too long.
    pub(super) fn is_overdue(&self, bytes: u64, opened: u64, taken: u64) -> bool {
        bytes >= self.bytes_min && taken.saturating_sub(opened) > self.span_max
    }
}

impl WriterLimits {
    pub(super) fn check(self) -> Result<Self, WriterError> {
        let positive = self.shard_resources_max > 0
            && self.shard_bytes_max > 0
            && self.line_bytes_max > 0
            && self.queue_bytes_max > 0
            && self.append_bytes > 0
            && self.open_span_bytes_max > 0;
        if positive { Ok(self) } else { Err(WriterError::Limits) }
    }
}

//! The writer, with sources that are cut and runs that are lost.
//!
//! Eleven bytes come first: which of the exports, of their passes and of the ways to validate; resources and bytes of a file,
//! bytes of the queue, of an append and of the span that a file may stay open; three sizes to which blocks are cut. Then
//! come the sources, each a part. Where output is organised, each is the block of a patient: `p0`, `p1`, …

mod exports;
mod run;

use std::collections::{BTreeMap, BTreeSet};

use ehi_core::{
    manifest::Section,
    pass::Pass,
    writer::{Checkpoint, Layout, Validation, WriterLimits},
};

use crate::input::{Input, parts};
use exports::{Export, exports};
use run::{Closed, Feed, Made};

/// The cut of the input changes nothing; a run that is lost goes on from any checkpoint and makes the same files; limits
/// hold; what is written was read, and what was read is written or reported.
pub fn writer(data: &[u8]) {
    let mut input = Input::new(data);
    let [what, pass, validation] = [input.byte(), input.byte(), input.byte()];
    let limits = limits(validation, [input.byte(), input.byte(), input.byte(), input.byte(), input.byte()]);
    let sizes = [input.byte(), input.byte(), input.byte()].map(|size| usize::from(size) * 2 + 1);
    if input.rest().len() > INPUT_BYTES_MAX {
        return;
    }
    let sources = parts(input.rest());
    let export = &exports()[usize::from(what) % exports().len()];
    let passes = export.plan.passes();
    let pass = passes[usize::from(pass) % passes.len()];
    let feed = Feed::new(export, pass, &sources, &limits);
    let whole = feed.run(None, &[1 << 20], usize::MAX);
    hold_limits(&whole, &limits, export);
    let cut = feed.run(None, &sizes, usize::MAX);
    assert_eq!(cut.counts, whole.counts, "the cut decides");
    assert_eq!(files(&cut.closed), files(&whole.closed), "the cut decides");
    for lost_after in [1, whole.closed.len() / 2, whole.closed.len()] {
        resume(&feed, &sizes, &whole.closed, lost_after);
    }
    if pass == Pass::Main {
        if export.is_verbatim {
            whole.closed.iter().for_each(|closed| is_of_input(closed, &sources, export));
        }
        if export.is_complete {
            let lines = sources.iter().flat_map(|source| source.split(|byte| *byte == b'\n'));
            let filled = lines.filter(|line| !is_blank(line)).count();
            assert_eq!(whole.counts.written, filled as u64, "each line is exported or reported, once");
        }
    }
}

fn limits(validation: u8, sizes: [u8; 5]) -> WriterLimits {
    let [resources, bytes, queue, append, span] = sizes.map(usize::from);
    WriterLimits {
        shard_resources_max: resources as u64 % 12 + 1,
        shard_bytes_max: bytes as u64 * 8 + 100,
        line_bytes_max: LINE_BYTES_MAX,
        queue_bytes_max: queue * 8 + 1,
        append_bytes: append * 2 + 1,
        open_span_bytes_max: span as u64 * 32 + 100,
        validate: [Validation::StrictOutput, Validation::StrictAll, Validation::Trust][usize::from(validation) % 3],
        layout: [Layout::ByType, Layout::Together][usize::from(validation) / 3 % 2],
        digest: validation.is_multiple_of(2),
        // Seldom: it is slow.
        gzip: validation % 16 == 15,
    }
}

/// A run is lost after so many files, and once more after the first file that follows.
fn resume(feed: &Feed<'_>, sizes: &[usize], expected: &[Closed], lost_after: usize) {
    let mut made: Vec<Closed> = Vec::new();
    for stop_after in [lost_after, 1, usize::MAX] {
        let from = made.last().map(|closed| stored(&closed.checkpoint));
        made.extend(feed.run(from.as_ref(), sizes, stop_after).closed);
    }
    assert_eq!(made.len(), expected.len(), "files after a loss behind file {lost_after}");
    assert_eq!(files(&made), files(expected), "after a loss behind file {lost_after}");
}

/// A checkpoint survives being stored.
fn stored(checkpoint: &Checkpoint) -> Checkpoint {
    let text = serde_json::to_string(checkpoint).expect("a checkpoint can be written");
    let again = serde_json::from_str(&text).expect("and read");
    assert_eq!(&again, checkpoint);
    again
}

/// Name to all else that is said of a file and in it.
fn files(closed: &[Closed]) -> BTreeMap<&str, &run::File> {
    closed.iter().map(|closed| (closed.name.as_str(), &closed.file)).collect()
}

fn hold_limits(made: &Made, limits: &WriterLimits, export: &Export) {
    // An attachment has the name of its Binary, and of one that stands there twice the embedder says which is superseded.
    let named = || made.closed.iter().filter(|closed| closed.file.section != Section::Attachment);
    let names: BTreeSet<_> = named().map(|closed| &closed.name).collect();
    assert_eq!(names.len(), named().count(), "each name is given once");
    for Closed { file, .. } in &made.closed {
        // A block is split only if it is too large by itself, and an attachment is one thing.
        if export.is_organized || file.section == Section::Attachment {
            continue;
        }
        assert!(file.count > 0 && file.count <= limits.shard_resources_max);
        assert!(file.bytes.len() as u64 <= limits.shard_bytes_max || file.count == 1);
    }
}

/// Byte for byte, but for what makes the URL of an attachment absolute.
fn is_of_input(closed: &Closed, sources: &[&[u8]], export: &Export) {
    if closed.file.section != Section::Output {
        return;
    }
    let lines: BTreeSet<_> =
        sources.iter().flat_map(|source| source.split(|byte| *byte == b'\n')).map(without_frame).collect();
    for written in closed.file.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let is_header = export.is_organized && written.starts_with(br#"{"parameter":[{"name":"header""#);
        let is_copy = is_header || lines.contains(written) || lines.iter().any(|line| is_made_of(written, line));
        assert!(is_copy, "a line that was not read: {}", String::from_utf8_lossy(written));
    }
}

/// Whether a line is another with no more than a base put before what stands in quotes.
fn is_made_of(written: &[u8], line: &[u8]) -> bool {
    let mut reached = BTreeSet::from([0]);
    for (at, byte) in line.iter().enumerate() {
        let is_begin = at > 0 && line[at - 1] == b'"';
        let put: &[&str] = if is_begin { &["", "https:", ORIGIN, BELOW] } else { &[""] };
        let step = |from: &usize| {
            let rest = &written[*from..];
            let behind = put.iter().filter(|put| rest.starts_with(put.as_bytes())).map(|put| from + put.len());
            behind.filter(|behind| written.get(*behind) == Some(byte)).map(|behind| behind + 1).collect::<Vec<_>>()
        };
        reached = reached.iter().flat_map(step).collect();
        if reached.is_empty() {
            return false;
        }
    }
    reached.contains(&written.len())
}

/// Without what may stand around a resource.
fn without_frame(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}

fn is_blank(line: &[u8]) -> bool {
    line.len() <= LINE_BYTES_MAX && without_frame(line).is_empty()
}

/// Several lines of some size, fed eight times over.
const INPUT_BYTES_MAX: usize = 8 << 10;
const LINE_BYTES_MAX: usize = 1_000;

const ORIGIN: &str = "https://ehr.example";
const BELOW: &str = "https://ehr.example/fhir/";

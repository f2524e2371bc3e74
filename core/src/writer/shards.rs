//! Files being written: cut by resources and by bytes, and checkpointed when one is closed.

use std::{collections::VecDeque, sync::Arc};

use super::{Checkpoint, Digester, KindProgress, Layout, Output, Resume, WriterLimits, gzip::Gzip, limits::Cuts};
use crate::{Definitions, ResourceType, manifest::Section, outcome::OperationOutcome};

/// Where a line begins.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) cursor: &'p [u8],
    pub(super) offset: u64,
    pub(super) source: &'p str,
    /// From 1; 0 before the first line of all.
    pub(super) line: u64,
}

impl Place<'static> {
    /// Before the first line of all.
    pub(super) fn start() -> Self {
        Self { cursor: &[], offset: 0, source: "", line: 0 }
    }
}

impl Place<'_> {
    fn resume(&self) -> Resume {
        if self.line == 0 {
            return Resume::Start;
        }
        Resume::At {
            cursor: self.cursor.to_vec(),
            offset: self.offset,
            source: self.source.to_owned(),
            line: self.line,
        }
    }
}

/// Files of one kind follow each other. Without a type they hold several.
type Kind = (Section, Option<ResourceType>);

pub(super) struct Shards {
    partition: u32,
    limits: WriterLimits,
    cuts: Cuts,
    /// By number, the kinds that have occurred or that the checkpoint we started from names.
    shelves: Vec<Shelf>,
    /// The number of the kind of the last record: the next is often of the same.
    recent: usize,
    /// Bytes of input before the present line.
    taken: u64,
    /// The present line, counted from where this writer began; 0 before the first. The lines of a block count as one, for
    /// a block is given again from its beginning.
    line: u64,
    /// `taken` when the oldest open file was opened.
    oldest: Option<u64>,
    files: u32,
    queue: VecDeque<Queued>,
    /// What a collecting pass found and has not handed out.
    found: Vec<u8>,
    /// Where output is organised, the present block.
    block: Option<Block>,
    /// How many blocks were begun.
    blocks: u64,
    queued_bytes: usize,
    /// What the caller is looking at.
    shown: Option<Queued>,
    /// Memory of what was polled, for what comes next.
    spare: Vec<Vec<u8>>,
    written: u64,
    passed_over: u64,
}

struct Block {
    number: u64,
    /// With its line end.
    header: Arc<[u8]>,
    /// Where its first line begins, once that has come.
    begins: Option<Resume>,
}

/// The files of one kind.
struct Shelf {
    kind: Kind,
    state: KindState,
    open: Option<OpenFile>,
}

/// Records of one kind, and what the checkpoint we started from says of it.
#[derive(Clone, Copy, Default)]
struct KindState {
    /// Records of this kind seen by this writer.
    seen: u64,
    /// How many of the first of them an earlier writer published.
    published_before: u64,
    /// The number of the next file.
    next: u32,
    /// The last line that had a record of this kind, and how many were seen before it.
    last_line: u64,
    seen_before: u64,
}

impl KindState {
    /// Records seen before that line began: one line may give records of two kinds, and both come again with it.
    fn seen_before(&self, line: u64) -> u64 {
        if self.last_line == line { self.seen_before } else { self.seen }
    }
}

struct OpenFile {
    file: u32,
    buffer: Vec<u8>,
    count: u64,
    bytes: u64,
    digester: Option<Digester>,
    gzip: Option<Gzip>,
    /// Where its first line begins.
    resume: Resume,
    taken: u64,
    /// Records seen before that line of every kind that had occurred, by number.
    seen: Vec<u64>,
    /// The block of the last record, and how much of it is in this file.
    part: Part,
}

/// As much of a block as is in one file.
#[derive(Clone, Copy, Default)]
struct Part {
    /// The number of the block; 0 where output is not organised.
    block: u64,
    count: u64,
    bytes: u64,
}

/// Whether a record goes into the open file of its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Fits,
    Full,
    /// The block alone is larger than a file may be.
    FullOfOneBlock,
}

enum Queued {
    Open {
        file: u32,
        kind: Kind,
        name: String,
        content_type: Option<String>,
    },
    Append {
        file: u32,
        bytes: Vec<u8>,
    },
    Found {
        bytes: Vec<u8>,
    },
    Close {
        file: u32,
        count: u64,
        bytes: u64,
        gzip_bytes: Option<u64>,
        sha256: Option<String>,
        continues_in_file: Option<String>,
        checkpoint: Checkpoint,
    },
}

impl Shards {
    pub(super) fn new(partition: u32, from: Option<&Checkpoint>, limits: WriterLimits, cuts: Cuts) -> Self {
        let progress = from.map(|checkpoint| checkpoint.kinds.as_slice()).unwrap_or_default();
        let state = |kind: &KindProgress| {
            let state = KindState { published_before: kind.published, next: kind.next, ..KindState::default() };
            Shelf { kind: (kind.section, kind.resource_type.clone()), state, open: None }
        };
        Self {
            partition,
            limits,
            cuts,
            shelves: progress.iter().map(state).collect(),
            recent: 0,
            taken: 0,
            line: 0,
            oldest: None,
            files: 0,
            queue: VecDeque::new(),
            found: Vec::new(),
            block: None,
            blocks: 0,
            queued_bytes: 0,
            shown: None,
            spare: Vec::new(),
            written: 0,
            passed_over: 0,
        }
    }

    /// Notes that a line was taken.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes as u64);
        self.line += u64::from(self.block.is_none());
    }

    /// Begins a block: before its first resource in a file stands the header (BD-ORG-07).
    pub(super) fn begin_block(&mut self, header: &str) {
        self.blocks += 1;
        self.block =
            Some(Block { number: self.blocks, header: format!("{header}\n").into_bytes().into(), begins: None });
    }

    pub(super) fn must_drain(&self) -> bool {
        self.queued_bytes >= self.limits.queue_bytes_max
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.written, self.passed_over)
    }

    /// Writes a resource, byte for byte.
    pub(super) fn resource(&mut self, resource_type: &ResourceType, text: &[u8], place: &Place<'_>) {
        let by_type = self.limits.layout == Layout::ByType && self.block.is_none();
        self.record(Section::Output, by_type.then_some(resource_type), text, place);
    }

    /// Writes a Bundle of a deletion.
    pub(super) fn deletion(&mut self, bundle: &str, place: &Place<'_>) {
        let resource_type = Definitions::R4.resource_type("Bundle");
        self.record(Section::Deleted, resource_type.as_ref(), bundle.as_bytes(), place);
    }

    /// Writes the content of an attachment to a file of its own, which is closed at once.
    pub(super) fn attachment(&mut self, name: String, content_type: Option<String>, content: &[u8], place: &Place<'_>) {
        let kind: Kind = (Section::Attachment, None);
        let number = self.number(kind.0, None);
        if self.is_published(number) {
            return;
        }
        let file = self.files;
        self.files += 1;
        self.queue.push_back(Queued::Open { file, kind, name, content_type });
        let mut digester = self.limits.digest.then(Digester::default);
        for part in content.chunks(self.limits.append_bytes) {
            digester.iter_mut().for_each(|digester| digester.update(part));
            self.queued_bytes += part.len();
            self.queue.push_back(Queued::Append { file, bytes: part.to_vec() });
        }
        self.written += 1;
        self.see(number);
        // The line comes again after this checkpoint, and is then passed over.
        let checkpoint = self.checkpoint(place);
        let (bytes, sha256) = (content.len() as u64, digester.map(Digester::finish));
        self.queue.push_back(Queued::Close {
            file,
            count: 0,
            bytes,
            gzip_bytes: None,
            sha256,
            continues_in_file: None,
            checkpoint,
        });
    }

    /// Hands out what a collecting pass found: one text.
    pub(super) fn found(&mut self, text: &str) {
        self.found.extend_from_slice(text.as_bytes());
        self.found.push(b'\n');
        self.written += 1;
        if self.found.len() >= self.limits.append_bytes {
            self.flush_found();
        }
    }

    /// Writes an outcome to an error file.
    pub(super) fn report(&mut self, outcome: &OperationOutcome, place: &Place<'_>) {
        let resource_type = Definitions::R4.resource_type("OperationOutcome");
        self.record(Section::Error, resource_type.as_ref(), outcome.to_json().as_bytes(), place);
    }

    /// Closes files that were opened too many bytes of input ago, but not within a block. Depends on the input alone, so
    /// that a resumed run cuts at the same lines.
    pub(super) fn begin_line(&mut self, place: &Place<'_>) {
        if let Some(block) = &mut self.block {
            if block.begins.is_some() {
                return;
            }
            block.begins = Some(place.resume());
            self.line += 1;
        }
        let (cuts, taken) = (self.cuts, self.taken);
        // None has been open for longer than the oldest, whatever its size.
        if self.oldest.is_some_and(|opened| cuts.is_overdue(u64::MAX, opened, taken)) {
            self.close_those(place, |open| cuts.is_overdue(open.bytes, open.taken, taken));
        }
    }

    pub(super) fn close_all(&mut self, place: &Place<'_>) {
        self.block = None;
        self.close_those(place, |_| true);
        self.flush_found();
    }

    pub(super) fn poll(&mut self) -> Option<Output<'_>> {
        if let Some(Queued::Append { bytes, .. }) = std::mem::replace(&mut self.shown, self.queue.pop_front()) {
            self.spare(bytes);
        }
        Some(match self.shown.as_ref()? {
            Queued::Open { file, kind: (section, resource_type), name, content_type } => Output::Open {
                file: *file,
                section: *section,
                resource_type: resource_type.as_ref(),
                name,
                content_type: content_type.as_deref(),
            },
            Queued::Append { file, bytes } => {
                self.queued_bytes -= bytes.len();
                Output::Append { file: *file, bytes }
            }
            Queued::Found { bytes } => {
                self.queued_bytes -= bytes.len();
                Output::Found { bytes }
            }
            Queued::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint } => Output::Close {
                file: *file,
                count: *count,
                bytes: *bytes,
                gzip_bytes: *gzip_bytes,
                sha256: sha256.as_deref(),
                continues_in_file: continues_in_file.as_deref(),
                checkpoint,
            },
        })
    }

    fn flush_found(&mut self) {
        let bytes = std::mem::take(&mut self.found);
        if !bytes.is_empty() {
            self.queued_bytes += bytes.len();
            self.queue.push_back(Queued::Found { bytes });
        }
    }

    fn record(&mut self, section: Section, resource_type: Option<&ResourceType>, text: &[u8], place: &Place<'_>) {
        let number = self.number(section, resource_type);
        if self.is_published(number) {
            return;
        }
        let length = text.len() as u64 + 1;
        // What is reported of a block's lines is no part of it.
        let block = self.block.as_ref().filter(|_| section == Section::Output);
        let (block, header) = block.map_or((0, None), |block| (block.number, Some(Arc::clone(&block.header))));
        let header = header.as_deref().unwrap_or_default();
        let open = self.shelves.get(number).and_then(|shelf| shelf.open.as_ref());
        match open.map(|open| open.fit(block, header.len() as u64, length, &self.cuts)) {
            Some(Fit::Fits) => {}
            Some(Fit::Full) => self.replace_file(number, place, false),
            Some(Fit::FullOfOneBlock) => self.replace_file(number, place, true),
            None => self.open_file(number, place),
        }
        if let Some(open) = self.shelves.get_mut(number).and_then(|shelf| shelf.open.as_mut()) {
            if open.part.block != block {
                open.part = Part { block, count: 0, bytes: header.len() as u64 };
                open.bytes += header.len() as u64;
                open.buffer.extend_from_slice(header);
            }
            open.buffer.extend_from_slice(text);
            open.buffer.push(b'\n');
            open.count += 1;
            open.bytes += length;
            open.part.count += 1;
            open.part.bytes += length;
            if open.buffer.len() >= self.limits.append_bytes {
                let empty = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(self.limits.append_bytes));
                let bytes = std::mem::replace(&mut open.buffer, empty);
                let (file, bytes) = (open.file, open.pack(bytes));
                self.append(file, bytes);
            }
        }
        self.written += 1;
        self.see(number);
    }

    /// The number of a kind, perhaps a new one.
    fn number(&mut self, section: Section, resource_type: Option<&ResourceType>) -> usize {
        let is_it = |shelf: &Shelf| shelf.kind.0 == section && shelf.kind.1.as_ref() == resource_type;
        if !self.shelves.get(self.recent).is_some_and(is_it) {
            self.recent = self.shelves.iter().position(is_it).unwrap_or(self.shelves.len());
        }
        if self.recent == self.shelves.len() {
            let state = KindState { next: 1, ..KindState::default() };
            self.shelves.push(Shelf { kind: (section, resource_type.cloned()), state, open: None });
        }
        self.recent
    }

    /// Whether an earlier writer published the record of that kind that comes now, which is passed over then.
    fn is_published(&mut self, number: usize) -> bool {
        let is_published =
            self.shelves.get(number).is_some_and(|shelf| shelf.state.seen < shelf.state.published_before);
        if is_published {
            self.see(number);
            self.passed_over += 1;
        }
        is_published
    }

    fn see(&mut self, number: usize) {
        if let Some(Shelf { state, .. }) = self.shelves.get_mut(number) {
            (state.seen_before, state.last_line) = (state.seen_before(self.line), self.line);
            state.seen += 1;
        }
    }

    fn append(&mut self, file: u32, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.queued_bytes += bytes.len();
            self.queue.push_back(Queued::Append { file, bytes });
        }
    }

    /// Keeps the memory of what was polled, within bounds.
    fn spare(&mut self, mut bytes: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && bytes.capacity() / 2 <= self.limits.append_bytes {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    fn replace_file(&mut self, number: usize, place: &Place<'_>, within_block: bool) {
        self.close(number, place, within_block);
        self.open_file(number, place);
    }

    fn open_file(&mut self, number: usize, place: &Place<'_>) {
        let (resume, seen) = (self.resume(place), self.seen_before_line());
        let Some(Shelf { kind, state, open }) = self.shelves.get_mut(number) else { return };
        let file = self.files;
        self.files += 1;
        let name = file_name(kind, self.partition, state.next);
        state.next += 1;
        self.queue.push_back(Queued::Open { file, kind: kind.clone(), name, content_type: None });
        *open = Some(OpenFile {
            file,
            buffer: Vec::new(),
            count: 0,
            bytes: 0,
            digester: self.limits.digest.then(Digester::default),
            gzip: self.limits.gzip.then(Gzip::new),
            resume,
            taken: self.taken,
            seen,
            part: Part::default(),
        });
        self.oldest = self.oldest.or(Some(self.taken));
    }

    /// Closes those open files, in the order of their kinds.
    fn close_those(&mut self, place: &Place<'_>, is_one: impl Fn(&OpenFile) -> bool) {
        let shelves = self.shelves.iter().enumerate();
        let is_one = |shelf: &Shelf| shelf.open.as_ref().is_some_and(&is_one);
        let mut those: Vec<_> = shelves.filter(|(_, shelf)| is_one(shelf)).map(|(n, shelf)| (&shelf.kind, n)).collect();
        those.sort_unstable();
        let numbers: Vec<usize> = those.into_iter().map(|(_, number)| number).collect();
        numbers.into_iter().for_each(|number| self.close(number, place, false));
    }

    fn close(&mut self, number: usize, place: &Place<'_>, within_block: bool) {
        let Some(mut open) = self.shelves.get_mut(number).and_then(|shelf| shelf.open.take()) else { return };
        let rest = std::mem::take(&mut open.buffer);
        let rest = open.pack(rest);
        self.append(open.file, rest);
        let gzip_bytes = open.gzip.take().map(|gzip| {
            let (rest, length) = gzip.finish();
            self.append(open.file, rest);
            length
        });
        self.oldest = self.open_files().map(|open| open.taken).min();
        let checkpoint = self.checkpoint(place);
        let OpenFile { file, count, bytes, digester, .. } = open;
        // What did not fit comes next, in the next file of the kind.
        let next = self.shelves.get(number).filter(|_| within_block);
        let continues_in_file = next.map(|shelf| file_name(&shelf.kind, self.partition, shelf.state.next));
        let sha256 = digester.map(Digester::finish);
        self.queue.push_back(Queued::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint });
    }

    /// Where to go on for the sake of what stands at a place: a block is given from its beginning.
    fn resume(&self, place: &Place<'_>) -> Resume {
        let block = self.block.as_ref().and_then(|block| block.begins.clone());
        block.unwrap_or_else(|| place.resume())
    }

    fn open_files(&self) -> impl Iterator<Item = &OpenFile> {
        self.shelves.iter().filter_map(|shelf| shelf.open.as_ref())
    }

    fn seen_before_line(&self) -> Vec<u64> {
        self.shelves.iter().map(|shelf| shelf.state.seen_before(self.line)).collect()
    }

    /// Where to go on when everything closed so far is published; `place` is the line that comes next.
    fn checkpoint(&self, place: &Place<'_>) -> Checkpoint {
        // Of files opened at the same byte of input, the one whose numbers are smallest was opened first.
        let oldest = self.open_files().min_by_key(|open| open.file);
        let resume = oldest.map_or_else(|| self.resume(place), |open| open.resume.clone());
        let seen_there = match (&resume, oldest) {
            // What comes before the first line, comes again.
            (Resume::Start, _) => Vec::new(),
            (Resume::At { .. }, Some(oldest)) => oldest.seen.clone(),
            (Resume::At { .. }, None) => self.seen_before_line(),
        };
        let kinds = self.shelves.iter().enumerate().map(|(number, Shelf { kind, state, open })| {
            let in_open_file = open.as_ref().map_or(0, |open| open.count);
            let published = (state.seen - in_open_file).max(state.published_before);
            // INVARIANT: no file of this kind was open when the oldest was opened, or it would be older; so all that was
            // seen then is published now.
            let seen_there = seen_there.get(number).copied().unwrap_or(0);
            let opened = u32::from(in_open_file > 0);
            KindProgress {
                section: kind.0,
                resource_type: kind.1.clone(),
                published: published.saturating_sub(seen_there),
                next: state.next - opened,
            }
        });
        let mut kinds: Vec<KindProgress> = kinds.collect();
        kinds.sort_unstable_by(|one, other| {
            (one.section, &one.resource_type).cmp(&(other.section, &other.resource_type))
        });
        Checkpoint { resume, kinds }
    }
}

impl OpenFile {
    /// A file is rolled before a record that makes it too large; but not within a block, unless that alone is too large.
    fn fit(&self, block: u64, header: u64, length: u64, cuts: &Cuts) -> Fit {
        match self.part {
            part if block == 0 || part.block != block => {
                if cuts.is_full(self.count, self.bytes, header + length) {
                    Fit::Full
                } else {
                    Fit::Fits
                }
            }
            part if cuts.is_full(part.count, part.bytes, length) => Fit::FullOfOneBlock,
            _ => Fit::Fits,
        }
    }

    /// Bytes of the file as they are put out.
    fn pack(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if let Some(digester) = &mut self.digester {
            digester.update(&bytes);
        }
        match &mut self.gzip {
            Some(gzip) => gzip.update(&bytes),
            None => bytes,
        }
    }
}

fn file_name((section, resource_type): &Kind, partition: u32, number: u32) -> String {
    let kind = match section {
        Section::Output => resource_type.as_ref().map_or("resources", ResourceType::as_str),
        Section::Deleted => "deleted",
        Section::Error => "error",
        Section::Attachment => "attachment",
    };
    match partition {
        0 => format!("{kind}-{number:04}.ndjson"),
        partition => format!("{kind}-p{partition}-{number:04}.ndjson"),
    }
}

/// As many appends as a block of input commonly gives.
const SPARE_MAX: usize = 8;

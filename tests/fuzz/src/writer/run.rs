//! The embedder's loop around a writer.

use std::{collections::BTreeMap, io::Read};

use ehi_core::{
    manifest::Section,
    pass::{PartitionTask, Pass, SetWanted},
    population::Population,
    sets::{Set, SetBuilder},
    writer::{Checkpoint, Counts, Digester, Output, Resume, Source, Writer, WriterLimits},
};
use flate2::read::GzDecoder;
use memchr::memchr_iter;

use super::exports::Export;
use crate::deployment::population;

/// What is fed to a writer.
pub(super) struct Feed<'f> {
    export: &'f Export,
    pass: Pass,
    sources: &'f [&'f [u8]],
    limits: &'f WriterLimits,
    population: Option<Vec<u8>>,
    sets: Vec<(SetWanted, Vec<u8>)>,
}

/// A file that was closed, and where to go on behind it.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) name: String,
    pub(super) file: File,
    pub(super) checkpoint: Checkpoint,
}

/// What is said of a file, and what is in it.
#[derive(Debug, PartialEq)]
pub(super) struct File {
    pub(super) section: Section,
    pub(super) resource_type: Option<String>,
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
    sha256: Option<String>,
    continues_in_file: Option<String>,
}

/// What a run made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) closed: Vec<Closed>,
    pub(super) counts: Counts,
    found: Vec<u8>,
}

impl<'f> Feed<'f> {
    /// With the sets that the pass needs, which take passes themselves.
    pub(super) fn new(export: &'f Export, pass: Pass, sources: &'f [&'f [u8]], limits: &'f WriterLimits) -> Self {
        let sets = export.plan.sets(pass).into_iter().map(|wanted| {
            let found = match wanted.task() {
                Some(task) => Self::new(export, task.pass, sources, limits).run(None, &[1 << 20], usize::MAX).found,
                None if wanted == SetWanted::Vetoes => VETOES.to_vec(),
                None => CODES.to_vec(),
            };
            let mut builder = SetBuilder::new(wanted.clone(), 10_000);
            builder.push(&found).expect("what was found makes a set");
            (wanted, builder.seal().expect("what was found makes a set"))
        });
        let sets = sets.collect();
        Self { export, pass, sources, limits, population: population(&export.plan.level), sets }
    }

    /// Feeds the sources from where the checkpoint says, in blocks of those sizes, and stops after so many closed files.
    pub(super) fn run(&self, from: Option<&Checkpoint>, sizes: &[usize], stop_after: usize) -> Made {
        let mut writer = self.writer(from);
        let (mut made, mut open) = (Vec::new(), Open::default());
        let mut sizes = sizes.iter().cycle();
        let (first, mut offset) = match from.map(|checkpoint| &checkpoint.resume) {
            Some(Resume::At { cursor, offset, .. }) => {
                let number = std::str::from_utf8(cursor).expect("it is ours").parse().expect("it is ours");
                (number, usize::try_from(*offset).expect("it is ours"))
            }
            Some(Resume::Start) | None => (0, 0),
        };
        for (number, source) in self.sources.iter().enumerate().skip(first) {
            let (name, cursor) = (format!("{number}.ndjson"), number.to_string());
            if self.export.is_organized && offset < source.len() {
                assert_eq!(offset, 0, "a block is given again from its beginning");
                writer.begin_block(&format!("p{number}")).expect("blocks are expected");
            }
            while offset < source.len() {
                let size = sizes.next().copied().unwrap_or(1);
                let block = &source[offset..(offset + size).min(source.len())];
                let (block, is_superseded) = self.begin_line(source, offset, block);
                let at = Source { name: &name, cursor: cursor.as_bytes(), offset: offset as u64 };
                if is_superseded {
                    // Ends the source before this one, whose last line may lack its line end.
                    writer.write_lines(&[], at).expect("the order is kept");
                    writer.supersede_next_line().expect("a line begins");
                }
                let progress = writer.write_lines(block, at).expect("the order is kept");
                assert!(progress.consumed == block.len() || progress.drain_first);
                offset += progress.consumed;
                open.drain(&mut writer, &mut made);
                if made.len() >= stop_after {
                    made.truncate(stop_after);
                    return Made { closed: made, counts: writer.counts(), found: open.found };
                }
            }
            offset = 0;
        }
        writer.finish();
        open.drain(&mut writer, &mut made);
        assert!(open.files.is_empty(), "every file is closed");
        made.truncate(stop_after);
        Made { closed: made, counts: writer.counts(), found: open.found }
    }

    fn writer(&self, from: Option<&Checkpoint>) -> Writer<'_> {
        let task = PartitionTask { pass: self.pass, checkpoint: from.cloned(), ..PartitionTask::default() };
        let population = self.population.as_ref().map(|block| Population::load(block).expect("it was sealed"));
        let mut writer = Writer::new(&self.export.plan, &task, population, self.limits.clone()).expect("it has begun");
        for (wanted, block) in &self.sets {
            let set = Set::load(wanted.clone(), block).expect("it was sealed");
            writer.add_set(set).expect("it is wanted");
        }
        writer
    }

    /// The block up to the next line that is superseded, and whether it begins with one: every line that says so.
    fn begin_line<'b>(&self, source: &[u8], offset: usize, block: &'b [u8]) -> (&'b [u8], bool) {
        if self.export.is_organized {
            return (block, false);
        }
        let says_so = |at: usize| {
            let is_begin = at == 0 || source[at - 1] == b'\n';
            let line = source[at..].split(|byte| *byte == b'\n').next().unwrap_or_default();
            is_begin && memchr::memmem::find(line, SUPERSEDED).is_some()
        };
        let next = memchr_iter(b'\n', block).map(|end| end + 1).find(|at| says_so(offset + at));
        (&block[..next.unwrap_or(block.len())], says_so(offset))
    }
}

/// The files that are open.
#[derive(Default)]
struct Open {
    files: BTreeMap<u32, (String, Section, Option<String>, Vec<u8>)>,
    found: Vec<u8>,
}

impl Open {
    fn drain(&mut self, writer: &mut Writer<'_>, closed: &mut Vec<Closed>) {
        while let Some(output) = writer.poll_output() {
            match output {
                Output::Found { bytes } => self.found.extend_from_slice(bytes),
                Output::Open { file, name, section, resource_type, .. } => {
                    let resource_type = resource_type.map(|resource_type| resource_type.as_str().to_owned());
                    self.files.insert(file, (name.to_owned(), section, resource_type, Vec::new()));
                }
                Output::Append { file, bytes } => {
                    self.files.get_mut(&file).expect("it is open").3.extend_from_slice(bytes);
                }
                Output::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint } => {
                    let (name, section, resource_type, mut text) = self.files.remove(&file).expect("it is open");
                    if let Some(gzip_bytes) = gzip_bytes {
                        let gzip = std::mem::take(&mut text);
                        assert_eq!(gzip_bytes, gzip.len() as u64);
                        GzDecoder::new(gzip.as_slice()).read_to_end(&mut text).expect("gzip");
                    }
                    assert_eq!(bytes, text.len() as u64);
                    let mut digester = Digester::default();
                    digester.update(&text);
                    assert!(sha256.is_none_or(|sha256| sha256 == digester.finish()));
                    let (sha256, continues_in_file) = (sha256.map(str::to_owned), continues_in_file.map(str::to_owned));
                    let file = File { section, resource_type, bytes: text, count, sha256, continues_in_file };
                    closed.push(Closed { name, file, checkpoint: checkpoint.clone() });
                }
            }
        }
    }
}

/// A line with this in it is one of which a newer version is exported.
const SUPERSEDED: &[u8] = b"\"superseded\"";

/// Those of the one ValueSet.
const CODES: &[u8] = b"http://loinc.org|1-8\nhttp://x|final\n";

/// One patient who releases nothing, one who withholds some, and a resource.
const VETOES: &[u8] = b"Patient/p3\nPatient/p1#s|R\nObservation/vetoed\n";

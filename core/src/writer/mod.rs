//! Resources in, NDJSON shards out: bounded memory, byte for byte, resumable.

mod binary;
mod blocks;
mod checkpoint;
mod compartment;
mod context;
mod deleted;
mod digest;
mod gzip;
mod limits;
mod links;
mod newcomers;
mod output;
mod pen;
mod report;
mod select;
mod shards;
#[cfg(test)]
mod tests;
mod veto;
mod walk;

use std::fmt;

use crate::{
    ndjson::{Line, Lines},
    pass::{PartitionTask, Pass, SetWanted},
    plan::ExportPlan,
    population::Population,
    reference::is_id,
    sets::Set,
};

use binary::{Binaries, Contents, Finder, Judged, plan_of_binaries};
use blocks::{Blocks, Standing};
pub use checkpoint::{Checkpoint, KindProgress, Resume};
pub use compartment::patients_of;
use context::{Collector, Context};
use deleted::Deletions;
pub use digest::Digester;
use limits::Cuts;
pub use limits::{Layout, Validation, WriterLimits};
pub use output::Output;
use pen::Pen;
use select::{Selector, Verdict};
use shards::{Place, Shards};
use veto::Vetoes;

/// Turns the lines of one partition into files.
///
/// The loop, until the partition has no more blocks:
///
/// 1. [`write_lines`](Self::write_lines) with a block of bytes, cut anywhere. It says how much it took.
/// 2. [`poll_output`](Self::poll_output) until there is none: open, append to, and close files. When a file is closed and
///    stored whole, publish its row with the checkpoint that came with it.
///
/// Then [`finish`](Self::finish), and poll once more. After a crash, a writer made from the last published checkpoint and
/// fed from where that says makes exactly the files that were still to come.
pub struct Writer<'p> {
    lines: Lines,
    work: Work<'p>,
    shards: Shards,
    source: String,
    /// The number of the line that is begun or comes next, from 1.
    line: u64,
    /// Where the begun line began, if that was in an earlier block.
    begun_at: Option<(Vec<u8>, u64)>,
    /// Bytes taken of the begun line.
    begun_bytes: usize,
    /// One past the last byte taken.
    end: Option<(Vec<u8>, u64)>,
    /// Where the first block must stand, after a resumption.
    expected: Option<(Vec<u8>, u64)>,
    superseded: bool,
    finished: bool,
    line_bytes_max: usize,
    counts: Counts,
    sets: Vec<Set<'p>>,
    /// Sets that must still be given.
    missing: Vec<SetWanted>,
}

/// Where a block stands in the embedder's data.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    /// What to call it in reports: a file name, a table name. A new name ends the source before it.
    pub name: &'s str,
    /// Opaque: with it and the offset the embedder finds the bytes again.
    pub cursor: &'s [u8],
    /// How many bytes after the cursor the block stands.
    pub offset: u64,
}

/// How far a block was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of the block; give the rest again, with its offset.
    pub consumed: usize,
    /// Output must be polled before more is taken.
    pub drain_first: bool,
}

/// What a writer did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines read, blank ones too.
    pub lines: u64,
    /// Records written to files of this writer.
    pub written: u64,
    /// Records that an earlier run had published, read again and passed over.
    pub passed_over: u64,
}

impl<'p> Writer<'p> {
    /// A writer for one partition of an export that has begun, with one of the tasks that the job wants done.
    ///
    /// `population` must be there exactly when the plan's level names patients or a group; without it such an export is
    /// refused rather than widened.
    pub fn new(
        plan: &ExportPlan,
        task: &PartitionTask,
        population: Option<Population<'p>>,
        limits: WriterLimits,
    ) -> Result<Self, WriterError> {
        let PartitionTask { partition, pass, checkpoint } = task;
        let (partition, from) = (*partition, checkpoint.as_ref());
        let limits = limits.check()?;
        let mut writer = Self {
            lines: Lines::new(limits.line_bytes_max),
            work: Work::new(plan, *pass, population, limits.validate)?,
            shards: Shards::new(partition, from, limits.clone(), Cuts::new(&limits, plan)),
            source: String::new(),
            line: 1,
            begun_at: None,
            begun_bytes: 0,
            end: None,
            expected: None,
            superseded: false,
            finished: false,
            line_bytes_max: limits.line_bytes_max,
            counts: Counts::default(),
            sets: Vec::new(),
            missing: plan.sets(*pass),
        };
        match from.map(|checkpoint| &checkpoint.resume) {
            Some(Resume::At { cursor, offset, source, line }) => {
                writer.source.clone_from(source);
                writer.line = *line;
                writer.expected = Some((cursor.clone(), *offset));
            }
            Some(Resume::Start) | None if partition == 0 && *pass == Pass::Main => {
                for notice in &plan.notices {
                    writer.shards.report(&report::notice(notice), &Place::start());
                }
                writer.shards.advance(0);
            }
            Some(Resume::Start) | None => {}
        }
        Ok(writer)
    }

    /// Hands over a set that [`ExportPlan::sets`] names for this pass, before the first line.
    pub fn add_set(&mut self, set: Set<'p>) -> Result<(), WriterError> {
        let at = self.missing.iter().position(|wanted| wanted == set.wanted()).ok_or(WriterError::UnwantedSet)?;
        self.missing.remove(at);
        self.sets.push(set);
        Ok(())
    }

    /// Takes bytes of a source. Lines may be cut anywhere between blocks.
    ///
    /// A line that is no resource becomes an OperationOutcome in an error file, with source name and line number, and
    /// the export goes on.
    pub fn write_lines(&mut self, block: &[u8], at: Source<'_>) -> Result<Progress, WriterError> {
        if self.finished {
            return Err(WriterError::Finished);
        }
        if !self.missing.is_empty() {
            return Err(WriterError::MissingSet);
        }
        if self.expected.as_ref().is_some_and(|(cursor, offset)| cursor != at.cursor || *offset != at.offset) {
            return Err(WriterError::WrongPlace);
        }
        self.expected = None;
        if at.name != self.source {
            self.end_source();
            self.source = at.name.to_owned();
            self.line = 1;
        }
        let mut rest = block;
        let mut offset = at.offset;
        let mut drain_first = false;
        while !rest.is_empty() {
            if self.shards.must_drain() {
                drain_first = true;
                break;
            }
            let (begun_cursor, begun_offset) = match &self.begun_at {
                Some((cursor, offset)) => (cursor.as_slice(), *offset),
                None => (at.cursor, offset),
            };
            let (taken, line) = self.lines.take(rest);
            self.begun_bytes += taken;
            if let Some(line) = line {
                let place = Place { cursor: begun_cursor, offset: begun_offset, source: &self.source, line: self.line };
                let superseded = std::mem::take(&mut self.superseded);
                let desk = Desk { sets: &self.sets, shards: &mut self.shards, line_bytes_max: self.line_bytes_max };
                self.work.take_line(desk, &line, &place, superseded);
                self.begun_at = None;
                self.end_line();
            } else if self.begun_at.is_none() {
                self.begun_at = Some((at.cursor.to_vec(), offset));
            }
            offset += taken as u64;
            rest = rest.get(taken..).unwrap_or_default();
        }
        self.end = Some((at.cursor.to_vec(), offset));
        Ok(Progress { consumed: block.len() - rest.len(), drain_first })
    }

    /// Says of the line that comes next that a newer version of its resource is exported instead: it is reported, not
    /// exported (BD-FILE-07). The next byte given must be its first; where it is the first of a source, give an empty block
    /// of that source before this call, which ends the source before it.
    pub fn supersede_next_line(&mut self) -> Result<(), WriterError> {
        if self.lines.has_begun() {
            return Err(WriterError::InsideLine);
        }
        self.superseded = true;
        Ok(())
    }

    /// Begins the block of a patient, where output is organised by patient: the lines from here on are those of the
    /// patient's compartment, the Patient first. A resource of several patients comes in the block of each.
    ///
    /// What is given before the first block is reported if it is no resource, and never exported; so is what does not
    /// belong in its block. The block of a patient who is not part of the export is not written. After a crash a block is
    /// given again from its beginning, for that is where checkpoints stand, unless all was given.
    pub fn begin_block(&mut self, patient: &str) -> Result<(), WriterError> {
        if self.finished {
            return Err(WriterError::Finished);
        }
        self.end_source();
        let Work::Select { selector, blocks: Some(blocks), .. } = &mut self.work else {
            return Err(WriterError::NotOrganized);
        };
        if !is_id(patient) {
            return Err(WriterError::MalformedPatient);
        }
        self.shards.begin_block(&blocks.begin(patient, selector.lists(patient)));
        Ok(())
    }

    /// Ends the last source and closes all files. Poll the output once more.
    pub fn finish(&mut self) {
        if self.finished {
            return;
        }
        self.end_source();
        let (cursor, offset) = self.end.clone().unwrap_or_default();
        let place = Place { cursor: &cursor, offset, source: &self.source, line: self.line };
        let place = if self.end.is_some() { place } else { Place::start() };
        self.shards.close_all(&place);
        self.finished = true;
    }

    /// What to do next with a file; `None` when more input is needed, or after [`finish`](Self::finish) nothing is left.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.shards.poll()
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        let (written, passed_over) = self.shards.counts();
        Counts { written, passed_over, ..self.counts }
    }

    /// A last line may lack its line end (BD-NDJ-02).
    fn end_source(&mut self) {
        if !self.lines.has_begun() {
            return;
        }
        let (cursor, offset) = self.begun_at.take().unwrap_or_default();
        let place = Place { cursor: &cursor, offset, source: &self.source, line: self.line };
        let superseded = std::mem::take(&mut self.superseded);
        let desk = Desk { sets: &self.sets, shards: &mut self.shards, line_bytes_max: self.line_bytes_max };
        self.work.take_line(desk, &self.lines.line(), &place, superseded);
        self.end_line();
    }

    fn end_line(&mut self) {
        self.lines.clear();
        self.line += 1;
        self.counts.lines += 1;
        // Counted by whole lines, so that it does not depend on how blocks are cut.
        self.shards.advance(std::mem::take(&mut self.begun_bytes));
    }
}

/// Shows the counts only.
impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({:?})", self.counts())
    }
}

/// Our caller's mistakes. Bad input is never one: it is reported in an error file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriterError {
    /// The plan names patients or a group and no population was given, or the other way round.
    PopulationMismatch,
    /// A set that the pass needs was not given: nothing is exported without it.
    MissingSet,
    /// A set that this pass does not need, or that it has already.
    UnwantedSet,
    /// The plan has no such pass.
    UnwantedPass,
    /// The export has not begun: the plan has no transaction time.
    NotBegun,
    /// The plan lists an element that no resource has, so what is to be left out cannot be told.
    Elements,
    /// A `_typeFilter` query of the plan cannot be evaluated, so nothing can be exported by it.
    TypeFilter,
    /// A limit is zero, or smaller than another that it must hold.
    Limits,
    /// The first block after a resumption does not stand where the checkpoint says.
    WrongPlace,
    /// A line has begun and not ended.
    InsideLine,
    /// Output is not organised by patient, or not in this pass.
    NotOrganized,
    /// A block is of a patient whose id is not a FHIR id.
    MalformedPatient,
    /// After `finish`.
    Finished,
}

impl fmt::Display for WriterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PopulationMismatch => "a population must be given exactly when the export is of some patients only",
            Self::MissingSet => "a set that this pass needs was not given",
            Self::UnwantedSet => "this pass needs no such set, or has it already",
            Self::UnwantedPass => "the plan has no such pass",
            Self::NotBegun => "the plan has no transaction time: the job has not begun",
            Self::Elements => "the plan lists an element that no resource has",
            Self::TypeFilter => "a `_typeFilter` query of the plan cannot be evaluated",
            Self::Limits => "writer limits must be positive, and the queue must hold a line",
            Self::WrongPlace => "the first block does not stand where the checkpoint says",
            Self::InsideLine => "a line has begun and not ended",
            Self::NotOrganized => "this writer's output is not organised into blocks",
            Self::MalformedPatient => "the patient of a block has an id that is not a FHIR id",
            Self::Finished => "the writer has finished",
        })
    }
}

impl std::error::Error for WriterError {}

/// What is done with a line, by pass.
enum Work<'p> {
    Select {
        selector: Box<Selector<'p>>,
        binaries: Option<Binaries>,
        vetoes: Vetoes,
        blocks: Option<Box<Blocks>>,
        pen: Pen,
    },
    Collect(Box<Collector<'p>>, Vetoes),
    Find(Box<Finder<'p>>, Vetoes),
    Accompany {
        context: Box<Context<'p>>,
        vetoes: Vetoes,
        pen: Pen,
    },
    Delete(Box<Deletions<'p>>, Box<ExportPlan>),
    Binaries {
        selector: Box<Selector<'static>>,
        /// For what is a new member's.
        of_new: Option<Box<Selector<'static>>>,
        binaries: Box<Binaries>,
        vetoes: Vetoes,
        pen: Pen,
    },
    Contents(Box<Contents<'p>>, Vetoes),
}

/// What a line is taken to.
struct Desk<'d, 'p> {
    sets: &'d [Set<'p>],
    shards: &'d mut Shards,
    line_bytes_max: usize,
}

/// What else a selected resource must meet.
struct Rules<'w> {
    vetoes: &'w Vetoes,
    blocks: Option<&'w mut Blocks>,
}

impl<'p> Work<'p> {
    fn new(
        plan: &ExportPlan,
        pass: Pass,
        population: Option<Population<'p>>,
        validation: Validation,
    ) -> Result<Self, WriterError> {
        let vetoes = Vetoes::new(plan);
        Ok(match pass {
            Pass::Main => {
                let selector = Box::new(Selector::new(&plan.of_main_pass(), population, validation)?);
                let (binaries, blocks) = (Binaries::new(plan, validation), Blocks::new(plan).map(Box::new));
                Self::Select { selector, binaries, vetoes, blocks, pen: Pen::new(plan)? }
            }
            Pass::Collect(collection) => match Finder::new(plan, collection, population.clone())? {
                Some(finder) => Self::Find(Box::new(finder), vetoes),
                None => Self::Collect(Box::new(Collector::new(plan, collection, population)?), vetoes),
            },
            Pass::Context | Pass::Binaries | Pass::Attachments
                if plan.has_listed_patients() != population.is_some() =>
            {
                return Err(WriterError::PopulationMismatch);
            }
            Pass::Context => {
                let context = Box::new(Context::new(plan, population)?);
                Self::Accompany { context, vetoes, pen: Pen::of_company(plan)? }
            }
            Pass::Binaries => Self::Binaries {
                selector: Box::new(Selector::new(&plan_of_binaries(plan), None, validation)?),
                of_new: plan
                    .new_after()
                    .map(|_| Selector::new(&ExportPlan { since: None, ..plan_of_binaries(plan) }, None, validation))
                    .transpose()?
                    .map(Box::new),
                binaries: Box::new(Binaries::new(plan, validation).ok_or(WriterError::UnwantedPass)?),
                vetoes,
                pen: Pen::of_company(plan)?,
            },
            Pass::Attachments => Self::Contents(Box::new(Contents::new(plan, population)?), vetoes),
            Pass::Deleted => Self::Delete(Box::new(Deletions::new(plan, population)?), Box::new(plan.clone())),
        })
    }

    fn take_line(&mut self, desk: Desk<'_, '_>, line: &Line<'_>, place: &Place<'_>, superseded: bool) {
        let Desk { sets, shards, line_bytes_max } = desk;
        shards.begin_line(place);
        let text = match line {
            Line::Blank => return,
            Line::Text(text) => *text,
            Line::TooLong => {
                // The main pass says it, or where there is none the pass that reads tombstones.
                if matches!(self, Self::Select { .. } | Self::Delete(..)) {
                    let problem = crate::json::LineError::TooLong { limit: line_bytes_max };
                    shards.report(&report::malformed(place, problem), place);
                }
                return;
            }
        };
        match self {
            Self::Select { selector, binaries, vetoes, blocks, pen } => {
                let judged = match binaries {
                    Some(binaries) => binaries.judge(selector, text, sets),
                    None => Judged { verdict: selector.judge(text, sets), line: text, is_document: false },
                };
                if let Err(problem) = judged.verdict {
                    shards.report(&report::malformed(place, problem), place);
                } else {
                    let desk = Desk { sets, shards, line_bytes_max };
                    let rules = Rules { vetoes, blocks: blocks.as_deref_mut() };
                    settle(judged, text, desk, place, superseded, rules, pen);
                }
            }
            Self::Binaries { selector, of_new, binaries, vetoes, pen } => {
                let selector = of_new.as_ref().filter(|_| binaries.is_of_new(text, sets)).unwrap_or(selector);
                let judged = binaries.judge_found(selector, text, sets);
                let desk = Desk { sets, shards, line_bytes_max };
                settle(judged, text, desk, place, superseded, Rules { vetoes, blocks: None }, pen);
            }
            Self::Collect(..) | Self::Find(..) | Self::Accompany { .. } | Self::Contents(..) if superseded => {}
            Self::Find(finder, vetoes) => {
                if !vetoes.withholds_line(text, sets) {
                    finder.look(text, sets, |found| shards.found(found));
                }
            }
            Self::Contents(contents, vetoes) => {
                if contents.has(text, sets) && !vetoes.withholds_line(text, sets) {
                    let content = match contents.document(text) {
                        Ok(Some(document)) if vetoes.withholds_line(document, sets) => return,
                        Ok(_) => contents.read(text),
                        Err(problem) => Err(problem),
                    };
                    match content {
                        Ok(content) => shards.attachment(content.name, content.content_type, &content.bytes, place),
                        Err(problem) => shards.report(&report::malformed(place, problem), place),
                    }
                }
            }
            Self::Collect(collector, vetoes) => {
                // What is withheld is not exported, so nothing goes with it.
                if !vetoes.withholds_line(text, sets) {
                    collector.look(text, sets, |found| shards.found(found));
                }
            }
            Self::Accompany { context, vetoes, pen } => {
                let resource_type = context.judge(text, sets);
                if let Some(resource_type) = resource_type.filter(|t| !vetoes.withholds(t.as_str(), text, sets)) {
                    pen.write(&resource_type, text, shards, place);
                }
            }
            // The resource is there again, or was deleted once more.
            Self::Delete(..) if superseded => {}
            Self::Delete(deletions, plan) => match deletions.judge(plan, sets, text) {
                Err(problem) => shards.report(&report::malformed(place, problem), place),
                Ok(bundle) => bundle.iter().for_each(|bundle| shards.deletion(bundle, place)),
            },
        }
    }
}

/// Does what a verdict says. `text` is the line that it came of.
fn settle(
    judged: Judged<'_>,
    text: &[u8],
    desk: Desk<'_, '_>,
    place: &Place<'_>,
    superseded: bool,
    rules: Rules<'_>,
    pen: &mut Pen,
) {
    let Desk { sets, shards, .. } = desk;
    let Rules { vetoes, blocks } = rules;
    let Judged { verdict, line, is_document } = judged;
    let withheld = match &verdict {
        Ok(Verdict::In(resource_type) | Verdict::InUndated(resource_type)) => {
            vetoes.withholds(resource_type.as_str(), line, sets) || is_document && vetoes.withholds_line(text, sets)
        }
        // A report would tell that it is there.
        Ok(Verdict::Later) => vetoes.withholds_line(text, sets) || is_document && vetoes.withholds_line(line, sets),
        Ok(Verdict::Out) | Err(_) => false,
    };
    let is_undated = matches!(verdict, Ok(Verdict::InUndated(_)));
    match verdict {
        // Reported by the main pass.
        Err(_) | Ok(Verdict::Out) => {}
        // Not reported: that there is something to withhold is told by nothing.
        Ok(_) if withheld => {}
        // Said only of what was asked for: of anything else nothing is known to be exported instead.
        Ok(_) if superseded => shards.report(&report::superseded(place), place),
        Ok(Verdict::Later) => shards.report(&report::later(place), place),
        Ok(Verdict::In(resource_type) | Verdict::InUndated(resource_type)) => {
            let standing = blocks.map_or(Standing::Inside, |blocks| blocks.standing(resource_type.as_str(), line));
            match standing {
                Standing::Inside => {
                    if is_undated {
                        shards.report(&report::undated(place), place);
                    }
                    pen.write(resource_type, line, shards, place);
                }
                Standing::LeftOut => {}
                Standing::Elsewhere => shards.report(&report::elsewhere(place), place),
                Standing::Late => shards.report(&report::late(place), place),
            }
        }
    }
}

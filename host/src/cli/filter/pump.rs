//! Blocks of the inputs in, lines out: one writer for each thread.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, anyhow};
use ehi_core::{manifest::Section, pass::PartitionTask, plan::ExportPlan, values::WriterEvent, writer::WriterLimits};

use super::{input::Input, output::Output};
use crate::engine::{Engines, WriterSession};

/// All that one run needs.
pub(super) struct Pump<'o> {
    engines: Arc<dyn Engines>,
    plan: ExportPlan,
    population: Option<Vec<u8>>,
    limits: WriterLimits,
    inputs: Mutex<VecDeque<Input>>,
    output: &'o Output,
    /// Set by the first thread that fails, so that the others do not go on for nothing.
    failed: AtomicBool,
}

impl<'o> Pump<'o> {
    pub(super) fn new(
        engines: Arc<dyn Engines>,
        plan: ExportPlan,
        population: Option<Vec<u8>>,
        limits: WriterLimits,
        inputs: Vec<Input>,
        output: &'o Output,
    ) -> Self {
        let inputs = Mutex::new(inputs.into());
        Self { engines, plan, population, limits, inputs, output, failed: AtomicBool::new(false) }
    }

    /// Reads all inputs by at most so many threads, each input by one.
    pub(super) fn run(&self, threads: usize) -> anyhow::Result<()> {
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner).len();
        if threads.min(inputs) <= 1 {
            return self.work();
        }
        thread::scope(|scope| {
            let threads: Vec<_> = (0..threads.min(inputs)).map(|_| scope.spawn(|| self.work())).collect();
            let joined = threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked")));
            joined.map(|done| done.and_then(|done| done)).fold(Ok(()), Result::and)
        })
    }

    fn work(&self) -> anyhow::Result<()> {
        let done = self.write();
        if done.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        done
    }

    fn write(&self) -> anyhow::Result<()> {
        let mut engine = self.engines.instance()?;
        let mut writer =
            engine.writer(&self.plan, &PartitionTask::default(), self.population.as_deref(), &self.limits)?;
        let mut drain = Drain { output: self.output, sections: BTreeMap::new(), written: 0, reported: 0 };
        let mut block = vec![0; BLOCK_BYTES];
        while let Some(input) = self.next() {
            self.read(&input, &mut block, writer.as_mut(), &mut drain)?;
        }
        // To whom nobody listens any more, there is nothing more to say.
        if self.output.is_closed() {
            return Ok(());
        }
        writer.finish()?;
        drain.all(writer.as_mut())?;
        let (lines, ..) = writer.counts()?;
        self.output.count(lines, drain.written, drain.reported);
        Ok(())
    }

    fn read(
        &self,
        input: &Input,
        block: &mut [u8],
        writer: &mut dyn WriterSession,
        drain: &mut Drain<'_>,
    ) -> anyhow::Result<()> {
        let name = input.name();
        let mut reader = input.open()?;
        let mut offset = 0_u64;
        while !self.failed.load(Ordering::Relaxed) {
            let read = match reader.read(block) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read `{name}`")),
            };
            let mut rest = block.get(..read).unwrap_or_default();
            while !rest.is_empty() {
                let taken = writer.write_lines(rest, &name, &[], offset)?.consumed;
                if !drain.all(writer)? {
                    return Ok(());
                }
                offset += taken as u64;
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        // A last line may lack its line end, and the next input may have the same name.
        writer.write_lines(&[], "", &[], 0)?;
        Ok(())
    }

    fn next(&self) -> Option<Input> {
        if self.failed.load(Ordering::Relaxed) || self.output.is_closed() {
            return None;
        }
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Takes what a writer has to say.
struct Drain<'o> {
    output: &'o Output,
    /// What the writer's files hold.
    sections: BTreeMap<u32, Section>,
    written: u64,
    reported: u64,
}

impl Drain<'_> {
    /// Says whether more is wanted.
    fn all(&mut self, writer: &mut dyn WriterSession) -> anyhow::Result<bool> {
        let mut wanted = true;
        while let Some(event) = writer.poll_output()? {
            match event {
                WriterEvent::Open { file, section, .. } => {
                    self.sections.insert(file, section);
                }
                WriterEvent::Append { file, bytes } => match self.sections.get(&file) {
                    Some(Section::Output) => wanted &= self.output.lines(&bytes)?,
                    _ => self.output.reports(&bytes),
                },
                // What a collecting pass finds; this is none.
                WriterEvent::Found { .. } => {}
                WriterEvent::Close { file, count, .. } => match self.sections.remove(&file) {
                    Some(Section::Output) => self.written += count,
                    _ => self.reported += count,
                },
            }
        }
        Ok(wanted)
    }
}

/// What measured best: below it calls count, above it the cache does.
const BLOCK_BYTES: usize = 256 << 10;

//! One run of a job.

use std::{
    sync::{atomic::Ordering, mpsc},
    thread,
};

use anyhow::{Context, Result};
use ehi_core::{
    Timestamp,
    job::{Command, Epoch, PopulationWanted, Wants},
    pass::{PartitionTask, Pass},
    plan::{ExportPlan, Organize},
    population::{Population, PopulationBuilder},
    values::WriterEvent,
    writer::{Resume, WriterLimits},
};
use tokio::runtime::Handle;

use super::{
    Exporter, Outcome, Progress, RENEW_EVERY,
    lease::{self, Lease},
    sets::{Making, Sets},
    sink::Sink,
};
use crate::{
    clock,
    engine::{EngineError, WriterSession},
    source::{Blocks, Snapshot, Source},
};

/// Does what a job wants. Blocks; call it outside async code, with the runtime whose I/O is used.
///
/// An error means that this host could not go on; the job stays as it is, and is tried again.
pub fn run(exporter: &Exporter, runtime: &Handle, job: &str, progress: &Progress) -> Result<Outcome> {
    match exporter.wants(job)? {
        // A step is for people to take; time may end the wait.
        Wants::Nothing | Wants::Step(_) => {
            expire(exporter, job)?;
            Ok(Outcome::Nothing)
        }
        Wants::Run { population, new_after, partitions } => {
            let asked = Asked { population, new_after, first: partitions.is_empty() };
            export(exporter, runtime, job, &asked, progress)
        }
        Wants::Remove => {
            runtime.block_on(exporter.files.remove_job(job))?;
            exporter.command(job, &Command::Removed)?;
            Ok(Outcome::Removed)
        }
        Wants::Forget => {
            // Once more: a host that was lost may have finished an upload after the first removal.
            runtime.block_on(exporter.files.remove_job(job))?;
            exporter.store.forget(job)?;
            Ok(Outcome::Forgotten)
        }
    }
}

/// Lets a job go on by time alone.
pub(super) fn expire(exporter: &Exporter, job: &str) -> Result<()> {
    let Some(loaded) = exporter.store.load(job)? else { return Ok(()) };
    let expired = exporter.engines.instance()?.handle_timeout(&loaded.record, clock::now_millis())?;
    if let Some(expired) = expired {
        let updated = exporter.store.update(job, &expired, &[], loaded.version)?;
        if let Some(audit) = exporter.audit.as_ref().filter(|_| updated) {
            audit.timeout(&loaded.record, &expired.record)?;
        }
    }
    Ok(())
}

/// Whose data a run holds.
struct Asked {
    population: PopulationWanted,
    /// When a membership must have begun for its patient to be new.
    new_after: Option<Timestamp>,
    /// Whether the job has not begun yet.
    first: bool,
}

fn export(exporter: &Exporter, runtime: &Handle, job: &str, asked: &Asked, progress: &Progress) -> Result<Outcome> {
    // What cannot be had fails the job, and a job can only fail once it has begun.
    let prepared = prepare(exporter, runtime, job, asked);
    let (snapshot, transaction_time) = match &prepared {
        Ok((snapshot, _)) => (snapshot.id.clone(), snapshot.transaction_time),
        Err(_) => (String::new(), clock::now()),
    };
    let holder = exporter.store.holder().to_owned();
    let begin = Command::Begin { holder, until: exporter.lease(), transaction_time, snapshot, partitions: 1 };
    let epoch = match exporter.command(job, &begin) {
        Ok(applied) => applied.epoch,
        Err(error) if is_refusal(&error) => return Ok(Outcome::Ended),
        Err(error) => return Err(error),
    };
    let (snapshot, population) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            tracing::error!(job = short(job), error = format!("{error:#}"), "the export cannot begin");
            return exporter.fail(job, epoch, "the data could not be read");
        }
    };
    progress.total.store(snapshot.bytes, Ordering::Relaxed);
    // From here on the job has its partitions and, if it was begun before, its checkpoints.
    let Wants::Run { partitions, .. } = exporter.wants(job)? else { return Ok(Outcome::Ended) };
    let mut sets = Sets::default();
    for task in partitions {
        let population = population.as_deref();
        let outcome = lease::keep(exporter, job, epoch, RENEW_EVERY, |lease| {
            PartitionRun { exporter, job, epoch, lease, task: &task, population, progress }.run(runtime, &mut sets)
        });
        match outcome {
            Ok(()) => {}
            // The job itself says whether it is still ours to fail: one that was deleted or taken over refuses.
            Err(error) => match exporter.fail(job, epoch, "the data could not be read, or the files not be written") {
                Err(refusal) if is_refusal(&refusal) => {
                    tracing::info!(job = short(job), %refusal, "stopped: the job is no longer ours");
                    return Ok(Outcome::Ended);
                }
                failed => {
                    // What went wrong may name paths and belongs to the log; the client learns that it did.
                    tracing::error!(job = short(job), error = format!("{error:#}"), "the export failed");
                    return failed;
                }
            },
        }
    }
    Ok(Outcome::Complete)
}

/// What a run needs before it begins.
fn prepare(exporter: &Exporter, runtime: &Handle, job: &str, asked: &Asked) -> Result<(Snapshot, Option<Vec<u8>>)> {
    Ok((exporter.source.snapshot()?, population(exporter, runtime, job, asked)?))
}

/// The population block that the job wants: made once, when it first begins, and kept.
fn population(exporter: &Exporter, runtime: &Handle, job: &str, asked: &Asked) -> Result<Option<Vec<u8>>> {
    let Asked { population: wanted, new_after, first } = asked;
    let made = match wanted {
        PopulationWanted::Nobody => return Ok(None),
        PopulationWanted::Patient(id) => of(std::slice::from_ref(id))?,
        PopulationWanted::Patients(ids) => of(ids)?,
        // Who is a member or a provider's patient changes: those of the beginning count.
        PopulationWanted::Group(_) | PopulationWanted::Members { .. } | PopulationWanted::Practitioner(_)
            if !*first =>
        {
            return Ok(Some(runtime.block_on(exporter.files.population(job))?));
        }
        PopulationWanted::Group(id) => exporter.source.members(id, clock::now(), *new_after)?,
        PopulationWanted::Practitioner(id) => exporter.source.patients_of(id, clock::now())?,
        PopulationWanted::Members { group, patients } => {
            let members = exporter.source.members(group, clock::now(), *new_after)?;
            Population::load(&members)?.narrowed(patients.iter().map(String::as_str))?
        }
    };
    if *first {
        runtime.block_on(exporter.files.keep_population(job, made.clone()))?;
    }
    Ok(Some(made))
}

/// A population of these patients.
fn of(ids: &[String]) -> Result<Vec<u8>> {
    let mut population = PopulationBuilder::default();
    for id in ids {
        population.push(id)?;
    }
    Ok(population.seal())
}

/// One partition's run.
struct PartitionRun<'t> {
    exporter: &'t Exporter,
    job: &'t str,
    epoch: Epoch,
    lease: &'t Lease<'t>,
    task: &'t PartitionTask,
    population: Option<&'t [u8]>,
    progress: &'t Progress,
}

impl PartitionRun<'_> {
    fn run(&self, runtime: &Handle, sets: &mut Sets) -> Result<()> {
        let loaded = self.exporter.store.load(self.job)?.context("the job is gone")?;
        let plan = self.exporter.engines.instance()?.plan(&loaded.record)?;
        let data = Data {
            source: self.exporter.source.as_ref(),
            snapshot: snapshot_of(&loaded.record)?,
            transaction_time: plan.transaction_time.context("the job has not begun")?,
        };
        if data.has_anything_for(&plan, self.task.pass)? {
            self.write_files(runtime, &plan, &data, sets)?;
        }
        let finish = Command::FinishPartition { epoch: self.epoch, partition: self.task.partition };
        self.exporter.command(self.job, &finish).map(drop)
    }

    /// The engine writes on this thread; files are digested, packed and stored on another.
    fn write_files(&self, runtime: &Handle, plan: &ExportPlan, data: &Data<'_>, sets: &mut Sets) -> Result<()> {
        let PartitionTask { partition, pass, .. } = *self.task;
        let (exporter, lease, population) = (self.exporter, self.lease, self.population);
        let sets = sets.of(pass, Making { exporter, lease, plan, population, data })?;
        let blocks = data.blocks(self.task, plan, self.population)?;
        let limits = WriterLimits { digest: false, gzip: false, ..self.exporter.limits.clone() };
        let mut engine = self.exporter.engines.instance()?;
        let mut writer = engine.writer(plan, self.task, self.population, &limits)?;
        for (wanted, block) in &sets {
            writer.add_set(wanted, block)?;
        }
        let (events, received) = mpsc::sync_channel(QUEUED_EVENTS);
        let sink = Sink::new(self.exporter, runtime, self.job, self.epoch, partition, &self.progress.files);
        let counts = thread::scope(|scope| {
            let sink = scope.spawn(move || sink.run(received));
            let written = self.write(writer.as_mut(), blocks, &events);
            // The sink ends when there is nothing more to come.
            drop(events);
            let stored = sink.join().map_err(|_| anyhow::anyhow!("storing files panicked"))?;
            // If the sink stopped, the writer's complaint that it is gone is only the echo.
            stored.and(written)
        })?;
        let (lines, written, passed_over) = counts;
        let (job, epoch) = (short(self.job), self.epoch.0);
        tracing::info!(job, epoch, ?pass, lines, written, passed_over, "partition written");
        Ok(())
    }

    fn write(
        &self,
        writer: &mut dyn WriterSession,
        blocks: Box<dyn Blocks>,
        events: &mpsc::SyncSender<WriterEvent>,
    ) -> Result<(u64, u64, u64)> {
        let mut taken = |bytes| {
            // Other passes read what the main one has counted.
            if self.task.pass == Pass::Main {
                self.progress.take(bytes);
            }
            self.lease.check()
        };
        feed(writer, blocks, &mut |writer| drain(writer, events), &mut taken)?;
        Ok(writer.counts()?)
    }
}

/// The data of a job as they were when it began.
pub(super) struct Data<'d> {
    source: &'d dyn Source,
    snapshot: String,
    pub(super) transaction_time: Timestamp,
}

impl Data<'_> {
    /// Whether a pass may write or find anything. Most data have nothing that accompanies the exported resources, and no
    /// Binary: then they are not read again.
    pub(super) fn has_anything_for(&self, plan: &ExportPlan, pass: Pass) -> Result<bool> {
        plan.types_of(pass).map_or(Ok(true), |types| self.source.has_any_of(&types))
    }

    /// What a task reads, from where it is to go on.
    pub(super) fn blocks(
        &self,
        task: &PartitionTask,
        plan: &ExportPlan,
        population: Option<&[u8]>,
    ) -> Result<Box<dyn Blocks>> {
        let resume = task.checkpoint.as_ref().and_then(|checkpoint| match &checkpoint.resume {
            Resume::At { cursor, offset, .. } => Some((cursor.as_slice(), *offset)),
            Resume::Start => None,
        });
        match task.pass {
            Pass::Main if plan.organize == Organize::ByPatient => {
                let listed = population.map(Population::load).transpose()?.map(Population::into_owned);
                self.source.blocks_by_patient(&self.snapshot, self.transaction_time, listed, resume)
            }
            Pass::Deleted => self.source.tombstones(&self.snapshot, self.transaction_time, resume),
            Pass::Main | Pass::Collect(_) | Pass::Context | Pass::Binaries | Pass::Attachments => {
                self.source.blocks(&self.snapshot, self.transaction_time, resume)
            }
        }
    }
}

/// Feeds a writer all blocks, ends it, and drains it all the while.
pub(super) fn feed(
    writer: &mut dyn WriterSession,
    mut blocks: Box<dyn Blocks>,
    drain: &mut dyn FnMut(&mut dyn WriterSession) -> Result<()>,
    taken: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut buffer = Vec::new();
    while let Some(block) = blocks.next(&mut buffer)? {
        if let Some(patient) = &block.begins {
            writer.begin_block(patient)?;
            drain(writer)?;
        }
        if block.superseded {
            // Ends the source before this one, whose last line may lack its line end.
            writer.write_lines(&[], &block.name, &block.cursor, block.offset)?;
            writer.supersede_next_line()?;
        }
        let (mut rest, mut offset) = (buffer.as_slice(), block.offset);
        while !rest.is_empty() {
            let taken = writer.write_lines(rest, &block.name, &block.cursor, offset)?.consumed;
            drain(writer)?;
            offset += taken as u64;
            rest = rest.get(taken..).unwrap_or_default();
        }
        taken(buffer.len() as u64)?;
    }
    blocks.finish()?;
    writer.finish()?;
    drain(writer)
}

fn drain(writer: &mut dyn WriterSession, events: &mpsc::SyncSender<WriterEvent>) -> Result<()> {
    while let Some(event) = writer.poll_output()? {
        events.send(event).context("the files can no longer be stored")?;
    }
    Ok(())
}

/// The record is the engine's, but for this: what we ourselves said when the job began.
fn snapshot_of(record: &str) -> Result<String> {
    let job = ehi_core::job::Job::decode(record)?;
    job.snapshot().map(str::to_owned).context("the job has not begun")
}

/// Whether the engine refused a command: the job was ended, or taken over, by someone else.
fn is_refusal(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Refused(_)))
}

/// As much of a job's id as a log may show: where there is no authorisation, the whole id opens the files.
fn short(job: &str) -> &str {
    job.get(..8).unwrap_or(job)
}

/// Appends of 64 KiB each that may wait to be stored.
const QUEUED_EVENTS: usize = 32;

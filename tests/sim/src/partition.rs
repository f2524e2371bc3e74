//! The work on one partition: data through the real writer to stored files and published rows.

use std::{cell::Cell, collections::BTreeMap};

use ehi_core::{
    ResourceType,
    job::{Command, Epoch},
    manifest::{OutputFile, Section},
    pass::PartitionTask,
    plan::ExportPlan,
    population::Population,
    sets::{Set, SetBuilder},
    values::{self, WriterEvent},
    writer::{Checkpoint, Resume, Source, Writer},
};

use crate::{
    coverage::Fault,
    data::SECOND,
    host::{Host, LEASE_SECONDS, RENEW},
    mutant::Mutant,
    world::Stop,
};

/// What a host does under one lease.
pub(crate) struct Work<'h> {
    pub(crate) host: &'h Host,
    pub(crate) job: &'h str,
    pub(crate) epoch: Epoch,
    pub(crate) renewed: Cell<i64>,
}

/// What becomes of a writer's output.
enum Desk {
    Collect(SetBuilder),
    Store { partition: u32, open: BTreeMap<u32, OpenFile>, is_late: bool },
}

struct OpenFile {
    section: Section,
    resource_type: Option<ResourceType>,
    name: String,
    bytes: Vec<u8>,
}

impl Work<'_> {
    /// Runs a partition from its checkpoint to its end.
    pub(crate) async fn run(&self, task: &PartitionTask, population: Option<&[u8]>) -> Result<(), Stop> {
        let loaded = self.host.call(|store| store.load(self.job)).await?.ok_or(Stop::NoJob)?;
        let plan = values::plan(&loaded.record).map_err(Stop::Refused)?;
        let mut sets: Vec<(ehi_core::pass::SetWanted, Vec<u8>)> = Vec::new();
        for (wanted, collect) in values::sets_wanted(&plan, task.pass) {
            let collect = collect.ok_or(Stop::Error)?;
            // A collecting pass is given the sets that were made before its own.
            let needed: Vec<_> = values::sets_wanted(&plan, collect.pass).into_iter().map(|(set, _)| set).collect();
            let given: Vec<_> = sets.iter().filter(|(set, _)| needed.contains(set)).cloned().collect();
            let desk = Desk::Collect(SetBuilder::new(wanted.clone(), 10_000));
            let Desk::Collect(builder) = self.go_through(&plan, &collect, population, &given, desk).await? else {
                return Err(Stop::Error);
            };
            sets.push((wanted, builder.seal().map_err(|_| Stop::Error)?));
        }
        let desk = Desk::Store { partition: task.partition, open: BTreeMap::new(), is_late: false };
        self.go_through(&plan, task, population, &sets, desk).await?;
        let finish = Command::FinishPartition { epoch: self.epoch, partition: task.partition };
        self.host.command(self.job, finish).await?;
        self.release().await
    }

    /// Feeds a writer all that it is to read, and does what it says.
    async fn go_through(
        &self,
        plan: &ExportPlan,
        task: &PartitionTask,
        population: Option<&[u8]>,
        sets: &[(ehi_core::pass::SetWanted, Vec<u8>)],
        mut desk: Desk,
    ) -> Result<Desk, Stop> {
        let world = &self.host.world;
        let population = population.map(Population::load).transpose().map_err(|_| Stop::Error)?;
        let limits = world.scenario.writer_limits.clone();
        let mut writer = Writer::new(plan, task, population, limits).map_err(|error| self.misused(&error))?;
        for (wanted, block) in sets {
            let set = Set::load(wanted.clone(), block).map_err(|_| Stop::Error)?;
            writer.add_set(set).map_err(|error| self.misused(&error))?;
        }
        let resume = task.checkpoint.as_ref().map(|checkpoint| &checkpoint.resume);
        let part = (task.partition, world.scenario.partitions);
        let blocks = world.rng(|rng| world.data.blocks(task.pass, part, resume, rng));
        for (number, block) in blocks.into_iter().enumerate() {
            if world.strikes(Fault::SourceFails) {
                return Err(Stop::Error);
            }
            let poisoned = world.scenario.poison.as_ref();
            if poisoned.is_some_and(|(source, at)| *source == block.name && *at == number) {
                world.met(Fault::PoisonedLine);
                self.host.pulse.breaks(self.host.number);
                return Err(Stop::Crash);
            }
            self.pause(world.pick(0..2 * SECOND)).await?;
            let mut offset = block.offset;
            let mut rest = block.bytes.as_slice();
            loop {
                let at = Source { name: &block.name, cursor: &block.cursor, offset };
                let taken = writer.write_lines(rest, at).map_err(|error| self.misused(&error))?.consumed;
                self.drain(&mut writer, &mut desk).await?;
                offset += taken as u64;
                rest = rest.get(taken..).unwrap_or_default();
                if rest.is_empty() {
                    break;
                }
            }
        }
        writer.finish();
        if let Desk::Store { is_late, .. } = &mut desk {
            *is_late = true;
        }
        self.drain(&mut writer, &mut desk).await?;
        Ok(desk)
    }

    async fn drain(&self, writer: &mut Writer<'_>, desk: &mut Desk) -> Result<(), Stop> {
        while let Some(event) = writer.poll_output().map(WriterEvent::from) {
            match (event, &mut *desk) {
                (WriterEvent::Found { bytes }, Desk::Collect(builder)) => {
                    builder.push(&bytes).map_err(|_| Stop::Error)?;
                }
                (WriterEvent::Open { file, section, resource_type, name, .. }, Desk::Store { open, .. }) => {
                    open.insert(file, OpenFile { section, resource_type, name, bytes: Vec::new() });
                }
                (WriterEvent::Append { file, bytes }, Desk::Store { open, .. }) => {
                    open.get_mut(&file).ok_or(Stop::Error)?.bytes.extend(bytes);
                }
                (
                    WriterEvent::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint },
                    Desk::Store { open, partition, is_late },
                ) => {
                    let OpenFile { section, resource_type, name, bytes: object } =
                        open.remove(&file).ok_or(Stop::Error)?;
                    let key = format!("{}/{}-{name}", self.job, self.epoch.0);
                    let (content_type, partition, is_late) = (None, *partition, *is_late);
                    let row = OutputFile {
                        section,
                        resource_type,
                        name,
                        key,
                        content_type,
                        count,
                        bytes,
                        gzip_bytes,
                        sha256,
                        continues_in_file,
                        page: None,
                    };
                    self.publish(row, object, partition, checkpoint, is_late).await?;
                }
                _ => self.host.world.violate("a pass put out something that is not its own"),
            }
        }
        Ok(())
    }

    /// Stored whole first, then listed: a file that is listed is there.
    async fn publish(
        &self,
        row: OutputFile,
        object: Vec<u8>,
        partition: u32,
        checkpoint: Checkpoint,
        is_late: bool,
    ) -> Result<(), Stop> {
        let world = &self.host.world;
        if is_late && world.is(Mutant::ForgottenLateFile) {
            return Ok(());
        }
        let (key, checkpoint) = (row.key.clone(), self.changed(checkpoint));
        let publish = Command::Publish { epoch: self.epoch, partition, rows: vec![row], checkpoint };
        if world.is(Mutant::PublishBeforeUpload) {
            self.host.command(self.job, publish).await?;
            return self.host.call(|store| store.put(key, object)).await;
        }
        self.host.call(|store| store.put(key, object)).await?;
        self.host.command(self.job, publish).await?;
        self.renew().await
    }

    /// The checkpoint as it is stored, by some mutants with something wrong.
    fn changed(&self, mut checkpoint: Checkpoint) -> Checkpoint {
        let world = &self.host.world;
        if world.is(Mutant::CursorOffByOne)
            && let Resume::At { cursor, offset, line, .. } = &mut checkpoint.resume
            && let Some(next) = world.data.next_line(cursor, *offset)
        {
            (*offset, *line) = (next, *line + 1);
        }
        if world.is(Mutant::PublishedOffByOne) {
            checkpoint.kinds.iter_mut().for_each(|kind| kind.published = kind.published.saturating_sub(1));
        }
        checkpoint
    }

    /// Time that the work takes, with the lease kept all the while.
    async fn pause(&self, millis: i64) -> Result<(), Stop> {
        self.host.world.time.sleep(millis).await;
        self.host.crash()?;
        self.renew().await
    }

    async fn renew(&self) -> Result<(), Stop> {
        let world = &self.host.world;
        if world.time.now() - self.renewed.get() < RENEW || world.is(Mutant::LeaseNotRenewed) {
            return Ok(());
        }
        let until = world.clock(self.host.number).plus_seconds(LEASE_SECONDS);
        self.host.command(self.job, Command::Renew { epoch: self.epoch, until }).await?;
        self.renewed.set(world.time.now());
        Ok(())
    }

    /// What only a broken host does: takes the steps of staff itself.
    async fn release(&self) -> Result<(), Stop> {
        let world = &self.host.world;
        if world.is(Mutant::ReleaseSkipped) {
            for step in &world.scenario.config.steps.release {
                let approve = Command::Approve { step: step.name.clone(), by: "host".into() };
                if let Err(Stop::Crash) = self.host.command(self.job, approve).await {
                    return Err(Stop::Crash);
                }
            }
        }
        Ok(())
    }

    /// A writer refused what a host of this kind always does right.
    fn misused(&self, error: &ehi_core::writer::WriterError) -> Stop {
        self.host.world.violate(format!("a writer refused: {error}"));
        Stop::Error
    }
}

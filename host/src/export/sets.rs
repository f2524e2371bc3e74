//! The sets that passes need: what the source knows, or found by going through the data. Kept in memory.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ehi_core::{
    pass::{Collection, PartitionTask, Pass, SetWanted},
    plan::ExportPlan,
    values::WriterEvent,
};

use super::{
    Exporter,
    lease::Lease,
    run::{Data, feed},
};
use crate::engine::WriterSession;

/// The sets of one run.
#[derive(Default)]
pub(super) struct Sets {
    /// What queries ask for, and every pass that judges by queries: asked once.
    kept: Vec<Made>,
}

/// A set, as a block.
pub(super) type Made = (SetWanted, Arc<[u8]>);

/// What sets are made from.
#[derive(Clone, Copy)]
pub(super) struct Making<'m> {
    pub(super) exporter: &'m Exporter,
    pub(super) lease: &'m Lease<'m>,
    pub(super) plan: &'m ExportPlan,
    pub(super) population: Option<&'m [u8]>,
    pub(super) data: &'m Data<'m>,
}

impl Sets {
    /// The sets of a pass, in order.
    pub(super) fn of(&mut self, pass: Pass, making: Making<'_>) -> Result<Vec<Made>> {
        let wanted = making.exporter.engines.instance()?.sets_wanted(making.plan, pass)?;
        let mut made: Vec<Made> = Vec::with_capacity(wanted.len());
        for (set, task) in wanted {
            let kept = self.kept.iter().find(|(kept, _)| *kept == set).map(|(_, block)| Arc::clone(block));
            let block = match kept {
                Some(block) => block,
                None => {
                    let block: Arc<[u8]> = making.make(&set, task.as_ref(), &made)?.into();
                    if matches!(set, SetWanted::ValueSet(_) | SetWanted::Collected(Collection::Chained(_))) {
                        self.kept.push((set.clone(), Arc::clone(&block)));
                    }
                    block
                }
            };
            made.push((set, block));
        }
        Ok(made)
    }
}

impl Making<'_> {
    fn make(self, set: &SetWanted, task: Option<&PartitionTask>, made: &[Made]) -> Result<Vec<u8>> {
        let Self { exporter, lease, plan, population, data } = self;
        let mut making = exporter.engines.instance()?;
        let mut builder = making.set(set, TEXTS_MAX)?;
        let Some(task) = task else {
            for text in self.known(set)? {
                builder.push(text.as_bytes())?;
                builder.push(b"\n")?;
            }
            return Ok(builder.finish()?);
        };
        let mut collecting = exporter.engines.instance()?;
        let mut writer = collecting.writer(plan, task, population, &exporter.limits)?;
        // A collecting pass is told which of the earlier sets it needs by the same question.
        for (needed, _) in exporter.engines.instance()?.sets_wanted(plan, task.pass)? {
            let block = made.iter().find(|(set, _)| *set == needed).map(|(_, block)| block);
            writer.add_set(&needed, block.context("a set needs one that comes after it")?)?;
        }
        let mut drain = |writer: &mut dyn WriterSession| {
            while let Some(event) = writer.poll_output()? {
                match event {
                    WriterEvent::Found { bytes } => builder.push(&bytes)?,
                    _ => bail!("a collecting pass put out something other than what it found"),
                }
            }
            Ok(())
        };
        if data.has_anything_for(plan, task.pass)? {
            feed(writer.as_mut(), data.blocks(task, plan, population)?, &mut drain, &mut |_| lease.check())?;
        }
        Ok(builder.finish()?)
    }

    /// What the source knows by itself. An export that needs what it does not know is not made.
    fn known(self, set: &SetWanted) -> Result<Vec<String>> {
        let known = match set {
            SetWanted::ValueSet(canonical) => self.exporter.source.value_set(canonical, self.data.transaction_time)?,
            SetWanted::Vetoes | SetWanted::Collected(_) => None,
        };
        known.with_context(|| format!("this source knows no {set}, without which the export is not to be made"))
    }
}

/// Some 60 bytes each. An export that would need more fails rather than take a machine's memory.
const TEXTS_MAX: u64 = 4_000_000;

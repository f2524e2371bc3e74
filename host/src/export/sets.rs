//! The sets that a pass needs: found by going through the data, kept in memory while the pass lasts.

use anyhow::{Context, Result, bail};
use ehi_core::{
    pass::{Pass, SetWanted},
    plan::ExportPlan,
    values::WriterEvent,
};

use super::{
    Exporter,
    lease::Lease,
    run::{Data, feed},
};
use crate::engine::WriterSession;

/// The sets of a pass, in order.
pub(super) fn make(
    exporter: &Exporter,
    lease: &Lease<'_>,
    plan: &ExportPlan,
    pass: Pass,
    population: Option<&[u8]>,
    data: &Data<'_>,
) -> Result<Vec<(SetWanted, Vec<u8>)>> {
    let wanted = exporter.engines.instance()?.sets_wanted(plan, pass)?;
    let mut made: Vec<(SetWanted, Vec<u8>)> = Vec::with_capacity(wanted.len());
    for (set, task) in wanted {
        let (mut collecting, mut making) = (exporter.engines.instance()?, exporter.engines.instance()?);
        let mut builder = making.set(&set, TEXTS_MAX)?;
        let Some(task) = task else {
            for text in known(exporter, &set, data)? {
                builder.push(text.as_bytes())?;
                builder.push(b"\n")?;
            }
            made.push((set, builder.finish()?));
            continue;
        };
        let mut writer = collecting.writer(plan, &task, population, &exporter.limits)?;
        // A collecting pass is told which of the earlier sets it needs by the same question.
        let needed = exporter.engines.instance()?.sets_wanted(plan, task.pass)?;
        for (needed, _) in needed {
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
            feed(writer.as_mut(), data.blocks(&task, plan, population)?, &mut drain, &mut |_| lease.check())?;
        }
        made.push((set, builder.finish()?));
    }
    Ok(made)
}

/// What the source knows by itself. An export that needs what it does not know is not made.
fn known(exporter: &Exporter, set: &SetWanted, data: &Data<'_>) -> Result<Vec<String>> {
    let known = match set {
        SetWanted::ValueSet(canonical) => exporter.source.value_set(canonical, data.transaction_time)?,
        SetWanted::Vetoes | SetWanted::Collected(_) => None,
    };
    known.with_context(|| format!("this source knows no {set}, without which the export is not to be made"))
}

/// Some 60 bytes each. An export that would need more fails rather than take a machine's memory.
const TEXTS_MAX: u64 = 4_000_000;

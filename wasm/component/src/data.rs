//! Interface `data`.

use std::cell::RefCell;

use ehi_core::{
    population::{Population, PopulationBuilder},
    writer::{self, Source},
};

use crate::{
    Engine,
    bindings::exports::ehi::exporter::data::{
        Closed, Counts, Guest, GuestPopulation, GuestPopulationBuilder, GuestWriter, Opened, Output,
        Population as PopulationHandle, PopulationBuilder as BuilderHandle, Progress, Writer as WriterHandle,
    },
    convert::{self, Converted},
};

/// A population that is being made in this instance.
pub(crate) struct BuilderCell(RefCell<PopulationBuilder>);

/// A population of this instance.
pub(crate) struct PopulationCell(RefCell<Vec<u8>>);

/// A writer of this instance.
pub(crate) struct WriterCell(RefCell<writer::Writer<'static>>);

impl Guest for Engine {
    type Population = PopulationCell;
    type PopulationBuilder = BuilderCell;
    type Writer = WriterCell;
}

impl GuestPopulationBuilder for BuilderCell {
    fn new() -> Self {
        Self(RefCell::default())
    }

    fn push(&self, id: String) -> Converted<()> {
        self.0.borrow_mut().push(&id).map_err(text)
    }

    fn finish(this: BuilderHandle) -> Vec<u8> {
        this.into_inner::<Self>().0.into_inner().seal()
    }
}

impl GuestPopulation for PopulationCell {
    fn new() -> Self {
        Self(RefCell::default())
    }

    fn push(&self, part: Vec<u8>) {
        self.0.borrow_mut().extend_from_slice(&part);
    }
}

impl GuestWriter for WriterCell {
    fn open(
        plan: String,
        partition: u32,
        population: Option<PopulationHandle>,
        checkpoint: Option<String>,
        limits: String,
    ) -> Converted<WriterHandle> {
        let plan = convert::from_opaque(&plan, "plan")?;
        let limits = convert::from_opaque(&limits, "set of writer limits")?;
        let checkpoint = checkpoint.map(|text| convert::from_opaque(&text, "checkpoint")).transpose()?;
        let block = population.map(|handle| handle.into_inner::<PopulationCell>().0.into_inner());
        let population = block.as_deref().map(Population::load).transpose().map_err(text)?.map(Population::into_owned);
        let writer = writer::Writer::new(&plan, partition, population, checkpoint.as_ref(), limits).map_err(text)?;
        Ok(WriterHandle::new(Self(RefCell::new(writer))))
    }

    fn write_lines(&self, block: Vec<u8>, name: String, cursor: Vec<u8>, offset: u64) -> Converted<Progress> {
        let at = Source { name: &name, cursor: &cursor, offset };
        let writer::Progress { consumed, drain_first } = self.0.borrow_mut().write_lines(&block, at).map_err(text)?;
        Ok(Progress { consumed: consumed as u64, drain_first })
    }

    fn supersede_next_line(&self) -> Converted<()> {
        self.0.borrow_mut().supersede_next_line().map_err(text)
    }

    fn finish(&self) {
        self.0.borrow_mut().finish();
    }

    fn poll_output(&self) -> Option<Output> {
        let mut writer = self.0.borrow_mut();
        Some(match writer.poll_output()? {
            writer::Output::Open { file, section, resource_type, name } => Output::Open(Opened {
                file,
                section: convert::from_section(section),
                resource_type: resource_type.to_string(),
                name: name.to_owned(),
            }),
            writer::Output::Append { file, bytes } => Output::Append((file, bytes.to_vec())),
            writer::Output::Close { file, count, bytes, sha256, checkpoint } => Output::Close(Closed {
                file,
                count,
                bytes,
                sha256: sha256.map(str::to_owned),
                checkpoint: convert::opaque(checkpoint),
            }),
        })
    }

    fn counts(&self) -> Counts {
        let writer::Counts { lines, written, passed_over } = self.0.borrow().counts();
        Counts { lines, written, passed_over }
    }
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}

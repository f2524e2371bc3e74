//! Interface `data`.

use std::cell::RefCell;

use ehi_core::{
    population::{Population, PopulationBuilder},
    sets::{Set, SetBuilder},
    writer::{self, Source},
};

use crate::{
    Engine,
    bindings::exports::ehi::exporter::data::{
        Block as BlockHandle, Closed, Counts, Guest, GuestBlock, GuestPopulationBuilder, GuestSetBuilder, GuestWriter,
        Opened, Output, PartitionTask, PopulationBuilder as BuilderHandle, Progress, SetBuilder as SetBuilderHandle,
        Writer as WriterHandle,
    },
    convert::{self, Converted},
};

/// A population that is being made in this instance.
pub(crate) struct BuilderCell(RefCell<PopulationBuilder>);

/// A set that is being made in this instance.
pub(crate) struct SetBuilderCell(RefCell<SetBuilder>);

/// A block of this instance.
pub(crate) struct BlockCell(RefCell<Vec<u8>>);

/// A writer of this instance.
pub(crate) struct WriterCell(RefCell<writer::Writer<'static>>);

impl Guest for Engine {
    type Block = BlockCell;
    type PopulationBuilder = BuilderCell;
    type SetBuilder = SetBuilderCell;
    type Writer = WriterCell;
}

impl GuestPopulationBuilder for BuilderCell {
    fn new() -> Self {
        Self(RefCell::default())
    }

    fn push(&self, id: String) -> Converted<()> {
        self.0.borrow_mut().push(&id).map_err(text)
    }

    fn push_new(&self, id: String) -> Converted<()> {
        self.0.borrow_mut().push_new(&id).map_err(text)
    }

    fn push_resource(&self, resource_type: String, id: String, is_new: bool) -> Converted<()> {
        self.0.borrow_mut().push_resource(&resource_type, &id, is_new).map_err(text)
    }

    fn finish(this: BuilderHandle) -> Vec<u8> {
        this.into_inner::<Self>().0.into_inner().seal()
    }
}

impl GuestSetBuilder for SetBuilderCell {
    fn open(set: String, texts_max: u64) -> Converted<SetBuilderHandle> {
        let set = convert::from_opaque(&set, "set")?;
        let texts_max = usize::try_from(texts_max).unwrap_or(usize::MAX);
        Ok(SetBuilderHandle::new(Self(RefCell::new(SetBuilder::new(set, texts_max)))))
    }

    fn push(&self, found: Vec<u8>) -> Converted<()> {
        self.0.borrow_mut().push(&found).map_err(text)
    }

    fn finish(this: SetBuilderHandle) -> Converted<Vec<u8>> {
        this.into_inner::<Self>().0.into_inner().seal().map_err(text)
    }
}

impl GuestBlock for BlockCell {
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
        task: PartitionTask,
        population: Option<BlockHandle>,
        limits: String,
    ) -> Converted<WriterHandle> {
        let (plan, task) = (convert::from_opaque(&plan, "plan")?, convert::task(&task)?);
        let limits = convert::from_opaque(&limits, "set of writer limits")?;
        let block = population.map(|handle| handle.into_inner::<BlockCell>().0.into_inner());
        let population = block.as_deref().map(Population::load).transpose().map_err(text)?.map(Population::into_owned);
        let writer = writer::Writer::new(&plan, &task, population, limits).map_err(text)?;
        Ok(WriterHandle::new(Self(RefCell::new(writer))))
    }

    fn add_set(&self, set: String, block: BlockHandle) -> Converted<()> {
        let block = block.into_inner::<BlockCell>().0.into_inner();
        let set = Set::load(convert::from_opaque(&set, "set")?, &block).map_err(text)?.into_owned();
        self.0.borrow_mut().add_set(set).map_err(text)
    }

    fn write_lines(&self, block: Vec<u8>, name: String, cursor: Vec<u8>, offset: u64) -> Converted<Progress> {
        let at = Source { name: &name, cursor: &cursor, offset };
        let writer::Progress { consumed, drain_first } = self.0.borrow_mut().write_lines(&block, at).map_err(text)?;
        Ok(Progress { consumed: consumed as u64, drain_first })
    }

    fn supersede_next_line(&self) -> Converted<()> {
        self.0.borrow_mut().supersede_next_line().map_err(text)
    }

    fn begin_block(&self, patient: String) -> Converted<()> {
        self.0.borrow_mut().begin_block(&patient).map_err(text)
    }

    fn finish(&self) {
        self.0.borrow_mut().finish();
    }

    fn poll_output(&self) -> Option<Output> {
        let mut writer = self.0.borrow_mut();
        Some(match writer.poll_output()? {
            writer::Output::Open { file, section, resource_type, name, content_type } => Output::Open(Opened {
                file,
                section: convert::from_section(section),
                resource_type: resource_type.map(ToString::to_string),
                name: name.to_owned(),
                content_type: content_type.map(str::to_owned),
            }),
            writer::Output::Append { file, bytes } => Output::Append((file, bytes.to_vec())),
            writer::Output::Found { bytes } => Output::Found(bytes.to_vec()),
            writer::Output::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint } => {
                Output::Close(Closed {
                    file,
                    count,
                    bytes,
                    gzip_bytes,
                    sha256: sha256.map(str::to_owned),
                    continues_in_file: continues_in_file.map(str::to_owned),
                    checkpoint: convert::opaque(checkpoint),
                })
            }
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

//! `ehi_population_builder`: whose data an export of a group or a patient holds.

use std::mem::MaybeUninit;

use ehi_core::population::PopulationBuilder as Machine;

use crate::{
    bytes::Bytes,
    call::{self, Guarded, call, call_mut},
    error::Failure,
    input::{required, text},
    status::Status,
    view::View,
};

/// Collects the ids of the patients who are exported, in any order, and seals them into a block.
///
/// A block is position-independent bytes: store it beside the job, so that a writer that resumes gets the same.
pub struct PopulationBuilder(Guarded<Option<Machine>>);

/// Makes an empty builder.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_population_builder_new(
    builder: Option<&mut MaybeUninit<Box<PopulationBuilder>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        required(builder, "builder")?.write(Box::new(PopulationBuilder(Guarded::new(Some(Machine::default())))));
        Ok(())
    })
}

/// Adds one patient by the FHIR id. Adding twice is the same as once. After a failure the builder is as it was.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_population_builder_push(
    builder: Option<&mut PopulationBuilder>,
    id: View<'_>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(builder.map(|builder| &mut builder.0), error, |machine| {
        machine.as_mut().ok_or_else(finished)?.push(text(id, "id")?)?;
        Ok(())
    })
}

/// Ends the collection. You own the block. A population of nobody is a block too, and exports nobody.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_population_builder_seal(
    builder: Option<&mut PopulationBuilder>,
    block: Option<&mut MaybeUninit<Box<Bytes>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(builder.map(|builder| &mut builder.0), error, |machine| {
        let block = required(block, "block")?;
        block.write(Bytes::new(machine.take().ok_or_else(finished)?.seal()));
        Ok(())
    })
}

/// Frees a builder. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_population_builder_free(builder: Option<Box<PopulationBuilder>>) {
    call::free(builder);
}

fn finished() -> Failure {
    Failure::new(Status::Finished, "the population is sealed")
}

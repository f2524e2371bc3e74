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

/// Collects whose data are exported, in any order, and seals them into a block.
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

/// Adds one patient by the FHIR id as new: one whose membership of the group began after the `/run/newAfter` that
/// `ehi_job_wants` tells. Who is added by `ehi_population_builder_push` too was there before, and is not new.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_population_builder_push_new(
    builder: Option<&mut PopulationBuilder>,
    id: View<'_>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(builder.map(|builder| &mut builder.0), error, |machine| {
        machine.as_mut().ok_or_else(finished)?.push_new(text(id, "id")?)?;
        Ok(())
    })
}

/// Adds a member of the group that is no patient: a `Device`, `Medication`, `Practitioner`, `PractitionerRole` or `Substance`,
/// by its FHIR id. `is_new` as for patients: whether the membership began after `/run/newAfter`.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_population_builder_push_resource(
    builder: Option<&mut PopulationBuilder>,
    resource_type: View<'_>,
    id: View<'_>,
    is_new: bool,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(builder.map(|builder| &mut builder.0), error, |machine| {
        let (resource_type, id) = (text(resource_type, "resource_type")?, text(id, "id")?);
        machine.as_mut().ok_or_else(finished)?.push_resource(resource_type, id, is_new)?;
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

//! `ehi_set_builder`: what a pass must know of the rest of the data.

use std::mem::MaybeUninit;

use ehi_core::sets::SetBuilder as Machine;

use crate::{
    bytes::Bytes,
    call::{self, Guarded, call, call_mut},
    error::Failure,
    input::{json, required},
    status::Status,
    view::View,
};

/// Collects what a set is made of and seals it into a block for `ehi_writer_add_set`.
///
/// A block is position-independent bytes and serves any number of writers of one export. It need not be stored: after a
/// crash, make it again from the same data.
pub struct SetBuilder(Guarded<Option<Machine>>);

/// Makes an empty builder.
///
/// `set` is one of those that `ehi_plan_sets` names, at `/i/0` of its answer. `texts_max` is how many texts it may take,
/// which bounds its memory; one more is refused.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_set_builder_new(
    set: View<'_>,
    texts_max: usize,
    builder: Option<&mut MaybeUninit<Box<SetBuilder>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let builder = required(builder, "builder")?;
        builder.write(Box::new(SetBuilder(Guarded::new(Some(Machine::new(json(set, "set")?, texts_max))))));
        Ok(())
    })
}

/// Adds the bytes of an `EHI_OUTPUT_FOUND`, or texts of your own, each ended by a line feed. They may be cut anywhere.
///
/// The texts of a set of vetoes are `Type/id` for a resource that is left out, which of a Patient is everything in the
/// compartment too, and `Patient/id#system|code` for what is in that compartment and carries that security label. Those of
/// a ValueSet are its codes, each as `system|code`.
///
/// After `EHI_STATUS_SET` the builder can only be freed: a set that lacks something is none.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_set_builder_push(
    builder: Option<&mut SetBuilder>,
    bytes: View<'_>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(builder.map(|builder| &mut builder.0), error, |machine| {
        let bytes = bytes.bytes("bytes")?;
        let mut whole = machine.take().ok_or_else(finished)?;
        whole.push(bytes)?;
        *machine = Some(whole);
        Ok(())
    })
}

/// Ends the collection. You own the block. An empty set is a block too.
///
/// Seal the builder only when the pass has gone through all of the data. After `EHI_STATUS_SET` it can only be freed.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_set_builder_seal(
    builder: Option<&mut SetBuilder>,
    block: Option<&mut MaybeUninit<Box<Bytes>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(builder.map(|builder| &mut builder.0), error, |machine| {
        let block = required(block, "block")?;
        block.write(Bytes::new(machine.take().ok_or_else(finished)?.seal()?));
        Ok(())
    })
}

/// Frees a builder. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_set_builder_free(builder: Option<Box<SetBuilder>>) {
    call::free(builder);
}

fn finished() -> Failure {
    Failure::new(Status::Finished, "the set is sealed, or was refused")
}

//! `ehi_plan_*`: what an accepted export takes. No handle: a plan is the value that `ehi_job_plan` answers.

use std::mem::MaybeUninit;

use ehi_core::values;

use crate::{
    bytes::Bytes,
    call::call,
    input::{json, required},
    status::Status,
    value::Value,
    view::View,
};

/// The sets that a pass needs before its first line, in the order in which they are made. Most passes need none.
///
/// `pass` is `/pass` of a writer's task. The answer is an array of pairs: `/i/0` is a set, and `/i/1` the task that finds
/// what it is made of. Run that task over all partitions with a writer that is given the sets before this one, and push what
/// it finds to an `ehi_set_builder`. Where `/i/1` is null, no pass finds it: push what you know.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_plan_sets(
    plan: View<'_>,
    pass: View<'_>,
    sets: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let sets = required(sets, "sets")?;
        sets.write(Value::boxed(&values::sets_wanted(&json(plan, "plan")?, json(pass, "pass")?))?);
        Ok(())
    })
}

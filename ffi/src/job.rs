//! `ehi_job_*`: one export. No handle: a job is a record in your store, and these are functions of it.
//!
//! `record` is everywhere the text that `ehi_value_text` gives for `/job/record`. What an answer says to store is stored
//! before anything is sent, in one transaction, and only over the version of the record that was read; if another process
//! was faster, read the record again and repeat the call.

use std::mem::MaybeUninit;

use ehi_core::values;

use crate::{
    bytes::Bytes,
    call::{call, call_ref},
    endpoint::Endpoint,
    input::{json, optional_json, principal, required, text},
    status::Status,
    value::Value,
    view::View,
};

/// Answers a request about a job: `response` to send, once `job` and `account` are stored where they are not null.
///
/// `record` is the job's record as it was stored, `account` the poll account beside it, or NULL if there is none yet. If
/// another process stored a newer record in between, read that and repeat the call. The other inputs are those of
/// `ehi_endpoint_route`. The body of the response may be a manifest to write with an `ehi_manifest_writer`, or the name of a
/// file: look it up in the job's rows and call `ehi_job_serve_file`, or send `ehi_endpoint_not_found`. A manifest is of all the
/// job's rows, or if it names a page, of the rows of that page and those of none.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_job_handle_request(
    endpoint: Option<&Endpoint>,
    record: View<'_>,
    account: View<'_>,
    head: View<'_>,
    body: View<'_>,
    principal: View<'_>,
    now: i64,
    answered: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_ref(endpoint.map(|endpoint| &endpoint.0), error, |endpoint| {
        let answered = required(answered, "answered")?;
        let (record, account) = (text(record, "record")?, optional_json(account, "account")?.unwrap_or_default());
        let (head, body, principal) = (json(head, "head")?, body.bytes("body")?, self::principal(principal)?);
        let answer = values::handle_request(endpoint, record, account, &head, body, &principal, now)?;
        answered.write(Value::boxed(&answer)?);
        Ok(())
    })
}

/// The response to a request for a file whose row was found.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_job_serve_file(
    record: View<'_>,
    row: View<'_>,
    head: View<'_>,
    response: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let response = required(response, "response")?;
        let answer = values::serve_file(text(record, "record")?, &json(row, "row")?, &json(head, "head")?)?;
        response.write(Value::boxed(&answer)?);
        Ok(())
    })
}

/// Moves on what time alone moves. Call it when the job's `wakeAt` has come. The job to store, or `null` if nothing changed.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_job_handle_timeout(
    record: View<'_>,
    now: i64,
    job: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let job = required(job, "job")?;
        job.write(Value::boxed(&values::handle_timeout(text(record, "record")?, now)?)?);
        Ok(())
    })
}

/// Says what is to be done for a job, as `holder` sees it: `"nothing"`, `run` with a population and partitions, `"remove"`
/// or `"forget"`. It follows from the record alone, so a host that restarts asks each job and has lost nothing.
///
/// `/run/newAfter` is there if the members of the group are to be told apart: the FHIR instant after which a membership makes its
/// member new, see `ehi_population_builder_push_new`.
///
/// Each item of `/run/partitions` is a task for a writer. All that are listed belong to the export, those of other passes
/// than the main one too: the job is complete when every one is finished.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_job_wants(
    record: View<'_>,
    holder: View<'_>,
    now: i64,
    wants: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let wants = required(wants, "wants")?;
        let answer = values::wants(text(record, "record")?, text(holder, "holder")?, now)?;
        wants.write(Value::boxed(&answer)?);
        Ok(())
    })
}

/// Gives a job a command: `begin`, `renew`, `publish`, `finishPartition`, `fail`, or `"removed"`.
///
/// The answer has the `epoch` to work under, the `job` to store and the `rows` to append to the job's list, in one
/// transaction and only over the record that was read.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_job_apply(
    record: View<'_>,
    command: View<'_>,
    now: i64,
    applied: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let applied = required(applied, "applied")?;
        let answer = values::apply(text(record, "record")?, json(command, "command")?, now)?;
        applied.write(Value::boxed(&answer)?);
        Ok(())
    })
}

/// What a job exports: the plan that writers are made of, and of which `ehi_plan_sets` tells the sets that they need.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_job_plan(
    record: View<'_>,
    plan: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let plan = required(plan, "plan")?;
        plan.write(Value::boxed(&values::plan(text(record, "record")?)?)?);
        Ok(())
    })
}

/// What a job's manifest says besides its files: the head that manifest writers are made of.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_job_manifest_head(
    record: View<'_>,
    head: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let head = required(head, "head")?;
        head.write(Value::boxed(&values::manifest_head(text(record, "record")?)?)?);
        Ok(())
    })
}

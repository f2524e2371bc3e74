//! `ehi_writer`: resources in, NDJSON files out.

use std::mem::MaybeUninit;

use ehi_core::{
    pass::PartitionTask,
    population::Population,
    sets::Set,
    values::WriterEvent,
    writer::{Output, Source, Writer as Machine, WriterLimits},
};

use crate::{
    bytes::Bytes,
    call::{self, Guarded, call, call_mut},
    input::{json, optional_json, required, text},
    status::Status,
    value::Value,
    view::View,
};

/// Turns the lines of one partition into NDJSON files, byte for byte and in bounded memory. The general flow is:
///
/// 1. `ehi_writer_add_set` for each set that `ehi_plan_sets` names for the pass of the task.
/// 2. `ehi_writer_write_lines` with a block of bytes, cut anywhere. It says how much it took.
/// 3. `ehi_writer_poll_output` until there is nothing: open files, append to them, close them. When a file is closed and
///    stored whole, publish its row, with the checkpoint that came with it, by `ehi_job_apply`.
/// 4. Again from 2, until the partition has no more blocks. Then `ehi_writer_finish`, and poll once more.
///
/// An export takes a writer for each task that `ehi_job_wants` lists, and is complete when all are finished. A writer of a
/// collecting pass makes no file: what it finds goes into an `ehi_set_builder`.
///
/// After a crash, a writer made with the task as the job lists it then, fed from where its checkpoint says, makes exactly
/// the files that were still to come.
pub struct Writer(Guarded<Session>);

struct Session {
    machine: Machine<'static>,
    /// What the last poll lent.
    event: Option<Value>,
}

/// What to do next. A later version may know more outputs: treat one that you do not know as a failure.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// Nothing: give more input. After `ehi_writer_finish`: all is done.
    Nothing = 0,
    /// Open a new file. The event has `/open/section`, `/open/name` and, if its resources are of one type,
    /// `/open/type`. That of an attachment may have `/open/contentType`, for its row.
    Open = 1,
    /// Append bytes to it.
    Append = 2,
    /// It is complete: store it, then publish its row. The event has `/close/count`, `/close/bytes`, `/close/sha256` and
    /// `/close/checkpoint`; and `/close/gzipBytes` if the limits ask for gzip.
    Close = 3,
    /// Push the bytes to the `ehi_set_builder` of the set that is being made. They belong to no file.
    Found = 4,
}

/// Makes a writer for one task of an export that has begun.
///
/// `plan` is what `ehi_job_plan` answers. `task` is one of those that `ehi_job_wants` lists in `/run/partitions`, or that
/// `ehi_plan_sets` pairs with a set; NULL is the main pass over partition 0, from the start. `population` is a sealed block;
/// it must be there exactly when the export is of a group or a patient, and is NULL otherwise. `limits` is a JSON object;
/// what it lacks has a default, and NULL is all defaults.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_new(
    plan: View<'_>,
    task: View<'_>,
    population: View<'_>,
    limits: View<'_>,
    writer: Option<&mut MaybeUninit<Box<Writer>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let writer = required(writer, "writer")?;
        let plan = json(plan, "plan")?;
        let task: Option<PartitionTask> = optional_json(task, "task")?;
        // Copied, so that no rule binds the block to the writer.
        let population = if population.is_null() {
            None
        } else {
            Some(Population::load(population.bytes("population")?)?.into_owned())
        };
        let limits: Option<WriterLimits> = optional_json(limits, "limits")?;
        let machine = Machine::new(&plan, &task.unwrap_or_default(), population, limits.unwrap_or_default())?;
        writer.write(Box::new(Writer(Guarded::new(Session { machine, event: None }))));
        Ok(())
    })
}

/// Gives the writer a set that its pass needs. It takes no line before it has all of them.
///
/// `set` is one of those that `ehi_plan_sets` names, at `/i/0` of its answer, and `block` what an `ehi_set_builder` of that
/// set was sealed into.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_add_set(
    writer: Option<&mut Writer>,
    set: View<'_>,
    block: View<'_>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| {
        // Copied, as the population is.
        let set = Set::load(json(set, "set")?, block.bytes("block")?)?.into_owned();
        Ok(session.machine.add_set(set)?)
    })
}

/// Takes bytes of a source. Lines may be cut anywhere between blocks, and the block is not kept.
///
/// `name` is what to call the source in reports: a file name, a table name; a new name ends the source before it. With
/// `cursor`, which is opaque here, and `offset`, the bytes after it, you can find the block again. `consumed` is how much of
/// the block was taken: give the rest again, with its offset. If `drain_first` is true, poll the output before that.
///
/// A line that is no resource is no failure: it is reported in an error file, with the name and the line number.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_write_lines(
    writer: Option<&mut Writer>,
    block: View<'_>,
    name: View<'_>,
    cursor: View<'_>,
    offset: u64,
    consumed: Option<&mut MaybeUninit<usize>>,
    drain_first: Option<&mut MaybeUninit<bool>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| {
        let (consumed, drain_first) = (required(consumed, "consumed")?, required(drain_first, "drain_first")?);
        let source = Source { name: text(name, "name")?, cursor: cursor.bytes("cursor")?, offset };
        let progress = session.machine.write_lines(block.bytes("block")?, source)?;
        consumed.write(progress.consumed);
        drain_first.write(progress.drain_first);
        Ok(())
    })
}

/// Says of the line that comes next that a newer version of its resource is exported instead: it is reported, not exported.
/// The next byte given must be its first.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_supersede_next_line(
    writer: Option<&mut Writer>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| Ok(session.machine.supersede_next_line()?))
}

/// Begins the block of a patient, where output is organised by patient: the lines from here on are those of the patient's
/// compartment, the Patient first. A resource of several patients is given in the block of each.
///
/// What is given before the first block is reported if it is no resource, and never exported; so is what does not belong
/// in its block. After a crash the first block is given again from its beginning.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_begin_block(
    writer: Option<&mut Writer>,
    patient: View<'_>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| {
        Ok(session.machine.begin_block(text(patient, "patient")?)?)
    })
}

/// Ends the last source and closes all files. Poll the output once more.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_finish(
    writer: Option<&mut Writer>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| {
        session.machine.finish();
        Ok(())
    })
}

/// Says what to do next: open a file, append to it or close it; add to a set; or nothing.
///
/// `file` is the file's number in this writer's output, and 0 where there is none. `bytes` is what to append or add, else
/// empty. `event` says the rest when a file is opened or closed, else it is NULL. Both are lent until the next call on the
/// writer; do not free the event.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_poll_output<'a>(
    writer: Option<&'a mut Writer>,
    output: Option<&mut MaybeUninit<OutputKind>>,
    file: Option<&mut MaybeUninit<u32>>,
    bytes: Option<&mut MaybeUninit<View<'a>>>,
    event: Option<&mut MaybeUninit<Option<&'a Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| {
        let (kind_out, file_out) = (required(output, "output")?, required(file, "file")?);
        let (bytes_out, event_out) = (required(bytes, "bytes")?, required(event, "event")?);
        let Session { machine, event } = session;
        *event = None;
        let output = machine.poll_output();
        let (kind, file, bytes) = match &output {
            None => (OutputKind::Nothing, 0, &[][..]),
            Some(Output::Open { file, .. }) => (OutputKind::Open, *file, &[][..]),
            Some(Output::Append { file, bytes }) => (OutputKind::Append, *file, *bytes),
            Some(Output::Found { bytes }) => (OutputKind::Found, 0, *bytes),
            Some(Output::Close { file, .. }) => (OutputKind::Close, *file, &[][..]),
        };
        if let Some(output @ (Output::Open { .. } | Output::Close { .. })) = output {
            *event = Some(Value::new(&WriterEvent::from(output))?);
        }
        kind_out.write(kind);
        file_out.write(file);
        bytes_out.write(View::of(bytes));
        event_out.write(event.as_ref());
        Ok(())
    })
}

/// What was done so far: lines read, records written to files of this writer or found for a set, and records that an
/// earlier run had published, read again and passed over.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_counts(
    writer: Option<&mut Writer>,
    lines: Option<&mut MaybeUninit<u64>>,
    written: Option<&mut MaybeUninit<u64>>,
    passed_over: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| {
        let (lines, written) = (required(lines, "lines")?, required(written, "written")?);
        let passed_over = required(passed_over, "passed_over")?;
        let counts = session.machine.counts();
        lines.write(counts.lines);
        written.write(counts.written);
        passed_over.write(counts.passed_over);
        Ok(())
    })
}

/// Frees a writer. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_writer_free(writer: Option<Box<Writer>>) {
    call::free(writer);
}

//! `ehi_manifest_writer`: the output manifest, in memory that does not depend on the number of files.

use std::mem::MaybeUninit;

use ehi_core::manifest::ManifestWriter as Machine;

use crate::{
    bytes::Bytes,
    call::{self, Guarded, call, call_mut},
    error::Failure,
    input::{json, required},
    status::Status,
    view::View,
};

/// Writes a manifest, piece by piece: `ehi_manifest_writer_row` for each file, sections in the order output, deleted, error,
/// then `ehi_manifest_writer_finish`. The pieces in the order of the calls are the manifest.
pub struct ManifestWriter(Guarded<Session>);

struct Session {
    /// `None` once it has finished.
    machine: Option<Machine>,
    /// What the last call lent.
    piece: Vec<u8>,
}

/// Makes a writer of a head: what `ehi_job_manifest_head` answers, or the `manifest` in the body of a response.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_manifest_writer_new(
    head: View<'_>,
    writer: Option<&mut MaybeUninit<Box<ManifestWriter>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let writer = required(writer, "writer")?;
        let session = Session { machine: Some(Machine::new(json(head, "head")?)), piece: Vec::new() };
        writer.write(Box::new(ManifestWriter(Guarded::new(session))));
        Ok(())
    })
}

/// Adds a file by its row and lends the next piece, until the next call on the writer.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_manifest_writer_row<'a>(
    writer: Option<&'a mut ManifestWriter>,
    row: View<'_>,
    piece: Option<&mut MaybeUninit<View<'a>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| {
        let piece = required(piece, "piece")?;
        let machine = session.machine.as_mut().ok_or_else(finished)?;
        session.piece.clear();
        machine.row(&json(row, "row")?, &mut session.piece)?;
        piece.write(View::of(&session.piece));
        Ok(())
    })
}

/// Ends the manifest and lends the last piece, until the writer is freed.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_manifest_writer_finish<'a>(
    writer: Option<&'a mut ManifestWriter>,
    piece: Option<&mut MaybeUninit<View<'a>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(writer.map(|writer| &mut writer.0), error, |session| {
        let piece = required(piece, "piece")?;
        session.piece.clear();
        session.machine.take().ok_or_else(finished)?.finish(&mut session.piece);
        piece.write(View::of(&session.piece));
        Ok(())
    })
}

/// Frees a manifest writer. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_manifest_writer_free(writer: Option<Box<ManifestWriter>>) {
    call::free(writer);
}

fn finished() -> Failure {
    Failure::new(Status::Finished, "the manifest writer has finished")
}

//! `ehi_digester`: SHA-256 of a file, for programs that take it on another thread than the writer's.

use std::mem::MaybeUninit;

use ehi_core::writer::Digester as Machine;

use crate::{
    bytes::Bytes,
    call::{self, Guarded, call, call_mut},
    error::Failure,
    input::required,
    status::Status,
    view::View,
};

/// Takes the SHA-256 of bytes given in order. Needed only if the writer's limits say `"digest":false`.
pub struct Digester(Guarded<Session>);

struct Session {
    /// `None` once it has finished.
    machine: Option<Machine>,
    /// What `finish` lent.
    digest: String,
}

/// Makes a digester that has seen nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_digester_new(
    digester: Option<&mut MaybeUninit<Box<Digester>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let session = Session { machine: Some(Machine::default()), digest: String::new() };
        required(digester, "digester")?.write(Box::new(Digester(Guarded::new(session))));
        Ok(())
    })
}

/// Takes more bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_digester_update(
    digester: Option<&mut Digester>,
    bytes: View<'_>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(digester.map(|digester| &mut digester.0), error, |session| {
        session.machine.as_mut().ok_or_else(finished)?.update(bytes.bytes("bytes")?);
        Ok(())
    })
}

/// Lends the digest, 64 lower-case hexadecimal digits, until the digester is freed.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_digester_finish<'a>(
    digester: Option<&'a mut Digester>,
    digest: Option<&mut MaybeUninit<View<'a>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_mut(digester.map(|digester| &mut digester.0), error, |session| {
        let digest = required(digest, "digest")?;
        session.digest = session.machine.take().ok_or_else(finished)?.finish();
        digest.write(View::of(session.digest.as_bytes()));
        Ok(())
    })
}

/// Frees a digester. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_digester_free(digester: Option<Box<Digester>>) {
    call::free(digester);
}

fn finished() -> Failure {
    Failure::new(Status::Finished, "the digester has finished")
}

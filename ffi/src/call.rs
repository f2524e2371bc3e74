//! The frame around every call: no panic crosses into C, no handle is used after one, errors go where they are wanted.

use std::{
    mem::MaybeUninit,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{bytes::Bytes, error::Failure, input::required, status::Status};

/// Where a call leaves the text of its error, if the caller wants it.
pub(crate) type ErrorOut<'e> = Option<&'e mut MaybeUninit<Box<Bytes>>>;

/// What stands behind a handle: a machine, and whether a panic left it in a state that nobody knows.
///
/// `Send`, because a handle may be used by any thread.
pub(crate) struct Guarded<T: Send> {
    machine: T,
    poisoned: AtomicBool,
}

impl<T: Send> Guarded<T> {
    pub(crate) fn new(machine: T) -> Self {
        Self { machine, poisoned: AtomicBool::new(false) }
    }
}

/// A call on no handle.
pub(crate) fn call(error: ErrorOut<'_>, body: impl FnOnce() -> Result<(), Failure>) -> Status {
    settle(catch(body), error)
}

/// A call that reads a handle, at the same time as others may.
pub(crate) fn call_ref<'h, T: Send + Sync>(
    handle: Option<&'h Guarded<T>>,
    error: ErrorOut<'_>,
    body: impl FnOnce(&'h T) -> Result<(), Failure>,
) -> Status {
    settle(
        required(handle, "handle").and_then(|Guarded { machine, poisoned }| guard(poisoned, || body(machine))),
        error,
    )
}

/// A call that changes a handle, alone.
pub(crate) fn call_mut<'h, T: Send>(
    handle: Option<&'h mut Guarded<T>>,
    error: ErrorOut<'_>,
    body: impl FnOnce(&'h mut T) -> Result<(), Failure>,
) -> Status {
    settle(
        required(handle, "handle").and_then(|Guarded { machine, poisoned }| guard(poisoned, || body(machine))),
        error,
    )
}

/// Frees a handle. A panic on the way is of no interest to the caller, who is done with it.
pub(crate) fn free<T>(handle: Option<Box<T>>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
}

fn guard(poisoned: &AtomicBool, body: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    if poisoned.load(Ordering::Relaxed) {
        return Err(Failure::new(Status::Poisoned, Status::Poisoned.text()));
    }
    let result = catch(body);
    if result.as_ref().is_err_and(|failure| failure.status == Status::Panic) {
        poisoned.store(true, Ordering::Relaxed);
    }
    result
}

/// What a panic says is not passed on: nothing vouches for what is in it.
fn catch(body: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(Failure::new(Status::Panic, Status::Panic.text())))
}

fn settle(result: Result<(), Failure>, error: ErrorOut<'_>) -> Status {
    let Err(failure) = result else {
        return Status::Ok;
    };
    if let Some(error) = error {
        error.write(Bytes::new(failure.text.into_owned().into_bytes()));
    }
    failure.status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_poisons_only_its_handle() {
        let (mut broken, other) = (Guarded::new(1), Guarded::new(2));
        assert_eq!(call_mut(Some(&mut broken), None, |_| panic!("on purpose")), Status::Panic);
        assert_eq!(call_mut(Some(&mut broken), None, |_| Ok(())), Status::Poisoned);
        assert_eq!(call_ref(Some(&broken), None, |_| Ok(())), Status::Poisoned);
        assert_eq!(call_ref(Some(&other), None, |_| Ok(())), Status::Ok);
        assert_eq!(call_ref(Some(&other), None, |_| panic!("on purpose")), Status::Panic);
        assert_eq!(call_ref(Some(&other), None, |_| Ok(())), Status::Poisoned);
        assert_eq!(call(None, || panic!("on purpose")), Status::Panic);
    }

    #[test]
    fn an_error_does_not_repeat_a_panic() {
        let failure = catch(|| panic!("Strange")).unwrap_err();
        assert_eq!((failure.status, failure.text.as_ref()), (Status::Panic, Status::Panic.text()));
    }
}

//! Pointers of C as slices: the only `unsafe` block of the crate.

use std::ffi::c_char;

/// The bytes that a view of C points to, or `None` for a length that no object has.
///
/// Safe to call although it trusts `data`: the one caller is [`View`](crate::View), whose fields are private. A view that
/// Rust made was made of a slice with that lifetime; any other is an argument from C, and the contract says that what it
/// points to can be read until the call returns.
pub(crate) fn slice<'a>(data: *const c_char, len: usize) -> Option<&'a [u8]> {
    if len == 0 {
        return Some(&[]);
    }
    if data.is_null() || isize::try_from(len).is_err() {
        return None;
    }
    // SAFETY: `data` is not NULL and `len` is in bounds, checked above. That `len` bytes can be read there and do not
    // change for `'a` is the invariant of `View`, described above. Bytes need no alignment and have no invalid values.
    Some(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

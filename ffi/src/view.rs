//! `ehi_view`: how bytes and text cross, in both directions.

use std::{ffi::c_char, marker::PhantomData};

use crate::{error::Failure, raw, status::Status};

/// Bytes that belong to somebody else: a pointer and a length. Text is UTF-8 and has no final NUL.
///
/// As an argument it lasts until the call returns; NULL with length 0 is an empty input. What a function hands out lasts
/// as long as the function says.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The first byte.
    data: *const c_char,
    /// How many there are.
    len: usize,
    lifetime: PhantomData<&'a [u8]>,
}

impl<'a> View<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), len: bytes.len(), lifetime: PhantomData }
    }

    /// What C says by NULL where an input may be left out.
    pub(crate) fn is_null(&self) -> bool {
        self.data.is_null() && self.len == 0
    }

    pub(crate) fn bytes(self, name: &str) -> Result<&'a [u8], Failure> {
        raw::slice(self.data, self.len).ok_or_else(|| {
            if self.data.is_null() {
                Failure::new(Status::NullPointer, format!("`{name}` is NULL and has a length"))
            } else {
                Failure::new(Status::TooLarge, format!("`{name}` has a length that no object has"))
            }
        })
    }
}

//! `ehi_bytes`: bytes that the caller owns, such as the text of an error.

use crate::{call, view::View};

/// Bytes that you own: the text of an error, the block of a population or a set. Look at them with `ehi_bytes_view`, then
/// free them.
pub struct Bytes(Vec<u8>);

impl Bytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Box<Self> {
        Box::new(Self(bytes))
    }
}

/// The bytes, until they are freed. Of NULL: an empty view.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_bytes_view(bytes: Option<&Bytes>) -> View<'_> {
    View::of(bytes.map_or(&[], |bytes| &bytes.0))
}

/// Frees bytes. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_bytes_free(bytes: Option<Box<Bytes>>) {
    call::free(bytes);
}

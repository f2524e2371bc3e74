//! Whatever finds and writes JSON. Nothing else in the crate names the JSON library that is used on the hot path, so
//! that a faster walker can take its place behind [`Header::read`] and [`Element`].

mod element;
mod header;
mod lanes;
mod opening;
#[cfg(any(test, not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))))]
mod portable;
mod references;
mod simd;
#[cfg(test)]
mod tests;
mod validate;
mod walk;

use serde::Serialize;
use serde_json::value::RawValue;

pub(crate) use element::{Element, Items, Members, Name};
pub(crate) use header::string_of;
pub use header::{Header, LineError};
pub(crate) use opening::Opening;
pub(crate) use references::{elements, members};
pub(crate) use validate::validate;

/// The undecoded JSON text of a captured element.
pub(crate) type RawElement = RawValue;

/// Compact JSON text of one of our own values.
pub(crate) fn to_string<T: Serialize>(value: &T) -> String {
    // Our values have string keys and no failing serialisers, so this cannot fail; if it did, `null` is no resource.
    serde_json::to_string(value).unwrap_or_else(|_| String::from("null"))
}

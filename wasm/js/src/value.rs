//! Between JavaScript's values and the core's, by way of their JSON form.
//!
//! What comes in goes through `JSON.stringify`: so an unknown member is refused as it is everywhere else (a
//! deserializer that looks up the members it knows would pass over it), a member that is `undefined` counts as absent,
//! a `Date` is the instant it stands for, and an exception from a getter is caught here instead of unwinding through
//! the core.

use ehi_core::errors::JobMisuse;
use js_sys::{JSON, Reflect, Uint8Array};
use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use wasm_bindgen::prelude::*;

use crate::error::Error;

/// Reads a value. `what` says, with its article, what it is to be.
pub(crate) fn read<T: DeserializeOwned>(value: &JsValue, what: &str) -> Result<T, Error> {
    // The reader's own text may quote the value: it is left away.
    serde_json::from_str(&json(value, what)?).map_err(|_| Error::malformed(what))
}

/// The same, where `undefined` and `null` mean that there is none.
pub(crate) fn read_optional<T: DeserializeOwned>(value: &JsValue, what: &str) -> Result<Option<T>, Error> {
    if is_absent(value) { Ok(None) } else { read(value, what).map(Some) }
}

/// The JSON text of a value.
pub(crate) fn json(value: &JsValue, what: &str) -> Result<String, Error> {
    let text = JSON::stringify(value).map_err(|_| Error::malformed(what))?;
    // What has no JSON form at all, such as `undefined`, reads like `null`: as something that nothing accepts.
    let text = text.as_string().unwrap_or_else(|| "null".to_owned());
    let parsed = serde_json::from_str(&text).map_err(|_| Error::malformed(what))?;
    if is_exact(&parsed) { Ok(text) } else { Err(Error::inexact()) }
}

/// A text.
pub(crate) fn text(value: &JsValue, what: &str) -> Result<String, Error> {
    value.as_string().ok_or_else(|| Error::malformed(what))
}

/// A job's record, which is a text but opaque.
pub(crate) fn record(value: &JsValue) -> Result<String, Error> {
    value.as_string().ok_or_else(|| JobMisuse::Unreadable.into())
}

/// Bytes. Only what is bytes: an array or a text would turn into others silently. What memory cannot hold is refused.
pub(crate) fn bytes(value: &JsValue, what: &str) -> Result<Vec<u8>, Error> {
    let array = value.dyn_ref::<Uint8Array>().ok_or_else(|| Error::malformed(what))?;
    let length = usize::try_from(array.length()).map_err(|_| Error::too_large(what))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Error::too_large(what))?;
    bytes.resize(length, 0);
    array.copy_to(&mut bytes);
    Ok(bytes)
}

/// The same, where `undefined` and `null` mean that there are none.
pub(crate) fn bytes_optional(value: &JsValue, what: &str) -> Result<Option<Vec<u8>>, Error> {
    if is_absent(value) { Ok(None) } else { bytes(value, what).map(Some) }
}

/// The members of an object that has no JSON form because some are bytes. An unknown one is refused.
pub(crate) fn members<const N: usize>(object: &JsValue, what: &str, names: [&str; N]) -> Result<[JsValue; N], Error> {
    let keys = Reflect::own_keys(object).map_err(|_| Error::malformed(what))?;
    let known = |key: JsValue| key.as_string().is_some_and(|key| names.contains(&key.as_str()));
    if !keys.iter().all(known) {
        return Err(Error::malformed(what));
    }
    let mut values = [const { JsValue::UNDEFINED }; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = Reflect::get(object, &name.into()).map_err(|_| Error::malformed(what))?;
    }
    Ok(values)
}

/// Gives a value: `null` for what is not there, numbers for numbers, `Uint8Array`s for [`Bytes`].
pub(crate) fn give<T: Serialize>(value: &T) -> Result<JsValue, Error> {
    // A number that is too large is all that can go wrong.
    value.serialize(&PLAIN).map_err(|_| Error::inexact())
}

/// Bytes inside a value that is given.
pub(crate) struct Bytes<'b>(pub(crate) &'b [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

fn is_absent(value: &JsValue) -> bool {
    value.is_undefined() || value.is_null()
}

fn is_exact(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.as_f64().is_some_and(|number| number.abs() <= js_sys::Number::MAX_SAFE_INTEGER),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
    }
}

static PLAIN: serde_wasm_bindgen::Serializer =
    serde_wasm_bindgen::Serializer::json_compatible().serialize_bytes_as_arrays(false);

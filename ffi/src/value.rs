//! `ehi_value`: a JSON value with getters, so that a C program needs no JSON parser.

use std::{borrow::Cow, collections::BTreeMap, mem::MaybeUninit, sync::OnceLock};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    bytes::Bytes,
    call::{self, call},
    error::Failure,
    input::{required, text},
    status::Status,
    view::View,
};

/// A JSON value that the library answers with. You own it, except where a function says that it only lends it.
///
/// The getters take a JSON pointer (RFC 6901) to a part of the value, such as `/accepted/job/record` or `/rows/0/name`.
/// The empty pointer is the whole value. What they hand out lasts until the value is freed.
pub struct Value {
    text: String,
    /// Parsed when a getter first needs it: most values are handed on as text.
    tree: OnceLock<serde_json::Value>,
}

impl Value {
    pub(crate) fn new(value: &impl Serialize) -> Result<Self, Failure> {
        let text = serde_json::to_string(value);
        let text = text.map_err(|_| Failure::new(Status::Refused, "the answer cannot be written as JSON"))?;
        Ok(Self { text, tree: OnceLock::new() })
    }

    pub(crate) fn boxed(value: &impl Serialize) -> Result<Box<Self>, Failure> {
        Self::new(value).map(Box::new)
    }

    fn part(&self, pointer: &str) -> Result<&serde_json::Value, Failure> {
        let tree = self.tree.get_or_init(|| serde_json::from_str(&self.text).unwrap_or_default());
        tree.pointer(pointer).ok_or_else(|| absent(pointer))
    }

    /// The text of a part, as it stands in the text of the whole.
    fn part_text(&self, pointer: &str) -> Result<&str, Failure> {
        let Some(path) = pointer.strip_prefix('/') else {
            return if pointer.is_empty() { Ok(&self.text) } else { Err(absent(pointer)) };
        };
        let mut part = self.text.as_str();
        for segment in path.split('/') {
            part = member(part, segment).ok_or_else(|| absent(pointer))?;
        }
        Ok(part)
    }
}

/// Lends the JSON text of a part, to hand on or to store. `EHI_STATUS_ABSENT` if there is no such part.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_value_json<'a>(
    value: Option<&'a Value>,
    pointer: View<'_>,
    json: Option<&mut MaybeUninit<View<'a>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let (value, json) = (required(value, "value")?, required(json, "json")?);
        json.write(View::of(value.part_text(text(pointer, "pointer")?)?.as_bytes()));
        Ok(())
    })
}

/// Lends the text of a part that is a string, decoded. `EHI_STATUS_OTHER_TYPE` if it is none.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_value_text<'a>(
    value: Option<&'a Value>,
    pointer: View<'_>,
    decoded: Option<&mut MaybeUninit<View<'a>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let (value, decoded) = (required(value, "value")?, required(decoded, "decoded")?);
        let pointer = text(pointer, "pointer")?;
        let found = value.part(pointer)?.as_str().ok_or_else(|| other_type(pointer, "a string"))?;
        decoded.write(View::of(found.as_bytes()));
        Ok(())
    })
}

/// The number at a part that is an integer. `EHI_STATUS_OTHER_TYPE` if it is none, or none that fits.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_value_integer(
    value: Option<&Value>,
    pointer: View<'_>,
    integer: Option<&mut MaybeUninit<i64>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let (value, integer) = (required(value, "value")?, required(integer, "integer")?);
        let pointer = text(pointer, "pointer")?;
        integer.write(value.part(pointer)?.as_i64().ok_or_else(|| other_type(pointer, "a 64-bit integer"))?);
        Ok(())
    })
}

/// Frees a value. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_value_free(value: Option<Box<Value>>) {
    call::free(value);
}

/// One step of a JSON pointer, by the rules of `serde_json::Value::pointer`.
fn member<'t>(text: &'t str, segment: &str) -> Option<&'t str> {
    if text.starts_with('[') {
        let canonical = segment == "0" || !segment.starts_with(['0', '+']);
        let index: usize = segment.parse().ok().filter(|_| canonical)?;
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return items.get(index).map(|item| item.get());
    }
    let name = segment.replace("~1", "/").replace("~0", "~");
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
    members.get(name.as_str()).map(|member| member.get())
}

fn absent(pointer: &str) -> Failure {
    Failure::new(Status::Absent, format!("the value has nothing at `{pointer}`"))
}

fn other_type(pointer: &str, wanted: &str) -> Failure {
    Failure::new(Status::OtherType, format!("what the value has at `{pointer}` is not {wanted}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_ways_of_finding_a_part_agree() {
        let value = Value::new(&json!({
            "a": {"b": [1, "two \" \\ \u{e9}", null, {"c": -3}]}, "x/y": 1, "m~n": 2, "": {"": 4}, "é": "5"
        }))
        .unwrap();
        let pointers = [
            "", "/a", "/a/b", "/a/b/0", "/a/b/1", "/a/b/2", "/a/b/3/c", "/x~1y", "/m~0n", "/", "//", "/é", "a", "/b",
            "/a/b/4", "/a/b/00", "/a/b/+1", "/a/b/-", "/a/b/", "/a/b/0/c", "/a/b/1/c",
        ];
        for pointer in pointers {
            match (value.part(pointer), value.part_text(pointer)) {
                (Ok(part), Ok(text)) => assert_eq!(part, &serde_json::from_str::<serde_json::Value>(text).unwrap()),
                (Err(_), Err(_)) => {}
                (part, text) => panic!("{pointer}: {part:?}, {text:?}"),
            }
        }
    }
}

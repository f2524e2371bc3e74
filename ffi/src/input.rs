//! What C passes, as what the core takes.

use ehi_core::access::Principal;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{error::Failure, status::Status, view::View};

/// A pointer that must not be NULL: an output or a handle.
pub(crate) fn required<T>(pointer: Option<T>, name: &str) -> Result<T, Failure> {
    pointer.ok_or_else(|| Failure::new(Status::NullPointer, format!("`{name}` is NULL")))
}

pub(crate) fn text<'a>(view: View<'a>, name: &str) -> Result<&'a str, Failure> {
    str::from_utf8(view.bytes(name)?).map_err(|_| Failure::new(Status::NotUtf8, format!("`{name}` is not UTF-8")))
}

/// A JSON value. The failure says where, and never what stands there: it may be a patient's.
pub(crate) fn json<T: DeserializeOwned>(view: View<'_>, name: &str) -> Result<T, Failure> {
    serde_json::from_slice(view.bytes(name)?).map_err(|error| {
        let problem = match error.classify() {
            Category::Data => "lacks a member, or has one that is unknown or of the wrong type",
            Category::Eof => "ends too soon",
            Category::Syntax | Category::Io => "is not JSON",
        };
        let (line, column) = (error.line(), error.column());
        Failure::new(Status::MalformedValue, format!("`{name}` {problem}: line {line}, column {column}"))
    })
}

/// A JSON value that may be left out, by NULL.
pub(crate) fn optional_json<T: DeserializeOwned>(view: View<'_>, name: &str) -> Result<Option<T>, Failure> {
    if view.is_null() { Ok(None) } else { json(view, name).map(Some) }
}

pub(crate) fn principal(view: View<'_>) -> Result<Principal, Failure> {
    Ok(Principal::from_json(text(view, "principal")?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_repeats_nothing_of_the_value() {
        let json = |text: &str| json::<u32>(View::of(text.as_bytes()), "facts").unwrap_err().text;
        let wrong_type = "`facts` lacks a member, or has one that is unknown or of the wrong type: line 1, column 9";
        assert_eq!(json("\"Strange\""), wrong_type);
        assert_eq!(json("Strange"), "`facts` is not JSON: line 1, column 1");
        assert_eq!(json(""), "`facts` ends too soon: line 1, column 0");
    }
}

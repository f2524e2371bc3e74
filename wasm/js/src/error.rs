//! What is thrown: a JavaScript `Error` that says by its name whose rule was broken, and by its message what.

use std::fmt;

use ehi_core::{
    errors::{ConfigError, JobMisuse, ManifestError, PopulationError, TokenError, WriterError},
    sets::SetError,
};
use wasm_bindgen::prelude::*;

/// An error on its way to JavaScript. Its text never quotes a value that was given: that could be patient data.
#[derive(Debug)]
pub struct Error {
    name: &'static str,
    message: String,
}

impl Error {
    /// A rule of the core, in the core's words.
    fn of_core(name: &'static str, error: impl std::error::Error) -> Self {
        Self { name, message: error.to_string() }
    }

    /// A value that has not the form that the declarations give it.
    pub(crate) fn malformed(what: &str) -> Self {
        Self { name: VALUE_ERROR, message: format!("not {what}") }
    }

    /// A number that would arrive as another one.
    pub(crate) fn inexact() -> Self {
        let message = "a number lies beyond 2^53 - 1, where JavaScript's are no longer exact";
        Self { name: VALUE_ERROR, message: message.to_owned() }
    }

    /// Bytes that do not fit into memory beside what is there.
    pub(crate) fn too_large(what: &str) -> Self {
        Self { name: VALUE_ERROR, message: format!("more than memory holds, for {what}") }
    }

    /// Entropy that is not bytes, or of another length than an id needs.
    pub(crate) fn entropy_length() -> Self {
        Self { name: VALUE_ERROR, message: "entropy must be 16 bytes".to_owned() }
    }

    /// A call to something that has given its result already.
    pub(crate) fn ended(name: &'static str, message: &str) -> Self {
        Self { name, message: message.to_owned() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        let thrown = js_sys::Error::new(&error.message);
        thrown.set_name(error.name);
        thrown.into()
    }
}

macro_rules! named_as_in_core {
    ($($core:ident),+) => {
        $(impl From<$core> for Error {
            fn from(error: $core) -> Self {
                Self::of_core(stringify!($core), error)
            }
        })+
    };
}

named_as_in_core!(ConfigError, JobMisuse, ManifestError, PopulationError, SetError, TokenError, WriterError);

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self { name: "EntropyError", message: error.to_string() }
    }
}

const VALUE_ERROR: &str = "ValueError";

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
/**
 * What is thrown. `message` is the text that every binding of this library gives; it never quotes patient data.
 * `ValueError`: an argument has not the form declared here.
 */
export interface EhiError extends Error {
  name:
    | "ConfigError"
    | "EntropyError"
    | "JobMisuse"
    | "ManifestError"
    | "PopulationError"
    | "SetError"
    | "TokenError"
    | "ValueError"
    | "WriterError";
}
"#;

//! What must hold for any input, as functions from bytes: a target panics if it does not hold.
//!
//! The same functions are called by libFuzzer (`cargo xtask fuzz`), with the inputs that it makes up, and by the tests of
//! this crate, with those in `corpus` and with seeded changes of them. So what was found once is asked again in every run
//! of the tests, on the stable toolchain.
//!
//! Inputs are text as far as possible, so that a person can write and read one. Each module says what its bytes mean;
//! where an input has parts, a line `%%` stands between them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target says what it found by a panic"
)]

mod client;
mod deployment;
mod filter;
mod input;
mod job;
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the module is private to the core, stands alone, and is compiled here as it stands"
)]
#[path = "../../../core/src/json/mod.rs"]
mod json;
mod manifest;
mod parameters;
mod request;
mod response;
mod walker;
mod writer;

pub use client::client;
pub use filter::filter;
pub use job::job;
pub use manifest::manifest;
pub use parameters::parameters;
pub use request::request;
pub use walker::walker;
pub use writer::writer;

/// A target and its name, which is that of its corpus.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    Target { name: "client", run: client },
    Target { name: "filter", run: filter },
    Target { name: "job", run: job },
    Target { name: "manifest", run: manifest },
    Target { name: "parameters", run: parameters },
    Target { name: "request", run: request },
    Target { name: "walker", run: walker },
    Target { name: "writer", run: writer },
];

//! The core for JavaScript: the machines of `ehi_core` as classes and functions over plain objects.
//!
//! Thin: read the values, call `ehi_core::values` or a writer, give the answer. Nothing is decided here. Values go both
//! ways in their JSON form (`value.rs`); bytes are `Uint8Array`s; whatever is refused is thrown as an `Error`
//! (`error.rs`). The TypeScript declaration of each value stands in the file of the class or functions that take it.

mod endpoint;
mod entropy;
mod error;
mod job;
mod manifest;
mod population;
mod set;
mod value;
mod writer;

pub use endpoint::Endpoint;
pub use entropy::new_entropy;
pub use job::{apply, handle_timeout, manifest_head, plan, serve_file, wants};
pub use manifest::ManifestWriter;
pub use population::PopulationBuilder;
pub use set::{SetBuilder, sets_wanted};
pub use writer::Writer;

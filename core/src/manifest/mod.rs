//! The output manifest: rows in, JSON out, in bounded memory and in every edition.

mod head;
mod row;
mod write;

pub use head::ManifestHead;
pub use row::{OutputFile, Section};
pub use write::{ManifestError, ManifestWriter};

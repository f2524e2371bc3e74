//! The output manifest: rows in, JSON out, in bounded memory and in every edition; and the manifests of peers, read.

mod head;
mod merge;
mod read;
mod row;
mod write;

pub use head::ManifestHead;
pub use merge::{MergeError, merge};
pub use read::{ListedFile, Manifest, ManifestBounds, ManifestReadError, Oddity};
pub use row::{OutputFile, Section};
pub use write::{ManifestError, ManifestWriter};

//! What a writer asks to be done with files.

use crate::{ResourceType, manifest::Section, writer::Checkpoint};

/// What to do next with a file.
#[derive(Debug, PartialEq)]
pub enum Output<'w> {
    /// Open a new file.
    Open {
        /// Its number in this writer's output; the other outputs name it by this.
        file: u32,
        /// Which array of the manifest it will belong to.
        section: Section,
        /// The type of the resources in it; `None` if they are of several.
        resource_type: Option<&'w ResourceType>,
        /// Its public name, the same in every attempt.
        name: &'w str,
        /// What the data call the media type of an attachment: for the row, and not to be believed.
        content_type: Option<&'w str>,
    },
    /// Append bytes to it.
    Append {
        /// Which.
        file: u32,
        /// Until the next call.
        bytes: &'w [u8],
    },
    /// What a collecting pass found: for a [`SetBuilder`](crate::sets::SetBuilder).
    Found {
        /// Texts, each ended by a line feed.
        bytes: &'w [u8],
    },
    /// It is complete: store it, then publish its row.
    Close {
        /// Which.
        file: u32,
        /// How many resources it holds.
        count: u64,
        /// How many bytes.
        bytes: u64,
        /// How many bytes were appended, if that is gzip.
        gzip_bytes: Option<u64>,
        /// Its SHA-256 in hexadecimal, if the limits ask for one.
        sha256: Option<&'w str>,
        /// The name of the file in which its last block goes on, if that is split (BD-ORG-07).
        continues_in_file: Option<&'w str>,
        /// Where to go on once this file and all closed before it are published.
        checkpoint: &'w Checkpoint,
    },
}

//! One generated file: a row of the manifest.

use serde::{Deserialize, Serialize};

use crate::ResourceType;

/// One generated file. Rows are appended to the job's list and never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFile {
    /// Which array of the manifest it belongs to.
    pub section: Section,
    /// The resource type in the file, unless its output is organised otherwise (BD-MAN-10).
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<ResourceType>,
    /// The public name, stable over attempts; the last segment of its URL.
    pub name: String,
    /// Where the embedder keeps it; unique to the attempt, never shown.
    pub key: String,
    /// What the data call the media type of an attachment; not to be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// How many resources: none in an attachment, and the headers of blocks are not among them (BD-MAN-12).
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many bytes are stored, if that is gzip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gzip_bytes: Option<u64>,
    /// SHA-256 of the bytes, without gzip, in hexadecimal, if one was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The name of the file in which the last block goes on, if that is split (BD-MAN-16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues_in_file: Option<String>,
    /// The page of the manifest that lists it, where the manifest is in pages; an error file of none is on every page. The
    /// job says it when the row is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// The arrays of a manifest, in the order in which they are written, and what is in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// `output`
    Output,
    /// `deleted`
    Deleted,
    /// `error`; `outcome` in the 4.0 ballot
    Error,
    /// Not listed: the content of a Binary, to which an Attachment in a listed file leads.
    Attachment,
}

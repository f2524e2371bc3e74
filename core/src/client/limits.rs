//! The bounds of one export, client side. Reaching one is an ordinary, stated failure.

use serde::{Deserialize, Serialize};

/// The bounds of one export, client side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientLimits {
    /// From the first call to the end, in seconds. Records staff may take weeks to release an export.
    pub total_seconds_max: u64,
    /// Bytes of a manifest or another protocol answer.
    pub response_bytes_max: u64,
    /// Files of all manifests together, attachments not counted.
    pub files_max: u32,
    /// Attachments.
    pub attachments_max: u32,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Bytes of all files.
    pub total_bytes_max: u64,
    /// Pages of a manifest that comes in parts.
    pub pages_max: u32,
    /// Redirects of one request.
    pub redirects_max: u32,
    /// Transient failures of one request in a row.
    pub retries_max: u32,
    /// Times that one file is fetched again from its beginning because what came was not what the manifest says.
    pub verify_retries_max: u32,
    /// Times that the manifest is asked for fresh URLs.
    pub refreshes_max: u32,
    /// Downloads at once.
    pub downloads_max: u32,
    /// The first delay between polls where the server says none, in milliseconds.
    pub poll_first_millis: u64,
    /// The longest delay between polls or retries where the server says none, in milliseconds.
    pub backoff_millis_max: u64,
    /// The longest `Retry-After` that is followed, in seconds.
    pub retry_after_seconds_max: u64,
    /// Bytes of a file after which its progress is saved.
    pub save_bytes: u64,
    /// Findings kept; more are counted.
    pub findings_max: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            total_seconds_max: 90 * 24 * 60 * 60,
            response_bytes_max: 64 << 20,
            files_max: 250_000,
            attachments_max: 250_000,
            file_bytes_max: 1 << 40,
            total_bytes_max: 1 << 44,
            pages_max: 10_000,
            redirects_max: 5,
            retries_max: 8,
            verify_retries_max: 1,
            refreshes_max: 3,
            downloads_max: 4,
            poll_first_millis: 1_000,
            backoff_millis_max: 60_000,
            retry_after_seconds_max: 24 * 60 * 60,
            save_bytes: 64 << 20,
            findings_max: 1_000,
        }
    }
}

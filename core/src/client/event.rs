//! The export log: one line of JSON for each thing that happened, in the format that SMART's bulk-data-client defined and
//! that cumulus-etl and smart-fetch write and read ("Bulk Data Export Log Items").
//!
//! It is made to be kept and sent around, so it holds no patient data and nothing that opens a door: URLs have no query,
//! ids of patients are withheld, texts of the server are left away. Members that begin with `_` are ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{origin::Url, report::FailureReason};
use crate::time::Timestamp;

/// One line of the export log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEvent {
    /// The same over all restarts of one export.
    pub export_id: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// `eventId` and `eventDetail`.
    #[serde(flatten)]
    pub detail: LogDetail,
}

impl LogEvent {
    /// As one line of JSON, without a line end.
    pub fn to_json(&self) -> String {
        crate::json::to_string(self)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "eventId", content = "eventDetail", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum LogDetail {
    /// The kick-off request was answered, or failed.
    Kickoff {
        /// Without query; a patient's id is withheld.
        export_url: String,
        /// `software.name` of the CapabilityStatement.
        software_name: Option<String>,
        /// `software.version`
        software_version: Option<String>,
        /// `software.releaseDate`
        software_release_date: Option<String>,
        /// `fhirVersion`
        fhir_version: Option<String>,
        /// Without `patient`, and of `_typeFilter` the types only.
        request_parameters: BTreeMap<String, String>,
        /// The status, if it was not 202.
        error_code: Option<u16>,
        /// The codes of the issues, without texts.
        error_body: Option<String>,
        /// Header fields that tell of the server and of no one else.
        response_headers: BTreeMap<String, String>,
    },
    /// A poll was answered 202.
    StatusProgress {
        /// The percentage in `X-Progress`.
        x_progress: Option<String>,
        /// Seconds until the next poll.
        retry_after: Option<u64>,
        /// Always absent: it may hold a partial manifest.
        body: Option<String>,
    },
    /// A poll failed for good, or transiently.
    StatusError {
        /// The codes of the issues, without texts.
        body: Option<String>,
        /// The status.
        code: Option<u16>,
        /// What is wrong.
        message: String,
    },
    /// The export is complete on the server.
    StatusComplete {
        /// `transactionTime`
        transaction_time: Option<String>,
    },
    /// A page of the manifest was read.
    StatusPageComplete {
        /// `transactionTime`
        transaction_time: Option<String>,
        /// Rows of `output`.
        output_file_count: u64,
        /// Rows of `deleted`.
        deleted_file_count: u64,
        /// Rows of `error`.
        error_file_count: u64,
    },
    /// All pages of the manifest were read.
    ManifestComplete {
        /// `transactionTime`
        transaction_time: Option<String>,
        /// Rows of `output` on all pages.
        total_output_file_count: u64,
        /// Rows of `deleted`.
        total_deleted_file_count: u64,
        /// Rows of `error`.
        total_error_file_count: u64,
        /// Pages.
        total_manifests: u64,
    },
    /// A download begins, or goes on.
    DownloadRequest {
        /// Without query; the origin only, where the URL itself opens the file or may name a document.
        file_url: String,
        /// `output`, `deleted`, `error` or `attachment`.
        item_type: String,
        /// The type of its resources.
        resource_type: Option<String>,
        /// The name that the file has here.
        #[serde(rename = "_fileName")]
        file_name: String,
    },
    /// A file arrived.
    DownloadComplete {
        /// As in the request.
        file_url: String,
        /// Its resources.
        resource_count: Option<u64>,
        /// Its bytes.
        file_size: u64,
        /// The name that the file has here.
        #[serde(rename = "_fileName")]
        file_name: String,
    },
    /// A file did not arrive.
    DownloadError {
        /// As in the request.
        file_url: String,
        /// Always absent: texts of servers may hold anything.
        body: Option<String>,
        /// The status, if one was answered.
        code: Option<u16>,
        /// What is wrong.
        message: String,
        /// The name that the file would have here.
        #[serde(rename = "_fileName")]
        file_name: String,
        /// Whether it will be tried again.
        #[serde(rename = "_willRetry")]
        will_retry: bool,
    },
    /// The export has ended.
    ExportComplete {
        /// Files that arrived, attachments not counted.
        files: u64,
        /// Resources in them.
        resources: u64,
        /// Bytes, attachments counted.
        bytes: u64,
        /// Attachments that arrived.
        attachments: u64,
        /// Milliseconds.
        duration: u64,
        /// `complete`, `incomplete`, `failed` or `cancelled`.
        #[serde(rename = "_outcome")]
        outcome: String,
        /// Why it failed.
        #[serde(rename = "_reason", skip_serializing_if = "Option::is_none")]
        reason: Option<FailureReason>,
    },
}

/// A file's URL as the log shows it: with its path if the token is what opens it; if the URL itself is, or if the path
/// may name a patient's document, the origin only.
pub(super) fn shown(url: &Url, is_public_path: bool) -> String {
    if is_public_path { url.without_query().to_owned() } else { format!("{}/…", url.origin()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_shape_that_the_tools_read() {
        let event = LogEvent {
            export_id: "e1".into(),
            timestamp: Timestamp::from_millis(1_700_000_000_000),
            detail: LogDetail::StatusComplete { transaction_time: Some("2023-11-14T22:00:00Z".into()) },
        };
        let line = r#"{"exportId":"e1","timestamp":"2023-11-14T22:13:20Z","eventId":"status_complete","eventDetail":{"transactionTime":"2023-11-14T22:00:00Z"}}"#;
        assert_eq!(event.to_json(), line);
        assert_eq!(serde_json::from_str::<LogEvent>(line).unwrap(), event);
    }

    #[test]
    fn a_url_that_opens_a_file_is_not_shown() {
        let url = Url::parse("https://files.example/job/secret/Patient-1.ndjson?sig=k").unwrap();
        assert_eq!(shown(&url, true), "https://files.example/job/secret/Patient-1.ndjson");
        assert_eq!(shown(&url, false), "https://files.example/…");
    }
}

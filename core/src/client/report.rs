//! How an export ended, and what was found on the way.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{origin::UrlError, verify::FileProblem};
use crate::{
    Sensitive,
    manifest::{ManifestReadError, Oddity},
};

/// How an export ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// In one word, and why.
    pub outcome: Outcome,
    /// The `_since` of the next export, verbatim (BD-GRP-02).
    pub transaction_time: Option<String>,
    /// Where the vendor's formats are documented (EHI-MAN-01).
    pub documentation_url: Option<String>,
    /// The manifest's `extension` as JSON text, as it was written (BD-MAN-31): what servers agree on with their clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<Sensitive<String>>,
    /// Files that arrived sound or doubtful, attachments not counted.
    pub files: u64,
    /// Of them, files that list deleted resources.
    pub deleted_files: u64,
    /// Resources in them.
    pub resources: u64,
    /// Attachments that arrived.
    pub attachments: u64,
    /// Bytes of all.
    pub bytes: u64,
    /// Issues in the server's error files, by severity.
    pub issues: BTreeMap<String, u64>,
    /// Files and attachments that are missing or doubtful.
    pub failed_files: u64,
    /// What was found, in the order of finding, up to the bound.
    pub findings: Vec<Finding>,
    /// Findings beyond the bound.
    pub findings_left_out: u64,
}

/// How an export ended, in one word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Everything that the manifest lists has arrived and is what it says.
    Complete,
    /// Some of it is missing or doubtful; the findings say what.
    Incomplete,
    /// There is no complete export.
    Failed(Failure),
    /// The embedder cancelled it.
    Cancelled,
}

impl Outcome {
    /// The word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why there is no complete export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// In which step.
    pub step: Step,
    /// Why.
    pub reason: FailureReason,
    /// The status that the server answered.
    pub status: Option<u16>,
    /// What the server said of it. Its texts may hold anything: show them to who asked, and log them nowhere.
    pub issues: Vec<PeerIssue>,
}

/// An issue of a server's OperationOutcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerIssue {
    /// `severity`, if it is one of FHIR's.
    pub severity: Option<String>,
    /// `code`, if it is one of FHIR's.
    pub code: Option<String>,
    /// `diagnostics` or `details.text`, cut.
    pub text: Option<Sensitive<String>>,
}

/// A step of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Reading what the server is.
    Discovery,
    /// The kick-off.
    KickOff,
    /// Polling.
    Status,
    /// Reading further pages of the manifest.
    Manifest,
    /// Downloads.
    Download,
    /// Telling the server to remove the export.
    Delete,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "discovery",
            Self::KickOff => "kick-off",
            Self::Status => "status request",
            Self::Manifest => "manifest",
            Self::Download => "download",
            Self::Delete => "delete request",
        })
    }
}

/// Why something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureReason {
    /// The server refused with that status.
    Refused,
    /// The export failed on the server.
    ExportFailed,
    /// The export is not there: expired, deleted, or never was.
    Gone,
    /// An access token is not to be had, or is not accepted.
    Unauthorized,
    /// Transient failures did not pass.
    Unreachable,
    /// 202 without `Content-Location` (BD-KRSP-06).
    NoPollingLocation,
    /// A status that the pattern does not have (BD-STAT-23).
    UnexpectedStatus,
    /// A redirect without a target, too many of them, or one that would change the request.
    Redirect,
    /// A URL that is not used.
    Url(UrlError),
    /// A response that is no manifest.
    Manifest(ManifestReadError),
    /// More files, attachments or pages than the bounds allow.
    TooMany,
    /// A response or file longer than the bounds allow.
    TooLarge,
    /// The file is not what the manifest says.
    File(FileProblem),
    /// The embedder could not store it.
    Storage,
    /// The time that the bounds allow is over.
    Deadline,
}

impl FailureReason {
    /// Whether there is nothing on the server that a later run could still get.
    pub(super) fn is_for_good(self) -> bool {
        matches!(self, Self::ExportFailed | Self::Gone | Self::Refused)
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the server refused the request",
            Self::ExportFailed => "the export failed on the server",
            Self::Gone => "the server no longer has it",
            Self::Unauthorized => "no access token that the server accepts",
            Self::Unreachable => "transient failures did not pass",
            Self::NoPollingLocation => "accepted without a polling location",
            Self::UnexpectedStatus => "a status that this request does not have",
            Self::Redirect => "a redirect that cannot be followed",
            Self::Url(error) => return write!(f, "{error}"),
            Self::Manifest(error) => return write!(f, "{error}"),
            Self::TooMany => "more files or pages than the limit",
            Self::TooLarge => "larger than the limit",
            Self::File(problem) => {
                return f.write_str(match problem {
                    FileProblem::Length => "not the length that the response announced",
                    FileProblem::Size => "not the size that the manifest says",
                    FileProblem::Digest => "not the digest that the manifest says",
                    FileProblem::DigestNotTaken => "the manifest has a digest and none was taken",
                    FileProblem::CutOff => "the last line is cut off",
                    FileProblem::Count => "not the number of resources that the manifest says",
                    FileProblem::Malformed => "lines that are no resources",
                    FileProblem::OtherType => "resources of another type than the manifest says",
                });
            }
            Self::Storage => "the file could not be stored",
            Self::Deadline => "the time limit is over",
        })
    }
}

/// Something that a server did and should not have, or that is missing or doubtful in what arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Finding {
    /// An oddity of a manifest page.
    Manifest {
        /// Which page, from 0.
        page: u32,
        /// Which.
        oddity: Oddity,
    },
    /// A protocol answer came under another media type than JSON.
    MediaType {
        /// In which step.
        step: Step,
    },
    /// A `Link` without angle brackets (EHI-KICK-13).
    BareLink,
    /// A patient-interaction link that is not opened.
    LinkNotOpened {
        /// Why.
        reason: UrlError,
    },
    /// A polling location relative to the kick-off URL.
    RelativePollingLocation,
    /// A `Retry-After` beyond the bound, or unreadable.
    RetryAfter,
    /// The kick-off was sent by a former run whose answer is not known: the server may hold two exports.
    KickOffRepeated,
    /// Discovery failed; nothing depends on it.
    NotDiscovered {
        /// Why.
        reason: FailureReason,
    },
    /// The CapabilityStatement declares no search parameter of that name for that type (BD-TF-16).
    UndeclaredSearchParameter {
        /// The type.
        resource_type: String,
        /// The name.
        name: String,
    },
    /// A page that was seen before has come back with more rows (BD-PART-04); they are fetched.
    PageGrew {
        /// Which page, from 0.
        page: u32,
    },
    /// A page that was seen before has come back with other rows (BD-PART-04).
    PageChanged {
        /// Which page, from 0.
        page: u32,
    },
    /// A manifest asked for in one piece came in pages, or before the export was complete (BD-PART-06).
    UnaskedPages,
    /// A page leads back to one that was read.
    PagesInACircle,
    /// Rows that list a file a second time; it is fetched once.
    RepeatedRow {
        /// On which page.
        page: u32,
    },
    /// Rows without a URL: what they list is missing.
    RowsWithoutUrl {
        /// On which page.
        page: u32,
        /// How many.
        count: u64,
    },
    /// A row whose `type` is not a resource type.
    UnknownType {
        /// The file.
        file: String,
    },
    /// A file is missing.
    Missing {
        /// The name that it would have.
        file: String,
        /// Why.
        reason: FailureReason,
        /// The status that the server answered last.
        status: Option<u16>,
    },
    /// A file was kept and is not what the manifest says.
    Doubtful {
        /// Its name.
        file: String,
        /// In what.
        problem: FileProblem,
        /// The first line concerned, where there is one.
        line: Option<u64>,
    },
    /// Attachments beyond the bound were not fetched.
    AttachmentsLeftOut {
        /// How many.
        count: u64,
    },
    /// An attachment whose URL is not used.
    AttachmentUrl {
        /// The file whose resources refer to it.
        file: String,
        /// Why.
        reason: UrlError,
    },
    /// The server could not be told to remove the export.
    NotDeleted {
        /// Why.
        reason: FailureReason,
    },
}

impl Finding {
    /// Whether something that the export should hold is missing or doubtful.
    pub fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::RowsWithoutUrl { .. }
                | Self::PageChanged { .. }
                | Self::PagesInACircle
                | Self::Missing { .. }
                | Self::Doubtful { .. }
                | Self::AttachmentsLeftOut { .. }
                | Self::AttachmentUrl { .. }
        )
    }
}

//! A response, as a value that an embedder can send.

use serde::{Deserialize, Serialize};

use crate::{Refusal, manifest::ManifestHead, outcome::OperationOutcome};

/// What to answer. Header names are in lower case; values are ASCII and hold no line end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Name and value of each header field.
    pub headers: Vec<(String, String)>,
    /// What follows the headers.
    pub body: Body,
}

/// What follows the headers: small text, or something that the embedder streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON text.
    Text(String),
    /// The output manifest: feed the job's rows to a [`ManifestWriter`](crate::manifest::ManifestWriter) made of this head;
    /// if that names a page, those that it [takes](ManifestHead::takes).
    Manifest(Box<ManifestHead>),
    /// A file by its public name: look it up in the job's rows and call [`Job::serve_file`](crate::job::Job::serve_file)
    /// with the row, or answer [`Endpoint::not_found`](crate::Endpoint::not_found) if no row has that name. Never turn it into a path.
    Row(String),
    /// A stored object, or the bytes `from..to` of it.
    Object {
        /// The storage key of the row.
        key: String,
        /// First byte and one past the last, where the client asked for a part.
        range: Option<(u64, u64)>,
        /// Whether what is stored is gzip and the client is to have it unpacked; the range is of what is unpacked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unpack: bool,
    },
}

impl Response {
    /// A response without headers and body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    /// An OperationOutcome, as `application/fhir+json` (BD-STAT-13).
    pub fn outcome(status: u16, outcome: &OperationOutcome) -> Self {
        Self::json(status, FHIR_JSON, outcome.to_json())
    }

    /// JSON text with its media type.
    pub fn json(status: u16, content_type: &str, text: String) -> Self {
        Self { body: Body::Text(text), ..Self::new(status) }.with("content-type", content_type)
    }

    /// The same with one more header field. Bytes that a field value may not hold become spaces.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let clean = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
        self.headers.push((name.to_ascii_lowercase(), value.as_ref().chars().map(clean).collect()));
        self
    }

    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let response = Self::outcome(refusal.status, &OperationOutcome { issue: refusal.issues });
        refusal.headers.iter().fold(response, |response, (name, value)| response.with(name, value))
    }
}

/// The media type of FHIR JSON.
pub(crate) const FHIR_JSON: &str = "application/fhir+json";

//! All error types of the crate in one place. They are split by fault: what a peer sent ([`Refusal`], with the HTTP
//! status it is answered with), what a line of input was ([`LineError`], reported and survived), and what our own
//! caller did wrong (the rest).

use std::fmt;

use crate::{
    http::Response,
    outcome::{Issue, IssueCode},
};

pub use crate::{
    access::TokenError,
    endpoint::ConfigError,
    job::JobMisuse,
    json::LineError,
    manifest::{ManifestError, MergeError},
    population::PopulationError,
    sets::SetError,
    time::InstantError,
    type_filter::TypeFilterError,
    writer::WriterError,
};

/// A request that is answered with an error, with the status and the issues that the peer sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 4XX or 5XX.
    pub status: u16,
    /// What is wrong, at least one.
    pub issues: Vec<Issue>,
    /// Header fields that belong to the status, such as `Retry-After`.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal for one reason.
    pub fn new(status: u16, issue: Issue) -> Self {
        Self { status, issues: vec![issue], headers: Vec::new() }
    }

    /// 400 for one parameter.
    pub fn parameter(name: &str, code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self::new(400, Issue::error(code, diagnostics).about(name))
    }

    /// The same with a header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// As the response that the peer gets.
    pub fn into_response(self) -> Response {
        self.into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        self.issues.iter().try_for_each(|issue| write!(f, ": {}", issue.diagnostics))
    }
}

impl std::error::Error for Refusal {}

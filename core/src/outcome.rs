//! The FHIR OperationOutcome: what a peer reads when something is refused, failed or left out.

use serde::{Deserialize, Serialize};

/// An OperationOutcome. Its texts name domain ideas and positions, never patient data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "resourceType", rename = "OperationOutcome")]
pub struct OperationOutcome {
    /// At least one issue (FHIR: `issue` is 1..*).
    pub issue: Vec<Issue>,
}

impl OperationOutcome {
    /// An outcome of one issue.
    pub fn new(issue: Issue) -> Self {
        Self { issue: vec![issue] }
    }

    /// As one line of JSON, without a line end.
    pub fn to_json(&self) -> String {
        crate::json::to_string(self)
    }
}

/// One issue of an OperationOutcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub code: IssueCode,
    /// What is wrong and where, in lower case.
    pub diagnostics: String,
    /// The parameters or elements it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expression: Vec<String>,
}

impl Issue {
    /// An issue of severity `error`.
    pub fn error(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, diagnostics: diagnostics.into(), expression: Vec::new() }
    }

    /// An issue of severity `warning`.
    pub fn warning(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, diagnostics) }
    }

    /// An issue of severity `information`.
    pub fn information(diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Information, ..Self::error(IssueCode::Informational, diagnostics) }
    }

    /// The same as a warning: it was tolerated.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// The same, said of a parameter or an element.
    #[must_use]
    pub fn about(mut self, expression: impl Into<String>) -> Self {
        self.expression.push(expression.into());
        self
    }
}

/// `http://hl7.org/fhir/issue-severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The request or job cannot go on.
    Fatal,
    /// Something asked for was not done.
    Error,
    /// Done, with a doubt.
    Warning,
    /// For information.
    Information,
}

/// The codes of `http://hl7.org/fhir/issue-type` that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueCode {
    /// Content against the specification.
    Invalid,
    /// The text does not parse.
    Structure,
    /// A required element or parameter is missing.
    Required,
    /// An element or parameter has a value that is not allowed.
    Value,
    /// No credentials, or unknown ones.
    Login,
    /// The principal may not.
    Forbidden,
    /// Not supported here.
    NotSupported,
    /// No such thing.
    NotFound,
    /// Two resources with one identity.
    Duplicate,
    /// Over a limit.
    TooLong,
    /// Too many at once.
    TooCostly,
    /// Processing failed for a reason of ours that may pass: asking again may help.
    Exception,
    /// Processing failed, and asking again does not help.
    Processing,
    /// Not now: again later.
    Throttled,
    /// Took too long.
    Timeout,
    /// Withheld by a decision of people.
    Suppressed,
    /// For information.
    Informational,
}

//! What is said in the error files about lines. Source, line number and reason; nothing of the line.

use super::shards::Place;
use crate::{
    json::LineError,
    outcome::{Issue, IssueCode, OperationOutcome, Severity},
};

pub(super) fn malformed(place: &Place<'_>, problem: LineError) -> OperationOutcome {
    let code = match problem {
        LineError::NotUtf8 { .. } | LineError::NotJson { .. } | LineError::NotAnObject => IssueCode::Structure,
        LineError::Missing(_) => IssueCode::Required,
        LineError::TooLong { .. } => IssueCode::TooLong,
        LineError::WrongShape(_) | LineError::Repeated(_) | LineError::UnknownType | LineError::MalformedId => {
            IssueCode::Invalid
        }
    };
    about(place, Severity::Error, code, &problem.to_string())
}

pub(super) fn superseded(place: &Place<'_>) -> OperationOutcome {
    about(place, Severity::Warning, IssueCode::Duplicate, "another version of this resource is exported instead")
}

pub(super) fn undated(place: &Place<'_>) -> OperationOutcome {
    let text = "`meta.lastUpdated` is not an instant, so the resource is exported whatever `_since` says";
    about(place, Severity::Warning, IssueCode::Value, text)
}

pub(super) fn later(place: &Place<'_>) -> OperationOutcome {
    let text = "changed after the transaction time of this export, so it is left to the next";
    about(place, Severity::Information, IssueCode::Informational, text)
}

pub(super) fn elsewhere(place: &Place<'_>) -> OperationOutcome {
    let text = "the data source gave this resource outside the blocks of its patients, so it is not exported there";
    about(place, Severity::Error, IssueCode::Exception, text)
}

pub(super) fn late(place: &Place<'_>) -> OperationOutcome {
    let text = "the data source gave this Patient after other resources of its block, so it is not exported";
    about(place, Severity::Error, IssueCode::Exception, text)
}

pub(super) fn notice(issue: &Issue) -> OperationOutcome {
    OperationOutcome::new(issue.clone())
}

fn about(place: &Place<'_>, severity: Severity, code: IssueCode, text: &str) -> OperationOutcome {
    let diagnostics = format!("{}, line {}: {text}", place.source, place.line);
    OperationOutcome::new(Issue { severity, code, diagnostics, expression: Vec::new() })
}

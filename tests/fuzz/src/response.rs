//! What every response of ours must be.

use ehi_core::{
    http::{Body, Response},
    outcome::OperationOutcome,
};

use crate::input::MARK;

/// It can be sent, an error says what is wrong, and nothing of it is what was marked in the request.
pub(crate) fn check(response: &Response) {
    let Response { status, headers, body } = response;
    assert!((200..600).contains(status), "{status}");
    for (name, value) in headers {
        assert!(!name.is_empty() && name.bytes().all(|b| b == b'-' || b.is_ascii_lowercase()), "{name}");
        assert!(value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{name}: {value}");
        assert!(!value.contains(MARK), "{name} has the mark");
    }
    let text = text(response);
    assert!(!text.contains(MARK), "a body has the mark");
    if *status >= 400 {
        assert_eq!(response.header("content-type"), Some("application/fhir+json"), "{status}");
        let outcome: OperationOutcome = serde_json::from_str(text).expect("an error is an OperationOutcome");
        assert!(!outcome.issue.is_empty() && outcome.issue.iter().all(|issue| !issue.diagnostics.is_empty()));
    } else if let Body::Text(text) = body {
        serde_json::from_str::<serde::de::IgnoredAny>(text).expect("text is JSON");
    }
}

/// The body, if it is text.
pub(crate) fn text(response: &Response) -> &str {
    if let Body::Text(text) = &response.body { text } else { "" }
}

/// The issues of an error: severity and code.
pub(crate) fn issues(response: &Response) -> Vec<String> {
    let outcome: OperationOutcome = serde_json::from_str(text(response)).expect("an error is an OperationOutcome");
    outcome.issue.iter().map(|issue| format!("{:?} {:?}", issue.severity, issue.code)).collect()
}

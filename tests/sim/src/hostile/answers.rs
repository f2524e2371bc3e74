//! What the server answers before it is spoilt.

use ehi_core::writer::Digester;
use serde_json::json;

use super::{Hostile, ServedFile};
use crate::{
    scenario::ORIGIN,
    wire::{Answer, Asked},
};

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Discovery,
    KickOff,
    Status,
    Page,
    File,
    Delete,
}

impl Kind {
    pub(super) fn of(asked: &Asked) -> Self {
        match asked.target.as_str() {
            _ if asked.method == "DELETE" => Self::Delete,
            target if target.contains("$export") => Self::KickOff,
            target if target.starts_with("/poll") => Self::Status,
            target if target.starts_with("/page") => Self::Page,
            target if target.starts_with("/files") => Self::File,
            _ => Self::Discovery,
        }
    }
}

impl Hostile {
    pub(super) fn honest(&self, kind: Kind, asked: &Asked) -> Option<Answer> {
        Some(match kind {
            Kind::Discovery => Answer::json(200, r#"{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}"#),
            Kind::KickOff => Answer::new(202).with("content-location", format!("{ORIGIN}/poll/1")),
            Kind::Status => match self.polls.get().checked_sub(1) {
                Some(left) => {
                    self.polls.set(left);
                    Answer::new(202).with("retry-after", "5").with("x-progress", "17%")
                }
                None => Answer::json(200, self.manifest().to_string()),
            },
            Kind::Page => Answer::json(200, json!({"output": [], "error": []}).to_string()),
            Kind::File => self.file(asked),
            Kind::Delete => Answer::new(202),
        })
    }

    fn manifest(&self) -> serde_json::Value {
        let rows = |section: &str| -> Vec<serde_json::Value> {
            let rows = self.files.iter().enumerate().filter(|(_, file)| file.section == section);
            rows.map(|(n, file)| row(n, file)).collect()
        };
        json!({
            "transactionTime": "2026-01-01T00:00:00Z",
            "request": format!("{ORIGIN}/fhir/$export"),
            "requiresAccessToken": true,
            "output": rows("output"),
            "error": rows("error"),
        })
    }

    fn file(&self, asked: &Asked) -> Answer {
        let number = asked.target.rsplit('/').next().and_then(|text| text.parse::<usize>().ok());
        let Some(file) = number.and_then(|number| self.files.get(number)) else { return Answer::new(404) };
        let range = asked.header("range").and_then(|text| text.strip_prefix("bytes="));
        let first = range.and_then(|text| text.strip_suffix('-')).and_then(|text| text.parse::<usize>().ok());
        let total = file.bytes.len();
        let (status, from) = first.filter(|first| *first < total).map_or((200, 0), |first| (206, first));
        let body = file.bytes.get(from..).unwrap_or_default().to_vec();
        let answer = Answer { body, ..Answer::new(status) };
        let answer = answer.with("content-type", "application/fhir+ndjson").with("etag", "\"1\"");
        let answer = answer.with("content-length", (total - from).to_string());
        if status == 206 { answer.with("content-range", format!("bytes {from}-{}/{total}", total - 1)) } else { answer }
    }
}

fn row(number: usize, file: &ServedFile) -> serde_json::Value {
    let mut digester = Digester::default();
    digester.update(&file.bytes);
    // Not every server says all of it; by the number it is the same each time.
    let mut row = json!({"type": file.kind, "url": format!("{ORIGIN}/files/{number}")});
    if number % 3 != 1 {
        row["count"] = json!(file.bytes.iter().filter(|byte| **byte == b'\n').count());
    }
    if number.is_multiple_of(2) {
        row["extension"] = json!({"fileSize": file.bytes.len(), "sha256": digester.finish()});
    }
    row
}

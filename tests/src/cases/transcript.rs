//! Every call's whole answer, in order.

use anyhow::Result;
use ehi_core::values::WriterEvent;
use ehi_host::engine::EngineError;
use serde::Serialize;
use serde_json::{Value, json};

/// Every call's whole answer, in order: one object for each, whose only member is the name of the call.
#[derive(Debug, Default)]
pub(super) struct Transcript(Vec<Value>);

impl Transcript {
    /// Notes an answer, or that the call was refused, and hands it on.
    pub(super) fn take<T: Serialize>(&mut self, call: &str, answer: Result<T, EngineError>) -> Result<T, EngineError> {
        let told = match &answer {
            Ok(value) => serde_json::to_value(value).map_err(|error| EngineError::Stopped(error.to_string()))?,
            Err(EngineError::Refused(text)) => json!({ "refused": text }),
            Err(error) => json!({ "stopped": error.to_string() }),
        };
        self.note(call, told);
        answer
    }

    /// Notes what an answer stands for.
    pub(super) fn note(&mut self, call: &str, told: Value) {
        self.0.push(json!({ call: told }));
    }

    /// Notes what a writer asks for, with the bytes that travel beside the value.
    pub(super) fn event(&mut self, event: &WriterEvent) -> Result<()> {
        let mut told = json!({ "event": event });
        if let (WriterEvent::Append { bytes, .. }, Some(members)) = (event, told.as_object_mut()) {
            members.insert("bytes".to_owned(), shown(bytes));
        }
        self.0.push(told);
        Ok(())
    }

    pub(super) fn into_entries(self) -> Vec<Value> {
        self.0
    }
}

/// The name under which a writer's progress is noted: the only thing that depends on how the input was cut.
pub(super) const PROGRESS: &str = "writeLines";

/// Bytes as text, or as hexadecimal digits if they are none.
pub(super) fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}

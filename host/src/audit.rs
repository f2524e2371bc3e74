//! The audit log: each decision as a FHIR AuditEvent, one a line. What an event says is decided in core.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
};

use anyhow::{Context, Result, anyhow};
use ehi_core::{
    Endpoint,
    access::Principal,
    audit::AuditEvent,
    endpoint::EndpointConfig,
    job::Command,
    values::{self, Outcome, RequestHead},
};

use crate::clock;

/// A file that events are appended to. What cannot be recorded is an error: an export that nobody can account for later
/// is worse than none.
pub struct AuditLog {
    endpoint: Endpoint,
    file: Mutex<File>,
}

impl AuditLog {
    /// Opens the file, for this user alone if it is made.
    pub fn open(path: &Path, config: EndpointConfig) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).with_context(|| format!("cannot open the audit log `{}`", path.display()))?;
        Ok(Self { endpoint: Endpoint::new(config)?, file: Mutex::new(file) })
    }

    /// Records what was made of a request.
    pub(crate) fn request(
        &self,
        head: &RequestHead,
        body: &[u8],
        principal: &Principal,
        outcome: &Outcome,
    ) -> Result<()> {
        self.append(&values::audit_request(&self.endpoint, head, body, principal, outcome, clock::now_millis())?)
    }

    /// Records what became of a command: the record before it and, if it was taken, after it.
    pub(crate) fn command(&self, before: &str, command: &Command, after: Option<&str>) -> Result<()> {
        self.append(&values::audit_command(&self.endpoint, before, command, after, clock::now_millis())?)
    }

    /// Records what time alone changed.
    pub(crate) fn timeout(&self, before: &str, after: &str) -> Result<()> {
        self.append(&values::audit_timeout(&self.endpoint, before, after, clock::now_millis())?)
    }

    /// Lines are whole: each call writes its own at once.
    fn append(&self, events: &[AuditEvent]) -> Result<()> {
        let mut lines = Vec::new();
        for event in events {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let mut file = self.file.lock().map_err(|_| anyhow!("the audit log is in an unknown state"))?;
        file.write_all(&lines).context("the audit log cannot be written")
    }
}

//! What was decided, by whom and about whose data, as values that an audit log keeps: FHIR AuditEvents in the shapes of
//! IHE's Basic Audit Log Patterns (BALP).
//!
//! Pure functions of what the machines were given and what they returned: [`request`] of a request that was answered,
//! [`command`] of a command to a job, [`timeout`] of what time alone moved. The call that made a decision tells it; a poll
//! that is told to wait decides nothing and tells nothing.
//!
//! An event names people, groups and jobs by their ids and says nothing else of them: of the parameters of a request it has
//! the names that are known here and no value, of what people decided the configured names and no note. Nothing of a header,
//! of a body or of a diagnostic text is in it.

mod fhir;
mod job;
mod request;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::{
    Endpoint, Sensitive,
    access::Principal,
    endpoint::Auth,
    job::JobId,
    kick_off::{Level, Operation},
    time::Timestamp,
};

pub use job::{command, timeout};
pub use request::{Exchange, request};

/// One decision. Its JSON form is a FHIR R4 AuditEvent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub recorded: Timestamp,
    /// What.
    pub decision: Audited,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Who brought it about.
    pub actor: Actor,
    /// The base URL of the server that decided.
    pub server: String,
    /// The export that it is about, as far as it is known.
    pub export: Option<AuditedExport>,
    /// The id of the job. Where there is no authorisation an id opens the files, so there it is only its beginning.
    pub job: Option<String>,
    /// What else is to be known: names and codes of the guides and of the deployment, never what a client wrote.
    pub details: Vec<(&'static str, String)>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audited {
    /// An export was asked for, and granted or refused.
    KickOff,
    /// The outcome of an export was asked for: the manifest was given, or why there is none.
    Manifest,
    /// A file was asked for.
    Download,
    /// An export was to be removed.
    Delete,
    /// Anything else was asked for and refused.
    Request,
    /// A patient's form was handed in.
    FormSubmitted,
    /// Staff approved a step.
    StepApproved,
    /// Staff rejected a step.
    StepRejected,
    /// The work began.
    Begun,
    /// The files are there and may be fetched.
    Completed,
    /// The export ended with an error, or because somebody did not act in time.
    Failed,
    /// Retention has passed.
    Expired,
    /// The files are removed.
    FilesRemoved,
}

/// How it ended, in the codes of `http://terminology.hl7.org/CodeSystem/audit-event-outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditOutcome {
    /// As it was meant.
    Success,
    /// Refused, by a rule or by people.
    Refused,
    /// Something failed.
    Failed,
}

/// Who brought a decision about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Who sent the request.
    Client {
        /// `client_id`, if it was authenticated.
        client: Option<String>,
        /// The user, where there was one.
        user: Option<Sensitive<String>>,
        /// From where, if the embedder says so.
        address: Option<IpAddr>,
    },
    /// A member of staff, as the deployment names them.
    Staff(Sensitive<String>),
    /// The server by itself.
    Server,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedExport {
    /// By which operation.
    pub operation: Operation,
    /// Whose data.
    pub level: Sensitive<Level>,
}

impl AuditEvent {
    /// As a FHIR AuditEvent, one line of JSON without a line end.
    pub fn to_json(&self) -> String {
        fhir::resource(self).to_string()
    }

    /// An event that says no more than this.
    fn new(endpoint: &Endpoint, decision: Audited, outcome: AuditOutcome, actor: Actor, now: Timestamp) -> Self {
        let server = endpoint.config().base_url.clone();
        Self { recorded: now, decision, outcome, actor, server, export: None, job: None, details: Vec::new() }
    }

    fn about(self, endpoint: &Endpoint, id: JobId) -> Self {
        let whole = id.to_string();
        let shown = match endpoint.config().auth {
            Auth::Bearer => whole,
            Auth::None => whole.chars().take(SHOWN_DIGITS).collect(),
        };
        Self { job: Some(shown), ..self }
    }
}

impl Serialize for AuditEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fhir::resource(self).serialize(serializer)
    }
}

impl Actor {
    fn client(principal: &Principal, address: Option<IpAddr>) -> Self {
        let client = match principal {
            Principal::Known { client, .. } => Some(client.clone()),
            Principal::Anonymous | Principal::Open => None,
        };
        Self::Client { client, user: principal.user().cloned(), address }
    }
}

/// As many digits of a job's id as logs show.
const SHOWN_DIGITS: usize = 8;

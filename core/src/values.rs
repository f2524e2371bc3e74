//! The machines as functions from values to values: what crosses a boundary to another language or a sandbox.
//!
//! Every face calls these and nothing else of the control plane, so that all of them answer alike. All values have a
//! JSON form; times are milliseconds since 1970-01-01T00:00:00Z; request bodies travel beside the values, as bytes.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    Endpoint, ResourceType,
    access::{Owner, Principal},
    audit::{self, AuditEvent, Exchange},
    endpoint::{Decision, Route},
    http::{Request, Response},
    job::{Command, Effects, Epoch, Job, JobId, JobMisuse, PollAccount, Wants},
    kick_off::{Facts, KickOff, Need},
    look_up::{Found, LookUp},
    manifest::{ManifestHead, OutputFile, Section},
    pass::{PartitionTask, Pass, SetWanted},
    plan::ExportPlan,
    time::Timestamp,
    writer::{Checkpoint, Output},
};

/// A request without its body.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestHead {
    /// The method.
    pub method: String,
    /// The raw, undecoded target in origin form.
    pub target: String,
    /// Name and value of each header field, in order.
    pub headers: Vec<(String, String)>,
}

/// As that of [`Request`].
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHead(target of {} bytes, {} headers)", self.target.len(), self.headers.len())
    }
}

impl RequestHead {
    fn with_body<T>(&self, body: &[u8], call: impl FnOnce(&Request<'_>) -> T) -> T {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        call(&Request { method: &self.method, target: &self.target, headers: &headers, body })
    }
}

/// What a request asks for; see [`Route`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Routed {
    /// Send this.
    Respond(Response),
    /// Answer the needs, then [`decide`].
    KickOff {
        /// To hand on.
        kick_off: Box<KickOff>,
        /// To answer.
        needs: Vec<Need>,
    },
    /// Find the resources, then [`look_up`].
    LookUp(LookUp),
    /// Load the job and [`handle_request`], or send [`not_found`].
    Job(JobId),
}

/// What became of a kick-off; see [`Decision`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decided {
    /// Store the job, then send the response.
    Accepted(Accepted),
    /// Send the response.
    Refused(Response),
}

/// A job that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// Under which to store it.
    pub id: JobId,
    /// To store.
    pub job: StoredJob,
    /// To send once it is stored.
    pub response: Response,
}

/// A job as it is stored: the record, and beside it what a store indexes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredJob {
    /// The record. Opaque.
    pub record: String,
    /// When to look at the job again if nothing happens before.
    pub wake_at: Option<i64>,
    /// Whether it counts as an active job of its client.
    pub unfinished: bool,
    /// Its client, where there is one.
    pub client: Option<String>,
}

/// The record holds what was asked for and what people wrote.
impl fmt::Debug for StoredJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record, wake_at, unfinished, client } = self;
        let record = format_args!("{} bytes", record.len());
        let mut shown = f.debug_struct("StoredJob");
        shown
            .field("record", &record)
            .field("wake_at", wake_at)
            .field("unfinished", unfinished)
            .field("client", client);
        shown.finish()
    }
}

/// The answer to a request about a job. Store what is there, in one transaction, before sending the response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// To send.
    pub response: Response,
    /// If the job changed; store it only over the version that was read, else read again and repeat.
    pub job: Option<StoredJob>,
    /// If the poll account changed; needs no version.
    pub account: Option<PollAccount>,
}

/// What a command did. Store both in one transaction, only over the version that was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// To work under.
    pub epoch: Epoch,
    /// To store.
    pub job: StoredJob,
    /// To append to the job's rows.
    pub rows: Vec<OutputFile>,
}

/// What was made of a request, for [`audit_request`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    /// What was sent; for a file what [`serve_file`] said.
    pub response: Response,
    /// The record of the job that was made or asked about, as it is after the answer.
    #[serde(default)]
    pub record: Option<String>,
    /// Whether the answer changed the job.
    #[serde(default)]
    pub changed: bool,
    /// The address that the request came from, if it is to be recorded.
    #[serde(default)]
    pub peer: Option<IpAddr>,
}

/// See [`Endpoint::route`].
pub fn route(endpoint: &Endpoint, head: &RequestHead, body: &[u8], principal: &Principal) -> Routed {
    match head.with_body(body, |request| endpoint.route(request, principal)) {
        Route::Respond(response) => Routed::Respond(response),
        Route::KickOff(kick_off) => Routed::KickOff { needs: endpoint.needs(&kick_off, principal), kick_off },
        Route::LookUp(look_up) => Routed::LookUp(*look_up),
        Route::Job(id) => Routed::Job(id),
    }
}

/// See [`Endpoint::decide`].
pub fn decide(
    endpoint: &Endpoint,
    kick_off: KickOff,
    principal: &Principal,
    facts: &Facts,
    entropy: [u8; 16],
    now: i64,
) -> Decided {
    let id = JobId::from_entropy(entropy);
    match endpoint.decide(kick_off, principal, facts, id, Timestamp::from_millis(now)) {
        Decision::Accepted(job, response) => Decided::Accepted(Accepted { id, job: stored(&job), response }),
        Decision::Refused(response) => Decided::Refused(response),
    }
}

/// See [`Endpoint::look_up`].
pub fn look_up(endpoint: &Endpoint, look_up: &LookUp, principal: &Principal, found: Found, now: i64) -> Response {
    endpoint.look_up(look_up, principal, found, Timestamp::from_millis(now))
}

/// See [`Endpoint::not_found`].
pub fn not_found(endpoint: &Endpoint) -> Response {
    endpoint.not_found()
}

/// See [`Job::handle_request`].
pub fn handle_request(
    endpoint: &Endpoint,
    record: &str,
    mut account: PollAccount,
    head: &RequestHead,
    body: &[u8],
    principal: &Principal,
    now: i64,
) -> Result<Answered, JobMisuse> {
    let mut job = Job::decode(record)?;
    let now = Timestamp::from_millis(now);
    let (response, effects) =
        head.with_body(body, |request| job.handle_request(endpoint, request, principal, &mut account, now));
    Ok(Answered { response, job: changed(&job, &effects), account: effects.account.then_some(account) })
}

/// See [`Job::serve_file`].
pub fn serve_file(record: &str, file: &OutputFile, head: &RequestHead) -> Result<Response, JobMisuse> {
    let job = Job::decode(record)?;
    Ok(head.with_body(&[], |request| job.serve_file(file, request)))
}

/// See [`Endpoint::return_to_client`].
pub fn return_to_client(endpoint: &Endpoint, record: &str) -> Result<Option<Response>, JobMisuse> {
    Ok(endpoint.return_to_client(&Job::decode(record)?))
}

/// See [`Job::handle_timeout`]. The job, if it changed.
pub fn handle_timeout(record: &str, now: i64) -> Result<Option<StoredJob>, JobMisuse> {
    let mut job = Job::decode(record)?;
    let effects = job.handle_timeout(Timestamp::from_millis(now));
    Ok(changed(&job, &effects))
}

/// See [`Job::wants`].
pub fn wants(record: &str, holder: &str, now: i64) -> Result<Wants, JobMisuse> {
    Ok(Job::decode(record)?.wants(holder, Timestamp::from_millis(now)))
}

/// See [`Job::apply`].
pub fn apply(record: &str, command: Command, now: i64) -> Result<Applied, JobMisuse> {
    let mut job = Job::decode(record)?;
    let (epoch, effects) = job.apply(command, Timestamp::from_millis(now))?;
    Ok(Applied { epoch, job: stored(&job), rows: effects.rows })
}

/// See [`Job::plan`].
pub fn plan(record: &str) -> Result<ExportPlan, JobMisuse> {
    Ok(Job::decode(record)?.plan().clone())
}

/// See [`ExportPlan::sets`]: each set, and the task whose findings make it, if it is one that a writer can find.
pub fn sets_wanted(plan: &ExportPlan, pass: Pass) -> Vec<(SetWanted, Option<PartitionTask>)> {
    plan.sets(pass).into_iter().map(|set| (set.clone(), set.task())).collect()
}

/// See [`Job::manifest_head`].
pub fn manifest_head(record: &str) -> Result<ManifestHead, JobMisuse> {
    Ok(Job::decode(record)?.manifest_head())
}

/// See [`audit::request`]. Each event is a FHIR AuditEvent in its JSON form.
pub fn audit_request(
    endpoint: &Endpoint,
    head: &RequestHead,
    body: &[u8],
    principal: &Principal,
    outcome: &Outcome,
    now: i64,
) -> Result<Vec<AuditEvent>, JobMisuse> {
    let Outcome { response, record, changed, peer } = outcome;
    let job = record.as_deref().map(Job::decode).transpose()?;
    let (job, changed, peer) = (job.as_ref(), *changed, *peer);
    Ok(head.with_body(body, |request| {
        let exchange = Exchange { request, principal, peer, response, job, changed };
        audit::request(endpoint, &exchange, Timestamp::from_millis(now))
    }))
}

/// See [`audit::command`]: the record before the command and, if it was taken, after it.
pub fn audit_command(
    endpoint: &Endpoint,
    before: &str,
    command: &Command,
    after: Option<&str>,
    now: i64,
) -> Result<Vec<AuditEvent>, JobMisuse> {
    let (before, after) = (Job::decode(before)?, after.map(Job::decode).transpose()?);
    Ok(audit::command(endpoint, &before, command, after.as_ref(), Timestamp::from_millis(now)))
}

/// See [`audit::timeout`]: the record before [`handle_timeout`] and after it.
pub fn audit_timeout(endpoint: &Endpoint, before: &str, after: &str, now: i64) -> Result<Vec<AuditEvent>, JobMisuse> {
    let (before, after) = (Job::decode(before)?, Job::decode(after)?);
    Ok(audit::timeout(endpoint, &before, &after, Timestamp::from_millis(now)))
}

fn changed(job: &Job, effects: &Effects) -> Option<StoredJob> {
    effects.job.then(|| stored(job))
}

fn stored(job: &Job) -> StoredJob {
    StoredJob {
        record: job.encode(),
        wake_at: job.wake_at().map(Timestamp::as_millis),
        unfinished: job.state().is_unfinished(),
        client: match job.owner() {
            Owner::Anyone => None,
            Owner::Client(client) => Some(client.clone()),
        },
    }
}

/// What to do next with a file, owned; see [`Output`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WriterEvent {
    /// Open a new file.
    Open {
        /// Its number.
        file: u32,
        /// Which array of the manifest it will belong to.
        section: Section,
        /// The type of the resources in it, if it is one.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        resource_type: Option<ResourceType>,
        /// Its public name.
        name: String,
        /// What the data call the media type of an attachment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
    },
    /// Append bytes to it. In the JSON form the bytes travel beside the value.
    Append {
        /// Which.
        file: u32,
        /// What.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    /// What a collecting pass found. In the JSON form the bytes travel beside the value.
    Found {
        /// What.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    /// It is complete.
    Close {
        /// Which.
        file: u32,
        /// How many resources.
        count: u64,
        /// How many bytes.
        bytes: u64,
        /// How many bytes were appended, if that is gzip.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gzip_bytes: Option<u64>,
        /// SHA-256 in hexadecimal, if one was asked for.
        sha256: Option<String>,
        /// The name of the file in which its last block goes on, if that is split.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continues_in_file: Option<String>,
        /// Where to go on.
        checkpoint: Checkpoint,
    },
}

impl From<Output<'_>> for WriterEvent {
    fn from(output: Output<'_>) -> Self {
        match output {
            Output::Open { file, section, resource_type, name, content_type } => Self::Open {
                file,
                section,
                resource_type: resource_type.cloned(),
                name: name.to_owned(),
                content_type: content_type.map(str::to_owned),
            },
            Output::Append { file, bytes } => Self::Append { file, bytes: bytes.to_vec() },
            Output::Found { bytes } => Self::Found { bytes: bytes.to_vec() },
            Output::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint } => Self::Close {
                file,
                count,
                bytes,
                gzip_bytes,
                sha256: sha256.map(str::to_owned),
                continues_in_file: continues_in_file.map(str::to_owned),
                checkpoint: checkpoint.clone(),
            },
        }
    }
}

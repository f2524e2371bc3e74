//! Events of requests: kick-offs, manifests, downloads, deletions, and whatever was refused.

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::Value;

use super::{Actor, AuditEvent, AuditOutcome, Audited, AuditedExport, job};
use crate::{
    Endpoint, Sensitive,
    access::Principal,
    http::{Body, Request, Response, Target, decode_component},
    job::{Job, JobId},
    kick_off::{self, Level, Operation},
    plan::{ExportPlan, TypeSelection},
    reference::is_id,
    time::Timestamp,
};

/// A request, and what was made of it.
#[derive(Clone, Copy)]
pub struct Exchange<'e> {
    /// What came in.
    pub request: &'e Request<'e>,
    /// From whom.
    pub principal: &'e Principal,
    /// From which address, if it is to be recorded.
    pub peer: Option<IpAddr>,
    /// What went out; for a file the answer of [`Job::serve_file`].
    pub response: &'e Response,
    /// The job that was made or asked about, if there is one, as it is after the answer.
    pub job: Option<&'e Job>,
    /// Whether the answer changed the job: [`Effects::job`](crate::job::Effects::job).
    pub changed: bool,
}

/// What a request that was answered has to tell: nothing, or one event; and one more if it ended the export.
pub fn request(endpoint: &Endpoint, exchange: &Exchange<'_>, now: Timestamp) -> Vec<AuditEvent> {
    let Exchange { request, principal, peer, response, job, changed } = *exchange;
    let status = response.header("x-export-status").and_then(|status| status.parse().ok()).unwrap_or(response.status);
    let asked = Asked::of(endpoint, request);
    let deletes = request.method == "DELETE";
    let decision = match &asked {
        Asked::Export(_) => Audited::KickOff,
        Asked::Job(_) if deletes => Audited::Delete,
        // Not yet: a poll like thousands of others, unless it tells of files already.
        Asked::Job(_) if status == 202 && !matches!(response.body, Body::Manifest(_)) => return Vec::new(),
        Asked::Job(_) => Audited::Manifest,
        Asked::File { .. } => Audited::Download,
        Asked::Other if status >= 400 => Audited::Request,
        Asked::Other => return Vec::new(),
    };
    let mut event = AuditEvent::new(endpoint, decision, outcome(status), Actor::client(principal, peer), now);
    event.details.push(("status", status.to_string()));
    event.export = job.map(|job| job::export(job.plan()));
    match asked {
        Asked::Export(export) => {
            event.export = event.export.or(Some(export));
            event.details.extend(job.into_iter().flat_map(|job| granted(job.plan())));
            if !UNREAD.contains(&status) {
                event.details.extend(parameters(endpoint, request));
            }
            event = job.into_iter().fold(event, |event, job| event.about(endpoint, job.id()));
        }
        Asked::Job(id) => event = event.about(endpoint, id),
        Asked::File { job, name } => {
            // Only the name of a file that there is; another is but what somebody wrote.
            if status < 400 {
                event.details.push(("file", name));
            }
            event = event.about(endpoint, job);
        }
        Asked::Other => {}
    }
    let ended = job.filter(|_| changed && !deletes).and_then(|job| job::failed(endpoint, job, now));
    [Some(event), ended].into_iter().flatten().collect()
}

/// What a request asks for, by its address alone.
enum Asked {
    Export(AuditedExport),
    Job(JobId),
    File { job: JobId, name: String },
    Other,
}

impl Asked {
    fn of(endpoint: &Endpoint, request: &Request<'_>) -> Self {
        let segments = Target::parse(request.target).segments_below(endpoint.config().base_path()).unwrap_or_default();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["bulk", id] | ["bulk", id, "manifests", _] => JobId::parse(id).map_or(Self::Other, Self::Job),
            ["bulk", id, "files", name] => {
                JobId::parse(id).map_or(Self::Other, |job| Self::File { job, name: (*name).to_owned() })
            }
            [of @ .., operation] => export(endpoint, of, operation).map_or(Self::Other, Self::Export),
            [] => Self::Other,
        }
    }
}

fn export(endpoint: &Endpoint, of: &[&str], operation: &str) -> Option<AuditedExport> {
    let operation = match operation {
        // It is asked for also where it is not there.
        "$export" => Operation::Export,
        "$ehi-export" => Operation::EhiExport,
        of_edition if endpoint.config().edition_of(of_edition).is_some() => Operation::Export,
        _ => return None,
    };
    let level = match of {
        [] => Level::System,
        ["Patient"] => Level::AllPatients,
        ["Patient", id] if is_id(id) => Level::Patient((*id).to_owned()),
        ["Group", id] if is_id(id) => Level::Group((*id).to_owned()),
        ["Practitioner", id] if is_id(id) => Level::Practitioner((*id).to_owned()),
        _ => return None,
    };
    Some(AuditedExport { operation, level: Sensitive::new(level) })
}

fn outcome(status: u16) -> AuditOutcome {
    match status {
        ..400 => AuditOutcome::Success,
        400..500 => AuditOutcome::Refused,
        500.. => AuditOutcome::Failed,
    }
}

/// What was granted: the types, and of which of them only a part.
fn granted(plan: &ExportPlan) -> Vec<(&'static str, String)> {
    let types = match &plan.types {
        TypeSelection::All => ("types", String::from("all")),
        TypeSelection::Only(types) => ("types", listed(types.iter().map(|name| name.as_str()))),
        TypeSelection::AllBut(types) => ("types-left-out", listed(types.iter().map(|name| name.as_str()))),
    };
    let in_part = listed(plan.granted_filters.keys().map(|name| name.as_str()));
    let in_part = Some(("types-in-part", in_part)).filter(|_| !plan.granted_filters.is_empty());
    [Some(types), in_part].into_iter().flatten().collect()
}

/// The names of the parameters, as far as they are known here, and how many others there were. A value may be anything, and
/// so may a name that nobody defined.
fn parameters(endpoint: &Endpoint, request: &Request<'_>) -> Vec<(&'static str, String)> {
    let names = if request.method == "POST" { names_in_body(request.body) } else { names_in_query(request.target) };
    let is_known =
        |name: &String| kick_off::is_parameter(name) || endpoint.config().vendor_parameters.contains_key(name.as_str());
    let (known, unknown): (BTreeSet<_>, BTreeSet<_>) = names.into_iter().partition(is_known);
    let known = Some(("parameters", listed(known.iter().map(String::as_str)))).filter(|_| !known.is_empty());
    let unknown = Some(("unknown-parameters", unknown.len().to_string())).filter(|_| !unknown.is_empty());
    [known, unknown].into_iter().flatten().collect()
}

fn names_in_query(target: &str) -> BTreeSet<String> {
    Target::parse(target).raw_parameters().map(|(name, _)| decode_component(name).unwrap_or_default()).collect()
}

fn names_in_body(body: &[u8]) -> BTreeSet<String> {
    let parameters = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let entries = parameters.get("parameter").and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| entry.get("name")?.as_str().map(str::to_owned)).collect()
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

/// Answers that are given before any parameter is read, some of them because there is too much to read.
const UNREAD: [u16; 5] = [401, 413, 414, 421, 431];

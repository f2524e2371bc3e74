//! Access as a client meets it: from the request over the decision to the poll, on a clock of our own.

mod files;
mod roles;
mod scopes;

use serde_json::{Value, json};

use super::Principal;
use crate::{
    Endpoint, Sensitive,
    endpoint::{Decision, EndpointConfig, Route},
    http::{Body, Request, Response},
    job::{Command, Job, JobId, PollAccount, Wants},
    kick_off::Facts,
    time::Timestamp,
};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).plus_seconds(seconds)
}

/// An endpoint with bearers, and what else is said.
fn endpoint(more: Value) -> Endpoint {
    let mut config = json!({ "baseUrl": "https://ehr.example/fhir", "auth": "bearer" });
    let members = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(members);
    Endpoint::new(EndpointConfig::from_json(&config.to_string()).unwrap()).unwrap()
}

/// A client by itself.
fn client(scopes: &[&str]) -> Principal {
    Principal::Known {
        client: "app".into(),
        user: None,
        patient: None,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        roles: Vec::new(),
        expires: at(10_000_000),
    }
}

/// The same with a patient in context.
fn of_patient(principal: &Principal, id: &str) -> Principal {
    let mut principal = principal.clone();
    if let Principal::Known { patient, .. } = &mut principal {
        *patient = Some(Sensitive::new(id.to_owned()));
    }
    principal
}

fn facts() -> Facts {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    Facts { patients: ids(&["p1", "p2"]), groups: ids(&["g1", "g2"]), active_jobs: Some(0), ..Facts::default() }
}

fn kick_off(endpoint: &Endpoint, target: &str, principal: &Principal) -> Result<Job, Box<Response>> {
    kick_off_with(endpoint, target, principal, &facts())
}

fn kick_off_with(
    endpoint: &Endpoint,
    target: &str,
    principal: &Principal,
    facts: &Facts,
) -> Result<Job, Box<Response>> {
    let method = if target.contains("ehi-export") { "POST" } else { "GET" };
    let request = Request { method, target, headers: &[], body: b"" };
    let kick_off = match endpoint.route(&request, principal) {
        Route::KickOff(kick_off) => kick_off,
        Route::Respond(response) => return Err(Box::new(response)),
        Route::Job(_) | Route::LookUp(_) => panic!("no kick-off"),
    };
    match endpoint.decide(*kick_off, principal, facts, JobId::from_entropy([1; 16]), at(0)) {
        Decision::Accepted(job, _) => Ok(*job),
        Decision::Refused(response) => Err(Box::new(response)),
    }
}

/// The status of a kick-off.
fn status(endpoint: &Endpoint, target: &str, principal: &Principal) -> u16 {
    kick_off(endpoint, target, principal).map_or_else(|response| response.status, |_| 202)
}

/// Does the work of a job that has no data.
fn run(job: &mut Job) {
    let begin = Command::Begin {
        holder: "h".into(),
        until: at(60),
        transaction_time: at(1),
        snapshot: String::new(),
        partitions: 1,
    };
    let (epoch, _) = job.apply(begin, at(1)).unwrap();
    let Wants::Run { partitions, .. } = job.wants("h", at(1)) else { panic!("a running job wants to be run") };
    for task in partitions {
        job.apply(Command::FinishPartition { epoch, partition: task.partition }, at(1)).unwrap();
    }
}

fn request(job: &mut Job, endpoint: &Endpoint, method: &str, below: &str, principal: &Principal) -> Response {
    let target = format!("/fhir/bulk/{}{below}", job.id());
    let request = Request { method, target: &target, headers: &[], body: b"" };
    job.handle_request(endpoint, &request, principal, &mut PollAccount::default(), at(2)).0
}

fn poll(job: &mut Job, endpoint: &Endpoint, principal: &Principal) -> u16 {
    request(job, endpoint, "GET", "", principal).status
}

fn text(response: &Response) -> &str {
    let Body::Text(text) = &response.body else { return "" };
    text
}

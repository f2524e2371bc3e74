//! What is decided about requests, from the bytes on.

mod ballot;
mod capability;
mod look_up;
mod patients;
mod provider;

use serde_json::{Value, json};

use super::{Decision, Endpoint, EndpointConfig, Route};
use crate::{
    access::Principal,
    http::{Body, Request, Response},
    job::{Job, JobId},
    kick_off::{Facts, KickOff, Need},
    time::Timestamp,
};

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// An endpoint that asks for tokens.
fn endpoint() -> Endpoint {
    endpoint_with(json!({}))
}

/// The same with more of a configuration.
fn endpoint_with(more: Value) -> Endpoint {
    let mut config = json!({ "baseUrl": "https://ehr.example/fhir", "auth": "bearer" });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
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
        expires: now().plus_seconds(3600),
    }
}

fn everything() -> Principal {
    client(&["system/*.rs"])
}

/// A request of `Accept: */*` with these preferences; a body is of FHIR JSON.
fn route(endpoint: &Endpoint, method: &str, target: &str, prefer: &str, body: &str, principal: &Principal) -> Route {
    let mut headers: Vec<(&str, &[u8])> = vec![("Prefer", prefer.as_bytes())];
    if !body.is_empty() {
        headers.push(("Content-Type", b"application/fhir+json"));
    }
    endpoint.route(&Request { method, target, headers: &headers, body: body.as_bytes() }, principal)
}

fn decide(endpoint: &Endpoint, kick_off: KickOff, principal: &Principal, facts: &Facts) -> Decision {
    endpoint.decide(kick_off, principal, facts, JobId::from_entropy([1; 16]), now())
}

fn ids(ids: &[&str]) -> std::collections::BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn json_of(response: &Response) -> Value {
    let Body::Text(text) = &response.body else { panic!("no text: {response:?}") };
    serde_json::from_str(text).unwrap()
}

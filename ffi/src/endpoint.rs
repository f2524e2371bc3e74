//! `ehi_endpoint`: the front door of a deployment.

use std::mem::MaybeUninit;

use ehi_core::{endpoint::EndpointConfig, values};

use crate::{
    bytes::Bytes,
    call::{self, Guarded, call, call_ref},
    error::Failure,
    input::{json, principal, required, text},
    status::Status,
    value::Value,
    view::View,
};

/// The front door of a deployment: says what a request asks for, and what becomes of a kick-off.
///
/// It holds a checked configuration and never changes, so any number of threads may use it at once.
///
/// The order of calls, for each HTTP request:
///
/// 1. `ehi_endpoint_route`. It answers with a response to send, with the id of a job, with a kick-off and its needs, or with
///    a look-up.
/// 2. Of a job: load its record and call `ehi_job_handle_request`, or send `ehi_endpoint_not_found`.
/// 3. Of a kick-off: answer the needs with facts and call `ehi_endpoint_decide`; store the job, then send the response.
/// 4. Of a look-up: find the resources and call `ehi_endpoint_look_up`.
pub struct Endpoint(pub(crate) Guarded<ehi_core::Endpoint>);

/// Makes an endpoint of its configuration, a JSON object; `baseUrl` and `auth` are required.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_endpoint_new(
    config: View<'_>,
    endpoint: Option<&mut MaybeUninit<Box<Endpoint>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call(error, || {
        let endpoint = required(endpoint, "endpoint")?;
        let config = EndpointConfig::from_json(text(config, "config")?)?;
        endpoint.write(Box::new(Endpoint(Guarded::new(ehi_core::Endpoint::new(config)?))));
        Ok(())
    })
}

/// Frees an endpoint. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_endpoint_free(endpoint: Option<Box<Endpoint>>) {
    call::free(endpoint);
}

/// Says what a request asks for: `respond` with a response, `kickOff` with a kick-off and its needs, `lookUp` with resources
/// to find, or `job` with an id.
///
/// `head` is the request without its body, as JSON: `method`, the raw undecoded `target`, and `headers` as a list of name
/// and value. `principal` is who asks, as JSON: `"anonymous"`, `"open"`, or `known` with all its members.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_endpoint_route(
    endpoint: Option<&Endpoint>,
    head: View<'_>,
    body: View<'_>,
    principal: View<'_>,
    routed: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_ref(endpoint.map(|endpoint| &endpoint.0), error, |endpoint| {
        let routed = required(routed, "routed")?;
        let (head, body, principal) = (json(head, "head")?, body.bytes("body")?, self::principal(principal)?);
        routed.write(Value::boxed(&values::route(endpoint, &head, body, &principal))?);
        Ok(())
    })
}

/// Says what becomes of a kick-off: `accepted` with a job to store and a response to send then, or `refused` with a response.
///
/// `kick_off` is `/kickOff/kickOff` of what `ehi_endpoint_route` answered, `facts` the answers to `/kickOff/needs`. What is
/// not answered counts as absent, or as too many. `entropy` is 16 bytes from a cryptographic source of randomness, of which
/// the job's id is made; `now` is in milliseconds since 1970-01-01T00:00:00Z.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_endpoint_decide(
    endpoint: Option<&Endpoint>,
    kick_off: View<'_>,
    principal: View<'_>,
    facts: View<'_>,
    entropy: View<'_>,
    now: i64,
    decided: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_ref(endpoint.map(|endpoint| &endpoint.0), error, |endpoint| {
        let decided = required(decided, "decided")?;
        let kick_off = json(kick_off, "kick_off")?;
        let (principal, facts) = (self::principal(principal)?, json(facts, "facts")?);
        let entropy = entropy.bytes("entropy")?.try_into();
        let entropy = entropy.map_err(|_| Failure::new(Status::MalformedValue, "`entropy` is not 16 bytes long"))?;
        decided.write(Value::boxed(&values::decide(endpoint, kick_off, &principal, &facts, entropy, now))?);
        Ok(())
    })
}

/// The response to a look-up, once its resources are found.
///
/// `look_up` is `/lookUp` of what `ehi_endpoint_route` answered, `found` the resources as their JSON texts. What is handed
/// back and was not asked for is not shown. `now` is in milliseconds since 1970-01-01T00:00:00Z.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_endpoint_look_up(
    endpoint: Option<&Endpoint>,
    look_up: View<'_>,
    principal: View<'_>,
    found: View<'_>,
    now: i64,
    response: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_ref(endpoint.map(|endpoint| &endpoint.0), error, |endpoint| {
        let response = required(response, "response")?;
        let look_up = json(look_up, "look_up")?;
        let (principal, found) = (self::principal(principal)?, json(found, "found")?);
        response.write(Value::boxed(&values::look_up(endpoint, &look_up, &principal, found, now))?);
        Ok(())
    })
}

/// The response for whatever is not there: a job that no record has, a file that no row names.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_endpoint_not_found(
    endpoint: Option<&Endpoint>,
    response: Option<&mut MaybeUninit<Box<Value>>>,
    error: Option<&mut MaybeUninit<Box<Bytes>>>,
) -> Status {
    call_ref(endpoint.map(|endpoint| &endpoint.0), error, |endpoint| {
        required(response, "response")?.write(Value::boxed(&values::not_found(endpoint))?);
        Ok(())
    })
}

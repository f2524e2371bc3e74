//! From an HTTP request to the engine and back.

use anyhow::{Context, Result};
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use ehi_core::{
    access::Principal,
    http as core_http,
    job::JobId,
    kick_off::{KickOff, Need},
    outcome::{Issue, IssueCode, OperationOutcome},
    values::{Decided, Outcome, RequestHead, Routed},
};
use http::{HeaderName, HeaderValue, StatusCode};

use super::{Server, stream, tokens::Bearer, unpack};
use crate::{clock, engine::Engine};

/// Answers one request.
pub(super) async fn answer(State(server): State<Server>, request: Request) -> Response {
    let answered = match read(request).await {
        Ok((head, body)) => {
            // The engine computes: not on a thread that others' I/O waits for.
            let server = server.clone();
            let decided = tokio::task::spawn_blocking(move || decide(&server, &head, &body)).await;
            decided.map_err(anyhow::Error::from).and_then(|decided| decided)
        }
        Err(response) => Ok(response),
    };
    let sent = match answered {
        Ok(response) => send(&server, response).await,
        Err(error) => Err(error),
    };
    sent.unwrap_or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "a request failed");
        failure()
    })
}

/// The answer, and what the engine must be asked again for once it is being sent.
pub(super) struct Decision {
    pub(super) job: Option<String>,
    pub(super) response: core_http::Response,
    /// The job that was made or asked about, as it is after the answer.
    record: Option<String>,
    /// Whether the answer changed it.
    changed: bool,
}

impl Decision {
    /// An answer that is about no job.
    fn plain(response: core_http::Response) -> Self {
        Self { job: None, response, record: None, changed: false }
    }
}

/// The request as the engine takes it.
async fn read(request: Request) -> Result<(RequestHead, bytes::Bytes), Decision> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let value = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers: Vec<_> = parts.headers.iter().map(|(name, v)| (name.as_str().to_owned(), value(v))).collect();
    // A target in absolute form (RFC 9112 §3.2.2) names the host itself, and that name counts.
    if let Some(authority) = parts.uri.authority() {
        headers.retain(|(name, _)| name != "host");
        headers.push(("host".to_owned(), authority.to_string()));
    }
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let issue = Issue::error(IssueCode::TooLong, format!("the request body is longer than {BODY_BYTES_MAX} bytes"));
        let response = core_http::Response::outcome(413, &OperationOutcome::new(issue));
        return Err(Decision::plain(response));
    };
    Ok((RequestHead { method: parts.method.as_str().to_owned(), target, headers }, body))
}

/// Everything that is decided about a request is decided by the engine, in here.
fn decide(server: &Server, head: &RequestHead, body: &[u8]) -> Result<Decision> {
    let bearer = server.identity.of(head);
    let decision = decide_for(server, &bearer, head, body)?;
    if let Some(audit) = &server.exporter.audit {
        let Decision { response, record, changed, .. } = &decision;
        let outcome = Outcome { response: response.clone(), record: record.clone(), changed: *changed, peer: None };
        audit.request(head, body, &bearer.principal, &outcome)?;
    }
    Ok(decision)
}

fn decide_for(server: &Server, bearer: &Bearer, head: &RequestHead, body: &[u8]) -> Result<Decision> {
    let mut engine = server.exporter.engines.instance()?;
    let engine = engine.as_mut();
    match engine.route(head, body, &bearer.principal)? {
        Routed::Respond(response) => Ok(Decision::plain(response)),
        Routed::KickOff { kick_off, needs } => kick_off_decision(server, engine, bearer, &kick_off, &needs),
        Routed::LookUp(look_up) => {
            let accessible = bearer.accessible(look_up.resource_type.as_str());
            let found = server.exporter.source.look_up(&look_up, accessible, clock::now())?;
            let response = engine.look_up(&look_up, &bearer.principal, found, clock::now_millis())?;
            Ok(Decision::plain(response))
        }
        Routed::Job(id) => job_decision(server, engine, &bearer.principal, id, head, body),
    }
}

fn kick_off_decision(
    server: &Server,
    engine: &mut dyn Engine,
    bearer: &Bearer,
    kick_off: &KickOff,
    needs: &[Need],
) -> Result<Decision> {
    let mut facts = server.exporter.facts(needs)?;
    bearer.answer(needs, &mut facts);
    let decided = engine.decide(kick_off, &bearer.principal, &facts, clock::entropy()?, clock::now_millis())?;
    Ok(match decided {
        Decided::Refused(response) => Decision::plain(response),
        Decided::Accepted(accepted) => {
            server.exporter.store.insert(&accepted.id.to_string(), &accepted.job)?;
            server.work.notify_one();
            let (response, record) = (accepted.response, Some(accepted.job.record));
            Decision { job: None, response, record, changed: true }
        }
    })
}

fn job_decision(
    server: &Server,
    engine: &mut dyn Engine,
    principal: &Principal,
    id: JobId,
    head: &RequestHead,
    body: &[u8],
) -> Result<Decision> {
    let store = &server.exporter.store;
    let id = id.to_string();
    let client = match principal {
        Principal::Known { client, .. } => client.as_str(),
        Principal::Anonymous | Principal::Open => "",
    };
    for _ in 0..ATTEMPTS {
        let Some(loaded) = store.load(&id)? else { return Ok(Decision::plain(engine.not_found()?)) };
        let (account, now) = (store.account(&id, client)?, clock::now_millis());
        let answered = engine.handle_request(&loaded.record, account, head, body, principal, now)?;
        if let Some(account) = answered.account {
            store.set_account(&id, client, account)?;
        }
        if let Some(job) = &answered.job {
            if !store.update(&id, job, &[], loaded.version)? {
                continue;
            }
            server.work.notify_one();
        }
        let response = match &answered.response.body {
            core_http::Body::Row(name) => match store.row(&id, name)? {
                Some(file) => engine.serve_file(&loaded.record, &file, head)?,
                None => engine.not_found()?,
            },
            _ => answered.response,
        };
        let changed = answered.job.is_some();
        let record = Some(answered.job.map_or(loaded.record, |job| job.record));
        return Ok(Decision { job: Some(id), response, record, changed });
    }
    anyhow::bail!("the job is changed by others all the time")
}

async fn send(server: &Server, decision: Decision) -> Result<Response> {
    let Decision { job, response: core_http::Response { status, headers, body }, .. } = decision;
    let body = match body {
        core_http::Body::Empty | core_http::Body::Row(_) => Body::empty(),
        core_http::Body::Text(text) => Body::from(text),
        core_http::Body::Manifest(head) => stream::manifest(server, job.context("a manifest without a job")?, *head),
        core_http::Body::Object { key, range, unpack: false } => {
            let job = job.context("a file without a job")?;
            Body::from_stream(server.downloads.watch(&job, server.exporter.files.read(&key, range).await?))
        }
        core_http::Body::Object { key, range, unpack: true } => {
            let job = job.context("a file without a job")?;
            let packed = server.downloads.watch(&job, server.exporter.files.read(&key, None).await?);
            Body::from_stream(unpack::unpack(packed, range))
        }
    };
    with_head(status, headers, body)
}

/// The response with the head that the engine gave it.
pub(super) fn with_head(status: u16, headers: Vec<(String, String)>, body: Body) -> Result<Response> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status)?;
    for (name, value) in headers {
        response.headers_mut().append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(&value)?);
    }
    Ok(response)
}

/// What a client reads when the host itself fails; what failed is in the log.
fn failure() -> Response {
    let outcome = OperationOutcome::new(Issue::error(IssueCode::Exception, "the server failed; try again later"));
    let mut response = Response::new(Body::from(outcome.to_json()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
    response
}

/// As the engine's own bound, which would refuse more.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Optimistic writes lose only against the exporter's publishes.
const ATTEMPTS: u32 = 100;

//! What people do about exports: their steps and a patient's form, told by the pages and programs of the deployment.
//!
//! `GET /staff/jobs/ID` says what a job waits for; `POST` takes the step: `{"approve":{"step":"review"}}`,
//! `{"reject":{"step":"review","code":"identity","note":"…"}}`, or the answers of a patient's form,
//! `{"formSubmitted":{"answers":{…}}}`. A browser's form (`application/x-www-form-urlencoded`) is such answers too, and the
//! answer to either is to go back to the app, if that registered an address. Only tokens of staff open it, and it is no part
//! of the FHIR base: a proxy that knows the patient sends the form on with one.

use anyhow::Result;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use ehi_core::{
    http as core_http,
    job::{Command, FormAnswers, Wants},
    values::{self, RequestHead},
};
use serde::Deserialize;
use serde_json::json;

use super::{Server, answer::with_head, tokens::Staff};
use crate::{clock, engine::EngineError};

pub(super) fn routes() -> Router<Server> {
    Router::new().route("/staff/jobs/{id}", get(look).post(take))
}

/// A step as it is told; who takes it, says the token.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Step {
    Approve {
        step: String,
    },
    Reject {
        step: String,
        code: String,
        #[serde(default)]
        note: String,
    },
    FormSubmitted {
        answers: FormAnswers,
    },
}

async fn look(State(server): State<Server>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_staff(server, &headers, move |server, _| waits_for(server, &id)).await
}

async fn take(State(server): State<Server>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let is_form = is_form(&headers);
    with_staff(server, &headers, move |server, staff| {
        let Some(step) = step(is_form, &body) else {
            return Ok(problem(StatusCode::BAD_REQUEST, "the body is no step: approve, reject or formSubmitted"));
        };
        let (by, is_submitted) = (staff.name, matches!(step, Step::FormSubmitted { .. }));
        let command = match step {
            Step::Approve { step } => Command::Approve { step, by },
            Step::Reject { step, code, note } => Command::Reject { step, code, by, note },
            Step::FormSubmitted { answers } => Command::FormSubmitted { answers },
        };
        if server.exporter.store.load(&id)?.is_none() {
            return Ok(problem(StatusCode::NOT_FOUND, "there is no such job"));
        }
        match server.exporter.tell(&id, &command) {
            Ok(()) => {
                server.work.notify_one();
                match returned(server, &id)?.filter(|_| is_submitted) {
                    Some(response) => with_head(response.status, response.headers, Body::empty()),
                    None => waits_for(server, &id),
                }
            }
            Err(error) => match error.downcast_ref::<EngineError>() {
                // What a job refuses is the asker's mistake, and its text shows nothing of the job.
                Some(EngineError::Refused(text)) => Ok(problem(StatusCode::CONFLICT, text)),
                _ => Err(error),
            },
        }
    })
    .await
}

/// The step that a body tells of. Some programs call everything a form that they send; what is JSON is none.
fn step(is_form: bool, body: &[u8]) -> Option<Step> {
    let submitted = || FormAnswers::from_form(body).ok().map(|answers| Step::FormSubmitted { answers });
    serde_json::from_slice(body).ok().or_else(|| is_form.then(submitted).flatten())
}

/// Whether a browser's form was sent.
fn is_form(headers: &HeaderMap) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Where the browser goes that brought a form, if it goes anywhere.
fn returned(server: &Server, id: &str) -> Result<Option<core_http::Response>> {
    let Some(job) = server.exporter.store.load(id)? else { return Ok(None) };
    Ok(values::return_to_client(&server.endpoint, &job.record)?)
}

fn waits_for(server: &Server, id: &str) -> Result<Response> {
    if server.exporter.store.load(id)?.is_none() {
        return Ok(problem(StatusCode::NOT_FOUND, "there is no such job"));
    }
    let step = match server.exporter.wants(id)? {
        Wants::Step(step) => Some(step),
        _ => None,
    };
    Ok(Json(json!({ "step": step })).into_response())
}

async fn with_staff(
    server: Server,
    headers: &HeaderMap,
    act: impl FnOnce(&Server, Staff) -> Result<Response> + Send + 'static,
) -> Response {
    let head = RequestHead {
        method: String::new(),
        target: String::new(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
    };
    let Some(staff) = server.identity.staff(&head, clock::now()) else {
        return problem(StatusCode::UNAUTHORIZED, "a token of staff is needed");
    };
    let acted = tokio::task::spawn_blocking(move || act(&server, staff)).await;
    acted.map_err(anyhow::Error::from).and_then(|acted| acted).unwrap_or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "a step could not be taken");
        problem(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; try again later")
    })
}

fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}

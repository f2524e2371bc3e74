//! What people do about exports: their steps and a patient's form, told by the pages and programs of the deployment.
//!
//! `GET /staff/jobs/ID` says what a job waits for; `POST` takes the step: `{"approve":{"step":"review"}}`,
//! `{"reject":{"step":"review","code":"identity","note":"…"}}`, or the answers of a patient's form,
//! `{"formSubmitted":{"answers":{…}}}`. Only tokens of staff open it, and it is no part of the FHIR base.

use anyhow::Result;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use ehi_core::{
    job::{Command, FormAnswers, Wants},
    values::RequestHead,
};
use serde::Deserialize;
use serde_json::json;

use super::{Server, tokens::Staff};
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
    with_staff(server, &headers, move |server, staff| {
        let Ok(step) = serde_json::from_slice::<Step>(&body) else {
            return Ok(problem(StatusCode::BAD_REQUEST, "the body is no step: approve, reject or formSubmitted"));
        };
        let by = staff.name;
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
                waits_for(server, &id)
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

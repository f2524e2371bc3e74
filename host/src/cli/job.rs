//! A job without a server: which engine decides, and the kick-off that it decides on.

use std::sync::Arc;

use clap::ValueEnum;
use ehi_core::{
    Endpoint,
    access::Principal,
    http::{Body, Response},
    kick_off::{Facts, Need},
    outcome::{Issue, OperationOutcome},
    values::{Accepted, Decided, Routed},
};

use super::{Failure, pointer, selection::Selection};
use crate::{
    clock,
    engine::{Component, ComponentLimits, Engine, EngineError, Engines, Native},
};

/// The engines, as they are called on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum EngineName {
    /// The WebAssembly component
    Component,
    /// The core, linked in
    Native,
}

impl EngineName {
    /// Engines of that kind for jobs of that selection.
    pub(super) fn engines(self, selection: &Selection) -> Result<Arc<dyn Engines>, Failure> {
        let config = selection.config();
        // Both check the configuration; the component only when it is first used.
        let endpoint = Endpoint::new(config.clone()).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(match self {
            Self::Component => Arc::new(Component::embedded(&config, ComponentLimits::default())?),
            Self::Native => Arc::new(Native::new(endpoint)),
        })
    }
}

/// Makes the job that the selection asks for, or says in one line for each problem why there is none. `level` is the
/// path between base and operation.
pub(super) fn kick_off(
    engine: &mut dyn Engine,
    selection: &Selection,
    level: &str,
    facts: impl FnOnce(&[Need]) -> anyhow::Result<Facts>,
) -> Result<Accepted, Failure> {
    let (head, body) = selection.request(level);
    let decided = match engine.route(&head, &body, &Principal::Open)? {
        Routed::Respond(response) => Decided::Refused(response),
        Routed::Job(_) | Routed::LookUp(_) => {
            return Err(EngineError::Stopped("it took a kick-off for something else".into()).into());
        }
        Routed::KickOff { kick_off, needs } => {
            let facts = facts(&needs)?;
            engine.decide(&kick_off, &Principal::Open, &facts, clock::entropy()?, clock::now_millis())?
        }
    };
    match decided {
        Decided::Accepted(accepted) => Ok(accepted),
        Decided::Refused(response) => Err(Failure::Usage(refusal(&response, selection))),
    }
}

/// The diagnostics of a refusal, one a line, each with the place in the query that it speaks of.
fn refusal(response: &Response, selection: &Selection) -> String {
    let issues = issues(response);
    let lines: Vec<_> = issues.iter().map(|issue| pointer::pointed(&issue.diagnostics, selection)).collect();
    if lines.is_empty() { format!("refused with status {}", response.status) } else { lines.join("\nehi: ") }
}

fn issues(response: &Response) -> Vec<Issue> {
    match &response.body {
        Body::Text(text) => serde_json::from_str::<OperationOutcome>(text).map(|outcome| outcome.issue).ok(),
        _ => None,
    }
    .unwrap_or_default()
}

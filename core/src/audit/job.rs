//! Events of jobs: what people, hosts and time did to an export.

use serde_json::json;

use super::{Actor, AuditEvent, AuditOutcome, Audited, AuditedExport};
use crate::{
    Endpoint, Sensitive,
    access::Owner,
    job::{Command, Job, State},
    outcome::IssueCode,
    plan::ExportPlan,
    time::Timestamp,
};

/// What a command to a job has to tell: the decision of people, and what became of the job.
///
/// `before` is the job as it was, `after` what [`Job::apply`] made of it; `None` if it did not take the command. A refused
/// command of a host is no decision: another host has taken over.
pub fn command(
    endpoint: &Endpoint,
    before: &Job,
    command: &Command,
    after: Option<&Job>,
    now: Timestamp,
) -> Vec<AuditEvent> {
    let taken = after.is_some();
    // Names and codes are the configured ones if the command was taken; else they may be anything.
    let details = |details: &[(&'static str, &str)]| {
        details.iter().filter(|_| taken).map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let by_people = match command {
        Command::FormSubmitted { .. } => Some((Audited::FormSubmitted, requester(before), Vec::new())),
        Command::Approve { step, by } => {
            Some((Audited::StepApproved, Actor::Staff(Sensitive::new(by.clone())), details(&[("step", step)])))
        }
        Command::Reject { step, code, by, .. } => {
            let details = details(&[("step", step), ("rejection-code", code)]);
            Some((Audited::StepRejected, Actor::Staff(Sensitive::new(by.clone())), details))
        }
        Command::Begin { .. }
        | Command::Renew { .. }
        | Command::Publish { .. }
        | Command::FinishPartition { .. }
        | Command::Fail { .. }
        | Command::Removed => None,
    };
    let outcome = if taken { AuditOutcome::Success } else { AuditOutcome::Refused };
    let by_people = by_people.map(|(decision, actor, details)| AuditEvent {
        details,
        ..of_job(endpoint, before, decision, outcome, actor, now)
    });
    let moved = after.and_then(|after| moved(endpoint, before.state(), after, now));
    by_people.into_iter().chain(moved).collect()
}

/// What [`Job::handle_timeout`] has to tell if it changed the job.
pub fn timeout(endpoint: &Endpoint, before: &Job, after: &Job, now: Timestamp) -> Vec<AuditEvent> {
    moved(endpoint, before.state(), after, now).into_iter().collect()
}

/// That a job ended with an error, if it did.
pub(super) fn failed(endpoint: &Endpoint, job: &Job, now: Timestamp) -> Option<AuditEvent> {
    let issue = job.failure()?.issue.first()?;
    let outcome = match issue.code {
        // What people or the client itself brought about.
        IssueCode::Suppressed | IssueCode::TooCostly => AuditOutcome::Refused,
        _ => AuditOutcome::Failed,
    };
    let mut event = of_job(endpoint, job, Audited::Failed, outcome, Actor::Server, now);
    // The code alone: the text may come from anywhere.
    event.details.extend(json!(issue.code).as_str().map(|code| ("reason", code.to_owned())));
    Some(event)
}

/// What an export is of.
pub(super) fn export(plan: &ExportPlan) -> AuditedExport {
    AuditedExport { operation: plan.operation, level: Sensitive::new(plan.level.clone()) }
}

/// What it means that a job has come from one state to another.
fn moved(endpoint: &Endpoint, from: State, job: &Job, now: Timestamp) -> Option<AuditEvent> {
    let decision = match (from, job.state()) {
        (from, to) if from == to => return None,
        (State::Failed, State::FailedEmpty) | (State::Expired | State::Deleted, State::Gone) => Audited::FilesRemoved,
        (_, State::Failed | State::FailedEmpty) => return failed(endpoint, job, now),
        (State::Queued, State::Running) => Audited::Begun,
        (_, State::Complete) => Audited::Completed,
        (_, State::Expired) => Audited::Expired,
        // On the way, or told by the request that did it.
        (
            _,
            State::AwaitingPatient
            | State::AwaitingStep
            | State::Queued
            | State::Running
            | State::AwaitingRelease
            | State::Deleted
            | State::Gone,
        ) => return None,
    };
    Some(of_job(endpoint, job, decision, AuditOutcome::Success, Actor::Server, now))
}

/// For whom the export is. Who filled in the form, its page knows.
fn requester(job: &Job) -> Actor {
    let client = match job.owner() {
        Owner::Anyone => None,
        Owner::Client(client) => Some(client.clone()),
    };
    Actor::Client { client, user: job.user().cloned(), address: None }
}

fn of_job(
    endpoint: &Endpoint,
    job: &Job,
    decision: Audited,
    outcome: AuditOutcome,
    actor: Actor,
    now: Timestamp,
) -> AuditEvent {
    let event = AuditEvent::new(endpoint, decision, outcome, actor, now).about(endpoint, job.id());
    AuditEvent { export: Some(export(job.plan())), ..event }
}

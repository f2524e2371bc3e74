//! Between the boundary's records and the core's values. Nothing is decided here.

use ehi_core::{
    Definitions, Sensitive, Timestamp,
    access::Principal,
    http::{Body, Response},
    job::{self, Command, Epoch, PollAccount, PopulationWanted, StepWanted, Wants},
    kick_off::{Facts, Need},
    look_up::{AccessAsked, Found, LookUp},
    manifest::{OutputFile, Section},
    pass::{PartitionTask, SetWanted},
    values::{Accepted, Answered, Applied, Decided, RequestHead, Routed, StoredJob},
};
use serde_json::{from_str, to_string};

use crate::{bindings::exports::ehi::exporter::types as wit, marker::mark};

pub(crate) type Converted<T> = Result<T, String>;

pub(crate) fn head(request: &wit::Request) -> RequestHead {
    let wit::Request { method, target, headers, .. } = request;
    RequestHead { method: method.clone(), target: target.clone(), headers: headers.clone() }
}

pub(crate) fn principal(principal: wit::Principal) -> Converted<Principal> {
    Ok(match principal {
        wit::Principal::Anonymous => Principal::Anonymous,
        wit::Principal::Open => Principal::Open,
        wit::Principal::Known(wit::Token { client, user, patient, scopes, roles, expires }) => {
            let (user, patient) = (user.map(Sensitive::new), patient.map(Sensitive::new));
            Principal::Known { client, user, patient, scopes, roles, expires: instant(&expires)? }
        }
    })
}

pub(crate) fn facts(facts: wit::Facts) -> Facts {
    Facts {
        patients: facts.patients.into_iter().collect(),
        groups: facts.groups.into_iter().collect(),
        members: facts.members.into_iter().collect(),
        practitioners: facts.practitioners.into_iter().collect(),
        accessible_patients: facts.accessible_patients.into_iter().collect(),
        accessible_groups: facts.accessible_groups.into_iter().collect(),
        accessible_practitioners: facts.accessible_practitioners.into_iter().collect(),
        value_sets: facts.value_sets.into_iter().collect(),
        active_jobs: facts.active_jobs,
    }
}

pub(crate) fn found(found: wit::Found) -> Found {
    Found {
        resources: found.resources.into_iter().map(Sensitive::new).collect(),
        total: found.total,
        accessible: found.accessible.into_iter().collect(),
    }
}

fn from_look_up(look_up: &LookUp) -> wit::LookUp {
    let exposed = |value: &Sensitive<String>| value.expose().clone();
    let access = |AccessAsked { client, user }: &AccessAsked| wit::AccessAsked {
        client: client.clone(),
        user: user.as_ref().map(exposed),
    };
    wit::LookUp {
        value: opaque(look_up),
        resource_type: look_up.resource_type.to_string(),
        id: look_up.id.as_ref().map(exposed),
        queries: look_up.queries.expose().clone(),
        access: look_up.access.as_ref().map(access),
        count: look_up.count,
    }
}

pub(crate) fn account(account: wit::PollAccount) -> PollAccount {
    PollAccount { next_allowed: account.next_allowed, strikes: account.strikes }
}

pub(crate) fn command(command: wit::Command) -> Converted<Command> {
    Ok(match command {
        wit::Command::Begin(wit::Begin { holder, until, transaction_time, snapshot, partitions }) => Command::Begin {
            holder,
            until: instant(&until)?,
            transaction_time: instant(&transaction_time)?,
            snapshot,
            partitions,
        },
        wit::Command::Renew(wit::Renew { epoch, until }) => {
            Command::Renew { epoch: Epoch(epoch), until: instant(&until)? }
        }
        wit::Command::Publish(wit::Publish { epoch, partition, rows, checkpoint }) => Command::Publish {
            epoch: Epoch(epoch),
            partition,
            rows: rows.into_iter().map(file).collect::<Converted<_>>()?,
            checkpoint: from_str(&checkpoint).map_err(|_| "not a checkpoint")?,
        },
        wit::Command::FinishPartition(wit::FinishPartition { epoch, partition }) => {
            Command::FinishPartition { epoch: Epoch(epoch), partition }
        }
        wit::Command::Fail(wit::Fail { epoch, diagnostics }) => Command::Fail { epoch: Epoch(epoch), diagnostics },
        wit::Command::FormSubmitted(answers) => {
            Command::FormSubmitted { answers: from_opaque(&answers, "set of answers")? }
        }
        wit::Command::Approve(wit::Approve { step, by }) => Command::Approve { step, by },
        wit::Command::Reject(wit::Reject { step, code, by, note }) => Command::Reject { step, code, by, note },
        wit::Command::Removed => Command::Removed,
    })
}

pub(crate) fn file(file: wit::OutputFile) -> Converted<OutputFile> {
    let wit::OutputFile {
        section,
        resource_type,
        name,
        key,
        content_type,
        count,
        bytes,
        gzip_bytes,
        sha256,
        continues_in_file,
        page,
    } = file;
    let known = |name: String| Definitions::R4.resource_type(&name).ok_or("not a resource type");
    let resource_type = resource_type.map(known).transpose()?;
    let section = match section {
        wit::Section::Output => Section::Output,
        wit::Section::Deleted => Section::Deleted,
        wit::Section::Error => Section::Error,
        wit::Section::Attachment => Section::Attachment,
    };
    Ok(OutputFile {
        section,
        resource_type,
        name,
        key,
        content_type,
        count,
        bytes,
        gzip_bytes,
        sha256,
        continues_in_file,
        page,
    })
}

pub(crate) fn from_file(file: OutputFile) -> wit::OutputFile {
    let OutputFile {
        section,
        resource_type,
        name,
        key,
        content_type,
        count,
        bytes,
        gzip_bytes,
        sha256,
        continues_in_file,
        page,
    } = file;
    let resource_type = resource_type.map(|name| name.to_string());
    wit::OutputFile {
        section: from_section(section),
        resource_type,
        name,
        key,
        content_type,
        count,
        bytes,
        gzip_bytes,
        sha256,
        continues_in_file,
        page,
    }
}

pub(crate) fn from_section(section: Section) -> wit::Section {
    match section {
        Section::Output => wit::Section::Output,
        Section::Deleted => wit::Section::Deleted,
        Section::Error => wit::Section::Error,
        Section::Attachment => wit::Section::Attachment,
    }
}

pub(crate) fn from_response(response: Response) -> wit::Response {
    let Response { status, headers, body } = mark(response);
    let body = match body {
        Body::Empty => wit::Body::Empty,
        Body::Text(text) => wit::Body::Text(text),
        Body::Manifest(head) => wit::Body::Manifest(wit::Listing { head: opaque(&head), page: head.page }),
        Body::Row(name) => wit::Body::Row(name),
        Body::Object { key, range, unpack } => wit::Body::Object(wit::StoredObject { key, range, unpack }),
    };
    wit::Response { status, headers, body }
}

pub(crate) fn from_routed(routed: Routed) -> wit::Routed {
    match routed {
        Routed::Respond(response) => wit::Routed::Respond(from_response(response)),
        Routed::KickOff { kick_off, needs } => {
            let needs = needs.into_iter().map(from_need).collect();
            wit::Routed::KickOff(wit::KickOff { value: opaque(&kick_off), needs })
        }
        Routed::LookUp(look_up) => wit::Routed::LookUp(from_look_up(&look_up)),
        Routed::Job(id) => wit::Routed::Job(id.to_string()),
    }
}

pub(crate) fn from_decided(decided: Decided) -> wit::Decided {
    match decided {
        Decided::Accepted(Accepted { id, job, response }) => wit::Decided::Accepted(wit::Accepted {
            id: id.to_string(),
            job: from_stored(job),
            response: from_response(response),
        }),
        Decided::Refused(response) => wit::Decided::Refused(from_response(response)),
    }
}

pub(crate) fn from_answered(answered: Answered) -> wit::Answered {
    let Answered { response, job, account } = answered;
    let account = account.map(|PollAccount { next_allowed, strikes }| wit::PollAccount { next_allowed, strikes });
    wit::Answered { response: from_response(response), job: job.map(from_stored), account }
}

pub(crate) fn from_stored(job: StoredJob) -> wit::StoredJob {
    let StoredJob { record, wake_at, unfinished, client } = job;
    wit::StoredJob { record, wake_at, unfinished, client }
}

pub(crate) fn from_wants(wants: Wants) -> wit::Wants {
    match wants {
        Wants::Nothing => wit::Wants::Nothing,
        Wants::Run { population, new_after, partitions } => {
            let population = match population {
                PopulationWanted::Nobody => wit::PopulationWanted::Nobody,
                PopulationWanted::Group(id) => wit::PopulationWanted::Group(id),
                PopulationWanted::Members { group, patients } => {
                    wit::PopulationWanted::Members(wit::Members { group, patients })
                }
                PopulationWanted::Practitioner(id) => wit::PopulationWanted::Practitioner(id),
                PopulationWanted::Patient(id) => wit::PopulationWanted::Patient(id),
                PopulationWanted::Patients(ids) => wit::PopulationWanted::Patients(ids),
            };
            let partitions = partitions.iter().map(from_task).collect();
            wit::Wants::Run(wit::Run { population, new_after: new_after.map(|at| at.to_string()), partitions })
        }
        Wants::Step(StepWanted { name, until }) => {
            wit::Wants::Step(wit::StepWanted { name, until: until.map(|until| until.to_string()) })
        }
        Wants::Remove => wit::Wants::Remove,
        Wants::Forget => wit::Wants::Forget,
    }
}

pub(crate) fn task(task: &wit::PartitionTask) -> Converted<PartitionTask> {
    let wit::PartitionTask { partition, pass, checkpoint } = task;
    let checkpoint = checkpoint.as_ref().map(|text| from_opaque(text, "checkpoint")).transpose()?;
    Ok(PartitionTask { partition: *partition, pass: from_opaque(pass, "pass")?, checkpoint })
}

pub(crate) fn from_task(task: &PartitionTask) -> wit::PartitionTask {
    let PartitionTask { partition, pass, checkpoint } = task;
    wit::PartitionTask { partition: *partition, pass: opaque(pass), checkpoint: checkpoint.as_ref().map(opaque) }
}

pub(crate) fn from_set_wanted((set, task): &(SetWanted, Option<PartitionTask>)) -> wit::SetWanted {
    wit::SetWanted { set: opaque(set), task: task.as_ref().map(from_task) }
}

pub(crate) fn from_applied(applied: Applied) -> wit::Applied {
    let Applied { epoch: job::Epoch(epoch), job, rows } = applied;
    wit::Applied { epoch, job: from_stored(job), rows: rows.into_iter().map(from_file).collect() }
}

/// A value that the host only hands back.
pub(crate) fn opaque<T: serde::Serialize>(value: &T) -> String {
    to_string(value).unwrap_or_default()
}

pub(crate) fn from_opaque<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Converted<T> {
    // The reader's own text may quote the value: it is left away.
    from_str(text).map_err(|_| format!("not a {what}"))
}

fn from_need(need: Need) -> wit::Need {
    match need {
        Need::Patient(id) => wit::Need::Patient(id),
        Need::Patients(ids) => wit::Need::Patients(ids),
        Need::Group(id) => wit::Need::Group(id),
        Need::Members { group, patients } => wit::Need::Members(wit::Members { group, patients }),
        Need::Practitioner(id) => wit::Need::Practitioner(id),
        Need::PatientAccess { patient, user } => {
            wit::Need::PatientAccess(wit::PatientAccess { patient, user: user.expose().clone() })
        }
        Need::GroupAccess { group, client, user } => {
            let user = user.map(|user| user.expose().clone());
            wit::Need::GroupAccess(wit::GroupAccess { group, client, user })
        }
        Need::PractitionerAccess { practitioner, client, user } => {
            let user = user.map(|user| user.expose().clone());
            wit::Need::PractitionerAccess(wit::PractitionerAccess { practitioner, client, user })
        }
        Need::ValueSet(url) => wit::Need::ValueSet(url),
        Need::ActiveJobs { client } => wit::Need::ActiveJobs(client),
    }
}

fn instant(text: &str) -> Converted<Timestamp> {
    Timestamp::parse_instant(text).map_err(|error| error.to_string())
}

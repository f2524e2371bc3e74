//! Between the boundary's records and the core's values. What the component answers is read strictly.

use ehi_core::{
    Definitions, Sensitive, Timestamp,
    access::Principal,
    http::{Body, Response},
    job::{Command, Epoch, JobId, PollAccount, PopulationWanted, StepWanted, Wants},
    kick_off::{Facts, Need},
    look_up::Found,
    manifest::{OutputFile, Section},
    pass::{PartitionTask, SetWanted},
    values::{Accepted, Answered, Applied, Decided, RequestHead, Routed, StoredJob, WriterEvent},
};

use super::{
    EngineError, from_json, json,
    wit::{data, types as wit},
};

type Converted<T> = Result<T, EngineError>;

pub(super) fn from_request(head: &RequestHead, body: &[u8]) -> wit::Request {
    let RequestHead { method, target, headers } = head.clone();
    wit::Request { method, target, headers, body: body.to_vec() }
}

pub(super) fn from_principal(principal: &Principal) -> wit::Principal {
    match principal.clone() {
        Principal::Anonymous => wit::Principal::Anonymous,
        Principal::Open => wit::Principal::Open,
        Principal::Known { client, user, patient, scopes, roles, expires } => {
            let exposed = |value: Sensitive<String>| value.expose().clone();
            let (user, patient) = (user.map(exposed), patient.map(exposed));
            wit::Principal::Known(wit::Token { client, user, patient, scopes, roles, expires: expires.to_string() })
        }
    }
}

pub(super) fn from_facts(facts: &Facts) -> wit::Facts {
    wit::Facts {
        patients: facts.patients.iter().cloned().collect(),
        groups: facts.groups.iter().cloned().collect(),
        members: facts.members.iter().cloned().collect(),
        practitioners: facts.practitioners.iter().cloned().collect(),
        accessible_patients: facts.accessible_patients.iter().cloned().collect(),
        accessible_groups: facts.accessible_groups.iter().cloned().collect(),
        accessible_practitioners: facts.accessible_practitioners.iter().cloned().collect(),
        value_sets: facts.value_sets.iter().cloned().collect(),
        active_jobs: facts.active_jobs,
    }
}

pub(super) fn from_found(found: &Found) -> wit::Found {
    wit::Found {
        resources: found.resources.iter().map(|text| text.expose().clone()).collect(),
        total: found.total,
        accessible: found.accessible.iter().cloned().collect(),
    }
}

pub(super) fn from_command(command: &Command) -> Converted<wit::Command> {
    Ok(match command.clone() {
        Command::Begin { holder, until, transaction_time, snapshot, partitions } => wit::Command::Begin(wit::Begin {
            holder,
            until: until.to_string(),
            transaction_time: transaction_time.to_string(),
            snapshot,
            partitions,
        }),
        Command::Renew { epoch: Epoch(epoch), until } => {
            wit::Command::Renew(wit::Renew { epoch, until: until.to_string() })
        }
        Command::Publish { epoch: Epoch(epoch), partition, rows, checkpoint } => wit::Command::Publish(wit::Publish {
            epoch,
            partition,
            rows: rows.iter().map(from_file).collect(),
            checkpoint: json(&checkpoint)?,
        }),
        Command::FinishPartition { epoch: Epoch(epoch), partition } => {
            wit::Command::FinishPartition(wit::FinishPartition { epoch, partition })
        }
        Command::Fail { epoch: Epoch(epoch), diagnostics } => wit::Command::Fail(wit::Fail { epoch, diagnostics }),
        Command::FormSubmitted { answers } => wit::Command::FormSubmitted(json(&answers)?),
        Command::Approve { step, by } => wit::Command::Approve(wit::Approve { step, by }),
        Command::Reject { step, code, by, note } => wit::Command::Reject(wit::Reject { step, code, by, note }),
        Command::Removed => wit::Command::Removed,
    })
}

pub(super) fn from_file(file: &OutputFile) -> wit::OutputFile {
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
    } = file.clone();
    let section = match section {
        Section::Output => wit::Section::Output,
        Section::Deleted => wit::Section::Deleted,
        Section::Error => wit::Section::Error,
        Section::Attachment => wit::Section::Attachment,
    };
    wit::OutputFile {
        section,
        resource_type: resource_type.map(|name| name.to_string()),
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

pub(super) fn routed(routed: Result<wit::Routed, String>) -> Converted<Routed> {
    Ok(match routed.map_err(EngineError::Refused)? {
        wit::Routed::Respond(answer) => Routed::Respond(response(answer)?),
        wit::Routed::KickOff(wit::KickOff { value, needs }) => {
            Routed::KickOff { kick_off: Box::new(from_json(&value)?), needs: needs.into_iter().map(need).collect() }
        }
        wit::Routed::LookUp(look_up) => Routed::LookUp(from_json(&look_up.value)?),
        wit::Routed::Job(id) => Routed::Job(job_id(&id)?),
    })
}

pub(super) fn decided(decided: Result<wit::Decided, String>) -> Converted<Decided> {
    Ok(match decided.map_err(EngineError::Refused)? {
        wit::Decided::Accepted(wit::Accepted { id, job, response: answer }) => {
            Decided::Accepted(Accepted { id: job_id(&id)?, job: stored(job), response: response(answer)? })
        }
        wit::Decided::Refused(answer) => Decided::Refused(response(answer)?),
    })
}

pub(super) fn answered(answered: Result<wit::Answered, String>) -> Converted<Answered> {
    let wit::Answered { response: answer, job, account } = answered.map_err(EngineError::Refused)?;
    let account = account.map(|account| PollAccount { next_allowed: account.next_allowed, strikes: account.strikes });
    Ok(Answered { response: response(answer)?, job: job.map(stored), account })
}

pub(super) fn applied(applied: wit::Applied) -> Converted<Applied> {
    let wit::Applied { epoch, job, rows } = applied;
    Ok(Applied { epoch: Epoch(epoch), job: stored(job), rows: rows.into_iter().map(file).collect::<Converted<_>>()? })
}

pub(super) fn stored(job: wit::StoredJob) -> StoredJob {
    let wit::StoredJob { record, wake_at, unfinished, client } = job;
    StoredJob { record, wake_at, unfinished, client }
}

pub(super) fn wants(wants: wit::Wants) -> Converted<Wants> {
    Ok(match wants {
        wit::Wants::Nothing => Wants::Nothing,
        wit::Wants::Run(wit::Run { population, new_after, partitions }) => {
            let population = match population {
                wit::PopulationWanted::Nobody => PopulationWanted::Nobody,
                wit::PopulationWanted::Group(id) => PopulationWanted::Group(id),
                wit::PopulationWanted::Members(wit::Members { group, patients }) => {
                    PopulationWanted::Members { group, patients }
                }
                wit::PopulationWanted::Practitioner(id) => PopulationWanted::Practitioner(id),
                wit::PopulationWanted::Patient(id) => PopulationWanted::Patient(id),
                wit::PopulationWanted::Patients(ids) => PopulationWanted::Patients(ids),
            };
            let partitions = partitions.iter().map(task).collect::<Converted<_>>()?;
            Wants::Run { population, new_after: instant(new_after)?, partitions }
        }
        wit::Wants::Step(wit::StepWanted { name, until }) => Wants::Step(StepWanted { name, until: instant(until)? }),
        wit::Wants::Remove => Wants::Remove,
        wit::Wants::Forget => Wants::Forget,
    })
}

pub(super) fn from_task(task: &PartitionTask) -> Converted<wit::PartitionTask> {
    let PartitionTask { partition, pass, checkpoint } = task;
    let checkpoint = checkpoint.as_ref().map(json).transpose()?;
    Ok(wit::PartitionTask { partition: *partition, pass: json(pass)?, checkpoint })
}

pub(super) fn task(task: &wit::PartitionTask) -> Converted<PartitionTask> {
    let wit::PartitionTask { partition, pass, checkpoint } = task;
    let checkpoint = checkpoint.as_deref().map(from_json).transpose()?;
    Ok(PartitionTask { partition: *partition, pass: from_json(pass)?, checkpoint })
}

pub(super) fn set_wanted(wanted: wit::SetWanted) -> Converted<(SetWanted, Option<PartitionTask>)> {
    Ok((from_json(&wanted.set)?, wanted.task.as_ref().map(task).transpose()?))
}

pub(super) fn response(response: wit::Response) -> Converted<Response> {
    let wit::Response { status, headers, body } = response;
    let body = match body {
        wit::Body::Empty => Body::Empty,
        wit::Body::Text(text) => Body::Text(text),
        // What the host must know of it stands in the head too.
        wit::Body::Manifest(wit::Listing { head, .. }) => Body::Manifest(Box::new(from_json(&head)?)),
        wit::Body::Row(name) => Body::Row(name),
        wit::Body::Object(wit::StoredObject { key, range, unpack }) => Body::Object { key, range, unpack },
    };
    Ok(Response { status, headers, body })
}

pub(super) fn event(output: data::Output) -> Converted<WriterEvent> {
    Ok(match output {
        data::Output::Open(data::Opened { file, section: of, resource_type: name_of_type, name, content_type }) => {
            let resource_type = name_of_type.as_deref().map(resource_type).transpose()?;
            WriterEvent::Open { file, section: section(of), resource_type, name, content_type }
        }
        data::Output::Append((file, bytes)) => WriterEvent::Append { file, bytes },
        data::Output::Found(bytes) => WriterEvent::Found { bytes },
        data::Output::Close(data::Closed { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint }) => {
            let checkpoint = from_json(&checkpoint)?;
            WriterEvent::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint }
        }
    })
}

fn file(file: wit::OutputFile) -> Converted<OutputFile> {
    let wit::OutputFile {
        section: of,
        resource_type: name_of_type,
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
    Ok(OutputFile {
        section: section(of),
        resource_type: name_of_type.as_deref().map(resource_type).transpose()?,
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

fn section(section: wit::Section) -> Section {
    match section {
        wit::Section::Output => Section::Output,
        wit::Section::Deleted => Section::Deleted,
        wit::Section::Error => Section::Error,
        wit::Section::Attachment => Section::Attachment,
    }
}

fn need(need: wit::Need) -> Need {
    match need {
        wit::Need::Patient(id) => Need::Patient(id),
        wit::Need::Patients(ids) => Need::Patients(ids),
        wit::Need::Group(id) => Need::Group(id),
        wit::Need::Members(wit::Members { group, patients }) => Need::Members { group, patients },
        wit::Need::Practitioner(id) => Need::Practitioner(id),
        wit::Need::PatientAccess(wit::PatientAccess { patient, user }) => {
            Need::PatientAccess { patient, user: Sensitive::new(user) }
        }
        wit::Need::GroupAccess(wit::GroupAccess { group, client, user }) => {
            Need::GroupAccess { group, client, user: user.map(Sensitive::new) }
        }
        wit::Need::PractitionerAccess(wit::PractitionerAccess { practitioner, client, user }) => {
            Need::PractitionerAccess { practitioner, client, user: user.map(Sensitive::new) }
        }
        wit::Need::ValueSet(url) => Need::ValueSet(url),
        wit::Need::ActiveJobs(client) => Need::ActiveJobs { client },
    }
}

fn resource_type(name: &str) -> Converted<ehi_core::ResourceType> {
    Definitions::R4.resource_type(name).ok_or_else(|| broken("a resource type"))
}

fn job_id(text: &str) -> Converted<JobId> {
    JobId::parse(text).ok_or_else(|| broken("a job id"))
}

fn instant(text: Option<String>) -> Converted<Option<Timestamp>> {
    text.map(|text| Timestamp::parse_instant(&text).map_err(|_| broken("an instant"))).transpose()
}

fn broken(what: &str) -> EngineError {
    EngineError::Stopped(format!("it answered with something that is not {what}"))
}

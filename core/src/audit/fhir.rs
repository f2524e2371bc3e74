//! An event as a FHIR R4 AuditEvent. Reading and removing have profiles in BALP 1.1 (Read, PatientRead, Delete,
//! PatientDelete), which are claimed where they are met: they are for what succeeded, and want the client's address. An
//! operation has none there; a kick-off has the same shape with the codes of one.

use serde_json::{Value, json};

use super::{Actor, AuditEvent, AuditOutcome, Audited};
use crate::kick_off::{Level, Operation};

/// The resource.
pub(super) fn resource(event: &AuditEvent) -> Value {
    let Shape { interaction, action, .. } = Shape::of(event.decision);
    let own = coding(DECISIONS, code(event.decision), None);
    let (kind, subtype) = match interaction {
        Some(interaction) => (
            coding(EVENT_TYPES, "rest", Some("Restful Operation")),
            vec![coding(INTERACTIONS, interaction, Some(interaction)), export(), own],
        ),
        None => (export(), vec![own]),
    };
    let mut resource = json!({
        "resourceType": "AuditEvent",
        "type": kind,
        "subtype": subtype,
        "action": action,
        "recorded": event.recorded,
        "outcome": match event.outcome {
            AuditOutcome::Success => "0",
            AuditOutcome::Refused => "4",
            AuditOutcome::Failed => "8",
        },
        "agent": agents(event),
        "source": {
            "site": event.server,
            "observer": server(event),
            "type": [coding(SOURCE_TYPES, "4", Some("Application Server"))],
        },
    });
    let entities = entities(event);
    if let Some(resource) = resource.as_object_mut() {
        resource.extend(profile(event).map(|profile| (String::from("meta"), json!({ "profile": [profile] }))));
        // FHIR has no empty arrays.
        resource.extend((!entities.is_empty()).then(|| (String::from("entity"), entities.into())));
    }
    resource
}

/// What BALP says of a kind of request: the interaction, the action, and what client, user and server are in it.
struct Shape {
    interaction: Option<&'static str>,
    action: &'static str,
    client: (&'static str, &'static str, &'static str),
    user: (&'static str, &'static str, &'static str),
    server: (&'static str, &'static str, &'static str),
}

impl Shape {
    fn of(decision: Audited) -> Self {
        let asks = Self {
            interaction: Some("operation"),
            action: "E",
            client: (DCM, "110153", "Source Role ID"),
            user: (PARTICIPATION, "IRCP", "information recipient"),
            server: (DCM, "110152", "Destination Role ID"),
        };
        match decision {
            Audited::KickOff | Audited::Request => asks,
            Audited::Manifest | Audited::Download => Self {
                interaction: Some("read"),
                action: "R",
                // The data flow the other way.
                client: asks.server,
                server: asks.client,
                ..asks
            },
            Audited::Delete => Self {
                interaction: Some("delete"),
                action: "D",
                client: (DCM, "110150", "Application"),
                user: (PARTICIPATION, "AUT", "author (originator)"),
                server: ("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian"),
            },
            Audited::Expired | Audited::FilesRemoved => Self { interaction: None, action: "D", ..asks },
            Audited::FormSubmitted
            | Audited::StepApproved
            | Audited::StepRejected
            | Audited::Begun
            | Audited::Completed
            | Audited::Failed => Self { interaction: None, ..asks },
        }
    }
}

fn profile(event: &AuditEvent) -> Option<String> {
    let known = event.job.is_some() && matches!(&event.actor, Actor::Client { address: Some(_), .. });
    let name = match event.decision {
        Audited::Manifest | Audited::Download => "Read",
        Audited::Delete => "Delete",
        _ => return None,
    };
    let of_patient = matches!(&event.export, Some(export) if matches!(export.level.expose(), Level::Patient(_)));
    let patient = if of_patient { "Patient" } else { "" };
    (known && event.outcome == AuditOutcome::Success)
        .then(|| format!("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{patient}{name}"))
}

fn agents(event: &AuditEvent) -> Vec<Value> {
    let Shape { client: as_client, user: as_user, server: as_server, .. } = Shape::of(event.decision);
    let mut agents = Vec::new();
    match &event.actor {
        Actor::Client { client, user, address } => {
            let who = client.as_ref().map_or_else(|| json!({ "display": "not authenticated" }), |id| identified(id));
            let mut agent = agent(as_client, who, user.is_none());
            if let (Some(agent), Some(address)) = (agent.as_object_mut(), address) {
                agent.insert("network".into(), json!({ "address": address, "type": "2" }));
            }
            agents.push(agent);
            agents.extend(user.as_ref().map(|user| agent_of_user(as_user, user.expose())));
        }
        Actor::Staff(by) => agents.push(agent_of_user((PARTICIPATION, "VRF", "verifier"), by.expose())),
        Actor::Server => {}
    }
    let mut own = agent(as_server, server(event), event.actor == Actor::Server);
    if let Some(own) = own.as_object_mut() {
        own.insert("network".into(), json!({ "address": event.server, "type": "5" }));
    }
    agents.push(own);
    agents
}

fn agent_of_user(role: (&str, &str, &str), id: &str) -> Value {
    agent(role, identified(id), true)
}

fn agent((system, code, display): (&str, &str, &str), who: Value, requestor: bool) -> Value {
    json!({ "type": { "coding": [coding(system, code, Some(display))] }, "who": who, "requestor": requestor })
}

/// Patient and group by reference; the job, or what was asked for if no job came of it, with the details.
fn entities(event: &AuditEvent) -> Vec<Value> {
    let whose = event.export.as_ref().and_then(|export| match export.level.expose() {
        Level::Patient(id) => Some(json!({
            "what": { "reference": format!("Patient/{id}") },
            "type": coding(ENTITY_TYPES, "1", Some("Person")),
            "role": coding(ENTITY_ROLES, "1", Some("Patient")),
        })),
        Level::Group(id) => Some(json!({
            "what": { "reference": format!("Group/{id}") },
            "type": coding("http://hl7.org/fhir/resource-types", "Group", Some("Group")),
            "role": coding(ENTITY_ROLES, "4", Some("Domain Resource")),
        })),
        Level::Practitioner(id) => Some(json!({
            "what": { "reference": format!("Practitioner/{id}") },
            "type": coding("http://hl7.org/fhir/resource-types", "Practitioner", Some("Practitioner")),
            "role": coding(ENTITY_ROLES, "15", Some("Practitioner")),
        })),
        Level::System | Level::AllPatients => None,
    });
    let mut thing = json!({ "type": coding(ENTITY_TYPES, "2", Some("System Object")) });
    let name = event.export.as_ref().map(|export| address(export.operation, export.level.expose()));
    let details = event.details.iter().map(|(name, value)| json!({ "type": name, "valueString": value }));
    if let Some(thing) = thing.as_object_mut() {
        match &event.job {
            Some(job) => {
                thing.insert("what".into(), identified(job));
                thing.insert("role".into(), coding(ENTITY_ROLES, "20", Some("Job")));
            }
            None => {
                thing.insert("role".into(), coding(ENTITY_ROLES, "24", Some("Query")));
            }
        }
        thing.extend(name.map(|name| (String::from("name"), name.into())));
        let details: Vec<_> = details.collect();
        thing.extend((!details.is_empty()).then(|| (String::from("detail"), details.into())));
    }
    whose.into_iter().chain([thing]).collect()
}

/// What was asked for, as the guides write it.
fn address(operation: Operation, level: &Level) -> String {
    let operation = match operation {
        Operation::Export => "$export",
        Operation::EhiExport => "$ehi-export",
    };
    let below = match level {
        Level::System => "",
        Level::AllPatients => "Patient/",
        Level::Patient(_) => "Patient/[id]/",
        Level::Group(_) => "Group/[id]/",
        Level::Practitioner(_) => "Practitioner/[id]/",
    };
    format!("[base]/{below}{operation}")
}

fn server(event: &AuditEvent) -> Value {
    json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": event.server } })
}

fn identified(id: &str) -> Value {
    json!({ "identifier": { "value": id } })
}

fn export() -> Value {
    coding(DCM, "110106", Some("Export"))
}

fn coding(system: &str, code: &str, display: Option<&str>) -> Value {
    match display {
        Some(display) => json!({ "system": system, "code": code, "display": display }),
        None => json!({ "system": system, "code": code }),
    }
}

fn code(decision: Audited) -> &'static str {
    match decision {
        Audited::KickOff => "kick-off",
        Audited::Manifest => "manifest",
        Audited::Download => "download",
        Audited::Delete => "delete",
        Audited::Request => "request",
        Audited::FormSubmitted => "form-submitted",
        Audited::StepApproved => "step-approved",
        Audited::StepRejected => "step-rejected",
        Audited::Begun => "begun",
        Audited::Completed => "completed",
        Audited::Failed => "failed",
        Audited::Expired => "expired",
        Audited::FilesRemoved => "files-removed",
    }
}

/// Our own names of what was decided.
const DECISIONS: &str = "https://ehi-export.github.io/fhir/CodeSystem/audit-decision";
const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const EVENT_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTIONS: &str = "http://hl7.org/fhir/restful-interaction";
const SOURCE_TYPES: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
const ENTITY_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ENTITY_ROLES: &str = "http://terminology.hl7.org/CodeSystem/object-role";

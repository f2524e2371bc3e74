//! Tombstones in, Bundles of deletions out (BD-MAN-22, BD-MAN-25).

use std::{borrow::Cow, collections::BTreeSet};

use serde::Deserialize;

use super::{WriterError, binary::document_id};
use crate::{
    Edition,
    json::LineError,
    kick_off::Level,
    plan::{ExportPlan, TypeSelection},
    population::Population,
    reference::is_id,
    sets::Set,
    time::Timestamp,
};

/// What was deleted: one line of what the deleting pass reads, as a JSON object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tombstone<'l> {
    /// The type of the resource.
    #[serde(rename = "type", borrow)]
    resource_type: Cow<'l, str>,
    #[serde(borrow)]
    id: Cow<'l, str>,
    /// When, as a FHIR instant.
    #[serde(borrow)]
    deleted_at: Cow<'l, str>,
    /// The patients in whose compartments it was. Nobody can tell any more by the resource itself.
    #[serde(borrow, default)]
    patients: Vec<Cow<'l, str>>,
    /// The security labels that it had, each `system|code`. Where labels are withheld they must be said: a deletion
    /// tells that there was something.
    #[serde(borrow, default)]
    labels: Option<Vec<Cow<'l, str>>>,
}

/// Which deletions are told.
pub(super) struct Deletions<'p> {
    types: TypeSelection,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    transaction_time: Timestamp,
    patients: Patients<'p>,
    export_shared: bool,
    withheld_labels: BTreeSet<String>,
    /// Whether what may be told depends on labels.
    labels_count: bool,
}

enum Patients<'p> {
    Whatever,
    Any,
    Listed(Population<'p>),
}

impl<'p> Deletions<'p> {
    pub(super) fn new(plan: &ExportPlan, population: Option<Population<'p>>) -> Result<Self, WriterError> {
        let patients = match (&plan.level, population) {
            (Level::System, None) => Patients::Whatever,
            (Level::AllPatients, None) if !plan.has_listed_patients() => Patients::Any,
            (_, Some(population)) if plan.has_listed_patients() => Patients::Listed(population),
            _ => return Err(WriterError::PopulationMismatch),
        };
        Ok(Self {
            // Nobody can tell any more whether it was granted.
            types: plan.types.clone().without(&plan.granted_filters.keys().cloned().collect()),
            since: plan.since,
            until: plan.until,
            transaction_time: plan.transaction_time.ok_or(WriterError::NotBegun)?,
            patients,
            export_shared: plan.export_shared,
            withheld_labels: plan.withheld_labels.clone(),
            labels_count: plan.vetoes || !plan.withheld_labels.is_empty(),
        })
    }

    /// The Bundle that tells of the deletion, if this export tells of it.
    pub(super) fn judge(&self, plan: &ExportPlan, sets: &[Set<'_>], line: &[u8]) -> Result<Option<String>, LineError> {
        let tombstone: Tombstone<'_> = serde_json::from_slice(line).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => LineError::WrongShape("tombstone"),
            _ => LineError::NotJson { at: error.column() },
        })?;
        let Tombstone { resource_type, id, deleted_at, patients, labels } = &tombstone;
        if plan.definitions().resource_type(resource_type).is_none() {
            return Err(LineError::UnknownType);
        }
        if !is_id(id) || !patients.iter().all(|id| is_id(id)) {
            return Err(LineError::MalformedId);
        }
        let deleted_at = Timestamp::parse_instant(deleted_at).map_err(|_| LineError::WrongShape("deletedAt"))?;
        let in_time = self.since.is_none_or(|since| deleted_at > since)
            && self.until.is_none_or(|until| deleted_at < until)
            && deleted_at <= self.transaction_time;
        let vetoed = |text: &str| sets.iter().any(|set| set.contains(text));
        let url = format!("{resource_type}/{id}");
        // What was exported as a document is deleted as one.
        let was_document = resource_type == "Binary" && !patients.is_empty() && plan.edition != Edition::Stu1;
        let of_type = if was_document { plan.has_binary_documents() } else { self.types.has(resource_type) };
        if !(of_type && in_time && self.belongs(resource_type, id, patients)) {
            return Ok(None);
        }
        let labels = match labels {
            Some(labels) => labels.as_slice(),
            None if self.labels_count => return Err(LineError::Missing("labels")),
            None => &[],
        };
        let own = (resource_type == "Patient").then_some(id);
        let of_whom = || patients.iter().chain(own);
        let told = !vetoed(&url)
            && !labels.iter().any(|label| self.withheld_labels.contains(label.as_ref()))
            && !of_whom().any(|patient| {
                vetoed(&format!("Patient/{patient}"))
                    || labels.iter().any(|label| vetoed(&format!("Patient/{patient}#{label}")))
            });
        let url = if was_document { format!("DocumentReference/{}", document_id(id)) } else { url };
        // One to a line: a Bundle of several would tie a deletion to those that came before it.
        // Type and id were checked above, so nothing in the address needs an escape.
        Ok(told.then(|| {
            format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"{url}"}}}}]}}"#
            )
        }))
    }

    /// The same rule as for what is there: the compartment of a listed patient, and of no other, or a member itself.
    fn belongs(&self, resource_type: &str, id: &str, patients: &[Cow<'_, str>]) -> bool {
        let listed = |id: &str| match &self.patients {
            Patients::Whatever | Patients::Any => true,
            Patients::Listed(population) => population.contains(id),
        };
        if matches!(self.patients, Patients::Whatever) {
            return true;
        }
        if resource_type == "Patient" {
            return listed(id);
        }
        if matches!(&self.patients, Patients::Listed(listed) if listed.find_resource(resource_type, id).is_some()) {
            return true;
        }
        let others = patients.iter().any(|patient| !listed(patient));
        patients.iter().any(|patient| listed(patient)) && (self.export_shared || !others)
    }
}

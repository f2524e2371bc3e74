//! Which resources are exported. Every line is judged by the same rules in the same order: type, time, compartment.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::WriterError;
use crate::{
    Edition, ResourceType,
    json::{Header, LineError, references},
    kick_off::Level,
    plan::ExportPlan,
    population::Population,
    reference::{is_id, local_id},
    time::Timestamp,
    type_filter::{self, Filter, FilterContext, TypeFilterSource},
};

/// The plan, made ready for lines.
pub(super) struct Selector<'p> {
    types: BTreeMap<&'static str, TypeRule>,
    /// Of each type with queries, what meets one of them.
    filter: Option<Filter<'static>>,
    /// The root elements in which a patient may stand.
    roots: BTreeSet<String>,
    since: Option<Timestamp>,
    until: Timestamp,
    patients: Patients<'p>,
    export_shared: bool,
    base_url: String,
}

/// What becomes of a well-formed resource.
pub(super) enum Verdict {
    /// Exported.
    In(ResourceType),
    /// Exported, though its last update cannot be read.
    InUndated(ResourceType),
    /// Not asked for.
    Out,
    /// Changed after the transaction time.
    Later,
}

struct TypeRule {
    resource_type: ResourceType,
    selected: bool,
    /// Root element and the steps below it.
    patient_paths: Vec<(&'static str, Vec<&'static str>)>,
}

enum Patients<'p> {
    /// The level is not of patients.
    Whatever,
    All,
    Listed(Population<'p>),
}

impl<'p> Selector<'p> {
    pub(super) fn new(plan: &ExportPlan, population: Option<Population<'p>>) -> Result<Self, WriterError> {
        let patients = match (&plan.level, population) {
            (Level::System, None) => Patients::Whatever,
            (Level::AllPatients, None) => Patients::All,
            (Level::Group(_) | Level::Patient(_), Some(population)) => Patients::Listed(population),
            _ => return Err(WriterError::PopulationMismatch),
        };
        let definitions = plan.definitions();
        let of_patients = plan.level.is_of_patients();
        let rule = |name: &'static str| {
            let split = |path: &'static str| {
                let mut steps = path.split('.');
                steps.next().map(|root| (root, steps.collect()))
            };
            let patient_paths = definitions.patient_paths(name).filter(|_| of_patients).filter_map(split).collect();
            let resource_type = definitions.resource_type(name)?;
            Some((name, TypeRule { resource_type, selected: plan.types.has(name), patient_paths }))
        };
        let types: BTreeMap<_, _> = definitions.resource_types().filter_map(rule).collect();
        let until = plan.transaction_time.ok_or(WriterError::NotBegun)?;
        let filter = filter(plan, until)?;
        let roots =
            types.values().flat_map(|rule| rule.patient_paths.iter().map(|(root, _)| (*root).to_owned())).collect();
        Ok(Self {
            types,
            filter,
            roots,
            since: plan.since,
            until,
            patients,
            export_shared: plan.export_shared,
            base_url: plan.base_url.clone(),
        })
    }

    pub(super) fn judge(&self, line: &[u8]) -> Result<Verdict, LineError> {
        let header = Header::read(line, |name| self.roots.contains(name))?;
        let rule = self.types.get(&*header.resource_type).ok_or(LineError::UnknownType)?;
        if !is_id(&header.id) {
            return Err(LineError::MalformedId);
        }
        if !rule.selected {
            return Ok(Verdict::Out);
        }
        let updated = header.last_updated.as_deref().map(Timestamp::parse_instant);
        // Resources without a time of last update are exported whatever `_since` says (BD-SINCE-06).
        let undated = self.since.is_some() && matches!(updated, Some(Err(_)));
        if let Some(Ok(updated)) = updated {
            if self.since.is_some_and(|since| updated <= since) {
                return Ok(Verdict::Out);
            }
            // Membership comes first below, so that nothing is said about the resources of other patients.
            if updated > self.until {
                return Ok(if self.is_asked_for(rule, &header, line) { Verdict::Later } else { Verdict::Out });
            }
        }
        Ok(match self.is_asked_for(rule, &header, line) {
            true if undated => Verdict::InUndated(rule.resource_type.clone()),
            true => Verdict::In(rule.resource_type.clone()),
            false => Verdict::Out,
        })
    }

    fn is_asked_for(&self, rule: &TypeRule, header: &Header<'_>, line: &[u8]) -> bool {
        self.belongs(rule, header) && self.filter.as_ref().is_none_or(|filter| filter.matches(line))
    }

    /// Whether the resource belongs to the patients of the export (BD-KICK-09). A Patient belongs by its own id alone;
    /// any other resource by its references to patients. One that refers to a listed and to an unlisted patient is in
    /// the unlisted one's compartment too, and is withheld unless the deployment says otherwise (BD-PAT-02, BD-PAT-06).
    /// That is said in the manifest for every such export alike, not of the single line: it would tell of the other.
    fn belongs(&self, rule: &TypeRule, header: &Header<'_>) -> bool {
        let listed = |id: &str| match &self.patients {
            Patients::Whatever | Patients::All => true,
            Patients::Listed(population) => population.contains(id),
        };
        if matches!(self.patients, Patients::Whatever) {
            return true;
        }
        if rule.resource_type.as_str() == "Patient" {
            return listed(&header.id);
        }
        let mut found: Vec<Cow<'_, str>> = Vec::new();
        for (name, element) in &header.captured {
            for (_, steps) in rule.patient_paths.iter().filter(|(root, _)| root == name) {
                references(element, steps, &mut found);
            }
        }
        let (mut has_listed, mut has_unlisted) = (false, false);
        for id in found.iter().filter_map(|reference| local_id(reference, "Patient", &self.base_url)) {
            if listed(id) { has_listed = true } else { has_unlisted = true }
        }
        has_listed && (self.export_shared || !has_unlisted)
    }
}

/// The queries of a plan, compiled. They were checked at kick-off; were they not readable here, nothing is exported.
fn filter(plan: &ExportPlan, now: Timestamp) -> Result<Option<Filter<'static>>, WriterError> {
    if plan.type_filters.is_empty() {
        return Ok(None);
    }
    let definitions = plan.definitions();
    let sources: Vec<_> = plan.type_filters.iter().map(|query| TypeFilterSource::Post(query)).collect();
    // A query's own text is one value of the 3.0 grammar, whatever edition it came in.
    let queries = type_filter::parse(&sources, Edition::Stu3, &definitions).map_err(|_| WriterError::TypeFilter)?;
    let context = FilterContext { base_url: plan.base_url.clone(), now };
    Filter::compile(&queries, &definitions, &context).map(Some).map_err(|_| WriterError::TypeFilter)
}

//! The passes around the main one: finding sets, and writing what belongs to the exported resources without being part
//! of a patient's compartment. All of it goes by verdicts of the main selection under plans that ask other questions.

use std::collections::BTreeSet;

use super::{
    WriterError,
    limits::Validation,
    newcomers::{Newcomers, of_new},
    select::{Selector, Verdict},
    walk::{objects, references, root_text, roots, texts},
};
use crate::{
    Definitions, ResourceType, Timestamp,
    json::Element,
    kick_off::Level,
    pass::{Collection, Pass, SetWanted},
    plan::{ExportPlan, Provenance, Supporting, TypeSelection},
    population::Population,
    reference::local_target,
    sets::Set,
};

/// Finds what a set is made of.
pub(super) struct Collector<'p> {
    collection: Collection,
    selector: Selector<'p>,
    supporting: Supporting,
    disclosure: Disclosure,
    base_url: String,
    /// Whose own Provenance is exported however old it is.
    newcomers: Option<Newcomers>,
    /// What was said of late, so that a set is not told the same thing for each line.
    recent: BTreeSet<String>,
}

impl<'p> Collector<'p> {
    pub(super) fn new(
        plan: &ExportPlan,
        collection: Collection,
        population: Option<Population<'p>>,
    ) -> Result<Self, WriterError> {
        let (asked, population) = match collection {
            // The subjects of Provenance are the exported resources, or where no value was given all of the compartments.
            Collection::Subjects if plan.provenance == Provenance::Unasked => (unrestricted(plan), population),
            Collection::Compartment => (unrestricted(plan), population),
            Collection::Subjects | Collection::Supporting => (plan.clone(), population),
            Collection::SupportingOfSupporting => (of_types(plan, &supporting_types(plan)), None),
            Collection::LatestProvenance => (of_types(plan, &provenance_types(plan)), None),
            Collection::Chained(number) => {
                let asked = plan.of_chain(number).ok_or(WriterError::UnwantedSet)?;
                let population = population.filter(|_| asked.has_listed_patients());
                (asked, population)
            }
            // Found by other means: see `binary`.
            Collection::SecurityContexts | Collection::SecurityContextsFound | Collection::Attachments => {
                return Err(WriterError::UnwantedSet);
            }
        };
        // With a value, Provenance is not asked how old it is.
        let by_time = collection == Collection::Subjects && plan.provenance == Provenance::Unasked;
        let selector = Selector::new(&asked, population, Validation::default())?;
        Ok(Self {
            collection,
            newcomers: by_time.then(|| Newcomers::new(plan, &selector)).flatten(),
            selector,
            supporting: plan.supporting.clone(),
            disclosure: Disclosure::new(plan),
            base_url: plan.base_url.clone(),
            recent: BTreeSet::new(),
        })
    }

    /// What is found in a line. What is wrong with it, the main pass reports.
    pub(super) fn look(&mut self, line: &[u8], sets: &[Set<'_>], mut found: impl FnMut(&str)) {
        let Some(resource_type) = verdict(&self.selector, line, sets) else { return };
        let Some(id) = root_text(line, "id") else { return };
        let own = format!("{resource_type}/{id}");
        match self.collection {
            Collection::Subjects if resource_type.as_str() == "Provenance" => {}
            Collection::Subjects | Collection::Compartment | Collection::Chained(_) => {
                found(&own);
                if self
                    .newcomers
                    .as_ref()
                    .is_some_and(|newcomers| newcomers.have(&self.selector, resource_type.as_str(), line))
                {
                    found(&of_new(&own));
                }
            }
            Collection::Supporting => self.look_for_references(line, found),
            Collection::SupportingOfSupporting => {
                if has(sets, Collection::Supporting, &own) {
                    self.look_for_references(line, found);
                }
            }
            // One that is withheld must not take the place of one that is not.
            Collection::LatestProvenance if self.disclosure.withholds(line, sets) => {}
            Collection::LatestProvenance => {
                let recorded = root_text(line, "recorded").and_then(|text| Timestamp::parse_instant(&text).ok());
                // One without a readable instant is older than any with one. Nanoseconds, so that texts compare as times.
                let recorded = recorded.map_or(0, |at| at.as_nanos() - Timestamp::from_millis(i64::MIN).as_nanos() + 1);
                for target in targets(line, &self.base_url).filter(|target| has(sets, Collection::Subjects, target)) {
                    found(&format!("{target}\t{recorded:040}\t{id}"));
                }
            }
            Collection::SecurityContexts | Collection::SecurityContextsFound | Collection::Attachments => {}
        }
    }

    fn look_for_references(&mut self, line: &[u8], mut found: impl FnMut(&str)) {
        let Self { supporting, base_url, recent, .. } = self;
        references(Element::new(line.trim_ascii()), |reference| {
            let Some((resource_type, id)) = local_target(reference, base_url) else { return };
            let text = format!("{resource_type}/{id}");
            if supporting.has(resource_type) && !recent.contains(&text) {
                found(&text);
                if recent.len() >= RECENT_MAX {
                    recent.clear();
                }
                recent.insert(text);
            }
        });
    }
}

/// Judges the lines of the context pass.
pub(super) struct Context<'p> {
    provenance: Option<Selector<'static>>,
    /// Lets through Provenance of any age, for that of new members.
    provenance_of_new: Option<Selector<'static>>,
    supporting: Option<Selector<'static>>,
    /// Lets through what refers to any patient.
    of_patients: Option<Selector<'static>>,
    /// Where members of the group are no patients: what the main pass lets through.
    main: Option<Selector<'p>>,
    latest: bool,
    disclosure: Disclosure,
    base_url: String,
}

/// Keeps back the Provenance that also tells of patients who are not part of the export (BD-PAT-02).
struct Disclosure {
    /// Whether there are such patients, and the deployment keeps back what is theirs too.
    is_kept: bool,
    definitions: Definitions<'static>,
    base_url: String,
}

impl Disclosure {
    fn new(plan: &ExportPlan) -> Self {
        Self {
            is_kept: plan.has_listed_patients() && !plan.export_shared,
            definitions: plan.definitions(),
            base_url: plan.base_url.clone(),
        }
    }

    fn withholds(&self, line: &[u8], sets: &[Set<'_>]) -> bool {
        let is_of_others = |target: String| {
            let resource_type = target.split('/').next().unwrap_or_default();
            (resource_type == "Patient" || self.definitions.in_patient_compartment(resource_type))
                && !has(sets, Collection::Compartment, &target)
        };
        self.is_kept && targets(line, &self.base_url).any(is_of_others)
    }
}

impl<'p> Context<'p> {
    pub(super) fn new(plan: &ExportPlan, population: Option<Population<'p>>) -> Result<Self, WriterError> {
        let sets = plan.sets(Pass::Context);
        let wants = |collection| sets.contains(&SetWanted::Collected(collection));
        let supporting = wants(Collection::Supporting);
        let selector = |plan: &ExportPlan, wanted: bool| {
            wanted.then(|| Selector::new(plan, None, Validation::default())).transpose()
        };
        // Where a value was given, Provenance goes with the resources and is not looked at by itself (BD-IAD-05).
        let provenance = of_types(plan, &provenance_types(plan));
        let provenance = match plan.provenance {
            Provenance::Unasked => {
                let ExportPlan { since, until, undated_included, .. } = *plan;
                ExportPlan { since, until, undated_included, type_filters: plan.type_filters.clone(), ..provenance }
            }
            Provenance::Latest | Provenance::Relevant => provenance,
        };
        let of_new = ExportPlan { since: None, ..provenance.clone() };
        let has_new = plan.new_after().is_some() && plan.provenance == Provenance::Unasked;
        let others = of_types(plan, &supporting_types(plan));
        let has_resources = population.as_ref().is_some_and(Population::has_resources);
        let main = (supporting && has_resources)
            .then(|| Selector::new(&plan.of_main_pass(), population, Validation::default()))
            .transpose()?;
        Ok(Self {
            provenance: selector(&provenance, wants(Collection::Subjects))?,
            provenance_of_new: selector(&of_new, wants(Collection::Subjects) && has_new)?,
            supporting: selector(&others, supporting)?,
            of_patients: selector(
                &ExportPlan { level: Level::AllPatients, patients_listed: false, ..others },
                supporting,
            )?,
            main,
            latest: plan.provenance == Provenance::Latest,
            disclosure: Disclosure::new(plan),
            base_url: plan.base_url.clone(),
        })
    }

    /// The type of the resource, if it goes with what is exported.
    pub(super) fn judge(&self, line: &[u8], sets: &[Set<'_>]) -> Option<ResourceType> {
        let provenance = self.provenance.as_ref().and_then(|selector| verdict(selector, line, sets));
        if let Some(resource_type) = provenance {
            return self.is_provenance_of_ours(line, sets).then_some(resource_type);
        }
        let of_new = self.provenance_of_new.as_ref().and_then(|selector| verdict(selector, line, sets));
        if let Some(resource_type) = of_new {
            return (self.is_of_new(line, sets) && self.is_provenance_of_ours(line, sets)).then_some(resource_type);
        }
        let resource_type = verdict(self.supporting.as_ref()?, line, sets)?;
        let own = format!("{resource_type}/{}", root_text(line, "id")?);
        let referred_to =
            has(sets, Collection::Supporting, &own) || has(sets, Collection::SupportingOfSupporting, &own);
        // What is in a patient's compartment is exported by the main pass, or belongs to someone else.
        let of_a_patient = || self.of_patients.as_ref().is_none_or(|selector| verdict(selector, line, sets).is_some());
        let by_itself = || self.main.as_ref().is_some_and(|selector| verdict(selector, line, sets).is_some());
        (referred_to && !of_a_patient() && !by_itself()).then_some(resource_type)
    }

    fn is_of_new(&self, line: &[u8], sets: &[Set<'_>]) -> bool {
        targets(line, &self.base_url).any(|target| has(sets, Collection::Subjects, &of_new(&target)))
    }

    /// Whether it tells of an exported resource, and of nobody who is not part of the export (BD-PAT-02).
    fn is_provenance_of_ours(&self, line: &[u8], sets: &[Set<'_>]) -> bool {
        let chosen = if self.latest {
            root_text(line, "id").is_some_and(|id| has(sets, Collection::LatestProvenance, &format!("Provenance/{id}")))
        } else {
            targets(line, &self.base_url).any(|target| has(sets, Collection::Subjects, &target))
        };
        chosen && !self.disclosure.withholds(line, sets)
    }
}

/// The type of a resource that the selection lets through.
pub(super) fn verdict(selector: &Selector<'_>, line: &[u8], sets: &[Set<'_>]) -> Option<ResourceType> {
    match selector.judge(line, sets) {
        Ok(Verdict::In(resource_type) | Verdict::InUndated(resource_type)) => Some(resource_type.clone()),
        Ok(Verdict::Out | Verdict::Later) | Err(_) => None,
    }
}

/// `Type/id` of what a Provenance is about.
fn targets(line: &[u8], base_url: &str) -> impl Iterator<Item = String> {
    let references = roots(line, "target").flat_map(objects).flat_map(|object| texts(object, "reference"));
    references.filter_map(move |reference| {
        local_target(&reference, base_url).map(|(resource_type, id)| format!("{resource_type}/{id}"))
    })
}

pub(super) fn has(sets: &[Set<'_>], collection: Collection, text: &str) -> bool {
    let wanted = SetWanted::Collected(collection);
    sets.iter().any(|set| *set.wanted() == wanted && set.contains(text))
}

/// The same patients, and all that is theirs.
pub(super) fn unrestricted(plan: &ExportPlan) -> ExportPlan {
    let types = TypeSelection::All;
    ExportPlan { types, since: None, until: None, undated_included: true, type_filters: Vec::new(), ..plan.clone() }
}

/// Whoever's, and of these types only, as far as the deployment exports them.
pub(super) fn of_types(plan: &ExportPlan, types: &BTreeSet<ResourceType>) -> ExportPlan {
    let (types, type_filters) = (TypeSelection::Only(types.clone()), plan.subset.clone());
    ExportPlan { level: Level::System, types, type_filters, ..unrestricted(plan) }
}

fn provenance_types(plan: &ExportPlan) -> BTreeSet<ResourceType> {
    plan.definitions().resource_type("Provenance").into_iter().collect()
}

/// BD-TYPE-06: of the types that are exported at all.
fn supporting_types(plan: &ExportPlan) -> BTreeSet<ResourceType> {
    let definitions = plan.definitions();
    let types = definitions.resource_types().filter(|name| plan.supporting.has(name) && plan.types.has(name));
    // These go by rules of their own.
    let types = types.filter(|name| !matches!(*name, "Patient" | "Provenance" | "Binary"));
    types.filter_map(|name| definitions.resource_type(name)).collect()
}

const RECENT_MAX: usize = 4096;

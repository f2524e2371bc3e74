//! Whose data a resource is (BD-KICK-09).
//!
//! A Patient belongs by its own id alone; any other resource by its references to patients, unless it is itself a member of
//! the group (BD-KICK-19). One that refers to a listed
//! and to an unlisted patient is in the unlisted one's compartment too, and is withheld unless the deployment says
//! otherwise (BD-PAT-02, BD-PAT-06). That is said in the manifest for every such export alike, not of the single line:
//! it would tell of the other.

use super::super::WriterError;
use crate::{
    ResourceType,
    group::RESOURCE_MEMBERS,
    json::Element,
    kick_off::Level,
    plan::ExportPlan,
    population::{Listed, Population},
    reference::local_id,
    search::{RootNames, Slot},
};

/// The patients of an export.
pub(super) struct Patients<'p> {
    who: Who<'p>,
    export_shared: bool,
    base_url: String,
}

enum Who<'p> {
    /// The level is not of patients.
    Whatever,
    All,
    Listed(Population<'p>),
}

/// By what resources of one type belong to patients.
pub(super) enum PatientRule {
    /// Nobody asks.
    Free,
    /// By their own id.
    OwnId,
    /// By being a member of the group: a type outside the Patient compartment.
    Member(&'static str),
    /// By what the references at the end of these paths name: root element and the steps below it. None: by nothing.
    References(Vec<(Slot, Vec<&'static str>)>),
}

/// What was found of a resource so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Belonging {
    has_listed: bool,
    has_unlisted: bool,
    /// Whether one of those listed is new.
    pub(super) has_new: bool,
    /// How many root elements have been looked at.
    seen: usize,
}

impl<'p> Patients<'p> {
    /// A population must be there exactly when the level asks for one.
    pub(super) fn new(plan: &ExportPlan, population: Option<Population<'p>>) -> Result<Self, WriterError> {
        let who = match (&plan.level, population) {
            (Level::System, None) => Who::Whatever,
            (Level::AllPatients, None) if !plan.has_listed_patients() => Who::All,
            (_, Some(population)) if plan.has_listed_patients() => Who::Listed(population),
            _ => return Err(WriterError::PopulationMismatch),
        };
        Ok(Self { who, export_shared: plan.export_shared, base_url: plan.base_url.clone() })
    }

    /// Whether that patient is part of the export.
    pub(super) fn lists(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// Whether any member of the group is no patient, and is exported all the same.
    fn has_resources(&self) -> bool {
        matches!(&self.who, Who::Listed(population) if population.has_resources())
    }

    /// Whether any patient is new.
    pub(super) fn has_new(&self) -> bool {
        matches!(&self.who, Who::Listed(population) if population.has_new())
    }

    /// Notes a resource's own id. Whether it may still belong.
    pub(super) fn take_id(&self, rule: &PatientRule, id: &str, belonging: &mut Belonging) -> bool {
        match rule {
            PatientRule::OwnId => note(self.find(id), belonging),
            PatientRule::Member(resource_type) => note(self.find_resource(resource_type, id), belonging),
            PatientRule::Free | PatientRule::References(_) => {}
        }
        self.may_belong(belonging)
    }

    /// Notes the patients that a root element refers to. Whether the resource may still belong.
    pub(super) fn take(&self, rule: &PatientRule, slot: Slot, element: Element<'_>, belonging: &mut Belonging) -> bool {
        let PatientRule::References(paths) = rule else { return true };
        for (_, steps) in paths.iter().filter(|(root, _)| *root == slot) {
            belonging.seen += 1;
            visit_references(element, steps, &mut |reference| {
                if let Some(id) = local_id(reference, "Patient", &self.base_url) {
                    note(self.find(id), belonging);
                }
            });
        }
        self.may_belong(belonging)
    }

    /// Whether nothing is still to come that says whose the resource is.
    pub(super) fn has_seen_all(&self, rule: &PatientRule, belonging: &Belonging) -> bool {
        match rule {
            PatientRule::Free => true,
            PatientRule::OwnId | PatientRule::Member(_) => belonging.has_listed || belonging.has_unlisted,
            PatientRule::References(paths) => belonging.seen == paths.len(),
        }
    }

    /// Whether the resource belongs, whatever is still to come.
    pub(super) fn has_decided(&self, rule: &PatientRule, belonging: &Belonging) -> bool {
        match rule {
            PatientRule::Free => true,
            PatientRule::OwnId | PatientRule::Member(_) => belonging.has_listed,
            PatientRule::References(_) => {
                let is_all = self.export_shared || matches!(self.who, Who::All) || self.has_seen_all(rule, belonging);
                is_all && self.belongs(rule, belonging)
            }
        }
    }

    /// Whether the resource belongs, now that all of it was looked at.
    pub(super) fn belongs(&self, rule: &PatientRule, belonging: &Belonging) -> bool {
        matches!(rule, PatientRule::Free) || (belonging.has_listed && self.may_belong(belonging))
    }

    fn may_belong(&self, belonging: &Belonging) -> bool {
        self.export_shared || !belonging.has_unlisted
    }

    /// What is known of a patient, if part of the export.
    pub(super) fn find(&self, id: &str) -> Option<Listed> {
        match &self.who {
            Who::Whatever | Who::All => Some(Listed { is_new: false }),
            Who::Listed(population) => population.find(id),
        }
    }

    /// What is known of a member of the group that is no patient.
    pub(super) fn find_resource(&self, resource_type: &str, id: &str) -> Option<Listed> {
        match &self.who {
            Who::Whatever | Who::All => None,
            Who::Listed(population) => population.find_resource(resource_type, id),
        }
    }
}

impl PatientRule {
    pub(super) fn new(
        plan: &ExportPlan,
        patients: &Patients<'_>,
        resource_type: &ResourceType,
        names: &mut RootNames,
    ) -> Self {
        if !plan.level.is_of_patients() {
            return Self::Free;
        }
        if resource_type.as_str() == "Patient" {
            return Self::OwnId;
        }
        if let Some(member) = RESOURCE_MEMBERS.iter().find(|name| **name == resource_type.as_str())
            && patients.has_resources()
            && plan.has_resource_members()
        {
            return Self::Member(member);
        }
        let paths = plan.definitions().patient_paths(resource_type.as_str()).filter_map(|path| {
            let mut steps = path.split('.');
            steps.next().map(|root| (names.slot(root), steps.collect()))
        });
        Self::References(paths.collect())
    }

    /// Whether no resource of the type belongs to any patient.
    pub(super) fn is_outside(&self) -> bool {
        matches!(self, Self::References(paths) if paths.is_empty())
    }

    /// Whether it looks at the resource's own id.
    pub(super) fn is_by_id(&self) -> bool {
        matches!(self, Self::OwnId | Self::Member(_))
    }

    /// The root elements that it looks at, `id` apart.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        let paths = if let Self::References(paths) = self { paths.as_slice() } else { &[] };
        paths.iter().map(|(root, _)| *root)
    }
}

/// Notes what is known of a patient or a member that a resource belongs to.
fn note(found: Option<Listed>, belonging: &mut Belonging) {
    match found {
        Some(Listed { is_new }) => {
            belonging.has_listed = true;
            belonging.has_new |= is_new;
        }
        None => belonging.has_unlisted = true,
    }
}

/// The `reference` texts at the end of a path below a root element: an array stands for its objects, as in FHIR,
/// repeated names are all walked, and anything of another shape reaches nothing. So the depth is that of the path,
/// whatever the input nests.
fn visit_references(element: Element<'_>, steps: &[&str], found: &mut impl FnMut(&str)) {
    let lone = element.is_object().then_some(element);
    for object in lone.into_iter().chain(element.items().filter(|item| item.is_object())) {
        let (step, rest) = steps.split_first().map_or(("reference", None), |(step, rest)| (*step, Some(rest)));
        for (_, value) in object.members().filter(|(name, _)| name.is(step)) {
            match rest {
                Some(rest) => visit_references(value, rest, found),
                None => value.string().iter().for_each(|text| found(text)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(json: &str, path: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        visit_references(Element::new(json.as_bytes()), path, &mut |text| found.push(text.to_owned()));
        found
    }

    #[test]
    fn arrays_and_repeated_names_are_walked() {
        assert_eq!(find(r#"{"reference":"Patient\/1"}"#, &[]), ["Patient/1"]);
        assert_eq!(
            find(r#"[{"reference":"a"},{"display":"x"},{"reference":"b","reference":"c"}]"#, &[]),
            ["a", "b", "c"]
        );
        assert_eq!(find(r#"[{"actor":{"reference":"a"}},{"actor":[{"reference":"b"}]}]"#, &["actor"]), ["a", "b"]);
    }

    #[test]
    fn other_shapes_reach_nothing() {
        for json in [
            r#""Patient/1""#,
            "null",
            "1",
            r#"{"reference":1}"#,
            r#"{"reference":["a"]}"#,
            r#"[[{"reference":"a"}]]"#,
            r#"{"x":{"reference":"a"}}"#,
        ] {
            assert!(find(json, &[]).is_empty(), "{json}");
        }
    }
}

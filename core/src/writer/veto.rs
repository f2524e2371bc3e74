//! Sensitive data: what a deployment or a patient's consent withholds, line by line.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    compartment::patients,
    walk::{objects, root_text, roots, texts},
};
use crate::{Definitions, json::Element, pass::SetWanted, plan::ExportPlan, sets::Set};

/// What no export may hold.
pub(super) struct Vetoes {
    /// `system|code`.
    labels: BTreeSet<String>,
    /// Whether a set of vetoes is there to be asked.
    by_consent: bool,
    definitions: Definitions<'static>,
    base_url: String,
}

impl Vetoes {
    pub(super) fn new(plan: &ExportPlan) -> Self {
        Self {
            labels: plan.withheld_labels.clone(),
            by_consent: plan.vetoes,
            definitions: plan.definitions(),
            base_url: plan.base_url.clone(),
        }
    }

    /// Whether a resource that would be exported is withheld.
    pub(super) fn withholds(&self, resource_type: &str, line: &[u8], sets: &[Set<'_>]) -> bool {
        if self.labels.is_empty() && !self.by_consent {
            return false;
        }
        let labels = labels(line);
        if labels.iter().any(|label| self.labels.contains(label)) {
            return true;
        }
        let vetoed = |text: &str| sets.iter().any(|set| *set.wanted() == SetWanted::Vetoes && set.contains(text));
        self.by_consent && self.is_vetoed(resource_type, line, &labels, vetoed)
    }

    /// The same of a line whose type is not known yet.
    pub(super) fn withholds_line(&self, line: &[u8], sets: &[Set<'_>]) -> bool {
        let asked = !self.labels.is_empty() || self.by_consent;
        asked && root_text(line, "resourceType").is_some_and(|name| self.withholds(&name, line, sets))
    }

    fn is_vetoed(&self, resource_type: &str, line: &[u8], labels: &[String], vetoed: impl Fn(&str) -> bool) -> bool {
        let id = root_text(line, "id").unwrap_or_default();
        if vetoed(&format!("{resource_type}/{id}")) {
            return true;
        }
        patients(line, resource_type, &self.definitions, &self.base_url).iter().any(|patient| {
            vetoed(&format!("Patient/{patient}"))
                || labels.iter().any(|label| vetoed(&format!("Patient/{patient}#{label}")))
        })
    }
}

/// `meta.security`, each coding as `system|code`. Of a name that a coding repeats every value counts: readers disagree
/// which one does, and none may find a label that was not seen here.
fn labels(line: &[u8]) -> Vec<String> {
    let codings = roots(line, "meta").flat_map(|meta| {
        let security = meta.members().filter(|(name, _)| name.is("security"));
        security.flat_map(|(_, element)| objects(element))
    });
    let label = |coding: Element<'_>| {
        let all = |name| {
            let texts: Vec<String> = texts(coding, name).map(Cow::into_owned).collect();
            if texts.is_empty() { vec![String::new()] } else { texts }
        };
        let codes = all("code");
        let of_system = |system: String| codes.iter().map(|code| format!("{system}|{code}")).collect::<Vec<_>>();
        all("system").into_iter().flat_map(of_system).collect::<Vec<_>>()
    };
    codings.flat_map(label).collect()
}

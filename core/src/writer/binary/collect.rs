//! Finding what governs Binary resources, and which of them Attachments lead to.

use super::{SecurityContext, is_binary, nobodys, security_context};
use crate::{
    Definitions, Edition,
    group::RESOURCE_MEMBERS,
    kick_off::Level,
    pass::Collection,
    plan::ExportPlan,
    population::Population,
    sets::Set,
    writer::{
        Validation, WriterError,
        context::{has, unrestricted, verdict},
        newcomers::{Newcomers, of_new},
        pen::Pen,
        select::Selector,
        walk::root_text,
    },
};

/// Finds what a set of the passes over Binary resources is made of.
pub(in crate::writer) enum Finder<'p> {
    Contexts {
        definitions: Definitions<'static>,
        base_url: String,
    },
    ContextsFound {
        /// Lets through what is in the compartments of the export's patients.
        of_patients: Box<Selector<'p>>,
        /// Lets through everything, in an export of everything.
        of_everything: Option<Box<Selector<'static>>>,
        newcomers: Option<Newcomers>,
    },
    Attachments {
        selector: Box<Selector<'p>>,
        binaries: bool,
        pen: Box<Pen>,
    },
}

impl<'p> Finder<'p> {
    /// `None` for a collection that is found by other means.
    pub(in crate::writer) fn new(
        plan: &ExportPlan,
        collection: Collection,
        population: Option<Population<'p>>,
    ) -> Result<Option<Self>, WriterError> {
        Ok(Some(match collection {
            Collection::SecurityContexts => {
                Self::Contexts { definitions: plan.definitions(), base_url: plan.base_url.clone() }
            }
            Collection::SecurityContextsFound => {
                let all = unrestricted(plan);
                let of_everything =
                    (plan.level == Level::System).then(|| Selector::new(&all, None, Validation::default()));
                let of_everything = of_everything.transpose()?.map(Box::new);
                let level = if of_everything.is_some() { Level::AllPatients } else { plan.level.clone() };
                let of_patients = Selector::new(&ExportPlan { level, ..all }, population, Validation::default())?;
                let newcomers = Newcomers::new(plan, &of_patients);
                Self::ContextsFound { of_patients: Box::new(of_patients), of_everything, newcomers }
            }
            Collection::Attachments => Self::Attachments {
                selector: Box::new(Selector::new(&plan.of_main_pass(), population, Validation::default())?),
                binaries: plan.edition != Edition::Stu1,
                pen: Box::new(Pen::new(plan)?),
            },
            _ => return Ok(None),
        }))
    }

    /// What is found in a line. What is wrong with it, the main pass reports.
    pub(in crate::writer) fn look(&mut self, line: &[u8], sets: &[Set<'_>], mut found: impl FnMut(&str)) {
        match self {
            Self::Contexts { definitions, base_url } => {
                if is_binary(line)
                    && let SecurityContext::Resource(target) = security_context(line, definitions, base_url)
                {
                    found(&target);
                }
            }
            Self::ContextsFound { of_patients, of_everything, newcomers } => {
                let (Some(resource_type), Some(id)) = (root_text(line, "resourceType"), root_text(line, "id")) else {
                    return;
                };
                let own = format!("{resource_type}/{id}");
                // What a Practitioner or a Device governs is no part of the resource that a group has as a member.
                let is_member = of_everything.is_none() && RESOURCE_MEMBERS.contains(&resource_type.as_ref());
                if is_member || !has(sets, Collection::SecurityContexts, &own) {
                    return;
                }
                if verdict(of_patients, line, sets).is_some() {
                    found(&own);
                    if newcomers.as_ref().is_some_and(|newcomers| newcomers.have(of_patients, &resource_type, line)) {
                        found(&of_new(&own));
                    }
                } else if of_everything.as_ref().is_some_and(|selector| verdict(selector, line, sets).is_some()) {
                    found(&nobodys(&own));
                }
            }
            Self::Attachments { selector, binaries, pen } => {
                let is_document = *binaries && is_binary(line);
                // A document made of a Binary holds its content.
                if let Some(resource_type) = (!is_document).then(|| verdict(selector, line, sets)).flatten() {
                    pen.look_for_binaries(&resource_type, line, |id| found(&format!("Binary/{id}")));
                }
            }
        }
    }
}

/// The plan of the pass over Binary resources: whose they are has been found out.
pub(in crate::writer) fn plan_of_binaries(plan: &ExportPlan) -> ExportPlan {
    ExportPlan { level: Level::System, ..plan.clone() }
}

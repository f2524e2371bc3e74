//! The reference model: what must be in an export, by a plain look at all data at once.

use std::collections::BTreeSet;

use ehi_core::{Edition, kick_off::Level};

use crate::data::{Data, Resource};

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) is_ehi: bool,
    pub(crate) level: Level,
    pub(crate) edition: Edition,
    /// None is all.
    pub(crate) types: Option<BTreeSet<&'static str>>,
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
    /// Of observations only those that are final.
    pub(crate) is_finals_only: bool,
    /// Whether labelled resources are withheld.
    pub(crate) is_label_withheld: bool,
}

/// What was fixed when the export began.
pub(crate) struct Fixed<'f> {
    pub(crate) transaction_time: i64,
    /// Whose data, where some patients are listed.
    pub(crate) population: Option<&'f BTreeSet<String>>,
}

/// What an export must hold, each part sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) output: Vec<String>,
    /// Source and line of what is reported.
    pub(crate) errors: Vec<String>,
    pub(crate) deleted: Vec<String>,
}

impl Contents {
    fn sorted(mut self) -> Self {
        [&mut self.output, &mut self.errors, &mut self.deleted].into_iter().for_each(|part| part.sort());
        self
    }
}

/// What an export must hold.
pub(crate) fn expected(data: &Data, ask: &Ask, fixed: &Fixed<'_>) -> Contents {
    let judge = Judge { ask, fixed };
    let all = || data.sources.iter().flat_map(|source| &source.lines).filter_map(|line| line.resource.as_ref());
    // All of the compartments, exported or not.
    let of_ours: BTreeSet<String> = all()
        .filter(|r| judge.belongs(r) && !judge.is_later(r) && !judge.is_withheld(r))
        .map(|r| format!("{}/{}", r.kind, r.id))
        .collect();
    let mut contents = Contents::default();
    for source in &data.sources {
        for (line, number) in source.lines.iter().zip(1..) {
            let mut report = || contents.errors.push(format!("{}, line {number}", source.name));
            match &line.resource {
                None => report(),
                Some(r) if r.kind == "Provenance" && judge.has_context() => {
                    if judge.is_asked(r) && !judge.is_later(r) && judge.is_provenance_of(r, &of_ours) {
                        contents.output.push(line.text.clone());
                    }
                }
                Some(r) if judge.is_asked(r) && judge.belongs(r) && !judge.is_withheld(r) => {
                    if judge.is_later(r) {
                        report();
                    } else {
                        contents.output.push(line.text.clone());
                    }
                }
                Some(_) => {}
            }
        }
    }
    if ask.since.is_some() && ask.edition != Edition::Stu1 {
        contents.deleted = deleted(data, &judge);
    }
    contents.sorted()
}

struct Judge<'j> {
    ask: &'j Ask,
    fixed: &'j Fixed<'j>,
}

impl Judge<'_> {
    fn is_asked(&self, r: &Resource) -> bool {
        let Ask { types, since, until, is_finals_only, .. } = self.ask;
        let is_early = |updated: i64| since.is_some_and(|since| updated <= since);
        let is_late = |updated: i64| until.is_some_and(|until| updated >= until);
        types.as_ref().is_none_or(|types| types.contains(r.kind))
            && r.updated.is_none_or(|updated| !is_early(updated) && !is_late(updated))
            && (!is_finals_only || r.kind != "Observation" || r.is_final)
    }

    fn is_later(&self, r: &Resource) -> bool {
        r.updated.is_some_and(|updated| updated > self.fixed.transaction_time)
    }

    fn is_withheld(&self, r: &Resource) -> bool {
        r.is_labelled && self.ask.is_label_withheld
    }

    fn is_listed(&self, patient: &str) -> bool {
        self.fixed.population.is_none_or(|population| population.contains(patient))
    }

    /// Of a patient of the export, and of nobody else.
    fn belongs(&self, r: &Resource) -> bool {
        let is_of_patients = !r.patients.is_empty() && r.patients.iter().all(|id| self.is_listed(id));
        self.ask.level == Level::System || is_of_patients
    }

    /// Whether Provenance goes by what it is about.
    fn has_context(&self) -> bool {
        self.ask.level != Level::System && self.ask.edition != Edition::Stu1
    }

    fn is_provenance_of(&self, r: &Resource, of_ours: &BTreeSet<String>) -> bool {
        let is_of_somebody = |target: &&String| !target.starts_with("Organization/");
        let tells_of_others = r.targets.iter().filter(is_of_somebody).any(|target| !of_ours.contains(target));
        r.targets.iter().any(|target| of_ours.contains(target)) && !(self.fixed.population.is_some() && tells_of_others)
    }
}

fn deleted(data: &Data, judge: &Judge<'_>) -> Vec<String> {
    let Judge { ask, fixed } = judge;
    let told = data.tombstones.iter().filter(|stone| {
        let of: BTreeSet<&String> =
            if stone.kind == "Patient" { [&stone.id].into() } else { stone.patients.iter().collect() };
        let belongs = !of.is_empty() && of.iter().all(|id| judge.is_listed(id));
        ask.types.as_ref().is_none_or(|types| types.contains(stone.kind))
            && ask.since.is_none_or(|since| stone.at > since)
            && ask.until.is_none_or(|until| stone.at < until)
            && stone.at <= fixed.transaction_time
            && (ask.level == Level::System || belongs)
    });
    let entry = |kind: &str, id: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"{kind}/{id}"}}}}]}}"#
        )
    };
    told.map(|stone| entry(stone.kind, &stone.id)).collect()
}

//! What a host stores, in memory.

use std::{borrow::Cow, collections::BTreeMap, io::Read};

use anyhow::{Context, Result, ensure};
use ehi_core::{
    Sensitive, Timestamp,
    job::PollAccount,
    kick_off::{Facts, Need},
    look_up::{Found, LookUp},
    manifest::OutputFile,
    values::{Applied, StoredJob},
};
use serde::Deserialize;

use super::format::Case;

/// The bytes of a stored file.
pub(super) fn content<'s>(row: &OutputFile, stored: &'s [u8]) -> Result<Cow<'s, [u8]>> {
    if let Some(bytes) = row.gzip_bytes {
        ensure!(bytes == stored.len() as u64, "the row says {bytes} bytes of gzip, there are {}", stored.len());
        return unpacked(stored).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(stored))
}

/// What gzip holds.
pub(super) fn unpacked(gzip: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut bytes).context("what should be gzip is none")?;
    Ok(bytes)
}

/// Jobs by id, and files by key.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) jobs: BTreeMap<String, Kept>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// A job and what lies beside it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) job: StoredJob,
    pub(super) rows: Vec<OutputFile>,
    /// By client.
    pub(super) accounts: BTreeMap<Option<String>, PollAccount>,
}

impl Store {
    pub(super) fn insert(&mut self, id: String, job: StoredJob) {
        self.jobs.insert(id, Kept { job, rows: Vec::new(), accounts: BTreeMap::new() });
    }

    pub(super) fn job(&mut self, id: &str) -> Result<&mut Kept> {
        self.jobs.get_mut(id).context("the job is not stored")
    }

    /// The job and its new rows, as one transaction.
    pub(super) fn apply(&mut self, id: &str, applied: Applied) -> Result<()> {
        let kept = self.job(id)?;
        kept.job = applied.job;
        kept.rows.extend(applied.rows);
        Ok(())
    }

    /// Everything below the job's prefix, and its rows.
    pub(super) fn remove_files(&mut self, id: &str) -> Result<()> {
        self.files.retain(|key, _| key.strip_prefix(id).is_none_or(|rest| !rest.starts_with('/')));
        self.job(id)?.rows.clear();
        Ok(())
    }

    /// What is known of what a kick-off asks about.
    pub(super) fn facts(&self, case: &Case, needs: &[Need]) -> Facts {
        let mut facts = Facts::default();
        for need in needs {
            match need {
                Need::Patient(id) => facts.patients.extend(has_patient(case, id).then(|| id.clone())),
                Need::Patients(ids) => {
                    facts.patients.extend(ids.iter().filter(|id| has_patient(case, id)).cloned());
                }
                Need::Members { group, patients } => {
                    let members = case.groups.get(group).map(Vec::as_slice).unwrap_or_default();
                    facts.members.extend(patients.iter().filter(|id| members.contains(id)).cloned());
                }
                Need::Group(id) => facts.groups.extend(case.groups.contains_key(id).then(|| id.clone())),
                Need::Practitioner(id) => {
                    facts.practitioners.extend(case.practitioners.contains_key(id).then(|| id.clone()));
                }
                // A case knows no rules for users, groups and practitioners.
                Need::PatientAccess { .. } | Need::GroupAccess { .. } | Need::PractitionerAccess { .. } => {}
                Need::ValueSet(url) => facts.value_sets.extend(case.value_sets.contains_key(url).then(|| url.clone())),
                Need::ActiveJobs { client } => {
                    let jobs = self.jobs.values().map(|kept| &kept.job);
                    let active = jobs.filter(|job| job.unfinished && (client.is_none() || job.client == *client));
                    facts.active_jobs = u32::try_from(active.count()).ok();
                }
            }
        }
        facts
    }

    /// The resources of the sources that a look-up asks for. A case knows no rules of access.
    pub(super) fn look_up(&self, case: &Case, look_up: &LookUp, now: Timestamp) -> Result<Found> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Typed {
            resource_type: String,
        }
        let filter = look_up.filter(&case.config.base_url, now).context("no queries of a route")?;
        let mut found = Found::default();
        for line in case.sources.values().flat_map(|source| source.lines()) {
            let typed = serde_json::from_slice::<Typed>(line);
            let is_of_type = typed.is_ok_and(|typed| typed.resource_type == look_up.resource_type.as_str());
            if is_of_type && look_up.access.is_none() && filter.matches(line) {
                found.resources.push(Sensitive::new(String::from_utf8_lossy(line).into_owned()));
            }
        }
        found.total = u64::try_from(found.resources.len()).ok();
        found.resources.truncate(usize::try_from(look_up.count)?);
        Ok(found)
    }
}

/// Whether a line of the sources is that Patient.
fn has_patient(case: &Case, id: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        resource_type: String,
        id: String,
    }
    let mut lines = case.sources.values().flat_map(|source| source.lines());
    lines.any(|line| {
        let head = serde_json::from_slice::<Head>(line);
        head.is_ok_and(|head| head.resource_type == "Patient" && head.id == id)
    })
}

//! Doing the work of a job: from the source through the engine to files, one partition after another.

mod lease;
mod run;
mod sets;
mod sink;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use ehi_core::{
    Timestamp,
    job::{Command, Epoch, Wants},
    kick_off::{Facts, Need},
    manifest::{ManifestHead, OutputFile},
    population::Population,
    values::Applied,
    writer::WriterLimits,
};

use crate::{
    audit::AuditLog,
    clock,
    engine::{EngineError, Engines},
    files::Files,
    source::Source,
    store::JobStore,
};

pub use run::run;

/// All that the work of jobs needs.
#[derive(Clone)]
pub struct Exporter {
    /// Where decisions come from.
    pub engines: Arc<dyn Engines>,
    /// Where resources come from.
    pub source: Arc<dyn Source>,
    /// Where jobs live.
    pub store: Arc<JobStore>,
    /// Where files go.
    pub files: Files,
    /// How files are cut.
    pub limits: WriterLimits,
    /// Where decisions are recorded, if they are.
    pub audit: Option<Arc<AuditLog>>,
}

/// How far the work is, for those who watch.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of input there are.
    pub total: AtomicU64,
    /// Bytes of input taken.
    pub taken: AtomicU64,
    /// Files stored.
    pub files: AtomicU64,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do, or not for this host.
    Nothing,
    /// The job is complete.
    Complete,
    /// The job was ended by someone else meanwhile.
    Ended,
    /// The job failed; its record says why.
    Failed,
    /// Its files were removed.
    Removed,
    /// It was forgotten.
    Forgotten,
}

impl Exporter {
    /// What is to be done for a job.
    pub fn wants(&self, job: &str) -> Result<Wants> {
        match self.store.load(job)? {
            Some(loaded) => {
                Ok(self.engines.instance()?.wants(&loaded.record, self.store.holder(), clock::now_millis())?)
            }
            None => Ok(Wants::Nothing),
        }
    }

    /// The answers to the needs of a kick-off.
    pub fn facts(&self, needs: &[Need]) -> Result<Facts> {
        let mut facts = Facts::default();
        for need in needs {
            match need {
                Need::Patient(id) => {
                    let found = self.source.has_patient(id)?;
                    facts.patients.extend(found.then(|| id.clone()));
                }
                Need::Patients(ids) => facts.patients.extend(self.source.patients_among(ids)?),
                Need::Members { group, patients } => {
                    let block = self.source.members(group, clock::now(), None)?;
                    let members = Population::load(&block)?;
                    facts.members.extend(patients.iter().filter(|id| members.contains(id)).cloned());
                }
                Need::Group(id) => {
                    let found = self.source.has_group(id)?;
                    facts.groups.extend(found.then(|| id.clone()));
                }
                Need::Practitioner(id) => {
                    let found = self.source.has_practitioner(id)?;
                    facts.practitioners.extend(found.then(|| id.clone()));
                }
                // Whoever knows users and rules adds it; what nobody answers is no.
                Need::PatientAccess { .. } | Need::GroupAccess { .. } | Need::PractitionerAccess { .. } => {}
                Need::ValueSet(canonical) => {
                    let codes = self.source.value_set(canonical, clock::now())?;
                    facts.value_sets.extend(codes.map(|_| canonical.clone()));
                }
                Need::ActiveJobs { client } => facts.active_jobs = Some(self.store.active(client.as_deref())?),
            }
        }
        Ok(facts)
    }

    /// Writes the manifest of a job, or the page of it that the head names, piece by piece, whatever the number of its rows,
    /// for as long as `send` says yes.
    pub fn manifest(
        &self,
        job: &str,
        head: &ManifestHead,
        mut see: impl FnMut(&OutputFile),
        mut send: impl FnMut(Vec<u8>) -> bool,
    ) -> Result<()> {
        let mut engine = self.engines.instance()?;
        let mut manifest = engine.manifest(head)?;
        let mut after = (-1, 0);
        loop {
            let rows = self.store.rows(job, head.page, after)?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            let mut piece = Vec::new();
            for (_, row) in &rows {
                see(row);
                piece.extend(manifest.row(row)?);
            }
            if !send(piece) {
                return Ok(());
            }
        }
        send(manifest.finish()?);
        Ok(())
    }

    /// Gives a job a command that needs no lease, such as a step that people took.
    pub fn tell(&self, job: &str, command: &Command) -> Result<()> {
        self.command(job, command).map(drop)
    }

    /// Gives a command to a job and stores what it does, again from the start if someone else changed the job.
    fn command(&self, job: &str, command: &Command) -> Result<Applied> {
        for _ in 0..ATTEMPTS {
            let loaded = self.store.load(job)?.context("the job is gone")?;
            let applied = self.engines.instance()?.apply(&loaded.record, command, clock::now_millis());
            if let (Some(audit), Err(EngineError::Refused(_))) = (&self.audit, &applied) {
                audit.command(&loaded.record, command, None)?;
            }
            let applied = applied?;
            if self.store.update(job, &applied.job, &applied.rows, loaded.version)? {
                if let Some(audit) = &self.audit {
                    audit.command(&loaded.record, command, Some(&applied.job.record))?;
                }
                return Ok(applied);
            }
        }
        bail!("the job is changed by others all the time")
    }

    fn fail(&self, job: &str, epoch: Epoch, diagnostics: &str) -> Result<Outcome> {
        self.command(job, &Command::Fail { epoch, diagnostics: diagnostics.to_owned() })?;
        Ok(Outcome::Failed)
    }

    fn lease(&self) -> Timestamp {
        clock::now().plus_seconds(LEASE_SECONDS)
    }
}

impl Progress {
    fn take(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Optimistic writes lose only against a client's DELETE and expiry, which come once each.
const ATTEMPTS: u32 = 10;

/// How long a host may be silent before another may take over.
const LEASE_SECONDS: u64 = 30;

/// How often a lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(10);

//! `ehi export`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use ehi_core::{job::Job, manifest::Section, writer::WriterLimits};

use super::{
    Failure,
    job::{self, EngineName},
    mention_other_files,
    selection::{self, Selection},
    watch::Watch,
};
use crate::{
    export::{self, Exporter, Outcome, Progress},
    files::Files,
    source::Folder,
    store::JobStore,
};

/// Export a folder of NDJSON files, without a server
///
/// The same job as a kick-off over HTTP: OUT receives NDJSON files of one resource type each, error files named error-*
/// for lines that could not be exported, and manifest.json.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Export {
    /// The folder of NDJSON files: any names that end in .ndjson, any mix of resource types, Group included
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The folder to write to; it is made if it is not there, and must be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Whose data: system (everything), patient (all patients), group/ID, practitioner/ID, patient/ID
    #[arg(long, default_value = "system")]
    level: String,
    #[command(flatten)]
    selection: Selection,
    /// What decides: the sandboxed component that the server uses, or the same core linked in
    #[arg(long, value_enum, default_value_t = EngineName::Component)]
    engine: EngineName,
    #[command(flatten)]
    shards: Shards,
}

/// How output files are cut.
#[derive(Args)]
pub(super) struct Shards {
    /// Resources in one output file
    #[arg(long, value_name = "N", default_value_t = WriterLimits::default().shard_resources_max, value_parser = clap::value_parser!(u64).range(1..))]
    shard_resources: u64,
    /// Bytes in one output file
    #[arg(long, value_name = "BYTES", default_value_t = WriterLimits::default().shard_bytes_max, value_parser = clap::value_parser!(u64).range(1..))]
    shard_bytes: u64,
    /// Bytes in one input line; a longer one is reported in an error file
    #[arg(long, value_name = "BYTES", default_value_t = WriterLimits::default().line_bytes_max as u64, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    line_bytes: u64,
}

impl From<&Shards> for WriterLimits {
    fn from(shards: &Shards) -> Self {
        Self {
            shard_resources_max: shards.shard_resources,
            shard_bytes_max: shards.shard_bytes,
            line_bytes_max: usize::try_from(shards.line_bytes).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }
}

impl Export {
    pub(super) fn run(self) -> Result<(), Failure> {
        let level = self.level().map_err(Failure::Usage)?;
        let engines = self.engine.engines(&self.selection)?;
        if !self.data.is_dir() {
            return Err(anyhow!("the data folder `{}` does not exist or is not a folder", self.data.display()).into());
        }
        prepare(&self.out)?;
        // Names every resource, so it lies where the export itself will.
        let scratch = tempfile::Builder::new().prefix(".ehi-").tempdir_in(&self.out)?;
        let limits = WriterLimits { validate: self.selection.validation(), ..(&self.shards).into() };
        let catalogue = scratch.path().join("catalogue.sqlite");
        let source = Folder::open(&self.data, &catalogue, self.selection.base_url(), limits.line_bytes_max)?;
        mention_other_files(&source)?;
        let exporter = Exporter {
            engines,
            source: Arc::new(source),
            store: Arc::new(JobStore::in_memory()?),
            files: Files::plain(&self.out)?,
            limits,
            audit: None,
        };
        let job = self.kick_off(&exporter, &level)?;
        self.work(&exporter, &job)?;
        report(&exporter, &job, &self.out)?;
        Ok(())
    }

    /// The path between base and operation.
    fn level(&self) -> Result<String, String> {
        match self.level.split_once('/') {
            None if self.level == "system" => Ok(String::new()),
            None if self.level == "patient" => Ok(String::from("Patient/")),
            Some(("group", id)) if !id.is_empty() => Ok(format!("Group/{}/", selection::encode(id))),
            Some(("practitioner", id)) if !id.is_empty() => Ok(format!("Practitioner/{}/", selection::encode(id))),
            Some(("patient", id)) if !id.is_empty() => Ok(format!("Patient/{}/", selection::encode(id))),
            _ => Err(String::from("--level is one of system, patient, group/ID, practitioner/ID, patient/ID")),
        }
    }

    fn kick_off(&self, exporter: &Exporter, level: &str) -> Result<String, Failure> {
        let mut engine = exporter.engines.instance()?;
        let accepted = job::kick_off(engine.as_mut(), &self.selection, level, |needs| exporter.facts(needs))?;
        let id = accepted.id.to_string();
        exporter.store.insert(&id, &accepted.job)?;
        Ok(id)
    }

    fn work(&self, exporter: &Exporter, job: &str) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let progress = Arc::new(Progress::default());
        let watch = Watch::start(Arc::clone(&progress));
        let outcome = export::run(exporter, runtime.handle(), job, &progress);
        drop(watch);
        match outcome? {
            Outcome::Complete => Ok(()),
            Outcome::Failed => bail!("the export failed: {}", failure(exporter, job)?),
            other => bail!("the export ended before it was complete ({other:?})"),
        }
    }
}

fn failure(exporter: &Exporter, job: &str) -> anyhow::Result<String> {
    let loaded = exporter.store.load(job)?.context("the job is gone")?;
    let issues = Job::decode(&loaded.record)?.failure().map(|outcome| outcome.issue.clone()).unwrap_or_default();
    Ok(issues.into_iter().map(|issue| issue.diagnostics).collect::<Vec<_>>().join("; "))
}

/// Writes the manifest and says what was exported.
fn report(exporter: &Exporter, job: &str, out: &Path) -> anyhow::Result<()> {
    let loaded = exporter.store.load(job)?.context("the job is gone")?;
    let mut engine = exporter.engines.instance()?;
    let head = engine.manifest_head(&loaded.record)?;
    let mut bytes = Vec::new();
    let (mut files, mut resources, mut reported) = (0_u64, 0_u64, 0_u64);
    exporter.manifest(
        job,
        &head,
        |row| {
            files += 1;
            if row.section == Section::Error { reported += row.count } else { resources += row.count }
        },
        |page| {
            bytes.extend(page);
            true
        },
    )?;
    bytes.push(b'\n');
    fs::write(out.join("manifest.json"), bytes).context("cannot write the manifest")?;
    eprintln!("{resources} resources in {files} files in {}", out.display());
    if reported > 0 {
        eprintln!("{reported} lines or notices are reported in the files named error-*");
    }
    Ok(())
}

/// An output folder holds one export and nothing else: what lies there already would look like part of it.
fn prepare(out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out).with_context(|| format!("cannot create `{}`", out.display()))?;
    let mut entries = fs::read_dir(out).with_context(|| format!("cannot read `{}`", out.display()))?;
    if entries.next().is_some() {
        return Err(Failure::Usage(format!("the output folder `{}` is not empty", out.display())));
    }
    Ok(())
}

const EXAMPLES: &str = "\
Examples:
  ehi export --data records --out exported
  ehi export --data records --out exported --level group/group-a --type Patient --type Observation
  ehi export --data records --out exported --level patient --since 2024-01-01T00:00:00Z";

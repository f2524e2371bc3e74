//! `ehi export`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use ehi_core::{
    Endpoint,
    access::Principal,
    endpoint::{Auth, EndpointConfig},
    http::{Body, Response},
    job::Job,
    manifest::Section,
    values::{Accepted, Decided, RequestHead, Routed},
    writer::WriterLimits,
};

use super::{Failure, mention_other_files, watch::Watch};
use crate::{
    clock,
    engine::{Component, ComponentLimits, Engines, Native},
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
    /// Whose data: system (everything), patient (all patients), group/ID, patient/ID
    #[arg(long, default_value = "system")]
    level: String,
    /// Only this resource type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only what changed after this FHIR instant, such as 2024-01-01T00:00:00Z
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Of a type only what this search finds, such as 'Observation?category=laboratory'; may be repeated, and then either
    /// counts
    #[arg(long = "type-filter", value_name = "QUERY")]
    type_filters: Vec<String>,
    /// What decides: the sandboxed component that the server uses, or the same core linked in
    #[arg(long, value_enum, default_value_t = EngineName::Component)]
    engine: EngineName,
    #[command(flatten)]
    shards: Shards,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    /// The WebAssembly component
    Component,
    /// The core, linked in
    Native,
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
        let target = self.target().map_err(Failure::Usage)?;
        let config = EndpointConfig { insecure_http: true, ..EndpointConfig::new(BASE_URL, Auth::None) };
        let engines: Arc<dyn Engines> = match self.engine {
            EngineName::Component => Arc::new(Component::embedded(&config, ComponentLimits::default())?),
            EngineName::Native => Arc::new(Native::new(Endpoint::new(config)?)),
        };
        if !self.data.is_dir() {
            return Err(anyhow!("the data folder `{}` does not exist or is not a folder", self.data.display()).into());
        }
        prepare(&self.out)?;
        // Names every resource, so it lies where the export itself will.
        let scratch = tempfile::Builder::new().prefix(".ehi-").tempdir_in(&self.out)?;
        let limits: WriterLimits = (&self.shards).into();
        let catalogue = scratch.path().join("catalogue.sqlite");
        let source = Folder::open(&self.data, &catalogue, BASE_URL, limits.line_bytes_max)?;
        mention_other_files(&source)?;
        let exporter = Exporter {
            engines,
            source: Arc::new(source),
            store: Arc::new(JobStore::in_memory()?),
            files: Files::plain(&self.out)?,
            limits,
        };
        let job = kick_off(&exporter, target)?;
        self.work(&exporter, &job)?;
        report(&exporter, &job, &self.out)?;
        Ok(())
    }

    /// The kick-off request that asks for the same: the engine reads it as it reads any other.
    fn target(&self) -> Result<String, String> {
        let level = match self.level.split_once('/') {
            None if self.level == "system" => String::new(),
            None if self.level == "patient" => String::from("Patient/"),
            Some(("group", id)) if !id.is_empty() => format!("Group/{}/", encode(id)),
            Some(("patient", id)) if !id.is_empty() => format!("Patient/{}/", encode(id)),
            _ => return Err(String::from("--level is one of system, patient, group/ID, patient/ID")),
        };
        let types = (!self.types.is_empty()).then(|| format!("_type={}", encode(&self.types.join(","))));
        let since = self.since.as_ref().map(|since| format!("_since={}", encode(since)));
        let filters = self.type_filters.iter().map(|query| format!("_typeFilter={}", encode(query)));
        let query = types.into_iter().chain(since).chain(filters).collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(format!("/fhir/{level}$export{mark}{query}"))
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

/// Makes the job, or says in one line for each problem why there is none.
fn kick_off(exporter: &Exporter, target: String) -> Result<String, Failure> {
    let mut engine = exporter.engines.instance()?;
    let head = RequestHead { method: String::from("GET"), target, headers: Vec::new() };
    let decided = match engine.route(&head, &[], &Principal::Open)? {
        Routed::Respond(response) => Decided::Refused(response),
        Routed::Job(_) => return Err(anyhow!("the engine took a kick-off for something else").into()),
        Routed::KickOff { kick_off, needs } => {
            let facts = exporter.facts(&needs)?;
            engine.decide(&kick_off, &Principal::Open, &facts, clock::entropy()?, clock::now_millis())?
        }
    };
    match decided {
        Decided::Accepted(Accepted { id, job, .. }) => {
            exporter.store.insert(&id.to_string(), &job)?;
            Ok(id.to_string())
        }
        Decided::Refused(response) => Err(Failure::Usage(problems(&response))),
    }
}

/// The diagnostics of an OperationOutcome, one a line.
fn problems(response: &Response) -> String {
    let outcome = match &response.body {
        Body::Text(text) => serde_json::from_str::<ehi_core::outcome::OperationOutcome>(text).ok(),
        _ => None,
    };
    let issues = outcome.map(|outcome| outcome.issue).unwrap_or_default();
    let lines: Vec<_> = issues.into_iter().map(|issue| issue.diagnostics).collect();
    if lines.is_empty() { format!("refused with status {}", response.status) } else { lines.join("\nehi: ") }
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

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Only so that references below it count as local; nothing is served there.
const BASE_URL: &str = "http://localhost/fhir";

const EXAMPLES: &str = "\
Examples:
  ehi export --data records --out exported
  ehi export --data records --out exported --level group/group-a --type Patient --type Observation
  ehi export --data records --out exported --level patient --since 2024-01-01T00:00:00Z";

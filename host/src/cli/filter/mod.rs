//! `ehi filter`: the data plane as a Unix tool. What the engine's writer exports goes to stdout, what it reports to
//! stderr; there are no files and no job that outlives the command.

mod input;
mod output;
mod pump;

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use ehi_core::{
    Timestamp,
    job::Command,
    kick_off::{Facts, Need},
    pass::Pass,
    plan::ExportPlan,
    writer::{Layout, WriterLimits},
};

use super::{
    Failure,
    job::{self, EngineName},
    say,
    selection::Selection,
};
use crate::{clock, engine::Engine};
use input::Input;
use output::Output;
use pump::Pump;

/// Select resources from NDJSON files, as a kick-off with the same parameters would
///
/// Writes each line that is selected to stdout, byte for byte unless --elements takes parts of it, in the order of the
/// input, and to stderr how many
/// lines were read and written, and which were reported: by file and line number, never by their text. Without FILE, or
/// where FILE is -, it reads stdin.
///
/// Lines are read once. What takes a second reading is for `ehi export`: deletions, Provenance of listed patients, and
/// Binary resources whose security context is another resource than a Patient.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Filter {
    #[command(flatten)]
    selection: Selection,
    /// Only what belongs to the patients whose ids stand in this file, one a line
    #[arg(long, value_name = "FILE")]
    patients: Option<PathBuf>,
    /// The present, a FHIR instant: what `ap` is near to, and after which nothing can have changed; else the clock's
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    now: Option<Timestamp>,
    /// What decides: the core linked in, or as the sandboxed component that the server uses
    #[arg(long, value_enum, default_value_t = EngineName::Native)]
    engine: EngineName,
    /// How many FILEs are read at once; above 1, lines of several files come in any order, those of one in theirs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX))]
    threads: u16,
    /// Bytes in one input line; a longer one is reported
    #[arg(long, value_name = "BYTES", default_value_t = WriterLimits::default().line_bytes_max as u64, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    line_bytes: u64,
    /// NDJSON files, of any mix of resource types
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Filter {
    pub(super) fn run(self) -> Result<(), Failure> {
        let engines = self.engine.engines(&self.selection)?;
        let plan = self.plan(engines.instance()?.as_mut())?;
        if plan.passes().contains(&Pass::Context) {
            say(CONTEXT);
        }
        let population = self.patients.as_deref().map(input::population).transpose()?;
        let inputs: Vec<Input> = match self.files.as_slice() {
            [] => vec![Input::Stdin],
            files => files.iter().map(Input::from).collect(),
        };
        let output = Output::default();
        let pump = Pump::new(Arc::clone(&engines), plan, population, self.limits(), inputs, &output);
        pump.run(usize::from(self.threads))?;
        output.conclude();
        Ok(())
    }

    /// What the kick-off with the same parameters exports, were it to begin now.
    fn plan(&self, engine: &mut dyn Engine) -> Result<ExportPlan, Failure> {
        let level = if self.patients.is_some() { "Group/listed/" } else { "" };
        let accepted = job::kick_off(engine, &self.selection, level, |needs| Ok(facts(needs)))?;
        let now = self.now.unwrap_or_else(clock::now);
        let begin = Command::Begin {
            holder: String::from("filter"),
            until: now,
            transaction_time: now,
            snapshot: String::new(),
            partitions: 1,
        };
        let begun = engine.apply(&accepted.job.record, &begin, clock::now_millis())?;
        Ok(engine.plan(&begun.job.record)?)
    }

    /// One output, whatever its length, that nobody resumes.
    fn limits(&self) -> WriterLimits {
        WriterLimits {
            shard_resources_max: u64::MAX,
            shard_bytes_max: u64::MAX,
            open_span_bytes_max: u64::MAX,
            line_bytes_max: usize::try_from(self.line_bytes).unwrap_or(usize::MAX),
            layout: Layout::Together,
            validate: self.selection.validation(),
            digest: false,
            ..WriterLimits::default()
        }
    }
}

/// The list of patients is the group that is asked for, and no one else's exports are in the way. What else is asked, is
/// asked for nothing that a filter does.
fn facts(needs: &[Need]) -> Facts {
    let group = |need: &Need| if let Need::Group(id) = need { Some(id.clone()) } else { None };
    Facts { groups: needs.iter().filter_map(group).collect(), active_jobs: Some(0), ..Facts::default() }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_instant(text).map_err(|error| error.to_string())
}

/// Each has its own engine and blocks; more than this is a slip of the hand.
const THREADS_MAX: i64 = 256;

/// The lines are read once, and a pipe cannot be read again.
const CONTEXT: &str = "Provenance is left out: which of it belongs to these patients takes a second reading to tell; \
    `ehi export` does that";

const EXAMPLES: &str = "\
Examples:
  ehi filter --type Patient records/*.ndjson
  ehi filter --type-filter 'Observation?category=laboratory&date=gt2018-07-01' records.ndjson >laboratory.ndjson
  zcat records.ndjson.gz | ehi filter --since 2024-01-01T00:00:00Z --patients ids.txt | wc -l";

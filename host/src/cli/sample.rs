//! `ehi sample`.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::sample::{self, SampleOptions};

/// Make synthetic FHIR R4 records to try things with
///
/// Writes one NDJSON file for each of some twenty resource types, with groups group-a, group-b and group-empty. The same
/// seed gives the same bytes everywhere; more patients only add to them. No person stands behind any of it.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sample {
    /// How many patients
    #[arg(long, default_value_t = 10)]
    patients: u32,
    /// Which records: any number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder to write to; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Sample {
    pub(super) fn run(self) -> Result<(), Failure> {
        let made = sample::write(&SampleOptions { patients: self.patients, seed: self.seed }, &self.out)?;
        let resources: u64 = made.values().sum();
        eprintln!("{resources} resources of {} types in {}", made.len(), self.out.display());
        Ok(())
    }
}

const EXAMPLES: &str = "\
Examples:
  ehi sample --patients 10 --seed 1 --out records
  ehi sample --patients 100000 --seed 7 --out many-records";

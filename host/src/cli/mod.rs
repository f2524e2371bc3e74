//! The command line.

mod export;
mod fetch;
mod filter;
mod job;
mod pointer;
mod sample;
mod selection;
mod serve;
mod watch;

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::source::Folder;

/// FHIR Bulk Data $export and EHI export: a server, and the same jobs without one.
#[derive(Parser)]
#[command(name = "ehi", version, about, long_about = LONG, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Export(export::Export),
    Fetch(fetch::Fetch),
    Filter(filter::Filter),
    Sample(sample::Sample),
}

/// Says of a data folder what will not be read of it.
pub(crate) fn mention_other_files(folder: &Folder) -> anyhow::Result<()> {
    match folder.other_files()? {
        0 => {}
        1 => eprintln!("1 file in the data folder does not end in .ndjson and is not read"),
        files => eprintln!("{files} files in the data folder do not end in .ndjson and are not read"),
    }
    Ok(())
}

/// Says something on stderr, or to nobody if nobody reads that any more.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Why a command did not do what it was asked to.
pub(crate) enum Failure {
    /// It was asked for something that cannot be asked for: exit 2.
    Usage(String),
    /// It was tried and failed: exit 1.
    Failed(anyhow::Error),
    /// It ended in another way, which was told: that exit code.
    Told(u8),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs the program. Exit codes: 0 done, 1 failed, 2 wrong usage or refused input.
pub fn run() -> ExitCode {
    // Writing to a pipe that nobody reads any more is how `head` ends us; nothing to report.
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Export(export) => export.run(),
        Command::Fetch(fetch) => fetch.run(),
        Command::Filter(filter) => filter.run(),
        Command::Sample(sample) => sample.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            say(format_args!("ehi: {text}"));
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            say(format_args!("ehi: {error:#}"));
            ExitCode::FAILURE
        }
        Err(Failure::Told(code)) => ExitCode::from(code),
    }
}

const LONG: &str = "\
FHIR Bulk Data $export and EHI export: a server, and the same jobs without one.

A first look, from nothing to an exported patient:

  ehi sample --patients 10 --seed 1 --out records
  ehi export --data records --out exported --level patient
  ehi filter --type-filter 'Patient?gender=female' records/*.ndjson
  ehi serve --data records
  curl -i 'http://127.0.0.1:8080/fhir/Patient/$export'
  ehi fetch http://127.0.0.1:8080/fhir --insecure-http --out fetched

Exit codes: 0 done, 1 failed, 2 wrong usage or refused input.";

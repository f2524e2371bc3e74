//! `bench`: how fast `ehi filter` is and how much memory it takes, beside programs that people use for the same.
//!
//! All figures are ratios within one run, so that they say something on any machine: every program answers the same
//! question on the same bytes, in turn, several rounds, and medians of CPU time are compared.

mod divan;
mod inputs;
mod page;
mod programs;
mod targets;
mod transfer;

use std::fs;

use anyhow::{Context, Result};
use clap::Args;

use crate::{command, component, workspace::Workspace};
use divan::Benches;
use inputs::Inputs;
use page::Machine;
use programs::Programs;

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// How often each program runs; medians are compared
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print the table and leave docs/performance.md as it is
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &BenchArgs) -> Result<()> {
    // The component comes from programs of the dev profile, as everywhere; what is measured is the release.
    component::programs(workspace)?;
    command::run(workspace.cargo().args(["build", "--release"]).args(Workspace::HOST_CRATES).args(["--bin", "ehi"]))?;
    let inputs = Inputs::make(workspace)?;
    let programs = Programs::find(workspace, &inputs)?;
    // First what is still to be compiled, so that nothing else goes on while programs run.
    let benches = Benches::run(workspace)?;
    let runs = programs.measure(args.rounds)?;
    let transfer = transfer::measure(workspace, &inputs.large, args.rounds)?;
    let page = page::write(&Machine::this(), args.rounds, &runs, &benches, &transfer, &programs.versions());
    println!("{page}");
    if args.print {
        return Ok(());
    }
    let path = workspace.path("docs/performance.md");
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
}

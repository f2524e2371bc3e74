//! `sim`: hosts, clients and people on a virtual clock, under faults, from seeds.

use anyhow::Result;
use clap::Args;

use crate::command;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct SimArgs {
    /// How many seeds; 100000 must meet everything a thousand times
    #[arg(long, value_name = "N")]
    runs: Option<u64>,

    /// The first seed; alone, the only one
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// Break the code in every way that is known, and see each found
    #[arg(long, conflicts_with = "runs")]
    mutants: bool,
}

/// Builds the simulation by itself, without the host, and runs it.
pub(crate) fn run(workspace: &Workspace, args: &SimArgs) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--quiet", "--package", "ehi-sim", "--"]);
    for (name, number) in [("--runs", args.runs), ("--seed", args.seed)] {
        if let Some(number) = number {
            cargo.arg(name).arg(number.to_string());
        }
    }
    if args.mutants {
        cargo.arg("--mutants");
    }
    command::run(&mut cargo)
}

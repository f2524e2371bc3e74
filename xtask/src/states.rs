//! `states`: the states of a job, checked exhaustively, and the diagram of them.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::committed::{self, Generated, Mode};
use crate::{command, workspace::Workspace};

#[derive(Args)]
pub(crate) struct StatesArgs {
    /// Check with wider bounds than CI, in release: takes minutes and gigabytes
    #[arg(long)]
    large: bool,
}

/// Checks, prints how many states there are, and writes `docs/job-states.md`. CI does the same in the tests.
pub(crate) fn run(workspace: &Workspace, args: &StatesArgs) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--quiet", "--package", "ehi-states"]);
    if args.large {
        cargo.args(["--release", "--", "--large"]);
    }
    let text = command::capture(&mut cargo)?;
    let page = Generated { path: PathBuf::from("docs/job-states.md"), text };
    committed::settle(workspace, &[page], Mode::Write, "states")
}

//! `deny`: licences, bans and sources of our dependencies, by cargo-deny.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// Installs cargo-deny if need be, and checks.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let program = match installed(workspace) {
        Some(program) => program,
        None => install(workspace)?,
    };
    check(workspace, program)
}

/// Where cargo-deny is, if it is installed.
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    [own(workspace), PathBuf::from("cargo-deny")]
        .into_iter()
        .find(|program| command::probe(Command::new(program).arg("--version")).is_some())
}

/// Advisories are left out: they need a database from a network that a build machine may lack.
pub(crate) fn check(workspace: &Workspace, program: PathBuf) -> Result<()> {
    command::run(Command::new(program).arg("--manifest-path").arg(workspace.path("Cargo.toml")).args([
        "--all-features",
        "--locked",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn install(workspace: &Workspace) -> Result<PathBuf> {
    eprintln!("cargo-deny is not installed; building it takes several minutes, once");
    command::run(
        workspace
            .cargo()
            .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--root"])
            .arg(workspace.target("tools")),
    )
    .context("cannot install cargo-deny")?;
    Ok(own(workspace))
}

fn own(workspace: &Workspace) -> PathBuf {
    workspace.target("tools/bin/cargo-deny")
}

const VERSION: &str = "0.20.2";

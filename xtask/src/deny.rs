//! `deny`: licences, bans and sources of our dependencies, by cargo-deny.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::tool::Tool;
use crate::workspace::Workspace;

/// Installs cargo-deny if need be, and checks.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    check(workspace, CARGO_DENY.get(workspace)?)
}

/// Where cargo-deny is, if it is installed.
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    CARGO_DENY.installed(workspace)
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

const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };

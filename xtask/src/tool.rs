//! Cargo's subcommands of others: looked for, and installed into the target directory if need be.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// A program that crates.io has.
pub(crate) struct Tool {
    /// The name of crate and program.
    pub(crate) name: &'static str,
    /// What is installed where none is found.
    pub(crate) version: &'static str,
}

impl Tool {
    /// Where it is, once it is installed.
    pub(crate) fn get(&self, workspace: &Workspace) -> Result<PathBuf> {
        self.installed(workspace).map_or_else(|| self.install(workspace), Ok)
    }

    /// Where it is, if it is installed.
    pub(crate) fn installed(&self, workspace: &Workspace) -> Option<PathBuf> {
        [self.own(workspace), PathBuf::from(self.name)]
            .into_iter()
            .find(|program| command::probe(Command::new(program).arg("--version")).is_some())
    }

    fn install(&self, workspace: &Workspace) -> Result<PathBuf> {
        eprintln!("{} is not installed; building it takes several minutes, once", self.name);
        command::run(
            workspace
                .cargo()
                .args(["install", self.name, "--version", self.version, "--locked", "--root"])
                .arg(workspace.target("tools")),
        )
        .with_context(|| format!("cannot install {}", self.name))?;
        Ok(self.own(workspace))
    }

    fn own(&self, workspace: &Workspace) -> PathBuf {
        workspace.target("tools/bin").join(self.name)
    }
}

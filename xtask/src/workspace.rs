//! Where the workspace and its build output lie, and how its cargo is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command;

/// The workspace that `cargo xtask` was called in.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Cargo's selection of all that runs on the host, but for these tasks.
    ///
    /// One selection for every build: another one would turn on other features, and with them build wasmtime once more.
    pub(crate) const HOST_CRATES: [&str; 7] =
        ["--workspace", "--exclude", "ehi-component", "--exclude", "ehi-js", "--exclude", "xtask"];

    /// Asks cargo, so that `CARGO_TARGET_DIR` and every config file count.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR").context("start tasks with `cargo xtask`")?;
        let root =
            Path::new(&manifest_dir).parent().context("the xtask crate does not lie in a workspace")?.to_path_buf();
        let metadata = command::capture(
            cargo_program()
                .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
                .arg(root.join("Cargo.toml")),
        )?;
        let metadata: Metadata = serde_json::from_str(&metadata).context("reading `cargo metadata`")?;
        Ok(Self { root, target: metadata.target_directory })
    }

    /// A path inside the workspace.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A path inside the target directory.
    pub(crate) fn target(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.target.join(relative)
    }

    /// A program, in the workspace's root.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut program = Command::new(name);
        program.current_dir(&self.root);
        program
    }

    /// Cargo, in the workspace's root and with its target directory, so that all tasks share one cache.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = cargo_program();
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        cargo
    }
}

#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

fn cargo_program() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

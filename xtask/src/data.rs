//! `data`: records that others made, for the tests of real input. They are not ours to commit.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{command, workspace::Workspace};

/// Makes the data if they are not there.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let out = folder(workspace);
    if out.is_dir() {
        return Ok(());
    }
    let packages = workspace.target("data/python");
    let mut pip = workspace.program("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(&packages)
        .arg(PACKAGE);
    command::run(&mut pip).context("the package that makes the data cannot be installed")?;
    // Made under another name first, so that what was interrupted is not taken for whole.
    let unfinished = workspace.target("data/carebundle-unfinished");
    let mut generate = workspace.program("python3");
    generate.env("PYTHONPATH", &packages).arg(packages.join("bin/carebundle")).args(ARGUMENTS).arg(&unfinished);
    command::run(&mut generate)?;
    fs::rename(&unfinished, &out).with_context(|| format!("cannot create `{}`", out.display()))
}

/// Where the data are once they are made.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target("data/carebundle")
}

const PACKAGE: &str = "carebundle==0.5.0";

const ARGUMENTS: [&str; 12] = [
    "generate",
    "--profile",
    "mixed",
    "--count",
    "200",
    "--seed",
    "42",
    "--sex",
    "mixed",
    "--format",
    "ndjson",
    "--out",
];

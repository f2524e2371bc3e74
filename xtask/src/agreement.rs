//! `agreement`: core's search beside other implementations of it, on data that others made.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::committed::{self, Generated, Mode};
use crate::freshness::Step;
use crate::workspace::Workspace;
use crate::{command, data, generate};

/// Builds our side, compares, prints the report and writes it to docs.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    prepare(workspace)?;
    let mut cargo = workspace.cargo();
    cargo.arg("build").args(Workspace::HOST_CRATES).args(["--bin", PROGRAM]);
    command::run(&mut cargo)?;
    let report = compare(workspace)?;
    print!("{report}");
    settle(workspace, report, Mode::Write)
}

/// Gets what the comparison needs from package registries.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    packages(workspace)?;
    definitions(workspace)?;
    data::run(workspace)
}

/// Compares by the program that the tests were built with; fails if the committed report says anything else.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let report = compare(workspace)?;
    settle(workspace, report, Mode::Check)
}

fn settle(workspace: &Workspace, report: String, mode: Mode) -> Result<()> {
    let page = Generated { path: PathBuf::from("docs/agreement.md"), text: report };
    committed::settle(workspace, &[page], mode, "agreement")
}

/// The report, if there is nothing that it cannot explain.
fn compare(workspace: &Workspace) -> Result<String> {
    let folder = folder(workspace);
    let input = json!({
        "program": workspace.target("debug").join(PROGRAM),
        "carebundle": data::folder(workspace),
        "definitions": folder.join(DEFINITIONS),
        "resourceTypes": resource_types(workspace)?,
    });
    let path = folder.join("input.json");
    fs::write(&path, input.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    command::run(workspace.program("node").arg("tests/agreement/main.mjs").arg(&folder))
        .context("core and another implementation disagree, and nothing explains why")?;
    let report = folder.join("report.md");
    fs::read_to_string(&report).with_context(|| format!("cannot read {}", report.display()))
}

fn resource_types(workspace: &Workspace) -> Result<Vec<String>> {
    let path = workspace.path("core/data/r4/resource-types.txt");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The npm packages, in the versions of the lock file.
fn packages(workspace: &Workspace) -> Result<()> {
    let source = workspace.path("tests/agreement");
    let installed = source.join("node_modules");
    let step = Step { output: &installed, with: "" };
    step.make_if_stale(
        || Ok(vec![source.join("package.json"), source.join("package-lock.json")]),
        || {
            let mut npm = workspace.program("npm");
            // None of them needs to run anything of its own.
            npm.current_dir(&source).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            command::run(&mut npm).context("the npm packages that we compare with cannot be installed")
        },
    )
}

/// The official definitions, one a file.
fn definitions(workspace: &Workspace) -> Result<()> {
    let out = folder(workspace).join(DEFINITIONS);
    if out.is_dir() {
        return Ok(());
    }
    // Made under another name first, so that what was interrupted is not taken for whole.
    let unfinished = out.with_extension("unfinished");
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
    generate::unpack(workspace, &unfinished)?;
    fs::rename(&unfinished, &out).with_context(|| format!("cannot create {}", out.display()))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target(Path::new("agreement"))
}

/// Our side, of the crate of tests.
const PROGRAM: &str = "agreement";

const DEFINITIONS: &str = "definitions";

//! What is measured on: made once, the same bytes everywhere.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{command, freshness::Step, workspace::Workspace};

/// Files below target/perf.
pub(super) struct Inputs {
    /// 50 MB of ten resource types.
    pub(super) small: PathBuf,
    /// 500 MB of the same.
    pub(super) large: PathBuf,
    /// One id, 10^5 and 10^6 of them, of patients that occur in the records.
    pub(super) patients: [PathBuf; 3],
    /// Where outputs of the measured programs go.
    pub(super) scratch: PathBuf,
}

impl Inputs {
    pub(super) fn make(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target("perf");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let generator = generator(workspace, &folder)?;
        let made = |name: &str, make: &dyn Fn(&Path) -> Result<()>| -> Result<PathBuf> {
            let output = folder.join(name);
            let step = Step { output: &output, with: name };
            step.make_if_stale(|| Ok(vec![generator.clone()]), || make(&output))?;
            Ok(output)
        };
        let records = |bytes: u64| {
            let generator = &generator;
            move |output: &Path| {
                let mut program = workspace.program(&generator.to_string_lossy());
                command::run(program.arg(bytes.to_string()).arg(output))
            }
        };
        let ids = |count: u64| {
            let generator = &generator;
            move |output: &Path| {
                let mut program = workspace.program(&generator.to_string_lossy());
                let file = File::create(output).with_context(|| format!("cannot create {}", output.display()))?;
                command::run(program.args(["patients", &count.to_string()]).stdout(file))
            }
        };
        Ok(Self {
            small: made("mixed-50mb.ndjson", &records(SMALL_BYTES))?,
            large: made("mixed-500mb.ndjson", &records(LARGE_BYTES))?,
            patients: [
                made("patients-1.txt", &ids(1))?,
                made("patients-100000.txt", &ids(100_000))?,
                made("patients-1000000.txt", &ids(1_000_000))?,
            ],
            scratch: folder.join("output"),
        })
    }
}

/// Built by rustc alone: it needs no crate, and the tasks of this project none of what it does.
fn generator(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let program = folder.join("generate");
    let sources = workspace.path("tests/perf/generate");
    let inputs = || -> Result<Vec<PathBuf>> { fs::read_dir(&sources)?.map(|entry| Ok(entry?.path())).collect() };
    Step { output: &program, with: "rustc -O" }.make_if_stale(inputs, || {
        let mut rustc = workspace.program("rustc");
        command::run(rustc.args(["--edition", "2024", "-O", "-o"]).arg(&program).arg(sources.join("main.rs")))
    })?;
    Ok(program)
}

const SMALL_BYTES: u64 = 50_000_000;
pub(super) const LARGE_BYTES: u64 = 500_000_000;

//! `requirements`: which requirements of the guides the tests of a run have reached.
//!
//! A test that asserts a requirement writes a record of it into a folder. The records of a run are held against the
//! list in `tests/requirements.toml`, so that a row says "covered" only if a test that ran says so too.

mod documented;
mod judge;
mod matrix;
mod page;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::committed::{self, Generated, Mode};
use crate::workspace::Workspace;

use self::judge::Reached;
use self::matrix::{Matrix, Record};

#[derive(Args)]
pub(crate) struct RequirementsArgs {
    /// Write nothing; fail with a summary if the committed page differs from what would be generated
    #[arg(long)]
    check: bool,
}

/// The environment variable that tells tests where to put their records.
pub(crate) const FOLDER_VARIABLE: &str = "EHI_REQUIREMENTS_DIR";

pub(crate) fn run(workspace: &Workspace, args: &RequirementsArgs) -> Result<()> {
    settle(workspace, Mode::check_if(args.check))
}

/// Judges the records of the last run and writes or checks the page.
pub(crate) fn settle(workspace: &Workspace, mode: Mode) -> Result<()> {
    let matrix = Matrix::read(&workspace.path("tests/requirements.toml"))?;
    let records = read_records(&records_folder(workspace))?;
    let faults = [judge::faults(&matrix, &records), documented::faults(workspace, &matrix)].concat();
    if !faults.is_empty() {
        bail!("{} faults in the requirements:\n{}", faults.len(), faults.join("\n"));
    }
    let page =
        Generated { path: PathBuf::from("docs/conformance.md"), text: page::write(&matrix, &Reached::by_id(&records)) };
    committed::settle(workspace, &[page], mode, "requirements")
}

/// Where the records of the last run are.
pub(crate) fn records_folder(workspace: &Workspace) -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE).map_or_else(|| workspace.target("requirements"), PathBuf::from)
}

fn read_records(folder: &Path) -> Result<Vec<Record>> {
    let mut files = fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("no records of a test run in {}; `cargo xtask test` makes them", folder.display()))?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut records = Vec::new();
    for file in files {
        let path = file.path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for (index, line) in text.lines().enumerate() {
            let record = serde_json::from_str(line)
                .with_context(|| format!("{}:{} is not a record", path.display(), index + 1))?;
            records.push(record);
        }
    }
    Ok(records)
}

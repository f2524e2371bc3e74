//! The conformance cases of `tests/cases`, and what runs them through any engine.
//!
//! A case is one behaviour, told as data: a deployment, its data, and what happens to it step by step (the format is
//! documented in `tests/cases/README.md`). [`run`] plays it the way a host would, holds what comes back against what the case
//! expects, and returns a full transcript: every call's whole answer, with every byte. Nothing in it comes from a clock or
//! from randomness, so that two engines that behave alike have equal transcripts.

mod check;
mod expect;
mod export;
mod format;
mod lines;
mod play;
mod store;
mod transcript;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use format::Case;
pub use play::{Manner, Run, run};

/// All cases, in the order of their names.
pub fn all() -> Result<Vec<Case>> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    ensure!(!paths.is_empty(), "there are no cases in {}", folder.display());
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Case> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).context("a case file has a name in UTF-8")?;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Case::parse(name, &text).with_context(|| format!("{} is not a case", path.display()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

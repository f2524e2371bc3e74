//! The conformance cases of `tests/cases`, and what runs them through any engine.
//!
//! A case is one behaviour, told as data: a deployment, its data, and what happens to it step by step (the format is
//! documented in `tests/cases/README.md`). [`run`] plays it the way a host would, holds what comes back against what
//! the case expects, and returns a full transcript: every call's whole answer, with every byte. Nothing in it comes
//! from a clock or from randomness, so that two engines that behave alike have equal transcripts.

mod check;
mod expect;
mod export;
mod format;
mod lines;
mod play;
mod store;
mod transcript;
mod type_filter;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use format::Case;
pub use play::{Manner, Run, run};
pub use type_filter::type_filter;

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

#[cfg(test)]
mod tests {
    use ehi_core::Endpoint;
    use ehi_host::engine::Native;

    use super::*;

    #[test]
    fn the_example_of_the_description_comes_true() {
        let description = include_str!("../cases/README.md");
        let (_, example) = description.split_once("```json\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let case = Case::parse("example", example).unwrap();
        let engines = Native::new(Endpoint::new(case.config.clone()).unwrap());
        run(&case, &engines, Manner::Whole).unwrap();
    }

    #[test]
    fn a_misspelt_case_is_refused() {
        let refusal = |text: &str| Case::parse("case", text).unwrap_err().to_string();
        for (text, reason) in [
            (r#"{"about":"","steps":[],"step":[]}"#, "unknown field `step`"),
            (
                r#"{"about":"","steps":[],"requirements":["BD-DEL-99"]}"#,
                "`BD-DEL-99` is not in tests/requirements.toml",
            ),
            (r#"{"about":"","steps":[{"advance":1,"sweep":{},"expect":"nothing"}]}"#, "nothing is to be expected"),
            (r#"{"about":"","steps":[{"export":{}}]}"#, "`export` needs `expect`"),
            (r#"{"about":"","steps":[{"wants":"a","sweep":{},"expect":"nothing"}]}"#, "a step is one of"),
            (
                r#"{"about":"","steps":[{"request":{"target":"/"},"expect":{"stauts":200}}]}"#,
                "what is expected of `request`",
            ),
        ] {
            assert!(refusal(text).contains(reason), "{text}: {}", refusal(text));
        }
    }
}

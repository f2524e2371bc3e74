//! Files that are generated and committed: written on demand, compared in CI.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// What to do with text that was generated.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// Replace the committed files.
    Write,
    /// Leave the committed files alone and fail where they differ.
    Check,
}

impl Mode {
    pub(crate) fn check_if(check: bool) -> Self {
        if check { Self::Check } else { Self::Write }
    }
}

/// One generated file, by its path in the workspace.
pub(crate) struct Generated {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Writes the files, or fails with a summary of what differs and the task that brings them up to date.
pub(crate) fn settle(workspace: &Workspace, files: &[Generated], mode: Mode, task: &str) -> Result<()> {
    let mut differences = Vec::new();
    for file in files {
        let path = workspace.path(&file.path);
        let committed = fs::read_to_string(&path).ok();
        if committed.as_deref() == Some(file.text.as_str()) {
            continue;
        }
        match mode {
            Mode::Write => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
                }
                fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
                eprintln!("wrote {}", file.path.display());
            }
            Mode::Check => {
                let difference =
                    committed.map_or_else(|| "is missing".to_owned(), |committed| summarise(&committed, &file.text));
                differences.push(format!("{} {difference}", file.path.display()));
            }
        }
    }
    if !differences.is_empty() {
        bail!("committed files are not what `cargo xtask {task}` generates:\n{}", differences.join("\n"));
    }
    Ok(())
}

/// The lines between the first and the last difference, shortened.
fn summarise(committed: &str, generated: &str) -> String {
    let old: Vec<&str> = committed.lines().collect();
    let new: Vec<&str> = generated.lines().collect();
    let same_before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let old_rest = old.get(same_before..).unwrap_or_default();
    let new_rest = new.get(same_before..).unwrap_or_default();
    let same_after = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let old_changed = old_rest.get(..old_rest.len() - same_after).unwrap_or_default();
    let new_changed = new_rest.get(..new_rest.len() - same_after).unwrap_or_default();
    let mut summary = format!(
        "differs from line {}: {} lines committed, {} generated",
        same_before + 1,
        old_changed.len(),
        new_changed.len()
    );
    for (sign, lines) in [('-', old_changed), ('+', new_changed)] {
        for line in lines.iter().take(LINES_SHOWN_MAX) {
            summary.push_str(&format!("\n  {sign} {line}"));
        }
        if lines.len() > LINES_SHOWN_MAX {
            summary.push_str(&format!("\n  {sign} ... {} more", lines.len() - LINES_SHOWN_MAX));
        }
    }
    summary
}

/// Enough to recognise a change, few enough to read in a CI log.
const LINES_SHOWN_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_shows_only_what_lies_between_the_differences() {
        assert_eq!(
            summarise("a\nb\nc\nd\n", "a\nx\ny\nd\n"),
            "differs from line 2: 2 lines committed, 2 generated\n  - b\n  - c\n  + x\n  + y"
        );
    }

    #[test]
    fn a_line_added_at_the_end_is_shown_alone() {
        assert_eq!(summarise("a\na\n", "a\na\na\n"), "differs from line 3: 0 lines committed, 1 generated\n  + a");
    }

    #[test]
    fn long_differences_are_cut() {
        let generated: String = (0..9).map(|number| format!("{number}\n")).collect();
        let summary = summarise("", &generated);
        assert!(summary.ends_with("\n  + ... 4 more"), "{summary}");
    }
}

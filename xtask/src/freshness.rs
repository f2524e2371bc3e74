//! Steps that cargo knows nothing of, skipped while what they read is older than what they made.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

/// One step, its output and its memory.
pub(crate) struct Step<'a> {
    pub(crate) output: &'a Path,
    /// What the step was made with besides its inputs: a program's version, flags.
    pub(crate) with: &'a str,
}

impl Step<'_> {
    /// Makes the output unless it is there, was made with the same, and nothing that it is made from is newer.
    ///
    /// `inputs` is asked before `make`, so it may read what an earlier `make` left; an error there means "not known,
    /// make".
    pub(crate) fn make_if_stale(
        &self,
        inputs: impl FnOnce() -> Result<Vec<PathBuf>>,
        make: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let stamp = self.beside(".stamp");
        if self.output.exists() && inputs().is_ok_and(|inputs| self.is_fresh(&stamp, &inputs)) {
            return Ok(());
        }
        if let Some(folder) = self.output.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        // Written first and put in place last: an input that is edited meanwhile is newer than the stamp.
        let started = self.beside(".stamp.tmp");
        fs::write(&started, self.with).with_context(|| format!("cannot write {}", started.display()))?;
        make()?;
        fs::rename(&started, &stamp).with_context(|| format!("cannot write {}", stamp.display()))
    }

    fn is_fresh(&self, stamp: &Path, inputs: &[PathBuf]) -> bool {
        let Some(stamped) = modified(stamp) else {
            return false;
        };
        let same = fs::read_to_string(stamp).is_ok_and(|with| with == self.with);
        same && inputs.iter().all(|input| modified(input).is_some_and(|modified| modified < stamped))
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.output.as_os_str().to_owned();
        name.push(ending);
        name.into()
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

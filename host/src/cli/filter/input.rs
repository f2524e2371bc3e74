//! Where lines and patients come from.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use ehi_core::population::PopulationBuilder;

use crate::cli::Failure;

/// A source of lines.
pub(super) enum Input {
    Stdin,
    File(PathBuf),
}

impl From<&PathBuf> for Input {
    fn from(path: &PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path.clone()) }
    }
}

impl Input {
    /// What reports call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => String::from("stdin"),
            Self::File(path) => path.display().to_string(),
        }
    }

    pub(super) fn open(&self) -> anyhow::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Stdin => Box::new(io::stdin().lock()),
            Self::File(path) => {
                Box::new(File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?)
            }
        })
    }
}

/// The population of a file with one patient id a line.
pub(super) fn population(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot_read = || format!("cannot read `{}`", path.display());
    let mut reader = BufReader::new(File::open(path).with_context(cannot_read)?);
    let mut population = PopulationBuilder::default();
    let (mut line, mut number) = (Vec::new(), 0_u64);
    // A line can be no longer than an id by much; what is, is read no further than it takes to say so.
    while (&mut reader).take(ID_LINE_BYTES_MAX).read_until(b'\n', &mut line).with_context(cannot_read)? > 0 {
        number += 1;
        let id = line.trim_ascii();
        if !id.is_empty() {
            let pushed = std::str::from_utf8(id)
                .map_err(|_| String::from("it is not UTF-8"))
                .and_then(|id| population.push(id).map_err(|error| error.to_string()));
            pushed.map_err(|error| Failure::Usage(format!("`{}`, line {number}: {error}", path.display())))?;
        }
        line.clear();
    }
    Ok(population.seal())
}

/// An id has at most 64 bytes; the rest is white space.
const ID_LINE_BYTES_MAX: u64 = 256;

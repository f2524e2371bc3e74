//! The programs that are compared, and their runs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::inputs::Inputs;
use crate::{command, workspace::Workspace};

/// All that is run.
pub(super) struct Programs<'w> {
    workspace: &'w Workspace,
    scratch: PathBuf,
    python: PathBuf,
    programs: Vec<Program>,
}

struct Program {
    name: Name,
    arguments: Vec<String>,
    /// Lines that it must find, where it is known.
    lines: Option<usize>,
}

/// A program with its mode and input. The order is that of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Trust,
    StrictOutput,
    StrictAll,
    Component,
    DuckDb,
    Polars,
    Orjson,
    Count,
    TrustSmall,
    StrictOutputSmall,
    ComponentSmall,
    Jq,
    OneThread,
    TwoThreads,
    OnePatient,
    ManyPatients,
    MostPatients,
}

impl Name {
    /// As the page calls it.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Trust => "`ehi filter --validate trust`, 500 MB",
            Self::StrictOutput => "`ehi filter`, 500 MB",
            Self::StrictAll => "`ehi filter --validate strict-all`, 500 MB",
            Self::Component => "`ehi filter --engine component`, 500 MB",
            Self::DuckDb => "DuckDB, column types given, 500 MB",
            Self::Polars => "polars, column types given, 500 MB",
            Self::Orjson => "orjson, line by line, 500 MB",
            Self::Count => "`wc -l`, 500 MB",
            Self::TrustSmall => "`ehi filter --validate trust`, 50 MB",
            Self::StrictOutputSmall => "`ehi filter`, 50 MB",
            Self::ComponentSmall => "`ehi filter --engine component`, 50 MB",
            Self::Jq => "jq, 50 MB",
            Self::OneThread => "`ehi filter`, 2 × 500 MB",
            Self::TwoThreads => "`ehi filter --threads 2`, 2 × 500 MB",
            Self::OnePatient => "`ehi filter --patients`, 1 of them, 500 MB",
            Self::ManyPatients => "`ehi filter --patients`, 100,000 of them, 500 MB",
            Self::MostPatients => "`ehi filter --patients`, 1,000,000 of them, 500 MB",
        }
    }
}

/// What one program took: medians of CPU and wall time, the most of memory.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) cpu_seconds: f64,
    pub(super) wall_seconds: f64,
    pub(super) resident_bytes: u64,
}

pub(super) type Runs = BTreeMap<Name, Taken>;

/// What run.py says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneRun {
    cpu_seconds: f64,
    wall_seconds: f64,
    resident_bytes: u64,
    exit: i32,
}

impl<'w> Programs<'w> {
    /// Finds our own, and installs the others where they are missing.
    pub(super) fn find(workspace: &'w Workspace, inputs: &Inputs) -> Result<Self> {
        let python = python(workspace)?;
        let jq = command::probe(Command::new("jq").arg("--version"));
        if jq.is_none() {
            command::run(Command::new("apt-get").args(["install", "--yes", "jq"])).context("jq is missing")?;
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (small, large) = (text(&inputs.small), text(&inputs.large));
        let ehi = text(&workspace.target("release/ehi"));
        let peer = |script: &str| text(&workspace.path("tests/perf/peers").join(script));
        let filter = |more: &[&str], files: &[&str]| -> Vec<String> {
            [&[ehi.as_str(), "filter"], more, files].concat().into_iter().map(str::to_owned).collect()
        };
        let asked = |more: &[&str], files: &[&str]| filter(&[&QUESTION, more].concat(), files);
        let by_python = |script: &str| vec![text(&python), peer(script), large.clone()];
        let listed = |patients: &Path| filter(&["--patients", &text(patients)], &[&large]);
        let [one, many, most] = &inputs.patients;
        let program = |name, lines, arguments| Program { name, lines, arguments };
        let (in_small, in_large) = (Some(LINES_SMALL), Some(LINES_LARGE));
        let programs = vec![
            program(Name::Trust, in_large, asked(&TRUST, &[&large])),
            program(Name::StrictOutput, in_large, asked(&[], &[&large])),
            program(Name::StrictAll, in_large, asked(&["--validate", "strict-all"], &[&large])),
            program(Name::Component, in_large, asked(&["--engine", "component"], &[&large])),
            program(Name::DuckDb, in_large, by_python("duckdb_typed.py")),
            program(Name::Polars, in_large, by_python("polars_typed.py")),
            program(Name::Orjson, in_large, by_python("orjson_lines.py")),
            program(Name::Count, None, vec!["wc".into(), "-l".into(), large.clone()]),
            program(Name::TrustSmall, in_small, asked(&TRUST, &[&small])),
            program(Name::StrictOutputSmall, in_small, asked(&[], &[&small])),
            program(Name::ComponentSmall, in_small, asked(&["--engine", "component"], &[&small])),
            program(Name::Jq, in_small, vec!["jq".into(), "-c".into(), "-f".into(), peer("filter.jq"), small.clone()]),
            program(Name::OneThread, Some(2 * LINES_LARGE), asked(&[], &[&large, &large])),
            program(Name::TwoThreads, Some(2 * LINES_LARGE), asked(&["--threads", "2"], &[&large, &large])),
            program(Name::OnePatient, None, listed(one)),
            program(Name::ManyPatients, None, listed(many)),
            program(Name::MostPatients, None, listed(most)),
        ];
        Ok(Self { workspace, scratch: inputs.scratch.clone(), python, programs })
    }

    /// Runs all in turn, so many rounds. All that are asked the same must find the same.
    pub(super) fn measure(&self, rounds: u32) -> Result<Runs> {
        let mut taken: BTreeMap<Name, Vec<OneRun>> = BTreeMap::new();
        for round in 1..=rounds {
            for program in &self.programs {
                let run = self.once(program)?;
                eprintln!("round {round} of {rounds}: {:.3} s of CPU: {}", run.cpu_seconds, program.name.shown());
                taken.entry(program.name).or_default().push(run);
            }
        }
        let summary = |runs: Vec<OneRun>| Taken {
            cpu_seconds: median(runs.iter().map(|run| run.cpu_seconds)),
            wall_seconds: median(runs.iter().map(|run| run.wall_seconds)),
            resident_bytes: runs.iter().map(|run| run.resident_bytes).max().unwrap_or_default(),
        };
        Ok(taken.into_iter().map(|(name, runs)| (name, summary(runs))).collect())
    }

    /// What the peers call themselves.
    pub(super) fn versions(&self) -> Vec<String> {
        let packages = PACKAGES.iter().filter_map(|package| {
            let program = format!("import {package}; print('{package}', {package}.__version__)");
            command::probe(Command::new(&self.python).args(["-c", &program]))
        });
        packages.chain(command::probe(Command::new("jq").arg("--version"))).collect()
    }

    fn once(&self, program: &Program) -> Result<OneRun> {
        let mut run = Command::new(&self.python);
        run.arg(self.workspace.path("tests/perf/run.py")).arg(&self.scratch).args(&program.arguments);
        // What `ehi filter` counts is not of interest here.
        let output = run.stderr(Stdio::piped()).output().context("cannot start python")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let taken: OneRun = serde_json::from_slice(&output.stdout).with_context(|| said.clone().into_owned())?;
        ensure!(taken.exit == 0, "{} failed: {said}", program.name.shown());
        let found = lines(&self.scratch)?;
        if program.lines.is_some_and(|lines| lines != found) {
            bail!("{} finds {found} lines, not {:?}", program.name.shown(), program.lines);
        }
        Ok(taken)
    }
}

/// A python of our own with the packages that are compared.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target("perf/python");
    let python = folder.join("bin/python");
    let import = format!("import {}", PACKAGES.join(", "));
    if command::probe(Command::new(&python).args(["-c", &import])).is_none() {
        command::run(workspace.program("python3").args(["-m", "venv"]).arg(&folder))?;
        let mut pip = workspace.program(&python.to_string_lossy());
        command::run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))?;
    }
    Ok(python)
}

fn lines(path: &Path) -> Result<usize> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.iter().filter(|byte| **byte == b'\n').count())
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 { at(middle) } else { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 }
}

/// Observations of the laboratory after a day, changed since an instant: what all programs are asked.
const QUESTION: [&str; 6] = [
    "--type",
    "Observation",
    "--type-filter",
    "Observation?category=laboratory&date=gt2018-07-01",
    "--since",
    "2020-01-01T00:00:00Z",
];
const TRUST: [&str; 2] = ["--validate", "trust"];

/// What the question finds in the inputs, which follow from their seed.
const LINES_SMALL: usize = 2_012;
const LINES_LARGE: usize = 20_131;

const PACKAGES: [&str; 3] = ["duckdb", "polars", "orjson"];

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert!(median([].into_iter()).is_nan());
    }
}

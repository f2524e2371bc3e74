//! `fuzz`: inputs that libFuzzer makes up, through the targets of tests/fuzz.
//!
//! The programs are built once by cargo-fuzz and then run as they are, so that what a run collects and finds stays in the
//! target directory; from there a person takes what is worth keeping.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::command;
use crate::tool::Tool;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// How long each target is run
    #[arg(long, value_name = "N", default_value_t = 600)]
    seconds: u64,

    /// Names of targets; without any, all are run
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Runs the targets one after the other, prints how often each ran, and fails if one found something.
pub(crate) fn run(workspace: &Workspace, args: &FuzzArgs) -> Result<()> {
    let targets = targets(workspace, &args.targets)?;
    if host(workspace).is_none() {
        command::run(workspace.program("rustup").args(["toolchain", "install", TOOLCHAIN, "--profile", "minimal"]))
            .context("the nightly toolchain is missing and cannot be installed")?;
    }
    let programs = build(workspace, &CARGO_FUZZ.get(workspace)?)?;
    let mut table = Vec::new();
    let mut found = Vec::new();
    for target in targets {
        let fuzzed = fuzz(workspace, &programs.join(&target), &target, args.seconds)?;
        let end = if fuzzed.is_clean { "clean" } else { "FOUND SOMETHING" };
        let Fuzzed { runs, per_second, .. } = fuzzed;
        table.push(format!("{target:<12}{runs:>12} runs{per_second:>8} per second  {end}"));
        found.extend((!fuzzed.is_clean).then_some(target));
    }
    println!("{}", table.join("\n"));
    if !found.is_empty() {
        bail!("{} found something: see {}", found.join(", "), workspace.target("fuzz/artifacts").display());
    }
    Ok(())
}

/// Those that were named, or all: each has a folder of inputs.
fn targets(workspace: &Workspace, named: &[String]) -> Result<Vec<String>> {
    let folder = workspace.path(CORPORA);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut known = Vec::new();
    for entry in entries {
        known.push(entry?.file_name().to_string_lossy().into_owned());
    }
    known.sort();
    if let Some(unknown) = named.iter().find(|target| !known.contains(target)) {
        bail!("there is no target `{unknown}`; the targets are {}", known.join(", "));
    }
    Ok(if named.is_empty() { known } else { named.to_vec() })
}

/// Builds all of them with AddressSanitizer and overflow checks, and says in which folder they are.
fn build(workspace: &Workspace, cargo_fuzz: &Path) -> Result<PathBuf> {
    let host = host(workspace).context("the nightly toolchain does not run")?;
    let target = workspace.target("fuzz");
    let mut build = workspace.program("rustup");
    build.args(["run", TOOLCHAIN]).arg(cargo_fuzz).args(["build", "--fuzz-dir", "tests/fuzz/cargo-fuzz"]);
    build.arg("--target").arg(&host).arg("--target-dir").arg(&target).env_remove("CARGO_ENCODED_RUSTFLAGS");
    command::run(&mut build)?;
    Ok(target.join(host).join("release"))
}

/// The machine that nightly builds for, by which sanitizers come; `None` if there is no nightly.
fn host(workspace: &Workspace) -> Option<String> {
    command::probe(workspace.program("rustup").args(["run", TOOLCHAIN, "rustc", "--print", "host-tuple"]))
}

/// What came of one target.
struct Fuzzed {
    runs: u64,
    per_second: u64,
    is_clean: bool,
}

/// Runs one, with the committed inputs and those that earlier runs collected.
fn fuzz(workspace: &Workspace, program: &Path, target: &str, seconds: u64) -> Result<Fuzzed> {
    let collected = workspace.target("fuzz/corpus").join(target);
    let artifacts = workspace.target("fuzz/artifacts").join(target);
    for folder in [&collected, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut fuzz = Command::new(program);
    // New inputs go to the first folder.
    fuzz.arg(collected).arg(workspace.path(CORPORA).join(target));
    fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={TIMEOUT_SECONDS}"));
    fuzz.arg(format!("-artifact_prefix={}/", artifacts.display())).arg("-print_final_stats=1");
    eprintln!("\n== {target}, {seconds} s");
    watch(&mut fuzz).with_context(|| format!("cannot run {}", program.display()))
}

/// Shows what it says, but for the lines that tell of each new input, and takes the numbers from there.
fn watch(fuzz: &mut Command) -> Result<Fuzzed> {
    let mut child = fuzz.stderr(Stdio::piped()).spawn()?;
    let said = child.stderr.take().context("its output is not to be had")?;
    let (mut runs, mut per_second) = (0, 0);
    for line in BufReader::new(said).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        runs = statistic(&line, "number_of_executed_units").unwrap_or(runs);
        per_second = statistic(&line, "average_exec_per_sec").unwrap_or(per_second);
        if !["\tNEW ", "\tREDUCE ", "\tRELOAD "].iter().any(|mark| line.contains(mark)) {
            eprintln!("{line}");
        }
    }
    Ok(Fuzzed { runs, per_second, is_clean: child.wait()?.success() })
}

/// The number in a line such as `stat::number_of_executed_units: 17`.
fn statistic(line: &str, name: &str) -> Option<u64> {
    line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok()
}

const CARGO_FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2" };

const TOOLCHAIN: &str = "nightly";

const CORPORA: &str = "tests/fuzz/corpus";

/// An input takes milliseconds; one that takes this long on a busy machine would stop a server.
const TIMEOUT_SECONDS: u32 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_by_name() {
        let line = "stat::number_of_executed_units: 17";
        assert_eq!(statistic(line, "number_of_executed_units"), Some(17));
        assert_eq!(statistic(line, "number_of"), None);
        assert_eq!(statistic("#17 DONE", "number_of_executed_units"), None);
    }
}

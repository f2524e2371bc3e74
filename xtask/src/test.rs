//! `test`: everything that CI runs, in one list.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::committed::Mode;
use crate::demo::{self, DemoArgs};
use crate::generate::{self, Checked};
use crate::workspace::Workspace;
use crate::{agreement, command, component, configuration, data, deny, header, js, requirements, setup, wasm};

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Leave out what seldom breaks: generated data, documentation, the lints of the wasm crates, licences, our own
    /// tasks
    #[arg(long)]
    fast: bool,
}

/// Runs the steps in order, up to the first that fails, and prints how long each took.
pub(crate) fn run(workspace: &Workspace, args: &TestArgs) -> Result<()> {
    let mut finished = Vec::new();
    let result =
        STEPS.iter().filter(|step| step.fast || !args.fast).try_for_each(|step| take(workspace, step, &mut finished));
    eprintln!("\n== steps");
    for line in &finished {
        eprintln!("{line}");
    }
    result
}

/// One thing that CI checks.
struct Step {
    name: &'static str,
    /// Whether `--fast` keeps it.
    fast: bool,
    run: fn(&Workspace) -> Result<Outcome>,
}

enum Outcome {
    Passed,
    /// The step needs something that this machine lacks, and may be left out there.
    NotRun(String),
}

/// The cheap and the likely to fail stand first. What the tests load is built before them.
const STEPS: [Step; 20] = [
    step("set-up", true, |workspace| setup::run(workspace).map(passed)),
    step("format", true, format),
    step("lints", true, host_lints),
    step("lints of the wasm crates", false, wasm_lints),
    step("generated data", false, generated_data),
    step("configuration", true, |workspace| configuration::generate(workspace, Mode::Check).map(passed)),
    step("C header", true, |workspace| header::generate(workspace, Mode::Check).map(passed)),
    step("libraries and programs", true, build),
    step("component", true, component),
    step("programs with their engine", true, build),
    step("npm package", true, npm_package),
    step("documentation", false, documentation),
    step("examples in the documentation", false, doctests),
    step("tests of these tasks", false, own_tests),
    step("data of others", true, data_of_others),
    step("agreement with others", false, agreement_with_others),
    step("tests", true, tests),
    step("demonstration", false, demonstration),
    step("requirements", true, |workspace| requirements::settle(workspace, Mode::Check).map(passed)),
    step("licences, bans and sources", false, licences),
];

/// What the README shows first.
fn demonstration(workspace: &Workspace) -> Result<Outcome> {
    demo::run(workspace, &DemoArgs::small(workspace.target("demo"))).map(passed)
}

const fn step(name: &'static str, fast: bool, run: fn(&Workspace) -> Result<Outcome>) -> Step {
    Step { name, fast, run }
}

fn passed((): ()) -> Outcome {
    Outcome::Passed
}

fn take(workspace: &Workspace, step: &Step, finished: &mut Vec<String>) -> Result<()> {
    eprintln!("\n== {}", step.name);
    let started = Instant::now();
    let result = (step.run)(workspace);
    let took = seconds(started.elapsed());
    let name = step.name;
    finished.push(match &result {
        Ok(Outcome::Passed) => format!("{took}  {name}"),
        Ok(Outcome::NotRun(why)) => format!("{took}  {name}: NOT RUN, {why}"),
        Err(_) => format!("{took}  {name}: FAILED"),
    });
    result.map(|_| ()).with_context(|| format!("the step `{name}` failed"))
}

fn seconds(duration: Duration) -> String {
    format!("{:>8.1} s", duration.as_secs_f64())
}

fn format(workspace: &Workspace) -> Result<Outcome> {
    command::run(workspace.cargo().args(["fmt", "--all", "--check"])).map(passed)
}

fn host_lints(workspace: &Workspace) -> Result<Outcome> {
    let mut cargo = workspace.cargo();
    cargo.args(["clippy", "--workspace", "--exclude", "ehi-component", "--exclude", "ehi-js"]).args([
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    command::run(&mut cargo).map(passed)
}

/// One package at a time and in the wasm profile, so that what compiles the crates is built once, here or for the
/// build.
fn wasm_lints(workspace: &Workspace) -> Result<Outcome> {
    for package in ["ehi-component", "ehi-js"] {
        let mut cargo = wasm::cargo(workspace);
        cargo.args(["clippy", "--package", package, "--all-features"]).args([
            "--target",
            wasm::TARGET,
            "--profile",
            wasm::PROFILE,
            "--",
            "-D",
            "warnings",
        ]);
        command::run(&mut cargo)?;
    }
    Ok(Outcome::Passed)
}

fn generated_data(workspace: &Workspace) -> Result<Outcome> {
    match generate::check(workspace)? {
        Checked::UpToDate => Ok(Outcome::Passed),
        // CI reaches the package index, so there it is an error like any other.
        Checked::NoDefinitions(error) if is_ci() => Err(error),
        Checked::NoDefinitions(error) => Ok(Outcome::NotRun(format!("{error:#}"))),
    }
}

/// Tests and all: with them the dependencies get the features that they have in the tests, and are built once.
fn build(workspace: &Workspace) -> Result<Outcome> {
    let mut cargo = workspace.cargo();
    cargo.arg("build").args(Workspace::HOST_CRATES).args(["--lib", "--bins", "--tests"]);
    command::run(&mut cargo).map(passed)
}

fn component(workspace: &Workspace) -> Result<Outcome> {
    component::encode(workspace)?;
    component::compile_ahead(workspace, "debug").map(passed)
}

fn npm_package(workspace: &Workspace) -> Result<Outcome> {
    js::run(workspace)?;
    let mut node = workspace.program("node");
    node.args(["--test", "wasm/js/tests/export.mjs", "wasm/js/tests/values.mjs"]);
    command::run(&mut node).map(passed)
}

fn documentation(workspace: &Workspace) -> Result<Outcome> {
    let mut cargo = workspace.cargo();
    cargo.args(["doc", "--no-deps", "--package", "ehi-core"]).env("RUSTDOCFLAGS", "-D warnings");
    command::run(&mut cargo).map(passed)
}

fn doctests(workspace: &Workspace) -> Result<Outcome> {
    command::run(workspace.cargo().args(["test", "--doc"]).args(Workspace::HOST_CRATES)).map(passed)
}

fn own_tests(workspace: &Workspace) -> Result<Outcome> {
    command::run(runner(workspace).args(["--package", "xtask"])).map(passed)
}

fn data_of_others(workspace: &Workspace) -> Result<Outcome> {
    match data::run(workspace) {
        Ok(()) => Ok(Outcome::Passed),
        Err(error) if is_ci() => Err(error),
        Err(error) => Ok(Outcome::NotRun(format!("{error:#}"))),
    }
}

fn agreement_with_others(workspace: &Workspace) -> Result<Outcome> {
    match agreement::prepare(workspace) {
        Ok(()) => agreement::check(workspace).map(passed),
        Err(error) if is_ci() => Err(error),
        Err(error) => Ok(Outcome::NotRun(format!("{error:#}"))),
    }
}

fn tests(workspace: &Workspace) -> Result<Outcome> {
    let records = requirements::records_folder(workspace);
    if records.exists() {
        fs::remove_dir_all(&records).with_context(|| format!("cannot empty {}", records.display()))?;
    }
    fs::create_dir_all(&records).with_context(|| format!("cannot create {}", records.display()))?;
    let mut runner = runner(workspace);
    runner.args(Workspace::HOST_CRATES).env(requirements::FOLDER_VARIABLE, &records);
    if !workspace.target("data/carebundle").is_dir() {
        runner.env("EHI_WITHOUT_REGISTRY_DATA", "1");
    }
    command::run(&mut runner).map(passed)
}

/// Nextest where present. Both find what was built before by `CARGO_TARGET_DIR`.
fn runner(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    if command::probe(workspace.cargo().args(["nextest", "--version"])).is_some() {
        cargo.args(["nextest", "run", "--no-fail-fast"]);
    } else {
        cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    }
    cargo
}

fn licences(workspace: &Workspace) -> Result<Outcome> {
    if std::env::var_os("CI_DENY").is_some_and(|value| value == "1") {
        return deny::run(workspace).map(passed);
    }
    match deny::installed(workspace) {
        Some(program) => deny::check(workspace, program).map(passed),
        None => Ok(Outcome::NotRun(
            "cargo-deny is not installed; `cargo xtask deny` installs it, CI_DENY=1 makes this step do so".to_owned(),
        )),
    }
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

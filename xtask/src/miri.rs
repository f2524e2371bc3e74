//! `miri`: the unsafe code of core, run by an interpreter that sees what the machine does not.

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// Runs the tests of the walker twice: for the baseline of the machine, and on x86-64 with AVX2, which the interpreter
/// offers only to what is compiled for it.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    if command::probe(workspace.program("rustup").args(["run", TOOLCHAIN, "cargo", "miri", "--version"])).is_none() {
        install(workspace)?;
    }
    tests(workspace, "")?;
    if cfg!(target_arch = "x86_64") { tests(workspace, AVX2) } else { Ok(()) }
}

fn tests(workspace: &Workspace, flags: &str) -> Result<()> {
    command::run(
        workspace
            .program("rustup")
            .args(["run", TOOLCHAIN, "cargo", "miri", "test", "--package", "ehi-core", "--lib", "--", "json::"])
            .env("CARGO_TARGET_DIR", workspace.target("miri"))
            .env("RUSTFLAGS", flags)
            .env_remove("CARGO_ENCODED_RUSTFLAGS"),
    )
}

fn install(workspace: &Workspace) -> Result<()> {
    let mut rustup = workspace.program("rustup");
    command::run(
        rustup.args(["toolchain", "install", TOOLCHAIN, "--component", "miri,rust-src"]).args(["--profile", "minimal"]),
    )
    .context("Miri is missing and cannot be installed")
}

const TOOLCHAIN: &str = "nightly";

/// What the walker asks a machine for before it uses AVX2.
const AVX2: &str = "-C target-feature=+avx2,+bmi1,+bmi2,+lzcnt,+pclmulqdq,+popcnt";

//! Our crates for `wasm32-unknown-unknown`.

use std::path::PathBuf;
use std::process::Command;

use crate::workspace::Workspace;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Every engine that we aim at has fixed-width SIMD.
pub(crate) const RUSTFLAGS: &str = "-C target-feature=+simd128";

/// Cargo, so that it compiles what goes to wasm with our flags.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    cargo
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", RUSTFLAGS)
        // Either of these would take the place of the flags above.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// `cargo build` of one package in the one wasm profile.
pub(crate) fn build(workspace: &Workspace, package: &str) -> Command {
    let mut cargo = cargo(workspace);
    cargo.args(["build", "--target", TARGET, "--profile", PROFILE, "--package", package]);
    cargo
}

/// What that build leaves: a module, or the list of its sources.
pub(crate) fn built(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target(TARGET).join(PROFILE).join(name)
}

/// The one wasm profile; shared, so that what the compiler itself needs is built once.
pub(crate) const PROFILE: &str = "wasm";

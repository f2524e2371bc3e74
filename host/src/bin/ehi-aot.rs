//! Compiles the engine component ahead of time for this machine: `ehi-aot COMPONENT.wasm OUT.cwasm`.
//!
//! Part of the build, not of the product: `ehi` embeds what this writes.

use std::{env, fs, process::ExitCode};

use anyhow::{Context, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ehi-aot: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [component, out] = arguments.as_slice() else { bail!("usage: ehi-aot COMPONENT.wasm OUT.cwasm") };
    let component = fs::read(component).context("cannot read the component")?;
    let compiled = ehi_host::engine::precompile(&component)?;
    // Left alone when nothing changed, so that what embeds it is not built again.
    if fs::read(out).is_ok_and(|old| old == compiled) {
        return Ok(());
    }
    fs::write(out, compiled).context("cannot write the compiled engine")
}

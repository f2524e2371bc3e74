//! Embeds the engine component, as it is and compiled ahead of time, where `cargo xtask component` has left it.

use std::{env, path::PathBuf};

fn main() {
    // Cargo gives build scripts no better way to the target folder than the one they write to: target/<profile>/build/<crate>/out.
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).or_else(|| {
        let out = PathBuf::from(env::var_os("OUT_DIR")?);
        out.ancestors().nth(4).map(PathBuf::from)
    });
    println!("cargo:rustc-check-cfg=cfg(embedded_engine)");
    println!("cargo:rerun-if-env-changed=CARGO_TARGET_DIR");
    let Some(engine) = target.map(|target| target.join("engine").join("engine")) else { return };
    let (compiled, component) = (engine.with_extension("cwasm"), engine.with_extension("wasm"));
    // Compiled last, of the other.
    println!("cargo:rerun-if-changed={}", compiled.display());
    if compiled.is_file() && component.is_file() {
        println!("cargo:rustc-cfg=embedded_engine");
        println!("cargo:rustc-env=EHI_ENGINE_CWASM={}", compiled.display());
        println!("cargo:rustc-env=EHI_ENGINE_WASM={}", component.display());
    }
}

//! `js`: core for JavaScript.

use std::fs;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::command;
use crate::freshness::Step;
use crate::wasm;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    command::run(&mut wasm::build(workspace, "ehi-js"))?;
    let module = wasm::built(workspace, "ehi_js.wasm");
    let folder = workspace.path("wasm/js/dist/node");
    let step = Step { output: &folder, with: env!("CARGO_PKG_VERSION") };
    step.make_if_stale(
        || Ok(vec![module.clone()]),
        || {
            if folder.exists() {
                fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
            }
            Bindgen::new()
                .input_path(&module)
                .nodejs(true)?
                .typescript(true)
                .generate(&folder)
                .with_context(|| format!("generating JavaScript from {}", module.display()))?;
            // These are CommonJS modules, whatever the package around them says of its own.
            fs::write(folder.join("package.json"), "{ \"type\": \"commonjs\" }\n")?;
            Ok(())
        },
    )?;
    eprintln!("{}", folder.display());
    Ok(())
}

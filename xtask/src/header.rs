//! `header`: the C header of libehi, from the functions that it exports.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cbindgen::{Builder, Config};
use clap::Args;

use crate::committed::{self, Generated, Mode};
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct HeaderArgs {
    /// Write nothing; fail with a summary if the committed header differs from what would be generated
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &HeaderArgs) -> Result<()> {
    generate(workspace, Mode::check_if(args.check))
}

/// Writes or checks the header.
pub(crate) fn generate(workspace: &Workspace, mode: Mode) -> Result<()> {
    let config = Config::from_file(workspace.path("ffi/cbindgen.toml"))
        .map_err(anyhow::Error::msg)
        .context("reading ffi/cbindgen.toml")?;
    let bindings = Builder::new()
        .with_crate(workspace.path("ffi"))
        .with_config(config)
        .generate()
        .context("reading the C interface from ffi/src")?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    let header = Generated {
        path: PathBuf::from("ffi/include/ehi.h"),
        text: String::from_utf8(text).context("the header is not UTF-8")?,
    };
    committed::settle(workspace, &[header], mode, "header")
}

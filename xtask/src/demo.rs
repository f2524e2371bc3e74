//! `demo`: a real export to watch, from sample data to verified files.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::workspace::Workspace;

/// What the task does, as `main` will call it.
pub(crate) type Demo = fn(&Workspace, &DemoArgs) -> Result<()>;

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Where the demonstration leaves its files; an earlier demonstration there is replaced
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    out: PathBuf,

    /// How many patients the sample data have
    #[arg(long, value_name = "N", default_value_t = 200)]
    patients: u32,

    /// Which sample data: the same seed makes the same
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
}

//! `ehi fetch` beside curl, getting the same files from the same server.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::programs::median;
use crate::{command, workspace::Workspace};

/// Medians of some rounds.
pub(super) struct Transfer {
    pub(super) bytes: u64,
    pub(super) curl_seconds: f64,
    pub(super) fetch_seconds: f64,
}

/// What transfer.py says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneTransfer {
    bytes: u64,
    curl_seconds: f64,
    fetch_seconds: f64,
}

pub(super) fn measure(workspace: &Workspace, records: &Path, rounds: u32) -> Result<Transfer> {
    if command::probe(Command::new("curl").arg("--version")).is_none() {
        command::run(Command::new("apt-get").args(["install", "--yes", "curl"])).context("curl is missing")?;
    }
    let rounds = (0..rounds).map(|_| once(workspace, records)).collect::<Result<Vec<OneTransfer>>>()?;
    Ok(Transfer {
        bytes: rounds.first().map_or(0, |round| round.bytes),
        curl_seconds: median(rounds.iter().map(|round| round.curl_seconds)),
        fetch_seconds: median(rounds.iter().map(|round| round.fetch_seconds)),
    })
}

fn once(workspace: &Workspace, records: &Path) -> Result<OneTransfer> {
    let mut python = workspace.program("python3");
    python.arg(workspace.path("tests/perf/transfer.py")).arg(workspace.target("release/ehi")).arg(records);
    let output = python.arg(workspace.target("perf/transfer")).output().context("cannot start python")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the transfer failed: {said}");
    serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())
}

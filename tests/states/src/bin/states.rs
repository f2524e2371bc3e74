//! `cargo xtask states`: checks every scenario, tells how many states there are, and prints the page with the diagram.

use std::{collections::BTreeSet, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use ehi_states::{Checked, Scenario, check, diagram};

fn main() -> ExitCode {
    match run() {
        Ok(page) => {
            print!("{page}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String> {
    let scenarios = match std::env::args().nth(1).as_deref() {
        None => Scenario::small(),
        Some("--large") => Scenario::large(),
        Some(other) => bail!("`{other}` is not understood; `--large` is"),
    };
    let mut transitions = BTreeSet::new();
    let mut states = 0;
    for scenario in scenarios {
        let (name, started) = (scenario.name, Instant::now());
        let checked = check(scenario, None).with_context(|| name.to_owned())?;
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("{:>10} states, {:>10} steps, {seconds:>6.1} s: {name}", checked.states, checked.steps);
        if !checked.failures.is_empty() {
            bail!("{name}\n{}", checked.failures.join("\n"));
        }
        states += checked.states;
        transitions.extend(checked.transitions);
    }
    eprintln!("{states:>10} states in all");
    let untaken = Checked::untaken(&transitions);
    if !untaken.is_empty() {
        bail!("no call takes these rows of the table: {untaken:?}");
    }
    Ok(diagram(&transitions))
}

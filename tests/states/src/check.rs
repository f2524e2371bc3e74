//! Running the check.

use std::{collections::BTreeSet, num::NonZero};

use anyhow::Result;
use ehi_core::job::State;
use stateright::{Checker, Expectation, HasDiscoveries, Model as _};

use crate::{engine::Transition, model::Model, mutant::Mutant, scenario::Scenario};

/// What a check came to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// How many states there are.
    pub states: usize,
    /// How many steps lead from one to another.
    pub steps: usize,
    /// The properties that fail, each with a way to where it does.
    pub failures: Vec<String>,
    /// The rows of the table that were taken.
    pub transitions: BTreeSet<Transition>,
}

/// Checks a scenario: all of it with all guards, and without one up to the first failure.
pub fn check(scenario: Scenario, mutant: Option<Mutant>) -> Result<Checked> {
    let model = Model::new(scenario, mutant)?;
    // With one thread the first failure is the same, and the shortest, in each run.
    let threads = if mutant.is_some() { 1 } else { std::thread::available_parallelism().map_or(1, NonZero::get) };
    let finish = if mutant.is_some() { HasDiscoveries::AnyFailures } else { HasDiscoveries::All };
    let checker = model.clone().checker().threads(threads).finish_when(finish).spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let mut failures = Vec::new();
    for property in model.properties() {
        match (property.expectation, discoveries.remove(property.name)) {
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                let steps: Vec<String> = path.into_actions().iter().map(|action| format!("  {action:?}")).collect();
                failures.push(format!("not so: {}\n{}", property.name, steps.join("\n")));
            }
            (Expectation::Sometimes, None) if mutant.is_none() => failures.push(format!("never: {}", property.name)),
            _ => {}
        }
    }
    Ok(Checked {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        failures,
        transitions: model.transitions(),
    })
}

impl Checked {
    /// The rows of the table that no call of that check and of others took.
    pub fn untaken(transitions: &BTreeSet<Transition>) -> Vec<(State, &'static str, State)> {
        let taken = |from: State, to: State| transitions.iter().any(|(own, _, next)| (*own, *next) == (from, to));
        State::transitions().filter(|(from, _, to)| !taken(*from, *to)).collect()
    }
}

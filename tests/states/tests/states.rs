//! Every state of a job, and every guard taken away.

use std::collections::BTreeSet;

use ehi_states::{Checked, Mutant, Scenario, check, diagram};

#[test]
fn every_state_of_a_job_has_all_properties_and_every_row_of_the_table_is_taken() {
    let mut transitions = BTreeSet::new();
    let mut states = 0;
    for scenario in Scenario::small() {
        let name = scenario.name;
        let checked = check(scenario, None).unwrap();
        println!("{:>10} states: {name}", checked.states);
        assert!(checked.failures.is_empty(), "{name}\n{}", checked.failures.join("\n"));
        states += checked.states;
        transitions.extend(checked.transitions);
    }
    println!("{states:>10} states in all");
    assert_eq!(Checked::untaken(&transitions), []);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/job-states.md");
    let committed = std::fs::read_to_string(page).unwrap();
    assert_eq!(committed, diagram(&transitions), "`cargo xtask states` brings docs/job-states.md up to date");
}

#[test]
fn without_any_one_guard_a_property_fails() {
    let mut missed = Vec::new();
    for mutant in Mutant::ALL {
        match check(mutant.scenario(), Some(mutant)).unwrap().failures.first() {
            Some(failure) => println!("{mutant:?}: {}", failure.lines().next().unwrap_or_default()),
            None => missed.push(mutant),
        }
    }
    assert_eq!(missed, [], "nothing guards these guards");
}

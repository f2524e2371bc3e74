//! The diagram of the states, from what the check has seen: `docs/job-states.md`.

use std::collections::{BTreeMap, BTreeSet};

use ehi_core::job::State;

use crate::engine::Transition;

/// The page with the diagram.
pub fn diagram(transitions: &BTreeSet<Transition>) -> String {
    let mut labels: BTreeMap<(State, State), Vec<&str>> = BTreeMap::new();
    for (from, label, to) in transitions {
        labels.entry((*from, *to)).or_default().push(label);
    }
    let edges: String =
        labels.iter().map(|((from, to), labels)| format!("    {from:?} --> {to:?}: {}\n", labels.join(", "))).collect();
    format!("{HEAD}{edges}{FOOT}")
}

const HEAD: &str = "# The states of a job

<!-- Made by `cargo xtask states`; changes to this file are lost. -->

Every change of state that the exhaustive check of `tests/states` has seen, with the calls that bring it about. What each
state means stands in [architecture.md](architecture.md), the table itself in `core/src/job/state.rs`. A job begins in the
first state that has something to wait for, and ends when its host forgets it.

```mermaid
stateDiagram-v2
    [*] --> AwaitingPatient: a form is wanted
    [*] --> AwaitingStep: a step is wanted
    [*] --> Queued: nothing is wanted
";

const FOOT: &str = "    FailedEmpty --> [*]: forgotten
    Gone --> [*]: forgotten
```
";

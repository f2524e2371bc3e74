//! A deterministic simulation of exports: the real machines of `ehi-core` on a virtual clock, with hosts that crash and
//! come back, a network that loses and repeats, people who wait too long, clients that are torn off, and servers that
//! lie. Everything follows from a seed, and a seed replays exactly.
//!
//! `docs/simulation.md` says what is simulated and what is checked.

#![allow(clippy::indexing_slicing, reason = "a simulation that breaks its own rules is to stop")]

mod coverage;
mod data;
mod driver;
mod honest;
mod host;
mod hostile;
mod ledger;
mod memory;
mod mutant;
mod network;
mod pages;
mod partition;
mod people;
mod reference;
mod scenario;
mod server;
mod store;
mod timeline;
mod wire;
mod world;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub use coverage::{Coverage, Group};
pub use memory::Counting;
pub use mutant::Mutant;
use world::World;

/// What came of one seed.
#[derive(Debug)]
pub struct Run {
    /// What was hit.
    pub coverage: Coverage,
    /// What happened that must not, if anything did.
    pub failure: Option<Failure>,
}

/// Something happened that must never happen.
#[derive(Debug)]
pub struct Failure {
    /// The seed that shows it again.
    pub seed: u64,
    /// What happened.
    pub what: String,
    /// The last events before it.
    pub events: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.iter().try_for_each(|event| writeln!(f, "  {event}"))?;
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// Runs what a seed says, with the code whole or broken.
pub fn run(seed: u64, mutant: Option<Mutant>) -> Run {
    let is_hostile = seed.is_multiple_of(HOSTILE_EVERY);
    let world = match World::new(seed, mutant, is_hostile) {
        Ok(world) => world,
        Err(what) => {
            let failure = Some(Failure { seed, what, events: Vec::new() });
            return Run { coverage: Coverage::default(), failure };
        }
    };
    let ended = catch_unwind(AssertUnwindSafe(|| if is_hostile { hostile::run(&world) } else { honest::run(&world) }));
    let what = world.violation().or_else(|| ended.is_err().then(|| String::from("something panicked")));
    let failure = what.map(|what| Failure { seed, what, events: world.tail() });
    world.time.clear();
    let coverage = world.coverage.borrow().clone();
    Run { coverage, failure }
}

/// Of so many runs one is with a hostile server.
const HOSTILE_EVERY: u64 = 3;

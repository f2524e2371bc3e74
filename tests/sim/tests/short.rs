//! The short form of the simulation: enough seeds that every fault and every transition is met.

use std::thread;

use ehi_sim::{Counting, Coverage, Mutant, run};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn two_thousand_runs_meet_everything_and_lose_nothing() {
    let halves: Vec<Coverage> = thread::scope(|scope| {
        let half = |from: u64| {
            move || {
                let mut coverage = Coverage::default();
                for seed in (from..2_000).step_by(2) {
                    let run = run(seed, None);
                    assert!(
                        run.failure.is_none(),
                        "{}",
                        run.failure.map(|failure| failure.to_string()).unwrap_or_default()
                    );
                    coverage.merge(&run.coverage);
                }
                coverage
            }
        };
        let halves = [scope.spawn(half(0)), scope.spawn(half(1))];
        halves.into_iter().map(|half| half.join().unwrap()).collect()
    });
    let mut coverage = Coverage::default();
    halves.iter().for_each(|half| coverage.merge(half));
    assert_eq!(coverage.below(1), [""; 0], "{coverage}");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..40 {
        let (once, again) = (run(seed, None), run(seed, None));
        assert_eq!(once.coverage.to_string(), again.coverage.to_string(), "seed {seed}");
    }
    // A failure too, with all that led to it.
    let failure = |seed| run(seed, Some(Mutant::RowNotAppended)).failure.map(|failure| failure.to_string());
    let seed = (0..).find(|seed| failure(*seed).is_some()).unwrap();
    assert_eq!(failure(seed), failure(seed));
}

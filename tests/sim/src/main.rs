//! `ehi-sim`: runs seeds and tells what they hit; or breaks the code, and tells what noticed it.

use std::{
    fmt,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use ehi_sim::{Counting, Coverage, Failure, Mutant, run};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("error: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let ended = if args.mutants { find_mutants(args.seed.unwrap_or(0)) } else { run_all(&args) };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for.
#[derive(Default)]
struct Args {
    runs: Option<u64>,
    seed: Option<u64>,
    mutants: bool,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self::default();
        while let Some(name) = args.next() {
            let mut number = || {
                let text = args.next().ok_or_else(|| format!("`{name}` lacks its number"))?;
                text.parse().map(Some).map_err(|_| format!("`{name}` takes a number"))
            };
            match name.as_str() {
                "--runs" => parsed.runs = number()?,
                "--seed" => parsed.seed = number()?,
                "--mutants" => parsed.mutants = true,
                _ => return Err(format!("there is no `{name}`")),
            }
        }
        Ok(parsed)
    }

    /// A seed alone is that one run.
    fn runs(&self) -> u64 {
        self.runs.unwrap_or(if self.seed.is_some() { 1 } else { SHORT })
    }
}

/// Runs seeds on all processors, up to the first failures, and holds what they hit against what must be hit.
fn run_all(args: &Args) -> Result<(), Problem> {
    let (first, runs) = (args.seed.unwrap_or(0), args.runs());
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let all = Mutex::new((Coverage::default(), Vec::<Failure>::new()));
    on_all_processors(|| {
        let mut coverage = Coverage::default();
        let mut failures = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                break;
            }
            let run = run(first.wrapping_add(number), None);
            coverage.merge(&run.coverage);
            if let Some(failure) = run.failure {
                failed.store(true, Ordering::Relaxed);
                failures.push(failure);
            }
        }
        if let Ok(mut all) = all.lock() {
            all.0.merge(&coverage);
            all.1.append(&mut failures);
        }
    });
    let (coverage, failures) = all.into_inner().map_err(|_| Problem::Broken)?;
    if let Some(failure) = failures.into_iter().min_by_key(|failure| failure.seed) {
        return Err(Problem::Failed(failure));
    }
    println!("{coverage}");
    println!("{runs} runs from seed {first}: nothing lost, nothing twice, nothing disclosed, and all came to an end");
    let least = match runs {
        LONG.. => LONG_HITS,
        SHORT.. => 1,
        _ => 0,
    };
    let seldom = coverage.below(least);
    if seldom.is_empty() { Ok(()) } else { Err(Problem::Seldom { least, seldom }) }
}

/// Breaks the code in every way, and sees each found.
fn find_mutants(first: u64) -> Result<(), Problem> {
    let next = AtomicU64::new(0);
    let survivors = Mutex::new(Vec::new());
    println!("{:<30} {:>10} {:>8} {:>8}  what was seen", "mutant", "seed", "found in", "of runs");
    on_all_processors(|| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(mutant) = usize::try_from(number).ok().and_then(|number| Mutant::ALL.get(number)) else { break };
            if !find(*mutant, first)
                && let Ok(mut survivors) = survivors.lock()
            {
                survivors.push(mutant.name());
            }
        }
    });
    let survivors = survivors.into_inner().map_err(|_| Problem::Broken)?;
    if survivors.is_empty() { Ok(()) } else { Err(Problem::Survived(survivors)) }
}

/// Looks for a mutant in some runs, in how many of them it shows, and if in none, in more.
fn find(mutant: Mutant, first: u64) -> bool {
    let (mut found, mut shown, mut runs) = (0, None, 0);
    while runs < MUTANT_RUNS && (runs < MUTANT_RUNS / 10 || shown.is_none()) {
        if let Some(failure) = run(first.wrapping_add(runs), Some(mutant)).failure {
            found += 1;
            shown.get_or_insert(failure);
        }
        runs += 1;
    }
    match &shown {
        Some(Failure { seed, what, .. }) => {
            println!("{:<30} {seed:>10} {found:>8} {runs:>8}  {what}", mutant.name());
        }
        None => println!("{:<30} {:>10} {found:>8} {runs:>8}  SURVIVED", mutant.name(), "-"),
    }
    shown.is_some()
}

fn on_all_processors(work: impl Fn() + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(&work)));
    });
}

/// Why the program fails.
enum Problem {
    Failed(Failure),
    Seldom {
        least: u64,
        seldom: Vec<String>,
    },
    Survived(Vec<&'static str>),
    /// A thread of it panicked.
    Broken,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => {
                write!(f, "something happened that must not:\n{failure}\nagain: --seed {}", failure.seed)
            }
            Self::Seldom { least, seldom } => {
                write!(f, "hit less than {least} times: {}", seldom.join("; "))
            }
            Self::Survived(mutants) => write!(f, "nothing noticed: {}", mutants.join(", ")),
            Self::Broken => f.write_str("the simulation itself broke"),
        }
    }
}

const USAGE: &str = "usage: ehi-sim [--runs N] [--seed FIRST] [--mutants]";

/// Runs of a short look, in which everything is met.
const SHORT: u64 = 2_000;

/// Runs after which everything must have been met often.
const LONG: u64 = 100_000;
const LONG_HITS: u64 = 1_000;

/// Runs within which each mutant is found.
const MUTANT_RUNS: u64 = 10_000;

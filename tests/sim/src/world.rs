//! One run: all that its tasks share.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use ehi_core::{Endpoint, Timestamp};
use fastrand::Rng;

use crate::{
    coverage::{Coverage, Fault, Group},
    data::Data,
    ledger::Ledger,
    mutant::Mutant,
    scenario::{SKEW, Scenario},
    store::Store,
    timeline::Timeline,
};

/// All that the tasks of a run share.
pub(crate) struct World {
    pub(crate) time: Timeline,
    pub(crate) scenario: Scenario,
    pub(crate) endpoint: Endpoint,
    pub(crate) data: Data,
    pub(crate) store: RefCell<Store>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) coverage: RefCell<Coverage>,
    pub(crate) mutant: Option<Mutant>,
    rng: RefCell<Rng>,
    /// How far the clock of each host is off.
    skews: [Cell<i64>; HOSTS],
    done: RefCell<BTreeMap<Fault, u32>>,
    tail: RefCell<VecDeque<String>>,
    violation: RefCell<Option<String>>,
    /// Tasks that must end before the run does.
    busy: Cell<u32>,
    is_large: bool,
}

/// Why a task of a host does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The host has crashed: nothing of it goes on.
    Crash,
    /// A call failed.
    Error,
    /// The job refused.
    Refused(ehi_core::job::JobMisuse),
    /// The job is not there any more.
    NoJob,
}

impl World {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>, is_hostile: bool) -> Result<Rc<Self>, String> {
        let mut rng = Rng::with_seed(seed);
        let drawn = Scenario::draw(&mut rng, START);
        let scenario = if is_hostile { drawn.with_hostile_server() } else { drawn };
        let data = Data::generate(&mut rng, START);
        let endpoint = Endpoint::new(scenario.config.clone()).map_err(|error| error.to_string())?;
        Ok(Rc::new(Self {
            time: Timeline::starting_at(START),
            scenario,
            endpoint,
            data,
            store: RefCell::default(),
            ledger: RefCell::default(),
            coverage: RefCell::default(),
            mutant,
            rng: RefCell::new(rng),
            skews: Default::default(),
            done: RefCell::default(),
            tail: RefCell::default(),
            violation: RefCell::default(),
            busy: Cell::new(0),
            is_large: seed.is_multiple_of(LARGE_EVERY),
        }))
    }

    /// Whether this is one of the few runs with the bounds of real use.
    pub(crate) fn is_large(&self) -> bool {
        self.is_large
    }

    /// Whether this run breaks the code in that way.
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether something goes wrong here and now.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let Some((rate, most)) = self.scenario.faults.get(&fault).copied() else { return false };
        if self.rng.borrow_mut().u16(0..1_000) >= rate {
            return false;
        }
        let mut done = self.done.borrow_mut();
        let done = done.entry(fault).or_default();
        if *done >= most {
            return false;
        }
        *done += 1;
        self.met(fault);
        true
    }

    /// Counts something that was met.
    pub(crate) fn met(&self, fault: Fault) {
        self.coverage.borrow_mut().hit(Group::Fault, fault.name());
        self.note(|| format!("! {}", fault.name()));
    }

    /// How often a fault has struck.
    pub(crate) fn struck(&self, fault: Fault) -> u32 {
        self.done.borrow().get(&fault).copied().unwrap_or_default()
    }

    pub(crate) fn pick(&self, millis: std::ops::Range<i64>) -> i64 {
        self.rng.borrow_mut().i64(millis)
    }

    pub(crate) fn rng<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.borrow_mut())
    }

    /// What a host takes for the time.
    pub(crate) fn clock(&self, host: usize) -> Timestamp {
        if self.strikes(Fault::ClockJump) {
            let skew = self.pick(-SKEW..SKEW);
            self.skews[host].set(skew);
        }
        Timestamp::from_millis(self.time.now() + self.skews[host].get())
    }

    /// Remembers an event for the report of a failure: no data of patients.
    pub(crate) fn note(&self, event: impl FnOnce() -> String) {
        let mut tail = self.tail.borrow_mut();
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(format!("{:>10.3} s  {}", (self.time.now() - START) as f64 / 1_000.0, event()));
    }

    /// Something that must never happen has happened. The first is told.
    pub(crate) fn violate(&self, what: impl Into<String>) {
        self.violation.borrow_mut().get_or_insert_with(|| what.into());
    }

    pub(crate) fn violation(&self) -> Option<String> {
        self.violation.borrow().clone()
    }

    pub(crate) fn tail(&self) -> Vec<String> {
        self.tail.borrow().iter().cloned().collect()
    }

    /// A task that must end before the run does.
    pub(crate) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let world = Rc::clone(self);
        self.busy.set(self.busy.get() + 1);
        self.time.spawn(async move {
            task.await;
            world.busy.set(world.busy.get() - 1);
        });
    }

    /// Whether everyone but the hosts has ended, and the store is empty.
    pub(crate) fn is_over(&self) -> bool {
        self.busy.get() == 0 && self.store.borrow().is_empty()
    }
}

pub(crate) const HOSTS: usize = 2;

/// 2026-01-01T00:00:00Z
pub(crate) const START: i64 = 1_767_225_600_000;

const TAIL: usize = 60;

/// Of so many seeds one has the bounds of real use.
const LARGE_EVERY: u64 = 1_700;

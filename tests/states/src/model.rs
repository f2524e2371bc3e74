//! What may happen in each moment, and what comes of it.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Result;
use stateright::Property;

use crate::{
    call::{Account, Attempt, Call, HostId, Outcome, Record, View, Wanted},
    engine::{Engine, Transition},
    fault::{self, Fault},
    judge,
    ledger::Ledger,
    mutant::Mutant,
    scenario::Scenario,
    world::{Action, Delivery, Host, Work, World},
};

/// One scenario, with all guards or without one.
#[derive(Clone)]
pub struct Model {
    pub(crate) scenario: Scenario,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) engine: Arc<Engine>,
    kick_off: Record,
}

impl Model {
    /// The model of a scenario, without a guard if one is named.
    pub fn new(scenario: Scenario, mutant: Option<Mutant>) -> Result<Self> {
        let engine = Engine::new(&scenario, mutant)?;
        let kick_off = engine.kick_off()?;
        Ok(Self { scenario, mutant, engine: Arc::new(engine), kick_off })
    }

    /// The rows of the table that were taken so far.
    pub fn transitions(&self) -> BTreeSet<Transition> {
        self.engine.transitions()
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

impl stateright::Model for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut world = World {
            now: 0,
            job: Some(self.kick_off.clone()),
            rows: Vec::new(),
            account: Account::default(),
            objects: Vec::new(),
            orphans: false,
            hosts: [Host::IDLE, Host::IDLE],
            late: Vec::new(),
            faults: self.scenario.faults,
            crashes: self.scenario.crashes,
            ledger: Ledger::new(&self.scenario),
            fault: None,
        };
        judge::judge(self, &mut world);
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // What is wrong is reported once, where it went wrong.
        if world.fault.is_some() {
            return;
        }
        self.actions_of_host(world, 0, actions);
        // The hosts differ in nothing but their names, so the first that does anything may as well be the first.
        if !world.ledger.hosts.is_empty() || world.hosts != [Host::IDLE, Host::IDLE] {
            self.actions_of_host(world, 1, actions);
        }
        actions.extend(world.late.iter().map(|(host, call)| Action::Repeat(*host, *call)));
        let view = world.job.as_ref().and_then(|job| self.engine.view(job, world.now).ok());
        if view.is_some_and(|view| self.may_pass(&view)) {
            actions.push(Action::Hour);
        }
        // Whoever need not do anything is never the only one who can: then this is an end, and must be a good one.
        if world.job.is_some() && !actions.is_empty() {
            self.actions_of_people(world, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.happen(&mut next, action);
        next.tidy();
        judge::judge(self, &mut next);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fault::properties()
    }

    /// An hour after the last is far enough to see that the job is still there.
    fn within_boundary(&self, world: &World) -> bool {
        world.now <= self.scenario.over_by() + 1
    }
}

/// Who may do what.
impl Model {
    /// The clock waits for hosts to do what is due, and for nothing else: nobody need run an export.
    fn may_pass(&self, view: &View) -> bool {
        let is_swept = view.due && !self.is(Mutant::Unswept);
        let is_cleared = matches!(view.wants, [Wanted::Remove | Wanted::Forget, _]);
        !is_swept && !is_cleared
    }

    fn actions_of_people(&self, world: &World, actions: &mut Vec<Action>) {
        let mut ask = |call| actions.push(Action::Ask(call));
        if self.scenario.ehi {
            ask(Call::Form { sound: true });
            ask(Call::Form { sound: false });
        }
        for step in 0..self.scenario.steps() {
            ask(Call::Approve { step });
            ask(Call::Reject { step, known_code: true });
            ask(Call::Reject { step, known_code: false });
        }
        ask(Call::Delete);
        if self.scenario.early_polls.is_some_and(|most| world.account.strikes < most) {
            ask(Call::Poll(world.account));
        }
    }

    fn actions_of_host(&self, world: &World, id: HostId, actions: &mut Vec<Action>) {
        let Some(host) = world.hosts.get(usize::from(id)) else { return };
        // To be about to say that something went wrong, and then to die, is for the call to be lost.
        if world.crashes > 0 && *host != Host::IDLE && !matches!(host.work, Work::Failing { .. }) {
            actions.push(Action::Crash(id));
        }
        if let Some((call, _)) = host.read {
            return self.say(world, id, call, actions);
        }
        for call in self.calls_of_host(world, id, host, actions) {
            if self.scenario.split {
                actions.push(Action::Read(id, call));
            } else {
                self.say(world, id, call, actions);
            }
        }
    }

    fn say(&self, world: &World, id: HostId, call: Call, actions: &mut Vec<Action>) {
        actions.push(Action::Say(id, call, Delivery::Heard));
        if world.faults > 0 {
            actions.extend(Delivery::faults_of(call).iter().map(|delivery| Action::Say(id, call, *delivery)));
            if self.is(Mutant::RowsApart) && matches!(call, Call::Publish { .. }) {
                actions.push(Action::Say(id, call, Delivery::Lost));
            }
        }
    }

    /// The calls that a host may make now; what it may do besides goes straight to the actions.
    fn calls_of_host(&self, world: &World, id: HostId, host: &Host, actions: &mut Vec<Action>) -> Vec<Call> {
        match &host.work {
            Work::Idle => {
                let Some(job) = &world.job else { return Vec::new() };
                let view = self.engine.view(job, world.now).ok();
                let wants = view.as_ref().and_then(|view| view.wants.get(usize::from(id)));
                let at_once = self.is(Mutant::ForgottenAtOnce)
                    && matches!(wants, Some(Wanted::Nothing))
                    && matches!(job.state(), ehi_core::job::State::FailedEmpty | ehi_core::job::State::Gone);
                match wants {
                    Some(Wanted::Remove) => actions.push(Action::Remove(id)),
                    Some(Wanted::Forget) => actions.push(Action::RemoveOnceMore(id)),
                    _ if at_once => actions.push(Action::RemoveOnceMore(id)),
                    _ if self.is(Mutant::RemovedUnasked) => actions.push(Action::Remove(id)),
                    _ => {}
                }
                // It may have looked earlier, so it tries whatever the job wants now, but for what is over.
                let is_due = view.as_ref().is_some_and(|view| view.due);
                let begin = (!is_due).then_some(Call::Begin { host: id, said: world.now });
                let sweep = (!self.is(Mutant::Unswept)).then_some(Call::Timeout);
                begin.into_iter().chain(sweep).collect()
            }
            Work::Running { epoch, heard, left, stored } => {
                let epoch = *epoch;
                actions.push(Action::Trouble(id));
                let mut calls = Vec::new();
                if !*heard {
                    calls.push(Call::Renew { epoch, said: world.now });
                }
                match left.first() {
                    Some(file) if file.number >= self.scenario.files => {
                        calls.push(Call::Finish { epoch, partition: file.partition });
                    }
                    Some(file) if *stored || self.is(Mutant::ListedFirst) => {
                        calls.push(Call::Publish { epoch, file: *file });
                    }
                    // Whoever was not heard for longer than a tombstone stands writes nothing any more.
                    Some(_) if *heard || self.is(Mutant::NeverRenewed) => actions.push(Action::Store(id)),
                    Some(_) | None => {}
                }
                calls
            }
            Work::Failing { epoch } => vec![Call::Fail { epoch: *epoch }],
            Work::Removing => vec![Call::Removed],
            Work::Forgetting => {
                actions.push(Action::Forget(id));
                Vec::new()
            }
        }
    }
}

/// What comes of it.
impl Model {
    fn happen(&self, world: &mut World, action: Action) {
        match action {
            Action::Hour => {
                world.now += 1;
                for host in &mut world.hosts {
                    if let Work::Running { heard, .. } = &mut host.work {
                        *heard = false;
                    }
                }
            }
            Action::Ask(call) => {
                self.take(world, call, None, None);
            }
            Action::Read(id, call) => {
                let read = world.job.clone().map(|job| (call, job));
                // Of a job that is forgotten there is nothing to read.
                if read.is_none() {
                    self.hear(world, id, call, None);
                } else if let Some(host) = world.hosts.get_mut(usize::from(id)) {
                    host.read = read;
                }
            }
            Action::Say(id, call, delivery) => self.deliver(world, id, call, delivery),
            Action::Repeat(id, call) => {
                if let Some(at) = world.late.iter().position(|late| *late == (id, call)) {
                    world.late.remove(at);
                }
                self.take(world, call, Some(id), None);
            }
            Action::Store(id) => self.store_file(world, id),
            Action::Trouble(id) => {
                if let Some(host) = world.hosts.get_mut(usize::from(id))
                    && let Work::Running { epoch, .. } = host.work
                {
                    host.work = Work::Failing { epoch };
                }
            }
            Action::Remove(id) => {
                self.remove_files(world);
                self.set_work(world, id, Work::Removing);
            }
            Action::RemoveOnceMore(id) => {
                if !self.is(Mutant::RemovedOnce) {
                    self.remove_files(world);
                }
                self.set_work(world, id, Work::Forgetting);
            }
            Action::Forget(id) => {
                world.job = None;
                world.rows.clear();
                world.account = Account::default();
                self.set_work(world, id, Work::Idle);
            }
            Action::Crash(id) => {
                world.crashes -= 1;
                if let Some(host) = world.hosts.get_mut(usize::from(id)) {
                    *host = Host::IDLE;
                }
            }
        }
    }

    fn deliver(&self, world: &mut World, id: HostId, call: Call, delivery: Delivery) {
        let read = world.hosts.get_mut(usize::from(id)).and_then(|host| host.read.take()).map(|(_, record)| record);
        if delivery == Delivery::Lost {
            if let (true, Call::Publish { epoch, file }) = (self.is(Mutant::RowsApart), call) {
                world.rows.push(Attempt { epoch, file });
            }
            world.faults -= 1;
            return self.hear(world, id, call, None);
        }
        match self.take(world, call, Some(id), read) {
            // Somebody else has changed the job: the host reads it again.
            Answer::Changed => {}
            // A refusal and an error come to the same, and what is refused is refused when it is repeated.
            Answer::Refused => self.hear(world, id, call, None),
            Answer::Taken(epoch) => {
                self.hear(world, id, call, (delivery != Delivery::Unheard).then_some(epoch));
                if delivery != Delivery::Heard {
                    world.faults -= 1;
                }
                if delivery == Delivery::Repeated {
                    world.late.push((id, call));
                    world.late.sort_unstable();
                }
            }
        }
    }

    /// A call comes to the job: to what is stored, or to what was read of it and is stored only if that is still so.
    fn take(&self, world: &mut World, call: Call, host: Option<HostId>, read: Option<Record>) -> Answer {
        let Some(stored) = world.job.clone() else { return Answer::Refused };
        let record = read.unwrap_or_else(|| stored.clone());
        let objection = world.ledger.objection(&self.scenario, call, host, world.now);
        let outcome = match self.engine.call(&record, call, world.now) {
            Ok(outcome) => outcome,
            Err(fault) => {
                world.fault = Some(fault);
                return Answer::Refused;
            }
        };
        if record != stored && !self.is(Mutant::StoredBlindly) {
            return Answer::Changed;
        }
        match outcome {
            Outcome::Taken { record: next, account: Some(account), .. } if next == record => {
                world.account = account;
                if objection.is_none() {
                    world.fault = Some(Fault::WronglyRefused);
                }
                Answer::Refused
            }
            Outcome::Taken { record: next, epoch, account } => {
                if let Call::Publish { file, .. } = call {
                    let is_there = world.rows.iter().any(|row| row.file == file);
                    if is_there && !self.is(Mutant::NamesTwice) && objection.is_none() {
                        return Answer::Refused;
                    }
                }
                if let Some(fault) = objection {
                    world.fault = Some(fault);
                    return Answer::Refused;
                }
                if !judge::is_row(record.state(), next.state()) {
                    world.fault = Some(Fault::NotInTable);
                }
                world.account = account.unwrap_or(world.account);
                world.job = Some(next);
                if let Call::Publish { epoch, file } = call {
                    world.rows.push(Attempt { epoch, file });
                }
                world.ledger.take(&self.scenario, call, host, world.now);
                Answer::Taken(epoch)
            }
            Outcome::Refused => {
                if objection.is_none() {
                    world.fault = Some(Fault::WronglyRefused);
                }
                Answer::Refused
            }
        }
    }

    /// What a host makes of the answer to its call; without one it was refused, or there was an error.
    fn hear(&self, world: &mut World, id: HostId, call: Call, taken: Option<u8>) {
        let begun = match (call, taken) {
            (Call::Begin { .. }, Some(epoch)) => self.begun(world, id, epoch),
            _ => None,
        };
        let Some(host) = world.hosts.get_mut(usize::from(id)) else { return };
        host.read = None;
        let work = std::mem::replace(&mut host.work, Work::Idle);
        host.work = match (work, call, taken) {
            (_, Call::Begin { .. }, _) => begun.unwrap_or(Work::Idle),
            (Work::Running { epoch, left, stored, .. }, Call::Renew { .. }, Some(_)) => {
                Work::Running { epoch, left, stored, heard: true }
            }
            (Work::Running { epoch, mut left, .. }, Call::Publish { file, .. }, Some(_)) => {
                if let Some(next) = left.first_mut() {
                    next.number = file.number + 1;
                }
                Work::Running { epoch, left, stored: false, heard: true }
            }
            (Work::Running { epoch, mut left, .. }, Call::Finish { partition, .. }, Some(_)) => {
                left.retain(|file| file.partition != partition);
                if left.is_empty() { Work::Idle } else { Work::Running { epoch, left, stored: false, heard: true } }
            }
            (Work::Running { epoch, .. }, _, None) => Work::Failing { epoch },
            // Said or refused, there is nothing more to do for it now.
            _ => Work::Idle,
        };
    }

    /// A host that has begun learns from the job what is left.
    fn begun(&self, world: &World, id: HostId, epoch: u8) -> Option<Work> {
        let view = self.engine.view(world.job.as_ref()?, world.now).ok()?;
        match view.wants.get(usize::from(id)) {
            Some(Wanted::Run(left)) => Some(Work::Running { epoch, heard: true, left: left.clone(), stored: false }),
            _ => None,
        }
    }

    fn store_file(&self, world: &mut World, id: HostId) {
        let Some(host) = world.hosts.get_mut(usize::from(id)) else { return };
        let Work::Running { epoch, left, stored, .. } = &mut host.work else { return };
        let Some(file) = left.first().copied() else { return };
        *stored = true;
        let object = Attempt { epoch: *epoch, file };
        if let Err(at) = world.objects.binary_search(&object) {
            world.objects.insert(at, object);
        }
    }

    fn remove_files(&self, world: &mut World) {
        let rows = &world.rows;
        let by_row = self.is(Mutant::RemovedByRow);
        world.objects.retain(|object| by_row && !rows.contains(object));
        world.orphans &= by_row;
    }

    fn set_work(&self, world: &mut World, id: HostId, work: Work) {
        if let Some(host) = world.hosts.get_mut(usize::from(id)) {
            host.work = work;
        }
    }
}

/// What became of a call.
enum Answer {
    /// It was taken, under that epoch.
    Taken(u8),
    /// It was refused, by the job or by the store.
    Refused,
    /// Somebody else has changed the job since it was read.
    Changed,
}

//! A host: it gives each job what it wants, in the order of calls that a real host makes, and may crash between any two.

use std::{cell::Cell, collections::BTreeSet, rc::Rc};

use ehi_core::{
    job::{Command, Epoch, Job, JobMisuse, PopulationWanted, Wants},
    manifest::OutputFile,
    population::PopulationBuilder,
    values::{self, StoredJob},
};

use crate::{
    coverage::Fault,
    data::{MINUTE, SECOND},
    mutant::Mutant,
    partition,
    store::{Loaded, Store, Written},
    world::{HOSTS, Stop, World},
};

/// One host.
pub(crate) struct Host {
    pub(crate) world: Rc<World>,
    pub(crate) number: usize,
    pub(crate) pulse: Rc<Pulse>,
}

/// Of each host, which of its unbroken stretches of work this is; `None` while it does not work.
#[derive(Default)]
pub(crate) struct Pulse {
    stretch: [Cell<u64>; HOSTS],
    works: [Cell<bool>; HOSTS],
}

impl Pulse {
    /// The stretch of work that a host is in.
    fn of(&self, host: usize) -> Option<u64> {
        self.works[host].get().then(|| self.stretch[host].get())
    }

    /// Something happened after which a host may have lost its lease.
    pub(crate) fn breaks(&self, host: usize) {
        self.stretch[host].set(self.stretch[host].get() + 1);
    }
}

impl Host {
    /// Runs for as long as the world does.
    pub(crate) async fn run(self) {
        self.world.time.sleep(self.world.scenario.hosts_late).await;
        loop {
            // What was not finished before the crash: its leases are ours.
            let mut due = self.world.store.borrow().unfinished();
            'up: loop {
                for job in due {
                    let ended = self.step(&job).await;
                    self.pulse.works[self.number].set(false);
                    match ended {
                        Ok(()) | Err(Stop::NoJob | Stop::Refused(_)) => {}
                        Err(Stop::Error) => self.world.time.sleep(5 * SECOND).await,
                        Err(Stop::Crash) => break 'up,
                    }
                }
                self.world.time.sleep(LOOK).await;
                let next = self.world.store.borrow().next_wake();
                let away = next.map_or(i64::MAX, |at| at - self.world.clock(self.number).as_millis());
                self.world.time.listen(away.clamp(0, 12 * 60 * MINUTE)).await;
                due = self.world.store.borrow().due(self.world.clock(self.number).as_millis());
            }
            let down = self.world.pick(SECOND..2 * MINUTE);
            self.world.time.sleep(down).await;
        }
    }

    /// Does what a job wants.
    async fn step(&self, job: &str) -> Result<(), Stop> {
        match self.wants(job).await? {
            Wants::Nothing | Wants::Step(_) => self.expire(job).await,
            Wants::Run { population, partitions, .. } => self.export(job, &population, partitions.is_empty()).await,
            Wants::Remove => {
                self.remove(job).await?;
                self.command(job, Command::Removed).await.map(drop)
            }
            Wants::Forget => {
                self.remove(job).await?;
                self.call(|store| store.forget(job)).await
            }
        }
    }

    pub(crate) async fn wants(&self, job: &str) -> Result<Wants, Stop> {
        let loaded = self.load(job).await?;
        let now = self.world.clock(self.number);
        values::wants(&loaded.record, &self.name(), now.as_millis()).map_err(Stop::Refused)
    }

    async fn expire(&self, job: &str) -> Result<(), Stop> {
        let loaded = self.load(job).await?;
        let now = self.world.clock(self.number).as_millis();
        let expired = values::handle_timeout(&loaded.record, now).map_err(Stop::Refused)?;
        if let Some(expired) = expired {
            self.update(job, &expired, &[], loaded.version, "time").await?;
        }
        Ok(())
    }

    async fn export(&self, job: &str, wanted: &PopulationWanted, first: bool) -> Result<(), Stop> {
        self.pulse.breaks(self.number);
        let prepared = self.population(job, wanted, first).await;
        if prepared == Err(Stop::Crash) {
            return Err(Stop::Crash);
        }
        self.pulse.works[self.number].set(true);
        let stretch = self.pulse.of(self.number);
        let now = self.world.clock(self.number);
        let begin = Command::Begin {
            holder: self.name(),
            until: now.plus_seconds(LEASE_SECONDS),
            transaction_time: now,
            snapshot: String::from("1"),
            partitions: self.world.scenario.partitions,
        };
        let epoch = self.command(job, begin).await?;
        // A lease that was long in coming may have ended before it came.
        let is_fresh = self.pulse.of(self.number) == stretch;
        self.world.leased(job, self.number, is_fresh, &|host| self.pulse.of(host));
        let population = match prepared {
            Ok(population) => population,
            Err(_) => return self.fail(job, epoch).await,
        };
        // From here on the job has its partitions and, if it was begun before, its checkpoints.
        let Wants::Run { partitions, .. } = self.wants(job).await? else { return Ok(()) };
        let work = partition::Work { host: self, job, epoch, renewed: Cell::new(self.world.time.now()) };
        for task in partitions {
            match work.run(&task, population.as_deref()).await {
                Ok(()) => {}
                Err(Stop::Error) if self.world.scenario.fails_on_error => return self.fail(job, epoch).await,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    async fn fail(&self, job: &str, epoch: Epoch) -> Result<(), Stop> {
        self.command(job, Command::Fail { epoch, diagnostics: "the data could not be read".into() }).await.map(drop)
    }

    /// The population block that the job wants: made once, when it first begins, and kept for all hosts.
    async fn population(&self, job: &str, wanted: &PopulationWanted, first: bool) -> Result<Option<Rc<[u8]>>, Stop> {
        let key = format!("{job}/population");
        let taken_anew = self.world.is(Mutant::PopulationTakenAnew);
        let ids = match wanted {
            PopulationWanted::Nobody => return Ok(None),
            PopulationWanted::Patient(id) => return block(&[id.clone()].into()).map(|block| Some(block.into())),
            PopulationWanted::Members { .. } | PopulationWanted::Practitioner(_) | PopulationWanted::Patients(_) => {
                self.world.violate("a population is wanted that no request here asks for");
                return Err(Stop::Error);
            }
            PopulationWanted::Group(_) if first || taken_anew => {
                self.world.data.members(self.world.clock(self.number).as_millis())
            }
            PopulationWanted::Group(_) => {
                return self.call(|store| store.get(&key)).await?.ok_or(Stop::Error).map(Some);
            }
        };
        let block = block(&ids)?;
        let kept = self.act(|world| {
            let mut store = world.store.borrow_mut();
            if let Some(facts) = world.ledger.borrow_mut().jobs.get_mut(job) {
                facts.population.get_or_insert(ids);
            }
            if taken_anew {
                store.put(key.clone(), block.clone());
            }
            // Two hosts may both be the first; one of them is.
            store.put_if_absent(key, block)
        });
        kept.await.map(Some)
    }

    /// Removes everything below the job's prefix, by listing it.
    async fn remove(&self, job: &str) -> Result<(), Stop> {
        let prefix = format!("{job}/");
        let rows = self.world.store.borrow().rows(job);
        let keys = self.call(|store| store.list(&prefix)).await?;
        for key in keys {
            let is_published = rows.iter().any(|row| row.key == key);
            if !is_published {
                self.world.met(Fault::UnpublishedRemoved);
                if self.world.is(Mutant::RemovalByRows) {
                    continue;
                }
            }
            self.call(|store| store.remove(&key)).await?;
        }
        Ok(())
    }

    /// Gives a command to a job and stores what it does, again from the start if someone else changed the job.
    pub(crate) async fn command(&self, job: &str, command: Command) -> Result<Epoch, Stop> {
        for _ in 0..ATTEMPTS {
            let loaded = self.load(job).await?;
            let command = self.fenced(&loaded.record, command.clone());
            let why = name(&command);
            let now = self.world.clock(self.number).as_millis();
            let applied = values::apply(&loaded.record, command, now).map_err(|misuse| {
                match misuse {
                    JobMisuse::Stale => self.world.met(Fault::StaleCommand),
                    JobMisuse::Leased => self.world.met(Fault::LeaseRefused),
                    _ => {}
                }
                Stop::Refused(misuse)
            })?;
            let is_dropped = self.world.is(Mutant::RowNotAppended) && self.world.pick(0..4) == 0;
            let rows = if is_dropped { &[] } else { applied.rows.as_slice() };
            if self.update(job, &applied.job, rows, loaded.version, why).await? {
                if self.world.is(Mutant::DoublePublish) && self.world.pick(0..4) == 0 {
                    self.world.store.borrow_mut().append(job, &applied.rows);
                }
                return Ok(applied.epoch);
            }
            self.world.met(Fault::WriteConflict);
        }
        Err(Stop::Error)
    }

    /// The command as it is given; without a fence, under whatever lease there is.
    fn fenced(&self, record: &str, command: Command) -> Command {
        if !self.world.is(Mutant::NoFence) {
            return command;
        }
        let record: serde_json::Value = serde_json::from_str(record).unwrap_or_default();
        let newest = Epoch(record["epoch"].as_u64().unwrap_or_default());
        match command {
            Command::Publish { partition, rows, checkpoint, .. } => {
                Command::Publish { epoch: newest, partition, rows, checkpoint }
            }
            Command::FinishPartition { partition, .. } => Command::FinishPartition { epoch: newest, partition },
            Command::Renew { until, .. } => Command::Renew { epoch: newest, until },
            other => other,
        }
    }

    /// Stores a job and its new rows, in one step, over the version that was read. Says whether it still was.
    pub(crate) async fn update(
        &self,
        id: &str,
        next: &StoredJob,
        rows: &[OutputFile],
        version: u64,
        why: &str,
    ) -> Result<bool, Stop> {
        let over = (!self.world.is(Mutant::NoVersionCheck)).then_some(version);
        let written = self.act(|world| {
            let written = world.store.borrow_mut().update(id, next, rows, over);
            if written == Written::Yes {
                match Job::decode(&next.record) {
                    Ok(job) => {
                        world.published(id, rows);
                        world.stored(id, &job, why);
                    }
                    Err(_) => world.violate("a stored record cannot be read"),
                }
                world.time.notify();
            }
            written
        });
        match written.await? {
            Written::Yes => Ok(true),
            Written::Conflict => Ok(false),
            Written::Twice => {
                self.world.violate("a file was published that is published already");
                Err(Stop::Error)
            }
        }
    }

    async fn load(&self, job: &str) -> Result<Loaded, Stop> {
        self.call(|store| store.load(job)).await?.ok_or(Stop::NoJob)
    }

    /// A call to the store.
    pub(crate) async fn call<T>(&self, call: impl FnOnce(&mut Store) -> T) -> Result<T, Stop> {
        self.act(|world| call(&mut world.store.borrow_mut())).await
    }

    /// A call to the store: before and after it the host may crash, and the call or its answer may be lost.
    pub(crate) async fn act<T>(&self, call: impl FnOnce(&World) -> T) -> Result<T, Stop> {
        self.pace().await?;
        if self.world.strikes(Fault::StoreUnavailable) {
            self.pulse.breaks(self.number);
            return Err(Stop::Error);
        }
        let value = call(&self.world);
        self.crash()?;
        if self.world.strikes(Fault::StoreAnswerLost) {
            self.pulse.breaks(self.number);
            return Err(Stop::Error);
        }
        Ok(value)
    }

    /// Time passes: a little, or so much that a lease ends.
    async fn pace(&self) -> Result<(), Stop> {
        let mut millis = self.world.pick(1..300);
        if self.world.strikes(Fault::HostPause) {
            millis += self.world.pick(10 * SECOND..12 * MINUTE);
            self.pulse.breaks(self.number);
        }
        self.world.time.sleep(millis).await;
        self.crash()
    }

    pub(crate) fn crash(&self) -> Result<(), Stop> {
        if self.world.strikes(Fault::HostCrash) {
            self.pulse.breaks(self.number);
            return Err(Stop::Crash);
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("host-{}", self.number)
    }
}

fn block(ids: &BTreeSet<String>) -> Result<Vec<u8>, Stop> {
    let mut builder = PopulationBuilder::default();
    ids.iter().try_for_each(|id| builder.push(id)).map_err(|_| Stop::Error)?;
    Ok(builder.seal())
}

/// What a command is called in reports.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Begin { .. } => "begin",
        Command::Renew { .. } => "renew",
        Command::Publish { .. } => "publish",
        Command::FinishPartition { .. } => "finish partition",
        Command::Fail { .. } => "fail",
        Command::FormSubmitted { .. } => "form",
        Command::Approve { .. } => "approve",
        Command::Reject { .. } => "reject",
        Command::Removed => "removed",
    }
}

/// Optimistic writes lose only against a client's DELETE, people and expiry.
const ATTEMPTS: u32 = 10;

/// How long a host may be silent before another may take over.
pub(crate) const LEASE_SECONDS: u64 = 30;

/// How often a lease is renewed, in milliseconds.
pub(crate) const RENEW: i64 = 10 * SECOND;

/// How often the store is looked at at most.
const LOOK: i64 = SECOND;

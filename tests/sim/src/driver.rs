//! What embeds the client machine: it does its outputs, keeps its record and its files, crashes and comes back.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use ehi_core::{
    Timestamp,
    client::{
        Checker, Client, ClientInput, ClientOutput, Contents, Expect, Op, Outcome, Report, Stage, TransferError, Url,
    },
};

use crate::{
    coverage::{Fault, Group},
    data::{MINUTE, SECOND},
    hostile::Hostile,
    mutant::Mutant,
    network,
    scenario::ORIGIN,
    server::Who,
    wire::{Answer, Asked},
    world::World,
};

/// What survives a crash of the client.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) record: Vec<u8>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Of each file, how much is said to be safe.
    safe: BTreeMap<String, usize>,
}

/// The client with everything around it.
pub(crate) struct Driver {
    world: Rc<World>,
    /// The server, where it is not one of ours.
    hostile: Option<Rc<Hostile>>,
    pub(crate) disk: Rc<RefCell<Disk>>,
    inbox: Rc<RefCell<VecDeque<Incoming>>>,
    /// Which of its lives this is: nothing of an earlier one may still act.
    life: Rc<Cell<u32>>,
    bodies: BTreeMap<u64, Body>,
    aborted: Rc<RefCell<BTreeSet<u64>>>,
    token: String,
    pub(crate) polled: Option<String>,
}

struct Body {
    to: String,
    answer: Answer,
    expect: Expect,
}

enum Incoming {
    Answer { op: Op, answer: Option<Answer>, download: Option<(String, Expect)> },
    Progress { op: Op, bytes: u64 },
    Downloaded { op: Op, contents: Box<Contents> },
    Failed { op: Op, error: TransferError },
}

/// How a life of the client ended.
pub(crate) enum End {
    Done(Box<Report>),
    Crashed,
    /// It went on beyond all bounds.
    Endless,
}

impl Driver {
    pub(crate) fn new(world: &Rc<World>, hostile: Option<Rc<Hostile>>) -> Self {
        Self {
            world: Rc::clone(world),
            hostile,
            disk: Rc::default(),
            inbox: Rc::default(),
            life: Rc::default(),
            bodies: BTreeMap::new(),
            aborted: Rc::default(),
            token: String::new(),
            polled: None,
        }
    }

    /// Drives the client from where it stands to its end, or to a crash.
    pub(crate) async fn live(&mut self, client: &mut Client) -> End {
        for _ in 0..OUTPUTS_MAX {
            let before = client.stage();
            let output = client.poll_output(self.now());
            self.saw(before, client.stage());
            if self.hostile.is_none() && self.world.strikes(Fault::ClientCrash) {
                self.crash();
                return End::Crashed;
            }
            match output {
                ClientOutput::Done(report) => return End::Done(report),
                ClientOutput::Wait { until } => {
                    let (stage, rate) = self.world.scenario.cancels;
                    let is_time = stage == client.stage() && self.world.pick(0..1_000) < rate;
                    if is_time && self.world.strikes(Fault::ClientCancels) {
                        let before = client.stage();
                        client.handle_input(ClientInput::Cancel, self.now());
                        self.saw(before, client.stage());
                        continue;
                    }
                    self.wait(until).await;
                }
                output => {
                    if let Some(end) = self.act(client, output) {
                        return end;
                    }
                }
            }
            self.hand_over(client);
        }
        End::Endless
    }

    /// A client of the next life, made from what is on the disk.
    pub(crate) fn next_life(&self) -> Option<Client> {
        let seed = self.world.rng(|rng| rng.u64(..));
        let disk = self.disk.borrow();
        (!disk.record.is_empty()).then(|| Client::resume(&disk.record, seed, self.now()).ok()).flatten()
    }

    async fn wait(&self, until: Timestamp) {
        // News that came while it was busy end the wait at once.
        while self.inbox.borrow().is_empty() && self.now() < until {
            let left = until.as_millis() - self.world.time.now();
            self.world.time.listen(left).await;
        }
    }

    fn act(&mut self, client: &mut Client, output: ClientOutput) -> Option<End> {
        match output {
            ClientOutput::Transmit { op, method, url, headers, body, authorize, body_bytes_max } => {
                if let Some((_, job)) = url.as_str().split_once("/bulk/").filter(|_| method == "GET")
                    // A page of a manifest is below the polling location.
                    && !job.contains('/')
                {
                    self.polled = Some(job.to_owned());
                    self.poll_too_fast(&url);
                }
                let asked = self.request(&method, &url, &headers, body.expose(), authorize);
                self.send(op, &url, asked, body_bytes_max, None);
            }
            ClientOutput::Download { op, url, headers, authorize, from, to, expect } => {
                self.check_name(&to);
                let stored = self.disk.borrow().files.get(&to).map_or(0, Vec::len) as u64;
                if stored < from {
                    self.push(Incoming::Failed { op, error: TransferError::PartMissing });
                } else {
                    let asked = self.request("GET", &url, &headers, b"", authorize);
                    self.send(op, &url, asked, u64::MAX, Some((to, expect)));
                }
            }
            ClientOutput::Receive { op, from, file_bytes_max } => {
                if let Some(body) = self.bodies.remove(&op.0) {
                    self.receive(op, body, from, file_bytes_max);
                }
            }
            ClientOutput::Keep { from, to } => {
                self.check_name(&to);
                let mut disk = self.disk.borrow_mut();
                match disk.files.remove(&from) {
                    Some(file) => drop(disk.files.insert(to, file)),
                    None => self.world.violate("a file is to be kept that there is not"),
                }
            }
            ClientOutput::Discard { name } => drop(self.disk.borrow_mut().files.remove(&name)),
            ClientOutput::TokenNeeded => {
                let expires = self.world.time.now() + self.world.scenario.token_millis;
                self.token = Who::Owner.token(expires);
                let expires = Some(Timestamp::from_millis(expires));
                client.handle_input(ClientInput::TokenReady { expires }, self.now());
            }
            ClientOutput::Save { bytes, append } => return self.save(bytes.expose(), append),
            ClientOutput::Abort { op } => {
                self.bodies.remove(&op.0);
                self.aborted.borrow_mut().insert(op.0);
            }
            ClientOutput::OpenBrowser { url } => {
                if self.hostile.is_none() && !url.as_str().starts_with(ORIGIN) {
                    self.world.violate("a page of elsewhere was opened");
                }
            }
            ClientOutput::Event(_) | ClientOutput::Wait { .. } | ClientOutput::Done(_) => {}
        }
        None
    }

    fn save(&mut self, bytes: &[u8], append: bool) -> Option<End> {
        if self.world.is(Mutant::RecordNotSaved) && append {
            return None;
        }
        let torn = append && self.hostile.is_none() && self.world.strikes(Fault::SaveTorn);
        let length = if torn { self.world.rng(|rng| rng.usize(0..bytes.len().max(1))) } else { bytes.len() };
        {
            let mut disk = self.disk.borrow_mut();
            if !append {
                disk.record.clear();
            }
            disk.record.extend_from_slice(&bytes[..length]);
        }
        if torn {
            self.crash();
            return Some(End::Crashed);
        }
        None
    }

    /// The request with the token, if it goes to whom it may.
    fn request(&self, method: &str, url: &Url, headers: &[(String, String)], body: &[u8], authorize: bool) -> Asked {
        let is_ours = url.origin().as_str() == ORIGIN;
        let authorize = authorize || self.world.is(Mutant::TokenToOtherOrigin);
        if authorize && !is_ours {
            self.world.violate("the token was sent to another origin");
        }
        let target = url.as_str().strip_prefix(url.origin().as_str()).unwrap_or(url.as_str());
        let token = authorize.then_some(self.token.as_str());
        let mut asked = Asked::new(method, target, token);
        asked.headers.extend(headers.iter().cloned());
        asked.body = body.to_vec();
        asked
    }

    fn send(&self, op: Op, url: &Url, asked: Asked, bytes_max: u64, download: Option<(String, Expect)>) {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let (world, hostile) = (Rc::clone(&self.world), self.hostile.clone());
        let (inbox, life, mine) = (Rc::clone(&self.inbox), Rc::clone(&self.life), self.life.get());
        let origin = url.origin().as_str().to_owned();
        self.world.spawn(async move {
            let answer = match hostile {
                Some(hostile) => hostile.exchange(&world, &origin, &asked, bytes_max).await,
                None if origin == ORIGIN => network::exchange(&world, &asked).await,
                None => None,
            };
            if life.get() == mine {
                // Nobody reads more of an answer than the client takes.
                let is_too_large = answer.as_ref().is_some_and(|answer| answer.body.len() > bytes_max);
                inbox.borrow_mut().push_back(if is_too_large {
                    Incoming::Failed { op, error: TransferError::TooLarge }
                } else {
                    Incoming::Answer { op, answer, download }
                });
                world.time.notify();
            }
        });
    }

    /// Stores a body piece by piece, while the connection holds.
    fn receive(&self, op: Op, body: Body, from: u64, file_bytes_max: u64) {
        let (world, inbox, disk) = (Rc::clone(&self.world), Rc::clone(&self.inbox), Rc::clone(&self.disk));
        let (life, mine, aborted) = (Rc::clone(&self.life), self.life.get(), Rc::clone(&self.aborted));
        self.world.spawn(async move {
            let Body { to, answer, expect } = body;
            let claims = answer.header("content-length").and_then(|text| text.parse::<usize>().ok());
            let cut = world.strikes(Fault::DownloadCut).then(|| world.rng(|rng| rng.usize(0..=answer.body.len())));
            let end = cut.unwrap_or(answer.body.len());
            if let Ok(from) = usize::try_from(from) {
                let mut disk = disk.borrow_mut();
                disk.files.entry(to.clone()).or_default().truncate(from);
                let safe = disk.safe.entry(to.clone()).or_default();
                *safe = from.min(*safe);
            }
            let mut taken = 0;
            let push = |incoming| {
                inbox.borrow_mut().push_back(incoming);
                world.time.notify();
            };
            loop {
                let delay = world.pick(1..500);
                world.time.sleep(delay).await;
                if life.get() != mine || aborted.borrow().contains(&op.0) {
                    return;
                }
                let piece = world.rng(|rng| rng.usize(1..400)).min(end - taken);
                let stored = {
                    let mut disk = disk.borrow_mut();
                    let Some(file) = disk.files.get_mut(&to) else { return };
                    file.extend_from_slice(&answer.body[taken..taken + piece]);
                    file.len() as u64
                };
                taken += piece;
                if stored > file_bytes_max {
                    return push(Incoming::Failed { op, error: TransferError::TooLarge });
                }
                // Only what is said to be stored outlives a crash for certain.
                if world.pick(0..2) == 0 {
                    disk.borrow_mut().safe.insert(to.clone(), usize::try_from(stored).unwrap_or(usize::MAX));
                    push(Incoming::Progress { op, bytes: stored });
                }
                if taken == end {
                    break;
                }
            }
            // A body that is shorter than its length says ended too early, as HTTP libraries tell.
            if cut.is_some() || claims.is_some_and(|claim| claim > taken) {
                return push(Incoming::Failed { op, error: TransferError::Network });
            }
            let mut checker = Checker::new(expect);
            if let Some(file) = disk.borrow().files.get(&to) {
                checker.update(file);
            }
            push(Incoming::Downloaded { op, contents: Box::new(checker.finish()) });
        });
    }

    fn hand_over(&mut self, client: &mut Client) {
        loop {
            let Some(incoming) = self.inbox.borrow_mut().pop_front() else { return };
            let (before, now) = (client.stage(), self.now());
            match incoming {
                Incoming::Answer { op, answer: None, .. } => {
                    client.handle_input(ClientInput::Failed { op, error: TransferError::Network }, now);
                }
                Incoming::Answer { op, answer: Some(answer), download } => {
                    let answer = self.seen(answer);
                    let headers: Vec<_> =
                        answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
                    let is_stored = download.is_some() && matches!(answer.status, 200 | 206);
                    if answer.status == 206 && self.hostile.is_none() {
                        self.world.met(Fault::RangeContinued);
                    }
                    let body: &[u8] = if is_stored { b"" } else { &answer.body };
                    let status = answer.status;
                    client.handle_input(ClientInput::Response { op, status, headers: &headers, body }, now);
                    if let Some((to, expect)) = download {
                        self.bodies.insert(op.0, Body { to, answer, expect });
                    }
                }
                Incoming::Progress { op, bytes } => client.handle_input(ClientInput::Progress { op, bytes }, now),
                Incoming::Downloaded { op, contents } => {
                    client.handle_input(ClientInput::Downloaded { op, contents: &contents }, now);
                }
                Incoming::Failed { op, error } => client.handle_input(ClientInput::Failed { op, error }, now),
            }
            self.saw(before, client.stage());
        }
    }

    /// The answer as the client gets to see it; some mutants hide from it what it would check.
    fn seen(&self, mut answer: Answer) -> Answer {
        let hides = |name: &str, answer: &mut Answer| {
            if let Ok(text) = std::str::from_utf8(&answer.body)
                && text.contains("transactionTime")
            {
                answer.body = text.replace(&format!("\"{name}\":"), &format!("\"x-{name}\":")).into_bytes();
            }
        };
        if self.world.is(Mutant::CountNotVerified) {
            hides("count", &mut answer);
        }
        if self.world.is(Mutant::HashNotVerified) {
            hides("sha256", &mut answer);
        }
        answer
    }

    /// A brother of the client, by mistake, polls too.
    fn poll_too_fast(&self, url: &Url) {
        if self.hostile.is_none() && self.world.strikes(Fault::FastPolls) {
            let asked = self.request("GET", url, &[], b"", true);
            let world = Rc::clone(&self.world);
            self.world.spawn(async move {
                for _ in 0..2 {
                    world.time.sleep(500).await;
                    network::deliver(&world, &asked).await;
                }
            });
        }
    }

    /// Memory is gone, and what was not said to be safe may be.
    fn crash(&mut self) {
        self.life.set(self.life.get() + 1);
        self.inbox.borrow_mut().clear();
        self.bodies.clear();
        let mut disk = self.disk.borrow_mut();
        let Disk { files, safe, .. } = &mut *disk;
        for (name, file) in files.iter_mut().filter(|(name, _)| name.ends_with(".part")) {
            let least = safe.get(name).copied().unwrap_or_default().min(file.len());
            if least < file.len() && self.world.strikes(Fault::PartTorn) {
                file.truncate(self.world.rng(|rng| rng.usize(least..file.len())));
            }
        }
    }

    fn check_name(&self, name: &str) {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
        if !is_plain || name.contains("..") || name.starts_with(['/', '.']) || name.matches('/').count() > 1 {
            self.world.violate("a file has a name that nobody made safe");
        }
    }

    fn saw(&self, before: Stage, after: Stage) {
        if before != after {
            self.world.note(|| format!("client: {before:?} -> {after:?}"));
            self.world.coverage.borrow_mut().hit(Group::Client, format!("{before:?} -> {after:?}"));
        }
    }

    /// A later run took up what had ended.
    pub(crate) fn saw_resumed(&self, before: Stage, after: Stage) {
        self.saw(before, after);
    }

    fn push(&self, incoming: Incoming) {
        self.inbox.borrow_mut().push_back(incoming);
    }

    /// The clock of the client is right; those of the hosts need not be.
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.world.time.now())
    }
}

/// Downtime after a crash.
pub(crate) fn downtime(world: &World) -> i64 {
    world.pick(SECOND..3 * MINUTE)
}

/// What a life's end is called.
pub(crate) fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "client complete",
        Outcome::Incomplete => "client incomplete",
        Outcome::Failed(_) => "client failed",
        Outcome::Cancelled => "client cancelled",
    }
}

const OUTPUTS_MAX: u32 = 20_000;

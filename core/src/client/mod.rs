//! One export, client side: what to ask for, and the pump that carries it through.
//!
//! [`ExportRequest`] says what is wanted; [`ExportRequest::check`] makes a [`ClientPlan`] of it. [`Client`] is then driven
//! by a loop that the embedder owns: ask [`Client::poll_output`] and do what it says, in order, until it says
//! [`Wait`](ClientOutput::Wait); then wait for an answer or for that time, hand over what came, and ask again. The client
//! makes no request itself, holds no token, no clock and no file: bulk data goes from the embedder's HTTP library to its
//! storage, and passes only a [`Checker`].
//!
//! # What an embedder must do
//!
//! - Do outputs in order, each before asking for the next; requests may run at the same time.
//! - **Follow no redirect itself**: hand over the 3XX. Send `Authorization` only where `authorize` says so.
//! - Connect to no address that a *name* resolves to before [`OriginPolicy::may_follow`] allows it; the client judges
//!   literal addresses, names only the embedder can look up.
//! - Make [`Save`](ClientOutput::Save) durable before going on: appended, or replaced in one step.
//! - Names of files are relative, of plain ASCII, with at most one folder. They are made by the client: nothing of a URL, a
//!   header or an unknown type gets into them.
//! - Texts in [`PeerIssue`] and [`Client::progress`] are the server's and may hold anything: show them, log them nowhere.

mod attachment;
mod backoff;
mod check;
mod control;
mod discovery;
mod download;
mod ending;
mod event;
mod group;
mod index;
mod input;
mod kick_off;
mod limits;
mod manifest;
mod origin;
mod output;
mod plan;
mod poll;
mod random;
mod record;
mod report;
mod state;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use control::{Control, Task};
use download::Fetch;
use manifest::Walk;
use random::Random;
use record::{FileKind, FileState, Record};
use state::Event;

use crate::{Sensitive, time::Timestamp};

pub use event::{LogDetail, LogEvent};
pub use group::{GroupUpdate, GroupUpdateError};
pub use index::{IndexError, ResourceIndex};
pub use input::{ClientInput, TransferError};
pub use limits::ClientLimits;
pub use origin::{Origin, OriginPolicy, Url, UrlError};
pub use output::{ClientOutput, Op};
pub use plan::{ClientPlan, ExportKind, ExportRequest, KickOffMethod, PlanError, PlanProblem, VendorParameter};
pub use record::{ResumeError, ServerFacts};
pub use report::{Failure, FailureReason, Finding, Outcome, PeerIssue, Report, Step};
pub use state::Stage;
pub use verify::{Checker, Contents, Expect, FileProblem, FoundAttachment};

/// One export, client side. See the [module](self) for the loop.
#[derive(Debug)]
pub struct Client {
    record: Record,
    random: Random,
    queue: VecDeque<ClientOutput>,
    ops: BTreeMap<u64, Owner>,
    next_op: u64,
    /// The one protocol request that is in flight or due.
    control: Option<Control>,
    /// The manifest is being read, page after page.
    walk: Option<Walk>,
    /// Polls without a stated delay in a row.
    polls: u32,
    /// Downloads in flight, or due again later.
    fetches: BTreeMap<u32, Fetch>,
    /// Files to fetch that nothing was done for in this run.
    waiting: BTreeSet<u32>,
    /// Files whose URL has expired.
    stale: BTreeSet<u32>,
    /// Files that were given fresh URLs in this run.
    refreshed: BTreeSet<u32>,
    /// Files by URL, so that none is fetched twice.
    by_url: BTreeMap<Url, u32>,
    /// Files that a page lists.
    listed: BTreeSet<u32>,
    /// The next number of each kind of file name.
    numbers: BTreeMap<String, u32>,
    /// Bytes of all files that have arrived.
    bytes: u64,
    token: Token,
    cancelled: bool,
    opened: BTreeSet<Url>,
    /// Files to discard once it is saved that they are.
    discards: VecDeque<String>,
    progress: Option<Sensitive<String>>,
    report: Option<Box<Report>>,
}

/// Whose request an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Control,
    Fetch(u32),
}

/// Whether the embedder has an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// Not, or one that was refused; it has not been asked for.
    None,
    /// It was asked for.
    Asked,
    /// Yes, and until when.
    Ready(Option<Timestamp>),
}

impl Client {
    /// An export that has not begun. `seed` decides the jitter and the id in the export log.
    pub fn new(plan: ClientPlan, limits: ClientLimits, seed: u64, now: Timestamp) -> Self {
        let mut random = Random::new(seed);
        let export_id = format!("{:016x}{:016x}", random.next(), random.next());
        Self::with(Record::new(plan, limits, export_id, now), random)
    }

    /// An export that was saved: everything of [`ClientOutput::Save`] since the last that replaced. What a crash has torn
    /// off the end does not matter; a record of a newer version is refused.
    ///
    /// An export that ended and lacks files is taken up again, if the server may still have it: the files that are missing
    /// or doubtful are fetched once more.
    ///
    /// Goes on where it stood: the export is polled and not kicked off again, what has arrived stays, a file that broke
    /// off goes on from where it broke if the server can.
    pub fn resume(record: &[u8], seed: u64, now: Timestamp) -> Result<Self, ResumeError> {
        let record = Record::read(record)?;
        let repeated = record.head.stage == Stage::KickingOff && record.head.kick_off_sent;
        let mut client = Self::with(record, Random::new(seed));
        if repeated {
            client.record.find(Finding::KickOffRepeated);
        }
        if client.can_reopen()
            && let Some(stage) = client.record.head.stage.after(Event::Reopen)
        {
            client.record.reopen(stage, now);
        }
        client.take_up_files();
        if client.record.head.stage == Stage::Ended {
            client.discard_what_failed();
            client.report = Some(Box::new(client.make_report(Outcome::Incomplete)));
        }
        // The deadline counts from the first run; a clock that went back does not prolong it by more than that.
        client.record.created = client.record.created.min(now);
        Ok(client)
    }

    fn with(record: Record, random: Random) -> Self {
        // What was cancelled before a crash stays cancelled after it.
        let cancelled = record.head.stage == Stage::Cancelling;
        Self {
            record,
            random,
            queue: VecDeque::new(),
            ops: BTreeMap::new(),
            next_op: 1,
            control: None,
            walk: None,
            polls: 0,
            fetches: BTreeMap::new(),
            waiting: BTreeSet::new(),
            stale: BTreeSet::new(),
            refreshed: BTreeSet::new(),
            by_url: BTreeMap::new(),
            listed: BTreeSet::new(),
            numbers: BTreeMap::new(),
            bytes: 0,
            token: Token::None,
            cancelled,
            opened: BTreeSet::new(),
            discards: VecDeque::new(),
            progress: None,
            report: None,
        }
    }

    /// What to do next. [`Wait`](ClientOutput::Wait) and [`Done`](ClientOutput::Done) end the round.
    #[must_use]
    pub fn poll_output(&mut self, now: Timestamp) -> ClientOutput {
        // Each turn either yields an output or moves the export on, and there are few moves between two outputs.
        for _ in 0..TURNS_MAX {
            if let Some(output) = self.queue.pop_front() {
                return output;
            }
            if let Some((bytes, append)) = self.record.take_unsaved() {
                return ClientOutput::Save { bytes: Sensitive::new(bytes), append };
            }
            if let Some(name) = self.discards.pop_front() {
                return ClientOutput::Discard { name };
            }
            if let Some(report) = &self.report {
                return ClientOutput::Done(report.clone());
            }
            if now >= self.deadline() {
                self.fail(self.step(), FailureReason::Deadline, None, Vec::new(), now);
                continue;
            }
            if !self.advance(now) {
                break;
            }
        }
        ClientOutput::Wait { until: self.wake_at(now) }
    }

    /// Takes what happened. An answer to an operation that is over is ignored.
    pub fn handle_input(&mut self, input: ClientInput<'_>, now: Timestamp) {
        if self.report.is_some() {
            return;
        }
        match input {
            ClientInput::Response { op, status, headers, body } => {
                let reply = crate::http::Reply { status, headers, body };
                match self.ops.get(&op.0) {
                    Some(Owner::Control) => {
                        self.ops.remove(&op.0);
                        self.control_replied(reply, now);
                    }
                    Some(Owner::Fetch(id)) => self.fetch_replied(*id, reply, now),
                    None => {}
                }
            }
            ClientInput::Progress { op, bytes } => {
                if let Some(Owner::Fetch(id)) = self.ops.get(&op.0) {
                    self.fetch_progressed(*id, bytes);
                }
            }
            ClientInput::Downloaded { op, contents } => {
                if let Some(Owner::Fetch(id)) = self.ops.remove(&op.0) {
                    self.fetch_ended(id, contents, now);
                }
            }
            ClientInput::Failed { op, error } => match self.ops.remove(&op.0) {
                Some(Owner::Control) => self.control_failed(error, now),
                Some(Owner::Fetch(id)) => self.fetch_failed(id, error, now),
                None => {}
            },
            ClientInput::TokenReady { expires } => {
                // One that is nearly over is used until it is refused: asking for another at once would never end.
                let lasts = |expires: &Timestamp| now.plus_seconds(TOKEN_SPARE_SECONDS) < *expires;
                self.token = Token::Ready(expires.filter(lasts));
            }
            ClientInput::TokenUnavailable => {
                if self.token == Token::Asked {
                    self.fail(self.step(), FailureReason::Unauthorized, None, Vec::new(), now);
                }
            }
            ClientInput::Timeout => {}
            ClientInput::Cancel => self.cancel(now),
        }
    }

    /// Where the export stands.
    pub fn stage(&self) -> Stage {
        self.record.head.stage
    }

    /// What discovery told.
    pub fn server(&self) -> &ServerFacts {
        &self.record.head.server
    }

    /// The server's `X-Progress`, cut. To show, not to log.
    pub fn progress(&self) -> Option<&Sensitive<String>> {
        self.progress.as_ref()
    }

    /// What was asked for.
    pub fn plan(&self) -> &ClientPlan {
        &self.record.plan
    }

    /// Files and attachments that are known, and how many of them have arrived or are given up.
    pub fn file_counts(&self) -> (u64, u64) {
        let is_over = |state: &FileState| matches!(state, FileState::Arrived { .. } | FileState::Missing { .. });
        let over = self.record.files.values().filter(|file| is_over(&file.state)).count();
        (self.record.files.len() as u64, over as u64)
    }

    /// Moves on what can be moved on. Whether anything was.
    fn advance(&mut self, now: Timestamp) -> bool {
        if self.control.is_none()
            && let Some(task) = self.due_task()
        {
            self.begin(task, now);
            return true;
        }
        self.send_control(now) || self.start_fetch(now) || self.settle(now)
    }

    /// The protocol request that the stage asks for.
    fn due_task(&self) -> Option<Task> {
        match self.record.head.stage {
            Stage::Discovering => Some(Task::Metadata),
            Stage::KickingOff => Some(Task::KickOff),
            Stage::Polling => Some(Task::Poll),
            Stage::Fetching if !self.stale.is_empty() => Some(Task::Poll),
            Stage::Deleting | Stage::Cancelling => Some(Task::Delete),
            Stage::Fetching | Stage::Ended => None,
        }
    }

    /// When to come again if nothing happens before.
    fn wake_at(&self, now: Timestamp) -> Timestamp {
        let control = self.control.as_ref().filter(|control| control.op.is_none()).map(|control| control.not_before);
        let fetches = self.fetches.values().filter(|fetch| fetch.op.is_none()).map(|fetch| fetch.not_before);
        // What is due and still waits, waits for the token or for a free place, not for the time.
        let times = fetches.chain(control).filter(|time| *time > now);
        times.min().unwrap_or(self.deadline()).min(self.deadline())
    }

    fn deadline(&self) -> Timestamp {
        self.record.created.plus_seconds(self.record.limits.total_seconds_max)
    }

    fn step(&self) -> Step {
        match self.record.head.stage {
            Stage::Discovering => Step::Discovery,
            Stage::KickingOff => Step::KickOff,
            Stage::Polling => Step::Status,
            Stage::Fetching | Stage::Ended => Step::Download,
            Stage::Deleting | Stage::Cancelling => Step::Delete,
        }
    }

    /// Takes the transition if the table has it.
    fn enter(&mut self, event: Event) {
        if let Some(next) = self.record.head.stage.after(event) {
            self.record.head_mut().stage = next;
        }
    }

    fn cancel(&mut self, now: Timestamp) {
        if std::mem::replace(&mut self.cancelled, true) {
            return;
        }
        let kicking_off =
            self.control.as_ref().is_some_and(|control| control.task == Task::KickOff && control.op.is_some());
        self.abort(kicking_off);
        match self.record.head.stage {
            // Its answer says what there is to remove.
            Stage::KickingOff if kicking_off => {}
            Stage::Discovering | Stage::KickingOff => self.end(Outcome::Cancelled, now),
            Stage::Polling | Stage::Fetching => self.enter(Event::Cancel),
            Stage::Deleting | Stage::Cancelling | Stage::Ended => {}
        }
    }

    /// Ends everything in flight, the protocol request too unless it is to be kept.
    fn abort(&mut self, keep_control: bool) {
        let ops = std::mem::take(&mut self.ops);
        for (op, owner) in ops {
            if owner == Owner::Control && keep_control {
                self.ops.insert(op, owner);
            } else {
                self.queue.push_back(ClientOutput::Abort { op: Op(op) });
            }
        }
        if !keep_control {
            self.control = None;
        }
        self.walk = None;
        self.fetches.clear();
        self.waiting.clear();
        self.stale.clear();
    }

    fn log(&mut self, detail: LogDetail, now: Timestamp) {
        let event = LogEvent { export_id: self.record.export_id.clone(), timestamp: now, detail };
        self.queue.push_back(ClientOutput::Event(Box::new(event)));
    }

    fn new_op(&mut self, owner: Owner) -> Op {
        let op = self.next_op;
        self.next_op += 1;
        self.ops.insert(op, owner);
        Op(op)
    }

    /// Whether a request that needs a token can be sent now; asks for one if not.
    fn has_token(&mut self, now: Timestamp) -> bool {
        match self.token {
            Token::Ready(expires) if expires.is_none_or(|expires| now.plus_seconds(TOKEN_SPARE_SECONDS) < expires) => {
                true
            }
            Token::Asked => false,
            Token::None | Token::Ready(_) => {
                self.token = Token::Asked;
                self.queue.push_back(ClientOutput::TokenNeeded);
                false
            }
        }
    }
}

/// A token is renewed that long before it ends (SM-RES-07): a request takes time.
const TOKEN_SPARE_SECONDS: u64 = 10;

/// More moves than any export makes between two outputs.
const TURNS_MAX: u32 = 64;

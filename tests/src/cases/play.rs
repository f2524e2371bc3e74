//! Plays a case the way a host would: a fresh instance for each step, jobs and files in a store.

use anyhow::{Context, Result, bail, ensure};
use ehi_core::{
    Timestamp,
    access::Principal,
    http::{Body, Response},
    job::{Command, Wants},
    values::{Decided, RequestHead, Routed},
};
use ehi_host::engine::{Engine, EngineError, Engines};
use serde_json::{Value, json};

use super::{
    check, expect,
    format::{Answer, Case, Outcome, Request, Step},
    store::{self, Store},
    transcript::{PROGRESS, Transcript, shown},
};
use crate::cut::Cuts;

/// How a case is played. What becomes visible is the same in every manner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each source in one block.
    Whole,
    /// Each source cut into blocks, at places that follow from a seed.
    Cut(u64),
    /// Each export loses its host after so many published files, once, unless the case says when itself.
    CrashAfter(usize),
}

/// What came of a case.
#[derive(Debug)]
pub struct Run {
    /// Every call's whole answer, in order.
    pub transcript: Vec<Value>,
    /// What is visible from outside: every response as a client gets it, and every published file with its row.
    pub visible: Vec<Value>,
    /// The most files that one export published.
    pub files: usize,
}

impl Run {
    /// The transcript without a writer's progress, which alone depends on how the input was cut.
    pub fn transcript_without_progress(&self) -> Vec<&Value> {
        self.transcript.iter().filter(|entry| entry.get(PROGRESS).is_none()).collect()
    }
}

/// Plays a case and holds what comes back against what it expects.
pub fn run(case: &Case, engines: &dyn Engines, manner: Manner) -> Result<Run> {
    let mut player = Player::new(case, engines, manner)?;
    for (index, step) in case.steps.iter().enumerate() {
        if index > 0 {
            player.engine = engines.instance()?;
        }
        player.step(step).with_context(|| format!("step {}", index + 1))?;
    }
    Ok(Run { transcript: player.transcript.into_entries(), visible: player.visible, files: player.files })
}

/// A response as a client gets it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) is_file: bool,
}

impl Reply {
    /// As a client's HTTP library hands it on.
    fn decoded(self) -> Result<Self> {
        let is_packed = self.headers.iter().any(|(name, value)| name == "content-encoding" && value == "gzip");
        Ok(if is_packed { Self { body: store::unpacked(&self.body)?, ..self } } else { self })
    }
}

pub(super) struct Player<'c> {
    pub(super) case: &'c Case,
    pub(super) engines: &'c dyn Engines,
    /// The instance of this step; a writer has one of its own.
    pub(super) engine: Box<dyn Engine>,
    pub(super) manner: Manner,
    pub(super) cuts: Option<Cuts>,
    pub(super) now: i64,
    pub(super) store: Store,
    pub(super) transcript: Transcript,
    pub(super) visible: Vec<Value>,
    pub(super) files: usize,
    /// How many jobs were accepted.
    accepted: u8,
    /// The job that was accepted last.
    latest: Option<Latest>,
}

struct Latest {
    id: String,
    /// The path of its polling location.
    path: String,
}

impl<'c> Player<'c> {
    fn new(case: &'c Case, engines: &'c dyn Engines, manner: Manner) -> Result<Self> {
        let cuts = match manner {
            // Each case on its own scale.
            Manner::Cut(seed) => Some(Cuts::with_seed(
                case.name.bytes().fold(seed, |mixed, byte| mixed.rotate_left(7) ^ u64::from(byte)),
            )),
            Manner::Whole | Manner::CrashAfter(_) => None,
        };
        Ok(Self {
            case,
            engines,
            engine: engines.instance()?,
            manner,
            cuts,
            now: case.now,
            store: Store::default(),
            transcript: Transcript::default(),
            visible: Vec::new(),
            files: 0,
            accepted: 0,
            latest: None,
        })
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Advance(millis) => {
                self.now += millis;
                Ok(())
            }
            Step::Request(request, expected) => self.request(request, expected),
            Step::Export(export, expected) => self.export(export, expected),
            Step::Command(command, expected) => self.command(command, expected),
            Step::Wants(holder, expected) => {
                let wants = self.wants(holder)?;
                expect::has(&serde_json::to_value(wants)?, expected, &|text| self.fill(text))
            }
            Step::Sweep(expected) => self.sweep(expected),
        }
    }

    fn request(&mut self, request: &Request, expected: &Answer) -> Result<()> {
        let principal = self.case.principal(&request.principal)?;
        let fields = request.headers.iter();
        let head = RequestHead {
            method: request.method.clone(),
            target: self.fill(&request.target),
            headers: fields
                .flat_map(|(name, values)| values.values().iter().map(|value| (name.clone(), value.clone())))
                .collect(),
        };
        let body = request.body.as_ref().map(|body| body.bytes()).unwrap_or_default();
        let reply = self.answer(&head, body, &principal)?;
        check::reply(&reply)?;
        expect::answer(self.case, expected, &reply, |text| self.fill(text))?;
        self.visible.push(json!({
            "request": format!("{} {}", head.method, head.target),
            "status": reply.status,
            "headers": reply.headers,
            "body": shown(&reply.body),
        }));
        Ok(())
    }

    fn answer(&mut self, head: &RequestHead, body: &[u8], principal: &Principal) -> Result<Reply> {
        match self.transcript.take("route", self.engine.route(head, body, principal))? {
            Routed::Respond(response) => self.deliver(head, None, response),
            Routed::KickOff { kick_off, needs } => {
                let facts = self.store.facts(self.case, &needs);
                let entropy = [self.accepted + 1; 16];
                let decided = self.engine.decide(&kick_off, principal, &facts, entropy, self.now);
                let response = match self.transcript.take("decide", decided)? {
                    Decided::Accepted(accepted) => {
                        let id = accepted.id.to_string();
                        let path = path_of(accepted.response.header("content-location"))?;
                        self.store.insert(id.clone(), accepted.job);
                        self.accepted += 1;
                        self.latest = Some(Latest { id, path });
                        accepted.response
                    }
                    Decided::Refused(response) => response,
                };
                self.deliver(head, None, response)
            }
            Routed::LookUp(look_up) => {
                let found = self.store.look_up(self.case, &look_up, Timestamp::from_millis(self.now))?;
                let response = self.engine.look_up(&look_up, principal, found, self.now);
                let response = self.transcript.take("lookUp", response)?;
                self.deliver(head, None, response)
            }
            Routed::Job(id) => {
                let id = id.to_string();
                let Some(kept) = self.store.jobs.get_mut(&id) else {
                    let response = self.transcript.take("notFound", self.engine.not_found())?;
                    return self.deliver(head, None, response);
                };
                let client = match principal {
                    Principal::Known { client, .. } => Some(client.clone()),
                    Principal::Anonymous | Principal::Open => None,
                };
                let account = kept.accounts.get(&client).copied().unwrap_or_default();
                let answered = self.engine.handle_request(&kept.job.record, account, head, body, principal, self.now);
                let answered = self.transcript.take("handleRequest", answered)?;
                kept.accounts.extend(answered.account.map(|account| (client, account)));
                if let Some(job) = answered.job {
                    kept.job = job;
                }
                self.deliver(head, Some(&id), answered.response)
            }
        }
    }

    /// Turns what an embedder streams into bytes.
    fn deliver(&mut self, head: &RequestHead, id: Option<&str>, response: Response) -> Result<Reply> {
        let Response { status, headers, body } = response;
        let reply = |body: Vec<u8>, is_file| Reply { status, headers, body, is_file };
        Ok(match body {
            Body::Empty => reply(Vec::new(), false),
            Body::Text(text) => reply(text.into_bytes(), false),
            Body::Manifest(head) => {
                let mut rows = self.store.job(id.context("a manifest without a job")?)?.rows.clone();
                rows.retain(|row| head.takes(row));
                rows.sort_by_key(|row| row.section);
                let mut session = self.engine.manifest(&head)?;
                let mut bytes = Vec::new();
                for row in &rows {
                    bytes.extend(session.row(row)?);
                }
                bytes.extend(session.finish()?);
                self.transcript.note("manifest", shown(&bytes));
                reply(bytes, false)
            }
            Body::Row(name) => {
                let id = id.context("a file without a job")?;
                let kept = self.store.job(id)?;
                let response = match kept.rows.iter().find(|row| row.name == name) {
                    Some(row) => {
                        self.transcript.take("serveFile", self.engine.serve_file(&kept.job.record, row, head))?
                    }
                    None => self.transcript.take("notFound", self.engine.not_found())?,
                };
                ensure!(!matches!(response.body, Body::Row(_)), "a row was looked up and is asked for again");
                self.deliver(head, Some(id), response)?
            }
            Body::Object { key, range, unpack } => {
                let stored = self.store.files.get(&key).context("no file has that key")?;
                let bytes = if unpack { store::unpacked(stored)? } else { stored.clone() };
                let bytes = match range {
                    None => bytes.as_slice(),
                    Some((from, to)) => {
                        bytes.get(usize::try_from(from)?..usize::try_from(to)?).context("a range outside the file")?
                    }
                };
                reply(bytes.to_vec(), true).decoded()?
            }
        })
    }

    fn command(&mut self, command: &Command, expected: &Outcome) -> Result<()> {
        let id = self.latest_id()?;
        match (self.apply(&id, command), expected) {
            (Ok(epoch), Outcome::Epoch(wanted)) => ensure!(epoch == *wanted, "epoch {epoch}, not {wanted}"),
            (Ok(epoch), Outcome::Refused(_)) => bail!("taken under epoch {epoch}, not refused"),
            (Err(error), Outcome::Epoch(_)) => return Err(error),
            (Err(error), Outcome::Refused(part)) => match error.downcast()? {
                EngineError::Refused(text) => ensure!(text.contains(part), "refused with {text:?}, not {part:?}"),
                stopped => return Err(stopped.into()),
            },
        }
        Ok(())
    }

    fn sweep(&mut self, expected: &Value) -> Result<()> {
        let id = self.latest_id()?;
        let kept = self.store.job(&id)?;
        let changed = self.transcript.take("handleTimeout", self.engine.handle_timeout(&kept.job.record, self.now))?;
        if let Some(job) = changed {
            kept.job = job;
        }
        let wants = self.wants("sweeper")?;
        expect::has(&serde_json::to_value(&wants)?, expected, &|text| self.fill(text))?;
        match wants {
            Wants::Remove => {
                self.store.remove_files(&id)?;
                self.apply(&id, &Command::Removed)?;
            }
            Wants::Forget => {
                self.store.jobs.remove(&id);
            }
            Wants::Nothing | Wants::Run { .. } | Wants::Step(_) => {}
        }
        Ok(())
    }

    pub(super) fn wants(&mut self, holder: &str) -> Result<Wants> {
        let id = self.latest_id()?;
        let record = &self.store.job(&id)?.job.record;
        let wants = self.engine.wants(record, holder, self.now);
        Ok(self.transcript.take("wants", wants)?)
    }

    /// Gives a command and stores what it did.
    pub(super) fn apply(&mut self, id: &str, command: &Command) -> Result<u64> {
        let record = &self.store.job(id)?.job.record;
        let applied = self.engine.apply(record, command, self.now);
        let applied = self.transcript.take("apply", applied)?;
        let epoch = applied.epoch.0;
        self.store.apply(id, applied)?;
        Ok(epoch)
    }

    pub(super) fn latest_id(&self) -> Result<String> {
        Ok(self.latest.as_ref().context("no job was accepted")?.id.clone())
    }

    /// Text of the case, with the path of the job for `{job}`.
    fn fill(&self, text: &str) -> String {
        text.replace("{job}", self.latest.as_ref().map(|latest| latest.path.as_str()).unwrap_or_default())
    }
}

/// The path of an absolute URL, which is where a client would poll.
fn path_of(location: Option<&str>) -> Result<String> {
    let (_, behind) = location.and_then(|url| url.split_once("://")).context("`Content-Location` is not absolute")?;
    let path = behind.find('/').and_then(|slash| behind.get(slash..));
    Ok(path.context("`Content-Location` has no path")?.to_owned())
}

//! Servers that lie: a small server that would serve a client well, and answers that are spoilt on their way out.

mod answers;
mod lies;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use ehi_core::{
    Timestamp,
    client::{Client, ClientLimits, Outcome},
    writer::Digester,
};
use serde_json::Value;

use crate::{
    coverage::Group,
    data::{HOUR, SECOND},
    driver::{Disk, Driver, End, word},
    memory,
    scenario::ORIGIN,
    wire::{Answer, Asked},
    world::{START, World},
};

pub(crate) use lies::Lie;

/// A server that lies.
pub(crate) struct Hostile {
    /// What it does wrong in this run, and of a thousand answers how many are spoilt.
    lies: Vec<Lie>,
    rate: u16,
    /// The lie that this run is about: one that can be told of few answers, which a run may see once.
    subject: Lie,
    files: Vec<ServedFile>,
    /// 202 so often, then the manifest.
    polls: Cell<u32>,
    /// Every manifest that was sent whole.
    manifests: RefCell<Vec<Value>>,
}

struct ServedFile {
    kind: &'static str,
    section: &'static str,
    bytes: Vec<u8>,
}

impl Hostile {
    fn new(world: &World) -> Self {
        // A few of them, so that a run gets far enough for most.
        let (some, subject) = world.rng(|rng| {
            let mut all = Lie::ALL;
            rng.shuffle(&mut all);
            let special: Vec<Lie> = all.into_iter().filter(|lie| lie.is_of_few_kinds()).collect();
            (all[..rng.usize(4..9)].to_vec(), special[rng.usize(..special.len())])
        });
        let subject = if world.is_large() { Lie::MillionRows } else { subject };
        let lies = if world.is_large() { vec![Lie::MillionRows] } else { some };
        let files = (0..world.pick(1..5)).map(|n| {
            let (kind, section) = if n == 3 { ("OperationOutcome", "error") } else { ("Patient", "output") };
            let lines = (0..world.pick(1..12))
                .map(|line| format!("{{\"resourceType\":\"{kind}\",\"id\":\"f{n}-{line}\",\"language\":\"en\"}}\n"));
            ServedFile { kind, section, bytes: lines.collect::<String>().into_bytes() }
        });
        Self {
            lies,
            rate: if world.is_large() { 1_000 } else { 800 },
            subject,
            files: files.collect(),
            polls: Cell::new(u32::try_from(world.pick(0..4)).unwrap_or(0)),
            manifests: RefCell::default(),
        }
    }

    /// Answers a request, whatever origin it was sent to.
    pub(crate) async fn exchange(
        &self,
        world: &World,
        origin: &str,
        asked: &Asked,
        body_bytes_max: usize,
    ) -> Option<Answer> {
        let delay = world.pick(1..3_000);
        world.time.sleep(delay).await;
        let kind = answers::Kind::of(asked);
        let mut answer = self.honest(kind, asked);
        let lie = (origin == ORIGIN && world.pick(0..1_000) < i64::from(self.rate)).then(|| self.pick(world, kind));
        if let Some(lie) = lie.flatten() {
            world.coverage.borrow_mut().hit(Group::Lie, lie.name());
            world.note(|| format!("server: {kind:?}: {}", lie.name()));
            answer = lies::spoil(lie, world, asked, answer?, body_bytes_max);
        }
        if kind == answers::Kind::Status
            // Of one that is larger no client gets all files, and what is kept here is not what the client holds.
            && answer.as_ref().is_some_and(|answer| answer.status == 200 && answer.body.len() < MANIFEST_BYTES_KEPT)
            && let Some(manifest) = answer.as_ref().and_then(|answer| serde_json::from_slice(&answer.body).ok())
        {
            self.manifests.borrow_mut().push(manifest);
        }
        answer
    }

    fn pick(&self, world: &World, kind: answers::Kind) -> Option<Lie> {
        if self.subject.fits(kind) && world.pick(0..2) == 0 {
            return Some(self.subject);
        }
        let fit: Vec<Lie> = self.lies.iter().copied().filter(|lie| lie.fits(kind)).collect();
        let at = usize::try_from(world.pick(0..i64::try_from(fit.len().max(1)).unwrap_or(1))).unwrap_or(0);
        fit.get(at).copied()
    }

    /// Whether the files that were kept are what one of the manifests said.
    fn is_satisfied(&self, disk: &Disk) -> bool {
        let kept: Vec<(u64, u64, String)> = disk.files.values().map(|file| claims(file)).collect();
        let meets = |row: &Value| {
            row["url"].is_string()
                && kept.iter().any(|(count, size, sha256)| {
                    let extension = &row["extension"];
                    row["count"].as_u64().is_none_or(|claim| claim == *count)
                        && extension["fileSize"].as_u64().is_none_or(|claim| claim == *size)
                        && extension["sha256"].as_str().is_none_or(|claim| claim == sha256)
                })
        };
        let rows = |manifest: &Value, name: &str| manifest[name].as_array().cloned().unwrap_or_default();
        self.manifests
            .borrow()
            .iter()
            .any(|manifest| ["output", "error"].iter().all(|name| rows(manifest, name).iter().all(meets)))
    }
}

/// Lines, bytes, and digest.
fn claims(file: &[u8]) -> (u64, u64, String) {
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    let mut digester = Digester::default();
    digester.update(file);
    (lines as u64, file.len() as u64, digester.finish())
}

/// Lets a client meet a server that lies, until it ends.
pub(crate) fn run(world: &Rc<World>) {
    let hostile = Rc::new(Hostile::new(world));
    let before = memory::live();
    memory::restart_peak();
    world.spawn(client(Rc::clone(world), Rc::clone(&hostile)));
    while world.violation().is_none() && !world.is_over() {
        if !world.time.step() {
            world.violate("nobody does anything any more, and there is still something to do");
        }
    }
    let held = memory::peak().saturating_sub(before);
    let bound = MEMORY_FACTOR * limits(world).response_bytes_max + MEMORY_BASE;
    if u64::try_from(held).is_ok_and(|held| held > bound) {
        world.violate(format!("{held} bytes were held, where {bound} are allowed"));
    }
}

async fn client(world: Rc<World>, hostile: Rc<Hostile>) {
    let mut driver = Driver::new(&world, Some(Rc::clone(&hostile)));
    let Ok(plan) = world.scenario.request.clone().check() else { return world.violate("the request was refused") };
    let limits = limits(&world);
    let mut client = Client::new(plan, limits, world.rng(|rng| rng.u64(..)), Timestamp::from_millis(START));
    let report = match driver.live(&mut client).await {
        End::Done(report) => report,
        End::Crashed | End::Endless => return world.violate("the client has no end with a server that lies"),
    };
    world.coverage.borrow_mut().hit(Group::Outcome, format!("hostile: {}", word(&report.outcome)));
    let limit = i64::try_from(limits.total_seconds_max + limits.retry_after_seconds_max).unwrap_or_default() * SECOND;
    if world.time.now() > START + limit + HOUR {
        world.violate("the client took longer than its limit");
    }
    let disk = driver.disk.borrow();
    let stored: usize = disk.files.values().map(Vec::len).sum();
    if stored as u64 > limits.total_bytes_max + limits.file_bytes_max {
        world.violate("the client stored more than its limit");
    }
    if disk.record.len() as u64 > RECORD_BYTES_MAX + 4 * limits.response_bytes_max {
        world.violate("the record of the client grows without bound");
    }
    if report.outcome == Outcome::Complete {
        if !hostile.is_satisfied(&disk) {
            world.violate("the client calls complete what is not what the manifest says");
        }
        let is_json = |line: &[u8]| serde_json::from_slice::<serde_json::Map<String, Value>>(line).is_ok();
        let lines = disk.files.values().flat_map(|file| file.split(|byte| *byte == b'\n'));
        if !lines.filter(|line| !line.trim_ascii().is_empty()).all(is_json) {
            world.violate("the client calls complete what is no NDJSON");
        }
    }
}

/// Small bounds, so that they are met; now and then those of real use, for a manifest of a million rows.
fn limits(world: &World) -> ClientLimits {
    if world.is_large() {
        return ClientLimits { total_seconds_max: 6 * 60 * 60, ..ClientLimits::default() };
    }
    ClientLimits {
        total_seconds_max: 6 * 60 * 60,
        response_bytes_max: 64 << 10,
        files_max: 40,
        attachments_max: 10,
        file_bytes_max: 32 << 10,
        total_bytes_max: 128 << 10,
        pages_max: 10,
        retries_max: 4,
        retry_after_seconds_max: 60 * 60,
        save_bytes: 100,
        findings_max: 50,
        ..ClientLimits::default()
    }
}

/// The names of all lies.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let names: BTreeSet<&'static str> = Lie::ALL.iter().map(|lie| lie.name()).collect();
    names.into_iter()
}

/// Bytes held by a client and all around it for each byte of the longest answer that it takes.
const MEMORY_FACTOR: u64 = 16;
const MEMORY_BASE: u64 = 4 << 20;
const MANIFEST_BYTES_KEPT: usize = 1 << 20;
const RECORD_BYTES_MAX: u64 = 1 << 20;

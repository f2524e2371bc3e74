//! What is exported: some tens of made-up lines in a few sources, and a group that grows.

use std::collections::BTreeSet;

use ehi_core::{Timestamp, pass::Pass, writer::Resume};
use fastrand::Rng;

/// All data of a run.
pub(crate) struct Data {
    pub(crate) sources: Vec<Table>,
    pub(crate) tombstones: Vec<Tombstone>,
    tombstone_bytes: Vec<u8>,
    /// Members of the group, and since when they are.
    members: Vec<(String, i64)>,
}

/// One source: its lines, and the bytes that hold them.
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
    bytes: Vec<u8>,
}

/// A line of a source.
pub(crate) struct Line {
    pub(crate) text: String,
    /// What it says, if it is a resource.
    pub(crate) resource: Option<Resource>,
}

/// What the reference model knows of a resource.
pub(crate) struct Resource {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) updated: Option<i64>,
    /// Ids of the patients that it refers to.
    pub(crate) patients: BTreeSet<String>,
    /// `Type/id` of what a Provenance is about.
    pub(crate) targets: Vec<String>,
    pub(crate) is_final: bool,
    pub(crate) is_labelled: bool,
}

/// Something that was deleted.
pub(crate) struct Tombstone {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) at: i64,
    pub(crate) patients: Vec<String>,
}

/// A piece of a source, as a writer takes it.
pub(crate) struct Block {
    pub(crate) name: String,
    pub(crate) cursor: Vec<u8>,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Data {
    /// Data around that time: most of it older, a little of it still to come.
    pub(crate) fn generate(rng: &mut Rng, now: i64) -> Self {
        let patients: Vec<String> = (0..rng.usize(2..5)).map(|n| format!("p{n}")).collect();
        let mut lines: Vec<Line> = patients.iter().map(|id| patient(rng, id, now)).collect();
        let mut known: Vec<String> = patients.iter().map(|id| format!("Patient/{id}")).collect();
        for n in 0..rng.usize(8..40) {
            let line = match rng.u8(0..20) {
                0..10 => of_patients(rng, "Observation", &format!("o{n}"), &patients, now),
                10..14 => of_patients(rng, "Encounter", &format!("e{n}"), &patients, now),
                14..16 => organization(rng, &format!("g{n}"), now),
                16..19 => provenance(rng, &format!("v{n}"), &known, now),
                _ => broken(rng, n),
            };
            if let Some(resource) = line.resource.as_ref().filter(|resource| resource.kind != "Provenance") {
                known.push(format!("{}/{}", resource.kind, resource.id));
            }
            lines.push(line);
        }
        rng.shuffle(&mut lines);
        let count = rng.usize(1..4);
        let mut sources: Vec<Table> = (0..count).map(|n| Table::new(format!("source-{n}"))).collect();
        for line in lines {
            sources[rng.usize(0..count)].lines.push(line);
        }
        sources.iter_mut().for_each(|source| source.fill(rng));
        let tombstones: Vec<_> = (0..rng.usize(0..6)).map(|n| tombstone(rng, n, &patients, now)).collect();
        let tombstone_bytes = tombstones.iter().flat_map(|stone| format!("{}\n", stone.line()).into_bytes()).collect();
        let mut joined = |n: usize| if n < 2 { now - DAY } else { now + rng.i64(-MINUTE..5 * MINUTE) };
        let members = patients.iter().enumerate().take(3).map(|(n, id)| (id.clone(), joined(n))).collect();
        Self { sources, tombstones, tombstone_bytes, members }
    }

    /// Who is a member of the group at that time.
    pub(crate) fn members(&self, now: i64) -> BTreeSet<String> {
        self.members.iter().filter(|(_, since)| *since <= now).map(|(id, _)| id.clone()).collect()
    }

    /// What a pass reads from where it is to go on, in pieces cut anywhere.
    pub(crate) fn blocks(
        &self,
        pass: Pass,
        (partition, partitions): (u32, u32),
        resume: Option<&Resume>,
        rng: &mut Rng,
    ) -> Vec<Block> {
        let all: Vec<(usize, &str, &[u8])> = if pass == Pass::Deleted {
            vec![(0, "tombstones", self.tombstone_bytes.as_slice())]
        } else {
            let tables = self.sources.iter().enumerate();
            tables.map(|(n, table)| (n, table.name.as_str(), table.bytes.as_slice())).collect()
        };
        let is_ours = |n: usize| pass != Pass::Main || n as u32 % partitions == partition;
        let (first, from) = match resume {
            Some(Resume::At { cursor, offset, .. }) => (cursor.first().map_or(0, |n| usize::from(*n)), *offset),
            Some(Resume::Start) | None => (0, 0),
        };
        let mut blocks = Vec::new();
        for (n, name, bytes) in all.into_iter().filter(|(n, ..)| is_ours(*n) && *n >= first) {
            let mut offset = if n == first { usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len()) } else { 0 };
            loop {
                let length = rng.usize(1..BLOCK_BYTES_MAX).min(bytes.len() - offset);
                blocks.push(Block {
                    name: name.to_owned(),
                    cursor: vec![n as u8],
                    offset: offset as u64,
                    bytes: bytes[offset..offset + length].to_vec(),
                });
                offset += length;
                if offset == bytes.len() {
                    break;
                }
            }
        }
        blocks
    }

    /// The place of the line after the one at that place, if there is one.
    pub(crate) fn next_line(&self, cursor: &[u8], offset: u64) -> Option<u64> {
        let table = self.sources.get(usize::from(*cursor.first()?))?;
        let from = usize::try_from(offset).ok()?;
        let end = table.bytes.get(from..)?.iter().position(|byte| *byte == b'\n')?;
        Some((from + end + 1) as u64)
    }
}

impl Table {
    fn new(name: String) -> Self {
        Self { name, lines: Vec::new(), bytes: Vec::new() }
    }

    fn fill(&mut self, rng: &mut Rng) {
        let mut bytes: Vec<u8> = self.lines.iter().flat_map(|line| format!("{}\n", line.text).into_bytes()).collect();
        // A last line may lack its line end.
        if rng.bool() {
            bytes.pop();
        }
        self.bytes = bytes;
    }
}

impl Tombstone {
    fn line(&self) -> String {
        let Self { kind, id, at, patients } = self;
        let patients: Vec<_> = patients.iter().map(|id| format!("\"{id}\"")).collect();
        let (at, patients) = (Timestamp::from_millis(*at), patients.join(","));
        format!(r#"{{"type":"{kind}","id":"{id}","deletedAt":"{at}","patients":[{patients}],"labels":[]}}"#)
    }
}

fn patient(rng: &mut Rng, id: &str, now: i64) -> Line {
    let updated = updated(rng, now);
    let text = format!(r#"{{"resourceType":"Patient","id":"{id}"{},"active":true}}"#, meta(updated, false));
    line(text, resource("Patient", id, updated, [id.to_owned()].into()))
}

fn of_patients(rng: &mut Rng, kind: &'static str, id: &str, patients: &[String], now: i64) -> Line {
    let subject = rng.choice(patients).cloned().unwrap_or_default();
    let (updated, is_labelled) = (updated(rng, now), kind == "Observation" && rng.u8(0..6) == 0);
    let mut all = BTreeSet::from([subject.clone()]);
    let mut rest = String::new();
    if kind == "Observation" && rng.u8(0..5) == 0 {
        let performer = rng.choice(patients).cloned().unwrap_or_default();
        rest = format!(r#","performer":[{{"reference":"Patient/{performer}"}}]"#);
        all.insert(performer);
    }
    let is_final = rng.bool();
    let status = if is_final { "final" } else { "preliminary" };
    let text = format!(
        r#"{{"resourceType":"{kind}","id":"{id}"{},"status":"{status}","subject":{{"reference":"Patient/{subject}"}}{rest}}}"#,
        meta(updated, is_labelled)
    );
    line(text, Resource { is_final, is_labelled, ..resource(kind, id, updated, all) })
}

fn organization(rng: &mut Rng, id: &str, now: i64) -> Line {
    let updated = updated(rng, now);
    let text = format!(r#"{{"resourceType":"Organization","id":"{id}"{}}}"#, meta(updated, false));
    line(text, resource("Organization", id, updated, BTreeSet::new()))
}

fn provenance(rng: &mut Rng, id: &str, known: &[String], now: i64) -> Line {
    let targets: Vec<String> = (0..rng.usize(1..3)).filter_map(|_| rng.choice(known).cloned()).collect();
    let updated = updated(rng, now);
    let listed: Vec<_> = targets.iter().map(|target| format!(r#"{{"reference":"{target}"}}"#)).collect();
    let text = format!(
        r#"{{"resourceType":"Provenance","id":"{id}"{},"target":[{}]}}"#,
        meta(updated, false),
        listed.join(",")
    );
    let patients = targets.iter().filter_map(|target| target.strip_prefix("Patient/")).map(str::to_owned).collect();
    line(text, Resource { targets, ..resource("Provenance", id, updated, patients) })
}

fn broken(rng: &mut Rng, n: usize) -> Line {
    let text = match rng.u8(0..4) {
        0 => format!(r#"{{"id":"x{n}""#),
        1 => String::from("[]"),
        2 => format!(r#"{{"resourceType":"Nonsense","id":"x{n}"}}"#),
        _ => String::from("no JSON"),
    };
    Line { text, resource: None }
}

fn tombstone(rng: &mut Rng, n: usize, patients: &[String], now: i64) -> Tombstone {
    let kind = if rng.u8(0..4) == 0 { "Patient" } else { "Observation" };
    let of = (0..rng.usize(0..3)).filter_map(|_| rng.choice(patients).cloned());
    let of: BTreeSet<String> = if kind == "Patient" { BTreeSet::new() } else { of.collect() };
    let id = if kind == "Patient" { format!("p{}", rng.u8(0..6)) } else { format!("d{n}") };
    Tombstone { kind, id, at: now + rng.i64(-2 * DAY..MINUTE), patients: of.into_iter().collect() }
}

fn line(text: String, resource: Resource) -> Line {
    Line { text, resource: Some(resource) }
}

fn resource(kind: &'static str, id: &str, updated: Option<i64>, patients: BTreeSet<String>) -> Resource {
    let (id, targets) = (id.to_owned(), Vec::new());
    Resource { kind, id, updated, patients, targets, is_final: false, is_labelled: false }
}

fn updated(rng: &mut Rng, now: i64) -> Option<i64> {
    match rng.u8(0..10) {
        0 => None,
        1 => Some(now + rng.i64(-MINUTE..5 * MINUTE)),
        _ => Some(now - rng.i64(MINUTE..2 * DAY)),
    }
}

fn meta(updated: Option<i64>, is_labelled: bool) -> String {
    let updated = updated.map(|at| format!(r#""lastUpdated":"{}""#, Timestamp::from_millis(at)));
    let label = is_labelled.then(|| {
        let (system, code) = LABEL.split_once('|').unwrap_or_default();
        format!(r#""security":[{{"system":"{system}","code":"{code}"}}]"#)
    });
    let members: Vec<_> = updated.into_iter().chain(label).collect();
    if members.is_empty() { String::new() } else { format!(r#","meta":{{{}}}"#, members.join(",")) }
}

/// The security label of sensitive resources.
pub(crate) const LABEL: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode|HIV";

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

const BLOCK_BYTES_MAX: usize = 600;

//! The work of a job, as a host does it: begin, feed the sources to a writer, store and publish each file, finish.

use std::{borrow::Cow, collections::BTreeMap};

use anyhow::{Context, Result, bail, ensure};
use ehi_core::{
    ResourceType, Timestamp,
    job::{Command, Epoch, PopulationWanted, Wants},
    manifest::{OutputFile, Section},
    pass::{PartitionTask, Pass, SetWanted},
    plan::{ExportPlan, Organize},
    values::WriterEvent,
    writer::{Checkpoint, Resume, patients_of},
};
use ehi_host::engine::WriterSession;
use serde_json::{Value, json};

use super::{
    check, expect,
    format::{Case, Export, Published},
    play::{Manner, Player},
    store,
    transcript::{PROGRESS, shown},
};

impl Player<'_> {
    /// Does the whole work of the latest job and holds its files against what is expected.
    pub(super) fn export(&mut self, export: &Export, expected: &Published) -> Result<()> {
        let id = self.latest_id()?;
        let mut crash_after = export.crash_after.or(match self.manner {
            Manner::CrashAfter(files) => Some(files),
            Manner::Whole | Manner::Cut(_) => None,
        });
        while self.attempt(&id, export, crash_after)? == Attempt::Lost {
            crash_after = None;
        }
        self.check_published(&id, expected)
    }

    /// Begins, or goes on, and writes every partition that is not finished.
    fn attempt(&mut self, id: &str, export: &Export, crash_after: Option<usize>) -> Result<Attempt> {
        let Wants::Run { population, new_after, .. } = self.wants(&export.holder)? else {
            bail!("the job wants no run")
        };
        let population = self.population(&population, new_after)?;
        let now = Timestamp::from_millis(self.now);
        let begin = Command::Begin {
            holder: export.holder.clone(),
            until: now.plus_seconds(30),
            transaction_time: export.transaction_time.unwrap_or(now),
            snapshot: self.case.name.clone(),
            partitions: export.partitions,
        };
        let epoch = Epoch(self.apply(id, &begin)?);
        let Wants::Run { partitions, .. } = self.wants(&export.holder)? else { bail!("a begun job wants no run") };
        let mut published = 0;
        for task in partitions {
            let partition = task.partition;
            let mut run = PartitionRun { id, epoch, task, export, crash_after, published, open: BTreeMap::new() };
            if self.write(&mut run, population.as_deref())? == Attempt::Lost {
                return Ok(Attempt::Lost);
            }
            published = run.published;
            self.apply(id, &Command::FinishPartition { epoch, partition })?;
        }
        Ok(Attempt::Finished)
    }

    /// The population block, as the face makes it of the members whom the case names.
    fn population(&mut self, wanted: &PopulationWanted, new_after: Option<Timestamp>) -> Result<Option<Vec<u8>>> {
        let of_group = |id| self.case.groups.get(id).context("no such group").map(Vec::as_slice);
        let (listed, only) = match wanted {
            PopulationWanted::Nobody => return Ok(None),
            PopulationWanted::Group(id) => (of_group(id)?, None),
            PopulationWanted::Members { group, patients } => (of_group(group)?, Some(patients)),
            PopulationWanted::Practitioner(id) => {
                (self.case.practitioners.get(id).context("no such practitioner")?.as_slice(), None)
            }
            PopulationWanted::Patient(id) => (std::slice::from_ref(id), None),
            PopulationWanted::Patients(ids) => (ids.as_slice(), None),
        };
        let mut population = self.engine.population()?;
        for id in listed.iter().filter(|id| only.is_none_or(|only| only.contains(id))) {
            let is_new =
                new_after.is_some_and(|after| self.case.members_since.get(id).is_some_and(|since| *since > after));
            match id.split_once('/') {
                Some((resource_type, id)) => population.push_resource(resource_type, id, is_new)?,
                None if is_new => population.push_new(id)?,
                None => population.push(id)?,
            }
        }
        let block = population.finish()?;
        self.transcript.note("population", shown(&block));
        Ok(Some(block))
    }

    fn write(&mut self, run: &mut PartitionRun<'_>, population: Option<&[u8]>) -> Result<Attempt> {
        let record = &self.store.job(run.id)?.job.record;
        let plan = self.transcript.take("plan", self.engine.plan(record))?;
        let limits = &self.case.limits;
        let sets = self.sets(run, &plan, population)?;
        let mut engine = self.engines.instance()?;
        let mut session = engine.writer(&plan, &run.task, population, limits)?;
        for (wanted, block) in &sets {
            session.add_set(wanted, block)?;
        }
        if run.is_lost() {
            return Ok(Attempt::Lost);
        }
        let from = run.task.checkpoint.clone();
        let segments = if plan.organize == Organize::ByPatient && run.task.pass == Pass::Main {
            blocks(self.case, &plan, from.as_ref())?
        } else {
            segments(self.case, &run.task, run.export, from.as_ref())?
        };
        for segment in segments {
            if segment.begins_block {
                session.begin_block(&segment.name)?;
            }
            if segment.superseded {
                // An empty block ends the source before this one, should its last line lack the line end.
                session.write_lines(&[], &segment.name, segment.name.as_bytes(), segment.offset)?;
                if self.drain(run, &mut *session)? == Attempt::Lost {
                    return Ok(Attempt::Lost);
                }
                session.supersede_next_line()?;
            }
            if self.feed(run, &mut *session, &segment)? == Attempt::Lost {
                return Ok(Attempt::Lost);
            }
        }
        session.finish()?;
        if self.drain(run, &mut *session)? == Attempt::Lost {
            return Ok(Attempt::Lost);
        }
        ensure!(run.open.is_empty(), "a finished writer left a file open");
        let counts = self.transcript.take("counts", session.counts())?;
        ensure!(from.is_some() || counts.2 == 0, "a first run passed records over");
        Ok(Attempt::Finished)
    }

    /// The sets that the pass needs: the case's own, or found in its sources.
    fn sets(
        &mut self,
        run: &PartitionRun<'_>,
        plan: &ExportPlan,
        population: Option<&[u8]>,
    ) -> Result<Vec<(SetWanted, Vec<u8>)>> {
        let wanted = self.transcript.take("setsWanted", self.engine.sets_wanted(plan, run.task.pass))?;
        let mut made: Vec<(SetWanted, Vec<u8>)> = Vec::new();
        for (set, task) in wanted {
            let found = match task {
                None => known(self.case, &set)?.iter().flat_map(|text| format!("{text}\n").into_bytes()).collect(),
                Some(task) => self.find(run.export, plan, &task, population, &made)?,
            };
            let mut engine = self.engines.instance()?;
            let mut builder = engine.set(&set, 1_000)?;
            builder.push(&found)?;
            made.push((set, builder.finish()?));
        }
        Ok(made)
    }

    /// What a collecting pass finds, given the sets made so far.
    fn find(
        &mut self,
        export: &Export,
        plan: &ExportPlan,
        task: &PartitionTask,
        population: Option<&[u8]>,
        made: &[(SetWanted, Vec<u8>)],
    ) -> Result<Vec<u8>> {
        let mut engine = self.engines.instance()?;
        let needed = engine.sets_wanted(plan, task.pass)?;
        let mut session = engine.writer(plan, task, population, &self.case.limits)?;
        for (set, _) in &needed {
            let block = made.iter().find(|(made, _)| made == set).map(|(_, block)| block);
            session.add_set(set, block.context("a set needs a later one")?)?;
        }
        let mut found = Vec::new();
        for segment in segments(self.case, task, export, None)? {
            if segment.superseded {
                session.write_lines(&[], &segment.name, segment.name.as_bytes(), segment.offset)?;
                collect(&mut *session, &mut found)?;
                session.supersede_next_line()?;
            }
            let (mut rest, mut offset) = (segment.bytes.as_ref(), segment.offset);
            while !rest.is_empty() {
                let consumed = session.write_lines(rest, &segment.name, segment.name.as_bytes(), offset)?.consumed;
                collect(&mut *session, &mut found)?;
                rest = rest.get(consumed..).context("more was taken than given")?;
                offset += consumed as u64;
            }
        }
        session.finish()?;
        collect(&mut *session, &mut found)?;
        self.transcript.note("found", json!(String::from_utf8_lossy(&found)));
        Ok(found)
    }

    fn feed(
        &mut self,
        run: &mut PartitionRun<'_>,
        session: &mut dyn WriterSession,
        segment: &Segment<'_>,
    ) -> Result<Attempt> {
        let blocks = match &mut self.cuts {
            Some(cuts) => cuts.cut(&segment.bytes),
            None => vec![segment.bytes.as_ref()],
        };
        let mut offset = segment.offset;
        for block in blocks {
            let mut rest = block;
            loop {
                let progress = session.write_lines(rest, &segment.name, segment.name.as_bytes(), offset)?;
                let (consumed, drain_first) = (progress.consumed, progress.drain_first);
                self.transcript.note(PROGRESS, json!({ "consumed": consumed, "drainFirst": drain_first }));
                if self.drain(run, session)? == Attempt::Lost {
                    return Ok(Attempt::Lost);
                }
                rest = rest.get(consumed..).context("more was taken than given")?;
                offset += consumed as u64;
                if rest.is_empty() {
                    break;
                }
                ensure!(drain_first, "a writer took {consumed} bytes of a block and did not ask to be drained");
            }
        }
        Ok(Attempt::Finished)
    }

    /// Does what the writer asks for.
    fn drain(&mut self, run: &mut PartitionRun<'_>, session: &mut dyn WriterSession) -> Result<Attempt> {
        while let Some(event) = session.poll_output()? {
            self.transcript.event(&event)?;
            match event {
                WriterEvent::Found { .. } => bail!("a pass that writes files found something to collect"),
                WriterEvent::Open { file, section, resource_type, name, content_type } => {
                    let open = OpenFile { section, resource_type, name, content_type, bytes: Vec::new() };
                    ensure!(run.open.insert(file, open).is_none(), "file {file} was opened twice");
                }
                WriterEvent::Append { file, bytes } => {
                    run.open.get_mut(&file).context("an append to no open file")?.bytes.extend(bytes);
                }
                WriterEvent::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint } => {
                    let open = run.open.remove(&file).context("no such file is open")?;
                    let key = format!("{}/{}/{}", run.id, run.epoch.0, open.name);
                    let OpenFile { section, resource_type, name, content_type, bytes: content } = open;
                    let row = OutputFile {
                        section,
                        resource_type,
                        name,
                        key,
                        content_type,
                        count,
                        bytes,
                        gzip_bytes,
                        sha256,
                        continues_in_file,
                        page: None,
                    };
                    self.publish(run, row, content, checkpoint)?;
                    if run.is_lost() {
                        return Ok(Attempt::Lost);
                    }
                }
            }
        }
        Ok(Attempt::Finished)
    }

    fn publish(
        &mut self,
        run: &mut PartitionRun<'_>,
        row: OutputFile,
        content: Vec<u8>,
        checkpoint: Checkpoint,
    ) -> Result<()> {
        check::file(self.case, &row, &store::content(&row, &content)?).with_context(|| format!("in {}", row.name))?;
        let key = row.key.clone();
        ensure!(self.store.files.insert(key, content).is_none(), "a file was written over");
        let (epoch, partition) = (run.epoch, run.task.partition);
        self.apply(run.id, &Command::Publish { epoch, partition, rows: vec![row], checkpoint })?;
        run.published += 1;
        Ok(())
    }

    fn check_published(&mut self, id: &str, expected: &Published) -> Result<()> {
        let rows = self.store.job(id)?.rows.clone();
        check::names(&rows)?;
        self.files = self.files.max(rows.len());
        let mut files = BTreeMap::new();
        for row in &rows {
            let stored = self.store.files.get(&row.key).context("no file has the key of a row")?;
            let content = store::content(row, stored)?;
            self.visible.push(json!({ "row": without_key(row)?, "file": shown(stored) }));
            files.insert(row.name.as_str(), content);
        }
        expect::files(self.case, expected, &files)?;
        if let Some(wanted) = &expected.rows {
            let found = rows.iter().map(without_key).collect::<Result<Vec<_>>>()?;
            expect::has(&Value::Array(found), &Value::Array(wanted.clone()), &str::to_owned).context("in the rows")?;
        }
        Ok(())
    }
}

/// How far a host came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Finished,
    /// It was lost on the way.
    Lost,
}

/// One host's work on one partition.
struct PartitionRun<'r> {
    id: &'r str,
    epoch: Epoch,
    task: PartitionTask,
    export: &'r Export,
    crash_after: Option<usize>,
    /// Files published in this attempt, over all partitions.
    published: usize,
    open: BTreeMap<u32, OpenFile>,
}

impl PartitionRun<'_> {
    fn is_lost(&self) -> bool {
        self.crash_after == Some(self.published)
    }
}

struct OpenFile {
    section: Section,
    resource_type: Option<ResourceType>,
    name: String,
    content_type: Option<String>,
    bytes: Vec<u8>,
}

/// Bytes of a source that are fed in one go.
struct Segment<'s> {
    name: Cow<'s, str>,
    offset: u64,
    bytes: Cow<'s, [u8]>,
    /// Whether its first line is superseded.
    superseded: bool,
    /// Whether it is the block of the patient whose id is its name.
    begins_block: bool,
}

/// The lines of the sources by patient, from the checkpoint on: nobody's first. The cursor is the patient's id.
fn blocks(case: &Case, plan: &ExportPlan, from: Option<&Checkpoint>) -> Result<Vec<Segment<'static>>> {
    let mut blocks: BTreeMap<String, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    for (name, source) in &case.sources {
        for line in source.lines().into_iter().filter(|_| !is_of_tombstones(name)) {
            let mut patients = patients_of(line, &plan.definitions(), &plan.base_url);
            let is_patient = line.starts_with(br#"{"resourceType":"Patient""#);
            if patients.is_empty() {
                patients.insert(String::new());
            }
            for patient in patients {
                let (first, rest) = blocks.entry(patient).or_default();
                if is_patient { first } else { rest }.extend_from_slice(line);
            }
        }
    }
    let mut segments = Vec::new();
    for (patient, (first, rest)) in blocks {
        let from = match from.map(|checkpoint| &checkpoint.resume) {
            Some(Resume::At { source, .. }) if patient < *source => continue,
            Some(Resume::At { source, offset, .. }) if patient == *source => usize::try_from(*offset)?,
            Some(Resume::At { .. } | Resume::Start) | None => 0,
        };
        let lines = [first, rest].concat();
        let bytes = lines.get(from..).context("a checkpoint outside its block")?.to_vec();
        if !bytes.is_empty() {
            let begins_block = !patient.is_empty();
            ensure!(!begins_block || from == 0, "a checkpoint within a block");
            let (name, bytes, offset) = (Cow::Owned(patient), Cow::Owned(bytes), from as u64);
            segments.push(Segment { name, offset, bytes, superseded: false, begins_block });
        }
    }
    Ok(segments)
}

/// The sources of a partition from the checkpoint on, cut before each superseded line. The cursor is the source's name.
fn segments<'c>(
    case: &'c Case,
    task: &PartitionTask,
    export: &Export,
    from: Option<&Checkpoint>,
) -> Result<Vec<Segment<'c>>> {
    let mut segments = Vec::new();
    let dealt = case.sources.iter().zip((0..export.partitions.max(1)).cycle());
    let is_read = |name: &str, partition: u32| match task.pass {
        Pass::Main => partition == task.partition && !is_of_tombstones(name),
        Pass::Deleted => is_of_tombstones(name),
        Pass::Collect(_) | Pass::Context | Pass::Binaries | Pass::Attachments => !is_of_tombstones(name),
    };
    for ((name, source), _) in dealt.filter(|((name, _), partition)| is_read(name, *partition)) {
        let from = match from.map(|checkpoint| &checkpoint.resume) {
            Some(Resume::At { source, .. }) if name < source => continue,
            Some(Resume::At { source, offset, .. }) if name == source => usize::try_from(*offset)?,
            Some(Resume::At { .. } | Resume::Start) | None => 0,
        };
        let superseded = export.superseded.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut starts = BTreeMap::from([(from, false)]);
        let mut offset = 0;
        for (index, line) in source.lines().into_iter().enumerate() {
            if offset >= from && superseded.contains(&(index + 1)) {
                starts.insert(offset, true);
            }
            offset += line.len();
        }
        let ends = starts.keys().copied().skip(1).chain([offset]);
        for ((start, superseded), end) in starts.iter().zip(ends).filter(|((start, _), end)| *start < end) {
            let bytes = source.bytes().get(*start..end).context("a checkpoint outside its source")?;
            let (name, bytes, offset) = (Cow::Borrowed(name.as_str()), Cow::Borrowed(bytes), *start as u64);
            segments.push(Segment { name, offset, bytes, superseded: *superseded, begins_block: false });
        }
    }
    Ok(segments)
}

/// The texts of a set that no pass finds.
fn known<'c>(case: &'c Case, set: &SetWanted) -> Result<&'c [String]> {
    match set {
        SetWanted::Vetoes => Ok(&case.vetoes),
        SetWanted::ValueSet(url) => {
            case.value_sets.get(url).map(Vec::as_slice).context("the case knows no such ValueSet")
        }
        SetWanted::Collected(_) => bail!("{set} is found by a pass"),
    }
}

/// Which sources hold tombstones, by their names.
fn is_of_tombstones(name: &str) -> bool {
    name.ends_with(".tombstones.ndjson")
}

/// Takes what a collecting pass puts out.
fn collect(session: &mut dyn WriterSession, found: &mut Vec<u8>) -> Result<()> {
    while let Some(event) = session.poll_output()? {
        match event {
            WriterEvent::Found { bytes } => found.extend(bytes),
            other => bail!("a collecting pass put out {other:?}"),
        }
    }
    Ok(())
}

/// A row as a client could know it: where a file is kept depends on the attempt.
fn without_key(row: &OutputFile) -> Result<Value> {
    let mut row = serde_json::to_value(row)?;
    row.as_object_mut().context("a row is an object")?.remove("key");
    Ok(row)
}

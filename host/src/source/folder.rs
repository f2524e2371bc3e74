//! A folder of NDJSON files: any names that end in `.ndjson`, any mix of types.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::UNIX_EPOCH,
};

use anyhow::{Context, Result, anyhow, bail};
use ehi_core::{
    ResourceType, Sensitive, Timestamp,
    group::{self, Member, Membership},
    look_up::{Found, LookUp},
    population::{Population, PopulationBuilder},
    practitioner,
};
use sha2::{Digest, Sha256};

use super::{
    Block, Blocks, Snapshot, Source,
    blocks::PatientBlocks,
    catalogue::{Catalogue, Filing, TO_THE_END},
    scan, tombstone,
    value_set::ValueSet,
};
use crate::clock;

/// A folder of NDJSON files.
///
/// The folder is catalogued once, and again when a file's size or time of change differs. What changes while an export
/// runs makes that export fail rather than mix two states.
pub struct Folder {
    path: PathBuf,
    base_url: String,
    catalogue: Arc<Mutex<Catalogue>>,
}

/// One file as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: String,
    bytes: u64,
    changed: u128,
}

/// The files as they are now, and the catalogue of just these.
struct UpToDate<'f> {
    catalogue: MutexGuard<'f, Catalogue>,
    files: Vec<Seen>,
    id: String,
}

impl Folder {
    /// A folder, with its catalogue in that file. Absolute references below `base_url` are local; longer lines than that
    /// are no resources.
    pub fn open(path: &Path, catalogue: &Path, base_url: &str, line_bytes_max: usize) -> Result<Self> {
        if !path.is_dir() {
            bail!("the data folder `{}` does not exist or is not a folder", path.display());
        }
        let catalogue = Arc::new(Mutex::new(Catalogue::open(catalogue, line_bytes_max)?));
        let folder = Self { path: path.to_owned(), base_url: base_url.to_owned(), catalogue };
        if list(path)?.is_empty() {
            tracing::warn!("the data folder holds no file that ends in .ndjson");
        }
        Ok(folder)
    }

    /// How many files there are that are not read, because their names do not end in `.ndjson`.
    pub fn other_files(&self) -> Result<usize> {
        let mut files = 0;
        for entry in fs::read_dir(&self.path)? {
            files += usize::from(entry?.path().is_file());
        }
        Ok(files.saturating_sub(list(&self.path)?.len()))
    }

    /// The catalogue, describing the files as they are now.
    fn up_to_date(&self) -> Result<UpToDate<'_>> {
        let files = list(&self.path)?;
        let id = identity(&files);
        let mut catalogue = locked(&self.catalogue)?;
        if !catalogue.describes(&id)? {
            tracing::info!(files = files.len(), "reading the data folder");
            catalogue.describe(&id, |filing| self.read_all(&files, filing))?;
        }
        Ok(UpToDate { catalogue, files, id })
    }

    /// Hands every block of the files on, in order.
    fn read_all(&self, files: &[Seen], filing: &mut Filing<'_>) -> Result<()> {
        let mut buffer = Vec::new();
        for file in files {
            let mut reader = FileReader::open(&self.path, &file.name, 0)?;
            while let Some(offset) = reader.fill(&mut buffer, u64::MAX)? {
                filing(&file.name, offset, &buffer)?;
            }
        }
        Ok(())
    }

    fn has(&self, resource_type: &str, id: &str) -> Result<bool> {
        let UpToDate { catalogue, .. } = self.up_to_date()?;
        catalogue.has(resource_type, id)
    }

    fn group(
        &self,
        catalogue: &Catalogue,
        id: &str,
        now: Timestamp,
        new_after: Option<Timestamp>,
    ) -> Result<Vec<Membership>> {
        let Some(spot) = catalogue.find("Group", id, now)? else { return Ok(Vec::new()) };
        let mut line = Vec::new();
        let mut file = File::open(self.path.join(&spot.file)).with_context(|| cannot_read(&spot.file))?;
        file.seek(SeekFrom::Start(spot.offset))?;
        file.take(spot.length).read_to_end(&mut line)?;
        group::members(line.trim_ascii(), &self.base_url, now, new_after)
            .ok_or_else(|| anyhow!("`{}`: a group that is asked for has members that cannot be read", spot.file))
    }
}

impl Source for Folder {
    fn snapshot(&self) -> Result<Snapshot> {
        // Taken before the look: what is written from here on may be missing from the snapshot.
        let transaction_time = clock::now();
        let UpToDate { files, id, .. } = self.up_to_date()?;
        Ok(Snapshot { id, transaction_time, bytes: files.iter().map(|file| file.bytes).sum() })
    }

    fn has_patient(&self, id: &str) -> Result<bool> {
        self.has("Patient", id)
    }

    fn patients_among(&self, ids: &[String]) -> Result<Vec<String>> {
        let UpToDate { catalogue, .. } = self.up_to_date()?;
        let mut found = Vec::new();
        for id in ids {
            if catalogue.has("Patient", id)? {
                found.push(id.clone());
            }
        }
        Ok(found)
    }

    fn has_group(&self, id: &str) -> Result<bool> {
        self.has("Group", id)
    }

    fn has_practitioner(&self, id: &str) -> Result<bool> {
        self.has("Practitioner", id)
    }

    fn patients_of(&self, practitioner: &str, now: Timestamp) -> Result<Vec<u8>> {
        let UpToDate { catalogue, .. } = self.up_to_date()?;
        let mut roles = BTreeSet::new();
        scan::each(&catalogue, &self.path, "PractitionerRole", now, &mut |id, line| {
            if practitioner::has_role(line, practitioner, &self.base_url, now) {
                roles.insert(id.to_owned());
            }
            Ok(())
        })?;
        let mut population = PopulationBuilder::default();
        scan::each(&catalogue, &self.path, "Patient", now, &mut |id, line| {
            if practitioner::has_patient(line, practitioner, &roles, &self.base_url) {
                population.push(id)?;
            }
            Ok(())
        })?;
        Ok(population.seal())
    }

    fn look_up(&self, look_up: &LookUp, accessible: &BTreeSet<String>, now: Timestamp) -> Result<Found> {
        let mut found = Found::default();
        let Some(filter) = look_up.filter(&self.base_url, now) else { return Ok(found) };
        let UpToDate { catalogue, .. } = self.up_to_date()?;
        let count = usize::try_from(look_up.count).unwrap_or(usize::MAX);
        let mut total = 0_u64;
        let resource_type = look_up.resource_type.as_str();
        scan::each(&catalogue, &self.path, resource_type, now, &mut |id, line| {
            let is_asked = look_up.id.as_ref().is_none_or(|asked| asked.expose() == id);
            let is_open = look_up.access.is_none() || accessible.contains(id);
            if is_asked && is_open && filter.matches(line) {
                total += 1;
                if found.resources.len() < count {
                    found.accessible.insert(id.to_owned());
                    found.resources.push(Sensitive::new(String::from_utf8_lossy(line).into_owned()));
                }
            }
            Ok(())
        })?;
        found.total = Some(total);
        Ok(found)
    }

    fn members(&self, group: &str, now: Timestamp, new_after: Option<Timestamp>) -> Result<Vec<u8>> {
        let UpToDate { catalogue, .. } = self.up_to_date()?;
        let mut population = PopulationBuilder::default();
        let mut others = 0_usize;
        let (mut seen, mut open, mut open_as_new) = (BTreeSet::new(), vec![group.to_owned()], Vec::new());
        loop {
            // New members come last: of whoever is there by another way too, it is the older one that counts.
            let next = open.pop().map(|id| (id, false)).or_else(|| open_as_new.pop().map(|id| (id, true)));
            let Some((id, all_new)) = next else { break };
            if !seen.insert(id.clone()) {
                continue;
            }
            for Membership { member, is_new } in self.group(&catalogue, &id, now, new_after)? {
                match (member, all_new || is_new) {
                    (Member::Patient(patient), false) => population.push(&patient)?,
                    (Member::Patient(patient), true) => population.push_new(&patient)?,
                    (Member::Group(inner), false) => open.push(inner),
                    (Member::Group(inner), true) => open_as_new.push(inner),
                    (Member::Resource { resource_type, id }, is_new) => {
                        population.push_resource(resource_type, &id, is_new)?;
                    }
                    (Member::Other, _) => others += 1,
                }
            }
        }
        if others > 0 {
            tracing::warn!(others, "a group has members that name nothing on this server; they are not exported");
        }
        Ok(population.seal())
    }

    fn value_set(&self, canonical: &str, now: Timestamp) -> Result<Option<Vec<String>>> {
        let UpToDate { catalogue, .. } = self.up_to_date()?;
        let mut found = Vec::new();
        scan::each(&catalogue, &self.path, "ValueSet", now, &mut |_, line| {
            found.extend(ValueSet::read(line).filter(|value_set| value_set.is(canonical)));
            Ok(())
        })?;
        // Of several versions none is the one that was meant.
        Ok(if let [one] = found.as_slice() { one.codes() } else { None })
    }

    fn has_any_of(&self, resource_types: &BTreeSet<ResourceType>) -> Result<bool> {
        let UpToDate { catalogue, .. } = self.up_to_date()?;
        for resource_type in resource_types {
            if catalogue.has_type(resource_type.as_str())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tombstones(
        &self,
        snapshot: &str,
        transaction_time: Timestamp,
        from: Option<(&[u8], u64)>,
    ) -> Result<Box<dyn Blocks>> {
        self.read(snapshot, transaction_time, from, tombstone::is_file)
    }

    fn blocks(
        &self,
        snapshot: &str,
        transaction_time: Timestamp,
        from: Option<(&[u8], u64)>,
    ) -> Result<Box<dyn Blocks>> {
        self.read(snapshot, transaction_time, from, |name| !tombstone::is_file(name))
    }

    fn blocks_by_patient(
        &self,
        snapshot: &str,
        transaction_time: Timestamp,
        listed: Option<Population<'static>>,
        from: Option<(&[u8], u64)>,
    ) -> Result<Box<dyn Blocks>> {
        let UpToDate { mut catalogue, files, id } = self.up_to_date()?;
        if id != snapshot {
            bail!(CHANGED);
        }
        // Only an export that is organised by patient takes the time.
        if !catalogue.describes_patients(&id)? {
            tracing::info!(files = files.len(), "finding whose the resources of the data folder are");
            let resources: Vec<_> = files.into_iter().filter(|file| !tombstone::is_file(&file.name)).collect();
            catalogue.describe_patients(&id, &self.base_url, |filing| self.read_all(&resources, filing))?;
        }
        drop(catalogue);
        let (path, catalogue) = (self.path.clone(), Arc::clone(&self.catalogue));
        Ok(Box::new(PatientBlocks::new(path, catalogue, id, transaction_time, listed, from)?))
    }
}

impl Folder {
    /// The lines of the files that `are_read` says yes to.
    fn read(
        &self,
        snapshot: &str,
        transaction_time: Timestamp,
        from: Option<(&[u8], u64)>,
        are_read: impl Fn(&str) -> bool,
    ) -> Result<Box<dyn Blocks>> {
        let UpToDate { mut files, id, .. } = self.up_to_date()?;
        files.retain(|file| are_read(&file.name));
        if id != snapshot {
            bail!(CHANGED);
        }
        let (first, offset) = match from {
            None => (0, 0),
            Some((cursor, offset)) => {
                let at = files.iter().position(|file| file.name.as_bytes() == cursor);
                (at.ok_or_else(|| anyhow!(CHANGED))?, offset)
            }
        };
        let names = files.into_iter().skip(first).map(|file| file.name).collect::<Vec<_>>().into_iter();
        Ok(Box::new(FolderBlocks {
            path: self.path.clone(),
            catalogue: Arc::clone(&self.catalogue),
            snapshot: id,
            transaction_time,
            names,
            first_offset: offset,
            reader: None,
        }))
    }
}

struct FolderBlocks {
    path: PathBuf,
    catalogue: Arc<Mutex<Catalogue>>,
    snapshot: String,
    transaction_time: Timestamp,
    names: std::vec::IntoIter<String>,
    /// Where to begin in the first file.
    first_offset: u64,
    reader: Option<Reading>,
}

struct Reading {
    name: String,
    file: FileReader,
    /// The next superseded line: offset and length.
    superseded: Option<(u64, u64)>,
}

impl Blocks for FolderBlocks {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Block>> {
        loop {
            let Some(reading) = &mut self.reader else {
                let Some(name) = self.names.next() else { return Ok(None) };
                let offset = std::mem::take(&mut self.first_offset);
                let file = FileReader::open(&self.path, &name, offset)?;
                let mut reading = Reading { name, file, superseded: None };
                reading.look_ahead(&self.catalogue, self.transaction_time)?;
                self.reader = Some(reading);
                continue;
            };
            let at = reading.file.offset;
            // A superseded line is a block of its own, so that the writer can be told.
            let (limit, superseded) = match reading.superseded {
                Some((offset, length)) if offset == at => (length, true),
                Some((offset, _)) => (offset - at, false),
                None => (u64::MAX, false),
            };
            let filled =
                if superseded { reading.file.fill_whole(buffer, limit)? } else { reading.file.fill(buffer, limit)? };
            if superseded {
                reading.look_ahead(&self.catalogue, self.transaction_time)?;
            }
            match filled {
                Some(offset) => {
                    let name = reading.name.clone();
                    let cursor = name.clone().into_bytes();
                    return Ok(Some(Block { name, cursor, offset, superseded, begins: None }));
                }
                None => self.reader = None,
            }
        }
    }

    fn finish(self: Box<Self>) -> Result<()> {
        check_unchanged(&self.path, &self.snapshot)
    }
}

impl Reading {
    /// Finds the next superseded line.
    fn look_ahead(&mut self, catalogue: &Mutex<Catalogue>, at: Timestamp) -> Result<()> {
        let spot = locked(catalogue)?.superseded(&self.name, self.file.offset, u64::MAX, at)?;
        self.superseded = spot.map(|spot| (spot.offset, spot.length));
        Ok(())
    }
}

/// Reads a file forward in blocks.
pub(super) struct FileReader {
    file: File,
    name: String,
    offset: u64,
}

impl FileReader {
    pub(super) fn open(folder: &Path, name: &str, offset: u64) -> Result<Self> {
        let mut file = File::open(folder.join(name)).with_context(|| cannot_read(name))?;
        file.seek(SeekFrom::Start(offset)).with_context(|| cannot_read(name))?;
        Ok(Self { file, name: name.to_owned(), offset })
    }

    /// Where the next block stands.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block, of at most `limit` bytes; its offset, or `None` at the end.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, limit: u64) -> Result<Option<u64>> {
        self.fill_whole(buffer, limit.min(BLOCK_BYTES))
    }

    pub(super) fn fill_whole(&mut self, buffer: &mut Vec<u8>, limit: u64) -> Result<Option<u64>> {
        buffer.clear();
        let at = self.offset;
        let limit = if limit == TO_THE_END { u64::MAX } else { limit };
        let read = (&mut self.file).take(limit).read_to_end(buffer).with_context(|| cannot_read(&self.name))?;
        self.offset += read as u64;
        Ok((read > 0).then_some(at))
    }
}

/// The NDJSON files of a folder, in name order.
fn list(folder: &Path) -> Result<Vec<Seen>> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read the data folder `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        // Follows links: a folder of links to files elsewhere is a common way to choose what is served.
        let metadata = fs::metadata(entry.path()).with_context(|| cannot_read(&entry.file_name().to_string_lossy()))?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if metadata.is_file() && name.to_ascii_lowercase().ends_with(".ndjson") {
            let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            files.push(Seen { name, bytes: metadata.len(), changed: changed.unwrap_or_default().as_nanos() });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// An error if the files are no longer those of a snapshot.
pub(super) fn check_unchanged(folder: &Path, snapshot: &str) -> Result<()> {
    if identity(&list(folder)?) == snapshot { Ok(()) } else { bail!(CHANGED) }
}

fn identity(files: &[Seen]) -> String {
    let mut hash = Sha256::new();
    for Seen { name, bytes, changed } in files {
        hash.update(format!("{name}\0{bytes}\0{changed}\0"));
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn locked(catalogue: &Mutex<Catalogue>) -> Result<MutexGuard<'_, Catalogue>> {
    catalogue.lock().map_err(|_| anyhow!("the catalogue of the data folder is in an unknown state"))
}

fn cannot_read(name: &str) -> String {
    format!("cannot read `{name}` in the data folder")
}

const CHANGED: &str = "the data changed while they were being exported";

/// Large enough that calls cost nothing, small enough for a sandbox's memory.
const BLOCK_BYTES: u64 = 256 << 10;

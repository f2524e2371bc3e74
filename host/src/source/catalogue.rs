//! What a folder holds: which resources, where, and in which versions. A SQLite file, so that it is exact and
//! its size in memory does not grow with the folder.

use std::{cmp::Ordering, path::Path};

use anyhow::{Context, Result};
use ehi_core::{
    Header, Timestamp,
    ndjson::{Line, Lines},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    blocks::{Run, Runs},
    tombstone,
    version::Version,
};

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) file: String,
    pub(super) offset: u64,
    /// With its line end.
    pub(super) length: u64,
}

/// What is called with every block of every file: name, offset and bytes.
pub(super) type Filing<'f> = dyn FnMut(&str, u64, &[u8]) -> Result<()> + 'f;

pub(super) struct Catalogue {
    database: Connection,
    /// As the writer's: a longer line is reported there, whatever it is.
    line_bytes_max: usize,
}

impl Catalogue {
    /// Opens a catalogue; one that cannot be read is made anew, for it can be.
    pub(super) fn open(path: &Path, line_bytes_max: usize) -> Result<Self> {
        let open = || -> Result<Self> {
            let database = Connection::open(path)?;
            database.execute_batch(SCHEMA)?;
            Ok(Self { database, line_bytes_max })
        };
        open()
            .or_else(|_| {
                std::fs::remove_file(path)?;
                open()
            })
            .with_context(|| "cannot open the catalogue of the data folder")
    }

    /// Whether it describes data of that identity.
    pub(super) fn describes(&self, snapshot: &str) -> Result<bool> {
        let held = self.database.query_row("SELECT id FROM snapshot", [], |row| row.get::<_, String>(0)).optional()?;
        Ok(held.as_deref() == Some(snapshot))
    }

    /// Describes other data: `read` is given a function to call with every block of every file, in order.
    pub(super) fn describe(&mut self, snapshot: &str, read: impl FnOnce(&mut Filing<'_>) -> Result<()>) -> Result<()> {
        let transaction = self.database.transaction()?;
        transaction.execute_batch("DELETE FROM snapshot; DELETE FROM resource; DELETE FROM version;")?;
        let mut lines =
            Cut::new(self.line_bytes_max, |line: &Line<'_>, spot: &Spot| file_line(&transaction, line, spot));
        read(&mut |file, offset, block| lines.block(file, offset, block))?;
        lines.end()?;
        transaction.execute("INSERT INTO snapshot (id) VALUES (?1)", [snapshot])?;
        transaction.commit()?;
        Ok(())
    }

    /// Whether there is such a resource, in any version.
    pub(super) fn has(&self, resource_type: &str, id: &str) -> Result<bool> {
        let versions = self.all_versions(&key(resource_type, id))?;
        Ok(versions.iter().any(|(spot, _)| !tombstone::is_file(&spot.file)))
    }

    /// Whether there is or was a resource of that type.
    pub(super) fn has_type(&self, resource_type: &str) -> Result<bool> {
        // `0` comes after `/`.
        let mut query =
            self.database.prepare_cached("SELECT 1 FROM resource WHERE key >= ?1 || '/' AND key < ?1 || '0'")?;
        Ok(query.exists([resource_type])?)
    }

    /// Where the version of a resource stands that was the newest at an instant, unless it was deleted then.
    pub(super) fn find(&self, resource_type: &str, id: &str, at: Timestamp) -> Result<Option<Spot>> {
        let newest = newest(self.all_versions(&key(resource_type, id))?, at);
        Ok(newest.filter(|spot| !tombstone::is_file(&spot.file)))
    }

    /// Says id and place of every resource of a type as it was at an instant, in the order of the ids.
    pub(super) fn each(
        &self,
        resource_type: &str,
        at: Timestamp,
        say: &mut dyn FnMut(&str, &Spot) -> Result<()>,
    ) -> Result<()> {
        let mut query = self.database.prepare_cached(
            "SELECT file, offset, length, number, updated, key FROM resource WHERE key >= ?1 || '/' AND key < ?1 || '0' ORDER BY key",
        )?;
        let mut rows = query.query([resource_type])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(5)?;
            let several = self.versions("version", &key)?;
            let versions = if several.is_empty() { vec![held(row)?] } else { several };
            let there = newest(versions, at).filter(|spot| !tombstone::is_file(&spot.file));
            if let (Some(spot), Some((_, id))) = (there, key.split_once('/')) {
                say(id, &spot)?;
            }
        }
        Ok(())
    }

    /// The first line of a file between two offsets of whose resource another version was the newest at an instant. What
    /// changed later is not superseded, nor does it supersede: it is of the next export.
    pub(super) fn superseded(&self, file: &str, from: u64, to: u64, at: Timestamp) -> Result<Option<Spot>> {
        let mut query = self.database.prepare_cached(
            "SELECT file, offset, length, number, updated, key FROM version WHERE file = ?1 AND offset >= ?2 AND offset < ?3
             ORDER BY offset",
        )?;
        let mut rows = query.query(params![file, signed(from), signed(to)])?;
        while let Some(row) = rows.next()? {
            let (spot, version) = held(row)?;
            if version.was_there(at)
                && newest(self.versions("version", &row.get::<_, String>(5)?)?, at).as_ref() != Some(&spot)
            {
                return Ok(Some(spot));
            }
        }
        Ok(None)
    }

    /// Whether it knows whose the lines of that data are.
    pub(super) fn describes_patients(&self, snapshot: &str) -> Result<bool> {
        let sql = "SELECT id FROM compartments";
        let held = self.database.query_row(sql, [], |row| row.get::<_, String>(0)).optional()?;
        Ok(held.as_deref() == Some(snapshot))
    }

    /// Notes whose the lines of the data are: `read` is given a function to call with every block of every file, in order.
    pub(super) fn describe_patients(
        &mut self,
        snapshot: &str,
        base_url: &str,
        read: impl FnOnce(&mut Filing<'_>) -> Result<()>,
    ) -> Result<()> {
        let transaction = self.database.transaction()?;
        transaction.execute_batch("DELETE FROM compartments; DELETE FROM run;")?;
        let mut runs = Runs::new(&transaction, base_url);
        let mut lines = Cut::new(self.line_bytes_max, |line: &Line<'_>, spot: &Spot| runs.line(line, spot));
        read(&mut |file, offset, block| lines.block(file, offset, block))?;
        lines.end()?;
        drop(lines);
        runs.end()?;
        transaction.execute("INSERT INTO compartments (id) VALUES (?1)", [snapshot])?;
        transaction.commit()?;
        Ok(())
    }

    /// The runs of lines that come after one, by patient; the first of all after `None`.
    pub(super) fn runs(&self, after: Option<&Run>) -> Result<Vec<Run>> {
        let sql = "SELECT patient, is_later, file, offset, length FROM run
                   WHERE (patient, is_later, file, offset) > (?1, ?2, ?3, ?4)
                   ORDER BY patient, is_later, file, offset LIMIT ?5";
        let mut query = self.database.prepare_cached(sql)?;
        let before_all = (String::new(), -1, String::new(), 0);
        let (patient, is_later, file, offset) = after.map_or(before_all, |run| {
            (run.patient.clone(), i64::from(run.is_later), run.spot.file.clone(), signed(run.spot.offset))
        });
        let runs = query.query_map(params![patient, is_later, file, offset, PAGE_RUNS], Run::read)?;
        Ok(runs.collect::<Result<_, _>>()?)
    }

    /// The last run before those of a patient.
    pub(super) fn run_before(&self, patient: &str) -> Result<Option<Run>> {
        let sql = "SELECT patient, is_later, file, offset, length FROM run WHERE patient < ?1
                   ORDER BY patient DESC, is_later DESC, file DESC, offset DESC LIMIT 1";
        let mut query = self.database.prepare_cached(sql)?;
        Ok(query.query_row([patient], Run::read).optional()?)
    }

    fn all_versions(&self, key: &str) -> Result<Vec<(Spot, Version)>> {
        let versions = self.versions("version", key)?;
        if versions.is_empty() { self.versions("resource", key) } else { Ok(versions) }
    }

    fn versions(&self, table: &str, key: &str) -> Result<Vec<(Spot, Version)>> {
        let sql =
            format!("SELECT file, offset, length, number, updated FROM {table} WHERE key = ?1 ORDER BY file, offset");
        let mut query = self.database.prepare_cached(&sql)?;
        let versions = query.query_map([key], held)?;
        Ok(versions.collect::<Result<_, _>>()?)
    }
}

/// Of two that say the same the first counts.
fn newest(versions: Vec<(Spot, Version)>, at: Timestamp) -> Option<Spot> {
    let there = versions.into_iter().filter(|(_, version)| version.was_there(at));
    let newer = |best: (Spot, Version), other: (Spot, Version)| {
        if other.1.compare(&best.1) == Ordering::Greater { other } else { best }
    };
    there.reduce(newer).map(|(spot, _)| spot)
}

/// Takes the lines of the files one after another, and says of each where it stands.
struct Cut<T> {
    take: T,
    lines: Lines,
    file: String,
    /// Where the begun line begins.
    start: u64,
}

impl<T: FnMut(&Line<'_>, &Spot) -> Result<()>> Cut<T> {
    fn new(line_bytes_max: usize, take: T) -> Self {
        Self { take, lines: Lines::new(line_bytes_max), file: String::new(), start: 0 }
    }

    fn block(&mut self, file: &str, offset: u64, block: &[u8]) -> Result<()> {
        if file != self.file {
            self.end()?;
            file.clone_into(&mut self.file);
        }
        if !self.lines.has_begun() {
            self.start = offset;
        }
        let (mut rest, mut at) = (block, offset);
        while !rest.is_empty() {
            let (taken, line) = self.lines.take(rest);
            at += taken as u64;
            if let Some(line) = line {
                let spot = Spot { file: self.file.clone(), offset: self.start, length: at - self.start };
                (self.take)(&line, &spot)?;
                self.lines.clear();
                self.start = at;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// A last line may lack its line end.
    fn end(&mut self) -> Result<()> {
        if self.lines.has_begun() {
            let spot = Spot { file: self.file.clone(), offset: self.start, length: TO_THE_END };
            (self.take)(&self.lines.line(), &spot)?;
            self.lines.clear();
        }
        Ok(())
    }
}

/// Lines that are no resources are left to the writer, which reports them.
fn file_line(database: &Connection, line: &Line<'_>, spot: &Spot) -> Result<()> {
    let Line::Text(text) = line else { return Ok(()) };
    // A deletion is a version too: the newest, until the resource is there again.
    let read = if tombstone::is_file(&spot.file) {
        tombstone::read(text).map(|(resource_type, id, version)| (key(&resource_type, &id), version))
    } else {
        let header = Header::read(text, |_| false).ok();
        header.map(|header| (key(&header.resource_type, &header.id), Version::of(&header)))
    };
    let Some((key, version)) = read else { return Ok(()) };
    let mut insert = database.prepare_cached(
        "INSERT OR IGNORE INTO resource (key, file, offset, length, number, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let values =
        params![key, spot.file, signed(spot.offset), signed(spot.length), version.number.map(signed), version.updated];
    if insert.execute(values)? > 0 {
        return Ok(());
    }
    // The second line of a resource, or a later one: all of them stand among the versions.
    let mut first = database.prepare_cached(
        "INSERT OR IGNORE INTO version SELECT file, offset, length, number, updated, key FROM resource WHERE key = ?1",
    )?;
    first.execute([&key])?;
    let mut another = database.prepare_cached(
        "INSERT INTO version (key, file, offset, length, number, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    another.execute(values)?;
    Ok(())
}

/// A row of file, offset, length, number and time of update.
fn held(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Spot, Version)> {
    let unsigned = |column| row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0));
    let number = row.get::<_, Option<i64>>(3)?.and_then(|number| u64::try_from(number).ok());
    let spot = Spot { file: row.get(0)?, offset: unsigned(1)?, length: unsigned(2)? };
    Ok((spot, Version { number, updated: row.get(4)? }))
}

fn key(resource_type: &str, id: &str) -> String {
    format!("{resource_type}/{id}")
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// How many runs of lines are held at once.
const PAGE_RUNS: i64 = 500;

/// The line is the last of its file and has no line end.
pub(super) const TO_THE_END: u64 = i64::MAX as u64;

/// A catalogue can be made again, so it is not synced; it is dropped whole if its making is interrupted.
const SCHEMA: &str = "
    PRAGMA journal_mode = MEMORY;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -8192;
    CREATE TABLE IF NOT EXISTS snapshot (id TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS resource (
        key TEXT PRIMARY KEY, file TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
        number INTEGER, updated INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS version (
        file TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, number INTEGER, updated INTEGER,
        key TEXT NOT NULL, PRIMARY KEY (file, offset)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS version_key ON version (key);
    CREATE TABLE IF NOT EXISTS compartments (id TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS run (
        patient TEXT NOT NULL, is_later INTEGER NOT NULL, file TEXT NOT NULL, offset INTEGER NOT NULL,
        length INTEGER NOT NULL, PRIMARY KEY (patient, is_later, file, offset)
    ) WITHOUT ROWID;
";

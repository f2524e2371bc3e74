//! Where jobs live between calls: SQLite, in a file or in memory.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use ehi_core::{
    job::PollAccount,
    manifest::{OutputFile, Section},
    values::StoredJob,
};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::clock;

/// Jobs, their rows, and poll accounts.
pub struct JobStore {
    database: Mutex<Connection>,
    holder: String,
}

/// A job as it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The record.
    pub record: String,
    /// To store only over what was read.
    pub version: i64,
}

impl JobStore {
    /// Opens a store, for this process alone: a second host on the same file is refused.
    pub fn open(path: &Path) -> Result<Self> {
        let database = Connection::open(path).with_context(|| format!("cannot open `{}`", path.display()))?;
        // Another process keeps it for as long as it runs: no use in waiting long.
        database.busy_timeout(Duration::from_millis(500))?;
        Self::prepare(database).with_context(|| format!("cannot use `{}`: is another server using it?", path.display()))
    }

    /// A store that lives as long as this value.
    pub fn in_memory() -> Result<Self> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut database: Connection) -> Result<Self> {
        let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > SCHEMA_VERSION {
            bail!("a newer version of this program wrote it");
        }
        if version == 1 {
            database.execute_batch(FROM_1_TO_2)?;
        }
        database.execute_batch(SCHEMA)?;
        let transaction = database.transaction()?;
        let holder = transaction.query_row("SELECT value FROM setting WHERE name = 'holder'", [], |row| row.get(0));
        let holder = match holder.optional()? {
            Some(holder) => holder,
            None => {
                let holder: String = clock::entropy()?.iter().map(|byte| format!("{byte:02x}")).collect();
                transaction.execute("INSERT INTO setting (name, value) VALUES ('holder', ?1)", [&holder])?;
                holder
            }
        };
        transaction.commit()?;
        Ok(Self { database: Mutex::new(database), holder })
    }

    /// Under which name this host takes leases: the same after a restart. Only one process can have the store open, so
    /// that two hosts never share it.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Adds a job.
    pub fn insert(&self, id: &str, job: &StoredJob) -> Result<()> {
        let values = params![id, job.record, job.wake_at, job.unfinished, job.client];
        let sql = "INSERT INTO job (id, record, version, wake_at, unfinished, client) VALUES (?1, ?2, 1, ?3, ?4, ?5)";
        self.locked()?.execute(sql, values)?;
        Ok(())
    }

    /// Reads a job.
    pub fn load(&self, id: &str) -> Result<Option<Loaded>> {
        let database = self.locked()?;
        let mut query = database.prepare_cached("SELECT record, version FROM job WHERE id = ?1")?;
        Ok(query.query_row([id], |row| Ok(Loaded { record: row.get(0)?, version: row.get(1)? })).optional()?)
    }

    /// Stores a job and appends rows, together, if the job is still the version that was read. Says whether it was.
    pub fn update(&self, id: &str, job: &StoredJob, rows: &[OutputFile], version: i64) -> Result<bool> {
        let mut database = self.locked()?;
        let transaction = database.transaction()?;
        let changed = transaction.execute(
            "UPDATE job SET record = ?2, version = version + 1, wake_at = ?3, unfinished = ?4
             WHERE id = ?1 AND version = ?5",
            params![id, job.record, job.wake_at, job.unfinished, version],
        )?;
        if changed == 0 {
            return Ok(false);
        }
        rows.iter().try_for_each(|row| append(&transaction, id, row))?;
        transaction.commit()?;
        Ok(true)
    }

    /// Forgets a job and all that lies beside it.
    pub fn forget(&self, id: &str) -> Result<()> {
        let mut database = self.locked()?;
        let transaction = database.transaction()?;
        for sql in
            ["DELETE FROM job WHERE id = ?1", "DELETE FROM row WHERE job = ?1", "DELETE FROM account WHERE job = ?1"]
        {
            transaction.execute(sql, [id])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The row of that public name.
    pub fn row(&self, job: &str, name: &str) -> Result<Option<OutputFile>> {
        let database = self.locked()?;
        let mut query = database.prepare_cached("SELECT value FROM row WHERE job = ?1 AND name = ?2")?;
        query.query_row([job, name], |row| row.get::<_, String>(0)).optional()?.map(|value| parse(&value)).transpose()
    }

    /// Some of the rows that a manifest lists, or the page of it with the rows that are on every page, in its order, after the
    /// given position. Position and row.
    pub fn rows(&self, job: &str, page: Option<u32>, after: (i64, i64)) -> Result<Vec<((i64, i64), OutputFile)>> {
        let database = self.locked()?;
        // Each goes by an index of its own. What is on every page says none.
        let sql = match page {
            None => {
                "SELECT section, number, value FROM row
                 WHERE job = ?1 AND (section, number) > (?2, ?3) AND section < ?5 AND ?6 IS NULL
                 ORDER BY section, number LIMIT ?4"
            }
            Some(_) => {
                "SELECT section, number, value FROM row INDEXED BY row_page
                 WHERE job = ?1 AND page = ?6 AND (section, number) > (?2, ?3) AND section < ?5
                 UNION ALL
                 SELECT section, number, value FROM row INDEXED BY row_page
                 WHERE job = ?1 AND page IS NULL AND (section, number) > (?2, ?3) AND section < ?5
                 ORDER BY section, number LIMIT ?4"
            }
        };
        let mut query = database.prepare_cached(sql)?;
        let read = |row: &rusqlite::Row<'_>| Ok(((row.get(0)?, row.get(1)?), row.get::<_, String>(2)?));
        let rows = query.query_map(params![job, after.0, after.1, ROWS_AT_ONCE, ATTACHMENT, page], read)?;
        rows.map(|row| row.map_err(Into::into).and_then(|(at, value)| Ok((at, parse(&value)?)))).collect()
    }

    /// How often a client polled a job.
    pub fn account(&self, job: &str, client: &str) -> Result<PollAccount> {
        let database = self.locked()?;
        let mut query =
            database.prepare_cached("SELECT next_allowed, strikes FROM account WHERE job = ?1 AND client = ?2")?;
        let account =
            query.query_row([job, client], |row| Ok(PollAccount { next_allowed: row.get(0)?, strikes: row.get(1)? }));
        Ok(account.optional()?.unwrap_or_default())
    }

    /// Notes how often a client polled a job.
    pub fn set_account(&self, job: &str, client: &str, account: PollAccount) -> Result<()> {
        self.locked()?.execute(
            "INSERT OR REPLACE INTO account (job, client, next_allowed, strikes) VALUES (?1, ?2, ?3, ?4)",
            params![job, client, account.next_allowed, account.strikes],
        )?;
        Ok(())
    }

    /// How many unfinished jobs a client has; of all clients without one.
    pub fn active(&self, client: Option<&str>) -> Result<u32> {
        let database = self.locked()?;
        let mut query =
            database.prepare_cached("SELECT count(*) FROM job WHERE unfinished AND (?1 IS NULL OR client = ?1)")?;
        Ok(query.query_row([client], |row| row.get(0))?)
    }

    /// Jobs that want to be looked at, most urgent first.
    pub fn due(&self, now: i64) -> Result<Vec<String>> {
        let database = self.locked()?;
        let mut query = database.prepare_cached("SELECT id FROM job WHERE wake_at <= ?1 ORDER BY wake_at LIMIT 100")?;
        let ids = query.query_map([now], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// Jobs that were not finished when the store was last used.
    pub fn unfinished(&self) -> Result<Vec<String>> {
        let database = self.locked()?;
        let mut query = database.prepare_cached("SELECT id FROM job WHERE unfinished")?;
        let ids = query.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn locked(&self) -> Result<MutexGuard<'_, Connection>> {
        self.database.lock().map_err(|_| anyhow!("the job store is in an unknown state"))
    }
}

fn append(transaction: &Transaction<'_>, job: &str, row: &OutputFile) -> Result<()> {
    let section = match row.section {
        Section::Output => 0,
        Section::Deleted => 1,
        Section::Error => 2,
        Section::Attachment => ATTACHMENT,
    };
    let mut insert = transaction.prepare_cached(
        "INSERT INTO row (job, section, number, name, page, value)
         VALUES (?1, ?2, (SELECT coalesce(max(number), 0) + 1 FROM row WHERE job = ?1 AND section = ?2), ?3, ?4, ?5)",
    )?;
    insert.execute(params![job, section, row.name, row.page, serde_json::to_string(row)?])?;
    Ok(())
}

fn parse(value: &str) -> Result<OutputFile> {
    serde_json::from_str(value).context("a stored row cannot be read")
}

/// The section of rows that no manifest lists, behind those that it lists.
const ATTACHMENT: i64 = 3;

/// How many rows of a manifest are held at once.
const ROWS_AT_ONCE: i64 = 500;

const SCHEMA_VERSION: i64 = 2;

/// Rows have said since version 2 on which page of the manifest they are.
const FROM_1_TO_2: &str = "
    BEGIN;
    ALTER TABLE row ADD COLUMN page INTEGER;
    PRAGMA user_version = 2;
    COMMIT;
";

/// Exclusive: the leases of a store belong to one process.
const SCHEMA: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS job (
        id TEXT PRIMARY KEY, record TEXT NOT NULL, version INTEGER NOT NULL, wake_at INTEGER,
        unfinished INTEGER NOT NULL, client TEXT
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS job_wake_at ON job (wake_at);
    CREATE TABLE IF NOT EXISTS row (
        job TEXT NOT NULL, section INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        page INTEGER,
        PRIMARY KEY (job, section, number), UNIQUE (job, name)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS row_page ON row (job, page, section, number);
    CREATE TABLE IF NOT EXISTS account (
        job TEXT NOT NULL, client TEXT NOT NULL, next_allowed INTEGER NOT NULL, strikes INTEGER NOT NULL,
        PRIMARY KEY (job, client)
    ) WITHOUT ROWID;
    PRAGMA user_version = 2;
";

#[cfg(test)]
mod tests;

//! The one store of all hosts: jobs with versions, rows, poll accounts, objects. Each call takes effect as a whole.

use std::{collections::BTreeMap, rc::Rc};

use ehi_core::{
    job::PollAccount,
    manifest::{ManifestHead, OutputFile, Section},
    values::StoredJob,
};

/// All that survives a crash of a host.
#[derive(Default)]
pub(crate) struct Store {
    jobs: BTreeMap<String, Kept>,
    accounts: BTreeMap<(String, String), PollAccount>,
    objects: BTreeMap<String, Rc<[u8]>>,
}

struct Kept {
    job: StoredJob,
    version: u64,
    rows: Vec<OutputFile>,
}

/// A job as it was read.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) record: String,
    pub(crate) version: u64,
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    /// Someone else has changed the job meanwhile.
    Conflict,
    /// A row of that name is there already.
    Twice,
}

impl Store {
    pub(crate) fn insert(&mut self, id: &str, job: StoredJob) {
        self.jobs.insert(id.to_owned(), Kept { job, version: 1, rows: Vec::new() });
    }

    pub(crate) fn load(&self, id: &str) -> Option<Loaded> {
        self.jobs.get(id).map(|kept| Loaded { record: kept.job.record.clone(), version: kept.version })
    }

    /// Stores a job and appends rows, together.
    pub(crate) fn update(&mut self, id: &str, job: &StoredJob, rows: &[OutputFile], over: Option<u64>) -> Written {
        let Some(kept) = self.jobs.get_mut(id) else { return Written::Conflict };
        if over.is_some_and(|version| version != kept.version) {
            return Written::Conflict;
        }
        if rows.iter().any(|row| kept.rows.iter().any(|known| known.name == row.name)) {
            return Written::Twice;
        }
        kept.job = job.clone();
        kept.version += 1;
        kept.rows.extend(rows.iter().cloned());
        Written::Yes
    }

    /// Appends rows as they are, whatever their names.
    pub(crate) fn append(&mut self, id: &str, rows: &[OutputFile]) {
        if let Some(kept) = self.jobs.get_mut(id) {
            kept.rows.extend(rows.iter().cloned());
        }
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.jobs.remove(id);
        self.accounts.retain(|(job, _), _| job != id);
    }

    pub(crate) fn row(&self, id: &str, name: &str) -> Option<OutputFile> {
        self.jobs.get(id)?.rows.iter().find(|row| row.name == name).cloned()
    }

    /// Those of a manifest, or of the page that it is, in its order.
    pub(crate) fn rows_of(&self, id: &str, head: &ManifestHead) -> Vec<OutputFile> {
        let mut rows = self.rows(id);
        rows.retain(|row| head.takes(row));
        rows
    }

    /// The name of the file that was published last.
    pub(crate) fn newest(&self, id: &str) -> Option<String> {
        Some(self.jobs.get(id)?.rows.last()?.name.clone())
    }

    /// In the order of the manifest.
    pub(crate) fn rows(&self, id: &str) -> Vec<OutputFile> {
        let mut rows = self.jobs.get(id).map(|kept| kept.rows.clone()).unwrap_or_default();
        rows.retain(|row| row.section != Section::Attachment);
        rows.sort_by_key(|row| row.section);
        rows
    }

    pub(crate) fn account(&self, id: &str, client: &str) -> PollAccount {
        self.accounts.get(&(id.to_owned(), client.to_owned())).copied().unwrap_or_default()
    }

    pub(crate) fn set_account(&mut self, id: &str, client: &str, account: PollAccount) {
        self.accounts.insert((id.to_owned(), client.to_owned()), account);
    }

    /// Jobs that are to be looked at.
    pub(crate) fn due(&self, now: i64) -> Vec<String> {
        let is_due = |kept: &Kept| kept.job.wake_at.is_some_and(|at| at <= now);
        self.jobs.iter().filter(|(_, kept)| is_due(kept)).map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn unfinished(&self) -> Vec<String> {
        self.jobs.iter().filter(|(_, kept)| kept.job.unfinished).map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn active(&self, client: Option<&str>) -> u32 {
        let is_theirs = |kept: &&Kept| kept.job.unfinished && kept.job.client.as_deref() == client;
        u32::try_from(self.jobs.values().filter(is_theirs).count()).unwrap_or(u32::MAX)
    }

    /// When a job is to be looked at next.
    pub(crate) fn next_wake(&self) -> Option<i64> {
        self.jobs.values().filter_map(|kept| kept.job.wake_at).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(crate) fn put(&mut self, key: String, bytes: Vec<u8>) {
        self.objects.insert(key, bytes.into());
    }

    /// Puts an object unless there is one, and says which it is now.
    pub(crate) fn put_if_absent(&mut self, key: String, bytes: Vec<u8>) -> Rc<[u8]> {
        Rc::clone(self.objects.entry(key).or_insert_with(|| bytes.into()))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Rc<[u8]>> {
        self.objects.get(key).cloned()
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.objects.remove(key);
    }

    /// Everything below a prefix.
    pub(crate) fn list(&self, prefix: &str) -> Vec<String> {
        self.objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    pub(crate) fn objects(&self) -> usize {
        self.objects.len()
    }
}

//! Where output files go: an object store, local or remote.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, local::LocalFileSystem, path::Path as Key,
};

/// Where output files go, and under which keys.
#[derive(Clone)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    /// The folder, where the store is one.
    folder: Option<PathBuf>,
}

/// How keys are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// A folder for each job, and in it a name for each attempt: what a lost host still writes hits nothing.
    Jobs,
    /// The public names, for one job that is not resumed.
    Plain,
}

impl Files {
    /// A local folder for the files of all jobs; what it says is written is on the disk.
    pub fn of_jobs(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), layout: Layout::Jobs, folder: Some(folder.to_owned()) })
    }

    /// A local folder for the files of one job, by their public names.
    pub fn plain(folder: &Path) -> Result<Self> {
        let store = LocalFileSystem::new_with_prefix(folder)?;
        Ok(Self { store: Arc::new(store), layout: Layout::Plain, folder: None })
    }

    /// The key of a file, for the attempt of that epoch.
    pub fn key(&self, job: &str, epoch: u64, name: &str) -> String {
        match self.layout {
            Layout::Jobs => format!("{job}/{epoch}-{name}"),
            Layout::Plain => name.to_owned(),
        }
    }

    /// Keeps the population of a job beside its files; a job that is not resumed needs none kept.
    pub async fn keep_population(&self, job: &str, block: Vec<u8>) -> Result<()> {
        if self.layout == Layout::Jobs {
            self.store.put(&population_key(job), PutPayload::from(block)).await?;
        }
        Ok(())
    }

    /// The population that was kept.
    pub async fn population(&self, job: &str) -> Result<Vec<u8>> {
        let kept = self.store.get(&population_key(job)).await.context("the population of the job is lost")?;
        Ok(kept.bytes().await?.into())
    }

    /// Begins a file. It appears under its key when it is finished, whole or not at all.
    pub async fn create(&self, key: &str) -> Result<WriteMultipart> {
        let upload = self.store.put_multipart(&Key::parse(key)?).await?;
        Ok(WriteMultipart::new_with_chunk_size(upload, CHUNK_BYTES))
    }

    /// The bytes of a file, or a part of them: some at a time, and the next while those are sent.
    pub async fn read(
        &self,
        key: &str,
        range: Option<(u64, u64)>,
    ) -> Result<impl futures::Stream<Item = object_store::Result<Bytes>> + Send + 'static> {
        let key = Key::parse(key)?;
        let (from, to) = match range {
            Some(range) => range,
            // Also finds out that the file is there, before anything is answered.
            None => (0, self.store.head(&key).await?.size),
        };
        let parts = stream::iter((from..to).step_by(READ_BYTES));
        let store = Arc::clone(&self.store);
        let read = move |at: u64| {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.get_range(&key, at..to.min(at + READ_BYTES as u64)).await }
        };
        Ok(parts.map(read).buffered(READS_AT_ONCE))
    }

    /// Removes everything of a job, by listing it: a file that was never published is patient data too.
    pub async fn remove_job(&self, job: &str) -> Result<()> {
        if self.layout == Layout::Jobs {
            let prefix = Key::parse(job)?;
            let keys: Vec<Key> = self.store.list(Some(&prefix)).map_ok(|object| object.location).try_collect().await?;
            for key in keys {
                self.store.delete(&key).await?;
            }
            // Uploads that a killed host never finished are not listed: they go with the folder.
            if let Some(folder) = self.folder.as_ref().map(|folder| folder.join(job)) {
                match tokio::fs::remove_dir_all(&folder).await {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).context("the unfinished files of a job cannot be removed");
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn population_key(job: &str) -> Key {
    Key::from_iter([job, "population"])
}

/// Enough that what it takes to ask for it does not matter; each download holds as much, and once more.
const READ_BYTES: usize = 512 << 10;
const READS_AT_ONCE: usize = 2;

/// Every open file may hold this much; there are at most as many open as there are resource types.
const CHUNK_BYTES: usize = 128 << 10;

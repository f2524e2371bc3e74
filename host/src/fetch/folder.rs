//! The folder that an export is fetched into: files, the journal that a later run goes on from, and the export log. All of
//! it is for this user alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// A folder that an export is fetched into. No other process fetches into it meanwhile.
pub struct Folder {
    path: PathBuf,
    journal: Option<File>,
    log: File,
    _lock: Option<File>,
}

impl Folder {
    /// A folder for a new export; it is made if it is not there, and must be empty.
    pub fn begin(path: &Path) -> Result<Self> {
        make_folder(path).with_context(|| format!("cannot create `{}`", path.display()))?;
        let lock = lock(path)?;
        let mut entries = fs::read_dir(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        if path.join(JOURNAL).exists() {
            bail!("`{}` holds an export that was begun; --resume goes on with it", path.display());
        }
        if entries.next().is_some() {
            bail!("the output folder `{}` is not empty", path.display());
        }
        Self::open(path, lock)
    }

    /// The folder of an export that was begun, and what was saved of it.
    pub fn resume(path: &Path) -> Result<(Self, Vec<u8>)> {
        let lock = lock(path)?;
        let journal = fs::read(path.join(JOURNAL));
        let journal = journal.with_context(|| format!("`{}` holds no export that was begun", path.display()))?;
        Ok((Self::open(path, lock)?, journal))
    }

    fn open(path: &Path, lock: Option<File>) -> Result<Self> {
        let log = open_log(&path.join(LOG)).with_context(|| format!("cannot write in `{}`", path.display()))?;
        Ok(Self { path: path.to_owned(), journal: None, log, _lock: lock })
    }

    /// Where a file of that name lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Saves what a later run goes on from: after what was saved before, or in its place in one step.
    pub(super) fn save(&mut self, bytes: &[u8], append: bool) -> Result<()> {
        let saved = match self.journal.as_mut().filter(|_| append) {
            Some(journal) => journal.write_all(bytes).and_then(|()| journal.sync_data()),
            None => self.replace_journal(bytes),
        };
        saved.context("the journal cannot be written")
    }

    fn replace_journal(&mut self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path(&format!("{JOURNAL}.new"));
        let mut journal = private().write(true).create(true).truncate(true).open(&new)?;
        journal.write_all(bytes)?;
        journal.sync_all()?;
        fs::rename(&new, self.path(JOURNAL))?;
        sync_folder(&self.path)?;
        self.journal = Some(journal);
        Ok(())
    }

    /// One line of the export log.
    pub(super) fn log(&mut self, line: &str) -> Result<()> {
        self.log.write_all(format!("{line}\n").as_bytes()).context("the export log cannot be written")
    }

    /// Gives a file, all of which is on the disk, its name.
    pub(super) fn keep(&self, from: &str, to: &str) -> Result<()> {
        let kept = fs::rename(self.path(from), self.path(to))
            .and_then(|()| self.path(to).parent().map_or(Ok(()), sync_folder));
        kept.with_context(|| format!("`{to}` cannot be given its name"))
    }

    /// Removes a file, if there is one.
    pub(super) fn discard(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("`{name}` cannot be removed"))
            }
            _ => Ok(()),
        }
    }
}

/// How files are opened: for this user alone.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A folder for this user alone, with the folders above it.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Two processes in one folder would write to the same files.
#[cfg(unix)]
fn lock(path: &Path) -> Result<Option<File>> {
    let folder = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(fs::TryLockError::WouldBlock) => bail!("another process is fetching into `{}`", path.display()),
        // Some network file systems have no locks.
        Err(fs::TryLockError::Error(_)) => Ok(None),
    }
}

#[cfg(not(unix))]
fn lock(path: &Path) -> Result<Option<File>> {
    anyhow::ensure!(path.is_dir(), "cannot read `{}`", path.display());
    Ok(None)
}

/// What a name stands for is on the disk only when its folder is.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens the log behind its last whole line: a crash may have torn what follows.
fn open_log(path: &Path) -> io::Result<File> {
    let mut log = private().read(true).append(true).create(true).open(path)?;
    let mut lines = Vec::new();
    log.read_to_end(&mut lines)?;
    let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if whole < lines.len() {
        log.set_len(whole as u64)?;
    }
    Ok(log)
}

/// What a later run goes on from. It holds addresses and ids.
pub const JOURNAL: &str = "ehi-fetch.journal";

/// What happened, a line of JSON each.
pub const LOG: &str = "export-log.ndjson";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_replaced_and_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let mut open = Folder::begin(folder.path()).unwrap();
        open.save(b"1\n", false).unwrap();
        open.save(b"2\n", true).unwrap();
        assert!(Folder::resume(folder.path()).is_err(), "it is locked");
        drop(open);
        assert!(Folder::begin(folder.path()).is_err(), "it is not empty");
        let (mut open, saved) = Folder::resume(folder.path()).unwrap();
        assert_eq!(saved, b"1\n2\n");
        open.save(b"3\n", false).unwrap();
        assert_eq!(fs::read(folder.path().join(JOURNAL)).unwrap(), b"3\n");
    }

    #[test]
    fn a_torn_line_of_the_log_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOG), "{\"a\":1}\n{\"b\":").unwrap();
        fs::write(folder.path().join(JOURNAL), "").unwrap();
        let (mut open, _) = Folder::resume(folder.path()).unwrap();
        open.log("{}").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(LOG)).unwrap(), "{\"a\":1}\n{}\n");
    }
}

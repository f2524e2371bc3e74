//! Storing a body: on a thread of its own, each piece is written and checked as it comes.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use ehi_core::client::{Checker, Expect, Op, TransferError};
use tokio::sync::mpsc;

use super::{
    body::{Coding, Decoder},
    folder::{make_folder, private},
    transfer::{Event, What},
    watch::Meter,
};

/// A body to be stored.
pub(super) struct Task {
    pub(super) op: Op,
    pub(super) path: PathBuf,
    /// Where in the file it begins.
    pub(super) from: u64,
    pub(super) file_bytes_max: u64,
    pub(super) expect: Expect,
    pub(super) coding: Coding,
    pub(super) meter: Box<dyn Meter>,
}

/// A piece of a body, or how it ended.
pub(super) enum Block {
    Data(Bytes),
    End,
    Broken,
}

/// Stores all of it and says how that went. If the pieces stop without an end, the download was aborted, and nothing more is
/// said.
pub(super) fn receive(task: Task, blocks: mpsc::Receiver<Block>, events: &mpsc::Sender<Event>) {
    let op = task.op;
    let say = |what| {
        // Nobody listens only when all is over.
        let _ = events.blocking_send(Event { op, what });
    };
    match store(task, blocks, &say) {
        Ok(Some(what)) => say(what),
        Ok(None) => {}
        Err(error) => say(What::Failed(error)),
    }
}

fn store(task: Task, mut blocks: mpsc::Receiver<Block>, say: &impl Fn(What)) -> Result<Option<What>, TransferError> {
    let Task { path, from, file_bytes_max, expect, coding, meter, .. } = task;
    let sink = Sink::open(&path, from, file_bytes_max, Checker::new(expect))?;
    let mut decoder = Decoder::new(coding, sink).ok_or(TransferError::Storage)?;
    let mut synced = from;
    loop {
        let data = match blocks.blocking_recv() {
            None => return Ok(None),
            Some(Block::Data(data)) => data,
            Some(Block::End) => break,
            Some(Block::Broken) => {
                let bytes = decoder.inner().sync()?;
                say(What::Progress(bytes));
                return Err(TransferError::Network);
            }
        };
        let written = decoder.write(&data);
        let sink = decoder.inner();
        written.map_err(|_| sink.failure.unwrap_or(TransferError::Network))?;
        meter.reads(sink.bytes);
        if sink.bytes - synced >= SYNC_BYTES {
            synced = sink.sync()?;
            say(What::Progress(synced));
        }
    }
    let finished = decoder.finish();
    finished.map_err(|_| decoder.inner().failure.unwrap_or(TransferError::Network))?;
    let mut sink = decoder.into_inner().map_err(|_| TransferError::Network)?;
    let bytes = sink.sync()?;
    say(What::Progress(bytes));
    Ok(Some(What::Downloaded(Box::new(sink.checker.finish()))))
}

/// A file that is written and checked.
struct Sink {
    file: File,
    checker: Checker,
    bytes: u64,
    bytes_max: u64,
    failure: Option<TransferError>,
}

impl Sink {
    /// Opens the file, checks what is to stay of it, and drops what lies behind that.
    fn open(path: &Path, from: u64, bytes_max: u64, checker: Checker) -> Result<Self, TransferError> {
        let storage = |_| TransferError::Storage;
        if let Some(folder) = path.parent() {
            make_folder(folder).map_err(storage)?;
        }
        let file = private().read(true).write(true).create(true).truncate(from == 0).open(path).map_err(storage)?;
        let mut sink = Self { file, checker, bytes: 0, bytes_max, failure: None };
        let mut buffer = vec![0; 1 << 18];
        while sink.bytes < from {
            let wanted = usize::try_from(from - sink.bytes).map_or(buffer.len(), |left| left.min(buffer.len()));
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            let read = sink.file.read(part).map_err(storage)?;
            if read == 0 {
                return Err(TransferError::PartMissing);
            }
            sink.checker.update(part.get(..read).unwrap_or_default());
            sink.bytes += read as u64;
        }
        sink.file.set_len(from).map_err(storage)?;
        Ok(sink)
    }

    /// All that was written is on the disk; how much that is.
    fn sync(&mut self) -> Result<u64, TransferError> {
        self.file.sync_data().map_err(|_| TransferError::Storage)?;
        Ok(self.bytes)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.bytes_max.saturating_sub(self.bytes) {
            self.failure = Some(TransferError::TooLarge);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Err(error) = self.file.write_all(bytes) {
            self.failure = Some(TransferError::Storage);
            return Err(error);
        }
        self.checker.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// So often what has come is made to outlive a crash.
pub const SYNC_BYTES: u64 = 16 << 20;

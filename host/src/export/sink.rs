//! Storing files: digest, upload, publish. On a thread of its own, so that the engine need not wait for the disk.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use ehi_core::{
    ResourceType,
    job::{Command, Epoch},
    manifest::{OutputFile, Section},
    values::WriterEvent,
    writer::{Checkpoint, Digester},
};
use object_store::WriteMultipart;
use tokio::runtime::Handle;

use super::{Exporter, RENEW_SECONDS};

/// Stores what one writer puts out.
pub(super) struct Sink<'s> {
    exporter: &'s Exporter,
    runtime: &'s Handle,
    job: &'s str,
    epoch: Epoch,
    partition: u32,
    stored: &'s AtomicU64,
    open: BTreeMap<u32, OpenFile>,
    renewed: Instant,
}

struct OpenFile {
    section: Section,
    resource_type: Option<ResourceType>,
    name: String,
    key: String,
    content_type: Option<String>,
    upload: WriteMultipart,
    digester: Digester,
}

impl<'s> Sink<'s> {
    pub(super) fn new(
        exporter: &'s Exporter,
        runtime: &'s Handle,
        job: &'s str,
        epoch: Epoch,
        partition: u32,
        stored: &'s AtomicU64,
    ) -> Self {
        Self { exporter, runtime, job, epoch, partition, stored, open: BTreeMap::new(), renewed: Instant::now() }
    }

    /// Until there is nothing more to come. What is not finished then is abandoned and appears nowhere.
    pub(super) fn run(mut self, events: Receiver<WriterEvent>) -> Result<()> {
        let outcome = self.take_all(&events);
        drop(events);
        let (runtime, open) = (self.runtime, std::mem::take(&mut self.open));
        for (_, file) in open {
            // Best effort: the storage prefix is removed as a whole anyway.
            let _ = runtime.block_on(file.upload.abort());
        }
        outcome
    }

    fn take_all(&mut self, events: &Receiver<WriterEvent>) -> Result<()> {
        loop {
            match events.recv_timeout(Duration::from_secs(1)) {
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.renew()?;
        }
    }

    fn take(&mut self, event: WriterEvent) -> Result<()> {
        match event {
            WriterEvent::Open { file, section, resource_type, name, content_type } => {
                let key = self.exporter.files.key(self.job, self.epoch.0, &name);
                let upload = self.runtime.block_on(self.exporter.files.create(&key))?;
                let digester = Digester::default();
                let open = OpenFile { section, resource_type, name, key, content_type, upload, digester };
                self.open.insert(file, open);
            }
            WriterEvent::Append { file, bytes } => {
                let open = self.open.get_mut(&file).context("an append to a file that is not open")?;
                open.digester.update(&bytes);
                let _runtime = self.runtime.enter();
                self.runtime.block_on(open.upload.wait_for_capacity(UPLOADS_AT_ONCE))?;
                open.upload.put(Bytes::from(bytes));
            }
            WriterEvent::Found { .. } => anyhow::bail!("a pass that writes files found something to collect"),
            WriterEvent::Close { file, count, bytes, continues_in_file, checkpoint, .. } => {
                let open = self.open.remove(&file).context("the close of a file that is not open")?;
                self.publish(open, count, bytes, continues_in_file, checkpoint)?;
            }
        }
        Ok(())
    }

    /// Stored whole first, then listed: a file that is listed is there.
    fn publish(
        &mut self,
        open: OpenFile,
        count: u64,
        bytes: u64,
        continues_in_file: Option<String>,
        checkpoint: Checkpoint,
    ) -> Result<()> {
        let OpenFile { section, resource_type, name, key, content_type, upload, digester } = open;
        self.runtime.block_on(upload.finish())?;
        let sha256 = Some(digester.finish());
        let row =
            OutputFile { section, resource_type, name, key, content_type, count, bytes, sha256, continues_in_file };
        let publish = Command::Publish { epoch: self.epoch, partition: self.partition, rows: vec![row], checkpoint };
        self.exporter.command(self.job, &publish)?;
        self.stored.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn renew(&mut self) -> Result<()> {
        if self.renewed.elapsed() >= Duration::from_secs(RENEW_SECONDS) {
            self.exporter.command(self.job, &Command::Renew { epoch: self.epoch, until: self.exporter.lease() })?;
            self.renewed = Instant::now();
        }
        Ok(())
    }
}

/// Chunks of one file that are on their way to storage.
const UPLOADS_AT_ONCE: usize = 2;

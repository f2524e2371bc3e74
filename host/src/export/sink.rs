//! Storing files: digest, upload, publish. On a thread of its own, so that the engine need not wait for the disk.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::Receiver,
    },
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
use flate2::{Compression, write::GzEncoder};
use object_store::WriteMultipart;
use tokio::runtime::Handle;

use super::Exporter;

/// Stores what one writer puts out.
pub(super) struct Sink<'s> {
    exporter: &'s Exporter,
    runtime: &'s Handle,
    job: &'s str,
    epoch: Epoch,
    partition: u32,
    stored: &'s AtomicU64,
    open: BTreeMap<u32, OpenFile>,
}

struct OpenFile {
    section: Section,
    resource_type: Option<ResourceType>,
    name: String,
    key: String,
    content_type: Option<String>,
    upload: WriteMultipart,
    digester: Digester,
    /// Where files are kept as gzip, what packs this one, and how much was packed.
    gzip: Option<(GzEncoder<Vec<u8>>, u64)>,
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
        Self { exporter, runtime, job, epoch, partition, stored, open: BTreeMap::new() }
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
        events.iter().try_for_each(|event| self.take(event))
    }

    fn take(&mut self, event: WriterEvent) -> Result<()> {
        match event {
            WriterEvent::Open { file, section, resource_type, name, content_type } => {
                let key = self.exporter.files.key(self.job, self.epoch.0, &name);
                let upload = self.runtime.block_on(self.exporter.files.create(&key))?;
                let digester = Digester::default();
                // Pictures and documents are packed already.
                let is_packed = self.exporter.limits.gzip && section != Section::Attachment;
                let gzip = is_packed.then(|| (GzEncoder::new(Vec::new(), Compression::default()), 0));
                let open = OpenFile { section, resource_type, name, key, content_type, upload, digester, gzip };
                self.open.insert(file, open);
            }
            WriterEvent::Append { file, bytes } => {
                let open = self.open.get_mut(&file).context("an append to a file that is not open")?;
                open.digester.update(&bytes);
                let bytes = open.pack(bytes)?;
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
        let OpenFile { section, resource_type, name, key, content_type, mut upload, digester, gzip } = open;
        let mut gzip_bytes = None;
        if let Some((encoder, packed)) = gzip {
            let rest = encoder.finish()?;
            gzip_bytes = Some(packed + rest.len() as u64);
            let _runtime = self.runtime.enter();
            upload.put(Bytes::from(rest));
        }
        self.runtime.block_on(upload.finish())?;
        let sha256 = Some(digester.finish());
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
            // For the job to say.
            page: None,
        };
        let publish = Command::Publish { epoch: self.epoch, partition: self.partition, rows: vec![row], checkpoint };
        self.exporter.command(self.job, &publish)?;
        self.stored.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl OpenFile {
    /// Bytes of the file as they are stored.
    fn pack(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Some((encoder, packed)) = &mut self.gzip else { return Ok(bytes) };
        encoder.write_all(&bytes)?;
        let ready = std::mem::take(encoder.get_mut());
        *packed += ready.len() as u64;
        Ok(ready)
    }
}

/// Chunks of one file that are on their way to storage.
const UPLOADS_AT_ONCE: usize = 2;

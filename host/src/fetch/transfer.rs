//! One request, from its sending to the end of its answer.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use ehi_core::client::{Contents, Expect, Op, TransferError};
use http::{HeaderMap, Request, header, response::Parts};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};

use super::{
    body::{self, Coding, Decoder},
    net::Net,
    receive::{self, Block},
    watch::Watch,
};

/// What became of an operation.
pub(super) struct Event {
    pub(super) op: Op,
    pub(super) what: What,
}

pub(super) enum What {
    Answered {
        status: u16,
        headers: Vec<(String, Bytes)>,
        body: Vec<u8>,
        /// Nothing more comes of this operation.
        ended: bool,
    },
    Progress(u64),
    Downloaded(Box<Contents>),
    Failed(TransferError),
}

/// How to store a body.
pub(super) struct Reception {
    pub(super) from: u64,
    pub(super) file_bytes_max: u64,
}

/// A download that is to be begun.
pub(super) struct Download {
    pub(super) op: Op,
    pub(super) request: Request<Full<Bytes>>,
    /// Bytes of the file that must be there.
    pub(super) from: u64,
    pub(super) path: PathBuf,
    pub(super) expect: Expect,
    /// To be shown.
    pub(super) name: String,
    pub(super) watch: Arc<dyn Watch>,
}

/// A protocol request.
pub(super) async fn transmit(
    net: Net,
    request: Request<Full<Bytes>>,
    op: Op,
    body_bytes_max: u64,
    events: mpsc::Sender<Event>,
) {
    let what = match answer(&net, request, body_bytes_max).await {
        Ok(what) => what,
        Err(error) => What::Failed(error),
    };
    // Nobody listens only when all is over.
    let _ = events.send(Event { op, what }).await;
}

async fn answer(net: &Net, request: Request<Full<Bytes>>, body_bytes_max: u64) -> Result<What, TransferError> {
    let (head, body) = net.send(request).await?.into_parts();
    let body = collect(net, &head, body, body_bytes_max, Beyond::Fail).await?;
    Ok(What::Answered { status: head.status.as_u16(), headers: fields(&head.headers), body, ended: true })
}

/// A download: its head is handed over, then its body stored as was answered to that.
pub(super) async fn download(
    net: Net,
    download: Download,
    go: oneshot::Receiver<Reception>,
    events: mpsc::Sender<Event>,
) {
    let op = download.op;
    if let Err(error) = try_download(&net, download, go, &events).await {
        let _ = events.send(Event { op, what: What::Failed(error) }).await;
    }
}

async fn try_download(
    net: &Net,
    download: Download,
    go: oneshot::Receiver<Reception>,
    events: &mpsc::Sender<Event>,
) -> Result<(), TransferError> {
    let Download { op, request, from, path, expect, name, watch } = download;
    let stored = std::fs::metadata(&path).map_or(0, |file| file.len());
    if stored < from {
        return Err(TransferError::PartMissing);
    }
    let (head, mut body) = net.send(request).await?.into_parts();
    let (status, headers) = (head.status.as_u16(), fields(&head.headers));
    if !matches!(status, 200 | 206) {
        let body = collect(net, &head, body, REFUSAL_BYTES_MAX, Beyond::Cut).await?;
        let _ = events.send(Event { op, what: What::Answered { status, headers, body, ended: true } }).await;
        return Ok(());
    }
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let coding = Coding::of(&head.headers);
    let _ = events.send(Event { op, what: What::Answered { status, headers, body: Vec::new(), ended: false } }).await;
    // Dropped if the answer is not wanted.
    let Ok(Reception { from, file_bytes_max }) = go.await else { return Ok(()) };
    let length = length.filter(|_| coding == Coding::Identity).map(|length| from.saturating_add(length));
    let task = receive::Task { op, path, from, file_bytes_max, expect, coding, meter: watch.receives(&name, length) };
    let (blocks, stored) = mpsc::channel(BLOCKS_MAX);
    let to = events.clone();
    // Checked and stored beside the socket, which goes on meanwhile.
    tokio::task::spawn_blocking(move || receive::receive(task, stored, &to));
    loop {
        let (block, last) = match body::next(&mut body, net.silence()).await {
            Ok(Some(data)) => (Block::Data(data), false),
            Ok(None) => (Block::End, true),
            Err(_) => (Block::Broken, true),
        };
        // Whoever stores has said why it stopped.
        if blocks.send(block).await.is_err() || last {
            return Ok(());
        }
    }
}

/// What to do with what is beyond the bound.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beyond {
    Fail,
    Cut,
}

async fn collect(
    net: &Net,
    head: &Parts,
    mut body: Incoming,
    bytes_max: u64,
    beyond: Beyond,
) -> Result<Vec<u8>, TransferError> {
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let bounded = Bounded { bytes: Vec::new(), bytes_max, full: false };
    // What cannot be undone is handed over as it is: it is no JSON, and the client says so.
    let coding =
        Some(Coding::of(&head.headers)).filter(|coding| *coding != Coding::Unknown).unwrap_or(Coding::Identity);
    let mut decoder = Decoder::new(coding, bounded).ok_or(TransferError::Network)?;
    while let Some(piece) = body::next(&mut body, net.silence()).await.map_err(|_| TransferError::Network)? {
        let written = decoder.write(&piece);
        match (decoder.inner().full, beyond) {
            (true, Beyond::Fail) => return Err(TransferError::TooLarge),
            (true, Beyond::Cut) => return Ok(std::mem::take(&mut decoder.inner().bytes)),
            (false, _) => written.map_err(|_| TransferError::Network)?,
        }
    }
    decoder.finish().map_err(|_| TransferError::Network)?;
    Ok(std::mem::take(&mut decoder.inner().bytes))
}

/// Takes up to a bound.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    full: bool,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.bytes_max - self.bytes.len());
        self.full |= taken < bytes.len();
        self.bytes.extend(bytes.iter().take(taken));
        if self.full { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    headers.iter().map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value.as_bytes()))).collect()
}

/// What is read of a refusal.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;

/// Pieces of a body that wait to be stored.
const BLOCKS_MAX: usize = 16;

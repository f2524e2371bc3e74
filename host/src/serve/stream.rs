//! Bodies that are made while they are sent.

use axum::body::Body;
use bytes::Bytes;
use ehi_core::manifest::ManifestHead;
use futures::stream;
use tokio::sync::mpsc;

use super::Server;

/// The manifest of a job, or a page of it: rows through the engine piece by piece, whatever their number.
pub(super) fn manifest(server: &Server, job: String, head: ManifestHead) -> Body {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(QUEUED_PIECES);
    let server = server.clone();
    tokio::task::spawn_blocking(move || {
        // If the client is gone, nobody waits for the rest.
        let send = |piece: Vec<u8>| sender.blocking_send(Ok(piece.into())).is_ok();
        if let Err(error) = server.exporter.manifest(&job, &head, |_| {}, send) {
            tracing::error!(error = format!("{error:#}"), "a manifest could not be sent whole");
            // Ends the connection: a manifest that stops in the middle must not look complete.
            let _ = sender.blocking_send(Err(std::io::Error::other("the manifest could not be made")));
        }
    });
    Body::from_stream(stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}

const QUEUED_PIECES: usize = 4;

//! The server: HTTP in front of the engine, and the work of jobs behind it.

mod answer;
mod scheduler;
mod stream;

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use axum::Router;
use ehi_core::access::Principal;
use tokio::{net::TcpListener, sync::Notify};

use crate::export::Exporter;

/// What answers requests.
#[derive(Clone)]
pub struct Server {
    exporter: Exporter,
    /// Who everyone is, as long as there is no authorisation.
    principal: Arc<Principal>,
    /// The origin of web pages that may read answers, if any.
    cors: Option<Arc<str>>,
    /// Wakes the scheduler when a job was made or ended.
    work: Arc<Notify>,
}

impl Server {
    /// A server without authorisation.
    pub fn open(exporter: Exporter, cors: Option<String>) -> Self {
        let principal = Arc::new(Principal::Open);
        Self { exporter, principal, cors: cors.map(Into::into), work: Arc::new(Notify::new()) }
    }

    /// Serves until told to stop; then lets answers that have begun end. A job that is interrupted goes on when the
    /// server runs again.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        // The first look at the data may take a while: not while the first client waits.
        let source = Arc::clone(&self.exporter.source);
        drop(tokio::task::spawn_blocking(move || source.snapshot()));
        let scheduler = tokio::spawn(scheduler::run(self.exporter.clone(), Arc::clone(&self.work)));
        let router = Router::new().fallback(answer::answer).with_state(self);
        let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
        scheduler.abort();
        served.context("the server stopped")
    }
}

/// Opens the address. Without authorisation it must be a loopback address: anyone who reaches it reads everything.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

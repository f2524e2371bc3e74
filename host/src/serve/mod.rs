//! The server: HTTP in front of the engine, and the work of jobs behind it.

mod answer;
mod cors;
mod downloads;
mod identity;
mod scheduler;
mod staff;
mod stream;
mod tokens;
mod unpack;

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use axum::{Router, http::HeaderValue};
use ehi_core::{Endpoint, endpoint::EndpointConfig};
use tokio::{net::TcpListener, sync::Notify};

pub use identity::Identity;
pub use tokens::Tokens;

use crate::export::Exporter;
use downloads::Downloads;

/// What answers requests.
#[derive(Clone)]
pub struct Server {
    exporter: Exporter,
    identity: Identity,
    /// For what is asked by the pages of the deployment and not by clients.
    endpoint: Arc<Endpoint>,
    /// Wakes the scheduler when a job was made or ended.
    work: Arc<Notify>,
    downloads: Downloads,
}

impl Server {
    /// A server that tells people apart in that way, of the deployment that the engines are of.
    pub fn new(exporter: Exporter, identity: Identity, config: EndpointConfig) -> Result<Self> {
        let (endpoint, work) = (Arc::new(Endpoint::new(config)?), Arc::new(Notify::new()));
        Ok(Self { exporter, identity, endpoint, work, downloads: Downloads::default() })
    }

    /// Serves until told to stop; then lets answers that have begun end. A job that is interrupted goes on when the
    /// server runs again. Web pages of that origin may read what their users may, and no others.
    pub async fn run(
        self,
        listener: TcpListener,
        origin: Option<HeaderValue>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        // The first look at the data may take a while: not while the first client waits.
        let source = Arc::clone(&self.exporter.source);
        drop(tokio::task::spawn_blocking(move || source.snapshot()));
        let scheduler =
            tokio::spawn(scheduler::run(self.exporter.clone(), Arc::clone(&self.work), self.downloads.clone()));
        let fhir = Router::new().fallback(answer::answer);
        let fhir = match origin {
            Some(origin) => fhir.layer(cors::layer(origin)),
            None => fhir,
        };
        let router = staff::routes().merge(fhir).with_state(self);
        let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
        scheduler.abort();
        served.context("the server stopped")
    }
}

/// Opens the address. Without authorisation it must be a loopback address: anyone who reaches it reads everything.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

//! Requests. Nothing is followed, stored or believed here: an answer is what came over the wire.

use std::{error::Error, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use ehi_core::client::{ClientPlan, TransferError, Url};
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{client::legacy, rt::TokioExecutor};
use tokio::time::timeout;

use super::connect::{ConnectError, Connector};

/// Sends requests.
#[derive(Clone)]
pub struct Net {
    client: legacy::Client<Connector, Full<Bytes>>,
    timeouts: Timeouts,
}

/// How long a server may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the head of the answer, and between two pieces of its body.
    pub silence: Duration,
}

impl Net {
    /// What the plan allows to be contacted.
    pub async fn new(plan: &ClientPlan, timeouts: Timeouts) -> Result<Self> {
        let base = Url::parse(&plan.request().base_url)?;
        let connector = Connector::new(plan.policy().clone(), &base, timeouts.connect).await?;
        let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, timeouts })
    }

    pub(super) fn request(
        &self,
        method: &str,
        url: &Url,
        headers: &[(String, String)],
        body: &[u8],
        token: Option<HeaderValue>,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(url.as_str()).header(header::USER_AGENT, USER_AGENT);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        // What is in the request may not be told.
        request.body(Full::new(Bytes::copy_from_slice(body))).ok().context("a request cannot be written as HTTP")
    }

    /// The head of the answer.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, TransferError> {
        let answer = timeout(self.timeouts.connect + self.timeouts.silence, self.client.request(request)).await;
        answer.map_err(|_| TransferError::Network)?.map_err(|error| kind(&error))
    }

    pub(super) fn silence(&self) -> Duration {
        self.timeouts.silence
    }
}

fn kind(error: &legacy::Error) -> TransferError {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(ConnectError::Refused) = error.downcast_ref() {
            return TransferError::AddressRefused;
        }
        source = error.source();
    }
    TransferError::Network
}

const USER_AGENT: &str = concat!("ehi/", env!("CARGO_PKG_VERSION"));

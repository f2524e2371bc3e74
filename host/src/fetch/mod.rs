//! An export fetched from a server into a folder: the core's client, with HTTP, files and a token around it. All decisions
//! of the protocol are the client's; this module does what it says and tells it what came of that.

mod body;
mod connect;
mod folder;
mod net;
mod receive;
mod token;
mod transfer;
mod watch;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use ehi_core::{
    Timestamp,
    client::{Client, ClientInput, ClientOutput, Op, Report, TransferError},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::{Instant, sleep_until},
};

pub use folder::{Folder, JOURNAL, LOG};
pub use net::{Net, Timeouts};
pub use receive::SYNC_BYTES;
pub use token::TokenSource;
pub use watch::{Meter, Standing, Watch};

use transfer::{Event, Reception, What};

use crate::clock;

/// An export that is being fetched.
pub struct Fetcher {
    client: Client,
    net: Net,
    folder: Folder,
    tokens: TokenSource,
    watch: Arc<dyn Watch>,
    running: BTreeMap<u64, Running>,
    events: mpsc::Sender<Event>,
    arrivals: mpsc::Receiver<Event>,
}

/// A request in flight. What it holds ends with it.
struct Running {
    task: AbortHandle,
    /// To a download whose head was handed over: whether and how to store the body.
    go: Option<oneshot::Sender<Reception>>,
}

impl Fetcher {
    /// One that is to be run.
    pub fn new(client: Client, net: Net, folder: Folder, tokens: TokenSource, watch: Arc<dyn Watch>) -> Self {
        let (events, arrivals) = mpsc::channel(EVENTS_MAX);
        Self { client, net, folder, tokens, watch, running: BTreeMap::new(), events, arrivals }
    }

    /// Runs until the export is over; `None` if `stop` came first, and then a later run can go on.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<Option<Report>> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let until = match self.client.poll_output(clock::now()) {
                ClientOutput::Done(report) => return Ok(Some(*report)),
                ClientOutput::Wait { until } => until,
                output => {
                    self.act(output)?;
                    continue;
                }
            };
            self.show();
            let wake = Instant::now() + until_then(until).min(SHOW_EVERY);
            tokio::select! {
                biased;
                () = &mut stop => return Ok(None),
                event = self.arrivals.recv() => if let Some(event) = event { self.take(event) },
                () = sleep_until(wake) => {}
            }
        }
    }

    fn act(&mut self, output: ClientOutput) -> Result<()> {
        match output {
            ClientOutput::Transmit { op, method, url, headers, body, authorize, body_bytes_max } => {
                let token = authorize.then(|| self.tokens.current()).flatten();
                let request = self.net.request(&method, &url, &headers, body.expose(), token)?;
                let (net, events) = (self.net.clone(), self.events.clone());
                self.spawn(op, None, transfer::transmit(net, request, op, body_bytes_max, events));
            }
            ClientOutput::Download { op, url, headers, authorize, from, to, expect } => {
                let token = authorize.then(|| self.tokens.current()).flatten();
                let request = self.net.request("GET", &url, &headers, &[], token)?;
                let (go, gone) = oneshot::channel();
                let download = transfer::Download {
                    op,
                    request,
                    from,
                    path: self.folder.path(&to),
                    expect,
                    name: to.strip_suffix(".part").unwrap_or(&to).to_owned(),
                    watch: Arc::clone(&self.watch),
                };
                let (net, events) = (self.net.clone(), self.events.clone());
                self.spawn(op, Some(go), transfer::download(net, download, gone, events));
            }
            ClientOutput::Receive { op, from, file_bytes_max } => {
                let go = self.running.get_mut(&op.0).and_then(|running| running.go.take());
                // A download that has ended meanwhile has said so.
                let _ = go.map(|go| go.send(Reception { from, file_bytes_max }));
            }
            ClientOutput::Abort { op } => self.abort(op),
            ClientOutput::Keep { from, to } => self.folder.keep(&from, &to)?,
            ClientOutput::Discard { name } => self.folder.discard(&name)?,
            ClientOutput::TokenNeeded => {
                let input = match self.tokens.read() {
                    Ok(()) => ClientInput::TokenReady { expires: None },
                    Err(reason) => {
                        self.watch.notice(&format!("no access token: {reason}"));
                        ClientInput::TokenUnavailable
                    }
                };
                self.client.handle_input(input, clock::now());
            }
            ClientOutput::OpenBrowser { url } => {
                self.watch.notice(&format!("the server asks the patient to open this page: {}", url.as_str()));
            }
            ClientOutput::Save { bytes, append } => self.folder.save(bytes.expose(), append)?,
            ClientOutput::Event(event) => self.folder.log(&event.to_json())?,
            // These two end the round.
            ClientOutput::Wait { .. } | ClientOutput::Done(_) => {}
        }
        Ok(())
    }

    fn spawn(
        &mut self,
        op: Op,
        go: Option<oneshot::Sender<Reception>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = tokio::spawn(task).abort_handle();
        self.running.insert(op.0, Running { task, go });
    }

    fn abort(&mut self, op: Op) {
        if let Some(running) = self.running.remove(&op.0) {
            running.task.abort();
        }
    }

    fn take(&mut self, event: Event) {
        let Event { op, what } = event;
        let now = clock::now();
        match what {
            What::Answered { status, headers, body, ended } => {
                if ended {
                    self.running.remove(&op.0);
                }
                let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
                self.client.handle_input(ClientInput::Response { op, status, headers: &headers, body: &body }, now);
            }
            What::Progress(bytes) => self.client.handle_input(ClientInput::Progress { op, bytes }, now),
            What::Downloaded(contents) => {
                self.running.remove(&op.0);
                self.client.handle_input(ClientInput::Downloaded { op, contents: &contents }, now);
            }
            What::Failed(error) => {
                self.running.remove(&op.0);
                if error == TransferError::Storage {
                    self.watch.notice("a file could not be stored: is the disk full?");
                }
                self.client.handle_input(ClientInput::Failed { op, error }, now);
            }
        }
    }

    fn show(&self) {
        self.watch.stands(&|| {
            let (files, over) = self.client.file_counts();
            let progress = self.client.progress().map(|text| text.expose().clone());
            Standing { stage: self.client.stage(), files, over, progress }
        });
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.running.values().for_each(|running| running.task.abort());
    }
}

fn until_then(then: Timestamp) -> Duration {
    let millis = then.as_millis().saturating_sub(clock::now_millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// How often what is shown is renewed at least.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// Answers that wait to be taken; more wait in their own tasks.
const EVENTS_MAX: usize = 64;

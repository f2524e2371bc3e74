//! Gives each job what it wants, when it wants it.

use std::{collections::BTreeSet, sync::Arc, thread::available_parallelism, time::Duration};

use ehi_core::job::Wants;
use tokio::{
    runtime::Handle,
    sync::{Mutex, Notify, Semaphore},
    time::sleep,
};

use super::Downloads;
use crate::{
    clock,
    export::{self, Exporter, Progress},
};

/// Runs for as long as the server does.
pub(super) async fn run(exporter: Exporter, work: Arc<Notify>, downloads: Downloads) {
    let running = Arc::new(Mutex::new(BTreeSet::new()));
    let slots = Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from)));
    // Jobs of the run before this one: their leases are ours, so there is nothing to wait for.
    let mut due = exporter.store.unfinished().unwrap_or_default();
    loop {
        for job in due {
            if running.lock().await.insert(job.clone()) {
                let (exporter, work) = (exporter.clone(), Arc::clone(&work));
                let (running, slots, downloads) = (Arc::clone(&running), Arc::clone(&slots), downloads.clone());
                tokio::spawn(async move {
                    let Ok(slot) = slots.acquire_owned().await else { return };
                    let failed = step(exporter, job.clone(), downloads).await;
                    drop(slot);
                    if failed {
                        sleep(RETRY).await;
                    }
                    running.lock().await.remove(&job);
                    // What one step made possible, the next is to see at once.
                    work.notify_one();
                });
            }
        }
        tokio::select! {
            () = work.notified() => {}
            () = sleep(LOOK) => {}
        }
        due = exporter.store.due(clock::now_millis()).unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "the job store cannot be read");
            Vec::new()
        });
    }
}

/// Whether it is to be tried again later.
async fn step(exporter: Exporter, job: String, downloads: Downloads) -> bool {
    let runtime = Handle::current();
    let name = job.get(..8).unwrap_or(&job).to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        // Who downloads a file gets all of it, though nobody else gets it any more.
        if exporter.wants(&job)? == Wants::Remove && downloads.are_open(&job) {
            return Ok(None);
        }
        export::run(&exporter, &runtime, &job, &Progress::default()).map(Some)
    });
    match ran.await {
        Ok(Ok(None)) => true,
        Ok(Ok(Some(outcome))) => {
            tracing::info!(job = name, ?outcome, "looked after a job");
            false
        }
        Ok(Err(error)) => {
            tracing::error!(job = name, error = format!("{error:#}"), "a job cannot go on now");
            true
        }
        Err(_) => {
            tracing::error!(job = name, "looking after a job panicked");
            true
        }
    }
}

/// How often the store is looked at when nothing is heard.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait after a failure that may pass: a full disk, a store that is down.
const RETRY: Duration = Duration::from_secs(5);

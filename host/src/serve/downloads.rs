//! Downloads that are going on: the files of an export are not removed under them (BD-SEC-09), and not kept for ever for
//! the sake of a client that does not read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};

/// The downloads of all jobs.
#[derive(Clone, Default)]
pub(super) struct Downloads {
    /// When each began, by job.
    open: Arc<Mutex<BTreeMap<String, Vec<Instant>>>>,
}

impl Downloads {
    /// The same stream; until it is dropped, its job is being downloaded.
    pub(super) fn watch<S: Stream>(&self, job: &str, stream: S) -> impl Stream<Item = S::Item> + use<S> {
        let begun = Instant::now();
        self.locked().entry(job.to_owned()).or_default().push(begun);
        let download = Download { downloads: self.clone(), job: job.to_owned(), begun };
        stream.inspect(move |_| {
            // The stream owns it.
            let _ = &download;
        })
    }

    /// Whether files of that job are being downloaded, by somebody who does not take longer than anybody should.
    pub(super) fn are_open(&self, job: &str) -> bool {
        self.locked().get(job).is_some_and(|begun| begun.iter().any(|begun| begun.elapsed() < DOWNLOAD_MAX))
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Instant>>> {
        // Nothing is left half done here.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them.
struct Download {
    downloads: Downloads,
    job: String,
    begun: Instant,
}

impl Drop for Download {
    fn drop(&mut self) {
        let mut open = self.downloads.locked();
        if let Some(begun) = open.get_mut(&self.job) {
            if let Some(one) = begun.iter().position(|begun| *begun == self.begun) {
                begun.swap_remove(one);
            }
            if begun.is_empty() {
                open.remove(&self.job);
            }
        }
    }
}

/// A file of the largest size over a slow line. Who takes longer begins again.
const DOWNLOAD_MAX: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[test]
    fn a_download_is_open_until_its_stream_is_gone() {
        let downloads = Downloads::default();
        let (one, other) = (downloads.watch("a", stream::iter([1, 2])), downloads.watch("a", stream::empty::<u8>()));
        assert!(downloads.are_open("a") && !downloads.are_open("b"));
        drop(one);
        assert!(downloads.are_open("a"));
        drop(other);
        assert!(!downloads.are_open("a") && downloads.locked().is_empty());
    }
}

//! What a person sees while an export runs: a bar on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::export::Progress;

/// Shows progress until it is dropped.
pub(super) struct Watch {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(progress: Arc<Progress>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&done);
        let show = if std::io::stderr().is_terminal() { bar } else { lines };
        Self { done, thread: Some(thread::spawn(move || show(&progress, &watched))) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn bar(progress: &Progress, done: &AtomicBool) {
    let bar = ProgressBar::new(0);
    let style = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {msg}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    while !done.load(Ordering::Relaxed) {
        bar.set_length(progress.total.load(Ordering::Relaxed));
        bar.set_position(progress.taken.load(Ordering::Relaxed));
        bar.set_message(format!("{} files", progress.files.load(Ordering::Relaxed)));
        thread::sleep(REDRAW);
    }
    bar.finish_and_clear();
}

fn lines(progress: &Progress, done: &AtomicBool) {
    let mut said = Instant::now();
    while !done.load(Ordering::Relaxed) {
        if said.elapsed() >= SAY {
            said = Instant::now();
            let (taken, total) = (progress.taken.load(Ordering::Relaxed), progress.total.load(Ordering::Relaxed));
            let percent = taken.saturating_mul(100).checked_div(total).unwrap_or(0);
            eprintln!("{percent}%: {taken} of {total} bytes, {} files", progress.files.load(Ordering::Relaxed));
        }
        thread::sleep(REDRAW);
    }
}

const REDRAW: Duration = Duration::from_millis(50);
const SAY: Duration = Duration::from_secs(5);

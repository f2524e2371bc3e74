//! What is shown meanwhile: bars on a terminal, plain lines elsewhere.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ehi_core::client::Stage;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    cli::say,
    fetch::{Meter, Standing, Watch},
};

/// Shows until it is told that all is over.
pub(super) trait Screen: Watch {
    /// Nothing is left to be shown.
    fn over(&self);
}

pub(super) fn watch(terminal: bool) -> Arc<dyn Screen> {
    if terminal { Arc::new(Bars::new()) } else { Arc::new(Lines::new()) }
}

/// A line for the export and a bar for each file.
struct Bars {
    all: MultiProgress,
    top: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let top = all.add(ProgressBar::new_spinner());
        top.set_style(style("{spinner} {msg} [{elapsed_precise}]"));
        top.enable_steady_tick(Duration::from_millis(200));
        Self { all, top }
    }
}

impl Watch for Bars {
    fn stands(&self, standing: &dyn Fn() -> Standing) {
        let standing = standing();
        let progress = standing.progress.as_ref().filter(|_| standing.stage == Stage::Polling);
        let said = progress.map_or_else(String::new, |text| format!(": {text}"));
        self.top.set_message(format!("{}{said}", summary(&standing)));
    }

    fn receives(&self, name: &str, length: Option<u64>) -> Box<dyn Meter> {
        let bar = self.all.add(length.map_or_else(ProgressBar::no_length, ProgressBar::new));
        let known = "  {bar:24} {bytes:>11}/{total_bytes:11} {bytes_per_sec:>12}  {msg}";
        bar.set_style(style(if length.is_some() { known } else { "  {bytes:>11} {bytes_per_sec:>12}  {msg}" }));
        bar.set_message(name.to_owned());
        Box::new(Bar(bar))
    }

    fn notice(&self, text: &str) {
        // Shown nowhere else if the terminal is gone.
        let _ = self.all.println(text);
    }
}

impl Screen for Bars {
    fn over(&self) {
        self.top.finish_and_clear();
        // A terminal that is gone need not be cleared.
        let _ = self.all.clear();
    }
}

struct Bar(ProgressBar);

impl Meter for Bar {
    fn reads(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line every few seconds, without a word of the server: it may be written to a log.
struct Lines {
    bytes: Arc<AtomicU64>,
    said: Mutex<Instant>,
}

impl Lines {
    fn new() -> Self {
        Self { bytes: Arc::default(), said: Mutex::new(Instant::now()) }
    }
}

impl Watch for Lines {
    fn stands(&self, standing: &dyn Fn() -> Standing) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= SAY {
            *said = Instant::now();
            say(format_args!("{}, {} bytes", summary(&standing()), self.bytes.load(Ordering::Relaxed)));
        }
    }

    fn receives(&self, _: &str, _: Option<u64>) -> Box<dyn Meter> {
        Box::new(Counter { all: Arc::clone(&self.bytes), seen: AtomicU64::new(0) })
    }

    fn notice(&self, text: &str) {
        say(text);
    }
}

impl Screen for Lines {
    fn over(&self) {}
}

struct Counter {
    all: Arc<AtomicU64>,
    seen: AtomicU64,
}

impl Meter for Counter {
    fn reads(&self, bytes: u64) {
        let seen = self.seen.swap(bytes, Ordering::Relaxed);
        self.all.fetch_add(bytes.saturating_sub(seen), Ordering::Relaxed);
    }
}

fn summary(standing: &Standing) -> String {
    let Standing { stage, files, over, .. } = standing;
    match stage {
        Stage::Discovering => String::from("asking the server what it is"),
        Stage::KickingOff => String::from("kicking off"),
        Stage::Polling if *files == 0 => String::from("waiting for the server"),
        Stage::Polling => format!("waiting for the server, {over} of {files} files"),
        Stage::Fetching => format!("{over} of {files} files"),
        Stage::Deleting => format!("{files} files, removing the export from the server"),
        Stage::Cancelling => String::from("removing the export from the server"),
        Stage::Ended => format!("{files} files"),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

const SAY: Duration = Duration::from_secs(5);

//! Where lines and reports go, from any number of threads.

use std::{
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;
use ehi_core::outcome::OperationOutcome;

use crate::cli::say;

/// Stdout, and what is said on stderr.
#[derive(Default)]
pub(super) struct Output {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Whether nobody reads stdout any more.
    closed: bool,
    /// Reports that were shown.
    shown: u64,
    lines: u64,
    written: u64,
    reported: u64,
}

impl Output {
    /// Writes whole lines. Says whether more is wanted: a pipe that nobody reads any more is no failure.
    pub(super) fn lines(&self, lines: &[u8]) -> anyhow::Result<bool> {
        let mut held = self.hold();
        if held.closed {
            return Ok(false);
        }
        // What ends in a line end passes through the buffer of stdout without a copy.
        match io::stdout().write_all(lines) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                held.closed = true;
                Ok(false)
            }
            written => written.map(|()| true).context("cannot write to stdout"),
        }
    }

    /// Shows what was reported, OperationOutcomes one a line, as far as anyone will read.
    pub(super) fn reports(&self, outcomes: &[u8]) {
        let mut held = self.hold();
        for outcome in outcomes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if held.shown >= SHOWN_MAX {
                return;
            }
            held.shown += 1;
            if let Ok(outcome) = serde_json::from_slice::<OperationOutcome>(outcome) {
                outcome.issue.iter().for_each(|issue| say(&issue.diagnostics));
            }
        }
    }

    /// Adds what one writer did.
    pub(super) fn count(&self, lines: u64, written: u64, reported: u64) {
        let mut held = self.hold();
        held.lines += lines;
        held.written += written;
        held.reported += reported;
    }

    /// Whether nobody reads stdout any more.
    pub(super) fn is_closed(&self) -> bool {
        self.hold().closed
    }

    /// Says what was done, to whoever still reads.
    pub(super) fn conclude(&self) {
        let Held { closed, shown, lines, written, reported } = *self.hold();
        if closed {
            return;
        }
        if reported > shown {
            say(format_args!("{} more reports are not shown", reported - shown));
        }
        say(format_args!("{lines} lines read, {written} written, {reported} reported"));
    }

    fn hold(&self) -> MutexGuard<'_, Held> {
        // INVARIANT: nothing that is done under the lock leaves it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Enough to see what is wrong; a file of another format would fill the screen.
const SHOWN_MAX: u64 = 20;

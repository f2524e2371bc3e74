//! When to try again.

use super::{Client, report::Finding};
use crate::{http::Reply, time::Timestamp};

impl Client {
    /// When to come again after an answer: when the server says, within the bound and never at once; else after a delay
    /// that doubles from time to time (BD-STAT-02, BD-STAT-04).
    pub(super) fn again_at(&mut self, reply: Option<Reply<'_>>, tries: u32, now: Timestamp) -> Timestamp {
        let stated = reply.is_some_and(|reply| reply.header("retry-after").next().is_some());
        match reply.and_then(|reply| reply.retry_after(now)) {
            Some(seconds) => self.bounded(seconds, now),
            None => {
                if stated {
                    self.record.find(Finding::RetryAfter);
                }
                self.backoff(tries, now)
            }
        }
    }

    pub(super) fn backoff(&mut self, tries: u32, now: Timestamp) -> Timestamp {
        let limits = &self.record.limits;
        let doubled = limits.poll_first_millis.saturating_mul(1 << tries.min(30));
        let millis = doubled.min(limits.backoff_millis_max).max(DELAY_MILLIS_MIN);
        now.plus_millis(self.random.jitter(millis).max(DELAY_MILLIS_MIN))
    }

    fn bounded(&mut self, mut seconds: u64, now: Timestamp) -> Timestamp {
        let limits = self.record.limits;
        let bound = limits.retry_after_seconds_max;
        if seconds > bound {
            self.record.find(Finding::RetryAfter);
            // The reference server writes the time itself instead of the delay, in seconds or in milliseconds.
            let epoch_millis = u64::try_from(now.as_millis()).unwrap_or(0);
            let as_seconds = seconds.saturating_sub(epoch_millis / 1000);
            let as_millis = seconds.saturating_sub(epoch_millis) / 1000;
            seconds = if seconds >= epoch_millis && as_millis <= bound {
                as_millis
            } else if seconds >= epoch_millis / 1000 && as_seconds <= bound {
                as_seconds
            } else {
                bound
            };
        }
        // A date in the past and a delay of nothing are no reason to poll in a hot loop.
        now.plus_millis((seconds.saturating_mul(1000)).max(limits.poll_first_millis).max(DELAY_MILLIS_MIN))
    }
}

/// The shortest delay before anything is tried again.
const DELAY_MILLIS_MIN: u64 = 10;

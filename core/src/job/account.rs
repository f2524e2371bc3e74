//! How often a client polls: two integers beside the job, so that polling never writes the job itself.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One client's polls of one job. Stored without a version; may be lost without harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollAccount {
    /// Milliseconds since 1970; a poll before this instant is too early.
    pub next_allowed: i64,
    /// How many polls were too early.
    pub strikes: u32,
}

impl PollAccount {
    /// Counts a poll. Returns how many seconds to wait if it was too early (BD-STAT-05). The first poll never is.
    pub(super) fn poll(&mut self, interval_millis: u64, now: Timestamp) -> Result<(), u64> {
        let early = self.next_allowed > now.as_millis();
        if early {
            self.strikes = self.strikes.saturating_add(1);
            return Err(Timestamp::from_millis(self.next_allowed).seconds_since(now).max(1));
        }
        self.next_allowed = now.plus_millis(interval_millis).as_millis();
        Ok(())
    }
}

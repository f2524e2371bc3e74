//! Where an export stands, client side: the table, and only that.
//!
//! What is in flight and when to come again is not here: it is lost in a crash without harm.

use serde::{Deserialize, Serialize};

/// Where an export stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// What the server is, is being read.
    Discovering,
    /// The kick-off is to be sent, or was sent and not answered.
    KickingOff,
    /// The polling location is known; files that are listed early are fetched meanwhile.
    Polling,
    /// The manifest is complete; files are being fetched.
    Fetching,
    /// Everything arrived; the server is being told to remove the export.
    Deleting,
    /// The embedder cancelled; the server is being told to stop.
    Cancelling,
    /// Over. The report says how.
    Ended,
}

/// What moves it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Discovery is over, with or without success.
    Discovered,
    /// 202 with a polling location.
    Accepted,
    /// The last page of the complete manifest was read.
    Listed,
    /// Every file has arrived or is given up, and the export is to be removed.
    Arrived,
    /// The embedder cancels, and the server has an export to remove.
    Cancel,
    /// Nothing is left to do.
    End,
    /// A later run takes up what ended without being complete.
    Reopen,
}

impl Stage {
    /// The stage after that event; `None` if the event has no meaning here.
    pub(super) fn after(self, event: Event) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, on, _)| (*from, *on) == (self, event)).map(|(.., to)| *to)
    }
}

static TRANSITIONS: &[(Stage, Event, Stage)] = &[
    (Stage::Discovering, Event::Discovered, Stage::KickingOff),
    (Stage::Discovering, Event::End, Stage::Ended),
    (Stage::KickingOff, Event::Accepted, Stage::Polling),
    (Stage::KickingOff, Event::End, Stage::Ended),
    (Stage::Polling, Event::Listed, Stage::Fetching),
    (Stage::Polling, Event::Cancel, Stage::Cancelling),
    (Stage::Polling, Event::End, Stage::Ended),
    (Stage::Fetching, Event::Arrived, Stage::Deleting),
    (Stage::Fetching, Event::Cancel, Stage::Cancelling),
    (Stage::Fetching, Event::End, Stage::Ended),
    (Stage::Deleting, Event::End, Stage::Ended),
    (Stage::Cancelling, Event::End, Stage::Ended),
    (Stage::Ended, Event::Reopen, Stage::Polling),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_but_the_last_can_end_and_the_last_is_final_within_a_run() {
        use Event::{Accepted, Arrived, Cancel, Discovered, End, Listed};
        use Stage::{Cancelling, Deleting, Discovering, Ended, Fetching, KickingOff, Polling};
        for stage in [Discovering, KickingOff, Polling, Fetching, Deleting, Cancelling] {
            assert_eq!(stage.after(End), Some(Ended), "{stage:?}");
        }
        for event in [Discovered, Accepted, Listed, Arrived, Cancel, End] {
            assert_eq!(Ended.after(event), None, "{event:?}");
        }
    }
}

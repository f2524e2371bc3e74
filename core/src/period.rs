//! The FHIR types Reference and Period, as far as it takes to tell who belongs to whom now.

use serde::Deserialize;

use crate::time::Timestamp;

/// A reference of any kind.
#[derive(Deserialize)]
pub(crate) struct Reference {
    reference: Option<String>,
}

/// A span of time whose ends may be open.
#[derive(Deserialize)]
pub(crate) struct Period {
    start: Option<String>,
    end: Option<String>,
}

impl Reference {
    /// The literal reference; empty if there is none.
    pub(crate) fn text(&self) -> &str {
        self.reference.as_deref().unwrap_or_default()
    }
}

impl Period {
    /// Whether it has begun and is not over. A date that cannot be read has not begun and is over.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        let begun = self.start.as_deref().is_none_or(|start| first_instant(start).is_some_and(|start| start <= now));
        let lasts = self.end.as_deref().is_none_or(|end| last_instant(end).is_some_and(|end| end >= now));
        begun && lasts
    }

    /// Whether it may have begun after that instant. One without a beginning did not; of a date that is less than exact
    /// the last moment counts, in UTC.
    pub(crate) fn may_begin_after(&self, instant: Timestamp) -> bool {
        self.start.as_deref().and_then(last_instant).is_some_and(|start| start > instant)
    }
}

/// The first instant of a FHIR dateTime of any precision; dates are read in UTC.
fn first_instant(text: &str) -> Option<Timestamp> {
    let padded = match text.len() {
        4 => format!("{text}-01-01T00:00:00Z"),
        7 => format!("{text}-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse_instant(&padded).ok()
}

/// The last instant of a FHIR dateTime of any precision; dates are read in UTC.
fn last_instant(text: &str) -> Option<Timestamp> {
    let end_of = |date: String| Timestamp::parse_instant(&format!("{date}T23:59:59.999999999Z")).ok();
    match text.len() {
        4 => end_of(format!("{text}-12-31")),
        // The longest month that the calendar has for it.
        7 => (28..=31).rev().find_map(|day| end_of(format!("{text}-{day}"))),
        10 => end_of(text.to_owned()),
        _ => Timestamp::parse_instant(text).ok(),
    }
}

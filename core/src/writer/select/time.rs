//! When a resource must have changed.

use super::super::WriterError;
use crate::{
    json::Element,
    plan::ExportPlan,
    time::{InstantError, Timestamp},
};

/// The times of a plan.
pub(super) struct TimeRule {
    since: Option<Timestamp>,
    /// Whether `since` does not hold for what is a new patient's.
    spares_new: bool,
    until: Option<Timestamp>,
    undated_included: bool,
    pub(super) transaction_time: Timestamp,
}

/// What a resource's last update means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// In time, or never said and taken to be.
    Within,
    /// Not in time.
    Without,
    /// Changed after the transaction time.
    Later,
    /// Written, but not readable.
    Unreadable,
}

/// What a resource's last update means, whosever it turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whens {
    usual: When,
    of_new: When,
}

impl Whens {
    /// What it means for a resource of a new patient, or of others alone.
    pub(super) fn of(self, is_new: bool) -> When {
        if is_new { self.of_new } else { self.usual }
    }

    /// Whether it is the same for all.
    pub(super) fn is_settled(self) -> bool {
        self.usual == self.of_new
    }
}

impl TimeRule {
    /// `has_new` says whether any patient is new (BD-SINCE-03).
    pub(super) fn new(plan: &ExportPlan, has_new: bool) -> Result<Self, WriterError> {
        Ok(Self {
            since: plan.since,
            spares_new: has_new && plan.new_after().is_some(),
            until: plan.until,
            undated_included: plan.undated_included,
            transaction_time: plan.transaction_time.ok_or(WriterError::NotBegun)?,
        })
    }

    pub(super) fn when(&self, last_updated: Option<Result<Timestamp, InstantError>>) -> Whens {
        let usual = self.within(self.since, last_updated);
        Whens { usual, of_new: if self.spares_new { self.within(None, last_updated) } else { usual } }
    }

    /// Both ends are exclusive (BD-SINCE-02).
    fn within(&self, since: Option<Timestamp>, last_updated: Option<Result<Timestamp, InstantError>>) -> When {
        let is_bounded = since.is_some() || self.until.is_some();
        match last_updated {
            // Resources without a time of last update are in time by policy (BD-SINCE-06).
            None if is_bounded && !self.undated_included => When::Without,
            None => When::Within,
            Some(Err(_)) if is_bounded => When::Unreadable,
            Some(Err(_)) => When::Within,
            Some(Ok(updated)) => {
                let is_early = since.is_some_and(|since| updated <= since);
                let is_late = self.until.is_some_and(|until| updated >= until);
                match (is_early || is_late, updated > self.transaction_time) {
                    (true, _) => When::Without,
                    (false, true) => When::Later,
                    (false, false) => When::Within,
                }
            }
        }
    }

    /// Whether what has an unreadable time is exported all the same.
    pub(super) fn takes_undated(&self) -> bool {
        self.undated_included
    }
}

/// `meta.lastUpdated`, the first of its name; `None` if `meta` is not what it should be. Strictly, it also is not if it
/// says one thing twice or has a version that is no text.
pub(super) fn last_updated(meta: Element<'_>, strict: bool) -> Option<Option<Result<Timestamp, InstantError>>> {
    if !meta.is_object() {
        return None;
    }
    let (mut last_updated, mut has_version) = (None, false);
    for (name, value) in meta.members() {
        if name.is("lastUpdated") {
            if last_updated.is_some() {
                return None;
            }
            last_updated = Some(instant(value)?);
            if !strict {
                break;
            }
        } else if strict && name.is("versionId") {
            value.string().filter(|_| !has_version)?;
            has_version = true;
        }
    }
    Some(last_updated)
}

/// The instant that a text says; `None` if it is none.
pub(super) fn instant(value: Element<'_>) -> Option<Result<Timestamp, InstantError>> {
    match Timestamp::read_instant(value.undecoded()?) {
        Err(InstantError) => Some(Timestamp::parse_instant(&value.string()?)),
        read => Some(read),
    }
}

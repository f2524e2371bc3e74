//! Which of two lines with one type and id is the newer.

use std::cmp::Ordering;

use ehi_core::{Header, Timestamp};

/// What a resource says of its own version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) number: Option<u64>,
    /// Nanoseconds since 1970, at the ends of what 64 bits hold for years before 1678 and after 2261.
    pub(super) updated: Option<i64>,
}

impl Version {
    pub(super) fn of(header: &Header<'_>) -> Self {
        let number = header.version_id.as_deref().and_then(|version| version.parse().ok());
        let updated = header.last_updated.as_deref().and_then(|text| Timestamp::parse_instant(text).ok());
        Self { number, updated: updated.map(nanos) }
    }

    /// One of which only the time is known.
    pub(super) fn at(updated: Timestamp) -> Self {
        Self { number: None, updated: Some(nanos(updated)) }
    }

    /// Whether the version was there at an instant; one that does not say when it was made was always there.
    pub(super) fn was_there(&self, at: Timestamp) -> bool {
        self.updated.is_none_or(|updated| updated <= nanos(at))
    }

    /// By version number where both have one, then by last update; a version that says something is newer than one that
    /// does not.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let by_number = match (self.number, other.number) {
            (Some(this), Some(other)) => this.cmp(&other),
            _ => Ordering::Equal,
        };
        by_number.then(self.updated.cmp(&other.updated)).then(self.number.cmp(&other.number))
    }
}

fn nanos(at: Timestamp) -> i64 {
    let nanos = at.as_nanos().clamp(i64::MIN.into(), i64::MAX.into());
    i64::try_from(nanos).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_counts_before_the_date() {
        let version = |number, updated| Version { number, updated };
        for (older, newer) in [
            (version(Some(9), Some(5)), version(Some(10), Some(4))),
            (version(Some(1), Some(4)), version(Some(1), Some(5))),
            (version(None, Some(4)), version(Some(1), Some(5))),
            (version(None, None), version(None, Some(0))),
            (version(None, None), version(Some(0), None)),
        ] {
            assert_eq!(older.compare(&newer), Ordering::Less, "{older:?} {newer:?}");
            assert_eq!(newer.compare(&older), Ordering::Greater, "{older:?} {newer:?}");
            assert_eq!(newer.compare(&newer), Ordering::Equal);
        }
    }
}

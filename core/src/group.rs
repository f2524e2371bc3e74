//! Who is in a Group resource, for embedders whose source of groups is Group resources themselves.

use std::fmt;

use serde::Deserialize;

use crate::{reference::local_id, time::Timestamp};

/// One member of a Group that counts now.
#[derive(Clone, PartialEq, Eq)]
pub enum Member {
    /// A patient, by id.
    Patient(String),
    /// Another group, by id, whose members are members of this one.
    Group(String),
    /// A Practitioner, Device or something else that is not exported at Group level yet, or a reference that names
    /// nothing on this server.
    Other,
}

/// Shows the kind only.
impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patient(_) => "Patient",
            Self::Group(_) => "Group",
            Self::Other => "Other",
        })
    }
}

/// The members of a Group resource at `now`: not those marked `inactive`, nor those whose period ended before or has
/// not begun. A period that cannot be read counts as over: an unsure member is no member.
///
/// `None` if the text is not a Group with readable members; then nobody may be exported by it.
pub fn members(line: &[u8], base_url: &str, now: Timestamp) -> Option<Vec<Member>> {
    let group: Group = serde_json::from_slice(line).ok()?;
    if group.resource_type != "Group" {
        return None;
    }
    Some(group.member.into_iter().filter(|member| member.counts(now)).map(|member| member.kind(base_url)).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    resource_type: String,
    #[serde(default)]
    member: Vec<GroupMember>,
}

#[derive(Deserialize)]
struct GroupMember {
    entity: Reference,
    #[serde(default)]
    inactive: bool,
    period: Option<Period>,
}

#[derive(Deserialize)]
struct Reference {
    reference: Option<String>,
}

#[derive(Deserialize)]
struct Period {
    start: Option<String>,
    end: Option<String>,
}

impl GroupMember {
    fn counts(&self, now: Timestamp) -> bool {
        let Some(period) = &self.period else { return !self.inactive };
        let begun = period.start.as_deref().is_none_or(|start| first_instant(start).is_some_and(|start| start <= now));
        let lasts = period.end.as_deref().is_none_or(|end| last_instant(end).is_some_and(|end| end >= now));
        !self.inactive && begun && lasts
    }

    fn kind(&self, base_url: &str) -> Member {
        let reference = self.entity.reference.as_deref().unwrap_or_default();
        if let Some(id) = local_id(reference, "Patient", base_url) {
            Member::Patient(id.to_owned())
        } else if let Some(id) = local_id(reference, "Group", base_url) {
            Member::Group(id.to_owned())
        } else {
            Member::Other
        }
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

/// An instant within the last day of a FHIR dateTime of any precision.
fn last_instant(text: &str) -> Option<Timestamp> {
    match text.len() {
        4 => Timestamp::parse_instant(&format!("{text}-12-31T23:59:59Z")).ok(),
        // The longest month that the calendar has for it.
        7 => (28..=31).rev().find_map(|day| Timestamp::parse_instant(&format!("{text}-{day}T23:59:59Z")).ok()),
        10 => Timestamp::parse_instant(&format!("{text}T23:59:59Z")).ok(),
        _ => Timestamp::parse_instant(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_of_today_count() {
        let now = Timestamp::parse_instant("2024-02-29T12:00:00Z").unwrap();
        let group = r#"{"resourceType":"Group","id":"g","member":[
            {"entity":{"reference":"Patient/1"}},
            {"entity":{"reference":"https://ehr.example/fhir/Patient/2"},"inactive":false},
            {"entity":{"reference":"Patient/3"},"inactive":true},
            {"entity":{"reference":"Patient/4"},"period":{"start":"2020","end":"2024-02"}},
            {"entity":{"reference":"Patient/5"},"period":{"end":"2024-02-28"}},
            {"entity":{"reference":"Patient/6"},"period":{"start":"2024-03-01"}},
            {"entity":{"reference":"Patient/7"},"period":{"end":"some day"}},
            {"entity":{"reference":"Group/8"}},
            {"entity":{"reference":"Practitioner/9"}},
            {"entity":{"identifier":{"value":"10"}}}]}"#;
        let patient = |id: &str| Member::Patient(id.to_owned());
        let expected =
            [patient("1"), patient("2"), patient("4"), Member::Group("8".to_owned()), Member::Other, Member::Other];
        assert_eq!(members(group.as_bytes(), "https://ehr.example/fhir", now).unwrap(), expected);
    }

    #[test]
    fn an_unreadable_group_has_no_members() {
        let now = Timestamp::from_millis(0);
        assert_eq!(members(br#"{"resourceType":"Group","member":{}}"#, "", now), None);
        assert_eq!(members(br#"{"resourceType":"Patient"}"#, "", now), None);
        assert_eq!(members(br#"{"resourceType":"Group"}"#, "", now), Some(Vec::new()));
    }
}

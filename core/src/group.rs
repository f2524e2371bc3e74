//! Who is in a Group resource, for embedders whose source of groups is Group resources themselves.

use std::fmt;

use serde::Deserialize;

use crate::{
    period::{Period, Reference},
    reference::local_id,
    time::Timestamp,
};

/// One member of a Group that counts now, and whether it is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Who.
    pub member: Member,
    /// Whether it may have begun after the instant that was asked about: whose data would be missed otherwise.
    pub is_new: bool,
}

/// One member of a Group.
#[derive(Clone, PartialEq, Eq)]
pub enum Member {
    /// A patient, by id.
    Patient(String),
    /// Another group, by id, whose members are members of this one: new ones, if that group is a new member or they are of
    /// it.
    Group(String),
    /// A resource of one of [`RESOURCE_MEMBERS`], which is exported by itself (BD-KICK-19).
    Resource {
        /// Its type.
        resource_type: &'static str,
        /// Its id.
        id: String,
    },
    /// What no group has as a member, or a reference that names nothing on this server: exported by nothing.
    Other,
}

/// Shows the kind only.
impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patient(_) => "Patient",
            Self::Group(_) => "Group",
            Self::Resource { resource_type, .. } => resource_type,
            Self::Other => "Other",
        })
    }
}

/// The members of a Group resource at `now`: not those marked `inactive`, nor those whose period ended before or has
/// not begun. A period that cannot be read counts as over: an unsure member is no member.
///
/// Those are new whose period may have begun after `new_after`, see
/// [`ExportPlan::new_after`](crate::plan::ExportPlan::new_after): of a date without a time its last moment counts, for what
/// is sent twice is not lost. One without a beginning is not new; without `new_after` nobody is.
///
/// `None` if the text is not a Group with readable members; then nobody may be exported by it.
pub fn members(line: &[u8], base_url: &str, now: Timestamp, new_after: Option<Timestamp>) -> Option<Vec<Membership>> {
    let group: Group = serde_json::from_slice(line).ok()?;
    if group.resource_type != "Group" {
        return None;
    }
    let counting = group.member.into_iter().filter(|member| member.counts(now));
    Some(
        counting
            .map(|member| Membership {
                member: member.kind(base_url),
                is_new: new_after.is_some_and(|at| member.is_new(at)),
            })
            .collect(),
    )
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

impl GroupMember {
    fn counts(&self, now: Timestamp) -> bool {
        !self.inactive && self.period.as_ref().is_none_or(|period| period.holds(now))
    }

    fn is_new(&self, after: Timestamp) -> bool {
        self.period.as_ref().is_some_and(|period| period.may_begin_after(after))
    }

    fn kind(&self, base_url: &str) -> Member {
        let reference = self.entity.text();
        if let Some(id) = local_id(reference, "Patient", base_url) {
            Member::Patient(id.to_owned())
        } else if let Some(id) = local_id(reference, "Group", base_url) {
            Member::Group(id.to_owned())
        } else {
            let own = |name| local_id(reference, name, base_url).map(|id| (name, id.to_owned()));
            let resource = RESOURCE_MEMBERS.into_iter().find_map(own);
            resource.map_or(Member::Other, |(resource_type, id)| Member::Resource { resource_type, id })
        }
    }
}

/// What a group may have as members beside patients and groups, by R4. The resource itself is exported, and nothing that
/// belongs to it: a Device or a Practitioner has to do with patients whom nobody named.
pub const RESOURCE_MEMBERS: [&str; 5] = ["Device", "Medication", "Practitioner", "PractitionerRole", "Substance"];

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(memberships: Vec<Membership>) -> Vec<Member> {
        memberships.into_iter().map(|membership| membership.member).collect()
    }

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
            {"entity":{"identifier":{"value":"10"}}},
            {"entity":{"reference":"Device/11"},"inactive":true},
            {"entity":{"reference":"Observation/12"}},
            {"entity":{"reference":"https://other.example/fhir/Device/13"}},
            {"entity":{"reference":"https://ehr.example/fhir/Device/14"}}]}"#;
        let patient = |id: &str| Member::Patient(id.to_owned());
        let resource = |resource_type, id: &str| Member::Resource { resource_type, id: id.to_owned() };
        let expected = [
            patient("1"),
            patient("2"),
            patient("4"),
            Member::Group("8".to_owned()),
            resource("Practitioner", "9"),
            Member::Other,
            Member::Other,
            Member::Other,
            resource("Device", "14"),
        ];
        let members = members(group.as_bytes(), "https://ehr.example/fhir", now, None).unwrap();
        assert!(members.iter().all(|membership| !membership.is_new));
        assert_eq!(kinds(members), expected);
    }

    #[test]
    fn a_membership_that_may_have_begun_later_is_new() {
        let instant = |text| Timestamp::parse_instant(text).unwrap();
        let (now, after) = (instant("2024-02-29T12:00:00Z"), instant("2023-06-15T12:00:00Z"));
        let is_new = |period: &str| {
            let group =
                format!(r#"{{"resourceType":"Group","member":[{{"entity":{{"reference":"Patient/1"}}{period}}}]}}"#);
            let members = members(group.as_bytes(), "", now, Some(after)).unwrap();
            members.first().map(|membership| membership.is_new)
        };
        for (start, expected) in [
            ("2022", false),
            ("2023", true),
            ("2023-05", false),
            ("2023-06", true),
            ("2023-06-14", false),
            ("2023-06-15", true),
            ("2023-06-15T12:00:00Z", false),
            ("2023-06-15T12:00:00.001Z", true),
            ("2023-06-15T13:00:00+01:00", false),
            ("2024", true),
        ] {
            assert_eq!(is_new(&format!(r#","period":{{"start":"{start}"}}"#)), Some(expected), "{start}");
        }
        assert_eq!(is_new(""), Some(false));
        assert_eq!(is_new(r#","period":{"end":"2025"}"#), Some(false));
        assert_eq!(is_new(r#","period":{"start":"2023-06-15T13:00"}"#), None, "an unsure member is no member");
    }

    #[test]
    fn an_unreadable_group_has_no_members() {
        let now = Timestamp::from_millis(0);
        assert_eq!(members(br#"{"resourceType":"Group","member":{}}"#, "", now, None), None);
        assert_eq!(members(br#"{"resourceType":"Patient"}"#, "", now, None), None);
        assert_eq!(members(br#"{"resourceType":"Group"}"#, "", now, None), Some(Vec::new()));
    }
}

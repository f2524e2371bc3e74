//! Who is a patient of a practitioner, for embedders whose source are Patient resources themselves.
//!
//! A Patient says it in `generalPractitioner`: by a reference to the Practitioner, or to a PractitionerRole that is one of
//! the practitioner's now. Who was once treated, or by whom else, makes nobody a provider's patient here: such a panel is
//! a Group. What cannot be read makes no one a patient.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{
    period::{Period, Reference},
    reference::local_id,
    time::Timestamp,
};

/// Whether a PractitionerRole is one that the practitioner has at `now`: not one that is inactive, or whose period is over
/// or has not begun.
pub fn has_role(role: &[u8], practitioner: &str, base_url: &str, now: Timestamp) -> bool {
    let Ok(role) = serde_json::from_slice::<PractitionerRole>(role) else { return false };
    let own = role.practitioner.is_some_and(|of| local_id(of.text(), "Practitioner", base_url) == Some(practitioner));
    let holds = role.active != Some(false) && role.period.is_none_or(|period| period.holds(now));
    role.resource_type == "PractitionerRole" && own && holds
}

/// Whether a Patient is one of that practitioner's. `roles` are the ids of the PractitionerRole resources that
/// [`has_role`] found.
pub fn has_patient(patient: &[u8], practitioner: &str, roles: &BTreeSet<String>, base_url: &str) -> bool {
    let Ok(patient) = serde_json::from_slice::<Patient>(patient) else { return false };
    let is_of = |general: &Reference| {
        local_id(general.text(), "Practitioner", base_url) == Some(practitioner)
            || local_id(general.text(), "PractitionerRole", base_url).is_some_and(|role| roles.contains(role))
    };
    patient.resource_type == "Patient" && patient.general_practitioner.iter().any(is_of)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Patient {
    resource_type: String,
    #[serde(default)]
    general_practitioner: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PractitionerRole {
    resource_type: String,
    active: Option<bool>,
    period: Option<Period>,
    practitioner: Option<Reference>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://ehr.example/fhir";

    #[test]
    fn a_general_practitioner_makes_a_patient() {
        let patient = |references: &str| {
            let patient =
                format!(r#"{{"resourceType":"Patient","id":"p","active":false,"generalPractitioner":{references}}}"#);
            has_patient(patient.as_bytes(), "d1", &["r1".to_owned()].into(), BASE)
        };
        for references in [
            r#"[{"reference":"Practitioner/d1"}]"#,
            r#"[{"reference":"https://ehr.example/fhir/Practitioner/d1"}]"#,
            r#"[{"display":"x"},{"reference":"Organization/o"},{"reference":"PractitionerRole/r1"}]"#,
        ] {
            assert!(patient(references), "{references}");
        }
        for references in [
            "[]",
            "null",
            r#"{"reference":"Practitioner/d1"}"#,
            r#"[{"reference":"Practitioner/d11"}]"#,
            r#"[{"reference":"Practitioner/r1"}]"#,
            r#"[{"reference":"PractitionerRole/d1"}]"#,
            r#"[{"reference":"https://other.example/fhir/Practitioner/d1"}]"#,
            r#"[{"identifier":{"value":"d1"}}]"#,
        ] {
            assert!(!patient(references), "{references}");
        }
        let of_another_type = br#"{"resourceType":"Person","generalPractitioner":[{"reference":"Practitioner/d1"}]}"#;
        assert!(!has_patient(of_another_type, "d1", &BTreeSet::new(), BASE));
        assert!(!has_patient(br#"{"resourceType":"Patient"}"#, "d1", &BTreeSet::new(), BASE));
    }

    #[test]
    fn a_role_counts_while_it_is_one() {
        let now = Timestamp::parse_instant("2024-02-29T12:00:00Z").unwrap();
        let role = |more: &str| {
            let role = format!(
                r#"{{"resourceType":"PractitionerRole","practitioner":{{"reference":"Practitioner/d1"}}{more}}}"#
            );
            has_role(role.as_bytes(), "d1", BASE, now)
        };
        for counts in ["", r#","active":true"#, r#","period":{"start":"2020","end":"2024-02"}"#] {
            assert!(role(counts), "{counts}");
        }
        for over in [r#","active":false"#, r#","period":{"end":"2024-01"}"#, r#","period":{"start":"some day"}"#, ","] {
            assert!(!role(over), "{over}");
        }
        let of_another = br#"{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/d2"}}"#;
        assert!(!has_role(of_another, "d1", BASE, now));
        assert!(!has_role(br#"{"resourceType":"PractitionerRole"}"#, "d1", BASE, now));
    }
}

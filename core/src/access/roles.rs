//! What users may, by their roles: scopes limit what the client may, roles limit what its user may, and both must allow.
//!
//! Roles and permissions are data. One is a name, the operations that it opens, and whose data it opens them for; a user
//! with several may what any of them allows, and a name that nobody stated allows nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::kick_off::{Level, Operation};

/// The roles and permissions of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Roles {
    /// Ready sets of roles that are known here.
    #[serde(default)]
    pub presets: BTreeSet<Preset>,
    /// The deployment's own, by name; one that a preset has too takes its place.
    #[serde(default)]
    pub table: BTreeMap<String, Role>,
}

/// What one role or permission allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// Which operations.
    pub operations: BTreeSet<Operation>,
    /// For whose data.
    pub reach: BTreeSet<Reach>,
}

/// Whose data. None includes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Everything that the system has: `[base]/$export`.
    System,
    /// All patients: `Patient/$export`.
    AllPatients,
    /// The patients of a group: `Group/[id]/$export`.
    Group,
    /// The patients of one provider: `Practitioner/[id]/$export`.
    Provider,
    /// One patient, whoever it is.
    AnyPatient,
    /// One patient to whom the user has access, which the embedder is asked.
    AccessiblePatient,
    /// The patient in context.
    OwnPatient,
}

/// A ready set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The roles and permissions of Smile CDR that start exports.
    SmileCdr,
    /// `administrator`, `superuser`, `clinical-user`, `patient`.
    EndUsers,
}

/// What the roles of a user say of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Refused,
    /// If the user has access to the patient.
    IfAccessible,
    Allowed,
}

impl Roles {
    /// What a user with these roles may; `own` is whether the export is of the patient in context.
    pub(crate) fn right(&self, roles: &[String], operation: Operation, level: &Level, own: bool) -> Right {
        let allowed = |reach| roles.iter().any(|role| self.allows(role, operation, reach));
        let any = match level {
            Level::System => allowed(Reach::System),
            Level::AllPatients => allowed(Reach::AllPatients),
            Level::Group(_) => allowed(Reach::Group),
            Level::Practitioner(_) => allowed(Reach::Provider),
            Level::Patient(_) => allowed(Reach::AnyPatient) || own && allowed(Reach::OwnPatient),
        };
        let is_of_one = matches!(level, Level::Patient(_));
        match any {
            true => Right::Allowed,
            false if is_of_one && allowed(Reach::AccessiblePatient) => Right::IfAccessible,
            false => Right::Refused,
        }
    }

    /// Whether a user with these roles reaches that, by whatever operation.
    pub(crate) fn reach(&self, roles: &[String], reach: Reach) -> bool {
        let operations = [Operation::Export, Operation::EhiExport];
        roles.iter().any(|role| operations.iter().any(|operation| self.allows(role, *operation, reach)))
    }

    fn allows(&self, role: &str, operation: Operation, reach: Reach) -> bool {
        if let Some(role) = self.table.get(role) {
            return role.operations.contains(&operation) && role.reach.contains(&reach);
        }
        let mut rows = self.presets.iter().flat_map(|preset| preset.rows()).filter(|(name, ..)| *name == role);
        rows.any(|(_, operations, reaches)| operations.contains(&operation) && reaches.contains(&reach))
    }
}

/// Name, operations, reach.
type Row = (&'static str, &'static [Operation], &'static [Reach]);

impl Preset {
    fn rows(self) -> &'static [Row] {
        match self {
            Self::SmileCdr => SMILE_CDR,
            Self::EndUsers => END_USERS,
        }
    }
}

const EVERYONE: &[Reach] = &[Reach::System, Reach::AllPatients, Reach::Group, Reach::Provider, Reach::AnyPatient];
const EXPORT: &[Operation] = &[Operation::Export];
const BOTH: &[Operation] = &[Operation::Export, Operation::EhiExport];

/// The permissions are those of `$export`. That of patients is, as the product describes the level, for a single patient;
/// a deployment that means `Patient/$export` too states a role of its own with `all-patients`.
const SMILE_CDR: &[Row] = &[
    ("ROLE_SUPERUSER", BOTH, EVERYONE),
    ("ROLE_FHIR_CLIENT_SUPERUSER_RO", BOTH, EVERYONE),
    ("FHIR_OP_INITIATE_BULK_DATA_EXPORT", EXPORT, EVERYONE),
    ("FHIR_OP_INITIATE_BULK_DATA_EXPORT_GROUP", EXPORT, &[Reach::Group]),
    ("FHIR_OP_INITIATE_BULK_DATA_EXPORT_PATIENT", EXPORT, &[Reach::AnyPatient]),
    ("FHIR_OP_INITIATE_BULK_DATA_EXPORT_SYSTEM", EXPORT, &[Reach::System]),
];

/// The set of a provider's patients is a group.
const END_USERS: &[Row] = &[
    ("administrator", BOTH, EVERYONE),
    ("superuser", BOTH, EVERYONE),
    ("clinical-user", BOTH, &[Reach::AccessiblePatient]),
    ("patient", BOTH, &[Reach::OwnPatient]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn right(preset: Preset, role: &str, operation: Operation, level: &Level) -> Right {
        let roles = Roles { presets: [preset].into(), ..Roles::default() };
        roles.right(&[role.to_owned()], operation, level, false)
    }

    fn levels() -> [Level; 5] {
        let (group, provider) = (Level::Group("g".into()), Level::Practitioner("d".into()));
        [Level::System, Level::AllPatients, group, provider, Level::Patient("p".into())]
    }

    /// Which of system, all patients, group, provider and one patient a role opens to `$export`.
    fn opened(preset: Preset, role: &str) -> [bool; 5] {
        levels().map(|level| right(preset, role, Operation::Export, &level) == Right::Allowed)
    }

    /// The names and their meanings as Smile CDR's page on electronic health information export lists them.
    #[test]
    fn the_roles_and_permissions_of_smile_cdr() {
        for (listed, expected) in [
            ("ROLE_SUPERUSER Superuser", [true; 5]),
            ("ROLE_FHIR_CLIENT_SUPERUSER_RO FHIR Client (Read-Only Superuser)", [true; 5]),
            ("FHIR_OP_INITIATE_BULK_DATA_EXPORT Initiate Bulk Export ($export) - All Permissions", [true; 5]),
            (
                "FHIR_OP_INITIATE_BULK_DATA_EXPORT_GROUP Initiate Bulk Export ($export) - Group Export",
                [false, false, true, false, false],
            ),
            (
                "FHIR_OP_INITIATE_BULK_DATA_EXPORT_PATIENT Initiate Bulk Export ($export) - Patient Export",
                [false, false, false, false, true],
            ),
            (
                "FHIR_OP_INITIATE_BULK_DATA_EXPORT_SYSTEM Initiate Bulk Export ($export) - System Export",
                [true, false, false, false, false],
            ),
        ] {
            let name = listed.split(' ').next().unwrap();
            assert_eq!(opened(Preset::SmileCdr, name), expected, "{listed}");
            let ehi = right(Preset::SmileCdr, name, Operation::EhiExport, &Level::Patient("p".into()));
            assert_eq!(ehi == Right::Allowed, name.starts_with("ROLE_"), "{listed}");
        }
        assert_eq!(opened(Preset::SmileCdr, "ROLE_ANYTHING_ELSE"), [false; 5]);
        assert_eq!(opened(Preset::EndUsers, "ROLE_SUPERUSER"), [false; 5], "of another preset");
    }

    #[test]
    fn administrators_clinical_users_and_patients() {
        // "System administrators and superusers have access to perform an EHI Export for a single patient, a set of
        // patients for a single provider, or all patients in their system."
        for role in ["administrator", "superuser"] {
            assert_eq!(opened(Preset::EndUsers, role), [true; 5], "{role}");
            let one = right(Preset::EndUsers, role, Operation::EhiExport, &Level::Patient("p".into()));
            assert_eq!(one, Right::Allowed, "{role}");
        }
        // "Clinical users have access to perform an EHI Export for any single patient to whom they have access."
        let clinical = levels().map(|level| right(Preset::EndUsers, "clinical-user", Operation::EhiExport, &level));
        let (refused, if_accessible) = (Right::Refused, Right::IfAccessible);
        assert_eq!(clinical, [refused, refused, refused, refused, if_accessible]);
        let roles = Roles { presets: [Preset::EndUsers].into(), ..Roles::default() };
        let patient = |own| {
            let level = Level::Patient("p".into());
            roles.right(&["patient".into()], Operation::EhiExport, &level, own)
        };
        assert_eq!((patient(true), patient(false)), (Right::Allowed, Right::Refused));
    }

    #[test]
    fn a_role_of_the_deployment_takes_the_place_of_a_presets() {
        let json = r#"{"presets":["smile-cdr"],"table":{
            "FHIR_OP_INITIATE_BULK_DATA_EXPORT_PATIENT":{"operations":["export"],"reach":["all-patients"]},
            "auditor":{"operations":["ehi-export"],"reach":["any-patient"]}}}"#;
        let roles: Roles = serde_json::from_str(json).unwrap();
        let right = |names: &[&str], operation, level: &Level| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            roles.right(&names, operation, level, false)
        };
        let permission = "FHIR_OP_INITIATE_BULK_DATA_EXPORT_PATIENT";
        assert_eq!(right(&[permission], Operation::Export, &Level::AllPatients), Right::Allowed);
        assert_eq!(right(&[permission], Operation::Export, &Level::Patient("p".into())), Right::Refused);
        assert_eq!(right(&["auditor"], Operation::EhiExport, &Level::Patient("p".into())), Right::Allowed);
        assert_eq!(right(&["auditor"], Operation::Export, &Level::Patient("p".into())), Right::Refused);
        assert_eq!(right(&["auditor", "ROLE_SUPERUSER"], Operation::Export, &Level::System), Right::Allowed);
        assert_eq!(right(&[], Operation::Export, &Level::System), Right::Refused);
        for wrong in [
            r#"{"presets":["everything"]}"#,
            r#"{"table":{"a":{"operations":["export"]}}}"#,
            r#"{"table":{"a":{"operations":["export"],"reach":["system"],"more":1}}}"#,
            r#"{"surprise":1}"#,
        ] {
            assert!(serde_json::from_str::<Roles>(wrong).is_err(), "{wrong}");
        }
    }
}

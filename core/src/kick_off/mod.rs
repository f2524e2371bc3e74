//! From a kick-off request to what is asked for. All problems of a request are found and reported together.

mod associated;
mod from_parameters;
mod from_query;
mod parameter;
mod parse;
mod patients;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{
    Edition, ResourceType, Sensitive,
    elements::Elements,
    outcome::Issue,
    plan::{FileSizes, Organize, Provenance},
    time::Timestamp,
};

pub(crate) use associated::SYSTEM as ASSOCIATED_DATA_SYSTEM;
pub(crate) use from_query::shown;
pub(crate) use parameter::is_parameter;
pub(crate) use parse::{Reader, read};
pub(crate) use patients::about as about_patient;

/// An export that was asked for and is neither accepted nor refused yet.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KickOff {
    /// Which operation.
    #[serde(default)]
    pub operation: Operation,
    /// The edition of the guide in which it was asked for, and is answered.
    pub edition: Edition,
    /// Whose data.
    pub level: Level,
    /// Whether status is to travel beside the answer to a poll (BD-HDR-06).
    #[serde(default)]
    pub separate_status: bool,
    /// Whether what cannot be done is tolerated where that discloses no more than was asked for.
    #[serde(default)]
    pub lenient: bool,
    /// The deployment's own parameters.
    #[serde(default)]
    pub vendor_parameters: BTreeMap<String, Vec<String>>,
    /// The kick-off URL, absolute, for the manifest (BD-MAN-04).
    pub request: String,
    /// `patient`: the ids of the patients asked for of those of the level, each with its place in the Parameters. `None` is
    /// all of them; an empty list is nobody.
    #[serde(default)]
    pub patients: Option<BTreeMap<String, u32>>,
    /// `_type`: the types asked for; `None` is all of them.
    pub types: Option<BTreeSet<ResourceType>>,
    /// `_typeFilter`: the queries, each in the form of [`Query`](crate::type_filter::Query)'s text. A type with queries
    /// exports what meets one of them, a type without exports all.
    #[serde(default)]
    pub type_filters: Vec<String>,
    /// The ValueSets that the queries ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub value_sets: Vec<ValueSetAsked>,
    /// Types of which nothing is exported, because every `_typeFilter` of theirs was dropped under lenient handling: an
    /// unread filter never widens an export.
    #[serde(default)]
    pub withheld: BTreeSet<ResourceType>,
    /// `_since`.
    pub since: Option<Timestamp>,
    /// `_until`.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// `_elements`.
    #[serde(default)]
    pub elements: Elements,
    /// `includeAssociatedData`.
    #[serde(default)]
    pub provenance: Provenance,
    /// `organizeOutputBy`.
    #[serde(default)]
    pub organize: Organize,
    /// `_minimumFileSize` and `_maximumFileSize`.
    #[serde(default)]
    pub file_sizes: FileSizes,
    /// `allowPartialManifests`.
    #[serde(default)]
    pub partial_manifests: bool,
    /// What was tolerated under lenient handling, for the error files (BD-LEN-03).
    #[serde(default)]
    pub notices: Vec<Issue>,
}

/// A ValueSet that a query asks for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueSetAsked {
    /// Its canonical, `url` or `url|version`.
    pub url: String,
    /// The number of the query in `type_filters`, from 0.
    pub query: u32,
    /// What is said if there is no such ValueSet.
    pub unknown: String,
}

/// Queries, vendor parameters and the request itself may name patients and what they have.
impl fmt::Debug for KickOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, level, types, .. } = self;
        let mut shown = f.debug_struct("KickOff");
        shown.field("operation", operation).field("level", level).field("types", types).finish_non_exhaustive()
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `$export` of FHIR Bulk Data.
    #[default]
    Export,
    /// `$ehi-export` of the Argonaut EHI Export API: one patient's whole record.
    EhiExport,
}

/// Whose data is asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// `[base]/$export`: everything (BD-KICK-03).
    System,
    /// `[base]/Patient/$export`: the compartments of all patients (BD-KICK-01).
    AllPatients,
    /// `[base]/Group/[id]/$export`: the compartments of the group's members (BD-KICK-02).
    Group(String),
    /// `[base]/Practitioner/[id]/$export`: the compartments of the patients of one provider; an operation of ours, which no
    /// edition defines.
    Practitioner(String),
    /// `[base]/Patient/[id]/$export`: the compartment of one patient; another of ours.
    Patient(String),
}

/// The id of a patient is not for logs.
impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::AllPatients => f.write_str("AllPatients"),
            Self::Group(id) => write!(f, "Group({id:?})"),
            Self::Practitioner(id) => write!(f, "Practitioner({id:?})"),
            Self::Patient(_) => f.write_str("Patient(withheld)"),
        }
    }
}

impl Level {
    /// Whether only what belongs to patients is exported.
    pub fn is_of_patients(&self) -> bool {
        !matches!(self, Self::System)
    }
}

/// What must be known before a kick-off can be decided. Asked only for what the principal may know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Need {
    /// Whether that patient exists.
    Patient(String),
    /// Which of these patients exist.
    Patients(Vec<String>),
    /// Whether that group exists.
    Group(String),
    /// Which of these patients are members of that group now.
    Members {
        /// The group.
        group: String,
        /// The patients.
        patients: Vec<String>,
    },
    /// Whether that practitioner exists.
    Practitioner(String),
    /// Whether that user has access to that patient.
    PatientAccess {
        /// The patient.
        patient: String,
        /// The user.
        user: Sensitive<String>,
    },
    /// Whether the rules of the business let that client, and its user if there is one, export that group (BD-SEC-08).
    GroupAccess {
        /// The group.
        group: String,
        /// `None` where there is no authorisation.
        client: Option<String>,
        /// The user.
        user: Option<Sensitive<String>>,
    },
    /// Whether the rules of the business let that client, and its user if there is one, export the patients of that
    /// practitioner.
    PractitionerAccess {
        /// The practitioner.
        practitioner: String,
        /// `None` where there is no authorisation.
        client: Option<String>,
        /// The user.
        user: Option<Sensitive<String>>,
    },
    /// Whether the expansion of that ValueSet is known: its canonical, `url` or `url|version`.
    ValueSet(String),
    /// How many jobs of that client, or of anyone where there is no authorisation, are unfinished.
    ActiveJobs {
        /// `None` where there is no authorisation.
        client: Option<String>,
    },
}

/// Who is asked about is not for logs.
impl fmt::Debug for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patient(_) => "Patient",
            Self::Patients(_) => "Patients",
            Self::Group(_) => "Group",
            Self::Members { .. } => "Members",
            Self::Practitioner(_) => "Practitioner",
            Self::PatientAccess { .. } => "PatientAccess",
            Self::GroupAccess { .. } => "GroupAccess",
            Self::PractitionerAccess { .. } => "PractitionerAccess",
            Self::ValueSet(_) => "ValueSet",
            Self::ActiveJobs { .. } => "ActiveJobs",
        })
    }
}

/// The answers to all needs of a kick-off. What is not answered counts as absent, or as too many.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// The patients asked about that exist.
    #[serde(default)]
    pub patients: BTreeSet<String>,
    /// The groups asked about that exist.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// The patients asked about who are members of the group asked about.
    #[serde(default)]
    pub members: BTreeSet<String>,
    /// The practitioners asked about that exist.
    #[serde(default)]
    pub practitioners: BTreeSet<String>,
    /// The patients asked about to whom the user has access.
    #[serde(default)]
    pub accessible_patients: BTreeSet<String>,
    /// The groups asked about that may be exported.
    #[serde(default)]
    pub accessible_groups: BTreeSet<String>,
    /// The practitioners asked about whose patients may be exported.
    #[serde(default)]
    pub accessible_practitioners: BTreeSet<String>,
    /// The ValueSets asked about whose expansions are known.
    #[serde(default)]
    pub value_sets: BTreeSet<String>,
    /// How many jobs of this client are unfinished.
    pub active_jobs: Option<u32>,
}

/// Nor are the patients that there are.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { patients, groups, active_jobs, .. } = self;
        write!(f, "Facts({} patients, {} groups, active jobs: {active_jobs:?})", patients.len(), groups.len())
    }
}

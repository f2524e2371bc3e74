//! What an accepted export takes: decided once at kick-off, followed by any number of writers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    Definitions, Edition, ResourceType,
    endpoint::EndpointConfig,
    kick_off::{KickOff, Level},
    outcome::Issue,
    time::Timestamp,
};

/// What an accepted export takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportPlan {
    /// Whose data.
    pub level: Level,
    /// Which types.
    pub types: TypeSelection,
    /// `_typeFilter` queries; a type with queries exports what meets one of them.
    #[serde(default)]
    pub type_filters: Vec<String>,
    /// Only what changed after this instant (BD-SINCE-02).
    pub since: Option<Timestamp>,
    /// Nothing that changed after this instant (BD-MAN-02); set when the job begins.
    pub transaction_time: Option<Timestamp>,
    /// Whose shapes.
    pub edition: Edition,
    /// The server's own base, below which absolute references are local.
    pub base_url: String,
    /// Whether what is in the compartments of a listed and of an unlisted patient is exported.
    pub export_shared: bool,
    /// What the kick-off tolerated, for the error files.
    #[serde(default)]
    pub notices: Vec<Issue>,
    /// The kick-off URL, for the manifest.
    pub request: String,
}

/// Which resource types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TypeSelection {
    /// All that there are.
    All,
    /// These.
    Only(BTreeSet<ResourceType>),
    /// All but these.
    AllBut(BTreeSet<ResourceType>),
}

impl TypeSelection {
    /// Whether resources of that type are selected.
    pub fn has(&self, resource_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(types) => types.contains(resource_type),
            Self::AllBut(types) => !types.contains(resource_type),
        }
    }

    fn without(self, withheld: &BTreeSet<ResourceType>) -> Self {
        match self {
            selection if withheld.is_empty() => selection,
            Self::All => Self::AllBut(withheld.clone()),
            Self::Only(types) => Self::Only(types.difference(withheld).cloned().collect()),
            Self::AllBut(types) => Self::AllBut(types.union(withheld).cloned().collect()),
        }
    }
}

impl ExportPlan {
    pub(crate) fn new(config: &EndpointConfig, kick_off: KickOff, types: TypeSelection) -> Self {
        Self {
            level: kick_off.level,
            types: types.without(&kick_off.withheld),
            type_filters: kick_off.type_filters,
            since: kick_off.since,
            transaction_time: None,
            edition: config.edition,
            base_url: config.base_url.clone(),
            export_shared: config.export_shared,
            notices: kick_off.notices,
            request: kick_off.request,
        }
    }

    /// The FHIR version whose resources are exported.
    pub fn definitions(&self) -> Definitions<'static> {
        Definitions::R4
    }

    /// What a patient-level export leaves out though a client may expect it; said at kick-off and in the manifest.
    ///
    /// The same whether or not there are such data: a statement that depends on what was withheld would disclose it.
    pub fn left_out(&self) -> Option<String> {
        if !self.level.is_of_patients() {
            return None;
        }
        let shared = matches!(self.level, Level::Group(_) | Level::Patient(_)) && !self.export_shared;
        let shared = if shared { SHARED } else { "" };
        Some(format!("{SUPPORTING}{shared}"))
    }
}

const SUPPORTING: &str = "resources outside the Patient compartment that exported ones refer to (such as Practitioner, \
    Organization, Location, Medication); Provenance of exported resources other than Patient";
const SHARED: &str = "; resources that are also in the compartment of a patient who is not part of this export";

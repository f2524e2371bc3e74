//! What to ask for. A request is checked when the plan is made of it, all problems together, so that no server is asked
//! for something else than was meant.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{check::Check, origin::OriginPolicy};
use crate::{
    Definitions, Edition, Sensitive,
    kick_off::Level,
    time::Timestamp,
    type_filter::{Filter, FilterContext, Query, TypeFilterError},
};

/// What to ask for, and how to go about it. Every member but `baseUrl` has a default; unknown members are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportRequest {
    /// The FHIR base: `https://ehr.example/fhir`.
    pub base_url: String,
    /// Which operation.
    #[serde(default)]
    pub kind: ExportKind,
    /// Whose data.
    #[serde(default = "system")]
    pub level: Level,
    /// The edition that the server speaks.
    #[serde(default)]
    pub edition: Edition,
    /// How to kick off; where it is not said, GET if the edition and the parameters allow, else POST.
    #[serde(default)]
    pub method: Option<KickOffMethod>,
    /// `_outputFormat`
    #[serde(default)]
    pub output_format: Option<String>,
    /// `_since`, sent verbatim: the transaction time of the last export (BD-GRP-02).
    #[serde(default)]
    pub since: Option<String>,
    /// `_until`, sent verbatim. Like `since` it is about when the server last changed a resource; a window of clinical dates
    /// is asked for by `typeFilters` (BD-TF-17).
    #[serde(default)]
    pub until: Option<String>,
    /// `_type`; empty is all.
    #[serde(default)]
    pub types: Vec<String>,
    /// `_typeFilter`: one query each, decoded, such as `Observation?category=laboratory`.
    #[serde(default)]
    pub type_filters: Vec<Sensitive<String>>,
    /// `_elements`
    #[serde(default)]
    pub elements: Vec<String>,
    /// `patient`: ids.
    #[serde(default)]
    pub patients: Vec<Sensitive<String>>,
    /// `includeAssociatedData`
    #[serde(default)]
    pub include_associated_data: Vec<String>,
    /// `allowPartialManifests`
    #[serde(default)]
    pub allow_partial_manifests: bool,
    /// `organizeOutputBy`
    #[serde(default)]
    pub organize_output_by: Option<String>,
    /// Parameters of the server's own.
    #[serde(default)]
    pub vendor: Vec<VendorParameter>,
    /// `Prefer: handling=lenient`. Off unless asked for: it lets a server ignore what was asked.
    #[serde(default)]
    pub lenient: bool,
    /// `Prefer: separate-export-status` (BD-HDR-05).
    #[serde(default)]
    pub separate_export_status: bool,
    /// More preferences.
    #[serde(default)]
    pub prefer: Vec<String>,
    /// Whether the server wants an access token.
    #[serde(default = "yes")]
    pub authorize: bool,
    /// Allows `http` URLs, for loopback and tests (BD-SEC-01).
    #[serde(default)]
    pub insecure_http: bool,
    /// Origins besides the base's that are believed and that may see the token.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// Whether to read the CapabilityStatement and the SMART configuration first.
    #[serde(default = "yes")]
    pub discover: bool,
    /// Whether to fetch the attachments that the files refer to.
    #[serde(default = "yes")]
    pub attachments: bool,
    /// Whether to tell the server to remove the export once everything has arrived sound (BD-DEL-06).
    #[serde(default = "yes")]
    pub delete_when_done: bool,
    /// Whether files that have arrived are discarded if the server fails the export for good after all (BD-MAN-29). Only
    /// partial manifests let any arrive before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discard_when_failed: bool,
}

/// Which operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportKind {
    /// `$export`
    #[default]
    BulkData,
    /// `Patient/[id]/$ehi-export`
    Ehi,
}

/// How to kick off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum KickOffMethod {
    /// Parameters in the URL.
    Get,
    /// Parameters in a Parameters resource.
    Post,
}

/// A parameter of the server's own (EHI-KICK-03).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorParameter {
    /// Its name.
    pub name: String,
    /// The member of `Parameters.parameter` that carries it, such as `valueString`.
    pub member: String,
    /// Its value.
    pub value: Sensitive<Value>,
}

impl ExportRequest {
    /// A request for everything at that base.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            kind: ExportKind::BulkData,
            level: Level::System,
            edition: Edition::default(),
            method: None,
            output_format: None,
            since: None,
            until: None,
            types: Vec::new(),
            type_filters: Vec::new(),
            elements: Vec::new(),
            patients: Vec::new(),
            include_associated_data: Vec::new(),
            allow_partial_manifests: false,
            organize_output_by: None,
            vendor: Vec::new(),
            lenient: false,
            separate_export_status: false,
            prefer: Vec::new(),
            authorize: true,
            insecure_http: false,
            allowed_origins: Vec::new(),
            discover: true,
            attachments: true,
            delete_when_done: true,
            discard_when_failed: false,
        }
    }

    /// A request for the whole record of one patient.
    pub fn ehi(base_url: impl Into<String>, patient: impl Into<String>) -> Self {
        Self { kind: ExportKind::Ehi, level: Level::Patient(patient.into()), ..Self::new(base_url) }
    }

    /// Checks the request; all problems are told together.
    pub fn check(self) -> Result<ClientPlan, PlanError> {
        ClientPlan::new(self)
    }
}

/// A request that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientPlan {
    pub(super) request: ExportRequest,
    pub(super) policy: OriginPolicy,
    pub(super) queries: Vec<Query>,
    pub(super) method: KickOffMethod,
    warnings: Vec<PlanProblem>,
}

impl ClientPlan {
    fn new(request: ExportRequest) -> Result<Self, PlanError> {
        let mut check = Check::default();
        let base = check.base(&request);
        let allowed = check.origins(&request);
        check.level(&request);
        check.parameters(&request);
        let queries = check.type_filters(&request);
        let method = check.method(&request);
        let Check { problems, warnings } = check;
        match base {
            Some(base) if problems.is_empty() => {
                let policy = OriginPolicy { base, insecure_http: request.insecure_http, allowed };
                Ok(Self { request, policy, queries, method, warnings })
            }
            _ => Err(PlanError { problems }),
        }
    }

    /// The request it was made of.
    pub fn request(&self) -> &ExportRequest {
        &self.request
    }

    /// Which addresses may be contacted and which may see the token; for an embedder that follows names to addresses.
    pub fn policy(&self) -> &OriginPolicy {
        &self.policy
    }

    /// The queries of `typeFilters` as a filter of lines, for a server that leaves `_typeFilter` aside (BD-TF-02): what it
    /// lets through is what a server that honours them would have sent. `definitions` has to know the search parameters
    /// that the queries use, and `now` is what `ap` in a query measures from.
    pub fn filter(&self, definitions: &Definitions<'_>, now: Timestamp) -> Result<Filter, Vec<TypeFilterError>> {
        let base_url = self.policy.base.as_str().to_owned();
        Filter::compile(&self.queries, definitions, &FilterContext { base_url, now })
    }

    /// What is allowed and may not be what was meant.
    pub fn warnings(&self) -> &[PlanProblem] {
        &self.warnings
    }
}

/// Everything that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// At least one.
    pub problems: Vec<PlanProblem>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanError {}

/// One thing that is wrong with a request, or doubtful. It names the parameter and shows no values of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// The member of the request.
    pub parameter: &'static str,
    /// What is wrong with it.
    pub text: String,
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.parameter, self.text)
    }
}

fn system() -> Level {
    Level::System
}

fn yes() -> bool {
    true
}

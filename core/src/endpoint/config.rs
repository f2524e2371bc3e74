//! What a deployment decides. Absolute URLs come from here only, never from `Host` or `X-Forwarded-*`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ClientConfig, SmartConfig, Subset};
use crate::{
    Definitions, Edition,
    access::{Roles, SignedUrls},
    job::{FailAbove, JobId, PartialManifests, StepsConfig},
    kick_off::{Operation, is_parameter},
    plan::Supporting,
    search::SearchParameterSet,
    type_filter::FilterSets,
};

/// What a deployment decides. Every member but `baseUrl` and `auth` has a default; unknown members are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointConfig {
    /// The FHIR base, absolute, without a final `/`: `https://ehr.example/fhir`.
    pub base_url: String,
    /// Who is let in.
    pub auth: Auth,
    /// Allows a base URL that starts with `http://`, for loopback and tests (BD-SEC-01).
    #[serde(default)]
    pub insecure_http: bool,
    /// Values of `Host` that are answered; none means any. A server without authorisation that answers any name can be
    /// read by any web page, through a name that its author points here.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The edition of the guide that is spoken.
    #[serde(default)]
    pub edition: Edition,
    /// Editions that are spoken besides, each by an operation of its own: `$export-v1`, `$export-v2`, `$export-v3` and, for the
    /// ballot of 4.0, `$export-v4` (BD-CAP-08). All that follows a kick-off is of its edition.
    #[serde(default)]
    pub also_editions: BTreeSet<Edition>,
    /// Whether a kick-off without `Prefer: respond-async` is refused (BD-HDR-04).
    #[serde(default)]
    pub prefer_required: bool,
    /// Whether a kick-off without `Accept` is refused (BD-HDR-02).
    #[serde(default)]
    pub accept_required: bool,
    /// Unfinished jobs that one client may have (BD-KICK-16); counted over all clients where there is no authorisation.
    #[serde(default = "default_jobs")]
    pub jobs_per_client_max: u32,
    /// How long files are kept after completion, in seconds (BD-STAT-21).
    #[serde(default = "default_retention")]
    pub retention_seconds: u64,
    /// `Retry-After` of the first polls, in seconds (BD-STAT-03).
    #[serde(default = "default_retry_after")]
    pub retry_after_seconds: u64,
    /// Polls of one client closer than this are answered 429 (BD-STAT-05), in milliseconds.
    #[serde(default = "default_poll_interval")]
    pub poll_interval_millis: u64,
    /// Whether what is in the compartments of a listed and of an unlisted patient is exported (BD-PAT-06).
    #[serde(default)]
    pub export_shared: bool,
    /// What `_since` means for patients who came to a group after it (BD-SINCE-03).
    #[serde(default)]
    pub new_members: NewMembers,
    /// The FHIR subset that `$export` holds, such as US Core (BD-KICK-17). Without it, everything.
    #[serde(default)]
    pub subset: Option<Subset>,
    /// Early polls after which an export is ended (BD-STAT-06); none means never.
    #[serde(default)]
    pub poll_strikes_max: Option<u32>,
    /// How long the work of an export may take, in seconds, before it fails.
    #[serde(default = "default_run")]
    pub run_seconds: u64,
    /// When an export fails as a whole for what it reports of its data (BD-STAT-19). Without it never: what can be exported
    /// is, and the rest is reported.
    #[serde(default)]
    pub fail_above: Option<FailAbove>,
    /// Whether `Prefer: separate-export-status` is honoured (BD-HDR-06).
    #[serde(default)]
    pub separate_export_status: bool,
    /// Offers `$export`. Without it only `$ehi-export` is there, if that is offered.
    #[serde(default = "default_bulk_export")]
    pub bulk_export: bool,
    /// Offers `$ehi-export`, and how.
    #[serde(default)]
    pub ehi: Option<EhiConfig>,
    /// What users may, by their roles. Without it no scope of a user counts, and a client is judged by its other scopes alone.
    #[serde(default)]
    pub roles: Option<Roles>,
    /// Whether the embedder is asked for each group who may export it (BD-SEC-08).
    #[serde(default)]
    pub restrict_groups: bool,
    /// Whether the embedder is asked for each practitioner who may export the patients.
    #[serde(default)]
    pub restrict_practitioners: bool,
    /// Who besides may follow an export that was started, and fetch its files (BD-SEC-04).
    #[serde(default)]
    pub downloads: Downloads,
    /// Signs the addresses of files, so that they open without a token for a short time (BD-FILE-05). Without it a file wants
    /// the token that the status wants.
    #[serde(default)]
    pub signed_urls: Option<SignedUrls>,
    /// Whether a client that allows it gets a manifest in pages, when a page is cut, and whether the first is there while the
    /// export runs (BD-PART-02). Files that staff have to release are on no page before that; where attachments are copied, no page
    /// is cut before they are all there.
    #[serde(default)]
    pub partial_manifests: Option<PartialManifests>,
    /// The authorisation server, for `.well-known/smart-configuration`.
    #[serde(default)]
    pub smart: Option<SmartConfig>,
    /// Steps that people take before an export begins and before its files are released.
    #[serde(default)]
    pub steps: StepsConfig,
    /// What clients have registered, by their ids.
    #[serde(default)]
    pub clients: BTreeMap<String, ClientConfig>,
    /// Parameters of the deployment's own, by name; what they mean is for its data source to know.
    #[serde(default)]
    pub vendor_parameters: BTreeMap<String, VendorParameter>,
    /// Parameters of `$export` that this deployment does not support, such as `_typeFilter` (BD-TF-01).
    #[serde(default)]
    pub unsupported_parameters: BTreeSet<String>,
    /// Which resources outside the Patient compartment accompany those inside that refer to them (BD-TYPE-05).
    #[serde(default)]
    pub supporting: Supporting,
    /// Whether a resource without `meta.lastUpdated` is within any `_since` and `_until` (BD-SINCE-06).
    #[serde(default = "default_undated_included")]
    pub undated_included: bool,
    /// Security labels (`system|code`, from `meta.security`) whose resources no export holds.
    #[serde(default)]
    pub withheld_labels: BTreeSet<String>,
    /// Whether every export is given a set of vetoes.
    #[serde(default)]
    pub vetoes: bool,
    /// Whether `_typeFilter` knows the search parameters that US Core adds to R4.
    #[serde(default = "default_us_core")]
    pub us_core_search_parameters: bool,
    /// Search parameters that `_typeFilter` knows besides: SearchParameter resources, or Bundles of them. One that cannot
    /// be evaluated makes the configuration unusable; `docs/search-parameters.md` says which can.
    #[serde(default)]
    pub search_parameters: Vec<Value>,
    /// What `_typeFilter` may ask that one resource does not decide. Nothing, unless said here.
    #[serde(default)]
    pub filter_sets: FilterSets,
    /// What becomes of the URLs of Attachments.
    #[serde(default)]
    pub attachments: AttachmentPolicy,
    /// `date` of the CapabilityStatement: when this deployment was last changed, as a FHIR date.
    #[serde(default = "default_published")]
    pub published: String,
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Anyone who can reach the address.
    None,
    /// Bearers of access tokens.
    Bearer,
}

/// Who may ask for the status and the files of an export, if scopes and roles cover it. Only who started it removes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Downloads {
    /// The client that started it.
    #[default]
    Client,
    /// The client that started it, and of its users only the one for whom it did.
    User,
    /// Anyone whose scopes and roles cover it.
    Scope,
}

/// What `_since` means for patients who came to a group after it, in the export of that group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NewMembers {
    /// What it means for all others.
    #[default]
    LikeOthers,
    /// Nothing: their older resources are exported too. Who came when, the embedder says; `ehi serve` goes by
    /// `Group.member.period.start`.
    Whole,
}

/// How `$ehi-export` is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EhiConfig {
    /// Where the format of what is not FHIR is documented publicly, absolute (EHI-MAN-01).
    pub documentation_url: String,
}

/// A parameter of the deployment's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VendorParameter {
    /// Of which operations.
    pub operations: BTreeSet<Operation>,
    /// The values that it takes; none listed means any text of at most 1,000 characters.
    #[serde(default)]
    pub values: BTreeSet<String>,
}

/// What becomes of the URLs of Attachments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentPolicy {
    /// A relative one is made absolute below the base, where this deployment must have it (BD-ATT-02). Nothing else is
    /// touched, so this is the default: it promises nothing about other servers, and copies no data.
    #[default]
    Link,
    /// The same, and one that leads to a Binary of this server is replaced by that of a file of the export, to which the
    /// content is copied (BD-ATT-05). Whoever may fetch the files of the export may fetch these, and no other Binary.
    Serve,
}

impl EndpointConfig {
    /// A configuration with all defaults.
    pub fn new(base_url: impl Into<String>, auth: Auth) -> Self {
        Self {
            base_url: base_url.into(),
            auth,
            insecure_http: false,
            hosts: Vec::new(),
            edition: Edition::default(),
            also_editions: BTreeSet::new(),
            prefer_required: false,
            accept_required: false,
            jobs_per_client_max: default_jobs(),
            retention_seconds: default_retention(),
            retry_after_seconds: default_retry_after(),
            poll_interval_millis: default_poll_interval(),
            export_shared: false,
            new_members: NewMembers::default(),
            subset: None,
            poll_strikes_max: None,
            run_seconds: default_run(),
            fail_above: None,
            separate_export_status: false,
            bulk_export: default_bulk_export(),
            ehi: None,
            roles: None,
            restrict_groups: false,
            restrict_practitioners: false,
            downloads: Downloads::default(),
            signed_urls: None,
            partial_manifests: None,
            smart: None,
            steps: StepsConfig::default(),
            clients: BTreeMap::new(),
            vendor_parameters: BTreeMap::new(),
            unsupported_parameters: BTreeSet::new(),
            supporting: Supporting::default(),
            undated_included: default_undated_included(),
            withheld_labels: BTreeSet::new(),
            vetoes: false,
            us_core_search_parameters: default_us_core(),
            search_parameters: Vec::new(),
            filter_sets: FilterSets::default(),
            attachments: AttachmentPolicy::default(),
            published: default_published(),
        }
    }

    /// Reads a configuration from its JSON text.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        serde_json::from_str(json).map_err(|error| ConfigError(error.to_string()))
    }

    /// The rows of the search parameters that the FHIR version does not have itself.
    pub(super) fn added_search_parameters(&self) -> Result<Cow<'static, str>, ConfigError> {
        let us_core = if self.us_core_search_parameters { Definitions::US_CORE_SEARCH_PARAMETERS } else { "" };
        if self.search_parameters.is_empty() {
            return Ok(us_core.into());
        }
        let mut set = SearchParameterSet::new(Definitions::R4);
        let added = set.add_table(us_core).and_then(|()| {
            let mut resources = self.search_parameters.iter();
            resources.try_for_each(|resource| set.add(&resource.to_string()))
        });
        added.map_err(|error| ConfigError(format!("`searchParameters`: {error}")))?;
        Ok(set.to_table().into())
    }

    /// The names of the operations of `$export`, without the dollar sign, and the edition that each speaks.
    pub(crate) fn exports(&self) -> impl Iterator<Item = (&'static str, Edition)> {
        let others = self.also_editions.iter().map(|edition| (edition.operation_name(), *edition));
        [("export", self.edition)].into_iter().chain(others)
    }

    /// The edition that the operation of that path segment speaks, if it is one of `$export`.
    pub(crate) fn edition_of(&self, operation: &str) -> Option<Edition> {
        let name = operation.strip_prefix('$').filter(|_| self.bulk_export)?;
        self.exports().find(|(own, _)| *own == name).map(|(_, edition)| edition)
    }

    pub(crate) fn polling_location(&self, id: &JobId) -> String {
        format!("{}/bulk/{id}", self.base_url)
    }

    pub(crate) fn files_url(&self, id: &JobId) -> String {
        format!("{}/bulk/{id}/files/", self.base_url)
    }

    /// The address of a page of a manifest but the first, which is at the polling location.
    pub(crate) fn page_url(&self, id: &JobId, page: u32) -> String {
        format!("{}/bulk/{id}/manifests/{page}", self.base_url)
    }

    /// The path of the base URL, without a final `/`.
    pub(crate) fn base_path(&self) -> &str {
        let after_scheme = self.base_url.split_once("://").map_or("", |(_, rest)| rest);
        after_scheme.find('/').and_then(|slash| after_scheme.get(slash..)).unwrap_or_default()
    }

    /// Scheme and authority of the base URL, to which a request target is appended for its absolute form.
    pub(crate) fn origin(&self) -> &str {
        self.base_url.strip_suffix(self.base_path()).unwrap_or(&self.base_url)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let secure = self.base_url.starts_with("https://");
        let host = self.origin().split_once("://").map_or("", |(_, host)| host);
        let problem = if !secure && !self.base_url.starts_with("http://") {
            "`baseUrl` must be an absolute https URL"
        } else if !secure && !self.insecure_http {
            "`baseUrl` is not https; set `insecureHttp` to allow that on loopback"
        } else if host.is_empty()
            || self.base_url.ends_with('/')
            || !self.base_url.bytes().all(|b| b.is_ascii_graphic())
        {
            "`baseUrl` must have a host and no final slash, and be visible ASCII"
        } else if self.base_url.contains(['?', '#']) {
            "`baseUrl` must have no query and no fragment"
        } else if self.also_editions.contains(&self.edition) {
            "each of `alsoEditions` must be another than `edition`"
        } else if self.jobs_per_client_max == 0 {
            "`jobsPerClientMax` must be at least 1"
        } else if let Some(problem) = self.steps.problem() {
            problem
        } else if self.ehi.as_ref().is_some_and(|ehi| !ehi.documentation_url.starts_with("https://")) {
            "`ehi.documentationUrl` must be an absolute https URL"
        } else if let Some(problem) = self.signed_urls.as_ref().and_then(SignedUrls::problem) {
            problem
        } else if let Some(problem) = self.partial_manifests.as_ref().and_then(PartialManifests::problem) {
            problem
        } else if let Some(problem) = self.smart.as_ref().and_then(|smart| smart.problem(self.insecure_http)) {
            problem
        } else if let Some(problem) = self.problem_of_clients() {
            problem
        } else if self.run_seconds == 0 {
            "`runSeconds` must be at least 1"
        } else if self.withheld_labels.iter().any(|label| !label.contains('|')) {
            "each of `withheldLabels` must be `system|code`"
        } else if !self.unsupported_parameters.iter().all(|name| is_parameter(name) && name != "_outputFormat") {
            "each of `unsupportedParameters` must be a parameter of `$export` other than `_outputFormat`"
        } else if self.published.is_empty() {
            "`published` must be a date"
        } else {
            return Ok(());
        };
        Err(ConfigError(problem.to_owned()))
    }
}

/// A configuration that cannot be used; says which member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    pub(super) fn new(problem: String) -> Self {
        Self(problem)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration: {}", self.0)
    }
}

impl std::error::Error for ConfigError {}

/// One full export and a few of single patients; servers in the field allow 1 to 10.
fn default_jobs() -> u32 {
    5
}

/// A day: clients fetch soon, and files at rest are a risk.
fn default_retention() -> u64 {
    24 * 60 * 60
}

fn default_retry_after() -> u64 {
    1
}

/// Clients in use poll faster than they are told; a fifth of a second still costs next to nothing.
fn default_poll_interval() -> u64 {
    200
}

/// A week: the largest exports take days, and what takes longer has lost its way.
fn default_run() -> u64 {
    7 * 24 * 60 * 60
}

/// It is what a Bulk Data server is for.
fn default_bulk_export() -> bool {
    true
}

/// What cannot be told to be unchanged is better sent twice than lost.
fn default_undated_included() -> bool {
    true
}

/// Certified systems in the United States are asked by them; elsewhere nobody does.
fn default_us_core() -> bool {
    true
}

fn default_published() -> String {
    String::from("2026-11-22")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_strictly() {
        let read = |json| EndpointConfig::from_json(json).and_then(|config| config.check().map(|()| config));
        let config = read(r#"{"baseUrl":"https://ehr.example/a/fhir","auth":"bearer"}"#).unwrap();
        assert_eq!(config, EndpointConfig::new("https://ehr.example/a/fhir", Auth::Bearer));
        assert_eq!((config.base_path(), config.origin()), ("/a/fhir", "https://ehr.example"));
        for wrong in [
            r#"{"baseUrl":"https://ehr.example/fhir"}"#,
            r#"{"baseUrl":"https://ehr.example/fhir","auth":"bearer","surprise":1}"#,
            r#"{"baseUrl":"http://ehr.example/fhir","auth":"bearer"}"#,
            r#"{"baseUrl":"ehr.example/fhir","auth":"bearer"}"#,
            r#"{"baseUrl":"https://ehr.example/fhir/","auth":"bearer"}"#,
            r#"{"baseUrl":"https:///fhir","auth":"bearer"}"#,
            r#"{"baseUrl":"https://ehr.example/fhir?x","auth":"none"}"#,
            r#"{"baseUrl":"https://ehr.example/fhir","auth":"none","jobsPerClientMax":0}"#,
            r#"{"baseUrl":"https://ehr.example/fhir","auth":"none","unsupportedParameters":["_typeFilters"]}"#,
            r#"{"baseUrl":"https://ehr.example/fhir","auth":"none","unsupportedParameters":["_outputFormat"]}"#,
            r#"{"baseUrl":"https://ehr.example/fhir","auth":"none","partialManifests":{"files":0}}"#,
            r#"{"baseUrl":"https://ehr.example/fhir","auth":"none","partialManifests":{"seconds":86401}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn presets_are_configurations() {
        for (preset, days) in [
            (include_str!("../../../docs/presets/patient-folders.json"), 60),
            (include_str!("../../../docs/presets/smile-cdr.json"), 1),
        ] {
            let mut members: Value = serde_json::from_str(preset).unwrap();
            members["baseUrl"] = "https://ehr.example/fhir".into();
            members["auth"] = "bearer".into();
            let config = EndpointConfig::from_json(&members.to_string()).unwrap();
            assert_eq!(config.check(), Ok(()));
            assert_eq!((config.retention_seconds, config.downloads), (days * 24 * 60 * 60, Downloads::User));
        }
    }
}

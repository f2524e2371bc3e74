//! What is this request asking? Stateless: routes, decisions on kick-offs, capability statement.

mod authorize;
mod capability;
mod config;
mod filter_sets;
mod interaction;
mod look_up;
mod patients;
mod route;
mod smart;
mod subset;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    Definitions, Refusal, ResourceType,
    access::Principal,
    http::Response,
    job::{Job, JobId},
    kick_off::{Facts, KickOff},
    outcome::{Issue, IssueCode},
    plan::{Attachments, Chain, ExportPlan, TypeSelection},
    time::Timestamp,
};

pub use config::{
    AttachmentPolicy, Auth, ConfigError, Downloads, EhiConfig, EndpointConfig, NewMembers, VendorParameter,
};
pub use interaction::ClientConfig;
pub use route::Route;
pub(crate) use route::allow;
pub use smart::SmartConfig;
pub use subset::Subset;

/// The front door of a deployment: configuration, checked. Holds no job, no key and no state, so it is made anew
/// wherever it is needed.
///
/// The order of calls, for each HTTP request:
///
/// 1. [`route`](Self::route) the request. The answer is a response to send, the id of a job to hand the request to
///    ([`Job::handle_request`]), a [`KickOff`], or resources to [look up](Self::look_up).
/// 2. Answer the kick-off's [`needs`](Self::needs) with [`Facts`].
/// 3. [`decide`](Self::decide): store the job and send the response. Or [`authorize`](Self::authorize), then
///    [`accept`](Self::accept) or [`refuse`](Self::refuse), where something is to happen in between.
#[derive(Clone, Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    added_search_parameters: Cow<'static, str>,
}

/// What a principal was granted: the types that may be exported of those that were asked for, and how much of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub(crate) types: TypeSelection,
    /// The patients asked for of those of the level, if not all of them.
    pub(crate) patients: Option<BTreeSet<String>>,
    /// What was asked for and is left away, for the answer and the error files.
    pub(crate) notices: Vec<Issue>,
    /// Whether the contents of Binary resources may be exported, under whatever type they come.
    pub(crate) binaries: bool,
    /// The queries that were asked for, narrowed by those of the grant.
    pub(crate) type_filters: Vec<String>,
    pub(crate) granted_filters: BTreeMap<ResourceType, BTreeSet<String>>,
    /// The deployment's own queries of these types, which `type_filters` has taken in already.
    pub(crate) subset: Vec<String>,
    /// The ValueSets that the queries ask for.
    pub(crate) value_sets: Vec<String>,
    /// What the queries ask about other resources, within the grant.
    pub(crate) chains: Vec<Chain>,
}

impl Grant {
    /// All of those types that was asked for.
    pub(crate) fn whole(types: TypeSelection, kick_off: &KickOff) -> Self {
        let type_filters = kick_off.type_filters.clone();
        Self {
            types,
            patients: None,
            notices: Vec::new(),
            binaries: true,
            type_filters,
            granted_filters: BTreeMap::new(),
            subset: Vec::new(),
            value_sets: Vec::new(),
            chains: Vec::new(),
        }
    }
}

/// What became of a kick-off.
#[derive(Debug)]
pub enum Decision {
    /// Store the job, then send the response.
    Accepted(Box<Job>, Response),
    /// Send the response.
    Refused(Response),
}

impl Endpoint {
    /// An endpoint of that configuration.
    pub fn new(config: EndpointConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let added_search_parameters = config.added_search_parameters()?;
        let endpoint = Self { config, added_search_parameters };
        endpoint.config.subset.iter().try_for_each(|subset| subset.read(&endpoint.definitions()).map(drop))?;
        Ok(endpoint)
    }

    /// The FHIR version whose resources are exported, with the search parameters that the configuration adds.
    pub fn definitions(&self) -> Definitions<'_> {
        Definitions::R4.with_added_search_parameters(&self.added_search_parameters)
    }

    /// The configuration.
    pub fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// Makes the job and the response that announces it (BD-KRSP-01, BD-KRSP-02).
    pub fn accept(
        &self,
        mut kick_off: KickOff,
        principal: &Principal,
        mut grant: Grant,
        id: JobId,
        now: Timestamp,
    ) -> (Job, Response) {
        kick_off.notices.append(&mut grant.notices);
        let notices = kick_off.notices.clone();
        let separate_status = kick_off.separate_status;
        let pages = self.config.partial_manifests.filter(|_| kick_off.partial_manifests);
        let binaries = grant.binaries;
        let patients = grant.patients.take();
        let serves = self.config.attachments == AttachmentPolicy::Serve && binaries;
        let attachments =
            if serves { Attachments::Serve { files_url: self.config.files_url(&id) } } else { Attachments::Link };
        let mut plan =
            ExportPlan { binary_documents: binaries, attachments, ..ExportPlan::new(&self.config, kick_off, grant) };
        plan.patients_listed = patients.is_some();
        plan.search_parameters = plan.search_parameters_used(&self.added_search_parameters);
        let mut issues = vec![Issue::information("the export was accepted; poll the address in Content-Location")];
        let left_out = plan.left_out().map(|text| Issue::information(format!("not part of this export: {text}")));
        issues.extend(left_out);
        issues.extend(notices);
        let job = Job::new(&self.config, id, principal, plan, patients, separate_status, now).with_pages(pages);
        let response = Response::outcome(202, &crate::outcome::OperationOutcome { issue: issues })
            .with("content-location", self.config.polling_location(&job.id()));
        let response = match job.patient_link() {
            Some(link) => response.with("link", link),
            None => response,
        };
        let response = if separate_status {
            response.with("preference-applied", "respond-async, separate-export-status")
        } else {
            response
        };
        (job, response)
    }

    /// The response to a kick-off that was not granted (BD-KRSP-04, BD-KRSP-05).
    pub fn refuse(&self, refusal: Refusal) -> Response {
        refusal.into_response()
    }

    /// [`authorize`](Self::authorize), then [`accept`](Self::accept) or [`refuse`](Self::refuse).
    pub fn decide(
        &self,
        kick_off: KickOff,
        principal: &Principal,
        facts: &Facts,
        id: JobId,
        now: Timestamp,
    ) -> Decision {
        if principal.has_expired(now) {
            return Decision::Refused(unauthorized());
        }
        match self.authorize(&kick_off, principal, facts) {
            Ok(grant) => {
                let (job, response) = self.accept(kick_off, principal, grant, id, now);
                Decision::Accepted(Box::new(job), response)
            }
            Err(refusal) => Decision::Refused(self.refuse(refusal)),
        }
    }

    /// The answer for whatever is not there, and for what the principal may not know is there: always the same bytes.
    pub fn not_found(&self) -> Response {
        not_found()
    }
}

pub(crate) fn not_found() -> Response {
    nothing_there().into()
}

/// Strangers and errors of address alike get this.
pub(crate) fn nothing_there() -> Refusal {
    Refusal::new(404, Issue::error(IssueCode::NotFound, "nothing is known here by that address"))
}

pub(crate) fn unauthorized() -> Response {
    Refusal::new(401, Issue::error(IssueCode::Login, "a valid access token is required"))
        .with("www-authenticate", "Bearer")
        .into()
}

pub(crate) fn forbidden(diagnostics: &str) -> Refusal {
    Refusal::new(403, Issue::error(IssueCode::Forbidden, diagnostics))
}

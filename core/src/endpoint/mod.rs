//! What is this request asking? Stateless: routes, decisions on kick-offs, capability statement.

mod capability;
mod config;
mod route;

use std::borrow::Cow;

use crate::{
    Definitions, Refusal,
    access::Principal,
    http::Response,
    job::{Job, JobId},
    kick_off::{Facts, KickOff, Level, Operation},
    outcome::{Issue, IssueCode},
    plan::{ExportPlan, Provenance, TypeSelection},
    time::Timestamp,
};

pub use config::{Auth, ConfigError, EhiConfig, EndpointConfig, VendorParameter};
pub use route::Route;
pub(crate) use route::allow;

/// The front door of a deployment: configuration, checked. Holds no job, no key and no state, so it is made anew
/// wherever it is needed.
///
/// The order of calls, for each HTTP request:
///
/// 1. [`route`](Self::route) the request. The answer is a response to send, the id of a job to hand the request to
///    ([`Job::handle_request`]), or a [`KickOff`].
/// 2. Answer the kick-off's [`needs`](KickOff::needs) with [`Facts`].
/// 3. [`decide`](Self::decide): store the job and send the response. Or [`authorize`](Self::authorize), then
///    [`accept`](Self::accept) or [`refuse`](Self::refuse), where something is to happen in between.
#[derive(Clone, Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    added_search_parameters: Cow<'static, str>,
}

/// What a principal was granted: the types that may be exported of those that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    types: TypeSelection,
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
        Ok(Self { config, added_search_parameters })
    }

    /// The FHIR version whose resources are exported, with the search parameters that the configuration adds.
    pub fn definitions(&self) -> Definitions<'_> {
        Definitions::R4.with_added_search_parameters(&self.added_search_parameters)
    }

    /// The configuration.
    pub fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// Whether the principal may have what was asked for, and how much of it.
    ///
    /// What the grant does not cover is refused where it was asked for by name (SM-ACC-03) and left out where everything
    /// was (BD-SEC-06). Authorisation precedes look-up: facts are not consulted for what the principal may not know.
    pub fn authorize(&self, kick_off: &KickOff, principal: &Principal, facts: &Facts) -> Result<Grant, Refusal> {
        if kick_off.operation == Operation::EhiExport {
            return self.authorize_ehi(kick_off, principal, facts);
        }
        let grant = principal.may_export();
        if grant.is_nothing() {
            return Err(forbidden("the token does not grant the export of any resource type"));
        }
        let types = match &kick_off.types {
            Some(types) => {
                if let Some(uncovered) = types.iter().find(|t| !grant.covers(t.as_str())) {
                    return Err(forbidden(&format!("the token does not grant the export of `{uncovered}`")));
                }
                TypeSelection::Only(types.clone())
            }
            None if grant.is_everything() => TypeSelection::All,
            None => {
                TypeSelection::Only(grant.types().filter_map(|name| self.definitions().resource_type(name)).collect())
            }
        };
        // Asked for by name, like a type.
        if kick_off.provenance != Provenance::Unasked && !grant.covers("Provenance") {
            return Err(forbidden("the token does not grant the export of `Provenance`"));
        }
        match &kick_off.level {
            Level::Group(_) if !grant.covers("Group") => {
                return Err(forbidden("the token does not grant reading groups"));
            }
            Level::Patient(_) if !grant.covers("Patient") => {
                return Err(forbidden("the token does not grant the export of `Patient`"));
            }
            Level::Group(id) if !facts.groups.contains(id) => return Err(absent("group")),
            Level::Patient(id) if !facts.patients.contains(id) => return Err(absent("patient")),
            _ => {}
        }
        self.check_jobs(facts)?;
        Ok(Grant { types })
    }

    /// EHI-AUTH-01, EHI-AUTH-02, EHI-AUTH-05: one patient's whole record, by the operation's own scope.
    fn authorize_ehi(&self, kick_off: &KickOff, principal: &Principal, facts: &Facts) -> Result<Grant, Refusal> {
        let Level::Patient(patient) = &kick_off.level else { return Err(absent("patient")) };
        if !principal.may_export_ehi_of(patient) {
            return Err(forbidden("the token does not grant the EHI export of this patient"));
        }
        if !facts.patients.contains(patient) {
            return Err(absent("patient"));
        }
        self.check_jobs(facts)?;
        Ok(Grant { types: TypeSelection::All })
    }

    fn check_jobs(&self, facts: &Facts) -> Result<(), Refusal> {
        let limit = self.config.jobs_per_client_max;
        if facts.active_jobs.is_none_or(|jobs| jobs >= limit) {
            let diagnostics =
                format!("{limit} exports of this client are in progress already; wait for one to end or delete it");
            let retry_after = self.config.retry_after_seconds.to_string();
            let refusal = Refusal::new(429, Issue::error(IssueCode::Throttled, diagnostics));
            return Err(refusal.with("retry-after", retry_after));
        }
        Ok(())
    }

    /// Makes the job and the response that announces it (BD-KRSP-01, BD-KRSP-02).
    pub fn accept(
        &self,
        kick_off: KickOff,
        principal: &Principal,
        grant: Grant,
        id: JobId,
        now: Timestamp,
    ) -> (Job, Response) {
        let notices = kick_off.notices.clone();
        let separate_status = kick_off.separate_status;
        let mut plan = ExportPlan::new(&self.config, kick_off, grant.types);
        plan.search_parameters = plan.search_parameters_used(&self.added_search_parameters);
        let mut issues = vec![Issue::information("the export was accepted; poll the address in Content-Location")];
        let left_out = plan.left_out().map(|text| Issue::information(format!("not part of this export: {text}")));
        issues.extend(left_out);
        issues.extend(notices);
        let job = Job::new(&self.config, id, principal.owner(), plan, separate_status, now);
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
    Refusal::new(404, Issue::error(IssueCode::NotFound, "nothing is known here by that address")).into()
}

pub(crate) fn unauthorized() -> Response {
    Refusal::new(401, Issue::error(IssueCode::Login, "a valid access token is required"))
        .with("www-authenticate", "Bearer")
        .into()
}

pub(crate) fn forbidden(diagnostics: &str) -> Refusal {
    Refusal::new(403, Issue::error(IssueCode::Forbidden, diagnostics))
}

fn absent(what: &str) -> Refusal {
    Refusal::new(404, Issue::error(IssueCode::NotFound, format!("no such {what}")))
}

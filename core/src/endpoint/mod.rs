//! What is this request asking? Stateless: routes, decisions on kick-offs, capability statement.

mod capability;
mod config;
mod route;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    Definitions, Edition, Refusal, ResourceType,
    access::{Coverage, Principal, TypeGrant},
    http::Response,
    job::{Job, JobId},
    kick_off::{Facts, KickOff, Level, Operation},
    outcome::{Issue, IssueCode},
    plan::{ExportPlan, Provenance, TypeSelection},
    time::Timestamp,
    type_filter::{self, Query, TypeFilterSource},
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

/// What a principal was granted: the types that may be exported of those that were asked for, and how much of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub(crate) types: TypeSelection,
    /// The queries that were asked for, narrowed by those of the grant.
    pub(crate) type_filters: Vec<String>,
    pub(crate) granted_filters: BTreeMap<ResourceType, BTreeSet<String>>,
}

impl Grant {
    /// All of those types that was asked for.
    pub(crate) fn whole(types: TypeSelection, kick_off: &KickOff) -> Self {
        Self { types, type_filters: kick_off.type_filters.clone(), granted_filters: BTreeMap::new() }
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
        let scopes = principal.may_export(&kick_off.level);
        let grant = self.grant(kick_off, &scopes)?;
        // Asked for by name, like a type; and it goes by no query.
        if kick_off.provenance != Provenance::Unasked && !scopes.covers("Provenance") {
            return Err(forbidden("the token does not grant the export of `Provenance`"));
        }
        match &kick_off.level {
            Level::Group(_) if !scopes.covers("Group") => {
                return Err(forbidden("the token does not grant reading groups"));
            }
            Level::Patient(_) if !scopes.covers("Patient") => {
                return Err(forbidden("the token does not grant the export of `Patient`"));
            }
            Level::Group(id) if !facts.groups.contains(id) => return Err(absent("group")),
            Level::Patient(id) if !facts.patients.contains(id) => return Err(absent("patient")),
            _ => {}
        }
        self.check_jobs(facts)?;
        Ok(grant)
    }

    /// What the scopes cover of what was asked for.
    fn grant(&self, kick_off: &KickOff, scopes: &TypeGrant) -> Result<Grant, Refusal> {
        let definitions = self.definitions();
        let nothing = || forbidden("the token does not grant the export of any resource type");
        if scopes.is_nothing() {
            return Err(nothing());
        }
        if scopes.is_everything() {
            let types = kick_off.types.clone().map_or(TypeSelection::All, TypeSelection::Only);
            return Ok(Grant::whole(types, kick_off));
        }
        let asked: Vec<ResourceType> = match &kick_off.types {
            Some(types) => types.iter().cloned().collect(),
            None => definitions.resource_types().filter_map(|name| definitions.resource_type(name)).collect(),
        };
        let (mut types, mut granted_filters) = (BTreeSet::new(), BTreeMap::new());
        for resource_type in asked {
            match scopes.coverage(resource_type.as_str(), &definitions) {
                Coverage::Whole => {}
                Coverage::Matching(queries) => {
                    granted_filters.insert(resource_type.clone(), queries);
                }
                Coverage::Nothing if kick_off.types.is_some() => {
                    return Err(forbidden(&format!("the token does not grant the export of `{resource_type}`")));
                }
                Coverage::Nothing => continue,
            }
            types.insert(resource_type);
        }
        if types.is_empty() && kick_off.types.is_none() {
            return Err(nothing());
        }
        let grant = Grant::whole(TypeSelection::Only(types), kick_off);
        if granted_filters.is_empty() {
            return Ok(grant);
        }
        let type_filters = both(&kick_off.type_filters, &granted_filters, &definitions)?;
        Ok(Grant { type_filters, granted_filters, ..grant })
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
        Ok(Grant::whole(TypeSelection::All, kick_off))
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
        let mut plan = ExportPlan::new(&self.config, kick_off, grant);
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

/// What was asked for and is granted: both must hold (SM-SCP-05).
fn both(
    asked: &[String],
    granted: &BTreeMap<ResourceType, BTreeSet<String>>,
    definitions: &Definitions<'_>,
) -> Result<Vec<String>, Refusal> {
    let refusal = |text: String| Refusal::new(400, Issue::error(IssueCode::TooCostly, text).about("_typeFilter"));
    let read = |texts: &mut dyn Iterator<Item = &String>| -> Result<Vec<Query>, Refusal> {
        let sources: Vec<_> = texts.map(|text| TypeFilterSource::Post(text)).collect();
        // A query's own text is one value of the 3.0 grammar, whatever edition it came in. It was read before, so all that
        // can be wrong is that there are too many.
        let queries = type_filter::parse(&sources, Edition::Stu3, definitions);
        queries.map_err(|_| refusal(String::from("there are too many queries in `_typeFilter` and the token together")))
    };
    let (asked, granted) = (read(&mut asked.iter())?, read(&mut granted.values().flatten())?);
    let queries = type_filter::intersect(&asked, &granted).map_err(|error| refusal(error.to_string()))?;
    Ok(queries.iter().map(ToString::to_string).collect())
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

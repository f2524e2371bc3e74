//! From a request to what it asks for.

use super::{Auth, Endpoint, capability, not_found, smart, unauthorized};
use crate::{
    Edition, Refusal,
    access::{Principal, is_signed},
    http::{Prefer, Request, Response, Target},
    job::JobId,
    kick_off::{self, KickOff, Level, Operation},
    look_up::LookUp,
    outcome::{Issue, IssueCode},
    reference::is_id,
};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// Send this.
    Respond(Response),
    /// An export: see [`Endpoint::decide`].
    KickOff(Box<KickOff>),
    /// Resources to be shown: find them, then [`Endpoint::look_up`].
    LookUp(Box<LookUp>),
    /// A job's status, a page of its manifest, a file of it, or its deletion: hand the request to [`Job::handle_request`](crate::job::Job::handle_request),
    /// or answer [`Endpoint::not_found`] if there is no such job.
    Job(JobId),
}

impl Endpoint {
    /// Finds what a request asks for. Without a token that is 401 before any parameter is read.
    pub fn route(&self, request: &Request<'_>, principal: &Principal) -> Route {
        self.find(request, principal).unwrap_or_else(|refusal| Route::Respond(refusal.into()))
    }

    fn find(&self, request: &Request<'_>, principal: &Principal) -> Result<Route, Refusal> {
        self.check_size(request)?;
        self.check_host(request)?;
        let target = Target::parse(request.target);
        let Some(segments) = target.segments_below(self.config.base_path()) else {
            return Ok(Route::Respond(not_found()));
        };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let ["metadata"] = segments.as_slice() {
            allow(request, &["GET", "HEAD"])?;
            return Ok(Route::Respond(capability::statement(self)));
        }
        if let ([".well-known", "smart-configuration"], Some(known)) = (segments.as_slice(), &self.config.smart) {
            allow(request, &["GET", "HEAD"])?;
            return Ok(Route::Respond(smart::configuration(&self.config, known)));
        }
        let let_in = match (self.config.auth, principal) {
            (Auth::None, Principal::Open) | (Auth::Bearer, Principal::Known { .. }) => true,
            (_, Principal::Anonymous | Principal::Open | Principal::Known { .. }) => false,
        };
        if !let_in {
            return Ok(self.signed(&segments, &target).unwrap_or_else(|| Route::Respond(unauthorized())));
        }
        // Some libraries encode the dollar sign; a decoded segment is the same.
        if let [of @ .., operation] = segments.as_slice()
            && let Some(edition) = self.config.edition_of(operation)
        {
            let Some(level) = level_of(of) else { return Ok(Route::Respond(not_found())) };
            let kick_off = self.kick_off(request, Operation::Export, edition, level)?;
            return Ok(Route::KickOff(Box::new(kick_off)));
        }
        match segments.as_slice() {
            ["Patient", id, "$ehi-export"] if is_id(id) && self.config.ehi.is_some() => {
                let level = Level::Patient((*id).to_owned());
                let kick_off = self.kick_off(request, Operation::EhiExport, self.config.edition, level)?;
                Ok(Route::KickOff(Box::new(kick_off)))
            }
            ["bulk", id, rest @ ..] => {
                let job = matches!(rest, [] | ["files" | "manifests", _]).then(|| JobId::parse(id)).flatten();
                Ok(job.map_or_else(|| Route::Respond(not_found()), Route::Job))
            }
            [name @ ("Group" | "Patient" | "Practitioner")] => {
                allow(request, &["GET", "HEAD"])?;
                self.check_accept(request)?;
                self.find_resources(request, name, None, principal)
            }
            [name @ "Group", id] if is_id(id) => {
                allow(request, &["GET", "HEAD"])?;
                self.check_accept(request)?;
                self.find_resources(request, name, Some(id), principal)
            }
            _ => Ok(Route::Respond(not_found())),
        }
    }

    /// A file whose address stands for the token. A wrong signature is answered like a file that does not exist, and so is
    /// one that has ended, which the job finds.
    fn signed(&self, segments: &[&str], target: &Target<'_>) -> Option<Route> {
        let urls = self.config.signed_urls.as_ref().filter(|_| is_signed(target))?;
        let ["bulk", id, "files", name] = segments else { return None };
        let job = JobId::parse(id).filter(|job| urls.verify(job, name, target).is_some());
        Some(job.map_or_else(|| Route::Respond(not_found()), Route::Job))
    }

    fn kick_off(
        &self,
        request: &Request<'_>,
        operation: Operation,
        edition: Edition,
        level: Level,
    ) -> Result<KickOff, Refusal> {
        // The 4.0 ballot dropped GET (BD4-01, BD-KICK-05).
        let is_post_only = operation == Operation::EhiExport || edition == Edition::Stu4Ballot;
        let methods: &[&str] = if is_post_only { &["POST"] } else { &["GET", "POST"] };
        allow(request, methods)?;
        self.check_accept(request)?;
        let prefer = Prefer::of(request);
        if self.config.prefer_required && !prefer.respond_async {
            let diagnostics = "an export needs the header `Prefer: respond-async`";
            return Err(Refusal::new(400, Issue::error(IssueCode::Required, diagnostics).about("Prefer")));
        }
        if request.method == "POST" {
            check_content_type(request)?;
        }
        let reader = kick_off::Reader::new(&self.config, self.definitions(), operation, edition, request);
        // For POST the URL alone is the request: its parameters are in the body (BD-MAN-04).
        let target = if request.method == "POST" { Target::parse(request.target).path } else { request.target };
        let kick_off = kick_off::read(reader, request, level, format!("{}{target}", self.config.origin()))?;
        let separate_status = self.config.separate_export_status && prefer.separate_export_status;
        Ok(KickOff { separate_status, ..kick_off })
    }

    /// BD-HDR-01, BD-HDR-02.
    fn check_accept(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let accepted = request.media_types("accept");
        let acceptable = ["application/fhir+json", "application/json", "application/*", "*/*"];
        if accepted.is_empty() && !self.config.accept_required
            || accepted.iter().any(|a| acceptable.contains(&a.as_str()))
        {
            return Ok(());
        }
        let diagnostics = "the answer is `application/fhir+json`, which `Accept` must allow";
        Err(Refusal::new(406, Issue::error(IssueCode::NotSupported, diagnostics).about("Accept")))
    }

    fn check_host(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let mut hosts = request.header("host");
        let (host, second) = (hosts.next().unwrap_or_default(), hosts.next());
        let known = self.config.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) && second.is_none();
        if self.config.hosts.is_empty() || known {
            return Ok(());
        }
        Err(Refusal::new(
            421,
            Issue::error(IssueCode::Forbidden, "this server does not answer to that host name").about("Host"),
        ))
    }

    fn check_size(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let (status, what) = if request.target.len() > TARGET_BYTES_MAX {
            (414, format!("the request target is longer than {TARGET_BYTES_MAX} bytes"))
        } else if request.body.len() > BODY_BYTES_MAX {
            (413, format!("the request body is longer than {BODY_BYTES_MAX} bytes"))
        } else if request.headers.len() > HEADERS_MAX {
            (431, format!("there are more than {HEADERS_MAX} header fields"))
        } else {
            return Ok(());
        };
        Err(Refusal::new(status, Issue::error(IssueCode::TooLong, what)))
    }
}

/// Whose data an operation of `$export` on that path is about.
fn level_of(path: &[&str]) -> Option<Level> {
    match path {
        [] => Some(Level::System),
        ["Patient"] => Some(Level::AllPatients),
        ["Group", id] if is_id(id) => Some(Level::Group((*id).to_owned())),
        ["Practitioner", id] if is_id(id) => Some(Level::Practitioner((*id).to_owned())),
        ["Patient", id] if is_id(id) => Some(Level::Patient((*id).to_owned())),
        _ => None,
    }
}

/// 405 with `Allow` for any other method.
pub(crate) fn allow(request: &Request<'_>, methods: &[&str]) -> Result<(), Refusal> {
    if methods.contains(&request.method) {
        return Ok(());
    }
    let allowed = methods.join(", ");
    let issue = Issue::error(IssueCode::NotSupported, format!("this address allows {allowed} only"));
    Err(Refusal::new(405, issue).with("allow", allowed))
}

fn check_content_type(request: &Request<'_>) -> Result<(), Refusal> {
    let types = request.media_types("content-type");
    let readable = ["application/fhir+json", "application/json"];
    let empty = request.body.trim_ascii().is_empty();
    if empty && types.is_empty() || types.iter().any(|t| readable.contains(&t.as_str())) {
        return Ok(());
    }
    let diagnostics = "the body of a kick-off is a Parameters resource in `application/fhir+json`";
    Err(Refusal::new(415, Issue::error(IssueCode::NotSupported, diagnostics).about("Content-Type")))
}

/// More than servers in the field take in a request line; a `_typeFilter` list fits easily. HTTP libraries end at 64 KiB
/// themselves, without an OperationOutcome.
const TARGET_BYTES_MAX: usize = 32 * 1024;
/// A Parameters resource with 10,000 patients fits.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Browsers send some twenty. HTTP libraries end at 100 themselves, without an OperationOutcome.
const HEADERS_MAX: usize = 64;

//! Who may look up what, and the answer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Endpoint, Route, forbidden, not_found, unauthorized};
use crate::{
    Refusal, ResourceType, Sensitive,
    access::{Coverage, Principal, Sight},
    http::{FHIR_JSON, Request, Response, Target, decode_component},
    kick_off::{Level, shown},
    look_up::{self, AccessAsked, Found, LookUp},
    outcome::{Issue, IssueCode, OperationOutcome},
    time::Timestamp,
    type_filter::{self, Filter, FilterContext, Query, TypeFilterSource},
};

impl Endpoint {
    /// Finds what a read (`id`) or a search asks for. Who may not see any such resource gets the answer that there is none.
    pub(super) fn find_resources(
        &self,
        request: &Request<'_>,
        name: &str,
        id: Option<&str>,
        principal: &Principal,
    ) -> Result<Route, Refusal> {
        let definitions = look_up::definitions();
        let Some(resource_type) = definitions.resource_type(name) else { return Ok(Route::Respond(not_found())) };
        let asked = match id {
            Some(id) => Asked { text: format!("{name}?_id={id}"), count: 1 },
            None => Asked::read(name, request)?,
        };
        let queries = asked.queries()?;
        let request = Sensitive::new(format!("{}{}", self.config.origin(), request.target));
        let nothing = |request| match id {
            Some(_) => not_found(),
            None => bundle(&[], 0, request),
        };
        let Some((queries, access)) = self.seen(&resource_type, &queries, principal)? else {
            return Ok(Route::Respond(nothing(&request)));
        };
        Ok(Route::LookUp(Box::new(LookUp {
            resource_type,
            id: id.map(|id| Sensitive::new(id.to_owned())),
            queries: Sensitive::new(queries.iter().map(ToString::to_string).collect()),
            access,
            count: asked.count,
            request,
        })))
    }

    /// The answer to a look-up: the resource of a read, or a Bundle of those that a search found.
    ///
    /// What was handed back is judged again, by type, id, queries, access and security labels: an embedder's mistake shows
    /// nobody more than they may see.
    pub fn look_up(&self, look_up: &LookUp, principal: &Principal, found: Found, now: Timestamp) -> Response {
        if principal.has_expired(now) {
            return unauthorized();
        }
        let Some(filter) = look_up.filter(&self.config.base_url, now) else { return not_found() };
        let handed_back = found.resources.len();
        let judge = Judge { look_up, filter, accessible: &found.accessible, withheld: &self.config.withheld_labels };
        let seen: Vec<_> = found.resources.iter().filter_map(|text| judge.see(text.expose())).collect();
        // Of an embedder that hands back what may not be seen, the count is not to be believed either.
        let is_sound = seen.len() == handed_back;
        let told = found.total.filter(|_| is_sound).unwrap_or_default();
        let total = told.max(u64::try_from(seen.len()).unwrap_or(u64::MAX));
        if look_up.id.is_some() {
            return seen.into_iter().next().map_or_else(not_found, one);
        }
        let count = usize::try_from(look_up.count).unwrap_or(usize::MAX);
        let mut bytes = 0_usize;
        let room = |(_, resource): &(String, Box<RawValue>)| {
            bytes = bytes.saturating_add(resource.get().len());
            bytes <= ANSWER_BYTES_MAX
        };
        let entries: Vec<_> =
            seen.into_iter().take(count).take_while(room).map(|seen| self.entry(look_up, seen)).collect();
        bundle(&entries, total, &look_up.request)
    }

    /// The queries of what is asked for and may be seen, and whose access is to be asked; `None` if nothing may be.
    fn seen(
        &self,
        resource_type: &ResourceType,
        asked: &[Query],
        principal: &Principal,
    ) -> Result<Option<Seen>, Refusal> {
        let name = resource_type.as_str();
        let roles = self.config.roles.as_ref();
        let definitions = look_up::definitions();
        let sight = principal.sight(name, roles);
        let level = |patient: &str| Level::Patient(patient.to_owned());
        let coverage = |level: &Level| principal.may_export(level, roles).coverage(name, &definitions);
        // The scopes of a patient open the patient in context, and nobody else.
        let of_all = coverage(&Level::System);
        let in_context = principal.patient().filter(|_| name == "Patient" && of_all == Coverage::Nothing);
        let coverage = in_context.map_or(of_all, |patient| coverage(&level(patient)));
        let mut limits = Vec::new();
        match coverage {
            Coverage::Nothing => return Ok(None),
            Coverage::Whole => {}
            Coverage::Matching(queries) => limits.push(queries),
        }
        limits.extend(in_context.map(own));
        let access = match sight {
            Sight::Nobody => return Ok(None),
            Sight::Everyone => None,
            Sight::Accessible => Some(()),
            Sight::Own(patient) => {
                limits.push(own(&patient));
                None
            }
        };
        let restricted = match name {
            "Group" => self.config.restrict_groups,
            "Practitioner" => self.config.restrict_practitioners,
            _ => false,
        };
        let access = access.or(restricted.then_some(())).map(|()| match principal {
            Principal::Known { client, user, .. } => AccessAsked { client: Some(client.clone()), user: user.clone() },
            Principal::Anonymous | Principal::Open => AccessAsked { client: None, user: None },
        });
        let mut queries = asked.to_vec();
        for limit in limits {
            // A limit that cannot be read again is one that nothing meets.
            let Some(limit) = look_up::read(&limit, &definitions) else { return Ok(None) };
            let combined = type_filter::intersect(&queries, &limit);
            queries = combined.map_err(|_| forbidden("the searches of the token are too many for this look-up"))?;
        }
        Ok(Some((queries, access)))
    }

    fn entry(&self, look_up: &LookUp, (id, resource): (String, Box<RawValue>)) -> Entry {
        let full_url = format!("{}/{}/{id}", self.config.base_url, look_up.resource_type);
        Entry { full_url, resource, search: Search { mode: "match" } }
    }
}

/// The patient with that id, as a limit.
fn own(patient: &str) -> BTreeSet<String> {
    // What is no id is nobody's.
    let id = if crate::reference::is_id(patient) { patient } else { "-" };
    [format!("Patient?_id={id}")].into()
}

/// The queries of what may be seen, and whose access is to be asked.
type Seen = (Vec<Query>, Option<AccessAsked>);

/// What a search asks for, undecoded.
struct Asked {
    text: String,
    count: u32,
}

impl Asked {
    /// All problems together. A parameter that is not known is refused under any handling: left away it would show more.
    fn read(name: &str, request: &Request<'_>) -> Result<Self, Refusal> {
        let (mut criteria, mut count, mut problems) = (Vec::new(), COUNT_MAX, Vec::new());
        for (raw_name, raw_value) in Target::parse(request.target).raw_parameters() {
            let parameter = decode_component(raw_name).unwrap_or_default();
            let value = decode_component(raw_value);
            match (parameter.as_str(), parameter.split(':').next().unwrap_or_default()) {
                ("_count", _) => match value.and_then(|value| value.parse::<u32>().ok()) {
                    Some(asked) => count = count.min(asked),
                    None => problems.push(Issue::error(IssueCode::Value, "`_count` is a number").about("_count")),
                },
                ("_format", _) if value.as_deref().is_some_and(is_json) => {}
                (_, "_id" | "identifier" | "name") => criteria.push(format!("{raw_name}={raw_value}")),
                (parameter, _) => {
                    let parameter = shown(parameter);
                    let diagnostics = format!(
                        "`{parameter}` is not supported here, or not with this value; supported are `_id`, `identifier`, `name`, `_count` and `_format=json`"
                    );
                    problems.push(Issue::error(IssueCode::NotSupported, diagnostics).about(parameter));
                }
            }
        }
        if problems.is_empty() {
            Ok(Self { text: format!("{name}?{}", criteria.join("&")), count })
        } else {
            Err(Refusal { status: 400, issues: problems, headers: Vec::new() })
        }
    }

    fn queries(&self) -> Result<Vec<Query>, Refusal> {
        let definitions = look_up::definitions();
        let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
        // The grammar is that of a query of one type in 3.0, whatever edition is spoken.
        let parsed = type_filter::parse(&[TypeFilterSource::Post(&self.text)], crate::Edition::Stu3, &definitions);
        let checked = parsed.and_then(|queries| Filter::compile(&queries, &definitions, &context).map(|_| queries));
        checked.map_err(|errors| {
            let issue = |error: &type_filter::TypeFilterError| {
                let parameter = shown(error.parameter().unwrap_or("name"));
                Issue::error(IssueCode::Value, format!("`{parameter}`: {}", error.kind())).about(parameter)
            };
            Refusal { status: 400, issues: errors.iter().map(issue).collect(), headers: Vec::new() }
        })
    }
}

/// `+` may have become a space on the way.
fn is_json(format: &str) -> bool {
    ["json", "application/json", "application/fhir+json", "application/fhir json"].contains(&format)
}

/// Whether a resource that was handed back is one that was asked for and may be seen.
struct Judge<'l> {
    look_up: &'l LookUp,
    filter: Filter,
    accessible: &'l BTreeSet<String>,
    withheld: &'l BTreeSet<String>,
}

impl Judge<'_> {
    fn see(&self, text: &str) -> Option<(String, Box<RawValue>)> {
        // Repeated members are refused: readers disagree on which of them counts.
        let head: Head = serde_json::from_str(text).ok()?;
        let resource = RawValue::from_string(text.trim().to_owned()).ok()?;
        let is_asked = head.resource_type == self.look_up.resource_type.as_str()
            && self.look_up.id.as_ref().is_none_or(|id| *id.expose() == head.id)
            && self.filter.matches(text.as_bytes());
        let is_open = self.look_up.access.is_none() || self.accessible.contains(&head.id);
        let is_withheld = head.meta.security.iter().any(|coding| self.withheld.contains(&coding.label()));
        (is_asked && is_open && !is_withheld).then_some((head.id, resource))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: String,
    id: String,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(default)]
    security: Vec<Coding>,
}

#[derive(Deserialize)]
struct Coding {
    #[serde(default)]
    system: String,
    #[serde(default)]
    code: String,
}

impl Coding {
    fn label(&self) -> String {
        format!("{}|{}", self.system, self.code)
    }
}

/// The answer to a read.
fn one((_, resource): (String, Box<RawValue>)) -> Response {
    if resource.get().len() > ANSWER_BYTES_MAX {
        let diagnostics = format!("the resource is longer than the {ANSWER_BYTES_MAX} bytes that a look-up answers");
        return Refusal::new(400, Issue::error(IssueCode::TooCostly, diagnostics)).into();
    }
    Response::json(200, FHIR_JSON, resource.get().to_owned())
}

/// The answer to a search. There are no further pages: of what is left out it says how much.
fn bundle(entries: &[Entry], total: u64, request: &Sensitive<String>) -> Response {
    let left_out = total.saturating_sub(u64::try_from(entries.len()).unwrap_or(u64::MAX));
    let note = (left_out > 0).then(|| {
        let text = format!("{left_out} more are found and not shown; narrow the search");
        OperationOutcome::new(Issue::warning(IssueCode::TooCostly, text))
    });
    let bundle = Bundle {
        resource_type: "Bundle",
        bundle_type: "searchset",
        total,
        link: [Link { relation: "self", url: request.expose() }],
        entry: entries.iter().map(AnyEntry::Match).chain(note.map(AnyEntry::outcome)).collect(),
    };
    Response::json(200, FHIR_JSON, crate::json::to_string(&bundle))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'b> {
    resource_type: &'static str,
    #[serde(rename = "type")]
    bundle_type: &'static str,
    total: u64,
    link: [Link<'b>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entry: Vec<AnyEntry<'b>>,
}

#[derive(Serialize)]
struct Link<'b> {
    relation: &'static str,
    url: &'b str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AnyEntry<'b> {
    Match(&'b Entry),
    Outcome { resource: OperationOutcome, search: Search },
}

impl AnyEntry<'_> {
    fn outcome(resource: OperationOutcome) -> Self {
        Self::Outcome { resource, search: Search { mode: "outcome" } }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    full_url: String,
    resource: Box<RawValue>,
    search: Search,
}

#[derive(Serialize)]
struct Search {
    mode: &'static str,
}

/// Enough for people to choose from, and more than a page shows.
const COUNT_MAX: u32 = 100;

/// A group of 100,000 members fits.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

//! Parameters resources as bodies of kick-offs.
//!
//! The first byte says the deployment as for requests; the second the operation: `s` at system level, `p` for all patients,
//! `g` for a group, any other byte `$ehi-export`, and in upper case under lenient handling. The body follows.

use std::collections::BTreeMap;

use ehi_core::{
    Edition, Endpoint,
    access::Principal,
    endpoint::Route,
    http::{Request, Response},
    kick_off::KickOff,
};
use serde_json::Value;

use crate::{
    deployment::{bearer, endpoint},
    input::{Input, MARK, edition, is_free_of_mark, percent_encoded},
    request::decided,
    response::{check, issues},
};

/// A body is read or refused, in words that hold nothing of its values; and what it asks for is what the same parameters
/// ask for in a URL.
pub fn parameters(data: &[u8]) {
    if !is_free_of_mark(data) {
        return;
    }
    let mut input = Input::new(data);
    let (options, operation) = (input.byte(), input.byte());
    let is_open = options & 4 == 0;
    let asked = Asked {
        endpoint: endpoint(edition(options), is_open),
        principal: if is_open { Principal::Open } else { bearer(false) },
        path: match operation.to_ascii_lowercase() {
            b's' => "/fhir/$export",
            b'p' => "/fhir/Patient/$export",
            b'g' => "/fhir/Group/g/$export",
            _ => "/fhir/Patient/p1/$ehi-export",
        },
        is_lenient: operation.is_ascii_uppercase(),
    };
    let by_post = asked.kick_off("POST", asked.path, input.rest());
    if let Some(query) = as_query(input.rest()) {
        let target = format!("{}?{query}", asked.path);
        let has_get = asked.endpoint.config().edition != Edition::Stu4Ballot && !asked.path.ends_with("$ehi-export");
        if has_get && target.len() <= TARGET_BYTES_MAX {
            same(&by_post, &asked.kick_off("GET", &target, b""));
        }
    }
    if let Ok(kick_off) = asked.kick_off("POST", asked.path, &mark(input.rest())) {
        decided(asked.endpoint, kick_off, &asked.principal);
    }
}

struct Asked {
    endpoint: &'static Endpoint,
    principal: Principal,
    path: &'static str,
    is_lenient: bool,
}

impl Asked {
    fn kick_off(&self, method: &str, target: &str, body: &[u8]) -> Result<KickOff, Box<Response>> {
        let prefer: &[u8] = if self.is_lenient { b"respond-async, handling=lenient" } else { b"respond-async" };
        let headers: &[(&str, &[u8])] = &[("Prefer", prefer), ("Content-Type", b"application/fhir+json")];
        match self.endpoint.route(&Request { method, target, headers, body }, &self.principal) {
            Route::KickOff(kick_off) => Ok(*kick_off),
            Route::Respond(response) => {
                check(&response);
                assert!(response.status >= 400);
                Err(Box::new(response))
            }
            Route::Job(_) | Route::LookUp(_) => panic!("a kick-off is none"),
        }
    }
}

/// Whether two requests ask for the same, or have the same wrong.
fn same(by_post: &Result<KickOff, Box<Response>>, by_get: &Result<KickOff, Box<Response>>) {
    match (by_post, by_get) {
        (Ok(by_post), Ok(by_get)) => {
            // What is said of a query says where in it, which an encoding moves.
            let bare = |kick_off: &KickOff| KickOff { request: String::new(), notices: Vec::new(), ..kick_off.clone() };
            assert_eq!(bare(by_post), bare(by_get));
            assert_eq!(by_post.notices.len(), by_get.notices.len());
        }
        (Err(by_post), Err(by_get)) => {
            assert_eq!((by_post.status, issues(by_post)), (by_get.status, issues(by_get)));
        }
        (by_post, by_get) => panic!("POST: {by_post:?}, GET: {by_get:?}"),
    }
}

/// The parameters of a body as a query, if each has one text of the type that it must have.
fn as_query(body: &[u8]) -> Option<String> {
    let body: BTreeMap<String, Value> = serde_json::from_slice(body).ok()?;
    body.get("resourceType").filter(|name| *name == "Parameters")?;
    let Value::Array(entries) = body.get("parameter")? else { return None };
    let pairs = entries.iter().map(|entry| {
        let entry = entry.as_object().filter(|entry| entry.len() == 2)?;
        let name = entry.get("name")?.as_str()?;
        let (_, member) = MEMBERS.iter().find(|(known, _)| *known == name)?;
        let value = entry.get(*member)?.as_str()?;
        // A comma may stand between queries, and is told from one that does not by its encoding.
        Some(format!("{}={}", percent_encoded(name, b"_"), percent_encoded(value, b",")))
    });
    Some(pairs.collect::<Option<Vec<_>>>()?.join("&"))
}

/// The body with marks in all texts that may be a patient's; one that is no Parameters resource gets one at its end.
///
/// Names are shown where they are wrong: those of parameters, and those that `_type`, `_typeFilter` and such consist of.
pub(crate) fn mark(body: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut resource)) = serde_json::from_slice::<Value>(body) else {
        return if body.is_empty() { Vec::new() } else { [body, MARK.as_bytes()].concat() };
    };
    for (member, value) in &mut resource {
        match (member.as_str(), value) {
            ("resourceType", _) => {}
            ("parameter", Value::Array(entries)) => entries.iter_mut().for_each(mark_entry),
            (_, value) => mark_texts(value),
        }
    }
    Value::Object(resource).to_string().into_bytes()
}

fn mark_entry(entry: &mut Value) {
    let is_of_names = entry["name"].as_str().is_some_and(|name| OF_NAMES.contains(&name));
    match entry {
        Value::Object(members) => {
            let marked = members.iter_mut().filter(|(member, _)| *member != "name" && !is_of_names);
            marked.for_each(|(_, value)| mark_texts(value));
        }
        value => mark_texts(value),
    }
}

fn mark_texts(value: &mut Value) {
    match value {
        Value::String(text) => text.push_str(MARK),
        Value::Array(items) => items.iter_mut().for_each(mark_texts),
        Value::Object(members) => members.values_mut().for_each(mark_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Parameters whose values are names of what the server has.
const OF_NAMES: [&str; 4] = ["_type", "_typeFilter", "_elements", "includeAssociatedData"];

/// The member that carries each parameter, by the guide.
const MEMBERS: [(&str, &str); 9] = [
    ("_outputFormat", "valueString"),
    ("_since", "valueInstant"),
    ("_until", "valueInstant"),
    ("_type", "valueString"),
    ("_typeFilter", "valueString"),
    ("_elements", "valueString"),
    ("includeAssociatedData", "valueCode"),
    ("organizeOutputBy", "valueString"),
    ("charts", "valueString"),
];

/// A longer target is refused for its length.
const TARGET_BYTES_MAX: usize = 32 * 1024;

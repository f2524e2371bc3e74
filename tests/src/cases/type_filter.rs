//! The examples of `tests/type-filter/cases.ndjson` as conformance cases: what each query means is so asked of every
//! face, over its own kick-off and its own writer.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::Case;

/// One case for each example.
pub fn type_filter() -> Result<Vec<Case>> {
    // An endpoint has an https address, or is on loopback.
    let examples = EXAMPLES.replace("http://example.org/fhir", BASE);
    examples.lines().map(|line| case(line).with_context(|| format!("no example: {line}"))).collect()
}

/// A query, a resource, and what becomes of them.
#[derive(Deserialize)]
struct Example<'a> {
    id: &'a str,
    query: String,
    #[serde(borrow)]
    resource: &'a RawValue,
    expect: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: String,
    id: Option<String>,
}

fn case(line: &str) -> Result<Case> {
    let Example { id, query, resource, expect } = serde_json::from_str(line)?;
    let head: Head = serde_json::from_str(resource.get())?;
    let (resource_type, _) = query.split_once('?').unwrap_or((&query, ""));
    let mut parameters = vec![json!({"name": "_typeFilter", "valueString": query})];
    // Without it, what is of another type than the query would be exported whole.
    if resource_type.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        parameters.push(json!({"name": "_type", "valueString": resource_type}));
    }
    let kick_off = |status: u16| {
        json!({
            "request": {
                "method": "POST",
                "target": "/fhir/$export",
                "headers": { "content-type": "application/fhir+json" },
                "body": { "resourceType": "Parameters", "parameter": parameters },
            },
            "expect": { "status": status },
        })
    };
    let export = |files| json!({ "export": {}, "expect": { "files": files } });
    let steps = match expect {
        "error" => vec![kick_off(400)],
        "no" => vec![kick_off(202), export(json!({}))],
        "yes" => vec![kick_off(202), export(json!({ format!("{}-0001.ndjson", head.resource_type): ["@a.ndjson:1"] }))],
        other => bail!("`{other}` is none of yes, no and error"),
    };
    let case = json!({
        "about": format!("{query}: {expect}"),
        "config": { "baseUrl": BASE, "auth": "none" },
        "now": NOW,
        "sources": { "a.ndjson": [identified(resource.get(), &head)] },
        "steps": steps,
    });
    Case::parse(&format!("_typeFilter {id}"), &case.to_string())
}

/// The resource as it stands, byte for byte, with an id: what has none is not exported.
fn identified(resource: &str, head: &Head) -> String {
    match (&head.id, resource.split_once('{')) {
        (None, Some((_, members))) => format!(r#"{{"id":"x",{members}"#),
        _ => resource.to_owned(),
    }
}

const EXAMPLES: &str = include_str!("../../type-filter/cases.ndjson");

const BASE: &str = "https://example.org/fhir";

/// 2024-01-01T00:00:00Z, as docs/type-filter.md says.
const NOW: i64 = 1_704_067_200_000;

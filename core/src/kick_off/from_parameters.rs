//! POST: parameters from a FHIR Parameters resource (BD-KICK-06, BD-KICK-20).

use serde_json::{Map, Value};

use super::{
    associated,
    from_query::shown,
    parameter,
    parse::{Given, Reader},
};
use crate::outcome::{Issue, IssueCode};

/// Reads the body of a POST kick-off. An empty body asks for nothing in particular.
pub(super) fn given(body: &[u8], reader: &mut Reader<'_>) -> Vec<Given<'static>> {
    if body.trim_ascii().is_empty() {
        return Vec::new();
    }
    let parameters = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) if object.get("resourceType").is_some_and(|t| t == "Parameters") => object,
        Ok(_) => return refuse(reader, "the body is not a Parameters resource"),
        Err(error) => {
            let place = format!("the body is not JSON: line {}, column {}", error.line(), error.column());
            return refuse(reader, &place);
        }
    };
    match parameters.get("parameter") {
        None => Vec::new(),
        Some(Value::Array(entries)) => {
            entries.iter().enumerate().filter_map(|(index, entry)| one(index, entry, reader)).collect()
        }
        Some(_) => refuse(reader, "`Parameters.parameter` is not an array"),
    }
}

fn refuse<T>(reader: &mut Reader<'_>, diagnostics: &str) -> Vec<T> {
    reader.problem(Issue::error(IssueCode::Structure, diagnostics));
    Vec::new()
}

fn one(index: usize, entry: &Value, reader: &mut Reader<'_>) -> Option<Given<'static>> {
    let place = format!("Parameters.parameter[{index}]");
    let Some((name, entry)) = entry.as_object().and_then(|entry| Some((entry.get("name")?.as_str()?, entry))) else {
        reader.problem(Issue::error(IssueCode::Structure, format!("`{place}` has no name")).about(place));
        return None;
    };
    let allowed = parameter::find(name).map_or(&[][..], |parameter| parameter.values);
    let read = if reader.vendor_parameter(name).is_some() { primitive(entry) } else { value(entry, allowed) };
    let allowed = if reader.vendor_parameter(name).is_some() { &["value[x] of a primitive type"] } else { allowed };
    match read {
        Ok(text) => Some(Given { name: name.to_owned(), text, raw: None, index: Some(index) }),
        Err(()) => {
            let expected = allowed.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ");
            let diagnostics = format!("`{}` must be given as one {expected}", shown(name));
            reader.problem(Issue::error(IssueCode::Value, diagnostics).about(shown(name)));
            None
        }
    }
}

/// The text of a value of any primitive type: what a deployment's own parameter means is for the deployment to know.
fn primitive(entry: &Map<String, Value>) -> Result<String, ()> {
    let mut values = entry.iter().filter(|(member, _)| member.starts_with("value"));
    match (values.next(), values.next()) {
        (Some((_, Value::String(text))), None) => Ok(text.clone()),
        (Some((_, Value::Bool(value))), None) => Ok(value.to_string()),
        (Some((_, Value::Number(number))), None) => Ok(number.to_string()),
        _ => Err(()),
    }
}

/// The text of the entry's value, if it has exactly one and of an allowed type. A parameter that we do not know may
/// carry anything: it is refused or reported by name.
fn value(entry: &Map<String, Value>, allowed: &[&str]) -> Result<String, ()> {
    if allowed.is_empty() {
        return Ok(String::new());
    }
    let mut values = entry.iter().filter(|(member, _)| *member != "name" && !member.starts_with("id"));
    match (values.next(), values.next()) {
        (Some((member, Value::String(text))), None)
            if TEXTS.contains(&member.as_str()) && allowed.contains(&member.as_str()) =>
        {
            Ok(text.clone())
        }
        (Some((member, Value::Object(coding))), None)
            if member == "valueCoding" && allowed.contains(&member.as_str()) =>
        {
            associated::code(coding).ok_or(())
        }
        // A reference by identifier alone has no text, and names nothing that can be looked up.
        (Some((member, Value::Object(reference))), None)
            if member == "valueReference" && allowed.contains(&member.as_str()) =>
        {
            Ok(reference.get("reference").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        (Some((member, Value::Bool(truth))), None)
            if member == "valueBoolean" && allowed.contains(&member.as_str()) =>
        {
            Ok(truth.to_string())
        }
        (Some((member, Value::Number(number))), None)
            if member == "valuePositiveInt" && allowed.contains(&member.as_str()) =>
        {
            Ok(number.to_string())
        }
        _ => Err(()),
    }
}

/// Types whose values are JSON strings.
const TEXTS: [&str; 3] = ["valueCode", "valueInstant", "valueString"];

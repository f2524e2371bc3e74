//! What a case expects, held against what came.

use std::{borrow::Cow, collections::BTreeMap};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    format::{Answer, Case, Published},
    lines::Text,
    play::Reply,
};

/// Holds a response against what was expected of it. `fill` puts in what the case could not know.
pub(super) fn answer(case: &Case, expected: &Answer, reply: &Reply, fill: impl Fn(&str) -> String) -> Result<()> {
    let body = String::from_utf8_lossy(&reply.body);
    ensure!(reply.status == expected.status, "status {}, not {}: {body}", reply.status, expected.status);
    for (name, value) in &expected.headers {
        let found = reply.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let value = value.as_deref().map(&fill);
        ensure!(found == value.as_deref(), "header `{name}` is {found:?}, not {value:?}");
    }
    if let Some(wanted) = &expected.body {
        let found: Value = serde_json::from_str(&body).with_context(|| format!("the body is not JSON: {body}"))?;
        has(&found, wanted, &fill).with_context(|| format!("the body is {found:#}"))?;
    }
    if let Some(wanted) = &expected.text {
        ensure!(*body == fill(wanted), "the body is {body:?}, not {wanted:?}");
    }
    match &expected.lines {
        Some(wanted) => same_lines(case, &reply.body, wanted),
        None => Ok(()),
    }
}

/// Holds the published files of a job against those that were expected.
pub(super) fn files(case: &Case, expected: &Published, files: &BTreeMap<&str, Cow<'_, [u8]>>) -> Result<()> {
    let names = |names: Vec<&str>| names.join(", ");
    ensure!(
        files.keys().copied().eq(expected.files.keys().map(String::as_str)),
        "published are {}, not {}",
        names(files.keys().copied().collect()),
        names(expected.files.keys().map(String::as_str).collect())
    );
    for (name, wanted) in &expected.files {
        let found = files.get(name.as_str()).map(AsRef::as_ref).unwrap_or_default();
        same_lines(case, found, wanted).with_context(|| format!("in {name}"))?;
    }
    Ok(())
}

/// Whether `found` has what `wanted` says: of an object those members, of an array each item or with `{"$some": …}` one
/// such item, of a text with `{"$contains": "…"}` that part, of anything else itself.
pub(super) fn has(found: &Value, wanted: &Value, fill: &impl Fn(&str) -> String) -> Result<()> {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            for (name, wanted) in wanted {
                let found = found.get(name).unwrap_or(&Value::Null);
                has(found, wanted, fill).with_context(|| format!("in `{name}`"))?;
            }
        }
        (Value::Array(found), Value::Object(wanted)) => match wanted.get("$some") {
            Some(wanted) => {
                let some = found.iter().any(|found| has(found, wanted, fill).is_ok());
                ensure!(some, "no item has {wanted}");
            }
            None => bail!("an array, not an object"),
        },
        (Value::Array(found), Value::Array(wanted)) => {
            ensure!(found.len() == wanted.len(), "{} items, not {}", found.len(), wanted.len());
            for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                has(found, wanted, fill).with_context(|| format!("in item {index}"))?;
            }
        }
        (Value::String(found), Value::Object(wanted)) => match wanted.get("$contains").and_then(Value::as_str) {
            Some(part) if wanted.len() == 1 => {
                ensure!(found.contains(&fill(part)), "{found:?} does not contain {part:?}")
            }
            _ => bail!("{found:?} is no object"),
        },
        (Value::String(found), Value::String(wanted)) => ensure!(*found == fill(wanted), "{found:?}, not {wanted:?}"),
        (found, wanted) => ensure!(found == wanted, "{found}, not {wanted}"),
    }
    Ok(())
}

fn same_lines(case: &Case, found: &[u8], wanted: &[Text]) -> Result<()> {
    let mut bytes = Vec::new();
    for line in wanted {
        bytes.extend_from_slice(line.resolve(|name| case.sources.get(name))?);
        bytes.push(b'\n');
    }
    let show = String::from_utf8_lossy;
    ensure!(found == bytes, "lines are\n{}not\n{}", show(found), show(&bytes));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_is_enough_and_an_item_more_is_not() {
        let has = |found: Value, wanted: Value| has(&found, &wanted, &|text: &str| text.replace("{job}", "/j")).is_ok();
        assert!(has(json!({"a": 1, "b": [{"c": "xyz", "d": 2}]}), json!({"b": [{"c": {"$contains": "y"}}]})));
        assert!(has(json!({"a": "at /j"}), json!({"a": "at {job}"})));
        assert!(has(json!({}), json!({"a": null})));
        assert!(has(json!([{"a": 1}, {"b": 2, "c": 3}]), json!({"$some": {"b": 2}})));
        for (found, wanted) in [
            (json!({"a": 1}), json!({"a": 2})),
            (json!({"a": 1}), json!({"a": null})),
            (json!({}), json!({"a": 1})),
            (json!([1, 2]), json!([1])),
            (json!([1, 2]), json!({"$some": 3})),
            (json!([1, 2]), json!({})),
            (json!("xyz"), json!({"$contains": "a"})),
            (json!("xyz"), json!({"x": "yz"})),
            (json!("1"), json!(1)),
        ] {
            assert!(!has(found.clone(), wanted.clone()), "{found} has {wanted}");
        }
    }
}

//! A Binary as a DocumentReference. What it takes over, it takes byte for byte.

use super::{SecurityContext, is_id};
use crate::{
    json::{Element, LineError},
    writer::{Digester, walk::root_text},
};

/// Appends the document made of a Binary, one line of JSON. An error if a part of it stands there twice: then readers
/// disagree what it is.
pub(super) fn write(line: &[u8], context: &SecurityContext<'_>, out: &mut Vec<u8>) -> Result<(), LineError> {
    let mut parts: [Option<Element<'_>>; PARTS.len()] = [None; PARTS.len()];
    for (name, value) in Element::new(line.trim_ascii()).members() {
        for (part, own) in parts.iter_mut().zip(PARTS).filter(|(_, own)| name.is(own)) {
            if part.replace(value).is_some() {
                return Err(LineError::Repeated(own.into()));
            }
        }
    }
    let [security_context, meta, rules, rules_more, language, language_more, media_type, media_type_more, data, more] =
        parts;
    let id = root_text(line, "id").ok_or(LineError::Missing("id"))?;
    let mut write = Parts { out };
    write.text(r#"{"resourceType":"DocumentReference","id":""#);
    write.text(&document_id(&id));
    write.text("\"");
    if let Some(meta) = meta {
        write.meta(meta);
    }
    write.member("implicitRules", rules);
    write.member("_implicitRules", rules_more);
    write.member("language", language);
    write.member("_language", language_more);
    write.text(r#","status":"current""#);
    match context {
        SecurityContext::Patient(_) => write.member("subject", security_context),
        SecurityContext::Resource(_) | SecurityContext::Elsewhere => {
            write.text(r#","context":{"related":["#);
            write.element(security_context);
            write.text("]}");
        }
        SecurityContext::Nobody => {}
    }
    write.text(r#","content":[{"attachment":{"#);
    match media_type {
        Some(media_type) => {
            write.text(r#""contentType":"#);
            write.element(Some(media_type));
        }
        // Data must not be without one. That bytes are bytes is always true.
        None => write.text(r#""contentType":"application/octet-stream""#),
    }
    write.member("_contentType", media_type_more);
    write.member("data", data);
    write.member("_data", more);
    write.text("}}]}");
    Ok(())
}

/// The id of the document: `binary-` and that of the Binary, or what stands for that where it would be too long. So it is
/// always the same, and not that of a DocumentReference that goes by the Binary's id.
pub(in crate::writer) fn document_id(id: &str) -> String {
    let readable = format!("binary-{id}");
    if is_id(&readable) {
        return readable;
    }
    let mut digester = Digester::default();
    digester.update(id.as_bytes());
    let digest = digester.finish();
    format!("binary-{}", digest.get(..ID_BYTES_MAX - "binary-".len()).unwrap_or(&digest))
}

/// Parts of a resource, one after another.
struct Parts<'o> {
    out: &'o mut Vec<u8>,
}

impl Parts<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn element(&mut self, element: Option<Element<'_>>) {
        self.out.extend_from_slice(element.map(Element::text).unwrap_or_default());
    }

    /// A member that follows others, if it is there.
    fn member(&mut self, name: &str, element: Option<Element<'_>>) {
        if element.is_some() {
            self.text(&format!(r#","{name}":"#));
            self.element(element);
        }
    }

    /// All of `meta` but the profiles, which are those of a Binary.
    fn meta(&mut self, meta: Element<'_>) {
        if !meta.members().any(|(name, _)| is_profile(name)) {
            return self.member("meta", Some(meta));
        }
        self.text(r#","meta":{"#);
        for (index, (name, value)) in meta.members().filter(|(name, _)| !is_profile(*name)).enumerate() {
            self.text(if index > 0 { ",\"" } else { "\"" });
            self.out.extend_from_slice(name.text());
            self.text("\":");
            self.element(Some(value));
        }
        self.text("}");
    }
}

fn is_profile(name: crate::json::Name<'_>) -> bool {
    name.is("profile") || name.is("_profile")
}

/// What a document takes over of a Binary.
const PARTS: [&str; 10] = [
    "securityContext",
    "meta",
    "implicitRules",
    "_implicitRules",
    "language",
    "_language",
    "contentType",
    "_contentType",
    "data",
    "_data",
];

const ID_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(line: &str) -> Result<(String, Value), LineError> {
        let mut out = Vec::new();
        write(line.as_bytes(), &SecurityContext::Patient(None), &mut out)?;
        let text = String::from_utf8(out).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        Ok((text, value))
    }

    #[test]
    fn what_a_binary_says_its_document_says_too() {
        let line = r#" {"data": "QUJD\n","id":"b1", "contentType":"text\/plain","resourceType":"Binary","language":"de",
            "securityContext":{"reference":"Patient/p1","display":"X"},
            "meta":{"profile":["http://p"],"lastUpdated":"2020-01-01T00:00:00Z" ,"security":[{"code":"R"}]}} "#;
        let (text, value) = document(line).unwrap();
        let expected = json!({
            "resourceType": "DocumentReference",
            "id": "binary-b1",
            "meta": { "lastUpdated": "2020-01-01T00:00:00Z", "security": [{ "code": "R" }] },
            "language": "de",
            "status": "current",
            "subject": { "reference": "Patient/p1", "display": "X" },
            "content": [{ "attachment": { "contentType": "text/plain", "data": "QUJD\n" } }],
        });
        assert_eq!(value, expected);
        assert!(text.contains(r#""data":"QUJD\n""#) && text.contains(r#""text\/plain""#), "byte for byte");
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        let (_, value) = document(r#"{"resourceType":"Binary","id":"b","securityContext":{},"_data":{}}"#).unwrap();
        let attachment = json!({ "contentType": "application/octet-stream", "_data": {} });
        assert_eq!(value["content"], json!([{ "attachment": attachment }]));
        assert!(value.get("meta").is_none());
        let (_, value) = document(r#"{"id":"b","meta":{"profile":[]}}"#).unwrap();
        assert_eq!(value["meta"], json!({}));
    }

    #[test]
    fn a_binary_that_says_two_things_is_refused() {
        let twice =
            r#"{"id":"b","securityContext":{"reference":"Patient/1"},"securityContext":{"reference":"Patient/2"}}"#;
        assert_eq!(document(twice).unwrap_err(), LineError::Repeated("securityContext".into()));
        let escaped = r#"{"id":"b","data":"","d\u0061ta":"QQ=="}"#;
        assert_eq!(document(escaped).unwrap_err(), LineError::Repeated("data".into()));
    }

    #[test]
    fn ids_stay_apart_and_short() {
        assert_eq!(document_id("1"), "binary-1");
        let (long, other) = ("a".repeat(64), "a".repeat(63));
        assert_eq!(document_id(&long).len(), 64);
        assert!(is_id(&document_id(&long)) && document_id(&long) != document_id(&other));
        assert_eq!(document_id(&"a".repeat(57)), format!("binary-{}", "a".repeat(57)));
    }
}

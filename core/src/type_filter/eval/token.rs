//! Which: codes and identifiers.

use super::object::Object;
use crate::{
    json::string_of,
    search::Node,
    type_filter::value::{OfType, StringTest, TokenTest, same_code},
};

pub(super) fn matches(test: &TokenTest, node: Node<'_>) -> bool {
    let object = || Object::of(node.raw);
    match node.kind {
        "CodeableConcept" => {
            object().is_some_and(|concept| concept.objects("coding").any(|coding| is_meant(test, &coding, "code")))
        }
        "Coding" => object().is_some_and(|coding| is_meant(test, &coding, "code")),
        "Identifier" => object().is_some_and(|identifier| is_meant(test, &identifier, "value")),
        "ContactPoint" => {
            object().is_some_and(|contact| contact.text("value").is_some_and(|value| test.matches(None, Some(&value))))
        }
        "boolean" | "integer" => test.matches(None, Some(node.raw.get())),
        "code" => string_of(node.raw).is_some_and(|code| test.matches_bound(&code)),
        "canonical" | "id" | "oid" | "uri" | "url" | "uuid" => {
            string_of(node.raw).is_some_and(|text| test.matches_exactly(&text))
        }
        _ => string_of(node.raw).is_some_and(|text| test.matches(None, Some(&text))),
    }
}

/// `:of-type`
pub(super) fn matches_of_type(test: &OfType, node: Node<'_>) -> bool {
    let Some(identifier) = Object::of(node.raw).filter(|_| node.kind == "Identifier") else { return false };
    let has_value = identifier.text("value").is_some_and(|value| same_code(&test.value, &value));
    let has_type = |coding: Object<'_>| {
        coding.text("system").is_some_and(|system| system == test.system)
            && coding.text("code").is_some_and(|code| same_code(&test.code, &code))
    };
    has_value && identifier.object("type").is_some_and(|concept| concept.objects("coding").any(has_type))
}

/// `:text`
pub(super) fn matches_text(test: &StringTest, node: Node<'_>) -> bool {
    let has = |element: &Object<'_>, name| element.text(name).is_some_and(|text| test.matches(&text));
    let Some(element) = Object::of(node.raw) else { return false };
    match node.kind {
        "CodeableConcept" => has(&element, "text") || element.objects("coding").any(|coding| has(&coding, "display")),
        "Coding" => has(&element, "display"),
        "Identifier" => element.object("type").is_some_and(|concept| has(&concept, "text")),
        _ => false,
    }
}

/// System and code from one and the same element.
pub(super) fn is_meant(test: &TokenTest, element: &Object<'_>, code: &str) -> bool {
    test.matches(element.text("system").as_deref(), element.text(code).as_deref())
}

//! Which: codes and identifiers.

use super::object::Object;
use crate::{
    search::Node,
    type_filter::value::{FoundText, FoundToken, OfType, code_of_value_set, is_coded, same_code},
};

/// The tokens of an element, until `look` says that it has seen enough; whether it did.
pub(in crate::type_filter) fn visit(node: Node<'_, '_>, mut look: impl FnMut(&FoundToken<'_>) -> bool) -> bool {
    let object = || Object::of(node.element);
    let text = || node.element.string();
    match node.kind {
        "CodeableConcept" => {
            object().is_some_and(|concept| concept.objects("coding").any(|coding| look_at(coding, "code", &mut look)))
        }
        "Coding" => object().is_some_and(|coding| look_at(coding, "code", look)),
        "Identifier" => object().is_some_and(|identifier| look_at(identifier, "value", look)),
        "ContactPoint" => object().and_then(|contact| contact.text("value")).is_some_and(|value| look(&alone(&value))),
        "boolean" | "integer" => node.element.scalar().is_some_and(|literal| look(&alone(literal))),
        "code" => text().is_some_and(|code| look(&FoundToken::Bound(&code))),
        "canonical" | "id" | "oid" | "uri" | "url" | "uuid" => {
            text().is_some_and(|text| look(&FoundToken::Exact(&text)))
        }
        _ => text().is_some_and(|text| look(&alone(&text))),
    }
}

/// `:in`: the codes of an element as the expansion of a ValueSet writes them, until `look` says that it has seen enough;
/// whether it did.
pub(in crate::type_filter) fn visit_codes(node: Node<'_, '_>, mut look: impl FnMut(&str) -> bool) -> bool {
    is_coded(node.kind) && visit(node, |found| code_of_value_set(found).is_some_and(|code| look(&code)))
}

/// `:of-type`
pub(in crate::type_filter) fn matches_of_type(test: &OfType, node: Node<'_, '_>) -> bool {
    let Some(identifier) = Object::of(node.element).filter(|_| node.kind == "Identifier") else { return false };
    let has_value = identifier.text("value").is_some_and(|value| same_code(&test.value, &value));
    let has_type = |coding: Object<'_>| {
        let (system, code) = coding.two_texts("system", "code");
        system.is_some_and(|system| system == test.system) && code.is_some_and(|code| same_code(&test.code, &code))
    };
    has_value && identifier.object("type").is_some_and(|concept| concept.objects("coding").any(has_type))
}

/// What people read of a token (`:text`), until `look` says that it has seen enough; whether it did.
pub(in crate::type_filter) fn visit_labels(node: Node<'_, '_>, mut look: impl FnMut(&FoundText<'_>) -> bool) -> bool {
    let mut has = |element: Object<'_>, name| element.text(name).is_some_and(|text| look(&FoundText::new(&text)));
    let Some(element) = Object::of(node.element) else { return false };
    match node.kind {
        "CodeableConcept" => has(element, "text") || element.objects("coding").any(|coding| has(coding, "display")),
        "Coding" => has(element, "display"),
        "Identifier" => element.object("type").is_some_and(|concept| has(concept, "text")),
        _ => false,
    }
}

/// A code that has no system.
fn alone(code: &str) -> FoundToken<'_> {
    FoundToken::Coded { system: None, code: Some(code) }
}

/// System and code from one and the same element.
pub(super) fn look_at(element: Object<'_>, code: &str, look: impl FnOnce(&FoundToken<'_>) -> bool) -> bool {
    let (system, code) = element.two_texts("system", code);
    look(&FoundToken::Coded { system: system.as_deref(), code: code.as_deref() })
}

//! Words: texts, names and addresses.

use std::borrow::Cow;

use super::object::Object;
use crate::{json::string_of, search::Node, type_filter::value::StringTest};

pub(super) fn matches(test: &StringTest, node: Node<'_>) -> bool {
    match node.kind {
        "HumanName" => Object::of(node.raw).is_some_and(|name| {
            let mut family = name.text("family").into_iter();
            family.any(|text| test.matches_name(&text)) || any_text(test, &name, &NAME_PARTS)
        }),
        "Address" => Object::of(node.raw).is_some_and(|address| any_text(test, &address, &ADDRESS_PARTS)),
        _ => string_of(node.raw).is_some_and(|text| test.matches(&text)),
    }
}

/// A family name, whose parts count each.
pub(super) fn matches_name(test: &StringTest, node: Node<'_>) -> bool {
    string_of(node.raw).is_some_and(|text| test.matches_name(&text))
}

fn any_text(test: &StringTest, element: &Object<'_>, parts: &[&str]) -> bool {
    parts.iter().flat_map(|part| element.texts(part)).any(|text: Cow<'_, str>| test.matches(&text))
}

/// The parts of a HumanName that are searched, besides `family`; `use` and `period` are not.
const NAME_PARTS: [&str; 4] = ["given", "prefix", "suffix", "text"];

/// The parts of an Address that are searched; `use`, `type` and `period` are not.
const ADDRESS_PARTS: [&str; 7] = ["line", "city", "district", "state", "postalCode", "country", "text"];

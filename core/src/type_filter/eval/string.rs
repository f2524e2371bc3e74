//! Words: texts, names and addresses.

use super::object::Object;
use crate::{search::Node, type_filter::value::FoundText};

/// The texts of an element, until `look` says that it has seen enough; whether it did.
pub(in crate::type_filter) fn visit(node: Node<'_, '_>, mut look: impl FnMut(&FoundText<'_>) -> bool) -> bool {
    match node.kind {
        "HumanName" => Object::of(node.element).is_some_and(|name| {
            let family = name.text("family");
            family.is_some_and(|text| FoundText::of_name(&text).any(|found| look(&found)))
                || any_text(name, &NAME_PARTS, look)
        }),
        "Address" => Object::of(node.element).is_some_and(|address| any_text(address, &ADDRESS_PARTS, look)),
        _ => node.element.string().is_some_and(|text| look(&FoundText::new(&text))),
    }
}

/// A family name, whose parts count each.
pub(in crate::type_filter) fn visit_names(node: Node<'_, '_>, mut look: impl FnMut(&FoundText<'_>) -> bool) -> bool {
    node.element.string().is_some_and(|text| FoundText::of_name(&text).any(|found| look(&found)))
}

fn any_text(element: Object<'_>, parts: &[&str], mut look: impl FnMut(&FoundText<'_>) -> bool) -> bool {
    parts.iter().flat_map(|part| element.texts(part)).any(|text| look(&FoundText::new(&text)))
}

/// The parts of a HumanName that are searched, besides `family`; `use` and `period` are not.
const NAME_PARTS: [&str; 4] = ["given", "prefix", "suffix", "text"];

/// The parts of an Address that are searched; `use`, `type` and `period` are not.
const ADDRESS_PARTS: [&str; 7] = ["line", "city", "district", "state", "postalCode", "country", "text"];

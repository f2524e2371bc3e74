//! Exact evaluation of one parsed value on what a search parameter finds in a resource.
//!
//! All of it works on slices of JSON text. What has not the JSON shape that its FHIR type prescribes is no value.

mod composite;
mod date;
mod object;
mod quantity;
mod reference;
mod string;
mod token;
mod uri;

use super::program::Matcher;
use crate::search::Node;

pub(super) use composite::matches as matches_composite;

/// Whether the value of a resource is what one alternative of a criterion asks for.
pub(super) fn matches(matcher: &Matcher<'_>, node: Node<'_>, base_url: &str) -> bool {
    match matcher {
        Matcher::Date(test) => date::interval(node).is_some_and(|interval| test.matches(interval)),
        Matcher::Number(test) => quantity::matches_number(test, node),
        Matcher::Quantity(test) => quantity::matches(test, node),
        Matcher::Name(test) => string::matches_name(test, node),
        Matcher::String(test) => string::matches(test, node),
        Matcher::Token(test) => token::matches(test, node),
        Matcher::TokenOfType(test) => token::matches_of_type(test, node),
        Matcher::TokenText(test) => token::matches_text(test, node),
        Matcher::Reference(test) => reference::matches(test, node, base_url),
        Matcher::ReferenceIdentifier(test) => reference::matches_identifier(test, node),
        Matcher::Uri(test) => uri::matches(test, node),
        // Decided on the resource, not on one of its values.
        Matcher::Composite(_) | Matcher::Id(_) => false,
    }
}

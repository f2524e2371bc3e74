//! Reading what a search parameter finds in a resource, exactly, for the tests that compare it.
//!
//! All of it works on slices of JSON text. What has not the JSON shape that its FHIR type prescribes is no value.

mod date;
mod object;
mod quantity;
mod reference;
mod string;
mod token;

pub(super) use date::interval;
pub(super) use quantity::{matches as matches_quantity, matches_number};
pub(super) use reference::{visit as visit_references, visit_identifiers, visit_resources};
pub(super) use string::{visit as visit_texts, visit_names};
pub(super) use token::{matches_of_type, visit as visit_tokens, visit_codes, visit_labels};

use super::value::FoundUri;
use crate::search::Node;

/// The URI that an element is, until `look` says that it has seen enough; whether it did.
pub(super) fn visit_uris(node: Node<'_, '_>, look: impl FnOnce(&FoundUri<'_>) -> bool) -> bool {
    let Some(uri) = node.element.string() else { return false };
    look(&if node.kind == "canonical" { FoundUri::Canonical(&uri) } else { FoundUri::Plain(&uri) })
}

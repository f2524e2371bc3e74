//! Whither: references and canonical URLs.

use super::{object::Object, token};
use crate::{
    json::string_of,
    search::Node,
    type_filter::value::{ReferenceTest, TokenTest},
};

pub(super) fn matches(test: &ReferenceTest, node: Node<'_>, base_url: &str) -> bool {
    match node.kind {
        "Reference" => Object::of(node.raw)
            .and_then(|reference| reference.text("reference"))
            .is_some_and(|text| test.matches(&text, base_url)),
        "canonical" | "uri" | "url" => {
            string_of(node.raw).is_some_and(|canonical| test.matches_canonical(&canonical, base_url))
        }
        "Resource" => Object::of(node.raw).is_some_and(|resource| refers_to(test, &resource, base_url)),
        _ => false,
    }
}

/// A Bundle holds the resource itself where others refer to it.
fn refers_to(test: &ReferenceTest, resource: &Object<'_>, base_url: &str) -> bool {
    let (Some(name), Some(id)) = (resource.text("resourceType"), resource.text("id")) else { return false };
    test.matches(&format!("{name}/{id}"), base_url)
}

/// `:identifier`
pub(super) fn matches_identifier(test: &TokenTest, node: Node<'_>) -> bool {
    let identifier = || Object::of(node.raw)?.object("identifier");
    node.kind == "Reference" && identifier().is_some_and(|identifier| token::is_meant(test, &identifier, "value"))
}

//! Whither: references and canonical URLs.

use super::{object::Object, token};
use crate::{
    search::Node,
    type_filter::value::{FoundReference, FoundToken},
};

/// The reference that an element makes, until `look` says that it has seen enough; whether it did.
pub(in crate::type_filter) fn visit(
    node: Node<'_, '_>,
    base_url: &str,
    look: impl FnOnce(&FoundReference<'_>) -> bool,
) -> bool {
    match node.kind {
        "Reference" => Object::of(node.element)
            .and_then(|reference| reference.text("reference"))
            .is_some_and(|text| look(&FoundReference::new(&text, base_url))),
        "canonical" | "uri" | "url" => {
            node.element.string().is_some_and(|canonical| look(&FoundReference::canonical(&canonical, base_url)))
        }
        "Resource" => Object::of(node.element)
            .and_then(own_reference)
            .is_some_and(|reference| look(&FoundReference::new(&reference, base_url))),
        _ => false,
    }
}

/// `Type/id` of the resource of this server to which an element refers, until `look` says that it has seen enough; whether
/// it did. What a Bundle holds is no resource of this server, and a canonical is no reference to one.
pub(in crate::type_filter) fn visit_resources(
    node: Node<'_, '_>,
    base_url: &str,
    look: impl FnOnce(&str) -> bool,
) -> bool {
    node.kind == "Reference" && visit(node, base_url, |found| found.resource().is_some_and(look))
}

/// A Bundle holds the resource itself where others refer to it.
fn own_reference(resource: Object<'_>) -> Option<String> {
    let (name, id) = resource.two_texts("resourceType", "id");
    Some(format!("{}/{}", name?, id?))
}

/// `:identifier`
pub(in crate::type_filter) fn visit_identifiers(
    node: Node<'_, '_>,
    look: impl FnOnce(&FoundToken<'_>) -> bool,
) -> bool {
    let reference = Object::of(node.element).filter(|_| node.kind == "Reference");
    let identifier = reference.and_then(|reference| reference.object("identifier"));
    identifier.is_some_and(|identifier| token::look_at(identifier, "value", look))
}

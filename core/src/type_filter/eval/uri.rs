//! Where: URIs.

use crate::{json::string_of, search::Node, type_filter::value::UriTest};

pub(super) fn matches(test: &UriTest, node: Node<'_>) -> bool {
    let Some(uri) = string_of(node.raw) else { return false };
    if node.kind == "canonical" { test.matches_canonical(&uri) } else { test.matches(&uri) }
}

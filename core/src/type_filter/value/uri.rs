//! URIs: exact, case and all (FHIR R4 search, 3.1.1.4.14).

use super::{canonical_parts, unescaped};

/// A searched URI.
pub(in crate::type_filter) struct UriTest {
    uri: String,
    rule: UriRule,
}

/// How the searched URI relates to the one in the resource.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::type_filter) enum UriRule {
    /// The searched URL starts with the other (`:above`).
    Above,
    /// The other starts with the searched URL (`:below`).
    Below,
    /// They are the same.
    Same,
}

impl UriTest {
    pub(in crate::type_filter) fn new(text: &str, rule: UriRule) -> Self {
        Self { uri: unescaped(text), rule }
    }

    pub(in crate::type_filter) fn matches(&self, uri: &str) -> bool {
        match self.rule {
            UriRule::Above => is_url(uri) && self.uri.starts_with(uri),
            UriRule::Below => is_url(&self.uri) && uri.starts_with(&self.uri),
            UriRule::Same => uri == self.uri,
        }
    }

    /// The same for a `url|version`: a search that names no version means any.
    pub(in crate::type_filter) fn matches_canonical(&self, canonical: &str) -> bool {
        self.matches(canonical) || (self.rule == UriRule::Same && self.matches(canonical_parts(canonical).0))
    }
}

/// A URN has no hierarchy, so nothing is above or below it.
fn is_url(uri: &str) -> bool {
    uri.contains("://")
}

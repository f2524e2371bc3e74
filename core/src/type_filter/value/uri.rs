//! URIs: exact, case and all (FHIR R4 search, 3.1.1.4.14).

use super::{KeyedTest, canonical_parts, unescaped};
use crate::hash::hash;

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

    fn matches_text(&self, uri: &str) -> bool {
        match self.rule {
            UriRule::Above => is_url(uri) && self.uri.starts_with(uri),
            UriRule::Below => is_url(&self.uri) && uri.starts_with(&self.uri),
            UriRule::Same => uri == self.uri,
        }
    }
}

/// A URI that stands in a resource.
pub(in crate::type_filter) enum FoundUri<'f> {
    /// `url|version`: a search that names no version means any.
    Canonical(&'f str),
    /// Any other.
    Plain(&'f str),
}

impl KeyedTest for UriTest {
    type Found<'f> = FoundUri<'f>;

    fn matches(&self, found: &FoundUri<'_>) -> bool {
        match *found {
            FoundUri::Canonical(uri) => {
                self.matches_text(uri) || (self.rule == UriRule::Same && self.matches_text(canonical_parts(uri).0))
            }
            FoundUri::Plain(uri) => self.matches_text(uri),
        }
    }

    fn keys(&self) -> impl Iterator<Item = u64> {
        (self.rule == UriRule::Same).then(|| hash(self.uri.as_bytes())).into_iter()
    }

    fn find_keys(found: &FoundUri<'_>, mut look: impl FnMut(u64) -> bool) -> bool {
        match *found {
            FoundUri::Canonical(uri) => look(hash(uri.as_bytes())) || look(hash(canonical_parts(uri).0.as_bytes())),
            FoundUri::Plain(uri) => look(hash(uri.as_bytes())),
        }
    }
}

/// A URN has no hierarchy, so nothing is above or below it.
fn is_url(uri: &str) -> bool {
    uri.contains("://")
}

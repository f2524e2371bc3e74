//! References and canonical URLs (FHIR R4 search, 3.1.1.4.12).

use std::borrow::Cow;

use super::{KeyedTest, split, unescaped};
use crate::{
    Definitions,
    hash::{hash, joined},
    reference::is_id,
};

/// A searched reference.
pub(in crate::type_filter) enum ReferenceTest {
    /// `123`: a resource of this server, of whatever type.
    Id(String),
    /// `Patient/123`, also below the server's own base.
    Local {
        /// Which resource.
        target: LocalReference<'static>,
        /// Which of its versions.
        version: VersionRule,
    },
    /// A URL of another server, or of something that is no server: character for character.
    Url(String),
    /// `url|version`
    Canonical {
        /// Exactly.
        url: String,
        /// See the order.
        version: String,
        /// How the version must relate.
        order: CanonicalOrder,
    },
}

/// A resource of this server.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::type_filter) struct LocalReference<'r> {
    resource_type: Cow<'r, str>,
    id: Cow<'r, str>,
    version: Option<Cow<'r, str>>,
}

/// What a search without a version says about versions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::type_filter) enum VersionRule {
    /// Any will do, unless the search names one: a relative reference.
    Any,
    /// The same, or none on either side: an absolute URL.
    Same,
}

/// How the version of a canonical relates to the searched one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::type_filter) enum CanonicalOrder {
    /// `:above`: `1` and `1.1` are above `1.1.2`.
    Above,
    /// `:below`: `1.1` is below `1`.
    Below,
    /// No modifier.
    Same,
}

impl ReferenceTest {
    /// Reads any form of a reference; `None` if the text has none.
    pub(in crate::type_filter) fn parse(text: &str, base_url: &str, definitions: &Definitions<'_>) -> Option<Self> {
        if split(text, '|').len() > 1 {
            return Self::parse_canonical(text, CanonicalOrder::Same);
        }
        let text = unescaped(text);
        if is_id(&text) {
            return Some(Self::Id(text));
        }
        if let Some(target) = LocalReference::parse(&text, base_url) {
            let version = if is_absolute(&text) { VersionRule::Same } else { VersionRule::Any };
            let is_known = definitions.resource_type(&target.resource_type).is_some();
            return is_known.then(|| Self::Local { target: target.into_owned(), version });
        }
        is_absolute(&text).then_some(Self::Url(text))
    }

    /// Reads `url|version`.
    pub(in crate::type_filter) fn parse_canonical(text: &str, order: CanonicalOrder) -> Option<Self> {
        let parts: Vec<_> = split(text, '|').into_iter().map(unescaped).collect();
        let [url, version] = <[String; 2]>::try_from(parts).ok()?;
        (is_absolute(&url) && !version.is_empty()).then_some(Self::Canonical { url, version, order })
    }

    /// `subject:Patient=123`
    pub(in crate::type_filter) fn parse_typed(text: &str, resource_type: &str) -> Option<Self> {
        let (resource_type, id) = (resource_type.to_owned().into(), unescaped(text).into());
        let target = LocalReference { resource_type, id, version: None };
        is_id(&target.id).then_some(Self::Local { target, version: VersionRule::Any })
    }
}

/// A reference that stands in a resource.
pub(in crate::type_filter) struct FoundReference<'f> {
    /// Without the version of a canonical: a search that names no version means any.
    text: &'f str,
    local: Option<LocalReference<'f>>,
    canonical_version: Option<&'f str>,
}

impl<'f> FoundReference<'f> {
    /// By the text of a `Reference.reference`.
    pub(in crate::type_filter) fn new(text: &'f str, base_url: &str) -> Self {
        Self { text, local: LocalReference::parse(text, base_url), canonical_version: None }
    }

    /// By a `url|version`.
    pub(in crate::type_filter) fn canonical(canonical: &'f str, base_url: &str) -> Self {
        let (url, canonical_version) = canonical_parts(canonical);
        Self { canonical_version, ..Self::new(url, base_url) }
    }

    /// `Type/id` of the resource of this server, without the version that may have been said.
    pub(in crate::type_filter) fn resource(&self) -> Option<&'f str> {
        let LocalReference { resource_type, id, version } = self.local.as_ref()?;
        let behind = version.as_ref().map_or(0, |version| HISTORY.len() + version.len() + 1);
        let end = self.text.len().checked_sub(behind)?;
        self.text.get(end.checked_sub(resource_type.len() + 1 + id.len())?..end)
    }
}

impl KeyedTest for ReferenceTest {
    type Found<'f> = FoundReference<'f>;

    fn matches(&self, found: &FoundReference<'_>) -> bool {
        let local = found.local.as_ref();
        match self {
            Self::Id(id) => local.is_some_and(|found| found.id == *id),
            Self::Local { target, version } => local.is_some_and(|found| target.matches(found, *version)),
            Self::Url(url) => found.text == url,
            Self::Canonical { url, version, order } => {
                found.text == url && found.canonical_version.is_some_and(|found| order.holds(version, found))
            }
        }
    }

    fn keys(&self) -> impl Iterator<Item = u64> {
        std::iter::once(match self {
            Self::Id(id) => joined(ID, hash(id.as_bytes())),
            Self::Local { target, .. } => target.key(),
            Self::Url(url) | Self::Canonical { url, .. } => joined(URL, hash(url.as_bytes())),
        })
    }

    fn find_keys(found: &FoundReference<'_>, mut look: impl FnMut(u64) -> bool) -> bool {
        let is_local = |local: &LocalReference<'_>| look(joined(ID, hash(local.id.as_bytes()))) || look(local.key());
        found.local.as_ref().is_some_and(is_local) || look(joined(URL, hash(found.text.as_bytes())))
    }
}

impl<'r> LocalReference<'r> {
    /// `Type/id` and `Type/id/_history/version`, relative or below the server's own base.
    fn parse(text: &'r str, base_url: &str) -> Option<Self> {
        let relative = match text.strip_prefix(base_url) {
            Some(rest) if !base_url.is_empty() => rest.strip_prefix('/')?,
            _ => text,
        };
        let (resource_type, rest) = relative.split_once('/')?;
        let (id, version) = match rest.split_once('/') {
            Some((id, history)) => (id, Some(history.strip_prefix(HISTORY).filter(|version| is_id(version))?)),
            None => (rest, None),
        };
        let is_type = resource_type.starts_with(|first: char| first.is_ascii_uppercase())
            && resource_type.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_type && is_id(id)).then(|| Self {
            resource_type: resource_type.into(),
            id: id.into(),
            version: version.map(Cow::Borrowed),
        })
    }

    fn into_owned(self) -> LocalReference<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        LocalReference {
            resource_type: owned(self.resource_type),
            id: owned(self.id),
            version: self.version.map(owned),
        }
    }

    /// The same whatever the version.
    fn key(&self) -> u64 {
        joined(hash(self.resource_type.as_bytes()), hash(self.id.as_bytes()))
    }

    fn matches(&self, found: &LocalReference<'_>, rule: VersionRule) -> bool {
        let is_same_version = self.version == found.version;
        let is_any_version = self.version.is_none() && rule == VersionRule::Any;
        self.resource_type == found.resource_type && self.id == found.id && (is_same_version || is_any_version)
    }
}

impl CanonicalOrder {
    fn holds(self, searched: &str, found: &str) -> bool {
        match self {
            Self::Above => is_version_below(searched, found),
            Self::Below => is_version_below(found, searched),
            Self::Same => searched == found,
        }
    }
}

/// The URL of a canonical and its version; what follows a `#` is a place inside, not part of the name.
pub(in crate::type_filter) fn canonical_parts(canonical: &str) -> (&str, Option<&str>) {
    let whole = canonical.split_once('#').map_or(canonical, |(whole, _)| whole);
    whole.split_once('|').map_or((whole, None), |(url, version)| (url, Some(version)))
}

/// `1.1` is below `1` and below `1.1`; `1.10` is not below `1.1`.
fn is_version_below(version: &str, above: &str) -> bool {
    version.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// With a scheme, as `http:` and `urn:` are.
pub(super) fn is_absolute(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    };
    text.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
}

/// What stands before a version.
const HISTORY: &str = "_history/";

/// What a key is joined to, instead of a resource type.
const ID: u64 = 1;
const URL: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_a_resource_of_ours_names_it_however_it_is_written() {
        let resource = |text| FoundReference::new(text, "https://ehr.example/fhir").resource();
        for text in [
            "Patient/1",
            "Patient/1/_history/23",
            "https://ehr.example/fhir/Patient/1",
            "https://ehr.example/fhir/Patient/1/_history/23",
        ] {
            assert_eq!(resource(text), Some("Patient/1"), "{text}");
        }
        for text in ["", "1", "#1", "Patient/", "urn:uuid:1", "https://other.example/fhir/Patient/1", "Patient?name=x"]
        {
            assert_eq!(resource(text), None, "{text}");
        }
    }
}

//! SMART scopes, as far as they name whole types for a system: v1 `system/*.read`, v2 `system/Patient.rs`.
//!
//! What is not understood grants nothing: other contexts, operation scopes, query suffixes.

use std::collections::BTreeSet;

/// A set of resource types that may be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeGrant {
    everything: bool,
    types: BTreeSet<String>,
}

impl TypeGrant {
    /// No type.
    pub fn nothing() -> Self {
        Self { everything: false, types: BTreeSet::new() }
    }

    /// Every type.
    pub fn everything() -> Self {
        Self { everything: true, types: BTreeSet::new() }
    }

    /// Whether that type may be exported.
    pub fn covers(&self, resource_type: &str) -> bool {
        self.everything || self.types.contains(resource_type)
    }

    /// Whether every type may be exported.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether no type may be exported.
    pub fn is_nothing(&self) -> bool {
        !self.everything && self.types.is_empty()
    }

    /// The types that are named, in name order.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(String::as_str)
    }
}

pub(super) fn granted(scopes: &[String]) -> TypeGrant {
    let mut grant = TypeGrant::nothing();
    for resource_type in scopes.iter().filter_map(|scope| readable_type(scope)) {
        match resource_type {
            "*" => grant.everything = true,
            named => {
                grant.types.insert(named.to_owned());
            }
        }
    }
    grant
}

/// The type of a system scope that grants read and search (SM-SCP-01 to SM-SCP-04).
fn readable_type(scope: &str) -> Option<&str> {
    let (resource_type, permission) = scope.strip_prefix("system/")?.split_once('.')?;
    let readable = match permission {
        "read" | "*" => true,
        letters => is_ordered_subset(letters) && letters.contains('r') && letters.contains('s'),
    };
    let well_formed = resource_type == "*" || resource_type.bytes().all(|b| b.is_ascii_alphabetic());
    (readable && well_formed && !resource_type.is_empty()).then_some(resource_type)
}

/// A subset of `cruds` in that order, as SMART v2 requires.
fn is_ordered_subset(letters: &str) -> bool {
    let mut rest = "cruds".chars();
    letters.chars().all(|letter| rest.any(|next| next == letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(scope: &str, resource_type: &str) -> bool {
        granted(&[scope.to_owned()]).covers(resource_type)
    }

    #[test]
    fn both_grammars_grant_what_they_say() {
        for scope in
            ["system/*.read", "system/*.*", "system/*.rs", "system/*.cruds", "system/Patient.read", "system/Patient.rs"]
        {
            assert!(covers(scope, "Patient"), "{scope}");
        }
        assert!(!covers("system/Patient.rs", "Observation"));
    }

    #[test]
    fn what_is_not_understood_grants_nothing() {
        for scope in [
            "",
            "system/Patient.r",
            "system/Patient.s",
            "system/Patient.sr",
            "system/Patient.write",
            "user/*.read",
            "patient/*.rs",
            "system/$ehi-export",
            "system/Patient.rs?gender=male",
            "system/.rs",
            "system/Patient",
            "system/Patient.",
            "SYSTEM/*.read",
            "system/**.read",
        ] {
            assert!(!covers(scope, "Patient"), "{scope}");
        }
    }
}

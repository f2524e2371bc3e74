//! Codes and identifiers, perhaps with the system that they are from (FHIR R4 search, 3.1.1.4.10).

use super::{split, unescaped};

/// A searched token.
pub(in crate::type_filter) enum TokenTest {
    /// `code`
    Any(String),
    /// `system|code`
    Coded {
        /// The system, exactly.
        system: String,
        /// The code, whatever its case.
        code: String,
    },
    /// `|code`: from no system at all.
    NoSystem(String),
    /// `system|`
    OfSystem(String),
}

/// `:of-type`: an identifier by the kind of identifier that it is.
pub(in crate::type_filter) struct OfType {
    /// The system of a coding of `Identifier.type`.
    pub(in crate::type_filter) system: String,
    /// The code of that coding.
    pub(in crate::type_filter) code: String,
    /// `Identifier.value`
    pub(in crate::type_filter) value: String,
}

impl TokenTest {
    /// Reads `code`, `system|code`, `|code` or `system|`.
    pub(in crate::type_filter) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = split(text, '|').into_iter().map(unescaped).collect();
        match <[String; 2]>::try_from(parts) {
            Ok([system, code]) => match (system.is_empty(), code.is_empty()) {
                (true, true) => None,
                (true, false) => Some(Self::NoSystem(code)),
                (false, true) => Some(Self::OfSystem(system)),
                (false, false) => Some(Self::Coded { system, code }),
            },
            Err(parts) => <[String; 1]>::try_from(parts).ok().map(|[code]| Self::Any(code)),
        }
    }

    /// A code together with its system, if it has one.
    pub(in crate::type_filter) fn matches(&self, system: Option<&str>, code: Option<&str>) -> bool {
        let has = |wanted: &str| code.is_some_and(|code| same_code(wanted, code));
        match self {
            Self::Any(code) => has(code),
            Self::Coded { system: wanted, code } => system == Some(wanted) && has(code),
            Self::NoSystem(code) => system.is_none() && has(code),
            Self::OfSystem(wanted) => system == Some(wanted),
        }
    }

    /// A bare code whose system the definition of its element fixes. Which one that is stands in its binding, which is
    /// not known here, so a system that was written is taken to be it.
    pub(in crate::type_filter) fn matches_bound(&self, code: &str) -> bool {
        matches!(self, Self::Any(wanted) | Self::Coded { code: wanted, .. } if same_code(wanted, code))
    }

    /// A text that is compared as it is, case included.
    pub(in crate::type_filter) fn matches_exactly(&self, text: &str) -> bool {
        matches!(self, Self::Any(wanted) | Self::NoSystem(wanted) if wanted == text)
    }

    /// Whether a `|` was written.
    pub(in crate::type_filter) fn names_system(&self) -> bool {
        !matches!(self, Self::Any(_))
    }
}

impl OfType {
    /// Reads `system|code|value`, all three of them.
    pub(in crate::type_filter) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = split(text, '|').into_iter().map(unescaped).collect();
        let [system, code, value] = <[String; 3]>::try_from(parts).ok()?;
        (!system.is_empty() && !code.is_empty() && !value.is_empty()).then_some(Self { system, code, value })
    }
}

/// Which code systems care about case is not known here; in doubt, R4 says, they do not.
pub(in crate::type_filter) fn same_code(one: &str, other: &str) -> bool {
    one == other || one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

//! Codes and identifiers, perhaps with the system that they are from (FHIR R4 search, 3.1.1.4.10).

use super::{KeyedTest, split, unescaped};
use crate::hash::{hash, joined};

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

/// A code that stands in a resource.
pub(in crate::type_filter) enum FoundToken<'f> {
    /// A bare code whose system the definition of its element fixes. Which one that is stands in its binding, which is
    /// not known here, so a system that was written is taken to be it.
    Bound(&'f str),
    /// A code together with its system, of which either may be absent.
    Coded {
        /// The system.
        system: Option<&'f str>,
        /// The code.
        code: Option<&'f str>,
    },
    /// A text that is compared as it is, case included.
    Exact(&'f str),
}

impl KeyedTest for TokenTest {
    type Found<'f> = FoundToken<'f>;

    fn matches(&self, found: &FoundToken<'_>) -> bool {
        match *found {
            FoundToken::Bound(code) => {
                matches!(self, Self::Any(wanted) | Self::Coded { code: wanted, .. } if same_code(wanted, code))
            }
            FoundToken::Coded { system, code } => {
                let has = |wanted: &str| code.is_some_and(|code| same_code(wanted, code));
                match self {
                    Self::Any(code) => has(code),
                    Self::Coded { system: wanted, code } => system == Some(wanted) && has(code),
                    Self::NoSystem(code) => system.is_none() && has(code),
                    Self::OfSystem(wanted) => system == Some(wanted),
                }
            }
            FoundToken::Exact(text) => matches!(self, Self::Any(wanted) | Self::NoSystem(wanted) if wanted == text),
        }
    }

    fn keys(&self) -> impl Iterator<Item = u64> {
        let (first, second) = match self {
            Self::Any(code) => (joined(ANY, code_key(code)), None),
            Self::Coded { system, code } => {
                let code = code_key(code);
                (joined(hash(system.as_bytes()), code), Some(joined(BOUND, code)))
            }
            Self::NoSystem(code) => (joined(NO_SYSTEM, code_key(code)), None),
            Self::OfSystem(system) => (joined(OF_SYSTEM, hash(system.as_bytes())), None),
        };
        std::iter::once(first).chain(second)
    }

    fn find_keys(found: &FoundToken<'_>, mut look: impl FnMut(u64) -> bool) -> bool {
        match *found {
            FoundToken::Bound(code) => {
                let code = code_key(code);
                look(joined(ANY, code)) || look(joined(BOUND, code))
            }
            FoundToken::Coded { system, code } => {
                let (system, code) = (system.map(|system| hash(system.as_bytes())), code.map(code_key));
                let of_code = |code| look(joined(ANY, code)) || look(joined(system.unwrap_or(NO_SYSTEM), code));
                code.is_some_and(of_code) || system.is_some_and(|system| look(joined(OF_SYSTEM, system)))
            }
            FoundToken::Exact(text) => {
                let code = code_key(text);
                look(joined(ANY, code)) || look(joined(NO_SYSTEM, code))
            }
        }
    }
}

/// The same for all codes that are [`same_code`].
fn code_key(code: &str) -> u64 {
    let mut lower = [0; 64];
    match lower.get_mut(..code.len()).filter(|_| code.is_ascii()) {
        Some(lower) => {
            lower.copy_from_slice(code.as_bytes());
            lower.make_ascii_lowercase();
            hash(lower)
        }
        None => hash(code.chars().flat_map(char::to_lowercase).collect::<String>().as_bytes()),
    }
}

/// Which code systems care about case is not known here; in doubt, R4 says, they do not.
pub(in crate::type_filter) fn same_code(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        // Nearly always: no code system has much else.
        return one.eq_ignore_ascii_case(other);
    }
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

/// What a code's key is joined to, instead of a system.
const ANY: u64 = 1;
const BOUND: u64 = 2;
const NO_SYSTEM: u64 = 3;
const OF_SYSTEM: u64 = 4;

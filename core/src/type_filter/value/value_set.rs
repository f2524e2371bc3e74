//! ValueSets by name, and codes as their expansions hold them (FHIR R4 search, 3.1.1.4.10).

use super::{FoundToken, reference::is_absolute, split, unescaped};

/// Reads the canonical of a ValueSet, `url` or `url|version`, as it is then asked for. An id is none: what it names is for
/// each server to say, and a URL below our own base says it too.
pub(in crate::type_filter) fn value_set_canonical(text: &str) -> Option<String> {
    let parts: Vec<_> = split(text, '|').into_iter().map(unescaped).collect();
    let is_plain = |part: &String| {
        let is_name = |c: char| !c.is_whitespace() && !c.is_control() && c != '|';
        !part.is_empty() && part.chars().all(is_name)
    };
    let canonical = parts.join("|");
    let is_canonical = parts.len() <= 2 && parts.iter().all(is_plain) && is_absolute(&canonical);
    (is_canonical && canonical.len() <= VALUE_SET_BYTES_MAX).then_some(canonical)
}

/// Whether values of that FHIR type are codes, which a ValueSet may hold.
pub(in crate::type_filter) fn is_coded(kind: &str) -> bool {
    matches!(kind, "code" | "CodeableConcept" | "Coding")
}

/// A code as the set of a ValueSet holds it: `system|code`. A bare code, whose system its element fixes, is `|code`; the
/// set holds each of its codes that way too. A coding that says no system is in no ValueSet.
pub(in crate::type_filter) fn code_of_value_set(found: &FoundToken<'_>) -> Option<String> {
    match *found {
        FoundToken::Bound(code) => Some(format!("|{code}")),
        FoundToken::Coded { system: Some(system), code: Some(code) } if !system.is_empty() => {
            Some(format!("{system}|{code}"))
        }
        FoundToken::Coded { .. } | FoundToken::Exact(_) => None,
    }
}

/// Longer than any canonical in use. It is the client's text, and travels with the plan and the set.
pub(in crate::type_filter) const VALUE_SET_BYTES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_is_absolute_and_may_have_a_version() {
        for text in ["http://x/ValueSet/a", "urn:oid:1.2.3", "http://x/ValueSet/a|1.0", r"http://x/a\,b"] {
            assert_eq!(value_set_canonical(text), Some(text.replace('\\', "")), "{text}");
        }
        let long = format!("http://x/{}", "a".repeat(VALUE_SET_BYTES_MAX));
        for text in [
            "",
            "a",
            "ValueSet/a",
            "http:",
            "|1",
            "http://x|",
            "http://x|1|2",
            r"http://x\|1",
            "http://x y",
            "a\n:b",
            &long,
        ] {
            assert_eq!(value_set_canonical(text), None, "{text}");
        }
    }
}

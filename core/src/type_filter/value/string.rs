//! Text, and what makes two texts the same to a person who searches (FHIR R4 search, 3.1.1.4.9).

use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

use super::unescaped;

/// A searched text.
pub(in crate::type_filter) struct StringTest {
    text: String,
    rule: TextRule,
}

/// Where the searched text must stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::type_filter) enum TextRule {
    /// Anywhere, normalised (`:contains`).
    Contains,
    /// The whole text, character for character (`:exact`).
    Exact,
    /// At the start, normalised.
    StartsWith,
}

impl StringTest {
    /// `None` if nothing is left to search for: a text of punctuation alone would otherwise match everything.
    pub(in crate::type_filter) fn parse(text: &str, rule: TextRule) -> Option<Self> {
        let plain = unescaped(text);
        let text = if rule == TextRule::Exact { plain } else { normalised(&plain) };
        (!text.is_empty()).then_some(Self { text, rule })
    }

    pub(in crate::type_filter) fn matches(&self, text: &str) -> bool {
        match self.rule {
            TextRule::Contains => normalised(text).contains(&self.text),
            TextRule::Exact => text == self.text,
            TextRule::StartsWith => normalised(text).starts_with(&self.text),
        }
    }

    /// As [`matches`](Self::matches), and each part of a double name counts as a start too.
    pub(in crate::type_filter) fn matches_name(&self, name: &str) -> bool {
        let at_part = || {
            let starts = name.match_indices(|c: char| c.is_whitespace() || c == '-').filter_map(|(i, _)| name.get(i..));
            self.rule == TextRule::StartsWith && starts.into_iter().any(|part| self.matches(part))
        };
        self.matches(name) || at_part()
    }
}

/// Without case, accents, punctuation and surplus white space.
///
/// Decomposed, so that an accent is a character of its own; folded by way of upper case, so that `ß` is `ss` and both
/// small sigmas are one. Vowel signs of Indic scripts are letters, not accents, and stay.
fn normalised(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut pending_space = false;
    let characters = text.nfd().filter(|character| canonical_combining_class(*character) == 0);
    for character in characters.flat_map(char::to_uppercase).flat_map(char::to_lowercase) {
        if character.is_alphanumeric() {
            if std::mem::take(&mut pending_space) && !folded.is_empty() {
                folded.push(' ');
            }
            folded.push(character);
        } else if character.is_whitespace() {
            pending_space = true;
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_search_without_accents_case_and_punctuation() {
        for (text, expected) in [
            ("  Müller--Lüdenscheidt ", "mullerludenscheidt"),
            ("O'Brien", "obrien"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("Ὀδυσσεύς", "οδυσσευσ"),
            ("de  la\tCruz", "de la cruz"),
            ("e\u{301}", "e"),
            ("李 小龍", "李 小龍"),
            ("की", "की"),
            ("?!", ""),
        ] {
            assert_eq!(normalised(text), expected, "{text}");
        }
    }

    #[test]
    fn parts_of_a_double_name_match_on_their_own() {
        let test = StringTest::parse("lopez", TextRule::StartsWith).unwrap();
        assert!(
            test.matches_name("García López") && test.matches_name("García-López") && !test.matches("García López")
        );
        assert!(!test.matches_name("Garcíalópez"));
        assert!(StringTest::parse("-", TextRule::Contains).is_none());
        assert!(StringTest::parse("-", TextRule::Exact).unwrap().matches("-"));
    }
}

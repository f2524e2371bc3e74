//! Text, and what makes two texts the same to a person who searches (FHIR R4 search, 3.1.1.4.9).

use std::cell::OnceCell;

use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

use super::{KeyedTest, unescaped};
use crate::hash::hash;

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
}

/// A text that stands in a resource. It is normalised when the first test asks for that, and not again for the next.
pub(in crate::type_filter) struct FoundText<'f> {
    text: &'f str,
    normalised: OnceCell<String>,
    is_part: bool,
}

impl<'f> FoundText<'f> {
    /// A whole text.
    pub(in crate::type_filter) fn new(text: &'f str) -> Self {
        Self { text, normalised: OnceCell::new(), is_part: false }
    }

    /// A name: each part of a double name counts as a start too.
    pub(in crate::type_filter) fn of_name(name: &'f str) -> impl Iterator<Item = Self> {
        let gaps = name.match_indices(|c: char| c.is_whitespace() || c == '-');
        let parts =
            gaps.filter_map(|(index, _)| name.get(index..)).map(|part| Self { is_part: true, ..Self::new(part) });
        std::iter::once(Self::new(name)).chain(parts)
    }

    fn normalised(&self) -> &str {
        self.normalised.get_or_init(|| normalised(self.text))
    }
}

impl KeyedTest for StringTest {
    type Found<'f> = FoundText<'f>;

    fn matches(&self, found: &FoundText<'_>) -> bool {
        match self.rule {
            TextRule::Contains => !found.is_part && found.normalised().contains(&self.text),
            TextRule::Exact => !found.is_part && found.text == self.text,
            TextRule::StartsWith => found.normalised().starts_with(&self.text),
        }
    }

    fn keys(&self) -> impl Iterator<Item = u64> {
        (self.rule == TextRule::Exact).then(|| hash(self.text.as_bytes())).into_iter()
    }

    fn find_keys(found: &FoundText<'_>, mut look: impl FnMut(u64) -> bool) -> bool {
        look(hash(found.text.as_bytes()))
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
        let matches_name = |name| FoundText::of_name(name).any(|found| test.matches(&found));
        assert!(matches_name("García López") && matches_name("García-López"));
        assert!(!test.matches(&FoundText::new("García López")) && !matches_name("Garcíalópez"));
        assert!(StringTest::parse("-", TextRule::Contains).is_none());
        assert!(StringTest::parse("-", TextRule::Exact).unwrap().matches(&FoundText::new("-")));
    }
}

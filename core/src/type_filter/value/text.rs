//! Separators and escapes inside a value (FHIR R4 search, 3.1.1.4.19). The grammar has checked that every escape is
//! one.

/// The parts of a value between the separators that no backslash escapes; their escapes stay.
pub(in crate::type_filter) fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices();
    while let Some((position, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == separator {
            parts.push(text.get(start..position).unwrap_or_default());
            start = position + separator.len_utf8();
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// The text that is meant: each backslash gone, what it escapes kept.
pub(in crate::type_filter) fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_separators_split_and_escapes_go_last() {
        for (text, parts) in [
            ("", &[""][..]),
            ("a|b", &["a", "b"]),
            (r"a\|b", &["a|b"]),
            (r"a\\|b", &[r"a\", "b"]),
            (r"|\\\||é", &["", r"\|", "é"]),
        ] {
            let plain: Vec<_> = split(text, '|').into_iter().map(unescaped).collect();
            assert_eq!(plain, parts, "{text}");
        }
    }
}

//! How nearly all resources begin, read without a walk.

use super::{Element, Members};

/// The head of a resource that is written in the order of the specification and without escapes, as servers write it:
/// type, id, and `meta` as far as the last update. They are strings, and nothing else is known of them; whatever begins
/// otherwise is left to the walk.
pub(crate) struct Opening<'l> {
    pub(crate) resource_type: Element<'l>,
    pub(crate) id: Element<'l>,
    pub(crate) last_updated: Element<'l>,
    line: &'l [u8],
    /// Where `meta` begins.
    meta: usize,
    /// Where it goes on, behind the last update.
    at: usize,
}

impl<'l> Opening<'l> {
    /// The head, if `is_wanted` says so of the type.
    #[inline]
    pub(crate) fn read(line: &'l [u8], is_wanted: impl FnOnce(Element<'l>) -> bool) -> Option<Self> {
        let (resource_type, rest) = string(name(line.strip_prefix(b"{")?, b"\"resourceType\"")?)?;
        if !is_wanted(resource_type) {
            return None;
        }
        let (id, rest) = string(name(comma(rest)?, b"\"id\"")?)?;
        let meta = name(comma(rest)?, b"\"meta\"")?;
        let rest = meta.strip_prefix(b"{")?;
        let rest = match name(rest, b"\"versionId\"") {
            Some(rest) => comma(string(rest)?.1)?,
            None => rest,
        };
        let (last_updated, rest) = string(name(rest, b"\"lastUpdated\"")?)?;
        let place = |rest: &[u8]| line.len() - rest.len();
        Some(Self { resource_type, id, last_updated, line, meta: place(meta), at: place(rest) })
    }

    /// `meta`, and the members behind it.
    pub(crate) fn meta(&self) -> Option<(Element<'l>, Members<'l>)> {
        Element::new(self.line).around(self.meta, self.at)
    }
}

/// What follows a name and its colon.
#[inline(always)]
fn name<'l>(text: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let rest = text.trim_ascii_start().strip_prefix(name)?;
    Some(rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

/// What follows a comma.
#[inline(always)]
fn comma(text: &[u8]) -> Option<&[u8]> {
    text.trim_ascii_start().strip_prefix(b",")
}

/// A string without escapes, and what follows it.
#[inline]
fn string(text: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let inner = text.strip_prefix(b"\"")?;
    let mut length = 0;
    for word in inner.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ every(b'"')) | zero_bytes(word ^ every(b'\\'));
        if found != 0 {
            length += (found.trailing_zeros() / 8) as usize;
            let is_end = inner.get(length) == Some(&b'"');
            let (text, rest) = text.split_at_checked(length + 2).filter(|_| is_end)?;
            return Some((Element::new(text), rest));
        }
        length += 8;
    }
    // What ends within the last few bytes of a line is left to the walk, too.
    None
}

/// The high bit of the first byte that is zero, perhaps of some behind it, and no other bit before.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(every(1)) & !word & every(0x80)
}

const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_as_usual_is_read() {
        for (meta, behind) in [
            (r#"{"versionId":"1","lastUpdated":"2024-01-01","tag":[{"code":"}"}]}"#, "}"),
            (r#"{"lastUpdated":"2024-01-01"}"#, r#","a":1}"#),
            (r#"{ "versionId" : "1" , "lastUpdated":"2024-01-01" }"#, "  }       "),
        ] {
            for id in ["", "a.b", "1234567", "12345678", "123456789", "1234567890-é"] {
                for space in ["", " ", "\t\n"] {
                    let [colon, comma] = [":", ","].map(|mark| [space, mark, space].concat());
                    let head = ["{", "\"resourceType\"", &colon, "\"Patient\"", &comma, "\"id\"", &colon].concat();
                    let line = format!("{head}\"{id}\"{comma}\"meta\"{colon}{meta}{behind}");
                    let opening = Opening::read(line.as_bytes(), |name| name.string().unwrap() == "Patient").unwrap();
                    assert_eq!(opening.resource_type.string().unwrap(), "Patient");
                    assert_eq!(opening.id.string().unwrap(), id);
                    assert_eq!(opening.last_updated.string().unwrap(), "2024-01-01");
                    let (found, members) = opening.meta().unwrap();
                    assert_eq!(found.text(), meta.as_bytes());
                    assert_eq!(members.count(), usize::from(behind.contains('a')), "{line}");
                    assert!(Opening::read(line.as_bytes(), |_| false).is_none());
                }
            }
        }
    }

    #[test]
    fn anything_else_is_left_to_the_walk() {
        for line in [
            "",
            "{",
            r#"{"id":"a","resourceType":"Patient","meta":{"lastUpdated":"2024-01-01T00:00:00Z"}}"#,
            r#"{"resourceType":"Pat\u0069ent","id":"a","meta":{"lastUpdated":"2024-01-01T00:00:00Z"}}"#,
            r#"{"resourceType":"Patient","id":"a\"","meta":{"lastUpdated":"2024-01-01T00:00:00Z"}}"#,
            r#"{"resourceType":"Patient","id":1,"meta":{"lastUpdated":"2024-01-01T00:00:00Z"}}"#,
            r#"{"resourceType":"Patient","id":"a","language":"en","meta":{"lastUpdated":"2024-01-01T00:00:00Z"}}"#,
            r#"{"resourceType":"Patient","id":"a","meta":{"source":"x","lastUpdated":"2024-01-01T00:00:00Z"}}"#,
            r#"{"resourceType":"Patient","id":"a","meta":{"versionId":1,"lastUpdated":"2024-01-01T00:00:00Z"}}"#,
            r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1"}}                                   "#,
            r#"{"resourceType":"Patient","id":"a","meta":{"lastUpdated":"2024-01-01T00:00:00Z"#,
        ] {
            assert!(Opening::read(line.as_bytes(), |_| true).is_none(), "{line}");
        }
        let unended = br#"{"resourceType":"Patient","id":"a","meta":{"lastUpdated":"2024-01-01T00:00:00Z","tag":[{}"#;
        assert!(Opening::read(unended, |_| true).unwrap().meta().is_none());
    }
}

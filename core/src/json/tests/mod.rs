//! The walker in every way that this machine has, held against serde_json, on lines made to be hard.

mod generate;
mod planted;

use std::{borrow::Cow, fmt::Debug, ops::Range};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use self::{
    generate::Random,
    planted::{Bug, Planted},
};
use super::{
    element::Element,
    header::{Header, LineError},
    simd::Level,
    validate::{is_object, is_object_for_certain, validate},
    walk::{Member, Text, next_item, next_member},
};

#[test]
fn all_ways_agree_with_serde_json() {
    assert_eq!(difference_in(0..LINES), None);
}

/// Where the last block begins and ends is where a load could go too far; each line is an allocation of its own.
#[test]
fn lines_of_every_length_are_read_to_the_end() {
    for length in 0..if cfg!(miri) { 70 } else { 200 } {
        let line = format!(r#"{{"a":[],"b":"{}"}}"#, "x".repeat(length)).into_boxed_str();
        for level in Level::all() {
            assert!(is_object_for_certain(level, line.as_bytes()), "{line}");
            let text = Text { line: line.as_bytes(), len: line.len() };
            let first = text.member(level, 1).unwrap();
            let second = text.member(level, first.value.end).unwrap();
            assert_eq!(second.value, line.len() - length - 3..line.len() - 1, "{line}");
            assert_eq!(text.member(level, second.value.end), None, "{line}");
        }
    }
}

#[test]
#[ignore = "takes minutes; for a change of the walker"]
fn all_ways_agree_with_serde_json_on_a_million_lines() {
    assert_eq!(difference_in(LINES..LINES + 1_000_000), None);
}

#[test]
#[cfg_attr(miri, ignore = "says nothing of memory")]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let found = (0..LINES).any(|seed| {
            let line = generate::line(&mut Random::new(seed));
            is_object(Planted(bug), &line) != serde_accepts(&line)
                || expected(&line).is_some_and(|expected| walked(&Planted(bug), &line) != expected)
        });
        assert!(found, "{bug:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "says nothing of memory")]
fn the_lines_are_of_all_kinds() {
    let lines: Vec<_> = (0..LINES).map(|seed| generate::line(&mut Random::new(seed))).collect();
    let share = |is: &dyn Fn(&[u8]) -> bool| lines.iter().filter(|line| is(line)).count() * 100 / lines.len();
    let valid = share(&serde_accepts);
    assert!((40..80).contains(&valid), "{valid}% are valid");
    assert!(share(&|line| line.len() > 64) > 50);
    assert!(share(&|line| std::str::from_utf8(line).is_err()) > 2);
    assert!(share(&|line| serde_accepts(line) && line.contains(&b'\\')) > 10);
}

/// Miri is ten thousand times slower, and asks something else.
const LINES: u64 = if cfg!(miri) { 6 } else { 20_000 };

/// The first line on which some way and serde_json, or two ways, tell a different story.
fn difference_in(seeds: Range<u64>) -> Option<String> {
    let levels = Level::all();
    seeds.into_iter().find_map(|seed| {
        let line = generate::line(&mut Random::new(seed));
        let mut expected = expected(&line);
        for level in &levels {
            let walked = walked(level, &line);
            let expected = expected.get_or_insert_with(|| walked.clone());
            if walked != *expected {
                return Some(format!("seed {seed}, {level:?}: {}", String::from_utf8_lossy(&line)));
            }
        }
        let difference = (Some(asked(Element::new(&line))) != expected)
            .then_some("by the interface")
            .or_else(|| differs_on_validity(&levels, &line).then_some("on validity"))?;
        Some(format!("seed {seed}, {difference}: {}", String::from_utf8_lossy(&line)))
    })
}

fn differs_on_validity(levels: &[Level], line: &[u8]) -> bool {
    let valid = serde_accepts(line);
    // What nests deep is left to serde_json itself.
    let left_out = valid && depth(line) > DEPTH_OF_FAST_WAY;
    let by_level = levels.iter().any(|level| is_object_for_certain(*level, line) != (valid && !left_out));
    let as_by_header = match (validate(line), Header::read(line, |_| false)) {
        (Err(own), Err(header @ (LineError::NotUtf8 { .. } | LineError::NotJson { .. } | LineError::NotAnObject))) => {
            own == header
        }
        // A name that cannot be decoded is none of our business.
        (Ok(()), Err(LineError::NotJson { .. })) => line.contains(&b'\\'),
        _ => true,
    };
    by_level || !as_by_header || validate(line).is_ok() != valid
}

/// How deep a valid line nests.
fn depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut in_string = false;
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

const DEPTH_OF_FAST_WAY: usize = 63;

/// Whether the line is one object in UTF-8.
fn serde_accepts(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    serde_json::from_str::<IgnoredAny>(text).is_ok() && text.trim_ascii_start().starts_with('{')
}

/// One thing that a walk over all depths meets: a member's name, or the text and the decoded text of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Met {
    Name(Option<String>),
    Value(String, Option<String>),
}

/// What serde_json meets; `None` if it refuses the line, or cannot decode a name in it.
fn expected(line: &[u8]) -> Option<Vec<Met>> {
    fn go(value: &RawValue, met: &mut Vec<Met>) -> Option<()> {
        met.push(Met::Value(value.get().to_owned(), serde_json::from_str(value.get()).ok()));
        if value.get().starts_with('{') {
            let members = serde_json::Deserializer::from_str(value.get()).deserialize_map(Members).ok()?;
            members.into_iter().try_for_each(|(name, value)| {
                met.push(Met::Name(Some(name)));
                go(value, met)
            })?;
        } else if value.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            items.into_iter().try_for_each(|item| go(item, met))?;
        }
        Some(())
    }
    let mut met = Vec::new();
    let line = serde_accepts(line).then(|| line.trim_ascii())?;
    go(serde_json::from_slice(line).ok()?, &mut met)?;
    Some(met)
}

struct Members;

impl<'l> Visitor<'l> for Members {
    type Value = Vec<(String, &'l RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'l>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// What a walk in that way meets.
fn walked(way: &impl Way, line: &[u8]) -> Vec<Met> {
    fn go(way: &impl Way, text: Text<'_>, met: &mut Vec<Met>) {
        let element = Element::new(&text.line[..text.len]);
        met.push(value(element));
        let mut at = 1;
        if element.is_object() {
            while let Some(member) = way.member(text, at) {
                let name = element.text()[member.name.clone()].to_vec();
                let name = [b"\"", &*name, b"\""].concat();
                met.push(Met::Name(Element::new(&name).string().map(Cow::into_owned)));
                at = member.value.end;
                go(way, text.part(member.value).unwrap(), met);
            }
        } else if element.is_array() {
            while let Some(item) = way.item(text, at) {
                at = item.end;
                go(way, text.part(item).unwrap(), met);
            }
        }
    }
    let mut met = Vec::new();
    let line = line.trim_ascii();
    go(way, Text { line, len: line.len() }, &mut met);
    met
}

/// What a caller of [`Element`] meets.
fn asked(element: Element<'_>) -> Vec<Met> {
    fn go(element: Element<'_>, met: &mut Vec<Met>) {
        met.push(value(element));
        for (name, value) in element.members() {
            met.push(Met::Name(name.decoded().map(Cow::into_owned)));
            go(value, met);
        }
        element.items().for_each(|item| go(item, met));
    }
    let mut met = Vec::new();
    go(Element::new(element.text().trim_ascii()), &mut met);
    met
}

fn value(element: Element<'_>) -> Met {
    Met::Value(String::from_utf8_lossy(element.text()).into_owned(), element.string().map(Cow::into_owned))
}

/// A way to walk: a level of the machine, or a planted bug.
trait Way {
    fn member(&self, text: Text<'_>, at: usize) -> Option<Member>;
    fn item(&self, text: Text<'_>, at: usize) -> Option<Range<usize>>;
}

impl Way for Level {
    fn member(&self, text: Text<'_>, at: usize) -> Option<Member> {
        text.member(*self, at)
    }

    fn item(&self, text: Text<'_>, at: usize) -> Option<Range<usize>> {
        text.item(*self, at)
    }
}

impl Way for Planted {
    fn member(&self, text: Text<'_>, at: usize) -> Option<Member> {
        next_member(*self, text, at)
    }

    fn item(&self, text: Text<'_>, at: usize) -> Option<Range<usize>> {
        next_item(*self, text, at)
    }
}

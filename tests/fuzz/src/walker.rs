//! The walk over a line of JSON, its validation and its head, beside serde_json. The input is the line.

use std::fmt;

use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::json::{Element, Header, LineError, Opening, validate};

/// Whoever walks a line meets what serde_json meets, and what is no JSON is refused by both.
pub fn walker(line: &[u8]) {
    // An allocation of just that length, so that a sanitizer sees a read beyond it.
    let line: &[u8] = &Box::<[u8]>::from(line);
    assert_eq!(validate(line).is_ok(), is_object(line), "validity");
    let met = met_by_walk(line);
    let root = Root::of(line);
    assert_eq!(head(line), root.as_ref().and_then(Root::head), "the head");
    assert!(root.as_ref().is_none_or(|root| opens_as(line.trim_ascii(), root)), "the opening");
    if let (Err(own), Err(header)) = (validate(line), Header::read(line, |_| false)) {
        let is_of_syntax =
            matches!(header, LineError::NotUtf8 { .. } | LineError::NotJson { .. } | LineError::NotAnObject);
        assert!(!is_of_syntax || own == header, "one line, two reasons: {own:?}, {header:?}");
    }
    if depth(line) <= DEPTH_MAX
        && let Some(expected) = root.and_then(|root| met_by_serde(root.text))
    {
        assert_eq!(met, expected, "the walk");
    }
}

/// Whether the opening of a line, if it has one, is what its first members are.
fn opens_as(line: &[u8], root: &Root<'_>) -> bool {
    let Some(opening) = Opening::read(line, |_| true) else { return true };
    let [(type_name, resource_type), (id_name, id), (meta_name, meta), rest @ ..] = &*root.members else {
        return false;
    };
    let Some((own_meta, own_rest)) = opening.meta() else { return false };
    let stands = |element: Element<'_>, raw: &RawValue| element.text() == raw.get().as_bytes();
    // Behind the last update a name may be one that cannot be decoded.
    let Some(of_meta) = members(meta) else { return true };
    let has_version = of_meta.first().is_some_and(|(name, _)| name == "versionId");
    let last_updated = of_meta.get(usize::from(has_version)).filter(|(name, _)| name == "lastUpdated");
    [&**type_name, id_name, meta_name] == ["resourceType", "id", "meta"]
        && stands(opening.resource_type, resource_type)
        && stands(opening.id, id)
        && stands(own_meta, meta)
        && last_updated.is_some_and(|(_, raw)| stands(opening.last_updated, raw))
        && own_rest.map(|(_, value)| value.text()).eq(rest.iter().map(|(_, raw)| raw.get().as_bytes()))
}

/// Whether the line is one object in UTF-8.
fn is_object(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    serde_json::from_str::<IgnoredAny>(text).is_ok() && text.trim_ascii_start().starts_with('{')
}

/// One thing that a walk over all depths meets: a member's name, or the text and the decoded text of a value.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    Name(Option<String>),
    Value(String, Option<String>),
}

/// What a walk meets. On what is no JSON that is something or other, but it ends.
fn met_by_walk(line: &[u8]) -> Vec<Met> {
    let mut met = Vec::new();
    // Not by recursion: what is no JSON nests as deep as it is long.
    let mut stack = vec![Todo::Value(Element::new(line.trim_ascii()))];
    while let Some(todo) = stack.pop() {
        match todo {
            Todo::Name(name) => met.push(Met::Name(name)),
            Todo::Value(element) => {
                let text = String::from_utf8_lossy(element.text()).into_owned();
                met.push(Met::Value(text, element.string().map(|text| text.into_owned())));
                let mut below = Vec::new();
                for (name, value) in element.members() {
                    let decoded = name.decoded().map(|name| name.into_owned());
                    assert!(decoded.as_ref().is_none_or(|decoded| name.is(decoded)), "a name is what it is");
                    below.extend([Todo::Name(decoded), Todo::Value(value)]);
                }
                below.extend(element.items().map(Todo::Value));
                stack.extend(below.into_iter().rev());
            }
        }
        if met.len() > MET_MAX {
            return met;
        }
    }
    met
}

enum Todo<'l> {
    Name(Option<String>),
    Value(Element<'l>),
}

/// What serde_json meets; `None` if it cannot decode a name.
fn met_by_serde(line: &RawValue) -> Option<Vec<Met>> {
    fn go(value: &RawValue, met: &mut Vec<Met>) -> Option<()> {
        met.push(Met::Value(value.get().to_owned(), serde_json::from_str(value.get()).ok()));
        if value.get().starts_with('{') {
            members(value)?.into_iter().try_for_each(|(name, value)| {
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
    go(line, &mut met)?;
    Some(met)
}

/// Type, id, version and last update.
type Head = (String, String, Option<String>, Option<String>);

fn head(line: &[u8]) -> Option<Head> {
    let header = Header::read(line, |_| false).ok()?;
    let text = |text: std::borrow::Cow<'_, str>| text.into_owned();
    Some((text(header.resource_type), text(header.id), header.version_id.map(text), header.last_updated.map(text)))
}

/// A line as serde_json reads it.
struct Root<'l> {
    text: &'l RawValue,
    members: Vec<(String, &'l RawValue)>,
}

impl<'l> Root<'l> {
    /// `None` for what is no object, or has a name at its root that cannot be decoded.
    fn of(line: &'l [u8]) -> Option<Self> {
        let text = serde_json::from_slice(line).ok().filter(|_| is_object(line))?;
        Some(Self { text, members: members(text)? })
    }

    /// The head, by the rule: what decides must be there once, and be text.
    fn head(&self) -> Option<Head> {
        let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
        let filled = |name| once(&self.members, name)?.and_then(text).filter(|text| !text.is_empty());
        let (version, updated) = match once(&self.members, "meta")? {
            None => (None, None),
            Some(meta) => {
                let meta = members(meta)?;
                let optional = |name| match once(&meta, name)? {
                    None => Some(None),
                    Some(raw) => text(raw).map(Some),
                };
                (optional("versionId")?, optional("lastUpdated")?)
            }
        };
        Some((filled("resourceType")?, filled("id")?, version, updated))
    }
}

/// The member of that name, if there is one; `None` if there are more.
fn once<'l>(members: &[(String, &'l RawValue)], name: &str) -> Option<Option<&'l RawValue>> {
    let mut found = members.iter().filter(|(own, _)| own == name).map(|(_, value)| *value);
    let first = found.next();
    found.next().is_none().then_some(first)
}

/// The members of an object.
fn members(value: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    serde_json::Deserializer::from_str(value.get()).deserialize_map(Members).ok()
}

struct Members;

impl<'l> Visitor<'l> for Members {
    type Value = Vec<(String, &'l RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// At most how deep a line nests.
fn depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in line {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Beyond it, asking serde_json at every depth would take more stack than there is, and quadratic time.
const DEPTH_MAX: usize = 200;

/// A walk over an input of libFuzzer's size meets fewer things; on what is no JSON it may meet a part of it many times.
const MET_MAX: usize = 1 << 14;

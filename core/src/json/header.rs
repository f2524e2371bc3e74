//! What every line is asked for: type, id, version, last update, and the elements that a caller names.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::RawElement;

/// The head of one resource: validated whole, decoded as far as needed.
#[derive(Debug)]
pub struct Header<'l> {
    /// `resourceType`.
    pub resource_type: Cow<'l, str>,
    /// `id`.
    pub id: Cow<'l, str>,
    /// `meta.versionId`.
    pub version_id: Option<Cow<'l, str>>,
    /// `meta.lastUpdated`, as written.
    pub last_updated: Option<Cow<'l, str>>,
    /// The root elements that were asked for, in line order, undecoded; a repeated name appears each time.
    pub(crate) captured: Vec<(Cow<'l, str>, &'l RawElement)>,
}

impl<'l> Header<'l> {
    /// Reads one line of NDJSON, which must be exactly one JSON object, and captures the root elements for which
    /// `wanted` says yes.
    ///
    /// The whole line is checked to be UTF-8 and JSON. Names are compared decoded (`"resourceT\u0079pe"` is
    /// `resourceType`). A repeated `resourceType`, `id` or `meta` is refused: readers disagree which one counts, and a
    /// resource that means two things must not pass a check as one and be read as the other.
    pub fn read(line: &'l [u8], wanted: impl Fn(&str) -> bool) -> Result<Self, LineError> {
        let text = std::str::from_utf8(line).map_err(|error| LineError::NotUtf8 { at: error.valid_up_to() })?;
        let mut problem = None;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let seed = HeaderSeed { wanted, problem: &mut problem };
        let read = seed.deserialize(&mut deserializer).and_then(|header| deserializer.end().map(|()| header));
        match (read, problem) {
            (_, Some(problem)) => Err(problem),
            (Ok(header), None) => header.complete(),
            // Nothing below the root is asked to be of a type, so a wrong type is that of the root.
            (Err(error), None) if error.is_data() || is_another_value(text) => Err(LineError::NotAnObject),
            (Err(error), None) => Err(LineError::NotJson { at: error.column() }),
        }
    }
}

/// Whether a line is JSON and no object. A number that nothing can hold is a syntax error to who asks for an object.
fn is_another_value(text: &str) -> bool {
    !text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What is wrong with a line. Says where, and shows nothing of the line: it may be patient data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineError {
    /// Not UTF-8 from that byte on (0-based).
    NotUtf8 {
        /// Offset in the line.
        at: usize,
    },
    /// Not one JSON value, or more than one; the 1-based column where the reader gave up.
    NotJson {
        /// Column in the line.
        at: usize,
    },
    /// JSON, but not an object.
    NotAnObject,
    /// A root element is absent.
    Missing(&'static str),
    /// An element has the wrong JSON type or is empty.
    WrongShape(&'static str),
    /// A root element stands there twice.
    Repeated(Box<str>),
    /// `resourceType` is none of the FHIR version's.
    UnknownType,
    /// `id` is not a FHIR id (1 to 64 letters, digits, `-`, `.`).
    MalformedId,
    /// The line is longer than the limit.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { at } => write!(f, "not UTF-8 at byte {at}"),
            Self::NotJson { at } => write!(f, "not one JSON object: syntax error at column {at}"),
            Self::NotAnObject => f.write_str("not a JSON object"),
            Self::Missing(element) => write!(f, "no `{element}`"),
            Self::WrongShape(element) => write!(f, "`{element}` has the wrong JSON type"),
            Self::Repeated(element) => write!(f, "`{element}` stands there twice"),
            Self::UnknownType => f.write_str("`resourceType` is not a resource type of this FHIR version"),
            Self::MalformedId => f.write_str("`id` is not a FHIR id"),
            Self::TooLong { limit } => write!(f, "longer than the limit of {limit} bytes"),
        }
    }
}

impl std::error::Error for LineError {}

struct HeaderSeed<'p, W> {
    wanted: W,
    problem: &'p mut Option<LineError>,
}

#[derive(Default)]
struct Partial<'l> {
    resource_type: Option<Cow<'l, str>>,
    id: Option<Cow<'l, str>>,
    meta: bool,
    version_id: Option<Cow<'l, str>>,
    last_updated: Option<Cow<'l, str>>,
    captured: Vec<(Cow<'l, str>, &'l RawValue)>,
}

impl<'l> Partial<'l> {
    fn complete(self) -> Result<Header<'l>, LineError> {
        Ok(Header {
            resource_type: self.resource_type.ok_or(LineError::Missing("resourceType"))?,
            id: self.id.ok_or(LineError::Missing("id"))?,
            version_id: self.version_id,
            last_updated: self.last_updated,
            captured: self.captured,
        })
    }
}

impl<'l, W: Fn(&str) -> bool> DeserializeSeed<'l> for HeaderSeed<'_, W> {
    type Value = Partial<'l>;

    fn deserialize<D: Deserializer<'l>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'l, W: Fn(&str) -> bool> HeaderSeed<'_, W> {
    /// Notes the first problem and lets the reader go on, so that a syntax error further on does not hide behind it.
    fn note(&mut self, problem: LineError) {
        self.problem.get_or_insert(problem);
    }

    /// A JSON string, or a note that it is none.
    fn text(&mut self, raw: &'l RawValue, name: &'static str) -> Option<Cow<'l, str>> {
        let text = string_of(raw);
        if text.as_ref().is_none_or(|text| text.is_empty()) {
            self.note(LineError::WrongShape(name));
        }
        text
    }
}

impl<'l, W: Fn(&str) -> bool> Visitor<'l> for HeaderSeed<'_, W> {
    type Value = Partial<'l>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'l>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut head = Partial::default();
        while let Some(name) = map.next_key_seed(Text)? {
            let wanted = (self.wanted)(&name);
            if !wanted && !HEAD.contains(&&*name) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw: &'l RawValue = map.next_value()?;
            match &*name {
                "resourceType" => {
                    if head.resource_type.is_some() {
                        self.note(LineError::Repeated("resourceType".into()));
                    }
                    head.resource_type = self.text(raw, "resourceType");
                }
                "id" => {
                    if head.id.is_some() {
                        self.note(LineError::Repeated("id".into()));
                    }
                    head.id = self.text(raw, "id");
                }
                "meta" => {
                    if std::mem::replace(&mut head.meta, true) {
                        self.note(LineError::Repeated("meta".into()));
                    }
                    match read_meta(raw) {
                        Ok((version_id, last_updated)) => {
                            (head.version_id, head.last_updated) = (version_id, last_updated);
                        }
                        Err(problem) => self.note(problem),
                    }
                }
                _ => {}
            }
            if wanted {
                head.captured.push((name, raw));
            }
        }
        Ok(head)
    }
}

/// What every line is asked for.
const HEAD: [&str; 3] = ["resourceType", "id", "meta"];

type Meta<'l> = (Option<Cow<'l, str>>, Option<Cow<'l, str>>);

/// `versionId` and `lastUpdated` of a `meta` element. The raw value is valid JSON already.
fn read_meta(raw: &RawValue) -> Result<Meta<'_>, LineError> {
    let members: Vec<(Cow<'_, str>, &RawValue)> =
        super::references::members(raw).ok_or(LineError::WrongShape("meta"))?;
    let text = |wanted: &str, label: &'static str| -> Result<Option<Cow<'_, str>>, LineError> {
        let mut found = members.iter().filter(|(name, _)| name == wanted);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((_, raw)), None) => string_of(raw).map(Some).ok_or(LineError::WrongShape(label)),
            (Some(_), Some(_)) => Err(LineError::Repeated(label.into())),
        }
    };
    Ok((text("versionId", "meta.versionId")?, text("lastUpdated", "meta.lastUpdated")?))
}

/// The decoded text of a raw JSON string, borrowed where it has no escapes; `None` for any other value.
pub(crate) fn string_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    Text.deserialize(&mut deserializer).ok()
}

/// Reads a string, borrowed where the reader can lend it.
pub(super) struct Text;

impl<'l> DeserializeSeed<'l> for Text {
    type Value = Cow<'l, str>;

    fn deserialize<D: Deserializer<'l>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'l> Visitor<'l> for Text {
    type Value = Cow<'l, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Header<'_>, LineError> {
        Header::read(line.as_bytes(), |name| name == "subject")
    }

    #[test]
    fn the_head_is_read_whatever_the_order_and_the_escapes() {
        let line = r#" {"subject":{"reference":"Patient\/1"},"id":"a","meta":{"tag":[],"versionId":"2","lastUpdated":"x"},
            "contained":[{"resourceType":"Patient","id":"b"}],"resourceT\u0079pe":"Obs\u0065rvation"} "#;
        let header = read(line).unwrap();
        assert_eq!((&*header.resource_type, &*header.id), ("Observation", "a"));
        assert_eq!(header.version_id.as_deref(), Some("2"));
        assert_eq!(header.last_updated.as_deref(), Some("x"));
        assert_eq!(header.captured.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_without_showing_it() {
        for (line, expected) in [
            ("", LineError::NotJson { at: 0 }),
            ("{", LineError::NotJson { at: 1 }),
            (r#"{"resourceType":"Patient","id":"1"}{}"#, LineError::NotJson { at: 36 }),
            (r#"{"resourceType":"Patient","id":"1","x":01}"#, LineError::NotJson { at: 41 }),
            ("[1]", LineError::NotAnObject),
            ("\"Patient\"", LineError::NotAnObject),
            ("17", LineError::NotAnObject),
            ("-0.1e7691834569", LineError::NotAnObject),
            ("null", LineError::NotAnObject),
            (r#"{"id":"1"}"#, LineError::Missing("resourceType")),
            (r#"{"resourceType":"Patient"}"#, LineError::Missing("id")),
            (r#"{"resourceType":7,"id":"1"}"#, LineError::WrongShape("resourceType")),
            (r#"{"resourceType":"Patient","id":""}"#, LineError::WrongShape("id")),
            (r#"{"resourceType":"Patient","id":"1","meta":[]}"#, LineError::WrongShape("meta")),
            (
                r#"{"resourceType":"Patient","id":"1","meta":{"lastUpdated":1}}"#,
                LineError::WrongShape("meta.lastUpdated"),
            ),
            (r#"{"resourceType":"Patient","id":"1","id":"2"}"#, LineError::Repeated("id".into())),
            (r#"{"resourceType":"Patient","id":"1","meta":{},"meta":{}}"#, LineError::Repeated("meta".into())),
        ] {
            assert_eq!(read(line).unwrap_err(), expected, "{line}");
        }
        assert_eq!(Header::read(b"{\"a\":\"\xff\"}", |_| false).unwrap_err(), LineError::NotUtf8 { at: 6 });
    }
}

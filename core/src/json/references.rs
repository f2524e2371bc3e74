//! The parts of one JSON value that a reader of the library has captured.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::header::Text;

/// The members of a JSON object, in order, repeated names included; `None` for any other value.
pub(crate) fn members(raw: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    struct Members;
    impl<'l> serde::de::Visitor<'l> for Members {
        type Value = Vec<(Cow<'l, str>, &'l RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'l>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(name) = map.next_key_seed(Text)? {
                members.push((name, map.next_value()?));
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    serde::Deserializer::deserialize_map(&mut deserializer, Members).ok()
}

/// The items of a JSON array, in order; none for any other value.
pub(crate) fn elements(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

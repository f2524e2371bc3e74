//! Finding the references that an element path reaches, without building a tree.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    RawElement,
    header::{Text, string_of},
};

/// The `reference` texts at the end of a dotted path below a captured root element: an array stands for its objects, as
/// in FHIR, repeated names are all walked, and anything of another shape reaches nothing. So the depth is that of the
/// path, whatever the input nests.
pub(crate) fn references<'l>(root: &'l RawElement, steps: &[&str], found: &mut Vec<Cow<'l, str>>) {
    match root.get().as_bytes().first() {
        Some(b'[') => {
            let objects = elements(root).into_iter().filter(|item| item.get().starts_with('{'));
            objects.for_each(|item| references(item, steps, found));
        }
        Some(b'{') => {
            let (step, rest) = steps.split_first().map_or(("reference", None), |(step, rest)| (*step, Some(rest)));
            for (_, value) in members(root).unwrap_or_default().into_iter().filter(|(name, _)| name == step) {
                match rest {
                    Some(rest) => references(value, rest, found),
                    None => found.extend(string_of(value)),
                }
            }
        }
        _ => {}
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn find(json: &str, path: &[&str]) -> Vec<String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let mut found = Vec::new();
        references(raw, path, &mut found);
        found.into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn arrays_and_repeated_names_are_walked() {
        assert_eq!(find(r#"{"reference":"Patient\/1"}"#, &[]), ["Patient/1"]);
        assert_eq!(
            find(r#"[{"reference":"a"},{"display":"x"},{"reference":"b","reference":"c"}]"#, &[]),
            ["a", "b", "c"]
        );
        assert_eq!(find(r#"[{"actor":{"reference":"a"}},{"actor":[{"reference":"b"}]}]"#, &["actor"]), ["a", "b"]);
    }

    #[test]
    fn other_shapes_reach_nothing() {
        for json in [
            r#""Patient/1""#,
            "null",
            "1",
            r#"{"reference":1}"#,
            r#"{"reference":["a"]}"#,
            r#"{"x":{"reference":"a"}}"#,
        ] {
            assert!(find(json, &[]).is_empty(), "{json}");
        }
    }
}

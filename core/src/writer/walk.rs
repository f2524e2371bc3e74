//! What the other passes look at in a line that the selection has let through.

use std::borrow::Cow;

use crate::json::{Element, Items, Members};

/// The root elements of that name.
pub(super) fn roots<'l>(line: &'l [u8], name: &str) -> impl Iterator<Item = Element<'l>> {
    Element::new(line.trim_ascii()).members().filter(move |(own, _)| own.is(name)).map(|(_, element)| element)
}

/// The text of the first root element of that name.
pub(super) fn root_text<'l>(line: &'l [u8], name: &str) -> Option<Cow<'l, str>> {
    roots(line, name).next().and_then(Element::string)
}

/// The objects of an element: itself, or those in its array.
pub(super) fn objects<'l>(element: Element<'l>) -> impl Iterator<Item = Element<'l>> {
    let own = element.is_object().then_some(element);
    own.into_iter().chain(element.items().filter(|item| item.is_object()))
}

/// The texts of an object's members of that name.
pub(super) fn texts<'l>(object: Element<'l>, name: &str) -> impl Iterator<Item = Cow<'l, str>> {
    object.members().filter(move |(own, _)| own.is(name)).filter_map(|(_, element)| element.string())
}

/// Every `reference` anywhere in an element, however deep: without recursion, for a line may nest without end.
pub(super) fn references(element: Element<'_>, mut found: impl FnMut(&str)) {
    enum Open<'l> {
        Object(Members<'l>),
        Array(Items<'l>),
    }
    fn opened(element: Element<'_>) -> Option<Open<'_>> {
        match element.text().first() {
            Some(b'{') => Some(Open::Object(element.members())),
            Some(b'[') => Some(Open::Array(element.items())),
            _ => None,
        }
    }
    let mut open: Vec<Open<'_>> = opened(element).into_iter().collect();
    while let Some(innermost) = open.last_mut() {
        let next = match innermost {
            Open::Object(members) => match members.next() {
                Some((name, value)) => {
                    if name.is("reference") {
                        value.string().iter().for_each(|text| found(text));
                    }
                    Some(value)
                }
                None => None,
            },
            Open::Array(items) => items.next(),
        };
        match next {
            Some(value) => open.extend(opened(value)),
            None => drop(open.pop()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_at_any_depth() {
        let deep = format!("{}{{\"reference\":\"deep\"}}{}", "[".repeat(100_000), "]".repeat(100_000));
        let line =
            format!(r#"{{"a":{{"reference":"one","b":[{{"reference":"t\u0077o"}},{{"reference":3}}]}},"d":{deep}}}"#);
        let mut found = Vec::new();
        references(Element::new(line.as_bytes()), |text| found.push(text.to_owned()));
        assert_eq!(found, ["one", "two", "deep"]);
    }

    #[test]
    fn one_object_stands_for_a_list_of_one() {
        let coding = |json: &'static str| {
            let codings = objects(Element::new(json.as_bytes())).flat_map(|object| texts(object, "code"));
            codings.map(Cow::into_owned).collect::<Vec<_>>()
        };
        assert_eq!(coding(r#"{"code":"a"}"#), ["a"]);
        assert_eq!(coding(r#"[{"code":"a"},7,{"system":"x","code":"b"}]"#), ["a", "b"]);
        assert!(coding("null").is_empty());
    }
}

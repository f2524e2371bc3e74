//! A JSON value where it stands in a line, and the way down into it without a tree.

use std::borrow::Cow;

use super::walk;

/// A JSON value where it stands in a line: its text from the first byte to the last.
///
/// The text need not have been validated. On valid JSON every answer is exact; on anything else it is some answer, and
/// never a panic. Whoever exports a line on such an answer validates the line first, or was told to trust it.
#[derive(Clone, Copy)]
pub(crate) struct Element<'l>(&'l [u8]);

impl<'l> Element<'l> {
    /// A value by its text, without white space around it.
    pub(crate) fn new(text: &'l [u8]) -> Self {
        Self(text)
    }

    /// As it stands in the line.
    pub(crate) fn text(self) -> &'l [u8] {
        self.0
    }

    /// Its text if it is a number or a literal.
    pub(crate) fn scalar(self) -> Option<&'l str> {
        match self.0.first() {
            None | Some(b'{' | b'[' | b'"') => None,
            Some(_) => std::str::from_utf8(self.0).ok(),
        }
    }

    /// The decoded text of a string, borrowed where it has no escapes; `None` for any other value.
    pub(crate) fn string(self) -> Option<Cow<'l, str>> {
        decode(self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?)
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }

    pub(crate) fn is_array(self) -> bool {
        self.0.first() == Some(&b'[')
    }

    /// The members of an object, in order, repeated names included; none for any other value.
    pub(crate) fn members(self) -> Members<'l> {
        let rest = self.0.strip_prefix(b"{").unwrap_or_default();
        Members { rest }
    }

    /// The items of an array, in order; none for any other value.
    pub(crate) fn items(self) -> Items<'l> {
        let rest = self.0.strip_prefix(b"[").unwrap_or_default();
        Items { rest }
    }
}

/// The name of a member, undecoded.
#[derive(Clone, Copy)]
pub(crate) struct Name<'l>(&'l [u8]);

impl<'l> Name<'l> {
    /// Whether it is that name, once decoded: `"resourceT\u0079pe"` is `resourceType`.
    pub(crate) fn is(self, name: &str) -> bool {
        if self.0.contains(&b'\\') { self.decoded().is_some_and(|own| own == name) } else { self.0 == name.as_bytes() }
    }

    /// The decoded name; `None` if it is no valid string.
    pub(crate) fn decoded(self) -> Option<Cow<'l, str>> {
        decode(self.0)
    }
}

/// See [`Element::members`].
pub(crate) struct Members<'l> {
    rest: &'l [u8],
}

impl<'l> Iterator for Members<'l> {
    type Item = (Name<'l>, Element<'l>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = walk::string(walk::after_comma(self.rest))?;
        let (value, rest) = walk::value(walk::after_colon(rest)?)?;
        self.rest = rest;
        Some((Name(name), Element(value)))
    }
}

/// See [`Element::items`].
pub(crate) struct Items<'l> {
    rest: &'l [u8],
}

impl<'l> Iterator for Items<'l> {
    type Item = Element<'l>;

    fn next(&mut self) -> Option<Self::Item> {
        let (value, rest) = walk::value(walk::after_comma(self.rest))?;
        self.rest = rest;
        Some(Element(value))
    }
}

/// The text between the quotes of a JSON string, decoded.
fn decode(inner: &[u8]) -> Option<Cow<'_, str>> {
    if !inner.contains(&b'\\') {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    let mut quoted = Vec::with_capacity(inner.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(inner);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Vec<(String, String)> {
        let text = |element: Element<'_>| String::from_utf8(element.text().to_vec()).unwrap();
        let members = Element::new(json.as_bytes()).members();
        members.map(|(name, value)| (name.decoded().unwrap().into_owned(), text(value))).collect()
    }

    #[test]
    fn members_are_cut_where_they_end() {
        let json = r#"{ "a" : {"x":["}",1]} ,"b":[1, 2 ],"\u0063":"\"}","d":-1.50e3 ,"e":null,"a":true}"#;
        let expected = [
            ("a", r#"{"x":["}",1]}"#),
            ("b", "[1, 2 ]"),
            ("c", r#""\"}""#),
            ("d", "-1.50e3"),
            ("e", "null"),
            ("a", "true"),
        ];
        let expected: Vec<_> = expected.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(names(json), expected);
    }

    #[test]
    fn items_are_cut_where_they_end() {
        let items: Vec<_> = Element::new(br#"[ 1,"a,]", {"b":[]} ,[[2]],null ]"#).items().map(Element::text).collect();
        let expected: [&[u8]; 5] = [b"1", br#""a,]""#, br#"{"b":[]}"#, b"[[2]]", b"null"];
        assert_eq!(items, expected);
        assert!(Element::new(b"[ ]").items().next().is_none());
        assert!(Element::new(b"{ }").members().next().is_none());
    }

    #[test]
    fn what_is_no_json_ends_the_walk() {
        for text in
            ["", "{", "[", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\":[", "{a:1}", "\"", "{\"a\" 1}", "]"]
        {
            let element = Element::new(text.as_bytes());
            assert_eq!(element.members().count(), 0, "{text}");
            let _ = (element.items().count(), element.string(), element.scalar());
        }
    }

    #[test]
    fn names_are_compared_decoded() {
        let (name, _) = Element::new(br#"{"resourceT\u0079pe":1}"#).members().next().unwrap();
        assert!(name.is("resourceType") && !name.is("resourceT\\u0079pe"));
    }
}

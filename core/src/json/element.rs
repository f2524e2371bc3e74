//! A JSON value where it stands in a line, and the way down into it without a tree.

use std::borrow::Cow;

use super::{simd::Level, walk::Text};

/// A JSON value where it stands in a line: its text from the first byte to the last.
///
/// The text need not have been validated. On valid JSON every answer is exact; on anything else it is some answer, and
/// never a panic. Whoever exports a line on such an answer validates the line first, or was told to trust it.
#[derive(Clone, Copy)]
pub(crate) struct Element<'l>(Text<'l>);

impl<'l> Element<'l> {
    /// A value by its text, without white space around it.
    pub(crate) fn new(text: &'l [u8]) -> Self {
        Self(Text { line: text, len: text.len() })
    }

    /// As it stands in the line.
    pub(crate) fn text(self) -> &'l [u8] {
        self.0.line.get(..self.0.len).unwrap_or_default()
    }

    /// Its text if it is a number or a literal.
    pub(crate) fn scalar(self) -> Option<&'l str> {
        match self.text().first() {
            None | Some(b'{' | b'[' | b'"') => None,
            Some(_) => std::str::from_utf8(self.text()).ok(),
        }
    }

    /// The decoded text of a string, borrowed where it has no escapes; `None` for any other value.
    pub(crate) fn string(self) -> Option<Cow<'l, str>> {
        decode(self.undecoded()?)
    }

    /// What stands between the quotes of a string, escapes and all: for those who look for a text that has none, and ask
    /// for the [`string`](Self::string) where they do not find it.
    pub(crate) fn undecoded(self) -> Option<&'l [u8]> {
        self.text().strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    pub(crate) fn is_object(self) -> bool {
        self.text().first() == Some(&b'{')
    }

    pub(crate) fn is_array(self) -> bool {
        self.text().first() == Some(&b'[')
    }

    /// The members of an object, in order, repeated names included; none for any other value.
    pub(crate) fn members(self) -> Members<'l> {
        Members { text: self.0, level: Level::detect(), at: self.begin(b'{') }
    }

    /// The member's value that begins at `start` and inside which `at` is, and the members behind it.
    pub(super) fn around(self, start: usize, at: usize) -> Option<(Self, Members<'l>)> {
        let level = Level::detect();
        let end = self.0.end_around(level, at)?;
        Some((Self(self.0.part(start..end)?), Members { text: self.0, level, at: end }))
    }

    /// The items of an array, in order; none for any other value.
    pub(crate) fn items(self) -> Items<'l> {
        Items { text: self.0, level: Level::detect(), at: self.begin(b'[') }
    }

    /// Where to walk from: behind the bracket, or at the end of what does not begin with it.
    fn begin(self, bracket: u8) -> usize {
        if self.text().first() == Some(&bracket) { 1 } else { self.0.len }
    }
}

/// The name of a member, undecoded.
#[derive(Clone, Copy)]
pub(crate) struct Name<'l> {
    text: &'l [u8],
    /// Whether it may have escapes.
    escaped: bool,
}

impl<'l> Name<'l> {
    /// Whether it is that name, once decoded: `"resourceT\u0079pe"` is `resourceType`.
    pub(crate) fn is(self, name: &str) -> bool {
        if self.escaped { self.decoded().is_some_and(|own| own == name) } else { self.text == name.as_bytes() }
    }

    /// As it stands in the line, between the quotes.
    pub(crate) fn text(self) -> &'l [u8] {
        self.text
    }

    /// Whether it may have to be decoded to be read.
    pub(crate) fn is_escaped(self) -> bool {
        self.escaped
    }

    /// The decoded name; `None` if it is no valid string.
    pub(crate) fn decoded(self) -> Option<Cow<'l, str>> {
        decode(self.text)
    }
}

/// See [`Element::members`].
pub(crate) struct Members<'l> {
    text: Text<'l>,
    level: Level,
    at: usize,
}

impl Members<'_> {
    /// Whether nothing but the end of the object follows. If not, whoever has seen the last member has not seen all.
    pub(crate) fn has_ended(&self) -> bool {
        let text = Element(self.text).text();
        text.get(self.at..).is_some_and(|rest| rest.trim_ascii() == b"}")
    }
}

impl<'l> Iterator for Members<'l> {
    type Item = (Name<'l>, Element<'l>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let member = self.text.member(self.level, self.at)?;
        self.at = member.value.end;
        let name = Name { text: self.text.line.get(member.name)?, escaped: member.escaped };
        Some((name, Element(self.text.part(member.value)?)))
    }
}

/// See [`Element::items`].
pub(crate) struct Items<'l> {
    text: Text<'l>,
    level: Level,
    at: usize,
}

impl<'l> Iterator for Items<'l> {
    type Item = Element<'l>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = self.text.item(self.level, self.at)?;
        self.at = item.end;
        Some(Element(self.text.part(item)?))
    }
}

/// The text between the quotes of a JSON string, decoded.
fn decode(inner: &[u8]) -> Option<Cow<'_, str>> {
    // Without a branch for each byte: most texts are shorter than what a search would cost to begin.
    if inner.iter().fold(false, |has, byte| has | (*byte == b'\\')) {
        return unescape(inner);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

#[cold]
fn unescape(inner: &[u8]) -> Option<Cow<'_, str>> {
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

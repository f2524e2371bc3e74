//! Queries back as text that parses to the same tree.
//!
//! Parameter names need no encoding: they hold ASCII letters, digits, `-` `_` `:` `.` and nothing else. In values these
//! characters are percent-encoded, and no others, so that a person can still read them:
//!
//! - `%` and `&`, which this grammar reads;
//! - `?`, so that no value looks like the next query of a list to the editions that know lists;
//! - `#` and `+`, which other readers of a URL would take for a fragment and a space;
//! - white space and control characters, which do not survive mail, logs and line breaks.

use std::fmt::{self, Write as _};

use super::{
    ast::{Criterion, Link, ParameterName, Query, ValueText},
    name::HAS_PREFIX,
    percent,
};

/// Writes the query as a `valueString` of any edition. It holds the searched values: not for logs or error texts.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}?", self.resource_type)?;
        let criteria = self.criteria.iter().map(|criterion| (&criterion.name, criterion.alternatives.as_slice()));
        let ignored = self.ignored.iter().map(|name| (name, &[] as &[ValueText]));
        for (position, (name, alternatives)) in criteria.chain(ignored).enumerate() {
            if position > 0 {
                f.write_char('&')?;
            }
            write!(f, "{name}=")?;
            write_alternatives(f, alternatives)?;
        }
        Ok(())
    }
}

impl Query {
    /// The query as the value of `_typeFilter` in the URL of a GET kick-off, in any edition that has one. In 1.0 and
    /// 2.0 several of them make one value when joined by `,` (BD-TF-04).
    pub fn as_get_value(&self) -> impl fmt::Display {
        GetValue(self)
    }
}

struct GetValue<'q>(&'q Query);

impl fmt::Display for GetValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(ComponentWriter(f), "{}", self.0)
    }
}

/// One `name=value`, as it stands in its query.
impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.name)?;
        write_alternatives(f, &self.alternatives)
    }
}

/// Encodes everything but RFC 3986's unreserved characters.
struct ComponentWriter<'f, 'g>(&'f mut fmt::Formatter<'g>);

impl fmt::Write for ComponentWriter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_unreserved =
            |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | '~');
        percent::encode(self.0, text, |character| !is_unreserved(character))
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for link in &self.links {
            link.fmt(f)?;
        }
        f.write_str(&self.code)?;
        match &self.modifier {
            Some(modifier) => write!(f, ":{}", modifier.as_str()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Chain { code, target: Some(target) } => write!(f, "{code}:{target}."),
            Link::Chain { code, target: None } => write!(f, "{code}."),
            Link::Has { source, reference } => write!(f, "{HAS_PREFIX}{source}:{reference}:"),
        }
    }
}

fn write_alternatives(f: &mut fmt::Formatter<'_>, alternatives: &[ValueText]) -> fmt::Result {
    for (position, alternative) in alternatives.iter().enumerate() {
        if position > 0 {
            f.write_char(',')?;
        }
        percent::encode(f, alternative.as_str(), is_encoded)?;
    }
    Ok(())
}

fn is_encoded(character: char) -> bool {
    matches!(character, '%' | '&' | '?' | '#' | '+') || character.is_whitespace() || character.is_control()
}

#[cfg(test)]
mod tests {
    use crate::{
        Edition,
        definitions::Definitions,
        type_filter::{TypeFilterSource, parse},
    };

    #[test]
    fn encodes_what_must_be_and_no_more() {
        for (value, text) in [
            ("Patient", "Patient?"),
            ("Patient?a=&b:not=1&&c=2", "Patient?b:not=1&c=2&a="),
            ("Patient?a%3Anot=x%26y%3Dz", "Patient?a:not=x%26y=z"),
            (r"Patient?a=http://x|\|\$\\,b$c", r"Patient?a=http://x|\|\$\\,b$c"),
            ("Patient?a=100%25 é#1+2?", "Patient?a=100%25%20é%231%2B2%3F"),
        ] {
            let queries = parse(&[TypeFilterSource::Post(value)], Edition::Stu3, &Definitions::R4).unwrap();
            assert_eq!(queries[0].to_string(), text);
        }
    }

    #[test]
    fn a_get_value_is_encoded_once_more() {
        let value = TypeFilterSource::Post(r"Patient?a=x%26y,\,é");
        let queries = parse(&[value], Edition::Stu3, &Definitions::R4).unwrap();
        assert_eq!(queries[0].as_get_value().to_string(), "Patient%3Fa%3Dx%2526y%2C%5C%2C%C3%A9");
    }
}

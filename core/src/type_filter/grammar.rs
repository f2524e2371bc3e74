//! One query, `Type?name=value&name=value`, as it reads once the kick-off request is decoded.
//!
//! The text is cut at the first `?`, at every `&` and at the first `=` of each part; then name and value are decoded
//! once more, as in any URL, and never again (BD-TF-22). Commas and escapes are looked for after that, so an encoded
//! comma separates alternatives as a plain one does, and a comma that belongs to a value is written `\,`.

use super::{
    ALTERNATIVES_MAX, CRITERIA_MAX,
    ast::{Criterion, Origin, ParameterName, Place, Query, ValueText},
    error::{TypeFilterError, TypeFilterErrorKind},
    name, percent,
};
use crate::{ResourceType, definitions::Definitions};

/// Parses one query. Empty parts, as in `Patient?&a=1&`, are passed over.
pub(super) fn query(text: &str, definitions: &Definitions<'_>) -> Result<Query, TypeFilterError> {
    let (context, parts) = text.split_once('?').unwrap_or((text, ""));
    let mut query = Query {
        resource_type: resource_type(context, definitions)?,
        criteria: Vec::new(),
        ignored: Vec::new(),
        origin: Origin::default(),
    };
    let mut start = context.len() + 1;
    for part in parts.split('&') {
        if !part.is_empty() {
            add(&mut query, part, start, definitions)
                .map_err(|error| error.moved(|position| start + position).of_type(&query.resource_type))?;
        }
        start += part.len() + 1;
    }
    Ok(query)
}

/// The search context is exactly one resource type (BD-TF-12).
fn resource_type(context: &str, definitions: &Definitions<'_>) -> Result<ResourceType, TypeFilterError> {
    definitions.resource_type(context).ok_or_else(|| {
        let foreign = context.find(|character: char| !character.is_ascii_alphabetic());
        match foreign {
            _ if context.is_empty() => TypeFilterError::new(TypeFilterErrorKind::MissingType, 0),
            Some(position) => TypeFilterError::new(TypeFilterErrorKind::NotOneType, position),
            None => TypeFilterError::new(TypeFilterErrorKind::unknown_type(context), 0),
        }
    })
}

/// Adds what `part` says, which begins at byte `start` of the query.
fn add(query: &mut Query, part: &str, start: usize, definitions: &Definitions<'_>) -> Result<(), TypeFilterError> {
    if query.criteria.len() + query.ignored.len() == CRITERIA_MAX {
        return Err(TypeFilterError::new(TypeFilterErrorKind::TooManyCriteria, 0));
    }
    let Some((name, value)) = part.split_once('=') else {
        return Err(TypeFilterError::new(TypeFilterErrorKind::MissingEquals, 0));
    };
    let value_start = name.len() + 1;
    let name = ParameterName { place: Place(start), ..parameter_name(name, definitions)? };
    let mut alternatives = alternatives(value)
        .map_err(|error| error.moved(|position| value_start + position).in_parameter(&name.to_string()))?;
    for alternative in &mut alternatives {
        alternative.place.0 += start + value_start;
    }
    if alternatives.is_empty() {
        query.ignored.push(name);
    } else {
        query.criteria.push(Criterion { name, alternatives });
    }
    Ok(())
}

fn parameter_name(encoded: &str, definitions: &Definitions<'_>) -> Result<ParameterName, TypeFilterError> {
    let text = percent::decode(encoded)?;
    name::parse(&text, definitions)
        .map_err(|error| error.moved(|position| percent::encoded_position(encoded, position)))
}

/// The alternatives of a value; none if it is empty.
fn alternatives(encoded: &str) -> Result<Vec<ValueText>, TypeFilterError> {
    let text = percent::decode(encoded)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut alternatives =
        split_at_commas(&text).map_err(|error| error.moved(|position| percent::encoded_position(encoded, position)))?;
    // Each is looked for from the one before, so that many of them cost no more than one.
    let (mut decoded_from, mut encoded_from) = (0, 0);
    for alternative in &mut alternatives {
        let rest = encoded.get(encoded_from..).unwrap_or_default();
        encoded_from += percent::encoded_position(rest, alternative.place.0 - decoded_from);
        decoded_from = std::mem::replace(&mut alternative.place.0, encoded_from);
    }
    Ok(alternatives)
}

/// Splits at the commas that no backslash escapes, and checks that every backslash escapes something
/// (FHIR R4 search, 3.1.1.4.19). The escapes stay for whoever reads the value by its type.
fn split_at_commas(text: &str) -> Result<Vec<ValueText>, TypeFilterError> {
    let mut alternatives = Vec::new();
    let mut start = 0;
    let mut bytes = text.bytes().enumerate();
    while let Some((position, byte)) = bytes.next() {
        match byte {
            b'\\' if !matches!(bytes.next(), Some((_, b',' | b'|' | b'$' | b'\\'))) => {
                return Err(TypeFilterError::new(TypeFilterErrorKind::Escape, position));
            }
            b',' => {
                push(&mut alternatives, text, start, position)?;
                start = position + 1;
            }
            _ => {}
        }
    }
    push(&mut alternatives, text, start, text.len())?;
    Ok(alternatives)
}

fn push(alternatives: &mut Vec<ValueText>, text: &str, start: usize, end: usize) -> Result<(), TypeFilterError> {
    let alternative = text.get(start..end).unwrap_or_default();
    if alternative.is_empty() {
        return Err(TypeFilterError::new(TypeFilterErrorKind::EmptyAlternative, start));
    }
    if alternatives.len() == ALTERNATIVES_MAX {
        return Err(TypeFilterError::new(TypeFilterErrorKind::TooManyAlternatives, start));
    }
    alternatives.push(ValueText { text: alternative.to_owned(), place: Place(start) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use TypeFilterErrorKind as Kind;

    #[test]
    fn errors_point_into_the_text_of_the_query() {
        for (text, kind, position) in [
            ("", Kind::MissingType, 0),
            ("?code=1", Kind::MissingType, 0),
            ("*?code=1", Kind::NotOneType, 0),
            ("Patient/1/Observation?x=1", Kind::NotOneType, 7),
            ("/Patient?x=1", Kind::NotOneType, 0),
            ("Patient,Group?x=1", Kind::NotOneType, 7),
            (" Patient?x=1", Kind::NotOneType, 0),
            ("patient?x=1", Kind::UnknownType("patient".into()), 0),
            ("Patient?a=1&b", Kind::MissingEquals, 12),
            ("Patient?a=1&=2", Kind::MissingName, 12),
            ("Patient?a=1&&%41%20=2", Kind::NameCharacter(' '), 16),
            ("Patient?a%3=1", Kind::PercentEncoding, 9),
            ("Patient?a=%41%4", Kind::PercentEncoding, 13),
            ("Patient?a=%41%C3", Kind::Utf8, 13),
            ("Patient?a=b,", Kind::EmptyAlternative, 12),
            ("Patient?a=,b", Kind::EmptyAlternative, 10),
            ("Patient?a=b%2C%2Cc", Kind::EmptyAlternative, 14),
            ("Patient?a=b\\", Kind::Escape, 11),
            ("Patient?a=%5C,b%5Cn", Kind::Escape, 15),
            ("Patient?%61:f=1", Kind::UnknownModifier("f".into()), 12),
        ] {
            let error = query(text, &Definitions::R4).unwrap_err();
            assert_eq!((error.kind(), error.position()), (&kind, position), "{text}");
            assert_eq!(error.resource_type().is_some(), position >= 8, "{text}");
        }
    }

    #[test]
    fn escapes_stay_and_only_bare_commas_split() {
        for (value, alternatives) in [
            ("a,b", &["a", "b"][..]),
            (r"a\,b,c", &[r"a\,b", "c"]),
            (r"a\\,b", &[r"a\\", "b"]),
            (r"a\|b|c\$d$e", &[r"a\|b|c\$d$e"]),
            ("%C3%A9,é", &["é", "é"]),
            ("==?", &["==?"]),
        ] {
            let query = query(&format!("Patient?a={value}"), &Definitions::R4).unwrap();
            let texts: Vec<_> = query.criteria()[0].alternatives().iter().map(ValueText::as_str).collect();
            assert_eq!(texts, alternatives, "{value}");
        }
    }

    #[test]
    fn every_part_knows_where_it_began() {
        let query = query("Patient?a=%C3%A9,b%2Cc&%61:not=d", &Definitions::R4).unwrap();
        let places = query.criteria().iter().map(|criterion| {
            let alternatives = criterion.alternatives().iter().map(|alternative| alternative.place.0);
            (criterion.name().place.0, alternatives.collect::<Vec<_>>())
        });
        assert_eq!(places.collect::<Vec<_>>(), [(8, vec![10, 17, 21]), (23, vec![31])]);
    }

    #[test]
    fn bounds_hold_and_what_fits_is_accepted() {
        let criteria = |count| format!("Patient?{}", "a=1&b=&".repeat(count / 2));
        assert_eq!(query(&criteria(CRITERIA_MAX), &Definitions::R4).unwrap().criteria().len(), CRITERIA_MAX / 2);
        let error = query(&criteria(CRITERIA_MAX + 2), &Definitions::R4).unwrap_err();
        assert_eq!(*error.kind(), Kind::TooManyCriteria);

        let alternatives = |count| format!("Patient?a=1{}", ",1".repeat(count - 1));
        let query_of_most = query(&alternatives(ALTERNATIVES_MAX), &Definitions::R4).unwrap();
        assert_eq!(query_of_most.criteria()[0].alternatives().len(), ALTERNATIVES_MAX);
        let error = query(&alternatives(ALTERNATIVES_MAX + 1), &Definitions::R4).unwrap_err();
        assert_eq!(*error.kind(), Kind::TooManyAlternatives);
    }
}

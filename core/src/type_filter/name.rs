//! The name of a parameter:
//!
//! ```text
//! name = *link code [ ":" modifier ]
//! link = code [ ":" Type ] "."  |  "_has:" Type ":" code ":"
//! ```

use super::{
    LINKS_MAX,
    ast::{Link, Modifier, ParameterName, Place},
    error::{TypeFilterError, TypeFilterErrorKind},
};
use crate::{ResourceType, definitions::Definitions};

/// Parses a decoded name.
pub(super) fn parse(name: &str, definitions: &Definitions<'_>) -> Result<ParameterName, TypeFilterError> {
    if name.is_empty() {
        return Err(TypeFilterError::new(TypeFilterErrorKind::MissingName, 0));
    }
    // Before the name is attached to any error: text with other characters may be a value that lost its escapes.
    if let Some((position, character)) = name.char_indices().find(|&(_, character)| !is_name_character(character)) {
        return Err(TypeFilterError::new(TypeFilterErrorKind::NameCharacter(character), position));
    }
    structure(name, definitions).map_err(|error| error.in_parameter(name))
}

fn structure(name: &str, definitions: &Definitions<'_>) -> Result<ParameterName, TypeFilterError> {
    let mut links = Vec::new();
    let mut rest = name;
    loop {
        let start = name.len() - rest.len();
        let behind = |error: TypeFilterError| error.moved(|position| start + position);
        let Some((link, after)) = link(rest, definitions).map_err(behind)? else {
            let (code, modifier) = last(rest, definitions).map_err(behind)?;
            return Ok(ParameterName { links, code, modifier, place: Place::default() });
        };
        if links.len() == LINKS_MAX {
            return Err(TypeFilterError::new(TypeFilterErrorKind::TooManyLinks, start));
        }
        links.push(link);
        rest = after;
    }
}

/// The link that the text starts with, if any, and the text behind it.
fn link<'n>(text: &'n str, definitions: &Definitions<'_>) -> Result<Option<(Link, &'n str)>, TypeFilterError> {
    if let Some(reverse) = text.strip_prefix(HAS_PREFIX) {
        let mut fields = reverse.splitn(3, ':');
        let (Some(source), Some(reference), Some(rest)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(TypeFilterError::new(TypeFilterErrorKind::NameShape, 0));
        };
        let source_start = HAS_PREFIX.len();
        let reference_start = source_start + source.len() + 1;
        let link = Link::Has {
            source: link_type(source, source_start, definitions)?,
            reference: code(reference, reference_start)?,
        };
        return Ok(Some((link, rest)));
    }
    let Some((step, rest)) = text.split_once('.') else {
        return Ok(None);
    };
    let link = match step.split_once(':') {
        Some((reference, target)) => Link::Chain {
            code: code(reference, 0)?,
            target: Some(link_type(target, reference.len() + 1, definitions)?),
        },
        None => Link::Chain { code: code(step, 0)?, target: None },
    };
    Ok(Some((link, rest)))
}

fn last(text: &str, definitions: &Definitions<'_>) -> Result<(String, Option<Modifier>), TypeFilterError> {
    match text.split_once(':') {
        Some((name, suffix)) => Ok((code(name, 0)?, Some(modifier(suffix, name.len() + 1, definitions)?))),
        None => Ok((code(text, 0)?, None)),
    }
}

fn code(text: &str, position: usize) -> Result<String, TypeFilterError> {
    if FORBIDDEN.contains(&text) {
        return Err(TypeFilterError::new(TypeFilterErrorKind::ForbiddenParameter, position));
    }
    // Only `_has:` leads back, and it has more behind it than a code may.
    let is_code = !text.is_empty() && text != "_has" && !text.contains(['.', ':']);
    if is_code { Ok(text.to_owned()) } else { Err(TypeFilterError::new(TypeFilterErrorKind::NameShape, position)) }
}

fn modifier(text: &str, position: usize, definitions: &Definitions<'_>) -> Result<Modifier, TypeFilterError> {
    if text.is_empty() || text.contains(':') {
        return Err(TypeFilterError::new(TypeFilterErrorKind::NameShape, position));
    }
    let named = Modifier::NAMED.into_iter().find(|modifier| modifier.as_str() == text);
    named
        .or_else(|| definitions.resource_type(text).map(Modifier::Type))
        .ok_or_else(|| TypeFilterError::new(TypeFilterErrorKind::unknown_modifier(text), position))
}

fn link_type(text: &str, position: usize, definitions: &Definitions<'_>) -> Result<ResourceType, TypeFilterError> {
    definitions
        .resource_type(text)
        .ok_or_else(|| TypeFilterError::new(TypeFilterErrorKind::unknown_link_type(text), position))
}

/// Every search parameter of FHIR is named with these; `:` and `.` join names.
fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | ':' | '.')
}

pub(super) const HAS_PREFIX: &str = "_has:";

/// Parameters that shape results, and `_type`, which would widen the context (BD-TF-11, BD-TF-12). The guide forbids
/// them from 2.0 on; in 1.0 they mean as little.
const FORBIDDEN: [&str; 13] = [
    "_contained",
    "_containedType",
    "_count",
    "_elements",
    "_graph",
    "_include",
    "_maxresults",
    "_revinclude",
    "_score",
    "_sort",
    "_summary",
    "_total",
    "_type",
];

#[cfg(test)]
mod tests {
    use super::*;
    use TypeFilterErrorKind as Kind;

    fn resource_type(name: &str) -> ResourceType {
        Definitions::R4.resource_type(name).unwrap()
    }

    #[test]
    fn chains_and_modifiers_are_structured() {
        let chain =
            |code: &str, target: Option<&str>| Link::Chain { code: code.into(), target: target.map(resource_type) };
        let has =
            |source: &str, reference: &str| Link::Has { source: resource_type(source), reference: reference.into() };
        for (text, links, code, modifier) in [
            ("birthdate", vec![], "birthdate", None),
            ("_lastUpdated", vec![], "_lastUpdated", None),
            ("code:not-in", vec![], "code", Some(Modifier::NotIn)),
            ("subject:Patient", vec![], "subject", Some(Modifier::Type(resource_type("Patient")))),
            ("patient.name:exact", vec![chain("patient", None)], "name", Some(Modifier::Exact)),
            (
                "subject:Patient.general-practitioner:Practitioner.name",
                vec![chain("subject", Some("Patient")), chain("general-practitioner", Some("Practitioner"))],
                "name",
                None,
            ),
            ("_has:Observation:patient:code", vec![has("Observation", "patient")], "code", None),
            (
                "_has:Observation:patient:_has:AuditEvent:entity:agent:identifier",
                vec![has("Observation", "patient"), has("AuditEvent", "entity")],
                "agent",
                Some(Modifier::Identifier),
            ),
            ("patient._has:Group:member:_id", vec![chain("patient", None), has("Group", "member")], "_id", None),
            (
                "_has:Observation:patient:performer.name",
                vec![has("Observation", "patient"), chain("performer", None)],
                "name",
                None,
            ),
        ] {
            let name = ParameterName { links, code: code.into(), modifier, place: Place::default() };
            assert_eq!(parse(text, &Definitions::R4), Ok(name.clone()), "{text}");
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn errors_point_into_the_name() {
        for (text, kind, position) in [
            ("", Kind::MissingName, 0),
            ("a b", Kind::NameCharacter(' '), 1),
            ("na\u{e9}", Kind::NameCharacter('\u{e9}'), 2),
            ("a:", Kind::NameShape, 2),
            (":exact", Kind::NameShape, 0),
            ("a:exact:not", Kind::NameShape, 2),
            (".", Kind::NameShape, 0),
            ("a.", Kind::NameShape, 2),
            ("a..b", Kind::NameShape, 2),
            ("_has", Kind::NameShape, 0),
            ("_has.a", Kind::NameShape, 0),
            ("_has:Group", Kind::NameShape, 0),
            ("_has:Group:member", Kind::NameShape, 0),
            ("_has:Group:member:", Kind::NameShape, 18),
            ("_has:Group:a.b:c", Kind::NameShape, 11),
            ("_has:Grup:member:_id", Kind::UnknownLinkType("Grup".into()), 5),
            ("a:Patent.b", Kind::UnknownLinkType("Patent".into()), 2),
            ("a:Exact", Kind::UnknownModifier("Exact".into()), 2),
            ("a.b:iterate", Kind::UnknownModifier("iterate".into()), 4),
            ("patient._sort", Kind::ForbiddenParameter, 8),
            ("_has:Group:_type:a", Kind::ForbiddenParameter, 11),
        ] {
            let error = parse(text, &Definitions::R4).unwrap_err();
            assert_eq!((error.kind(), error.position()), (&kind, position), "{text}");
        }
    }

    #[test]
    fn forbidden_parameters_are_so_with_a_modifier_too() {
        for name in FORBIDDEN {
            for text in [name.to_owned(), format!("{name}:iterate"), format!("{name}:missing")] {
                let error = parse(&text, &Definitions::R4).unwrap_err();
                assert_eq!((error.kind(), error.parameter()), (&Kind::ForbiddenParameter, Some(text.as_str())));
            }
        }
    }

    #[test]
    fn long_chains_are_refused_without_recursion() {
        let name = |links: usize| "_has:Group:member:".repeat(links) + "_id";
        assert_eq!(parse(&name(LINKS_MAX), &Definitions::R4).unwrap().links().len(), LINKS_MAX);
        for links in [LINKS_MAX + 1, 50_000] {
            let error = parse(&name(links), &Definitions::R4).unwrap_err();
            assert_eq!((error.kind(), error.position()), (&Kind::TooManyLinks, LINKS_MAX * 18));
        }
    }
}

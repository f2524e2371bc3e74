//! What is wrong with a query, where, and what would be accepted instead.
//!
//! The texts name resource types, parameters and modifiers, and never a searched value, which may identify a patient.
//! Where one of these is misplaced and so may be part of a value, the position has to do.

use std::fmt;

use super::{
    ALTERNATIVES_MAX, BYTES_MAX, CRITERIA_MAX, LINKS_MAX, QUERIES_MAX,
    ast::Modifier,
    chain::CHAIN_LINKS_MAX,
    percent::{DecodeError, DecodeFault},
    sets::{CHAINS_MAX, VALUE_SETS_MAX},
    undecidable::Undecidable,
    value::VALUE_SET_BYTES_MAX,
};
use crate::ResourceType;

/// Why a query cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFilterError {
    kind: TypeFilterErrorKind,
    value: usize,
    query: usize,
    position: usize,
    resource_type: Option<ResourceType>,
    parameter: Option<String>,
}

impl TypeFilterError {
    pub(super) fn new(kind: TypeFilterErrorKind, position: usize) -> Self {
        Self { kind, value: 0, query: 0, position, resource_type: None, parameter: None }
    }

    #[must_use]
    pub(super) fn in_query(self, value: usize, query: usize) -> Self {
        Self { value, query, ..self }
    }

    #[must_use]
    pub(super) fn of_type(self, resource_type: &ResourceType) -> Self {
        Self { resource_type: Some(resource_type.clone()), ..self }
    }

    #[must_use]
    pub(super) fn in_parameter(self, name: &str) -> Self {
        Self { parameter: Some(shortened(name)), ..self }
    }

    /// The same, of a criterion that is asked of the resource to which a chain leads.
    #[must_use]
    pub(super) fn in_chain(self, target: &ResourceType) -> Self {
        Self { kind: self.kind.in_chain(target), ..self }
    }

    /// The same, where the text that the position counts in is part of another.
    #[must_use]
    pub(super) fn moved(self, outer: impl FnOnce(usize) -> usize) -> Self {
        Self { position: outer(self.position), ..self }
    }

    /// What is wrong.
    pub fn kind(&self) -> &TypeFilterErrorKind {
        &self.kind
    }

    /// In which of the parameter's values, from 0.
    pub fn value(&self) -> usize {
        self.value
    }

    /// In which query of that value, from 0: above 0 only where an edition has lists.
    pub fn query(&self) -> usize {
        self.query
    }

    /// At which byte of that query, from 0, as the query reads once the kick-off request is decoded. Where that very
    /// decoding fails, as it was sent.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The type that the query filters, where it could be told. Under lenient handling this type still counts as
    /// filtered when the query is dropped.
    pub fn resource_type(&self) -> Option<&ResourceType> {
        self.resource_type.as_ref()
    }

    /// The parameter of the query that it is about, modifier and chain included, cut after 60 characters.
    pub fn parameter(&self) -> Option<&str> {
        self.parameter.as_deref()
    }

    /// Whether one query is wrong and no more. If not, nobody knows what else was asked for: lenient handling must
    /// refuse the request too, or it would export what a filter was to keep out.
    pub fn concerns_one_query(&self) -> bool {
        !matches!(
            self.kind,
            TypeFilterErrorKind::List | TypeFilterErrorKind::TooLong | TypeFilterErrorKind::TooManyQueries
        )
    }
}

impl fmt::Display for TypeFilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`_typeFilter` value {}, query {}", self.value + 1, self.query + 1)?;
        if let Some(resource_type) = &self.resource_type {
            write!(f, " for `{resource_type}`")?;
        }
        write!(f, ", byte {}: ", self.position)?;
        if let Some(parameter) = &self.parameter {
            write!(f, "parameter `{parameter}`: ")?;
        }
        self.kind.fmt(f)
    }
}

impl std::error::Error for TypeFilterError {}

impl From<DecodeError> for TypeFilterError {
    fn from(error: DecodeError) -> Self {
        let kind = match error.fault {
            DecodeFault::Digits => TypeFilterErrorKind::PercentEncoding,
            DecodeFault::Utf8 => TypeFilterErrorKind::Utf8,
        };
        Self::new(kind, error.position)
    }
}

/// The ways in which a query can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeFilterErrorKind {
    /// A link of a chain that may lead to several types, which have the parameter behind it.
    AmbiguousChain {
        /// The link as it may be written.
        accepted: Vec<String>,
    },
    /// Nothing is left between two commas of a value, or beside one.
    EmptyAlternative,
    /// A backslash that escapes nothing (FHIR R4 search, 3.1.1.4.19).
    Escape,
    /// A parameter that shapes results or widens the context (BD-TF-11).
    ForbiddenParameter,
    /// What is asked of the resource to which a chain leads.
    InChain {
        /// The type of that resource.
        target: ResourceType,
        /// What is wrong.
        kind: Box<TypeFilterErrorKind>,
    },
    /// A list of queries, which the 4.0 ballot has no more (BD-TF-24).
    List,
    /// More links than are followed.
    LongChain,
    /// A parameter without `=`. FHIR search would ignore it; a filter that is not applied discloses too much.
    MissingEquals,
    /// `=` with no parameter name before it.
    MissingName,
    /// No resource type before the `?`: a query over all types (BD-TF-12).
    MissingType,
    /// A character that no parameter name has.
    NameCharacter(char),
    /// A parameter name whose parts do not fit together.
    NameShape,
    /// A chain through a parameter that refers to no resource.
    NotAReference,
    /// Anything but a single resource type before the `?`: a compartment, an instance, a pattern, a base URL
    /// (BD-TF-12).
    NotOneType,
    /// A `%` without two hexadecimal digits.
    PercentEncoding,
    /// A modifier that the parameter's type does not have.
    ModifierOfType {
        /// The type of the parameter, as FHIR names it.
        parameter_type: &'static str,
        /// What it has, in words.
        accepted: &'static str,
    },
    /// A resource type as a modifier, to which the parameter never refers.
    TargetType {
        /// Those to which it does.
        accepted: Vec<String>,
    },
    /// More than `BYTES_MAX` bytes in all values.
    TooLong,
    /// More than `ALTERNATIVES_MAX` alternatives in a criterion.
    TooManyAlternatives,
    /// More than `CRITERIA_MAX` criteria in a query.
    TooManyCriteria,
    /// More than `LINKS_MAX` links in a parameter name.
    TooManyLinks,
    /// More than `QUERIES_MAX` queries in all values.
    TooManyQueries,
    /// More ValueSets, or more chains, than are looked into for one export.
    TooManySets,
    /// A question that one resource alone does not answer.
    Undecidable(Undecidable),
    /// A modifier that FHIR does not define and that is no resource type.
    UnknownModifier(String),
    /// A resource type in a chain that this FHIR version does not have.
    UnknownLinkType(String),
    /// A search parameter that resources of the type do not have.
    UnknownParameter {
        /// The one that may have been meant.
        nearest: Option<String>,
    },
    /// A resource type before the `?` that this FHIR version does not have.
    UnknownType(String),
    /// A ValueSet of which nothing is known here.
    UnknownValueSet,
    /// Percent-encoded bytes that are not UTF-8.
    Utf8,
    /// A value that is not of the form that its parameter's type prescribes.
    Value(ValueForm),
}

/// What the value of a parameter looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueForm {
    /// Of a token that is a boolean.
    Boolean,
    /// Of a composite: so many parts.
    Composite {
        /// How many.
        parts: usize,
    },
    /// Of an address for phone, mail and the like, which has no system.
    ContactPoint,
    /// Of a date.
    Date,
    /// Of `_id`.
    Id,
    /// Of `:missing`.
    Missing,
    /// Of a number.
    Number,
    /// Of `:of-type`.
    OfType,
    /// Of a quantity.
    Quantity,
    /// Of a reference.
    Reference,
    /// Of a string.
    String,
    /// Of a token.
    Token,
    /// Of a reference whose type is in the modifier.
    TypedReference,
    /// Of `:in` and `:not-in`.
    ValueSet,
}

impl TypeFilterErrorKind {
    #[must_use]
    pub(super) fn in_chain(self, target: &ResourceType) -> Self {
        Self::InChain { target: target.clone(), kind: Box::new(self) }
    }

    pub(super) fn unknown_link_type(name: &str) -> Self {
        Self::UnknownLinkType(shortened(name))
    }

    pub(super) fn unknown_modifier(name: &str) -> Self {
        Self::UnknownModifier(shortened(name))
    }

    pub(super) fn unknown_type(name: &str) -> Self {
        Self::UnknownType(shortened(name))
    }
}

impl fmt::Display for TypeFilterErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AmbiguousChain { accepted } => {
                f.write_str("the chain may lead to several types that have the parameter behind it: accepted are")?;
                shown(f, accepted)
            }
            Self::EmptyAlternative => {
                f.write_str("an alternative is empty: write `\\,` for a comma that belongs to the value")
            }
            Self::Escape => f.write_str("a backslash escapes nothing: accepted are `\\,` `\\|` `\\$` `\\\\`"),
            Self::ForbiddenParameter => {
                f.write_str("not allowed in a query: accepted are search parameters that select resources of its type")
            }
            Self::InChain { target, kind } => write!(f, "of the `{target}` to which the chain leads: {kind}"),
            Self::List => f.write_str("a list of queries: accepted is one query in each value"),
            Self::LongChain => {
                write!(f, "more links than are followed: accepted is a chain of at most {CHAIN_LINKS_MAX}")
            }
            Self::MissingEquals => f.write_str("a parameter without `=`: accepted is `name=value`"),
            Self::MissingName => f.write_str("no parameter name before `=`: accepted is `name=value`"),
            Self::MissingType => f.write_str("no resource type: accepted is one, then `?`"),
            Self::ModifierOfType { parameter_type, accepted } => {
                write!(f, "not a modifier of a {parameter_type} parameter: accepted are {accepted}")
            }
            Self::NameCharacter(character) => write!(
                f,
                "unexpected character `{}` in a parameter name: accepted are ascii letters, digits, `-` `_` `:` `.`",
                character.escape_debug()
            ),
            Self::NameShape => f.write_str(
                "the name is incomplete: accepted are `code` and `code:modifier`, also behind `code.`, `code:Type.` or \
                 `_has:Type:code:`",
            ),
            Self::NotAReference => f.write_str(
                "the chain goes through a parameter that is no reference to a resource: accepted are reference parameters",
            ),
            Self::NotOneType => {
                f.write_str("the context is not a single resource type: accepted is one type name, then `?`")
            }
            Self::PercentEncoding => f.write_str("`%` is not followed by two hexadecimal digits: `%25` means itself"),
            Self::TargetType { accepted } => {
                f.write_str("the parameter never refers to this type: accepted are")?;
                shown(f, accepted)
            }
            Self::TooLong => write!(f, "the values exceed {BYTES_MAX} bytes in all"),
            Self::TooManyAlternatives => write!(f, "more than {ALTERNATIVES_MAX} alternatives"),
            Self::TooManyCriteria => write!(f, "more than {CRITERIA_MAX} criteria in a query"),
            Self::TooManyLinks => write!(f, "a chain of more than {LINKS_MAX} links"),
            Self::TooManyQueries => write!(f, "more than {QUERIES_MAX} queries in all"),
            Self::TooManySets => write!(
                f,
                "more is looked into than one export may: accepted are {VALUE_SETS_MAX} value sets and {CHAINS_MAX} links \
                 of chains in all"
            ),
            Self::Undecidable(undecidable) => undecidable.fmt(f),
            Self::UnknownLinkType(name) => write!(f, "unknown resource type `{name}` in a chain"),
            Self::UnknownModifier(name) => {
                write!(f, "unknown modifier `{name}`: accepted are ")?;
                Modifier::NAMED.iter().try_for_each(|modifier| write!(f, "`{}` ", modifier.as_str()))?;
                f.write_str("or a resource type")
            }
            Self::UnknownParameter { nearest: Some(nearest) } => {
                write!(f, "unknown search parameter of this type: `{nearest}` is one")
            }
            Self::UnknownParameter { nearest: None } => f.write_str(
                "unknown search parameter of this type: accepted are those that FHIR defines for it, such as `_id`",
            ),
            Self::UnknownType(name) => write!(f, "unknown resource type `{name}`: accepted is one, then `?`"),
            Self::UnknownValueSet => {
                f.write_str("no such value set is known here; accepted are the codes themselves, separated by `,`")
            }
            Self::Utf8 => f.write_str("percent-encoded bytes that are not utf-8"),
            Self::Value(form) => form.fmt(f),
        }
    }
}

impl fmt::Display for ValueForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Composite { parts } => {
                return write!(f, "not the {parts} values of a composite: accepted are {parts}, separated by `$`");
            }
            Self::Boolean => "not a boolean: accepted is one of `true` and `false`",
            Self::ContactPoint => "a phone number or mail address has no system: accepted is the value without `|`",
            Self::Date => {
                "not a date: accepted is `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or `YYYY-MM-DDThh:mm` with seconds and zone \
                 (`Z`, `+hh:mm`) as needed, behind `eq` `ne` `gt` `lt` `ge` `le` `sa` `eb` `ap` or nothing"
            }
            Self::Id => "not an id: accepted are 1 to 64 letters, digits, `-` and `.`",
            Self::Missing => "not an answer to `:missing`: accepted is one of `true` and `false`",
            Self::Number => {
                "not a number: accepted is a decimal such as `100`, `0.80` or `1e2`, behind `eq` `ne` `gt` `lt` `ge` \
                 `le` `sa` `eb` `ap` or nothing"
            }
            Self::OfType => "not an identifier and its type: accepted is `system|code|value`",
            Self::Quantity => {
                "not a quantity: accepted is `number`, `number|system|code`, `number||code` or `number|system|`, \
                 behind `eq` `ne` `gt` `lt` `ge` `le` `sa` `eb` `ap` or nothing"
            }
            Self::Reference => "not a reference: accepted is `id`, `Type/id`, an absolute url or `url|version`",
            Self::String => "nothing to search for: accepted is a text with letters or digits, or `:exact`",
            Self::Token => "not a token: accepted is `code`, `system|code`, `|code` or `system|`",
            Self::TypedReference => "not an id: with a type as modifier, accepted is the `id` alone",
            Self::ValueSet => {
                return write!(
                    f,
                    "not the canonical of a value set: accepted is an absolute `url` or `url|version` of at most \
                     {VALUE_SET_BYTES_MAX} bytes"
                );
            }
        })
    }
}

/// Some of the names that are accepted.
fn shown(f: &mut fmt::Formatter<'_>, accepted: &[String]) -> fmt::Result {
    accepted.iter().take(SHOWN_TYPES_MAX).try_for_each(|name| write!(f, " `{name}`"))?;
    if accepted.len() > SHOWN_TYPES_MAX { f.write_str(" and others") } else { Ok(()) }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

/// Target types that an error text shows. Most parameters have fewer.
const SHOWN_TYPES_MAX: usize = 12;

/// Characters of a name that an error text shows. The longest code of R4 has 33.
const SHOWN_CHARACTERS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Edition,
        definitions::Definitions,
        type_filter::{TypeFilterSource, parse},
    };

    #[test]
    fn the_text_says_where_what_and_what_instead() {
        for (values, text) in [
            (
                &["Patient", "Patient?gender:foo=male"][..],
                "`_typeFilter` value 2, query 1 for `Patient`, byte 15: parameter `gender:foo`: unknown modifier \
                 `foo`: accepted are `above` `below` `contains` `exact` `identifier` `in` `missing` `not` `not-in` \
                 `of-type` `text` or a resource type",
            ),
            (
                &["Patient?name=x,Group?actual=true&_sort=name"],
                "`_typeFilter` value 1, query 2 for `Group`, byte 18: parameter `_sort`: not allowed in a query: \
                 accepted are search parameters that select resources of its type",
            ),
            (
                &["Patinet?a=1"],
                "`_typeFilter` value 1, query 1, byte 0: unknown resource type `Patinet`: accepted is one, then `?`",
            ),
        ] {
            let values: Vec<_> = values.iter().copied().map(TypeFilterSource::Post).collect();
            let errors = parse(&values, Edition::Stu2, &Definitions::R4).unwrap_err();
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
        }
    }

    #[test]
    fn long_names_are_cut() {
        let name = "x".repeat(1000);
        let value = format!("Patient?{name}:{name}=1");
        let errors = parse(&[TypeFilterSource::Post(&value)], Edition::Stu3, &Definitions::R4).unwrap_err();
        let cut = "x".repeat(60) + "…";
        assert_eq!(errors[0].parameter(), Some(cut.as_str()));
        assert_eq!(*errors[0].kind(), TypeFilterErrorKind::UnknownModifier(cut));
    }

    /// Wherever the marker stands as a value, or where a value may have slipped to, no error text shows it.
    #[test]
    fn no_text_shows_a_searched_value() {
        for value in [
            "Patient?identifier=MRN471\\",
            "Patient?identifier=MRN471%",
            "Patient?identifier=MRN471%FF",
            "Patient?identifier=MRN471,",
            "Patient?identifier=a&MRN471",
            "Patient?identifier=a&Mr. MRN471 =b",
            "Patient?identifier:foo=MRN471",
            "Patient?_sort=MRN471",
            "Patient/MRN471/Observation?code=x",
            "Patient/MRN471",
            "identifier=MRN471",
            "https://example.org/Patient?identifier=MRN471",
            "MRN471",
        ] {
            for edition in [Edition::Stu1, Edition::Stu3, Edition::Stu4Ballot] {
                for source in [TypeFilterSource::Post(value), TypeFilterSource::Get(value)] {
                    let errors = parse(&[source], edition, &Definitions::R4).unwrap_err();
                    let shown = format!("{errors:?} {} {source:?}", errors[0]);
                    assert!(!shown.contains("MRN471"), "{shown}");
                }
            }
        }
    }
}

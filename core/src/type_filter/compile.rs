//! From the syntax tree to a program: what a parameter's name and type make of its values. Whatever one resource cannot
//! decide is refused here, by name, so that nothing is left to fail on a resource.

use super::{
    ast::{Criterion, Link, Modifier, ParameterName, Place, Query},
    error::{TypeFilterError, TypeFilterErrorKind, Undecidable, ValueForm},
    program::{Condition, FilterContext, Matcher, Part, Test},
    value::{
        CanonicalOrder, DateTest, NumberTest, OfType, QuantityTest, ReferenceTest, StringTest, TextRule, TokenTest,
        UriRule, UriTest, split, unescaped,
    },
};
use crate::{
    Definitions, ResourceType,
    reference::is_id,
    search::{self, ParameterType, SearchParameter},
};

/// The criteria of a query, or the first thing that is wrong with it.
pub(super) fn query<'d>(
    query: &Query,
    definitions: &Definitions<'d>,
    context: &FilterContext,
) -> Result<Vec<Test<'d>>, TypeFilterError> {
    let compiler = Compiler { resource_type: &query.resource_type, definitions, context };
    let located = |error: TypeFilterError, name: &ParameterName| {
        let error = error.in_parameter(&name.to_string()).of_type(&query.resource_type);
        error.in_query(query.origin.value, query.origin.query)
    };
    for name in &query.ignored {
        compiler.rule(name).map_err(|kind| located(TypeFilterError::new(kind, name.place.0), name))?;
    }
    let tests = query
        .criteria
        .iter()
        .map(|criterion| compiler.test(criterion).map_err(|error| located(error, &criterion.name)));
    tests.collect()
}

#[derive(Clone, Copy)]
struct Compiler<'c, 'd> {
    resource_type: &'c ResourceType,
    definitions: &'c Definitions<'d>,
    context: &'c FilterContext,
}

/// How a parameter, by its type and modifier, reads a value.
enum Rule<'n> {
    Canonical(CanonicalOrder),
    Composite,
    ContactPoint,
    Date,
    Id,
    Missing,
    Name,
    Number,
    OfType,
    Quantity,
    Reference,
    ReferenceIdentifier,
    String(TextRule),
    Token,
    TokenText,
    TypedReference(&'n ResourceType),
    Uri(UriRule),
}

impl<'d> Compiler<'_, 'd> {
    fn test(self, criterion: &Criterion) -> Result<Test<'d>, TypeFilterError> {
        let name = &criterion.name;
        let (parameter, rule) = self.rule(name).map_err(|kind| TypeFilterError::new(kind, name.place.0))?;
        let condition = match rule {
            Rule::Missing => Condition::Missing(missing(criterion)?),
            rule => {
                let matchers = criterion.alternatives.iter().map(|value| {
                    let matcher = self.matcher(&parameter, &rule, value.as_str());
                    matcher.map_err(|kind| TypeFilterError::new(kind, value.place.0))
                });
                let matchers = matchers.collect::<Result<_, _>>()?;
                let is_negated = name.modifier == Some(Modifier::Not);
                if is_negated { Condition::NoneOf(matchers) } else { Condition::Any(matchers) }
            }
        };
        Ok(Test { parameter, condition })
    }

    /// The parameter of that name, and how it reads its values.
    fn rule<'n>(self, name: &'n ParameterName) -> Result<(SearchParameter<'d>, Rule<'n>), TypeFilterErrorKind> {
        if let Some(undecidable) = undecidable(name) {
            return Err(TypeFilterErrorKind::Undecidable(undecidable));
        }
        let parameter = self.parameter(&name.code)?;
        let rule = match parameter.parameter_type() {
            ParameterType::Composite => rule_without_modifier(Rule::Composite, name, "composite", "none"),
            ParameterType::Date => rule_or_missing(Rule::Date, name, "date"),
            ParameterType::Number => rule_or_missing(Rule::Number, name, "number"),
            ParameterType::Quantity => rule_or_missing(Rule::Quantity, name, "quantity"),
            ParameterType::Reference => reference_rule(name, &parameter),
            ParameterType::Special => Err(TypeFilterErrorKind::Undecidable(Undecidable::NoExpression)),
            ParameterType::String => string_rule(name),
            ParameterType::Token => token_rule(name),
            ParameterType::Uri => uri_rule(name),
        };
        Ok((parameter, rule?))
    }

    fn parameter(self, code: &str) -> Result<SearchParameter<'d>, TypeFilterErrorKind> {
        let resource_type = self.resource_type.as_str();
        let parameter = self.definitions.search_parameter(resource_type, code).ok_or_else(|| {
            let nearest = search::nearest(code, self.definitions.search_codes(resource_type));
            TypeFilterErrorKind::UnknownParameter { nearest: nearest.map(str::to_owned) }
        })?;
        let is_defined = parameter.has_expression();
        is_defined.then_some(parameter).ok_or(TypeFilterErrorKind::Undecidable(Undecidable::NoExpression))
    }

    /// One alternative, read by the rule.
    fn matcher(
        self,
        parameter: &SearchParameter<'d>,
        rule: &Rule<'_>,
        text: &str,
    ) -> Result<Matcher<'d>, TypeFilterErrorKind> {
        let (matcher, form) = match rule {
            Rule::Canonical(order) => {
                let test = ReferenceTest::parse_canonical(text, *order).map(Matcher::Reference);
                // Without a version a hierarchy of resources is meant.
                return test.ok_or(TypeFilterErrorKind::Undecidable(Undecidable::Hierarchy));
            }
            Rule::Composite => return self.parts(parameter, text).map(Matcher::Composite),
            Rule::ContactPoint => {
                let test = TokenTest::parse(text).filter(|test| !test.names_system());
                (test.map(Matcher::Token), ValueForm::ContactPoint)
            }
            Rule::Date => (DateTest::parse(text, self.context.now).map(Matcher::Date), ValueForm::Date),
            Rule::Id => (Some(unescaped(text)).filter(|id| is_id(id)).map(Matcher::Id), ValueForm::Id),
            // Read as a whole, not by alternatives.
            Rule::Missing => (None, ValueForm::Missing),
            Rule::Name => (StringTest::parse(text, TextRule::StartsWith).map(Matcher::Name), ValueForm::String),
            Rule::Number => (NumberTest::parse(text).map(Matcher::Number), ValueForm::Number),
            Rule::OfType => (OfType::parse(text).map(Matcher::TokenOfType), ValueForm::OfType),
            Rule::Quantity => (QuantityTest::parse(text).map(Matcher::Quantity), ValueForm::Quantity),
            Rule::Reference => {
                let test = ReferenceTest::parse(text, &self.context.base_url, self.definitions);
                (test.map(Matcher::Reference), ValueForm::Reference)
            }
            Rule::ReferenceIdentifier => (TokenTest::parse(text).map(Matcher::ReferenceIdentifier), ValueForm::Token),
            Rule::String(rule) => (StringTest::parse(text, *rule).map(Matcher::String), ValueForm::String),
            Rule::Token => (TokenTest::parse(text).map(Matcher::Token), ValueForm::Token),
            Rule::TokenText => {
                (StringTest::parse(text, TextRule::StartsWith).map(Matcher::TokenText), ValueForm::String)
            }
            Rule::TypedReference(resource_type) => {
                let test = ReferenceTest::parse_typed(text, resource_type.as_str());
                (test.map(Matcher::Reference), ValueForm::TypedReference)
            }
            Rule::Uri(rule) => return Ok(Matcher::Uri(UriTest::new(text, *rule))),
        };
        matcher.ok_or(TypeFilterErrorKind::Value(form))
    }

    /// The values of a composite, each read by the type of its component.
    fn parts(self, parameter: &SearchParameter<'d>, text: &str) -> Result<Vec<Part<'d>>, TypeFilterErrorKind> {
        let components = parameter.components();
        let texts = split(text, '$');
        let form = TypeFilterErrorKind::Value(ValueForm::Composite { parts: components.len() });
        if texts.len() != components.len() || texts.iter().any(|text| text.is_empty()) {
            return Err(form);
        }
        let parts = components.into_iter().zip(texts).map(|(component, text)| {
            let rule = match component.parameter_type() {
                ParameterType::Date => Rule::Date,
                ParameterType::Number => Rule::Number,
                ParameterType::Quantity => Rule::Quantity,
                ParameterType::Reference => Rule::Reference,
                ParameterType::String => Rule::String(TextRule::StartsWith),
                ParameterType::Token => Rule::Token,
                ParameterType::Uri => Rule::Uri(UriRule::Same),
                // FHIR nests no composites.
                ParameterType::Composite | ParameterType::Special => return Err(form.clone()),
            };
            Ok(Part { component, matcher: self.matcher(parameter, &rule, text)? })
        });
        parts.collect()
    }
}

/// What a name asks for that one resource does not answer.
fn undecidable(name: &ParameterName) -> Option<Undecidable> {
    match name.links.first() {
        Some(Link::Chain { .. }) => Some(Undecidable::Chain),
        Some(Link::Has { .. }) => Some(Undecidable::ReverseChain),
        None => undecidable_code(&name.code),
    }
}

/// Whether queries can ask by that parameter, at least by its plain values.
pub(super) fn is_supported(parameter: &SearchParameter<'_>) -> bool {
    let has_values = parameter.has_expression() && parameter.parameter_type() != ParameterType::Special;
    has_values && undecidable_code(parameter.code()).is_none()
}

fn undecidable_code(code: &str) -> Option<Undecidable> {
    Some(match code {
        "_content" | "_text" => Undecidable::Text,
        "_filter" => Undecidable::FilterExpression,
        "_list" => Undecidable::List,
        "_query" => Undecidable::NamedQuery,
        "near" => Undecidable::Position,
        "phonetic" => Undecidable::Phonetic,
        _ => return None,
    })
}

fn rule_or_missing<'n>(
    rule: Rule<'n>,
    name: &ParameterName,
    parameter_type: &'static str,
) -> Result<Rule<'n>, TypeFilterErrorKind> {
    match name.modifier {
        Some(Modifier::Missing) => Ok(Rule::Missing),
        _ => rule_without_modifier(rule, name, parameter_type, "`missing`"),
    }
}

fn rule_without_modifier<'n>(
    rule: Rule<'n>,
    name: &ParameterName,
    parameter_type: &'static str,
    accepted: &'static str,
) -> Result<Rule<'n>, TypeFilterErrorKind> {
    match name.modifier {
        None => Ok(rule),
        Some(_) => Err(TypeFilterErrorKind::ModifierOfType { parameter_type, accepted }),
    }
}

fn reference_rule<'n>(
    name: &'n ParameterName,
    parameter: &SearchParameter<'_>,
) -> Result<Rule<'n>, TypeFilterErrorKind> {
    match &name.modifier {
        None => Ok(Rule::Reference),
        Some(Modifier::Above) => Ok(Rule::Canonical(CanonicalOrder::Above)),
        Some(Modifier::Below) => Ok(Rule::Canonical(CanonicalOrder::Below)),
        Some(Modifier::Identifier) => Ok(Rule::ReferenceIdentifier),
        Some(Modifier::Missing) => Ok(Rule::Missing),
        Some(Modifier::Type(resource_type)) => {
            let is_target = parameter.targets().any(|target| target == resource_type.as_str());
            is_target.then_some(Rule::TypedReference(resource_type)).ok_or_else(|| TypeFilterErrorKind::TargetType {
                accepted: parameter.targets().map(str::to_owned).collect(),
            })
        }
        Some(_) => Err(TypeFilterErrorKind::ModifierOfType {
            parameter_type: "reference",
            accepted: "`above` `below` `identifier` `missing` or a resource type",
        }),
    }
}

fn string_rule<'n>(name: &ParameterName) -> Result<Rule<'n>, TypeFilterErrorKind> {
    match name.modifier {
        None if name.code == "family" => Ok(Rule::Name),
        None => Ok(Rule::String(TextRule::StartsWith)),
        Some(Modifier::Contains) => Ok(Rule::String(TextRule::Contains)),
        Some(Modifier::Exact) => Ok(Rule::String(TextRule::Exact)),
        Some(Modifier::Missing) => Ok(Rule::Missing),
        Some(_) => Err(TypeFilterErrorKind::ModifierOfType {
            parameter_type: "string",
            accepted: "`contains` `exact` `missing`",
        }),
    }
}

fn token_rule<'n>(name: &ParameterName) -> Result<Rule<'n>, TypeFilterErrorKind> {
    match name.modifier {
        None | Some(Modifier::Not) if name.code == "_id" => Ok(Rule::Id),
        None | Some(Modifier::Not) if is_contact_point(&name.code) => Ok(Rule::ContactPoint),
        None | Some(Modifier::Not) => Ok(Rule::Token),
        Some(Modifier::Missing) => Ok(Rule::Missing),
        Some(Modifier::OfType) => Ok(Rule::OfType),
        Some(Modifier::Text) => Ok(Rule::TokenText),
        Some(Modifier::Above | Modifier::Below | Modifier::In | Modifier::NotIn) => {
            Err(TypeFilterErrorKind::Undecidable(Undecidable::Terminology))
        }
        Some(_) => Err(TypeFilterErrorKind::ModifierOfType {
            parameter_type: "token",
            accepted: "`missing` `not` `of-type` `text`",
        }),
    }
}

/// The token parameters of R4 whose values are ContactPoints, in every resource type that has them.
fn is_contact_point(code: &str) -> bool {
    matches!(code, "contact" | "email" | "phone" | "telecom")
}

fn uri_rule<'n>(name: &ParameterName) -> Result<Rule<'n>, TypeFilterErrorKind> {
    match name.modifier {
        None => Ok(Rule::Uri(UriRule::Same)),
        Some(Modifier::Above) => Ok(Rule::Uri(UriRule::Above)),
        Some(Modifier::Below) => Ok(Rule::Uri(UriRule::Below)),
        Some(Modifier::Missing) => Ok(Rule::Missing),
        Some(_) => {
            Err(TypeFilterErrorKind::ModifierOfType { parameter_type: "uri", accepted: "`above` `below` `missing`" })
        }
    }
}

/// `:missing` is a question with one answer.
fn missing(criterion: &Criterion) -> Result<bool, TypeFilterError> {
    let wrong = |place: Place| TypeFilterError::new(TypeFilterErrorKind::Value(ValueForm::Missing), place.0);
    match criterion.alternatives.as_slice() {
        [value] if value.as_str() == "true" => Ok(true),
        [value] if value.as_str() == "false" => Ok(false),
        [value] | [_, value, ..] => Err(wrong(value.place)),
        // The grammar makes no criterion without a value.
        [] => Err(wrong(criterion.name.place)),
    }
}

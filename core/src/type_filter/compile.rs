//! From the syntax tree to a program: what a parameter's name and type make of its values. Whatever one resource cannot
//! decide is refused here, by name, so that nothing is left to fail on a resource.

use super::{
    alternatives::Alternatives,
    ast::{Criterion, Modifier, ParameterName, Place, Query},
    error::{TypeFilterError, TypeFilterErrorKind, ValueForm},
    program::{Condition, FilterContext, Test},
    sets::AskedSets,
    undecidable::Undecidable,
    value::{
        CanonicalOrder, DateTest, IdTest, Keyed, NumberTest, OfType, QuantityTest, ReferenceTest, StringTest, TextRule,
        TokenTest, UriRule, UriTest, is_coded, split, value_set_canonical,
    },
};
use crate::{
    Definitions, ResourceType,
    search::{self, ParameterType, SearchParameter},
};

/// The criteria of a query, or the first thing that is wrong with it. What they ask of sets is added to those.
pub(super) fn query<'d>(
    query: &Query,
    definitions: &Definitions<'d>,
    context: &FilterContext,
    sets: &mut AskedSets,
) -> Result<Vec<Test<'d>>, TypeFilterError> {
    let compiler = Compiler { resource_type: &query.resource_type, definitions, context };
    for name in &query.ignored {
        let checked = compiler.check_name(name, sets);
        checked.map_err(|kind| located(TypeFilterError::new(kind, name.place.0), query, name))?;
    }
    let tests = query.criteria.iter().map(|criterion| {
        let located = |error| located(error, query, &criterion.name);
        sets.locating(located, |sets| compiler.test(criterion, sets)).map_err(located)
    });
    tests.collect()
}

fn located(error: TypeFilterError, query: &Query, name: &ParameterName) -> TypeFilterError {
    let error = error.in_parameter(&name.to_string()).of_type(&query.resource_type);
    error.in_query(query.origin.value, query.origin.query)
}

#[derive(Clone, Copy)]
pub(super) struct Compiler<'c, 'd> {
    pub(super) resource_type: &'c ResourceType,
    pub(super) definitions: &'c Definitions<'d>,
    pub(super) context: &'c FilterContext,
}

/// How a parameter, by its type and modifier, reads a value.
enum Rule<'n> {
    Boolean,
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
    ValueSet,
}

impl<'d> Compiler<'_, 'd> {
    pub(super) fn test(self, criterion: &Criterion, sets: &mut AskedSets) -> Result<Test<'d>, TypeFilterError> {
        let name = &criterion.name;
        if !name.links.is_empty() {
            return self.chain(criterion, sets);
        }
        let (parameter, rule) = self.rule(name, sets).map_err(|kind| TypeFilterError::new(kind, name.place.0))?;
        let texts: Vec<_> = criterion.alternatives.iter().map(|value| (value.as_str(), value.place)).collect();
        let condition = match rule {
            Rule::Missing => Condition::Missing(missing(criterion)?),
            Rule::Composite => {
                let parts = texts.iter().map(|(text, place)| self.parts(&parameter, text, *place));
                Condition::AnyTogether(parts.collect::<Result<_, _>>()?)
            }
            rule => {
                let alternatives = match rule {
                    Rule::ValueSet => value_set_alternatives(&texts, sets)?,
                    rule => self.alternatives(&rule, &texts)?,
                };
                let is_negated = matches!(name.modifier, Some(Modifier::Not | Modifier::NotIn));
                if is_negated { Condition::NoneOf(alternatives) } else { Condition::Any(alternatives) }
            }
        };
        Ok(Test { asked: criterion.to_string(), parameter, condition })
    }

    /// Whether there is such a criterion, whatever its value.
    pub(super) fn check_name(self, name: &ParameterName, sets: &AskedSets) -> Result<(), TypeFilterErrorKind> {
        if name.links.is_empty() { self.rule(name, sets).map(|_| ()) } else { self.check_chain(name, sets) }
    }

    /// The parameter of that name, which has no links, and how it reads its values.
    fn rule<'n>(
        self,
        name: &'n ParameterName,
        sets: &AskedSets,
    ) -> Result<(SearchParameter<'d>, Rule<'n>), TypeFilterErrorKind> {
        if let Some(undecidable) = undecidable_code(&name.code) {
            return Err(TypeFilterErrorKind::Undecidable(undecidable));
        }
        let parameter = Self::parameter(self.resource_type, self.definitions, &name.code)?;
        let rule = match parameter.parameter_type() {
            ParameterType::Composite => rule_without_modifier(Rule::Composite, name, "composite", "none"),
            ParameterType::Date => rule_or_missing(Rule::Date, name, "date"),
            ParameterType::Number => rule_or_missing(Rule::Number, name, "number"),
            ParameterType::Quantity => rule_or_missing(Rule::Quantity, name, "quantity"),
            ParameterType::Reference => reference_rule(name, &parameter),
            // R4 has one, and how to measure distances is for nobody's own parameter to say.
            ParameterType::Special => Err(TypeFilterErrorKind::Undecidable(Undecidable::Position)),
            ParameterType::String => string_rule(name, &parameter),
            ParameterType::Token => token_rule(name, &parameter, sets.answered().value_sets),
            ParameterType::Uri => uri_rule(name),
        };
        Ok((parameter, rule?))
    }

    pub(super) fn parameter(
        resource_type: &ResourceType,
        definitions: &Definitions<'d>,
        code: &str,
    ) -> Result<SearchParameter<'d>, TypeFilterErrorKind> {
        let resource_type = resource_type.as_str();
        let parameter = definitions.search_parameter(resource_type, code).ok_or_else(|| {
            let nearest = search::nearest(code, definitions.search_codes(resource_type));
            TypeFilterErrorKind::UnknownParameter { nearest: nearest.map(str::to_owned) }
        })?;
        let is_defined = parameter.has_expression();
        is_defined.then_some(parameter).ok_or(TypeFilterErrorKind::Undecidable(Undecidable::NoExpression))
    }

    /// Alternatives, read by the rule.
    fn alternatives(self, rule: &Rule<'_>, texts: &[(&str, Place)]) -> Result<Alternatives, TypeFilterError> {
        let text = |rule| read(texts, ValueForm::String, move |text| StringTest::parse(text, rule)).map(Keyed::new);
        let token = || read(texts, ValueForm::Token, TokenTest::parse).map(Keyed::new);
        Ok(match rule {
            Rule::Boolean => {
                let is_boolean = |text: &&str| matches!(*text, "true" | "false");
                let parse = |text: &str| Some(text).filter(is_boolean).and_then(TokenTest::parse);
                Alternatives::Token(Keyed::new(read(texts, ValueForm::Boolean, parse)?))
            }
            Rule::Canonical(order) => {
                // Without a version a hierarchy of resources is meant.
                let hierarchy = TypeFilterErrorKind::Undecidable(Undecidable::Hierarchy);
                let tests = read_or(texts, hierarchy, |text| ReferenceTest::parse_canonical(text, *order))?;
                Alternatives::Reference(Keyed::new(tests))
            }
            Rule::ContactPoint => {
                let parse = |text: &str| TokenTest::parse(text).filter(|test| !test.names_system());
                Alternatives::Token(Keyed::new(read(texts, ValueForm::ContactPoint, parse)?))
            }
            Rule::Date => {
                Alternatives::Date(read(texts, ValueForm::Date, |text| DateTest::parse(text, self.context.now))?)
            }
            Rule::Id => Alternatives::Id(Keyed::new(read(texts, ValueForm::Id, IdTest::parse)?)),
            Rule::Name => Alternatives::Name(text(TextRule::StartsWith)?),
            Rule::Number => Alternatives::Number(read(texts, ValueForm::Number, NumberTest::parse)?),
            Rule::OfType => Alternatives::TokenOfType(read(texts, ValueForm::OfType, OfType::parse)?),
            Rule::Quantity => Alternatives::Quantity(read(texts, ValueForm::Quantity, QuantityTest::parse)?),
            Rule::Reference => {
                let parse = |text: &str| ReferenceTest::parse(text, &self.context.base_url, self.definitions);
                Alternatives::Reference(Keyed::new(read(texts, ValueForm::Reference, parse)?))
            }
            Rule::ReferenceIdentifier => Alternatives::ReferenceIdentifier(token()?),
            Rule::String(rule) => Alternatives::String(text(*rule)?),
            Rule::Token => Alternatives::Token(token()?),
            Rule::TokenText => Alternatives::TokenText(text(TextRule::StartsWith)?),
            Rule::TypedReference(resource_type) => {
                let parse = |text: &str| ReferenceTest::parse_typed(text, resource_type.as_str());
                Alternatives::Reference(Keyed::new(read(texts, ValueForm::TypedReference, parse)?))
            }
            Rule::Uri(rule) => {
                let tests = texts.iter().map(|(text, _)| UriTest::new(text, *rule));
                Alternatives::Uri(Keyed::new(tests.collect()))
            }
            // Read as a whole, or with the sets at hand.
            Rule::Composite | Rule::Missing | Rule::ValueSet => {
                read_or(texts, TypeFilterErrorKind::Value(ValueForm::Missing), |_| None).map(Alternatives::Date)?
            }
        })
    }

    /// The values of a composite, each read by the type of its component.
    fn parts(
        self,
        parameter: &SearchParameter<'d>,
        text: &str,
        place: Place,
    ) -> Result<Vec<Alternatives>, TypeFilterError> {
        let types: Vec<_> = parameter.component_types().collect();
        let texts = split(text, '$');
        let wrong = || {
            let kind = TypeFilterErrorKind::Value(ValueForm::Composite { parts: types.len() });
            TypeFilterError::new(kind, place.0)
        };
        if texts.len() != types.len() || texts.iter().any(|text| text.is_empty()) {
            return Err(wrong());
        }
        let parts = types.iter().zip(texts).map(|(parameter_type, text)| {
            let rule = match parameter_type {
                ParameterType::Date => Rule::Date,
                ParameterType::Number => Rule::Number,
                ParameterType::Quantity => Rule::Quantity,
                ParameterType::Reference => Rule::Reference,
                ParameterType::String => Rule::String(TextRule::StartsWith),
                ParameterType::Token => Rule::Token,
                ParameterType::Uri => Rule::Uri(UriRule::Same),
                // FHIR nests no composites.
                ParameterType::Composite | ParameterType::Special => return Err(wrong()),
            };
            self.alternatives(&rule, &[(text, place)])
        });
        parts.collect()
    }
}

/// Each text by that parser, which says `None` to what has not the form.
fn read<T>(
    texts: &[(&str, Place)],
    form: ValueForm,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, TypeFilterError> {
    read_or(texts, TypeFilterErrorKind::Value(form), parse)
}

fn read_or<T>(
    texts: &[(&str, Place)],
    wrong: TypeFilterErrorKind,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, TypeFilterError> {
    let one = |(text, place): &(&str, Place)| parse(text).ok_or_else(|| TypeFilterError::new(wrong.clone(), place.0));
    texts.iter().map(one).collect()
}

/// `:in` and `:not-in`: the canonicals of ValueSets.
fn value_set_alternatives(texts: &[(&str, Place)], sets: &mut AskedSets) -> Result<Alternatives, TypeFilterError> {
    let wanted = texts.iter().map(|(text, place)| {
        let wrong = || TypeFilterErrorKind::Value(ValueForm::ValueSet);
        let wanted = value_set_canonical(text).ok_or_else(wrong).and_then(|url| sets.value_set(url, place.0));
        wanted.map_err(|kind| TypeFilterError::new(kind, place.0))
    });
    wanted.collect::<Result<_, _>>().map(Alternatives::ValueSet)
}

/// Whether queries can ask by that parameter, at least by its plain values.
pub(super) fn is_supported(parameter: &SearchParameter<'_>) -> bool {
    let has_values = parameter.has_expression() && parameter.parameter_type() != ParameterType::Special;
    has_values && undecidable_code(parameter.code()).is_none()
}

/// Whether a parameter's meaning is in that code, and is none that one resource decides.
pub(crate) fn is_reserved(code: &str) -> bool {
    undecidable_code(code).is_some()
}

pub(super) fn undecidable_code(code: &str) -> Option<Undecidable> {
    Some(match code {
        "_content" | "_text" => Undecidable::Text,
        "_filter" => Undecidable::FilterExpression,
        "_list" => Undecidable::List,
        "_query" => Undecidable::NamedQuery,
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
    // Canonical URLs identify by themselves.
    let has_references = parameter.kinds().any(|kind| kind == "Reference");
    match &name.modifier {
        None => Ok(Rule::Reference),
        Some(Modifier::Above) => Ok(Rule::Canonical(CanonicalOrder::Above)),
        Some(Modifier::Below) => Ok(Rule::Canonical(CanonicalOrder::Below)),
        Some(Modifier::Identifier) if has_references => Ok(Rule::ReferenceIdentifier),
        Some(Modifier::Missing) => Ok(Rule::Missing),
        Some(Modifier::Type(resource_type)) => {
            let is_target = parameter.targets().any(|target| target == resource_type.as_str());
            is_target.then_some(Rule::TypedReference(resource_type)).ok_or_else(|| TypeFilterErrorKind::TargetType {
                accepted: parameter.targets().map(str::to_owned).collect(),
            })
        }
        Some(_) => Err(TypeFilterErrorKind::ModifierOfType {
            parameter_type: "reference",
            accepted: if has_references {
                "`above` `below` `identifier` `missing` or a resource type"
            } else {
                "`above` `below` `missing` or a resource type"
            },
        }),
    }
}

fn string_rule<'n>(name: &ParameterName, parameter: &SearchParameter<'_>) -> Result<Rule<'n>, TypeFilterErrorKind> {
    match name.modifier {
        None if parameter.ends_at("family") => Ok(Rule::Name),
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

fn token_rule<'n>(
    name: &'n ParameterName,
    parameter: &SearchParameter<'_>,
    has_value_sets: bool,
) -> Result<Rule<'n>, TypeFilterErrorKind> {
    let (has_types, has_labels) = (parameter.kinds().any(has_type), parameter.kinds().any(has_label));
    let has_value_sets = has_value_sets && parameter.kinds().any(is_coded);
    match name.modifier {
        None | Some(Modifier::Not) if name.code == "_id" => Ok(Rule::Id),
        None | Some(Modifier::Not) if parameter.kinds().all(|kind| kind == "ContactPoint") => Ok(Rule::ContactPoint),
        None | Some(Modifier::Not) if parameter.kinds().all(|kind| kind == "boolean") => Ok(Rule::Boolean),
        None | Some(Modifier::Not) => Ok(Rule::Token),
        Some(Modifier::Missing) => Ok(Rule::Missing),
        Some(Modifier::OfType) if has_types => Ok(Rule::OfType),
        Some(Modifier::Text) if has_labels => Ok(Rule::TokenText),
        Some(Modifier::In | Modifier::NotIn) if has_value_sets => Ok(Rule::ValueSet),
        Some(Modifier::Above | Modifier::Below | Modifier::In | Modifier::NotIn) => {
            Err(TypeFilterErrorKind::Undecidable(Undecidable::Terminology))
        }
        Some(_) => Err(TypeFilterErrorKind::ModifierOfType {
            parameter_type: "token",
            accepted: match (has_types, has_labels, has_value_sets) {
                (true, _, false) => "`missing` `not` `of-type` `text`",
                (true, _, true) => "`in` `missing` `not` `not-in` `of-type` `text`",
                (false, true, false) => "`missing` `not` `text`",
                (false, true, true) => "`in` `missing` `not` `not-in` `text`",
                (false, false, false) => "`missing` `not`",
                (false, false, true) => "`in` `missing` `not` `not-in`",
            },
        }),
    }
}

/// Whether values of that FHIR type say what kind of identifier they are.
fn has_type(kind: &str) -> bool {
    kind == "Identifier"
}

/// Whether values of that FHIR type hold words that people read besides the code.
fn has_label(kind: &str) -> bool {
    matches!(kind, "CodeableConcept" | "Coding" | "Identifier")
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

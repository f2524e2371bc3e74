//! From a definition to a row of the table.

use std::collections::BTreeSet;

use super::{
    error::{DefineErrorKind, ExpressionError, ExpressionProblem, name},
    place::{Place, is_text},
    resource::{ComponentDefinition, Definition},
    syntax::{Branch, Start, branches},
};
use crate::{Definitions, search::ParameterType};

/// What a row is made from, besides the definition itself.
pub(super) struct Surroundings<'s, 'd> {
    pub(super) definitions: Definitions<'d>,
    /// The type that a component's definition has, by its URL and the resource type.
    pub(super) component_type: &'s dyn Fn(&str, &str) -> Option<ParameterType>,
    /// Whether what cannot be asked is kept, so that asking it is refused by name.
    pub(super) keeps_all: bool,
}

/// The row for one resource type, without the type and the code: type, expression, targets and components.
pub(super) fn row(
    surroundings: &Surroundings<'_, '_>,
    definition: &Definition,
    parameter_type: ParameterType,
    base: &str,
) -> Result<String, DefineErrorKind> {
    let builder = RowBuilder { surroundings, definition, parameter_type, base };
    builder.row()
}

struct RowBuilder<'s, 'd> {
    surroundings: &'s Surroundings<'s, 'd>,
    definition: &'s Definition,
    parameter_type: ParameterType,
    base: &'s str,
}

impl RowBuilder<'_, '_> {
    fn row(&self) -> Result<String, DefineErrorKind> {
        let resource = Place::resource(self.surroundings.definitions, self.base);
        match (self.parameter_type, self.definition.component.is_empty()) {
            (ParameterType::Composite, true) => return Err(DefineErrorKind::Missing("component")),
            (ParameterType::Composite, false) | (_, true) => {}
            (_, false) => return Err(DefineErrorKind::Components),
        }
        let (expression, contexts) = match self.definition.expression.as_deref() {
            Some(expression) => self.expression(&resource, expression).map_err(|error| located(None, error))?,
            None => (String::new(), Vec::new()),
        };
        let components = self.definition.component.iter().enumerate();
        let components = components.map(|(place, component)| self.component(&resource, &contexts, place, component));
        let components = components.collect::<Result<Vec<_>, _>>()?.join(";");
        let (parameter_type, targets) = (self.parameter_type.as_str(), self.targets()?);
        Ok(format!("{parameter_type}\t{expression}\t{targets}\t{components}"))
    }

    /// The compact expression, and the places that it leads to.
    fn expression<'p>(
        &self,
        resource: &Place<'p>,
        expression: &str,
    ) -> Result<(String, Vec<Place<'p>>), ExpressionError> {
        let open_values = open_values(self.parameter_type);
        let open: Vec<&str> = open_values.iter().map(|(_, kind)| *kind).collect();
        let mut texts = Texts::default();
        let mut contexts = Vec::new();
        for branch in branches(expression, |name| self.start(name))? {
            if branch.is_test {
                texts.add(test(resource, &branch)?, "boolean");
                continue;
            }
            for place in resource.follow(&branch, &open)? {
                // An extension is searched by its value.
                if place.kind == "Extension" && self.parameter_type != ParameterType::Composite {
                    let any_type = || ExpressionError::new(ExpressionProblem::AnyType, branch.position);
                    open_values.first().ok_or_else(any_type)?;
                    let values = open_values.iter();
                    values.for_each(|(property, kind)| texts.add(format!("{}.{property}:{kind}", place.path), kind));
                } else {
                    texts.add(text(&branch, &place), place.kind);
                    contexts.push(place);
                }
            }
        }
        self.check(&texts)?;
        Ok((texts.joined(), contexts))
    }

    /// Where a branch starts that begins with that name.
    fn start(&self, name: &str) -> Start {
        let definitions = self.surroundings.definitions;
        let above = definitions.types_above(self.base).unwrap_or_default();
        if name == self.base || above.contains(&name) {
            Start::Here
        } else if definitions.resource_type(name).is_some() || ABSTRACT.contains(&name) {
            Start::Elsewhere
        } else {
            Start::Nowhere
        }
    }

    /// An expression must find what the parameter's type compares.
    fn check(&self, texts: &Texts) -> Result<(), ExpressionError> {
        if texts.texts.is_empty() {
            return Err(ExpressionError::new(ExpressionProblem::NoBranch(name(self.base)), 0));
        }
        if self.surroundings.keeps_all || texts.kinds.iter().any(|kind| compares(self.parameter_type, kind)) {
            return Ok(());
        }
        let (parameter_type, kinds) = (self.parameter_type.as_str(), texts.kinds.iter().cloned().collect());
        Err(ExpressionError::new(ExpressionProblem::Unsuitable { parameter_type, kinds }, 0))
    }

    /// `type=expression`.
    fn component(
        &self,
        resource: &Place<'_>,
        contexts: &[Place<'_>],
        place: usize,
        component: &ComponentDefinition,
    ) -> Result<String, DefineErrorKind> {
        let parameter_type = (self.surroundings.component_type)(&component.definition, self.base);
        let parameter_type =
            parameter_type.ok_or_else(|| DefineErrorKind::UnknownComponent(name(&component.definition)))?;
        let expression = component_expression(resource, contexts, &component.expression, parameter_type);
        let expression = expression.map_err(|error| located(Some(place), error))?;
        Ok(format!("{}={expression}", parameter_type.as_str()))
    }

    /// The resource types that a reference may lead to; `*` if that is any.
    fn targets(&self) -> Result<String, DefineErrorKind> {
        if self.parameter_type != ParameterType::Reference {
            return Ok(String::new());
        }
        let definitions = self.surroundings.definitions;
        let targets: BTreeSet<&str> = self.definition.target.iter().map(String::as_str).collect();
        if let Some(unknown) = targets.iter().find(|target| definitions.resource_type(target).is_none()) {
            return Err(DefineErrorKind::UnknownResourceType(name(unknown)));
        }
        // Nothing refers to Parameters, which are never stored.
        let is_any = definitions.resource_types().all(|name| name == "Parameters" || targets.contains(name));
        Ok(if targets.is_empty() || is_any { "*".to_owned() } else { Vec::from_iter(targets).join(",") })
    }
}

fn component_expression(
    resource: &Place<'_>,
    contexts: &[Place<'_>],
    expression: &str,
    parameter_type: ParameterType,
) -> Result<String, ExpressionError> {
    let open: Vec<&str> = open_values(parameter_type).iter().map(|(_, kind)| *kind).collect();
    let mut texts = Texts::default();
    // The context's type has no name that an expression could begin with.
    for branch in branches(expression, |_| Start::Nowhere)? {
        for context in contexts {
            let start = if branch.from_resource { resource.as_start() } else { context.as_start() };
            for place in start.follow(&branch, &open)? {
                texts.add(text(&branch, &place), place.kind);
            }
        }
    }
    Ok(texts.joined())
}

/// Whether one of the properties that an element may have holds anything but `false`.
fn test(resource: &Place<'_>, branch: &Branch<'_>) -> Result<String, ExpressionError> {
    if let Some(second) = branch.elements.get(1) {
        let expected = "an element of the resource itself before `exists()`";
        let problem = ExpressionProblem::Unexpected { found: Some(name(second.name.text)), expected };
        return Err(ExpressionError::new(problem, second.name.position));
    }
    let places = resource.follow(branch, &[])?;
    let properties: Vec<&str> = places.iter().map(|place| place.path.as_str()).collect();
    Ok(format!("?{}:boolean", properties.join(",")))
}

fn text(branch: &Branch<'_>, place: &Place<'_>) -> String {
    let start = if branch.from_resource { "%" } else { "" };
    let target = branch.resolves_to.map_or_else(String::new, |target| format!(">{}", target.text));
    format!("{start}{}:{}{target}", place.path, place.kind)
}

fn located(component: Option<usize>, error: ExpressionError) -> DefineErrorKind {
    DefineErrorKind::Expression { component, error }
}

/// The branches of a compact expression, once each, in the order of the definition.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    kinds: BTreeSet<String>,
}

impl Texts {
    fn add(&mut self, text: String, kind: &str) {
        self.kinds.insert(kind.to_owned());
        if !self.texts.contains(&text) {
            self.texts.push(text);
        }
    }

    fn joined(&self) -> String {
        self.texts.join("|")
    }
}

/// Whether values of that FHIR type can be compared by a parameter of that type, as `type_filter` does it.
fn compares(parameter_type: ParameterType, kind: &str) -> bool {
    const QUANTITIES: [&str; 10] = [
        "Age",
        "Count",
        "Distance",
        "Duration",
        "Money",
        "MoneyQuantity",
        "Quantity",
        "Range",
        "SampledData",
        "SimpleQuantity",
    ];
    match parameter_type {
        ParameterType::Composite => true,
        ParameterType::Date => matches!(kind, "date" | "dateTime" | "instant" | "Period" | "Timing"),
        ParameterType::Number => {
            matches!(kind, "decimal" | "integer" | "positiveInt" | "unsignedInt") || QUANTITIES.contains(&kind)
        }
        ParameterType::Quantity => QUANTITIES.contains(&kind),
        ParameterType::Reference => matches!(kind, "Reference" | "Resource" | "canonical" | "uri" | "url"),
        ParameterType::Special => false,
        ParameterType::String => is_text(kind) || matches!(kind, "Address" | "HumanName"),
        ParameterType::Token => {
            is_text(kind)
                || matches!(kind, "CodeableConcept" | "Coding" | "ContactPoint" | "Identifier" | "boolean" | "integer")
        }
        ParameterType::Uri => is_text(kind),
    }
}

/// The values that suit a parameter's type, of an element that may be of any: the property path below an extension, and
/// the FHIR type.
fn open_values(parameter_type: ParameterType) -> &'static [(&'static str, &'static str)] {
    match parameter_type {
        ParameterType::Composite | ParameterType::Special => &[],
        ParameterType::Date => &[
            ("valueDate", "date"),
            ("valueDateTime", "dateTime"),
            ("valueInstant", "instant"),
            ("valuePeriod", "Period"),
        ],
        ParameterType::Number => &[("valueDecimal", "decimal"), ("valueInteger", "integer")],
        ParameterType::Quantity => &[
            ("valueQuantity", "Quantity"),
            ("valueAge", "Age"),
            ("valueDuration", "Duration"),
            ("valueMoney", "Money"),
            ("valueRange", "Range"),
        ],
        ParameterType::Reference => &[("valueReference", "Reference")],
        ParameterType::String => &[
            ("valueString", "string"),
            ("valueMarkdown", "markdown"),
            ("valueHumanName", "HumanName"),
            ("valueContactDetail.name", "string"),
        ],
        ParameterType::Token => &[
            ("valueCodeableConcept", "CodeableConcept"),
            ("valueCoding", "Coding"),
            ("valueCode", "code"),
            ("valueIdentifier", "Identifier"),
            ("valueString", "string"),
            ("valueBoolean", "boolean"),
        ],
        ParameterType::Uri => &[("valueUri", "uri"), ("valueUrl", "url"), ("valueCanonical", "canonical")],
    }
}

/// The types above all resource types.
const ABSTRACT: [&str; 2] = ["DomainResource", "Resource"];

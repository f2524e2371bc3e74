//! Search parameters as their rows in the table describe them.

use std::{
    collections::{BTreeSet, btree_set},
    ops::ControlFlow,
};

use super::{
    expression::Expression,
    extract::{Context, Extraction},
    roots::{RootNames, Roots, Slot},
};

/// The type of a search parameter, which decides how its values are written and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named by FHIR")]
pub enum ParameterType {
    Composite,
    Date,
    Number,
    Quantity,
    Reference,
    Special,
    String,
    Token,
    Uri,
}

impl ParameterType {
    /// Its code in FHIR.
    pub fn as_str(self) -> &'static str {
        CODES.iter().find(|(parameter_type, _)| *parameter_type == self).map_or("", |(_, code)| code)
    }

    /// The type by its code in FHIR.
    pub(super) fn read(code: &str) -> Option<Self> {
        CODES.iter().find(|(_, known)| *known == code).map(|(parameter_type, _)| *parameter_type)
    }
}

/// `http://hl7.org/fhir/search-param-type`.
const CODES: [(ParameterType, &str); 9] = [
    (ParameterType::Composite, "composite"),
    (ParameterType::Date, "date"),
    (ParameterType::Number, "number"),
    (ParameterType::Quantity, "quantity"),
    (ParameterType::Reference, "reference"),
    (ParameterType::Special, "special"),
    (ParameterType::String, "string"),
    (ParameterType::Token, "token"),
    (ParameterType::Uri, "uri"),
];

/// A search parameter of one resource type. Borrows its row; parts of it are read when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct SearchParameter<'d> {
    code: &'d str,
    parameter_type: ParameterType,
    expression: Expression<'d>,
    targets: &'d str,
    components: &'d str,
    resource_types: &'d str,
}

impl<'d> SearchParameter<'d> {
    /// Reads a row without its key: code, type, expression, targets, components. `resource_types` are the lines that a
    /// target of `*` stands for. `None` if the row is none.
    pub(crate) fn read(row: &'d str, resource_types: &'d str) -> Option<Self> {
        let mut columns = row.split('\t');
        let code = columns.next()?;
        let parameter_type = ParameterType::read(columns.next()?)?;
        let expression = Expression(columns.next()?);
        let (targets, components) = (columns.next()?, columns.next()?);
        Some(Self { code, parameter_type, expression, targets, components, resource_types })
    }

    /// Its name in a query.
    pub fn code(&self) -> &'d str {
        self.code
    }

    /// How its values are written and compared.
    pub fn parameter_type(&self) -> ParameterType {
        self.parameter_type
    }

    /// The resource types that a reference may lead to, in name order; none for other types of parameters.
    pub fn targets(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        let (listed, all) = if self.targets == "*" { ("", self.resource_types) } else { (self.targets, "") };
        listed.split(',').filter(|target| !target.is_empty()).chain(all.lines())
    }

    /// The same, without those that its expression leaves out: `patient` is defined by `resolve() is Patient`, whatever its
    /// targets say.
    pub(crate) fn leads_to(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        let references = self.expression.branches().filter(|branch| branch.kind == "Reference");
        let narrowed: Option<BTreeSet<&str>> = references.map(|branch| branch.resolves_to).collect();
        let narrowed = narrowed.filter(|types| !types.is_empty());
        self.targets().filter(move |target| narrowed.as_ref().is_none_or(|types| types.contains(target)))
    }

    /// Whether the definitions say where in a resource to look. They do not for `_text`, `_content`, `_query`,
    /// `_filter` and the like.
    pub fn has_expression(&self) -> bool {
        self.expression.branches().next().is_some()
    }

    /// The root elements in which its values are found, in name order, as JSON spells them: `valueQuantity`, not `value`.
    pub fn roots(&self) -> btree_set::IntoIter<&'d str> {
        let mut roots = BTreeSet::new();
        let mut has_resource_context = false;
        for branch in self.expression.branches() {
            has_resource_context |= branch.is_resource();
            roots.extend(branch.roots());
        }
        for (_, expression) in self.component_iter() {
            let branches = expression.branches();
            let from_resource = branches.filter(|branch| has_resource_context || branch.starts_at_resource());
            roots.extend(from_resource.flat_map(|branch| branch.roots()));
        }
        roots.into_iter()
    }

    /// The FHIR types of the values that it is about, in name order: `CodeableConcept`, `Reference`. None for a
    /// composite whose context is the resource.
    pub fn kinds(&self) -> btree_set::IntoIter<&'d str> {
        let branches = self.expression.branches().filter(|branch| !branch.is_resource());
        branches.map(|branch| branch.kind).collect::<BTreeSet<_>>().into_iter()
    }

    /// Whether all of its values are found in elements of that name.
    pub(crate) fn ends_at(&self, element: &str) -> bool {
        self.expression.branches().all(|branch| branch.last_property() == Some(element))
    }

    /// The types of a composite's parts, in the order in which a query gives their values; none for other parameters.
    pub fn component_types(&self) -> impl Iterator<Item = ParameterType> + use<'d> {
        self.component_iter().map(|(parameter_type, _)| parameter_type)
    }

    /// How to find the values that the parameter is about. For a composite, where its components look; its context may
    /// also be the resource, see [`composite`](Self::composite).
    pub(crate) fn extraction(&self, names: &mut RootNames) -> Extraction {
        Extraction::from_resource(self.expression, names)
    }

    /// How to find the values of a composite's parts.
    pub(crate) fn composite(&self, names: &mut RootNames) -> Composite {
        let from_resource = self.expression.branches().any(|branch| branch.is_resource());
        let components = self.component_iter();
        let components =
            components.map(|(_, expression)| Extraction::from_context(expression, names, from_resource)).collect();
        Composite { from_resource, contexts: self.extraction(names), components }
    }

    fn component_iter(&self) -> impl Iterator<Item = (ParameterType, Expression<'d>)> + use<'d> {
        self.components.split(';').filter_map(|text| {
            let (parameter_type, expression) = text.split_once('=')?;
            Some((ParameterType::read(parameter_type)?, Expression(expression)))
        })
    }
}

/// A composite search parameter, ready for lines.
pub(crate) struct Composite {
    /// Whether the components look in the resource itself.
    from_resource: bool,
    /// The elements in which they look, each for itself.
    contexts: Extraction,
    components: Box<[Extraction]>,
}

impl Composite {
    /// The root elements that it looks at.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.contexts.slots().chain(self.components.iter().flat_map(Extraction::slots))
    }

    /// The parts, in the order in which a query gives their values.
    pub(crate) fn components(&self) -> &[Extraction] {
        &self.components
    }

    /// Where the parts look: each context for itself.
    pub(crate) fn visit_contexts<'l>(
        &self,
        roots: &Roots<'l>,
        mut visit: impl FnMut(Context<'l>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.from_resource {
            visit(Context::Resource)?;
        }
        self.contexts.visit_resource(roots, |node| visit(Context::Element(node.element)))
    }
}

//! Search parameters as their rows in the table describe them.

use std::{
    borrow::Cow,
    collections::{BTreeSet, btree_set},
};

use crate::json::RawElement;

use super::{
    expression::{Branch, Expression},
    extract::{self, Context, Node},
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
    fn read(code: &str) -> Option<Self> {
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

    /// Whether the definitions say where in a resource to look. They do not for `_text`, `_content`, `_query`,
    /// `_filter` and the like.
    pub fn has_expression(&self) -> bool {
        self.expression.branches().next().is_some()
    }

    /// The root elements that [`extract`](Self::extract), [`contexts`](Self::contexts) and the components look at, in
    /// name order, as JSON spells them: `valueQuantity`, not `value`.
    pub fn roots(&self) -> btree_set::IntoIter<&'d str> {
        let mut roots = BTreeSet::new();
        let mut has_resource_context = false;
        for branch in self.expression.branches() {
            has_resource_context |= branch.is_resource();
            roots.extend(branch.roots());
        }
        for component in self.component_iter() {
            let from_resource =
                component.branches().filter(|branch| has_resource_context || branch.starts_at_resource());
            roots.extend(from_resource.flat_map(Branch::roots));
        }
        roots.into_iter()
    }

    /// The values that the parameter is about, of a resource's root elements in any order. Values that hold nothing but
    /// an id or extensions are left out. Nothing for a composite whose context is the resource; see
    /// [`contexts`](Self::contexts).
    pub fn extract<'l>(&self, roots: &[(Cow<'l, str>, &'l RawElement)]) -> Vec<Node<'l>>
    where
        'd: 'l,
    {
        extract::from_roots(self.expression, roots)
    }

    /// Where a composite's components look: each context for itself.
    pub fn contexts<'l>(&self, roots: &[(Cow<'l, str>, &'l RawElement)]) -> Vec<Context<'l>>
    where
        'd: 'l,
    {
        let resource = self.expression.branches().any(|branch| branch.is_resource()).then_some(Context::Resource);
        let elements = self.extract(roots).into_iter().map(|node| Context::Element(node.raw));
        resource.into_iter().chain(elements).collect()
    }

    /// The parts of a composite, in the order in which a query gives their values; none for other types of parameters.
    pub fn components(&self) -> Vec<Component<'d>> {
        self.component_iter().collect()
    }

    fn component_iter(&self) -> impl Iterator<Item = Component<'d>> + use<'d> {
        self.components.split(';').filter_map(Component::read)
    }
}

/// One part of a composite search parameter.
#[derive(Clone, Copy, Debug)]
pub struct Component<'d> {
    parameter_type: ParameterType,
    expression: Expression<'d>,
}

impl<'d> Component<'d> {
    /// `type=expression`.
    fn read(text: &'d str) -> Option<Self> {
        let (parameter_type, expression) = text.split_once('=')?;
        Some(Self { parameter_type: ParameterType::read(parameter_type)?, expression: Expression(expression) })
    }

    /// How its values are written and compared.
    pub fn parameter_type(&self) -> ParameterType {
        self.parameter_type
    }

    /// The values of this part in one of the composite's contexts. `roots` are those of the resource.
    pub fn extract_from<'l>(&self, context: Context<'l>, roots: &[(Cow<'l, str>, &'l RawElement)]) -> Vec<Node<'l>>
    where
        'd: 'l,
    {
        extract::from_context(self.expression, context, roots)
    }

    fn branches(&self) -> impl Iterator<Item = Branch<'d>> + use<'d> {
        self.expression.branches()
    }
}

//! One resource, as core takes it: the one place here that knows how core is handed JSON text.

use std::{borrow::Cow, collections::BTreeMap};

use anyhow::{Context, Result};
use ehi_core::{
    Definitions,
    search::{Node, ParameterType, SearchParameter},
    type_filter::Filter,
};
use serde::Serialize;
use serde_json::value::RawValue;

/// A line of NDJSON, cut into its root elements.
pub(crate) struct Resource<'l> {
    resource_type: String,
    id: String,
    roots: Vec<(Cow<'l, str>, &'l RawValue)>,
}

/// What a search parameter finds.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Found<'l> {
    Values(Vec<&'l RawValue>),
    /// Of a composite: for each context the values of each component.
    Contexts(Vec<Vec<Vec<&'l RawValue>>>),
}

impl<'l> Resource<'l> {
    pub(crate) fn read(line: &'l str) -> Result<Self> {
        let members: BTreeMap<Cow<'l, str>, &'l RawValue> =
            serde_json::from_str(line).context("a line is no resource")?;
        let text = |name: &str| members.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let resource_type = text("resourceType").context("a line names no resource type")?;
        let id = text("id").unwrap_or_default();
        Ok(Self { resource_type, id, roots: members.into_iter().collect() })
    }

    /// By code, for all search parameters that find anything.
    pub(crate) fn values(&self, definitions: &Definitions<'l>) -> BTreeMap<&'l str, Found<'l>> {
        let codes = definitions.search_codes(&self.resource_type);
        let parameters = codes.filter_map(|code| definitions.search_parameter(&self.resource_type, code));
        parameters.filter_map(|parameter| Some((parameter.code(), self.found(&parameter)?))).collect()
    }

    /// Handed no more than the filter asks for.
    pub(crate) fn passes(&self, filter: &Filter<'l>) -> bool {
        let wanted: Vec<_> = filter.roots(&self.resource_type).collect();
        let roots: Vec<_> = self.roots.iter().filter(|(name, _)| wanted.contains(&&**name)).cloned().collect();
        filter.matches(&self.resource_type, &self.id, &roots)
    }

    fn found(&self, parameter: &SearchParameter<'l>) -> Option<Found<'l>> {
        if parameter.parameter_type() == ParameterType::Composite {
            let contexts = self.contexts(parameter);
            return (!contexts.is_empty()).then_some(Found::Contexts(contexts));
        }
        let values = texts(parameter.extract(&self.roots));
        (!values.is_empty()).then_some(Found::Values(values))
    }

    fn contexts(&self, parameter: &SearchParameter<'l>) -> Vec<Vec<Vec<&'l RawValue>>> {
        let components = parameter.components();
        let contexts = parameter.contexts(&self.roots).into_iter();
        contexts
            .map(|context| {
                components.iter().map(|component| texts(component.extract_from(context, &self.roots))).collect()
            })
            .collect()
    }
}

fn texts<'l>(nodes: Vec<Node<'l>>) -> Vec<&'l RawValue> {
    nodes.into_iter().map(|node| node.raw).collect()
}

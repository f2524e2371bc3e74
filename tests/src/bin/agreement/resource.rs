//! One resource, as core takes it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ehi_core::{Definitions, search, type_filter::Filter};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A line of NDJSON.
pub(crate) struct Resource<'l> {
    resource_type: String,
    line: &'l str,
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
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "resourceType")]
            resource_type: String,
        }
        let Head { resource_type } = serde_json::from_str(line).context("a line is no resource")?;
        Ok(Self { resource_type, line })
    }

    /// By code, for all search parameters that find anything.
    pub(crate) fn values(&self, definitions: &Definitions<'l>) -> Result<BTreeMap<&'l str, Found<'l>>> {
        let codes = definitions.search_codes(&self.resource_type);
        let parameters = codes.filter_map(|code| definitions.search_parameter(&self.resource_type, code));
        let found = parameters.map(|parameter| Ok((parameter.code(), read(parameter.find(self.line.as_bytes()))?)));
        found.filter(|found| !matches!(found, Ok((_, found)) if found.is_empty())).collect()
    }

    pub(crate) fn passes(&self, filter: &Filter) -> bool {
        filter.matches(self.line.as_bytes())
    }
}

impl Found<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Values(values) => values.is_empty(),
            Self::Contexts(contexts) => contexts.is_empty(),
        }
    }
}

/// As JSON again.
fn read(found: search::Found<'_>) -> Result<Found<'_>> {
    Ok(match found {
        search::Found::Values(values) => Found::Values(texts(values)?),
        search::Found::Contexts(contexts) => {
            let parts = |parts: Vec<_>| parts.into_iter().map(texts).collect::<Result<_>>();
            Found::Contexts(contexts.into_iter().map(parts).collect::<Result<_>>()?)
        }
    })
}

fn texts(texts: Vec<&[u8]>) -> Result<Vec<&RawValue>> {
    texts.into_iter().map(|text| serde_json::from_slice(text).context("core finds what is no JSON")).collect()
}

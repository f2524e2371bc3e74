//! SearchParameter resources, as far as they say where values are and how they are compared.

use serde::Deserialize;

use super::error::{DefineError, DefineErrorKind, name};
use crate::search::ParameterType;

/// A SearchParameter of R4, R4B or R5. What else it says is not used.
#[derive(Deserialize)]
pub(super) struct Definition {
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) code: String,
    #[serde(default, rename = "type")]
    pub(super) parameter_type: String,
    #[serde(default)]
    pub(super) base: Vec<String>,
    pub(super) expression: Option<String>,
    /// R4's `xpathUsage`, and its name in R5.
    #[serde(alias = "processingMode", rename = "xpathUsage")]
    pub(super) usage: Option<String>,
    /// The resource types that a reference may lead to.
    #[serde(default)]
    pub(super) target: Vec<String>,
    #[serde(default)]
    pub(super) component: Vec<ComponentDefinition>,
}

/// One part of a composite search parameter.
#[derive(Deserialize)]
pub(super) struct ComponentDefinition {
    /// The URL of the search parameter that has the type of the part.
    pub(super) definition: String,
    /// From the composite's context.
    pub(super) expression: String,
}

/// Those that a SearchParameter, or a Bundle of them, holds.
pub(super) fn read(json: &str) -> Result<Vec<Definition>, DefineError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        #[serde(default)]
        resource_type: String,
    }
    #[derive(Deserialize)]
    struct Bundle<'j> {
        #[serde(default, borrow)]
        entry: Vec<Entry<'j>>,
    }
    #[derive(Deserialize)]
    struct Entry<'j> {
        #[serde(borrow)]
        resource: &'j serde_json::value::RawValue,
    }
    let typed: Typed = from_json(json)?;
    match typed.resource_type.as_str() {
        "SearchParameter" => Ok(vec![from_json(json)?]),
        "Bundle" => {
            let bundle: Bundle<'_> = from_json(json)?;
            let definitions = bundle.entry.iter().map(|entry| {
                let typed: Typed = from_json(entry.resource.get())?;
                match typed.resource_type.as_str() {
                    "SearchParameter" => from_json(entry.resource.get()),
                    _ => Err(DefineError::new("", DefineErrorKind::ResourceType(name(&typed.resource_type)))),
                }
            });
            definitions.collect()
        }
        _ => Err(DefineError::new("", DefineErrorKind::ResourceType(name(&typed.resource_type)))),
    }
}

fn from_json<'j, T: Deserialize<'j>>(json: &'j str) -> Result<T, DefineError> {
    serde_json::from_str(json).map_err(|error| {
        // Its own words show the value.
        let what = if error.is_data() { "a member of another kind than FHIR has" } else { "a mistake in the JSON" };
        let what = format!("{what} before line {}, column {}", error.line(), error.column());
        DefineError::new("", DefineErrorKind::Json(what))
    })
}

impl Definition {
    /// What to call it in errors.
    pub(super) fn name(&self) -> &str {
        if self.url.is_empty() { &self.code } else { &self.url }
    }

    pub(super) fn error(&self, kind: DefineErrorKind) -> DefineError {
        DefineError::new(self.name(), kind)
    }

    /// The type, once everything that every definition must have is there.
    pub(super) fn checked_type(&self) -> Result<ParameterType, DefineErrorKind> {
        let missing =
            [("code", self.code.is_empty()), ("type", self.parameter_type.is_empty()), ("base", self.base.is_empty())];
        if let Some((member, _)) = missing.iter().find(|(_, is_missing)| *is_missing) {
            return Err(DefineErrorKind::Missing(member));
        }
        let is_code = self.code.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && self.code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_code {
            return Err(DefineErrorKind::Code);
        }
        let parameter_type = ParameterType::read(&self.parameter_type);
        parameter_type.ok_or_else(|| DefineErrorKind::ParameterType(name(&self.parameter_type)))
    }
}

//! Search parameters as data: from SearchParameter resources to rows of the table that
//! [`Definitions`](crate::Definitions) look up. `docs/search-parameters.md` says what an expression may hold.
//!
//! The tables of FHIR's own versions are made by the same code, so what is added at run time means what it would mean
//! there.

mod error;
mod place;
mod resource;
mod row;
mod syntax;
#[cfg(test)]
mod tests;
mod token;
#[cfg(test)]
mod uses;

use std::collections::BTreeMap;

use super::parameter::{ParameterType, SearchParameter};
use crate::{Definitions, type_filter::is_reserved};

pub use error::{DefineError, DefineErrorKind, ExpressionError, ExpressionProblem};

use error::name;
use resource::Definition;
use row::Surroundings;

/// Search parameters that a FHIR version does not have itself, from their definitions.
///
/// ```
/// use ehi_core::{Definitions, search::SearchParameterSet};
///
/// let mut set = SearchParameterSet::new(Definitions::R4);
/// set.add(r#"{
///     "resourceType": "SearchParameter", "url": "https://ehr.example/SearchParameter/eye-colour", "status": "active",
///     "code": "eye-colour", "base": ["Patient"], "type": "token",
///     "expression": "Patient.extension('https://ehr.example/eye-colour').value.as(CodeableConcept)"
/// }"#)?;
/// let table = set.to_table();
/// let definitions = Definitions::R4.with_added_search_parameters(&table);
/// assert!(definitions.search_parameter("Patient", "eye-colour").is_some());
/// # Ok::<(), ehi_core::search::DefineError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SearchParameterSet<'d> {
    definitions: Definitions<'d>,
    keeps_all: bool,
    /// By resource type and code: the columns after these.
    rows: BTreeMap<(String, String), String>,
    types: BTreeMap<String, ParameterType>,
    bytes: usize,
}

impl<'d> SearchParameterSet<'d> {
    /// An empty set for that FHIR version, which must have its [types of elements](Definitions::with_element_types).
    pub fn new(definitions: Definitions<'d>) -> Self {
        Self { definitions, keeps_all: false, rows: BTreeMap::new(), types: BTreeMap::new(), bytes: 0 }
    }

    /// An empty set for the search parameters of a FHIR version itself. It keeps those that no query can ask, such as
    /// `_text`, so that a query that does is refused by their name.
    pub fn of_version(definitions: Definitions<'d>) -> Self {
        Self { keeps_all: true, ..Self::new(definitions) }
    }

    /// Adds a SearchParameter, or a Bundle of them, from its JSON text: all, or none if one cannot be used. A parameter
    /// that the resource type has already is passed over if it means the same.
    pub fn add(&mut self, json: &str) -> Result<(), DefineError> {
        let definitions = resource::read(json)?;
        let mut extended = self.clone();
        // Components may be defined after their composite.
        for definition in &definitions {
            let parameter_type = definition.checked_type().map_err(|kind| definition.error(kind))?;
            extended.types.insert(definition.url.clone(), parameter_type);
        }
        for definition in &definitions {
            extended.define(definition).map_err(|kind| definition.error(kind))?;
        }
        *self = extended;
        Ok(())
    }

    /// Adds what [`to_table`](Self::to_table) gave: no definition is read again.
    pub fn add_table(&mut self, table: &str) -> Result<(), DefineError> {
        let mut extended = self.clone();
        for line in table.lines() {
            let mut columns = line.splitn(3, '\t');
            let (base, code, row) = (columns.next(), columns.next(), columns.next());
            let (Some(base), Some(code), Some(row)) = (base, code, row) else {
                return Err(DefineError::new(line, DefineErrorKind::Row));
            };
            let is_row = line.split_once('\t').is_some_and(|(_, row)| SearchParameter::read(row, "").is_some());
            if !is_row {
                return Err(DefineError::new(code, DefineErrorKind::Row));
            }
            extended.insert(base, code, row.to_owned()).map_err(|kind| DefineError::new(code, kind))?;
        }
        *self = extended;
        Ok(())
    }

    /// The rows for [`Definitions::with_added_search_parameters`], to keep or to store.
    pub fn to_table(&self) -> String {
        self.rows.iter().map(|((base, code), row)| format!("{base}\t{code}\t{row}\n")).collect()
    }

    /// How many rows there are: one for each parameter and resource type.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn define(&mut self, definition: &Definition) -> Result<(), DefineErrorKind> {
        let parameter_type = definition.checked_type()?;
        if !self.definitions.has_element_types() {
            return Err(DefineErrorKind::NoElementTypes);
        }
        let components = definition.component.iter().map(|component| &component.expression);
        if definition.expression.iter().chain(components).any(|expression| expression.len() > EXPRESSION_BYTES_MAX) {
            return Err(DefineErrorKind::TooMuch("the expression is longer than 32 KiB"));
        }
        if !self.keeps_all {
            check_can_be_asked(definition, parameter_type)?;
        }
        for base in &definition.base {
            let is_known = self.definitions.resource_type(base).is_some() || ABSTRACT.contains(&base.as_str());
            if !is_known {
                return Err(DefineErrorKind::UnknownResourceType(name(base)));
            }
            let component_type = |url: &str, base: &str| self.component_type(url, base);
            let surroundings = Surroundings {
                definitions: self.definitions,
                component_type: &component_type,
                keeps_all: self.keeps_all,
            };
            let row = row::row(&surroundings, definition, parameter_type, base)?;
            self.insert(base, &definition.code, row)?;
        }
        Ok(())
    }

    fn insert(&mut self, base: &str, code: &str, row: String) -> Result<(), DefineErrorKind> {
        let key = (base.to_owned(), code.to_owned());
        let known = self.definitions.search_row(base, code).or_else(|| self.rows.get(&key).map(String::as_str));
        match known {
            Some(known) if known == row => return Ok(()),
            Some(_) => return Err(DefineErrorKind::Clash { resource_type: name(base) }),
            None => {}
        }
        self.bytes += base.len() + code.len() + row.len() + "\t\t\n".len();
        if self.bytes > BYTES_MAX {
            return Err(DefineErrorKind::TooMuch("the compiled parameters are larger than 1 MiB"));
        }
        self.rows.insert(key, row);
        Ok(())
    }

    /// The type of a parameter by its URL: one of this set, else one of FHIR's own, which end with a name for the resource
    /// type, `-` and the code.
    fn component_type(&self, url: &str, base: &str) -> Option<ParameterType> {
        let own = || {
            let id = url.strip_prefix("http://hl7.org/fhir/SearchParameter/")?;
            let (_, code) = id.split_once('-')?;
            self.definitions.search_parameter(base, code).map(|parameter| parameter.parameter_type())
        };
        self.types.get(url).copied().or_else(own)
    }
}

/// What a query could never ask is better refused when it is defined.
fn check_can_be_asked(definition: &Definition, parameter_type: ParameterType) -> Result<(), DefineErrorKind> {
    if let Some(usage) = definition.usage.as_ref().filter(|usage| *usage != "normal") {
        return Err(DefineErrorKind::Usage(name(usage)));
    }
    if is_reserved(&definition.code) {
        return Err(DefineErrorKind::Reserved);
    }
    if parameter_type == ParameterType::Special {
        return Err(DefineErrorKind::ParameterType(name(&definition.parameter_type)));
    }
    definition.expression.as_ref().map(|_| ()).ok_or(DefineErrorKind::Missing("expression"))
}

/// The types above all resource types, which have search parameters, too.
const ABSTRACT: [&str; 2] = ["DomainResource", "Resource"];

/// R4's longest expression has 2,600 bytes.
const EXPRESSION_BYTES_MAX: usize = 32 << 10;

/// All of R4's own search parameters have 125 KB.
const BYTES_MAX: usize = 1 << 20;

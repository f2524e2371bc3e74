//! From a branch of an expression to the JSON properties on its way and the FHIR types at its end.

use anyhow::{Context, Result, bail, ensure};

use super::definitions::{DataType, Definitions, ElementDefinition, StructureDefinition};
use super::expression::{Branch, Element};

/// A place that a branch leads to.
#[derive(Clone)]
pub(super) struct Place<'d> {
    /// JSON property names with their conditions, joined by dots, from where the branch starts.
    pub(super) path: String,
    /// The FHIR type of the values there.
    pub(super) kind: String,
    /// Where the elements below it are defined; none below a primitive type.
    elements: Option<(&'d StructureDefinition, String)>,
}

impl<'d> Place<'d> {
    /// A resource type, as the start of branches.
    pub(super) fn resource(definitions: &'d Definitions, name: &str) -> Result<Self> {
        let structure = definitions
            .resources
            .get(name)
            .or_else(|| definitions.types.get(name))
            .with_context(|| format!("{name} is not defined"))?;
        Ok(Self { path: String::new(), kind: name.to_owned(), elements: Some((structure, name.to_owned())) })
    }

    /// The same place as the start of other branches.
    pub(super) fn as_start(&self) -> Self {
        Self { path: String::new(), ..self.clone() }
    }

    /// Where a branch leads from here: one place for each type that a choice element may have.
    pub(super) fn follow(&self, definitions: &'d Definitions, branch: &Branch) -> Result<Vec<Self>> {
        let mut places = vec![self.clone()];
        for element in &branch.elements {
            let mut below = Vec::new();
            for place in &places {
                below.extend(place.step(definitions, element)?);
            }
            // Of the types of a choice some may lack the element; all of them, and it is a mistake.
            ensure!(!below.is_empty(), "`{}` is not an element there, or not of that type", element.name);
            places = below;
        }
        if branch.resolves_to.is_some() {
            places.retain(|place| place.kind == "Reference");
            ensure!(!places.is_empty(), "only a reference resolves");
        }
        Ok(places)
    }

    fn step(&self, definitions: &'d Definitions, element: &Element) -> Result<Vec<Self>> {
        let Some((structure, parent)) = &self.elements else { return Ok(Vec::new()) };
        let name = &element.name;
        if let Some(definition) = structure.element(&format!("{parent}.{name}")) {
            ensure!(element.cast.is_none(), "`{name}` is no choice, so it needs no cast");
            return Ok(vec![self.child(definitions, structure, definition, element)?]);
        }
        let Some(choice) = structure.element(&format!("{parent}.{name}[x]")) else { return Ok(Vec::new()) };
        let is_wanted =
            |data_type: &&DataType| element.cast.as_ref().is_none_or(|cast| is_of_type(&data_type.code, cast));
        let typed = |data_type: &DataType| {
            let property = format!("{name}{}", capitalised(&data_type.code));
            self.below(definitions, structure, &choice.path, &property, data_type, element)
        };
        choice.types.iter().filter(is_wanted).map(typed).collect()
    }

    /// An element that has one type, or those of another element.
    fn child(
        &self,
        definitions: &'d Definitions,
        structure: &'d StructureDefinition,
        definition: &ElementDefinition,
        element: &Element,
    ) -> Result<Self> {
        if let Some(other) = definition.content_reference.as_deref().and_then(|other| other.strip_prefix('#')) {
            let path = self.path_to(&element.name, element);
            return Ok(Self {
                path,
                kind: "BackboneElement".to_owned(),
                elements: Some((structure, other.to_owned())),
            });
        }
        let [data_type] = definition.types.as_slice() else {
            bail!("`{}` has not one type", definition.path);
        };
        self.below(definitions, structure, &definition.path, &element.name, data_type, element)
    }

    fn below(
        &self,
        definitions: &'d Definitions,
        structure: &'d StructureDefinition,
        path: &str,
        property: &str,
        data_type: &DataType,
        element: &Element,
    ) -> Result<Self> {
        let kind = match data_type.code.as_str() {
            // How the definitions say `string` where a primitive value is meant that has no extensions.
            "http://hl7.org/fhirpath/System.String" => "string",
            code => code,
        };
        ensure!(kind.bytes().all(|byte| byte.is_ascii_alphanumeric()), "`{kind}` is not a FHIR type");
        let elements = match kind {
            "BackboneElement" | "Element" => Some((structure, path.to_owned())),
            _ => definitions.types.get(kind).map(|structure| (structure, kind.to_owned())),
        };
        Ok(Self { path: self.path_to(property, element), kind: kind.to_owned(), elements })
    }

    fn path_to(&self, property: &str, element: &Element) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        let filter = element.filter.as_ref().map_or_else(String::new, ToString::to_string);
        format!("{}{dot}{property}{filter}", self.path)
    }
}

/// Whether a data type is that of a cast, or a specialisation of it, as FHIRPath says of `as`.
fn is_of_type(data_type: &str, cast: &str) -> bool {
    // One expression writes `DateTime`.
    let is_same = cast.eq_ignore_ascii_case(data_type);
    is_same || SPECIALISED.iter().any(|(general, special)| *general == cast && special.contains(&data_type))
}

/// A choice element appears in JSON under its name and its data type.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

/// The data types of R4 that specialise others, as their definitions say.
const SPECIALISED: [(&str, &[&str]); 4] = [
    ("integer", &["positiveInt", "unsignedInt"]),
    ("Quantity", &["Age", "Count", "Distance", "Duration"]),
    ("string", &["code", "id", "markdown"]),
    ("uri", &["canonical", "oid", "url", "uuid"]),
];

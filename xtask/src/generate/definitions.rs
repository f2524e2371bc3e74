//! The parts of the R4 definitions that we read.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::package;

/// Everything that the generated files are made from.
pub(super) struct Definitions {
    /// The concrete resource types, by name.
    pub(super) resources: BTreeMap<String, StructureDefinition>,
    /// The complex data types, what they all are, and the abstract resource types, by name.
    pub(super) types: BTreeMap<String, StructureDefinition>,
    /// SearchParameter resources.
    pub(super) search_parameters: Vec<Value>,
    pub(super) patient_compartment: CompartmentDefinition,
}

impl Definitions {
    pub(super) fn read(wheel: &Path) -> Result<Self> {
        let mut resources = BTreeMap::new();
        let mut types = BTreeMap::new();
        let mut search_parameters = Vec::new();
        let mut patient_compartment = None;
        package::for_each_definition(wheel, |name, bytes| {
            if name.starts_with("StructureDefinition-") {
                let definition: StructureDefinition = serde_json::from_slice(bytes)?;
                if definition.is_concrete_resource() {
                    resources.insert(definition.type_name.clone(), definition);
                } else if definition.is_complex_type() || definition.is_abstract_resource() {
                    types.insert(definition.type_name.clone(), definition);
                }
            } else if name.starts_with("SearchParameter-") && !name.starts_with("SearchParameter-example") {
                search_parameters.push(serde_json::from_slice(bytes)?);
            } else if name == "CompartmentDefinition-patient.json" {
                patient_compartment = Some(serde_json::from_slice(bytes)?);
            }
            Ok(())
        })?;
        Ok(Self {
            resources,
            types,
            search_parameters,
            patient_compartment: patient_compartment.context("the package has no patient compartment")?,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct StructureDefinition {
    kind: String,
    #[serde(rename = "abstract")]
    is_abstract: bool,
    derivation: Option<String>,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// Absent from the package's examples.
    #[serde(default)]
    snapshot: Snapshot,
}

impl StructureDefinition {
    /// An element by its path, which includes the resource type.
    pub(super) fn element(&self, path: &str) -> Option<&ElementDefinition> {
        self.snapshot.element.iter().find(|element| element.path == path)
    }

    /// All elements, from the root down.
    pub(super) fn elements(&self) -> impl Iterator<Item = &ElementDefinition> {
        self.snapshot.element.iter()
    }

    fn is_complex_type(&self) -> bool {
        self.kind == "complex-type" && self.derivation.as_deref() != Some("constraint")
    }

    fn is_abstract_resource(&self) -> bool {
        self.kind == "resource" && self.is_abstract && self.derivation.as_deref() != Some("constraint")
    }

    fn is_concrete_resource(&self) -> bool {
        self.kind == "resource" && !self.is_abstract && self.derivation.as_deref() == Some("specialization")
    }
}

#[derive(Default, Deserialize)]
struct Snapshot {
    element: Vec<ElementDefinition>,
}

#[derive(Deserialize)]
pub(super) struct ElementDefinition {
    pub(super) path: String,
    /// How many there are at least.
    #[serde(default)]
    pub(super) min: u32,
    /// Whether what it says may change what the elements beside it mean.
    #[serde(rename = "isModifier", default)]
    pub(super) is_modifier: bool,
    /// The data types that the element may have; more than one only where its path ends in `[x]`.
    #[serde(rename = "type", default)]
    pub(super) types: Vec<DataType>,
    /// `#` and the path of the element in the same resource that this one has the elements of.
    #[serde(rename = "contentReference")]
    pub(super) content_reference: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DataType {
    pub(super) code: String,
    #[serde(rename = "targetProfile", default)]
    target_profiles: Vec<String>,
}

impl DataType {
    /// Whether this is a reference that may lead to a Patient. One without targets may lead anywhere.
    pub(super) fn can_refer_to_patient(&self) -> bool {
        let leads_to_patient = |profile: &String| {
            profile
                .strip_prefix("http://hl7.org/fhir/StructureDefinition/")
                .is_some_and(|target| matches!(target, "Patient" | "Resource"))
        };
        self.code == "Reference"
            && (self.target_profiles.is_empty() || self.target_profiles.iter().any(leads_to_patient))
    }
}

#[derive(Deserialize)]
pub(super) struct CompartmentDefinition {
    pub(super) resource: Vec<CompartmentResource>,
}

#[derive(Deserialize)]
pub(super) struct CompartmentResource {
    pub(super) code: String,
    /// Empty where the compartment never holds the type.
    #[serde(default)]
    pub(super) param: Vec<String>,
}

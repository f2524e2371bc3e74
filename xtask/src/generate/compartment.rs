//! The patient compartment: for each resource type, the elements whose reference puts a resource into it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use super::definitions::{Definitions, ElementDefinition, StructureDefinition};
use super::expression::{self, Branch};

/// The compartment as sorted rows, and what was kept out of it.
pub(super) struct Compartment {
    pub(super) rows: BTreeSet<Row>,
    pub(super) kept_out: Vec<String>,
}

/// An element on whose account a resource belongs to a patient.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) resource_type: String,
    pub(super) search_parameter: String,
    /// JSON property names from the resource's root, joined by dots.
    pub(super) path: String,
}

impl Compartment {
    /// Resolves each search parameter of the definition into the paths that it looks at.
    pub(super) fn resolve(definitions: &Definitions) -> Result<Self> {
        let mut compartment = Self { rows: BTreeSet::new(), kept_out: Vec::new() };
        for resource in &definitions.patient_compartment.resource {
            for search_parameter in &resource.param {
                compartment
                    .add(definitions, &resource.code, search_parameter)
                    .with_context(|| format!("search parameter `{search_parameter}` of {}", resource.code))?;
            }
        }
        let types: BTreeSet<&str> = compartment.rows.iter().map(|row| row.resource_type.as_str()).collect();
        ensure!(
            types.len() == RESOURCE_TYPES,
            "the patient compartment has {} resource types, not {RESOURCE_TYPES}",
            types.len()
        );
        Ok(compartment)
    }

    fn add(&mut self, definitions: &Definitions, resource_type: &str, search_parameter: &str) -> Result<()> {
        let structure = definitions.resources.get(resource_type).context("the resource type is not defined")?;
        let expression = expression_of(definitions, resource_type, search_parameter)?;
        let branches = expression::branches(expression, resource_type)
            .with_context(|| format!("the expression `{expression}` is not understood"))?;
        ensure!(!branches.is_empty(), "the expression `{expression}` has no branch for the type");
        for branch in branches {
            match locate(structure, resource_type, &branch)? {
                Located::Patient(path) => {
                    self.rows.insert(Row {
                        resource_type: resource_type.to_owned(),
                        search_parameter: search_parameter.to_owned(),
                        path,
                    });
                }
                Located::NoPatient(why) => {
                    self.kept_out.push(format!("{resource_type} {search_parameter}: {why}"));
                }
            }
        }
        Ok(())
    }
}

fn expression_of<'d>(definitions: &'d Definitions, resource_type: &str, search_parameter: &str) -> Result<&'d str> {
    let mut found = definitions.search_parameters.iter().filter(|candidate| {
        candidate.code == search_parameter && candidate.base.iter().any(|base| base == resource_type)
    });
    match (found.next(), found.next()) {
        (Some(parameter), None) => parameter.expression.as_deref().context("it has no expression"),
        (None, _) => bail!("it is not defined"),
        (Some(_), Some(_)) => bail!("it is defined more than once"),
    }
}

/// Where a branch leads.
enum Located {
    Patient(String),
    NoPatient(String),
}

fn locate(structure: &StructureDefinition, resource_type: &str, branch: &Branch) -> Result<Located> {
    let Some((last, before)) = branch.elements.split_last() else {
        bail!("the branch names no element");
    };
    ensure!(
        branch.elements.iter().all(|element| element.filter.is_none()),
        "a condition on an element has no place in a compartment"
    );
    let mut path = resource_type.to_owned();
    let mut properties = Vec::new();
    for element in before {
        path = format!("{path}.{}", element.name);
        ensure!(
            element.cast.is_none() && structure.element(&path).is_some(),
            "`{path}` is not an element with elements of its own"
        );
        properties.push(element.name.clone());
    }
    path = format!("{path}.{}", last.name);

    let (definition, is_choice) = match structure.element(&path) {
        Some(definition) => (definition, false),
        None => match structure.element(&format!("{path}[x]")) {
            Some(definition) => (definition, true),
            None => bail!("`{path}` is not an element"),
        },
    };
    if let Some(target) = branch.resolves_to.as_deref().filter(|target| *target != "Patient") {
        return Ok(Located::NoPatient(format!("`{path}` resolves to {target} only")));
    }
    if last.cast.as_deref().is_some_and(|cast| cast != "Reference") || !can_refer_to_patient(definition) {
        return Ok(Located::NoPatient(format!("`{path}` cannot refer to a Patient")));
    }
    // A choice element appears in JSON under its name and its data type.
    properties.push(if is_choice { format!("{}Reference", last.name) } else { last.name.clone() });
    Ok(Located::Patient(properties.join(".")))
}

fn can_refer_to_patient(definition: &ElementDefinition) -> bool {
    definition.types.iter().any(|data_type| data_type.can_refer_to_patient())
}

/// What R4 names; another number means that something was misread.
const RESOURCE_TYPES: usize = 66;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_reference_keeps_its_name() {
        assert_eq!(locate_in_sample("Sample.part.who").unwrap(), "part.who");
    }

    #[test]
    fn a_choice_takes_the_name_of_its_json_property() {
        assert_eq!(locate_in_sample("Sample.value as Reference").unwrap(), "valueReference");
        assert_eq!(locate_in_sample("Sample.value").unwrap(), "valueReference");
    }

    #[test]
    fn a_reference_without_targets_may_lead_to_a_patient() {
        assert_eq!(locate_in_sample("Sample.anything").unwrap(), "anything");
    }

    #[test]
    fn what_cannot_refer_to_a_patient_is_kept_out() {
        for (expression, why) in [
            ("Sample.device", "kept out: `Sample.device` cannot refer to a Patient"),
            ("Sample.value as string", "kept out: `Sample.value` cannot refer to a Patient"),
            ("Sample.part.who.where(resolve() is Group)", "kept out: `Sample.part.who` resolves to Group only"),
        ] {
            assert_eq!(locate_in_sample(expression).unwrap(), why);
        }
    }

    #[test]
    fn an_element_that_does_not_exist_is_an_error() {
        assert!(locate_in_sample("Sample").is_err());
        assert!(locate_in_sample("Sample.part.where(use='x').who").is_err());
        assert!(locate_in_sample("Sample.absent").is_err());
        assert!(locate_in_sample("Sample.absent.who").is_err());
        assert!(locate_in_sample("Sample.value.who").is_err());
    }

    fn locate_in_sample(expression: &str) -> Result<String> {
        let structure: StructureDefinition = serde_json::from_str(SAMPLE)?;
        let branches = expression::branches(expression, "Sample")?;
        let branch = branches.first().context("no branch")?;
        Ok(match locate(&structure, "Sample", branch)? {
            Located::Patient(path) => path,
            Located::NoPatient(why) => format!("kept out: {why}"),
        })
    }

    const SAMPLE: &str = r#"{
        "kind": "resource", "abstract": false, "derivation": "specialization", "type": "Sample",
        "snapshot": {"element": [
            {"path": "Sample"},
            {"path": "Sample.part", "type": [{"code": "BackboneElement"}]},
            {"path": "Sample.part.who", "type": [{"code": "Reference", "targetProfile": [
                "http://hl7.org/fhir/StructureDefinition/Group", "http://hl7.org/fhir/StructureDefinition/Patient"]}]},
            {"path": "Sample.device", "type": [{"code": "Reference", "targetProfile": [
                "http://hl7.org/fhir/StructureDefinition/Device"]}]},
            {"path": "Sample.anything", "type": [{"code": "Reference"}]},
            {"path": "Sample.value[x]", "type": [{"code": "string"}, {"code": "Reference", "targetProfile": [
                "http://hl7.org/fhir/StructureDefinition/Resource"]}]}
        ]}
    }"#;
}

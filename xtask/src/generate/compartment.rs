//! The patient compartment: for each resource type, the elements whose reference puts a resource into it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use super::definitions::{Definitions, ElementDefinition, StructureDefinition};

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
    /// Resolves each search parameter of the definition into the paths that it looks at, by the table of search parameters.
    pub(super) fn resolve(definitions: &Definitions, search_parameters: &str) -> Result<Self> {
        let mut compartment = Self { rows: BTreeSet::new(), kept_out: Vec::new() };
        for resource in &definitions.patient_compartment.resource {
            for search_parameter in &resource.param {
                compartment
                    .add(definitions, search_parameters, &resource.code, search_parameter)
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

    fn add(
        &mut self,
        definitions: &Definitions,
        search_parameters: &str,
        resource_type: &str,
        search_parameter: &str,
    ) -> Result<()> {
        let structure = definitions.resources.get(resource_type).context("the resource type is not defined")?;
        let row = format!("{resource_type}\t{search_parameter}\treference\t");
        let row = search_parameters.lines().find_map(|line| line.strip_prefix(&row));
        let expression = row.and_then(|row| row.split('\t').next()).context("it is not defined as a reference")?;
        for branch in expression.split('|') {
            match locate(structure, resource_type, branch)? {
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

/// Where a branch leads.
enum Located {
    Patient(String),
    NoPatient(String),
}

/// A branch is `path:kind` or `path:Reference>Type`, as the table of search parameters has it.
fn locate(structure: &StructureDefinition, resource_type: &str, branch: &str) -> Result<Located> {
    let (path, kind) = branch.rsplit_once(':').context("the branch has no type")?;
    ensure!(!path.contains(['[', '?', '%']), "a condition on an element has no place in a compartment");
    let element = format!("{resource_type}.{path}");
    let (kind, target) = kind.split_once('>').map_or((kind, None), |(kind, target)| (kind, Some(target)));
    if let Some(target) = target.filter(|target| *target != "Patient") {
        return Ok(Located::NoPatient(format!("`{element}` resolves to {target} only")));
    }
    let is_reference = kind == "Reference" && can_refer_to_patient(element_at(structure, &element)?);
    if is_reference {
        Ok(Located::Patient(path.to_owned()))
    } else {
        Ok(Located::NoPatient(format!("`{element}` cannot refer to a Patient")))
    }
}

/// The element that has a Reference at that path, where a choice is spelled out.
fn element_at<'s>(structure: &'s StructureDefinition, path: &str) -> Result<&'s ElementDefinition> {
    let choice = || structure.element(&format!("{}[x]", path.strip_suffix("Reference")?));
    structure.element(path).or_else(choice).with_context(|| format!("`{path}` is not an element"))
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
        assert_eq!(locate_in_sample("part.who:Reference").unwrap(), "part.who");
        assert_eq!(locate_in_sample("part.who:Reference>Patient").unwrap(), "part.who");
    }

    #[test]
    fn a_choice_takes_the_name_of_its_json_property() {
        assert_eq!(locate_in_sample("valueReference:Reference").unwrap(), "valueReference");
    }

    #[test]
    fn a_reference_without_targets_may_lead_to_a_patient() {
        assert_eq!(locate_in_sample("anything:Reference").unwrap(), "anything");
    }

    #[test]
    fn what_cannot_refer_to_a_patient_is_kept_out() {
        for (branch, why) in [
            ("device:Reference", "kept out: `Sample.device` cannot refer to a Patient"),
            ("valueString:string", "kept out: `Sample.valueString` cannot refer to a Patient"),
            ("part.who:Reference>Group", "kept out: `Sample.part.who` resolves to Group only"),
        ] {
            assert_eq!(locate_in_sample(branch).unwrap(), why);
        }
    }

    #[test]
    fn what_has_no_place_there_is_an_error() {
        for wrong in ["", "absent:Reference", "part[use=x].who:Reference", "?anything:boolean"] {
            assert!(locate_in_sample(wrong).is_err(), "{wrong}");
        }
    }

    fn locate_in_sample(branch: &str) -> Result<String> {
        let structure: StructureDefinition = serde_json::from_str(SAMPLE)?;
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

//! Attachments: where the resources of each type hold them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use super::definitions::{Definitions, ElementDefinition, StructureDefinition};

/// Of each resource type the JSON properties that are Attachments, each with the property of the object that has it,
/// which is empty for the resource itself.
pub(super) type Rows = BTreeSet<(String, String, String)>;

/// Collects the Attachments of each type, those of its data types among them.
///
/// A property counts at any depth, for elements nest in themselves. So it must be an Attachment wherever it has that name
/// in an object of that name.
pub(super) fn resolve(definitions: &Definitions) -> Result<Rows> {
    let mut rows = Rows::new();
    for (name, structure) in &definitions.resources {
        let mut seen = Seen::default();
        seen.look(definitions, structure, "", &mut Vec::new());
        let attachments = seen.attachments().with_context(|| format!("attachments of {name}"))?;
        rows.extend(attachments.into_iter().map(|(holder, property)| (name.clone(), holder, property)));
    }
    Ok(rows)
}

/// The text of the table.
pub(super) fn table(rows: &Rows) -> String {
    rows.iter().map(|(name, holder, property)| format!("{name}\t{holder}\t{property}\n")).collect()
}

/// The properties of one resource type, each with its holder, and whether it is an Attachment.
#[derive(Default)]
struct Seen(BTreeMap<(String, String), BTreeSet<bool>>);

impl Seen {
    /// `at` is the property whose objects are of that structure; `open` are the data types that are being looked at.
    fn look<'d>(
        &mut self,
        definitions: &'d Definitions,
        structure: &'d StructureDefinition,
        at: &str,
        open: &mut Vec<&'d str>,
    ) {
        for element in structure.elements() {
            let Some(path) = element.path.strip_prefix(&structure.type_name).and_then(|path| path.strip_prefix('.'))
            else {
                continue;
            };
            let (holder, name) = match path.rsplit_once('.') {
                Some((above, name)) => (above.rsplit('.').next().unwrap_or(above), name),
                None => (at, path),
            };
            for (property, code) in properties(name, element) {
                let is_attachment = code == "Attachment";
                self.0.entry((holder.to_owned(), property.clone())).or_default().insert(is_attachment);
                // Extensions hold them under a name that core knows.
                let inner = definitions.types.get(code).filter(|_| !is_attachment && code != "Extension");
                if let Some(inner) = inner.filter(|inner| !open.contains(&inner.type_name.as_str())) {
                    open.push(&inner.type_name);
                    self.look(definitions, inner, &property, open);
                    open.pop();
                }
            }
        }
    }

    fn attachments(self) -> Result<Vec<(String, String)>> {
        let mut attachments = Vec::new();
        for ((holder, property), kinds) in self.0 {
            if kinds.contains(&true) {
                ensure!(
                    kinds.len() == 1,
                    "`{property}` of `{holder}` is an Attachment in one place and not in another"
                );
                // Known to core by its name.
                if property != "valueAttachment" {
                    attachments.push((holder, property));
                }
            }
        }
        Ok(attachments)
    }
}

/// The JSON properties of an element, each with its type.
fn properties<'d>(name: &str, element: &'d ElementDefinition) -> Vec<(String, &'d str)> {
    let property = |code: &str| match name.strip_suffix("[x]") {
        Some(choice) => {
            let (first, rest) = code.split_at_checked(1).unwrap_or((code, ""));
            format!("{choice}{}{rest}", first.to_uppercase())
        }
        None => name.to_owned(),
    };
    element.types.iter().map(|data_type| (property(&data_type.code), data_type.code.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_are_found_in_data_types_and_choices() {
        assert_eq!(rows(SAMPLE).unwrap(), "Sample\tartifact\tdocument\nSample\tpart\tsourceAttachment\n");
    }

    #[test]
    fn a_name_of_two_meanings_is_an_error() {
        assert!(rows(&SAMPLE.replace("Sample.part.note", "Sample.other.part.sourceAttachment")).is_err());
    }

    fn rows(sample: &str) -> Result<String> {
        let structure = |text| serde_json::from_str::<StructureDefinition>(text).unwrap();
        let types = [("Artifact".to_owned(), structure(ARTIFACT))].into();
        let resources = [("Sample".to_owned(), structure(sample))].into();
        let patient_compartment = serde_json::from_str(r#"{"resource":[]}"#).unwrap();
        let definitions = Definitions { resources, types, search_parameters: Vec::new(), patient_compartment };
        resolve(&definitions).map(|rows| table(&rows))
    }

    const SAMPLE: &str = r#"{
        "kind": "resource", "abstract": false, "derivation": "specialization", "type": "Sample",
        "snapshot": {"element": [
            {"path": "Sample"},
            {"path": "Sample.artifact", "type": [{"code": "Artifact"}]},
            {"path": "Sample.value[x]", "type": [{"code": "Attachment"}, {"code": "string"}]},
            {"path": "Sample.part", "type": [{"code": "BackboneElement"}]},
            {"path": "Sample.part.note", "type": [{"code": "string"}]},
            {"path": "Sample.part.source[x]", "type": [{"code": "Attachment"}, {"code": "Reference"}]}
        ]}
    }"#;

    const ARTIFACT: &str = r#"{
        "kind": "complex-type", "abstract": false, "derivation": "specialization", "type": "Artifact",
        "snapshot": {"element": [
            {"path": "Artifact"},
            {"path": "Artifact.document", "type": [{"code": "Attachment"}]},
            {"path": "Artifact.part", "type": [{"code": "Artifact"}]}
        ]}
    }"#;
}

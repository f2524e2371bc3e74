//! The types of elements: what the expressions of search parameters are read with.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use super::definitions::{Definitions, ElementDefinition, StructureDefinition};

/// The text of the table.
pub(super) fn table(definitions: &Definitions) -> Result<String> {
    let mut rows = Rows::default();
    for (name, structure) in definitions.resources.iter().chain(&definitions.types) {
        let inherited = match name.as_str() {
            "Element" | "Resource" => BTreeSet::new(),
            "DomainResource" => elements_of(definitions, "Resource"),
            name if definitions.resources.contains_key(name) => elements_of(definitions, "DomainResource"),
            _ => elements_of(definitions, "Element"),
        };
        rows.add(name, structure, &inherited)?;
    }
    ensure!(!rows.any.is_empty(), "no element may be of any type");
    let mut lines = BTreeMap::from([("*".to_owned(), rows.any)]);
    lines.extend(rows.groups.into_iter().map(|(key, groups)| (key, joined(&groups))));
    Ok(lines.iter().map(|(key, groups)| format!("{key}\t{groups}\n")).collect())
}

fn joined(groups: &BTreeMap<String, BTreeSet<String>>) -> String {
    let groups = groups.iter().map(|(types, names)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("{types}:{}", names.join(","))
    });
    groups.collect::<Vec<_>>().join(" ")
}

#[derive(Default)]
struct Rows {
    /// By type or path of an element, then by types, the names.
    groups: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// All types that an element may have that may be of any.
    any: String,
}

impl Rows {
    fn add(&mut self, name: &str, structure: &StructureDefinition, inherited: &BTreeSet<String>) -> Result<()> {
        for element in structure.elements() {
            let Some((parent, last)) = element.path.rsplit_once('.') else { continue };
            let inherited_here = if parent == name {
                inherited.contains(last)
            } else {
                matches!(last, "id" | "extension" | "modifierExtension")
            };
            if inherited_here {
                continue;
            }
            let types = self.types(element)?;
            let names = self.groups.entry(parent.to_owned()).or_default().entry(types).or_default();
            ensure!(names.insert(last.to_owned()), "`{}` is defined twice", element.path);
        }
        Ok(())
    }

    fn types(&mut self, element: &ElementDefinition) -> Result<String> {
        let path = &element.path;
        if let Some(other) = &element.content_reference {
            ensure!(other.starts_with('#'), "`{path}` has the elements of another structure");
            return Ok(other.clone());
        }
        let names: Vec<&str> = element.types.iter().map(|data_type| name_of(&data_type.code)).collect();
        for name in &names {
            let is_name = *name == "." || name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            ensure!(is_name, "`{name}` is not a FHIR type");
        }
        let is_choice = path.ends_with("[x]");
        match names.as_slice() {
            [] => bail!("`{path}` has no type"),
            [_, _, ..] if !is_choice => bail!("`{path}` has not one type"),
            names if names.len() < ANY_TYPE_MIN => Ok(names.join("|")),
            names => {
                let all = names.join("|");
                ensure!(self.any.is_empty() || self.any == all, "`{path}` may be of any type, but not of all");
                self.any = all;
                Ok("*".to_owned())
            }
        }
    }
}

fn elements_of(definitions: &Definitions, name: &str) -> BTreeSet<String> {
    let structure = definitions.types.get(name);
    let elements = structure.into_iter().flat_map(StructureDefinition::elements);
    elements.filter_map(|element| element.path.rsplit_once('.')).map(|(_, last)| last.to_owned()).collect()
}

fn name_of(code: &str) -> &str {
    match code {
        // How the definitions say `string` where a primitive value is meant that has no extensions.
        "http://hl7.org/fhirpath/System.String" => "string",
        "BackboneElement" => ".",
        code => code,
    }
}

/// A choice between so many types is one between all: the others have at most eleven.
const ANY_TYPE_MIN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_grouped_by_their_types() {
        let structure = serde_json::from_str(SAMPLE).unwrap();
        let mut rows = Rows::default();
        rows.add("Sample", &structure, &BTreeSet::from(["id".to_owned()])).unwrap();
        let lines: Vec<_> = rows.groups.iter().map(|(key, groups)| format!("{key} {}", joined(groups))).collect();
        assert_eq!(lines, ["Sample #Sample.part:other .:part Quantity|string:value[x]", "Sample.part code:status,use"]);
    }

    #[test]
    fn a_shape_of_another_kind_is_an_error() {
        for wrong in [
            r#"{"path": "Sample.part"}"#,
            r#"{"path": "Sample.part", "type": [{"code": "code"}, {"code": "string"}]}"#,
            r#"{"path": "Sample.part", "type": [{"code": "http://a.b/c"}]}"#,
            r##"{"path": "Sample.part", "contentReference": "http://a.b#Other.part"}"##,
        ] {
            let element = serde_json::from_str(wrong).unwrap();
            assert!(Rows::default().types(&element).is_err(), "{wrong}");
        }
    }

    const SAMPLE: &str = r##"{
        "kind": "resource", "abstract": false, "derivation": "specialization", "type": "Sample",
        "snapshot": {"element": [
            {"path": "Sample"},
            {"path": "Sample.id", "type": [{"code": "http://hl7.org/fhirpath/System.String"}]},
            {"path": "Sample.part", "type": [{"code": "BackboneElement"}]},
            {"path": "Sample.part.extension", "type": [{"code": "Extension"}]},
            {"path": "Sample.part.use", "type": [{"code": "code"}]},
            {"path": "Sample.part.status", "type": [{"code": "code"}]},
            {"path": "Sample.other", "contentReference": "#Sample.part"},
            {"path": "Sample.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}]}
        ]}
    }"##;
}

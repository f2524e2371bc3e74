//! The root elements: for each resource type what may stand at the root of a resource, and what never goes from there.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::definitions::{Definitions, StructureDefinition};

/// The root elements by resource type, in the order of the definitions.
///
/// Those that all resources have stand under the types above: `Resource` and, for most, `DomainResource`.
pub(super) type Rows = BTreeMap<String, Vec<RootElement>>;

/// One root element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RootElement {
    /// As the definition has it: a choice element ends in `[x]`.
    name: String,
    /// Mandatory, or a modifier: without it the rest could not be read, or would mean something else.
    is_essential: bool,
}

/// Collects the root elements of each type that the type above it does not have.
pub(super) fn resolve(definitions: &Definitions) -> Result<Rows> {
    let above = |name: &str| definitions.types.get(name).with_context(|| format!("there is no type {name}"));
    let (resource, domain_resource) = (above("Resource")?, above("DomainResource")?);
    let mut rows = Rows::from([
        (resource.type_name.clone(), added(resource, &[])?),
        (domain_resource.type_name.clone(), added(domain_resource, &root_elements(resource))?),
    ]);
    for (name, structure) in &definitions.resources {
        let above = if BELOW_RESOURCE.contains(&name.as_str()) { resource } else { domain_resource };
        let added = added(structure, &root_elements(above)).with_context(|| format!("root elements of {name}"))?;
        rows.insert(name.clone(), added);
    }
    Ok(rows)
}

/// The text of the table.
pub(super) fn table(rows: &Rows) -> String {
    let list = |elements: &[RootElement], is_essential: bool| {
        let of_kind = elements.iter().filter(|element| element.is_essential == is_essential);
        of_kind.map(|element| element.name.as_str()).collect::<Vec<_>>().join(",")
    };
    rows.iter()
        .map(|(name, elements)| format!("{name}\t{}\t{}\n", list(elements, true), list(elements, false)))
        .collect()
}

/// What a type adds to the type above it, all of whose elements it must have unchanged.
fn added(structure: &StructureDefinition, above: &[RootElement]) -> Result<Vec<RootElement>> {
    let (inherited, added): (Vec<_>, Vec<_>) =
        root_elements(structure).into_iter().partition(|element| above.iter().any(|other| other.name == element.name));
    ensure!(inherited == above, "not those of the type above, and its own");
    ensure_choices_are_clear(&added)?;
    Ok(added)
}

fn root_elements(structure: &StructureDefinition) -> Vec<RootElement> {
    let roots = structure.elements().filter_map(|element| {
        let name = element.path.strip_prefix(&structure.type_name)?.strip_prefix('.')?;
        let is_root = !name.contains('.');
        is_root.then(|| RootElement { name: name.to_owned(), is_essential: element.min > 0 || element.is_modifier })
    });
    roots.collect()
}

/// A JSON property is told to be of a choice element by the name and a capital letter after it. So no other element may
/// look like one.
fn ensure_choices_are_clear(elements: &[RootElement]) -> Result<()> {
    for choice in elements.iter().filter_map(|element| element.name.strip_suffix("[x]")) {
        let is_alike = |name: &str| name.strip_prefix(choice).is_some_and(|rest| rest.starts_with(char::is_uppercase));
        let alike = elements.iter().find(|element| is_alike(&element.name));
        ensure!(alike.is_none(), "`{choice}[x]` and another element could have the same JSON property");
    }
    Ok(())
}

/// The types that are no DomainResources. Core knows them by name.
const BELOW_RESOURCE: [&str; 3] = ["Binary", "Bundle", "Parameters"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mandatory_elements_and_modifiers_are_essential() {
        let elements = added(&sample(SAMPLE), &above()).unwrap();
        let table = table(&Rows::from([("Sample".to_owned(), elements)]));
        assert_eq!(table, "Sample\tstatus,deceased[x]\tpart\n");
    }

    #[test]
    fn what_the_type_above_has_must_be_there_unchanged() {
        let absent = [above(), vec![RootElement { name: "text".to_owned(), is_essential: false }]].concat();
        let other = vec![RootElement { name: "id".to_owned(), is_essential: true }];
        for above in [absent, other] {
            assert!(added(&sample(SAMPLE), &above).is_err());
        }
    }

    #[test]
    fn an_element_that_looks_like_a_choice_is_an_error() {
        let unclear = SAMPLE.replace("Sample.status", "Sample.deceasedBoolean");
        assert!(added(&sample(&unclear), &above()).is_err());
        let clear = SAMPLE.replace("Sample.status", "Sample.deceasedly");
        assert!(added(&sample(&clear), &above()).is_ok());
    }

    fn sample(text: &str) -> StructureDefinition {
        serde_json::from_str(text).unwrap()
    }

    fn above() -> Vec<RootElement> {
        vec![RootElement { name: "id".to_owned(), is_essential: false }]
    }

    const SAMPLE: &str = r#"{
        "kind": "resource", "abstract": false, "derivation": "specialization", "type": "Sample",
        "snapshot": {"element": [
            {"path": "Sample", "min": 0},
            {"path": "Sample.id", "min": 0},
            {"path": "Sample.status", "min": 1},
            {"path": "Sample.part", "min": 0, "isModifier": false},
            {"path": "Sample.part.who", "min": 1},
            {"path": "Sample.deceased[x]", "min": 0, "isModifier": true}
        ]}
    }"#;
}

//! The search parameters: for each resource type and code, where in a resource its values are.

use anyhow::{Context, Result, ensure};
use ehi_core::search::SearchParameterSet;
use serde_json::{Value, json};

/// What the definitions say, or should say, as one Bundle.
pub(super) fn corrected(search_parameters: &[Value]) -> Result<Value> {
    let count = search_parameters.len();
    ensure!(count == SEARCH_PARAMETERS, "there are {count} search parameters, not {SEARCH_PARAMETERS}");
    let mut entries = Vec::new();
    for parameter in search_parameters {
        let mut parameter = parameter.clone();
        let id = text(&parameter, "id").to_owned();
        correct(&mut parameter, &id).with_context(|| format!("search parameter `{id}`"))?;
        entries.push(json!({ "resource": parameter }));
    }
    Ok(json!({ "resourceType": "Bundle", "entry": entries }))
}

/// The text of the table.
pub(super) fn table(bundle: &Value, definitions: ehi_core::Definitions<'_>) -> Result<String> {
    let mut set = SearchParameterSet::of_version(definitions);
    set.add(&bundle.to_string())?;
    let entries = bundle.pointer("/entry").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let bases = entries.iter().filter_map(|entry| entry.pointer("/resource/base")?.as_array());
    let count: usize = bases.map(Vec::len).sum();
    ensure!(set.len() == count, "{count} search parameters and types make {} rows", set.len());
    Ok(set.to_table())
}

fn correct(parameter: &mut Value, id: &str) -> Result<()> {
    if parameter["base"].as_array().is_none_or(Vec::is_empty) {
        let (base, expression) = from_xpath(text(parameter, "xpath")).context("it has no base")?;
        parameter["base"] = json!([base]);
        parameter["expression"] = json!(expression);
    }
    if let Some((_, expression)) = CORRECTED.iter().find(|(corrected, _)| *corrected == id) {
        parameter["expression"] = json!(expression);
    }
    if id == SWAPPED {
        let components = parameter["component"].as_array_mut().map(Vec::as_mut_slice);
        let Some([first, second]) = components else { anyhow::bail!("it has not two components") };
        std::mem::swap(&mut first["definition"], &mut second["definition"]);
    }
    Ok(())
}

/// `f:Type/f:extension[@url='url'] | ...`, all that ten definitions have.
fn from_xpath(xpath: &str) -> Option<(String, String)> {
    let (base, rest) = xpath.strip_prefix("f:")?.split_once("/f:extension[@url='")?;
    let (url, _) = rest.split_once('\'')?;
    Some((base.to_owned(), format!("{base}.extension('{url}')")))
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// What R4 has; another number means that something was misread.
const SEARCH_PARAMETERS: usize = 1397;

/// Definitions that have no expression but say what is meant, or one that names an extension that does not exist.
const CORRECTED: [(&str, &str); 2] = [
    ("patient-extensions-Patient-birthOrderBoolean", "Patient.multipleBirth"),
    (
        "patient-extensions-Patient-mothersMaidenName",
        "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName')",
    ),
];

/// Its components give each other's type: the relation is the token, and its target the reference.
const SWAPPED: &str = "DocumentReference-relationship";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_without_a_base_gets_that_of_its_xpath() {
        let mut parameter = json!({ "xpath": "f:Sample/f:extension[@url='http://a.b/c'] | /f:#x" });
        correct(&mut parameter, "x").unwrap();
        assert_eq!(parameter["base"], json!(["Sample"]));
        assert_eq!(parameter["expression"], "Sample.extension('http://a.b/c')");
        assert!(correct(&mut json!({ "xpath": "f:Sample/f:part" }), "x").is_err());
    }

    #[test]
    fn components_the_wrong_way_round_are_turned() {
        let component = |definition, expression| json!({ "definition": definition, "expression": expression });
        let mut parameter = json!({ "base": ["Sample"], "component": [component("a", "1"), component("b", "2")] });
        correct(&mut parameter, SWAPPED).unwrap();
        assert_eq!(parameter["component"], json!([component("b", "1"), component("a", "2")]));
    }
}

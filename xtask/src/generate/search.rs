//! The search parameters: for each resource type and code, where in a resource its values are.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

use super::definitions::{Definitions, SearchComponent, SearchParameter};
use super::expression::{self, Branch};
use super::route::Place;

/// One line of the table.
pub(super) struct Row {
    parameter_type: String,
    expression: String,
    targets: String,
    components: String,
}

/// The rows by resource type and code.
pub(super) type Rows = BTreeMap<(String, String), Row>;

/// Resolves every search parameter for each of its resource types.
pub(super) fn resolve(definitions: &Definitions) -> Result<Rows> {
    let count = definitions.search_parameters.len();
    ensure!(count == SEARCH_PARAMETERS, "there are {count} search parameters, not {SEARCH_PARAMETERS}");
    let mut rows = Rows::new();
    for parameter in &definitions.search_parameters {
        let (bases, expression) = bases_and_expression(parameter)?;
        for base in bases {
            let row = row(definitions, parameter, &base, expression.as_deref())
                .with_context(|| format!("search parameter `{}` of {base}", parameter.id))?;
            let is_first = rows.insert((base, parameter.code.clone()), row).is_none();
            ensure!(is_first, "search parameter `{}` is not the only one of its code", parameter.id);
        }
    }
    Ok(rows)
}

/// The text of the table.
pub(super) fn table(rows: &Rows) -> String {
    rows.iter()
        .map(|((resource_type, code), row)| {
            let Row { parameter_type, expression, targets, components } = row;
            format!("{resource_type}\t{code}\t{parameter_type}\t{expression}\t{targets}\t{components}\n")
        })
        .collect()
}

/// What the definition says, or should say.
fn bases_and_expression(parameter: &SearchParameter) -> Result<(Vec<String>, Option<String>)> {
    if parameter.base.is_empty() {
        let (base, expression) = from_xpath(parameter.xpath.as_deref().unwrap_or_default())
            .with_context(|| format!("search parameter `{}` has no base", parameter.id))?;
        return Ok((vec![base], Some(expression)));
    }
    let corrected =
        CORRECTED.iter().find(|(id, _)| *id == parameter.id).map(|(_, expression)| (*expression).to_owned());
    Ok((parameter.base.clone(), corrected.or_else(|| parameter.expression.clone())))
}

/// `f:Type/f:extension[@url='url'] | ...`, all that ten definitions have.
fn from_xpath(xpath: &str) -> Option<(String, String)> {
    let (base, rest) = xpath.strip_prefix("f:")?.split_once("/f:extension[@url='")?;
    let (url, _) = rest.split_once('\'')?;
    Some((base.to_owned(), format!("{base}.extension('{url}')")))
}

fn row(definitions: &Definitions, parameter: &SearchParameter, base: &str, expression: Option<&str>) -> Result<Row> {
    let resource = Place::resource(definitions, base)?;
    let (expression, contexts) = match expression {
        Some(expression) => resolve_expression(definitions, parameter, &resource, expression)
            .with_context(|| format!("the expression `{expression}` is not understood"))?,
        None => (String::new(), Vec::new()),
    };
    let components = components(definitions, parameter, &resource, &contexts)?;
    ensure!(
        (parameter.parameter_type == "composite") != components.is_empty(),
        "composites have components, and only they"
    );
    Ok(Row {
        parameter_type: parameter.parameter_type.clone(),
        expression,
        targets: targets(definitions, parameter),
        components,
    })
}

/// The compact expression, and the places that it leads to.
fn resolve_expression<'d>(
    definitions: &'d Definitions,
    parameter: &SearchParameter,
    resource: &Place<'d>,
    expression: &str,
) -> Result<(String, Vec<Place<'d>>)> {
    if let Some((path, rest)) = expression.split_once(".exists() and ") {
        ensure!(rest == format!("{path} != false"), "a condition of another kind");
        return Ok((exists_and_is_not_false(definitions, resource, path)?, Vec::new()));
    }
    let mut texts = Vec::new();
    let mut places = Vec::new();
    for branch in expression::branches(expression, &resource.kind)? {
        for place in resource.follow(definitions, &branch)? {
            if place.kind == "Extension" {
                let values = extension_values(&parameter.parameter_type)?;
                values.iter().for_each(|(property, kind)| add(&mut texts, format!("{}.{property}:{kind}", place.path)));
            } else {
                add(&mut texts, text(&branch, &place));
                places.push(place);
            }
        }
    }
    ensure!(!texts.is_empty(), "it has no branch for the type");
    Ok((texts.join("|"), places))
}

fn exists_and_is_not_false(definitions: &Definitions, resource: &Place<'_>, path: &str) -> Result<String> {
    let branches = expression::branches(path, &resource.kind)?;
    let [branch] = branches.as_slice() else { bail!("`{path}` is not one path") };
    ensure!(branch.elements.len() == 1, "`{path}` is not an element of the root");
    let start = resource.as_start();
    let places = start.follow(definitions, branch)?;
    let properties: Vec<&str> = places.iter().map(|place| place.path.as_str()).collect();
    Ok(format!("?{}:boolean", properties.join(",")))
}

/// An extension is searched by its value, of the types that suit the search parameter.
fn extension_values(parameter_type: &str) -> Result<&'static [(&'static str, &'static str)]> {
    EXTENSION_VALUES
        .iter()
        .find(|(of, _)| *of == parameter_type)
        .map(|(_, values)| *values)
        .with_context(|| format!("no values of extensions are known for the type {parameter_type}"))
}

fn components(
    definitions: &Definitions,
    parameter: &SearchParameter,
    resource: &Place<'_>,
    contexts: &[Place<'_>],
) -> Result<String> {
    let mut components: Vec<(&str, &SearchComponent)> = Vec::new();
    for component in &parameter.component {
        let definition = definitions.search_parameters.iter().find(|candidate| candidate.url == component.definition);
        let definition = definition.with_context(|| format!("`{}` is not defined", component.definition))?;
        components.push((&definition.parameter_type, component));
    }
    if parameter.id == SWAPPED {
        let [(first, _), (second, _)] = components.as_mut_slice() else { bail!("it has not two components") };
        std::mem::swap(first, second);
    }
    let texts: Result<Vec<String>> = components
        .into_iter()
        .map(|(parameter_type, component)| {
            let expression = component_expression(definitions, resource, contexts, &component.expression)
                .with_context(|| format!("the component `{}` is not understood", component.expression))?;
            Ok(format!("{parameter_type}={expression}"))
        })
        .collect();
    Ok(texts?.join(";"))
}

fn component_expression(
    definitions: &Definitions,
    resource: &Place<'_>,
    contexts: &[Place<'_>],
    expression: &str,
) -> Result<String> {
    let mut texts = Vec::new();
    for branch in expression::component_branches(expression)? {
        for context in contexts {
            let start = if branch.from_resource { resource.as_start() } else { context.as_start() };
            start.follow(definitions, &branch)?.iter().for_each(|place| add(&mut texts, text(&branch, place)));
        }
    }
    ensure!(!texts.is_empty(), "it leads nowhere");
    Ok(texts.join("|"))
}

fn text(branch: &Branch, place: &Place<'_>) -> String {
    let start = if branch.from_resource { "%" } else { "" };
    let target = branch.resolves_to.as_ref().map_or_else(String::new, |target| format!(">{target}"));
    format!("{start}{}:{}{target}", place.path, place.kind)
}

/// Once each, in the order of the definition.
fn add(texts: &mut Vec<String>, text: String) {
    if !texts.contains(&text) {
        texts.push(text);
    }
}

/// The resource types that a reference may lead to; `*` if that is any.
fn targets(definitions: &Definitions, parameter: &SearchParameter) -> String {
    if parameter.parameter_type != "reference" {
        return String::new();
    }
    let targets: BTreeSet<&str> = parameter.target.iter().map(String::as_str).collect();
    // Nothing refers to Parameters, which are never stored.
    let is_any = definitions.resources.keys().all(|name| name == "Parameters" || targets.contains(name.as_str()));
    if targets.is_empty() || is_any { "*".to_owned() } else { Vec::from_iter(targets).join(",") }
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

/// The values of an extension by the type of search parameter: property path below the extension, and FHIR type.
const EXTENSION_VALUES: [(&str, &[(&str, &str)]); 4] = [
    (
        "date",
        &[("valueDate", "date"), ("valueDateTime", "dateTime"), ("valueInstant", "instant"), ("valuePeriod", "Period")],
    ),
    ("reference", &[("valueReference", "Reference")]),
    (
        "string",
        &[
            ("valueString", "string"),
            ("valueMarkdown", "markdown"),
            ("valueHumanName", "HumanName"),
            ("valueContactDetail.name", "string"),
        ],
    ),
    (
        "token",
        &[
            ("valueCodeableConcept", "CodeableConcept"),
            ("valueCoding", "Coding"),
            ("valueCode", "code"),
            ("valueIdentifier", "Identifier"),
            ("valueString", "string"),
            ("valueBoolean", "boolean"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_spelled_out_with_their_types() {
        let line = |expression| line_of("quantity", expression).unwrap();
        assert_eq!(line("Sample.value"), "valueQuantity:Quantity|valueString:string|valueReference:Reference");
        assert_eq!(line("(Sample.value as Quantity)"), "valueQuantity:Quantity");
        assert_eq!(line("Sample.value.as(STRING)"), "valueString:string");
        assert_eq!(line("Sample.value.unit"), "valueQuantity.unit:string");
        assert_eq!(line("Sample.value.where(resolve() is Other)"), "valueReference:Reference>Other");
    }

    #[test]
    fn elements_are_followed_through_back_bones_and_content_references() {
        let line = |expression| line_of("quantity", expression).unwrap();
        assert_eq!(line("Sample.part.who"), "part.who:Reference");
        assert_eq!(line("Sample.part.part.who"), "part.part.who:Reference");
        assert_eq!(line("Sample.part.where(use='a').who | Other.x"), "part[use=a].who:Reference");
        assert_eq!(line("Sample.part[0]"), "part[0]:BackboneElement");
        assert_eq!(line("part.who | Sample.part.who"), "part.who:Reference");
        assert_eq!(line("Sample.id"), "id:string");
    }

    #[test]
    fn an_extension_means_its_value() {
        let extension = "Sample.extension('http://a.b/c')";
        assert_eq!(line_of("reference", extension).unwrap(), "extension[url=http://a.b/c].valueReference:Reference");
        assert!(line_of("uri", extension).is_err());
        let xpath = "f:Sample/f:extension[@url='http://a.b/c'] | /f:#x";
        assert_eq!(from_xpath(xpath).unwrap(), ("Sample".to_owned(), extension.to_owned()));
        assert_eq!(from_xpath("f:Sample/f:part"), None);
    }

    #[test]
    fn existence_is_one_boolean() {
        assert_eq!(
            line_of("token", "Sample.value.exists() and Sample.value != false").unwrap(),
            "?valueQuantity,valueString,valueReference:boolean"
        );
        assert!(line_of("token", "Sample.value.exists() and Sample.value != true").is_err());
    }

    #[test]
    fn a_component_starts_in_each_context_or_at_the_resource() {
        let definitions = definitions();
        let resource = Place::resource(&definitions, "Sample").unwrap();
        let branches = expression::branches("Sample.part", "Sample").unwrap();
        let contexts = resource.follow(&definitions, &branches[0]).unwrap();
        let component = |expression| component_expression(&definitions, &resource, &contexts, expression);
        assert_eq!(component("who").unwrap(), "who:Reference");
        assert_eq!(component("%resource.value.as(string)").unwrap(), "%valueString:string");
        assert!(component("value").is_err());
    }

    #[test]
    fn what_is_not_defined_is_an_error() {
        for expression in ["Other.x", "Sample.absent", "Sample.value as Period", "Sample.part.who.where(x=1)"] {
            assert!(line_of("token", expression).is_err(), "{expression}");
        }
    }

    fn line_of(parameter_type: &str, expression: &str) -> Result<String> {
        let parameter = serde_json::from_value(serde_json::json!({
            "id": "Sample-x", "url": "http://x", "code": "x", "type": parameter_type, "base": ["Sample"],
        }))?;
        Ok(row(&definitions(), &parameter, "Sample", Some(expression))?.expression)
    }

    fn definitions() -> Definitions {
        let structure = |text| serde_json::from_str(text).unwrap();
        Definitions {
            resources: BTreeMap::from([("Sample".to_owned(), structure(SAMPLE))]),
            types: BTreeMap::from([("Quantity".to_owned(), structure(QUANTITY))]),
            search_parameters: Vec::new(),
            patient_compartment: serde_json::from_str(r#"{"resource": []}"#).unwrap(),
        }
    }

    const SAMPLE: &str = r##"{
        "kind": "resource", "abstract": false, "derivation": "specialization", "type": "Sample",
        "snapshot": {"element": [
            {"path": "Sample"},
            {"path": "Sample.id", "type": [{"code": "http://hl7.org/fhirpath/System.String"}]},
            {"path": "Sample.extension", "type": [{"code": "Extension"}]},
            {"path": "Sample.part", "type": [{"code": "BackboneElement"}]},
            {"path": "Sample.part.use", "type": [{"code": "code"}]},
            {"path": "Sample.part.who", "type": [{"code": "Reference"}]},
            {"path": "Sample.part.part", "contentReference": "#Sample.part"},
            {"path": "Sample.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}, {"code": "Reference"}]}
        ]}
    }"##;

    const QUANTITY: &str = r#"{
        "kind": "complex-type", "abstract": false, "derivation": "specialization", "type": "Quantity",
        "snapshot": {"element": [{"path": "Quantity"}, {"path": "Quantity.unit", "type": [{"code": "string"}]}]}
    }"#;
}

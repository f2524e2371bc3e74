use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::{Definitions, json::Element};

/// The root elements of a resource that were asked for.
fn roots<'l>(names: &RootNames, json: &'l str) -> Roots<'l> {
    let table = names.table();
    let mut roots = Roots::default();
    for (name, element) in Element::new(json.as_bytes()).members() {
        if let Some(slot) = table.slot(name) {
            roots.put(slot, element);
        }
    }
    roots
}

/// What a parameter finds in a resource.
pub(super) fn extract(parameter: SearchParameter<'_>, json: &str) -> Vec<String> {
    let mut names = RootNames::default();
    let extraction = parameter.extraction(&mut names);
    shown(|visit| extraction.visit_resource(&roots(&names, json), visit))
}

/// What the parts of a composite find in a resource: for each context, for each part.
fn tuples(parameter: SearchParameter<'_>, json: &str) -> Vec<Vec<String>> {
    let mut names = RootNames::default();
    let composite = parameter.composite(&mut names);
    let roots = roots(&names, json);
    let mut tuples = Vec::new();
    let _ = composite.visit_contexts(&roots, |context| {
        let parts = composite.components().iter();
        tuples.push(parts.map(|part| shown(|visit| part.visit_context(context, &roots, visit)).join("; ")).collect());
        ControlFlow::Continue(())
    });
    tuples
}

fn shown(visit_all: impl FnOnce(&mut dyn FnMut(Node<'_, '_>) -> ControlFlow<()>) -> ControlFlow<()>) -> Vec<String> {
    let mut nodes = Vec::new();
    let _ = visit_all(&mut |node| {
        nodes.push(format!("{} {}", node.kind, String::from_utf8_lossy(node.element.text())));
        ControlFlow::Continue(())
    });
    nodes
}

fn parameter(resource_type: &str, code: &str) -> SearchParameter<'static> {
    Definitions::R4.search_parameter(resource_type, code).unwrap()
}

fn rows() -> impl Iterator<Item = [&'static str; 6]> {
    let table = include_str!("../../data/r4/search-parameters.tsv");
    table.lines().map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap())
}

#[test]
fn every_row_is_found_by_type_and_code() {
    let mut count = 0;
    for [base, code, ..] in rows() {
        let resource_type = if base.ends_with("Resource") { "Patient" } else { base };
        assert_eq!(parameter(resource_type, code).code(), code, "{base} {code}");
        assert!(Definitions::R4.search_codes(resource_type).any(|found| found == code), "{base} {code}");
        count += 1;
    }
    assert_eq!(count, 1728);
}

#[test]
fn what_has_no_expression_is_known() {
    for [base, code, ..] in rows() {
        let parameter = parameter(if base.ends_with("Resource") { "Patient" } else { base }, code);
        let is_special =
            matches!(code, "_text" | "_content" | "_query" | "_filter") || (base, code) == ("Patient", "age");
        assert_eq!(parameter.has_expression(), !is_special, "{base} {code}");
        assert_eq!(parameter.roots().next().is_some(), !is_special, "{base} {code}");
        assert_eq!(
            parameter.parameter_type() == ParameterType::Composite,
            parameter.component_types().next().is_some()
        );
        assert_eq!(parameter.parameter_type() == ParameterType::Reference, parameter.targets().next().is_some());
    }
}

#[test]
fn a_type_has_its_own_parameters_and_those_of_all_resources() {
    let definitions = Definitions::R4;
    for code in ["_id", "_lastUpdated", "_tag", "_security", "_profile", "_source", "_text", "_content", "gender"] {
        assert!(definitions.search_parameter("Patient", code).is_some(), "{code}");
    }
    assert!(definitions.search_parameter("Bundle", "_id").is_some());
    assert!(definitions.search_parameter("Bundle", "_text").is_none());
    for (resource_type, code) in [
        ("Patient", "Gender"),
        ("Patient", ""),
        ("Patient", "value-quantity"),
        ("Patient", "part-agree"),
        ("Resource", "_id"),
        ("Nothing", "_id"),
        ("", "_id"),
    ] {
        assert!(definitions.search_parameter(resource_type, code).is_none(), "{resource_type} {code}");
    }
    assert_eq!(definitions.search_codes("Nothing").count(), 0);
    assert!(Definitions::from_tables("Patient\n", "").search_parameter("Patient", "gender").is_none());
}

#[test]
fn targets_are_listed_or_are_all_types() {
    let targets = |resource_type, code| parameter(resource_type, code).targets().collect::<Vec<_>>();
    assert_eq!(targets("Observation", "subject"), ["Device", "Group", "Location", "Patient"]);
    assert_eq!(targets("Observation", "focus"), Definitions::R4.resource_types().collect::<Vec<_>>());
    assert!(targets("Observation", "code").is_empty());
}

#[test]
fn roots_are_json_properties() {
    for (resource_type, code, expected) in [
        ("Observation", "value-quantity", "valueQuantity valueSampledData"),
        ("Observation", "date", "effectiveDateTime effectiveInstant effectivePeriod effectiveTiming"),
        ("Observation", "combo-code", "code component"),
        ("Observation", "code-value-quantity", "code valueQuantity"),
        ("Observation", "combo-code-value-quantity", "code component valueQuantity"),
        ("Observation", "component-code-value-quantity", "component"),
        ("MolecularSequence", "chromosome-variant-coordinate", "referenceSeq variant"),
        ("Patient", "deceased", "deceasedBoolean deceasedDateTime"),
        ("Patient", "phone", "telecom"),
        ("Patient", "_id", "id"),
        ("Patient", "_tag", "meta"),
        ("Bundle", "composition", "entry"),
        ("CodeSystem", "keyword", "extension"),
    ] {
        let roots: Vec<_> = parameter(resource_type, code).roots().collect();
        assert_eq!(roots.join(" "), expected, "{resource_type} {code}");
    }
}

#[test]
fn extraction_agrees_with_examples() {
    for (resource_type, code, resource, expected) in EXAMPLES {
        let found = extract(parameter(resource_type, code), resource).join("; ");
        assert_eq!(found, *expected, "{resource_type} {code} in {resource}");
    }
}

#[test]
fn components_look_in_each_context_for_itself() {
    let tuples = |resource_type, code, resource| super::tests::tuples(parameter(resource_type, code), resource);
    let observation = r#"{"code":{"text":"a"},"valueQuantity":{"value":1},"component":[
        {"code":{"text":"b"},"valueQuantity":{"value":2}},{"code":{"text":"c"},"valueString":"x"},{"id":"d"}]}"#;
    let root = [r#"CodeableConcept {"text":"a"}"#, r#"Quantity {"value":1}"#];
    let components =
        [[r#"CodeableConcept {"text":"b"}"#, r#"Quantity {"value":2}"#], [r#"CodeableConcept {"text":"c"}"#, ""]];
    assert_eq!(tuples("Observation", "code-value-quantity", observation), [root]);
    assert_eq!(tuples("Observation", "component-code-value-quantity", observation), components);
    assert_eq!(tuples("Observation", "combo-code-value-quantity", observation), [root, components[0], components[1]]);

    let sequence = r#"{"referenceSeq":{"chromosome":{"text":"7"},"windowStart":3},"variant":[{"start":1,"end":2}]}"#;
    assert_eq!(
        tuples("MolecularSequence", "chromosome-variant-coordinate", sequence),
        [[r#"CodeableConcept {"text":"7"}"#, "integer 1", "integer 2"]]
    );
    assert_eq!(
        tuples("MolecularSequence", "chromosome-window-coordinate", sequence),
        [[r#"CodeableConcept {"text":"7"}"#, "integer 3", ""]]
    );
    assert_eq!(
        tuples("DocumentReference", "relationship", r#"{"relatesTo":{"code":"replaces","target":{"reference":"x"}}}"#),
        [[r#"code "replaces""#, r#"Reference {"reference":"x"}"#]]
    );
    let types: Vec<_> = parameter("DocumentReference", "relationship").component_types().collect();
    assert_eq!(types, [ParameterType::Token, ParameterType::Reference]);
    assert!(tuples("Observation", "code", "{}").is_empty());
}

#[test]
fn kinds_are_those_of_the_values() {
    for (resource_type, code, expected) in [
        ("Observation", "code", "CodeableConcept"),
        ("Observation", "date", "Period Timing dateTime instant"),
        ("Observation", "combo-code", "CodeableConcept"),
        ("Observation", "code-value-quantity", ""),
        ("Patient", "deceased", "boolean"),
        ("Patient", "general-practitioner", "Reference"),
        ("Patient", "_id", "string"),
    ] {
        let kinds: Vec<_> = parameter(resource_type, code).kinds().collect();
        assert_eq!(kinds.join(" "), expected, "{resource_type} {code}");
    }
}

#[test]
fn the_depth_of_the_input_does_not_count() {
    let depth = 100_000;
    let arrays = format!(r#"{{"name":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let objects = format!(r#"{{"name":{}1{}}}"#, r#"{"family":"#.repeat(depth), "}".repeat(depth));
    assert!(extract(parameter("Patient", "family"), &arrays).is_empty());
    assert_eq!(extract(parameter("Patient", "family"), &objects).len(), 1);
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1.5e3".to_owned()),
        Just(r#""Patient/1""#.to_owned()),
        Just(r#""\ud83d\ude00\/""#.to_owned()),
        Just(r#""http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject""#.to_owned()),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        let name = proptest::sample::select(&NAMES[..]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((name, inner), 0..6).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
                format!("{{ {} }}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_survived_and_roots_are_all_that_is_looked_at(values in prop::collection::vec(json(), 1..6)) {
        let resource: Vec<String> = NAMES.iter().zip(values.iter().cycle()).map(|(n, v)| format!("\"{n}\":{v}")).collect();
        let resource = format!("{{{}}}", resource.join(","));
        for resource_type in ["Observation", "Patient", "QuestionnaireResponse", "Bundle", "MolecularSequence"] {
            for code in Definitions::R4.search_codes(resource_type) {
                let parameter = parameter(resource_type, code);
                let mut names = RootNames::default();
                let (extraction, _) = (parameter.extraction(&mut names), parameter.composite(&mut names));
                let known: Vec<&str> = parameter.roots().collect();
                let table = names.table();
                let slots: Vec<Slot> = extraction.slots().collect();
                prop_assert!(slots.iter().all(|slot| known.contains(&table.name(*slot).unwrap())), "{}", code);
                let mut whole = extract(parameter, &resource);
                prop_assert!(whole.iter().all(|node| !node.split_once(' ').unwrap().1.starts_with('[')));
                if extraction.is_by_root() {
                    let roots = roots(&names, &resource);
                    let by_root = roots.iter().map(|(slot, element)| shown(|visit| extraction.visit_root(slot, element, visit)));
                    let mut by_root: Vec<String> = by_root.flatten().collect();
                    whole.sort();
                    by_root.sort();
                    prop_assert_eq!(whole, by_root);
                }
                tuples(parameter, &resource);
            }
        }
    }

    #[test]
    fn any_table_is_survived(row in "\\PC{0,60}", json in json()) {
        let table = format!("Patient\tx\tcomposite\t{row}\t*\ttoken={row};{row}\n");
        let definitions = Definitions::from_tables("Patient\n", "").with_search_parameters(&table);
        let resource = format!("{{\"a\":{json}}}");
        if let Some(parameter) = definitions.search_parameter("Patient", "x") {
            let _ = (parameter.roots().count(), parameter.targets().count(), parameter.kinds().count());
            let _ = (extract(parameter, &resource), tuples(parameter, &resource));
        }
        let _ = nearest(&row, Definitions::R4.search_codes("Patient"));
    }
}

/// Properties on the ways of many expressions.
const NAMES: [&str; 26] = [
    "id",
    "extension",
    "url",
    "meta",
    "tag",
    "code",
    "coding",
    "valueQuantity",
    "valueReference",
    "component",
    "subject",
    "reference",
    "type",
    "telecom",
    "system",
    "name",
    "family",
    "deceasedBoolean",
    "deceasedDateTime",
    "item",
    "answer",
    "entry",
    "resource",
    "referenceSeq",
    "variant",
    "chromosome",
];

/// Resource type, code, resource, nodes.
#[rustfmt::skip]
const EXAMPLES: &[(&str, &str, &str, &str)] = &[
    // Plain paths, arrays of primitives, arrays of objects, data types and back-bone elements.
    ("Patient", "gender", r#"{"gender":"male"}"#, r#"code "male""#),
    ("Patient", "birthdate", r#"{"birthDate":"1970"}"#, r#"date "1970""#),
    ("Patient", "active", r#"{"active":false}"#, "boolean false"),
    ("Patient", "given", r#"{"name":[{"given":["a","b"]},{"family":"x"},{"given":["c"]}]}"#, r#"string "a"; string "b"; string "c""#),
    ("Patient", "family", r#"{"name":{"family":"x"}}"#, r#"string "x""#),
    ("Patient", "name", r#"{"name":[{"text":"a"},{"use":"usual"}]}"#, r#"HumanName {"text":"a"}; HumanName {"use":"usual"}"#),
    ("Patient", "address-city", r#"{"address":[{"city":"Ghent"}]}"#, r#"string "Ghent""#),
    ("Patient", "language", r#"{"communication":[{"language":{"text":"nl"}}]}"#, r#"CodeableConcept {"text":"nl"}"#),
    ("Patient", "link", r#"{"link":[{"other":{"reference":"Patient/2"}}]}"#, r#"Reference {"reference":"Patient/2"}"#),
    ("Patient", "identifier", r#"{"identifier":[{"value":"1"}]}"#, r#"Identifier {"value":"1"}"#),
    ("Patient", "telecom", r#"{"telecom":[{"value":"1"},{"value":"2"}]}"#, r#"ContactPoint {"value":"1"}; ContactPoint {"value":"2"}"#),
    ("Encounter", "class", r#"{"class":{"code":"AMB"}}"#, r#"Coding {"code":"AMB"}"#),
    ("Encounter", "date", r#"{"period":{"start":"2020"}}"#, r#"Period {"start":"2020"}"#),
    ("Encounter", "length", r#"{"length":{"value":3}}"#, r#"Duration {"value":3}"#),
    ("Invoice", "totalgross", r#"{"totalGross":{"value":3.50}}"#, r#"Money {"value":3.50}"#),
    ("MolecularSequence", "variant-start", r#"{"variant":[{"start":1},{"start":20}]}"#, "integer 1; integer 20"),
    ("ValueSet", "url", r#"{"url":"http:\/\/a"}"#, r#"uri "http:\/\/a""#),
    ("QuestionnaireResponse", "questionnaire", r#"{"questionnaire":"http://q|1"}"#, r#"canonical "http://q|1""#),
    ("Location", "near", r#"{"position":{"latitude":1,"longitude":2}}"#, r#"BackboneElement {"latitude":1,"longitude":2}"#),
    ("DocumentReference", "contenttype", r#"{"content":[{"attachment":{"contentType":"text/plain"}}]}"#, r#"code "text/plain""#),
    ("Provenance", "agent", r#"{"agent":[{"who":{"reference":"a"}}]}"#, r#"Reference {"reference":"a"}"#),
    // What all resources have.
    ("Patient", "_id", r#"{"id":"1"}"#, r#"string "1""#),
    ("Patient", "_lastUpdated", r#"{"meta":{"lastUpdated":"2020-01-01T00:00:00Z"}}"#, r#"instant "2020-01-01T00:00:00Z""#),
    ("Patient", "_tag", r#"{"meta":{"tag":[{"code":"a"}],"security":[{"code":"b"}]}}"#, r#"Coding {"code":"a"}"#),
    ("Binary", "_profile", r#"{"meta":{"profile":["p","q"]}}"#, r#"canonical "p"; canonical "q""#),
    ("Patient", "_source", r#"{"meta":{"source":"s"}}"#, r#"uri "s""#),
    ("Patient", "_text", r#"{"text":{"div":"<div/>"}}"#, ""),
    // Choices: all types, one of them, one with an element below.
    ("Observation", "date", r#"{"effectiveInstant":"2020-01-01T00:00:00Z"}"#, r#"instant "2020-01-01T00:00:00Z""#),
    ("Observation", "date", r#"{"effectivePeriod":{"end":"2020"}}"#, r#"Period {"end":"2020"}"#),
    ("Observation", "value-quantity", r#"{"valueQuantity":{"value":1.0}}"#, r#"Quantity {"value":1.0}"#),
    ("Observation", "value-quantity", r#"{"valueString":"1"}"#, ""),
    ("Observation", "value-string", r#"{"valueCodeableConcept":{"text":"a"}}"#, r#"string "a""#),
    ("Observation", "value-date", r#"{"valueDateTime":"2020"}"#, r#"dateTime "2020""#),
    ("Condition", "onset-age", r#"{"onsetAge":{"value":50},"onsetString":"x"}"#, r#"Age {"value":50}"#),
    ("Condition", "onset-info", r#"{"onsetAge":{"value":50},"onsetString":"x"}"#, r#"string "x""#),
    ("MedicationRequest", "medication", r#"{"medicationReference":{"reference":"a"}}"#, r#"Reference {"reference":"a"}"#),
    ("MedicationRequest", "code", r#"{"medicationCodeableConcept":{"text":"a"}}"#, r#"CodeableConcept {"text":"a"}"#),
    ("RiskAssessment", "probability", r#"{"prediction":[{"probabilityDecimal":0.80}]}"#, "decimal 0.80"),
    ("Group", "value", r#"{"characteristic":[{"valueBoolean":true},{"valueQuantity":{"value":1}}]}"#, "boolean true"),
    ("ActivityDefinition", "context-quantity", r#"{"useContext":[{"valueRange":{"low":{"value":1}}}]}"#, r#"Range {"low":{"value":1}}"#),
    // Unions; a branch without a root.
    ("Observation", "combo-code", r#"{"component":[{"code":{"text":"b"}}],"code":{"text":"a"}}"#, r#"CodeableConcept {"text":"a"}; CodeableConcept {"text":"b"}"#),
    ("InsurancePlan", "name", r#"{"alias":["b","c"],"name":"a"}"#, r#"string "a"; string "b"; string "c""#),
    ("Organization", "name", r#"{"alias":["b"],"name":"a"}"#, r#"string "a"; string "b""#),
    // References to one type.
    ("Observation", "patient", r#"{"subject":{"reference":"Patient/1"}}"#, r#"Reference {"reference":"Patient/1"}"#),
    ("Observation", "patient", r#"{"subject":{"reference":"http://a/Patient/1/_history/2"}}"#, r#"Reference {"reference":"http://a/Patient/1/_history/2"}"#),
    ("Observation", "patient", r#"{"subject":{"reference":"urn:uuid:1","type":"Patient"}}"#, r#"Reference {"reference":"urn:uuid:1","type":"Patient"}"#),
    ("Observation", "patient", r#"{"subject":{"identifier":{},"type":"http://hl7.org/fhir/StructureDefinition/Patient"}}"#, r#"Reference {"identifier":{},"type":"http://hl7.org/fhir/StructureDefinition/Patient"}"#),
    ("Observation", "patient", r#"{"subject":{"reference":"Patient/1","type":"Group"}}"#, ""),
    ("Observation", "patient", r#"{"subject":{"reference":"Group/1"}}"#, ""),
    ("Observation", "patient", r#"{"subject":{"reference":"urn:uuid:1"}}"#, ""),
    ("Observation", "patient", r##"{"subject":{"reference":"#p"}}"##, ""),
    ("Observation", "patient", r#"{"subject":{"reference":"Patient?identifier=1"}}"#, ""),
    ("Observation", "patient", r#"{"subject":"Patient/1"}"#, ""),
    ("Observation", "subject", r#"{"subject":{"reference":"Group/1"}}"#, r#"Reference {"reference":"Group/1"}"#),
    ("Appointment", "practitioner", r#"{"participant":[{"actor":{"reference":"Practitioner/1"}},{"actor":{"reference":"Patient/1"}}]}"#, r#"Reference {"reference":"Practitioner/1"}"#),
    // Conditions.
    ("Patient", "phone", r#"{"telecom":[{"system":"email","value":"a"},{"system":"phone","value":"1"},{"value":"2"}]}"#, r#"ContactPoint {"system":"phone","value":"1"}"#),
    ("Patient", "email", r#"{"telecom":{"system":"\u0065mail","value":"a"}}"#, r#"ContactPoint {"system":"\u0065mail","value":"a"}"#),
    ("Library", "composed-of", r#"{"relatedArtifact":[{"type":"composed-of","resource":"a"},{"type":"derived-from","resource":"b"}]}"#, r#"canonical "a""#),
    ("Library", "depends-on", r#"{"relatedArtifact":[{"type":"depends-on","resource":"a"}]}"#, r#"canonical "a""#),
    ("Bundle", "composition", r#"{"entry":[{"resource":{"resourceType":"Composition"}},{"resource":{"resourceType":"Patient"}}]}"#, r#"Resource {"resourceType":"Composition"}"#),
    ("QuestionnaireResponse", "item-subject", r#"{"item":[
        {"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject"}],"answer":[{"valueReference":{"reference":"a"}}]},
        {"answer":[{"valueReference":{"reference":"b"}}]}]}"#, r#"Reference {"reference":"a"}"#),
    ("DiagnosticReport", "assessed-condition", r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/DiagnosticReport-geneticsAssessedCondition","valueReference":{"reference":"a"}},{"url":"x","valueReference":{"reference":"b"}}]}"#, r#"Reference {"reference":"a"}"#),
    ("Patient", "mothersMaidenName", r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"Li"}]}"#, r#"string "Li""#),
    ("CodeSystem", "author", r#"{"extension":{"url":"http://hl7.org/fhir/StructureDefinition/codesystem-author","valueContactDetail":{"name":"a"}}}"#, r#"string "a""#),
    ("Patient", "birthOrderBoolean", r#"{"multipleBirthBoolean":true}"#, "boolean true"),
    // Whether a patient has died is always known.
    ("Patient", "deceased", r#"{"deceasedBoolean":true}"#, "boolean true"),
    ("Patient", "deceased", r#"{"deceasedBoolean":false}"#, "boolean false"),
    ("Patient", "deceased", r#"{"deceasedDateTime":"2015-02-14"}"#, "boolean true"),
    ("Patient", "deceased", r#"{"_deceasedDateTime":{"extension":[]}}"#, "boolean false"),
    ("Patient", "deceased", r#"{}"#, "boolean false"),
    // Absence, repetition, and shapes that do not fit.
    ("Patient", "gender", r#"{"_gender":{"extension":[{"url":"x"}]}}"#, ""),
    ("Patient", "gender", r#"{"gender":null}"#, ""),
    ("Patient", "name", r#"{"name":[null,{"id":"1","extension":[{"url":"x"}]},{},[{"text":"a"}],{"text":null}]}"#, ""),
    ("Patient", "gender", r#"{"gender":"male","gender":"female"}"#, r#"code "male""#),
    ("Patient", "family", r#"{"name":[{"family":"a","f\u0061mily":"b"}],"name":{"family":"c"}}"#, r#"string "a"; string "b""#),
    ("Patient", "family", r#"{"name":"a"}"#, ""),
    ("Patient", "family", r#"{"name":[[{"family":"a"}]]}"#, ""),
    ("Observation", "code-value-quantity", r#"{"code":{"text":"a"}}"#, ""),
];

//! What every search parameter type means, by example; and properties of all input.

use std::{borrow::Cow, collections::BTreeSet};

use proptest::prelude::*;
use serde::Deserialize;

use serde_json::value::RawValue;

use super::*;
use crate::{Timestamp, search::ParameterType};

/// One query, one resource, and what becomes of them.
#[derive(Deserialize)]
struct Case<'a> {
    id: &'a str,
    query: Cow<'a, str>,
    #[serde(borrow)]
    resource: &'a RawValue,
    expect: &'a str,
}

const CASES: &str = include_str!("../../../tests/type-filter/cases.ndjson");

#[test]
fn every_case_comes_out_as_it_says() {
    let mut failures = Vec::new();
    for line in CASES.lines() {
        let case: Case<'_> = serde_json::from_str(line).unwrap();
        let outcome = match compile(&case.query) {
            Err(_) => "error",
            Ok(filter) if passes(&filter, &case) => "yes",
            Ok(_) => "no",
        };
        if outcome != case.expect {
            failures.push(format!("{}: {} gives {outcome}, not {}", case.id, case.query, case.expect));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let ids: BTreeSet<_> = CASES.lines().map(|line| serde_json::from_str::<Case<'_>>(line).unwrap().id).collect();
    assert_eq!(ids.len(), CASES.lines().count());
}

/// As `Filter::matches`, and a case about a resource of another type asks whether the query selects it.
fn passes(filter: &Filter, case: &Case<'_>) -> bool {
    let resource: serde_json::Value = serde_json::from_str(case.resource.get()).unwrap();
    let is_of_type = case.query.split('?').next() == resource["resourceType"].as_str();
    is_of_type && matches(filter, case.resource.get())
}

fn context() -> FilterContext {
    let now = Timestamp::parse_instant("2024-01-01T00:00:00Z").unwrap();
    FilterContext { base_url: "http://example.org/fhir".to_owned(), now }
}

fn compile(query: &str) -> Result<Filter, Vec<TypeFilterError>> {
    let queries = parse(&[TypeFilterSource::Post(query)], Edition::Stu3, &Definitions::R4)?;
    Filter::compile(&queries, &Definitions::R4, &context())
}

fn matches(filter: &Filter, resource: &str) -> bool {
    filter.matches(resource.as_bytes())
}

/// The root elements of a type that a filter looks at, in name order.
fn roots(filter: Filter, resource_type: &str) -> Vec<&'static str> {
    let parameters = Definitions::R4.search_codes(resource_type);
    let parameters = parameters.filter_map(|code| Definitions::R4.search_parameter(resource_type, code));
    let all: BTreeSet<_> = parameters.flat_map(|parameter| parameter.roots()).collect();
    let (mut names, programs) = filter.into_programs();
    let slots: Vec<_> = programs.get(resource_type).into_iter().flat_map(TypeProgram::slots).collect();
    all.into_iter().filter(|name| slots.contains(&names.slot(name))).collect()
}

#[track_caller]
fn refused(query: &str) -> String {
    compile(query).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_one_resource_cannot_decide_is_refused_by_name() {
    for (query, kind) in [
        ("Observation?patient.name=peter", Undecidable::Chain),
        ("Patient?_has:Observation:patient:code=1", Undecidable::ReverseChain),
        ("Patient?_list=42", Undecidable::List),
        ("Patient?_query=x", Undecidable::NamedQuery),
        ("Patient?_text=x", Undecidable::Text),
        ("Patient?_content=x", Undecidable::Text),
        ("Patient?_filter=x", Undecidable::FilterExpression),
        ("Patient?phonetic=x", Undecidable::Phonetic),
        ("Location?near=1|2|3|km", Undecidable::Position),
        ("Observation?code:in=http://x", Undecidable::Terminology),
        ("Observation?code:not-in=http://x", Undecidable::Terminology),
        ("Observation?code:above=x", Undecidable::Terminology),
        ("Observation?code:below=x", Undecidable::Terminology),
        ("Location?partof:below=1", Undecidable::Hierarchy),
        ("Location?partof:above=Location/1", Undecidable::Hierarchy),
    ] {
        let errors = compile(query).unwrap_err();
        assert_eq!(*errors[0].kind(), TypeFilterErrorKind::Undecidable(kind), "{query}");
        assert!(errors[0].concerns_one_query() && errors[0].resource_type().is_some());
    }
}

#[test]
fn errors_say_where_and_what_instead() {
    for (query, text) in [
        (
            "Patient?gender=male&birthdat=1970",
            "`_typeFilter` value 1, query 1 for `Patient`, byte 20: parameter `birthdat`: unknown search parameter of \
             this type: `birthdate` is one",
        ),
        (
            "Patient?name=a,b&birthdate:exact=1970",
            "`_typeFilter` value 1, query 1 for `Patient`, byte 17: parameter `birthdate:exact`: not a modifier of a \
             date parameter: accepted are `missing`",
        ),
        (
            "Observation?value-quantity=5%2C5,5%7Cmg",
            "`_typeFilter` value 1, query 1 for `Observation`, byte 33: parameter `value-quantity`: not a quantity: \
             accepted is `number`, `number|system|code`, `number||code` or `number|system|`, behind `eq` `ne` `gt` \
             `lt` `ge` `le` `sa` `eb` `ap` or nothing",
        ),
        (
            "Observation?subject:Medication=1",
            "`_typeFilter` value 1, query 1 for `Observation`, byte 12: parameter `subject:Medication`: the parameter \
             never refers to this type: accepted are `Device` `Group` `Location` `Patient`",
        ),
    ] {
        assert_eq!(refused(query), text);
    }
}

#[test]
fn what_the_values_of_a_parameter_cannot_have_is_refused() {
    for (query, accepted) in [
        ("Observation?code:of-type=s|c|v", "not a modifier of a token parameter: accepted are `missing` `not` `text`"),
        ("Patient?gender:text=m", "not a modifier of a token parameter: accepted are `missing` `not`"),
        ("Patient?active:of-type=s|c|v", "not a modifier of a token parameter: accepted are `missing` `not`"),
        ("ValueSet?version:text=1", "not a modifier of a token parameter: accepted are `missing` `not`"),
        (
            "Patient?identifier:exact=1",
            "not a modifier of a token parameter: accepted are `missing` `not` `of-type` `text`",
        ),
        ("Patient?active=yes", "not a boolean: accepted is one of `true` and `false`"),
        ("Patient?deceased=true,2015", "not a boolean: accepted is one of `true` and `false`"),
        ("Patient?deceased:not=1", "not a boolean: accepted is one of `true` and `false`"),
        (
            "QuestionnaireResponse?questionnaire:identifier=1",
            "not a modifier of a reference parameter: accepted are `above` `below` `missing` or a resource type",
        ),
    ] {
        let text = refused(query);
        assert!(text.ends_with(accepted), "{query}: {text}");
    }
    for query in
        ["Patient?active:not=true", "Observation?code:text=x", "Patient?identifier:of-type=s|c|v", "Group?value=a"]
    {
        assert!(compile(query).is_ok(), "{query}");
    }
}

/// Empty values are ignored, but not what is wrong with their parameter.
#[test]
fn an_unknown_parameter_is_an_error_without_a_value_too() {
    assert!(refused("Patient?foo=").contains("unknown search parameter"));
    assert!(compile("Patient?name=").is_ok());
}

#[test]
fn values_must_be_of_their_form_and_are_not_shown() {
    for query in [
        "Patient?birthdate=MRN471",
        "Patient?birthdate=xx1970",
        "Patient?gender:missing=MRN471",
        "Patient?gender:missing=true,false",
        "Patient?name=%3F",
        "Patient?_id=MRN471|x",
        "Patient?_id=MRN_471",
        "Patient?identifier=MRN471|x|y",
        "Patient?identifier=|",
        "Patient?identifier:of-type=MRN471|x",
        "Patient?phone=|MRN471",
        "Patient?organization=MRN 471",
        "Patient?organization=Organisation/MRN471",
        "Patient?organization:Organization=Organization/MRN471",
        "RiskAssessment?probability=MRN471",
        "Observation?value-quantity=MRN471",
        "Observation?value-quantity=1||",
        "Observation?code-value-quantity=MRN471",
        "Observation?code-value-quantity=MRN471$",
        "Observation?code-value-quantity=MRN471$1$2",
        "Observation?code-value-quantity=x$MRN471",
        "Location?partof:below=MRN471",
    ] {
        let errors = compile(query).unwrap_err();
        let shown = format!("{errors:?} {}", errors[0]);
        assert!(!shown.contains("MRN") && errors[0].position() >= "Patient?_id=".len(), "{shown}");
        assert_eq!(errors[0].value(), 0);
    }
    let filter = compile("Patient?identifier=MRN471").unwrap();
    assert_eq!(format!("{filter:?}"), "Filter(1 queries of 1 types)");
}

#[test]
fn queries_of_a_type_add_up_and_other_types_pass() {
    let sources =
        ["Patient?gender=male&active=true", "Patient?_id=x", "Observation?code=1"].map(TypeFilterSource::Post);
    let queries = parse(&sources, Edition::Stu3, &Definitions::R4).unwrap();
    let filter = Filter::compile(&queries, &Definitions::R4, &context()).unwrap();
    for (resource, expected) in [
        (r#"{"resourceType":"Patient","id":"a","gender":"male","active":true}"#, true),
        (r#"{"resourceType":"Patient","id":"a","gender":"male"}"#, false),
        (r#"{"resourceType":"Patient","id":"x"}"#, true),
        (r#"{"resourceType":"Patient","id":"X"}"#, false),
        (r#"{"resourceType":"Observation","id":"x"}"#, false),
        (r#"{"resourceType":"Group","id":"x"}"#, true),
    ] {
        assert_eq!(matches(&filter, resource), expected, "{resource}");
    }
    assert_eq!(roots(filter, "Patient"), ["active", "gender", "id"]);
}

/// What many alternatives, or many queries, select is what each selects by itself.
#[track_caller]
fn select_as_each_does(values: &[&str], query: impl Fn(&str) -> String, resource: &str) {
    let alone: Vec<String> = values.iter().map(|value| query(value)).collect();
    let selects = |query: &String| matches(&compile(query).unwrap(), resource);
    let expected = alone.iter().any(selects);
    assert_eq!(selects(&query(&values.join(","))), expected, "{values:?} {resource}");
    let sources: Vec<_> = alone.iter().map(|query| TypeFilterSource::Post(query)).collect();
    let queries = parse(&sources, Edition::Stu3, &Definitions::R4).unwrap();
    let filter = Filter::compile(&queries, &Definitions::R4, &context()).unwrap();
    assert_eq!(matches(&filter, resource), expected, "{values:?} {resource}");
}

proptest! {
    #[test]
    fn look_ups_select_what_each_alternative_does(
        tokens in prop::sample::subsequence(TOKENS.to_vec(), 1..12),
        references in prop::sample::subsequence(REFERENCES.to_vec(), 1..12),
        uris in prop::sample::subsequence(URIS.to_vec(), 1..6),
        dates in prop::sample::subsequence(vec!["2013", "gt2014", "le2012-02", "2015-01-01"], 1..4),
        system in prop::option::of(prop::sample::select(vec!["s", "S", "t", ""])),
        code in prop::sample::select(vec!["a", "A", "b", "Straße", "STRASSE", "İ", "\u{212a}", "k"]),
        reference in prop::sample::select(vec![
            "Patient/1", "Patient/1/_history/2", "http://example.org/fhir/Patient/1", "Group/1", "http://x/Patient/1",
            "#1", "urn:uuid:1",
        ]),
        uri in prop::sample::select(vec!["http://a/b", "http://a/b|1", "http://a", "urn:a", "HTTP://a/b"]),
        date in prop::sample::select(vec!["2013-05", "2012", "2015-01-01"]),
    ) {
        let system = system.map(|system| format!("\"system\":\"{system}\",")).unwrap_or_default();
        let coding = format!("{{{system}\"code\":\"{code}\"}}");
        let observation = format!(
            r#"{{"resourceType":"Observation","id":"1","code":{{"coding":[{{"code":"z"}},{coding}]}},"status":"{code}",
            "subject":{{"reference":"{reference}"}},"effectiveDateTime":"{date}","meta":{{"profile":["{uri}"]}}}}"#
        );
        let valueset = format!(r#"{{"resourceType":"ValueSet","id":"1","url":"{uri}","version":"{code}"}}"#);
        for parameter in ["code", "status"] {
            select_as_each_does(&tokens, |value| format!("Observation?{parameter}={value}"), &observation);
            // Queries of several criteria, found by one of them.
            let several = |value: &str| format!("Observation?{parameter}={value}&date=ge2013&subject={}", references[0]);
            select_as_each_does(&tokens, several, &observation);
        }
        select_as_each_does(&tokens, |value| format!("ValueSet?version={value}"), &valueset);
        select_as_each_does(&references, |value| format!("Observation?subject={value}"), &observation);
        select_as_each_does(&references, |value| format!("Observation?subject={value}&date=2013"), &observation);
        select_as_each_does(&uris, |value| format!("ValueSet?url={value}"), &valueset);
        select_as_each_does(&uris, |value| format!("Observation?_profile={value}"), &observation);
        select_as_each_does(&dates, |value| format!("Observation?date={value}"), &observation);
        select_as_each_does(&dates, |value| format!("Observation?date={value}&code={}", tokens[0]), &observation);
    }
}

const TOKENS: [&str; 12] =
    ["a", "A", "s|a", "S|a", "|a", "s|", "t|b", "stra\u{df}e", "|STRASSE", "k", "i\u{307}", "s|K"];
const REFERENCES: [&str; 11] = [
    "1",
    "Patient/1",
    "Patient/1/_history/2",
    "http://example.org/fhir/Patient/1",
    "Group/1",
    "http://x/Patient/1",
    "urn:uuid:1",
    "http://a/b|1",
    "http://a/b",
    "Patient/2",
    "2",
];
const URIS: [&str; 5] = ["http://a/b", "http://a/b\\|1", "http://a", "urn:a", "http://z"];

proptest! {
    /// Over every case about a token: `:not` selects what the criterion does not.
    #[test]
    fn not_is_the_complement(code in token(), resource in token_resource()) {
        let plain = compile(&format!("Observation?code={code}")).unwrap();
        let negated = compile(&format!("Observation?code:not={code}")).unwrap();
        prop_assert_ne!(matches(&plain, &resource), matches(&negated, &resource));
    }

    #[test]
    fn every_parameter_takes_any_value_and_any_json(
        (resource_type, code) in any_parameter(),
        modifier in prop::option::of(prop::sample::select(super::ast::Modifier::NAMED.to_vec())),
        value in value(),
        seed in json(),
    ) {
        let modifier = modifier.map(|modifier| format!(":{}", modifier.as_str())).unwrap_or_default();
        let sent = value.replace('%', "%25").replace('&', "%26");
        match compile(&format!("{resource_type}?{code}{modifier}={sent}")) {
            Ok(filter) => {
                // The same value wherever the filter may look.
                let looked_at: Vec<_> = Definitions::R4.search_parameter(resource_type, code).unwrap().roots().collect();
                let members: String = looked_at.iter().map(|root| format!(",{root:?}:{seed}")).collect();
                let id = if members.contains("\"id\":") { "" } else { r#","id":"x""# };
                matches(&filter, &format!(r#"{{"resourceType":"{resource_type}"{id}{members}}}"#));
            }
            Err(errors) => {
                let marked = value.len() > 6 && value.chars().all(|c| c.is_ascii_digit());
                prop_assert!(!marked || !errors[0].to_string().contains(&value));
            }
        }
    }
}

fn token() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "A", "s|a", "s|", "|a", "b,s|a", "a,b"]).prop_map(str::to_owned)
}

fn token_resource() -> impl Strategy<Value = String> {
    let coding = prop::sample::select(vec![
        r#"{"system":"s","code":"a"}"#,
        r#"{"system":"t","code":"a"}"#,
        r#"{"code":"b"}"#,
        r#"{"system":"s"}"#,
        "{}",
        "null",
        "7",
    ]);
    prop::collection::vec(coding, 0..4).prop_map(|codings| {
        format!(r#"{{"resourceType":"Observation","id":"x","code":{{"coding":[{}]}}}}"#, codings.join(","))
    })
}

fn any_parameter() -> impl Strategy<Value = (&'static str, &'static str)> {
    let parameters: Vec<_> = Definitions::R4
        .resource_types()
        .flat_map(|name| Definitions::R4.search_codes(name).map(move |code| (name, code)))
        .collect();
    prop::sample::select(parameters)
}

fn value() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "0.5",
        "-",
        "e",
        "gt",
        "ap",
        "2013",
        "2013-01-14T10:00Z",
        "|",
        "$",
        ",",
        "http://x",
        "Patient/1",
        "true",
        "é",
    ]);
    prop_oneof![prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat()), any::<String>(), "[0-9]{7,12}",]
}

/// JSON that is nearly an element, and JSON that is nothing of the kind.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "null",
        "true",
        "1e999999999",
        "-0.5",
        "\"\"",
        "\"2013-01\"",
        "\"http://x|1\"",
        "\"a\\u0000\"",
        "[]",
        "{}",
    ])
    .prop_map(str::to_owned);
    let name = prop::sample::select(vec![
        "value",
        "code",
        "coding",
        "system",
        "low",
        "high",
        "start",
        "end",
        "event",
        "reference",
        "identifier",
        "family",
        "given",
        "text",
        "extension",
        "valueString",
        "lowerLimit",
        "origin",
        "tag",
        "lastUpdated",
        "profile",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((name.clone(), inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Every parameter of R4 can be asked whether it is missing, but for composites and those that are refused whole.
#[test]
fn missing_works_on_every_parameter() {
    for resource_type in Definitions::R4.resource_types() {
        for code in Definitions::R4.search_codes(resource_type) {
            let parameter = Definitions::R4.search_parameter(resource_type, code).unwrap();
            let result = compile(&format!("{resource_type}?{code}:missing=false"));
            let is_composite = parameter.parameter_type() == ParameterType::Composite;
            match result {
                Ok(filter) => {
                    assert!(!is_composite && !roots(filter, resource_type).is_empty(), "{resource_type} {code}");
                }
                Err(errors) => {
                    let is_refused = matches!(errors[0].kind(), TypeFilterErrorKind::Undecidable(_));
                    assert!(is_composite || is_refused, "{resource_type} {code}: {}", errors[0]);
                }
            }
        }
    }
}

//! Many queries together, held against each of them alone.

use proptest::prelude::*;

use crate::{
    Definitions, Edition, Timestamp,
    type_filter::{Filter, FilterContext, TypeFilterSource, parse},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Whatever is common to the queries, joined or filed: a resource passes if it passes one of them.
    #[test]
    fn queries_together_are_each_of_them_alone(
        common in prop::sample::subsequence(CRITERIA.to_vec(), 0..3),
        own in prop::collection::vec(prop::sample::subsequence(CRITERIA.to_vec(), 0..4), 1..6),
    ) {
        let queries: Vec<String> = own
            .iter()
            .enumerate()
            .map(|(number, own)| {
                // What they have in common comes first, last, or between.
                let at = number % (own.len() + 1);
                let criteria = own[..at].iter().chain(&common).chain(&own[at..]).copied();
                format!("Observation?{}", criteria.collect::<Vec<_>>().join("&"))
            })
            .collect();
        let together = filter(&queries);
        let alone: Vec<Filter> = queries.iter().map(|query| filter(std::slice::from_ref(query))).collect();
        for resource in resources() {
            let expected = alone.iter().any(|filter| filter.matches(resource.as_bytes()));
            prop_assert_eq!(together.matches(resource.as_bytes()), expected, "{:?} {}", queries, resource);
        }
    }
}

#[test]
fn what_all_queries_ask_is_asked_once() {
    let queries = ["Observation?status=final&code=a", "Observation?code=b&status=final"].map(str::to_owned);
    let (_, programs) = filter(&queries).into_programs();
    let plan = &programs.values().next().unwrap().plan;
    assert_eq!((plan.gates.len(), plan.any.is_none()), (2, true));
}

fn filter(queries: &[String]) -> Filter {
    let sources: Vec<_> = queries.iter().map(|query| TypeFilterSource::Post(query)).collect();
    let queries = parse(&sources, Edition::Stu3, &Definitions::R4).unwrap();
    let context = FilterContext { base_url: "https://ehr.example/fhir".into(), now: Timestamp::from_millis(0) };
    Filter::compile(&queries, &Definitions::R4, &context).unwrap()
}

/// Every combination of a few values, some of them absent, and the members in two orders.
fn resources() -> impl Iterator<Item = String> {
    let code = ["", r#","code":{"coding":[{"system":"s","code":"a"}]}"#, r#","code":{"coding":[{"code":"b"}]}"#];
    let status = ["", r#","status":"final""#];
    let date = ["", r#","effectiveDateTime":"2020-01-01""#, r#","effectiveDateTime":"2022""#];
    let value = ["", r#","valueQuantity":{"value":2}"#];
    let with = move |code, status, date| {
        value.into_iter().flat_map(move |value| {
            let members: [String; 2] = [[code, status, date, value].concat(), [value, date, status, code].concat()];
            members.map(|members| format!(r#"{{"resourceType":"Observation","id":"1"{members}}}"#))
        })
    };
    code.into_iter().flat_map(move |code| {
        status.into_iter().flat_map(move |status| date.into_iter().flat_map(move |date| with(code, status, date)))
    })
}

const CRITERIA: [&str; 9] = [
    "code=a",
    "code=b,s|a",
    "code:not=a",
    "status=final",
    "date=gt2021",
    "date=le2021",
    "date:missing=true",
    "code-value-quantity=a$gt1",
    "value-quantity=2",
];

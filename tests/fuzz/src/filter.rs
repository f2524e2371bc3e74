//! `_typeFilter`. The first byte says the edition (`0` to `3` of a GET, `4` to `7` of a POST); each line that follows is one
//! value of the parameter.

use std::sync::LazyLock;

use ehi_core::{
    Definitions, Edition, Timestamp,
    type_filter::{self, Filter, FilterContext, QUERIES_MAX, Query, TypeFilterError, TypeFilterSource},
};

use crate::input::{Input, MARK, edition, is_free_of_mark, percent_encoded};

/// A query that is read can be written, and means the same when it is read again, in every edition and however it
/// travels; what is wrong with one is said without a word of its values.
pub fn filter(data: &[u8]) {
    let mut input = Input::new(data);
    let options = input.byte();
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    let (edition, is_post) = (edition(options), options & 4 != 0);
    let source = |value| if is_post { TypeFilterSource::Post(value) } else { TypeFilterSource::Get(value) };
    let values: Vec<_> = text.lines().map(source).collect();
    let results = type_filter::parse_each(&values, edition, &Definitions::R4);
    assert!(results.len() <= QUERIES_MAX + 1);
    agree(&results, &type_filter::parse(&values, edition, &Definitions::R4));
    let errors = results.iter().filter_map(|result| result.as_ref().err());
    errors.for_each(|error| assert!(!error.to_string().is_empty()));
    let queries: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    queries.iter().for_each(|query| survives(query));
    travel_together(&queries);
    if is_post {
        text.lines().for_each(|value| travels(value, edition));
    }
    if is_free_of_mark(data) {
        queries.iter().for_each(|query| is_kept_secret(query));
    }
}

/// [`type_filter::parse`] is [`type_filter::parse_each`] with all or nothing.
fn agree(each: &[Result<Query, TypeFilterError>], all: &Result<Vec<Query>, Vec<TypeFilterError>>) {
    match all {
        Ok(queries) => {
            assert!(queries.iter().eq(each.iter().filter_map(|result| result.as_ref().ok())));
            assert_eq!(queries.len(), each.len());
        }
        Err(errors) => assert!(errors.iter().eq(each.iter().filter_map(|result| result.as_ref().err()))),
    }
}

/// Written and read again it is the same query, and selects the same.
fn survives(query: &Query) {
    let text = query.to_string();
    let in_get = query.as_get_value().to_string();
    for edition in EDITIONS {
        let again = read(TypeFilterSource::Post(&text), edition);
        assert_eq!((&again, again.to_string()), (query, text.clone()), "{edition:?}");
        assert_eq!(&read(TypeFilterSource::Get(&in_get), edition), query, "{edition:?}");
    }
    let again = read(TypeFilterSource::Post(&text), Edition::Stu3);
    match (compile(query), compile(&again)) {
        (Ok(first), Ok(second)) => {
            for resource in RESOURCES {
                assert_eq!(first.matches(resource.as_bytes()), second.matches(resource.as_bytes()));
            }
        }
        (Err(first), Err(second)) => {
            let kinds =
                |errors: &[TypeFilterError]| errors.iter().map(|error| error.kind().clone()).collect::<Vec<_>>();
            assert_eq!(kinds(&first), kinds(&second));
        }
        (first, second) => panic!("{first:?}, {second:?}"),
    }
}

/// Queries that make one value when joined, in the editions that have lists.
fn travel_together(queries: &[&Query]) {
    if queries.is_empty() {
        return;
    }
    let in_get: Vec<_> = queries.iter().map(|query| query.as_get_value().to_string()).collect();
    let in_post: Vec<_> = queries.iter().map(|query| query.to_string()).collect();
    let (in_get, in_post) = (in_get.join(","), in_post.join(","));
    for edition in [Edition::Stu1, Edition::Stu2] {
        for source in [TypeFilterSource::Get(&in_get), TypeFilterSource::Post(&in_post)] {
            let again = type_filter::parse(&[source], edition, &Definitions::R4).expect("what was read is read again");
            assert!(again.iter().eq(queries.iter().copied()), "{edition:?}");
        }
    }
}

/// A value in a POST says what it says in a GET, encoded.
fn travels(value: &str, edition: Edition) {
    let encoded = percent_encoded(value, b",");
    let of = |source| {
        let results = type_filter::parse_each(&[source], edition, &Definitions::R4);
        results.into_iter().map(|result| result.map_err(|error| error.kind().clone())).collect::<Vec<_>>()
    };
    assert_eq!(of(TypeFilterSource::Post(value)), of(TypeFilterSource::Get(&encoded)));
}

/// A searched value may identify a patient: nothing that is shown of a query or said about it has it.
fn is_kept_secret(query: &Query) {
    let text = query.to_string();
    let Some((resource_type, criteria)) = text.split_once('?') else { panic!("a query has a `?`") };
    let marked = |criterion: &str| {
        let (name, value) = criterion.split_once('=').expect("a criterion has a `=`");
        format!("{name}={MARK}{value}{MARK}")
    };
    let criteria: Vec<_> = criteria.split('&').filter(|criterion| !criterion.is_empty()).map(marked).collect();
    let marked = format!("{resource_type}?{}", criteria.join("&"));
    let query = read(TypeFilterSource::Post(&marked), Edition::Stu3);
    assert!(!format!("{query:?}").contains(MARK));
    for error in compile(&query).err().unwrap_or_default() {
        assert!(!error.to_string().contains(MARK) && !format!("{error:?}").contains(MARK), "{:?}", error.kind());
    }
}

/// The one query of a value that we wrote ourselves.
fn read(source: TypeFilterSource<'_>, edition: Edition) -> Query {
    let queries = type_filter::parse(&[source], edition, &Definitions::R4).expect("what was written is read");
    let [query] = queries.try_into().expect("one value, one query");
    query
}

fn compile(query: &Query) -> Result<Filter, Vec<TypeFilterError>> {
    Filter::compile(std::slice::from_ref(query), &DEFINITIONS, &CONTEXT)
}

static DEFINITIONS: LazyLock<Definitions<'static>> =
    LazyLock::new(|| Definitions::R4.with_added_search_parameters(Definitions::US_CORE_SEARCH_PARAMETERS));

static CONTEXT: LazyLock<FilterContext> = LazyLock::new(|| FilterContext {
    base_url: String::from("https://ehr.example/fhir"),
    now: Timestamp::from_millis(1_700_000_000_000),
});

const EDITIONS: [Edition; 4] = [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot];

/// Some that queries may select, and lines that are none.
const RESOURCES: [&str; 6] = [
    r#"{"resourceType":"Patient","id":"1","gender":"male","birthDate":"1970-01","name":[{"family":"Müller"}],"active":true}"#,
    r#"{"resourceType":"Observation","id":"2","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},"subject":{"reference":"Patient/1"},"valueQuantity":{"value":6.30,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"},"effectiveDateTime":"2020-02-29T23:30:00-05:00"}"#,
    r#"{"resourceType":"RiskAssessment","id":"3","prediction":[{"probabilityDecimal":1e-3}]}"#,
    r#"{"resourceType":"Patient","id":"4","birthDate":1970,"name":{"family":["x"]},"meta":[]}"#,
    r#"{"resourceType":"Observation","id":"5""#,
    "",
];

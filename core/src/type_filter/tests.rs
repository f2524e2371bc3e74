//! The grammar as a whole: the requirements, what other implementations got wrong, and properties of all input.

use proptest::prelude::*;

use super::{
    ast::{Origin, Place},
    *,
};
use crate::ResourceType;

const EDITIONS: [Edition; 4] = [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot];
const WITH_LISTS: [Edition; 2] = [Edition::Stu1, Edition::Stu2];

/// Values as they stand in a request target.
fn get(edition: Edition, values: &[&str]) -> Result<Vec<String>, Vec<TypeFilterErrorKind>> {
    outline(edition, &values.iter().copied().map(TypeFilterSource::Get).collect::<Vec<_>>())
}

/// Values as they stand in `Parameters`.
fn post(edition: Edition, values: &[&str]) -> Result<Vec<String>, Vec<TypeFilterErrorKind>> {
    outline(edition, &values.iter().copied().map(TypeFilterSource::Post).collect::<Vec<_>>())
}

/// The tree in a notation of its own, so that parsing is not judged by its inverse: `Type: name in [a | b]; …`.
fn outline(edition: Edition, values: &[TypeFilterSource<'_>]) -> Result<Vec<String>, Vec<TypeFilterErrorKind>> {
    let outline = |query: &Query| {
        let criteria = query.criteria().iter().map(|criterion| {
            let texts: Vec<_> = criterion.alternatives().iter().map(ValueText::as_str).collect();
            format!(" {} in [{}];", criterion.name(), texts.join(" | "))
        });
        let ignored = query.ignored().iter().map(|name| format!(" ignored {name};"));
        format!("{}:{}", query.resource_type(), criteria.chain(ignored).collect::<String>())
    };
    match parse(values, edition, &Definitions::R4) {
        Ok(queries) => Ok(queries.iter().map(outline).collect()),
        Err(errors) => Err(errors.iter().map(|error| error.kind().clone()).collect()),
    }
}

#[track_caller]
fn assert_queries(parsed: Result<Vec<String>, Vec<TypeFilterErrorKind>>, queries: &[&str]) {
    assert_eq!(parsed.unwrap(), queries);
}

/// The example of the guide, whose second query a hump-counting splitter does not find.
const TWO_HUMPS: &str =
    "MedicationRequest?status=active,MedicationRequest?status=completed&date=gt2018-07-01T00:00:00Z";
const TWO_HUMPS_ENCODED: &str = "MedicationRequest%3Fstatus%3Dactive,\
     MedicationRequest%3Fstatus%3Dcompleted%26date%3Dgt2018-07-01T00%3A00%3A00Z";
const TWO_HUMPS_QUERIES: [&str; 2] = [
    "MedicationRequest: status in [active];",
    "MedicationRequest: status in [completed]; date in [gt2018-07-01T00:00:00Z];",
];

mod requirements {
    use super::*;

    /// BD-TF-04: a list of URL-encoded queries; a comma inside one arrives as `%2C`.
    #[test]
    fn the_older_editions_have_lists() {
        for edition in WITH_LISTS {
            assert_queries(get(edition, &[TWO_HUMPS_ENCODED]), &TWO_HUMPS_QUERIES);
            assert_queries(get(edition, &[TWO_HUMPS]), &TWO_HUMPS_QUERIES);
            assert_queries(post(edition, &[TWO_HUMPS]), &TWO_HUMPS_QUERIES);
            assert_queries(
                get(edition, &["Patient%3Fgender%3Dmale%2Cfemale,Group%3Ftype%3Dperson"]),
                &["Patient: gender in [male | female];", "Group: type in [person];"],
            );
            assert_queries(get(edition, &["Patient%3Fname%3Da%2CGroup%3Fb"]), &["Patient: name in [a | Group?b];"]);
        }
    }

    /// BD-TF-05: the repeated parameter equals the joined list.
    #[test]
    fn repeating_equals_joining() {
        let (first, second) = TWO_HUMPS_ENCODED.split_once(',').unwrap();
        for edition in WITH_LISTS {
            assert_eq!(get(edition, &[first, second]), get(edition, &[TWO_HUMPS_ENCODED]));
            assert_eq!(get(edition, &[TWO_HUMPS_ENCODED, first]).unwrap().len(), 3);
        }
    }

    /// BD-TF-06: one query in each value, its commas are alternatives. BD-TF-08: several for a type are kept apart.
    #[test]
    fn the_third_edition_has_one_query_in_each_value() {
        let values = ["MedicationRequest?status=active,completed", "MedicationRequest?status=draft&date=gt2018-07-01"];
        let queries = [
            "MedicationRequest: status in [active | completed];",
            "MedicationRequest: status in [draft]; date in [gt2018-07-01];",
        ];
        assert_queries(post(Edition::Stu3, &values), &queries);
        assert_queries(get(Edition::Stu3, &values), &queries);
        assert_queries(post(Edition::Stu3, &["Patient?name=a,Group?b=c"]), &["Patient: name in [a | Group?b=c];"]);
    }

    /// BD-TF-11: parameters that shape results are errors by name.
    #[test]
    fn result_parameters_are_refused() {
        for name in
            "_include _revinclude _sort _count _elements _summary _total _contained _containedType _score _graph \
                     _maxresults _type"
                .split_whitespace()
        {
            for edition in EDITIONS {
                for value in [format!("Patient?gender=male&{name}=x"), format!("Patient?{name}:iterate=")] {
                    assert_eq!(post(edition, &[&value]), Err(vec![TypeFilterErrorKind::ForbiddenParameter]), "{value}");
                }
            }
        }
    }

    /// BD-TF-12: exactly one resource type.
    #[test]
    fn the_context_is_one_resource_type() {
        for edition in EDITIONS {
            for (value, kind) in [
                ("", TypeFilterErrorKind::MissingType),
                ("?code=1", TypeFilterErrorKind::MissingType),
                ("Patient/1/Observation?code=x", TypeFilterErrorKind::NotOneType),
                ("Patient/1?gender=male", TypeFilterErrorKind::NotOneType),
                ("*?code=x", TypeFilterErrorKind::NotOneType),
                ("Patient/*?code=x", TypeFilterErrorKind::NotOneType),
                ("https://example.org/fhir/Patient?gender=male", TypeFilterErrorKind::NotOneType),
                ("Resource?_id=1", TypeFilterErrorKind::UnknownType("Resource".into())),
            ] {
                assert_eq!(post(edition, &[value]), Err(vec![kind.clone()]), "{value}");
                assert_eq!(get(edition, &[value]), Err(vec![kind]), "{value}");
            }
        }
    }

    /// BD-TF-21: the parameter again is AND, the comma is OR.
    #[test]
    fn parameters_and_commas_combine() {
        for edition in EDITIONS {
            assert_queries(
                post(edition, &["Observation?date=ge2020&date=lt2021&status=final,amended"]),
                &["Observation: date in [ge2020]; date in [lt2021]; status in [final | amended];"],
            );
        }
    }

    /// BD-TF-22: decoded once as a kick-off parameter and once as a query, never again; `+` survives.
    #[test]
    fn decoding_happens_twice_in_a_get_and_once_in_a_post() {
        for edition in EDITIONS {
            for (value, query) in [
                ("MedicationRequest%3Fstatus%3Dactive", "MedicationRequest: status in [active];"),
                ("Observation%3Fcode%3Dhttp%3A%2F%2Fl.org%257C1", "Observation: code in [http://l.org|1];"),
                ("Observation?code%3Anot=a%2Cb", "Observation: code:not in [a | b];"),
                ("Observation?code=a%252Cb", "Observation: code in [a | b];"),
                ("Observation?code=a%25252Cb", "Observation: code in [a%2Cb];"),
                ("Observation?code=a%5C%2Cb", r"Observation: code in [a\,b];"),
                ("Observation?code=a%2526b%3Dc", "Observation: code in [a&b=c];"),
                ("Observation?date=2020T01:00%2B01:00", "Observation: date in [2020T01:00+01:00];"),
                ("Observation?date=2020T01:00%252B01:00", "Observation: date in [2020T01:00+01:00];"),
                ("Observation?date=2020T01:00+01:00", "Observation: date in [2020T01:00+01:00];"),
            ] {
                assert_queries(get(edition, &[value]), &[query]);
            }
            for (value, query) in [
                ("Observation?code=a%2Cb", "Observation: code in [a | b];"),
                ("Observation?code=a%252Cb", "Observation: code in [a%2Cb];"),
                ("Observation?code=a%26b", "Observation: code in [a&b];"),
                ("Observation?date=2020T01:00+01:00", "Observation: date in [2020T01:00+01:00];"),
            ] {
                assert_queries(post(edition, &[value]), &[query]);
            }
        }
    }

    /// BD-TF-23: both spellings are accepted and match every resource of the type.
    #[test]
    fn a_query_may_have_no_criteria() {
        for edition in EDITIONS {
            for value in ["Patient", "Patient?", "Patient?&"] {
                assert_queries(post(edition, &[value]), &["Patient:"]);
                assert_queries(get(edition, &[value]), &["Patient:"]);
            }
        }
    }

    /// BD-TF-24: the 4.0 ballot has no lists of queries; lists of values stay.
    #[test]
    fn the_ballot_refuses_lists() {
        assert_eq!(post(Edition::Stu4Ballot, &[TWO_HUMPS]), Err(vec![TypeFilterErrorKind::List]));
        assert_queries(
            post(Edition::Stu4Ballot, &["Patient?gender=male,female"]),
            &["Patient: gender in [male | female];"],
        );
        assert_queries(post(Edition::Stu4Ballot, &[r"Group?name=a\,Group?"]), &[r"Group: name in [a\,Group?];"]);
        let value = TypeFilterSource::Post("Patient?name=a,Group?name=b");
        let errors = parse(&[value], Edition::Stu4Ballot, &Definitions::R4).unwrap_err();
        assert_eq!((errors[0].position(), errors[0].concerns_one_query()), (14, false));
    }
}

/// What others read wrongly, system by system.
mod peers {
    use super::*;

    /// HAPI: types of two humps are not split; an escaped comma is.
    #[test]
    fn hump_counting() {
        for edition in WITH_LISTS {
            for two_humps in ["EpisodeOfCare", "DiagnosticReport", "MedicationRequest"] {
                let list = format!("Patient?gender=male,{two_humps}?status=active");
                let queries = ["Patient: gender in [male];", &format!("{two_humps}: status in [active];")];
                assert_queries(get(edition, &[&list]), &queries);
                assert_queries(post(edition, &[&list]), &queries);
            }
            let escaped = r"Organization?name=a\,Patient?b";
            assert_queries(get(edition, &[escaped]), &[r"Organization: name in [a\,Patient?b];"]);
            assert_queries(post(edition, &[escaped]), &[r"Organization: name in [a\,Patient?b];"]);
        }
    }

    /// Microsoft, LinuxForHealth, octofhir, SMART (S3): split at every comma, so a list of values is lost.
    #[test]
    fn lists_of_values() {
        for edition in EDITIONS {
            for value in ["Encounter?class=EMER,IMP", "Encounter%3Fclass%3DEMER%2CIMP", "Encounter?class=EMER%2CIMP"] {
                assert_queries(get(edition, &[value]), &["Encounter: class in [EMER | IMP];"]);
            }
            assert_queries(post(edition, &["Encounter?class=EMER,IMP"]), &["Encounter: class in [EMER | IMP];"]);
        }
        for edition in WITH_LISTS {
            assert_queries(
                get(edition, &["Encounter?class=EMER,IMP,Patient?gender=male,female"]),
                &["Encounter: class in [EMER | IMP];", "Patient: gender in [male | female];"],
            );
        }
    }

    /// Microsoft, LinuxForHealth: only the first value is used. HFS: only the first of a type. octofhir and SMART (S2):
    /// queries are ANDed, or cancel each other out.
    #[test]
    fn every_query_is_kept_by_itself() {
        let values = ["Patient?gender=male", "Encounter?class=EMER", "Patient?gender=female"];
        let queries = ["Patient: gender in [male];", "Encounter: class in [EMER];", "Patient: gender in [female];"];
        for edition in EDITIONS {
            assert_queries(get(edition, &values), &queries);
            assert_queries(post(edition, &values), &queries);
        }
    }

    /// Microsoft: any `=` in a value is an error. SMART: what follows a second `?` is lost.
    #[test]
    fn first_question_mark_and_first_equals_sign() {
        let value = "Questionnaire?url=http://x.org/q?a=b?c==";
        for edition in EDITIONS {
            assert_queries(post(edition, &[value]), &["Questionnaire: url in [http://x.org/q?a=b?c==];"]);
            assert_queries(get(edition, &[value]), &["Questionnaire: url in [http://x.org/q?a=b?c==];"]);
        }
    }

    /// Aidbox, Pathling, HFS, SMART: a list of 1.0 and 2.0 becomes one query.
    #[test]
    fn lists_of_queries() {
        for edition in WITH_LISTS {
            assert_queries(
                get(edition, &["Patient%3Fgender%3Dmale,Encounter%3Fclass%3DEMER,Condition"]),
                &["Patient: gender in [male];", "Encounter: class in [EMER | Condition];"],
            );
        }
    }

    /// octofhir: no decoding. BCDA: one decoding too many, with `+` taken for a space.
    #[test]
    fn decoding() {
        for edition in EDITIONS {
            assert_queries(get(edition, &["Patient%3Fname%3Da%252Bb%2Bc+d"]), &["Patient: name in [a+b+c+d];"]);
            assert_queries(get(edition, &["Patient?name=a%25252Cb"]), &["Patient: name in [a%2Cb];"]);
        }
    }

    /// SMART (S1): a filter reads alike whatever else is asked for; paging is no part of it.
    #[test]
    fn paging_is_no_part_of_a_query() {
        assert_eq!(
            get(Edition::Stu3, &["Observation?category=laboratory&_count=300"]),
            Err(vec![TypeFilterErrorKind::ForbiddenParameter])
        );
    }

    /// SMART (S4): an empty value is ignored, but which parameter it was is kept for whoever knows the parameters.
    #[test]
    fn empty_values_are_remembered() {
        for edition in EDITIONS {
            assert_queries(post(edition, &["Observation?code="]), &["Observation: ignored code;"]);
            assert_queries(
                get(edition, &["Patient?bogus=&gender=male&name:exact="]),
                &["Patient: gender in [male]; ignored bogus; ignored name:exact;"],
            );
        }
    }
}

mod results {
    use super::*;

    /// All errors together, each with its place; and each query's own result for lenient handling.
    #[test]
    fn every_query_has_its_own_result() {
        let values = [
            TypeFilterSource::Get("Patient?gender=male,Group?_sort=x"),
            TypeFilterSource::Get("Device?x=%zz"),
            TypeFilterSource::Get("Bogus?x=1,Condition?a=b"),
        ];
        let results = parse_each(&values, Edition::Stu2, &Definitions::R4);
        let places = |errors: &mut dyn Iterator<Item = &TypeFilterError>| {
            errors
                .map(|error| (error.value(), error.query(), error.resource_type().map(ResourceType::as_str)))
                .map(|(value, query, resource_type)| (value, query, resource_type.map(str::to_owned)))
                .collect::<Vec<_>>()
        };
        let expected = [(0, 1, Some("Group".to_owned())), (1, 0, Some("Device".to_owned())), (2, 0, None)];
        assert_eq!(places(&mut results.iter().filter_map(|result| result.as_ref().err())), expected);
        assert!(
            results
                .iter()
                .flat_map(Result::as_ref)
                .map(Query::resource_type)
                .map(ResourceType::as_str)
                .eq(["Patient", "Condition"])
        );
        let errors = parse(&values, Edition::Stu2, &Definitions::R4).unwrap_err();
        assert_eq!(places(&mut errors.iter()), expected);
        assert!(errors.iter().all(TypeFilterError::concerns_one_query));
    }

    #[test]
    fn too_many_queries_end_the_reading() {
        let list = |count: usize| vec!["Patient?"; count].join(",");
        assert_eq!(get(Edition::Stu1, &[&list(QUERIES_MAX)]).unwrap().len(), QUERIES_MAX);
        let values = [TypeFilterSource::Get(&list(QUERIES_MAX - 1)), TypeFilterSource::Get(&list(70_000))];
        let results = parse_each(&values, Edition::Stu1, &Definitions::R4);
        assert_eq!(results.len(), QUERIES_MAX + 1);
        let error = results[QUERIES_MAX].as_ref().unwrap_err();
        assert_eq!((error.kind(), error.value(), error.query()), (&TypeFilterErrorKind::TooManyQueries, 1, 1));
        assert!(!error.concerns_one_query());
    }

    #[test]
    fn too_long_values_are_not_read() {
        let long = "Patient?name=".to_owned() + &"x".repeat(BYTES_MAX - "Patient?name=".len());
        assert!(post(Edition::Stu3, &[&long]).is_ok());
        let values = [TypeFilterSource::Post(&long), TypeFilterSource::Post("!")];
        let errors = parse(&values, Edition::Stu3, &Definitions::R4).unwrap_err();
        assert_eq!((errors.len(), errors[0].kind(), errors[0].value()), (1, &TypeFilterErrorKind::TooLong, 1));
        assert!(!errors[0].concerns_one_query());
    }

    #[test]
    fn no_values_are_no_queries() {
        assert_eq!(parse(&[], Edition::Stu3, &Definitions::R4), Ok(vec![]));
    }
}

mod properties {
    use super::*;

    proptest! {
        #[test]
        fn text_of_a_query_parses_to_the_same_query(queries in prop::collection::vec(query(), 1..4)) {
            let posts: Vec<_> = queries.iter().map(Query::to_string).collect();
            let gets: Vec<_> = queries.iter().map(|query| query.as_get_value().to_string()).collect();
            for edition in EDITIONS {
                let posts: Vec<_> = posts.iter().map(|text| TypeFilterSource::Post(text)).collect();
                let gets: Vec<_> = gets.iter().map(|text| TypeFilterSource::Get(text)).collect();
                prop_assert_eq!(parse(&posts, edition, &Definitions::R4), Ok(queries.clone()));
                prop_assert_eq!(parse(&gets, edition, &Definitions::R4), Ok(queries.clone()));
            }
            for edition in WITH_LISTS {
                let post = posts.join(",");
                let get = gets.join(",");
                for source in [TypeFilterSource::Post(&post), TypeFilterSource::Get(&get)] {
                    prop_assert_eq!(parse(&[source], edition, &Definitions::R4), Ok(queries.clone()));
                }
            }
        }

        #[test]
        fn any_text_parses_or_fails_and_what_parses_comes_back(text in any::<String>()) {
            parses_or_fails(&text)?;
        }

        #[test]
        fn near_queries_parse_or_fail_and_what_parses_comes_back(pieces in prop::collection::vec(piece(), 0..24)) {
            parses_or_fails(&pieces.concat())?;
        }
    }

    fn parses_or_fails(text: &str) -> Result<(), TestCaseError> {
        for edition in EDITIONS {
            for source in [TypeFilterSource::Get(text), TypeFilterSource::Post(text)] {
                for result in parse_each(&[source], edition, &Definitions::R4) {
                    match result {
                        Ok(query) => {
                            let again = query.to_string();
                            let again = parse(&[TypeFilterSource::Post(&again)], edition, &Definitions::R4);
                            prop_assert_eq!(again, Ok(vec![query]));
                        }
                        Err(error) => {
                            prop_assert!(error.position() <= text.len());
                            prop_assert!(!error.to_string().is_empty());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What the grammar looks at, in all its encodings.
    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "Patient",
            "Observation?",
            "Group%3F",
            "?",
            "%3f",
            "&",
            "%26",
            "%2526",
            "=",
            "%3D",
            ",",
            "%2C",
            "%252c",
            "\\",
            "%5C",
            "%255C",
            "%",
            "%2",
            "%25",
            "%FF",
            "%C3",
            "%A9",
            "é",
            "_has:",
            "Group:",
            "member:",
            ":",
            ":not",
            ".",
            "code",
            "name=",
            "a",
            "_id=",
            "_sort",
            "|",
            "$",
            "+",
            " ",
            "#",
            "\0",
        ])
    }

    fn query() -> impl Strategy<Value = Query> {
        let criteria = prop::collection::vec(criterion(), 0..5);
        let ignored = prop::collection::vec(parameter_name(), 0..3);
        (resource_type(), criteria, ignored).prop_map(|(resource_type, criteria, ignored)| Query {
            resource_type,
            criteria,
            ignored,
            origin: Origin::default(),
        })
    }

    fn criterion() -> impl Strategy<Value = Criterion> {
        (parameter_name(), prop::collection::vec(value(), 1..5))
            .prop_map(|(name, alternatives)| Criterion { name, alternatives })
    }

    fn parameter_name() -> impl Strategy<Value = ParameterName> {
        let modifier =
            prop_oneof![prop::sample::select(Modifier::NAMED.to_vec()), resource_type().prop_map(Modifier::Type),];
        (prop::collection::vec(link(), 0..3), code(), prop::option::of(modifier))
            .prop_map(|(links, code, modifier)| ParameterName { links, code, modifier, place: Place::default() })
    }

    fn link() -> impl Strategy<Value = Link> {
        prop_oneof![
            (code(), prop::option::of(resource_type())).prop_map(|(code, target)| Link::Chain { code, target }),
            (resource_type(), code()).prop_map(|(source, reference)| Link::Has { source, reference }),
        ]
    }

    fn resource_type() -> impl Strategy<Value = ResourceType> {
        prop::sample::select(vec!["Patient", "Observation", "MedicationRequest"])
            .prop_map(|name| Definitions::R4.resource_type(name).unwrap())
    }

    fn code() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z][a-zA-Z0-9-]{0,12}", Just("_id".to_owned()), Just("_lastUpdated".to_owned())]
    }

    /// Any text that is not empty, its backslashes and commas escaped; and texts that look like syntax.
    fn value() -> impl Strategy<Value = ValueText> {
        let any = any::<String>().prop_filter("a value is not empty", |text| !text.is_empty());
        let syntax = prop::collection::vec(piece(), 1..6).prop_map(|pieces| pieces.concat());
        prop_oneof![any, syntax].prop_map(|text| {
            let text = text.replace('\\', r"\\").replace(',', r"\,");
            ValueText { text, place: Place::default() }
        })
    }
}

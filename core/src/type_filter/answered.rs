//! What sets answer: which are asked for, what is refused all the same, and what a set that is given decides.

use proptest::prelude::*;

use super::*;
use crate::{
    Timestamp,
    pass::{Collection, SetWanted},
    sets::{Set, SetBuilder},
};

const BOTH: FilterSets = FilterSets { value_sets: true, chains: true };

fn query(text: &str) -> Query {
    parse(&[TypeFilterSource::Post(text)], Edition::Stu3, &Definitions::R4).unwrap().remove(0)
}

fn compile(text: &str, sets: &mut AskedSets) -> Result<Filter, TypeFilterError> {
    let context = FilterContext { base_url: "https://ehr.example/fhir".into(), now: Timestamp::from_millis(0) };
    let compiled = Filter::compile_with_sets(&[query(text)], &Definitions::R4, &context, sets);
    compiled.map_err(|mut errors| errors.remove(0))
}

fn refused(text: &str, answered: FilterSets) -> TypeFilterError {
    compile(text, &mut AskedSets::new(answered)).unwrap_err()
}

fn set(wanted: SetWanted, texts: &[&str]) -> Set<'static> {
    let mut builder = SetBuilder::new(wanted.clone(), 1_000);
    texts.iter().for_each(|text| builder.push(format!("{text}\n").as_bytes()).unwrap());
    Set::load(wanted, &builder.seal().unwrap()).unwrap().into_owned()
}

fn chained(number: u32) -> SetWanted {
    SetWanted::Collected(Collection::Chained(number))
}

fn value_set() -> SetWanted {
    SetWanted::ValueSet("http://v".into())
}

/// Whether an Observation passes that has these members.
fn passes(text: &str, sets: &[Set<'_>], members: &str) -> bool {
    let filter = compile(text, &mut AskedSets::new(BOTH)).unwrap();
    let resource_type = text.split('?').next().unwrap();
    filter.matches_with(format!(r#"{{"resourceType":"{resource_type}","id":"1",{members}}}"#).as_bytes(), sets)
}

#[test]
fn chains_are_asked_for_from_the_inside_out_and_each_once() {
    let mut sets = AskedSets::new(BOTH);
    for text in [
        "Observation?subject:Patient.general-practitioner:Practitioner.name=x,y&patient.name=z",
        "Observation?performer:Practitioner.name=x,y&subject:Patient.name=z",
        "Observation?subject:Patient.general-practitioner:Practitioner.identifier:of-type=s|c|v",
    ] {
        compile(text, &mut sets).unwrap();
    }
    let expected = [
        "Practitioner?name=x,y",
        "Patient?general-practitioner:Practitioner.name=x,y",
        "Patient?name=z",
        "Practitioner?identifier:of-type=s|c|v",
        "Patient?general-practitioner:Practitioner.identifier:of-type=s|c|v",
    ];
    assert_eq!(sets.chains(), expected);
    assert!(sets.value_sets().is_empty() && sets.take_unknown().is_empty());
}

#[test]
fn value_sets_are_asked_for_wherever_a_code_is_asked_about() {
    let mut sets = AskedSets::new(BOTH);
    let text = "Observation?status=final&code:in=http://v|1,http://w&subject:Patient.language:not-in=http://v|1";
    compile(text, &mut sets).unwrap();
    assert_eq!(sets.value_sets(), ["http://v|1", "http://w"]);
    assert_eq!(sets.chains(), ["Patient?language:not-in=http://v|1"]);
    let unknown: Vec<_> = sets.take_unknown().iter().map(|(url, error)| (url.clone(), error.to_string())).collect();
    let at_byte = |byte: usize| {
        format!(
            "`_typeFilter` value 1, query 1 for `Observation`, byte {byte}: parameter `code:in`: no such value set is \
             known here; accepted are the codes themselves, separated by `,`"
        )
    };
    assert_eq!(unknown, [("http://v|1".into(), at_byte(33)), ("http://w".into(), at_byte(44))]);
}

#[test]
fn a_link_says_its_type_once_it_is_found_out() {
    for (text, explicit) in [
        ("Observation?patient.name=x", "Observation?patient:Patient.name=x"),
        ("Observation?subject.birthdate=2000&status=final", "Observation?subject:Patient.birthdate=2000&status=final"),
        (
            "Observation?encounter.service-provider.name=x",
            "Observation?encounter:Encounter.service-provider:Organization.name=x",
        ),
        ("Observation?patient.name=", "Observation?patient:Patient.name="),
        ("Observation?subject.nonsense=x", "Observation?subject.nonsense=x"),
        ("Patient?_has:Observation:patient:code=x", "Patient?_has:Observation:patient:code=x"),
    ] {
        let with_targets = query(text).with_targets(&Definitions::R4);
        assert_eq!(with_targets.to_string(), explicit);
        assert_eq!(query(explicit), with_targets, "as it is read again");
    }
}

#[test]
fn what_is_not_answered_is_refused_as_ever() {
    let neither = FilterSets::default();
    let only_chains = FilterSets { chains: true, ..neither };
    let only_value_sets = FilterSets { value_sets: true, ..neither };
    for (text, answered, kind) in [
        ("Observation?subject:Patient.name=x", neither, Undecidable::Chain),
        ("Observation?subject:Patient.name=x", only_value_sets, Undecidable::Chain),
        ("Observation?subject:Patient.name=", only_value_sets, Undecidable::Chain),
        ("Observation?code:in=http://v", neither, Undecidable::Terminology),
        ("Observation?code:not-in=http://v", only_chains, Undecidable::Terminology),
        ("Observation?code:below=x", BOTH, Undecidable::Terminology),
        ("Patient?_has:Observation:patient:code=1", BOTH, Undecidable::ReverseChain),
        ("Patient?_list=1", BOTH, Undecidable::List),
        ("Task?focus:Binary._id=1", BOTH, Undecidable::Guarded),
        ("Task?focus:Provenance.agent=x", BOTH, Undecidable::Guarded),
        ("Patient?_list.name=1", BOTH, Undecidable::List),
    ] {
        assert_eq!(*refused(text, answered).kind(), TypeFilterErrorKind::Undecidable(kind), "{text}");
    }
    let nested = refused("Observation?subject:Patient._has:Group:member:_id=1", BOTH);
    assert!(nested.to_string().contains("of the `Patient` to which the chain leads: not decided"), "{nested}");
    let nested = refused("Observation?subject:Patient.language:in=http://v", only_chains);
    assert!(nested.to_string().contains("looks into code systems and value sets"), "{nested}");
}

#[test]
fn errors_say_where_and_what_instead() {
    for (text, said) in [
        (
            "Observation?subject.name=x",
            "byte 12: parameter `subject.name`: the chain may lead to several types that have the parameter behind it: \
             accepted are `subject:Location.` `subject:Patient.`",
        ),
        (
            "Observation?subject:Patient.nam=x",
            "byte 12: parameter `subject:Patient.nam`: of the `Patient` to which the chain leads: unknown search \
             parameter of this type: `name` is one",
        ),
        (
            "Observation?subject:Patient.nam=",
            "byte 12: parameter `subject:Patient.nam`: of the `Patient` to which the chain leads: unknown search \
             parameter of this type: `name` is one",
        ),
        (
            "Observation?subject:Patient.birthdate=x",
            "byte 38: parameter `subject:Patient.birthdate`: of the `Patient` to which the chain leads: not a date: \
             accepted is `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or `YYYY-MM-DDThh:mm` with seconds and zone (`Z`, `+hh:mm`) \
             as needed, behind `eq` `ne` `gt` `lt` `ge` `le` `sa` `eb` `ap` or nothing",
        ),
        (
            "Observation?patient:Group.name=x",
            "byte 12: parameter `patient:Group.name`: the parameter never refers to this type: accepted are `Patient`",
        ),
        (
            "Observation?subjct.name=x",
            "byte 12: parameter `subjct.name`: unknown search parameter of this type: `subject` is one",
        ),
        (
            "Observation?subject.nonsense=x",
            "byte 12: parameter `subject.nonsense`: unknown search parameter of this type: accepted are those that FHIR \
             defines for it, such as `_id`",
        ),
        (
            "Observation?code.name=x",
            "byte 12: parameter `code.name`: the chain goes through a parameter that is no reference to a resource: \
             accepted are reference parameters",
        ),
        (
            "QuestionnaireResponse?questionnaire.name=x",
            "byte 22: parameter `questionnaire.name`: the chain goes through a parameter that is no reference to a \
             resource: accepted are reference parameters",
        ),
        (
            "Observation?has-member:Observation.has-member:Observation.has-member:Observation.has-member:Observation.code=x",
            "byte 12: parameter `has-member:Observation.has-member:Observation.has-member:Obs…`: more links than are \
             followed: accepted is a chain of at most 3",
        ),
        (
            "Observation?code:in=ValueSet/1",
            "byte 20: parameter `code:in`: not the canonical of a value set: accepted is an absolute `url` or \
             `url|version` of at most 500 bytes",
        ),
        (
            "Patient?identifier:in=http://v",
            "byte 8: parameter `identifier:in`: not decided by one resource alone: the modifier looks into code systems \
             and value sets; accepted are the codes, separated by `,`",
        ),
        (
            "Observation?code:exact=x",
            "byte 12: parameter `code:exact`: not a modifier of a token parameter: accepted are `in` `missing` `not` \
             `not-in` `text`",
        ),
    ] {
        let error = refused(text, BOTH);
        let resource_type = text.split('?').next().unwrap();
        assert_eq!(error.to_string(), format!("`_typeFilter` value 1, query 1 for `{resource_type}`, {said}"));
        assert!(error.concerns_one_query() && error.resource_type().is_some());
    }
    let many = (0..=16).map(|n| format!("subject:Patient.name=MRN{n}")).collect::<Vec<_>>().join("&");
    let error = refused(&format!("Observation?{many}"), BOTH);
    assert_eq!(*error.kind(), TypeFilterErrorKind::TooManySets);
    assert!(!error.to_string().contains("MRN"));
}

#[test]
fn a_reference_leads_where_the_set_says_however_it_is_written() {
    let query = "Observation?subject:Patient.name=x";
    let sets = [set(chained(0), &["Patient/1"])];
    let passes = |reference: &str| passes(query, &sets, &format!(r#""subject":{{{reference}}}"#));
    for reference in [
        "Patient/1",
        "Patient/1/_history/2",
        "https://ehr.example/fhir/Patient/1",
        "https://ehr.example/fhir/Patient/1/_history/2",
    ] {
        assert!(passes(&format!(r#""reference":"{reference}""#)), "{reference}");
    }
    for reference in
        ["Patient/2", "Patient/11", "Group/1", "https://other.example/fhir/Patient/1", "#1", "1", "urn:uuid:1"]
    {
        assert!(!passes(&format!(r#""reference":"{reference}""#)), "{reference}");
    }
    assert!(!passes(r#""type":"Patient","identifier":{"value":"1"}"#));
    assert!(!super::answered::passes(query, &sets, r#""status":"final""#), "no reference leads nowhere");
}

#[test]
fn any_reference_of_a_criterion_will_do_and_each_criterion_has_its_own() {
    let sets = [set(chained(0), &["Practitioner/a"]), set(chained(1), &["Practitioner/b"])];
    let query = "Observation?performer:Practitioner.name=a&performer:Practitioner.name=b";
    let of = |ids: &[&str]| {
        let references: Vec<_> = ids.iter().map(|id| format!(r#"{{"reference":"Practitioner/{id}"}}"#)).collect();
        passes(query, &sets, &format!(r#""performer":[{}]"#, references.join(",")))
    };
    assert!(of(&["c", "a", "b"]), "each may be met by another");
    assert!(!of(&["a"]) && !of(&["b", "c"]) && !of(&[]));
}

#[test]
fn a_code_is_in_a_value_set_with_its_system_or_where_its_element_fixes_that() {
    let sets = [set(value_set(), &["http://s|a", "http://t|b", "http://status|final"])];
    for (members, is_in) in [
        (r#""code":{"coding":[{"system":"http://s","code":"a"}]}"#, true),
        (r#""code":{"coding":[{"system":"http://x","code":"x"},{"system":"http://t","code":"b"}]}"#, true),
        (r#""code":{"coding":[{"system":"http://s","code":"b"}]}"#, false),
        (r#""code":{"coding":[{"system":"http://s","code":"A"}]}"#, false),
        (r#""code":{"coding":[{"code":"a"}]}"#, false),
        (r#""code":{"coding":[{"system":"","code":"a"}]}"#, false),
        (r#""code":{"coding":[{"system":"http://s"}]}"#, false),
        (r#""code":{"text":"a"}"#, false),
        (r#""status":"final""#, false),
    ] {
        assert_eq!(passes("Observation?code:in=http://v", &sets, members), is_in, "{members}");
        assert_eq!(passes("Observation?code:not-in=http://v", &sets, members), !is_in, "{members}");
    }
    assert!(passes("Observation?status:in=http://v", &sets, r#""status":"final""#));
    assert!(!passes("Observation?status:in=http://v", &sets, r#""status":"amended""#));
    assert!(!passes("Observation?status:in=http://v", &sets, r#""status":"http://s|a""#), "a bare code has no system");
}

#[test]
fn without_its_set_nothing_passes_whatever_is_asked_of_it() {
    let other = [set(SetWanted::ValueSet("http://w".into()), &["http://s|a"]), set(chained(1), &["Patient/1"])];
    let members = r#""code":{"coding":[{"system":"http://s","code":"a"}]},"subject":{"reference":"Patient/1"}"#;
    for text in [
        "Observation?code:in=http://v",
        "Observation?code:not-in=http://v",
        "Observation?subject:Patient.name=x",
        "Observation?code=a&code:not-in=http://v",
    ] {
        for sets in [&[][..], &other] {
            assert!(!passes(text, sets, members), "{text}");
            assert!(!passes(text, sets, r#""status":"final""#), "{text}");
        }
    }
}

proptest! {
    /// As a search through the codes of the expansion would have it.
    #[test]
    fn a_value_set_is_its_codes(
        held in prop::collection::btree_set((0..3_u8, 0..4_u8), 0..6),
        found in prop::collection::vec((prop::option::of(0..3_u8), prop::option::of(0..4_u8)), 0..4),
        status in prop::option::of(0..4_u8),
    ) {
        let texts: Vec<_> = held.iter().map(|(system, code)| format!("http://s{system}|c{code}")).collect();
        let sets = [set(value_set(), &texts.iter().map(String::as_str).collect::<Vec<_>>())];
        let coding = |(system, code): &(Option<u8>, Option<u8>)| {
            let system = system.map(|system| format!(r#""system":"http://s{system}""#));
            let code = code.map(|code| format!(r#""code":"c{code}""#));
            format!("{{{}}}", system.into_iter().chain(code).collect::<Vec<_>>().join(","))
        };
        let mut members = format!(r#""code":{{"coding":[{}]}}"#, found.iter().map(coding).collect::<Vec<_>>().join(","));
        if let Some(status) = status {
            members += &format!(r#","status":"c{status}""#);
        }
        let is_held = |(system, code): &(Option<u8>, Option<u8>)| system.zip(*code).is_some_and(|pair| held.contains(&pair));
        let is_in = found.iter().any(is_held);
        prop_assert_eq!(passes("Observation?code:in=http://v", &sets, &members), is_in);
        prop_assert_eq!(passes("Observation?code:not-in=http://v", &sets, &members), !is_in);
        let is_in = status.is_some_and(|status| held.iter().any(|(_, code)| *code == status));
        prop_assert_eq!(passes("Observation?status:in=http://v", &sets, &members), is_in);
    }

    /// However it is written, a query reads back as itself, and a writer knows what it asks for by what was noted of it.
    #[test]
    fn queries_with_sets_come_back(criteria in prop::collection::vec(prop::sample::select(CRITERIA.to_vec()), 1..5)) {
        let first = query(&format!("Observation?{}", criteria.join("&")));
        let explicit = first.clone().with_targets(&Definitions::R4);
        prop_assert_eq!(query(&first.to_string()), first);
        prop_assert_eq!(query(&explicit.to_string()), explicit.clone());
        prop_assert_eq!(explicit.clone().with_targets(&Definitions::R4), explicit.clone());
        let mut asked = AskedSets::new(BOTH);
        prop_assert!(compile(&explicit.to_string(), &mut asked).is_ok());
        let mut noted = AskedSets::only(asked.value_sets(), asked.chains());
        prop_assert!(compile(&explicit.to_string(), &mut noted).is_ok());
        for (number, chain) in asked.chains().iter().enumerate() {
            let mut before = AskedSets::only(asked.value_sets(), &asked.chains()[..number]);
            prop_assert!(compile(chain, &mut before).is_ok(), "what a chain asks for stands before it");
        }
    }

    /// Whether it is found among the queries of a type or is the only one, a criterion means the same.
    #[test]
    fn queries_with_sets_add_up(code in 0..3_u8, subject in 0..3_u8, held in 0..3_u8, listed in 0..3_u8) {
        let sets = [
            set(value_set(), &[&format!("http://s|c{held}")]),
            set(chained(0), &[&format!("Patient/{listed}")]),
        ];
        let members = format!(
            r#""code":{{"coding":[{{"system":"http://s","code":"c{code}"}}]}},"subject":{{"reference":"Patient/{subject}"}}"#
        );
        let texts = ["Observation?code:in=http://v", "Observation?subject:Patient.name=x", "Observation?code=c0&status=x"];
        let queries: Vec<_> = texts.iter().map(|text| query(text)).collect();
        let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
        let filter =
            Filter::compile_with_sets(&queries, &Definitions::R4, &context, &mut AskedSets::new(BOTH)).unwrap();
        let resource = format!(r#"{{"resourceType":"Observation","id":"1",{members}}}"#);
        let any = code == held || subject == listed;
        prop_assert_eq!(filter.matches_with(resource.as_bytes(), &sets), any);
    }
}

/// What an Observation can be asked with sets.
const CRITERIA: [&str; 9] = [
    "code:in=http://v,http://v|1",
    "category:not-in=urn:oid:1.2",
    "subject:Patient.language:in=http://w",
    r"patient.general-practitioner:Practitioner.identifier=a|b\,c,|d",
    "subject.birthdate:missing=true",
    "subject.birthdate=ge2000,lt1900-02",
    "encounter:Encounter.service-provider.name:exact=M%C3%BCller%26S%C3%B6hne",
    "performer:Organization.partof:Organization.name=x",
    "has-member:Observation.has-member:Observation.code:in=http://v",
];

//! What definitions become, and how they fail.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::search::tests::extract;

/// The compact expression of a parameter of that type.
fn compiled(parameter_type: &str, base: &str, expression: &str) -> Result<String, DefineError> {
    let mut set = SearchParameterSet::new(Definitions::R4);
    set.add(&definition(parameter_type, base, expression).to_string())?;
    Ok(set.to_table().split('\t').nth(3).unwrap().to_owned())
}

fn definition(parameter_type: &str, base: &str, expression: &str) -> serde_json::Value {
    json!({
        "resourceType": "SearchParameter", "url": "http://x/own", "code": "own", "status": "active",
        "type": parameter_type, "base": [base], "expression": expression,
    })
}

#[track_caller]
fn refused(parameter_type: &str, base: &str, expression: &str) -> String {
    compiled(parameter_type, base, expression).unwrap_err().to_string()
}

#[test]
fn choices_are_spelled_out_with_their_types() {
    let line = |expression| compiled("quantity", "Observation", expression).unwrap();
    assert!(line("Observation.value").starts_with("valueQuantity:Quantity|valueCodeableConcept:CodeableConcept|"));
    assert_eq!(line("(Observation.value as Quantity)"), "valueQuantity:Quantity");
    assert_eq!(line("Observation.value.as(QUANTITY)"), "valueQuantity:Quantity");
    assert_eq!(line("Observation.valueQuantity"), "valueQuantity:Quantity");
    assert_eq!(line("Observation.component.value.ofType(Quantity)"), "component.valueQuantity:Quantity");
    assert_eq!(compiled("string", "Observation", "Observation.value.unit").unwrap(), "valueQuantity.unit:string");
    let reference = "Group.characteristic.value.where(resolve() is Device)";
    assert_eq!(compiled("reference", "Group", reference).unwrap(), "characteristic.valueReference:Reference>Device");
}

#[test]
fn elements_are_followed_through_back_bones_and_content_references() {
    for (parameter_type, base, expression, compact) in [
        ("token", "Patient", "Patient.contact.gender", "contact.gender:code"),
        (
            "string",
            "Patient",
            "Patient.contact.where(gender='male').name | Person.name",
            "contact[gender=male].name:HumanName",
        ),
        (
            "quantity",
            "Observation",
            "Observation.component.referenceRange.low",
            "component.referenceRange.low:Quantity",
        ),
        ("token", "Questionnaire", "Questionnaire.item.item.code", "item.item.code:Coding"),
        ("token", "Patient", "id | Patient.id", "id:string"),
        ("token", "Patient", "Patient.meta.tag | Resource.meta.security", "meta.tag:Coding|meta.security:Coding"),
        ("string", "Patient", "Patient.name[0].family", "name[0].family:string"),
        ("token", "Encounter", "Encounter.length.code", "length.code:code"),
        (
            "token",
            "Patient",
            "Patient.multipleBirth.exists() and Patient.multipleBirth != false",
            "?multipleBirthBoolean,multipleBirthInteger:boolean",
        ),
        ("token", "Resource", "Resource.language", "language:code"),
    ] {
        assert_eq!(compiled(parameter_type, base, expression).unwrap(), compact, "{expression}");
    }
}

#[test]
fn an_extension_means_its_value_of_types_that_suit() {
    let extension = |parameter_type| compiled(parameter_type, "Patient", "Patient.extension('http://a.b/c')").unwrap();
    assert_eq!(extension("reference"), "extension[url=http://a.b/c].valueReference:Reference");
    assert!(extension("number").starts_with("extension[url=http://a.b/c].valueDecimal:decimal|"));
    // However it is written.
    for expression in ["Patient.extension('u').value", "Patient.extension.where(url = 'u').value"] {
        let value = compiled("uri", "Patient", expression).unwrap();
        let mut branches: Vec<_> = value.split('|').collect();
        branches.sort_unstable();
        assert_eq!(
            branches,
            [
                "extension[url=u].valueCanonical:canonical",
                "extension[url=u].valueUri:uri",
                "extension[url=u].valueUrl:url"
            ]
        );
    }
    let date = "Patient.extension('u').value.as(Period)";
    assert_eq!(compiled("date", "Patient", date).unwrap(), "extension[url=u].valuePeriod:Period");
}

#[test]
fn errors_say_what_and_where() {
    for (parameter_type, base, expression, text) in [
        (
            "token",
            "Patient",
            "Patient.name.first()",
            "byte 13: the function `first` is outside the subset; the subset has",
        ),
        ("string", "Patient", "Patient.nam", "byte 8: `Patient` has no element `nam`: `name` is one"),
        ("string", "Patient", "Patient.contact.nme", "byte 16: `Patient.contact` has no element `nme`: `name` is one"),
        ("date", "Patient", "Patient.birthDate.extension('u')", "byte 18: `date` has no element `extension`"),
        ("date", "Patient", "Patient.birthDate.where(hasExtension('u'))", "byte 8: `date` has no element `extension`"),
        (
            "date",
            "Condition",
            "Condition.onset.as(Money)",
            "byte 19: the element is never of that type, but `dateTime` `Age`",
        ),
        (
            "date",
            "Condition",
            "Condition.code.as(date)",
            "byte 18: the element is never of that type, but `CodeableConcept`",
        ),
        (
            "token",
            "Patient",
            "Patient.telecom.where(systm='x')",
            "byte 22: `ContactPoint` has no element `systm`: `system`",
        ),
        ("token", "Patient", "Patient.telecom.where(rank='1')", "byte 22: the element of the condition is no text"),
        ("reference", "Patient", "Patient.name.where(resolve() is Patient)", "byte 32: only a reference resolves"),
        ("token", "Patient", "Person.name", "byte 0: no branch starts at `Patient`"),
        ("token", "Patient", "Patient.gender | Patiant.name", "byte 17: `Patiant` is no type of this FHIR version"),
        ("date", "Patient", "Patient.name", "leads to `HumanName`, which a date parameter does not compare"),
        ("token", "Patient", "Patient.link.exists() and Patient.link != true", "byte 42: `true` where `exists()` only"),
        (
            "token",
            "Patient",
            "Patient.extension.extension.extension.value.extension.value.extension.value",
            "too many ways",
        ),
        (
            "date",
            "Patient",
            "Patient.name.given.exists() and Patient.name.given != false",
            "byte 13: `given` where an element of the resource",
        ),
    ] {
        let shown = refused(parameter_type, base, expression);
        assert!(shown.starts_with("search parameter `http://x/own`: the expression, byte "), "{shown}");
        assert!(shown.contains(text), "{expression}: {shown}");
    }
}

#[test]
fn errors_show_no_more_than_names() {
    let mut set = SearchParameterSet::new(Definitions::R4);
    let mut error = |json: &str| set.add(json).unwrap_err().to_string();
    let shown = error(r#"{"resourceType":"SearchParameter","base":"Peter Chalmers"}"#);
    assert_eq!(
        shown,
        "search parameter: not the JSON of a definition: a member of another kind than FHIR has before line 1, column 57"
    );
    assert!(!error(r#"{"resourceType":"Peter Chalmers"}"#).contains("Chalmers"));
    let long = format!(r#"{{"resourceType":"SearchParameter","code":"{}"}}"#, "x".repeat(5000));
    assert!(error(&long).len() < 300);
    for expression in ["Patient.name 'Chalmers'", "'Chalmers'", "Patient.name.where(use='Chal;mers')"] {
        let shown = refused("string", "Patient", expression);
        assert!(!shown.contains("Chal"), "{shown}");
    }
}

#[test]
fn definitions_must_be_whole() {
    let whole = definition("token", "Patient", "Patient.gender");
    let with = |member: &str, value: serde_json::Value| {
        let mut changed = whole.clone();
        changed[member] = value;
        SearchParameterSet::new(Definitions::R4).add(&changed.to_string()).unwrap_err().kind().clone()
    };
    for (member, value, kind) in [
        ("code", json!(""), DefineErrorKind::Missing("code")),
        ("code", json!("a:b"), DefineErrorKind::Code),
        ("code", json!("a\tb"), DefineErrorKind::Code),
        ("code", json!("phonetic"), DefineErrorKind::Reserved),
        ("code", json!("_list"), DefineErrorKind::Reserved),
        ("type", json!(""), DefineErrorKind::Missing("type")),
        ("type", json!("special"), DefineErrorKind::ParameterType("special".into())),
        ("type", json!("tokens"), DefineErrorKind::ParameterType("tokens".into())),
        ("type", json!("composite"), DefineErrorKind::Missing("component")),
        ("component", json!([{ "definition": "d", "expression": "e" }]), DefineErrorKind::Components),
        ("base", json!([]), DefineErrorKind::Missing("base")),
        ("base", json!(["Patiant"]), DefineErrorKind::UnknownResourceType("Patiant".into())),
        ("expression", json!(null), DefineErrorKind::Missing("expression")),
        ("xpathUsage", json!("phonetic"), DefineErrorKind::Usage("phonetic".into())),
        ("processingMode", json!("other"), DefineErrorKind::Usage("other".into())),
        ("resourceType", json!("Patient"), DefineErrorKind::ResourceType("Patient".into())),
    ] {
        assert_eq!(with(member, value), kind, "{member}");
    }
    assert!(matches!(with("base", json!("Patient")), DefineErrorKind::Json(_)));
    assert!(matches!(with("expression", json!("x".repeat(40_000))), DefineErrorKind::TooMuch(_)));
    let mut reference = definition("reference", "Patient", "Patient.link.other");
    reference["target"] = json!(["Patient", "Persn"]);
    let error = SearchParameterSet::new(Definitions::R4).add(&reference.to_string()).unwrap_err();
    assert_eq!(*error.kind(), DefineErrorKind::UnknownResourceType("Persn".into()));
    let without_elements = Definitions::from_tables("Patient\n", "");
    let error = SearchParameterSet::new(without_elements).add(&whole.to_string()).unwrap_err();
    assert_eq!(*error.kind(), DefineErrorKind::NoElementTypes);
}

#[test]
fn a_bundle_is_added_whole_or_not_at_all() {
    let mut set = SearchParameterSet::new(Definitions::R4);
    let bundle = |second| {
        let first = definition("token", "Patient", "Patient.maritalStatus");
        json!({ "resourceType": "Bundle", "entry": [{ "resource": first }, { "resource": second }] }).to_string()
    };
    let error = set.add(&bundle(definition("token", "Group", "Group.absent"))).unwrap_err();
    assert_eq!(error.parameter(), "http://x/own");
    assert!(set.is_empty());
    assert!(set.add(&bundle(json!({ "resourceType": "Patient" }))).is_err());
    set.add(&bundle(definition("token", "Group", "Group.type"))).unwrap();
    assert_eq!(set.len(), 2);
    assert_eq!(
        set.to_table(),
        "Group\town\ttoken\ttype:code\t\t\nPatient\town\ttoken\tmaritalStatus:CodeableConcept\t\t\n"
    );
}

#[test]
fn what_is_there_already_is_passed_over_or_clashes() {
    let mut set = SearchParameterSet::new(Definitions::R4);
    let gender = |expression: &str| {
        let mut definition = definition("token", "Patient", expression);
        definition["code"] = json!("gender");
        definition.to_string()
    };
    set.add(&gender("Patient.gender | Person.gender")).unwrap();
    assert!(set.is_empty());
    let clash = DefineErrorKind::Clash { resource_type: "Patient".into() };
    assert_eq!(*set.add(&gender("Patient.maritalStatus")).unwrap_err().kind(), clash);
    let own = |expression| definition("token", "Patient", expression).to_string();
    set.add(&own("Patient.maritalStatus")).unwrap();
    set.add(&own("Patient.maritalStatus")).unwrap();
    assert_eq!(*set.add(&own("Patient.gender")).unwrap_err().kind(), clash);
    let mut id = definition("token", "Patient", "Patient.gender");
    id["code"] = json!("_id");
    assert_eq!(*set.add(&id.to_string()).unwrap_err().kind(), clash);
    assert_eq!(set.len(), 1);
}

#[test]
fn a_table_is_loaded_as_it_was_stored() {
    let mut set = SearchParameterSet::new(Definitions::R4);
    set.add(&definition("token", "Patient", "Patient.maritalStatus").to_string()).unwrap();
    let mut loaded = SearchParameterSet::new(Definitions::R4);
    loaded.add_table(&set.to_table()).unwrap();
    assert_eq!(loaded.to_table(), set.to_table());
    for wrong in ["x", "Patient\tx", "Patient\tx\ttoken\tgender:code", "Patient\tx\ttokens\tgender:code\t\t"] {
        assert_eq!(*loaded.add_table(wrong).unwrap_err().kind(), DefineErrorKind::Row, "{wrong}");
    }
}

#[test]
fn a_composite_takes_the_types_of_its_components_by_their_urls() {
    let composite = |definitions: [&str; 2]| {
        json!({
            "resourceType": "SearchParameter", "url": "http://x/both", "code": "both", "type": "composite",
            "base": ["Observation"], "expression": "Observation.component",
            "component": [
                { "definition": definitions[0], "expression": "code" },
                { "definition": definitions[1], "expression": "value.as(Quantity) | %resource.value.as(Quantity)" },
            ],
        })
    };
    let own = json!({
        "resourceType": "SearchParameter", "url": "http://x/own", "code": "own", "type": "quantity",
        "base": ["Observation"], "expression": "Observation.component.value.as(Quantity)",
    });
    let of_fhir = "http://hl7.org/fhir/SearchParameter/clinical-code";
    let mut set = SearchParameterSet::new(Definitions::R4);
    let error = set.add(&composite([of_fhir, "http://x/own"]).to_string()).unwrap_err();
    assert_eq!(*error.kind(), DefineErrorKind::UnknownComponent("http://x/own".into()));
    let entries = [composite([of_fhir, "http://x/own"]), own].map(|resource| json!({ "resource": resource }));
    set.add(&json!({ "resourceType": "Bundle", "entry": entries }).to_string()).unwrap();
    let row = set.to_table().lines().next().unwrap().to_owned();
    assert_eq!(
        row,
        "Observation\tboth\tcomposite\tcomponent:BackboneElement\t\t\
         token=code:CodeableConcept;quantity=valueQuantity:Quantity|%valueQuantity:Quantity"
    );
}

#[test]
fn added_parameters_find_their_values() {
    let mut set = SearchParameterSet::new(Definitions::R4);
    set.add(&definition("token", "Patient", "Patient.contact.where(gender='male').relationship").to_string()).unwrap();
    let table = set.to_table();
    let definitions = Definitions::R4.with_added_search_parameters(&table);
    let parameter = definitions.search_parameter("Patient", "own").unwrap();
    let resource = r#"{"contact":[{"gender":"male","relationship":[{"text":"a"}]},{"relationship":[{"text":"b"}]}]}"#;
    assert_eq!(extract(parameter, resource), [r#"CodeableConcept {"text":"a"}"#]);
    let codes: Vec<_> = definitions.search_codes("Patient").collect();
    assert!(codes.contains(&"own") && codes.contains(&"gender") && codes.contains(&"_id"));
    assert_eq!(definitions.search_parameter("Group", "own").map(|parameter| parameter.code()), None);
    assert_eq!(Definitions::R4.search_parameter("Patient", "own").map(|parameter| parameter.code()), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever is added, it is taken, or refused in bounded words that show nothing but names.
    #[test]
    fn anything_may_be_added(text in anything()) {
        let mut set = SearchParameterSet::new(Definitions::R4);
        let before = set.to_table();
        match set.add(&text) {
            Ok(()) => {
                let mut loaded = SearchParameterSet::new(Definitions::R4);
                loaded.add_table(&set.to_table()).unwrap();
                prop_assert_eq!(loaded.to_table(), set.to_table());
            }
            Err(error) => {
                let shown = error.to_string();
                prop_assert!(shown.len() < 2000, "{}", shown);
                // Only texts between quotes and what is no name hold these.
                prop_assert!(!shown.contains("s3cret!"), "{}", shown);
                prop_assert_eq!(set.to_table(), before);
            }
        }
        let _ = set.add_table(&text).map_err(|error| error.to_string());
    }
}

/// Text, JSON of any shape, and definitions whose members and expressions are of the right words in any order.
fn anything() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "Patient",
        "Observation",
        "Resource",
        ".",
        ".",
        ".",
        "name",
        "value",
        "extension",
        "contact",
        "telecom",
        "(",
        ")",
        "where",
        "as",
        "ofType",
        "resolve",
        "is",
        "exists",
        "and",
        "!=",
        "=",
        "'s3cret!'",
        "'phone'",
        "'",
        "[0]",
        "|",
        "false",
        "%resource",
        "system",
        "Quantity",
        " ",
        "é",
        "s3cret!",
        "\\",
        "\t",
    ]);
    let expression = prop::collection::vec(word, 0..24).prop_map(|words| words.concat());
    let member = prop_oneof![
        3 => expression.prop_map(|text| json!(text)),
        1 => Just(json!(["Patient", "Observation"])),
        1 => prop::sample::select(vec!["token", "string", "composite", "reference", "special", "s3cret!"]).prop_map(|text| json!(text)),
        1 => Just(json!({ "definition": "s3cret!", "expression": 1 })),
        1 => any::<i64>().prop_map(|number| json!(number)),
    ];
    let names =
        ["resourceType", "url", "code", "type", "base", "expression", "target", "component", "xpathUsage", "entry"];
    let changes = prop::collection::vec((prop::sample::select(names.to_vec()), member.clone()), 0..3);
    let changed = (changes, member).prop_map(|(changes, expression)| {
        let mut resource = definition("token", "Patient", "");
        resource["expression"] = expression;
        for (name, value) in changes {
            resource[name] = value;
        }
        resource
    });
    let bundle = prop::collection::vec(changed.clone(), 0..3).prop_map(|resources| {
        let entries: Vec<_> = resources.into_iter().map(|resource| json!({ "resource": resource })).collect();
        json!({ "resourceType": "Bundle", "entry": entries })
    });
    prop_oneof![
        1 => any::<String>(),
        8 => changed.prop_map(|resource| resource.to_string()),
        2 => bundle.prop_map(|resource| resource.to_string()),
        1 => (bundle_text(), 0_usize..400).prop_map(|(text, at)| text.chars().take(at).collect()),
    ]
}

fn bundle_text() -> impl Strategy<Value = String> {
    Just(json!({ "resourceType": "Bundle", "entry": [{ "resource": definition("token", "Patient", "Patient.gender") }] }).to_string())
}

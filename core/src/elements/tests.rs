//! The requirements, what cannot be trimmed, and properties of all lines.

use super::*;
use crate::{Definitions, errors::LineError};

fn elements(list: &str) -> Elements {
    Elements::parse(&[list], &Definitions::R4).unwrap()
}

fn try_trim(list: &str, resource_type: &str, line: &str) -> Result<String, LineError> {
    let mut out = b"before".to_vec();
    let result =
        Trimmer::new(&elements(list), &Definitions::R4).unwrap().trim(resource_type, line.as_bytes(), &mut out);
    let out = String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned();
    if result.is_err() {
        assert_eq!(out, "", "nothing is written of a line that is refused");
    }
    result.map(|()| out)
}

/// With `#` for the new tag in what is expected.
fn assert_trimmed(list: &str, resource_type: &str, line: &str, expected: &str) {
    let expected = expected.replace('#', NEW_TAG);
    let trimmed = try_trim(list, resource_type, line);
    assert_eq!(trimmed.as_deref(), Ok(&*expected), "{list}: {line}");
    assert_eq!(try_trim(list, resource_type, &expected), trimmed, "trimmed twice");
}

const NEW_TAG: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

mod requirements {
    use super::*;

    /// BD-ELEM-02: what is not listed goes, with its comma, wherever it stands.
    #[test]
    fn unlisted_elements_are_omitted() {
        for (line, expected) in [
            (
                r#"{"resourceType":"Patient","id":"1","birthDate":"1970-01-01","name":[{"family":"A"}],"gender":"male"}"#,
                r#"{"resourceType":"Patient","id":"1","meta":{"tag":[#]},"name":[{"family":"A"}]}"#,
            ),
            (
                r#"{"gender":"male","name":[],"birthDate":"1970","resourceType":"Patient","text":{"div":"{,\"}"},"id":"1"}"#,
                r#"{"name":[],"resourceType":"Patient","id":"1","meta":{"tag":[#]}}"#,
            ),
            (
                " { \"gender\" : \"male\" ,\t\"resourceType\" : \"Patient\" , \"id\" : \"1\" , \"name\" : [ 1 ] } \r",
                " {\t\"resourceType\" : \"Patient\", \"id\" : \"1\",\"meta\":{\"tag\":[#]}, \"name\" : [ 1 ] } \r",
            ),
            (
                r#"{"resourceType":"Patient","id":"1","contained":[{"id":"a"}],"nam\u0065":1,"gend\u0065r":2,"nameX":3}"#,
                r#"{"resourceType":"Patient","id":"1","meta":{"tag":[#]},"nam\u0065":1}"#,
            ),
        ] {
            assert_trimmed("Patient.name", "Patient", line, expected);
        }
    }

    /// BD-ELEM-03: items are `Type.element` or `element`, of root elements.
    #[test]
    fn only_root_elements_are_permitted() {
        assert_eq!(elements("Patient.name,id").to_string(), "id,Patient.name");
        assert_eq!(elements(" Patient.name ,\tid,id").to_string(), "id,Patient.name");
        for (list, text) in [
            ("Patient.name.family", "byte 0: not at the root of a resource: accepted is `Patient.name`"),
            ("name.family", "byte 0: not at the root of a resource: accepted is `name`"),
            (
                "a.b.c",
                "byte 0: not at the root of a resource: accepted are root elements, as `element` or `Type.element`",
            ),
            (
                "Patient..name",
                "byte 0: not at the root of a resource: accepted are root elements, as `element` or `Type.element`",
            ),
            ("", "byte 0: a name is missing: accepted are `element` and `Type.element`"),
            ("Patient", "byte 0: a name is missing: accepted are `element` and `Type.element`"),
            ("Patient.", "byte 0: a name is missing: accepted are `element` and `Type.element`"),
            (".name", "byte 0: a name is missing: accepted are `element` and `Type.element`"),
            ("Patient.nmae", "byte 0: unknown root element `nmae` of `Patient`: `name` is one"),
            (
                "  Patient.value",
                "byte 2: unknown root element `value` of `Patient`: accepted are those that FHIR defines, such as `id`",
            ),
            ("brithDate", "byte 0: unknown root element `brithDate` of any resource type: `birthDate` is one"),
            ("Patinet.name", "byte 0: unknown resource type `Patinet`: `Patient` is one"),
            ("patient.name", "byte 0: unknown resource type `patient`: `Patient` is one"),
            ("Xyzzy.`\u{e9}", "byte 0: unknown resource type `Xyzzy`: accepted are those of FHIR, or an element alone"),
        ] {
            let errors = Elements::parse(&[list], &Definitions::R4).unwrap_err();
            let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(texts, [format!("`_elements` value 1, item 1, {text}")], "{list}");
        }
    }

    /// BD-ELEM-04: an item without a type is for every type, those that lack the element among them.
    #[test]
    fn an_item_without_type_applies_to_every_type() {
        let line = |name: &str| {
            format!(r#"{{"resourceType":"{name}","id":"1","meta":{{}},"birthDate":1,"note":2,"language":3}}"#)
        };
        let trimmed =
            |name: &str, rest: &str| format!(r#"{{"resourceType":"{name}","id":"1","meta":{{"tag":[#]}}{rest}}}"#);
        for name in ["Patient", "Observation", "Binary"] {
            assert_trimmed("id,meta", name, &line(name), &trimmed(name, ""));
        }
        assert_trimmed(
            "birthDate,language",
            "Patient",
            &line("Patient"),
            &trimmed("Patient", r#","birthDate":1,"language":3"#),
        );
        assert_trimmed(
            "birthDate,language",
            "Observation",
            &line("Observation"),
            &trimmed("Observation", r#","language":3"#),
        );
        assert_trimmed(
            "id,Observation.note",
            "Observation",
            &line("Observation"),
            &trimmed("Observation", r#","note":2"#),
        );
        assert_eq!(try_trim("id", "Unheard", &line("Unheard")), Err(LineError::UnknownType));
    }

    /// BD-ELEM-05: mandatory elements stay, choices among them.
    #[test]
    fn mandatory_elements_are_always_returned() {
        assert_trimmed(
            "id",
            "Observation",
            r#"{"resourceType":"Observation","id":"1","meta":{},"status":"final","code":{},"valueString":"x","_status":{}}"#,
            r#"{"resourceType":"Observation","id":"1","meta":{"tag":[#]},"status":"final","code":{},"_status":{}}"#,
        );
        assert_trimmed(
            "MedicationRequest.note",
            "MedicationRequest",
            r#"{"medicationCodeableConcept":{},"medicationX":0,"medication":0,"dosageInstruction":[],"resourceType":"MedicationRequest","id":"1"}"#,
            r#"{"medicationCodeableConcept":{},"medicationX":0,"resourceType":"MedicationRequest","id":"1","meta":{"tag":[#]}}"#,
        );
    }

    /// BD-ELEM-06: the tag stands there once, and the tags that were there with it.
    #[test]
    fn trimmed_resources_are_tagged_once() {
        const OTHER: &str = r#"{"system":"urn:x","code":"SUBSETTED"}"#;
        const ESCAPED: &str = r#"{"c\u006fde":"SUBS\u0045TTED","system":"http:\/\/terminology.hl7.org\/CodeSystem\/v3-ObservationValue"}"#;
        for (meta, expected) in [
            ("{}".to_owned(), r#"{"tag":[#]}"#.to_owned()),
            ("{ }".to_owned(), r#"{"tag":[#] }"#.to_owned()),
            (r#"{"versionId":"7" }"#.to_owned(), r#"{"versionId":"7","tag":[#] }"#.to_owned()),
            (r#"{"tag":[],"versionId":"7"}"#.to_owned(), r#"{"tag":[#],"versionId":"7"}"#.to_owned()),
            (r#"{"tag":[ ]}"#.to_owned(), r#"{"tag":[# ]}"#.to_owned()),
            (format!(r#"{{"t\u0061g":[{OTHER} ] }}"#), format!(r#"{{"t\u0061g":[{OTHER},# ] }}"#)),
            (format!(r#"{{"tag":[{OTHER},{NEW_TAG}]}}"#), format!(r#"{{"tag":[{OTHER},#]}}"#)),
            (format!(r#"{{"tag":[{ESCAPED},1]}}"#), format!(r#"{{"tag":[{ESCAPED},1]}}"#)),
        ] {
            let line = |meta: &str| format!(r#"{{"meta":{meta},"resourceType":"Patient","id":"1"}}"#);
            assert_trimmed("Patient.id", "Patient", &line(&meta), &line(&expected));
        }
    }

    /// BD-ELEM-06: whether something was cut cannot be told by the tag.
    #[test]
    fn the_tag_stands_there_though_nothing_was_cut() {
        let line = r#"{"resourceType":"Patient","id":"1"}"#;
        assert_trimmed("Patient.id", "Patient", line, r#"{"resourceType":"Patient","id":"1","meta":{"tag":[#]}}"#);
    }

    /// BD-ELEM-07: types without an entry stay whole.
    #[test]
    fn types_without_an_entry_stay_whole() {
        let line = r#" {"resourceType":"Observation","id":"1","nameX":[1, 2] } "#;
        assert_eq!(try_trim("Patient.name", "Observation", line).as_deref(), Ok(line));
        let trimmer = |elements: &Elements| Trimmer::new(elements, &Definitions::R4).unwrap();
        let patients = trimmer(&elements("Patient.name"));
        assert!(patients.is_whole("Observation") && patients.is_whole("Unheard") && !patients.is_whole("Patient"));
        let all = trimmer(&elements("Patient.name,id"));
        assert!(!all.is_whole("Observation") && !all.is_whole("Unheard") && !all.is_whole("Patient"));
        assert!(trimmer(&Elements::default()).is_whole("Patient"));
    }

    /// BD-ELEM-08: a choice is named without its type, and what begins with `_` follows its element.
    #[test]
    fn choices_and_siblings_follow_their_element() {
        let kept =
            r#""valueQuantity":{"value":1.10},"valueString":"x","_valueString":{"id":"a"},"_issued":{},"issued":1"#;
        assert_trimmed(
            "Observation.value,issued",
            "Observation",
            &format!(
                r#"{{"resourceType":"Observation","id":"1","meta":{{}},{kept},"values":1,"_valuex":2,"_method":3}}"#
            ),
            &format!(r#"{{"resourceType":"Observation","id":"1","meta":{{"tag":[#]}},{kept}}}"#),
        );
        for (list, meant) in [
            ("Observation.valueQuantity", "of `Observation`: `value` is one"),
            ("Observation.value[x]", "of `Observation`: `value` is one"),
            ("_birthDate", "of any resource type: `birthDate` is one"),
        ] {
            let errors = Elements::parse(&[list], &Definitions::R4).unwrap_err();
            assert!(errors[0].to_string().ends_with(meant), "{}", errors[0]);
        }
    }

    /// BD-ELEM-09: what changes the meaning of the rest is never dropped.
    #[test]
    fn modifiers_are_never_dropped() {
        assert_trimmed(
            "Patient.name",
            "Patient",
            r#"{"resourceType":"Patient","id":"1","meta":{},"modifierExtension":[{}],"implicitRules":"u","extension":[{}],"deceasedBoolean":true,"active":false}"#,
            r#"{"resourceType":"Patient","id":"1","meta":{"tag":[#]},"modifierExtension":[{}],"implicitRules":"u","deceasedBoolean":true,"active":false}"#,
        );
        assert_trimmed(
            "Condition.code",
            "Condition",
            r#"{"resourceType":"Condition","id":"1","meta":{},"verificationStatus":{},"subject":{},"code":{},"note":[]}"#,
            r#"{"resourceType":"Condition","id":"1","meta":{"tag":[#]},"verificationStatus":{},"subject":{},"code":{}}"#,
        );
        // Even with definitions that do not know them.
        let definitions = Definitions::from_tables("Alpha\n", "").with_root_elements("Alpha\t\tx,y\n");
        let elements = Elements::parse(&["x"], &definitions).unwrap();
        let mut out = Vec::new();
        let line =
            br#"{"resourceType":"Alpha","id":"1","meta":{},"modifierExtension":[],"implicitRules":"u","x":1,"y":2}"#;
        Trimmer::new(&elements, &definitions).unwrap().trim("Alpha", line, &mut out).unwrap();
        let end = r#","modifierExtension":[],"implicitRules":"u","x":1}"#;
        assert!(String::from_utf8(out).unwrap().ends_with(end));
    }
}

mod errors {
    use super::*;

    #[test]
    fn every_error_is_told_with_its_place() {
        let errors = Elements::parse(&["id,Patient.nmae", "id", "a.b,, x"], &Definitions::R4).unwrap_err();
        let places: Vec<_> = errors.iter().map(|error| (error.value(), error.item(), error.position())).collect();
        assert_eq!(places, [(0, 1, 3), (2, 0, 0), (2, 1, 4), (2, 2, 6)]);
        assert_eq!(*errors[2].kind(), ElementsErrorKind::Incomplete);
    }

    #[test]
    fn items_and_errors_are_bounded() {
        let parse = |list: &str| Elements::parse(&[list], &Definitions::R4);
        assert!(parse(&["id"; ITEMS_MAX].join(",")).is_ok());
        let errors = parse(&["id"; ITEMS_MAX + 1].join(",")).unwrap_err();
        assert_eq!(errors.iter().map(ElementsError::kind).collect::<Vec<_>>(), [&ElementsErrorKind::TooManyItems]);
        assert_eq!(parse(&",".repeat(1_000_000)).unwrap_err().len(), ERRORS_MAX);
        let long = parse(&"x".repeat(1_000_000)).unwrap_err();
        assert!(long[0].to_string().len() < 250);
    }

    #[test]
    fn an_error_text_shows_no_control_characters() {
        let errors = Elements::parse(&["Patient.na\nme\u{1b}[0m"], &Definitions::R4).unwrap_err();
        assert!(errors[0].to_string().contains("`na?me?[0m`"), "{}", errors[0]);
    }

    #[test]
    fn what_cannot_be_trimmed_is_said_and_not_written() {
        for (line, expected) in [
            ("", LineError::NotJson { at: 0 }),
            ("[]", LineError::NotAnObject),
            (r#"{"resourceType":"Patient","id":"1""#, LineError::NotJson { at: 34 }),
            (r#"{"resourceType":"Patient","id":"1","x":[1}}"#, LineError::NotJson { at: 42 }),
            (r#"{"resourceType":"Patient","id":"1"}{}"#, LineError::NotJson { at: 36 }),
            (r#"{"resourceType":"Patient"}"#, LineError::Missing("id")),
            (r#"{"resourceType":"Patient","id":"1","meta":null}"#, LineError::WrongShape("meta")),
            (r#"{"resourceType":"Patient","id":"1","meta":{},"m\u0065ta":{}}"#, LineError::Repeated("meta".into())),
            (r#"{"resourceType":"Patient","id":"1","meta":{"tag":null}}"#, LineError::WrongShape("meta.tag")),
            (r#"{"resourceType":"Patient","id":"1","meta":{"tag":{}}}"#, LineError::WrongShape("meta.tag")),
            (
                r#"{"resourceType":"Patient","id":"1","meta":{"tag":[],"t\u0061g":[]}}"#,
                LineError::Repeated("meta.tag".into()),
            ),
        ] {
            assert_eq!(try_trim("Patient.name", "Patient", line), Err(expected), "{line}");
        }
        // What is whole is not written either, unless it is one object.
        assert!(try_trim("Patient.name", "Observation", "{").is_err());
    }
}

mod records {
    use super::*;

    #[test]
    fn a_record_is_a_list_of_items() {
        let elements = elements("Patient.name,id,Observation.value");
        let record = serde_json::to_string(&elements).unwrap();
        assert_eq!(record, r#"["id","Observation.value","Patient.name"]"#);
        assert_eq!(serde_json::from_str::<Elements>(&record).unwrap(), elements);
        assert_eq!(Elements::parse(&[&elements.to_string()], &Definitions::R4).unwrap(), elements);
        assert!(serde_json::from_str::<Elements>("[]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let many: Vec<_> = (0..=ITEMS_MAX).map(|n| format!("a{n}")).collect();
        let many = serde_json::to_string(&many).unwrap();
        for record in
            [r#""id""#, r#"[""]"#, r#"["Id"]"#, r#"["patient.id"]"#, r#"["Patient.a.b"]"#, r#"["a,b"]"#, &many]
        {
            assert!(serde_json::from_str::<Elements>(record).is_err(), "{record}");
        }
    }

    #[test]
    fn an_element_of_a_record_that_does_not_exist_is_refused_and_not_cut() {
        let elements: Elements = serde_json::from_str(r#"["Patient.name","Patient.nmae"]"#).unwrap();
        let errors = Trimmer::new(&elements, &Definitions::R4).unwrap_err();
        assert_eq!(errors.len(), 1);
    }
}

/// With work that grows with the square of the line, this would take minutes.
#[test]
fn the_work_grows_with_the_line() {
    let count = 200_000;
    let members = r#","name":1,"x":[]"#.repeat(count);
    let tags = format!("[{}]", vec![r#"{"code":"a"}"#; count].join(","));
    let line = format!(r#"{{"resourceType":"Patient","id":"1","meta":{{"tag":{tags}}}{members}}}"#);
    let trimmed = try_trim("Patient.name", "Patient", &line).unwrap();
    assert_eq!(trimmed.len(), line.len() - count * r#","x":[]"#.len() + 1 + NEW_TAG.len());
}

mod properties {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::json::{RawElement, members};

    proptest! {
        /// BD-ELEM-02, -05, -06, -08, -09 and BD-NDJ-03: of any line exactly what is kept stands there, digit for digit
        /// and in its order; trimming it again changes nothing.
        #[test]
        fn what_is_kept_stands_there_as_it_was(listed in listed(), line in line()) {
            let list = listed.iter().map(|name| format!("Observation.{name}")).collect::<Vec<_>>().join(",");
            let trimmed = try_trim(&list, "Observation", &line).unwrap();
            prop_assert!(serde_json::from_str::<serde_json::Value>(&trimmed).is_ok());

            let (before, after) = (read(&line), read(&trimmed));
            let is_kept = |name: &str| NAMES.iter().any(|(_, decoded, element)| {
                *decoded == name && (element.is_empty() || listed.contains(element))
            });
            let kept: Vec<_> = before.iter().filter(|(name, _)| is_kept(name)).collect();
            let there: Vec<_> = after.iter().filter(|(name, _)| *name != "meta").collect();
            prop_assert_eq!(texts(&kept), texts(&there));

            let meta = |of: &[(Cow<'_, str>, &RawElement)]| {
                of.iter().find(|(name, _)| name == "meta").map_or_else(|| "{}".to_owned(), |(_, meta)| meta.get().to_owned())
            };
            check_meta(&meta(&before), &meta(&after))?;
            prop_assert_eq!(try_trim(&list, "Observation", &trimmed).unwrap(), trimmed);
        }

        /// No input is a panic, and whatever is written is one object.
        #[test]
        fn damaged_lines_are_refused_or_still_json(line in line(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut damaged = line.clone().into_bytes();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            let cut = &line.as_bytes()[..at];
            let trimmer = Trimmer::new(&elements("value,code"), &Definitions::R4).unwrap();
            for input in [&damaged, cut] {
                let mut out = Vec::new();
                match trimmer.trim("Observation", input, &mut out) {
                    Ok(()) => {
                        let object: &RawElement = serde_json::from_slice(&out).unwrap();
                        prop_assert_eq!(object.get().as_bytes()[0], b'{');
                    }
                    Err(_) => prop_assert!(out.is_empty()),
                }
            }
        }

        #[test]
        fn any_text_parses_or_fails_and_what_parses_comes_back(text in "[A-Za-z.,\\[\\] _é]{0,40}|(id|Patient\\.(name|id)|,){0,6}") {
            match Elements::parse(&[&text], &Definitions::R4) {
                Ok(elements) => prop_assert_eq!(Elements::parse(&[&elements.to_string()], &Definitions::R4), Ok(elements)),
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }

    /// `meta` has the tag once, and all else as it was.
    fn check_meta(before: &str, after: &str) -> Result<(), TestCaseError> {
        let rest = |meta: &str| {
            let members = read(meta).into_iter().filter(|(name, _)| name != "tag");
            members.map(|(name, value)| (name.into_owned(), value.get().to_owned())).collect::<Vec<_>>()
        };
        prop_assert_eq!(rest(before), rest(after));
        let tags = |meta: &str| {
            let value: serde_json::Value = serde_json::from_str(meta).unwrap();
            value["tag"].as_array().cloned().unwrap_or_default()
        };
        let new: serde_json::Value = serde_json::from_str(NEW_TAG).unwrap();
        let mut expected = tags(before);
        if !expected.contains(&new) {
            expected.push(new);
        }
        prop_assert_eq!(tags(after), expected);
        Ok(())
    }

    fn read(object: &str) -> Vec<(Cow<'_, str>, &RawElement)> {
        members(serde_json::from_str(object).unwrap()).unwrap()
    }

    fn texts<'a>(members: &'a [&(Cow<'_, str>, &RawElement)]) -> Vec<(&'a str, &'a str)> {
        members.iter().map(|(name, value)| (&**name, value.get())).collect()
    }

    /// Property names as written and as meant, and the element that each is of; empty if it is always kept.
    const NAMES: [(&str, &str, &str); 16] = [
        ("resourceType", "resourceType", ""),
        ("id", "id", ""),
        ("status", "status", ""),
        ("_status", "_status", ""),
        ("c\\u006fde", "code", ""),
        ("modifierExtension", "modifierExtension", ""),
        ("implicitRules", "implicitRules", ""),
        ("valueQuantity", "valueQuantity", "value"),
        ("_v\\u0061lueString", "_valueString", "value"),
        ("issued", "issued", "issued"),
        ("_issued", "_issued", "issued"),
        ("note", "note", "note"),
        ("values", "values", "none"),
        ("issuedX", "issuedX", "none"),
        ("", "", "none"),
        ("{\\\",", "{\",", "none"),
    ];

    fn listed() -> impl Strategy<Value = Vec<&'static str>> {
        prop::sample::subsequence(vec!["id", "value", "issued", "note", "code"], 1..=5)
    }

    /// An Observation with members in any order, names repeated, escaped and made up, and white space anywhere.
    fn line() -> impl Strategy<Value = String> {
        let others = prop::collection::vec((2..NAMES.len(), value()), 0..8);
        (others, prop::option::of(meta()), any::<prop::sample::Index>(), blank(), blank()).prop_perturb(
            |(others, meta, id_at, before, after), mut rng| {
                let mut members: Vec<_> = others.into_iter().map(|(name, value)| (NAMES[name].0, value)).collect();
                members.extend(meta.map(|meta| ("meta", meta)));
                members.push(("resourceType", r#""Observation""#.to_owned()));
                for index in (1..members.len()).rev() {
                    members.swap(index, rng.random_range(0..=index));
                }
                members.insert(id_at.index(members.len() + 1), ("id", r#""1""#.to_owned()));
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("{before}\"{name}\"{after}:{before}{value}{after}"))
                    .collect();
                format!("{after}{{{}}}{before}", members.join(","))
            },
        )
    }

    fn meta() -> impl Strategy<Value = String> {
        let tag = prop::sample::select(vec![r#"{"code":"a"}"#, NEW_TAG, r#"{"code":"SUBSETTED"}"#]);
        let tags = prop::option::of(prop::collection::btree_set(tag, 0..3));
        (tags, prop::option::of(value()), any::<bool>(), blank()).prop_map(|(tags, other, is_tag_first, blank)| {
            let tags = tags.map(|tags| {
                let tags: Vec<_> = tags.into_iter().collect();
                format!("\"tag\":{blank}[{blank}{}]", tags.join(&format!("{blank},")))
            });
            let mut members: Vec<_> = other.map(|other| format!("\"x\":{other}")).into_iter().collect();
            members.splice(if is_tag_first { 0..0 } else { members.len()..members.len() }, tags);
            format!("{{{blank}{}}}", members.join(&format!("{blank},{blank}")))
        })
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "1.10",
            "-0.0",
            "1E+40",
            "123456789012345678901234567890",
            "null",
            "true",
            "\"\"",
            "\"},\\\"{\\u0041é\"",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_flat_map(|items| {
                let array = format!("[ {}]", items.join(" ,"));
                let object: Vec<_> = items.iter().map(|item| format!("\"tag\":{item}")).collect();
                let object = format!("{{{} }}", object.join(","));
                prop_oneof![Just(array), Just(object)]
            })
        })
    }

    fn blank() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["", " ", "\t \r"])
    }
}

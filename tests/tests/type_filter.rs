//! `_typeFilter` over HTTP: what each edition reads, what is selected, and what becomes of queries that cannot be
//! evaluated. The semantics of single parameters are in `tests/type-filter/cases.ndjson`.

use std::collections::BTreeSet;

use ehi_tests::{
    records::{folder, names, parse, patient, resource, set, ward},
    requirement,
    server::Server,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two patients, their prescriptions and conditions.
fn pharmacy() -> TempDir {
    let request = |id: &str, of: &str, status: &str, authored: &str| {
        let subject = json!({ "reference": format!("Patient/{of}") });
        resource("MedicationRequest", id, json!({ "status": status, "authoredOn": authored, "subject": subject }))
    };
    let condition =
        |id: &str, of: &str| resource("Condition", id, json!({ "subject": { "reference": format!("Patient/{of}") } }));
    folder(&[
        (
            "a.ndjson",
            &[
                resource("Patient", "p1", json!({ "gender": "male", "birthDate": "1970-03-30" })),
                request("m1", "p1", "active", "2020-05-01T10:00:00+02:00"),
                condition("c1", "p1"),
                request("m2", "p1", "completed", "2019-01-01"),
            ],
        ),
        (
            "b.ndjson",
            &[
                request("m3", "p2", "completed", "2017-01-01"),
                resource("Patient", "p2", json!({ "gender": "female", "birthDate": "1980-01-01" })),
                condition("c2", "p2"),
                request("m4", "p2", "stopped", "2021-01-01"),
            ],
        ),
    ])
}

fn exported(server: &Server, query: &str) -> BTreeSet<String> {
    names(&server.exported(&format!("$export?{query}")))
}

const OTHERS: [&str; 4] = ["Condition/c1", "Condition/c2", "Patient/p1", "Patient/p2"];

/// The prescriptions of these ids, and everything of the other types.
fn prescriptions(ids: &[&str]) -> BTreeSet<String> {
    let mut names = set(&OTHERS);
    names.extend(ids.iter().map(|id| format!("MedicationRequest/{id}")));
    names
}

#[test]
fn what_meets_no_query_of_its_type_is_left_out_and_other_types_are_not_touched() {
    let data = pharmacy();
    let server = Server::start(data.path(), &[]);
    assert_eq!(exported(&server, "_typeFilter=MedicationRequest%3Fstatus%3Dactive"), prescriptions(&["m1"]));
    let query = "_type=MedicationRequest,Condition&_typeFilter=MedicationRequest%3Fstatus%3Dactive";
    assert_eq!(exported(&server, query), set(&["MedicationRequest/m1", "Condition/c1", "Condition/c2"]));
    // Those of a patient who was left out stay.
    let women = exported(&server, "_typeFilter=Patient%3Fgender%3Dfemale");
    let mut expected = prescriptions(&["m1", "m2", "m3", "m4"]);
    expected.remove("Patient/p1");
    assert_eq!(women, expected);
    requirement!(server, "BD-TF-07", "BD-TF-09", "BD-TF-10");
}

#[test]
fn queries_of_one_type_combine_with_or_and_criteria_with_and() {
    let data = pharmacy();
    let server = Server::start(data.path(), &[]);
    let union = "_typeFilter=MedicationRequest%3Fstatus%3Dactive\
        &_typeFilter=MedicationRequest%3Fstatus%3Dcompleted%26authoredon%3Dgt2018-07-01";
    assert_eq!(exported(&server, union), prescriptions(&["m1", "m2"]));
    // A resource that meets two queries comes once; `names` would tell.
    let twice = "_typeFilter=MedicationRequest%3Fstatus%3Dactive&_typeFilter=MedicationRequest%3Fauthoredon%3Dge2020";
    assert_eq!(exported(&server, twice), prescriptions(&["m1", "m4"]));
    let both = "_typeFilter=MedicationRequest%3Fauthoredon%3Dge2019%26authoredon%3Dlt2020";
    assert_eq!(exported(&server, both), prescriptions(&["m2"]));
    let either = "_typeFilter=MedicationRequest%3Fstatus%3Dactive%2Cstopped";
    assert_eq!(exported(&server, either), prescriptions(&["m1", "m4"]));
    requirement!(server, "BD-TF-08", "BD-TF-21");
}

#[test]
fn a_list_is_split_where_its_edition_says() {
    let data = pharmacy();
    let list = "_typeFilter=MedicationRequest%3Fstatus%3Dactive,MedicationRequest%3Fstatus%3Dstopped";
    let comma_in_query = "_typeFilter=MedicationRequest%3Fstatus%3Dactive%252Cstopped";
    for edition in ["1", "2"] {
        let server = Server::start(data.path(), &["--edition", edition]);
        assert_eq!(exported(&server, list), prescriptions(&["m1", "m4"]), "{edition}");
        assert_eq!(exported(&server, comma_in_query), prescriptions(&["m1", "m4"]), "{edition}");
        let raw_comma = "_typeFilter=MedicationRequest%3Fstatus%3Dactive,stopped";
        assert_eq!(exported(&server, raw_comma), prescriptions(&["m1", "m4"]), "{edition}");
        if edition == "2" {
            let repeated =
                "_typeFilter=MedicationRequest%3Fstatus%3Dactive&_typeFilter=MedicationRequest%3Fstatus%3Dstopped";
            assert_eq!(exported(&server, repeated), exported(&server, list));
            requirement!(server, "BD-TF-04", "BD-TF-05");
        }
    }
    let server = Server::start(data.path(), &[]);
    let values = "_typeFilter=MedicationRequest%3Fstatus%3Dactive,stopped";
    assert_eq!(exported(&server, values), prescriptions(&["m1", "m4"]));
    // One query, whose second value is just odd: nothing has that status.
    assert_eq!(exported(&server, list), prescriptions(&["m1"]));
    requirement!(server, "BD-TF-06");
}

#[test]
fn a_value_is_decoded_once_as_a_parameter_and_once_as_a_query() {
    let data = pharmacy();
    let server = Server::start(data.path(), &[]);
    let raw = "_typeFilter=MedicationRequest?status=active";
    assert_eq!(exported(&server, raw), prescriptions(&["m1"]));
    assert_eq!(exported(&server, "_typeFilter=MedicationRequest%3Fstatus%3D%257Cactive"), prescriptions(&[]));
    assert_eq!(exported(&server, "_typeFilter=MedicationRequest%3Fstatus%3D%2561ctive"), prescriptions(&["m1"]));
    let zoned = "_typeFilter=MedicationRequest%3Fauthoredon%3D2020-05-01T10:00:00+02:00";
    assert_eq!(exported(&server, zoned), prescriptions(&["m1"]));
    requirement!(server, "BD-TF-22");
}

#[test]
fn other_selections_hold_beside_a_query() {
    let data = pharmacy();
    let server = Server::start(data.path(), &[]);
    let one = names(&server.exported("Patient/p1/$export?_typeFilter=MedicationRequest%3Fstatus%3Dactive,stopped"));
    assert_eq!(one, set(&["Condition/c1", "MedicationRequest/m1", "Patient/p1"]));
    // A query for a type that was not asked for selects nothing.
    let other = "_type=Condition&_typeFilter=MedicationRequest%3Fstatus%3Dactive";
    assert_eq!(exported(&server, other), set(&["Condition/c1", "Condition/c2"]));
    requirement!(server, "BD-TF-20");
}

#[test]
fn what_cannot_be_evaluated_is_refused_by_name() {
    let data = pharmacy();
    let server = Server::start(data.path(), &[]);
    for (query, said) in [
        (
            "MedicationRequest%3Fstatsu%3Dactive",
            "parameter `statsu`: unknown search parameter of this type: `status` is one",
        ),
        ("Patient%3Fbogus%3D1", "parameter `bogus`"),
        ("Patient%3Fbirthdate%3Dyesterday", "parameter `birthdate`"),
        ("Patient%3Fbirthdate:exact%3D1970", "parameter `birthdate:exact`"),
        ("MedicationRequest%3Fpatient.name%3Dx", "parameter `patient.name`"),
        ("Patient%3F_has:Observation:patient:code%3D1", "_has"),
        ("Patient%3F_sort%3Dname", "parameter `_sort`"),
    ] {
        let refused = server.get(&format!("$export?_typeFilter={query}"));
        assert_eq!((refused.status, refused.expressions()), (400, vec!["_typeFilter".to_owned()]), "{query}");
        assert!(refused.outcome().contains(said), "{}", refused.outcome());
        assert!(!refused.outcome().contains("yesterday"));
    }
    // All problems together.
    let two =
        server.get("$export?_typeFilter=Patient%3Fbogus%3D1&_typeFilter=MedicationRequest%3Fnonsense%3D1&_since=x");
    assert_eq!(two.expressions().len(), 3);
    requirement!(server, "BD-TF-13", "BD-TF-15");
}

#[test]
fn under_lenient_handling_a_query_is_dropped_whole_and_its_type_exports_nothing() {
    let data = pharmacy();
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.finish(&server.get_leniently("$export?_typeFilter=MedicationRequest%3Fbogus%3D1"));
    assert_eq!(names(&server.lines(&manifest, "output")), set(&OTHERS));
    let reported = server.lines(&manifest, "error");
    assert_eq!(reported.len(), 1);
    assert_eq!(parse(&reported[0])["issue"][0]["expression"], json!(["_typeFilter"]));

    // With another query of its type left, that one decides.
    let target = "$export?_typeFilter=MedicationRequest%3Fbogus%3D1&_typeFilter=MedicationRequest%3Fstatus%3Dactive";
    let (_, manifest) = server.finish(&server.get_leniently(target));
    assert_eq!(names(&server.lines(&manifest, "output")), prescriptions(&["m1"]));
    requirement!(server, "BD-TF-14");
}

#[test]
fn in_4_0_a_type_filter_is_posted_one_query_at_a_time() {
    let data = pharmacy();
    let server = Server::start(data.path(), &["--edition", "4"]);
    let filter = |query: &str| json!({ "name": "_typeFilter", "valueString": query });
    let list = json!([filter("Patient?gender=male,MedicationRequest?status=active")]);
    assert_eq!(server.get("$export?_typeFilter=Patient%3Fgender%3Dmale").status, 405);
    for reply in [server.post("$export", &list), server.post_leniently("$export", &list)] {
        assert_eq!(reply.status, 400);
        assert_eq!(reply.expressions(), ["_typeFilter"]);
    }
    let each = json!([filter("Patient?gender=male"), filter("MedicationRequest?status=active,stopped")]);
    let (_, manifest) = server.finish(&server.post("$export", &each));
    let expected = ["Condition/c1", "Condition/c2", "MedicationRequest/m1", "MedicationRequest/m4", "Patient/p1"];
    assert_eq!(names(&server.lines(&manifest, "output")), set(&expected));
    requirement!(server, "BD-TF-24");
}

#[test]
fn a_type_filter_without_criteria_selects_the_whole_type() {
    let data = folder(&[("a.ndjson", &[patient("p1"), patient("p2")])]);
    let server = Server::start(data.path(), &[]);
    for filter in ["Patient%3F", "Patient", "Patient?"] {
        assert_eq!(exported(&server, &format!("_typeFilter={filter}")), set(&["Patient/p1", "Patient/p2"]), "{filter}");
    }
    requirement!(server, "BD-TF-23");
}

#[test]
fn a_type_filter_that_cannot_be_read_is_refused_under_any_handling() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    for wrong in ["Foo%3Fa%3D1", "%3Fcode%3D1", "Patient/1/Observation%3Fa%3D1", "*%3Fa%3D1", ""] {
        let target = format!("$export?_typeFilter={wrong}");
        for reply in [server.get(&target), server.get_leniently(&target)] {
            assert_eq!(reply.status, 400, "{wrong}");
            assert_eq!(reply.expressions(), ["_typeFilter"]);
        }
    }
    requirement!(server, "BD-TF-12");
}

#[test]
fn what_can_be_asked_is_listed() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let statement = server.get("metadata").json();
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let of = |name: &str| resources.iter().find(|resource| resource["type"] == name).unwrap()["searchParam"].clone();
    let has = |list: &Value, name: &str| list.as_array().unwrap().iter().any(|parameter| parameter["name"] == name);
    let observation = of("Observation");
    assert!(has(&observation, "category") && has(&observation, "_lastUpdated"));
    assert!(!has(&observation, "_query") && !has(&of("Location"), "near"));
    // What is listed is taken.
    for parameter in observation.as_array().unwrap() {
        let value = match parameter["type"].as_str().unwrap() {
            "date" => "2020",
            "quantity" | "number" => "1",
            "composite" => continue,
            _ => "a",
        };
        let name = parameter["name"].as_str().unwrap();
        let reply = server.get(&format!("$export?_typeFilter=Observation%3F{name}%3D{value}"));
        assert!([202, 429].contains(&reply.status), "{name}: {}", String::from_utf8_lossy(&reply.body));
    }
    requirement!(server, "BD-CAP-04");
}

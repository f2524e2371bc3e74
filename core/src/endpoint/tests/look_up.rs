//! Reading and searching groups, patients and practitioners.

use super::*;
use crate::{
    Sensitive,
    look_up::{Found, LookUp},
};

const GROUPS: &[&str] = &[
    r#"{"resourceType":"Group","id":"g1","identifier":[{"system":"http://x.example","value":"a"}],"name":"Ward One"}"#,
    r#"{"resourceType":"Group","id":"g2","name":"Diabetes, ward two"}"#,
];

const PATIENTS: &[&str] = &[
    r#"{"resourceType":"Patient","id":"p1","name":[{"family":"Sandeep","given":["Bram"]}],"gender":"male"}"#,
    r#"{"resourceType":"Patient","id":"p2","name":[{"family":"Jackson"}],"gender":"female"}"#,
];

fn found(texts: &[&str]) -> Found {
    let resources = texts.iter().map(|text| Sensitive::new((*text).to_owned())).collect();
    Found { resources, ..Found::default() }
}

fn get(endpoint: &Endpoint, target: &str, principal: &Principal) -> Route {
    route(endpoint, "GET", &format!("/fhir/{target}"), "", "", principal)
}

fn look_up(endpoint: &Endpoint, target: &str, principal: &Principal) -> LookUp {
    match get(endpoint, target, principal) {
        Route::LookUp(look_up) => *look_up,
        other => panic!("{target}: {other:?}"),
    }
}

fn answer(endpoint: &Endpoint, target: &str, principal: &Principal, found: Found) -> Response {
    endpoint.look_up(&look_up(endpoint, target, principal), principal, found, now())
}

/// The ids in a Bundle.
fn shown(response: &Response) -> Vec<String> {
    let bundle = json_of(response);
    assert_eq!(
        (response.status, &bundle["resourceType"], &bundle["type"]),
        (200, &json!("Bundle"), &json!("searchset"))
    );
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let matches = entries.iter().filter(|entry| entry["search"]["mode"] == "match");
    matches.map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

/// BD-KICK-15.
#[test]
fn groups_are_read_and_searched_by_identifier_and_name() {
    let (endpoint, principal) = (endpoint(), everything());
    for (target, expected) in [
        ("Group", &["g1", "g2"][..]),
        ("Group?name=ward", &["g1"]),
        ("Group?name:contains=WARD", &["g1", "g2"]),
        ("Group?identifier=http://x.example%7Ca&name=Ward%20One", &["g1"]),
        ("Group?identifier=http%3A%2F%2Fx.example|a,b", &["g1"]),
        ("Group?identifier=b", &[]),
        ("Group?_id=g2,g3", &["g2"]),
        ("Group?name=Diabetes%5C%2C%20ward&_format=json", &["g2"]),
    ] {
        // What does not meet the search is not shown, whoever hands it back.
        let response = answer(&endpoint, target, &principal, found(GROUPS));
        assert_eq!(shown(&response), expected, "{target}");
        assert_eq!(json_of(&response)["link"][0]["url"], format!("https://ehr.example/fhir/{target}"));
        assert_eq!(json_of(&response)["total"], expected.len());
    }
    let bundle = json_of(&answer(&endpoint, "Group?_id=g1", &principal, found(&GROUPS[..1])));
    assert_eq!(bundle["entry"][0]["fullUrl"], "https://ehr.example/fhir/Group/g1");
    let read = answer(&endpoint, "Group/g1", &principal, found(&GROUPS[..1]));
    assert_eq!((read.status, &json_of(&read)), (200, &serde_json::from_str(GROUPS[0]).unwrap()));
    let wanted = look_up(&endpoint, "Group/g1", &principal);
    assert_eq!((wanted.id.map(|id| id.expose().clone()), wanted.count), (Some("g1".into()), 1));
    for nothing in [found(&[]), found(&GROUPS[1..]), found(PATIENTS)] {
        assert_eq!(answer(&endpoint, "Group/g1", &principal, nothing), endpoint.not_found());
    }
}

#[test]
fn a_filter_of_the_embedder_says_the_same() {
    let (endpoint, principal) = (endpoint(), everything());
    let wanted = look_up(&endpoint, "Patient?name=sand&identifier:missing=true", &principal);
    let filter = wanted.filter("https://ehr.example/fhir", now()).unwrap();
    assert_eq!(PATIENTS.iter().map(|text| filter.matches(text.as_bytes())).collect::<Vec<_>>(), [true, false]);
    let stored: LookUp = serde_json::from_str(&serde_json::to_string(&wanted).unwrap()).unwrap();
    assert_eq!(stored, wanted);
    let tampered = LookUp { queries: Sensitive::new(vec!["Group?name=x".into()]), ..wanted.clone() };
    assert!(tampered.filter("", now()).is_none(), "without a query of its type everything would pass");
    assert!(!format!("{wanted:?}").contains("sand"), "what is searched for is not printed");
}

#[test]
fn what_is_not_known_is_refused_and_never_left_away() {
    let (endpoint, principal) = (endpoint(), everything());
    for (target, expressions) in [
        ("Patient?nmae=x", &["nmae"][..]),
        ("Patient?birthdate=2000&gender=male", &["birthdate", "gender"]),
        ("Patient?_format=xml", &["_format"]),
        ("Patient?_count=few", &["_count"]),
        ("Patient?_include=Patient:organization", &["_include"]),
        ("Patient?name:nonsense=x", &["name:nonsense"]),
        ("Group?name.family=x", &["name.family"]),
    ] {
        for prefer in ["", "handling=lenient"] {
            let Route::Respond(response) = route(&endpoint, "GET", &format!("/fhir/{target}"), prefer, "", &principal)
            else {
                panic!("{target} is taken");
            };
            let issues = json_of(&response)["issue"].as_array().unwrap().clone();
            let named: Vec<&str> = issues.iter().filter_map(|issue| issue["expression"][0].as_str()).collect();
            assert_eq!((response.status, named.as_slice()), (400, expressions), "{target}");
        }
    }
    for (method, target) in [("POST", "/fhir/Group"), ("PUT", "/fhir/Group/g1"), ("DELETE", "/fhir/Patient")] {
        let Route::Respond(response) = route(&endpoint, method, target, "", "", &principal) else { panic!("taken") };
        assert_eq!(response.status, 405, "{method} {target}");
    }
    for target in ["Observation", "Patient/p1", "Practitioner/d1", "Group/g1/name", "Group/not%20an%20id"] {
        assert_eq!(get(&endpoint, target, &principal), Route::Respond(endpoint.not_found()), "{target}");
    }
}

/// Nothing is looked up for them, and they cannot tell whether there is anything.
#[test]
fn who_may_not_sees_nothing() {
    let endpoint = endpoint();
    for (target, scopes) in [
        ("Group?name=x", &["system/Patient.rs", "system/Observation.rs"][..]),
        ("Patient", &["system/Group.rs", "patient/Patient.rs"]),
        ("Patient?_id=p1", &["system/Patient.r"]),
        ("Practitioner", &["system/$ehi-export", "user/*.rs"]),
        ("Group", &[]),
    ] {
        let Route::Respond(response) = get(&endpoint, target, &client(scopes)) else { panic!("{target} is looked up") };
        assert_eq!((shown(&response).len(), &json_of(&response)["total"]), (0, &json!(0)), "{target}");
    }
    assert_eq!(get(&endpoint, "Group/g1", &client(&["system/Patient.rs"])), Route::Respond(endpoint.not_found()));
    let Route::Respond(response) = get(&endpoint, "Group?nonsense=1", &Principal::Anonymous) else { panic!() };
    assert_eq!(response.status, 401, "before any parameter is read");
    let principal = everything();
    let wanted = look_up(&endpoint, "Group", &principal);
    let late = endpoint.look_up(&wanted, &principal, found(GROUPS), now().plus_seconds(3600));
    assert_eq!(late.status, 401);
}

/// SM-SCP-05: a search in a scope narrows what is shown.
#[test]
fn what_the_token_searches_for_and_what_is_asked_must_both_hold() {
    let endpoint = endpoint();
    let women = client(&["system/Patient.rs?gender=female"]);
    assert_eq!(shown(&answer(&endpoint, "Patient", &women, found(PATIENTS))), ["p2"]);
    assert!(shown(&answer(&endpoint, "Patient?name=sandeep", &women, found(PATIENTS))).is_empty());
    // The scopes of a patient open the one in context.
    let mut own = client(&["patient/Patient.rs"]);
    if let Principal::Known { patient, .. } = &mut own {
        *patient = Some(Sensitive::new("p1".into()));
    }
    assert_eq!(shown(&answer(&endpoint, "Patient", &own, found(PATIENTS))), ["p1"]);
    let Route::Respond(response) = get(&endpoint, "Group", &own) else { panic!("groups are looked up") };
    assert!(shown(&response).is_empty());
}

/// The page on which administrators choose a patient or a provider, and clinical users a patient.
#[test]
fn roles_decide_who_is_seen() {
    let endpoint = endpoint_with(json!({ "roles": { "presets": ["end-users"] } }));
    let user = |role: &str| {
        let mut principal = client(&["user/*.rs", "patient/*.rs"]);
        if let Principal::Known { user, roles, patient, .. } = &mut principal {
            *user = Some(Sensitive::new("u1".into()));
            *patient = Some(Sensitive::new("p2".into()));
            roles.push(role.to_owned());
        }
        principal
    };
    let administrator = user("administrator");
    assert_eq!(shown(&answer(&endpoint, "Patient", &administrator, found(PATIENTS))), ["p1", "p2"]);
    assert_eq!(look_up(&endpoint, "Practitioner?name=x", &administrator).access, None);
    let clinician = user("clinical-user");
    let wanted = look_up(&endpoint, "Patient?name:contains=a", &clinician);
    let asked = wanted.access.clone().unwrap();
    assert_eq!((asked.client.as_deref(), asked.user), (Some("app"), Some(Sensitive::new("u1".into()))));
    let sees = |found: Found| {
        let response = endpoint.look_up(&wanted, &clinician, found, now());
        (shown(&response), json_of(&response)["total"].as_u64().unwrap())
    };
    let accessible = ids(&["p2", "p3"]);
    assert_eq!(sees(Found { accessible: accessible.clone(), ..found(&PATIENTS[1..]) }), (vec!["p2".into()], 1));
    // What was not said to be accessible is neither shown nor counted.
    assert_eq!(sees(Found { total: Some(70), accessible, ..found(PATIENTS) }), (vec!["p2".into()], 1));
    assert_eq!(sees(found(PATIENTS)), (Vec::new(), 0));
    for target in ["Practitioner", "Group"] {
        let Route::Respond(response) = get(&endpoint, target, &clinician) else { panic!("{target} is looked up") };
        assert!(shown(&response).is_empty());
    }
    let patient = user("patient");
    assert_eq!(shown(&answer(&endpoint, "Patient", &patient, found(PATIENTS))), ["p2"]);
    let Route::Respond(response) = get(&endpoint, "Patient", &user("nobody")) else { panic!("looked up") };
    assert!(shown(&response).is_empty());
}

/// BD-SEC-08.
#[test]
fn groups_that_a_rule_closes_are_not_shown() {
    let endpoint = endpoint_with(json!({ "restrictGroups": true, "restrictPractitioners": true }));
    let principal = everything();
    let open = Found { accessible: ids(&["g2"]), ..found(GROUPS) };
    assert_eq!(shown(&answer(&endpoint, "Group", &principal, open)), ["g2"]);
    assert_eq!(answer(&endpoint, "Group/g1", &principal, found(&GROUPS[..1])), endpoint.not_found());
    assert!(look_up(&endpoint, "Practitioner", &principal).access.is_some());
    assert!(look_up(&endpoint, "Patient", &principal).access.is_none());
}

#[test]
fn labels_that_no_export_holds_are_not_shown() {
    let endpoint = endpoint_with(json!({ "withheldLabels": ["http://x.example|R"] }));
    let marked =
        r#"{"resourceType":"Patient","id":"p3","meta":{"security":[{"system":"http://x.example","code":"R"}]}}"#;
    let of_all = found(&[PATIENTS[0], marked]);
    assert_eq!(shown(&answer(&endpoint, "Patient", &everything(), of_all)), ["p1"]);
}

/// A page is all that there is: what is left out is counted.
#[test]
fn an_answer_is_bounded_and_says_what_it_leaves_out() {
    let (endpoint, principal) = (endpoint(), everything());
    assert_eq!(look_up(&endpoint, "Patient?_count=1000000", &principal).count, 100);
    let first = Found { total: Some(70), ..found(PATIENTS) };
    let response = answer(&endpoint, "Patient?_count=1", &principal, first);
    let bundle = json_of(&response);
    assert_eq!((shown(&response), &bundle["total"]), (vec!["p1".to_owned()], &json!(70)));
    let note = &bundle["entry"][1];
    assert_eq!(
        (&note["search"]["mode"], &note["resource"]["resourceType"]),
        (&json!("outcome"), &json!("OperationOutcome"))
    );
    assert!(note["resource"]["issue"][0]["diagnostics"].as_str().unwrap().starts_with("69 more"));
    let none = answer(&endpoint, "Patient?_count=0", &principal, found(PATIENTS));
    assert_eq!((shown(&none).len(), &json_of(&none)["total"]), (0, &json!(2)));
    let long = format!(r#"{{"resourceType":"Group","id":"g1","name":"{}"}}"#, "x".repeat(17 << 20));
    assert_eq!(answer(&endpoint, "Group/g1", &principal, found(&[&long])).status, 400);
    assert!(shown(&answer(&endpoint, "Group", &principal, found(&[&long]))).is_empty());
}

/// What cannot be read by everyone alike is not shown at all.
#[test]
fn what_is_no_resource_is_not_shown() {
    let (endpoint, principal) = (endpoint(), everything());
    for text in [
        "",
        "{",
        "null",
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Patient","id":"p1"} x"#,
        r#"{"resourceType":"Patient","id":"p1","id":"p2"}"#,
        r#"{"resourceType":"Group","id":"p1"}"#,
        r#"{"resourceType":"Patient","id":"p1","meta":{"security":{}}}"#,
    ] {
        assert!(shown(&answer(&endpoint, "Patient", &principal, found(&[text]))).is_empty(), "{text}");
    }
}

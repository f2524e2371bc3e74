//! `patient`: which patients of those of the level.

use super::*;
use crate::job::{PopulationWanted, Wants};

/// Parameters that list patients by these references.
fn list(references: &[&str]) -> String {
    let one = |reference: &&str| json!({ "name": "patient", "valueReference": { "reference": reference } });
    let parameters: Vec<Value> = references.iter().map(one).collect();
    json!({ "resourceType": "Parameters", "parameter": parameters }).to_string()
}

const ALL: &str = "/fhir/Patient/$export";
const GROUP: &str = "/fhir/Group/g1/$export";

/// A deployment in which `p1` and `p2` exist, and `p1` is a member of `g1`.
fn kick_off(target: &str, prefer: &str, body: &str) -> Result<(Job, Response), Box<Response>> {
    let (endpoint, principal) = (endpoint(), everything());
    let facts = Facts {
        patients: ids(&["p1", "p2"]),
        groups: ids(&["g1"]),
        members: ids(&["p1"]),
        active_jobs: Some(0),
        ..Facts::default()
    };
    let kick_off = match route(&endpoint, "POST", target, prefer, body, &principal) {
        Route::KickOff(kick_off) => *kick_off,
        Route::Respond(response) => return Err(Box::new(response)),
        other => panic!("{other:?}"),
    };
    match decide(&endpoint, kick_off, &principal, &facts) {
        Decision::Accepted(job, response) => Ok((*job, response)),
        Decision::Refused(response) => Err(Box::new(response)),
    }
}

fn wanted(job: &Job) -> PopulationWanted {
    let Wants::Run { population, .. } = job.wants("host", now()) else { panic!("the job wants no run") };
    population
}

/// Status, and the expressions of all issues.
fn refusal(target: &str, prefer: &str, body: &str) -> (u16, Vec<String>) {
    let response = kick_off(target, prefer, body).expect_err("accepted");
    let outcome = json_of(&response);
    let issues = outcome["issue"].as_array().unwrap().iter();
    let expressions = issues.map(|issue| issue["expression"][0].as_str().unwrap_or_default().to_owned());
    (response.status, expressions.collect())
}

/// BD-PAT-02.
#[test]
fn the_population_is_narrowed_to_the_list() {
    let both = list(&["Patient/p2", "https://ehr.example/fhir/Patient/p1", "Patient/p2/_history/3"]);
    let (job, response) = kick_off(ALL, "respond-async", &both).unwrap();
    assert_eq!((response.status, wanted(&job)), (202, PopulationWanted::Patients(vec!["p1".into(), "p2".into()])));
    let (job, _) = kick_off(GROUP, "respond-async", &list(&["Patient/p1"])).unwrap();
    let members = PopulationWanted::Members { group: "g1".into(), patients: vec!["p1".into()] };
    assert_eq!(wanted(&job), members);
    assert!(job.plan().patients_listed);
    let stored = Job::decode(&job.encode()).unwrap();
    assert_eq!(wanted(&stored), members);
    // Without it the level counts.
    assert_eq!(wanted(&kick_off(ALL, "", "").unwrap().0), PopulationWanted::Nobody);
    assert_eq!(wanted(&kick_off(GROUP, "", "").unwrap().0), PopulationWanted::Group("g1".into()));
}

/// BD-SINCE-03: whoever makes the population is told who of it is new, also with a list, and wherever nobody is.
#[test]
fn new_members_are_those_after_since_where_the_deployment_exports_them_whole() {
    let since = "2026-01-01T00:00:00+02:00";
    let after = |new_members: &str, target: &str, body: &str| {
        let (endpoint, principal) = (endpoint_with(json!({ "newMembers": new_members })), everything());
        let Route::KickOff(kick_off) = route(&endpoint, "POST", target, "", body, &principal) else {
            panic!("refused")
        };
        let (patients, groups) = (ids(&["p1"]), ids(&["g1"]));
        let members = patients.clone();
        let facts = Facts { patients, groups, members, active_jobs: Some(0), ..Facts::default() };
        let Decision::Accepted(job, _) = decide(&endpoint, *kick_off, &principal, &facts) else { panic!("refused") };
        let Wants::Run { new_after, .. } = job.wants("host", now()) else { panic!("the job wants no run") };
        new_after.map(|at| at.to_string())
    };
    let body = |more: Value| {
        let mut parameters = vec![json!({ "name": "_since", "valueInstant": since })];
        parameters.extend(more.as_array().unwrap().iter().cloned());
        json!({ "resourceType": "Parameters", "parameter": parameters }).to_string()
    };
    let all = body(json!([]));
    let listed = body(json!([{ "name": "patient", "valueReference": { "reference": "Patient/p1" } }]));
    let told = Some("2025-12-31T22:00:00Z".to_owned());
    assert_eq!([after("whole", GROUP, &all), after("whole", GROUP, &listed)], [told.clone(), told]);
    assert_eq!(
        [after("like-others", GROUP, &all), after("whole", ALL, &all), after("whole", GROUP, "")],
        [const { None }; 3]
    );
}

/// BD-PAT-01, BD-PAT-04: nor does lenient handling drop what would then export everyone.
#[test]
fn it_is_of_post_and_of_levels_with_several_patients() {
    for prefer in ["", "handling=lenient"] {
        for target in ["/fhir/$export", "/fhir/Patient/p1/$export"] {
            let expected = (400, vec!["patient".to_owned()]);
            assert_eq!(refusal(target, prefer, &list(&["Patient/p1"])), expected, "{target} {prefer}");
        }
        for target in [ALL, GROUP, "/fhir/$export"] {
            let target = format!("{target}?patient=Patient/p1");
            let Route::Respond(response) = route(&endpoint(), "GET", &target, prefer, "", &everything()) else {
                panic!("{target} is taken");
            };
            assert_eq!((response.status, &json_of(&response)["issue"][0]["expression"]), (400, &json!(["patient"])));
        }
    }
}

/// BD-PAT-03. The place in the request names them; the id is not repeated.
#[test]
fn who_is_not_there_is_named_and_refused() {
    let (status, places) = refusal(ALL, "", &list(&["Patient/p1", "Patient/absent", "Patient/p2", "Patient/gone"]));
    assert_eq!((status, places), (400, vec!["Parameters.parameter[1]".into(), "Parameters.parameter[3]".into()]));
    // One who exists and is no member is answered like one who does not exist.
    let of = |id: &str| kick_off(GROUP, "", &list(&["Patient/p1", id])).unwrap_err();
    assert_eq!(of("Patient/p2"), of("Patient/absent"));
    assert!(!format!("{:?}", of("Patient/absent")).contains("absent"));
    let many: Vec<String> = (0..500).map(|n| format!("Patient/absent-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (_, places) = refusal(ALL, "", &list(&many));
    assert_eq!((places.len(), places.last().map(String::as_str)), (101, Some("patient")));
}

/// BD-PAT-05: what is left away narrows the export further, to nobody at the last.
#[test]
fn lenient_handling_exports_the_others_and_says_so() {
    let list = |ids: &[&str]| list(ids);
    let (job, response) = kick_off(GROUP, "handling=lenient", &list(&["Patient/p2", "Patient/p1"])).unwrap();
    assert_eq!(wanted(&job), PopulationWanted::Members { group: "g1".into(), patients: vec!["p1".into()] });
    let warning = job.plan().notices.first().cloned().unwrap();
    assert_eq!(warning.expression, ["Parameters.parameter[0]"]);
    assert!(json_of(&response)["issue"].as_array().unwrap().contains(&serde_json::to_value(&warning).unwrap()));
    for nobody in [list(&["Patient/absent"]), list(&["Observation/p1"]), list(&["https://other.example/Patient/p1"])] {
        let (job, _) = kick_off(ALL, "handling=lenient", &nobody).unwrap();
        assert_eq!(wanted(&job), PopulationWanted::Patients(Vec::new()), "{nobody}");
        assert_eq!(wanted(&Job::decode(&job.encode()).unwrap()), PopulationWanted::Patients(Vec::new()));
        assert_eq!(job.plan().notices.len(), 1);
    }
}

#[test]
fn what_names_no_patient_of_this_server_is_refused() {
    for reference in ["", "p1", "Practitioner/p1", "Patient/", "#p1", "urn:uuid:1", "https://other.example/Patient/p1"]
    {
        let expected = (400, vec!["Parameters.parameter[1]".to_owned()]);
        assert_eq!(refusal(ALL, "", &list(&["Patient/p1", reference])), expected, "{reference}");
    }
    let body = |value: Value| json!({ "resourceType": "Parameters", "parameter": [value] }).to_string();
    let by_identifier = body(json!({ "name": "patient", "valueReference": { "identifier": { "value": "1" } } }));
    assert_eq!(refusal(ALL, "", &by_identifier).0, 400);
    // BD-KICK-20: another type of value is a mistake, and not one that can be left away.
    let text = body(json!({ "name": "patient", "valueString": "Patient/p1" }));
    assert_eq!(refusal(ALL, "handling=lenient", &text), (400, vec!["patient".to_owned()]));
}

#[test]
fn a_list_is_bounded_and_does_not_weigh_on_polls() {
    let references: Vec<String> = (0..=10_000).map(|n| format!("Patient/{n}")).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    assert_eq!(refusal(ALL, "handling=lenient", &list(&references)), (400, vec!["patient".to_owned()]));
    let (endpoint, principal) = (endpoint(), everything());
    let Route::KickOff(kick_off) = route(&endpoint, "POST", ALL, "", &list(&references[1..]), &principal) else {
        panic!("refused");
    };
    let known = (0..=10_000).map(|n| n.to_string()).collect();
    let facts = Facts { patients: known, active_jobs: Some(0), ..Facts::default() };
    let Decision::Accepted(job, _) = decide(&endpoint, *kick_off, &principal, &facts) else { panic!("refused") };
    let PopulationWanted::Patients(patients) = wanted(&job) else { panic!("no list") };
    assert_eq!(patients.len(), 10_000);
    assert!(job.encode().len() < 60_000, "{} bytes", job.encode().len());
}

/// Authorisation precedes look-up: what a principal may not know is not asked.
#[test]
fn only_who_may_know_of_patients_has_them_looked_up() {
    let endpoint = endpoint();
    let needs = |target: &str, scopes: &[&str]| {
        let principal = client(scopes);
        match route(&endpoint, "POST", target, "", &list(&["Patient/p1"]), &principal) {
            Route::KickOff(kick_off) => (endpoint.needs(&kick_off, &principal), *kick_off, principal),
            other => panic!("{other:?}"),
        }
    };
    let (asked, ..) = needs(ALL, &["system/*.rs"]);
    assert_eq!(asked.first(), Some(&Need::Patients(vec!["p1".into()])));
    let (asked, ..) = needs(GROUP, &["system/Group.rs", "system/Observation.rs"]);
    assert!(asked.contains(&Need::Members { group: "g1".into(), patients: vec!["p1".into()] }));
    for (target, scopes) in [(ALL, ["system/Observation.rs"]), (GROUP, ["system/Patient.rs"])] {
        let (asked, kick_off, principal) = needs(target, &scopes);
        assert_eq!(asked, [Need::ActiveJobs { client: Some("app".into()) }], "{target}");
        let facts = Facts { patients: ids(&["p1"]), active_jobs: Some(0), ..Facts::default() };
        let Decision::Refused(response) = decide(&endpoint, kick_off, &principal, &facts) else { panic!("accepted") };
        assert_eq!(response.status, 403);
    }
}

/// What the embedder did not answer counts as absent.
#[test]
fn an_unanswered_need_exports_nobody() {
    let (endpoint, principal) = (endpoint(), everything());
    for (target, prefer, expected) in [(ALL, "", Some(400)), (ALL, "handling=lenient", None)] {
        let Route::KickOff(kick_off) = route(&endpoint, "POST", target, prefer, &list(&["Patient/p1"]), &principal)
        else {
            panic!("refused");
        };
        let facts = Facts { active_jobs: Some(0), ..Facts::default() };
        match (decide(&endpoint, *kick_off, &principal, &facts), expected) {
            (Decision::Refused(response), Some(status)) => assert_eq!(response.status, status),
            (Decision::Accepted(job, _), None) => assert_eq!(wanted(&job), PopulationWanted::Patients(Vec::new())),
            (other, _) => panic!("{other:?}"),
        }
    }
}

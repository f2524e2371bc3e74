//! The export of the patients of one provider, an operation of ours.

use super::*;
use crate::{
    Sensitive,
    job::{PopulationWanted, Wants},
};

const TARGET: &str = "/fhir/Practitioner/d1/$export";

fn facts() -> Facts {
    Facts { practitioners: ids(&["d1", "d2"]), active_jobs: Some(0), ..Facts::default() }
}

/// A client of a user with these roles.
fn user(roles: &[&str]) -> Principal {
    let mut principal = client(&["user/*.rs"]);
    if let Principal::Known { user, roles: own, .. } = &mut principal {
        *user = Some(Sensitive::new("u1".into()));
        own.extend(roles.iter().map(|role| (*role).to_owned()));
    }
    principal
}

fn kick_off(endpoint: &Endpoint, principal: &Principal) -> KickOff {
    match route(endpoint, "GET", TARGET, "", "", principal) {
        Route::KickOff(kick_off) => *kick_off,
        other => panic!("{other:?}"),
    }
}

fn status(endpoint: &Endpoint, principal: &Principal, facts: &Facts) -> u16 {
    match decide(endpoint, kick_off(endpoint, principal), principal, facts) {
        Decision::Accepted(_, response) | Decision::Refused(response) => response.status,
    }
}

#[test]
fn the_population_is_that_of_the_practitioner() {
    let (endpoint, principal) = (endpoint(), everything());
    let kick_off = kick_off(&endpoint, &principal);
    assert_eq!(endpoint.needs(&kick_off, &principal).first(), Some(&Need::Practitioner("d1".into())));
    let Decision::Accepted(job, _) = decide(&endpoint, kick_off, &principal, &facts()) else { panic!("refused") };
    let Wants::Run { population, .. } = Job::decode(&job.encode()).unwrap().wants("host", now()) else { panic!() };
    assert_eq!(population, PopulationWanted::Practitioner("d1".into()));
    assert!(job.plan().has_listed_patients());
    // None of the practitioner's own data, which is in no patient's compartment, nor of what the patients share.
    assert!(job.plan().left_out().unwrap().contains("who is not part of this export"));
}

#[test]
fn an_unknown_or_a_closed_practitioner_is_not_there() {
    let principal = everything();
    assert_eq!(status(&endpoint(), &principal, &Facts { practitioners: ids(&["d2"]), ..facts() }), 404);
    let restricted = endpoint_with(json!({ "restrictPractitioners": true }));
    let access = Need::PractitionerAccess { practitioner: "d1".into(), client: Some("app".into()), user: None };
    assert!(restricted.needs(&kick_off(&restricted, &principal), &principal).contains(&access));
    assert_eq!(status(&restricted, &principal, &facts()), 404, "an unanswered need is a no");
    let open = Facts { accessible_practitioners: ids(&["d1"]), ..facts() };
    assert_eq!(status(&restricted, &principal, &open), 202);
}

#[test]
fn scopes_must_cover_practitioner_and_patient() {
    let endpoint = endpoint();
    for (scopes, expected) in [
        (&["system/*.rs"][..], 202),
        (&["system/Practitioner.rs", "system/Patient.rs"], 202),
        (&["system/Practitioner.rs", "system/Observation.rs"], 403),
        (&["system/Patient.rs", "system/Group.rs"], 403),
        (&["system/Patient.rs?gender=female", "system/Practitioner.rs"], 403),
    ] {
        let principal = client(scopes);
        assert_eq!(status(&endpoint, &principal, &facts()), expected, "{scopes:?}");
        let asked = endpoint.needs(&kick_off(&endpoint, &principal), &principal);
        assert_eq!(asked.len(), if expected == 202 { 2 } else { 1 }, "only who may know has them looked up");
    }
}

/// "System administrators and superusers have access to perform an EHI Export for a single patient, a set of patients for
/// a single provider, or all patients in their system." Clinical users: "any single patient to whom they have access".
#[test]
fn administrators_may_and_clinical_users_may_not() {
    let endpoint = endpoint_with(json!({ "roles": { "presets": ["end-users", "smile-cdr"] } }));
    for (roles, expected) in [
        (&["administrator"][..], 202),
        (&["superuser"], 202),
        (&["ROLE_SUPERUSER"], 202),
        (&["FHIR_OP_INITIATE_BULK_DATA_EXPORT"], 202),
        (&["clinical-user"], 403),
        (&["patient"], 403),
        (&["FHIR_OP_INITIATE_BULK_DATA_EXPORT_GROUP", "FHIR_OP_INITIATE_BULK_DATA_EXPORT_PATIENT"], 403),
        (&[], 403),
    ] {
        assert_eq!(status(&endpoint, &user(roles), &facts()), expected, "{roles:?}");
    }
}

#[test]
fn a_list_of_patients_does_not_narrow_it() {
    let list =
        r#"{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/p1"}}]}"#;
    for prefer in ["", "handling=lenient"] {
        let Route::Respond(response) = route(&endpoint(), "POST", TARGET, prefer, list, &everything()) else {
            panic!("taken");
        };
        assert_eq!((response.status, &json_of(&response)["issue"][0]["expression"]), (400, &json!(["patient"])));
    }
}

/// It is declared as an operation of its own.
#[test]
fn the_statement_declares_it() {
    let Route::Respond(response) = route(&endpoint(), "GET", "/fhir/metadata", "", "", &Principal::Anonymous) else {
        panic!("no statement");
    };
    let statement = json_of(&response);
    let resources = statement["rest"][0]["resource"].as_array().unwrap().iter();
    let practitioner = resources.clone().find(|resource| resource["type"] == "Practitioner").unwrap();
    let definition = practitioner["operation"][0]["definition"].as_str().unwrap();
    let all = resources.flat_map(|resource| resource["operation"].as_array().into_iter().flatten());
    let same = all.filter(|operation| operation["definition"] == definition).count();
    assert_eq!((same, definition.starts_with("http://hl7.org/")), (1, false), "{definition}");
}

//! What users are let through to, and who may follow what was started.

use super::*;
use crate::kick_off::Need;

const EHI: &str = "/fhir/Patient/p1/$ehi-export";
const ONE: &str = "/fhir/Patient/p1/$export";

fn deployment(more: Value) -> Endpoint {
    let mut config = json!({
        "ehi": { "documentationUrl": "https://ehr.example/formats" },
        "roles": { "presets": ["end-users", "smile-cdr"] },
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    endpoint(config)
}

/// A client with a user.
fn user(name: &str, roles: &[&str], scopes: &[&str]) -> Principal {
    let mut principal = client(scopes);
    if let Principal::Known { user, roles: own, .. } = &mut principal {
        *user = Some(Sensitive::new(name.to_owned()));
        own.extend(roles.iter().map(|role| (*role).to_owned()));
    }
    principal
}

fn needs(endpoint: &Endpoint, target: &str, principal: &Principal) -> Vec<Need> {
    let method = if target.contains("ehi-export") { "POST" } else { "GET" };
    let request = Request { method, target, headers: &[], body: b"" };
    let Route::KickOff(kick_off) = endpoint.route(&request, principal) else { panic!("no kick-off") };
    endpoint.needs(&kick_off, principal)
}

#[test]
fn scopes_and_roles_must_both_allow() {
    let endpoint = deployment(json!({}));
    let group = "/fhir/Group/g1/$export";
    let permission = "FHIR_OP_INITIATE_BULK_DATA_EXPORT_GROUP";
    let wide = ["system/*.rs", "user/*.rs"];
    assert_eq!(status(&endpoint, group, &user("u", &[permission], &wide)), 202);
    assert_eq!(status(&endpoint, group, &user("u", &[permission], &["user/*.rs"])), 202, "by the scopes of a user");
    assert_eq!(status(&endpoint, group, &user("u", &[permission], &["user/Patient.rs"])), 403, "the scopes say no");
    assert_eq!(status(&endpoint, "/fhir/$export", &user("u", &[permission], &wide)), 403, "the role says no");
    assert_eq!(status(&endpoint, EHI, &user("u", &["ROLE_SUPERUSER"], &["user/$ehi-export"])), 202);
    assert_eq!(status(&endpoint, EHI, &user("u", &["ROLE_SUPERUSER"], &["user/*.rs"])), 403, "EHI-AUTH-06");
    for roles in [&[][..], &["nobody"], &["role_superuser"]] {
        assert_eq!(status(&endpoint, "/fhir/$export", &user("u", roles, &wide)), 403, "{roles:?}");
    }
    assert_eq!(status(&endpoint, "/fhir/$export", &client(&["system/*.rs"])), 202, "a client by itself has no roles");
    assert_eq!(status(&endpoint, "/fhir/$export", &client(&["user/*.rs"])), 403, "nor the scopes of a user");
}

#[test]
fn without_stated_roles_no_scope_of_a_user_counts() {
    let endpoint = endpoint(json!({}));
    assert_eq!(status(&endpoint, "/fhir/$export", &user("u", &["ROLE_SUPERUSER"], &["user/*.rs"])), 403);
    assert_eq!(status(&endpoint, "/fhir/$export", &user("u", &[], &["system/*.rs"])), 202);
}

#[test]
fn a_clinical_user_exports_whom_the_embedder_says() {
    let endpoint = deployment(json!({}));
    let clinician = user("dr-7", &["clinical-user"], &["user/$ehi-export", "user/*.rs"]);
    let own = Need::PatientAccess { patient: "p1".into(), user: Sensitive::new("dr-7".into()) };
    assert_eq!(needs(&endpoint, EHI, &clinician).first(), Some(&own));
    assert_eq!(needs(&endpoint, "/fhir/$export", &clinician).len(), 1, "nothing but the number of jobs");
    let with_access = Facts { accessible_patients: ["p1".to_owned(), "nobody".to_owned()].into(), ..facts() };
    let status = |target: &str, facts: &Facts| {
        kick_off_with(&endpoint, target, &clinician, facts).map_or_else(|response| response.status, |_| 202)
    };
    assert_eq!((status(EHI, &with_access), status(ONE, &with_access)), (202, 202));
    // Whoever exists: no access is 403.
    for other in ["p2", "absent"] {
        assert_eq!(status(&format!("/fhir/Patient/{other}/$ehi-export"), &with_access), 403, "{other}");
    }
    assert_eq!(status("/fhir/Patient/nobody/$ehi-export", &with_access), 404);
    assert_eq!(status(EHI, &facts()), 403, "an unanswered need is a no");
    for wider in ["/fhir/$export", "/fhir/Patient/$export", "/fhir/Group/g1/$export"] {
        assert_eq!(status(wider, &with_access), 403, "{wider}");
    }
    // Access was asked for that user alone.
    let mut job = kick_off_with(&endpoint, EHI, &clinician, &with_access).unwrap();
    assert_eq!(poll(&mut job, &endpoint, &clinician), 202);
    let colleague = user("dr-8", &["clinical-user"], &["user/$ehi-export"]);
    assert_eq!(poll(&mut job, &endpoint, &colleague), 403);
    let administrator = user("it-1", &["administrator"], &["user/$ehi-export"]);
    assert_eq!(poll(&mut job, &endpoint, &administrator), 202);
}

#[test]
fn patients_export_themselves() {
    let endpoint = deployment(json!({}));
    let patient = of_patient(&user("u-1", &["patient"], &["patient/$ehi-export", "patient/*.rs"]), "p1");
    assert_eq!((status(&endpoint, EHI, &patient), status(&endpoint, ONE, &patient)), (202, 202));
    assert_eq!(status(&endpoint, "/fhir/Patient/p2/$ehi-export", &patient), 403);
    assert_eq!(status(&endpoint, "/fhir/$export", &patient), 403);
    let wide = of_patient(&user("u-1", &["patient"], &["user/$ehi-export", "system/*.rs"]), "p1");
    assert_eq!(status(&endpoint, "/fhir/Patient/p2/$ehi-export", &wide), 403, "whatever the client may");
    assert_eq!(status(&endpoint, "/fhir/$export", &wide), 403);
}

/// BD-SEC-07, BD-SEC-08.
#[test]
fn a_group_may_be_closed_by_a_rule_and_looks_like_none_then() {
    let endpoint = deployment(json!({ "restrictGroups": true }));
    let principal = client(&["system/*.rs"]);
    let asked = Need::GroupAccess { group: "g1".into(), client: Some("app".into()), user: None };
    assert_eq!(needs(&endpoint, "/fhir/Group/g1/$export", &principal)[1], asked);
    assert_eq!(needs(&endpoint, "/fhir/Group/g1/$export", &client(&["system/Patient.rs"])).len(), 1, "it may not know");
    let open = Facts { accessible_groups: ["g1".to_owned(), "absent".to_owned()].into(), ..facts() };
    let ask = |group: &str| kick_off_with(&endpoint, &format!("/fhir/Group/{group}/$export"), &principal, &open);
    assert!(ask("g1").is_ok());
    let (closed, absent) = (ask("g2").unwrap_err(), ask("absent").unwrap_err());
    assert_eq!((closed.status, &closed), (404, &absent), "nobody learns which it is");
}

/// BD-SEC-04.
#[test]
fn who_follows_an_export_is_a_policy() {
    let scopes = ["system/*.rs", "user/*.rs"];
    let roles = ["ROLE_SUPERUSER"];
    let (starter, other_user) = (user("u-1", &roles, &scopes), user("u-2", &roles, &scopes));
    let mut other_client = user("u-1", &roles, &scopes);
    let Principal::Known { client: name, .. } = &mut other_client else { panic!("a bearer") };
    *name = "other".into();
    let mut stranger = other_client.clone();
    let Principal::Known { scopes, .. } = &mut stranger else { panic!("a bearer") };
    *scopes = vec!["system/Patient.rs".into()];
    for (policy, expected) in
        [("client", [200, 200, 404, 404]), ("user", [200, 404, 404, 404]), ("scope", [200, 200, 200, 404])]
    {
        let endpoint = deployment(json!({ "downloads": policy }));
        let mut job = kick_off(&endpoint, "/fhir/$export", &starter).unwrap();
        run(&mut job);
        for below in ["", "/files/Patient-0001.ndjson"] {
            let found = [&starter, &other_user, &other_client, &stranger]
                .map(|principal| request(&mut job, &endpoint, "GET", below, principal).status);
            assert_eq!(found, expected, "{policy} {below}");
        }
        let strange = request(&mut job, &endpoint, "GET", "", &stranger);
        assert_eq!(strange, endpoint.not_found(), "as if there were none");
        let removal = request(&mut job, &endpoint, "DELETE", "", &other_client).status;
        assert_eq!(removal, if policy == "scope" { 403 } else { 404 }, "{policy}");
        assert_eq!(request(&mut job, &endpoint, "DELETE", "", &starter).status, 202);
    }
    // A client by itself has no user to be told from.
    let endpoint = deployment(json!({ "downloads": "user" }));
    let backend = client(&["system/*.rs"]);
    let mut job = kick_off(&endpoint, "/fhir/$export", &backend).unwrap();
    assert_eq!(poll(&mut job, &endpoint, &backend), 202);
}

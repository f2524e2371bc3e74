//! Who may have what, over HTTP: tokens, scopes of both grammars, groups, users and their roles, downloads.

use ehi_tests::{
    records::{folder, group, names, observation, patient, resource, set},
    requirement,
    server::Server,
    tokens::{settings, tokens, write},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two patients with an observation each, a laboratory one among them, and a practitioner.
fn records() -> TempDir {
    let coded = |id: &str, patient: &str, code: &str| {
        let category = json!([{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": code }] }]);
        let subject = json!({ "reference": format!("Patient/{patient}") });
        resource("Observation", id, json!({ "status": "final", "category": category, "subject": subject }))
    };
    folder(&[(
        "a.ndjson",
        &[
            patient("p1"),
            patient("p2"),
            coded("lab1", "p1", "laboratory"),
            coded("vital1", "p1", "vital-signs"),
            coded("social1", "p1", "social-history"),
            observation("o2", "p2"),
            resource("Practitioner", "d1", json!({})),
            group("g1", &["p1"]),
            group("g2", &["p2"]),
        ],
    )])
}

fn scopes(scopes: &[&str]) -> Value {
    json!({ "scopes": scopes })
}

#[test]
fn without_a_token_nothing_is_told() {
    let data = records();
    let tokens = tokens(&[
        ("app", scopes(&["system/*.read"])),
        ("ended", json!({ "scopes": ["system/*.read"], "expires": "2020-01-01T00:00:00Z" })),
    ]);
    let server = Server::start_with_tokens(data.path(), tokens.path(), None, &[]);
    server.bear("app");
    let (location, manifest) = server.export("$export?_type=Patient");
    assert_eq!(manifest["requiresAccessToken"], true);
    let file = server.file_target(&manifest["output"][0]);
    assert_eq!(server.get(&file).status, 200);
    for token in [None, Some("ended"), Some("unknown")] {
        match token {
            Some(token) => server.bear(token),
            None => server.bear_none(),
        }
        for target in ["$export", "Patient/$export", "Group/g1/$export", "Patient/p1/$export", &location, &file] {
            let refused = server.get(target);
            assert_eq!(refused.status, 401, "{target} as {token:?}");
            assert!(refused.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{refused:?}");
            let text = String::from_utf8_lossy(&refused.body).into_owned();
            assert!(!text.contains("p1") && !text.contains("Patient-0001"), "{text}");
        }
        assert_eq!(server.delete(&location).status, 401);
    }
    requirement!(server, "BD-SEC-02", "BD-SEC-03", "BD-MAN-06", "SM-ACC-02");
}

#[test]
fn a_token_that_leaves_the_list_opens_nothing_more() {
    let data = records();
    let tokens = tokens(&[("app", scopes(&["system/*.read"]))]);
    let server = Server::start_with_tokens(data.path(), tokens.path(), None, &[]);
    server.bear("app");
    assert_eq!(server.get("$export").status, 202);
    write(&tokens, &[]);
    assert_eq!(server.get("$export").status, 401);
}

#[test]
fn an_export_is_known_to_the_client_that_started_it() {
    let data = records();
    let tokens = tokens(&[
        ("app", scopes(&["system/*.rs"])),
        ("narrower", json!({ "client": "app", "scopes": ["system/Patient.rs"] })),
        ("other", scopes(&["system/*.rs"])),
    ]);
    let server = Server::start_with_tokens(data.path(), tokens.path(), None, &[]);
    server.bear("app");
    let (location, manifest) = server.export("$export");
    let file = server.file_target(&manifest["output"][0]);
    server.bear("other");
    for target in [&location, &file] {
        assert_eq!(server.get(target).status, 404, "as if it were not there");
    }
    assert_eq!(server.delete(&location).status, 404);
    server.bear("narrower");
    for target in [&location, &file] {
        assert_eq!(server.get(target).status, 403, "the export holds more than this token covers");
    }
    server.bear("app");
    assert_eq!(server.get(&file).status, 200);
    requirement!(server, "BD-SEC-03", "BD-SEC-04", "SM-ACC-02");
}

#[test]
fn scopes_of_both_grammars_limit_what_is_exported() {
    let data = records();
    let tokens = tokens(&[
        ("v1", scopes(&["system/Patient.read"])),
        ("v2", scopes(&["system/Patient.rs"])),
        ("all1", scopes(&["system/*.*"])),
        ("all2", scopes(&["system/*.cruds"])),
        ("write", scopes(&["system/*.write"])),
        ("letters", scopes(&["system/Patient.sr", "system/Patient.dus"])),
        ("read-only", scopes(&["system/Patient.r"])),
        ("search-only", scopes(&["system/Patient.s"])),
        ("of-a-patient", scopes(&["patient/*.rs"])),
    ]);
    let server = Server::start_with_tokens(data.path(), tokens.path(), None, &["--jobs", "20"]);
    for name in ["v1", "v2"] {
        server.bear(name);
        assert_eq!(names(&server.exported("$export")), set(&["Patient/p1", "Patient/p2"]), "{name}");
        let refused = server.get("$export?_type=Patient,Observation");
        assert_eq!(refused.status, 403, "{name}");
        assert!(refused.outcome().contains("Observation"), "{}", refused.outcome());
    }
    for name in ["all1", "all2"] {
        server.bear(name);
        assert_eq!(server.exported("$export").len(), 9, "{name}");
    }
    // What is no scope, and what lacks read or search, opens nothing.
    for name in ["write", "letters", "read-only", "search-only", "of-a-patient"] {
        server.bear(name);
        assert_eq!(server.get("$export").status, 403, "{name}");
    }
    requirement!(server, "SM-SCP-01", "SM-SCP-02", "SM-SCP-03", "SM-SCP-04", "SM-ACC-03");
}

#[test]
fn what_scopes_do_not_cover_is_left_out_and_that_is_said() {
    let data = records();
    let tokens = tokens(&[
        ("patients", scopes(&["system/Patient.rs"])),
        ("lab", scopes(&["system/Patient.rs", "system/Observation.rs?category=laboratory"])),
        ("two", scopes(&["system/Observation.rs?category=laboratory", "system/Observation.rs?category=vital-signs"])),
    ]);
    let server = Server::start_with_tokens(data.path(), tokens.path(), None, &["--jobs", "20"]);
    server.bear("patients");
    let (_, manifest) = server.export("$export");
    assert!(manifest["output"].as_array().unwrap().iter().all(|item| item["type"] == "Patient"));
    server.bear("lab");
    let (_, manifest) = server.export("$export");
    let exported = names(&server.lines(&manifest, "output"));
    assert_eq!(exported, set(&["Observation/lab1", "Patient/p1", "Patient/p2"]));
    assert!(manifest["extension"]["leftOut"].as_str().unwrap().contains("Observation"));
    server.bear("two");
    assert_eq!(names(&server.exported("$export")), set(&["Observation/lab1", "Observation/vital1"]));
    let narrowed = server.exported("$export?_type=Observation&_typeFilter=Observation%3Fcategory%3Dvital-signs");
    assert_eq!(names(&narrowed), set(&["Observation/vital1"]), "a query narrows, and never widens");
    requirement!(server, "BD-SEC-06", "SM-ACC-05", "SM-SCP-05", "SM-SCP-06");
}

/// One resource for each stage to leave out, and one for each that adds.
#[test]
fn selections_apply_in_their_order() {
    let of = |id: &str, patient: &str, status: &str, updated: &str| {
        let subject = json!({ "reference": format!("Patient/{patient}") });
        let performer = json!([{ "reference": "Practitioner/d1" }]);
        let meta = json!({ "lastUpdated": updated });
        resource(
            "Observation",
            id,
            json!({ "meta": meta, "status": status, "subject": subject, "performer": performer }),
        )
    };
    let about = |id: &str, target: &str| {
        let members = json!({ "target": [{ "reference": target }], "meta": { "lastUpdated": "2001-01-01T00:00:00Z" } });
        resource("Provenance", id, members)
    };
    let condition = json!({ "subject": { "reference": "Patient/p1" } });
    let practitioner = json!({ "meta": { "lastUpdated": "2001-01-01T00:00:00Z" } });
    let data = folder(&[(
        "a.ndjson",
        &[
            patient("p1"),
            patient("p2"),
            group("g1", &["p1"]),
            of("kept", "p1", "final", "2024-01-01T00:00:00Z"),
            of("other-group", "p2", "final", "2024-01-01T00:00:00Z"),
            of("too-old", "p1", "final", "2019-01-01T00:00:00Z"),
            of("filtered", "p1", "preliminary", "2024-01-01T00:00:00Z"),
            resource("Condition", "not-granted", condition.clone()),
            resource("Procedure", "not-asked-for", condition),
            about("of-kept", "Observation/kept"),
            about("of-filtered", "Observation/filtered"),
            resource("Practitioner", "d1", practitioner.clone()),
            resource("Practitioner", "d2", practitioner),
        ],
    )]);
    let granted = ["Patient", "Observation", "Procedure", "Group", "Provenance", "Practitioner"];
    let granted: Vec<String> = granted.iter().map(|name| format!("system/{name}.rs")).collect();
    let tokens = tokens(&[("app", json!({ "scopes": granted }))]);
    let supporting = settings(&json!({ "supporting": "all" }));
    let server = Server::start_with_tokens(data.path(), tokens.path(), Some(supporting.path()), &[]);
    server.bear("app");
    assert_eq!(server.get("Group/g1/$export?_type=Observation,Condition").status, 403);
    let target = "Group/g1/$export?_type=Observation,Practitioner&_since=2020-01-01T00:00:00Z\
        &_typeFilter=Observation%3Fstatus%3Dfinal&includeAssociatedData=RelevantProvenanceResources";
    let expected = set(&["Observation/kept", "Practitioner/d1", "Provenance/of-kept"]);
    assert_eq!(names(&server.exported(target)), expected);
    requirement!(server, "BD-TF-19");
}

#[test]
fn a_group_is_exported_by_who_may_read_it() {
    let data = records();
    let tokens = tokens(&[
        ("no-groups", scopes(&["system/Patient.rs", "system/Observation.rs"])),
        ("groups", json!({ "scopes": ["system/*.rs"], "access": { "groups": ["g1"] } })),
    ]);
    let open = Server::start_with_tokens(data.path(), tokens.path(), None, &[]);
    open.bear("no-groups");
    let refused = open.get("Group/g1/$export");
    assert_eq!(refused.status, 403);
    assert!(refused.outcome().contains("groups"));
    open.bear("groups");
    assert_eq!(open.get("Group/g2/$export").status, 202, "groups are not restricted here");

    let restricted = settings(&json!({ "restrictGroups": true }));
    let server = Server::start_with_tokens(data.path(), tokens.path(), Some(restricted.path()), &[]);
    server.bear("groups");
    let exported = names(&server.exported("Group/g1/$export?_type=Patient"));
    assert_eq!(exported, set(&["Patient/p1"]));
    let denied = server.get("Group/g2/$export");
    let absent = server.get("Group/none/$export");
    assert_eq!((denied.status, absent.status), (404, 404));
    assert_eq!(denied.outcome(), absent.outcome().replace("none", "g2"), "denied like what is not there");
    requirement!(server, "BD-SEC-07", "BD-SEC-08");
}

#[test]
fn a_user_may_what_the_roles_allow() {
    let data = records();
    let user = |name: &str, role: &str| json!({ "client": "portal", "user": name, "roles": [role], "scopes": ["user/*.rs"], "access": { "patients": ["p1"] } });
    let tokens = tokens(&[
        ("admin", user("a", "administrator")),
        ("clinician", user("c", "clinical-user")),
        ("nobody", user("n", "janitor")),
    ]);
    let roles = settings(&json!({ "roles": { "presets": ["end-users"] }, "downloads": "user" }));
    let server = Server::start_with_tokens(data.path(), tokens.path(), Some(roles.path()), &["--jobs", "20"]);
    for (token, system, own, foreign) in
        [("admin", 202, 202, 202), ("clinician", 403, 202, 404), ("nobody", 403, 403, 403)]
    {
        server.bear(token);
        let status = |target: &str| server.get(target).status;
        assert_eq!(status("$export"), system, "{token}");
        assert_eq!(status("Patient/p1/$export"), own, "{token}");
        let of_another = status("Patient/p2/$export");
        assert!(of_another == foreign || (foreign == 404 && of_another == 403), "{token}: {of_another}");
    }
    // Of one client, but of another user.
    server.bear("clinician");
    let (location, manifest) = server.export("Patient/p1/$export?_type=Patient");
    server.bear("admin");
    assert_eq!(server.get(&location).status, 404);
    assert_eq!(server.get(&server.file_target(&manifest["output"][0])).status, 404);
}

#[test]
fn signed_addresses_open_files_without_a_token_and_nothing_else() {
    let data = records();
    let tokens = tokens(&[("app", scopes(&["system/*.rs"]))]);
    let key = json!({ "id": "k1", "secret": "ab".repeat(32) });
    let signed = settings(&json!({ "signedUrls": { "keys": [key], "seconds": 3 } }));
    let server = Server::start_with_tokens(data.path(), tokens.path(), Some(signed.path()), &[]);
    server.bear("app");
    let (location, manifest) = server.export("$export?_type=Patient");
    assert_eq!(manifest["requiresAccessToken"], false);
    let file = server.file_target(&manifest["output"][0]);
    server.bear_none();
    assert_eq!(server.send("GET", &file, &[], "").status, 200);
    assert_eq!(server.get(&location).status, 401);
    let bare = file.split('?').next().unwrap();
    let last = file.chars().last().unwrap();
    let forged = format!("{}{}", &file[..file.len() - 1], if last == '0' { '1' } else { '0' });
    for target in [bare, &forged, &file.replace("Patient-0001", "Observation-0001")] {
        assert!(matches!(server.send("GET", target, &[], "").status, 401 | 404), "{target}");
    }
    std::thread::sleep(std::time::Duration::from_millis(3_100));
    assert_ne!(server.send("GET", &file, &[], "").status, 200, "it opens for three seconds");
    requirement!(server, "BD-SEC-05", "BD-MAN-07", "BD-FILE-05", "BD-FILE-06");
}

//! SMART App Launch as a patient's app goes through it, from discovery to the files. The authorisation server is the
//! embedder's own, here the one of the tests; what this server does with its tokens is what counts.

use ehi_tests::{
    authorization::{Authorization, Registered, challenge_of, encoded, fields},
    http::{self, Reply},
    records::{names, observation, patient, set},
    requirement,
    server::{Server, data},
    tokens,
};
use serde_json::{Value, json};

const REDIRECT: &str = "https://app.example/callback";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-1";

#[test]
fn a_launched_app_exports_the_record_of_its_patient_and_goes_on_with_a_refreshed_token() {
    let lines = [patient("p1"), patient("p2"), observation("o1", "p1"), observation("o2", "p2")];
    let data = data(&[("a.ndjson", &lines.join("\n"))]);
    let registered = Registered { client: "app".into(), redirect_uri: REDIRECT.into(), patient: "p1".into() };
    let authorization = Authorization::start(registered);
    let settings = settings(&authorization);
    let server = Server::start_with_tokens(data.path(), authorization.tokens.path(), Some(settings.path()), &[]);

    let smart = discover(&server);
    let launched = launch(&server, &smart);
    assert_eq!(
        (&launched["patient"], &launched["scope"]),
        (&json!("p1"), &json!("patient/$ehi-export offline_access"))
    );
    let kick_off = |token: &Value, patient: &str| {
        server.bear(token.as_str().expect("a token"));
        server.send("POST", &format!("Patient/{patient}/$ehi-export"), &[("Prefer", "respond-async")], "")
    };
    assert_eq!(kick_off(&launched["access_token"], "p2").status, 403, "the context is that of one patient");
    let location = server.accepted(&kick_off(&launched["access_token"], "p1"));

    let refresh = |token: &Value| {
        let token = encoded(token.as_str().expect("a token"));
        ask_for_token(&smart, &format!("grant_type=refresh_token&refresh_token={token}"))
    };
    let refreshed = refresh(&launched["refresh_token"]);
    assert_eq!(refreshed.status, 200);
    assert_eq!(server.get(&location).status, 401, "the token before it is not good any more");
    let refreshed = refreshed.json();
    server.bear(refreshed["access_token"].as_str().expect("a token"));
    let done = server.poll(&location);
    assert_eq!(done.status, 200);
    assert_eq!(names(&server.lines(&done.json(), "output")), set(&["Observation/o1", "Patient/p1"]));
    requirement!(server, "EHI-AUTH-01");
}

/// Without a patient in its context the scope opens nobody's record.
#[test]
fn the_scope_alone_exports_nobody() {
    let data = data(&[("a.ndjson", &patient("p1"))]);
    let tokens = tokens::tokens(&[("app", json!({ "scopes": ["patient/$ehi-export"] }))]);
    let settings = tokens::settings(&json!({ "ehi": { "documentationUrl": "https://ehr.example/formats" } }));
    let server = Server::start_with_tokens(data.path(), tokens.path(), Some(settings.path()), &[]);
    server.bear("app");
    let refused = server.send("POST", "Patient/p1/$ehi-export", &[("Prefer", "respond-async")], "");
    assert_eq!(refused.status, 403);
    assert!(!refused.outcome().is_empty());
}

fn settings(authorization: &Authorization) -> tempfile::NamedTempFile {
    tokens::settings(&json!({
        "ehi": { "documentationUrl": "https://ehr.example/formats" },
        "smart": {
            "authorizationEndpoint": format!("{}/authorize", authorization.base),
            "tokenEndpoint": format!("{}/token", authorization.base),
            "scopes": ["offline_access"],
            "capabilities": ["launch-standalone", "context-standalone-patient", "client-public"],
        },
    }))
}

/// What the app learns of the server, which is all that it needs.
fn discover(server: &Server) -> Value {
    server.bear_none();
    let smart = server.get(".well-known/smart-configuration").json();
    let has = |member: &str, item: &str| smart[member].as_array().expect("an array").contains(&item.into());
    for capability in
        ["launch-standalone", "permission-patient", "permission-offline", "context-standalone-patient", "client-public"]
    {
        assert!(has("capabilities", capability), "{capability}");
    }
    assert!(has("scopes_supported", "patient/$ehi-export") && has("scopes_supported", "offline_access"));
    assert!(has("grant_types_supported", "authorization_code") && has("code_challenge_methods_supported", "S256"));
    smart
}

/// The app sends the browser to the authorisation server, and redeems the code that it comes back with.
fn launch(server: &Server, smart: &Value) -> Value {
    let scope = encoded("patient/$ehi-export offline_access");
    let query = format!(
        "response_type=code&client_id=app&redirect_uri={}&scope={scope}&state=xyz&aud={}&code_challenge={}\
         &code_challenge_method=S256",
        encoded(REDIRECT),
        encoded(&server.base),
        challenge_of(VERIFIER),
    );
    let code = || {
        let (address, path) = address_of(&smart["authorization_endpoint"]);
        let sent = http::send(&address, "GET", &format!("{path}?{query}"), &[], b"").expect("an answer");
        let back = sent.header("location").expect("back to the app").to_owned();
        let back = fields(back.strip_prefix(&format!("{REDIRECT}?")).expect("to the registered address"));
        assert_eq!((sent.status, back["state"].as_str()), (302, "xyz"));
        back["code"].clone()
    };
    let redeem = |code: &str, verifier: &str| {
        let redirect = encoded(REDIRECT);
        let body = format!(
            "grant_type=authorization_code&client_id=app&redirect_uri={redirect}&code={code}&code_verifier={verifier}"
        );
        ask_for_token(smart, &body)
    };
    assert_eq!(redeem(&code(), "of-somebody-else").status, 400, "a code without its verifier is worth nothing");
    let token = redeem(&code(), VERIFIER);
    assert_eq!(token.status, 200, "{token:?}");
    token.json()
}

fn ask_for_token(smart: &Value, body: &str) -> Reply {
    let (address, path) = address_of(&smart["token_endpoint"]);
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    http::send(&address, "POST", &path, &headers, body.as_bytes()).expect("an answer")
}

/// Authority and path of a URL.
fn address_of(url: &Value) -> (String, String) {
    let rest = url.as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL");
    let (address, path) = rest.split_once('/').expect("a path");
    (address.to_owned(), format!("/{path}"))
}

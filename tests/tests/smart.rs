//! `.well-known/smart-configuration` over HTTP.

use ehi_tests::{
    records::ward,
    requirement,
    server::Server,
    tokens::{settings, tokens},
};
use serde_json::json;

#[test]
fn clients_learn_where_tokens_come_from() {
    let data = ward();
    let tokens = tokens(&[("app", json!({ "scopes": ["system/*.rs"] }))]);
    let smart = json!({ "tokenEndpoint": "https://idp.example/token", "jwksUri": "https://idp.example/jwks" });
    let backend = settings(&json!({ "smart": smart }));
    let server = Server::start_with_tokens(data.path(), tokens.path(), Some(backend.path()), &[]);
    for accept in ["text/html", "application/fhir+json", "*/*"] {
        let reply = server.send("GET", ".well-known/smart-configuration", &[("Accept", accept)], "");
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{accept}");
        let told = reply.json();
        assert_eq!(told["token_endpoint"], "https://idp.example/token");
        assert_eq!(told["grant_types_supported"], json!(["client_credentials"]));
        assert_eq!(told["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(told.get("authorization_endpoint"), None, "nothing is launched");
        for (name, value) in told.as_object().unwrap() {
            if name.ends_with("_endpoint") || name.ends_with("_uri") {
                assert!(value.as_str().unwrap().starts_with("https://"), "{name}");
            }
        }
        let has = |member: &str, item: &str| told[member].as_array().unwrap().contains(&item.into());
        assert!(has("capabilities", "client-confidential-asymmetric"));
        assert!(has("token_endpoint_auth_methods_supported", "private_key_jwt"));
        assert!(has("token_endpoint_auth_signing_alg_values_supported", "ES384"));
    }
    requirement!(server, "SM-WK-01", "SM-WK-02", "SM-WK-03", "SM-WK-04");
}

#[test]
fn only_scopes_that_open_something_are_listed() {
    let data = ward();
    let listed = |more: serde_json::Value| {
        let mut members = json!({ "smart": { "tokenEndpoint": "https://idp.example/token" } });
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (tokens, settings) = (tokens(&[]), settings(&members));
        let server = Server::start_with_tokens(data.path(), tokens.path(), Some(settings.path()), &[]);
        let told = server.get(".well-known/smart-configuration").json();
        let scopes = told["scopes_supported"].as_array().unwrap();
        let scopes: Vec<String> = scopes.iter().map(|scope| scope.as_str().unwrap().to_owned()).collect();
        (server, scopes)
    };
    let (_, bulk) = listed(json!({}));
    assert_eq!(bulk, ["system/*.read", "system/*.rs"]);
    let (server, ehi) = listed(json!({ "ehi": { "documentationUrl": "https://ehr.example/formats" } }));
    assert_eq!(ehi, ["system/$ehi-export", "system/*.read", "system/*.rs"]);
    requirement!(server, "SM-WK-05", "SM-WK-07");
}

//! `[base]/.well-known/smart-configuration`: where tokens come from and which scopes mean something here.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::EndpointConfig;
use crate::http::Response;

/// The authorisation server of a deployment, as it is told to clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmartConfig {
    /// `token_endpoint`. All URLs are absolute.
    pub token_endpoint: String,
    /// `authorization_endpoint`, if apps are launched; with it the scopes of patients are offered.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// `issuer`, of an OpenID provider.
    #[serde(default)]
    pub issuer: Option<String>,
    /// `jwks_uri`, of an OpenID provider.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// `introspection_endpoint`.
    #[serde(default)]
    pub introspection_endpoint: Option<String>,
    /// `revocation_endpoint`.
    #[serde(default)]
    pub revocation_endpoint: Option<String>,
    /// `management_endpoint`.
    #[serde(default)]
    pub management_endpoint: Option<String>,
    /// `registration_endpoint`.
    #[serde(default)]
    pub registration_endpoint: Option<String>,
    /// Capabilities of the authorisation server besides those that follow from the rest.
    #[serde(default)]
    pub capabilities: BTreeSet<String>,
    /// Scopes of the authorisation server's own, such as `openid` and `offline_access`. Those of data are listed by
    /// themselves, as far as they mean something.
    #[serde(default)]
    pub scopes: BTreeSet<String>,
}

/// The answer, as JSON whatever `Accept` says (SM-WK-01).
pub(super) fn configuration(config: &EndpointConfig, smart: &SmartConfig) -> Response {
    let mut members: Map<String, Value> =
        smart.urls().into_iter().filter_map(|(name, url)| url.map(|url| (name.to_owned(), json!(url)))).collect();
    let launch = smart.authorization_endpoint.is_some();
    let grant_types: &[&str] =
        if launch { &["authorization_code", "client_credentials"] } else { &["client_credentials"] };
    members.insert("grant_types_supported".into(), json!(grant_types));
    if launch {
        members.insert("response_types_supported".into(), json!(["code"]));
    }
    members.insert("code_challenge_methods_supported".into(), json!(["S256"]));
    members.insert("token_endpoint_auth_methods_supported".into(), json!(["private_key_jwt"]));
    members.insert("token_endpoint_auth_signing_alg_values_supported".into(), json!(["ES384", "RS384"]));
    members.insert("scopes_supported".into(), json!(scopes(config, smart)));
    members.insert("capabilities".into(), json!(capabilities(config, smart)));
    Response::json(200, "application/json", Value::Object(members).to_string())
}

impl SmartConfig {
    /// What is wrong with the configuration.
    pub(super) fn problem(&self, insecure_http: bool) -> Option<&'static str> {
        let is_url = |url: &str| {
            let secure = url.strip_prefix("https://");
            let rest = secure.or_else(|| url.strip_prefix("http://").filter(|_| insecure_http));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
                && url.bytes().all(|b| b.is_ascii_graphic())
        };
        let of_data =
            |scope: &String| ["patient/", "user/", "system/"].iter().any(|context| scope.starts_with(context));
        let is_word = |word: &String| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic());
        if !self.urls().into_iter().filter_map(|(_, url)| url).all(is_url) {
            Some("the URLs of `smart` must be absolute https URLs")
        } else if self.scopes.iter().any(|scope| of_data(scope) || !is_word(scope)) {
            Some("`smart.scopes` holds scopes of the authorisation server's own, not of data")
        } else if !self.capabilities.iter().all(is_word) {
            Some("each of `smart.capabilities` must be a word")
        } else {
            None
        }
    }

    fn urls(&self) -> [(&'static str, Option<&str>); 8] {
        [
            ("token_endpoint", Some(self.token_endpoint.as_str())),
            ("authorization_endpoint", self.authorization_endpoint.as_deref()),
            ("issuer", self.issuer.as_deref()),
            ("jwks_uri", self.jwks_uri.as_deref()),
            ("introspection_endpoint", self.introspection_endpoint.as_deref()),
            ("revocation_endpoint", self.revocation_endpoint.as_deref()),
            ("management_endpoint", self.management_endpoint.as_deref()),
            ("registration_endpoint", self.registration_endpoint.as_deref()),
        ]
    }
}

/// What grants something here, and nothing else (SM-WK-05, SM-WK-07). Users are let in by their roles, so without roles
/// their scopes mean nothing.
fn scopes(config: &EndpointConfig, smart: &SmartConfig) -> BTreeSet<String> {
    let launch = smart.authorization_endpoint.is_some();
    let contexts = [("system", true), ("patient", launch), ("user", launch && config.roles.is_some())];
    let contexts = contexts.into_iter().filter(|(_, offered)| *offered);
    let names = contexts.flat_map(|(context, _)| {
        let ehi = config.ehi.as_ref().map(|_| format!("{context}/$ehi-export"));
        [format!("{context}/*.read"), format!("{context}/*.rs")].into_iter().chain(ehi)
    });
    names.chain(smart.scopes.iter().cloned()).collect()
}

/// SM-WK-04.
fn capabilities(config: &EndpointConfig, smart: &SmartConfig) -> BTreeSet<String> {
    let launch = smart.authorization_endpoint.is_some();
    let all = [
        ("client-confidential-asymmetric", true),
        ("permission-v1", true),
        ("permission-v2", true),
        ("permission-patient", launch),
        ("permission-offline", launch && smart.scopes.contains("offline_access")),
        ("permission-user", launch && config.roles.is_some()),
    ];
    let own = all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned());
    own.chain(smart.capabilities.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Endpoint,
        access::Principal,
        endpoint::Route,
        http::{Body, Request},
    };

    fn endpoint(more: Value) -> Result<Endpoint, crate::endpoint::ConfigError> {
        let mut config = json!({ "baseUrl": "https://ehr.example/fhir", "auth": "bearer" });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        EndpointConfig::from_json(&config.to_string()).and_then(Endpoint::new)
    }

    fn get(endpoint: &Endpoint, accept: &str) -> (u16, Option<String>, Value) {
        let headers: &[(&str, &[u8])] = &[("Accept", accept.as_bytes())];
        let headers = if accept.is_empty() { &[] } else { headers };
        let target = "/fhir/.well-known/smart-configuration";
        let request = Request { method: "GET", target, headers, body: b"" };
        let Route::Respond(response) = endpoint.route(&request, &Principal::Anonymous) else { panic!("no response") };
        let content_type = response.header("content-type").map(str::to_owned);
        let Body::Text(text) = response.body else { panic!("no text") };
        (response.status, content_type, serde_json::from_str(&text).unwrap())
    }

    fn smart() -> Value {
        json!({ "tokenEndpoint": "https://ehr.example/token" })
    }

    /// SM-WK-01, SM-WK-06.
    #[test]
    fn it_is_json_for_anyone_whatever_is_accepted() {
        let endpoint = endpoint(json!({ "smart": smart() })).unwrap();
        for accept in ["", "text/html", "application/fhir+json", "*/*"] {
            let (status, content_type, body) = get(&endpoint, accept);
            assert_eq!((status, content_type.as_deref()), (200, Some("application/json")), "{accept}");
            assert_eq!(body["token_endpoint"], "https://ehr.example/token");
        }
    }

    /// SM-WK-03, SM-WK-04.
    #[test]
    fn it_has_what_is_required() {
        let (_, _, backend) = get(&endpoint(json!({ "smart": smart() })).unwrap(), "");
        assert_eq!(backend["grant_types_supported"], json!(["client_credentials"]));
        assert_eq!(backend["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(backend["token_endpoint_auth_methods_supported"], json!(["private_key_jwt"]));
        assert_eq!(backend["token_endpoint_auth_signing_alg_values_supported"], json!(["ES384", "RS384"]));
        let expected = json!(["client-confidential-asymmetric", "permission-v1", "permission-v2"]);
        assert_eq!(backend["capabilities"], expected);
        assert!(backend.get("authorization_endpoint").is_none());

        let mut launched = smart();
        launched["authorizationEndpoint"] = json!("https://ehr.example/authorize");
        launched["capabilities"] = json!(["launch-standalone"]);
        launched["scopes"] = json!(["offline_access"]);
        let (_, _, launched) = get(&endpoint(json!({ "smart": launched })).unwrap(), "");
        assert_eq!(launched["authorization_endpoint"], "https://ehr.example/authorize");
        assert_eq!(launched["grant_types_supported"], json!(["authorization_code", "client_credentials"]));
        let expected = [
            "client-confidential-asymmetric",
            "launch-standalone",
            "permission-offline",
            "permission-patient",
            "permission-v1",
            "permission-v2",
        ];
        assert_eq!(launched["capabilities"], json!(expected));
        let expected = json!(["offline_access", "patient/*.read", "patient/*.rs", "system/*.read", "system/*.rs"]);
        assert_eq!(launched["scopes_supported"], expected);
    }

    /// SM-WK-05, SM-WK-07.
    #[test]
    fn only_scopes_that_mean_something_are_listed() {
        let ehi = json!({ "documentationUrl": "https://ehr.example/formats" });
        let scopes = |more: Value| get(&endpoint(more).unwrap(), "").2["scopes_supported"].clone();
        assert_eq!(scopes(json!({ "smart": smart() })), json!(["system/*.read", "system/*.rs"]));
        let backend = scopes(json!({ "smart": smart(), "ehi": ehi }));
        assert_eq!(backend, json!(["system/$ehi-export", "system/*.read", "system/*.rs"]));
        let mut launched = smart();
        launched["authorizationEndpoint"] = json!("https://ehr.example/authorize");
        let all = scopes(json!({ "smart": launched, "ehi": ehi, "roles": { "presets": ["end-users"] } }));
        let names = |context: &str| ["$ehi-export", "*.read", "*.rs"].map(|name| format!("{context}/{name}"));
        assert_eq!(all, json!([names("patient"), names("system"), names("user")].concat()));
    }

    /// SM-WK-02.
    #[test]
    fn every_address_is_absolute() {
        for wrong in ["", "/token", "token", "//ehr.example/token", "http://ehr.example/token", "https:///token"] {
            assert!(endpoint(json!({ "smart": { "tokenEndpoint": wrong } })).is_err(), "{wrong}");
            let mut other = smart();
            other["jwksUri"] = json!(wrong);
            assert!(endpoint(json!({ "smart": other })).is_err(), "{wrong}");
        }
        let mut wrong = smart();
        wrong["scopes"] = json!(["system/*.cruds"]);
        assert!(endpoint(json!({ "smart": wrong })).is_err());
    }
}

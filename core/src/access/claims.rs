//! From the claims of an access token to who asks (RFC 9068, SMART App Launch).

use serde::{Deserialize, Serialize};

use super::{
    assertion::{Audience, check_window},
    principal::{Principal, TokenError},
};
use crate::{Sensitive, time::Timestamp};

/// What an access token must say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRules {
    /// `iss`: who issues tokens.
    pub issuer: String,
    /// `aud`: this server, in each spelling that is accepted.
    pub audience: Vec<String>,
    /// By how much clocks may differ, in seconds; at most a minute counts.
    #[serde(default)]
    pub skew_seconds: u64,
}

/// The claims that count. Others are the authorisation server's own business.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    client_id: String,
    sub: Option<String>,
    #[serde(rename = "fhirUser")]
    fhir_user: Option<String>,
    patient: Option<String>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    roles: Vec<String>,
}

impl Principal {
    /// The bearer of an access token whose signature you have verified, or whose introspection said `active`, by its claims
    /// as JSON text.
    ///
    /// The user is `fhirUser`, or `sub` if that is not the client itself. A token that has ended or was not issued for this
    /// server is no token: answer as for [`Anonymous`](Principal::Anonymous).
    pub fn from_claims(json: &str, rules: &TokenRules, now: Timestamp) -> Result<Self, TokenError> {
        let claims: Claims = serde_json::from_str(json).map_err(|_| TokenError)?;
        let window = check_window(claims.exp, claims.nbf, rules.skew_seconds, now);
        if claims.iss != rules.issuer || !claims.aud.is_for(&rules.audience) || window.is_err() {
            return Err(TokenError);
        }
        if claims.client_id.is_empty() {
            return Err(TokenError);
        }
        let user = claims.fhir_user.or_else(|| claims.sub.filter(|sub| *sub != claims.client_id));
        Ok(Self::Known {
            client: claims.client_id,
            user: user.map(Sensitive::new),
            patient: claims.patient.map(Sensitive::new),
            scopes: claims.scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            roles: claims.roles,
            // The play that was given to the clock is given to it in every later comparison too.
            expires: Timestamp::from_millis(claims.exp.saturating_mul(1_000)).plus_seconds(rules.skew_seconds.min(60)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn read(claims: &Value) -> Result<Principal, TokenError> {
        let rules = TokenRules {
            issuer: "https://idp.example".into(),
            audience: vec!["https://ehr.example".into()],
            skew_seconds: 5,
        };
        Principal::from_claims(&claims.to_string(), &rules, Timestamp::from_millis(NOW * 1_000))
    }

    fn claims() -> Value {
        json!({ "iss": "https://idp.example", "aud": ["https://ehr.example"], "exp": NOW + 60, "client_id": "app",
            "sub": "app", "scope": "system/*.rs  openid", "iat": NOW })
    }

    #[test]
    fn claims_say_who_asks() {
        let backend = read(&claims()).unwrap();
        let expected = Principal::Known {
            client: "app".into(),
            user: None,
            patient: None,
            scopes: vec!["system/*.rs".into(), "openid".into()],
            roles: Vec::new(),
            expires: Timestamp::from_millis((NOW + 65) * 1_000),
        };
        assert_eq!(backend, expected);
        let mut launched = claims();
        launched["sub"] = json!("u-7");
        launched["patient"] = json!("p1");
        launched["roles"] = json!(["clinical-user"]);
        let Principal::Known { user, patient, roles, .. } = read(&launched).unwrap() else { panic!("a bearer") };
        let exposed = |value: Option<Sensitive<String>>| value.map(|value| value.expose().clone());
        assert_eq!((exposed(user).as_deref(), exposed(patient).as_deref()), (Some("u-7"), Some("p1")));
        assert_eq!(roles, ["clinical-user"]);
    }

    /// SM-ACC-02.
    #[test]
    fn a_token_of_another_time_or_for_another_server_is_none() {
        for (name, value) in [
            ("iss", json!("https://evil.example")),
            ("aud", json!("https://other.example")),
            ("exp", json!(NOW - 5)),
            ("nbf", json!(NOW + 6)),
            ("client_id", json!("")),
            ("client_id", Value::Null),
            ("exp", json!(1.5)),
            ("scope", json!(["system/*.rs"])),
            ("roles", json!("superuser")),
        ] {
            let mut wrong = claims();
            wrong[name] = value;
            assert_eq!(read(&wrong), Err(TokenError), "{name}");
        }
    }
}

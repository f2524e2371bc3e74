//! A client's assertion of who it is (SMART Backend Services, RFC 7523), checked but for its signature.
//!
//! 1. [`ClientAssertion::read`] it; look up the registration of the [`client`](ClientAssertion::client) that it claims.
//! 2. [`check`](ClientAssertion::check) it against that. Nothing is fetched on the word of a token: the keys are those of the
//!    registration, from its own `jwks_url` or handed in with it.
//! 3. Verify the signature with the key that is named, then store the `jti` of [`Replay`] if it is not stored yet. Only if
//!    both succeed, the client is who it says. Else, and on any error here, answer [`invalid_client`].

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::jws::{Algorithm, Jws};
use crate::{http::Response, time::Timestamp};

/// An assertion that was read and not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAssertion<'t> {
    jws: Jws<'t, Claims>,
}

/// A client as it was registered, with its keys as they are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientRegistration {
    /// `client_id`.
    pub client_id: String,
    /// Where its keys come from, if they were not handed in.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// What identifies its keys; the rest of them is for whoever verifies.
    pub keys: Vec<ClientKey>,
}

/// What identifies a key of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientKey {
    /// `kid`.
    pub kid: String,
    /// `kty`.
    pub kty: String,
}

/// What an assertion must say besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssertionRules {
    /// The token endpoint, in each spelling that is accepted as `aud`.
    pub audience: Vec<String>,
    /// By how much clocks may differ, in seconds; at most a minute counts.
    #[serde(default = "default_skew")]
    pub skew_seconds: u64,
}

/// What is left to do before the client is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToVerify<'t> {
    /// Verify with this algorithm,
    pub algorithm: Algorithm,
    /// with the key at this place of the registration,
    pub key: usize,
    /// that these bytes
    pub signed: &'t str,
    /// have this signature.
    pub signature: &'t [u8],
    /// Then store this; it must be new.
    pub replay: Replay,
}

/// What makes an assertion count once (SM-VAL-02).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// Of this client,
    pub client: String,
    /// no other assertion with this `jti`
    pub jti: String,
    /// until then.
    pub until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    jti: String,
    nbf: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl<'t> ClientAssertion<'t> {
    /// Reads an assertion; the text of `client_assertion`.
    pub fn read(token: &'t str) -> Result<Self, AssertionError> {
        Jws::read(token).map(|jws| Self { jws }).ok_or(AssertionError::Unreadable)
    }

    /// Who the client says it is. Nothing is proved yet.
    pub fn client(&self) -> &str {
        &self.jws.claims.iss
    }

    /// Everything but the signature and the replay (SM-VAL-01).
    pub fn check(
        &self,
        registration: &ClientRegistration,
        rules: &AssertionRules,
        now: Timestamp,
    ) -> Result<ToVerify<'_>, AssertionError> {
        let Jws { header, claims, signed, signature } = &self.jws;
        let algorithm = Algorithm::parse(&header.alg).ok_or(AssertionError::Algorithm)?;
        if header.typ.as_ref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(AssertionError::Unreadable);
        }
        if claims.iss != claims.sub || claims.iss != registration.client_id {
            return Err(AssertionError::Client);
        }
        // SM-VAL-04. A URL that was not registered is never followed.
        if header.jku.is_some() && header.jku != registration.jwks_url {
            return Err(AssertionError::KeySource);
        }
        if !claims.aud.is_for(&rules.audience) {
            return Err(AssertionError::Audience);
        }
        check_window(claims.exp, claims.nbf, rules.skew_seconds, now)?;
        if claims.exp > seconds(now).saturating_add(LIFETIME_SECONDS_MAX).saturating_add(skew(rules.skew_seconds)) {
            return Err(AssertionError::TooLong);
        }
        if claims.jti.is_empty() || claims.jti.len() > JTI_BYTES_MAX {
            return Err(AssertionError::Jti);
        }
        let until = claims.exp.saturating_add(skew(rules.skew_seconds)).saturating_add(1).saturating_mul(1_000);
        let replay =
            Replay { client: claims.iss.clone(), jti: claims.jti.clone(), until: Timestamp::from_millis(until) };
        Ok(ToVerify { algorithm, key: self.key(registration, algorithm)?, signed, signature, replay })
    }

    /// SM-VAL-05: the one key of that id and type.
    fn key(&self, registration: &ClientRegistration, algorithm: Algorithm) -> Result<usize, AssertionError> {
        let kid = self.jws.header.kid.as_deref().filter(|kid| !kid.is_empty()).ok_or(AssertionError::Key)?;
        let fits = |key: &ClientKey| key.kid == kid && key.kty == algorithm.key_type();
        let mut places = registration.keys.iter().enumerate().filter(|(_, key)| fits(key)).map(|(place, _)| place);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (None, _) | (Some(_), Some(_)) => Err(AssertionError::Key),
        }
    }
}

impl Audience {
    pub(super) fn is_for(&self, known: &[String]) -> bool {
        match self {
            Self::One(audience) => known.contains(audience),
            Self::Several(audiences) => audiences.iter().any(|audience| known.contains(audience)),
        }
    }
}

/// Why an assertion is not believed; for logs, since a client is told no more than [`invalid_client`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertionError {
    /// It is no signed token of this kind.
    Unreadable,
    /// It is signed in a way that is not allowed.
    Algorithm,
    /// It is not of the client that was looked up, or names two.
    Client,
    /// It wants its keys to come from where they were not registered.
    KeySource,
    /// It is for someone else.
    Audience,
    /// It has ended.
    Expired,
    /// It has not begun.
    Early,
    /// It lasts longer than five minutes.
    TooLong,
    /// It has no usable `jti`.
    Jti,
    /// The client has no key of that id and type, or several.
    Key,
}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the assertion is not a signed token of the right kind",
            Self::Algorithm => "the assertion is signed neither with RS384 nor with ES384",
            Self::Client => "the assertion is not of the registered client alone",
            Self::KeySource => "the assertion names a `jku` that is not the registered one",
            Self::Audience => "the assertion is for another audience",
            Self::Expired => "the assertion has expired",
            Self::Early => "the assertion is not valid yet",
            Self::TooLong => "the assertion expires more than five minutes ahead",
            Self::Jti => "the assertion has no usable `jti`",
            Self::Key => "the client has not exactly one key of that id and type",
        })
    }
}

impl std::error::Error for AssertionError {}

/// What a token endpoint answers when authentication failed, whatever the reason (SM-VAL-06).
pub fn invalid_client() -> Response {
    let error = json!({ "error": "invalid_client", "error_description": "the client could not be authenticated" });
    Response::json(400, "application/json", error.to_string()).with("cache-control", "no-store")
}

/// Until when a fetched set of keys may be used without asking again, by the `Cache-Control` that it came with
/// (SM-VAL-07); without one, or with one that forbids it, not at all.
pub fn keys_fresh_until(cache_control: &str, fetched: Timestamp) -> Timestamp {
    let directives = || cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    if directives().any(|directive| matches!(directive.split('=').next(), Some("no-store" | "no-cache"))) {
        return fetched;
    }
    let ages = directives().filter_map(|directive| directive.strip_prefix("max-age=")?.parse::<u64>().ok());
    fetched.plus_seconds(ages.min().unwrap_or(0).min(KEYS_SECONDS_MAX))
}

/// SM-VAL-08, both ends.
pub(super) fn check_window(
    exp: i64,
    nbf: Option<i64>,
    skew_seconds: u64,
    now: Timestamp,
) -> Result<(), AssertionError> {
    let (now, skew) = (seconds(now), skew(skew_seconds));
    if exp.saturating_add(skew) <= now {
        Err(AssertionError::Expired)
    } else if nbf.is_some_and(|nbf| nbf > now.saturating_add(skew)) {
        Err(AssertionError::Early)
    } else {
        Ok(())
    }
}

fn seconds(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(1_000)
}

fn skew(seconds: u64) -> i64 {
    i64::try_from(seconds.min(SKEW_SECONDS_MAX)).unwrap_or(0)
}

fn default_skew() -> u64 {
    10
}

/// The guide's bound.
const LIFETIME_SECONDS_MAX: i64 = 300;
/// Clocks that differ by more are wrong.
const SKEW_SECONDS_MAX: u64 = 60;
/// It has to be stored.
const JTI_BYTES_MAX: usize = 256;
/// A day: what a client has withdrawn must not be believed for longer, whatever it said.
const KEYS_SECONDS_MAX: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::Value;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const TOKEN_URL: &str = "https://ehr.example/token";

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode("signature"))
    }

    fn header() -> Value {
        json!({ "alg": "ES384", "kid": "k1", "typ": "JWT" })
    }

    fn claims() -> Value {
        json!({ "iss": "app", "sub": "app", "aud": TOKEN_URL, "exp": NOW + 300, "jti": "j1" })
    }

    fn with(mut value: Value, name: &str, member: Value) -> Value {
        value[name] = member;
        value
    }

    fn registration() -> ClientRegistration {
        let key = |kid: &str, kty: &str| ClientKey { kid: kid.into(), kty: kty.into() };
        ClientRegistration {
            client_id: "app".into(),
            jwks_url: Some("https://app.example/jwks".into()),
            keys: vec![key("k0", "EC"), key("k1", "EC"), key("k1", "RSA"), key("k2", "EC"), key("k2", "EC")],
        }
    }

    fn check(header: &Value, claims: &Value) -> Result<(Algorithm, usize, Replay), AssertionError> {
        let token = token(header, claims);
        let rules = AssertionRules { audience: vec![TOKEN_URL.into()], skew_seconds: 10 };
        let assertion = ClientAssertion::read(&token)?;
        let checked = assertion.check(&registration(), &rules, Timestamp::from_millis(NOW * 1_000))?;
        assert_eq!((checked.signature, Some(checked.signed)), (&b"signature"[..], token.rsplit_once('.').map(|t| t.0)));
        Ok((checked.algorithm, checked.key, checked.replay))
    }

    #[test]
    fn what_is_left_is_the_signature_and_the_replay() {
        let replay =
            Replay { client: "app".into(), jti: "j1".into(), until: Timestamp::from_millis((NOW + 311) * 1_000) };
        assert_eq!(check(&header(), &claims()), Ok((Algorithm::Es384, 1, replay.clone())));
        let rsa = check(&with(header(), "alg", json!("RS384")), &claims());
        assert_eq!(rsa, Ok((Algorithm::Rs384, 2, replay)), "the key of that type");
        let several = with(claims(), "aud", json!(["https://other.example", TOKEN_URL]));
        assert!(check(&header(), &several).is_ok());
    }

    /// SM-VAL-01, SM-VAL-03, SM-VAL-05.
    #[test]
    fn what_is_not_as_registered_is_refused() {
        for alg in ["none", "None", "HS256", "HS384", "RS256", "ES256", "es384", ""] {
            let refused = check(&with(header(), "alg", json!(alg)), &claims());
            assert_eq!(refused, Err(AssertionError::Algorithm), "{alg}");
        }
        for kid in [json!("k2"), json!("k9"), json!(""), Value::Null] {
            assert_eq!(check(&with(header(), "kid", kid.clone()), &claims()), Err(AssertionError::Key), "{kid}");
        }
        for (name, value, expected) in [
            ("iss", json!("other"), AssertionError::Client),
            ("sub", json!("other"), AssertionError::Client),
            ("aud", json!("https://ehr.example/"), AssertionError::Audience),
            ("aud", json!([]), AssertionError::Audience),
            ("jti", json!(""), AssertionError::Jti),
            ("jti", json!("x".repeat(257)), AssertionError::Jti),
            ("jti", Value::Null, AssertionError::Unreadable),
            ("exp", json!("soon"), AssertionError::Unreadable),
            ("exp", Value::Null, AssertionError::Unreadable),
        ] {
            assert_eq!(check(&header(), &with(claims(), name, value)), Err(expected), "{name}");
        }
        let both = with(with(claims(), "iss", json!("other")), "sub", json!("other"));
        assert_eq!(check(&header(), &both), Err(AssertionError::Client), "SM-VAL-03");
    }

    /// SM-VAL-04.
    #[test]
    fn keys_come_from_where_they_were_registered() {
        assert!(check(&with(header(), "jku", json!("https://app.example/jwks")), &claims()).is_ok());
        let foreign = with(header(), "jku", json!("https://evil.example/jwks"));
        assert_eq!(check(&foreign, &claims()), Err(AssertionError::KeySource));
        let token = token(&with(header(), "jku", json!("https://app.example/jwks")), &claims());
        let rules = AssertionRules { audience: vec![TOKEN_URL.into()], skew_seconds: 0 };
        let inline = ClientRegistration { jwks_url: None, ..registration() };
        let assertion = ClientAssertion::read(&token).unwrap();
        let refused = assertion.check(&inline, &rules, Timestamp::from_millis(NOW * 1_000));
        assert_eq!(refused, Err(AssertionError::KeySource));
    }

    /// SM-VAL-08.
    #[test]
    fn the_window_has_two_ends_and_a_little_play() {
        let exp = |exp: i64| check(&header(), &with(claims(), "exp", json!(exp))).map(|_| ());
        assert_eq!(exp(NOW - 10), Err(AssertionError::Expired));
        assert_eq!((exp(NOW - 9), exp(NOW + 310)), (Ok(()), Ok(())));
        assert_eq!(exp(NOW + 311), Err(AssertionError::TooLong));
        assert_eq!((exp(i64::MAX), exp(i64::MIN)), (Err(AssertionError::TooLong), Err(AssertionError::Expired)));
        let nbf = |nbf: i64| check(&header(), &with(claims(), "nbf", json!(nbf))).map(|_| ());
        assert_eq!((nbf(NOW + 10), nbf(NOW + 11)), (Ok(()), Err(AssertionError::Early)));
    }

    #[test]
    fn what_is_no_token_is_unreadable() {
        let good = token(&header(), &claims());
        let (signed, _) = good.rsplit_once('.').unwrap();
        let repeated = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES384","alg":"none","kid":"k1"}"#);
        let claims_part = good.split('.').nth(1).unwrap();
        for wrong in [
            String::new(),
            String::from(".."),
            signed.to_owned(),
            format!("{signed}."),
            format!("{good}.x"),
            format!("{good}="),
            format!("{repeated}.{claims_part}.AAAA"),
            "a".repeat(20_000),
            token(&with(header(), "crit", json!(["b64"])), &claims()),
        ] {
            assert_eq!(ClientAssertion::read(&wrong), Err(AssertionError::Unreadable), "{wrong}");
        }
        let other_kind = with(header(), "typ", json!("at+jwt"));
        assert_eq!(check(&other_kind, &claims()), Err(AssertionError::Unreadable));
    }

    /// SM-VAL-06.
    #[test]
    fn a_client_is_told_that_it_failed_and_not_why() {
        let response = invalid_client();
        assert_eq!((response.status, response.header("content-type")), (400, Some("application/json")));
        let crate::http::Body::Text(text) = response.body else { panic!("no text") };
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["error"], "invalid_client");
    }

    /// SM-VAL-07.
    #[test]
    fn keys_are_not_kept_for_longer_than_the_client_says() {
        let fetched = Timestamp::from_millis(NOW * 1_000);
        for (cache_control, seconds) in [
            ("max-age=60", 60),
            ("public, Max-Age=60, max-age=30", 30),
            ("max-age=60, no-store", 0),
            ("no-cache=\"x\", max-age=60", 0),
            ("max-age=soon", 0),
            ("", 0),
            ("max-age=99999999", 86_400),
        ] {
            let until = keys_fresh_until(cache_control, fetched);
            assert_eq!(until, fetched.plus_seconds(seconds), "{cache_control}");
        }
    }
}

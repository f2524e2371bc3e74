//! Who a client is, as an embedder's token endpoint decides it with this crate: what is read and judged here, signatures
//! that are real, keys from where they were registered, a store of what was used.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is how tests fail"
)]

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ehi_core::{
    Timestamp,
    access::{
        Algorithm, AssertionError, AssertionRules, ClientAssertion, ClientKey, ClientRegistration, ToVerify,
        invalid_client, keys_fresh_until,
    },
    http::{Body, Response},
};
use ehi_requirement::requirement;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};
use serde_json::{Value, json};

#[test]
fn sm_val_01_an_assertion_that_was_tampered_with_is_refused() {
    let (mut endpoint, app) = registered();
    let good = app.assertion(&claims("j1"));
    let [header, payload, signature] = parts(&good);
    let other = |value: &Value| encoded(value.to_string().as_bytes());
    let mut longer = claims("j1");
    longer["exp"] = json!(NOW + 290);
    let mut other_header = app.header();
    other_header["typ"] = json!("jwt");
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[7] ^= 1;
    for tampered in [
        format!("{header}.{}.{signature}", other(&longer)),
        format!("{}.{payload}.{signature}", other(&other_header)),
        format!("{header}.{payload}.{}", encoded(&flipped)),
        Signer::new("k1").assertion(&claims("j1")),
    ] {
        endpoint.refuses(&tampered, now());
    }
    assert_eq!(endpoint.answer(&good, now()), Ok("app".to_owned()), "as it was signed");
    requirement!("core", "SM-VAL-01");
}

#[test]
fn sm_val_02_an_assertion_counts_once() {
    let (mut endpoint, app) = registered();
    let other = endpoint.register("other", Source::HandedIn, "k1");
    let assertion = app.assertion(&claims("j1"));
    assert!(endpoint.answer(&assertion, now()).is_ok());
    endpoint.refuses(&assertion, now());
    endpoint.refuses(&app.assertion(&claims("j1")), now());
    assert!(endpoint.answer(&app.assertion(&claims("j2")), now()).is_ok());
    let of_other = json!({ "iss": "other", "sub": "other", "aud": TOKEN_URL, "exp": NOW + 300, "jti": "j1" });
    assert!(endpoint.answer(&other.assertion(&of_other), now()).is_ok(), "the name is the client's own");
    // What was used may be forgotten when the rule says so, and not a moment earlier.
    let until = endpoint.used[&("app".to_owned(), "j1".to_owned())];
    endpoint.forget_used(until);
    endpoint.refuses(&assertion, until);
    endpoint.used.clear();
    let just_before = Timestamp::from_millis(until.as_millis() - 2_000);
    assert!(endpoint.answer(&assertion, just_before).is_ok(), "it would have been accepted until then");
    requirement!("core", "SM-VAL-02");
}

#[test]
fn sm_val_03_a_client_that_is_not_known_is_refused() {
    let (mut endpoint, app) = registered();
    for (iss, sub) in [("stranger", "stranger"), ("app", "stranger"), ("stranger", "app"), ("", "")] {
        let claims = json!({ "iss": iss, "sub": sub, "aud": TOKEN_URL, "exp": NOW + 300, "jti": "j1" });
        endpoint.refuses(&app.assertion(&claims), now());
    }
    assert!(endpoint.answer(&app.assertion(&claims("j1")), now()).is_ok());
    // One client does not speak for another.
    endpoint.register("other", Source::HandedIn, "k1");
    let posing = json!({ "iss": "other", "sub": "other", "aud": TOKEN_URL, "exp": NOW + 300, "jti": "j2" });
    endpoint.refuses(&app.assertion(&posing), now());
    requirement!("core", "SM-VAL-03");
}

#[test]
fn sm_val_04_keys_come_from_where_they_were_registered_whatever_a_token_says() {
    let mut endpoint = TokenEndpoint::default();
    let app = endpoint.register("app", Source::Jwks("max-age=60"), "k1");
    let thief = Signer::new("k1");
    endpoint.web.insert("https://evil.example/jwks".into(), (String::new(), vec![thief.key()]));
    let with_jku = |signer: &Signer, jku: &str, jti: &str| {
        let mut header = signer.header();
        header["jku"] = json!(jku);
        signer.signed(&header, &claims(jti))
    };
    endpoint.refuses(&with_jku(&thief, "https://evil.example/jwks", "j1"), now());
    endpoint.refuses(&with_jku(&app, "https://evil.example/jwks", "j1"), now());
    endpoint.refuses(&with_jku(&app, "https://app.example/jwks/", "j1"), now());
    assert_eq!(endpoint.fetched, [""; 0], "nothing is fetched on the word of a token");
    assert!(endpoint.answer(&app.assertion(&claims("j1")), now()).is_ok());
    assert!(endpoint.answer(&with_jku(&app, "https://app.example/jwks", "j2"), now()).is_ok());
    assert_eq!(endpoint.fetched, ["https://app.example/jwks"]);
    requirement!("core", "SM-VAL-04");
}

#[test]
fn sm_val_05_one_key_fits_or_none_does() {
    let (mut endpoint, app) = registered();
    let twin = Signer::new("k1");
    let rsa = ClientKey { kid: "k1".into(), kty: "RSA".into() };
    let keys = |endpoint: &mut TokenEndpoint, keys: Vec<Key>| endpoint.clients.get_mut("app").unwrap().keys = keys;
    // Which of two is meant nobody knows, though one of them would verify.
    keys(&mut endpoint, vec![app.key(), twin.key()]);
    endpoint.refuses(&app.assertion(&claims("j1")), now());
    endpoint.refuses(&twin.assertion(&claims("j1")), now());
    keys(&mut endpoint, Vec::new());
    endpoint.refuses(&app.assertion(&claims("j1")), now());
    keys(&mut endpoint, vec![Key { is: rsa.clone(), public: app.key().public }]);
    endpoint.refuses(&app.assertion(&claims("j1")), now());
    let mut unnamed = app.header();
    unnamed.as_object_mut().unwrap().remove("kid");
    keys(&mut endpoint, vec![app.key()]);
    endpoint.refuses(&app.signed(&unnamed, &claims("j1")), now());
    // The same name for a key of another type does not disturb.
    keys(&mut endpoint, vec![Key { is: rsa, public: Vec::new() }, app.key()]);
    assert!(endpoint.answer(&app.assertion(&claims("j1")), now()).is_ok());
    requirement!("core", "SM-VAL-05");
}

#[test]
fn sm_val_06_every_failure_gets_the_same_answer() {
    let (mut endpoint, app) = registered();
    let mut expired = claims("j1");
    expired["exp"] = json!(NOW - 60);
    let mut unsigned = app.header();
    unsigned["alg"] = json!("none");
    let answers: BTreeSet<String> = [
        String::from("nonsense"),
        app.assertion(&json!({ "iss": "stranger", "sub": "stranger", "aud": TOKEN_URL, "exp": NOW + 9, "jti": "j" })),
        app.assertion(&expired),
        app.signed(&unsigned, &claims("j1")),
        Signer::new("k1").assertion(&claims("j1")),
    ]
    .iter()
    .map(|assertion| {
        let response = endpoint.refuses(assertion, now());
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        format!("{response:?}")
    })
    .collect();
    assert_eq!(answers.len(), 1, "which of them it was, is for logs");
    requirement!("core", "SM-VAL-06");
}

#[test]
fn sm_val_07_keys_are_kept_as_long_as_the_client_says_and_no_longer() {
    for (cache_control, seconds) in [("max-age=60", 60), ("public, max-age=300", 300), ("no-store", 0), ("", 0)] {
        let mut endpoint = TokenEndpoint::default();
        let old = endpoint.register("app", Source::Jwks(cache_control), "k1");
        let at = |later: u64| now().plus_seconds(later);
        let said = |signer: &Signer, jti: &str, later: u64| {
            let exp = NOW + i64::try_from(later).unwrap() + 100;
            signer.assertion(&json!({ "iss": "app", "sub": "app", "aud": TOKEN_URL, "exp": exp, "jti": jti }))
        };
        assert!(endpoint.answer(&said(&old, "j1", 0), at(0)).is_ok());
        // The client withdraws its key.
        let new = Signer::new("k2");
        endpoint.web.insert(JWKS.into(), (cache_control.into(), vec![new.key()]));
        if seconds > 0 {
            assert!(endpoint.answer(&said(&old, "j2", seconds - 1), at(seconds - 1)).is_ok());
            assert_eq!(endpoint.fetched.len(), 1, "{cache_control}: within its time the set is not asked for again");
        }
        endpoint.refuses(&said(&old, "j3", seconds), at(seconds));
        assert_eq!(endpoint.fetched.len(), 2, "{cache_control}");
        assert!(endpoint.answer(&said(&new, "j4", seconds), at(seconds)).is_ok(), "{cache_control}");
    }
    requirement!("core", "SM-VAL-07");
}

#[test]
fn sm_val_08_the_window_of_time_and_the_audience_are_exact_up_to_the_skew() {
    let judged = |name: &str, value: Value| {
        let (mut endpoint, app) = registered();
        let mut claims = claims("j1");
        claims[name] = value;
        endpoint.answer(&app.assertion(&claims), now()).map_err(|response| response.status)
    };
    for (exp, is_in_time) in [
        (NOW - SKEW - 1, false),
        (NOW - SKEW, false),
        (NOW - SKEW + 1, true),
        (NOW + 300, true),
        (NOW + 300 + SKEW, true),
        (NOW + 300 + SKEW + 1, false),
        (NOW + 86_400, false),
    ] {
        assert_eq!(judged("exp", json!(exp)).is_ok(), is_in_time, "{}", exp - NOW);
    }
    for (aud, is_meant) in [
        (json!(TOKEN_URL), true),
        (json!(["https://else.example", TOKEN_URL]), true),
        (json!("https://ehr.example/token/"), false),
        (json!("https://ehr.example"), false),
        (json!([]), false),
        (Value::Null, false),
    ] {
        assert_eq!(judged("aud", aud.clone()), if is_meant { Ok("app".to_owned()) } else { Err(400) }, "{aud}");
    }
    requirement!("core", "SM-VAL-08");
}

/// What an embedder has: clients, the web, keys for as long as they may be kept, and what was used.
#[derive(Default)]
struct TokenEndpoint {
    clients: BTreeMap<String, Client>,
    web: BTreeMap<String, (String, Vec<Key>)>,
    fetched: Vec<String>,
    used: BTreeMap<(String, String), Timestamp>,
}

struct Client {
    jwks_url: Option<String>,
    keys: Vec<Key>,
    fresh_until: Timestamp,
}

#[derive(Clone)]
struct Key {
    is: ClientKey,
    public: Vec<u8>,
}

/// Where the keys of a client come from.
enum Source {
    HandedIn,
    /// From its own address, with that `Cache-Control`.
    Jwks(&'static str),
}

impl TokenEndpoint {
    fn register(&mut self, client: &str, source: Source, kid: &str) -> Signer {
        let signer = Signer::new(kid);
        let client_of = |jwks_url, keys, fresh_until| Client { jwks_url, keys, fresh_until };
        let known = match source {
            Source::HandedIn => client_of(None, vec![signer.key()], Timestamp::from_millis(i64::MAX)),
            Source::Jwks(cache_control) => {
                self.web.insert(JWKS.into(), (cache_control.into(), vec![signer.key()]));
                client_of(Some(JWKS.into()), Vec::new(), Timestamp::from_millis(0))
            }
        };
        self.clients.insert(client.to_owned(), known);
        signer
    }

    /// Who it is, or what is answered instead.
    fn answer(&mut self, assertion: &str, now: Timestamp) -> Result<String, Box<Response>> {
        self.believe(assertion, now).ok_or_else(|| Box::new(invalid_client()))
    }

    fn believe(&mut self, assertion: &str, now: Timestamp) -> Option<String> {
        let assertion = ClientAssertion::read(assertion).ok()?;
        let id = assertion.client().to_owned();
        let client = self.clients.get_mut(&id)?;
        if client.fresh_until <= now {
            client.keys.clear();
        }
        let rules = AssertionRules { audience: vec![TOKEN_URL.into()], skew_seconds: SKEW.unsigned_abs() };
        let mut registration = client.registration(&id);
        // Only an assertion that is in order but for its key is a reason to fetch, and only from the registered address.
        if assertion.check(&registration, &rules, now) == Err(AssertionError::Key)
            && client.keys.is_empty()
            && let Some(url) = &client.jwks_url
        {
            let (cache_control, keys) = self.web.get(url)?;
            self.fetched.push(url.clone());
            (client.keys, client.fresh_until) = (keys.clone(), keys_fresh_until(cache_control, now));
            registration = client.registration(&id);
        }
        let ToVerify { algorithm, key, signed, signature, replay } =
            assertion.check(&registration, &rules, now).ok()?;
        assert_eq!(algorithm, Algorithm::Es384);
        let public = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &client.keys.get(key)?.public);
        public.verify(signed.as_bytes(), signature).ok()?;
        self.forget_used(now);
        let use_of_it = (replay.client.clone(), replay.jti);
        if self.used.contains_key(&use_of_it) {
            return None;
        }
        self.used.insert(use_of_it, replay.until);
        Some(replay.client)
    }

    fn forget_used(&mut self, now: Timestamp) {
        self.used.retain(|_, until| *until > now);
    }

    fn refuses(&mut self, assertion: &str, now: Timestamp) -> Response {
        let response = *self.answer(assertion, now).expect_err("believed");
        let Body::Text(text) = &response.body else { panic!("no text") };
        let said: Value = serde_json::from_str(text).unwrap();
        assert_eq!((response.status, &said["error"]), (400, &json!("invalid_client")));
        response
    }
}

impl Client {
    fn registration(&self, client_id: &str) -> ClientRegistration {
        let keys = self.keys.iter().map(|key| key.is.clone()).collect();
        ClientRegistration { client_id: client_id.to_owned(), jwks_url: self.jwks_url.clone(), keys }
    }
}

/// A client's key.
struct Signer {
    kid: String,
    pair: EcdsaKeyPair,
}

impl Signer {
    fn new(kid: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P384_SHA384_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self { kid: kid.to_owned(), pair: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap() }
    }

    fn key(&self) -> Key {
        let is = ClientKey { kid: self.kid.clone(), kty: "EC".into() };
        Key { is, public: self.pair.public_key().as_ref().to_vec() }
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES384", "kid": self.kid, "typ": "JWT" })
    }

    fn assertion(&self, claims: &Value) -> String {
        self.signed(&self.header(), claims)
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature.as_ref()))
    }
}

/// An endpoint that knows the client `app`, which has handed in its key.
fn registered() -> (TokenEndpoint, Signer) {
    let mut endpoint = TokenEndpoint::default();
    let app = endpoint.register("app", Source::HandedIn, "k1");
    (endpoint, app)
}

fn claims(jti: &str) -> Value {
    json!({ "iss": "app", "sub": "app", "aud": TOKEN_URL, "exp": NOW + 300, "jti": jti })
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().expect("three parts")
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW * 1_000)
}

const NOW: i64 = 1_800_000_000;
const SKEW: i64 = 10;
const TOKEN_URL: &str = "https://ehr.example/token";
const JWKS: &str = "https://app.example/jwks";

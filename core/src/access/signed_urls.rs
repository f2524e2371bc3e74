//! Capability URLs: file addresses that open by themselves for a short time (BD-SEC-05, BD-FILE-05).
//!
//! `…/files/NAME?e=EXPIRY&k=KEY&s=SIGNATURE`: the second at which it ends, which key signed it, and the signature. It is
//! made in two steps, so that a manifest in the making carries no deployment secret but one that opens the files of one
//! job until one instant, which is what the manifest itself will open: the key of a job and an instant is the HMAC-SHA256
//! of both under the deployment's key, and the signature is the HMAC-SHA256 of the file's name under that.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::Sha256;

use crate::{Sensitive, http::Target, job::JobId, time::Timestamp};

/// How file addresses are signed. The keys are secrets of the deployment, handed in with its configuration and never stored
/// with a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "camelCase")]
pub struct SignedUrls {
    /// Newest first: the first signs, all of them verify, so that keys can be changed while addresses are out.
    pub keys: Vec<UrlKey>,
    /// How long an address opens at most, in seconds, and three quarters of it at least; a client that is slower asks for the
    /// manifest again.
    #[cfg_attr(feature = "schema", schemars(default = "default_seconds"))]
    pub seconds: u64,
}

/// A key that signs file addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UrlKey {
    /// Its name in addresses: up to 16 letters and digits.
    pub id: String,
    /// 32 to 64 bytes from a cryptographic source of randomness, in hexadecimal.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub secret: Sensitive<String>,
}

/// Signs the file addresses of one job until one instant. Part of a manifest in the making; whoever has it can read the
/// files until then, like whoever has the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlSigner {
    expires: u64,
    key: String,
    secret: Sensitive<String>,
}

impl SignedUrls {
    /// Until when an address opens that is signed now. All that are signed in the same quarter of the time, counted from an
    /// instant of the job's, end together: so a file that stands on several pages of a manifest has one address on them, unless
    /// its reader is slow. By two addresses nobody could tell that it is one file.
    pub(crate) fn until(&self, from: Timestamp, now: Timestamp) -> Timestamp {
        let quarter = self.seconds.saturating_mul(1_000 / 4).max(1);
        let passed = u64::try_from(now.as_millis().saturating_sub(from.as_millis())).unwrap_or(0);
        let signed = from.plus_millis(passed - passed % quarter);
        // A clock that was set back opens nothing for longer.
        signed.min(now).plus_seconds(self.seconds)
    }

    /// A signer for the files of a job.
    pub(crate) fn signer(&self, job: &JobId, until: Timestamp) -> Option<UrlSigner> {
        let key = self.keys.first()?;
        let expires = u64::try_from(until.as_millis() / 1_000).ok()?;
        let secret = Sensitive::new(hex(&derived(key, job, expires)?.finalize().into_bytes()));
        Some(UrlSigner { expires, key: key.id.clone(), secret })
    }

    /// Until when the address of that file opens, if we signed it. The comparison takes the same time for any signature.
    pub(crate) fn verify(&self, job: &JobId, name: &str, target: &Target<'_>) -> Option<Timestamp> {
        let mut parameters = [None; 3];
        for (parameter, value) in target.raw_parameters() {
            let place = PARAMETERS.iter().position(|known| *known == parameter)?;
            // Each once and nothing else, so that an address has one spelling.
            if parameters.get_mut(place)?.replace(value).is_some() {
                return None;
            }
        }
        let [Some(expires), Some(key), Some(signature)] = parameters else { return None };
        let is_number = expires.bytes().all(|b| b.is_ascii_digit()) && !expires.starts_with('0');
        let expires = expires.parse().ok().filter(|_| is_number)?;
        let key = self.keys.iter().find(|own| own.id == key)?;
        let secret = derived(key, job, expires)?.finalize().into_bytes();
        let mut mac = keyed(&secret)?;
        mac.update(name.as_bytes());
        mac.verify_slice(&bytes(signature)?).ok()?;
        Some(Timestamp::from_millis(0).plus_seconds(expires))
    }

    /// What is wrong with the configuration.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let is_id = |id: &str| (1..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_secret = |key: &UrlKey| {
            let secret = bytes(key.secret.expose());
            secret.is_some_and(|secret| (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len()))
        };
        let repeated = |(place, key): (usize, &UrlKey)| self.keys.iter().take(place).any(|other| other.id == key.id);
        if self.keys.is_empty() {
            Some("`signedUrls.keys` must have at least one key")
        } else if !self.keys.iter().all(|key| is_id(&key.id)) || self.keys.iter().enumerate().any(repeated) {
            Some("each `id` of `signedUrls.keys` must be up to 16 letters and digits, and be there once")
        } else if !self.keys.iter().all(is_secret) {
            Some("each `secret` of `signedUrls.keys` must be 32 to 64 bytes in lower-case hexadecimal")
        } else if !(1..=SECONDS_MAX).contains(&self.seconds) {
            Some("`signedUrls.seconds` must be at least 1 and at most 3,600")
        } else {
            None
        }
    }
}

impl UrlSigner {
    /// What stands after the address of a file, with the `?`.
    pub(crate) fn query(&self, name: &str) -> String {
        let Self { expires, key, secret } = self;
        let mac = bytes(secret.expose()).and_then(|secret| keyed(&secret));
        let signature = mac.map(|mut mac| {
            mac.update(name.as_bytes());
            hex(&mac.finalize().into_bytes())
        });
        // A signer that someone changed signs nothing.
        let signature = signature.unwrap_or_default();
        let [e, k, s] = PARAMETERS;
        format!("?{e}={expires}&{k}={key}&{s}={signature}")
    }
}

/// Whether the target carries a signature, right or wrong.
pub(crate) fn is_signed(target: &Target<'_>) -> bool {
    let [_, _, signature] = PARAMETERS;
    target.raw_parameters().any(|(name, _)| name == signature)
}

/// An error never quotes what was read: it may be a secret in the wrong place.
impl<'de> Deserialize<'de> for SignedUrls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Form {
            keys: Vec<UrlKey>,
            #[serde(default = "default_seconds")]
            seconds: u64,
        }
        let value = serde_json::Value::deserialize(deserializer)?;
        let form = serde_json::from_value::<Form>(value);
        let Form { keys, seconds } = form.map_err(|_| {
            serde::de::Error::custom("`signedUrls` has `keys`, each with `id` and `secret`, and may have `seconds`")
        })?;
        Ok(Self { keys, seconds })
    }
}

fn derived(key: &UrlKey, job: &JobId, expires: u64) -> Option<Hmac<Sha256>> {
    let mut mac = keyed(&bytes(key.secret.expose())?)?;
    mac.update(format!("files of job {job} until {expires}").as_bytes());
    Some(mac)
}

/// Any length of key will do for HMAC, so there always is one.
fn keyed(secret: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(secret).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of lower-case hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// As long as SMART recommends for a bearer token.
fn default_seconds() -> u64 {
    300
}

const PARAMETERS: [&str; 3] = ["e", "k", "s"];
/// As many bytes as the hash has: shorter keys weaken it, longer ones than its block add nothing.
const SECRET_BYTES_MIN: usize = 32;
const SECRET_BYTES_MAX: usize = 64;
/// An address is a key that lies in logs and histories.
const SECONDS_MAX: u64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ids: &[&str]) -> SignedUrls {
        let secret = |id: &str| Sensitive::new(hex(&[id.as_bytes().first().copied().unwrap(); 32]));
        let keys = ids.iter().map(|id| UrlKey { id: (*id).to_owned(), secret: secret(id) }).collect();
        SignedUrls { keys, seconds: 300 }
    }

    fn job(n: u8) -> JobId {
        JobId::from_entropy([n; 16])
    }

    fn verify(urls: &SignedUrls, job: &JobId, name: &str, query: &str) -> Option<Timestamp> {
        urls.verify(job, name, &Target::parse(&format!("/{query}")))
    }

    #[test]
    fn a_signature_opens_one_file_of_one_job() {
        let until = Timestamp::from_millis(1_800_000_000_000);
        let urls = keys(&["a"]);
        let query = urls.signer(&job(1), until).unwrap().query("Patient-1.ndjson");
        assert!(query.starts_with("?e=1800000000&k=a&s=") && query.len() == 84, "{query}");
        assert_eq!(verify(&urls, &job(1), "Patient-1.ndjson", &query), Some(until));
        assert_eq!(verify(&urls, &job(2), "Patient-1.ndjson", &query), None);
        assert_eq!(verify(&urls, &job(1), "Patient-2.ndjson", &query), None);
        let longer = query.replacen("e=1800000000", "e=1900000000", 1);
        for wrong in [
            longer,
            query.replacen("k=a", "k=b", 1),
            query.replacen("&k=a", "", 1),
            query.replacen("e=18", "e=+18", 1),
            query.replacen("e=18", "e=018", 1),
            format!("{query}0"),
            format!("{query}&e=1"),
            format!("{query}&x=1"),
            query.to_uppercase(),
            query.split_at(query.len() - 2).0.to_owned(),
            String::from("?e=1800000000&k=a&s="),
            String::new(),
        ] {
            assert_eq!(verify(&urls, &job(1), "Patient-1.ndjson", &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_signed_within_a_quarter_of_the_time_ends_together() {
        let urls = keys(&["a"]);
        let (from, at) = (Timestamp::from_millis(5_500), |seconds| Timestamp::from_millis(5_500).plus_seconds(seconds));
        let until = |now| urls.until(from, now);
        assert_eq!([0, 1, 74].map(|seconds| until(at(seconds))), [at(300); 3]);
        assert_eq!([75, 149].map(|seconds| until(at(seconds))), [at(375); 2]);
        assert_eq!(until(Timestamp::from_millis(0)), Timestamp::from_millis(300_000), "before the instant");
        for millis in (0..2_000_000).step_by(777) {
            let now = from.plus_millis(millis);
            let opens = until(now).as_millis() - now.as_millis();
            assert!(opens > 225_000 && opens <= 300_000, "{millis}: {opens}");
        }
        let brief = SignedUrls { seconds: 1, ..urls };
        assert_eq!(brief.until(from, from.plus_millis(300)), from.plus_millis(1_250));
    }

    #[test]
    fn keys_rotate() {
        let until = Timestamp::from_millis(1_800_000_000_000);
        let old = keys(&["a"]).signer(&job(1), until).unwrap().query("f");
        let both = keys(&["b", "a"]);
        assert_eq!(verify(&both, &job(1), "f", &old), Some(until));
        let new = both.signer(&job(1), until).unwrap().query("f");
        assert!(new.contains("k=b"), "{new}");
        assert_eq!(verify(&keys(&["b"]), &job(1), "f", &old), None, "retired");
        assert_eq!(verify(&keys(&["b"]), &job(1), "f", &new), Some(until));
    }

    #[test]
    fn no_secret_is_shown() {
        let secret = "5e".repeat(32);
        let json = format!(r#"{{"keys":[{{"id":"a","secret":"{secret}"}}]}}"#);
        let urls: SignedUrls = serde_json::from_str(&json).unwrap();
        assert_eq!((urls.problem(), urls.seconds), (None, 300));
        let signer = urls.signer(&job(1), Timestamp::from_millis(0)).unwrap();
        assert!(!format!("{urls:?}").contains("5e5e") && !format!("{signer:?}").contains(signer.secret.expose()));
        assert_ne!(*signer.secret.expose(), secret, "not that of the deployment");
        for wrong in [format!(r#"{{"keys":"{secret}"}}"#), format!(r#"{{"keys":[{{"id":"a","key":"{secret}"}}]}}"#)] {
            let error = serde_json::from_str::<SignedUrls>(&wrong).unwrap_err().to_string();
            assert!(!error.contains("5e5e"), "{error}");
        }
        for wrong in [keys(&[]), keys(&["a", "a"]), keys(&["a b"]), SignedUrls { seconds: 0, ..keys(&["a"]) }] {
            assert!(wrong.problem().is_some(), "{wrong:?}");
        }
        let short =
            SignedUrls { keys: vec![UrlKey { id: "a".into(), secret: Sensitive::new("5e".repeat(31)) }], seconds: 300 };
        assert!(short.problem().is_some());
    }
}

//! A signed token in its compact form, cut into its parts and strictly read. That a signature is right is never said here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A signed token, as far as it can be read without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jws<'t, C> {
    pub(super) header: Header,
    pub(super) claims: C,
    /// What the signature is over.
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    pub(super) jku: Option<String>,
    pub(super) typ: Option<String>,
    /// Extensions that a reader must understand; there is none that we do.
    crit: Option<serde_json::Value>,
}

/// How a token is signed. `none` is not among them, and neither is any secret that both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// ECDSA over P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
}

impl<'t, C: DeserializeOwned> Jws<'t, C> {
    /// `None` for anything that is not three parts of unpadded base64url, two of which are JSON objects of the shape.
    pub(super) fn read(token: &'t str) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = part(header)?;
        let (claims, signature) = (part(claims)?, URL_SAFE_NO_PAD.decode(signature).ok()?);
        let readable = header.crit.is_none() && !signature.is_empty();
        readable.then_some(Self { header, claims, signed, signature })
    }
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS384" => Some(Self::Rs384),
            "ES384" => Some(Self::Es384),
            _ => None,
        }
    }

    /// The type of key that it takes.
    pub(super) fn key_type(self) -> &'static str {
        match self {
            Self::Rs384 => "RSA",
            Self::Es384 => "EC",
        }
    }
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// Ten times what clients send.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

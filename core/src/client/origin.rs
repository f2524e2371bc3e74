//! Addresses: which URLs are understood, which may be contacted, and which may see the access token.
//!
//! A URL that two readers take for two addresses would pass a check as one and be fetched as the other. So only a strict
//! subset of RFC 3986 is understood, on which all readers agree: `http` and `https`, no user information, no backslash, a
//! host of plain ASCII letters or a canonical literal address. What names a host resolves to is not known here: an
//! embedder that looks names up asks [`OriginPolicy::may_follow`] for each address before it connects to it.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use iri_string::{
    format::ToDedicatedString as _,
    types::{UriAbsoluteStr, UriReferenceStr},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An absolute `http` or `https` URL without fragment.
///
/// It may be a capability (who knows it may read what is there) and may hold a patient's id, so `Debug` shows its origin
/// and nothing more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url(String);

impl Url {
    /// Reads an absolute URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::checked(&repaired(text)?)
    }

    /// Reads a URL or a reference relative to this one (RFC 3986 §5).
    pub fn resolve(&self, reference: &str) -> Result<Self, UrlError> {
        let text = repaired(reference)?;
        let reference = UriReferenceStr::new(&text).map_err(|_| UrlError::Malformed)?;
        let base = UriAbsoluteStr::new(&self.0).map_err(|_| UrlError::Malformed)?;
        let resolved = reference.resolve_against(base);
        resolved.ensure_rfc3986_normalizable().map_err(|_| UrlError::Malformed)?;
        Self::checked(resolved.to_dedicated_string().as_str())
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> Origin {
        let (secure, rest) = self.split();
        let authority = rest.split(['/', '?']).next().unwrap_or_default().to_ascii_lowercase();
        let default_port = if secure { ":443" } else { ":80" };
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority).trim_end_matches(':');
        Origin(format!("{}://{authority}", if secure { "https" } else { "http" }))
    }

    /// Whether it begins with `https`.
    pub fn is_https(&self) -> bool {
        self.split().0
    }

    /// Without the query, which may hold a key or a patient's id.
    pub(super) fn without_query(&self) -> &str {
        self.0.split('?').next().unwrap_or_default()
    }

    /// The same URL with `path` after it, whether or not it ends with `/`.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.0.trim_end_matches('/'))
    }

    fn split(&self) -> (bool, &str) {
        match self.0.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, self.0.strip_prefix("http://").unwrap_or_default()),
        }
    }

    fn checked(text: &str) -> Result<Self, UrlError> {
        let without_fragment = text.split('#').next().unwrap_or_default();
        let url = UriAbsoluteStr::new(without_fragment).map_err(|_| UrlError::Malformed)?;
        let scheme = url.scheme_str().to_ascii_lowercase();
        if scheme != "https" && scheme != "http" {
            return Err(UrlError::Scheme);
        }
        let authority = url.authority_components().ok_or(UrlError::Malformed)?;
        if authority.userinfo().is_some() {
            return Err(UrlError::UserInformation);
        }
        let port = authority.port().unwrap_or_default();
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return Err(UrlError::Malformed);
        }
        Host::read(authority.host())?;
        let rest = without_fragment.get(scheme.len()..).unwrap_or_default();
        Ok(Self(format!("{scheme}{rest}")))
    }

    fn host(&self) -> Host {
        let url = UriAbsoluteStr::new(&self.0).ok();
        let host = url.and_then(|url| url.authority_components()).map(|authority| Host::read(authority.host()));
        // Checked when it was made.
        host.and_then(Result::ok).unwrap_or(Host::Name(String::new()))
    }
}

/// Percent-encodes what servers are known to leave raw in paths and queries. Nothing else is repaired.
fn repaired(text: &str) -> Result<Cow<'_, str>, UrlError> {
    if text.len() > URL_BYTES_MAX {
        return Err(UrlError::TooLong);
    }
    if text.bytes().any(|byte| byte == b'\\' || byte.is_ascii_control()) {
        return Err(UrlError::Malformed);
    }
    let raw = |character: char| !character.is_ascii() || "\"<>^`{|} ".contains(character);
    if !text.contains(raw) {
        return Ok(Cow::Borrowed(text));
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if raw(character) {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        } else {
            encoded.push(character);
        }
    }
    Ok(Cow::Owned(encoded))
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.origin())
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// Scheme, host and port, in one spelling: `https://ehr.example`, `http://127.0.0.1:8080`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Origin(String);

impl Origin {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Url::parse(&text).map(|url| url.origin()).map_err(D::Error::custom)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a URL is not used. Carries nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UrlError {
    /// Not a URL that all readers understand alike.
    Malformed,
    /// Neither `https` nor `http`.
    Scheme,
    /// It carries a user name or password.
    UserInformation,
    /// Longer than any that a server needs.
    TooLong,
    /// `http` where only `https` is allowed.
    Insecure,
    /// A private, loopback, link-local or other special address, which the base is not.
    PrivateAddress,
    /// Another server than the one that this request may go to.
    ForeignOrigin,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not an absolute URL of plain form",
            Self::Scheme => "neither https nor http",
            Self::UserInformation => "a URL with a user name or password",
            Self::TooLong => "a URL longer than the limit",
            Self::Insecure => "an http URL where https is required",
            Self::PrivateAddress => "a private or special address, which the base URL is not",
            Self::ForeignOrigin => "a server that is neither the base URL's nor an allowed one",
        })
    }
}

impl std::error::Error for UrlError {}

/// Which addresses may be contacted, and which may see the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OriginPolicy {
    pub(super) base: Url,
    pub(super) insecure_http: bool,
    pub(super) allowed: BTreeSet<Origin>,
}

impl OriginPolicy {
    /// Whether a request may go there at all. (BD-SEC-01; private addresses only from a base that is one, and link-local
    /// ones, where clouds keep their credentials, only if they are the base's own host.)
    pub fn may_contact(&self, url: &Url) -> Result<(), UrlError> {
        if !url.is_https() && !self.insecure_http {
            return Err(UrlError::Insecure);
        }
        let (host, base) = (url.host(), self.base.host());
        if host == base || self.allowed.contains(&url.origin()) {
            return Ok(());
        }
        match host.reach() {
            Reach::Public => Ok(()),
            Reach::Private if base.reach() != Reach::Public => Ok(()),
            Reach::Private | Reach::Forbidden => Err(UrlError::PrivateAddress),
        }
    }

    /// Whether the access token may go there: to the base's origin and to those that were allowed by name (SM-ACC-06).
    pub fn may_authorize(&self, url: &Url) -> bool {
        self.is_trusted(url) && self.may_contact(url).is_ok()
    }

    /// Whether names that resolve to private addresses may be followed: for the embedder's resolver.
    pub fn allows_private(&self) -> bool {
        self.base.host().reach() != Reach::Public
    }

    /// Whether that URL's host, a name, may be followed to that address: for an embedder that looks names up itself and
    /// connects to what was judged. A host that was named by who asked, the base's or an allowed origin's, may be
    /// private; another only if the base is, by itself or by `base_address`, an address that its name resolves to. None
    /// may be link-local or otherwise special.
    pub fn may_follow(&self, url: &Url, address: IpAddr, base_address: Option<IpAddr>) -> Result<(), UrlError> {
        let host = url.host();
        if host == Host::Address(address) {
            return self.may_contact(url);
        }
        let named = host == self.base.host() || self.allowed.contains(&url.origin());
        let is_private = |address: IpAddr| Host::Address(address).reach() == Reach::Private;
        match Host::Address(address).reach() {
            Reach::Public => Ok(()),
            Reach::Private if named || self.allows_private() || base_address.is_some_and(is_private) => Ok(()),
            Reach::Private | Reach::Forbidden => Err(UrlError::PrivateAddress),
        }
    }

    /// Whether protocol answers are believed from there: the base's origin and those that were allowed by name.
    pub(super) fn is_trusted(&self, url: &Url) -> bool {
        let origin = url.origin();
        origin == self.base.origin() || self.allowed.contains(&origin)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Public,
    /// Loopback and private networks.
    Private,
    /// Link-local, where clouds serve credentials, and what no server has.
    Forbidden,
}

impl Host {
    fn read(text: &str) -> Result<Self, UrlError> {
        if let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let address = literal.parse::<Ipv6Addr>().map_err(|_| UrlError::Malformed)?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let plain = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        // `127.1`, `0x7f.1` and `2130706433` are addresses to some readers and names to others.
        let last = name.rsplit('.').next().unwrap_or_default();
        let numeric = last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit());
        if !name.split('.').all(plain) || numeric || name.len() > 253 {
            return Err(UrlError::Malformed);
        }
        Ok(Self::Name(name))
    }

    fn reach(&self) -> Reach {
        match self {
            Self::Address(IpAddr::V4(address)) => reach_v4(*address),
            Self::Address(IpAddr::V6(address)) => reach_v6(*address),
            Self::Name(name) => {
                let below =
                    |zone: &str| name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                if name == "metadata.google.internal" {
                    Reach::Forbidden
                } else if ["localhost", "local", "internal", "home.arpa"].into_iter().any(below) {
                    Reach::Private
                } else {
                    Reach::Public
                }
            }
        }
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127 | 10, ..) | (192, 168, _) => Reach::Private,
        (172, 16..=31, _) | (100, 64..=127, _) => Reach::Private,
        (0 | 224.., ..) | (169, 254, _) | (192, 0, 0 | 2) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => {
            Reach::Forbidden
        }
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    let [a, b, c, d, e, f, g, h] = segments;
    let [_, .., g1, g2, h1, h2] = address.octets();
    let embedded = Ipv4Addr::new(g1, g2, h1, h2);
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // IPv4-mapped, -compatible, -translated and NAT64: as the address inside.
        _ if (a, b, c, d, e) == (0, 0, 0, 0, 0) && (f == 0xffff || f == 0) && (g, h) != (0, 0) => reach_v4(embedded),
        _ if (a, b, c, d, e, f) == (0, 0, 0, 0, 0xffff, 0) => reach_v4(embedded),
        _ if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) => reach_v4(embedded),
        // 6to4: the address stands in the second and third group.
        _ if a == 0x2002 => {
            let ([b1, b2], [c1, c2]) = (b.to_be_bytes(), c.to_be_bytes());
            reach_v4(Ipv4Addr::new(b1, b2, c1, c2))
        }
        _ if a & 0xfe00 == 0xfc00 => Reach::Private,
        // Global unicast but documentation and Teredo.
        _ if a & 0xe000 == 0x2000 && (a, b) != (0x2001, 0xdb8) && (a, b) != (0x2001, 0) => Reach::Public,
        _ => Reach::Forbidden,
    }
}

/// Presigned URLs reach 2 KiB; servers commonly stop at 8.
const URL_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn policy(base: &str) -> OriginPolicy {
        OriginPolicy { base: url(base), insecure_http: base.starts_with("http:"), allowed: BTreeSet::new() }
    }

    #[test]
    fn references_are_resolved() {
        let base = url("https://ehr.example/fhir/bulk/1?x=1");
        for (reference, resolved) in [
            ("files/a", "https://ehr.example/fhir/bulk/files/a"),
            ("/b", "https://ehr.example/b"),
            ("../../../../c", "https://ehr.example/c"),
            ("//other.example/d", "https://other.example/d"),
            ("HTTPS://Other.example:443/e#f", "https://Other.example:443/e"),
            ("?y=a b|c", "https://ehr.example/fhir/bulk/1?y=a%20b%7Cc"),
        ] {
            assert_eq!(base.resolve(reference).unwrap().as_str(), resolved, "{reference}");
        }
        assert_eq!(url("https://Other.example:443/e").origin().as_str(), "https://other.example");
    }

    #[test]
    fn what_readers_disagree_on_is_no_url() {
        for text in [
            "",
            "/relative",
            "ftp://ehr.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https:///x",
            "https:/ehr.example/x",
            "https://user@ehr.example/",
            "https://ehr.example:99999/",
            "https://ehr.example\\@evil.example/",
            "https://127.1/",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://%31%32%37.0.0.1/",
            "https://ehr..example/",
            "https://bücher.example/",
            "https://[::1%25eth0]/",
            "https://ehr.example/\r\nHost: evil",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn private_addresses_are_refused_unless_the_base_is_one() {
        let (public, private) = (policy("https://ehr.example/fhir"), policy("http://127.0.0.1:8080/fhir"));
        for text in [
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://172.31.0.1/",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::]/",
            "https://localhost/",
            "https://a.b.localhost./",
            "https://printer.local/",
        ] {
            assert_eq!(public.may_contact(&url(text)), Err(UrlError::PrivateAddress), "{text}");
            assert_eq!(private.may_contact(&url(text)), Ok(()), "{text}");
        }
        for text in [
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:169.254.169.254]/",
            "https://[fe80::1]/",
            "https://0.0.0.0/",
            "https://[::]/",
            "https://metadata.google.internal/",
        ] {
            assert_eq!(public.may_contact(&url(text)), Err(UrlError::PrivateAddress), "{text}");
            assert_eq!(private.may_contact(&url(text)), Err(UrlError::PrivateAddress), "{text}");
        }
        for text in
            ["https://files.example/", "https://8.8.8.8/", "https://[2606:4700::1]/", "https://localhost.example/"]
        {
            assert_eq!(public.may_contact(&url(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_token_goes_to_the_base_and_to_allowed_origins_only() {
        let mut policy = policy("https://ehr.example/fhir");
        policy.allowed.insert(url("https://files.example").origin());
        for (text, may) in [
            ("https://EHR.example:443/anything", true),
            ("https://files.example/x", true),
            ("https://ehr.example:8443/", false),
            ("http://ehr.example/", false),
            ("https://sub.ehr.example/", false),
            ("https://ehr.example.evil.example/", false),
        ] {
            assert_eq!(policy.may_authorize(&url(text)), may, "{text}");
        }
        assert_eq!(policy.may_contact(&url("http://ehr.example/")), Err(UrlError::Insecure));
    }

    #[test]
    fn nothing_but_the_origin_is_printed() {
        assert_eq!(format!("{:?}", url("https://ehr.example/Patient/7?key=8")), "https://ehr.example/…");
    }

    #[test]
    fn a_name_is_followed_to_a_private_address_only_where_the_base_or_who_asked_is_there() {
        let [public, private, metadata] = ["93.184.216.34", "10.0.0.5", "169.254.169.254"].map(|a| a.parse().unwrap());
        let (base, other) = (url("https://ehr.example/fhir"), url("https://files.example/1"));
        let mut policy = policy("https://ehr.example/fhir");
        let refused = Err(UrlError::PrivateAddress);
        for (url, address, base_address, allowed) in [
            (&other, public, None, Ok(())),
            (&other, private, None, refused),
            (&other, private, Some(public), refused),
            (&other, private, Some(private), Ok(())),
            (&other, metadata, Some(private), refused),
            (&other, metadata, Some(metadata), refused),
            (&base, private, None, Ok(())),
            (&base, metadata, None, refused),
        ] {
            assert_eq!(policy.may_follow(url, address, base_address), allowed, "{url:?} {address}");
        }
        policy.allowed.insert(other.origin());
        assert_eq!(policy.may_follow(&other, private, None), Ok(()));
        assert_eq!(policy.may_follow(&url("https://10.0.0.5/"), private, None), refused);
    }
}

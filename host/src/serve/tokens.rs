//! Access tokens that another program issues: which there are, for whom, and to whose records their users have access.
//!
//! The file holds no token, only the SHA-256 of each, so that who reads it cannot use it. It is read again whenever it
//! changes: a token that leaves it opens nothing from then on. If it cannot be read, no token is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use anyhow::{Context, Result, bail, ensure};
use ehi_core::{
    access::Principal,
    kick_off::{Facts, Need},
    time::Timestamp,
    values::RequestHead,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The tokens of a file.
pub struct Tokens {
    file: PathBuf,
    read: Mutex<Read>,
}

/// Who asks, and what the deployment's rules let them have.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) principal: Principal,
    access: Arc<Access>,
}

/// Who of the staff asks.
#[derive(Clone, Debug)]
pub(super) struct Staff {
    pub(super) name: String,
    expires: Timestamp,
}

struct Read {
    state: Option<(SystemTime, u64)>,
    table: Arc<Table>,
}

#[derive(Default)]
struct Table {
    clients: BTreeMap<[u8; 32], Bearer>,
    staff: BTreeMap<[u8; 32], Staff>,
}

/// What roles and rules make depend on who it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Access {
    #[serde(default)]
    patients: BTreeSet<String>,
    #[serde(default)]
    groups: BTreeSet<String>,
    #[serde(default)]
    practitioners: BTreeSet<String>,
}

impl Tokens {
    /// Reads the file, which must be right at the start.
    pub fn open(file: PathBuf) -> Result<Self> {
        let table = Arc::new(Table::read(&file)?);
        let state = fs::metadata(&file).ok().and_then(|metadata| state(&metadata));
        Ok(Self { file, read: Mutex::new(Read { state, table }) })
    }

    /// Whose token a request carries.
    pub(super) fn bearer(&self, head: &RequestHead) -> Bearer {
        let known = digest(head).and_then(|digest| self.table().clients.get(&digest).cloned());
        known.unwrap_or_else(|| Bearer::new(Principal::Anonymous))
    }

    /// Who of the staff asks, if anyone.
    pub(super) fn staff(&self, head: &RequestHead, now: Timestamp) -> Option<Staff> {
        let known = digest(head).and_then(|digest| self.table().staff.get(&digest).cloned());
        known.filter(|staff| now < staff.expires)
    }

    /// As the file is now.
    fn table(&self) -> Arc<Table> {
        let Ok(mut read) = self.read.lock() else { return Arc::default() };
        let now = fs::metadata(&self.file).ok().and_then(|metadata| state(&metadata));
        if now.is_none() || now != read.state {
            let table = Table::read(&self.file);
            if let Err(error) = &table {
                tracing::error!(error = format!("{error:#}"), "the tokens cannot be read: none is known");
            }
            *read = Read { state: now, table: Arc::new(table.unwrap_or_default()) };
        }
        Arc::clone(&read.table)
    }
}

impl Bearer {
    pub(super) fn new(principal: Principal) -> Self {
        Self { principal, access: Arc::default() }
    }

    /// The ids of the resources of a type that the rules open to the user.
    pub(super) fn accessible(&self, resource_type: &str) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        match resource_type {
            "Patient" => &self.access.patients,
            "Group" => &self.access.groups,
            "Practitioner" => &self.access.practitioners,
            _ => &NONE,
        }
    }

    /// Adds what the rules say of those needs that are about the user.
    pub(super) fn answer(&self, needs: &[Need], facts: &mut Facts) {
        for need in needs {
            match need {
                Need::PatientAccess { patient, .. } if self.access.patients.contains(patient) => {
                    facts.accessible_patients.insert(patient.clone());
                }
                Need::GroupAccess { group, .. } if self.access.groups.contains(group) => {
                    facts.accessible_groups.insert(group.clone());
                }
                Need::PractitionerAccess { practitioner, .. } if self.access.practitioners.contains(practitioner) => {
                    facts.accessible_practitioners.insert(practitioner.clone());
                }
                _ => {}
            }
        }
    }
}

impl Table {
    /// An error never shows what the file holds.
    fn read(file: &PathBuf) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let list: Vec<Map<String, Value>> = serde_json::from_str(&text)
            .map_err(|error| anyhow::anyhow!("not a JSON array of objects, line {}", error.line()))
            .with_context(|| format!("in `{}`", file.display()))?;
        let mut table = Self::default();
        for (place, token) in list.into_iter().enumerate() {
            table.add(token).with_context(|| format!("token {place} of `{}`", file.display()))?;
        }
        Ok(table)
    }

    fn add(&mut self, mut token: Map<String, Value>) -> Result<()> {
        let digest = token.remove("sha256");
        let digest = digest.as_ref().and_then(Value::as_str).and_then(from_hex);
        let digest = digest.context("`sha256` must be the SHA-256 of a token, in hexadecimal")?;
        let known = self.clients.contains_key(&digest) || self.staff.contains_key(&digest);
        ensure!(!known, "the same token stands twice");
        if let Some(name) = token.remove("staff") {
            let (Value::String(name), Some(expires)) = (name, token.remove("expires")) else {
                bail!("a token of staff has the members `sha256`, `staff` and `expires`");
            };
            ensure!(token.is_empty(), "a token of staff has the members `sha256`, `staff` and `expires` only");
            let expires = serde_json::from_value(expires).context("`expires` must be a FHIR instant")?;
            self.staff.insert(digest, Staff { name, expires });
            return Ok(());
        }
        let access = token.remove("access").map(serde_json::from_value).transpose();
        let access: Option<Access> =
            access.map_err(|_| anyhow::anyhow!("`access` has `patients`, `groups` and `practitioners`"))?;
        let principal = Principal::from_json(&json!({ "known": token }).to_string())?;
        self.clients.insert(digest, Bearer { principal, access: Arc::new(access.unwrap_or_default()) });
        Ok(())
    }
}

fn state(metadata: &Metadata) -> Option<(SystemTime, u64)> {
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The digest of the one token of a request (RFC 6750 §2.1): with two of them it is nobody's.
fn digest(head: &RequestHead) -> Option<[u8; 32]> {
    let mut given = head.headers.iter().filter(|(name, _)| name == "authorization").map(|(_, value)| value);
    let (value, None) = (given.next()?, given.next()) else { return None };
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Sha256::digest(token.trim_start_matches(' ')).into())
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(authorization: &[&str]) -> RequestHead {
        let headers = authorization.iter().map(|value| ("authorization".to_owned(), (*value).to_owned())).collect();
        RequestHead { method: "GET".into(), target: "/".into(), headers }
    }

    fn hex(token: &str) -> String {
        Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_token_is_known_by_its_digest_and_only_while_it_is_listed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let one = json!({ "sha256": hex("t1"), "client": "app", "user": null, "patient": null,
            "scopes": ["system/*.rs"], "expires": "2099-01-01T00:00:00Z" });
        let staff = json!({ "sha256": hex("t2"), "staff": "records", "expires": "2099-01-01T00:00:00Z" });
        fs::write(file.path(), json!([one, staff]).to_string()).unwrap();
        let tokens = Tokens::open(file.path().to_owned()).unwrap();
        let client = |authorization: &[&str]| match tokens.bearer(&head(authorization)).principal {
            Principal::Known { client, .. } => Some(client),
            _ => None,
        };
        assert_eq!(client(&["Bearer t1"]).as_deref(), Some("app"));
        assert_eq!(client(&["bearer  t1"]).as_deref(), Some("app"));
        let strangers: [&[&str]; 6] =
            [&[], &["Bearer t2"], &["Bearer t1x"], &["Basic t1"], &["t1"], &["Bearer t1", "Bearer t1"]];
        for authorization in strangers {
            assert_eq!(client(authorization), None, "{authorization:?}");
        }
        let now = Timestamp::parse_instant("2098-12-31T23:59:59Z").unwrap();
        assert_eq!(tokens.staff(&head(&["Bearer t2"]), now).unwrap().name, "records");
        assert!(tokens.staff(&head(&["Bearer t2"]), now.plus_seconds(1)).is_none());
        assert!(tokens.staff(&head(&["Bearer t1"]), now).is_none());
        fs::write(file.path(), "[]").unwrap();
        assert_eq!(client(&["Bearer t1"]), None);
        fs::write(file.path(), "[ {").unwrap();
        assert_eq!(client(&["Bearer t1"]), None);
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_without_showing_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let right = json!({ "sha256": hex("t"), "client": "c", "user": "u-SECRET", "patient": null, "scopes": [],
            "expires": "2099-01-01T00:00:00Z" });
        let with = |name: &str, value: Value| {
            let mut token = right.clone();
            token[name] = value;
            token
        };
        fs::write(file.path(), json!([right]).to_string()).unwrap();
        assert!(Tokens::open(file.path().to_owned()).is_ok());
        for wrong in [
            json!([with("sha256", json!("SECRET"))]),
            json!([with("expires", json!("SECRET"))]),
            json!([with("admin", json!("SECRET"))]),
            json!([with("access", json!({ "everything": "SECRET" }))]),
            json!([with("staff", json!("SECRET"))]),
            json!([right, right]),
            json!({ "SECRET": 1 }),
        ] {
            fs::write(file.path(), wrong.to_string()).unwrap();
            let error = format!("{:#}", Tokens::open(file.path().to_owned()).err().unwrap());
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}

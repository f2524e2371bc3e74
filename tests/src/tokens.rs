//! Access tokens for tests: what `ehi serve --auth tokens` reads. Each is called what its bearer is called.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

/// The file, with these tokens: name and members, which are filled up to what a token must have.
pub fn tokens(list: &[(&str, Value)]) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    write(&file, list);
    file
}

/// Replaces what is in the file.
pub fn write(file: &NamedTempFile, list: &[(&str, Value)]) {
    let list: Vec<Value> = list.iter().map(|(name, members)| token(name, members)).collect();
    std::fs::write(file.path(), Value::from(list).to_string()).expect("written");
}

/// Settings of a server.
pub fn settings(members: &Value) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), members.to_string()).expect("written");
    file
}

fn token(name: &str, members: &Value) -> Value {
    let digest: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut token = if members["staff"].is_string() {
        json!({ "expires": NEVER })
    } else {
        json!({ "client": name, "user": null, "patient": null, "scopes": [], "expires": NEVER })
    };
    token["sha256"] = digest.into();
    for (member, value) in members.as_object().expect("members") {
        token[member] = value.clone();
    }
    token
}

const NEVER: &str = "2999-01-01T00:00:00Z";

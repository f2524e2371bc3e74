//! Manifests of peers. The input is the manifest.

use ehi_core::manifest::{Manifest, ManifestBounds, ManifestReadError};
use serde_json::Value;

/// What is read is what is there: no file is lost or made up, and no bound is passed.
pub fn manifest(data: &[u8]) {
    let read = |bytes: &[u8], ballot| Manifest::read(bytes, ballot, BOUNDS);
    let (plain, ballot) = (read(data, false), read(data, true));
    assert_eq!(plain.as_ref().err(), ballot.as_ref().err(), "the edition decides no more than what is odd");
    let is_long = data.len() as u64 > BOUNDS.bytes_max;
    assert_eq!(is_long, plain.as_ref().err() == Some(&ManifestReadError::TooLong));
    let Ok(manifest) = plain else { return };
    if !data.starts_with(BYTE_ORDER_MARK) && data.len() as u64 + 3 <= BOUNDS.bytes_max {
        assert_eq!(read(&[BYTE_ORDER_MARK, data].concat(), false).as_ref(), Ok(&manifest));
    }
    let rows = manifest.files.len() as u64 + manifest.rows_without_url;
    assert!(rows <= BOUNDS.rows_max as u64);
    assert!(manifest.oddities.is_sorted_by(|one, next| one < next));
    for file in &manifest.files {
        assert!(!file.url.expose().is_empty());
        let is_digest =
            |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        assert!(file.sha256.as_ref().is_none_or(is_digest));
    }
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    // The oracle is stricter: it decodes what is passed over.
    let Ok(oracle) = serde_json::from_slice::<Value>(data) else { return };
    let listed = |name: &str| match &oracle[name] {
        Value::Array(rows) => rows.len() as u64,
        Value::Object(_) => 1,
        _ => 0,
    };
    assert_eq!(rows, ["output", "deleted", "error", "outcome"].map(listed).iter().sum::<u64>());
    let time = manifest.transaction_time.as_deref();
    assert!(time.is_none_or(|time| oracle["transactionTime"] == time));
    if let Some(next) = &manifest.next {
        let is_next = |link: &Value| link["relation"] == "next" && link["url"] == next.expose().as_str();
        let link = &oracle["link"];
        assert!(is_next(link) || link.as_array().is_some_and(|links| links.iter().any(is_next)));
    }
}

const BOUNDS: ManifestBounds = ManifestBounds { bytes_max: 3_000, rows_max: 12 };

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

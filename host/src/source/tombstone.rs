//! What a folder says of deletions: lines of files whose names end in `.tombstones.ndjson`, each a JSON object such as
//! `{"type":"Observation","id":"1","deletedAt":"2026-01-01T00:00:00Z","patients":["p1"]}`.

use ehi_core::Timestamp;
use serde::Deserialize;

use super::version::Version;

/// Whether a file holds tombstones and no resources.
pub(super) fn is_file(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(SUFFIX)
}

/// Type, id and, as a version, when it was deleted. The rest is the writer's to check and report.
pub(super) fn read(line: &[u8]) -> Option<(String, String, Version)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Tombstone {
        #[serde(rename = "type")]
        resource_type: String,
        id: String,
        deleted_at: String,
    }
    let Tombstone { resource_type, id, deleted_at } = serde_json::from_slice(line).ok()?;
    let deleted_at = Timestamp::parse_instant(&deleted_at).ok()?;
    Some((resource_type, id, Version::at(deleted_at)))
}

const SUFFIX: &str = ".tombstones.ndjson";

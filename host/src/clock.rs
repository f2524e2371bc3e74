//! The one place where time and randomness come from.

use std::time::{SystemTime, UNIX_EPOCH};

use ehi_core::Timestamp;

/// Now, in milliseconds since 1970-01-01T00:00:00Z.
pub fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Now.
pub fn now() -> Timestamp {
    Timestamp::from_millis(now_millis())
}

/// 16 bytes that nobody can guess.
pub fn entropy() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

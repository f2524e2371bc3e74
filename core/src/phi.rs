//! Values that may be patient data wear a wrapper, so that they cannot be printed by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that may be patient data. `Debug` shows nothing of it and there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Wraps.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, where it is needed for what it is.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_printed_of_it() {
        let patient = Some(Sensitive::new(String::from("pat-17")));
        assert_eq!(format!("{patient:?}"), "Some((withheld))");
        assert_eq!(serde_json::to_string(&patient).unwrap(), "\"pat-17\"");
    }
}

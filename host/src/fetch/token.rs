//! Where the access token comes from. It is read anew whenever the client wants one, so that another program can renew it.

use std::{fs, path::PathBuf};

use http::HeaderValue;

/// Where the access token comes from.
pub struct TokenSource {
    place: Place,
    current: Option<HeaderValue>,
}

enum Place {
    Nowhere,
    File(PathBuf),
    Text(String),
}

impl TokenSource {
    /// A file that holds the token and nothing else; without one the environment variable `EHI_TOKEN`; without that none.
    pub fn new(file: Option<PathBuf>) -> Self {
        let place = match (file, std::env::var(VARIABLE)) {
            (Some(file), _) => Place::File(file),
            (None, Ok(text)) if !text.trim().is_empty() => Place::Text(text),
            (None, _) => Place::Nowhere,
        };
        Self { place, current: None }
    }

    /// Whether there is a place to read it from.
    pub fn exists(&self) -> bool {
        !matches!(self.place, Place::Nowhere)
    }

    /// Reads it; what is wrong is told without showing it.
    pub(super) fn read(&mut self) -> Result<(), String> {
        self.current = None;
        let text = match &self.place {
            Place::Nowhere => return Err(format!("neither --token-file nor {VARIABLE} is given")),
            Place::File(path) => {
                fs::read_to_string(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?
            }
            Place::Text(text) => text.clone(),
        };
        // RFC 6750 §2.1: token68.
        let token = text.trim();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(is_token) {
            return Err(String::from("what is there is not an access token"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        self.current = Some(value);
        Ok(())
    }

    /// No token, whatever is there: the export was begun without.
    pub fn none() -> Self {
        Self { place: Place::Nowhere, current: None }
    }

    /// The header that was read last.
    pub(super) fn current(&self) -> Option<HeaderValue> {
        self.current.clone()
    }
}

/// Programs that hold a secret are given it by their environment or by a file; an argument is seen by all processes.
const VARIABLE: &str = "EHI_TOKEN";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_and_its_text_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut tokens = TokenSource::new(Some(path.clone()));
        assert!(tokens.read().unwrap_err().contains("cannot be read"));
        fs::write(&path, "abc.DEF-1=\n").unwrap();
        tokens.read().unwrap();
        assert_eq!(tokens.current().unwrap(), "Bearer abc.DEF-1=");
        fs::write(&path, "next").unwrap();
        tokens.read().unwrap();
        assert_eq!(tokens.current().unwrap(), "Bearer next");
        fs::write(&path, "two words").unwrap();
        assert_eq!(tokens.read().unwrap_err(), "what is there is not an access token");
        assert_eq!(tokens.current(), None);
    }
}

//! SHA-256 of a file: in the writer, or by the embedder on another thread.

use std::fmt;

use sha2::{Digest, Sha256};

/// Takes the SHA-256 of bytes given in order.
#[derive(Clone, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest in lower-case hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_digest_of_nothing_and_of_abc() {
        let digest = |parts: &[&str]| {
            let mut digester = super::Digester::default();
            parts.iter().for_each(|part| digester.update(part.as_bytes()));
            digester.finish()
        };
        assert_eq!(digest(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest(&["a", "bc"]), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

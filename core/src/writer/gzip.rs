//! gzip of a file (RFC 1952), as it is written. It names neither a time nor a system, so the same file gives the same
//! bytes.

use std::{fmt, io::Write};

use flate2::{Compression, GzBuilder, write::GzEncoder};

/// Compresses bytes given in order. Takes some 300 KiB of memory while it lasts.
pub(super) struct Gzip {
    encoder: GzEncoder<Vec<u8>>,
    /// Bytes handed out.
    length: u64,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { encoder: GzBuilder::new().write(Vec::new(), Compression::default()), length: 0 }
    }

    /// More bytes, and what is compressed of them and of those before: often nothing yet.
    pub(super) fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        // INVARIANT: a vector takes whatever is written to it.
        let _infallible = self.encoder.write_all(bytes);
        let ready = std::mem::take(self.encoder.get_mut());
        self.length += ready.len() as u64;
        ready
    }

    /// The rest, and how many bytes there were in all.
    pub(super) fn finish(self) -> (Vec<u8>, u64) {
        // INVARIANT: as above; were it otherwise, a file without its trailer is no gzip, and nobody takes it for whole.
        let rest = self.encoder.finish().unwrap_or_default();
        let length = self.length + rest.len() as u64;
        (rest, length)
    }
}

impl fmt::Debug for Gzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gzip")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn what_is_compressed_reads_back(parts in prop::collection::vec("[a-z{}\":, ]{0,2000}", 0..40)) {
            let mut gzip = Gzip::new();
            let mut compressed: Vec<u8> = parts.iter().flat_map(|part| gzip.update(part.as_bytes())).collect();
            let (rest, length) = gzip.finish();
            compressed.extend(rest);
            prop_assert_eq!(length, compressed.len() as u64);
            let mut text = String::new();
            flate2::read::GzDecoder::new(compressed.as_slice()).read_to_string(&mut text).unwrap();
            prop_assert_eq!(text, parts.concat());
        }
    }

    #[test]
    fn nothing_tells_when_or_where() {
        let (bytes, _) = Gzip::new().finish();
        assert_eq!(&bytes[4..8], [0; 4], "the time");
        assert_eq!(bytes[9], 255, "the system");
    }
}

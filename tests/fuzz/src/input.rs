//! Inputs, taken apart.

use ehi_core::Edition;
use memchr::memmem;

/// An input, read from its beginning. What is not there is 0.
pub(crate) struct Input<'d> {
    rest: &'d [u8],
}

impl<'d> Input<'d> {
    pub(crate) fn new(data: &'d [u8]) -> Self {
        Self { rest: data }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// What follows, without a line end right behind what was read.
    pub(crate) fn rest(&self) -> &'d [u8] {
        self.rest.strip_prefix(b"\n").unwrap_or(self.rest)
    }
}

/// The parts of an input between lines of `%%`, at least one.
pub(crate) fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut start = 0;
    for at in memmem::find_iter(data, BETWEEN_PARTS) {
        // Two in a row may share a line end.
        if let Some(part) = data.get(start..at) {
            parts.push(part);
            start = at + BETWEEN_PARTS.len();
        }
    }
    parts.push(&data[start..]);
    parts
}

/// The edition that the two lowest bits of a byte say.
pub(crate) fn edition(byte: u8) -> Edition {
    [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot][usize::from(byte & 3)]
}

/// A text that no input holds: where a target puts it, it must not come out elsewhere.
pub(crate) const MARK: &str = "Zq9Mark7";

/// Whether nothing of an input can be taken for the mark.
pub(crate) fn is_free_of_mark(data: &[u8]) -> bool {
    memmem::find(data, b"Zq9").is_none()
}

/// Percent-encodes everything but letters, digits and what `keeps` says.
pub(crate) fn percent_encoded(text: &str, keeps: &[u8]) -> String {
    let one = |byte: u8| {
        let stays = byte.is_ascii_alphanumeric() || keeps.contains(&byte);
        if stays { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(one).collect()
}

const BETWEEN_PARTS: &[u8] = b"\n%%\n";

//! NDJSON: blocks of bytes cut anywhere, into lines (BD-NDJ-01, BD-NDJ-02).

/// Cuts blocks into lines. Holds at most the begun line, and no more than the limit of it.
#[derive(Debug)]
pub struct Lines {
    begun: Vec<u8>,
    /// The begun line is over the limit: its bytes are no longer kept.
    overflow: bool,
    line_bytes_max: usize,
}

/// One line, without its line end and without white space around it.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'b> {
    /// White space only: readers may ignore it (ndjson spec), and we do.
    Blank,
    /// The text of the line.
    Text(&'b [u8]),
    /// Longer than the limit.
    TooLong,
}

impl Lines {
    /// A splitter that keeps at most `line_bytes_max` bytes of a line.
    pub fn new(line_bytes_max: usize) -> Self {
        Self { begun: Vec::new(), overflow: false, line_bytes_max }
    }

    /// Whether a line has begun and not ended.
    pub fn has_begun(&self) -> bool {
        self.overflow || !self.begun.is_empty()
    }

    /// Takes bytes up to and with the first line end. Returns how many, and the line if one was completed; then call
    /// [`clear`](Self::clear) before the next.
    pub fn take<'b>(&'b mut self, block: &'b [u8]) -> (usize, Option<Line<'b>>) {
        let Some(end) = memchr::memchr(b'\n', block) else {
            self.keep(block);
            return (block.len(), None);
        };
        let (line, _) = block.split_at_checked(end).unwrap_or((block, &[]));
        if self.has_begun() {
            self.keep(line);
            return (end + 1, Some(self.line()));
        }
        let line = if line.len() > self.line_bytes_max { Line::TooLong } else { Line::of(line) };
        (end + 1, Some(line))
    }

    /// The begun line as it stands: at the end of a source that lacks the last line end.
    pub fn line(&self) -> Line<'_> {
        if self.overflow { Line::TooLong } else { Line::of(&self.begun) }
    }

    /// Forgets the begun line.
    pub fn clear(&mut self) {
        self.overflow = false;
        self.begun.clear();
        // One giant line must not hold its memory for the rest of the export.
        self.begun.shrink_to(KEPT_BYTES);
    }

    fn keep(&mut self, part: &[u8]) {
        if self.overflow || self.begun.len() + part.len() > self.line_bytes_max {
            self.overflow = true;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }
}

impl<'b> Line<'b> {
    fn of(bytes: &'b [u8]) -> Self {
        // A byte order mark is no part of JSON text (RFC 8259 §8.1 lets readers ignore it).
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        if bytes.is_empty() { Self::Blank } else { Self::Text(bytes) }
    }
}

/// Capacity kept between lines: most resources are smaller.
const KEPT_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn split(blocks: &[&[u8]], limit: usize) -> Vec<String> {
        let mut lines = Lines::new(limit);
        let mut seen = Vec::new();
        let show = |line: Line<'_>| match line {
            Line::Blank => String::from("-"),
            Line::TooLong => String::from("too long"),
            Line::Text(text) => String::from_utf8_lossy(text).into_owned(),
        };
        for block in blocks {
            let mut rest = *block;
            while !rest.is_empty() {
                let (taken, line) = lines.take(rest);
                if let Some(line) = line {
                    seen.push(show(line));
                    lines.clear();
                }
                rest = &rest[taken..];
            }
        }
        if lines.has_begun() {
            seen.push(show(lines.line()));
        }
        seen
    }

    #[test]
    fn the_cut_does_not_matter() {
        let text = b"\xef\xbb\xbf{1}\r\n\n   {222}\n{333333}\n {4} ";
        let whole = split(&[text], 7);
        assert_eq!(whole, ["{1}", "-", "too long", "too long", "{4}"]);
        for cut in 0..text.len() {
            for second in cut..text.len() {
                assert_eq!(split(&[&text[..cut], &text[cut..second], &text[second..]], 7), whole, "{cut} {second}");
            }
        }
    }
}

//! Lines that a fast walker could get wrong, the same for the same seed.

/// A small generator of numbers (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// A line: an object, and half of the time one that is then spoilt.
pub(super) fn line(random: &mut Random) -> Vec<u8> {
    let spaces = random.pick::<[&str]>(&[&[""], &[""], &[" "], &["", " ", "\t", "\r\n  "], &["", "", "", "", " "]]);
    let mut writer = Writer { random, spaces, line: Vec::new() };
    if writer.random.once_in(50) {
        writer.nested();
    } else {
        writer.object(0);
    }
    let mut line = writer.line;
    if random.once_in(2) {
        for _ in 0..=random.below(3) {
            spoil(random, &mut line);
        }
    }
    line
}

struct Writer<'r> {
    random: &'r mut Random,
    spaces: &'r [&'r str],
    line: Vec<u8>,
}

impl Writer<'_> {
    fn text(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
    }

    /// With white space around it, as much as this line has.
    fn mark(&mut self, mark: &str) {
        let (before, after) = (self.random.pick(self.spaces), self.random.pick(self.spaces));
        self.text(before);
        self.text(mark);
        self.text(after);
    }

    fn object(&mut self, depth: usize) {
        self.mark("{");
        for n in 0..self.random.below(8_usize.saturating_sub(depth)) {
            if n > 0 {
                self.mark(",");
            }
            self.name();
            self.mark(":");
            self.value(depth + 1);
        }
        self.mark("}");
    }

    fn array(&mut self, depth: usize) {
        self.mark("[");
        for n in 0..self.random.below(5) {
            if n > 0 {
                self.mark(",");
            }
            self.value(depth + 1);
        }
        self.mark("]");
    }

    /// Deeper than any resource, and than a word has bits.
    fn nested(&mut self) {
        let kinds: Vec<bool> = (0..40 + self.random.below(200)).map(|_| self.random.once_in(2)).collect();
        self.mark("{");
        self.text("\"a\":");
        for is_object in &kinds {
            self.mark(if *is_object { "{" } else { "[" });
            if *is_object {
                self.text("\"b\":");
            }
        }
        self.scalar();
        for is_object in kinds.iter().rev() {
            self.mark(if *is_object { "}" } else { "]" });
        }
        self.mark("}");
    }

    fn value(&mut self, depth: usize) {
        match self.random.below(if depth > 5 { 6 } else { 10 }) {
            0..4 => self.string(),
            4..6 => self.scalar(),
            6..8 => self.object(depth),
            _ => self.array(depth),
        }
    }

    fn scalar(&mut self) {
        let text = self.random.pick(&[
            "true",
            "false",
            "null",
            "0",
            "-0",
            "7",
            "-12",
            "185.31",
            "1e5",
            "0.5E-7",
            "-1.50e+3",
            "0e0",
            "123456789012345678901234567890.5",
        ]);
        self.text(text);
    }

    /// Often a known one, so that names are repeated.
    fn name(&mut self) {
        match self.random.below(8) {
            0..6 => {
                let name =
                    self.random.pick(&["id", "resourceType", "meta", "subject", "reference", "resourceT\\u0079pe", ""]);
                self.text("\"");
                self.text(name);
                self.text("\"");
            }
            _ => self.string_of(&[&PIECES[..PIECES.len() - SURROGATES]]),
        }
    }

    fn string(&mut self) {
        self.string_of(&[&PIECES[..ORDINARY], &PIECES[..ORDINARY], PIECES]);
    }

    fn string_of(&mut self, choices: &[&[&str]]) {
        let pieces = self.random.pick(choices);
        self.text("\"");
        if self.random.once_in(3) {
            self.up_to_the_border();
        }
        let count = if self.random.once_in(30) { 60 } else { self.random.below(5) };
        for _ in 0..count {
            let piece = self.random.pick(pieces);
            self.text(piece);
        }
        self.text("\"");
    }

    /// So many letters that what follows stands at the border of a block, seen from the start of the line or from
    /// here.
    fn up_to_the_border(&mut self) {
        let from = if self.random.once_in(2) { self.line.len() } else { 1 };
        let letters = (64 + 62 - from % 64 + self.random.below(4)) % 64;
        self.text(&"x".repeat(letters));
    }
}

/// What strings are made of: what any string may hold, then escapes, then halves of surrogate pairs.
const PIECES: &[&str] = &[
    "a",
    "Patient/1",
    "final",
    " ",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "é",
    "漢字",
    "😀",
    "\u{7f}",
    "a somewhat longer run of text, as in a narrative",
    "\\\"",
    "\\\\",
    "\\\\\\\"",
    "\\\\\\\\",
    "\\/",
    "\\n",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\\"}",
    "]\\\\",
    "\\ud800",
    "\\udc00x",
];
const ORDINARY: usize = 15;
const SURROGATES: usize = 2;

fn spoil(random: &mut Random, line: &mut Vec<u8>) {
    if line.is_empty() {
        return;
    }
    let at = random.below(line.len());
    match random.below(8) {
        0 => line.truncate(at),
        1 => drop(line.remove(at)),
        2 => line.insert(at, *random.pick(BYTES)),
        3 | 4 => line[at] = *random.pick(BYTES),
        5 => line.extend_from_slice(random.pick(&["x", "{}", ",", " ", "}", "\0", "\"", "]", "null"]).as_bytes()),
        6 => {
            let end = (at + random.below(80)).min(line.len());
            let again = line[at..end].to_vec();
            line.splice(at..at, again);
        }
        _ => line.swap(at, 0),
    }
}

const BYTES: &[&u8] = &[
    &b'"', &b'\\', &b'{', &b'}', &b'[', &b']', &b',', &b':', &b' ', &b'\t', &b'\r', &b'\n', &b'0', &b'1', &b'-', &b'.',
    &b'e', &b'u', &b'n', &0, &0x01, &0x0C, &0x1F, &0x7F, &0x80, &0xC3, &0xE2, &0xED, &0xF0, &0xFF, &b'|', &b'@', &b';',
];

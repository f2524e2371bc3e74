//! Where values and strings end. Says nothing of whether they are valid.
//!
//! Each step looks at blocks of 64 bytes from the name, or the item, at which it begins, so nothing of one step is kept
//! for the next: who stops after the third member has paid for three.

use std::ops::Range;

use super::{
    lanes::{Lanes, WIDTH, filled_up},
    simd::{Level, Task},
};

/// The text that is walked: the first `len` bytes of `line`. What follows them may be read, and counts for nothing.
#[derive(Clone, Copy)]
pub(super) struct Text<'l> {
    pub(super) line: &'l [u8],
    pub(super) len: usize,
}

/// Where a member stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Between the quotes.
    pub(super) name: Range<usize>,
    /// Whether the name may have escapes.
    pub(super) escaped: bool,
    pub(super) value: Range<usize>,
}

impl Text<'_> {
    /// A value in the text.
    #[inline]
    pub(super) fn part(self, value: Range<usize>) -> Option<Self> {
        Some(Self { line: self.line.get(value.start..)?, len: value.end - value.start })
    }

    /// The member of an object behind that place, white space and a comma.
    #[inline]
    pub(super) fn member(self, level: Level, at: usize) -> Option<Member> {
        level.run(NextMember { text: self, at })
    }

    /// The end of the object or array inside which that place is, outside of anything in it.
    #[inline]
    pub(super) fn end_around(self, level: Level, at: usize) -> Option<usize> {
        level.run(EndAround { text: self, at })
    }

    /// The item of an array behind that place, white space and a comma.
    #[inline]
    pub(super) fn item(self, level: Level, at: usize) -> Option<Range<usize>> {
        level.run(NextItem { text: self, at })
    }
}

struct NextMember<'l> {
    text: Text<'l>,
    at: usize,
}

impl Task for NextMember<'_> {
    type Answer = Option<Member>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<Member> {
        next_member(lanes, self.text, self.at)
    }
}

struct NextItem<'l> {
    text: Text<'l>,
    at: usize,
}

impl Task for NextItem<'_> {
    type Answer = Option<Range<usize>>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<Range<usize>> {
        next_item(lanes, self.text, self.at)
    }
}

struct EndAround<'l> {
    text: Text<'l>,
    at: usize,
}

impl Task for EndAround<'_> {
    type Answer = Option<usize>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<usize> {
        Scan::at(lanes, self.text, self.at)?.closing_from(self.at, 1)
    }
}

/// [`Text::member`] in one way.
#[inline(always)]
pub(super) fn next_member<L: Lanes>(lanes: L, text: Text<'_>, at: usize) -> Option<Member> {
    let open = text.after_comma(lanes, at);
    if text.byte(open)? != b'"' {
        return None;
    }
    let mut scan = Scan::at(lanes, text, open)?;
    let close = scan.quote_after(open)?;
    let escaped = scan.has_escape(open, close);
    let colon = text.after_space(lanes, close + 1);
    if text.byte(colon)? != b':' {
        return None;
    }
    let start = text.after_space(lanes, colon + 1);
    let end = scan.value_end(start)?;
    Some(Member { name: open + 1..close, escaped, value: start..end })
}

/// [`Text::item`] in one way.
#[inline(always)]
pub(super) fn next_item<L: Lanes>(lanes: L, text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = text.after_comma(lanes, at);
    let end = Scan::at(lanes, text, start)?.value_end(start)?;
    Some(start..end)
}

impl Text<'_> {
    #[inline(always)]
    fn byte(self, at: usize) -> Option<u8> {
        if at < self.len { self.line.get(at).copied() } else { None }
    }

    #[inline(always)]
    fn after_space<L: Lanes>(self, lanes: L, mut at: usize) -> usize {
        while self.byte(at).is_some_and(|byte| lanes.is_space(byte)) {
            at += 1;
        }
        at
    }

    #[inline(always)]
    fn after_comma<L: Lanes>(self, lanes: L, at: usize) -> usize {
        let at = self.after_space(lanes, at);
        if self.byte(at) == Some(b',') { self.after_space(lanes, at + 1) } else { at }
    }

    /// The end of the number or literal that stands there; `None` if nothing does.
    #[inline(always)]
    fn scalar_end<L: Lanes>(self, lanes: L, at: usize) -> Option<usize> {
        let mut end = at;
        while self.byte(end).is_some_and(|byte| !lanes.ends_scalar(byte)) {
            end += 1;
        }
        (end > at).then_some(end)
    }
}

/// A block of the text, with its quotes found, and the way on to the next.
struct Scan<'l, L: Lanes> {
    lanes: L,
    text: Text<'l>,
    /// Where the block begins.
    base: usize,
    block: L::Block,
    /// The bytes of the block that count.
    valid: u64,
    backslashes: u64,
    /// The quotes that no backslash takes.
    quotes: u64,
    /// See [`Lanes::escaped`].
    escape: u64,
}

impl<'l, L: Lanes> Scan<'l, L> {
    /// From there on, which is outside a string.
    #[inline(always)]
    fn at(lanes: L, text: Text<'l>, base: usize) -> Option<Self> {
        let block = load(lanes, text, base)?;
        let mut scan = Self { lanes, text, base, block, valid: 0, backslashes: 0, quotes: 0, escape: 0 };
        scan.find_quotes();
        Some(scan)
    }

    #[inline(always)]
    fn advance(&mut self) -> Option<()> {
        self.base += WIDTH;
        self.block = load(self.lanes, self.text, self.base)?;
        self.find_quotes();
        Some(())
    }

    #[inline(always)]
    fn find_quotes(&mut self) {
        self.valid = self.lanes.valid(self.text.len - self.base);
        self.backslashes = self.lanes.equal(self.block, b'\\');
        let escaped = self.lanes.escaped(self.backslashes, &mut self.escape);
        self.quotes = self.lanes.equal(self.block, b'"') & self.valid & !escaped;
    }

    /// The quote behind that place, which is in this block or further on.
    #[inline(always)]
    fn quote_after(&mut self, at: usize) -> Option<usize> {
        let from = self.from(at + 1)?;
        let mut quotes = self.quotes & from;
        while quotes == 0 {
            self.advance()?;
            quotes = self.quotes;
        }
        Some(self.base + quotes.trailing_zeros() as usize)
    }

    /// Whether a backslash stands in a string, of which the scan has just found the end.
    #[inline(always)]
    fn has_escape(&self, open: usize, close: usize) -> bool {
        // A name that does not lie in one block is rare enough to be decoded for nothing.
        self.base > open || self.backslashes & !(u64::MAX << (close - self.base)) != 0
    }

    #[inline(always)]
    fn value_end(&mut self, start: usize) -> Option<usize> {
        match self.text.byte(start)? {
            b'"' => Some(self.quote_after(start)? + 1),
            b'{' | b'[' => self.closing_from(start, 0),
            b':' => None,
            _ => self.text.scalar_end(self.lanes, start),
        }
    }

    /// The place behind the bracket that closes the object or array that begins there, where `depth` is 0, or inside
    /// which that place is, where it is 1.
    #[inline(always)]
    fn closing_from(&mut self, start: usize, mut depth: u64) -> Option<usize> {
        let mut from = self.from(start)?;
        let mut in_string = 0;
        loop {
            let inside = self.lanes.inside(self.quotes & from, &mut in_string);
            let counts = self.valid & from & !inside;
            let (opens, closes) = self.lanes.brackets(self.block);
            if let Some(close) = self.lanes.closing(&mut depth, opens & counts, closes & counts) {
                return Some(self.base + close as usize + 1);
            }
            self.advance()?;
            from = u64::MAX;
        }
    }

    /// The bytes of the block from that place on; goes on to the block that has it.
    #[inline(always)]
    fn from(&mut self, at: usize) -> Option<u64> {
        while at - self.base >= WIDTH {
            self.advance()?;
        }
        Some(u64::MAX << (at - self.base))
    }
}

/// The block from there on, filled up with spaces behind the end of the line; `None` behind the end of the text.
#[inline(always)]
fn load<L: Lanes>(lanes: L, text: Text<'_>, at: usize) -> Option<L::Block> {
    if at >= text.len {
        return None;
    }
    let rest = text.line.get(at..)?;
    Some(match rest.first_chunk() {
        Some(bytes) => lanes.load(bytes),
        None => lanes.load(&filled_up(rest)),
    })
}

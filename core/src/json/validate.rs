//! Whether a line is one JSON object in UTF-8, by RFC 8259, and nothing else.
//!
//! The fast way looks at 64 bytes at a time and asks of each token only what it may follow, for all tokens of a block
//! together; the brackets alone are taken one by one. What it refuses, the JSON library decides: nearly always that is
//! a line that is wrong, and the library says where.

use serde::{Deserialize, de::IgnoredAny};

use super::{
    header::{Header, LineError},
    lanes::{Lanes, WIDTH, filled_up},
    simd::{Level, Task},
};

/// Whether the line is exactly one JSON object in UTF-8, with white space around it or not.
///
/// Strings may hold halves of surrogate pairs as escapes, which RFC 8259 allows and no decoder reads. Nesting is not
/// bounded: nothing here descends.
pub(crate) fn validate(line: &[u8]) -> Result<(), LineError> {
    if is_object_for_certain(Level::detect(), line) { Ok(()) } else { exact(line) }
}

/// The fast way.
#[inline]
pub(super) fn is_object_for_certain(level: Level, line: &[u8]) -> bool {
    level.run(Fast { line })
}

/// What the JSON library says of the line.
#[cold]
fn exact(line: &[u8]) -> Result<(), LineError> {
    let text = std::str::from_utf8(line).map_err(|error| LineError::NotUtf8 { at: error.valid_up_to() })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match IgnoredAny::deserialize(&mut deserializer).and_then(|_| deserializer.end()) {
        Ok(()) if text.trim_ascii_start().starts_with('{') => Ok(()),
        Ok(()) => Err(LineError::NotAnObject),
        // Whoever reads heads says the same of the same line.
        Err(error) => match Header::read(line, |_| false) {
            Err(problem @ (LineError::NotJson { .. } | LineError::NotAnObject)) => Err(problem),
            _ => Err(LineError::NotJson { at: error.column() }),
        },
    }
}

struct Fast<'l> {
    line: &'l [u8],
}

impl Task for Fast<'_> {
    type Answer = bool;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> bool {
        is_object(lanes, self.line)
    }
}

/// Whether the line is for certain one JSON object in UTF-8. Says no to nesting deeper than a word has bits.
#[inline(always)]
pub(super) fn is_object<L: Lanes>(lanes: L, line: &[u8]) -> bool {
    let open = after_space(line, 0);
    if line.get(open) != Some(&b'{') {
        return false;
    }
    let mut state = State::within_object();
    let mut at = open + 1;
    loop {
        let Some(rest) = line.get(at..) else { return false };
        let bytes = match rest.first_chunk() {
            Some(bytes) => bytes,
            None if rest.is_empty() => return false,
            None => &filled_up(rest),
        };
        match state.block(lanes, lanes.load(bytes), line, at) {
            Verdict::GoOn => at += WIDTH,
            Verdict::Wrong => return false,
            Verdict::Closed(close) => {
                let ended = after_space(line, at + close as usize + 1) == line.len();
                return ended && (state.ascii || std::str::from_utf8(line).is_ok());
            }
        }
    }
}

enum Verdict {
    GoOn,
    /// The object has ended with that byte of the block.
    Closed(u32),
    Wrong,
}

/// What one block leaves for the next. The fields of one bit say of what kind the last token is.
struct State {
    /// See [`Lanes::escaped`].
    escape: u64,
    /// See [`Lanes::inside`].
    in_string: u64,
    /// Inside a string that may be a name.
    in_name: u64,
    open_object: u64,
    open_array: u64,
    comma: u64,
    colon: u64,
    /// A string that may be a name has ended.
    name: u64,
    /// Anything else that can stand before a comma has ended.
    value: u64,
    /// The byte before is one of a number or a literal.
    scalar: u64,
    /// The open brackets: 1 for an object, 0 for an array, the innermost lowest, below a 1 that marks the end.
    stack: u64,
    /// No byte so far is beyond ASCII.
    ascii: bool,
}

impl State {
    fn within_object() -> Self {
        Self {
            escape: 0,
            in_string: 0,
            in_name: 0,
            open_object: 1,
            open_array: 0,
            comma: 0,
            colon: 0,
            name: 0,
            value: 0,
            scalar: 0,
            stack: 0b11,
            ascii: true,
        }
    }

    #[inline(always)]
    fn block<L: Lanes>(&mut self, lanes: L, block: L::Block, line: &[u8], at: usize) -> Verdict {
        // Strings.
        let mut escaped = 0;
        let mut control = 0;
        let unusual = lanes.unusual(block);
        if unusual | self.escape != 0 {
            let backslashes = lanes.equal(block, b'\\');
            let beyond_ascii = lanes.beyond_ascii(block);
            escaped = lanes.escaped(backslashes, &mut self.escape);
            control = unusual & !backslashes & !beyond_ascii;
            self.ascii &= beyond_ascii == 0;
        }
        let quotes = lanes.equal(block, b'"') & !escaped;
        if self.in_string == u64::MAX && quotes == 0 {
            // In the middle of a long string.
            let right = control == 0 && are_escapes(line, at, escaped);
            return if right { Verdict::GoOn } else { Verdict::Wrong };
        }
        let inside = lanes.inside(quotes, &mut self.in_string);
        let (begins, ends) = (quotes & inside, quotes & !inside);
        let outside = !(inside | quotes);

        // What is outside of them.
        let space = (lanes.equal(block, b' ') | spaces_among(control & outside, line, at)) & outside;
        let open_object = lanes.equal(block, b'{') & outside;
        let close_object = lanes.equal(block, b'}') & outside;
        let open_array = lanes.equal(block, b'[') & outside;
        let close_array = lanes.equal(block, b']') & outside;
        let comma = lanes.equal(block, b',') & outside;
        let colon = lanes.equal(block, b':') & outside;
        let (opens, closes) = (open_object | open_array, close_object | close_array);
        let scalar = outside & !(space | opens | closes | comma | colon);
        let continued = scalar & (scalar << 1 | self.scalar);
        self.scalar = scalar >> 63;
        let scalars = scalar & !continued;
        let values = begins | scalars | opens;

        // What follows what. Most lines have no white space between tokens, and then it is a shift.
        let tokens = Tokens { begins, ends, inside, open_object, open_array, closes, comma, colon, scalar, space };
        let behind = if space == 0 { self.follow::<false>(&tokens) } else { self.follow::<true>(&tokens) };
        let behind_value = behind.value & !continued;
        let mut wrong = control & inside
            | behind.open_object & !(begins | close_object)
            | behind.open_array & !(values | close_array)
            | (behind.comma | behind.colon) & !values
            | behind.name & !(colon | comma | close_array)
            | behind_value & !(comma | closes);

        // What depends on the innermost bracket: in an object, what follows a comma is a name, and what may be a name
        // is one; in an array, nothing is.
        let wrong_in_object = behind.comma & !begins | behind.name & !colon;
        let wrong_in_array = colon;
        let mut left = opens | closes;
        let mut beyond = u64::MAX;
        while left != 0 {
            let bracket = left & left.wrapping_neg();
            let up_to = bracket | (bracket - 1);
            let here = if self.stack & 1 == 1 { wrong_in_object } else { wrong_in_array };
            wrong |= here & beyond & up_to;
            beyond = !up_to;
            let is_object = u64::from((open_object | close_object) & bracket != 0);
            if opens & bracket != 0 {
                if self.stack >> 63 == 1 {
                    return Verdict::Wrong;
                }
                self.stack = self.stack << 1 | is_object;
            } else {
                wrong |= u64::from(self.stack & 1 != is_object) * bracket;
                self.stack >>= 1;
                if self.stack == 1 {
                    let right = wrong & up_to == 0
                        && are_scalars(line, at, scalars & up_to)
                        && are_escapes(line, at, escaped & inside & up_to);
                    return if right { Verdict::Closed(bracket.trailing_zeros()) } else { Verdict::Wrong };
                }
            }
            left ^= bracket;
        }
        let here = if self.stack & 1 == 1 { wrong_in_object } else { wrong_in_array };
        wrong |= here & beyond;
        if wrong == 0 && are_scalars(line, at, scalars) && are_escapes(line, at, escaped & inside) {
            Verdict::GoOn
        } else {
            Verdict::Wrong
        }
    }
}

impl State {
    /// The bytes that follow each kind of token.
    #[inline(always)]
    fn follow<const SPACED: bool>(&mut self, tokens: &Tokens) -> Behind {
        let space = tokens.space;
        let open_object = behind::<SPACED>(tokens.open_object, space, &mut self.open_object);
        let open_array = behind::<SPACED>(tokens.open_array, space, &mut self.open_array);
        let comma = behind::<SPACED>(tokens.comma, space, &mut self.comma);
        let colon = behind::<SPACED>(tokens.colon, space, &mut self.colon);
        // A string may be a name if it follows a bracket that opens an object, or a comma.
        let may_be_name = tokens.begins & (open_object | comma);
        let names = ends_of(may_be_name, tokens.inside, &mut self.in_name);
        let values = tokens.closes | tokens.ends & !names | tokens.scalar;
        let name = behind::<SPACED>(names, space, &mut self.name);
        let value = behind::<SPACED>(values, space, &mut self.value);
        Behind { open_object, open_array, comma, colon, name, value }
    }
}

/// Where the tokens of a block are.
struct Tokens {
    /// The opening quotes.
    begins: u64,
    /// The closing quotes.
    ends: u64,
    inside: u64,
    open_object: u64,
    open_array: u64,
    closes: u64,
    comma: u64,
    colon: u64,
    scalar: u64,
    space: u64,
}

/// What stands behind them.
struct Behind {
    open_object: u64,
    open_array: u64,
    comma: u64,
    colon: u64,
    /// Behind a string that may be a name.
    name: u64,
    /// Behind anything else that can stand before a comma.
    value: u64,
}

/// The bytes that stand behind one of the tokens, with nothing but white space between.
#[inline(always)]
fn behind<const SPACED: bool>(tokens: u64, space: u64, carry: &mut u64) -> u64 {
    let next = tokens << 1 | *carry;
    if !SPACED {
        *carry = tokens >> 63;
        return next;
    }
    // Added to the run of white space that it begins, the bit comes out behind it.
    let (past, over) = (next & space).overflowing_add(space);
    *carry = tokens >> 63 | u64::from(over);
    (next | past) & !space
}

/// The bytes behind the strings that begin there, in the same manner.
#[inline(always)]
fn ends_of(begins: u64, inside: u64, carry: &mut u64) -> u64 {
    let (past, over) = begins.overflowing_add(inside);
    let (past, over_too) = past.overflowing_add(*carry);
    *carry = u64::from(over | over_too);
    past & !inside
}

/// Those of these control characters that are white space. They are rare, and so taken one by one.
#[inline(always)]
fn spaces_among(mut controls: u64, line: &[u8], at: usize) -> u64 {
    let mut spaces = 0;
    while controls != 0 {
        if let Some(b'\t' | b'\n' | b'\r') = line.get(at + controls.trailing_zeros() as usize) {
            spaces |= controls & controls.wrapping_neg();
        }
        controls &= controls - 1;
    }
    spaces
}

/// Whether a number or a literal begins at each of these bytes, and ends where it may.
#[inline(always)]
fn are_scalars(line: &[u8], at: usize, mut begins: u64) -> bool {
    while begins != 0 {
        if !line.get(at + begins.trailing_zeros() as usize..).is_some_and(begins_with_scalar) {
            return false;
        }
        begins &= begins - 1;
    }
    true
}

fn begins_with_scalar(text: &[u8]) -> bool {
    let rest = match text {
        [b't', b'r', b'u', b'e', rest @ ..]
        | [b'f', b'a', b'l', b's', b'e', rest @ ..]
        | [b'n', b'u', b'l', b'l', rest @ ..] => rest,
        _ => match after_number(text) {
            Some(rest) => rest,
            None => return false,
        },
    };
    matches!(rest, [b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r', ..])
}

fn after_number(text: &[u8]) -> Option<&[u8]> {
    let mut rest = match text.strip_prefix(b"-").unwrap_or(text) {
        [b'0', rest @ ..] => rest,
        integer => after_digits(integer)?,
    };
    if let [b'.', fraction @ ..] = rest {
        rest = after_digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = match exponent {
            [b'+' | b'-', digits @ ..] => after_digits(digits)?,
            digits => after_digits(digits)?,
        };
    }
    Some(rest)
}

/// At least one digit.
#[inline(always)]
fn after_digits(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    while let Some((b'0'..=b'9', further)) = rest.split_first() {
        rest = further;
    }
    (rest.len() < text.len()).then_some(rest)
}

/// Whether each of these bytes may stand behind a backslash.
#[inline(always)]
fn are_escapes(line: &[u8], at: usize, mut escaped: u64) -> bool {
    while escaped != 0 {
        match line.get(at + escaped.trailing_zeros() as usize..) {
            Some([b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..]) => {}
            Some([b'u', a, b, c, d, ..]) if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => {}
            _ => return false,
        }
        escaped &= escaped - 1;
    }
    true
}

fn after_space(line: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = line.get(at) {
        at += 1;
    }
    at
}

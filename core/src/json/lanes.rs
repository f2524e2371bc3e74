//! Sixty-four bytes at a time: what a machine has to offer, and the bit work that is the same on all.
//!
//! Bit `n` of a mask stands for byte `n` of the block. Whatever spans blocks is carried from one to the next.

/// One way to look at 64 bytes at once. A value of the type is the leave to use it on this machine.
///
/// What follows the comparisons is plain bit work, and a method here only so that a test can plant a bug in one step
/// and see it found.
pub(super) trait Lanes: Copy {
    /// Loaded bytes.
    type Block: Copy;

    fn load(self, bytes: &[u8; WIDTH]) -> Self::Block;

    /// The bytes that are this one.
    fn equal(self, block: Self::Block, byte: u8) -> u64;

    /// The opening and the closing brackets of both kinds, which differ in one bit of the byte.
    fn brackets(self, block: Self::Block) -> (u64, u64);

    /// The bytes that are rare in a line: control characters, backslashes, and what is beyond ASCII.
    fn unusual(self, block: Self::Block) -> u64;

    /// The bytes beyond ASCII.
    fn beyond_ascii(self, block: Self::Block) -> u64;

    /// For each bit, whether the number of bits up to and with it is odd.
    fn running_parity(self, mut bits: u64) -> u64 {
        bits ^= bits << 1;
        bits ^= bits << 2;
        bits ^= bits << 4;
        bits ^= bits << 8;
        bits ^= bits << 16;
        bits ^ bits << 32
    }

    /// The bytes that a backslash before them takes for itself. `carry` is 1 if the last byte so far is a backslash
    /// that takes the first byte of the next block.
    #[inline(always)]
    fn escaped(self, backslashes: u64, carry: &mut u64) -> u64 {
        if backslashes == 0 {
            return std::mem::take(carry);
        }
        // A run of backslashes that begins on an even place sets, by subtraction from the odd places behind it, the
        // odd places of the run, and one that begins on an odd place the even ones (simdjson's trick). A backslash
        // that is taken itself begins no run.
        let beginning = backslashes & !*carry;
        let places = ((beginning << 1 | ODD).wrapping_sub(beginning)) ^ ODD;
        let escaped = places ^ (backslashes | *carry);
        *carry = (places & backslashes) >> 63;
        escaped
    }

    /// The bytes of strings, with the opening quote and without the closing one. `carry` is all ones where a block
    /// begins inside a string.
    #[inline(always)]
    fn inside(self, quotes: u64, carry: &mut u64) -> u64 {
        let inside = self.running_parity(quotes) ^ *carry;
        *carry = 0_u64.wrapping_sub(inside >> 63);
        inside
    }

    /// The place of the bracket that closes what `depth` brackets before this block have opened. Leaves the depth at
    /// the end of the block if it closes further on.
    #[inline(always)]
    fn closing(self, depth: &mut u64, opens: u64, closes: u64) -> Option<u32> {
        if u64::from(closes.count_ones()) >= *depth {
            let (mut left, mut closed) = (closes, 0);
            while left != 0 {
                closed += 1;
                let before = left ^ (left - 1);
                if *depth + u64::from((opens & before).count_ones()) <= closed {
                    return Some(left.trailing_zeros());
                }
                left &= left - 1;
            }
        }
        *depth = (*depth + u64::from(opens.count_ones())) - u64::from(closes.count_ones());
        None
    }

    /// The bytes of a block that count, of which so many are left.
    #[inline(always)]
    fn valid(self, left: usize) -> u64 {
        if left < WIDTH { (1 << left) - 1 } else { u64::MAX }
    }

    #[inline(always)]
    fn is_space(self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
    }

    /// Whether a number or a literal has ended before this byte.
    #[inline(always)]
    fn ends_scalar(self, byte: u8) -> bool {
        matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
    }
}

/// The bytes of a block.
pub(super) const WIDTH: usize = 64;

/// The last bytes of a line, filled up with spaces to a block.
#[inline(never)]
pub(super) fn filled_up(rest: &[u8]) -> [u8; WIDTH] {
    let mut bytes = [b' '; WIDTH];
    for (to, from) in bytes.iter_mut().zip(rest) {
        *to = *from;
    }
    bytes
}

const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;

#[cfg(test)]
mod tests {
    use super::{super::portable::Portable, *};

    #[test]
    fn a_backslash_takes_the_byte_behind_it() {
        for (text, expected) in
            [(r"\a", 0b10), (r"\\a", 0b10), (r"\\\a", 0b1010), (r"a\\\\a\a", 0b1001_0100), (r"a\a\\", 0b1_0100)]
        {
            let backslashes = Portable.equal(Portable.load(&padded(text)), b'\\');
            assert_eq!(Portable.escaped(backslashes, &mut 0), expected, "{text}");
        }
    }

    #[test]
    fn a_backslash_takes_the_first_byte_of_the_next_block() {
        let mut carry = 0;
        assert_eq!(Portable.escaped(1 << 63, &mut carry), 0);
        assert_eq!((Portable.escaped(0b11, &mut carry), carry), (0b101, 0));
        assert_eq!(Portable.escaped(0b11 << 62, &mut carry), 1 << 63);
        assert_eq!((Portable.escaped(0, &mut carry), carry), (0, 0));
    }

    #[test]
    fn parity_runs() {
        assert_eq!(Portable.running_parity(0b1001_0010), u64::MAX << 7 | 0b1110);
    }

    fn padded(text: &str) -> [u8; WIDTH] {
        let mut bytes = [0; WIDTH];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    }
}

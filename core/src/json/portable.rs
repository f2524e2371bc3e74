//! What every machine can do: eight bytes at a time, in ordinary registers.

use super::lanes::{Lanes, WIDTH};

/// The way that asks nothing of the machine.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Lanes for Portable {
    type Block = [u64; 8];

    #[inline(always)]
    fn load(self, bytes: &[u8; WIDTH]) -> Self::Block {
        let (words, _) = bytes.as_chunks::<8>();
        let mut block = [0; 8];
        for (word, bytes) in block.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        block
    }

    #[inline(always)]
    fn equal(self, block: Self::Block, byte: u8) -> u64 {
        gather(block, |word| zero_bytes(word ^ every(byte)))
    }

    #[inline(always)]
    fn brackets(self, block: Self::Block) -> (u64, u64) {
        let is = |byte| gather(block, |word| zero_bytes((word | every(0x20)) ^ every(byte)));
        (is(b'{'), is(b'}'))
    }

    #[inline(always)]
    fn unusual(self, block: Self::Block) -> u64 {
        let low = every(0x7F);
        gather(block, |word| {
            // Adding what is missing to 0x80 sets the high bit of what is not below a space.
            let below_space = !((word & low) + every(0x80 - b' '));
            below_space | zero_bytes(word ^ every(b'\\')) | word
        })
    }

    #[inline(always)]
    fn beyond_ascii(self, block: Self::Block) -> u64 {
        gather(block, |word| word)
    }
}

/// The high bits of the bytes of all words, as a mask.
#[inline(always)]
fn gather(block: [u64; 8], high_bits: impl Fn(u64) -> u64) -> u64 {
    block.iter().rev().fold(0, |mask, word| {
        // The factor brings the lowest bit of byte n to bit n of the highest byte.
        let eight = (high_bits(*word) >> 7 & every(1)).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask << 8 | eight
    })
}

/// The high bit of each byte that is zero, and no other bit.
#[inline(always)]
fn zero_bytes(word: u64) -> u64 {
    let low = every(0x7F);
    !(((word & low) + low) | word | low)
}

const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

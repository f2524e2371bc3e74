//! Ways of looking at 64 bytes that are each wrong in one point, as a hand could be.

use super::super::{
    lanes::{Lanes, WIDTH},
    portable::Portable,
};

/// The portable way with one bug.
#[derive(Clone, Copy)]
pub(super) struct Planted(pub(super) Bug);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// Every backslash takes the next byte, one that is taken itself too.
    RunsOfBackslashes,
    EscapesIgnored,
    EscapeLostAtBorder,
    StringLostAtBorder,
    BracketsInStrings,
    ParityOfHalfABlock,
    SquareBracketsForgotten,
    /// A block with just as many closing brackets as are open is passed over.
    ClosingBlockPassedOver,
    DepthLostAtBorder,
    LastBytesOfTailCut,
    LastQuoteOfBlockLost,
    TabIsNoSpace,
    ScalarRunsOverBracket,
    ControlCharactersUnseen,
    BeyondAsciiUnseen,
}

impl Bug {
    pub(super) const ALL: [Self; 15] = [
        Self::RunsOfBackslashes,
        Self::EscapesIgnored,
        Self::EscapeLostAtBorder,
        Self::StringLostAtBorder,
        Self::BracketsInStrings,
        Self::ParityOfHalfABlock,
        Self::SquareBracketsForgotten,
        Self::ClosingBlockPassedOver,
        Self::DepthLostAtBorder,
        Self::LastBytesOfTailCut,
        Self::LastQuoteOfBlockLost,
        Self::TabIsNoSpace,
        Self::ScalarRunsOverBracket,
        Self::ControlCharactersUnseen,
        Self::BeyondAsciiUnseen,
    ];
}

impl Lanes for Planted {
    type Block = <Portable as Lanes>::Block;

    fn load(self, bytes: &[u8; WIDTH]) -> Self::Block {
        Portable.load(bytes)
    }

    fn equal(self, block: Self::Block, byte: u8) -> u64 {
        let bytes = Portable.equal(block, byte);
        if self.0 == Bug::LastQuoteOfBlockLost && byte == b'"' { bytes << 1 >> 1 } else { bytes }
    }

    fn brackets(self, block: Self::Block) -> (u64, u64) {
        if self.0 == Bug::SquareBracketsForgotten {
            return (self.equal(block, b'{'), self.equal(block, b'}'));
        }
        Portable.brackets(block)
    }

    fn unusual(self, block: Self::Block) -> u64 {
        if self.0 == Bug::ControlCharactersUnseen {
            return Portable.equal(block, b'\\') | Portable.beyond_ascii(block);
        }
        Portable.unusual(block)
    }

    fn beyond_ascii(self, block: Self::Block) -> u64 {
        if self.0 == Bug::BeyondAsciiUnseen { 0 } else { Portable.beyond_ascii(block) }
    }

    fn running_parity(self, bits: u64) -> u64 {
        let parity = Portable.running_parity(bits);
        if self.0 == Bug::ParityOfHalfABlock && Portable.running_parity(bits << 32) >> 63 == 1 {
            return parity ^ (u64::MAX << 32);
        }
        parity
    }

    fn escaped(self, backslashes: u64, carry: &mut u64) -> u64 {
        match self.0 {
            Bug::RunsOfBackslashes => {
                let escaped = backslashes << 1 | *carry;
                *carry = backslashes >> 63;
                escaped
            }
            Bug::EscapesIgnored => 0,
            Bug::EscapeLostAtBorder => Portable.escaped(backslashes, &mut 0),
            _ => Portable.escaped(backslashes, carry),
        }
    }

    fn inside(self, quotes: u64, carry: &mut u64) -> u64 {
        match self.0 {
            Bug::StringLostAtBorder => self.running_parity(quotes),
            Bug::BracketsInStrings => 0,
            _ => {
                let inside = self.running_parity(quotes) ^ *carry;
                *carry = 0_u64.wrapping_sub(inside >> 63);
                inside
            }
        }
    }

    fn closing(self, depth: &mut u64, opens: u64, closes: u64) -> Option<u32> {
        if self.0 == Bug::ClosingBlockPassedOver && u64::from(closes.count_ones()) == *depth {
            *depth += u64::from(opens.count_ones()) - u64::from(closes.count_ones()).min(*depth);
            return None;
        }
        let found = Portable.closing(depth, opens, closes);
        if self.0 == Bug::DepthLostAtBorder {
            *depth = 1;
        }
        found
    }

    fn valid(self, left: usize) -> u64 {
        let valid = Portable.valid(left);
        if self.0 == Bug::LastBytesOfTailCut && left < WIDTH { valid >> 2 } else { valid }
    }

    fn is_space(self, byte: u8) -> bool {
        Portable.is_space(byte) && (self.0 != Bug::TabIsNoSpace || byte != b'\t')
    }

    fn ends_scalar(self, byte: u8) -> bool {
        Portable.ends_scalar(byte) && (self.0 != Bug::ScalarRunsOverBracket || byte != b']')
    }
}

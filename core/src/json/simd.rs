//! What the machine at hand can do with 64 bytes at once, asked once, and the only unsafe code of the crate.
//!
//! The argument is the same everywhere. An instruction beyond the baseline runs only through a value that proves that
//! the machine has it: [`Avx2`] is made by [`Level::detect`] alone, after asking the machine; what the target itself
//! guarantees needs no asking. Memory is read only through `&[u8; 64]`, so nothing past the end of a slice is reached,
//! and the unaligned loads used here ask for no alignment.

#![expect(unsafe_code, reason = "vector instructions; the argument stands above and at each use")]

use super::lanes::{Lanes, WIDTH};
#[cfg(any(test, not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))))]
use super::portable::Portable;

/// Work that is done in one of the ways that [`Lanes`] has.
pub(super) trait Task {
    type Answer;

    /// Must be `#[inline(always)]`, and so must be what it calls: only then is it compiled for those instructions.
    fn run<L: Lanes>(self, lanes: L) -> Self::Answer;
}

/// The best way of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    #[cfg(any(test, not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))))]
    Portable,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

impl Level {
    #[inline]
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::sync::OnceLock;
            static LEVEL: OnceLock<Level> = OnceLock::new();
            *LEVEL.get_or_init(|| Self(x86::Avx2::detect().map_or(Kind::Sse2, Kind::Avx2)))
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        {
            Self(Kind::Simd128)
        }
        #[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
        {
            Self(Kind::Portable)
        }
    }

    /// Every level of this machine.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![Self(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            all.push(Self(Kind::Sse2));
            all.extend(x86::Avx2::detect().map(Kind::Avx2).map(Self));
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        all.push(Self(Kind::Simd128));
        all
    }

    #[inline(always)]
    pub(super) fn run<T: Task>(self, task: T) -> T::Answer {
        match self.0 {
            #[cfg(any(
                test,
                not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))
            ))]
            Kind::Portable => task.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2 => task.run(x86::Sse2),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value says that the machine has all that `with_avx2` enables.
            Kind::Avx2(lanes) => unsafe { x86::with_avx2(task, lanes) },
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128 => task.run(wasm::Simd128),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Lanes, Task, WIDTH};

    /// What every x86-64 has.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Sse2;

    impl Lanes for Sse2 {
        type Block = [__m128i; 4];

        #[inline(always)]
        fn load(self, bytes: &[u8; WIDTH]) -> Self::Block {
            let from = bytes.as_ptr().cast::<__m128i>();
            // SAFETY: 4 × 16 bytes lie within the 64 that `bytes` borrows, and the load asks for no alignment.
            unsafe {
                [
                    _mm_loadu_si128(from),
                    _mm_loadu_si128(from.add(1)),
                    _mm_loadu_si128(from.add(2)),
                    _mm_loadu_si128(from.add(3)),
                ]
            }
        }

        #[inline(always)]
        fn equal(self, block: Self::Block, byte: u8) -> u64 {
            let [a, b, c, d] = block;
            // SAFETY: every x86-64 has SSE2.
            unsafe {
                let byte = _mm_set1_epi8(byte.cast_signed());
                let equal = |part| u64::from(_mm_movemask_epi8(_mm_cmpeq_epi8(part, byte)).cast_unsigned());
                equal(a) | equal(b) << 16 | equal(c) << 32 | equal(d) << 48
            }
        }

        #[inline(always)]
        fn brackets(self, block: Self::Block) -> (u64, u64) {
            let [a, b, c, d] = block;
            // SAFETY: every x86-64 has SSE2.
            let folded = unsafe {
                let bit = _mm_set1_epi8(0x20);
                [_mm_or_si128(a, bit), _mm_or_si128(b, bit), _mm_or_si128(c, bit), _mm_or_si128(d, bit)]
            };
            (self.equal(folded, b'{'), self.equal(folded, b'}'))
        }

        #[inline(always)]
        fn unusual(self, block: Self::Block) -> u64 {
            let [a, b, c, d] = block;
            // SAFETY: every x86-64 has SSE2.
            unsafe {
                let (space, backslash) = (_mm_set1_epi8(0x20), _mm_set1_epi8(0x5C));
                // Bytes are compared as signed, so what is beyond ASCII is below a space too.
                let unusual = |part| _mm_or_si128(_mm_cmplt_epi8(part, space), _mm_cmpeq_epi8(part, backslash));
                self.beyond_ascii([unusual(a), unusual(b), unusual(c), unusual(d)])
            }
        }

        #[inline(always)]
        fn beyond_ascii(self, block: Self::Block) -> u64 {
            let [a, b, c, d] = block;
            // SAFETY: every x86-64 has SSE2.
            let high_bits = |part| u64::from(unsafe { _mm_movemask_epi8(part) }.cast_unsigned());
            high_bits(a) | high_bits(b) << 16 | high_bits(c) << 32 | high_bits(d) << 48
        }
    }

    /// AVX2 and the bit instructions that came before or with it.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Avx2(());

    impl Avx2 {
        pub(super) fn detect() -> Option<Self> {
            let here = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("pclmulqdq")
                && is_x86_feature_detected!("popcnt");
            here.then_some(Self(()))
        }
    }

    /// Compiles the task for what [`Avx2::detect`] asked for.
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,pclmulqdq,popcnt")]
    pub(super) fn with_avx2<T: Task>(task: T, lanes: Avx2) -> T::Answer {
        task.run(lanes)
    }

    impl Lanes for Avx2 {
        type Block = [__m256i; 2];

        #[inline(always)]
        fn load(self, bytes: &[u8; WIDTH]) -> Self::Block {
            let from = bytes.as_ptr().cast::<__m256i>();
            // SAFETY: 2 × 32 bytes lie within the 64 that `bytes` borrows, the load asks for no alignment, and `self`
            // says that the machine has AVX2.
            unsafe { [_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1))] }
        }

        #[inline(always)]
        fn equal(self, block: Self::Block, byte: u8) -> u64 {
            // SAFETY: `self` says that the machine has AVX2.
            unsafe {
                let byte = _mm256_set1_epi8(byte.cast_signed());
                let [low, high] = block;
                let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, byte)).cast_unsigned();
                let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, byte)).cast_unsigned();
                u64::from(low) | u64::from(high) << 32
            }
        }

        #[inline(always)]
        fn brackets(self, block: Self::Block) -> (u64, u64) {
            let [low, high] = block;
            // SAFETY: `self` says that the machine has AVX2.
            let folded = unsafe {
                let bit = _mm256_set1_epi8(0x20);
                [_mm256_or_si256(low, bit), _mm256_or_si256(high, bit)]
            };
            (self.equal(folded, b'{'), self.equal(folded, b'}'))
        }

        #[inline(always)]
        fn unusual(self, block: Self::Block) -> u64 {
            let [low, high] = block;
            // SAFETY: `self` says that the machine has AVX2.
            unsafe {
                let (space, backslash) = (_mm256_set1_epi8(0x20), _mm256_set1_epi8(0x5C));
                // Bytes are compared as signed, so what is beyond ASCII is below a space too.
                let low = _mm256_or_si256(_mm256_cmpgt_epi8(space, low), _mm256_cmpeq_epi8(low, backslash));
                let high = _mm256_or_si256(_mm256_cmpgt_epi8(space, high), _mm256_cmpeq_epi8(high, backslash));
                self.beyond_ascii([low, high])
            }
        }

        #[inline(always)]
        fn beyond_ascii(self, block: Self::Block) -> u64 {
            let [low, high] = block;
            // SAFETY: `self` says that the machine has AVX2.
            let (low, high) = unsafe { (_mm256_movemask_epi8(low), _mm256_movemask_epi8(high)) };
            u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
        }

        #[inline(always)]
        fn running_parity(self, bits: u64) -> u64 {
            // SAFETY: `self` says that the machine has PCLMULQDQ.
            unsafe {
                let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1));
                _mm_cvtsi128_si64(product).cast_unsigned()
            }
        }
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use std::arch::wasm32::*;

    use super::{Lanes, WIDTH};

    /// Fixed-width SIMD, for which the whole module is compiled.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Simd128;

    impl Lanes for Simd128 {
        type Block = [v128; 4];

        #[inline(always)]
        fn load(self, bytes: &[u8; WIDTH]) -> Self::Block {
            let from = bytes.as_ptr().cast::<v128>();
            // SAFETY: 4 × 16 bytes lie within the 64 that `bytes` borrows, and the load asks for no alignment.
            unsafe { [v128_load(from), v128_load(from.add(1)), v128_load(from.add(2)), v128_load(from.add(3))] }
        }

        #[inline(always)]
        fn equal(self, block: Self::Block, byte: u8) -> u64 {
            let [a, b, c, d] = block;
            let byte = u8x16_splat(byte);
            self.beyond_ascii([u8x16_eq(a, byte), u8x16_eq(b, byte), u8x16_eq(c, byte), u8x16_eq(d, byte)])
        }

        #[inline(always)]
        fn brackets(self, block: Self::Block) -> (u64, u64) {
            let [a, b, c, d] = block;
            let bit = u8x16_splat(0x20);
            let folded = [v128_or(a, bit), v128_or(b, bit), v128_or(c, bit), v128_or(d, bit)];
            (self.equal(folded, b'{'), self.equal(folded, b'}'))
        }

        #[inline(always)]
        fn unusual(self, block: Self::Block) -> u64 {
            let [a, b, c, d] = block;
            let (space, backslash) = (i8x16_splat(0x20), i8x16_splat(0x5C));
            // Bytes are compared as signed, so what is beyond ASCII is below a space too.
            let unusual = |part| v128_or(i8x16_lt(part, space), i8x16_eq(part, backslash));
            self.beyond_ascii([unusual(a), unusual(b), unusual(c), unusual(d)])
        }

        #[inline(always)]
        fn beyond_ascii(self, block: Self::Block) -> u64 {
            let [a, b, c, d] = block;
            let high_bits = |part| u64::from(u8x16_bitmask(part));
            high_bits(a) | high_bits(b) << 16 | high_bits(c) << 32 | high_bits(d) << 48
        }
    }
}

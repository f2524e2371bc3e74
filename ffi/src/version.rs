//! The version of the library, for the compiler and at run time.

use crate::view::View;

/// The major version of the header that a program was compiled with.
pub const EHI_VERSION_MAJOR: u32 = 0;
/// Its minor version.
pub const EHI_VERSION_MINOR: u32 = 1;
/// Its patch version.
pub const EHI_VERSION_PATCH: u32 = 0;

/// The version of the library that a program runs with, as `MAJOR.MINOR.PATCH`. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_version() -> View<'static> {
    View::of(env!("CARGO_PKG_VERSION").as_bytes())
}

/// The header cannot take its numbers from Cargo, so the compiler compares them.
const _: () = {
    assert!(number(env!("CARGO_PKG_VERSION_MAJOR")) == EHI_VERSION_MAJOR);
    assert!(number(env!("CARGO_PKG_VERSION_MINOR")) == EHI_VERSION_MINOR);
    assert!(number(env!("CARGO_PKG_VERSION_PATCH")) == EHI_VERSION_PATCH);
};

const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => u32::MAX,
    }
}

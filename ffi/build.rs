//! Gives the shared library its SONAME, which cargo does not.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libehi.so.{ABI}");
    }
}

/// Counts the changes that break a program compiled before them, and nothing else; see README.md.
const ABI: u32 = 0;

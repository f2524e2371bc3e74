//! The core as a WebAssembly component: world `engine` of the package `ehi:exporter`, which imports nothing.
//!
//! Thin: convert, call `ehi_core::values`, convert back. One file converts ([`convert`]), one calls for each interface.

#![cfg(target_family = "wasm")]

mod bindings {
    #![expect(missing_docs, unsafe_code, unreachable_pub, reason = "generated")]
    wit_bindgen::generate!({ path: "wit", world: "engine" });
    use super::Engine;
    export!(Engine);
}

mod control;
mod convert;
mod data;
mod marker;

/// What the component is.
struct Engine;

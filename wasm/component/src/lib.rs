//! The core as a WebAssembly component: world `engine` of the package `ehi:exporter`, which imports nothing.
//!
//! Thin: convert, call `ehi_core::values`, convert back. One file converts ([`convert`]), one calls for each interface.

#![cfg(target_family = "wasm")]

mod bindings {
    #![expect(unsafe_code, reason = "generated: the canonical ABI is pointers and lengths")]
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

//! The engine that is part of the program: as code for the machine on which the program was built, and as the component
//! that it was made of, for any other.

use wasmtime::{Engine, component::Component};

use super::{EngineError, stopped};

/// The engine that this program was built with.
pub(super) fn load(engine: &Engine) -> Result<Component, EngineError> {
    let embedded = EMBEDDED.as_ref().ok_or_else(|| {
        EngineError::Stopped(
            "this program was built without its engine: run `cargo xtask component`, then build again".into(),
        )
    })?;
    embedded.load(engine)
}

struct Embedded<'e> {
    compiled: &'e [u8],
    component: &'e [u8],
}

impl Embedded<'_> {
    fn load(&self, engine: &Engine) -> Result<Component, EngineError> {
        // SAFETY: the bytes are part of this program, made at build time by `ehi-aot` of the same sources: by the same
        // compiler with the same configuration, which wasmtime checks too. They do not come from outside.
        #[expect(unsafe_code, reason = "wasmtime cannot prove that compiled code is its own; see docs/design.md")]
        let compiled = unsafe { Component::deserialize(engine, self.compiled) };
        compiled.or_else(|error| {
            // The machine of the build can do what this one cannot; wasmtime says what that is.
            tracing::warn!(%error, "the engine was compiled for another machine and is now compiled for this one");
            Component::new(engine, self.component).map_err(stopped)
        })
    }
}

#[cfg(embedded_engine)]
static EMBEDDED: Option<Embedded<'_>> = Some(Embedded {
    compiled: include_bytes!(env!("EHI_ENGINE_CWASM")),
    component: include_bytes!(env!("EHI_ENGINE_WASM")),
});
#[cfg(not(embedded_engine))]
static EMBEDDED: Option<Embedded<'_>> = None;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compiled_for_another_machine_is_compiled_again() {
        let (here, elsewhere) = (super::super::engine().unwrap(), Engine::default());
        // The least component there is: its magic number and version.
        let component = b"\0asm\x0d\0\x01\0";
        let foreign = elsewhere.precompile_component(component).unwrap();
        assert!(Embedded { compiled: &foreign, component }.load(&here).is_ok());
        assert!(Embedded { compiled: &foreign, component: b"" }.load(&here).is_err(), "it was not made for this one");
        let own = here.precompile_component(component).unwrap();
        assert!(Embedded { compiled: &own, component: b"" }.load(&here).is_ok(), "and is not compiled where it was");
    }
}

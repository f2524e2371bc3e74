//! Class `PopulationBuilder`: who is exported.

use ehi_core::population;
use wasm_bindgen::prelude::*;

use crate::{error::Error, value::text};

/// Collects the ids of the patients whom an export of a group or of one patient is about, into one block of bytes that
/// can be stored or sent as it is and that a `Writer` takes.
#[wasm_bindgen]
pub struct PopulationBuilder(Option<population::PopulationBuilder>);

#[wasm_bindgen]
impl PopulationBuilder {
    /// Nobody yet.
    #[wasm_bindgen(constructor)]
    #[expect(clippy::new_without_default, reason = "JavaScript calls it")]
    pub fn new() -> PopulationBuilder {
        Self(Some(population::PopulationBuilder::default()))
    }

    /// Adds one patient. Adding twice is the same as once.
    pub fn push(&mut self, #[wasm_bindgen(unchecked_param_type = "string")] id: &JsValue) -> Result<(), Error> {
        let id = text(id, "a patient id")?;
        Ok(self.0.as_mut().ok_or_else(sealed)?.push(&id)?)
    }

    /// The block. The builder is empty-handed then.
    pub fn seal(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.0.take().ok_or_else(sealed)?.seal())
    }
}

fn sealed() -> Error {
    Error::ended("PopulationError", "the population is sealed")
}

//! Class `PopulationBuilder`: who is exported.

use ehi_core::population;
use wasm_bindgen::prelude::*;

use crate::{error::Error, value::text};

/// Collects whom an export of a group or of one patient is about, into one block of bytes that can be stored or sent as it
/// is and that a `Writer` takes.
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

    /// Adds one patient as new: one whose membership of the group began after the `newAfter` that `wants` tells. Who is added
    /// by `push` too was there before, and is not new.
    #[wasm_bindgen(js_name = pushNew)]
    pub fn push_new(&mut self, #[wasm_bindgen(unchecked_param_type = "string")] id: &JsValue) -> Result<(), Error> {
        let id = text(id, "a patient id")?;
        Ok(self.0.as_mut().ok_or_else(sealed)?.push_new(&id)?)
    }

    /// Adds a member of the group that is no patient. `isNew` as for patients: whether the membership began after `newAfter`.
    #[wasm_bindgen(js_name = pushResource)]
    pub fn push_resource(
        &mut self,
        #[wasm_bindgen(js_name = type, unchecked_param_type = "MemberType")] resource_type: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "string")] id: &JsValue,
        #[wasm_bindgen(js_name = isNew, unchecked_param_type = "boolean")] is_new: &JsValue,
    ) -> Result<(), Error> {
        let (resource_type, id) = (text(resource_type, "a resource type")?, text(id, "a resource id")?);
        let is_new = is_new.as_bool().ok_or_else(|| Error::malformed("a boolean"))?;
        Ok(self.0.as_mut().ok_or_else(sealed)?.push_resource(&resource_type, &id, is_new)?)
    }

    /// The block. The builder is empty-handed then.
    pub fn seal(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.0.take().ok_or_else(sealed)?.seal())
    }
}

fn sealed() -> Error {
    Error::ended("PopulationError", "the population is sealed")
}

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
/** What a group may have as members beside patients. */
export type MemberType = "Device" | "Medication" | "Practitioner" | "PractitionerRole" | "Substance";
"#;

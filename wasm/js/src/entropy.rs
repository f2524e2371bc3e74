//! Randomness, which the core does not have: from the platform's `crypto.getRandomValues`.

use wasm_bindgen::prelude::*;

use crate::error::Error;

/// 16 bytes that nobody can guess, for `Endpoint.decide`. Take new ones for every kick-off.
#[wasm_bindgen(js_name = newEntropy)]
pub fn new_entropy() -> Result<Vec<u8>, Error> {
    let mut entropy = [0; 16];
    getrandom::fill(&mut entropy)?;
    Ok(entropy.into())
}

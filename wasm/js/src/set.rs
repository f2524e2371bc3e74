//! What a pass must know of the rest of the data: which sets those are, and class `SetBuilder`, which makes them.

use ehi_core::{sets, values};
use wasm_bindgen::prelude::*;

use crate::{
    error::Error,
    value::{bytes, give, read},
};

/// The sets that a pass needs before its first line, in the order in which they are made. Most passes need none.
///
/// With each comes the task that finds what it is made of: run that over all partitions with a writer that is given the
/// sets before this one. `null`: no pass finds it, push what you know.
#[wasm_bindgen(js_name = setsWanted, unchecked_return_type = "[set: SetWanted, task: PartitionTask | null][]")]
pub fn sets_wanted(
    #[wasm_bindgen(unchecked_param_type = "ExportPlan")] plan: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "Pass")] pass: &JsValue,
) -> Result<JsValue, Error> {
    give(&values::sets_wanted(&read(plan, "a plan")?, read(pass, "a pass")?))
}

/// Collects what a set is made of into one block of bytes that any number of writers of one export take. A block need
/// not be stored: after a crash, make it again from the same data.
#[wasm_bindgen]
#[derive(Debug)]
pub struct SetBuilder(Option<sets::SetBuilder>);

#[wasm_bindgen]
impl SetBuilder {
    /// A builder of that set, which takes at most so many texts.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "SetWanted")] set: &JsValue,
        #[wasm_bindgen(js_name = textsMax, unchecked_param_type = "number")] texts_max: &JsValue,
    ) -> Result<SetBuilder, Error> {
        let texts_max: u64 = read(texts_max, "a number of texts")?;
        // Memory ends before an address does.
        let texts_max = usize::try_from(texts_max).unwrap_or(usize::MAX);
        Ok(Self(Some(sets::SetBuilder::new(read(set, WANTED)?, texts_max))))
    }

    /// Adds the bytes of a `found` event, or texts of your own, each ended by a line feed. They may be cut anywhere.
    ///
    /// The texts of a set of vetoes are `Type/id` for a resource that is left out, which of a Patient is everything in
    /// the compartment too, and `Patient/id#system|code` for what is in that compartment and carries that security
    /// label. Those of a ValueSet are `system|code`. After a `SetError` the builder takes nothing more: a set that lacks something is none.
    pub fn push(&mut self, #[wasm_bindgen(unchecked_param_type = "Uint8Array")] found: &JsValue) -> Result<(), Error> {
        let found = bytes(found, "a block of texts")?;
        let mut whole = self.0.take().ok_or_else(sealed)?;
        whole.push(&found)?;
        self.0 = Some(whole);
        Ok(())
    }

    /// The block. Only when the pass has gone through all of the data; the builder is empty-handed then.
    pub fn seal(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.0.take().ok_or_else(sealed)?.seal()?)
    }
}

fn sealed() -> Error {
    Error::ended("SetError", "the set is sealed, or was refused")
}

pub(crate) const WANTED: &str = "a set of an export";

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
/** What a writer goes through the data for. */
export type Pass =
  /** Writes what was asked for. */
  | "main"
  /** Finds what a set is made of, and writes no file. */
  | { collect: Collection }
  /** Writes what belongs to exported resources without being part of a compartment: Provenance, supporting resources. */
  | "context"
  /** Reads tombstones, one a line, and writes what was deleted. */
  | "deleted"
  /** Writes Binary resources whose security context is a resource other than a patient. */
  | "binaries"
  /** Writes the contents of Binary resources to which Attachments lead, each to a file. */
  | "attachments";

/** What a collecting pass finds. */
export type Collection =
  /** Every resource whose Provenance is exported. */
  | "subjects"
  /** Every resource in the compartments of the export's patients, exported or not. */
  | "compartment"
  /** Supporting resources that exported ones refer to. */
  | "supporting"
  /** The same, of what the supporting resources refer to. */
  | "supportingOfSupporting"
  /** The newest Provenance of each subject. */
  | "latestProvenance"
  /** What is the security context of a Binary, patients aside. */
  | "securityContexts"
  /** Of these, what is in the compartments of the export's patients. */
  | "securityContextsFound"
  /** Binary resources to which the Attachments of exported resources lead. */
  | "attachments"
  /** What meets the question of that number in the plan's list of chains, and may be asked about. */
  | { chained: number };

/** One part of the data, to be gone through for one pass. */
export interface PartitionTask {
  /** Its number in the job; 0 for a collecting pass. */
  partition: number;
  /** For what; `main` unless given. The main pass reads one part of the data for each partition, any other all of it. */
  pass?: Pass;
  /** Where to go on. */
  checkpoint?: Checkpoint | null;
}

/** A set that must be there before a pass begins. */
export type SetWanted =
  /** Made of what a collecting pass finds. */
  | { collected: Collection }
  /** What you know of consent. */
  | "vetoes"
  /** The expansion of the ValueSet of that canonical: one of those that you said are known. */
  | { valueSet: string };

/** One line of what the pass `deleted` reads. */
export interface Tombstone {
  /** The type of the resource. */
  type: string;
  id: string;
  deletedAt: Instant;
  /** The ids of the patients in whose compartments it was. */
  patients?: string[];
}
"#;

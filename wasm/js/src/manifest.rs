//! Class `ManifestWriter`: a job's rows in, the output manifest out.

use ehi_core::manifest;
use wasm_bindgen::prelude::*;

use crate::{error::Error, value::read};

/// Writes a manifest in memory that does not depend on the number of files: `row` for each file, sections in the order
/// output, deleted, error; then `finish`. Each call gives the next bytes.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ManifestWriter(Option<manifest::ManifestWriter>);

#[wasm_bindgen]
impl ManifestWriter {
    /// A writer for that head.
    #[wasm_bindgen(constructor)]
    pub fn new(#[wasm_bindgen(unchecked_param_type = "ManifestHead")] head: &JsValue) -> Result<ManifestWriter, Error> {
        Ok(Self(Some(manifest::ManifestWriter::new(read(head, "a manifest head")?))))
    }

    /// The bytes of one more file.
    pub fn row(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "OutputFile")] row: &JsValue,
    ) -> Result<Vec<u8>, Error> {
        let row = read(row, ROW)?;
        let mut bytes = Vec::new();
        self.0.as_mut().ok_or_else(finished)?.row(&row, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes that are left. The writer has no more then.
    pub fn finish(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.0.take().ok_or_else(finished)?.finish(&mut bytes);
        Ok(bytes)
    }
}

fn finished() -> Error {
    Error::ended("ManifestError", "the manifest has finished")
}

pub(crate) const ROW: &str = "a manifest row";

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
/** What a manifest says besides its files. */
export interface ManifestHead {
  edition: Edition;
  transactionTime: Instant;
  request: string;
  requiresAccessToken: boolean;
  /** `outputOrganizedBy` */
  outputOrganizedBy?: string;
  /** What stands before a file's name in its URL, with the final `/`; empty for names relative to the manifest. */
  filesUrl: string;
  /** The page that the manifest is: give the rows of that page and those of none, and no others. Without one, give all rows. */
  page?: number;
  /** The address of the page that follows, once there is one. */
  next?: string;
  extension?: Record<string, string>;
}

/** The arrays of a manifest, in the order in which they are written; and attachments, which no manifest lists. */
export type Section = "output" | "deleted" | "error" | "attachment";

/** One generated file: a row of the manifest. */
export interface OutputFile {
  section: Section;
  /** The resource type in the file, unless it holds several. */
  type?: string;
  /** The public name, the last segment of its URL. */
  name: string;
  /** Where you keep it; unique to the attempt, never shown. */
  key: string;
  /** Of an attachment, as it was opened. */
  contentType?: string;
  /** How many resources; none in an attachment. */
  count: number;
  /** How many bytes. */
  bytes: number;
  /** How many bytes are stored, if that is gzip. */
  gzipBytes?: number;
  /** SHA-256 in hexadecimal, if one was taken. */
  sha256?: string | null;
  /** The name of the file in which the last block goes on, if that is split. */
  continuesInFile?: string;
  /**
   * The page of the manifest that lists it, where the manifest is in pages; an error file of none is on every page. The job
   * says it when the row is published: store the rows that `apply` gives back, not those that were given.
   */
  page?: number;
}
"#;

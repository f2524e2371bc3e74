//! Class `Writer`: lines in, events about files out.

use ehi_core::{
    pass::PartitionTask,
    population::Population,
    sets::Set,
    values::WriterEvent,
    writer::{self, Output, WriterLimits},
};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::{
    error::Error,
    set::WANTED,
    value::{Bytes, bytes, bytes_optional, give, members, read, read_optional, text},
};

/// Turns the lines of one partition into files, in bounded memory.
///
/// First `addSet` for each set that `setsWanted` names for the pass. Then the loop, until there are no more blocks:
/// `writeLines`, then `pollOutput` until there is no event. Then `finish`, and poll once more. Where `consumed` is less
/// than the block, poll and give the rest.
///
/// An export takes a writer for each task that `wants` lists, and is complete when all are finished.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Writer(writer::Writer<'static>);

#[wasm_bindgen]
impl Writer {
    /// A writer for one task of an export that has begun.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "ExportPlan")] plan: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "WriterOptions")] options: &JsValue,
    ) -> Result<Writer, Error> {
        let plan = read(plan, "a plan")?;
        let names = ["task", "population", "limits"];
        let [task, population, limits] = members(options, "a set of writer options", names)?;
        let task: PartitionTask = read_optional(&task, "a task")?.unwrap_or_default();
        let block = bytes_optional(&population, "a population block")?;
        let population = block.as_deref().map(Population::load).transpose()?.map(Population::into_owned);
        let limits: WriterLimits = read_optional(&limits, "a set of writer limits")?.unwrap_or_default();
        Ok(Self(writer::Writer::new(&plan, &task, population, limits)?))
    }

    /// Gives a set that the pass needs, as `setsWanted` names it, and its block. No line is taken before all are there.
    #[wasm_bindgen(js_name = addSet)]
    pub fn add_set(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "SetWanted")] set: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array")] block: &JsValue,
    ) -> Result<(), Error> {
        let (set, block) = (read(set, WANTED)?, bytes(block, "a set's block")?);
        Ok(self.0.add_set(Set::load(set, &block)?.into_owned())?)
    }

    /// Takes bytes of a source. Lines may be cut anywhere between blocks.
    #[wasm_bindgen(js_name = writeLines, unchecked_return_type = "Progress")]
    pub fn write_lines(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array")] block: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Source")] source: &JsValue,
    ) -> Result<JsValue, Error> {
        let block = bytes(block, "a block of bytes")?;
        let [name, cursor, offset] = members(source, "a source", ["name", "cursor", "offset"])?;
        let (name, cursor) = (text(&name, "a source name")?, bytes(&cursor, "a cursor")?);
        let at = writer::Source { name: &name, cursor: &cursor, offset: read(&offset, "an offset")? };
        let writer::Progress { consumed, drain_first } = self.0.write_lines(&block, at)?;
        give(&Progress { consumed, drain_first })
    }

    /// Says of the line that comes next that a newer version of its resource is exported instead.
    #[wasm_bindgen(js_name = supersedeNextLine)]
    pub fn supersede_next_line(&mut self) -> Result<(), Error> {
        Ok(self.0.supersede_next_line()?)
    }

    /// Begins the block of a patient, where output is organised by patient: the lines from here on are those of the
    /// patient's compartment, the Patient first.
    #[wasm_bindgen(js_name = beginBlock)]
    pub fn begin_block(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "string")] patient: &JsValue,
    ) -> Result<(), Error> {
        Ok(self.0.begin_block(&text(patient, "a patient's id")?)?)
    }

    /// What to do next; `null` when more input is needed, or when after `finish` nothing is left.
    #[wasm_bindgen(js_name = pollOutput, unchecked_return_type = "WriterEvent | null")]
    pub fn poll_output(&mut self) -> Result<JsValue, Error> {
        give(&self.0.poll_output().map(Event::from))
    }

    /// Ends the last source and closes all files.
    pub fn finish(&mut self) {
        self.0.finish();
    }

    /// What was done so far.
    #[wasm_bindgen(unchecked_return_type = "Counts")]
    pub fn counts(&self) -> Result<JsValue, Error> {
        let writer::Counts { lines, written, passed_over } = self.0.counts();
        give(&Counts { lines, written, passed_over })
    }
}

/// A [`WriterEvent`] whose bytes are copied once, from the writer to JavaScript.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Event<'w> {
    Append {
        file: u32,
        bytes: Bytes<'w>,
    },
    Found {
        bytes: Bytes<'w>,
    },
    #[serde(untagged)]
    Other(WriterEvent),
}

impl<'w> From<Output<'w>> for Event<'w> {
    fn from(output: Output<'w>) -> Self {
        match output {
            Output::Append { file, bytes } => Self::Append { file, bytes: Bytes(bytes) },
            Output::Found { bytes } => Self::Found { bytes: Bytes(bytes) },
            output @ (Output::Open { .. } | Output::Close { .. }) => Self::Other(output.into()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    consumed: usize,
    drain_first: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    lines: u64,
    written: u64,
    passed_over: u64,
}

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
/** What a writer works with besides the plan. */
export interface WriterOptions {
  /** What to do, as `wants` lists it or `setsWanted` pairs it with a set. None: the main pass over partition 0. */
  task?: PartitionTask | null;
  /** A block of a `PopulationBuilder`; there exactly when the plan's level names a group or a patient. */
  population?: Uint8Array | null;
  limits?: WriterLimits | null;
}

/** What a writer may use, and how files are cut. */
export interface WriterLimits {
  /** Resources in one file. */
  shardResourcesMax?: number;
  /** Bytes in one file, unless a single resource is larger. */
  shardBytesMax?: number;
  /** Bytes in one line; a longer one is reported. */
  lineBytesMax?: number;
  /** Bytes of output that wait to be polled. */
  queueBytesMax?: number;
  /** Bytes of one append. */
  appendBytes?: number;
  /** Bytes of input for which a file may stay open. */
  openSpanBytesMax?: number;
  /** How resources are dealt into files: each holds one type, or all go through the same, for a stream. */
  layout?: "by-type" | "together";
  /** What is checked of lines before their resources are exported: what is exported, every line, or nothing. */
  validate?: "strict-output" | "strict-all" | "trust";
  /** Whether each file's SHA-256 is taken. */
  digest?: boolean;
  /** Whether files but attachments are put out as gzip. */
  gzip?: boolean;
}

/** Where a block stands in your data. */
export interface Source {
  /** What to call it in reports: a file name, a table name. A new name ends the source before it. */
  name: string;
  /** Opaque: with it and the offset you find the bytes again. In a checkpoint it stands in hexadecimal. */
  cursor: Uint8Array;
  /** How many bytes after the cursor the block stands. */
  offset: number;
}

/** How far a block was taken. */
export interface Progress {
  /** How many bytes of the block; give the rest again, with its offset. */
  consumed: number;
  /** Output must be polled before more is taken. */
  drainFirst: boolean;
}

/** What to do next. */
export type WriterEvent = OneOf<{
  /**
   * Open a new file. Without a type it holds resources of several. `contentType` is that of an attachment, for its row; it
   * is not to be believed.
   */
  open: { file: number; section: Section; type?: string; name: string; contentType?: string };
  /** Append bytes to it. They are yours: nothing else refers to them. */
  append: { file: number; bytes: Uint8Array };
  /** Push them to the `SetBuilder` of the set that is being made. They are yours, and belong to no file. */
  found: { bytes: Uint8Array };
  /** It is complete: store it whole, then publish its row with the checkpoint. */
  close: { file: number; count: number; bytes: number; gzipBytes?: number; sha256: string | null; continuesInFile?: string; checkpoint: Checkpoint };
}>;

/** Where a writer stands when a file is closed, so that another can go on. */
export interface Checkpoint {
  resume: "start" | { at: { cursor: string; offset: number; source: string; line: number } };
  kinds: { section: Section; type?: string; published: number; next: number }[];
}

/** What a writer did so far. */
export interface Counts {
  /** Lines read, blank ones too. */
  lines: number;
  /** Records written to files of this writer, or found for a set. */
  written: number;
  /** Records that an earlier run had published, read again and passed over. */
  passedOver: number;
}
"#;

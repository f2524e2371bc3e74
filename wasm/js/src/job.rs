//! What can be done with a job's record. A job lives in the caller's store, so these are functions.

use ehi_core::values;
use wasm_bindgen::prelude::*;

use crate::{
    endpoint::{MILLIS, REQUEST_HEAD},
    error::Error,
    manifest::ROW,
    value::{give, read, record, text},
};

/// The response to a request for a file whose row was looked up, a byte range included.
#[wasm_bindgen(js_name = serveFile, unchecked_return_type = "HttpResponse")]
pub fn serve_file(
    #[wasm_bindgen(js_name = record, unchecked_param_type = "JobRecord")] job: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "OutputFile")] row: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "RequestHead")] head: &JsValue,
) -> Result<JsValue, Error> {
    give(&values::serve_file(&record(job)?, &read(row, ROW)?, &read(head, REQUEST_HEAD)?)?)
}

/// Moves on what time alone moves. The job, if it changed.
#[wasm_bindgen(js_name = handleTimeout, unchecked_return_type = "StoredJob | null")]
pub fn handle_timeout(
    #[wasm_bindgen(js_name = record, unchecked_param_type = "JobRecord")] job: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "Millis")] now: &JsValue,
) -> Result<JsValue, Error> {
    give(&values::handle_timeout(&record(job)?, read(now, MILLIS)?)?)
}

/// What is to be done for the job, as `holder` sees it: while another holder's lease lasts, nothing.
#[wasm_bindgen(unchecked_return_type = "Wants")]
pub fn wants(
    #[wasm_bindgen(js_name = record, unchecked_param_type = "JobRecord")] job: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "string")] holder: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "Millis")] now: &JsValue,
) -> Result<JsValue, Error> {
    give(&values::wants(&record(job)?, &text(holder, "a holder")?, read(now, MILLIS)?)?)
}

/// Tells the job what the work came to. Store job and rows in one transaction, only over the version that was read.
#[wasm_bindgen(unchecked_return_type = "Applied")]
pub fn apply(
    #[wasm_bindgen(js_name = record, unchecked_param_type = "JobRecord")] job: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "Command")] command: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "Millis")] now: &JsValue,
) -> Result<JsValue, Error> {
    give(&values::apply(&record(job)?, read(command, "a command")?, read(now, MILLIS)?)?)
}

/// What the job exports, for a `Writer`.
#[wasm_bindgen(unchecked_return_type = "ExportPlan")]
pub fn plan(
    #[wasm_bindgen(js_name = record, unchecked_param_type = "JobRecord")] job: &JsValue,
) -> Result<JsValue, Error> {
    give(&values::plan(&record(job)?)?)
}

/// What the job's manifest says besides its files, for a `ManifestWriter`.
#[wasm_bindgen(js_name = manifestHead, unchecked_return_type = "ManifestHead")]
pub fn manifest_head(
    #[wasm_bindgen(js_name = record, unchecked_param_type = "JobRecord")] job: &JsValue,
) -> Result<JsValue, Error> {
    give(&values::manifest_head(&record(job)?)?)
}

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
/** A job, to store. Opaque; small, whatever the export's size. */
export type JobRecord = string;

/** A job as it is stored: the record, and beside it what a store indexes. */
export interface StoredJob {
  record: JobRecord;
  /** When to look at the job again if nothing happens before. */
  wakeAt: Millis | null;
  /** Whether it counts as an active job of its client. */
  unfinished: boolean;
  /** Its client, where there is one. */
  client: string | null;
}

/** Whose ids a population must hold. */
export type PopulationWanted =
  | "nobody"
  /** The members of that group now, patients and others. */
  | { group: string }
  /** Those of these patients who are members of that group now, and nobody else. */
  | { members: { group: string; patients: string[] } }
  /** The patients of that practitioner now. */
  | { practitioner: string }
  | { patient: string }
  /** These patients. An empty list is nobody, and exports nobody: a population is given all the same. */
  | { patients: string[] };

/** What is to be done for a job. */
export type Wants =
  /** Nothing, until `wakeAt` or a request. */
  | "nothing"
  /**
   * Begin, with that population, and run these partitions: a `Writer` for each, whatever its pass, then
   * `finishPartition`. An empty list: begin with as many as you like.
   */
  | {
      run: {
        population: PopulationWanted;
        /**
         * Whose membership of the group began after it is new, and goes into the population by `pushNew`. Not there if nobody is
         * new.
         */
        newAfter?: Instant;
        partitions: Required<PartitionTask>[];
      };
    }
  /** Remove everything below the job's storage prefix, by listing it, then `apply` the command `removed`. */
  | "remove"
  /** Forget the job altogether. */
  | "forget";

/** Proof of the lease that a command is given under: a later lease makes it stale. */
export type Epoch = number;

/** What the host that does the work tells a job. */
export type Command =
  /** Take the lease and begin, or go on. Only the first beginning fixes transaction time, snapshot and partitions. */
  | {
      begin: {
        holder: string;
        until: Instant | Date;
        transactionTime: Instant | Date;
        snapshot: string;
        /** Into how many the data are cut for the main pass; every other pass is one more. */
        partitions: number;
      };
    }
  /** Keep the lease. */
  | { renew: { epoch: Epoch; until: Instant | Date } }
  /** Files are stored whole: list them, and go on from the checkpoint if the host is lost. */
  | { publish: { epoch: Epoch; partition: number; rows: OutputFile[]; checkpoint: Checkpoint } }
  /** A partition has nothing left. With the last one, of whatever pass, the job is complete. */
  | { finishPartition: { epoch: Epoch; partition: number } }
  /** It cannot go on. The text is shown to the client: no patient data and no paths. */
  | { fail: { epoch: Epoch; diagnostics: string } }
  /** Everything below the job's storage prefix is removed. */
  | "removed";

/** What a command did. */
export interface Applied {
  /** To work under. */
  epoch: Epoch;
  /** To store. */
  job: StoredJob;
  /** To append to the job's rows. */
  rows: OutputFile[];
}

/** What an accepted export takes. */
export interface ExportPlan {
  level: Level;
  types: "all" | { only: string[] } | { allBut: string[] };
  typeFilters: string[];
  /** The ValueSets that the queries ask for, by canonical. */
  valueSets?: string[];
  /** What the queries ask about resources that exported ones refer to; the first is number 0. */
  chains?: { asked: string; granted: string[] | null; queries: string[] }[];
  /** The rows of the deployment's own search parameters that the queries ask by. */
  searchParameters?: string;
  /** The deployment's own queries of these types, which `typeFilters` has taken in already. */
  subset?: string[];
  since: Instant | null;
  until: Instant | null;
  undatedIncluded: boolean;
  /** Set when the job begins. */
  transactionTime: Instant | null;
  edition: Edition;
  baseUrl: string;
  exportShared: boolean;
  provenance: Provenance;
  supporting: Supporting;
  withheldLabels: string[];
  /** Whether a set of vetoes must be given. */
  vetoes: boolean;
  organize: Organize;
  /** If the client asked for any. */
  fileSizes?: FileSizes;
  notices: Issue[];
  request: string;
}
"#;

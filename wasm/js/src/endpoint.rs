//! Class `Endpoint`: the front door of a deployment.

use ehi_core::{access::Principal, endpoint::EndpointConfig, values};
use wasm_bindgen::prelude::*;

use crate::{
    error::Error,
    value::{bytes, bytes_optional, give, json, read, read_optional, record},
};

/// The front door of a deployment: what a request asks for, and what becomes of a kick-off. It holds no job and no
/// state.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Endpoint(ehi_core::Endpoint);

#[wasm_bindgen]
impl Endpoint {
    /// An endpoint of that configuration.
    #[wasm_bindgen(constructor)]
    pub fn new(#[wasm_bindgen(unchecked_param_type = "EndpointConfig")] config: &JsValue) -> Result<Endpoint, Error> {
        let config = EndpointConfig::from_json(&json(config, "a configuration")?)?;
        Ok(Self(ehi_core::Endpoint::new(config)?))
    }

    /// What a request asks for: a response to send, a kick-off to decide, resources to find, or the id of a job to load.
    #[wasm_bindgen(unchecked_return_type = "Routed")]
    pub fn route(
        &self,
        #[wasm_bindgen(unchecked_param_type = "RequestHead")] head: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array | null | undefined")] body: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Principal")] principal: &JsValue,
    ) -> Result<JsValue, Error> {
        let (head, body, principal) = (read(head, REQUEST_HEAD)?, request_body(body)?, read_principal(principal)?);
        give(&values::route(&self.0, &head, &body, &principal))
    }

    /// What becomes of a kick-off, once its needs are answered: store the job, then send the response.
    ///
    /// `entropy` is 16 bytes of `newEntropy`, `now` is `Date.now()`.
    #[wasm_bindgen(unchecked_return_type = "Decided")]
    pub fn decide(
        &self,
        #[wasm_bindgen(js_name = kickOff, unchecked_param_type = "KickOff")] kick_off: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Principal")] principal: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Facts")] facts: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array")] entropy: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Millis")] now: &JsValue,
    ) -> Result<JsValue, Error> {
        let (kick_off, principal) = (read(kick_off, "a kick-off")?, read_principal(principal)?);
        let (facts, now) = (read(facts, "a set of facts")?, read(now, MILLIS)?);
        let entropy = bytes(entropy, "entropy").ok().and_then(|bytes| bytes.try_into().ok());
        let entropy = entropy.ok_or_else(Error::entropy_length)?;
        give(&values::decide(&self.0, kick_off, &principal, &facts, entropy, now))
    }

    /// The answer to a look-up, once the resources are found. `now` is `Date.now()`.
    #[wasm_bindgen(js_name = lookUp, unchecked_return_type = "HttpResponse")]
    pub fn look_up(
        &self,
        #[wasm_bindgen(js_name = lookUp, unchecked_param_type = "LookUp")] look_up: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Principal")] principal: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Found")] found: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Millis")] now: &JsValue,
    ) -> Result<JsValue, Error> {
        let (look_up, principal) = (read(look_up, "a look-up")?, read_principal(principal)?);
        let (found, now) = (read(found, "a set of found resources")?, read(now, MILLIS)?);
        give(&values::look_up(&self.0, &look_up, &principal, found, now))
    }

    /// The response for a job or a file that is not there.
    #[wasm_bindgen(js_name = notFound, unchecked_return_type = "HttpResponse")]
    pub fn not_found(&self) -> Result<JsValue, Error> {
        give(&values::not_found(&self.0))
    }

    /// The answer to a request about a job. Store what is there, in one transaction, before sending the response.
    ///
    /// `account` is this client's of this job, if one is stored.
    #[wasm_bindgen(js_name = handleRequest, unchecked_return_type = "Answered")]
    pub fn handle_request(
        &self,
        #[wasm_bindgen(js_name = record, unchecked_param_type = "JobRecord")] job: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "PollAccount | null | undefined")] account: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "RequestHead")] head: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array | null | undefined")] body: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Principal")] principal: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Millis")] now: &JsValue,
    ) -> Result<JsValue, Error> {
        let (job, account) = (record(job)?, read_optional(account, "a poll account")?.unwrap_or_default());
        let (head, body, principal) = (read(head, REQUEST_HEAD)?, request_body(body)?, read_principal(principal)?);
        let now = read(now, MILLIS)?;
        give(&values::handle_request(&self.0, &job, account, &head, &body, &principal, now)?)
    }
}

fn request_body(body: &JsValue) -> Result<Vec<u8>, Error> {
    bytes_optional(body, "a request body").map(Option::unwrap_or_default)
}

fn read_principal(principal: &JsValue) -> Result<Principal, Error> {
    Ok(Principal::from_json(&json(principal, "a principal")?)?)
}

pub(crate) const MILLIS: &str = "a time in milliseconds";
pub(crate) const REQUEST_HEAD: &str = "a request head";

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
/** Milliseconds since 1970-01-01T00:00:00Z, as of `Date.now()`. */
export type Millis = number;

/** A FHIR `instant`, such as `2026-01-01T00:00:00Z`. */
export type Instant = string;

/** The editions of the Bulk Data Access guide. */
export type Edition = "1.0.1" | "2.0" | "3.0" | "4.0-ballot";

/** What a deployment decides. Only `baseUrl` and `auth` have no default. */
export interface EndpointConfig {
  /** The FHIR base, absolute, without a final `/`. */
  baseUrl: string;
  /** Who is let in: anyone who can reach the address, or bearers of access tokens. */
  auth: "none" | "bearer";
  /** Allows a base URL that starts with `http://`, for loopback and tests. */
  insecureHttp?: boolean;
  /** Values of `Host` that are answered; none means any. */
  hosts?: string[];
  /** The edition of the guide that is spoken; `3.0` unless given. */
  edition?: Edition;
  /** Editions that are spoken besides, each by an operation of its own, such as `$export-v4`. */
  alsoEditions?: Edition[];
  /** Whether a kick-off without `Prefer: respond-async` is refused. */
  preferRequired?: boolean;
  /** Whether a kick-off without `Accept` is refused. */
  acceptRequired?: boolean;
  /** Unfinished jobs that one client may have. */
  jobsPerClientMax?: number;
  /** How long files are kept after completion. */
  retentionSeconds?: number;
  /** `Retry-After` of the first polls. */
  retryAfterSeconds?: number;
  /** Polls of one client closer than this are answered 429. */
  pollIntervalMillis?: number;
  /** Whether what is in the compartments of a listed and of an unlisted patient is exported. */
  exportShared?: boolean;
  /** The FHIR subset that `$export` holds, by queries like those of `_typeFilter`; everything unless given. */
  subset?: { onlyMatching: string[]; othersLeftOut?: boolean };
  /**
   * Whether a client that allows it gets a manifest in pages, in the 4.0 ballot the first while the export runs: a page is closed
   * when it has so many files (100 unless given), or when the oldest has waited for so many seconds (60 unless given). In
   * 3.0 pages are seen while it runs only with `early: "always"`, and then do not all list the same errors.
   */
  partialManifests?: { files?: number; seconds?: number; early?: "where-errors-may-differ" | "always" };
  /** With more reports in its error files an export fails as a whole; never unless given. */
  failAbove?: { reports: number };
  /** Which resources outside the Patient compartment accompany those inside that refer to them; `off` unless given. */
  supporting?: Supporting;
  /** Whether a resource without `meta.lastUpdated` is within any `_since` and `_until`; true unless given. */
  undatedIncluded?: boolean;
  /** Security labels, each `system|code`, whose resources no export holds. */
  withheldLabels?: string[];
  /** Whether every export is given a set of vetoes. */
  vetoes?: boolean;
  /** What `_typeFilter` may ask that one resource does not decide: `:in` of ValueSets, chained parameters; neither unless said. */
  filterSets?: { valueSets?: boolean; chains?: boolean };
  /** Whether `_typeFilter` knows the search parameters that US Core adds to R4; it does by default. */
  usCoreSearchParameters?: boolean;
  /** SearchParameter resources, or Bundles of them, that `_typeFilter` knows besides. */
  searchParameters?: object[];
  /** `date` of the CapabilityStatement, a FHIR date. */
  published?: string;
}

/** A request without its body, as it was on the wire. */
export interface RequestHead {
  method: string;
  /** Raw and undecoded, in origin form: path and query of `url`, not of a decoded copy. */
  target: string;
  /** Name and value of each header field, in order. */
  headers: [name: string, value: string][];
}

/** Who asks. There is no permissive default. */
export type Principal =
  /** No token. */
  | "anonymous"
  /** Anyone, where the configuration says that there is no authorisation. */
  | "open"
  /** The bearer of a token that you have verified. */
  | {
      known: {
        client: string;
        user: string | null;
        patient: string | null;
        scopes: string[];
        /** The roles and permissions of the user; none means no right. */
        roles?: string[];
        expires: Instant | Date;
      };
    };

/** What to answer. */
export interface HttpResponse {
  status: number;
  /** Name, in lower case, and value of each header field. */
  headers: [name: string, value: string][];
  body: ResponseBody;
}

/** What follows the headers: small text, or something that you stream. */
export type ResponseBody =
  | "empty"
  /** JSON. */
  | { text: string }
  /** The output manifest: feed the job's rows to a `ManifestWriter` made of this head; if it names a page, those of that page and those of none. */
  | { manifest: ManifestHead }
  /** A file by its public name: look up the row and call `serveFile`, or answer `notFound`. Never a path. */
  | { row: string }
  /** A stored object, whole or from a first byte to one past the last. */
  | { object: { key: string; range: [from: number, to: number] | null; unpack?: true } };

/** An object that has exactly one of these members; which one can be asked by `if (value.member)`. */
export type OneOf<T> = { [K in keyof T]: Pick<T, K> & { [Other in Exclude<keyof T, K>]?: undefined } }[keyof T];

/** What a request asks for. */
export type Routed = OneOf<{
  /** Send this. */
  respond: HttpResponse;
  /** Answer the needs, then `decide`. */
  kickOff: { kickOff: KickOff; needs: Need[] };
  /** Find the resources, then `lookUp`. */
  lookUp: LookUp;
  /** Load the job by this id and `handleRequest`, or send `notFound`. */
  job: string;
}>;

/** Whose data is asked for. */
export type Level = "system" | "allPatients" | { group: string } | { practitioner: string } | { patient: string };

/** Which Provenance is exported: what belongs to the export anyway, the newest of each exported resource, or all of it. */
export type Provenance = "unasked" | "latest" | "relevant";

/** Which resources outside the Patient compartment accompany others: none, those of some types, or all. */
export type Supporting = "off" | { types: string[] } | "all";

/** How resources are dealt into files: by type, or in a block for each patient. */
export type Organize = "byType" | "byPatient";

/** How large files are to be, in bytes. */
export interface FileSizes {
  min: number | null;
  max: number | null;
}

/** An export that was asked for, to hand on. */
export interface KickOff {
  edition: Edition;
  level: Level;
  /// `patient`: ids, each with its place in the Parameters; `null` is all patients of the level.
  patients: Record<string, number> | null;
  /** The kick-off URL. */
  request: string;
  /** `_type`; `null` is all types. */
  types: string[] | null;
  /** `_typeFilter`. */
  typeFilters: string[];
  /** The ValueSets that these ask for, each with the number of its query and what is said if it is not known. */
  valueSets?: { url: string; query: number; unknown: string }[];
  /** Types of which nothing is exported. */
  withheld: string[];
  /** `_since`. */
  since: Instant | null;
  /** `_until`. */
  until: Instant | null;
  /** `includeAssociatedData`. */
  provenance: Provenance;
  /** `organizeOutputBy`. */
  organize: Organize;
  /** `_minimumFileSize` and `_maximumFileSize`. */
  fileSizes: FileSizes;
  /** `allowPartialManifests`. */
  partialManifests: boolean;
  /** What was tolerated. */
  notices: Issue[];
}

/** What must be known before a kick-off can be decided. */
export type Need = OneOf<{
  /** Whether that patient exists. */
  patient: string;
  /** Which of these patients exist. */
  patients: string[];
  /** Whether that group exists. */
  group: string;
  /** Which of these patients are members of that group now. */
  members: { group: string; patients: string[] };
  /** Whether that practitioner exists. */
  practitioner: string;
  /** Whether that user has access to that patient. */
  patientAccess: { patient: string; user: string };
  /** Whether the rules of the business let that client, and its user, export that group. */
  groupAccess: { group: string; client: string | null; user: string | null };
  /** Whether the rules of the business let that client, and its user, export the patients of that practitioner. */
  practitionerAccess: { practitioner: string; client: string | null; user: string | null };
  /** Whether the expansion of that ValueSet is known: its canonical, `url` or `url|version`. */
  valueSet: string;
  /** How many unfinished jobs that client has; of all where there is no authorisation. */
  activeJobs: { client: string | null };
}>;

/** The answers. What is not answered counts as absent, or as too many. */
export interface Facts {
  /** The patients asked about that exist. */
  patients?: string[];
  /** The groups asked about that exist. */
  groups?: string[];
  /** Those of the patients who are members of the group. */
  members?: string[];
  /** The practitioners asked about that exist. */
  practitioners?: string[];
  /** Those of the patients to whom the user has access. */
  accessiblePatients?: string[];
  /** Those of the groups that may be exported. */
  accessibleGroups?: string[];
  /** Those of the practitioners whose patients may be exported. */
  accessiblePractitioners?: string[];
  /** The ValueSets asked about whose expansions are known. */
  valueSets?: string[];
  /** How many jobs are unfinished. */
  activeJobs?: number | null;
}

/** Resources of one type to be found, as they are now. */
export interface LookUp {
  resourceType: string;
  /** Only the one with that id. */
  id: string | null;
  /** Only those that meet one of these: `Type?name=value&…`, percent-encoded. */
  queries: string[];
  /** Only those that your rules open to this client and user; `null` means all of them. */
  access: { client: string | null; user: string | null } | null;
  /** Hand back no more than so many. */
  count: number;
  /** The URL of the request. */
  request: string;
}

/** What was found. */
export interface Found {
  /** Each as its JSON text. */
  resources?: string[];
  /** How many there are, if not all of them are handed back. What is not accessible is not counted. */
  total?: number | null;
  /** If access is asked about: the ids of those that are accessible. */
  accessible?: string[];
}

/** What became of a kick-off. */
export type Decided = OneOf<{
  /** Store the job under the id, then send the response. */
  accepted: { id: string; job: StoredJob; response: HttpResponse };
  /** Send the response. */
  refused: HttpResponse;
}>;

/** One client's polls of one job; stored without a version, may be lost. */
export interface PollAccount {
  nextAllowed: Millis;
  strikes: number;
}

/** The answer to a request about a job. */
export interface Answered {
  response: HttpResponse;
  /** If it changed: store it only over the version that was read, else read again and repeat. */
  job: StoredJob | null;
  /** If it changed. */
  account: PollAccount | null;
}

/** An issue of a FHIR OperationOutcome. */
export interface Issue {
  severity: "fatal" | "error" | "warning" | "information";
  code: string;
  diagnostics: string;
  expression?: string[];
}
"#;

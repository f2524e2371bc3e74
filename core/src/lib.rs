//! The engine that a health-record system embeds to give people and institutions their data: FHIR Bulk Data `$export`
//! and the Argonaut EHI Export API, without I/O.
//!
//! Two types matter. [`Endpoint`] answers what a request asks for, and what becomes of a kick-off; [`Job`](job::Job) is
//! one export, a value that lives in your store. A third does the bulk of the work: [`Writer`](writer::Writer) turns
//! resources into NDJSON files. You bring HTTP, storage, a clock, randomness and identity; nothing here has any.
//! If you want a server and not a library, use `ehi serve` instead.
//!
//! Three rules hold for every machine here:
//!
//! - what belongs to one input is that call's return value; everything else is polled;
//! - the crate never calls you, so nothing can re-enter it;
//! - time, ids and seeds are arguments: the same calls give the same bytes.
//!
//! # One export
//!
//! ```
//! use ehi_core::{
//!     Endpoint, Timestamp,
//!     access::Principal,
//!     endpoint::{Auth, Decision, EndpointConfig, Route},
//!     http::Request,
//!     job::{Command, JobId, PollAccount, Wants},
//!     kick_off::Facts,
//!     pass::PartitionTask,
//!     writer::{Output, Source, Writer, WriterLimits},
//! };
//!
//! // The front door. `Auth::None` for the example; see `Principal::Known` for bearers of tokens.
//! let endpoint = Endpoint::new(EndpointConfig::new("https://ehr.example/fhir", Auth::None))?;
//! let now = Timestamp::parse_instant("2026-01-01T00:00:00Z")?;
//! let request = Request { method: "GET", target: "/fhir/$export?_type=Patient", headers: &[], body: b"" };
//!
//! // 1. Route, answer the needs, decide.
//! let Route::KickOff(kick_off) = endpoint.route(&request, &Principal::Open) else { panic!() };
//! let facts = Facts { active_jobs: Some(0), ..Facts::default() };
//! let id = JobId::from_entropy([7; 16]); // from your source of randomness
//! let Decision::Accepted(mut job, response) = endpoint.decide(*kick_off, &Principal::Open, &facts, id, now) else { panic!() };
//! assert_eq!(response.status, 202);
//!
//! // 2. The work: begin, feed lines, store what comes out, publish each file.
//! let Wants::Run { .. } = job.wants("host-a", now) else { panic!() };
//! let begin = Command::Begin {
//!     holder: "host-a".into(), until: now.plus_seconds(30), transaction_time: now, snapshot: "1".into(), partitions: 1,
//! };
//! let (epoch, _) = job.apply(begin, now)?;
//! let mut writer = Writer::new(job.plan(), &PartitionTask::default(), None, WriterLimits::default())?;
//! let lines = br#"{"resourceType":"Patient","id":"1"}"#;
//! writer.write_lines(lines, Source { name: "patients.ndjson", cursor: b"", offset: 0 })?;
//! writer.finish();
//! let mut file = Vec::new();
//! while let Some(output) = writer.poll_output() {
//!     if let Output::Append { bytes, .. } = output { file.extend_from_slice(bytes) }
//! }
//! assert_eq!(file, b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n");
//! let (_, effects) = job.apply(Command::FinishPartition { epoch, partition: 0 }, now)?;
//! assert!(effects.job); // store it
//!
//! // 3. The client polls.
//! let poll = Request { target: &format!("/fhir/bulk/{id}"), ..request };
//! let (response, _) = job.handle_request(&endpoint, &poll, &Principal::Open, &mut PollAccount::default(), now);
//! assert_eq!(response.status, 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calendar;
mod chain;
mod definitions;
mod edition;
mod hash;
mod json;
mod period;
mod phi;
pub mod plan;
mod reference;
mod texts;

pub mod access;
pub mod audit;
pub mod client;
pub mod document_reference;
pub mod elements;
pub mod endpoint;
pub mod errors;
pub mod group;
pub mod http;
pub mod job;
pub mod kick_off;
pub mod look_up;
pub mod manifest;
pub mod ndjson;
pub mod outcome;
pub mod pass;
pub mod population;
pub mod practitioner;
pub mod search;
pub mod sets;
pub mod time;
pub mod type_filter;
pub mod values;
pub mod writer;

pub use definitions::{Definitions, ResourceType};
pub use edition::Edition;
pub use endpoint::Endpoint;
pub use errors::Refusal;
pub use json::Header;
pub use phi::Sensitive;

pub use time::Timestamp;

//! The engine as the host sees it: the core's machines behind one trait, whichever way they are reached.
//!
//! [`Component`] is the core as a WebAssembly component, sandboxed and bounded, and what the server uses.
//! [`Native`] is the same core linked in. Both answer every call alike; tests compare them byte by byte.

mod component;
mod native;

use ehi_core::{
    access::Principal,
    http::Response,
    job::{Command, PollAccount, Wants},
    kick_off::{Facts, KickOff},
    look_up::{Found, LookUp},
    manifest::{ManifestHead, OutputFile},
    pass::{PartitionTask, Pass, SetWanted},
    plan::ExportPlan,
    values::{Answered, Applied, Decided, RequestHead, Routed, StoredJob, WriterEvent},
    writer::{Progress, WriterLimits},
};

pub use component::{Component, ComponentLimits, precompile};
pub use native::Native;

/// Something that makes engines, one for each request or each partition's run.
pub trait Engines: Send + Sync {
    /// A fresh instance.
    fn instance(&self) -> Result<Box<dyn Engine>, EngineError>;
}

/// The core's machines, as functions from values to values. See `ehi_core::values` for what each does.
pub trait Engine: Send {
    /// What a request asks for.
    fn route(&mut self, head: &RequestHead, body: &[u8], principal: &Principal) -> Result<Routed, EngineError>;

    /// What becomes of a kick-off.
    fn decide(
        &mut self,
        kick_off: &KickOff,
        principal: &Principal,
        facts: &Facts,
        entropy: [u8; 16],
        now: i64,
    ) -> Result<Decided, EngineError>;

    /// The answer to a look-up.
    fn look_up(
        &mut self,
        look_up: &LookUp,
        principal: &Principal,
        found: Found,
        now: i64,
    ) -> Result<Response, EngineError>;

    /// The answer for whatever is not there.
    fn not_found(&mut self) -> Result<Response, EngineError>;

    /// The answer to a request about a job.
    fn handle_request(
        &mut self,
        record: &str,
        account: PollAccount,
        head: &RequestHead,
        body: &[u8],
        principal: &Principal,
        now: i64,
    ) -> Result<Answered, EngineError>;

    /// The answer to a request for a file whose row was found.
    fn serve_file(&mut self, record: &str, file: &OutputFile, head: &RequestHead) -> Result<Response, EngineError>;

    /// The job, if time alone changed it.
    fn handle_timeout(&mut self, record: &str, now: i64) -> Result<Option<StoredJob>, EngineError>;

    /// What is to be done for a job.
    fn wants(&mut self, record: &str, holder: &str, now: i64) -> Result<Wants, EngineError>;

    /// A command to a job.
    fn apply(&mut self, record: &str, command: &Command, now: i64) -> Result<Applied, EngineError>;

    /// What a job exports.
    fn plan(&mut self, record: &str) -> Result<ExportPlan, EngineError>;

    /// What a job's manifest says besides its files.
    fn manifest_head(&mut self, record: &str) -> Result<ManifestHead, EngineError>;

    /// Begins a manifest.
    fn manifest<'e>(&'e mut self, head: &ManifestHead) -> Result<Box<dyn ManifestSession + 'e>, EngineError>;

    /// Begins to make a population.
    fn population<'e>(&'e mut self) -> Result<Box<dyn PopulationSession + 'e>, EngineError>;

    /// The sets that a pass needs, and the tasks whose findings make them.
    fn sets_wanted(
        &mut self,
        plan: &ExportPlan,
        pass: Pass,
    ) -> Result<Vec<(SetWanted, Option<PartitionTask>)>, EngineError>;

    /// Begins to make a set of at most so many texts.
    fn set<'e>(&'e mut self, set: &SetWanted, texts_max: u64) -> Result<Box<dyn SetSession + 'e>, EngineError>;

    /// Begins to write a partition. The population may be large, so it is borrowed, not copied, where that can be.
    fn writer<'e>(
        &'e mut self,
        plan: &ExportPlan,
        task: &PartitionTask,
        population: Option<&'e [u8]>,
        limits: &WriterLimits,
    ) -> Result<Box<dyn WriterSession + 'e>, EngineError>;
}

/// A manifest being written.
pub trait ManifestSession: Send {
    /// The bytes that one more file adds.
    fn row(&mut self, file: &OutputFile) -> Result<Vec<u8>, EngineError>;
    /// The last bytes.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError>;
}

/// A population being made.
pub trait PopulationSession: Send {
    /// Adds one patient.
    fn push(&mut self, id: &str) -> Result<(), EngineError>;
    /// Adds one patient as new.
    fn push_new(&mut self, id: &str) -> Result<(), EngineError>;
    /// Adds a member of a group that is no patient.
    fn push_resource(&mut self, resource_type: &str, id: &str, is_new: bool) -> Result<(), EngineError>;
    /// The block.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError>;
}

/// A set being made.
pub trait SetSession: Send {
    /// Adds what was found.
    fn push(&mut self, found: &[u8]) -> Result<(), EngineError>;
    /// The block.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError>;
}

/// A partition being written.
pub trait WriterSession: Send {
    /// Hands over a set, before the first line.
    fn add_set(&mut self, set: &SetWanted, block: &[u8]) -> Result<(), EngineError>;
    /// Takes bytes of a source.
    fn write_lines(&mut self, block: &[u8], name: &str, cursor: &[u8], offset: u64) -> Result<Progress, EngineError>;
    /// Says that the next line is superseded.
    fn supersede_next_line(&mut self) -> Result<(), EngineError>;
    /// Begins the block of a patient.
    fn begin_block(&mut self, patient: &str) -> Result<(), EngineError>;
    /// Closes all files.
    fn finish(&mut self) -> Result<(), EngineError>;
    /// What to do next with a file.
    fn poll_output(&mut self) -> Result<Option<WriterEvent>, EngineError>;
    /// Lines read, records written, records passed over.
    fn counts(&mut self) -> Result<(u64, u64, u64), EngineError>;
}

/// A call that gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine does not take the call; its text.
    #[error("{0}")]
    Refused(String),
    /// The engine itself failed: a trap, a bound of memory or time.
    #[error("the engine stopped: {0}")]
    Stopped(String),
}

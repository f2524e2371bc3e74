//! The core, linked in.

use ehi_core::{
    Endpoint,
    access::Principal,
    http::Response,
    job::{Command, PollAccount, Wants},
    kick_off::{Facts, KickOff},
    look_up::{Found, LookUp},
    manifest::{ManifestHead, ManifestWriter, OutputFile},
    pass::{PartitionTask, Pass, SetWanted},
    plan::ExportPlan,
    population::{Population, PopulationBuilder},
    sets::{Set, SetBuilder},
    values::{self, Answered, Applied, Decided, RequestHead, Routed, StoredJob, WriterEvent},
    writer::{Progress, Source, Writer, WriterLimits},
};

use super::{Engine, EngineError, Engines, ManifestSession, PopulationSession, SetSession, WriterSession};

/// The core, linked in.
#[derive(Clone)]
pub struct Native {
    endpoint: Endpoint,
}

impl Native {
    /// The core with that endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }
}

impl Engines for Native {
    fn instance(&self) -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(self.clone()))
    }
}

impl Engine for Native {
    fn route(&mut self, head: &RequestHead, body: &[u8], principal: &Principal) -> Result<Routed, EngineError> {
        Ok(values::route(&self.endpoint, head, body, principal))
    }

    fn decide(
        &mut self,
        kick_off: &KickOff,
        principal: &Principal,
        facts: &Facts,
        entropy: [u8; 16],
        now: i64,
    ) -> Result<Decided, EngineError> {
        Ok(values::decide(&self.endpoint, kick_off.clone(), principal, facts, entropy, now))
    }

    fn look_up(
        &mut self,
        look_up: &LookUp,
        principal: &Principal,
        found: Found,
        now: i64,
    ) -> Result<Response, EngineError> {
        Ok(values::look_up(&self.endpoint, look_up, principal, found, now))
    }

    fn not_found(&mut self) -> Result<Response, EngineError> {
        Ok(values::not_found(&self.endpoint))
    }

    fn handle_request(
        &mut self,
        record: &str,
        account: PollAccount,
        head: &RequestHead,
        body: &[u8],
        principal: &Principal,
        now: i64,
    ) -> Result<Answered, EngineError> {
        values::handle_request(&self.endpoint, record, account, head, body, principal, now).map_err(refused)
    }

    fn serve_file(&mut self, record: &str, file: &OutputFile, head: &RequestHead) -> Result<Response, EngineError> {
        values::serve_file(record, file, head).map_err(refused)
    }

    fn handle_timeout(&mut self, record: &str, now: i64) -> Result<Option<StoredJob>, EngineError> {
        values::handle_timeout(record, now).map_err(refused)
    }

    fn wants(&mut self, record: &str, holder: &str, now: i64) -> Result<Wants, EngineError> {
        values::wants(record, holder, now).map_err(refused)
    }

    fn apply(&mut self, record: &str, command: &Command, now: i64) -> Result<Applied, EngineError> {
        values::apply(record, command.clone(), now).map_err(refused)
    }

    fn plan(&mut self, record: &str) -> Result<ExportPlan, EngineError> {
        values::plan(record).map_err(refused)
    }

    fn manifest_head(&mut self, record: &str) -> Result<ManifestHead, EngineError> {
        values::manifest_head(record).map_err(refused)
    }

    fn manifest<'e>(&'e mut self, head: &ManifestHead) -> Result<Box<dyn ManifestSession + 'e>, EngineError> {
        Ok(Box::new(ManifestWriter::new(head.clone())))
    }

    fn population<'e>(&'e mut self) -> Result<Box<dyn PopulationSession + 'e>, EngineError> {
        Ok(Box::new(PopulationBuilder::default()))
    }

    fn sets_wanted(
        &mut self,
        plan: &ExportPlan,
        pass: Pass,
    ) -> Result<Vec<(SetWanted, Option<PartitionTask>)>, EngineError> {
        Ok(values::sets_wanted(plan, pass))
    }

    fn set<'e>(&'e mut self, set: &SetWanted, texts_max: u64) -> Result<Box<dyn SetSession + 'e>, EngineError> {
        let texts_max = usize::try_from(texts_max).unwrap_or(usize::MAX);
        Ok(Box::new(SetBuilder::new(set.clone(), texts_max)))
    }

    fn writer<'e>(
        &'e mut self,
        plan: &ExportPlan,
        task: &PartitionTask,
        population: Option<&'e [u8]>,
        limits: &WriterLimits,
    ) -> Result<Box<dyn WriterSession + 'e>, EngineError> {
        let population = population.map(Population::load).transpose().map_err(refused)?;
        Ok(Box::new(Writer::new(plan, task, population, limits.clone()).map_err(refused)?))
    }
}

impl PopulationSession for PopulationBuilder {
    fn push(&mut self, id: &str) -> Result<(), EngineError> {
        PopulationBuilder::push(self, id).map_err(refused)
    }

    fn push_new(&mut self, id: &str) -> Result<(), EngineError> {
        PopulationBuilder::push_new(self, id).map_err(refused)
    }

    fn push_resource(&mut self, resource_type: &str, id: &str, is_new: bool) -> Result<(), EngineError> {
        PopulationBuilder::push_resource(self, resource_type, id, is_new).map_err(refused)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        Ok(PopulationBuilder::seal(*self))
    }
}

impl SetSession for SetBuilder {
    fn push(&mut self, found: &[u8]) -> Result<(), EngineError> {
        SetBuilder::push(self, found).map_err(refused)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        SetBuilder::seal(*self).map_err(refused)
    }
}

impl ManifestSession for ManifestWriter {
    fn row(&mut self, file: &OutputFile) -> Result<Vec<u8>, EngineError> {
        let mut bytes = Vec::new();
        ManifestWriter::row(self, file, &mut bytes).map_err(refused)?;
        Ok(bytes)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        let mut bytes = Vec::new();
        ManifestWriter::finish(*self, &mut bytes);
        Ok(bytes)
    }
}

impl WriterSession for Writer<'_> {
    fn add_set(&mut self, set: &SetWanted, block: &[u8]) -> Result<(), EngineError> {
        let set = Set::load(set.clone(), block).map_err(refused)?.into_owned();
        Writer::add_set(self, set).map_err(refused)
    }

    fn write_lines(&mut self, block: &[u8], name: &str, cursor: &[u8], offset: u64) -> Result<Progress, EngineError> {
        Writer::write_lines(self, block, Source { name, cursor, offset }).map_err(refused)
    }

    fn supersede_next_line(&mut self) -> Result<(), EngineError> {
        Writer::supersede_next_line(self).map_err(refused)
    }

    fn begin_block(&mut self, patient: &str) -> Result<(), EngineError> {
        Writer::begin_block(self, patient).map_err(refused)
    }

    fn finish(&mut self) -> Result<(), EngineError> {
        Writer::finish(self);
        Ok(())
    }

    fn poll_output(&mut self) -> Result<Option<WriterEvent>, EngineError> {
        Ok(Writer::poll_output(self).map(WriterEvent::from))
    }

    fn counts(&mut self) -> Result<(u64, u64, u64), EngineError> {
        let counts = Writer::counts(self);
        Ok((counts.lines, counts.written, counts.passed_over))
    }
}

fn refused(error: impl std::error::Error) -> EngineError {
    EngineError::Refused(error.to_string())
}

//! The core as a WebAssembly component: compiled ahead of time, instantiated for each request, bounded in memory and time.

mod convert;
mod embedded;

use std::{path::Path, sync::Arc, time::Duration};

use ehi_core::{
    access::Principal,
    endpoint::EndpointConfig,
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
use wasmtime::{
    Config, Store, StoreLimits, StoreLimitsBuilder,
    component::{Component as Compiled, Linker, ResourceAny},
};

use super::{Engine, EngineError, Engines, ManifestSession, PopulationSession, SetSession, WriterSession};
use bindings::{Engine as Exports, EnginePre, exports::ehi::exporter as wit};

mod bindings {
    wasmtime::component::bindgen!({ path: "../wasm/component/wit", world: "engine" });
}

/// The engine component, loaded once.
#[derive(Clone)]
pub struct Component {
    shared: Arc<Shared>,
    config: Arc<str>,
}

struct Shared {
    pre: EnginePre<Held>,
    limits: ComponentLimits,
}

/// What one instance may use.
#[derive(Clone, Copy, Debug)]
pub struct ComponentLimits {
    /// Bytes of linear memory.
    pub memory_bytes: usize,
    /// How long one call may take.
    pub call: Duration,
}

impl Default for ComponentLimits {
    fn default() -> Self {
        // A population of 10^6 patients takes some 56 MB, a set of 4 million resources four times that, and each is
        // held twice for a moment; a call takes microseconds, or milliseconds for a block of lines.
        Self { memory_bytes: 768 << 20, call: Duration::from_secs(10) }
    }
}

impl Component {
    /// The engine that this program was built with.
    pub fn embedded(config: &EndpointConfig, limits: ComponentLimits) -> Result<Self, EngineError> {
        let engine = engine()?;
        Self::link(&engine, &embedded::load(&engine)?, config, limits)
    }

    /// An engine from a component file, compiled now.
    pub fn from_file(path: &Path, config: &EndpointConfig, limits: ComponentLimits) -> Result<Self, EngineError> {
        let engine = engine()?;
        let compiled = Compiled::from_file(&engine, path).map_err(stopped)?;
        Self::link(&engine, &compiled, config, limits)
    }

    /// The same engine with another configuration.
    pub fn with_config(&self, config: &EndpointConfig) -> Result<Self, EngineError> {
        Ok(Self { shared: Arc::clone(&self.shared), config: json(config)?.into() })
    }

    fn link(
        engine: &wasmtime::Engine,
        compiled: &Compiled,
        config: &EndpointConfig,
        limits: ComponentLimits,
    ) -> Result<Self, EngineError> {
        // Nothing is linked: a component that imports anything does not instantiate.
        let pre = Linker::new(engine).instantiate_pre(compiled).and_then(EnginePre::new).map_err(stopped)?;
        tick(engine);
        Ok(Self { shared: Arc::new(Shared { pre, limits }), config: json(config)?.into() })
    }
}

/// Compiles a component ahead of time, for [`Component::embedded`].
pub fn precompile(component: &[u8]) -> Result<Vec<u8>, EngineError> {
    engine()?.precompile_component(component).map_err(stopped)
}

impl Engines for Component {
    fn instance(&self) -> Result<Box<dyn Engine>, EngineError> {
        let limits = StoreLimitsBuilder::new().memory_size(self.shared.limits.memory_bytes).instances(64).build();
        let mut store = Store::new(self.shared.pre.engine(), Held { limits });
        store.limiter(|held| &mut held.limits);
        let ticks = self.shared.limits.call.as_millis().div_ceil(TICK.as_millis()).max(1);
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
        store.set_epoch_deadline(ticks);
        let exports = self.shared.pre.instantiate(&mut store).map_err(stopped)?;
        Ok(Box::new(Instance { store, exports, endpoint: None, config: Arc::clone(&self.config), ticks }))
    }
}

/// What the store holds for the host.
struct Held {
    limits: StoreLimits,
}

struct Instance {
    store: Store<Held>,
    exports: Exports,
    endpoint: Option<ResourceAny>,
    config: Arc<str>,
    ticks: u64,
}

impl Instance {
    /// The time bound starts anew with each call.
    fn call(&mut self) -> (&mut Store<Held>, &Exports) {
        self.store.set_epoch_deadline(self.ticks);
        (&mut self.store, &self.exports)
    }

    /// A block in this instance's memory.
    fn block(&mut self, block: &[u8]) -> Result<ResourceAny, EngineError> {
        let (store, exports) = self.call();
        let data = exports.ehi_exporter_data();
        let handle = data.block().call_constructor(&mut *store).map_err(stopped)?;
        for part in block.chunks(BLOCK_PART_BYTES) {
            data.block().call_push(&mut *store, handle, part).map_err(stopped)?;
        }
        Ok(handle)
    }

    /// The endpoint of this instance, made at first use: a writer needs none.
    fn endpoint(&mut self) -> Result<ResourceAny, EngineError> {
        if let Some(endpoint) = self.endpoint {
            return Ok(endpoint);
        }
        let config = Arc::clone(&self.config);
        let (store, exports) = self.call();
        let control = exports.ehi_exporter_control();
        let endpoint = control.endpoint().call_open(store, &config).map_err(stopped)?.map_err(EngineError::Refused)?;
        self.endpoint = Some(endpoint);
        Ok(endpoint)
    }
}

impl Engine for Instance {
    fn route(&mut self, head: &RequestHead, body: &[u8], principal: &Principal) -> Result<Routed, EngineError> {
        let endpoint = self.endpoint()?;
        let (store, exports) = self.call();
        let control = exports.ehi_exporter_control();
        let (request, principal) = (convert::from_request(head, body), convert::from_principal(principal));
        convert::routed(control.endpoint().call_route(store, endpoint, &request, &principal).map_err(stopped)?)
    }

    fn decide(
        &mut self,
        kick_off: &KickOff,
        principal: &Principal,
        facts: &Facts,
        entropy: [u8; 16],
        now: i64,
    ) -> Result<Decided, EngineError> {
        let endpoint = self.endpoint()?;
        let (store, exports) = self.call();
        let control = exports.ehi_exporter_control();
        let (kick_off, principal, facts) =
            (json(kick_off)?, convert::from_principal(principal), convert::from_facts(facts));
        let decided = control.endpoint().call_decide(store, endpoint, &kick_off, &principal, &facts, &entropy, now);
        convert::decided(decided.map_err(stopped)?)
    }

    fn look_up(
        &mut self,
        look_up: &LookUp,
        principal: &Principal,
        found: Found,
        now: i64,
    ) -> Result<Response, EngineError> {
        let endpoint = self.endpoint()?;
        let (store, exports) = self.call();
        let control = exports.ehi_exporter_control();
        let (look_up, principal, found) =
            (json(look_up)?, convert::from_principal(principal), convert::from_found(&found));
        let answer = control.endpoint().call_look_up(store, endpoint, &look_up, &principal, &found, now);
        convert::response(answer.map_err(stopped)?.map_err(EngineError::Refused)?)
    }

    fn not_found(&mut self) -> Result<Response, EngineError> {
        let endpoint = self.endpoint()?;
        let (store, exports) = self.call();
        let control = exports.ehi_exporter_control();
        convert::response(control.endpoint().call_not_found(store, endpoint).map_err(stopped)?)
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
        let endpoint = self.endpoint()?;
        let (store, exports) = self.call();
        let control = exports.ehi_exporter_control();
        let (request, principal) = (convert::from_request(head, body), convert::from_principal(principal));
        let account = wit::types::PollAccount { next_allowed: account.next_allowed, strikes: account.strikes };
        let answered =
            control.endpoint().call_handle_request(store, endpoint, record, account, &request, &principal, now);
        convert::answered(answered.map_err(stopped)?)
    }

    fn serve_file(&mut self, record: &str, file: &OutputFile, head: &RequestHead) -> Result<Response, EngineError> {
        let (store, exports) = self.call();
        let control = exports.ehi_exporter_control();
        let (file, request) = (convert::from_file(file), convert::from_request(head, &[]));
        let served = control.call_serve_file(store, record, &file, &request).map_err(stopped)?;
        convert::response(served.map_err(EngineError::Refused)?)
    }

    fn handle_timeout(&mut self, record: &str, now: i64) -> Result<Option<StoredJob>, EngineError> {
        let (store, exports) = self.call();
        let job = exports.ehi_exporter_control().call_handle_timeout(store, record, now).map_err(stopped)?;
        Ok(job.map_err(EngineError::Refused)?.map(convert::stored))
    }

    fn wants(&mut self, record: &str, holder: &str, now: i64) -> Result<Wants, EngineError> {
        let (store, exports) = self.call();
        let wants = exports.ehi_exporter_control().call_job_wants(store, record, holder, now).map_err(stopped)?;
        convert::wants(wants.map_err(EngineError::Refused)?)
    }

    fn apply(&mut self, record: &str, command: &Command, now: i64) -> Result<Applied, EngineError> {
        let (store, exports) = self.call();
        let command = convert::from_command(command)?;
        let applied = exports.ehi_exporter_control().call_apply(store, record, &command, now).map_err(stopped)?;
        convert::applied(applied.map_err(EngineError::Refused)?)
    }

    fn plan(&mut self, record: &str) -> Result<ExportPlan, EngineError> {
        let (store, exports) = self.call();
        let plan = exports.ehi_exporter_control().call_plan(store, record).map_err(stopped)?;
        from_json(&plan.map_err(EngineError::Refused)?)
    }

    fn manifest_head(&mut self, record: &str) -> Result<ManifestHead, EngineError> {
        let (store, exports) = self.call();
        let head = exports.ehi_exporter_control().call_manifest_head(store, record).map_err(stopped)?;
        from_json(&head.map_err(EngineError::Refused)?)
    }

    fn manifest<'e>(&'e mut self, head: &ManifestHead) -> Result<Box<dyn ManifestSession + 'e>, EngineError> {
        let head = json(head)?;
        let (store, exports) = self.call();
        let opened = exports.ehi_exporter_control().manifest_writer().call_open(store, &head).map_err(stopped)?;
        let handle = opened.map_err(EngineError::Refused)?;
        Ok(Box::new(Manifest { instance: self, handle }))
    }

    fn population<'e>(&'e mut self) -> Result<Box<dyn PopulationSession + 'e>, EngineError> {
        let (store, exports) = self.call();
        let handle = exports.ehi_exporter_data().population_builder().call_constructor(store).map_err(stopped)?;
        Ok(Box::new(PopulationBuilder { instance: self, handle }))
    }

    fn sets_wanted(
        &mut self,
        plan: &ExportPlan,
        pass: Pass,
    ) -> Result<Vec<(SetWanted, Option<PartitionTask>)>, EngineError> {
        let (plan, pass) = (json(plan)?, json(&pass)?);
        let (store, exports) = self.call();
        let wanted = exports.ehi_exporter_control().call_sets_wanted(store, &plan, &pass).map_err(stopped)?;
        wanted.map_err(EngineError::Refused)?.into_iter().map(convert::set_wanted).collect()
    }

    fn set<'e>(&'e mut self, set: &SetWanted, texts_max: u64) -> Result<Box<dyn SetSession + 'e>, EngineError> {
        let set = json(set)?;
        let (store, exports) = self.call();
        let opened = exports.ehi_exporter_data().set_builder().call_open(store, &set, texts_max).map_err(stopped)?;
        let handle = opened.map_err(EngineError::Refused)?;
        Ok(Box::new(SetBuilder { instance: self, handle }))
    }

    fn writer<'e>(
        &'e mut self,
        plan: &ExportPlan,
        task: &PartitionTask,
        population: Option<&'e [u8]>,
        limits: &WriterLimits,
    ) -> Result<Box<dyn WriterSession + 'e>, EngineError> {
        let (plan, limits, task) = (json(plan)?, json(limits)?, convert::from_task(task)?);
        let population = population.map(|block| self.block(block)).transpose()?;
        let (store, exports) = self.call();
        let opened = exports.ehi_exporter_data().writer().call_open(store, &plan, &task, population, &limits);
        let handle = opened.map_err(stopped)?.map_err(EngineError::Refused)?;
        Ok(Box::new(Writer { instance: self, handle }))
    }
}

struct Manifest<'e> {
    instance: &'e mut Instance,
    handle: ResourceAny,
}

impl ManifestSession for Manifest<'_> {
    fn row(&mut self, file: &OutputFile) -> Result<Vec<u8>, EngineError> {
        let (store, exports) = self.instance.call();
        let writer = exports.ehi_exporter_control();
        let row = writer.manifest_writer().call_row(store, self.handle, &convert::from_file(file)).map_err(stopped)?;
        row.map_err(EngineError::Refused)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        let (store, exports) = self.instance.call();
        exports.ehi_exporter_control().manifest_writer().call_finish(store, self.handle).map_err(stopped)
    }
}

struct PopulationBuilder<'e> {
    instance: &'e mut Instance,
    handle: ResourceAny,
}

impl PopulationSession for PopulationBuilder<'_> {
    fn push(&mut self, id: &str) -> Result<(), EngineError> {
        let (store, exports) = self.instance.call();
        let builder = exports.ehi_exporter_data();
        let pushed = builder.population_builder().call_push(store, self.handle, id).map_err(stopped)?;
        pushed.map_err(EngineError::Refused)
    }

    fn push_new(&mut self, id: &str) -> Result<(), EngineError> {
        let (store, exports) = self.instance.call();
        let builder = exports.ehi_exporter_data();
        let pushed = builder.population_builder().call_push_new(store, self.handle, id).map_err(stopped)?;
        pushed.map_err(EngineError::Refused)
    }

    fn push_resource(&mut self, resource_type: &str, id: &str, is_new: bool) -> Result<(), EngineError> {
        let (store, exports) = self.instance.call();
        let builder = exports.ehi_exporter_data();
        let pushed = builder.population_builder().call_push_resource(store, self.handle, resource_type, id, is_new);
        pushed.map_err(stopped)?.map_err(EngineError::Refused)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        let (store, exports) = self.instance.call();
        exports.ehi_exporter_data().population_builder().call_finish(store, self.handle).map_err(stopped)
    }
}

struct SetBuilder<'e> {
    instance: &'e mut Instance,
    handle: ResourceAny,
}

impl SetSession for SetBuilder<'_> {
    fn push(&mut self, found: &[u8]) -> Result<(), EngineError> {
        for part in found.chunks(BLOCK_PART_BYTES) {
            let (store, exports) = self.instance.call();
            let builder = exports.ehi_exporter_data();
            let pushed = builder.set_builder().call_push(store, self.handle, part).map_err(stopped)?;
            pushed.map_err(EngineError::Refused)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        let (store, exports) = self.instance.call();
        let finished = exports.ehi_exporter_data().set_builder().call_finish(store, self.handle).map_err(stopped)?;
        finished.map_err(EngineError::Refused)
    }
}

struct Writer<'e> {
    instance: &'e mut Instance,
    handle: ResourceAny,
}

impl WriterSession for Writer<'_> {
    fn add_set(&mut self, set: &SetWanted, block: &[u8]) -> Result<(), EngineError> {
        let set = json(set)?;
        let block = self.instance.block(block)?;
        let (store, exports) = self.instance.call();
        let writer = exports.ehi_exporter_data();
        let added = writer.writer().call_add_set(store, self.handle, &set, block).map_err(stopped)?;
        added.map_err(EngineError::Refused)
    }

    fn write_lines(&mut self, block: &[u8], name: &str, cursor: &[u8], offset: u64) -> Result<Progress, EngineError> {
        let (store, exports) = self.instance.call();
        let writer = exports.ehi_exporter_data();
        let progress = writer.writer().call_write_lines(store, self.handle, block, name, cursor, offset);
        let wit::data::Progress { consumed, drain_first } = progress.map_err(stopped)?.map_err(EngineError::Refused)?;
        // A component that claims more than it was given is broken; the claim would lose input.
        let consumed = usize::try_from(consumed).ok().filter(|consumed| *consumed <= block.len());
        let consumed =
            consumed.ok_or_else(|| EngineError::Stopped("it claims to have taken more than it was given".into()))?;
        Ok(Progress { consumed, drain_first })
    }

    fn supersede_next_line(&mut self) -> Result<(), EngineError> {
        let (store, exports) = self.instance.call();
        let writer = exports.ehi_exporter_data();
        writer.writer().call_supersede_next_line(store, self.handle).map_err(stopped)?.map_err(EngineError::Refused)
    }

    fn begin_block(&mut self, patient: &str) -> Result<(), EngineError> {
        let (store, exports) = self.instance.call();
        let writer = exports.ehi_exporter_data();
        writer.writer().call_begin_block(store, self.handle, patient).map_err(stopped)?.map_err(EngineError::Refused)
    }

    fn finish(&mut self) -> Result<(), EngineError> {
        let (store, exports) = self.instance.call();
        exports.ehi_exporter_data().writer().call_finish(store, self.handle).map_err(stopped)
    }

    fn poll_output(&mut self) -> Result<Option<WriterEvent>, EngineError> {
        let (store, exports) = self.instance.call();
        let output = exports.ehi_exporter_data().writer().call_poll_output(store, self.handle).map_err(stopped)?;
        output.map(convert::event).transpose()
    }

    fn counts(&mut self) -> Result<(u64, u64, u64), EngineError> {
        let (store, exports) = self.instance.call();
        let counts = exports.ehi_exporter_data().writer().call_counts(store, self.handle).map_err(stopped)?;
        Ok((counts.lines, counts.written, counts.passed_over))
    }
}

/// One configuration for compiling ahead and for running: wasmtime refuses code made under another.
fn engine() -> Result<wasmtime::Engine, EngineError> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    wasmtime::Engine::new(&config).map_err(stopped)
}

/// Advances the engine's epoch for as long as the engine lives, so that a call that does not return is stopped.
fn tick(engine: &wasmtime::Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, EngineError> {
    serde_json::to_string(value).map_err(|error| EngineError::Refused(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, EngineError> {
    serde_json::from_str(text).map_err(|_| EngineError::Stopped("it answered with a value that cannot be read".into()))
}

fn stopped(error: wasmtime::Error) -> EngineError {
    // A backtrace of the component or a dump of its bytes may follow.
    let text = format!("{error:#}");
    EngineError::Stopped(text.lines().next().unwrap_or_default().to_owned())
}

/// How often the epoch advances: the granularity of the time bound.
const TICK: Duration = Duration::from_millis(50);

/// How much of a population crosses the boundary in one call.
const BLOCK_PART_BYTES: usize = 1 << 20;

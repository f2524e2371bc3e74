//! An engine in another process: how a face in another language is driven by the same tests as the core.
//!
//! A driver reads calls on standard input and answers each on standard output, until its input ends. Both travel as frames:
//! a count of parts, then each part as a length and bytes, numbers in 32 bits, little endian. The first part of a call is
//! its name, the first of an answer `ok` or `refused`; what follows are arguments, outputs, or the text of the refusal.
//! Values are JSON, other numbers decimal text, truths `0` and `1`.

use std::{
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result, ensure};
use ehi_core::{
    access::Principal,
    http::Response,
    job::{self, PollAccount, Wants},
    kick_off::{Facts, KickOff},
    look_up::{Found, LookUp},
    manifest::{ManifestHead, OutputFile},
    pass::{PartitionTask, Pass, SetWanted},
    plan::ExportPlan,
    values::{Answered, Applied, Decided, RequestHead, Routed, StoredJob, WriterEvent},
    writer::{Progress, WriterLimits},
};
use ehi_host::engine::{Engine, EngineError, Engines, ManifestSession, PopulationSession, SetSession, WriterSession};
use serde::{Serialize, de::DeserializeOwned};

/// Drivers of one face. A driver that an engine no longer needs serves the next: what one engine left behind must not
/// matter to another.
#[derive(Clone)]
pub struct Drivers {
    command: Arc<dyn Fn() -> Command + Send + Sync>,
    idle: Arc<Mutex<Vec<Driver>>>,
}

impl Drivers {
    /// `command` starts a driver.
    pub fn new(command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self { command: Arc::new(command), idle: Arc::default() }
    }

    /// Engines of that configuration of an endpoint, which the driver's face reads itself.
    pub fn engines(&self, config: impl Into<String>) -> PipeEngines {
        PipeEngines { drivers: self.clone(), config: config.into() }
    }
}

/// Engines of one configuration.
pub struct PipeEngines {
    drivers: Drivers,
    config: String,
}

impl Engines for PipeEngines {
    fn instance(&self) -> Result<Box<dyn Engine>, EngineError> {
        let idle = self.drivers.idle.lock().map_err(|_| stopped("another engine panicked"))?.pop();
        let driver = idle.map_or_else(|| Driver::start((self.drivers.command)()), Ok)?;
        let mut engine = PipeEngine { driver: Some(driver), idle: Arc::clone(&self.drivers.idle) };
        engine.call_for::<0>("endpoint_new", &[self.config.as_bytes()])?;
        Ok(Box::new(engine))
    }
}

/// Compiles the driver in C against libehi, which cargo built beside the running test because this crate depends on it.
pub fn compile_c_driver(folder: &Path) -> Result<PathBuf> {
    let test = std::env::current_exe().context("where this test lies")?;
    let mut beside = test.ancestors().skip(1).map(|folder| folder.join("libehi.a"));
    let library = beside.find(|candidate| candidate.exists()).context("libehi.a does not lie beside this test")?;
    let ffi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ffi");
    let driver = folder.join("c-driver");
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler.args(["-std=c11", "-I"]).arg(ffi.join("include")).arg(ffi.join("tests/c/driver.c")).arg(library);
    let status = compiler.args(["-lpthread", "-lm", "-ldl", "-o"]).arg(&driver).status();
    ensure!(status.context("no C compiler: install `cc` or set CC")?.success(), "the driver in C does not compile");
    Ok(driver)
}

/// A driver's process.
struct Driver {
    process: Child,
    /// `None` only while it is dropped.
    calls: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// An engine that lives in a driver.
struct PipeEngine {
    /// `None` once it has failed.
    driver: Option<Driver>,
    idle: Arc<Mutex<Vec<Driver>>>,
}

impl Driver {
    fn start(mut command: Command) -> Result<Self, EngineError> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.map_err(|error| stopped(format!("cannot start the driver: {error}")))?;
        let (calls, answers) = (process.stdin.take(), process.stdout.take());
        let answers = answers.map(BufReader::new).ok_or_else(|| stopped("the driver has no output"))?;
        Ok(Self { process, calls, answers })
    }

    fn exchange(&mut self, name: &str, arguments: &[&[u8]]) -> io::Result<Vec<Vec<u8>>> {
        let calls = self.calls.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        calls.write_all(&frame(name, arguments)?)?;
        calls.flush()?;
        let count = self.number()?;
        (0..count).map(|_| self.part()).collect()
    }

    fn part(&mut self) -> io::Result<Vec<u8>> {
        let length = self.number()?;
        let mut part = vec![0; length as usize];
        self.answers.read_exact(&mut part)?;
        Ok(part)
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut number = [0; 4];
        self.answers.read_exact(&mut number)?;
        Ok(u32::from_le_bytes(number))
    }
}

impl PipeEngine {
    /// A call whose outputs are taken as they are.
    fn call_for<const OUTPUTS: usize>(
        &mut self,
        name: &str,
        arguments: &[&[u8]],
    ) -> Result<[Vec<u8>; OUTPUTS], EngineError> {
        let driver = self.driver.as_mut().ok_or_else(|| stopped("the driver has ended"))?;
        let answer = driver.exchange(name, arguments).map_err(|error| {
            self.driver = None;
            match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                    stopped(format!("the driver ended within `{name}`"))
                }
                _ => stopped(format!("`{name}`: {error}")),
            }
        })?;
        let mut parts = answer.into_iter();
        match parts.next().as_deref() {
            Some(b"ok") => parts.collect::<Vec<_>>().try_into().map_err(|outputs: Vec<_>| {
                stopped(format!("`{name}` answered {} outputs in place of {OUTPUTS}", outputs.len()))
            }),
            Some(b"refused") => {
                let text = parts.next().unwrap_or_default();
                Err(EngineError::Refused(String::from_utf8_lossy(&text).into_owned()))
            }
            _ => Err(stopped(format!("`{name}` answered neither `ok` nor `refused`"))),
        }
    }

    /// A call that answers with one value.
    fn call<T: DeserializeOwned>(&mut self, name: &str, arguments: &[&[u8]]) -> Result<T, EngineError> {
        let [value] = self.call_for(name, arguments)?;
        read(name, &value)
    }
}

impl Drop for PipeEngine {
    fn drop(&mut self) {
        if let (Some(driver), Ok(mut idle)) = (self.driver.take(), self.idle.lock()) {
            idle.push(driver);
        }
    }
}

/// The end of its input ends the driver, which so has the time to free what it holds.
impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.calls.take());
        if let Ok(status) = self.process.wait()
            && !status.success()
            && !std::thread::panicking()
        {
            panic!("the driver ended badly: {status}");
        }
    }
}

impl Engine for PipeEngine {
    fn route(&mut self, head: &RequestHead, body: &[u8], principal: &Principal) -> Result<Routed, EngineError> {
        self.call("route", &[&json(head)?, body, &json(principal)?])
    }

    fn decide(
        &mut self,
        kick_off: &KickOff,
        principal: &Principal,
        facts: &Facts,
        entropy: [u8; 16],
        now: i64,
    ) -> Result<Decided, EngineError> {
        self.call("decide", &[&json(kick_off)?, &json(principal)?, &json(facts)?, &entropy, &decimal(now)])
    }

    fn look_up(
        &mut self,
        look_up: &LookUp,
        principal: &Principal,
        found: Found,
        now: i64,
    ) -> Result<Response, EngineError> {
        self.call("look_up", &[&json(look_up)?, &json(principal)?, &json(&found)?, &decimal(now)])
    }

    fn not_found(&mut self) -> Result<Response, EngineError> {
        self.call("not_found", &[])
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
        let (account, head, principal) = (json(&account)?, json(head)?, json(principal)?);
        self.call("handle_request", &[record.as_bytes(), &account, &head, body, &principal, &decimal(now)])
    }

    fn serve_file(&mut self, record: &str, file: &OutputFile, head: &RequestHead) -> Result<Response, EngineError> {
        self.call("serve_file", &[record.as_bytes(), &json(file)?, &json(head)?])
    }

    fn handle_timeout(&mut self, record: &str, now: i64) -> Result<Option<StoredJob>, EngineError> {
        self.call("handle_timeout", &[record.as_bytes(), &decimal(now)])
    }

    fn wants(&mut self, record: &str, holder: &str, now: i64) -> Result<Wants, EngineError> {
        self.call("wants", &[record.as_bytes(), holder.as_bytes(), &decimal(now)])
    }

    fn apply(&mut self, record: &str, command: &job::Command, now: i64) -> Result<Applied, EngineError> {
        self.call("apply", &[record.as_bytes(), &json(command)?, &decimal(now)])
    }

    fn plan(&mut self, record: &str) -> Result<ExportPlan, EngineError> {
        self.call("plan", &[record.as_bytes()])
    }

    fn manifest_head(&mut self, record: &str) -> Result<ManifestHead, EngineError> {
        self.call("manifest_head", &[record.as_bytes()])
    }

    fn manifest<'e>(&'e mut self, head: &ManifestHead) -> Result<Box<dyn ManifestSession + 'e>, EngineError> {
        let [] = self.call_for("manifest_new", &[&json(head)?])?;
        Ok(Box::new(PipeManifest(self)))
    }

    fn population<'e>(&'e mut self) -> Result<Box<dyn PopulationSession + 'e>, EngineError> {
        let [] = self.call_for("population_new", &[])?;
        Ok(Box::new(PipePopulation(self)))
    }

    fn sets_wanted(
        &mut self,
        plan: &ExportPlan,
        pass: Pass,
    ) -> Result<Vec<(SetWanted, Option<PartitionTask>)>, EngineError> {
        self.call("sets_wanted", &[&json(plan)?, &json(&pass)?])
    }

    fn set<'e>(&'e mut self, set: &SetWanted, texts_max: u64) -> Result<Box<dyn SetSession + 'e>, EngineError> {
        let [] = self.call_for("set_new", &[&json(set)?, &decimal(texts_max)])?;
        Ok(Box::new(PipeSet(self)))
    }

    fn writer<'e>(
        &'e mut self,
        plan: &ExportPlan,
        task: &PartitionTask,
        population: Option<&[u8]>,
        limits: &WriterLimits,
    ) -> Result<Box<dyn WriterSession + 'e>, EngineError> {
        let has_population = truth(population.is_some());
        let (population, plan, limits) = (population.unwrap_or_default(), json(plan)?, json(limits)?);
        let [] = self.call_for("writer_new", &[&plan, &json(task)?, has_population, population, &limits])?;
        Ok(Box::new(PipeWriter(self)))
    }
}

struct PipePopulation<'e>(&'e mut PipeEngine);

impl PopulationSession for PipePopulation<'_> {
    fn push(&mut self, id: &str) -> Result<(), EngineError> {
        let [] = self.0.call_for("population_push", &[id.as_bytes()])?;
        Ok(())
    }

    fn push_new(&mut self, id: &str) -> Result<(), EngineError> {
        let [] = self.0.call_for("population_push_new", &[id.as_bytes()])?;
        Ok(())
    }

    fn push_resource(&mut self, resource_type: &str, id: &str, is_new: bool) -> Result<(), EngineError> {
        let arguments = [resource_type.as_bytes(), id.as_bytes(), truth(is_new)];
        let [] = self.0.call_for("population_push_resource", &arguments)?;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        let [block] = self.0.call_for("population_seal", &[])?;
        Ok(block)
    }
}

struct PipeSet<'e>(&'e mut PipeEngine);

impl SetSession for PipeSet<'_> {
    fn push(&mut self, found: &[u8]) -> Result<(), EngineError> {
        let [] = self.0.call_for("set_push", &[found])?;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        let [block] = self.0.call_for("set_seal", &[])?;
        Ok(block)
    }
}

struct PipeManifest<'e>(&'e mut PipeEngine);

impl ManifestSession for PipeManifest<'_> {
    fn row(&mut self, file: &OutputFile) -> Result<Vec<u8>, EngineError> {
        let [piece] = self.0.call_for("manifest_row", &[&json(file)?])?;
        Ok(piece)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, EngineError> {
        let [piece] = self.0.call_for("manifest_finish", &[])?;
        Ok(piece)
    }
}

struct PipeWriter<'e>(&'e mut PipeEngine);

impl WriterSession for PipeWriter<'_> {
    fn add_set(&mut self, set: &SetWanted, block: &[u8]) -> Result<(), EngineError> {
        let [] = self.0.call_for("writer_add_set", &[&json(set)?, block])?;
        Ok(())
    }

    fn write_lines(&mut self, block: &[u8], name: &str, cursor: &[u8], offset: u64) -> Result<Progress, EngineError> {
        let arguments = [block, name.as_bytes(), cursor, &decimal(offset)];
        let [consumed, drain_first] = self.0.call_for("writer_write", &arguments)?;
        Ok(Progress { consumed: read("writer_write", &consumed)?, drain_first: drain_first == b"1" })
    }

    fn supersede_next_line(&mut self) -> Result<(), EngineError> {
        let [] = self.0.call_for("writer_supersede", &[])?;
        Ok(())
    }

    fn begin_block(&mut self, patient: &str) -> Result<(), EngineError> {
        let [] = self.0.call_for("writer_begin_block", &[patient.as_bytes()])?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), EngineError> {
        let [] = self.0.call_for("writer_finish", &[])?;
        Ok(())
    }

    fn poll_output(&mut self) -> Result<Option<WriterEvent>, EngineError> {
        let [event, lent] = self.0.call_for("writer_poll", &[])?;
        let mut event = read("writer_poll", &event)?;
        if let Some(WriterEvent::Append { bytes, .. } | WriterEvent::Found { bytes }) = &mut event {
            *bytes = lent;
        }
        Ok(event)
    }

    fn counts(&mut self) -> Result<(u64, u64, u64), EngineError> {
        let [lines, written, passed_over] = self.0.call_for("writer_counts", &[])?;
        let number = |digits: &[u8]| read("writer_counts", digits);
        Ok((number(&lines)?, number(&written)?, number(&passed_over)?))
    }
}

fn frame(name: &str, arguments: &[&[u8]]) -> io::Result<Vec<u8>> {
    let number = |number: usize| u32::try_from(number).map(u32::to_le_bytes).map_err(io::Error::other);
    let mut frame = number(1 + arguments.len())?.to_vec();
    for part in [name.as_bytes()].iter().chain(arguments) {
        frame.extend(number(part.len())?);
        frame.extend(*part);
    }
    Ok(frame)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, EngineError> {
    serde_json::to_vec(value).map_err(|error| stopped(error.to_string()))
}

fn read<T: DeserializeOwned>(name: &str, json: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(json).map_err(|error| stopped(format!("`{name}` answered another value: {error}")))
}

fn decimal(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn truth(truth: bool) -> &'static [u8] {
    if truth { b"1" } else { b"0" }
}

fn stopped(problem: impl Into<String>) -> EngineError {
    EngineError::Stopped(problem.into())
}

//! The server: an endpoint, a store in memory, and a host.

use std::collections::{BTreeMap, VecDeque};

use ehi_core::{
    Definitions, Edition, Endpoint, Timestamp,
    access::Principal,
    endpoint::{Auth, Decision, EndpointConfig, Route},
    http::{Body, Request, Response},
    job::{Command, Epoch, Job, JobId, PollAccount, Wants},
    kick_off::Facts,
    manifest::{ManifestWriter, OutputFile},
    pass::PartitionTask,
    plan::ExportPlan,
    sets::{Set, SetBuilder},
    writer::{Output, Source, Writer, WriterLimits},
};

/// The server: an endpoint, a store in memory, and a host that works when time passes.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) jobs: BTreeMap<JobId, Hosted>,
    pub(crate) known_token: String,
    pub(crate) log: Vec<String>,
    /// Of how many commands its work consists each time that it works.
    pub(crate) pace: usize,
    /// After how many commands it cannot go on.
    pub(crate) fails_after: Option<usize>,
    /// What it exports.
    pub(crate) source: String,
}

pub(crate) struct Hosted {
    pub(crate) job: Job,
    account: PollAccount,
    rows: Vec<OutputFile>,
    objects: BTreeMap<String, Vec<u8>>,
    /// The commands that its work still consists of, and how many were given.
    work: Option<VecDeque<Command>>,
    given: usize,
}

impl Hosted {
    fn new(job: Job) -> Self {
        let (account, rows, objects) = (PollAccount::default(), Vec::new(), BTreeMap::new());
        Self { job, account, rows, objects, work: None, given: 0 }
    }
}

impl Server {
    pub(crate) fn new(edition: Edition) -> Self {
        Self::with(EndpointConfig { edition, ..EndpointConfig::new(BASE, Auth::Bearer) })
    }

    pub(crate) fn with(config: EndpointConfig) -> Self {
        let (endpoint, known_token) = (Endpoint::new(config).unwrap(), String::from("token"));
        let (jobs, log, source) = (BTreeMap::new(), Vec::new(), source_lines().join("\n"));
        Self { endpoint, jobs, known_token, log, pace: usize::MAX, fails_after: None, source }
    }

    pub(crate) fn row_count(&self) -> usize {
        self.jobs.values().map(|hosted| hosted.rows.len()).sum()
    }

    pub(crate) fn answer(&mut self, wire: &[u8], now: Timestamp) -> Vec<u8> {
        let end = wire.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&wire[..end]).unwrap().to_owned();
        let mut lines = head.split("\r\n");
        let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
        let target = rest.strip_suffix(" HTTP/1.1").unwrap();
        let headers: Vec<_> = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n, v.as_bytes())).collect();
        let request = Request { method, target, headers: &headers, body: &wire[end + 4..] };
        let (response, body) = self.respond(&request, now);
        self.log.push(format!("{method} {target} -> {}", response.status));
        let mut out = format!("HTTP/1.1 {} X\r\n", response.status);
        response.headers.iter().for_each(|(name, value)| out.push_str(&format!("{name}: {value}\r\n")));
        [out.as_bytes(), b"\r\n", &body].concat()
    }

    fn respond(&mut self, request: &Request<'_>, now: Timestamp) -> (Response, Vec<u8>) {
        let principal = self.principal(request, now);
        let route = self.endpoint.route(request, &principal);
        match route {
            Route::Respond(response) => plain(response),
            // This server has nothing but its exports.
            Route::LookUp(_) => plain(self.endpoint.not_found()),
            Route::KickOff(kick_off) => {
                let facts = Facts { active_jobs: Some(0), ..Facts::default() };
                let id = JobId::from_entropy([u8::try_from(self.jobs.len()).unwrap() + 1; 16]);
                match self.endpoint.decide(*kick_off, &principal, &facts, id, now) {
                    Decision::Accepted(job, response) => {
                        self.jobs.insert(id, Hosted::new(*job));
                        plain(response)
                    }
                    Decision::Refused(response) => plain(response),
                }
            }
            Route::Job(id) => {
                let Some(hosted) = self.jobs.get_mut(&id) else { return plain(self.endpoint.not_found()) };
                let Hosted { job, account, rows, objects, .. } = hosted;
                let (response, _) = job.handle_request(&self.endpoint, request, &principal, account, now);
                match &response.body {
                    Body::Manifest(head) => {
                        let mut writer = ManifestWriter::new((**head).clone());
                        let mut out = Vec::new();
                        rows.sort_by_key(|row| row.section);
                        let listed = rows.iter().filter(|row| head.takes(row));
                        listed.for_each(|row| writer.row(row, &mut out).unwrap());
                        writer.finish(&mut out);
                        (response, out)
                    }
                    Body::Row(name) => {
                        let Some(row) = rows.iter().find(|row| row.name == *name) else {
                            return plain(self.endpoint.not_found());
                        };
                        let response = job.serve_file(row, request);
                        match &response.body {
                            Body::Object { key, range, .. } => {
                                let object = &objects[key];
                                let (from, to) = range.unwrap_or((0, object.len() as u64));
                                let bytes =
                                    object[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_vec();
                                (response, bytes)
                            }
                            _ => plain(response),
                        }
                    }
                    Body::Empty | Body::Text(_) | Body::Object { .. } => plain(response),
                }
            }
        }
    }

    fn principal(&self, request: &Request<'_>, now: Timestamp) -> Principal {
        let token = request.header("authorization").next().and_then(|value| value.strip_prefix("Bearer "));
        match token {
            Some(token) if token == self.known_token => Principal::Known {
                client: "c1".into(),
                user: None,
                patient: None,
                scopes: vec!["system/*.read".into()],
                roles: Vec::new(),
                expires: now.plus_seconds(60),
            },
            _ => Principal::Anonymous,
        }
    }

    /// Goes on with every job that is unfinished.
    pub(crate) fn work(&mut self, now: Timestamp) {
        for hosted in self.jobs.values_mut().filter(|hosted| hosted.job.state().is_unfinished()) {
            let mut work = hosted.work.take().unwrap_or_else(|| hosted.begin(&self.source, now));
            for command in work.drain(..self.pace.min(work.len())) {
                let is_over = self.fails_after == Some(hosted.given);
                let fail = || Command::Fail { epoch: Epoch(1), diagnostics: "the data could not be read".into() };
                hosted.given += 1;
                let (_, effects) = hosted.job.apply(if is_over { fail() } else { command }, now).unwrap();
                hosted.rows.extend(effects.rows);
                if is_over {
                    break;
                }
            }
            hosted.work = Some(work);
        }
    }
}

impl Hosted {
    /// Begins the job, stores all its files, and says what is to be told to the job from then on.
    fn begin(&mut self, source: &str, now: Timestamp) -> VecDeque<Command> {
        let begin = Command::Begin {
            holder: "host".into(),
            until: now.plus_seconds(60),
            transaction_time: now,
            snapshot: "1".into(),
            partitions: 1,
        };
        let (epoch, _) = self.job.apply(begin, now).unwrap();
        let Wants::Run { partitions, .. } = self.job.wants("host", now) else { panic!("it is to be run") };
        let mut commands = VecDeque::new();
        for task in partitions {
            self.run(epoch, &task, source, &mut commands);
            commands.push_back(Command::FinishPartition { epoch, partition: task.partition });
        }
        commands
    }

    /// Runs a pass and stores its files.
    fn run(&mut self, epoch: Epoch, task: &PartitionTask, source: &str, commands: &mut VecDeque<Command>) {
        let plan = self.job.plan().clone();
        let mut open = BTreeMap::new();
        run_pass(&plan, task, source, &mut |output| match output {
            Output::Found { .. } => panic!("no task of a job finds something"),
            Output::Open { file, section, resource_type, name, .. } => {
                open.insert(file, (section, resource_type.cloned(), name.to_owned(), Vec::new()));
            }
            Output::Append { file, bytes } => open.get_mut(&file).unwrap().3.extend_from_slice(bytes),
            Output::Close { file, count, bytes, gzip_bytes, sha256, continues_in_file, checkpoint } => {
                let (section, resource_type, name, object) = open.remove(&file).unwrap();
                let (key, sha256) = (name.clone(), sha256.map(str::to_owned));
                let continues_in_file = continues_in_file.map(str::to_owned);
                self.objects.insert(key.clone(), object);
                let content_type = None;
                let row = OutputFile {
                    section,
                    resource_type,
                    name,
                    key,
                    content_type,
                    count,
                    bytes,
                    gzip_bytes,
                    sha256,
                    continues_in_file,
                    page: None,
                };
                let (partition, checkpoint) = (task.partition, checkpoint.clone());
                commands.push_back(Command::Publish { epoch, partition, rows: vec![row], checkpoint });
            }
        });
    }
}

/// Writes what a pass writes, once the sets that it needs are there.
fn run_pass(plan: &ExportPlan, task: &PartitionTask, source: &str, see: &mut dyn FnMut(Output<'_>)) {
    let limits = WriterLimits { shard_resources_max: 40, ..WriterLimits::default() };
    let mut writer = Writer::new(plan, task, None, limits).unwrap();
    let sets = plan.sets(task.pass).into_iter().map(|wanted| {
        let mut builder = SetBuilder::new(wanted.clone(), 1_000);
        run_pass(plan, &wanted.task().unwrap(), source, &mut |output| {
            if let Output::Found { bytes } = output {
                builder.push(bytes).unwrap();
            }
        });
        (wanted, builder.seal().unwrap())
    });
    let sets: Vec<_> = sets.collect();
    for (wanted, block) in &sets {
        writer.add_set(Set::load(wanted.clone(), block).unwrap()).unwrap();
    }
    writer.write_lines(source.as_bytes(), Source { name: "all", cursor: b"", offset: 0 }).unwrap();
    writer.finish();
    while let Some(output) = writer.poll_output() {
        see(output);
    }
}

fn plain(response: Response) -> (Response, Vec<u8>) {
    let body = match &response.body {
        Body::Text(text) => text.clone().into_bytes(),
        _ => Vec::new(),
    };
    (response, body)
}

/// Patients and observations, sorted.
pub(crate) fn source_lines() -> Vec<String> {
    assert!(Definitions::R4.resource_type("Observation").is_some());
    let line = |n: usize| match n % 4 {
        0 => format!(r#"{{"resourceType":"Patient","id":"p{n}","name":[{{"family":"Müller 𝄞"}}]}}"#),
        1 => format!(r#"{{"resourceType":"Observation","id":"o{n}","status":"preliminary"}}"#),
        _ => format!(r#"{{"resourceType":"Observation","id":"o{n}","status":"final"}}"#),
    };
    let mut lines: Vec<_> = (0..LINES).map(line).collect();
    lines.sort();
    lines
}

pub(crate) const LINES: usize = 400;
pub(crate) const ORIGIN: &str = "https://ehr.example";
pub(crate) const BASE: &str = "https://ehr.example/fhir";

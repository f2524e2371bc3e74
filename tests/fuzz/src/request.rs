//! Requests to an endpoint, and to the job that it may have.
//!
//! The first byte says the deployment: `0` to `3` without authorisation, by edition, `4` to `7` with it; the letters `p` to
//! `w` the same, asked by a patient. The second byte says where the job stands: `q` queued, `r` running, `c` complete, `f`
//! failed, any other byte deleted. Then come request line, header fields, an empty line and the body; lines end in a line
//! feed.

use ehi_core::{
    Edition, Endpoint, Sensitive,
    access::Principal,
    endpoint::{Decision, Route},
    http::{Body, Request, Response},
    job::{Command, Job, PollAccount},
    kick_off::KickOff,
    look_up::{Found, LookUp},
    manifest::{Manifest, ManifestBounds, ManifestWriter, OutputFile, Section},
    pass::PartitionTask,
    population::Population,
    writer::{Checkpoint, Resume, Writer, WriterLimits},
};

use crate::{
    deployment::{at, bearer, begin, decide, endpoint, id, population},
    input::{Input, MARK, edition, is_free_of_mark},
    parameters::mark,
    response::check,
};

/// Whatever is asked, the answer can be sent; what is refused is refused in words that hold nothing of the body or the
/// token; what is accepted can be stored, polled, run and deleted.
pub fn request(data: &[u8]) {
    let mut input = Input::new(data);
    let (options, stage) = (input.byte(), input.byte());
    let Some(parsed) = Parsed::of(input.rest()).filter(|_| is_free_of_mark(data)) else { return };
    let is_open = options & 4 == 0;
    let endpoint = endpoint(edition(options), is_open);
    let principal = match options {
        b'8'..=b'?' => Principal::Anonymous,
        _ if is_open => Principal::Open,
        _ => bearer(options & 64 != 0),
    };
    let token = format!("Bearer {MARK}");
    let headers: Vec<_> = parsed.headers.into_iter().chain([("authorization", token.as_bytes())]).collect();
    let body = mark(parsed.body);
    let request = Request { method: parsed.method, target: parsed.target, headers: &headers, body: &body };
    match endpoint.route(&request, &principal) {
        Route::Respond(response) => {
            check(&response);
            assert!(response.status == 200 || response.status >= 400, "{}", response.status);
        }
        Route::KickOff(kick_off) => {
            assert!(endpoint.needs(&kick_off, &principal).iter().all(|need| !format!("{need:?}").contains(MARK)));
            decided(endpoint, *kick_off, &principal);
        }
        Route::Job(asked) if asked == id() => {
            let mut job = job(endpoint, stage);
            let (response, effects) =
                job.handle_request(endpoint, &request, &principal, &mut PollAccount::default(), at(50));
            assert_eq!(effects.rows, []);
            answered(&job, &response, &request);
        }
        Route::Job(_) => check(&endpoint.not_found()),
        Route::LookUp(look_up) => {
            let found = Found { resources: vec![Sensitive::new(resource(&look_up))], ..Found::default() };
            let response = endpoint.look_up(&look_up, &principal, found, at(2));
            assert!([200, 401, 404].contains(&response.status), "{}", response.status);
        }
    }
}

/// One of the type that is looked up.
fn resource(look_up: &LookUp) -> String {
    format!(r#"{{"resourceType":"{}","id":"p1"}}"#, look_up.resource_type)
}

/// Decides on a kick-off and follows what was accepted.
pub(crate) fn decided(endpoint: &Endpoint, kick_off: KickOff, principal: &Principal) {
    let stored = serde_json::to_string(&kick_off).expect("a kick-off can be written");
    assert_eq!(serde_json::from_str::<KickOff>(&stored).expect("and read"), kick_off);
    match decide(endpoint, kick_off, principal) {
        Decision::Refused(response) => {
            check(&response);
            assert!(response.status >= 400);
        }
        Decision::Accepted(mut job, response) => {
            check(&response);
            let location = format!("{}/bulk/{}", endpoint.config().base_url, job.id());
            assert_eq!((response.status, response.header("content-location")), (202, Some(&*location)));
            assert_eq!(Job::decode(&job.encode()).as_ref(), Ok(&*job));
            if begin(&mut job).is_some() {
                can_run(&job);
            }
            follow(endpoint, &mut job, principal);
        }
    }
}

/// Every pass has a writer, and so has every pass that finds what one of them must know.
fn can_run(job: &Job) {
    let plan = job.plan();
    let block = population(&plan.level);
    let finding = plan.passes().into_iter().flat_map(|pass| plan.sets(pass));
    let finding = finding.filter_map(|set| set.task()).map(|task| task.pass);
    for pass in plan.passes().into_iter().chain(finding) {
        let population = block.as_ref().map(|block| Population::load(block).expect("it was sealed"));
        let task = PartitionTask { pass, ..PartitionTask::default() };
        Writer::new(plan, &task, population, WriterLimits::default()).expect("what is accepted can be run");
    }
}

/// Polls and deletes it.
fn follow(endpoint: &Endpoint, job: &mut Job, principal: &Principal) {
    let target = format!("/fhir/bulk/{}", job.id());
    let mut account = PollAccount::default();
    for (method, status) in [("GET", 202), ("DELETE", 202), ("GET", 404)] {
        let request = Request { method, target: &target, headers: &[], body: b"" };
        let (response, _) = job.handle_request(endpoint, &request, principal, &mut account, at(2));
        check(&response);
        let is_expected = response.status == status || response.header("x-export-status").is_some();
        assert!(is_expected, "{method}: {}", response.status);
        assert_eq!(Job::decode(&job.encode()).as_ref(), Ok(&*job));
    }
}

/// Checks what a job answered, as far as its files.
fn answered(job: &Job, response: &Response, request: &Request<'_>) {
    check(response);
    assert_eq!(Job::decode(&job.encode()).as_ref(), Ok(job));
    match &response.body {
        Body::Manifest(head) => {
            let ballot = head.edition == Edition::Stu4Ballot;
            let mut writer = ManifestWriter::new((**head).clone());
            let mut out = Vec::new();
            writer.row(&row(), &mut out).expect("its section is the first");
            writer.finish(&mut out);
            let bounds = ManifestBounds { bytes_max: 1 << 20, rows_max: 1 };
            let manifest = Manifest::read(&out, ballot, bounds).expect("what we write we read");
            assert_eq!((manifest.files.len(), manifest.oddities.len()), (1, 0), "{:?}", manifest.oddities);
        }
        Body::Row(_) => {
            let served = job.serve_file(&row(), request);
            check(&served);
            if let Body::Object { range: Some((from, to)), .. } = served.body {
                assert!(from < to && to <= row().bytes);
            }
        }
        Body::Empty | Body::Text(_) | Body::Object { .. } => {}
    }
}

/// A job of everything, at that stage, with a manifest in pages where the edition has them.
fn job(endpoint: &Endpoint, stage: u8) -> Job {
    let is_open = endpoint.config().auth == ehi_core::endpoint::Auth::None;
    let principal = if is_open { Principal::Open } else { bearer(false) };
    let headers: &[(&str, &[u8])] = &[("content-type", b"application/fhir+json")];
    let body: &[u8] = if endpoint.config().edition < Edition::Stu3 { b"" } else { IN_PAGES };
    let request = Request { method: "POST", target: "/fhir/$export", headers, body };
    let Route::KickOff(kick_off) = endpoint.route(&request, &principal) else { panic!("it is a kick-off") };
    let Decision::Accepted(mut job, _) = decide(endpoint, *kick_off, &principal) else { panic!("it is accepted") };
    if stage == b'q' {
        return *job;
    }
    let epoch = begin(&mut job).expect("it waits for nobody");
    if matches!(stage, b'r' | b'c') {
        let checkpoint = Checkpoint { resume: Resume::Start, kinds: Vec::new() };
        let publish = Command::Publish { epoch, partition: 0, rows: vec![row()], checkpoint };
        job.apply(publish, at(2)).expect("it runs");
    }
    match stage {
        b'r' => {}
        b'c' => {
            for partition in 0..u32::try_from(job.plan().passes().len()).expect("there are few") {
                job.apply(Command::FinishPartition { epoch, partition }, at(3)).expect("it runs");
            }
        }
        b'f' => {
            job.apply(Command::Fail { epoch, diagnostics: "the disk is full".into() }, at(3)).expect("it runs");
        }
        _ => {
            let target = format!("/fhir/bulk/{}", id());
            let delete = Request { method: "DELETE", target: &target, headers: &[], body: b"" };
            job.handle_request(endpoint, &delete, &principal, &mut PollAccount::default(), at(3));
        }
    }
    *job
}

/// The one file of a job.
fn row() -> OutputFile {
    OutputFile {
        section: Section::Output,
        resource_type: ehi_core::Definitions::R4.resource_type("Patient"),
        name: "Patient-0001.ndjson".into(),
        key: "7/Patient-0001.ndjson".into(),
        content_type: None,
        count: 2,
        bytes: 100,
        gzip_bytes: None,
        sha256: Some("0".repeat(64)),
        continues_in_file: None,
        page: Some(1),
    }
}

const IN_PAGES: &[u8] =
    br#"{"resourceType":"Parameters","parameter":[{"name":"allowPartialManifests","valueBoolean":true}]}"#;

/// A request as text.
struct Parsed<'d> {
    method: &'d str,
    target: &'d str,
    headers: Vec<(&'d str, &'d [u8])>,
    body: &'d [u8],
}

impl<'d> Parsed<'d> {
    /// `None` if it is not even text up to the values of its headers.
    fn of(bytes: &'d [u8]) -> Option<Self> {
        let (head, body) = match memchr::memmem::find(bytes, b"\n\n") {
            Some(end) => (&bytes[..end], &bytes[end + 2..]),
            None => (bytes, &[] as &[u8]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
        let field = |line: &'d [u8]| {
            let colon = memchr::memchr(b':', line)?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, &line[colon + 1..]))
        };
        Some(Self { method, target, headers: lines.map(field).collect::<Option<_>>()?, body })
    }
}

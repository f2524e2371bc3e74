//! `ehi serve`, really running: the program that the build made, on a port of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    http::{self, Reply},
    requirement::Via,
};

/// A running server. It is killed when it is dropped.
pub struct Server {
    child: Child,
    /// `host:port`
    pub address: String,
    /// `http://host:port/fhir`
    pub base: String,
    state: PathBuf,
    /// The access token that requests carry.
    token: Mutex<Option<String>>,
    _own_state: Option<TempDir>,
}

impl Server {
    /// Starts one on that data with a state folder of its own.
    pub fn start(data: &Path, arguments: &[&str]) -> Self {
        let state = TempDir::new().expect("a temporary folder");
        let mut server = Self::start_in(data, state.path(), arguments);
        server._own_state = Some(state);
        server
    }

    /// Starts one with that state folder.
    pub fn start_in(data: &Path, state: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(ehi());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .arg("--state")
            .arg(state)
            .args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(log(state)).spawn().expect("ehi starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("ehi speaks");
        let Some(base) = line.trim().strip_prefix("serving ") else {
            let log = std::fs::read_to_string(state.join("log")).unwrap_or_default();
            panic!("ehi serve did not start: {line}{log}");
        };
        let address = base.trim_start_matches("http://").trim_end_matches("/fhir").to_owned();
        let token = Mutex::new(None);
        Self { child, address, base: base.to_owned(), state: state.to_owned(), token, _own_state: None }
    }

    /// Starts one that knows those tokens, with those settings if there are any.
    pub fn start_with_tokens(data: &Path, tokens: &Path, settings: Option<&Path>, arguments: &[&str]) -> Self {
        let mut all = vec!["--auth", "tokens", "--tokens", tokens.to_str().expect("UTF-8")];
        if let Some(settings) = settings {
            all.extend(["--config", settings.to_str().expect("UTF-8")]);
        }
        all.extend(arguments);
        Self::start(data, &all)
    }

    /// Requests carry that access token from now on.
    pub fn bear(&self, token: &str) {
        *self.token.lock().expect("no test panics with it") = Some(token.to_owned());
    }

    /// Requests carry no access token from now on.
    pub fn bear_none(&self) {
        *self.token.lock().expect("no test panics with it") = None;
    }

    /// Sends a request; `target` is below `/fhir` unless it starts with a slash.
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/fhir/{target}") };
        let token = self.token.lock().expect("no test panics with it").clone();
        let authorization = token.map(|token| format!("Bearer {token}"));
        let own = authorization.as_deref().map(|value| ("Authorization", value));
        let headers: Vec<_> = headers.iter().copied().chain(own).collect();
        http::send(&self.address, method, &target, &headers, body.as_bytes()).expect("an answer")
    }

    /// GET with what a Bulk Data client sends.
    pub fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &KICK_OFF_HEADERS, "")
    }

    /// GET with `Prefer: handling=lenient`.
    pub fn get_leniently(&self, target: &str) -> Reply {
        self.send("GET", target, &[KICK_OFF_HEADERS[0], LENIENT], "")
    }

    /// DELETE.
    pub fn delete(&self, target: &str) -> Reply {
        self.send("DELETE", target, &[], "")
    }

    /// POST of a Parameters resource with these parameters.
    pub fn post(&self, target: &str, parameters: &Value) -> Reply {
        self.post_with(target, KICK_OFF_HEADERS[1], parameters)
    }

    /// POST of a Parameters resource with `Prefer: handling=lenient`.
    pub fn post_leniently(&self, target: &str, parameters: &Value) -> Reply {
        self.post_with(target, LENIENT, parameters)
    }

    fn post_with(&self, target: &str, prefer: (&str, &str), parameters: &Value) -> Reply {
        let body = serde_json::json!({ "resourceType": "Parameters", "parameter": parameters }).to_string();
        let headers = [KICK_OFF_HEADERS[0], prefer, ("Content-Type", "application/fhir+json")];
        self.send("POST", target, &headers, &body)
    }

    /// The target of an absolute URL, which must be this server's.
    pub fn target_of(&self, url: &str) -> String {
        let target = url.strip_prefix(&format!("http://{}", self.address));
        target.unwrap_or_else(|| panic!("`{url}` is not a URL of this server")).to_owned()
    }

    /// Kicks off, which must be accepted; the target of the polling location.
    pub fn kick_off(&self, target: &str) -> String {
        self.accepted(&self.get(target))
    }

    /// The target of the polling location of a kick-off that must have been accepted.
    pub fn accepted(&self, reply: &Reply) -> String {
        assert_eq!(reply.status, 202, "{}", String::from_utf8_lossy(&reply.body));
        self.target_of(reply.header("content-location").expect("a polling location"))
    }

    /// Polls until the export has ended; the last answer. As a patient client does, no faster than it may.
    pub fn poll(&self, polling_location: &str) -> Reply {
        let started = Instant::now();
        thread::sleep(HEAD_START);
        loop {
            let reply = self.get(polling_location);
            if !matches!(reply.status, 202 | 429) {
                return reply;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "still running after two minutes: {reply:?}");
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Kicks off and polls while files are being written; polling location and that answer. The export must be one that
    /// takes a little while.
    pub fn catch_running(&self, target: &str) -> (String, Reply) {
        for attempt in 0..CATCHES_MAX {
            let location = self.kick_off(target);
            // Too early now and too late then, it hits the moment at some time, on fast machines and on slow ones.
            thread::sleep(Duration::from_millis((30 + attempt * 17) % 120));
            let reply = self.get(&location);
            if reply.header("x-progress").is_some_and(|progress| progress.starts_with("running")) {
                return (location, reply);
            }
            assert_eq!(self.delete(&location).status, 202);
        }
        panic!("no export was seen running");
    }

    /// Kicks off and waits; polling location and manifest.
    pub fn export(&self, target: &str) -> (String, Value) {
        self.finish(&self.get(target))
    }

    /// Waits for a kick-off that must have been accepted; polling location and manifest.
    pub fn finish(&self, accepted: &Reply) -> (String, Value) {
        let location = self.accepted(accepted);
        let reply = self.poll(&location);
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        (location, reply.json())
    }

    /// Kicks off and waits; all exported lines. Nothing may be reported.
    pub fn exported(&self, target: &str) -> Vec<String> {
        let (_, manifest) = self.export(target);
        assert_eq!(manifest["error"], serde_json::json!([]));
        self.lines(&manifest, "output")
    }

    /// All lines of the files of a section of a manifest, which must be as the manifest says.
    pub fn lines(&self, manifest: &Value, section: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (item, reply) in self.files(manifest, section) {
            let text = String::from_utf8(reply.body).expect("UTF-8");
            let of_file: Vec<String> = text.lines().map(str::to_owned).collect();
            assert_eq!(item["count"], of_file.len(), "count of {}", item["url"]);
            lines.extend(of_file);
        }
        lines
    }

    /// The items of a section of a manifest, each with the answer that its URL gives, which must be 200.
    pub fn files(&self, manifest: &Value, section: &str) -> Vec<(Value, Reply)> {
        let items = manifest[section].as_array().expect("an array of files");
        let get = |item: &Value| {
            let reply = self.get(&self.file_target(item));
            assert_eq!(reply.status, 200, "{}", item["url"]);
            (item.clone(), reply)
        };
        items.iter().map(get).collect()
    }

    /// The target of the file of an item of a manifest.
    pub fn file_target(&self, item: &Value) -> String {
        self.target_of(item["url"].as_str().expect("a URL"))
    }

    /// Where its jobs and files are.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.join("log")).unwrap_or_default()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Via for Server {
    fn via(&self) -> &'static str {
        "http-component"
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program `ehi` that lies beside the test programs.
pub fn ehi() -> PathBuf {
    let test = std::env::current_exe().expect("a test program");
    let ehi = test.ancestors().nth(2).expect("target/<profile>/deps").join("ehi");
    assert!(ehi.is_file(), "`{}` is missing: build it, or run `cargo xtask test`", ehi.display());
    ehi
}

/// A component that the build made: `engine` or `engine-marker`.
pub fn component(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test program");
    let component = test.ancestors().nth(3).expect("target").join("engine").join(name).with_extension("wasm");
    assert!(component.is_file(), "`{}` is missing: run `cargo xtask test`", component.display());
    component
}

/// Runs `ehi` with those arguments.
pub fn run_ehi(arguments: &[&str]) -> Output {
    Command::new(ehi()).args(arguments).output().expect("ehi runs")
}

/// Makes sample data: patients and seed.
pub fn sample(patients: u32, seed: u64) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let made = run_ehi(&[
        "sample",
        "--patients",
        &patients.to_string(),
        "--seed",
        &seed.to_string(),
        "--out",
        folder.path().to_str().expect("UTF-8"),
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder
}

/// A data folder of these files.
pub fn data(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn log(state: &Path) -> Stdio {
    std::fs::create_dir_all(state).expect("a state folder");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(state.join("log")).expect("a log");
    Stdio::from(log)
}

/// What a Bulk Data client sends with a kick-off.
pub const KICK_OFF_HEADERS: [(&str, &str); 2] = [("Accept", "application/fhir+json"), ("Prefer", "respond-async")];

/// The same, and what is not supported may be left aside.
pub const LENIENT: (&str, &str) = ("Prefer", "respond-async, handling=lenient");

/// Makes an export of a thousand resources take a while: every file is synced to the disk.
pub const MANY_FILES: [&str; 2] = ["--shard-resources", "8"];

/// How many exports to kick off until one is seen running.
const CATCHES_MAX: u64 = 100;

/// In which most small exports end, so that one poll is enough.
const HEAD_START: Duration = Duration::from_millis(40);

/// A little more than the server's own bound.
pub const POLL_INTERVAL: Duration = Duration::from_millis(220);

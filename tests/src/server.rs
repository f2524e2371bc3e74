//! `ehi serve`, really running: the program that the build made, on a port of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, Reply};

/// A running server. It is killed when it is dropped.
pub struct Server {
    child: Child,
    /// `host:port`
    pub address: String,
    /// `http://host:port/fhir`
    pub base: String,
    state: PathBuf,
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
        Self { child, address, base: base.to_owned(), state: state.to_owned(), _own_state: None }
    }

    /// Sends a request; `target` is below `/fhir` unless it starts with a slash.
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/fhir/{target}") };
        http::send(&self.address, method, &target, headers, body.as_bytes()).expect("an answer")
    }

    /// GET with what a Bulk Data client sends.
    pub fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &KICK_OFF_HEADERS, "")
    }

    /// POST of a Parameters resource with these parameters.
    pub fn post(&self, target: &str, parameters: &Value) -> Reply {
        let body = serde_json::json!({ "resourceType": "Parameters", "parameter": parameters }).to_string();
        let headers = [KICK_OFF_HEADERS[0], KICK_OFF_HEADERS[1], ("Content-Type", "application/fhir+json")];
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
        loop {
            let reply = self.get(polling_location);
            if !matches!(reply.status, 202 | 429) {
                return reply;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "still running after two minutes: {reply:?}");
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Kicks off and waits; polling location and manifest.
    pub fn export(&self, target: &str) -> (String, Value) {
        let location = self.kick_off(target);
        let reply = self.poll(&location);
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        (location, reply.json())
    }

    /// All lines of the files of a section of a manifest, which must be as the manifest says.
    pub fn lines(&self, manifest: &Value, section: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for item in manifest[section].as_array().expect("an array of files") {
            let reply = self.get(&self.target_of(item["url"].as_str().expect("a URL")));
            assert_eq!(reply.status, 200);
            let text = String::from_utf8(reply.body).expect("UTF-8");
            let of_file: Vec<String> = text.lines().map(str::to_owned).collect();
            assert_eq!(item["count"], of_file.len(), "count of {}", item["url"]);
            lines.extend(of_file);
        }
        lines
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

/// A little more than the server's own bound.
const POLL_INTERVAL: Duration = Duration::from_millis(220);

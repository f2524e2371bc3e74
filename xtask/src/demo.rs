//! `demo`: a real export to watch, from sample data to verified files.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{command, component, setup, workspace::Workspace};

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Where the demonstration leaves its files; an earlier demonstration there is replaced
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    out: PathBuf,

    /// How many patients the sample data have
    #[arg(long, value_name = "N", default_value_t = 200)]
    patients: u32,

    /// Which sample data: the same seed makes the same
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
}

impl DemoArgs {
    /// One that takes seconds.
    pub(crate) fn small(out: PathBuf) -> Self {
        Self { out, patients: 30, seed: 42 }
    }
}

pub(crate) fn run(workspace: &Workspace, args: &DemoArgs) -> Result<()> {
    say("building; the first time takes some minutes");
    setup::for_host(workspace)?;
    component::programs(workspace)?;
    let out = workspace.path(&args.out);
    clear(&out)?;
    let data = out.join("data");

    say(&format!("making the records of {} synthetic patients", args.patients));
    let ehi = workspace.target("debug/ehi");
    let ehi = ehi.to_str().context("the path of `ehi` is not UTF-8")?;
    let numbers = [args.patients.to_string(), args.seed.to_string()];
    command::run(
        workspace.program(ehi).args(["sample", "--patients", &numbers[0], "--seed", &numbers[1], "--out"]).arg(&data),
    )?;

    say("serving them: every decision is made by the WebAssembly component inside `ehi serve`");
    let server = Server::start(workspace, ehi, &data, &out.join("state"))?;
    let mut summary = Vec::new();
    for (title, path, folder) in LEVELS {
        say(&format!("{title}: GET {}/{path}", server.base));
        let exported = export(&server, path, &out.join(folder))?;
        summary.push(format!(
            "{title:<14} {:>6} resources in {:>2} files  {}",
            exported.resources, exported.files, folder
        ));
        if folder == "system" {
            compare(&data, &out.join(folder), &exported.polling_location)?;
            println!(
                "every resource of the data came out exactly once, byte for byte but for where attachments lead; \
                 patients' Binaries as documents"
            );
        }
    }
    drop(server);
    say("done: counts, sizes and SHA-256 of all files are as the manifests say");
    summary.iter().for_each(|line| println!("{line}"));
    println!("\nfiles and manifests are in {}", out.display());
    Ok(())
}

/// What is exported: title, kick-off below the FHIR base, folder.
const LEVELS: [(&str, &str, &str); 3] = [
    ("everything", "$export", "system"),
    ("all patients", "Patient/$export", "patients"),
    ("one group", "Group/group-a/$export", "group-a"),
];

struct Exported {
    polling_location: String,
    resources: u64,
    files: usize,
}

/// What we read of a manifest.
#[derive(Deserialize)]
struct Manifest {
    output: Vec<Item>,
    error: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    url: String,
    count: u64,
    extension: Integrity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Integrity {
    file_size: u64,
    sha256: String,
}

/// Kick-off, polling, manifest, files: what any Bulk Data client does.
fn export(server: &Server, path: &str, folder: &Path) -> Result<Exported> {
    let kick_off = server.get(&format!("{}/{path}", server.base))?;
    ensure!(kick_off.status == 202, "the kick-off was answered {}: {}", kick_off.status, kick_off.text());
    let polling_location = kick_off.header("content-location").context("no Content-Location")?.to_owned();
    println!("202 accepted; polling {polling_location}");
    let manifest = poll(server, &polling_location)?;
    fs::create_dir_all(folder)?;
    fs::write(folder.join("manifest.json"), &manifest.body)?;
    let manifest: Manifest = serde_json::from_slice(&manifest.body).context("the manifest cannot be read")?;
    ensure!(manifest.error.is_empty(), "the export reported problems");
    for item in &manifest.output {
        let name = download(server, item, folder)?;
        println!("  {name:<32} {:>6} resources {:>9} bytes", item.count, item.extension.file_size);
    }
    let resources = manifest.output.iter().map(|item| item.count).sum();
    Ok(Exported { polling_location, resources, files: manifest.output.len() })
}

fn poll(server: &Server, polling_location: &str) -> Result<Reply> {
    let started = Instant::now();
    loop {
        let reply = server.get(polling_location)?;
        match reply.status {
            200 => return Ok(reply),
            202 => println!("202 {}", reply.header("x-progress").unwrap_or("in progress")),
            429 => {}
            other => bail!("the status request was answered {other}: {}", reply.text()),
        }
        ensure!(started.elapsed() < Duration::from_secs(300), "the export takes too long");
        thread::sleep(Duration::from_millis(250));
    }
}

/// Fetches one file and holds it against its row.
fn download(server: &Server, item: &Item, folder: &Path) -> Result<String> {
    let reply = server.get(&item.url)?;
    ensure!(reply.status == 200, "{} was answered {}", item.url, reply.status);
    let name = item.url.rsplit('/').next().unwrap_or_default();
    // A name from a URL becomes a path only if it can be nothing else than a file name.
    ensure!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)), "an odd file name: {name}");
    let lines = reply.body.iter().filter(|byte| **byte == b'\n').count();
    ensure!(lines as u64 == item.count, "{name} has {lines} lines and not {}", item.count);
    ensure!(reply.body.len() as u64 == item.extension.file_size, "{name} has another size than the manifest says");
    let digest: String = Sha256::digest(&reply.body).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(digest == item.extension.sha256, "{name} has another SHA-256 than the manifest says");
    fs::write(folder.join(name), &reply.body)?;
    Ok(name.to_owned())
}

/// The same lines, each as often, in whatever files.
fn compare(data: &Path, exported: &Path, polling_location: &str) -> Result<()> {
    let before = lines(data)?;
    let binaries = before.keys().map(|line| Ok((serde_json::from_str::<Head>(line)?, line)));
    let binaries: Vec<(Head, &String)> = binaries.collect::<Result<_>>()?;
    let binaries: BTreeMap<&str, &String> = binaries
        .iter()
        .filter(|(head, _)| head.resource_type == "Binary")
        .map(|(head, line)| (&*head.id, *line))
        .collect();
    let served = format!(r#""url":"{polling_location}/files/attachment-"#);
    let mut after: BTreeMap<String, u64> = BTreeMap::new();
    for (line, count) in lines(exported)? {
        let head: Head = serde_json::from_str(&line)?;
        let binary = head.id.strip_prefix("binary-").filter(|_| head.resource_type == "DocumentReference");
        let stored = match binary.and_then(|id| binaries.get(id)) {
            Some(binary) => (*binary).clone(),
            None => line.replace(&served, r#""url":"Binary/"#),
        };
        *after.entry(stored).or_default() += count;
    }
    ensure!(before == after, "the export differs from the data");
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: String,
    id: String,
}

fn lines(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut lines = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            for line in fs::read_to_string(&path)?.lines() {
                *lines.entry(line.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(lines)
}

/// Only what an earlier demonstration left is removed: a folder of something else is refused.
fn clear(out: &Path) -> Result<()> {
    let ours: Vec<&str> = LEVELS.iter().map(|(.., folder)| *folder).chain(["data", "state"]).collect();
    if out.exists() {
        for entry in fs::read_dir(out).with_context(|| format!("cannot read `{}`", out.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let known = name.to_str().is_some_and(|name| ours.contains(&name));
            ensure!(known, "`{}` holds other things than a demonstration: choose another --out", out.display());
        }
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out).with_context(|| format!("cannot create `{}`", out.display()))
}

fn say(what: &str) {
    println!("\n== {what}");
}

/// `ehi serve`, stopped when it is dropped.
struct Server {
    child: Child,
    base: String,
    agent: ureq::Agent,
}

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Server {
    fn start(workspace: &Workspace, ehi: &str, data: &Path, state: &Path) -> Result<Self> {
        let mut serve = workspace.program(ehi);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).arg("--state").arg(state);
        serve.env("RUST_LOG", "warn").stdout(Stdio::piped());
        let mut child = serve.spawn().context("cannot start `ehi serve`")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let base = line.trim().strip_prefix("serving ").map(str::to_owned);
        // Made first, so that a server that did not come up is stopped too.
        let server = Self { child, base: base.clone().unwrap_or_default(), agent };
        base.context("`ehi serve` did not start")?;
        Ok(server)
    }

    fn get(&self, url: &str) -> Result<Reply> {
        let request = self.agent.get(url).header("Accept", "application/fhir+json").header("Prefer", "respond-async");
        let mut response = request.call().with_context(|| format!("no answer from {url}"))?;
        let field = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = response.headers().iter().map(field).collect();
        let body = response.body_mut().with_config().limit(FILE_BYTES_MAX).read_to_vec()?;
        Ok(Reply { status: response.status().as_u16(), headers, body })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// As the server cuts its files.
const FILE_BYTES_MAX: u64 = 256 << 20;

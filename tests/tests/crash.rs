//! kill -9 at any moment while an export runs: after a restart the files are those of an undisturbed run, what was
//! published is not touched again, and of each type at most one file is read again.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ehi_tests::server::{Server, sample};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn ten_kills() {
    kill_and_compare(0..10);
}

#[test]
fn ten_other_kills() {
    kill_and_compare(10..20);
}

fn kill_and_compare(seeds: std::ops::Range<u64>) {
    let data = mixed();
    let state = TempDir::new().unwrap();
    let server = start(data.path(), state.path());
    let started = Instant::now();
    let (location, manifest) = server.export("$export");
    let duration = started.elapsed();
    let expected = files(&server, &manifest);
    let total: u64 = manifest["output"].as_array().unwrap().iter().map(|item| item["count"].as_u64().unwrap()).sum();
    assert!(expected.len() > 60, "the export is cut into {} files only", expected.len());
    server.send("DELETE", &location, &[], "");
    server.kill();
    for seed in seeds {
        one_kill(seed, data.path(), state.path(), duration, &expected, total);
    }
}

fn one_kill(
    seed: u64,
    data: &Path,
    state: &Path,
    duration: Duration,
    expected: &BTreeMap<String, (u64, String)>,
    total: u64,
) {
    // A moment between the beginning and a little before the usual end; earlier if that was too late.
    let mut delay = duration.mul_f64(fraction(seed) * 0.9);
    let (location, job, record) = loop {
        let server = start(data, state);
        let location = server.kick_off("$export");
        thread::sleep(delay);
        server.kill();
        let job = location.rsplit('/').next().unwrap().to_owned();
        let record = record(state, &job);
        if record["state"] == "running" {
            break (location, job, record);
        }
        delay = if record["state"] == "queued" { delay + Duration::from_millis(20) } else { delay.mul_f64(0.7) };
        Connection::open(state.join("jobs.sqlite")).unwrap().execute("DELETE FROM job WHERE id = ?1", [&job]).unwrap();
    };
    let published = published(state, &job);
    let published_resources: u64 = published.values().map(|file| file.count).sum();
    println!("seed {seed}: killed after {delay:?} with {} files published", published.len());
    assert_eq!(record["files"], published.len(), "the rows are those that the job knows of");
    for (kind, count) in unfinished(state, &job) {
        assert_eq!(count, 1, "{kind}: more than one unfinished file");
    }

    let log_before = fs::read_to_string(state.join("log")).unwrap().len();
    let server = start(data, state);
    let reply = server.poll(&location);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let manifest = reply.json();
    assert_eq!(&files(&server, &manifest), expected, "seed {seed}");
    for (name, before) in &published {
        let after = Stored::look(state, &before.key, before.count);
        assert_eq!(&after, before, "{name} was published before the kill and has changed");
    }
    // What the second run wrote is what was not published, and nothing else.
    let log = server.log().split_at(log_before).1.to_owned();
    // One line a pass; none if the main pass had ended, for the others find nothing in these data.
    let written = log
        .lines()
        .filter(|line| line.contains("partition written"))
        .map(|line| -> u64 { line.split(" written=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap() });
    assert_eq!(written.sum::<u64>(), total - published_resources, "seed {seed}: {log}");
    server.send("DELETE", &location, &[], "");
    // The uploads that the kill cut off are patient data too.
    let started = Instant::now();
    while state.join("files").join(&job).exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "files of a deleted job are still there");
        thread::sleep(Duration::from_millis(20));
    }
    server.kill();
}

fn start(data: &Path, state: &Path) -> Server {
    Server::start_in(data, state, &["--shard-resources", "150"])
}

/// The resources of a sample, all types in one file, in an order that mixes them.
fn mixed() -> TempDir {
    let sample = sample(250, 11);
    let mut lines = Vec::new();
    let mut names: Vec<PathBuf> = fs::read_dir(sample.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for name in names {
        // URLs of attachments hold the address of the job, so that no two exports write the same.
        let text = fs::read_to_string(name).unwrap();
        lines.extend(text.lines().filter(|line| !line.contains("Binary")).map(str::to_owned));
    }
    // Fisher and Yates, with a generator of one line.
    let mut random = 7_u64;
    for i in (1..lines.len()).rev() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lines.swap(i, usize::try_from(random >> 33).unwrap() % (i + 1));
    }
    let folder = TempDir::new().unwrap();
    let (first, second) = lines.split_at(lines.len() / 3);
    fs::write(folder.path().join("a.ndjson"), first.join("\n") + "\n").unwrap();
    fs::write(folder.path().join("b.ndjson"), second.join("\n") + "\n").unwrap();
    folder
}

/// Name to count and digest, as the manifest says and as the bytes are.
fn files(server: &Server, manifest: &Value) -> BTreeMap<String, (u64, String)> {
    assert_eq!(manifest["error"], serde_json::json!([]));
    let item = |item: &Value| {
        let url = item["url"].as_str().unwrap();
        let bytes = server.get(&server.target_of(url)).body;
        let sha256 = item["extension"]["sha256"].as_str().unwrap().to_owned();
        let mut digester = ehi_core::writer::Digester::default();
        digester.update(&bytes);
        assert_eq!(digester.finish(), sha256, "{url}");
        let name = url.rsplit('/').next().unwrap().to_owned();
        (name, (item["count"].as_u64().unwrap(), sha256))
    };
    manifest["output"].as_array().unwrap().iter().map(item).collect()
}

#[derive(Debug, PartialEq)]
struct Stored {
    key: String,
    count: u64,
    inode: u64,
    modified: (i64, i64),
}

impl Stored {
    fn look(state: &Path, key: &str, count: u64) -> Self {
        let metadata = fs::metadata(state.join("files").join(key)).unwrap();
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self { key: key.to_owned(), count, inode: metadata.ino(), modified }
    }
}

fn record(state: &Path, job: &str) -> Value {
    let database = Connection::open(state.join("jobs.sqlite")).unwrap();
    let record: String = database.query_row("SELECT record FROM job WHERE id = ?1", [job], |row| row.get(0)).unwrap();
    serde_json::from_str(&record).unwrap()
}

fn published(state: &Path, job: &str) -> BTreeMap<String, Stored> {
    let database = Connection::open(state.join("jobs.sqlite")).unwrap();
    let mut query = database.prepare("SELECT value FROM row WHERE job = ?1").unwrap();
    let rows = query.query_map([job], |row| row.get::<_, String>(0)).unwrap();
    let stored = |row: Result<String, rusqlite::Error>| {
        let row: Value = serde_json::from_str(&row.unwrap()).unwrap();
        let stored = Stored::look(state, row["key"].as_str().unwrap(), row["count"].as_u64().unwrap());
        (row["name"].as_str().unwrap().to_owned(), stored)
    };
    rows.map(stored).collect()
}

/// Uploads that were cut off, by type: staging files, which carry a `#`.
fn unfinished(state: &Path, job: &str) -> BTreeMap<String, usize> {
    let mut unfinished = BTreeMap::new();
    let Ok(entries) = fs::read_dir(state.join("files").join(job)) else { return unfinished };
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some((key, _)) = name.split_once('#') {
            let kind = key.split('-').nth(1).unwrap().to_owned();
            *unfinished.entry(kind).or_default() += 1;
        }
    }
    unfinished
}

/// From 0 to 1, spread evenly over the seeds.
fn fraction(seed: u64) -> f64 {
    f64::from(u32::try_from(seed * 7 % 20).unwrap()) / 20.0
}

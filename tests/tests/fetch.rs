//! `ehi fetch` against `ehi serve` over real sockets, directly and through a proxy that does harm.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use ehi_tests::{
    http::Reply,
    proxy::{Harm, Proxy, Seen},
    records::{folder, names, observation, patient, set, ward},
    requirement,
    server::{Server, ehi, run_ehi},
};
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn every_level_arrives_as_the_server_has_it() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let expected = [
        ("system", &["Patient/p1", "Patient/p2", "Observation/o1", "Observation/o2", "Practitioner/d1"][..]),
        ("patient", &["Patient/p1", "Patient/p2", "Observation/o1", "Observation/o2"]),
        ("group/one", &["Patient/p1", "Observation/o1"]),
        ("patient/p2", &["Patient/p2", "Observation/o2"]),
    ];
    for (level, wanted) in expected {
        for method in [&[][..], &["--post"]] {
            let out = TempDir::new().unwrap();
            let fetched = fetch(&server.base, out.path(), &[&["--level", level, "--keep"], method].concat());
            assert_eq!(fetched.status.code(), Some(0), "{level}: {}", stderr(&fetched));
            let files = files(out.path());
            assert_eq!(files, served(&server, &polling_location(out.path())), "{level}");
            let lines: Vec<_> = files.values().flat_map(|text| text.lines().map(str::to_owned)).collect();
            let mut found = names(&lines);
            // The ward's groups belong to the system and to no patient.
            found.retain(|name| !name.starts_with("Group/"));
            assert_eq!(found, set(wanted), "{level}");
        }
    }
}

#[test]
fn what_has_arrived_is_deleted_on_the_server_and_readable_by_one_user() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let proxy = Proxy::start(&server, |_, _| Harm::None);
    let out = TempDir::new().unwrap();
    let fetched = fetch(&proxy.base, out.path(), &["--type", "Patient", "--since", "2020-01-01T00:00:00Z"]);
    // Resources without lastUpdated are older than any instant: nothing is exported, and that is complete.
    assert_eq!(fetched.status.code(), Some(0), "{}", stderr(&fetched));
    let seen = proxy.seen();
    let kick_off = seen.iter().find(|one| one.target.contains("$export")).unwrap();
    assert_eq!(kick_off.header("accept"), Some("application/fhir+json"));
    assert_eq!(kick_off.header("prefer"), Some("respond-async"));
    assert!(kick_off.target.contains("_type=Patient&") || kick_off.target.ends_with("_type=Patient"), "{kick_off:?}");
    assert!(kick_off.target.contains("_since=2020-01-01T00%3A00%3A00Z"), "{kick_off:?}");
    requirement!("host", "BD-HDR-01", "BD-HDR-03");
    let delete = seen.last().unwrap();
    assert_eq!(delete.method, "DELETE");
    assert_eq!(server.get(&delete.target).status, 404);
    requirement!("host", "BD-DEL-06");
    for entry in fs::read_dir(out.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    let log = log(out.path());
    assert_eq!(log.first().unwrap()["eventId"], "kickoff");
    assert_eq!(log.last().unwrap()["eventId"], "export_complete");
    assert!(log.iter().all(|line| line["exportId"] == log[0]["exportId"]));
}

#[test]
fn harm_that_passes_costs_nothing_but_time() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let proxy = Proxy::start(&server, |seen, reply| match (seen.is_file(), seen.before) {
        (true, 0) if seen.target.contains("Patient") => Harm::Cut(10),
        (true, 0) if seen.target.contains("Observation") => Harm::Close,
        (true, 0) => Harm::Garbage,
        (true, 1) => {
            fail(reply, 500);
            Harm::Late(Duration::from_millis(300))
        }
        (false, 0) if seen.target.contains("$export") => {
            fail(reply, 503);
            reply.headers.push(("retry-after".into(), "1".into()));
            Harm::None
        }
        (false, 0) if seen.method == "GET" && !seen.target.contains("metadata") => {
            fail(reply, 429);
            reply.headers.push(("retry-after".into(), "1".into()));
            Harm::None
        }
        (false, 1) if seen.method == "GET" && !seen.target.contains("$export") => Harm::Cut(20),
        (false, 0) if seen.method == "DELETE" => Harm::Close,
        _ => Harm::None,
    });
    let out = TempDir::new().unwrap();
    let fetched = fetch(&proxy.base, out.path(), &[]);
    assert_eq!(fetched.status.code(), Some(0), "{}", stderr(&fetched));
    let direct = TempDir::new().unwrap();
    assert_eq!(fetch(&server.base, direct.path(), &[]).status.code(), Some(0));
    assert_eq!(files(out.path()), files(direct.path()));
    let errors = log(out.path()).iter().filter(|line| line["eventId"] == "download_error").count();
    assert!(errors >= 6, "two for each of three files at least: {errors}");
    let (seen, polling) = (proxy.seen(), polling_location(out.path()));
    assert_eq!(seen.iter().filter(|one| one.target.contains("$export")).count(), 2);
    requirement!("host", "BD-KRSP-07", "BD-STAT-17");
    let mut polls = seen.iter().filter(|one| one.method == "GET" && one.target == polling);
    assert!(polls.all(|poll| poll.header("accept") == Some("application/json")));
    let mut first = seen.iter().filter(|one| one.is_file() && one.before == 0);
    assert!(first.all(|file| file.header("accept-encoding") == Some("gzip")));
    requirement!("host", "BD-STAT-07", "BD-FILE-09");
}

#[test]
fn files_arrive_the_same_packed_or_not() {
    let data = ward();
    let (plain, packing) = (Server::start(data.path(), &[]), Server::start(data.path(), &["--gzip"]));
    let mut arrived = Vec::new();
    for (server, coding) in [(&plain, None), (&packing, Some("gzip"))] {
        let codings = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&codings);
        let proxy = Proxy::start(server, move |seen, reply| {
            if seen.is_file() {
                let said = reply.headers.iter().find(|(name, _)| name == "content-encoding");
                heard.lock().unwrap().push(said.map(|(_, value)| value.clone()));
            }
            Harm::None
        });
        let out = TempDir::new().unwrap();
        let fetched = fetch(&proxy.base, out.path(), &["--type", "Patient", "--type", "Observation"]);
        assert_eq!(fetched.status.code(), Some(0), "{}", stderr(&fetched));
        let seen = proxy.seen();
        let asked: Vec<_> = seen.iter().filter(|one| one.is_file()).collect();
        assert!(!asked.is_empty() && asked.iter().all(|one| one.header("accept-encoding") == Some("gzip")));
        let codings = codings.lock().unwrap();
        assert!(!codings.is_empty() && codings.iter().all(|said| said.as_deref() == coding), "{codings:?}");
        arrived.push(files(out.path()));
    }
    assert!(arrived[0] == arrived[1], "what arrives depends on how it was packed");
    requirement!("host", "BD-FILE-12");
}

#[test]
fn what_stands_between_may_answer_in_its_own_way() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let proxy = Proxy::start(&server, |seen, reply| {
        if seen.before == 0 && seen.method == "GET" && !seen.target.contains("$export") {
            reply.status = 502;
            reply.headers.retain(|(name, _)| name != "content-type" && name != "content-length");
            reply.headers.push(("content-type".into(), "text/html".into()));
            reply.body = b"<html><h1>Bad Gateway</h1></html>".to_vec();
        }
        Harm::None
    });
    let out = TempDir::new().unwrap();
    let fetched = fetch(&proxy.base, out.path(), &[]);
    assert_eq!(fetched.status.code(), Some(0), "{}", stderr(&fetched));
    requirement!(server, "BD-STAT-15");
}

#[test]
fn what_is_not_as_the_manifest_says_is_found() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    // A count that is too high, a byte that was changed, lines that were left away.
    for harm in ["count", "byte", "lines"] {
        let proxy = Proxy::start(&server, move |seen, reply| {
            if let (Ok(mut manifest), "count") = (serde_json::from_slice::<Value>(&reply.body), harm) {
                if let Some(rows) = manifest["output"].as_array_mut() {
                    rows.iter_mut().for_each(|row| row["count"] = json!(row["count"].as_u64().unwrap() + 1));
                    reply.body = manifest.to_string().into_bytes();
                }
            } else if seen.is_file() && seen.target.contains("Patient") && harm != "count" {
                reply.body = match harm {
                    "byte" => String::from_utf8(reply.body.clone()).unwrap().replace("p1", "p3").into_bytes(),
                    _ => reply.body.split_inclusive(|byte| *byte == b'\n').next().unwrap().to_vec(),
                };
            }
            Harm::None
        });
        let out = TempDir::new().unwrap();
        let fetched = fetch(&proxy.base, out.path(), &["--type", "Patient"]);
        assert_eq!(fetched.status.code(), Some(3), "{harm}: {}", stderr(&fetched));
        assert!(stderr(&fetched).contains("LOST"), "{harm}: {}", stderr(&fetched));
        assert!(proxy.seen().iter().all(|one| one.method != "DELETE"), "{harm}: it stays on the server");
        let files_seen = proxy.seen().iter().filter(|one| one.is_file()).count();
        assert_eq!(files_seen, 2, "{harm}: tried once more");
    }
    requirement!("host", "BD-FILE-17");
}

#[test]
fn a_killed_fetch_goes_on_where_it_was() {
    let lines: Vec<_> = (0..200_000).map(|n| observation(&format!("o{n:06}"), "p1")).collect();
    let data = folder(&[("patients.ndjson", &[patient("p1")]), ("observations.ndjson", &lines)]);
    let server = Server::start(data.path(), &["--shard-resources", "1000000"]);
    let proxy = Proxy::start(&server, |seen, _| {
        let first = seen.is_file() && seen.target.contains("Observation") && seen.before == 0;
        if first { Harm::Stall(18 << 20) } else { Harm::None }
    });
    let out = TempDir::new().unwrap();
    let mut fetching = start(&proxy.base, out.path(), &["--type", "Observation"]);
    wait_until(|| fs::read_to_string(out.path().join(JOURNAL)).is_ok_and(|text| text.contains("\"partial\"")));
    let second = fetch(&proxy.base, out.path(), &["--resume"]);
    assert_eq!(second.status.code(), Some(2), "two at once: {}", stderr(&second));
    fetching.kill().unwrap();
    fetching.wait().unwrap();
    assert!(!out.path().join("Observation.000.ndjson").exists());
    let other = fetch(&proxy.base, out.path(), &["--resume", "--type", "Patient"]);
    assert_eq!(other.status.code(), Some(2), "another export: {}", stderr(&other));
    let kick_offs = |seen: &[Seen]| seen.iter().filter(|one| one.target.contains("$export")).count();
    let again = fetch(&proxy.base, out.path(), &["--resume"]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let seen = proxy.seen();
    assert_eq!(kick_offs(&seen), 1);
    let ranges: Vec<_> = seen.iter().filter(|one| one.is_file()).map(|one| one.header("range")).collect();
    let [None, Some(range)] = ranges.as_slice() else { panic!("{ranges:?}") };
    let from: u64 = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    assert!(from >= 16 << 20, "{range}");
    let text = fs::read_to_string(out.path().join("Observation.000.ndjson")).unwrap();
    let mut fetched: Vec<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(fetched.len(), lines.len());
    fetched.sort();
    assert_eq!(names(&fetched).len(), lines.len());
    let complete = fetch(&proxy.base, out.path(), &["--resume"]);
    assert_eq!(complete.status.code(), Some(0), "what is complete stays so: {}", stderr(&complete));
}

#[test]
fn the_token_goes_to_the_base_and_nowhere_else() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let elsewhere = Proxy::start(&server, |_, _| Harm::None);
    let other = elsewhere.address.clone();
    let proxy = Proxy::start(&server, move |seen, reply| {
        if let Ok(text) = std::str::from_utf8(&reply.body) {
            reply.body = text.replace("\"requiresAccessToken\":false", "\"requiresAccessToken\":true").into_bytes();
        }
        if seen.is_file() {
            *reply = Reply { status: 307, headers: Vec::new(), body: Vec::new() };
            reply.headers.push(("location".into(), format!("http://{other}{}", seen.target)));
        }
        Harm::None
    });
    let (out, secret) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let token = secret.path().join("token");
    fs::write(&token, "secret-token\n").unwrap();
    let fetched = fetch(&proxy.base, out.path(), &["--token-file", token.to_str().unwrap()]);
    assert_eq!(fetched.status.code(), Some(0), "{}", stderr(&fetched));
    let carries = |one: &Seen| one.header("authorization") == Some("Bearer secret-token");
    let (here, there) = (proxy.seen(), elsewhere.seen());
    assert!(here.iter().filter(|one| one.is_file() || one.target.contains("$export")).all(carries), "{here:?}");
    assert!(!there.is_empty() && there.iter().all(|one| one.header("authorization").is_none()), "{there:?}");
    requirement!("host", "BD-FILE-03", "SM-ACC-01", "SM-ACC-06");
    for (place, text) in
        [("log", fs::read_to_string(out.path().join(LOG))), ("journal", fs::read_to_string(out.path().join(JOURNAL)))]
    {
        assert!(!text.unwrap().contains("secret-token"), "{place}");
    }
    assert!(!stderr(&fetched).contains("secret-token"));
}

#[test]
fn a_token_that_is_refused_or_not_there_is_exit_1() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let proxy = Proxy::start(&server, |seen, reply| {
        // Files of this server need none, and its manifest says so.
        if !seen.is_file() && seen.header("authorization") != Some("Bearer right") {
            fail(reply, 401);
        }
        Harm::None
    });
    for (token, code) in [(None, 1), (Some("wrong"), 1), (Some("right"), 0)] {
        let out = TempDir::new().unwrap();
        let mut command = command(&proxy.base, out.path(), &[]);
        command.envs(token.map(|token| ("EHI_TOKEN", token)));
        let fetched = command.output().unwrap();
        assert_eq!(fetched.status.code(), Some(code), "{token:?}: {}", stderr(&fetched));
    }
}

#[test]
fn what_cannot_be_fetched_says_so_by_its_exit_code() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let used = TempDir::new().unwrap();
    fs::write(used.path().join("here"), "").unwrap();
    let used = used.path().to_str().unwrap();
    let fresh = TempDir::new().unwrap();
    let fresh = fresh.path().to_str().unwrap();
    for (arguments, code, text) in [
        (&["fetch", &server.base, "--insecure-http", "--out", used][..], 2, "is not empty"),
        (&["fetch", &server.base, "--out", fresh], 2, "--insecure-http"),
        (&["fetch", &server.base, "--insecure-http", "--out", fresh, "--level", "all"], 2, "--level is one of"),
        (&["fetch", &server.base, "--insecure-http", "--out", fresh, "--type", "Foo"], 2, "--type: "),
        (&["fetch", &server.base, "--insecure-http", "--out", fresh, "--ehi", "p1", "--level", "system"], 2, "--level"),
        (&["fetch", "--out", fresh], 2, "BASE_URL"),
        (&["fetch", "--out", fresh, "--resume"], 2, "no export that was begun"),
        (&["fetch", &server.base, "--insecure-http", "--out", fresh, "--level", "group/unknown"], 1, "kick-off"),
    ] {
        let fetched = run_ehi(arguments);
        assert_eq!(fetched.status.code(), Some(code), "{arguments:?}: {}", stderr(&fetched));
        assert!(stderr(&fetched).contains(text), "{arguments:?}: {}", stderr(&fetched));
    }
    let help = run_ehi(&["fetch", "--help"]);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for part in ["--resume", "--token-file", "--type-filter", "Exit codes:", "\n  ehi fetch "] {
        assert!(text.contains(part), "nothing of {part}: {text}");
    }
}

#[test]
fn a_cancelled_fetch_leaves_nothing_on_the_server() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let proxy = Proxy::start(&server, |seen, _| if seen.is_file() { Harm::Stall(0) } else { Harm::None });
    let out = TempDir::new().unwrap();
    let mut fetching = start(&proxy.base, out.path(), &[]);
    wait_until(|| proxy.seen().iter().any(Seen::is_file));
    fetching.kill().unwrap();
    fetching.wait().unwrap();
    let location = polling_location(out.path());
    let ended = fetch(&proxy.base, out.path(), &["--resume", "--cancel"]);
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    assert_eq!(server.get(&location).status, 404);
    requirement!("host", "BD-DEL-01");
}

fn fetch(base: &str, out: &Path, arguments: &[&str]) -> Output {
    command(base, out, arguments).output().unwrap()
}

fn start(base: &str, out: &Path, arguments: &[&str]) -> Child {
    command(base, out, arguments).stderr(Stdio::null()).spawn().unwrap()
}

fn command(base: &str, out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(ehi());
    command.args(["fetch", base, "--out"]).arg(out).args(arguments).env_remove("EHI_TOKEN");
    if !arguments.contains(&"--resume") {
        command.arg("--insecure-http");
    }
    command
}

/// All output files by name.
fn files(out: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|name| name == "ndjson") && !path.ends_with(LOG));
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The output files of that export as the server has them, under the names that the client gives them.
fn served(server: &Server, location: &str) -> BTreeMap<String, String> {
    let manifest = server.poll(location).json();
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let name = |(item, reply): (Value, Reply)| {
        let resource_type = item["type"].as_str().unwrap().to_owned();
        let number = numbers.entry(resource_type.clone()).or_default();
        *number += 1;
        (format!("{resource_type}.{:03}.ndjson", *number - 1), String::from_utf8(reply.body).unwrap())
    };
    server.files(&manifest, "output").into_iter().map(name).collect()
}

/// The target of the polling location, from the journal.
fn polling_location(out: &Path) -> String {
    let journal = fs::read_to_string(out.join(JOURNAL)).unwrap();
    let heads = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut urls = heads.filter_map(|line| line["head"]["pollingLocation"].as_str().map(str::to_owned));
    let url = urls.next_back().unwrap();
    let (_, rest) = url.split_once("://").unwrap();
    rest[rest.find('/').unwrap()..].to_owned()
}

fn log(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join(LOG)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn fail(reply: &mut Reply, status: u16) {
    *reply = Reply { status, headers: Vec::new(), body: b"<html>busy</html>".to_vec() };
}

fn wait_until(mut come: impl FnMut() -> bool) {
    let started = Instant::now();
    while !come() {
        assert!(started.elapsed() < Duration::from_secs(120), "it did not come within two minutes");
        thread::sleep(Duration::from_millis(20));
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const JOURNAL: &str = "ehi-fetch.journal";
const LOG: &str = "export-log.ndjson";

//! What a polling location answers while the export runs, when it is done, when it failed, and afterwards.

use std::{fs, thread, time::Duration};

use ehi_tests::{
    http::{Reply, date},
    records::{patient, ward},
    requirement,
    server::{KICK_OFF_HEADERS, MANY_FILES, POLL_INTERVAL, Server, data, sample},
    tokens::settings,
};
use serde_json::json;

#[test]
fn in_progress_is_202_and_says_when_to_ask_again() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let (_, reply) = server.catch_running("$export");
    assert_eq!(reply.status, 202);
    let retry_after: u64 = reply.header("retry-after").expect("Retry-After").parse().expect("delta-seconds");
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    // A server that does not know `separate-export-status` says the same to those who ask for it.
    let prefer = ("Prefer", "respond-async, separate-export-status");
    let kick_off = server.send("GET", "$export", &[KICK_OFF_HEADERS[0], prefer], "");
    assert_eq!(kick_off.header("preference-applied"), None);
    let reply = server.send("GET", &server.accepted(&kick_off), &[prefer], "");
    assert_eq!((reply.status, reply.header("x-export-status")), (202, None));
    requirement!(server, "BD-STAT-03", "BD-STAT-09");
}

#[test]
fn progress_is_short_and_without_patient_data() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let location = server.kick_off("$export");
    let mut seen = vec![server.get(&location)];
    seen.push(server.catch_running("$export").1);
    for reply in seen.iter().filter(|reply| reply.status == 202) {
        let progress = reply.header("x-progress").expect("X-Progress");
        assert!(progress.len() < 100 && progress.is_ascii(), "{progress}");
        let words: Vec<_> = progress.split(' ').filter(|word| word.parse::<u64>().is_err()).collect();
        assert!(["queued:", "running:"].contains(&words[0]), "{progress}");
        assert_eq!(words[1..], ["resources", "in", "files"], "{progress}");
    }
    requirement!(server, "BD-STAT-10");
}

#[test]
fn the_optional_headers_of_the_base_pattern_are_well_formed() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let (location, running) = server.catch_running("$export");
    assert!(running.header("x-progress").expect("X-Progress").len() < 100);
    assert!(running.header("retry-after").expect("Retry-After").parse::<u64>().is_ok());
    let complete = server.poll(&location);
    assert!(date(complete.header("expires").expect("Expires")).is_some());
    requirement!(server, "ASY-04");
}

#[test]
fn there_is_no_manifest_before_the_export_is_complete() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let (location, running) = server.catch_running("$export");
    assert_eq!((running.status, running.body.as_slice()), (202, &b""[..]));
    assert_eq!(running.header("content-type"), None);
    let manifest = server.poll(&location).json();
    assert_eq!(manifest.get("link"), None, "there is one manifest only");
    requirement!(server, "BD-PART-06");
}

#[test]
fn who_polls_too_often_is_told_to_wait() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let (location, _) = server.export("$export");
    thread::sleep(POLL_INTERVAL);
    assert_eq!(server.get(&location).status, 200);
    for _ in 0..5 {
        let reply = server.get(&location);
        assert_eq!(reply.status, 429);
        assert_eq!(reply.header("retry-after"), Some("1"), "seconds from now, not since 1970");
        assert_eq!(reply.outcome(), "polled too soon; wait as long as Retry-After says");
        // The job goes on: the code says that asking again helps.
        assert_eq!(reply.json()["issue"][0]["code"], "throttled");
    }
    thread::sleep(POLL_INTERVAL);
    assert_eq!(server.get(&location).status, 200);
    // Files are not polls.
    let (_, manifest) = server.export("$export");
    for _ in 0..3 {
        server.lines(&manifest, "output");
    }
    requirement!(server, "BD-STAT-05", "BD-STAT-16");
}

#[test]
fn a_failed_export_answers_with_an_error() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let reply = fail(&server);
    assert_eq!(reply.status, 500);
    assert_eq!(reply.outcome(), "the data could not be read, or the files not be written");
    assert_eq!(reply.json()["issue"][0]["severity"], "error");
    // It is told again and again, not only once.
    let location = server.accepted(&server.get("$export"));
    let first = server.poll(&location);
    thread::sleep(POLL_INTERVAL);
    assert_eq!(server.get(&location).body, first.body);
    requirement!(server, "BD-STAT-08", "BD-STAT-12", "BD-STAT-14");
}

/// A client asks again after a code of the `transient` branch; an export that failed stays failed.
#[test]
fn a_failed_export_is_not_called_transient() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let code = fail(&server).json()["issue"][0]["code"].clone();
    let transient = ["transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"];
    assert!(!transient.map(|code| json!(code)).contains(&code), "{code} says that asking again may help");
}

#[test]
fn every_operation_outcome_is_sent_as_fhir_json() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("$export");
    let file = server.file_target(&manifest["output"][0]);
    thread::sleep(POLL_INTERVAL);
    let replies = [
        server.get(&location),
        server.get(&location),
        server.send("PUT", &location, &[], ""),
        server.send("GET", &file, &[("Range", "bytes=9999999-")], ""),
        server.send("PUT", &file, &[], ""),
        server.delete(&location),
        server.get(&location),
        server.get(&file),
        fail(&server),
    ];
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200, 429, 405, 416, 405, 202, 404, 404, 500]);
    for reply in &replies[1..] {
        assert_eq!(reply.header("content-type"), Some("application/fhir+json"));
        assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    }
    requirement!(server, "BD-STAT-13");
}

#[test]
fn a_line_that_cannot_be_exported_makes_no_failure() {
    let data = data(&[("a.ndjson", &format!("{}\nno json\n{}\n", patient("p1"), patient("p2")))]);
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("$export");
    assert_eq!(manifest["output"][0]["count"], 2);
    assert_eq!(manifest["error"].as_array().unwrap().len(), 1);
    assert_eq!(server.lines(&manifest, "error").len(), 1);
    thread::sleep(POLL_INTERVAL);
    assert_eq!(server.get(&location).status, 200);
    requirement!(server, "BD-STAT-18");
}

#[test]
fn a_deployment_says_how_many_reports_fail_an_export() {
    let spoilt = format!("{}\nZebedee\n[\"Zebedee\"]\n{{}}\n", patient("p1"));
    let data = data(&[("a.ndjson", &spoilt)]);
    let ended = |reports: u64| {
        let settings = settings(&json!({ "failAbove": { "reports": reports } }));
        let server = Server::start(data.path(), &["--config", settings.path().to_str().unwrap()]);
        let location = server.kick_off("$export");
        let reply = server.poll(&location);
        (server, location, reply)
    };
    let (server, _, partial) = ended(3);
    assert_eq!(partial.status, 200);
    assert_eq!(server.lines(&partial.json(), "error").len(), 3);

    let (server, location, failed) = ended(2);
    assert_eq!(failed.status, 500);
    let said = failed.outcome();
    assert!(said.contains("3 problems") && !said.contains("Zebedee"), "{said}");
    for name in ["Patient-0001.ndjson", "error-0001.ndjson"] {
        assert_eq!(server.get(&format!("{location}/files/{name}")).status, 404, "{name}");
    }
    requirement!(server, "BD-STAT-19");
}

#[test]
fn complete_is_200_with_a_manifest_and_when_it_ends() {
    let data = ward();
    let server = Server::start(data.path(), &["--retention", "7200"]);
    let location = server.kick_off("$export");
    let reply = server.poll(&location);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.json()["output"].is_array());
    let expires = date(reply.header("expires").expect("Expires")).expect("an HTTP date");
    let now = date(reply.header("date").expect("Date")).expect("an HTTP date");
    assert!((7190..=7200).contains(&(expires - now)), "{} s from now", expires - now);
    requirement!(server, "BD-STAT-20", "BD-STAT-21");
}

#[test]
fn what_is_over_or_never_was_is_404() {
    let data = ward();
    let server = Server::start(data.path(), &["--retention", "1"]);
    let (location, manifest) = server.export("$export");
    let file = server.file_target(&manifest["output"][0]);
    assert_eq!(server.get(&file).status, 200);
    thread::sleep(Duration::from_millis(1100));
    let unknown = server.get("bulk/00000000000000000000000000000000");
    for reply in [server.get(&location), server.get(&file), server.delete(&location), unknown] {
        assert_eq!(reply.status, 404);
        assert_eq!(reply.outcome(), "nothing is known here by that address");
    }
    for strange in
        ["bulk/1", "bulk", "bulk/", &format!("{location}/"), &format!("{location}/files"), "bulk/../metadata"]
    {
        assert_eq!(server.get(strange).status, 404, "{strange}");
    }
    // And the files are gone from the disk.
    let folder = server.state().join("files").join(location.rsplit('/').next().unwrap());
    let gone = || fs::read_dir(&folder).map_or(true, |mut files| files.next().is_none());
    assert!((0..50).any(|_| gone() || (thread::sleep(Duration::from_millis(100)), false).1), "files are left over");
    requirement!(server, "BD-STAT-22");
}

#[test]
fn a_status_is_read_or_deleted_and_nothing_else() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let location = server.kick_off("$export");
    for method in ["POST", "PUT", "PATCH", "OPTIONS"] {
        let reply = server.send(method, &location, &[], "");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, DELETE")), "{method}");
        assert!(!reply.outcome().is_empty());
    }
    assert_eq!(server.poll(&location).status, 200);
}

/// Makes an export fail: the folder for its files becomes a file.
fn fail(server: &Server) -> Reply {
    let files = server.state().join("files");
    let _ = fs::remove_dir_all(&files);
    fs::write(&files, "").expect("written");
    server.poll(&server.kick_off("$export"))
}

//! DELETE of a polling location: cancels an export in progress, removes the files of a complete one.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    thread,
    time::Duration,
};

use ehi_tests::{
    records::{folder, observation, ward},
    requirement,
    server::{MANY_FILES, Server, sample},
};

#[test]
fn an_export_in_progress_is_cancelled() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let (location, _) = server.catch_running("$export");
    let reply = server.delete(&location);
    assert_eq!(reply.status, 202);
    assert_eq!(reply.outcome(), "the export and its files are being removed");
    assert_eq!(server.get(&location).status, 404);
    requirement!(server, "BD-DEL-02");
}

#[test]
fn an_export_that_waits_is_cancelled() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let location = server.kick_off("$export");
    assert_eq!(server.delete(&location).status, 202);
    assert_eq!(server.get(&location).status, 404);
}

#[test]
fn what_is_not_there_cannot_be_deleted() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    for target in ["bulk/00000000000000000000000000000000", "bulk/x", "bulk"] {
        let reply = server.delete(target);
        assert_eq!(reply.status, 404, "{target}");
        assert_eq!(reply.outcome(), "nothing is known here by that address");
    }
    requirement!(server, "BD-DEL-03");
}

#[test]
fn a_file_is_not_removed_while_somebody_downloads_it() {
    // More than the buffers between server and client hold.
    let lines: Vec<String> = (0..40_000).map(|n| observation(&format!("o{n}"), &"p".repeat(60))).collect();
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("$export");
    let file = server.file_target(&manifest["output"][0]);
    let mut download = TcpStream::connect(&server.address).unwrap();
    let request = format!("GET {file} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
    download.write_all(request.as_bytes()).unwrap();
    let mut received = vec![0; 100];
    download.read_exact(&mut received).unwrap();
    assert_eq!(server.delete(&location).status, 202);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(server.get(&file).status, 404, "nobody else gets it");
    assert!(!stored(&server, &location).is_empty(), "it is still there");
    download.read_to_end(&mut received).unwrap();
    let whole: u64 = manifest["output"][0]["extension"]["fileSize"].as_u64().unwrap();
    let head = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!((received.len() - head) as u64, whole);
    wait_until_removed(&server, &location);
    requirement!(server, "BD-SEC-09");
}

#[test]
fn the_files_of_a_complete_export_are_removed() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("$export");
    let files: Vec<String> =
        manifest["output"].as_array().unwrap().iter().map(|item| server.file_target(item)).collect();
    assert!(files.iter().all(|file| server.get(file).status == 200));
    assert!(!stored(&server, &location).is_empty());
    assert_eq!(server.delete(&location).status, 202);
    for file in &files {
        let reply = server.get(file);
        assert_eq!(reply.status, 404);
        assert!(!reply.outcome().is_empty());
    }
    wait_until_removed(&server, &location);
    requirement!(server, "BD-DEL-04");
}

#[test]
fn after_a_deletion_the_polling_location_is_404() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let (complete, _) = server.export("$export");
    let (other, _) = server.export("$export");
    let just_begun = server.kick_off("$export");
    for location in [&complete, &just_begun] {
        assert_eq!(server.delete(location).status, 202);
        for reply in [server.get(location), server.delete(location), server.get(location)] {
            assert_eq!(reply.status, 404);
            assert_eq!(reply.outcome(), "nothing is known here by that address");
        }
    }
    assert_eq!(server.poll(&other).status, 200, "another export is not touched");
    requirement!(server, "BD-DEL-05");
}

#[test]
fn work_stops_and_no_file_becomes_reachable() {
    let data = sample(40, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let (location, _) = server.catch_running("$export");
    assert_eq!(server.delete(&location).status, 202);
    let files = ["Observation-0001.ndjson", "AllergyIntolerance-0001.ndjson", "Patient-0001.ndjson"];
    let reachable = || files.iter().any(|file| server.get(&format!("{location}/files/{file}")).status != 404);
    assert!(!reachable());
    wait_until_removed(&server, &location);
    let log = server.log();
    let job = location.rsplit('/').next().unwrap();
    let finished = log.lines().any(|line| line.contains(&job[..8]) && line.contains("partition finished"));
    assert!(!finished, "the export went on to its end");
    // Nothing comes late.
    thread::sleep(Duration::from_millis(300));
    assert!(stored(&server, &location).is_empty() && !reachable());
    requirement!(server, "BD-DEL-07");
}

/// Removal is the work of the next look at the job, a second later at most.
fn wait_until_removed(server: &Server, location: &str) {
    for _ in 0..400 {
        if stored(server, location).is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("after twenty seconds there is still {:?}", stored(server, location));
}

/// The names of all that is stored for a job, finished or not.
fn stored(server: &Server, location: &str) -> Vec<String> {
    let folder = server.state().join("files").join(location.rsplit('/').next().unwrap());
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    names(&folder)
}

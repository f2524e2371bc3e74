//! What must not be learned: patient data from logs and errors, files by other ways, patients by what is not said.

use std::fs;

use ehi_tests::{
    records::{folder, group, observation, patient, resource},
    server::{MANY_FILES, Server, data, sample},
};
use serde_json::{Value, json};

/// In names, ids, broken lines and requests; it may stand in output files and nowhere else.
const MARKER: &str = "Zebedee";

#[test]
fn nothing_of_a_patient_is_logged_or_reported() {
    let id = format!("{MARKER}-1");
    let known = [
        resource("Patient", &id, json!({ "name": [{ "family": MARKER }] })),
        resource(
            "Observation",
            "o1",
            json!({ "subject": { "reference": format!("Patient/{id}"), "display": MARKER } }),
        ),
        group("g1", &[&id]),
    ];
    let broken = [
        format!("{{\"resourceType\":\"Patient\",\"id\":\"{MARKER}\""),
        format!("{{\"resourceType\":\"{MARKER}\",\"id\":\"1\"}}"),
        format!("{{\"resourceType\":\"Patient\",\"id\":\"{MARKER} {MARKER}\"}}"),
        format!("{{\"id\":\"{MARKER}\",\"{MARKER}\":1}}"),
        format!("{{\"resourceType\":\"Patient\",\"id\":\"1\",\"meta\":{{\"lastUpdated\":\"{MARKER}\"}}}}"),
        format!("{{\"resourceType\":\"Patient\",\"id\":\"2\",\"meta\":{{\"lastUpdated\":{{\"{MARKER}\":1}}}}}}"),
        MARKER.to_owned(),
        resource("Patient", &id, json!({ "name": [{ "family": MARKER }] })),
    ];
    let data = folder(&[("known.ndjson", &known), ("broken.ndjson", &broken)]);
    let server = Server::start(data.path(), &["--jobs", "20"]);
    let mut told = Vec::new();
    for target in [
        "$export".to_owned(),
        "$export?_since=2020-01-01T00:00:00Z".to_owned(),
        "Patient/$export".to_owned(),
        "Group/g1/$export".to_owned(),
        format!("Patient/{id}/$export"),
    ] {
        let kick_off = server.get(&target);
        let (location, manifest) = server.finish(&kick_off);
        told.extend([kick_off.body, server.delete(&location).body]);
        let errors = manifest["error"].as_array().unwrap();
        assert!(!errors.is_empty(), "{target}");
        // The request is the client's own words.
        let mut manifest = manifest;
        manifest["request"] = Value::Null;
        told.push(manifest.to_string().into_bytes());
    }
    let (_, manifest) = server.export("$export?_since=2020-01-01T00:00:00Z");
    told.push(server.lines(&manifest, "error").join("\n").into_bytes());
    for refused in [
        format!("Patient/{MARKER}/$export"),
        format!("Group/{MARKER}/$export"),
        format!("$export?_typeFilter=Patient%3Fbirthdate%3D{MARKER}"),
        format!("$export?_typeFilter=Patient%3Fname%3D{MARKER}%5C"),
        format!("$export?patient=Patient/{MARKER}"),
        format!("$export?_since={MARKER}"),
        format!("$export?surprise={MARKER}"),
        format!("bulk/{MARKER}"),
        format!("Patient/{MARKER}"),
    ] {
        let reply = server.get(&refused);
        assert!(reply.status >= 400, "{refused}");
        told.push(reply.body);
    }
    for text in &told {
        assert_silent(&String::from_utf8_lossy(text));
    }
    assert!(!server.log().is_empty());
    assert_silent(&server.log());
}

/// Where there is no authorisation, a job's id opens its files.
#[test]
fn no_job_id_is_logged_whole() {
    let data = data(&[("a.ndjson", &patient("p1"))]);
    let server = Server::start(data.path(), &["--retention", "1"]);
    let (location, _) = server.export("$export");
    let failed = {
        let (complete, _) = server.export("$export");
        server.delete(&complete);
        complete
    };
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let log = server.log();
    for location in [&location, &failed] {
        let id = location.rsplit('/').next().unwrap();
        assert!(log.contains(&id[..8]), "the beginning of {id} is there to follow a job by");
        assert!(!log.contains(id) && !log.contains(&id[..20]));
    }
}

#[test]
fn no_path_leads_out_of_the_files_of_a_job() {
    let data = folder(&[("a.ndjson", &[patient("p1"), group("g1", &["p1"])])]);
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("Group/g1/$export");
    let (other, _) = server.export("$export");
    let file = server.file_target(&manifest["output"][0]);
    assert_eq!(server.get(&file).status, 200);
    let name = file.rsplit('/').next().unwrap();
    let other_id = other.rsplit('/').next().unwrap();
    let stored = server.state().join("files").join(location.rsplit('/').next().unwrap());
    assert!(stored.join("population").is_file() && stored.join(format!("1-{name}")).is_file());
    for escape in [
        "../../jobs.sqlite",
        "..%2F..%2Fjobs.sqlite",
        "%2E%2E%2F%2E%2E%2Fjobs.sqlite",
        "..%252F..%252Fjobs.sqlite",
        "..%5C..%5Cjobs.sqlite",
        "%2Fetc%2Fpasswd",
        "population",
        &format!("1-{name}"),
        &format!("..%2F{other_id}%2F1-Patient-0001.ndjson"),
        &format!("..%2F{other_id}%2Ffiles%2FPatient-0001.ndjson"),
        &format!(".%2F{name}"),
        &format!("{name}%00"),
        "%00",
        "..",
        ".",
        "*",
        "Patient-0001.ndjson'%20OR%20'1'='1",
    ] {
        let reply = server.get(&format!("{location}/files/{escape}"));
        assert_eq!(reply.status, 404, "{escape}");
        assert_eq!(reply.outcome(), "nothing is known here by that address", "{escape}");
    }
}

#[test]
fn no_file_is_reachable_before_a_manifest_lists_it() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let (location, stored) = loop {
        let (location, _) = server.catch_running("$export");
        let folder = server.state().join("files").join(location.rsplit('/').next().unwrap());
        let files = fs::read_dir(folder).into_iter().flatten();
        let mut names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // A name with `#` is that of an upload that has not ended.
        if let Some(stored) = names.find(|name| !name.contains('#')) {
            break (location, stored);
        }
        server.delete(&location);
    };
    let file = format!("{location}/files/{}", stored.strip_prefix("1-").expect("the first attempt"));
    let early = server.get(&file).status;
    // Were it there, the export would have ended just before.
    let ended = server.get(&location).header("x-progress").is_none();
    assert!(early == 404 || ended, "{file} is reachable while the export runs");
    assert_eq!(server.poll(&location).status, 200);
    assert_eq!(server.get(&file).status, 200);
}

/// An answer that depends on data of others tells of them.
#[test]
fn what_is_withheld_or_not_asked_for_leaves_no_trace() {
    let actor = |id: &str| json!({ "actor": { "reference": format!("Patient/{id}") } });
    let mine = [patient("p1"), observation("o1", "p1"), group("g1", &["p1"])];
    let of_p2 = |meta: Value| json!({ "meta": meta, "subject": { "reference": "Patient/p2" } });
    let others = [
        patient("p2"),
        resource("Appointment", "shared", json!({ "participant": [actor("p1"), actor("p2")] })),
        group("both", &["p1", "p2"]),
        // Two versions, one of tomorrow, one of no time at all.
        resource("Observation", "o2", of_p2(json!({ "versionId": "1" }))),
        resource("Observation", "o2", of_p2(json!({ "versionId": "2" }))),
        resource("Observation", "o3", of_p2(json!({ "lastUpdated": "2999-01-01T00:00:00Z" }))),
        resource("Observation", "o4", of_p2(json!({ "lastUpdated": "some day" }))),
    ];
    let alone = folder(&[("a.ndjson", &mine)]);
    let among_others = folder(&[("a.ndjson", &mine), ("b.ndjson", &others)]);
    let told = |data: &tempfile::TempDir, target: &str| {
        let server = Server::start(data.path(), &[]);
        let kick_off = server.get(target);
        let (location, mut manifest) = server.finish(&kick_off);
        manifest["transactionTime"] = Value::Null;
        let manifest = manifest.to_string().replace(&location, "").replace(&server.address, "");
        (kick_off.outcome(), manifest)
    };
    for target in ["Patient/p1/$export", "Group/g1/$export", "Group/g1/$export?_since=2020-01-01T00:00:00Z"] {
        assert_eq!(told(&alone, target), told(&among_others, target), "{target}");
    }
}

#[test]
fn what_is_not_there_looks_like_what_is_not_there_any_more() {
    let data = data(&[("a.ndjson", &patient("p1"))]);
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("$export");
    let file = server.file_target(&manifest["output"][0]);
    server.delete(&location);
    let answer = |target: &str| {
        let reply = server.get(target);
        let headers: Vec<_> = reply.headers.into_iter().filter(|(name, _)| name != "date").collect();
        (reply.status, headers, reply.body)
    };
    let nothing = answer("bulk/00000000000000000000000000000000");
    assert_eq!(nothing.0, 404);
    for target in [&location, &file, "bulk/00000000000000000000000000000000/files/x.ndjson", "no/such/address"] {
        assert_eq!(answer(target), nothing, "{target}");
    }
}

fn assert_silent(text: &str) {
    assert!(!text.to_lowercase().contains(&MARKER.to_lowercase()), "{text}");
}

//! The output manifest: what it says, and that it is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
};

use ehi_tests::{
    http::{Reply, date},
    records::{all_lines, folder, group, names, observation, parse, patient, resource, set, updated, ward},
    requirement,
    server::{POLL_INTERVAL, Server, data, sample},
};
use serde_json::json;

#[test]
fn the_transaction_time_is_when_the_data_were_looked_at() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let before = server.get("metadata");
    let (_, manifest) = server.export("$export");
    let after = server.get("metadata");
    let time = manifest["transactionTime"].as_str().expect("a string");
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    // No digit stands for nothing: `.280` is written `.28`.
    let fraction = shape.strip_prefix("0000-00-00T00:00:00").and_then(|rest| rest.strip_suffix('Z'));
    assert!(["", ".0", ".00", ".000"].map(Some).contains(&fraction), "{time} is no instant");
    let seconds = |reply: &Reply| date(reply.header("date").expect("Date")).expect("a date");
    let instant = seconds_of(time);
    assert!((seconds(&before)..=seconds(&after)).contains(&instant), "{time}");
    requirement!(server, "BD-MAN-01");
}

#[test]
fn what_changed_later_is_left_to_the_next_export() {
    let lines = [
        updated("old", "2001-01-01T00:00:00Z"),
        updated("tomorrow", "2999-01-01T00:00:00Z"),
        updated("tomorrow-in-the-east", "2999-01-01T00:00:00.5+14:00"),
    ];
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export");
    let transaction_time = manifest["transactionTime"].as_str().unwrap().to_owned();
    let exported = server.lines(&manifest, "output");
    let latest = exported.iter().map(|line| parse(line)["meta"]["lastUpdated"].as_str().unwrap().to_owned()).max();
    assert!(latest.unwrap() <= transaction_time);
    assert_eq!(names(&exported), set(&["Observation/old"]));
    // Nothing goes missing in silence.
    assert_eq!(server.lines(&manifest, "error").len(), 2);
    requirement!(server, "BD-MAN-02");
}

#[test]
fn what_was_written_before_the_start_is_part_of_it() {
    let data = folder(&[("a.ndjson", &[patient("p1")])]);
    let server = Server::start(data.path(), &[]);
    let (_, first) = server.export("$export");
    let now = first["transactionTime"].as_str().unwrap().to_owned();
    // A change that is on the disk when an export begins is part of it, however new it is.
    for n in 0..3 {
        let id = format!("o{n}");
        fs::write(data.path().join(format!("{id}.ndjson")), updated(&id, &now) + "\n").unwrap();
        let (_, next) = server.export("$export?_type=Observation");
        assert!(names(&server.lines(&next, "output")).contains(&format!("Observation/{id}")), "{next}");
        assert!(seconds_of(next["transactionTime"].as_str().unwrap()) >= seconds_of(&now));
    }
    requirement!(server, "BD-MAN-03");
}

#[test]
fn the_request_is_the_kick_off_url() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "20"]);
    for target in [
        "$export",
        "%24export",
        "Patient/$export?_type=Patient%2CObservation&_since=2020-01-01T00:00:00%2B00:00&_outputFormat=ndjson",
        "Group/one/$export?&&_type=Patient,,",
    ] {
        let (_, manifest) = server.export(target);
        assert_eq!(manifest["request"], format!("{}/{target}", server.base));
    }
    // The parameters of a POST are no part of its URL.
    let posted = server.post("Patient/$export", &json!([{ "name": "_type", "valueString": "Patient" }]));
    let (_, manifest) = server.finish(&posted);
    assert_eq!(manifest["request"], format!("{}/Patient/$export", server.base));
    requirement!(server, "BD-MAN-04");
}

#[test]
fn whether_files_need_a_token_is_a_boolean() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export");
    assert_eq!(manifest["requiresAccessToken"], json!(false));
    // And it is so.
    for item in manifest["output"].as_array().unwrap() {
        assert_eq!(server.send("GET", &server.file_target(item), &[], "").status, 200);
    }
    requirement!(server, "BD-MAN-05");
}

#[test]
fn each_file_is_listed_once_and_is_there() {
    let data = sample(6, 1);
    let server = Server::start(data.path(), &["--shard-resources", "40"]);
    let (location, manifest) = server.export("$export");
    let items = manifest["output"].as_array().expect("an array");
    let urls: BTreeSet<&str> = items.iter().map(|item| item["url"].as_str().expect("a URL")).collect();
    assert_eq!(urls.len(), items.len(), "a file is listed twice");
    for url in &urls {
        assert!(url.starts_with(&format!("http://{}{location}/files/", server.address)), "{url} is not absolute");
    }
    // Files of the job on the disk are named by attempt and public name.
    let stored = fs::read_dir(server.state().join("files").join(location.rsplit('/').next().unwrap())).unwrap();
    let stored = stored.map(|file| file.unwrap().file_name().into_string().unwrap());
    // Attachments are linked from resources, and in no manifest.
    let (attachments, stored): (BTreeSet<String>, BTreeSet<String>) =
        stored.partition(|name| name.contains("attachment"));
    assert!(!attachments.is_empty());
    let listed: BTreeSet<String> = urls.iter().map(|url| format!("1-{}", url.rsplit('/').next().unwrap())).collect();
    assert_eq!(stored, listed);
    for (item, file) in server.files(&manifest, "output") {
        assert_eq!(item["extension"]["fileSize"], file.body.len());
    }
    requirement!(server, "BD-MAN-08", "BD-MAN-11", "BD-MAN-32");
}

#[test]
fn each_file_holds_one_type_and_as_many_resources_as_it_says() {
    let data = sample(6, 1);
    // Contained resources are part of what contains them.
    let containing = resource("Patient", "c1", json!({ "contained": [{ "resourceType": "Practitioner", "id": "x" }] }));
    fs::write(data.path().join("contained.ndjson"), containing).unwrap();
    let server = Server::start(data.path(), &["--shard-resources", "40"]);
    let (_, manifest) = server.export("$export");
    let mut files_of_type: BTreeMap<String, usize> = BTreeMap::new();
    for (item, file) in server.files(&manifest, "output") {
        let text = String::from_utf8(file.body).unwrap();
        assert!(item["count"].is_u64() && item["count"] == text.lines().count(), "{item}");
        for line in text.lines() {
            assert_eq!(parse(line)["resourceType"], item["type"]);
        }
        *files_of_type.entry(item["type"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(files_of_type["Observation"] > 1, "several files of one type are fine");
    assert_eq!(names(&server.lines(&manifest, "output")).len(), all_lines(data.path()).len());
    requirement!(server, "BD-MAN-10", "BD-MAN-12", "BD-MAN-13", "BD-ORG-03");
}

#[test]
fn what_is_not_there_is_not_listed() {
    let ward = ward();
    let server = Server::start(ward.path(), &["--jobs", "20"]);
    for target in ["$export?_type=Slot", "Group/nobody/$export", "$export?_since=2999-01-01T00:00:00Z&_type=Slot,Basic"]
    {
        let (_, manifest) = server.export(target);
        assert_eq!(manifest["output"], json!([]), "{target}");
    }
    let (_, manifest) = server.export("$export?_type=Slot,Patient,Basic");
    let items = manifest["output"].as_array().unwrap();
    assert_eq!(items.len(), 1, "no file for a type without data");
    assert!(server.files(&manifest, "output").iter().all(|(_, file)| !file.body.is_empty()));

    let empty = data(&[("README.txt", "not data")]);
    let server = Server::start(empty.path(), &[]);
    let (_, manifest) = server.export("$export");
    assert_eq!((&manifest["output"], &manifest["error"]), (&json!([]), &json!([])));
    requirement!(server, "BD-MAN-09", "BD-MAN-14");
}

#[test]
fn there_is_an_error_array_even_when_nothing_is_reported() {
    let data = ward();
    for edition in ["1", "2", "3"] {
        let server = Server::start(data.path(), &["--edition", edition]);
        for target in ["$export", "Patient/$export", "Group/both/$export", "Group/nobody/$export"] {
            let (_, manifest) = server.export(target);
            assert_eq!(manifest["error"], json!([]), "{target} in edition {edition}");
        }
        requirement!(server, "BD-MAN-17", "BD-MAN-18");
    }
}

#[test]
fn errors_and_warnings_are_operation_outcomes_in_error_files() {
    let data = data(&[("a.ndjson", &format!("{}\nno json\n{{\"id\":\"1\"}}\n", patient("p1")))]);
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.finish(&server.get_leniently("$export?surprise=1"));
    assert_eq!(names(&server.lines(&manifest, "output")), set(&["Patient/p1"]));
    let mut severities = BTreeSet::new();
    for (item, file) in server.files(&manifest, "error") {
        assert_eq!(item["type"], "OperationOutcome");
        assert_eq!(file.header("content-type"), Some("application/fhir+ndjson"), "as the output");
        for line in String::from_utf8(file.body).unwrap().lines() {
            let outcome = parse(line);
            assert_eq!(outcome["resourceType"], "OperationOutcome");
            severities.insert(outcome["issue"][0]["severity"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(severities, set(&["error", "warning"]));
    requirement!(server, "BD-MAN-19", "BD-MAN-20");
}

#[test]
fn information_is_in_error_files_too() {
    let data = folder(&[("a.ndjson", &[updated("tomorrow", "2999-01-01T00:00:00Z")])]);
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export");
    assert_eq!(manifest["output"], json!([]));
    let reported = server.lines(&manifest, "error");
    assert_eq!(parse(&reported[0])["issue"][0]["severity"], "information");
}

#[test]
fn extensions_have_the_shape_of_their_edition() {
    let data = ward();
    for edition in ["1", "2", "3", "4"] {
        let server = Server::start(data.path(), &["--edition", edition]);
        let (_, manifest) = server.finish(&server.post("Patient/$export", &json!([])));
        let item = &manifest["output"][0];
        for extension in [&manifest["extension"], &item["extension"]] {
            if edition == "4" {
                let extensions = extension.as_array().expect("an array of FHIR Extensions");
                assert!(extensions.iter().all(|extension| extension["url"].is_string()), "{extension}");
            } else {
                assert!(extension.as_object().is_some_and(|members| !members.is_empty()), "{extension}");
            }
        }
        requirement!(server, "BD-MAN-30");
    }
}

#[test]
fn a_manifest_does_not_change() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let location = server.kick_off("$export");
    let first = server.poll(&location);
    fs::write(data.path().join("more.ndjson"), patient("p3")).unwrap();
    server.export("$export");
    thread::sleep(POLL_INTERVAL);
    let second = server.get(&location);
    assert_eq!((second.status, &second.body), (200, &first.body));
    assert_eq!(second.header("expires"), first.header("expires"));
    assert_eq!(server.lines(&first.json(), "output").len(), 8);
    requirement!(server, "BD-PART-04");
}

/// Whatever the number and size of files, together they are the data: nothing twice, nothing missing.
#[test]
fn however_files_are_cut_the_whole_is_the_same() {
    let data = sample(5, 9);
    let mut expected = all_lines(data.path());
    expected.sort();
    for cut in [&["--shard-resources", "1"][..], &["--shard-bytes", "1"], &["--shard-bytes", "20000"], &[]] {
        let server = Server::start(data.path(), cut);
        let (_, manifest) = server.export("$export?_type=Observation,Encounter,Patient,Group");
        let mut lines = server.lines(&manifest, "output");
        let kept = ["Observation", "Encounter", "Patient", "Group"];
        let wanted = |line: &&String| kept.contains(&parse(line)["resourceType"].as_str().unwrap());
        let expected: Vec<&String> = expected.iter().filter(wanted).collect();
        lines.sort();
        assert_eq!(lines.iter().collect::<Vec<_>>(), expected, "{cut:?}");
        for (item, file) in server.files(&manifest, "output") {
            let within = cut != ["--shard-bytes", "20000"] || file.body.len() <= 20_000 || item["count"] == 1;
            assert!(within, "{} bytes in {item}", file.body.len());
        }
    }
}

#[test]
fn file_names_tell_type_and_number() {
    let lines: Vec<String> = (0..5).map(|n| observation(&format!("o{n}"), "p1")).chain([group("g", &[])]).collect();
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &["--shard-resources", "2"]);
    let (_, manifest) = server.export("$export");
    let items = manifest["output"].as_array().unwrap();
    let mut files: Vec<_> =
        items.iter().map(|item| item["url"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    files.sort_unstable();
    let expected = ["Group-0001", "Observation-0001", "Observation-0002", "Observation-0003"];
    assert_eq!(files, expected.map(|name| format!("{name}.ndjson")));
}

/// Whole seconds since 1970 of an instant in UTC, by way of an HTTP date of the same moment.
fn seconds_of(instant: &str) -> i64 {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[instant[5..7].parse::<usize>().unwrap() - 1];
    let text = |weekday| format!("{weekday}, {} {month} {} {} GMT", &instant[8..10], &instant[..4], &instant[11..19]);
    let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    weekdays.iter().find_map(|weekday| date(&text(weekday))).expect("an instant")
}

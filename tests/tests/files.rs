//! Output files: how they are fetched, and that every resource is in them as it is stored.

use std::{fs, io::Read, path::Path};

use ehi_tests::{
    records::{all_lines, as_stored, folder, linking, names, observation, parse, patient, resource, set},
    requirement,
    server::{Server, data, sample},
};
use serde_json::json;

#[test]
fn a_file_is_sent_as_fhir_ndjson() {
    let data = sample(3, 1);
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export?_type=Patient,Observation");
    for item in manifest["output"].as_array().unwrap() {
        let target = server.file_target(item);
        for headers in [&[][..], &[("Accept", "*/*")], &[("Accept", "application/fhir+ndjson")]] {
            let reply = server.send("GET", &target, headers, "");
            assert_eq!(reply.status, 200);
            assert_eq!(reply.header("content-type"), Some("application/fhir+ndjson"));
            assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
            // Records are nobody else's to keep or to interpret.
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        }
        let head = server.send("HEAD", &target, &[], "");
        let whole = server.get(&target);
        assert_eq!((head.status, head.body.as_slice()), (200, &b""[..]));
        assert_eq!(head.header("content-length"), whole.header("content-length"));
        assert_eq!(head.header("etag"), whole.header("etag"));
    }
    requirement!(server, "BD-FILE-14");
}

#[test]
fn a_file_that_is_not_there_is_404() {
    let data = sample(2, 1);
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("$export?_type=Patient");
    let file = server.file_target(&manifest["output"][0]);
    assert_eq!(server.get(&file).status, 200);
    for target in [
        format!("{location}/files/Patient-0002.ndjson"),
        format!("{location}/files/patient-0001.ndjson"),
        format!("{location}/files/"),
        format!("{file}/"),
        format!("{file}x"),
        "bulk/00000000000000000000000000000000/files/Patient-0001.ndjson".to_owned(),
    ] {
        let reply = server.get(&target);
        assert_eq!(reply.status, 404, "{target}");
        assert!(!reply.outcome().is_empty());
    }
    for method in ["POST", "PUT", "DELETE"] {
        let reply = server.send(method, &file, &[], "");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
    }
    assert_eq!(server.get(&file).status, 200);
    requirement!(server, "BD-FILE-15");
}

#[test]
fn a_download_that_was_cut_off_goes_on_byte_for_byte() {
    let data = sample(5, 1);
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export?_type=Observation");
    let target = server.file_target(&manifest["output"][0]);
    let whole = server.get(&target);
    let length = whole.body.len();
    assert!(length > 10_000);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag} is not strong");

    let part = |range: &str| server.send("GET", &target, &[("Range", range)], "");
    for (range, from, to) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=0-99".to_owned(), 0, 100),
        ("bytes=7777-".to_owned(), 7777, length),
        (format!("bytes={}-", length - 1), length - 1, length),
        ("bytes=9000-999999999".to_owned(), 9000, length),
        ("bytes=-500".to_owned(), length - 500, length),
        ("bytes=-999999999".to_owned(), 0, length),
    ] {
        let reply = part(&range);
        assert_eq!(reply.status, 206, "{range}");
        assert_eq!(reply.header("content-range"), Some(format!("bytes {from}-{}/{length}", to - 1).as_str()));
        assert_eq!(reply.header("content-length"), Some((to - from).to_string().as_str()));
        assert_eq!(reply.header("content-type"), Some("application/fhir+ndjson"));
        assert_eq!(reply.header("etag"), Some(tag.as_str()));
        assert_eq!(reply.body, whole.body[from..to], "{range}");
    }
    for range in [format!("bytes={length}-"), "bytes=999999999-".to_owned(), "bytes=-0".to_owned()] {
        let reply = part(&range);
        assert_eq!(reply.status, 416, "{range}");
        assert_eq!(reply.header("content-range"), Some(format!("bytes */{length}").as_str()));
        assert!(!reply.outcome().is_empty());
    }
    for ignored in ["bytes=5-3", "lines=0-1", "bytes=0-1,5-6", "bytes=x-", "bytes"] {
        let reply = part(ignored);
        assert_eq!((reply.status, reply.body.len()), (200, length), "{ignored}");
    }
    let condition = |tag: &str| server.send("GET", &target, &[("Range", "bytes=100-"), ("If-Range", tag)], "").status;
    assert_eq!((condition(&tag), condition("\"other\"")), (206, 200));
    requirement!(server, "BD-FILE-16");
}

#[test]
fn a_file_is_sent_as_it_is_whatever_coding_is_accepted() {
    let data = sample(3, 1);
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export?_type=Observation");
    let target = server.file_target(&manifest["output"][0]);
    let plain = server.send("GET", &target, &[], "");
    assert_eq!((plain.status, plain.header("content-encoding")), (200, None));
    for coding in ["identity", "gzip", "gzip, deflate, br", "br;q=1.0, identity;q=0.5", "*", ""] {
        let reply = server.send("GET", &target, &[("Accept-Encoding", coding)], "");
        assert_eq!((reply.status, reply.header("content-encoding")), (200, None), "{coding}");
        assert_eq!(reply.body, plain.body, "{coding}");
    }
    requirement!(server, "BD-FILE-10");
}

#[test]
fn files_kept_as_gzip_are_sent_so_to_those_who_take_it() {
    let data = sample(30, 1);
    // None of which holds an address of the server.
    let asked = "$export?_type=Patient,Observation,Condition,Encounter";
    let plain = Server::start(data.path(), &[]);
    let expected = plain.exported(asked);
    let server = Server::start(data.path(), &["--gzip"]);
    let (_, manifest) = server.export(asked);
    assert!(server.lines(&manifest, "output") == expected, "the lines are not those of the plain files");
    for item in manifest["output"].as_array().unwrap() {
        let target = server.file_target(item);
        let whole = server.get(&target);
        assert_eq!(whole.header("content-encoding"), None);
        assert_eq!(json!(whole.body.len()), item["extension"]["fileSize"]);
        for accepted in ["gzip", "br, gzip;q=0.5"] {
            let reply = server.send("GET", &target, &[("Accept-Encoding", accepted)], "");
            assert_eq!((reply.status, reply.header("content-encoding")), (200, Some("gzip")));
            assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
            assert_eq!((reply.header("vary"), reply.header("etag")), (Some("accept-encoding"), None));
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(reply.body.as_slice()).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == whole.body, "{target}");
        }
        // A part is one of the file that the manifest lists, whatever else is taken.
        let middle = whole.body.len() / 2;
        let range = format!("bytes={middle}-");
        let part = server.send("GET", &target, &[("Accept-Encoding", "gzip"), ("Range", &range)], "");
        assert_eq!((part.status, part.header("content-encoding")), (206, None));
        assert!(part.body == whole.body[middle..], "{target}");
    }
    let kept = |server: &Server| size_of(&server.state().join("files"));
    assert!(kept(&server) * 3 < kept(&plain), "{} bytes kept as gzip, {} without", kept(&server), kept(&plain));
    requirement!(server, "BD-FILE-11");
}

#[test]
fn the_latest_version_of_a_resource_is_exported_and_the_other_reported() {
    let version = |id: &str, number: &str, updated: &str, note: &str| {
        let meta = json!({ "versionId": number, "lastUpdated": updated });
        resource("Observation", id, json!({ "meta": meta, "note": [{ "text": note }] }))
    };
    let first = [
        version("by-number", "9", "2024-01-02T00:00:00Z", "old"),
        version("by-number", "10", "2024-01-01T00:00:00Z", "new"),
        version("new-first", "3", "2024-01-03T00:00:00Z", "new"),
        observation("alone", "p1"),
        version("new-first", "2", "2024-01-02T00:00:00Z", "old"),
        version("over-files", "1", "2024-01-01T00:00:00Z", "old"),
    ];
    let second = [
        version("over-files", "2", "2024-01-02T00:00:00Z", "new"),
        resource(
            "Observation",
            "by-date",
            json!({ "meta": { "lastUpdated": "2024-01-01T00:00:00+02:00" }, "note": [{ "text": "old" }] }),
        ),
        resource(
            "Observation",
            "by-date",
            json!({ "meta": { "lastUpdated": "2024-01-01T00:00:00Z" }, "note": [{ "text": "new" }] }),
        ),
        // The same id of another type is another resource.
        patient("alone"),
    ];
    let data = folder(&[("a.ndjson", &first), ("b.ndjson", &second)]);
    let server = Server::start(data.path(), &["--shard-resources", "2"]);
    let (_, manifest) = server.export("$export");
    let exported = server.lines(&manifest, "output");
    let ids = ["alone", "by-date", "by-number", "new-first", "over-files"].map(|id| format!("Observation/{id}"));
    let expected = &set(&ids.each_ref().map(String::as_str)) | &set(&["Patient/alone"]);
    assert_eq!(names(&exported), expected);
    assert!(exported.iter().all(|line| !line.contains("old")), "{exported:?}");
    let mut reported: Vec<String> = server.lines(&manifest, "error").iter().map(|line| diagnostics(line)).collect();
    reported.sort();
    let other = "another version of this resource is exported instead";
    let places = ["a.ndjson, line 1", "a.ndjson, line 5", "a.ndjson, line 6", "b.ndjson, line 2"];
    assert_eq!(reported, places.map(|place| format!("{place}: {other}")));
    requirement!(server, "BD-FILE-07");
}

#[test]
fn resources_pass_with_their_meta_and_without() {
    let meta = json!({ "versionId": "1", "lastUpdated": "2024-01-01T00:00:00Z", "tag": [{ "code": "x" }] });
    let lines = [
        resource("Patient", "with", json!({ "meta": meta })),
        resource("Patient", "with-empty", json!({ "meta": {} })),
        patient("without"),
    ];
    let data = folder(&[("a.ndjson", &lines)]);
    let server = Server::start(data.path(), &[]);
    assert_eq!(server.exported("$export"), lines);
    requirement!(server, "BD-FILE-08");
}

#[test]
fn every_line_is_one_resource_in_utf_8() {
    let lines = [
        patient("p1"),
        resource("Patient", "p2", json!({ "name": [{ "text": "Ångström 田中 \u{1F600}\n\u{2028}" }] })),
    ];
    let text = format!("\u{feff}{}\r\n\r\n  {}  \n\n   \n{}", lines[0], lines[1], observation("o1", "p1"));
    let data = data(&[("a.ndjson", &text)]);
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export");
    assert_eq!(manifest["error"], json!([]));
    for (item, file) in server.files(&manifest, "output") {
        assert!(!file.body.starts_with(b"\xef\xbb\xbf") && !file.body.contains(&b'\r'));
        let text = String::from_utf8(file.body).expect("UTF-8");
        assert!(text.ends_with('\n'));
        let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
        assert_eq!(item["count"], lines.len());
        assert!(lines.iter().all(|line| parse(line).is_object()), "{lines:?}");
    }
    assert_eq!(server.lines(&manifest, "output").len(), 3);
    requirement!(server, "BD-NDJ-01");
}

#[test]
fn numbers_and_everything_else_pass_byte_for_byte() {
    let lines = [
        r#"{"resourceType":"Observation","id":"o1","valueQuantity":{"value":1.10}}"#,
        r#"{"id" : "o2",  "resourceType":"Observation","valueDecimal":0.1000000000000000055511151231257827}"#,
        r#"{"resourceType":"Observation","id":"o3","valueDecimal":-1.0E+2,"valueInteger":100000000000000000000}"#,
        r#"{"resourceType":"Observation","id":"o4","note":[{"text":"\u00e9 é \/ / \ud83d\ude00 \t"}]}"#,
        r#"{"z":1,"a":2,"resourceType":"Observation","id":"o5","a":3}"#,
    ];
    let data = data(&[("a.ndjson", &lines.join("\n"))]);
    let server = Server::start(data.path(), &[]);
    assert_eq!(server.exported("$export"), lines);
    requirement!(server, "BD-NDJ-03");
}

#[test]
fn a_whole_sample_passes_byte_for_byte() {
    let data = sample(12, 4);
    let links = linking();
    let server = Server::start(data.path(), &["--shard-resources", "100", "--config", links.path().to_str().unwrap()]);
    let mut exported = as_stored(server.exported("$export"), &server.base, &all_lines(data.path()));
    let mut stored = all_lines(data.path());
    exported.sort();
    stored.sort();
    assert!(exported == stored, "{} lines were exported of {}", exported.len(), stored.len());
}

fn diagnostics(line: &str) -> String {
    parse(line)["issue"][0]["diagnostics"].as_str().expect("diagnostics").to_owned()
}

/// How many bytes the files of a folder and the folders in it have.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| if entry.path().is_dir() { size_of(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

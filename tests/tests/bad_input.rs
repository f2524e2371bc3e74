//! Lines that cannot be exported, and data that are not what they should be: each is reported by file and line, nothing
//! of it is told, and everything else is exported.

use std::{fs, path::Path, process::Output, slice::from_ref};

use ehi_tests::{
    records::{folder, name, observation, parse, patient, resource, set},
    server::{MANY_FILES, Server, run_ehi, sample},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// In every line that cannot be exported.
const MARKER: &str = "Zebedee";

/// A line, and what is said of it: code and text.
type Line<'l> = (&'l [u8], Option<(&'l str, &'l str)>);

#[test]
fn each_bad_line_is_reported_and_the_others_are_exported() {
    let long = format!("{{\"resourceType\":\"Patient\",\"id\":\"long\",\"x\":\"{}\"}}", MARKER.repeat(200));
    let lines: [Line<'_>; 17] = [
        (br#"{"resourceType":"Patient","id":"p1"}"#, None),
        (b"this is no JSON: Zebedee", Some(("structure", "not one JSON object: syntax error at column "))),
        (br#"{"id":"Zebedee"}"#, Some(("required", "no `resourceType`"))),
        (
            br#"{"resourceType":"Zebedee","id":"1"}"#,
            Some(("invalid", "`resourceType` is not a resource type of this FHIR version")),
        ),
        (br#"{"resourceType":"Patient","name":"Zebedee"}"#, Some(("required", "no `id`"))),
        (br#"{"resourceType":"Patient","id":"Zebedee/1"}"#, Some(("invalid", "`id` is not a FHIR id"))),
        (br#"["Zebedee"]"#, Some(("structure", "not a JSON object"))),
        (br#"{"resourceType":"Patient","id":"Zebedee","id":"p9"}"#, Some(("invalid", "`id` stands there twice"))),
        (
            b"{\"resourceType\":\"Patient\",\"id\":\"p8\",\"x\":\"Zebedee \xff\"}",
            Some(("structure", "not UTF-8 at byte 49")),
        ),
        (long.as_bytes(), Some(("too-long", "longer than the limit of 1000 bytes"))),
        (b"", None),
        (
            br#"{"resourceType":"Patient","id":"p2"}{"resourceType":"Zebedee"}"#,
            Some(("structure", "not one JSON object: syntax error at column ")),
        ),
        (
            br#"{"resourceType":"Patient","id":"p3","meta":"Zebedee"}"#,
            Some(("invalid", "`meta` has the wrong JSON type")),
        ),
        (b"{\"resourceType\":\"Observation\",\"id\":\"o1\"}\r", None),
        (b"\xef\xbb\xbf{\"resourceType\":\"Observation\",\"id\":\"o2\"}", None),
        (br#"{"resourceType":17,"id":"Zebedee"}"#, Some(("invalid", "`resourceType` has the wrong JSON type"))),
        (
            br#"{"resourceType":"Patient","id":"p4","name":[{"family":"Zebed"#,
            Some(("structure", "not one JSON object: syntax error at column ")),
        ),
    ];
    let data = TempDir::new().unwrap();
    let text = lines.iter().map(|(line, _)| *line).collect::<Vec<_>>().join(&b'\n');
    fs::write(data.path().join("mixed.ndjson"), text).unwrap();
    // The lines of each file are numbered anew.
    fs::write(data.path().join("second.ndjson"), format!("{}\n{MARKER}\n", observation("o3", "p1"))).unwrap();

    for engine in ["component", "native"] {
        let export = Export::of(data.path(), &["--line-bytes", "1000", "--engine", engine]);
        assert_eq!(export.code(), Some(0), "{}", export.stderr());
        let expected = ["Observation/o1", "Observation/o2", "Observation/o3", "Patient/p1"];
        assert_eq!(ehi_tests::records::names(&export.lines("output")), set(&expected));
        let mut expected: Vec<(String, String)> = Vec::new();
        for (index, (_, problem)) in lines.iter().enumerate() {
            let said =
                |(code, text): &(&str, &str)| ((*code).to_owned(), format!("mixed.ndjson, line {}: {text}", index + 1));
            expected.extend(problem.as_ref().map(said));
        }
        expected
            .push(("structure".into(), "second.ndjson, line 2: not one JSON object: syntax error at column ".into()));
        let reported = export.lines("error");
        assert_eq!(reported.len(), expected.len(), "{reported:#?}");
        for (line, (code, text)) in reported.iter().zip(&expected) {
            let outcome = parse(line);
            assert_eq!(outcome["resourceType"], "OperationOutcome");
            let issue = &outcome["issue"][0];
            assert_eq!((&issue["severity"], &issue["code"]), (&json!("error"), &json!(code)), "{line}");
            let diagnostics = issue["diagnostics"].as_str().unwrap();
            let column = diagnostics.strip_prefix(text.as_str()).unwrap_or_else(|| panic!("{diagnostics}, not {text}"));
            assert!(column.is_empty() || column.parse::<usize>().is_ok(), "{diagnostics}");
        }
        assert!(export.stderr().contains("14 lines or notices are reported"), "{}", export.stderr());
        for told in [reported.join("\n"), export.stderr(), export.manifest.to_string()] {
            assert!(!told.to_lowercase().contains("zebed"), "{told}");
        }
    }
}

#[test]
fn over_http_the_same_lines_are_reported() {
    let text = format!("{}\n{MARKER}\n{}\n", patient("p1"), patient("p2"));
    let data = TempDir::new().unwrap();
    fs::write(data.path().join("a.ndjson"), text).unwrap();
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export");
    assert_eq!(server.lines(&manifest, "output"), [patient("p1"), patient("p2")]);
    let export = Export::of(data.path(), &[]);
    assert_eq!(server.lines(&manifest, "error"), export.lines("error"));
    assert!(!server.log().contains(MARKER));
}

#[test]
fn line_ends_may_be_of_any_kind_and_the_last_may_be_missing() {
    let lines = [patient("p1"), observation("o1", "p1"), patient("p2")];
    for (what, text) in [
        ("no final line end", lines.join("\n")),
        ("CRLF", lines.join("\r\n") + "\r\n"),
        ("CRLF without a final one", lines.join("\r\n")),
        ("blank lines", format!("\n\n{}\n \t\n\r\n", lines.join("\n\n"))),
        ("a byte order mark", format!("\u{feff}{}", lines.join("\n"))),
    ] {
        let data = TempDir::new().unwrap();
        fs::write(data.path().join("a.NDJSON"), text).unwrap();
        let export = Export::of(data.path(), &[]);
        let mut exported = export.lines("output");
        exported.sort();
        let mut expected = lines.to_vec();
        expected.sort();
        assert_eq!(exported, expected, "{what}");
        assert_eq!(export.manifest["error"], json!([]), "{what}");
    }
}

#[test]
fn a_line_may_be_as_long_as_the_limit() {
    let line = |bytes: usize| {
        let short = resource("Patient", "p1", json!({ "x": "" }));
        short.replace("\"x\":\"\"", &format!("\"x\":\"{}\"", "y".repeat(bytes - short.len())))
    };
    for (bytes, exported) in [(999, 1), (1000, 1), (1001, 0)] {
        for end in ["\n", "\r\n", ""] {
            let data = TempDir::new().unwrap();
            fs::write(data.path().join("a.ndjson"), line(bytes) + end).unwrap();
            // The bytes of a line end count as bytes of the line.
            let limit = if end == "\r\n" { "1001" } else { "1000" };
            let export = Export::of(data.path(), &["--line-bytes", limit]);
            assert_eq!(export.lines("output").len(), exported, "{bytes} bytes and {end:?}");
        }
    }
}

#[test]
fn of_two_versions_the_newer_is_exported_and_the_other_reported() {
    let version = |number: Option<&str>, updated: Option<&str>, note: &str| {
        let mut meta = json!({});
        number.iter().for_each(|number| meta["versionId"] = json!(number));
        updated.iter().for_each(|updated| meta["lastUpdated"] = json!(updated));
        resource("Patient", "p1", json!({ "meta": meta, "note": note }))
    };
    let (monday, tuesday) = (Some("2024-01-01T00:00:00Z"), Some("2024-01-02T00:00:00Z"));
    for (older, newer) in [
        (version(Some("9"), None, "old"), version(Some("10"), None, "new")),
        (version(Some("9"), tuesday, "old"), version(Some("10"), monday, "new")),
        (version(None, monday, "old"), version(None, tuesday, "new")),
        (version(None, monday, "old"), version(None, Some("2023-12-31T23:00:00-05:00"), "new")),
        (version(Some("a"), monday, "old"), version(Some("b"), tuesday, "new")),
        (version(None, None, "old"), version(Some("1"), monday, "new")),
    ] {
        for (first, second) in [(&older, &newer), (&newer, &older)] {
            let line = 1 + usize::from(first == &newer);
            let one_file = folder(&[("a.ndjson", &[first.clone(), second.clone()])]);
            assert_newer(one_file.path(), &newer, &format!("a.ndjson, line {line}"));
            let place = if line == 1 { "a.ndjson, line 1" } else { "b.ndjson, line 1" };
            let two_files = folder(&[("a.ndjson", from_ref(first)), ("b.ndjson", from_ref(second))]);
            assert_newer(two_files.path(), &newer, place);
            // The last line of the first file without its line end.
            fs::write(two_files.path().join("a.ndjson"), first).unwrap();
            assert_newer(two_files.path(), &newer, place);
        }
    }
}

fn assert_newer(data: &Path, newer: &str, place: &str) {
    let export = Export::of(data, &["--engine", "native"]);
    assert_eq!(export.lines("output"), [newer]);
    let reported = export.lines("error");
    assert_eq!(reported.len(), 1);
    let issue = &parse(&reported[0])["issue"][0];
    assert_eq!(issue["diagnostics"], format!("{place}: another version of this resource is exported instead"));
    assert_eq!((&issue["severity"], &issue["code"]), (&json!("warning"), &json!("duplicate")));
}

#[test]
fn two_lines_that_say_the_same_are_one_resource() {
    let data = folder(&[("a.ndjson", &[patient("p1"), patient("p1")]), ("b.ndjson", &[patient("p1")])]);
    let export = Export::of(data.path(), &[]);
    assert_eq!(export.lines("output"), [patient("p1")]);
    assert_eq!(export.lines("error").len(), 2);
}

#[test]
fn versions_may_be_a_microsecond_apart() {
    let version = |updated: &str, note: &str| {
        resource("Patient", "p1", json!({ "meta": { "lastUpdated": updated }, "note": note }))
    };
    let older = version("2024-01-01T00:00:00.000001Z", "old");
    let newer = version("2024-01-01T00:00:00.000002Z", "new");
    let data = folder(&[("a.ndjson", &[older, newer.clone()])]);
    assert_newer(data.path(), &newer, "a.ndjson, line 1");
}

/// What is left to the next export takes nothing out of this one.
#[test]
fn a_version_of_tomorrow_does_not_displace_that_of_today() {
    let version = |number: &str, updated: &str| {
        resource("Patient", "p1", json!({ "meta": { "versionId": number, "lastUpdated": updated } }))
    };
    let (today, tomorrow) = (version("1", "2024-01-01T00:00:00Z"), version("2", "2999-01-01T00:00:00Z"));
    for lines in [[today.clone(), tomorrow.clone()], [tomorrow, today.clone()]] {
        let data = folder(&[("a.ndjson", &lines)]);
        let export = Export::of(data.path(), &["--engine", "native"]);
        assert_eq!(export.lines("output"), [today.as_str()]);
    }
}

#[test]
fn a_version_that_cannot_be_exported_does_not_displace_one_that_can() {
    let version = |number: &str, x: &str| resource("Patient", "p1", json!({ "meta": { "versionId": number }, "x": x }));
    let (short, long) = (version("1", ""), version("2", &"y".repeat(1000)));
    let data = folder(&[("a.ndjson", &[short.clone(), long])]);
    let export = Export::of(data.path(), &["--line-bytes", "1000", "--engine", "native"]);
    assert_eq!(export.lines("output"), [short]);
    assert!(export.lines("error")[0].contains("a.ndjson, line 2: longer than the limit"));
}

/// A limit that lets longer lines in lets them in everywhere.
#[test]
fn long_lines_have_versions_too() {
    let binary = |number: &str| {
        let text = "A".repeat(17 << 20);
        resource("Binary", "b1", json!({ "meta": { "versionId": number }, "data": text }))
    };
    let data = folder(&[("a.ndjson", &[binary("2"), binary("1")])]);
    let export = Export::of(data.path(), &["--line-bytes", "20000000", "--engine", "native"]);
    let exported: Vec<String> = export.lines("output").iter().map(|line| name(&parse(line))).collect();
    assert_eq!(exported, ["Binary/b1"]);
    assert_eq!(export.lines("error").len(), 1);
}

#[test]
fn a_folder_without_data_exports_nothing() {
    let data = TempDir::new().unwrap();
    fs::write(data.path().join("notes.txt"), "no data").unwrap();
    fs::write(data.path().join("empty.ndjson"), "").unwrap();
    fs::create_dir(data.path().join("folder.ndjson")).unwrap();
    for engine in ["component", "native"] {
        let export = Export::of(data.path(), &["--engine", engine]);
        assert_eq!(export.code(), Some(0), "{}", export.stderr());
        assert_eq!((&export.manifest["output"], &export.manifest["error"]), (&json!([]), &json!([])));
        assert_eq!(export.files(), ["manifest.json"]);
    }
}

/// What changes while it is exported is not one state of the data: the export fails rather than mix two.
#[test]
fn data_that_change_meanwhile_make_the_export_fail() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let (location, _) = server.catch_running("$export");
    fs::write(data.path().join("new.ndjson"), patient("new")).unwrap();
    let reply = server.poll(&location);
    assert_eq!(reply.status, 500);
    assert!(!reply.outcome().is_empty());
    assert!(server.log().contains("the data changed while they were being exported"));
    // The next one begins with the data as they are then.
    assert!(server.exported("$export?_type=Patient").contains(&patient("new")));
}

/// An export by the command line.
struct Export {
    out: TempDir,
    output: Output,
    manifest: Value,
}

impl Export {
    fn of(data: &Path, arguments: &[&str]) -> Self {
        let out = TempDir::new().unwrap();
        let paths = ["export", "--data", data.to_str().unwrap(), "--out", out.path().to_str().unwrap()];
        let output = run_ehi(&[&paths, arguments].concat());
        let manifest = fs::read_to_string(out.path().join("manifest.json")).unwrap_or_default();
        let manifest = serde_json::from_str(&manifest).unwrap_or_default();
        Self { out, output, manifest }
    }

    fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.out.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// The lines of all files of a section.
    fn lines(&self, section: &str) -> Vec<String> {
        let items = self.manifest[section].as_array().unwrap_or_else(|| panic!("{}", self.stderr()));
        let read = |item: &Value| fs::read_to_string(self.out.path().join(item["url"].as_str().unwrap())).unwrap();
        items.iter().flat_map(|item| read(item).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

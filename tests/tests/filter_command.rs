//! `ehi filter`: lines in, lines out. Every run is made with both engines, which must not differ in a byte.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use ehi_tests::{
    records::{all_lines, folder, ndjson, observation, parse, patient, resource, set, updated},
    server::{ehi, run_ehi},
};
use serde_json::json;
use tempfile::TempDir;

#[test]
fn it_explains_itself() {
    let help = run_ehi(&["filter", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for option in [
        "--type",
        "--since",
        "--until",
        "--type-filter",
        "--elements",
        "--patients",
        "--edition",
        "--base-url",
        "--validate",
        "--now",
        "--engine",
        "--threads",
        "[FILE]...",
    ] {
        assert!(text.contains(option), "nothing of {option}: {text}");
    }
    assert!(text.contains("\n  ehi filter "), "no example: {text}");
}

#[test]
fn lines_come_out_as_they_are_and_in_the_order_of_the_input() {
    let lines = [
        r#"{"resourceType":"Patient","id":"p1"}"#,
        "{ \"id\" :\t\"o1\", \"resourceType\" : \"Observation\", \"valueQuantity\": {\"value\": 1.50e0} }",
        r#"{"resourceType":"Patient","id":"p2","text":{"div":"\u00e9é\/"}}"#,
        r#"{"resourceType":"Group","id":"g1"}"#,
        r#"{"resourceType":"Observation","id":"o2"}"#,
    ]
    .map(str::to_owned);
    let all = filter(&[], &ndjson(&lines));
    assert_eq!(all.lines(), lines);
    assert_eq!(all.said, "5 lines read, 5 written, 0 reported\n");
    // Blank lines are lines; a last one needs no line end, and the first may follow a byte order mark.
    let loose = filter(&[], &format!("\u{feff}{}\r\n\n  {}", lines[0], lines[4]));
    assert_eq!(loose.lines(), [lines[0].clone(), lines[4].clone()]);
    assert_eq!(loose.said, "3 lines read, 2 written, 0 reported\n");
    assert_eq!(filter(&[], "").said, "0 lines read, 0 written, 0 reported\n");
}

#[test]
fn types_are_selected() {
    let input = ndjson(&[patient("p1"), observation("o1", "p1"), resource("Group", "g1", json!({}))]);
    assert_eq!(filter(&["--type", "Group"], &input).names(), ["g1"]);
    assert_eq!(filter(&["--type", "Patient", "--type", "Observation"], &input).names(), ["p1", "o1"]);
}

#[test]
fn times_are_selected_strictly_between() {
    let input = ndjson(&[
        updated("early", "2024-01-01T00:00:00Z"),
        updated("inside", "2024-01-01T00:00:00.001Z"),
        updated("late", "2024-06-01T02:00:00+02:00"),
        patient("undated"),
    ]);
    let between = ["--since", "2024-01-01T00:00:00Z", "--until", "2024-06-01T00:00:00Z"];
    assert_eq!(filter(&between, &input).names(), ["inside", "undated"]);
    assert_eq!(filter(&between[..2], &input).names(), ["inside", "late", "undated"]);
}

#[test]
fn searches_of_one_type_add_up_and_others_are_not_touched() {
    let gender = |id: &str, gender: &str| resource("Patient", id, json!({ "gender": gender }));
    let input = ndjson(&[gender("f", "female"), gender("m", "male"), gender("o", "other"), observation("o1", "f")]);
    let one = ["--type-filter", "Patient?gender=female"];
    assert_eq!(filter(&one, &input).names(), ["f", "o1"]);
    let two = ["--type-filter", "Patient?gender=female", "--type-filter", "Patient?_id=o"];
    assert_eq!(filter(&two, &input).names(), ["f", "o", "o1"]);
    assert_eq!(
        filter(&["--type-filter", "Patient?gender=female,male", "--type", "Patient"], &input).names(),
        ["f", "m"]
    );
    // A query is a piece of a URL, decoded once.
    assert_eq!(filter(&["--type-filter", "Patient?gender=%66emale"], &input).names(), ["f", "o1"]);
}

#[test]
fn elements_are_selected() {
    let input = ndjson(&[resource("Patient", "p1", json!({ "gender": "male", "birthDate": "1970-01-01" }))]);
    let run = filter(&["--elements", "id,gender"], &input);
    let patient = parse(&run.lines()[0]);
    assert_eq!((&patient["gender"], &patient["birthDate"]), (&json!("male"), &json!(null)));
    assert_eq!(patient["meta"]["tag"][0]["code"], "SUBSETTED");
}

#[test]
fn what_is_checked_can_be_chosen() {
    let broken = r#"{"resourceType":"Observation","id":"o1","status":"final","note":[}"#.to_owned();
    let input = ndjson(&[patient("p1"), broken]);
    for (mode, reported) in [("strict-output", 0), ("strict-all", 1), ("trust", 0)] {
        let run = filter(&["--validate", mode, "--type", "Patient"], &input);
        assert_eq!(run.names(), ["p1"], "{mode}");
        assert!(run.said.ends_with(&format!("2 lines read, 1 written, {reported} reported\n")), "{mode}: {}", run.said);
    }
    let asked = filter(&["--type", "Observation"], &input);
    assert_eq!(asked.names(), [""; 0]);
    assert!(asked.said.starts_with("stdin, line 2: not one JSON object"), "{}", asked.said);
}

#[test]
fn editions_differ_in_what_a_comma_is() {
    let input = ndjson(&[patient("p1"), resource("Group", "g1", json!({})), observation("o1", "p1")]);
    let list = "Patient?_id=p1,Group?_id=other";
    let with = |edition: &str| filter(&["--edition", edition, "--type-filter", list], &input);
    for edition in ["1", "2"] {
        assert_eq!(with(edition).names(), ["p1", "o1"], "{edition}");
    }
    // One query whose second value is no id.
    assert_eq!(with("3").code, 2);
    assert_eq!(with("4").code, 2);
    let types = ["--edition", "4", "--type", "Patient", "--type", "Group"];
    assert_eq!(filter(&types, &input).names(), ["p1", "g1"]);
}

#[test]
fn listed_patients_bring_their_compartments() {
    let away =
        resource("Observation", "o3", json!({ "subject": { "reference": "https://ehr.example/r4/Patient/p1" } }));
    let input = ndjson(&[
        patient("p1"),
        patient("p2"),
        observation("o1", "p1"),
        observation("o2", "p2"),
        away,
        resource("Practitioner", "d1", json!({})),
        resource("Provenance", "v1", json!({ "target": [{ "reference": "Patient/p1" }] })),
    ]);
    let here = TempDir::new().unwrap();
    let listed = |text: &str, arguments: &[&str]| {
        let path = here.path().join("ids");
        fs::write(&path, text).unwrap();
        filter(&[&["--patients", path.to_str().unwrap()], arguments].concat(), &input)
    };
    assert_eq!(listed("p1\n", &[]).names(), ["p1", "o1"]);
    assert_eq!(listed("\r\n p1 \r\n\r\np2", &[]).names(), ["p1", "p2", "o1", "o2"]);
    assert_eq!(listed("", &[]).names(), [""; 0]);
    assert_eq!(listed("p1", &["--base-url", "https://ehr.example/r4"]).names(), ["p1", "o1", "o3"]);
    // What takes a second reading is not left out in silence, unless nobody asked for it.
    assert!(listed("p1", &[]).said.starts_with("Provenance is left out"));
    assert!(listed("p1", &["--type", "Patient"]).said.starts_with("7 lines read, 1 written"));
    let wrong = listed("p1\nMr. Smith\n", &[]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.said.ends_with("ids`, line 2: a listed patient has an id that is not a FHIR id\n"), "{}", wrong.said);
    let missing = filter(&["--patients", "missing"], &input);
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
}

#[test]
fn the_present_can_be_set() {
    let at = |id: &str, date: &str| resource("Observation", id, json!({ "effectiveDateTime": date }));
    let input = ndjson(&[at("near", "2020-01-10"), at("far", "2019-01-01"), updated("later", "2026-01-01T00:00:00Z")]);
    let near = ["--type-filter", "Observation?date=ap2020-01-01", "--now"];
    assert_eq!(filter(&[&near[..], &["2022-01-01T00:00:00Z"]].concat(), &input).names(), ["near"]);
    assert_eq!(filter(&[&near[..], &["2032-01-01T00:00:00Z"]].concat(), &input).names(), ["near", "far"]);
    // What changed after the present is the next one's.
    let now = filter(&["--now", "2025-01-01T00:00:00Z"], &input);
    assert_eq!(now.names(), ["near", "far"]);
    assert!(now.said.starts_with("stdin, line 3: changed after the transaction time"), "{}", now.said);
    assert!(now.said.ends_with("\n3 lines read, 2 written, 1 reported\n"));
}

#[test]
fn a_bad_query_is_pointed_at() {
    let bad = filter(&["--type-filter", "Patient?gender=male", "--type-filter", "Observation?status=x&categroy=y"], "");
    assert_eq!((bad.code, bad.out.as_str()), (2, ""));
    let expected = "\
ehi: `_typeFilter` value 2, query 1 for `Observation`, byte 21: parameter `categroy`: unknown search parameter of this \
                    type: `category` is one
    Observation?status=x&categroy=y
                         ^
";
    assert_eq!(bad.said, expected);
    // Every problem at once, each below its text.
    let queries = ["--type-filter", "Patient?", "--type-filter", "?a=b", "--type-filter", "Patient?a", "--since", "x"];
    let three = filter(&queries, "");
    assert_eq!(three.code, 2);
    assert_eq!(three.said.lines().filter(|line| line.starts_with("ehi: ")).count(), 3, "{}", three.said);
    assert!(three.said.contains("\n    ?a=b\n    ^\n"), "{}", three.said);
    assert!(three.said.contains("\n    Patient?a\n            ^\n"), "{}", three.said);
}

#[test]
fn what_cannot_be_asked_for_is_exit_2() {
    for (arguments, text) in [
        (&["--type", "Foo"][..], "unknown resource type `Foo` in `_type`"),
        (&["--since", "yesterday"], "`_since` is not a FHIR instant"),
        (&["--until", "2024-01-01"], "`_until` is not a FHIR instant"),
        (&["--now", "tomorrow"], "'tomorrow' for '--now"),
        (&["--base-url", "ehr.example"], "`baseUrl` must be an absolute https URL"),
        (&["--engine", "steam"], "'steam' for '--engine"),
        (&["--edition", "5"], "'5' for '--edition"),
        (&["--threads", "0"], "0 is not in"),
        (&["--surprise"], "unexpected argument '--surprise'"),
    ] {
        let output = run_ehi(&[&["filter"], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said.contains(text), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn files_are_read_in_order_and_a_dash_is_stdin() {
    let here = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = here.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // Neither ends in a line end, and one comes twice.
    let (a, b) = (write("a.ndjson", &patient("a")), write("b.ndjson", &format!("{}\nno json", patient("b"))));
    let read = filter(&[&b, "-", &a, &a], &patient("in"));
    assert_eq!(read.names(), ["b", "in", "a", "a"]);
    assert!(read.said.starts_with(&format!("{b}, line 2: ")), "{}", read.said);
    assert!(read.said.ends_with("\n5 lines read, 4 written, 1 reported\n"), "{}", read.said);
    for missing in [here.path().join("missing"), here.path().to_owned()] {
        let missing = missing.to_str().unwrap();
        let failed = filter(&[&a, missing], "");
        assert_eq!(failed.code, 1);
        assert!(failed.said.starts_with(&format!("ehi: cannot read `{missing}`: ")), "{}", failed.said);
    }
}

#[test]
fn reports_name_lines_and_never_show_them_and_there_is_an_end_to_them() {
    let secret = "Jacinto Runolfsdottir";
    let mut lines = vec![secret.to_owned(), format!("{{\"resourceType\":\"{secret}\",\"id\":\"x\"}}")];
    lines.extend((0..40).map(|n| format!("{{\"{secret}\":{n}")));
    lines.push(patient("p1"));
    let run = filter(&["--line-bytes", "100"], &format!("{}{}", ndjson(&lines), "x".repeat(101)));
    assert_eq!(run.names(), ["p1"]);
    assert!(!run.said.contains(secret) && !run.said.contains("Jacinto"), "{}", run.said);
    let said: Vec<&str> = run.said.lines().collect();
    assert_eq!(said.len(), 22);
    assert!((1..=20).zip(&said).all(|(line, said)| said.starts_with(&format!("stdin, line {line}: "))), "{said:?}");
    assert_eq!(said[20..], ["23 more reports are not shown", "44 lines read, 1 written, 43 reported"]);
}

#[test]
fn threads_keep_lines_whole_and_the_order_of_each_file() {
    let file = |name: char| (0..5000).map(|n| observation(&format!("{name}{n}"), "p1")).collect::<Vec<_>>();
    let (a, b, c) = (file('a'), file('b'), file('c'));
    let data = folder(&[("a.ndjson", &a), ("b.ndjson", &b), ("c.ndjson", &c)]);
    let paths = ["a", "b", "c"].map(|name| data.path().join(name).with_extension("ndjson"));
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let run = once(&[&["--threads", "2"], &paths[..]].concat(), "");
    let read = run.lines();
    for (name, lines) in [("a", &a), ("b", &b), ("c", &c)] {
        let mark = format!("\"id\":\"{name}");
        assert!(read.iter().filter(|line| line.contains(&mark)).eq(lines), "{name}");
    }
    assert_eq!(run.said, "15000 lines read, 15000 written, 0 reported\n");
    // One that fails ends the others.
    let failed = once(&[&["--threads", "3", "missing"], &paths[..]].concat(), "");
    assert_eq!(failed.code, 1);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    for engine in ENGINES {
        let mut child = Command::new(ehi())
            .args(["filter", "--engine", engine])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let line = format!("{}\n", observation("o1", "p1"));
        let writer = thread::spawn(move || {
            // Ends when nobody reads any more, as it must.
            let block = line.repeat(1000);
            while input.write_all(block.as_bytes()).is_ok() {}
        });
        output.read_exact(&mut [0; 10]).unwrap();
        drop(output);
        let ended = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(0), ""));
    }
}

#[test]
fn an_export_of_the_same_selection_holds_the_same_lines() {
    let data = ehi_tests::server::sample(10, 2);
    let selection = [
        "--type",
        "Patient",
        "--type",
        "Observation",
        "--until",
        "2030-01-01T00:00:00Z",
        "--type-filter",
        "Observation?category=laboratory",
        "--edition",
        "2",
    ];
    let out = TempDir::new().unwrap();
    let paths = ["export", "--data", data.path().to_str().unwrap(), "--out", out.path().to_str().unwrap()];
    let exported = run_ehi(&[&paths, &selection[..]].concat());
    assert_eq!(exported.status.code(), Some(0), "{}", String::from_utf8_lossy(&exported.stderr));
    fs::remove_file(out.path().join("manifest.json")).unwrap();
    let run = filter(&selection, &ndjson(&all_lines(data.path())));
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert!(run.lines().len() > 50, "{}", run.said);
    assert!(sorted(run.lines()) == sorted(all_lines(out.path())));
    let types = run.lines().iter().map(|line| parse(line)["resourceType"].as_str().unwrap().to_owned()).collect();
    assert_eq!(set(&["Patient", "Observation"]), types);
}

struct Run {
    out: String,
    said: String,
    code: i32,
}

impl Run {
    fn lines(&self) -> Vec<String> {
        assert!(self.out.is_empty() || self.out.ends_with('\n'));
        self.out.lines().map(str::to_owned).collect()
    }

    fn names(&self) -> Vec<String> {
        assert_eq!(self.code, 0, "{}", self.said);
        self.lines().iter().map(|line| parse(line)["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// Runs it with each engine, and says what both did.
fn filter(arguments: &[&str], input: &str) -> Run {
    let [native, component] = ENGINES.map(|engine| once(&[&["--engine", engine], arguments].concat(), input));
    assert_eq!((&native.out, &native.said, native.code), (&component.out, &component.said, component.code));
    native
}

fn once(arguments: &[&str], input: &str) -> Run {
    let here = TempDir::new().unwrap();
    let path = here.path().join("stdin");
    fs::write(&path, input).unwrap();
    run(arguments, &path)
}

fn run(arguments: &[&str], input: &Path) -> Run {
    let output =
        Command::new(ehi()).arg("filter").args(arguments).stdin(fs::File::open(input).unwrap()).output().unwrap();
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

const ENGINES: [&str; 2] = ["native", "component"];

//! The C and C++ programs in `tests/c`, compiled against the header and the libraries as a user would, and run.
//!
//! Cargo builds the static and the shared library together with the Rust one that this test links, so they lie beside it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is how tests fail"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

// Links the library, so that cargo builds it, and first.
use ehi as _;

#[test]
fn the_examples_export_a_file() {
    let folder = folder("examples");
    let input = folder.join("input.ndjson");
    fs::write(&input, INPUT).unwrap();
    let mut manifests = Vec::new();
    for (name, compile) in [("export.c", c as Compiler), ("export.cpp", cpp)] {
        let program = link_static(compile(name), &folder.join(name).with_extension(""));
        let output = folder.join(format!("{name}-output"));
        fs::create_dir(&output).unwrap();
        let run = succeed(Command::new(&program).arg(&input).arg(&output));
        manifests.push(run.stdout);

        let written = |name: &str| fs::read_to_string(output.join(name)).unwrap();
        let lines: Vec<_> = INPUT.lines().collect();
        assert_eq!(written("Patient-0001.ndjson"), format!("{}\n{}\n", lines[0], lines[3]));
        assert_eq!(written("Observation-0001.ndjson"), format!("{}\n", lines[1]));
        let outcome: Value = serde_json::from_str(&written("error-0001.ndjson")).unwrap();
        assert!(outcome["issue"][0]["diagnostics"].as_str().unwrap().starts_with("input, line 3: "), "{outcome}");
    }
    assert_eq!(manifests[0], manifests[1], "C and C++ print the same");

    let manifest: Value = serde_json::from_slice(&manifests[0]).unwrap();
    assert_eq!(manifest["transactionTime"], "2026-01-01T00:00:00Z");
    assert_eq!(manifest["request"], "https://ehr.example/fhir/$export");
    assert_eq!(manifest["requiresAccessToken"], false);
    let files = |section: &str| -> Vec<(String, u64, u64)> {
        let rows = manifest[section].as_array().unwrap().iter();
        rows.map(|row| {
            let name = row["url"].as_str().unwrap().rsplit('/').next().unwrap();
            (name.to_owned(), row["count"].as_u64().unwrap(), row["extension"]["fileSize"].as_u64().unwrap())
        })
        .collect()
    };
    let size = |name: &str| fs::metadata(folder.join("export.c-output").join(name)).unwrap().len();
    let row = |name: &str, count| (name.to_owned(), count, size(name));
    assert_eq!(files("output"), [row("Patient-0001.ndjson", 2), row("Observation-0001.ndjson", 1)]);
    assert_eq!(files("error"), [row("error-0001.ndjson", 1)]);
}

/// Which Provenance that is, takes two sets to tell: what is of the members, and what is of others.
#[test]
fn the_examples_export_a_group_with_the_provenance_of_its_members() {
    let folder = folder("group-examples");
    let input = folder.join("input.ndjson");
    fs::write(&input, INPUT_WITH_PROVENANCE).unwrap();
    for (name, compile) in [("export.c", c as Compiler), ("export.cpp", cpp)] {
        let program = link_static(compile(name), &folder.join(name).with_extension(""));
        let output = folder.join(format!("{name}-output"));
        fs::create_dir(&output).unwrap();
        let run = succeed(Command::new(&program).arg(&input).arg(&output).arg("p1"));

        let lines: Vec<_> = INPUT_WITH_PROVENANCE.lines().collect();
        let expected = [("Patient-0001", lines[0]), ("Observation-0001", lines[2]), ("Provenance-p1-0001", lines[4])];
        let manifest: Value = serde_json::from_slice(&run.stdout).unwrap();
        let rows = manifest["output"].as_array().unwrap();
        assert_eq!(rows.len(), expected.len(), "{manifest}");
        assert_eq!(fs::read_dir(&output).unwrap().count(), expected.len());
        for (row, (file, line)) in rows.iter().zip(expected) {
            assert!(row["url"].as_str().unwrap().ends_with(&format!("{file}.ndjson")), "{row}");
            assert_eq!((&row["type"], &row["count"]), (&json!(file.split('-').next()), &json!(1)));
            assert_eq!(fs::read_to_string(output.join(format!("{file}.ndjson"))).unwrap(), format!("{line}\n"));
        }
    }
}

#[test]
fn the_examples_say_what_is_wrong() {
    let folder = folder("failing-examples");
    for (name, compile) in [("export.c", c as Compiler), ("export.cpp", cpp)] {
        let program = link_static(compile(name), &folder.join(name).with_extension(""));
        let run = Command::new(&program).output().unwrap();
        assert_eq!((run.status.code(), &run.stderr[..6]), (Some(2), &b"usage:"[..]));
        let run = Command::new(&program).args(["no such file", "no such folder"]).output().unwrap();
        assert_eq!((run.status.code(), &run.stderr[..]), (Some(1), &b"export: cannot open the input\n"[..]));
    }
}

/// The older data of the new ones, and of nobody where new members are like others.
#[test]
fn the_example_lists_who_is_new() {
    let program = link_static(c("members.c"), &folder("members").join("members"));
    let run = |new_members: &str| {
        let output = String::from_utf8(succeed(Command::new(&program).arg(new_members)).stdout).unwrap();
        let (told, exported) = output.split_once('\n').unwrap();
        let exported = exported.lines().map(|line| {
            let resource: Value = serde_json::from_str(line).unwrap();
            format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap())
        });
        (told.to_owned(), exported.collect::<BTreeSet<_>>())
    };
    let new = ["Device/new", "Observation/2", "Patient/new"].map(str::to_owned);
    assert_eq!(run("whole"), ("new after 2025-06-01T00:00:00Z".to_owned(), new.into()));
    assert_eq!(run("like-others"), ("nobody is new".to_owned(), BTreeSet::new()));
}

#[test]
fn every_misuse_has_its_status() {
    let program = link_static(c("misuse.c"), &folder("misuse").join("misuse"));
    assert_eq!(succeed(&mut Command::new(program)).stdout, b"passed\n");
    let source = read("tests/c/misuse.c");
    let missed: Vec<_> =
        declared_functions().into_iter().filter(|name| !source.contains(&format!("{name}("))).collect();
    assert_eq!(missed, ["ehi_version"], "what takes nothing cannot be misused; everything else is");
}

#[test]
fn handles_go_from_thread_to_thread() {
    let mut compile = c("threads.c");
    compile.arg("-pthread");
    let program = link_static(compile, &folder("threads").join("threads"));
    assert_eq!(succeed(&mut Command::new(program)).stdout, b"passed\n");
}

#[test]
fn header_library_and_package_have_one_version() {
    let mut compile = c("version.c");
    compile.args([
        concat!("-DEXPECTED_MAJOR=", env!("CARGO_PKG_VERSION_MAJOR")),
        concat!("-DEXPECTED_MINOR=", env!("CARGO_PKG_VERSION_MINOR")),
        concat!("-DEXPECTED_PATCH=", env!("CARGO_PKG_VERSION_PATCH")),
    ]);
    let program = link_static(compile, &folder("version").join("version"));
    assert_eq!(succeed(&mut Command::new(program)).stdout, concat!(env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}

#[test]
fn the_header_is_included_twice_and_from_both_languages() {
    let folder = folder("include-twice");
    let (from_c, from_cpp) = (folder.join("c.o"), folder.join("cpp.o"));
    succeed(c("include_twice.c").arg("-c").arg("-o").arg(&from_c));
    // The language is said because the name ends with `.c`.
    let mut compile = compiler("c++", "CXX", "c++17");
    succeed(compile.args(["-x", "c++", "-c"]).arg(source("include_twice.c")).arg("-o").arg(&from_cpp));
    let mut link = compiler("c++", "CXX", "c++17");
    link.args([&from_c, &from_cpp]);
    succeed(&mut Command::new(link_static(link, &folder.join("twice"))));
}

#[test]
fn the_driver_answers_and_refuses() {
    let program = link_static(c("driver.c"), &folder("driver").join("driver"));
    let config = br#"{"baseUrl":"https://ehr.example/fhir","auth":"none"}"#;
    let calls: [&[&[u8]]; 3] = [&[b"endpoint_new", b"{}"], &[b"endpoint_new", config], &[b"not_found"]];
    let mut driver = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    driver.stdin.take().unwrap().write_all(&calls.map(frame).concat()).unwrap();
    let run = driver.wait_with_output().unwrap();
    assert!(run.status.success());
    let answers = frames(&run.stdout);
    assert_eq!(answers[0][0], "refused");
    assert_eq!(answers[0][1], "configuration: missing field `baseUrl` at line 1 column 2");
    assert_eq!(answers[1], ["ok"]);
    let response: Value = serde_json::from_str(&answers[2][1]).unwrap();
    assert_eq!((answers[2][0].as_str(), &response["status"]), ("ok", &json!(404)));
}

/// What a program finds at run time is the SONAME and not the file name.
#[cfg(target_os = "linux")]
#[test]
fn the_shared_library_has_its_soname_and_exports_what_the_header_declares() {
    let folder = folder("shared");
    let library = library("libehi.so");
    let dynamic = succeed(Command::new("readelf").arg("-d").arg(&library)).stdout;
    assert!(String::from_utf8(dynamic).unwrap().contains("Library soname: [libehi.so.0]"));

    let symbols =
        succeed(Command::new("nm").args(["--dynamic", "--defined-only", "--format=just-symbols"]).arg(&library));
    let symbols = String::from_utf8(symbols.stdout).unwrap();
    assert_eq!(symbols.lines().map(str::to_owned).collect::<BTreeSet<_>>(), declared_functions());

    let program = folder.join("export");
    let directory = library.parent().unwrap();
    succeed(c("export.c").arg("-L").arg(directory).args(["-lehi", "-o"]).arg(&program));
    let soname = folder.join("libehi.so.0");
    std::os::unix::fs::symlink(&library, &soname).unwrap();
    fs::write(folder.join("input.ndjson"), INPUT).unwrap();
    let mut run = Command::new(&program);
    run.env("LD_LIBRARY_PATH", &folder).arg(folder.join("input.ndjson")).arg(&folder);
    assert!(!succeed(&mut run).stdout.is_empty());
}

/// What README.md tells people to type is what these tests do.
#[test]
fn the_readme_has_the_link_line() {
    let readme = read("README.md");
    let line = format!("libehi.a {}", SYSTEM_LIBRARIES.join(" "));
    assert!(readme.contains(&line), "`{line}` is not in README.md");
}

/// The contract of `raw`, which the other modules rely on.
#[test]
fn unsafe_blocks_stand_in_one_module() {
    for entry in fs::read_dir(path("src")).unwrap() {
        let path = entry.unwrap().path();
        let blocks = fs::read_to_string(&path).unwrap().matches("unsafe {").count();
        assert_eq!(blocks, usize::from(path.ends_with("raw.rs")), "{}", path.display());
    }
}

type Compiler = fn(&str) -> Command;

fn c(name: &str) -> Command {
    let mut command = compiler("cc", "CC", "c11");
    command.arg(source(name));
    command
}

fn cpp(name: &str) -> Command {
    let mut command = compiler("c++", "CXX", "c++17");
    command.arg(source(name));
    command
}

fn compiler(program: &str, variable: &str, standard: &str) -> Command {
    let mut command = Command::new(std::env::var_os(variable).unwrap_or_else(|| program.into()));
    command.arg(format!("-std={standard}")).args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-g"]);
    command.arg("-I").arg(path("include"));
    command
}

fn link_static(mut compile: Command, program: &Path) -> PathBuf {
    succeed(compile.arg(library("libehi.a")).args(SYSTEM_LIBRARIES).arg("-o").arg(program));
    program.to_owned()
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {:?}: {error}; {NEEDED}", command.get_program()));
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{problem}", output.status);
    output
}

/// Beside the folder with this test, unless cargo builds into one of another shape.
fn library(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().skip(1).map(|folder| folder.join(name)).find(|candidate| candidate.exists());
    found.unwrap_or_else(|| panic!("{name} is not beside {}: run `cargo build --package ehi-ffi`", test.display()))
}

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-programs").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn declared_functions() -> BTreeSet<String> {
    let header = read("include/ehi.h");
    let code = header.lines().filter(|line| !line.trim_start().starts_with('*'));
    let declared = code.filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next());
    declared.filter(|name| name.starts_with("ehi_")).map(str::to_owned).collect()
}

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut frame = number(parts.len()).to_vec();
    for part in parts {
        frame.extend(number(part.len()));
        frame.extend(*part);
    }
    frame
}

fn frames(mut bytes: &[u8]) -> Vec<Vec<String>> {
    fn take<'b>(bytes: &mut &'b [u8], length: usize) -> &'b [u8] {
        let (taken, rest) = bytes.split_at(length);
        *bytes = rest;
        taken
    }
    let number = |bytes: &mut &[u8]| u32::from_le_bytes(take(bytes, 4).try_into().unwrap()) as usize;
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let count = number(&mut bytes);
        let part = |_| {
            let length = number(&mut bytes);
            String::from_utf8(take(&mut bytes, length).to_vec()).unwrap()
        };
        frames.push((0..count).map(part).collect());
    }
    frames
}

fn source(name: &str) -> PathBuf {
    path("tests/c").join(name)
}

fn read(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap()
}

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

const NEEDED: &str = "these tests need a C and a C++ compiler (`cc` and `c++`, or CC and CXX), and on Linux binutils";

/// What rustc's `native-static-libs` lists and a C compiler does not link by itself.
const SYSTEM_LIBRARIES: [&str; 3] = ["-lpthread", "-lm", "-ldl"];

/// Lines of two types, and one that is no resource.
const INPUT: &str = r#"{"resourceType":"Patient","id":"p1"}
{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p1"}}
{"resourceType":"Patient","id":}
{"resourceType":"Patient","id":"p2"}
"#;

/// Of two patients, with Provenance of the one, the other, and both.
const INPUT_WITH_PROVENANCE: &str = r#"{"resourceType":"Patient","id":"p1"}
{"resourceType":"Patient","id":"p2"}
{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p1"}}
{"resourceType":"Observation","id":"o2","subject":{"reference":"Patient/p2"}}
{"resourceType":"Provenance","id":"v1","target":[{"reference":"Observation/o1"}],"recorded":"2020-01-01T00:00:00Z"}
{"resourceType":"Provenance","id":"v2","target":[{"reference":"Observation/o2"}],"recorded":"2020-01-01T00:00:00Z"}
{"resourceType":"Provenance","id":"v12","target":[{"reference":"Observation/o1"},{"reference":"Observation/o2"}],"recorded":"2020-01-01T00:00:00Z"}
"#;

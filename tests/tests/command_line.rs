//! The command line: exit codes, texts, and that `ehi export` is the same job as a kick-off over HTTP.

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use ehi_tests::{
    records::{all_lines, folder, linking, patient, ward},
    server::{Server, run_ehi, sample},
};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn help_teaches() {
    let help = run_ehi(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = stdout(&help);
    for command in ["sample", "export", "serve"] {
        assert!(text.contains(&format!("\n  ehi {command} ")), "no example of {command}: {text}");
    }
    assert!(text.contains("Exit codes: 0 done, 1 failed, 2 wrong usage or refused input."));
    assert_eq!(run_ehi(&["--version"]).status.code(), Some(0));
    assert_eq!(run_ehi(&["help", "serve"]).status.code(), Some(0));
    // Asked nothing, it says what can be asked, but that is not what a script wanted.
    assert_eq!(run_ehi(&[]).status.code(), Some(2));
}

#[test]
fn each_command_explains_itself() {
    for (command, options) in [
        ("serve", &["--data", "--listen", "--state", "--auth"][..]),
        ("export", &["--data", "--out", "--level", "--type", "--since", "--engine"]),
        ("sample", &["--patients", "--seed", "--out"]),
    ] {
        let help = run_ehi(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        let text = stdout(&help);
        for option in options {
            assert!(text.contains(option), "{command} says nothing of {option}");
        }
        assert!(text.contains(&format!("\n  ehi {command} ")), "no example: {text}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_exit_2_with_a_pointed_text() {
    let data = ward();
    let data = data.path().to_str().unwrap();
    let out = TempDir::new().unwrap();
    for (arguments, text) in [
        (&["--type", "Foo"][..], "unknown resource type `Foo` in `_type`"),
        (&["--type", "patient"], "unknown resource type `patient` in `_type`"),
        (&["--since", "yesterday"], "`_since` is not a FHIR instant"),
        (&["--since", "2024-01-01"], "`_since` is not a FHIR instant"),
        (&["--level", "group/unknown"], "no such group"),
        (&["--level", "patient/unknown"], "no such patient"),
        (&["--level", "everything"], "--level is one of system, patient, group/ID, practitioner/ID, patient/ID"),
        (
            &["--level", "patient", "--type", "Practitioner"],
            "none of the types in `_type` is in the Patient compartment",
        ),
        (&["--engine", "steam"], "'steam' for '--engine"),
        (&["--shard-resources", "0"], "'0' for '--shard-resources"),
        (&["--surprise"], "unexpected argument '--surprise'"),
    ] {
        let paths = ["export", "--data", data, "--out", out.path().to_str().unwrap()];
        let output = run_ehi(&[&paths, arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(text), "{arguments:?}: {}", stderr(&output));
        assert_eq!(names(out.path()), [""; 0], "{arguments:?}");
    }
    // All that is wrong is said at once, a line each.
    let both = ["export", "--data", data, "--out", out.path().to_str().unwrap(), "--type", "Foo", "--since", "x"];
    assert_eq!(stderr(&run_ehi(&both)).lines().count(), 2);
}

#[test]
fn a_data_folder_that_is_not_there_is_one_clear_line_and_exit_1() {
    let here = TempDir::new().unwrap();
    let missing = here.path().join("missing");
    let (out, state) = (here.path().join("out"), here.path().join("state"));
    let missing = missing.to_str().unwrap();
    for arguments in [
        ["export", "--data", missing, "--out", out.to_str().unwrap()],
        ["serve", "--data", missing, "--state", state.to_str().unwrap()],
    ] {
        let output = run_ehi(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let expected = format!("ehi: the data folder `{missing}` does not exist or is not a folder\n");
        assert_eq!(stderr(&output), expected);
        assert_eq!(stdout(&output), "");
    }
    assert_eq!(names(here.path()), [""; 0], "nothing was made");
}

#[test]
fn an_output_folder_holds_nothing_else() {
    let data = ward();
    let out = TempDir::new().unwrap();
    for occupant in ["notes.txt", ".hidden", "Patient-0001.ndjson"] {
        fs::write(out.path().join(occupant), "mine").unwrap();
        let output = export(data.path(), out.path(), &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("is not empty"), "{}", stderr(&output));
        assert_eq!(names(out.path()), [occupant], "what lies there is not touched");
        fs::remove_file(out.path().join(occupant)).unwrap();
    }
    let broken = folder(&[("a.ndjson", &[patient("p1"), "no json".to_owned()])]);
    let inner = out.path().join("made").join("when").join("missing");
    assert_eq!(export(broken.path(), &inner, &[]).status.code(), Some(0));
    assert_eq!(names(&inner), ["Patient-0001.ndjson", "error-0001.ndjson", "manifest.json"]);
}

#[test]
fn without_authorisation_only_this_machine_is_served() {
    let data = ward();
    let state = TempDir::new().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let output = run_ehi(&[
            "serve",
            "--listen",
            address,
            "--data",
            data.path().to_str().unwrap(),
            "--state",
            state.path().to_str().unwrap(),
        ]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(stderr(&output).contains("loopback"), "{}", stderr(&output));
    }
    assert_eq!(names(state.path()), [""; 0]);
    let server = Server::start(data.path(), &["--auth", "none"]);
    assert!(server.address.starts_with("127.0.0.1:"));
}

#[test]
fn a_port_or_a_state_folder_in_use_is_exit_1() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let state = TempDir::new().unwrap();
    let serve = |listen: &str, state: &Path| {
        let data = data.path().to_str().unwrap();
        run_ehi(&["serve", "--data", data, "--listen", listen, "--state", state.to_str().unwrap()])
    };
    let port = serve(&server.address, state.path());
    assert_eq!(port.status.code(), Some(1));
    assert!(stderr(&port).contains(&format!("cannot listen on {}", server.address)), "{}", stderr(&port));
    let shared = serve("127.0.0.1:0", server.state());
    assert_eq!(shared.status.code(), Some(1));
    assert!(stderr(&shared).contains("is another server using it?"), "{}", stderr(&shared));
    assert_eq!(server.get("metadata").status, 200, "the first goes on");
}

#[test]
fn both_engines_write_the_same_files_at_every_level() {
    let data = sample(10, 2);
    for level in ["system", "patient", "group/group-a", "group/group-empty", "patient/pat-000001"] {
        for arguments in [&[][..], &["--type", "Patient", "--type", "Observation", "--since", "2023-01-01T00:00:00Z"]] {
            let arguments = [&["--level", level, "--shard-resources", "50"], arguments].concat();
            let by = |engine: &str| {
                let out = TempDir::new().unwrap();
                let output = export(data.path(), out.path(), &[&arguments[..], &["--engine", engine]].concat());
                assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
                contents(out.path())
            };
            let (component, native) = (by("component"), by("native"));
            assert!(component == native, "{level}: {:?} and {:?}", component.keys(), native.keys());
        }
    }
}

#[test]
fn a_folder_receives_what_a_client_would() {
    let data = sample(10, 2);
    let links = linking();
    let server = Server::start(data.path(), &["--shard-resources", "50", "--config", links.path().to_str().unwrap()]);
    for (level, target) in [
        ("system", "$export"),
        ("patient", "Patient/$export"),
        ("group/group-b", "Group/group-b/$export"),
        ("patient/pat-000002", "Patient/pat-000002/$export"),
    ] {
        let out = TempDir::new().unwrap();
        let flags = ["--level", level, "--shard-resources", "50", "--base-url", &server.base];
        let output = export(data.path(), out.path(), &flags);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let mut files = contents(out.path());
        files.remove("manifest.json");
        let (_, manifest) = server.export(target);
        let served = server.files(&manifest, "output").into_iter().map(|(item, file)| {
            let name = item["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            (name, String::from_utf8(file.body).unwrap())
        });
        assert!(files == served.collect(), "{level}");
        assert!(!files.is_empty());
    }
}

#[test]
fn the_manifest_in_a_folder_names_the_files_beside_it() {
    let data = sample(4, 2);
    let out = TempDir::new().unwrap();
    let output = export(data.path(), out.path(), &["--level", "patient"]);
    let manifest: Value = serde_json::from_str(&contents(out.path())["manifest.json"]).unwrap();
    let mut lines = 0;
    for item in manifest["output"].as_array().unwrap() {
        let text = fs::read_to_string(out.path().join(item["url"].as_str().unwrap())).unwrap();
        assert_eq!(item["count"], text.lines().count());
        assert_eq!(item["extension"]["fileSize"], text.len());
        lines += text.lines().count();
    }
    let files = manifest["output"].as_array().unwrap().len();
    assert_eq!(names(out.path()).len(), files + 1);
    let said = format!("{lines} resources in {files} files in {}\n", out.path().display());
    assert!(stderr(&output).ends_with(&said), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn a_sample_follows_from_its_seed() {
    let (one, same) = (sample(7, 42), sample(7, 42));
    assert!(contents(one.path()) == contents(same.path()));
    assert!(contents(one.path()) != contents(sample(7, 43).path()));
    assert!(contents(one.path()).len() >= 15, "resource types");
    // More patients only add.
    let more = sample(9, 42);
    let patients = |folder: &Path| fs::read_to_string(folder.join("Patient.ndjson")).unwrap();
    assert!(patients(more.path()).starts_with(&patients(one.path())));
    assert_eq!(patients(more.path()).lines().count(), 9);
    assert!(!all_lines(sample(0, 1).path()).iter().any(|line| line.contains("\"resourceType\":\"Patient\"")));
}

fn export(data: &Path, out: &Path, arguments: &[&str]) -> Output {
    let paths = ["export", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
    run_ehi(&[&paths, arguments].concat())
}

/// The text of each file, by name; the moment of the export is left out of the manifest.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let read = |name: String| {
        let mut text = fs::read_to_string(folder.join(&name)).unwrap();
        if name == "manifest.json" {
            let mut manifest: Value = serde_json::from_str(&text).unwrap();
            assert!(manifest["transactionTime"].take().is_string());
            text = manifest.to_string();
        }
        (name, text)
    };
    names(folder).into_iter().map(read).collect()
}

/// What is in a folder, hidden files included.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn files_that_are_not_read_are_mentioned() {
    let data = ward();
    std::fs::write(data.path().join("LICENSE"), "not a record").unwrap();
    let out = TempDir::new().unwrap();
    let out = out.path().join("out");
    let exported = run_ehi(&["export", "--data", data.path().to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(exported.status.code(), Some(0));
    let said = String::from_utf8_lossy(&exported.stderr).into_owned();
    assert!(said.contains("1 file in the data folder does not end in .ndjson and is not read"), "{said}");
}

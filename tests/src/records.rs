//! Small records, for tests that know every byte of them, and the names of what came out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

/// The line of a resource with these members besides its type and id.
pub fn resource(resource_type: &str, id: &str, members: Value) -> String {
    let mut resource = members;
    resource["resourceType"] = json!(resource_type);
    resource["id"] = json!(id);
    resource.to_string()
}

/// A Patient of whom nothing is known.
pub fn patient(id: &str) -> String {
    resource("Patient", id, json!({}))
}

/// An Observation of that patient.
pub fn observation(id: &str, patient: &str) -> String {
    let subject = json!({ "reference": format!("Patient/{patient}") });
    resource("Observation", id, json!({ "status": "final", "code": { "text": "pulse" }, "subject": subject }))
}

/// An Observation of nobody that was last updated then.
pub fn updated(id: &str, last_updated: &str) -> String {
    resource("Observation", id, json!({ "meta": { "lastUpdated": last_updated } }))
}

/// A Group of these patients.
pub fn group(id: &str, patients: &[&str]) -> String {
    let member = |patient| json!({ "entity": { "reference": format!("Patient/{patient}") } });
    resource("Group", id, json!({ "member": patients.iter().map(member).collect::<Vec<_>>() }))
}

/// A data folder of these files, a line end behind every line.
pub fn folder(files: &[(&str, &[String])]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, lines) in files {
        fs::write(folder.path().join(name), ndjson(lines)).expect("written");
    }
    folder
}

/// The lines, each with its line end.
pub fn ndjson(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Patients p1 and p2 with an Observation each, o1 and o2; a Practitioner; Groups `one` (p1), `both` and `nobody`.
pub fn ward() -> TempDir {
    folder(&[
        ("patients.ndjson", &[patient("p1"), patient("p2")]),
        ("observations.ndjson", &[observation("o1", "p1"), observation("o2", "p2")]),
        (
            "others.ndjson",
            &[
                resource("Practitioner", "d1", json!({})),
                group("one", &["p1"]),
                group("both", &["p1", "p2"]),
                group("nobody", &[]),
            ],
        ),
    ])
}

/// `Type/id` of each line; each may come once only.
pub fn names(lines: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in lines {
        let name = name(&parse(line));
        assert!(names.insert(name.clone()), "{name} came twice");
    }
    names
}

/// A set of names to compare with.
pub fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `Type/id` of a resource.
pub fn name(resource: &Value) -> String {
    let text = |member: &str| resource[member].as_str().unwrap_or_else(|| panic!("no {member}: {resource}")).to_owned();
    format!("{}/{}", text("resourceType"), text("id"))
}

/// A line as JSON.
pub fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"))
}

/// Every line of every NDJSON file of a folder, file after file by name.
pub fn all_lines(folder: &Path) -> Vec<String> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let texts = paths.iter().map(|path| fs::read_to_string(path).expect("UTF-8"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Settings of a server that leaves the links of attachments: those that it serves are other addresses in each export.
pub fn linking() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), r#"{"attachments":"link"}"#).expect("the file is written");
    file
}

/// Exported lines as they are stored, where links were left: URLs of attachments are made absolute in an export
/// (BD-ATT-02), and the Binary of a patient is a DocumentReference with its content (BD-KICK-11).
pub fn as_stored(exported: Vec<String>, base: &str, stored: &[String]) -> Vec<String> {
    let binaries: BTreeMap<String, &String> =
        stored.iter().filter(|line| line.contains(r#""Binary""#)).map(|line| (name(&parse(line)), line)).collect();
    let absolute = format!(r#""url":"{base}/Binary/"#);
    let restore = |line: String| {
        let resource = parse(&line);
        let Some(id) = name(&resource).strip_prefix("DocumentReference/binary-").map(str::to_owned) else {
            return line.replace(&absolute, r#""url":"Binary/"#);
        };
        let binary = binaries[&format!("Binary/{id}")];
        let (attachment, content) = (&resource["content"][0]["attachment"], parse(binary));
        for member in ["contentType", "data"] {
            assert_eq!(attachment[member], content[member], "{member} of Binary/{id}");
        }
        binary.clone()
    };
    exported.into_iter().map(restore).collect()
}

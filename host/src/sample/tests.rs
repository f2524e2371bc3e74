//! What holds for a set as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::*;

/// SHA-256 over the names and bytes of the files of three patients with seed 42. It changes only with what is made, and
/// everyone's sample data with it.
const GOLDEN: &str = "dedc46b5b111e0f879dfd90437bee8371217f958ca3e54fb15e7310a23ff8fc6";

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let set = made(3, 42);
    assert_eq!(digest(&set), GOLDEN);
    assert_eq!(set, made(3, 42));
}

#[test]
fn another_seed_makes_another_set() {
    let (one, other) = (made(2, 1), made(2, 2));
    for (name, text) in &one {
        assert!(other.get(name) != Some(text), "{name} does not depend on the seed");
    }
}

#[test]
fn a_larger_set_begins_with_the_smaller_one() {
    let (small, large) = (made(4, 7), made(6, 7));
    for (name, text) in small.iter().filter(|(name, _)| *name != "Group.ndjson") {
        assert!(large[name].starts_with(text.as_str()), "{name} does not begin as that of the smaller set");
    }
}

#[test]
fn every_reference_resolves() {
    let resources = parsed(&made(40, 3));
    let addresses: BTreeSet<String> = resources.iter().map(address).collect();
    assert_eq!(addresses.len(), resources.len(), "two resources share an address");
    let mut references = 0;
    for resource in &resources {
        visit(resource, &mut |object| {
            let binary = object.get("contentType").and(object.get("url"));
            for target in [object.get("reference"), binary].into_iter().flatten() {
                let target = target.as_str().unwrap();
                assert!(addresses.contains(target), "{} refers to {target}, which is not there", address(resource));
                references += 1;
            }
        });
    }
    assert!(references > resources.len());
}

#[test]
fn every_line_is_a_resource_with_its_meta() {
    let set = made(40, 3);
    for (name, text) in &set {
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            let resource: Value = serde_json::from_str(line).unwrap();
            assert_eq!(format!("{}.ndjson", resource["resourceType"].as_str().unwrap()), *name);
            let id = resource["id"].as_str().unwrap();
            assert!(id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id}");
            assert!(resource["meta"]["versionId"].as_str().unwrap().parse::<u32>().is_ok());
            let updated = resource["meta"]["lastUpdated"].as_str().unwrap();
            assert!(("2019-01-01".."2026-07-01").contains(&updated), "{updated}");
            assert!(updated.ends_with('Z') || updated.as_bytes()[updated.len() - 3] == b':', "{updated}");
        }
    }
}

#[test]
fn nothing_is_null_or_empty() {
    for resource in parsed(&made(40, 3)) {
        visit(&resource, &mut |object| {
            assert!(!object.is_empty());
            for (name, value) in object {
                let is_empty = match value {
                    Value::Null => true,
                    Value::String(text) => text.is_empty(),
                    Value::Array(values) => values.is_empty(),
                    _ => false,
                };
                assert!(!is_empty, "{name} of {} is empty", address(&resource));
            }
        });
    }
}

#[test]
fn attachments_have_their_size_and_hash() {
    let resources = parsed(&made(40, 3));
    let binaries: BTreeMap<String, &Value> = resources
        .iter()
        .filter(|resource| resource["resourceType"] == "Binary")
        .map(|binary| (address(binary), &binary["data"]))
        .collect();
    let (mut inline, mut linked) = (0, 0);
    for resource in resources.iter().filter(|resource| resource["resourceType"] != "Binary") {
        visit(resource, &mut |object| {
            if !object.contains_key("contentType") {
                return;
            }
            let data = match (object.get("data"), object.get("url")) {
                (Some(data), None) => {
                    inline += 1;
                    data
                }
                (None, Some(url)) => {
                    linked += 1;
                    binaries[url.as_str().unwrap()]
                }
                _ => panic!("an attachment has either data or a url"),
            };
            let bytes = STANDARD.decode(data.as_str().unwrap()).unwrap();
            assert_eq!(object["size"], bytes.len());
            assert_eq!(object["hash"], STANDARD.encode(Sha1::digest(&bytes)));
            assert!(String::from_utf8(bytes).is_ok());
        });
    }
    assert_eq!(linked, binaries.len(), "a Binary stands for one attachment");
    assert!(inline > 20 && linked > 20);
}

#[test]
fn the_report_counts_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    let report = write(&SampleOptions { patients: 40, seed: 3 }, folder.path()).unwrap();
    let counted = read(folder.path());
    assert_eq!(report.len(), 24);
    assert_eq!(report.len(), counted.len());
    for (kind, count) in &report {
        assert_eq!(counted[&format!("{kind}.ndjson")].lines().count() as u64, *count);
    }
    assert_eq!(report["Patient"], 40);
    let of_patients: u64 = report.values().sum::<u64>() / 40;
    assert!((40..=60).contains(&of_patients), "{of_patients} resources a patient");
}

#[test]
fn groups_have_half_the_patients_a_few_and_nobody() {
    let groups = parsed(&made(200, 5).into_iter().filter(|(name, _)| name == "Group.ndjson").collect());
    let sizes: BTreeMap<&str, usize> = groups
        .iter()
        .map(|group| (group["id"].as_str().unwrap(), group["member"].as_array().map_or(0, Vec::len)))
        .collect();
    assert!((80..=120).contains(&sizes["group-a"]));
    assert_eq!(sizes["group-b"], 5);
    assert_eq!(sizes["group-empty"], 0);
    for group in &groups {
        assert_eq!(group["quantity"], sizes[group["id"].as_str().unwrap()]);
    }
}

#[test]
fn the_content_is_awkward_where_it_may_be() {
    let set = made(200, 5);
    let everything: String = set.values().map(String::as_str).collect();
    for piece in
        ["\\\"", "\\n", "\\t", "\\\\", "é", "e\u{301}", "田中", "حداد", "👩🏽\u{200d}🚀", "\"comparator\":\">\"", "&amp;"]
    {
        assert!(everything.contains(piece), "nothing holds {piece}");
    }
    for piece in ["\"component\":[", "\"valueString\":", "\"valueCodeableConcept\":", "\"dataAbsentReason\":"] {
        assert!(set["Observation.ndjson"].contains(piece), "no observation has {piece}");
    }
    let has_trailing_zero = |value: &str| {
        let number = value.split([',', '}']).next().unwrap_or_default();
        number.contains('.') && number.ends_with('0')
    };
    assert!(set["Observation.ndjson"].split("\"value\":").any(has_trailing_zero));
    assert!(set["Provenance.ndjson"].contains("{\"reference\":\"Patient/"));
}

#[test]
fn without_patients_there_is_a_directory_and_empty_groups() {
    let set = made(0, 1);
    assert!(set.contains_key("Practitioner.ndjson"));
    assert!(!set.contains_key("Patient.ndjson"));
    assert!(!set["Group.ndjson"].contains("member"));
}

#[test]
fn a_folder_with_ndjson_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("older.NDJSON"), "").unwrap();
    let refusal = write(&SampleOptions { patients: 1, seed: 1 }, folder.path()).unwrap_err();
    assert!(refusal.to_string().contains("already holds NDJSON"), "{refusal}");
    assert_eq!(read(folder.path()).len(), 1);
}

/// The set's files by name, in a folder that was not there before.
fn made(patients: u32, seed: u64) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("deep/down");
    write(&SampleOptions { patients, seed }, &folder).unwrap();
    read(&folder)
}

fn read(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn parsed(set: &BTreeMap<String, String>) -> Vec<Value> {
    set.values().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn digest(set: &BTreeMap<String, String>) -> String {
    let mut digest = Sha256::new();
    for (name, text) in set {
        digest.update(name);
        digest.update(text);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn address(resource: &Value) -> String {
    format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap())
}

/// Shows every object within a value.
fn visit(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| visit(value, see));
        }
        Value::Array(values) => values.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}

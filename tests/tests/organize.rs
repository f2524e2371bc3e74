//! `organizeOutputBy=Patient`: blocks of patients, over HTTP.

use std::collections::BTreeMap;

use ehi_tests::{
    records::{folder, group, observation, parse, patient, resource},
    requirement,
    server::Server,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Three patients and one who is only referred to, in files that keep nobody's lines together; a shared resource, one that
/// is nobody's, an older version, and a line that is no resource.
fn records() -> TempDir {
    let actor = |id: &str| json!({ "actor": { "reference": format!("Patient/{id}") } });
    let shared = resource("Appointment", "shared", json!({ "participant": [actor("p1"), actor("p2")] }));
    let dated = |value: &str, updated: &str| {
        let members =
            json!({ "subject": { "reference": "Patient/p1" }, "meta": { "lastUpdated": updated }, "language": value });
        resource("Condition", "c1", members)
    };
    let many: Vec<String> = (0..40).map(|number| observation(&format!("many{number}"), "p3")).collect();
    folder(&[
        (
            "a.ndjson",
            &[observation("o1", "p1"), observation("o2", "p2"), shared, observation("ghost", "p4"), "{".into()],
        ),
        (
            "b.ndjson",
            &[dated("old", "2020-01-01T00:00:00Z"), patient("p3"), patient("p1"), dated("new", "2021-01-01T00:00:00Z")],
        ),
        ("c.ndjson", &[patient("p2"), resource("Organization", "h1", json!({})), group("g", &["p1", "p3"])]),
        ("d.ndjson", &many),
    ])
}

/// What a client finds in the blocks: the resources of each patient, `Type/id`, in the order of the files.
fn blocks(server: &Server, manifest: &Value) -> BTreeMap<String, Vec<String>> {
    let mut blocks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut continued: Option<(String, String)> = None;
    for (item, reply) in server.files(manifest, "output") {
        assert_eq!(item.get("type"), None);
        let text = String::from_utf8(reply.body).unwrap();
        let (mut patient, mut resources) = (None, 0);
        for line in text.lines() {
            let resource = parse(line);
            if resource["resourceType"] == "Parameters" {
                let parameters = resource["parameter"].as_array().unwrap();
                let [parameter] = parameters.as_slice() else { panic!("{line}") };
                assert_eq!(parameter["name"], "header");
                let begun = parameter["valueReference"]["reference"].as_str().unwrap().to_owned();
                match continued.take() {
                    Some(expected) => assert_eq!(expected, (item["url"].as_str().unwrap().to_owned(), begun.clone())),
                    None => assert!(!blocks.contains_key(&begun), "{begun} has two blocks"),
                }
                blocks.entry(begun.clone()).or_default();
                patient = Some(begun);
                continue;
            }
            resources += 1;
            let block = blocks.get_mut(patient.as_ref().expect("a header first")).unwrap();
            block.push(format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap()));
        }
        assert_eq!(item["count"], resources, "headers are no resources");
        if let Some(next) = item.get("continuesInFile") {
            continued = Some((next.as_str().unwrap().to_owned(), patient.unwrap()));
        }
    }
    assert_eq!(continued, None, "every block ends");
    blocks
}

#[test]
fn each_patient_has_a_block_and_it_is_the_compartment() {
    let data = records();
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export?organizeOutputBy=Patient");
    assert_eq!(manifest["outputOrganizedBy"], "Patient");
    assert_eq!(manifest["output"].as_array().unwrap().len(), 1, "several blocks in one file");
    let found = blocks(&server, &manifest);
    assert_eq!(found["Patient/p1"], ["Patient/p1", "Observation/o1", "Appointment/shared", "Condition/c1", "Group/g"]);
    assert_eq!(found["Patient/p2"], ["Patient/p2", "Observation/o2", "Appointment/shared"]);
    assert_eq!(found["Patient/p3"].len(), 42);
    assert_eq!(found["Patient/p3"][0], "Patient/p3", "though it stands elsewhere");
    assert_eq!(found["Patient/p4"], ["Observation/ghost"], "a header says whose it is, and there is no Patient");
    assert_eq!(found.len(), 4);
    let reported: Vec<Value> = server.lines(&manifest, "error").iter().map(|line| parse(line)).collect();
    let said: Vec<_> = reported.iter().map(|outcome| outcome["issue"][0]["diagnostics"].as_str().unwrap()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().any(|text| text.starts_with("a.ndjson from byte ")), "{said:?}");
    assert!(said.iter().any(|text| text.starts_with("b.ndjson from byte 0, line 1: another version")), "{said:?}");
    assert!(manifest["extension"]["leftOut"].as_str().unwrap().contains("no patient's compartment"));
    requirement!(server, "BD-ORG-02", "BD-ORG-04", "BD-ORG-05", "BD-ORG-08");
}

#[test]
fn a_block_holds_what_the_level_lets_out_of_a_compartment() {
    let data = records();
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("Group/g/$export?organizeOutputBy=Patient");
    let found = blocks(&server, &manifest);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["Patient/p1", "Patient/p3"]);
    assert_eq!(
        found["Patient/p1"],
        ["Patient/p1", "Observation/o1", "Condition/c1", "Group/g"],
        "what is shared is withheld"
    );
    let (_, manifest) = server.export("Patient/p2/$export?organizeOutputBy=Patient&_type=Observation");
    assert_eq!(blocks(&server, &manifest)["Patient/p2"], ["Observation/o2"], "a block goes by its header");
    requirement!(server, "BD-ORG-09");
}

#[test]
fn a_manifest_says_how_output_is_organised() {
    let data = records();
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export("$export?organizeOutputBy=Patient");
    assert_eq!(manifest["outputOrganizedBy"], "Patient");
    let items = manifest["output"].as_array().unwrap();
    assert!(items.iter().all(|item| item.get("type").is_none()));
    let found = blocks(&server, &manifest);
    let resources: usize = found.values().map(Vec::len).sum();
    assert_eq!(items.iter().map(|item| item["count"].as_u64().unwrap()).sum::<u64>(), resources as u64);
    let (_, manifest) = server.export("$export");
    assert_eq!(manifest.get("outputOrganizedBy"), None);
    for (item, reply) in server.files(&manifest, "output") {
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.lines().all(|line| parse(line)["resourceType"] == item["type"]), "one type in a file");
    }
    requirement!(server, "BD-ORG-03", "BD-MAN-10", "BD-MAN-12", "BD-MAN-13", "BD-MAN-15");
}

#[test]
fn a_block_is_split_only_if_it_is_larger_than_a_file() {
    let data = records();
    let server = Server::start(data.path(), &["--shard-resources", "10"]);
    let (_, manifest) = server.export("$export?organizeOutputBy=Patient");
    let found = blocks(&server, &manifest);
    assert_eq!(found["Patient/p3"].len(), 42);
    let items = manifest["output"].as_array().unwrap();
    let continued: Vec<usize> =
        (0..items.len()).filter(|place| items[*place].get("continuesInFile").is_some()).collect();
    assert_eq!(
        continued,
        [0, 1, 2, 3],
        "ten of the large block in each, after the small ones; the rest goes on with them"
    );
    for place in continued {
        assert_eq!(items[place]["continuesInFile"], items[place + 1]["url"]);
    }
    requirement!(server, "BD-ORG-06", "BD-ORG-07", "BD-MAN-16");
}

#[test]
fn other_organisations_are_refused_by_name() {
    let data = records();
    let server = Server::start(data.path(), &[]);
    for (query, parameter, said) in [
        ("organizeOutputBy=Encounter", "organizeOutputBy", "by `Patient` only"),
        ("organizeOutputBy=Nothing", "organizeOutputBy", "names no resource type"),
        (
            "organizeOutputBy=Patient&includeAssociatedData=RelevantProvenanceResources",
            "includeAssociatedData",
            "together with `organizeOutputBy`",
        ),
    ] {
        let refused = server.get(&format!("Patient/$export?{query}"));
        assert_eq!((refused.status, refused.expressions()), (400, vec![parameter.to_owned()]), "{query}");
        assert!(refused.outcome().contains(said), "{}", refused.outcome());
    }
    let (_, manifest) = server.finish(&server.get_leniently("$export?organizeOutputBy=Encounter&_type=Patient"));
    assert_eq!(manifest.get("outputOrganizedBy"), None);
    assert_eq!(manifest["output"][0]["type"], "Patient");
    let twice = server.get("$export?organizeOutputBy=Patient&organizeOutputBy=Patient");
    assert_eq!(twice.status, 400);
    requirement!(server, "BD-ORG-01");

    let server = Server::start(data.path(), &["--edition", "2"]);
    let refused = server.get("$export?organizeOutputBy=Patient");
    assert_eq!((refused.status, refused.expressions()), (400, vec!["organizeOutputBy".to_owned()]));
    assert!(refused.outcome().contains("it came with 3.0"), "{}", refused.outcome());
}

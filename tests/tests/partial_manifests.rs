//! Manifests in pages, the first of them while the export runs (`allowPartialManifests`).

use std::{collections::BTreeMap, thread};

use ehi_tests::{
    http::Reply,
    records::ward,
    requirement,
    server::{MANY_FILES, POLL_INTERVAL, Server, sample},
    tokens::settings,
};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

const TARGET: &str = "$export?allowPartialManifests=true";

#[test]
fn a_running_export_tells_of_files_that_are_there() {
    let (server, _data, _settings) = paging("4.0-ballot");
    let (location, running) = catch_page(&server);
    assert_eq!((running.status, running.header("content-type")), (202, Some("application/json")));
    assert!(running.header("x-progress").is_some() && running.header("retry-after").is_some());
    let first = running.json();
    assert!(!first["output"].as_array().unwrap().is_empty());
    // Fetched at once, while the export goes on.
    let early: BTreeMap<String, Vec<u8>> = files(&server, &first);
    requirement!(server, "BD-PART-02", "BD-PART-03");

    let complete = server.poll(&location);
    assert_eq!(complete.status, 200);
    assert_eq!(without(complete.json(), &["link"]), without(first, &["link"]), "a page that was seen does not change");
    for (url, bytes) in early {
        let again = server.get(&server.target_of(&url));
        assert!(again.status == 200 && again.body == bytes, "{url}");
    }
    requirement!(server, "BD-PART-04", "BD-PART-05");
}

#[test]
fn every_page_of_3_0_lists_all_errors_and_so_none_is_there_before_them() {
    let (server, data, _settings) = paging("3.0");
    std::fs::write(data.path().join("spoilt.ndjson"), "[]\n".repeat(20)).unwrap();
    let (location, running) = server.catch_running(TARGET);
    assert_eq!((running.status, running.body.as_slice()), (202, &b""[..]));
    let first = server.poll(&location).json();
    let errors = first["error"].as_array().expect("an array").clone();
    assert!(errors.len() > 1, "{errors:?}");
    assert_eq!(server.lines(&first, "error").len(), 20);
    let pages = pages(&server, first);
    assert!(pages.len() > 2, "{} pages", pages.len());
    let differ = ["output", "deleted", "link"];
    for page in &pages {
        assert_eq!(page["error"], json!(errors));
        assert_eq!(without(page.clone(), &differ), without(pages[0].clone(), &differ));
    }
    requirement!(server, "BD-MAN-27");
}

#[test]
fn all_pages_together_are_the_export() {
    let (server, _data, _settings) = paging("3.0");
    let (_, whole) = server.export("$export");
    assert_eq!(whole.get("link"), None, "who does not ask for pages gets none");
    let (location, first) = server.export(TARGET);
    let pages = pages(&server, first);
    assert!(pages.len() > 2, "{} pages", pages.len());
    for page in &pages {
        let links = page.get("link").map(|links| links.as_array().expect("an array").len());
        assert!(matches!(links, None | Some(1)));
        assert!(page["output"].as_array().unwrap().len() <= 3);
    }
    let urls =
        pages.iter().flat_map(|page| page["output"].as_array().unwrap()).map(|item| item["url"].as_str().unwrap());
    let mut urls: Vec<&str> = urls.collect();
    let listed = urls.len();
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(urls.len(), listed, "no file is on two pages");
    let mut lines: Vec<String> = pages.iter().flat_map(|page| server.lines(page, "output")).collect();
    let mut expected = server.lines(&whole, "output");
    lines.sort_unstable();
    expected.sort_unstable();
    assert!(lines == expected, "the lines of all pages are not those of the whole export");
    requirement!(server, "BD-MAN-26");

    // A page is as reachable as the export.
    let next = server.target_of(pages[0]["link"][0]["url"].as_str().unwrap());
    assert_eq!(server.get(&next).status, 200);
    assert_eq!(server.get(&format!("{location}/manifests/9999")).status, 404);
    assert_eq!(server.delete(&location).status, 202);
    let gone = server.get(&next);
    assert_eq!(gone.status, 404);
    assert!(!gone.outcome().is_empty());
    requirement!(server, "BD-MAN-28");
}

#[test]
fn a_deployment_without_pages_answers_with_one_manifest() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let (_, manifest) = server.export(TARGET);
    assert_eq!(manifest.get("link"), None);
    assert!(!server.lines(&manifest, "output").is_empty());
    requirement!(server, "BD-PART-01");
}

/// A server of that edition that cuts a page after three files, and many files.
fn paging(edition: &str) -> (Server, TempDir, NamedTempFile) {
    let data = sample(20, 1);
    let pages = json!({ "files": 3, "seconds": 60 });
    let settings = settings(&json!({ "edition": edition, "partialManifests": pages, "attachments": "link" }));
    let arguments = [&MANY_FILES[..], &["--config", settings.path().to_str().unwrap()]].concat();
    (Server::start(data.path(), &arguments), data, settings)
}

/// Kicks off by POST until an export is seen running that has a page already; polling location and that answer.
fn catch_page(server: &Server) -> (String, Reply) {
    let allowed = json!([{ "name": "allowPartialManifests", "valueBoolean": true }]);
    for _ in 0..50 {
        let location = server.accepted(&server.post("$export", &allowed));
        loop {
            let reply = server.get(&location);
            match reply.status {
                202 if !reply.body.is_empty() => return (location, reply),
                202 | 429 => thread::sleep(POLL_INTERVAL),
                _ => break,
            }
        }
        assert_eq!(server.delete(&location).status, 202);
    }
    panic!("no export was seen running with a page");
}

/// All pages, from the first on.
fn pages(server: &Server, first: Value) -> Vec<Value> {
    let mut pages = vec![first];
    while let Some(link) = pages.last().and_then(|page| page.get("link")).cloned() {
        assert_eq!(link[0]["relation"], "next");
        let reply = server.get(&server.target_of(link[0]["url"].as_str().unwrap()));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        pages.push(reply.json());
        assert!(pages.len() < 1000, "pages without end");
    }
    pages
}

/// Every file of a manifest by its URL; each must be there.
fn files(server: &Server, manifest: &Value) -> BTreeMap<String, Vec<u8>> {
    let sections = ["output", "deleted", "outcome"].into_iter().filter(|section| manifest.get(section).is_some());
    let listed = sections.flat_map(|section| server.files(manifest, section));
    listed.map(|(item, reply)| (item["url"].as_str().unwrap().to_owned(), reply.body)).collect()
}

fn without(mut manifest: Value, members: &[&str]) -> Value {
    let all = manifest.as_object_mut().expect("an object");
    members.iter().for_each(|member| drop(all.remove(*member)));
    manifest
}

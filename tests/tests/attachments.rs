//! Attachments over HTTP: their URLs can be followed like those of files, and lead to nothing else.

use std::thread;

use ehi_tests::{
    requirement,
    server::{Server, data},
    tokens::tokens,
};
use serde_json::{Value, json};

const DATA: &str = r#"{"resourceType":"Group","id":"g1","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p1"}}]}
{"resourceType":"Patient","id":"p1","photo":[{"contentType":"image/png","url":"Binary/photo"}]}
{"resourceType":"Patient","id":"p2","photo":[{"contentType":"image/png","url":"Binary/other"}]}
{"resourceType":"DiagnosticReport","id":"r1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"},"presentedForm":[{"contentType":"text/html","url":"Binary/page"},{"contentType":"text/plain","data":"aGkK"},{"contentType":"text/plain","url":"https://other.example/fhir/Binary/page"},{"contentType":"text/plain","url":"Binary/other"}]}
{"resourceType":"Binary","id":"photo","contentType":"image/png","securityContext":{"reference":"Patient/p1"},"data":"iVBORw0KGgo="}
{"resourceType":"Binary","id":"page","contentType":"text/html","securityContext":{"reference":"DiagnosticReport/r1"},"data":"PHNjcmlwdD4="}
{"resourceType":"Binary","id":"other","contentType":"image/png","securityContext":{"reference":"Patient/p2"},"data":"b3RoZXI="}
{"resourceType":"Binary","id":"unlinked","contentType":"text/plain","securityContext":{"reference":"Patient/p1"},"data":"aGkK"}
{"resourceType":"Binary","id":"form","contentType":"text/plain","data":"Zm9ybQ=="}
"#;

/// The Attachments of an exported line, at a place.
fn attachments(lines: &[String], resource_type: &str, pointer: &str) -> Vec<Value> {
    let resources = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_type = resources.filter(|resource| resource["resourceType"] == resource_type);
    of_type
        .flat_map(|resource| resource.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default())
        .collect()
}

#[test]
fn the_urls_of_attachments_can_be_followed() {
    let data = data(&[("all.ndjson", DATA)]);
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("Group/g1/$export");
    assert_eq!((&manifest["requiresAccessToken"], &manifest["error"]), (&false.into(), &json!([])));
    let lines = server.lines(&manifest, "output");
    let photo = &attachments(&lines, "Patient", "/photo")[0];
    let url = photo["url"].as_str().unwrap();
    assert_eq!(url, format!("http://{}{location}/files/attachment-photo", server.address));
    // No header but what HTTP itself needs.
    let reply = server.send("GET", &server.target_of(url), &[], "");
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"\x89PNG\r\n\x1a\n".as_slice()));
    assert_eq!(reply.header("content-type"), Some("image/png"));
    assert_eq!(reply.header("content-disposition"), Some("attachment"));
    assert_eq!(reply.header("content-security-policy"), Some("sandbox"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let part = server.send("GET", &server.target_of(url), &[("Range", "bytes=1-3")], "");
    assert_eq!((part.status, part.body.as_slice()), (206, b"PNG".as_slice()));
    let head = server.send("HEAD", &server.target_of(url), &[], "");
    assert_eq!((head.status, head.header("content-length")), (200, Some("8")));

    let forms = attachments(&lines, "DiagnosticReport", "/presentedForm");
    let page = server.get(&server.target_of(forms[0]["url"].as_str().unwrap()));
    assert_eq!((page.status, page.body.as_slice()), (200, b"<script>".as_slice()));
    assert_eq!(page.header("content-type"), Some("application/octet-stream"), "nothing a browser would run");
    assert_eq!(forms[1], json!({"contentType":"text/plain","data":"aGkK"}));
    assert_eq!(forms[2]["url"], "https://other.example/fhir/Binary/page");
    for attachment in forms.iter().chain([photo]) {
        assert!(attachment["contentType"].is_string());
        assert!(attachment["data"].is_string() || attachment["url"].as_str().unwrap().starts_with("http"));
    }
    assert!(manifest["output"].as_array().unwrap().iter().all(|item| item["type"].is_string()), "none is listed");
    requirement!(server, "BD-ATT-01", "BD-ATT-02", "BD-ATT-04", "BD-ATT-05");
}

#[test]
fn the_token_that_opens_the_files_opens_attachments() {
    let data = data(&[("all.ndjson", DATA)]);
    let tokens =
        tokens(&[("app", json!({ "scopes": ["system/*.rs"] })), ("stranger", json!({ "scopes": ["system/*.rs"] }))]);
    let server = Server::start_with_tokens(data.path(), tokens.path(), None, &[]);
    server.bear("app");
    let (_, manifest) = server.export("Group/g1/$export");
    assert_eq!(manifest["requiresAccessToken"], true);
    let photo = &attachments(&server.lines(&manifest, "output"), "Patient", "/photo")[0];
    let target = server.target_of(photo["url"].as_str().unwrap());
    assert_eq!(server.get(&target).status, 200);
    server.bear("stranger");
    assert_eq!(server.get(&target).status, 404);
    server.bear_none();
    assert_eq!(server.get(&target).status, 401);
    requirement!(server, "BD-ATT-03");
}

#[test]
fn no_other_binary_can_be_fetched() {
    let data = data(&[("all.ndjson", DATA)]);
    let server = Server::start(data.path(), &[]);
    let (location, manifest) = server.export("Group/g1/$export?_type=DiagnosticReport,DocumentReference");
    assert_eq!(server.get(&format!("{location}/files/attachment-page")).status, 200);
    // Of another patient though linked, not linked, not exported, not there.
    for id in ["other", "unlinked", "photo", "form", "none", "../x", "page/../page"] {
        let reply = server.get(&format!("{location}/files/attachment-{id}"));
        assert_eq!(reply.status, 404, "{id}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("other"));
    }
    for target in ["Binary/page", "bulk/attachment-page", "files/attachment-page"] {
        assert_eq!(server.get(target).status, 404, "{target}");
    }
    let documents = server.lines(&manifest, "output");
    assert_eq!(attachments(&documents, "DocumentReference", "/content").len(), 3);
    // With the export go its attachments.
    assert_eq!(server.delete(&location).status, 202);
    assert_eq!(server.get(&format!("{location}/files/attachment-page")).status, 404);
    requirement!(server, "BD-ATT-05");
}

#[test]
fn a_patients_binary_is_exported_as_a_document() {
    let data = data(&[("all.ndjson", DATA)]);
    let server = Server::start(data.path(), &[]);
    let of_group = server.exported("Group/g1/$export?_type=DocumentReference");
    let documents: Vec<Value> = of_group.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = documents.iter().map(|document| document["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["binary-photo", "binary-unlinked", "binary-page"]);
    for document in &documents {
        let attachment = &document["content"][0]["attachment"];
        assert!(attachment["contentType"].is_string() && attachment["data"].is_string());
        assert_eq!(document["status"], "current");
    }
    assert_eq!(documents[0]["subject"]["reference"], "Patient/p1");
    assert_eq!(documents[2]["context"]["related"][0]["reference"], "DiagnosticReport/r1");
    let everything = server.exported("$export");
    let binaries: Vec<_> = everything.iter().filter(|line| line.contains(r#""resourceType":"Binary""#)).collect();
    assert_eq!(binaries, [DATA.lines().last().unwrap()]);
    assert_eq!(everything.iter().filter(|line| line.contains(r#""id":"binary-"#)).count(), 4);
    requirement!(server, "BD-KICK-11", "BD-KICK-12", "BD-ATT-01");
}

#[test]
fn links_may_lead_where_they_led() {
    let data = data(&[("all.ndjson", DATA)]);
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), r#"{"attachments":"link"}"#).unwrap();
    let server = Server::start(data.path(), &["--config", settings.path().to_str().unwrap()]);
    let (location, manifest) = server.export("Patient/p1/$export?_type=Patient");
    let photo = &attachments(&server.lines(&manifest, "output"), "Patient", "/photo")[0];
    assert_eq!(photo["url"], format!("{}/Binary/photo", server.base));
    assert_eq!(server.get(&format!("{location}/files/attachment-photo")).status, 404);
    requirement!(server, "BD-ATT-02");
}

#[test]
fn an_export_that_was_killed_serves_every_attachment() {
    let mut text = String::from("{\"resourceType\":\"Patient\",\"id\":\"p1\"}\n");
    for number in 0..150 {
        text += &format!(
            "{{\"resourceType\":\"Media\",\"id\":\"m{number}\",\"status\":\"completed\",\"subject\":{{\"reference\":\"Patient/p1\"}},\"content\":{{\"url\":\"Binary/b{number}\"}}}}\n{{\"resourceType\":\"Binary\",\"id\":\"b{number}\",\"contentType\":\"text/plain\",\"data\":\"aGkK\"}}\n"
        );
    }
    let data = data(&[("all.ndjson", &text)]);
    let state = tempfile::TempDir::new().unwrap();
    for delay in [60, 150, 300] {
        let server = Server::start_in(data.path(), state.path(), &[]);
        let location = server.kick_off("$export?_type=Media");
        thread::sleep(std::time::Duration::from_millis(delay));
        server.kill();
        let server = Server::start_in(data.path(), state.path(), &[]);
        let manifest = server.poll(&location).json();
        let urls: Vec<_> = server.lines(&manifest, "output");
        assert_eq!(urls.len(), 150);
        for line in urls {
            let media: Value = serde_json::from_str(&line).unwrap();
            // The address is that of the kick-off; a server that is started again listens at another port here.
            let (_, target) = media["content"]["url"].as_str().unwrap().split_once("/fhir/").unwrap();
            let reply = server.get(target);
            assert_eq!((reply.status, reply.body.as_slice()), (200, b"hi\n".as_slice()), "killed after {delay} ms");
        }
        assert_eq!(server.delete(&location).status, 202);
        server.kill();
    }
}

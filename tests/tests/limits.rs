//! What one client may ask of a server: limits that hold, and answers that say so.

use std::{thread, time::Duration};

use ehi_tests::{
    records::ward,
    requirement,
    server::{KICK_OFF_HEADERS, MANY_FILES, Server, sample},
};
use serde_json::json;

#[test]
fn jobs_parameters_and_polls_are_bounded() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &[&MANY_FILES[..], &["--jobs", "2"]].concat());
    let kick_offs: Vec<u16> = (0..4).map(|_| server.get("$export").status).collect();
    assert_eq!(kick_offs, [202, 202, 429, 429]);

    let query = vec!["_type=Patient"; 1001].join("&");
    let many = server.get(&format!("$export?{query}"));
    assert_eq!((many.status, many.outcome()), (400, "more than 1000 parameters".to_owned()));
    let parameters = vec![json!({ "name": "_type", "valueString": "Patient" }); 1001];
    assert_eq!(server.post("$export", &json!(parameters)).status, 400);

    let long = server.get(&format!("$export?_type={}", "Patient,".repeat(10_000)));
    assert_eq!(long.status, 414);
    let filter = format!("$export?_typeFilter=Patient%3F{}", vec!["name=x"; 201].join("%26"));
    assert_eq!(server.get(&filter).expressions(), ["_typeFilter"]);

    let location = server.accepted(&accepted(&server));
    let polls: Vec<u16> = (0..6).map(|_| server.get(&location).status).collect();
    assert!(polls[1..].contains(&429), "{polls:?}");
    requirement!(server, "BD-SEC-10");
}

#[test]
fn a_body_is_bounded() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let headers = [KICK_OFF_HEADERS[0], ("Content-Type", "application/fhir+json")];
    let body = |bytes: usize| {
        let empty = r#"{"resourceType":"Parameters","parameter":[]}"#;
        format!("{empty}{}", " ".repeat(bytes - empty.len()))
    };
    assert_eq!(server.send("POST", "$export", &headers, &body(1 << 20)).status, 202);
    let refused = server.send("POST", "$export", &headers, &body((1 << 20) + 1));
    assert_eq!(refused.status, 413);
    assert_eq!(refused.outcome(), "the request body is longer than 1048576 bytes");
}

#[test]
fn a_request_line_is_bounded() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let long = |bytes: usize| server.get(&format!("$export?_typeFilter=Patient%3Fbirthdate%3D{}", "x".repeat(bytes)));
    assert_eq!(long(30_000).expressions(), ["_typeFilter"]);
    let refused = long(40_000);
    assert_eq!(refused.status, 414);
    assert!(!refused.outcome().is_empty());
}

#[test]
fn headers_are_bounded() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let send = |count: usize| server.send("GET", "metadata", &vec![("X-Filler", "1"); count], "");
    // Host and Connection are headers too.
    assert_eq!(send(60).status, 200);
    let refused = send(80);
    assert_eq!(refused.status, 431);
    assert!(!refused.outcome().is_empty());
}

/// An accepted kick-off, as soon as there is room for one.
fn accepted(server: &Server) -> ehi_tests::http::Reply {
    loop {
        let reply = server.get("$export");
        if reply.status == 202 {
            return reply;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

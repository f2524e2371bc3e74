//! The headers of a kick-off: what may be missing, how `Prefer` is written, and whom the server answers.

use ehi_core::{
    Endpoint,
    access::Principal,
    endpoint::{Auth, EndpointConfig, Route},
    http::Request,
};
use ehi_tests::{
    records::{names, set, ward},
    requirement,
    server::{KICK_OFF_HEADERS, Server},
};

#[test]
fn a_missing_accept_is_taken_for_fhir_json() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "20"]);
    for headers in [&[PREFER][..], &[PREFER, ("Accept", "application/fhir+json")]] {
        let reply = server.send("GET", "$export?_type=Patient", headers, "");
        assert_eq!(reply.status, 202);
        assert_eq!(reply.header("content-type"), Some("application/fhir+json"));
        let (_, manifest) = server.finish(&reply);
        assert_eq!(names(&server.lines(&manifest, "output")), set(&["Patient/p1", "Patient/p2"]));
    }
    // The other policy can be chosen where the endpoint is configured.
    let strict =
        EndpointConfig { accept_required: true, ..EndpointConfig::new("https://ehr.example/fhir", Auth::None) };
    assert_eq!(status(strict, &[PREFER]), 406);
    requirement!(server, "BD-HDR-02");
}

#[test]
fn a_missing_prefer_is_taken_for_respond_async() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "20"]);
    for headers in [&[ACCEPT][..], &[ACCEPT, ("Prefer", "return=minimal")], &[]] {
        let reply = server.send("GET", "$export?_type=Patient", headers, "");
        assert_eq!(reply.status, 202);
        let (_, manifest) = server.finish(&reply);
        assert_eq!(names(&server.lines(&manifest, "output")), set(&["Patient/p1", "Patient/p2"]));
    }
    let strict =
        EndpointConfig { prefer_required: true, ..EndpointConfig::new("https://ehr.example/fhir", Auth::None) };
    assert_eq!(status(strict, &[ACCEPT]), 400);
    requirement!(server, "BD-HDR-04");
}

#[test]
fn an_accept_that_excludes_fhir_json_is_refused() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "20"]);
    for accept in ["application/fhir+xml", "text/html", "application/fhir+ndjson", "image/*"] {
        let reply = server.send("GET", "$export", &[PREFER, ("Accept", accept)], "");
        assert_eq!(reply.status, 406, "{accept}");
        assert_eq!(reply.expressions(), ["Accept"]);
        assert!(!reply.outcome().is_empty());
    }
    for accept in
        ["*/*", "application/json", "application/*;q=0.5", "text/html, Application/FHIR+JSON;fhirVersion=4.0;q=0.9"]
    {
        assert_eq!(server.send("GET", "$export", &[PREFER, ("Accept", accept)], "").status, 202, "{accept}");
    }
}

#[test]
fn prefer_is_read_in_every_spelling() {
    let data = ward();
    let server = Server::start(data.path(), &["--jobs", "50"]);
    let status = |prefer: &[&str]| {
        let headers: Vec<_> = prefer.iter().map(|value| ("Prefer", *value)).collect();
        server.send("GET", "$export?surprise=1", &headers, "").status
    };
    for lenient in [
        &["respond-async, handling=lenient"][..],
        &["respond-async,handling=lenient"],
        &["handling=lenient, respond-async"],
        &["respond-async", "handling=lenient"],
        &["handling=lenient", "respond-async"],
        &["Respond-Async; wait=10, Handling = \"lenient\""],
        &["respond-async, handling=lenient; x=y"],
        &["return=minimal, respond-async, HANDLING=Lenient"],
        &["handling=lenient"],
    ] {
        assert_eq!(status(lenient), 202, "{lenient:?}");
    }
    for strict in [
        &["respond-async"][..],
        &["respond-async, handling=strict"],
        &["respond-async, handling=lenientx"],
        &["respond-async, xhandling=lenient"],
        &["respond-async; handling=lenient"],
        &["handling=strict, handling=lenient"],
    ] {
        assert_eq!(status(strict), 400, "{strict:?}");
    }
    let lower = server.send("GET", "$export?surprise=1", &[("prefer", "handling=lenient")], "");
    assert_eq!(lower.status, 202);
    requirement!(server, "BD-HDR-09");
}

#[test]
fn a_preference_that_is_not_supported_is_not_said_to_be_applied() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let prefer = ("Prefer", "respond-async, separate-export-status");
    let reply = server.send("GET", "$export", &[ACCEPT, prefer], "");
    assert_eq!((reply.status, reply.header("preference-applied")), (202, None));
    // So the status is told by the status code, as without the preference.
    let complete = server.poll(&server.accepted(&reply));
    assert_eq!((complete.status, complete.header("x-export-status")), (200, None));
}

/// A server without authorisation that answered to any name could be read by any web page.
#[test]
fn no_other_host_name_is_answered() {
    let data = ward();
    let server = Server::start(data.path(), &[]);
    let port = server.address.rsplit(':').next().unwrap();
    for target in ["metadata", "$export", "bulk/00000000000000000000000000000000"] {
        for host in ["ehr.example", &format!("rebound.example:{port}"), "127.0.0.1", "localhost", ""] {
            let reply = server.send("GET", target, &[("Host", host)], "");
            assert_eq!(reply.status, 421, "{target} at `{host}`");
            assert!(!reply.outcome().is_empty());
        }
    }
    for host in [server.address.clone(), format!("localhost:{port}"), format!("LOCALHOST:{port}")] {
        let reply = server.send("GET", "$export", &[("Host", &host)], "");
        assert_eq!(reply.status, 202, "{host}");
        // Addresses come from the configuration, whatever name the client used.
        server.target_of(reply.header("content-location").unwrap());
    }
    // The name in a target in absolute form counts, whatever the header says (RFC 9112 §3.2.2).
    let host = ("Host", server.address.as_str());
    let absolute = format!("http://rebound.example:{port}/fhir/metadata");
    let reply = ehi_tests::http::send(&server.address, "GET", &absolute, &[host], b"").unwrap();
    assert_eq!(reply.status, 421);
}

#[test]
fn web_pages_are_let_in_only_when_told() {
    let data = ward();
    let cors = |server: &Server, target: &str| {
        let reply = server.send("GET", target, &[("Origin", "http://localhost:5173")], "");
        reply.headers.into_iter().filter(|(name, _)| name.starts_with("access-control-")).collect::<Vec<_>>()
    };
    let server = Server::start(data.path(), &[]);
    for target in ["metadata", "$export", "nothing"] {
        assert_eq!(cors(&server, target), []);
    }
    let server = Server::start(data.path(), &["--cors", "http://localhost:5173"]);
    for target in ["metadata", "$export", "nothing"] {
        let headers = cors(&server, target);
        let value = |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
        assert_eq!(value("access-control-allow-origin"), Some("http://localhost:5173"));
        assert!(value("access-control-expose-headers").unwrap().contains("content-location"), "{headers:?}");
    }
}

/// What an endpoint of that configuration makes of a kick-off; 202 if it goes on.
fn status(config: EndpointConfig, headers: &[(&str, &str)]) -> u16 {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = Request { method: "GET", target: "/fhir/$export", headers: &headers, body: b"" };
    match Endpoint::new(config).unwrap().route(&request, &Principal::Open) {
        Route::Respond(response) => response.status,
        Route::KickOff(_) => 202,
        Route::Job(_) | Route::LookUp(_) => panic!("a kick-off is nothing else"),
    }
}

const ACCEPT: (&str, &str) = KICK_OFF_HEADERS[0];
const PREFER: (&str, &str) = KICK_OFF_HEADERS[1];

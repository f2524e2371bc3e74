//! A privacy sentinel: marked patient data are driven through everything, and nothing of them may be heard in a log, an
//! error text, an OperationOutcome, a header, a URL or an audit event. First it proves that it hears.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is how tests fail"
)]

mod channels;
mod client;
mod data;
mod errors;
mod requests;
mod server;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use channels::{Channel, ID, MARK, NAME, Sentinel, carries};
use ehi_core::{
    Endpoint, Timestamp,
    access::Principal,
    audit,
    endpoint::{Auth, EndpointConfig},
    http::{Request, Response},
    outcome::{Issue, IssueCode, OperationOutcome},
};

/// An error that says too much.
#[derive(Debug)]
struct Chatty(String);

impl fmt::Display for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such patient: {}", self.0)
    }
}

impl std::error::Error for Chatty {}

/// Plants one leak by the way in which the channel is fed, and says where it was heard.
fn planted(channel: Channel, text: &str) -> Vec<Channel> {
    let mut sentinel = Sentinel::default();
    match channel {
        Channel::Log => sentinel.logged("planted", &Some(text)),
        Channel::ErrorText => sentinel.error("planted", &Chatty(text.to_owned())),
        Channel::OperationOutcome => {
            let outcome = OperationOutcome::new(Issue::error(IssueCode::Invalid, format!("not a date: {text}")));
            sentinel.response("planted", &Response::outcome(400, &outcome));
        }
        Channel::Header => sentinel.response("planted", &Response::new(202).with("x-progress", text)),
        Channel::Url => {
            let location = format!("https://ehr.example/fhir/bulk/{text}");
            sentinel.response("planted", &Response::new(202).with("content-location", location));
        }
        Channel::AuditEvent => {
            let endpoint = Endpoint::new(EndpointConfig::new("https://ehr.example/fhir", Auth::None)).unwrap();
            let request = Request { method: "GET", target: "/fhir/nowhere", headers: &[], body: b"" };
            let (principal, response) = (&Principal::Open, &Response::new(404));
            let exchange =
                audit::Exchange { request: &request, principal, peer: None, response, job: None, changed: false };
            let mut events = audit::request(&endpoint, &exchange, Timestamp::from_millis(0));
            sentinel.events("sound", &events);
            assert!(sentinel.leaks().is_empty());
            events[0].details.push(("planted", text.to_owned()));
            sentinel.events("planted", &events);
        }
    }
    sentinel.leaks().iter().map(|(at, ..)| *at).collect()
}

#[test]
fn a_leak_that_is_planted_in_each_channel_is_caught() {
    let hexadecimal: String = MARK.bytes().map(|byte| format!("{byte:02x}")).collect();
    let escaped: String = MARK.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let encoded: String = MARK.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hidden = |before: &str| STANDARD.encode(format!("{before}{MARK} 1970"));
    for channel in Channel::ALL {
        for text in [
            MARK.to_owned(),
            MARK.to_uppercase(),
            format!("Dr.{MARK}-Smith"),
            encoded.clone(),
            hexadecimal.clone(),
            hidden(""),
            hidden("a"),
            hidden("ab"),
        ] {
            let heard = planted(channel, &text);
            assert!(heard.contains(&channel), "{channel:?} {text}: {heard:?}");
        }
        assert_eq!(planted(channel, "a name that is not marked"), [], "{channel:?}");
    }
    assert!(carries(&escaped, MARK));
    // An id is excused in audit events alone, a name in outcomes alone.
    for channel in Channel::ALL {
        assert_eq!(planted(channel, ID).contains(&channel), channel != Channel::AuditEvent);
        assert_eq!(planted(channel, NAME).contains(&channel), channel != Channel::OperationOutcome);
    }
}

#[test]
fn refused_requests_tell_nothing() {
    let mut sentinel = Sentinel::default();
    requests::refused(&mut sentinel);
    settle(&sentinel, &[Channel::Log, Channel::OperationOutcome, Channel::Header, Channel::AuditEvent]);
    // Were these not heard, nothing of theirs would be excused.
    assert!(sentinel.heard_mark(ID, Channel::AuditEvent) && sentinel.heard_mark(NAME, Channel::OperationOutcome));
}

#[test]
fn an_export_through_all_its_states_tells_nothing() {
    let mut sentinel = Sentinel::default();
    server::exports(&mut sentinel);
    settle(&sentinel, &Channel::ALL);
}

#[test]
fn the_writer_tells_of_marked_data_nothing_but_the_data() {
    let mut sentinel = Sentinel::default();
    data::written(&mut sentinel);
    settle(&sentinel, &[Channel::Log, Channel::ErrorText, Channel::OperationOutcome, Channel::Url]);
}

#[test]
fn errors_tell_nothing_of_what_they_are_about() {
    let mut sentinel = Sentinel::default();
    errors::all(&mut sentinel);
    settle(&sentinel, &[Channel::Log, Channel::ErrorText]);
}

#[test]
fn the_client_tells_nothing_of_what_it_asks_and_is_answered() {
    let mut sentinel = Sentinel::default();
    client::fetched(&mut sentinel);
    settle(&sentinel, &[Channel::Log, Channel::ErrorText, Channel::Header, Channel::Url]);
}

/// No leak, and something was heard in each of these channels: silence would prove nothing.
fn settle(sentinel: &Sentinel, channels: &[Channel]) {
    let leaks = sentinel.leaks();
    assert!(leaks.is_empty(), "{} leaks: {:#?}", leaks.len(), &leaks[..leaks.len().min(8)]);
    for channel in channels {
        assert!(sentinel.count(*channel) > 0, "nothing was heard in {channel:?}");
    }
}

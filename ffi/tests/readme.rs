//! The values that README.md shows are such values.
#![allow(clippy::panic, reason = "it is how tests fail")]

use ehi_core::{
    access::Principal,
    endpoint::EndpointConfig,
    http::Response,
    job::{Command, Wants},
    kick_off::Facts,
    manifest::OutputFile,
    values::{Answered, Applied, Decided, RequestHead, Routed, WriterEvent},
    writer::WriterLimits,
};
use serde::de::DeserializeOwned;

#[test]
fn the_readme_shows_values_as_they_are() {
    let mut shown = 0;
    for block in README.split("```text\n").skip(1) {
        for line in block.lines().take_while(|line| *line != "```") {
            let (name, json) = line.split_once(' ').unwrap_or((line, ""));
            read(name, json.trim_start());
            shown += 1;
        }
    }
    assert!(shown > 20, "the blocks are found");
}

fn read(name: &str, json: &str) {
    fn check<T: DeserializeOwned>(name: &str, json: &str) {
        if let Err(error) = serde_json::from_str::<T>(json) {
            panic!("{name} {json}: {error}");
        }
    }
    match name {
        "answered" => check::<Answered>(name, json),
        "applied" => check::<Applied>(name, json),
        "command" => check::<Command>(name, json),
        "config" => check::<EndpointConfig>(name, json),
        "decided" => check::<Decided>(name, json),
        "event" => check::<WriterEvent>(name, json),
        "facts" => check::<Facts>(name, json),
        "head" => check::<RequestHead>(name, json),
        "limits" => check::<WriterLimits>(name, json),
        "principal" => check::<Principal>(name, json),
        "response" => check::<Response>(name, json),
        "routed" => check::<Routed>(name, json),
        "row" => check::<OutputFile>(name, json),
        "wants" => check::<Wants>(name, json),
        _ => panic!("{name} is no value"),
    }
}

const README: &str = include_str!("../README.md");

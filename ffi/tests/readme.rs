//! The values that README.md shows are such values.
#![allow(clippy::panic, clippy::unwrap_used, reason = "it is how tests fail")]

use ehi_core::{
    access::Principal,
    endpoint::EndpointConfig,
    http::Response,
    job::{Command, Wants},
    kick_off::Facts,
    look_up::Found,
    manifest::{OutputFile, Section},
    pass::{PartitionTask, Pass, SetWanted},
    values::{Answered, Applied, Decided, RequestHead, Routed, WriterEvent},
    writer::{Output, Source, Writer, WriterLimits},
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
        "found" => check::<Found>(name, json),
        "head" => check::<RequestHead>(name, json),
        "limits" => check::<WriterLimits>(name, json),
        "principal" => check::<Principal>(name, json),
        "response" => check::<Response>(name, json),
        "routed" => check::<Routed>(name, json),
        "row" => check::<OutputFile>(name, json),
        "sets" => check::<Vec<(SetWanted, Option<PartitionTask>)>>(name, json),
        "tombstone" => check_tombstone(json),
        "wants" => check::<Wants>(name, json),
        _ => panic!("{name} is no value"),
    }
}

/// A tombstone is a line and no value: it is one if a writer tells of the deletion.
fn check_tombstone(line: &str) {
    let plan = r#"{"level":"system","types":"all","since":null,"transactionTime":"2026-01-01T00:00:00Z","edition":"3.0",
        "baseUrl":"https://ehr.example/fhir","exportShared":false,"request":"https://ehr.example/fhir/$export"}"#;
    let plan = serde_json::from_str(plan).unwrap();
    let task = PartitionTask { pass: Pass::Deleted, ..PartitionTask::default() };
    let mut writer = Writer::new(&plan, &task, None, WriterLimits::default()).unwrap();
    writer.write_lines(line.as_bytes(), Source { name: "tombstones", cursor: b"", offset: 0 }).unwrap();
    writer.finish();
    let first = writer.poll_output();
    assert!(matches!(first, Some(Output::Open { section: Section::Deleted, .. })), "{line}: {first:?}");
}

const README: &str = include_str!("../README.md");

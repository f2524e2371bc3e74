//! What holds of every export, whatever the case expects.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use ehi_core::{
    manifest::{OutputFile, Section},
    writer::Digester,
};
use serde::Deserialize;
use serde_json::Value;

use super::{format::Case, play::Reply};

/// A published file is what its row says, every resource in it is a line of the sources byte for byte, and every line
/// of an error file is an OperationOutcome that shows nothing of a resource.
pub(super) fn file(case: &Case, row: &OutputFile, bytes: &[u8]) -> Result<()> {
    ensure!(row.bytes == bytes.len() as u64, "the row says {} bytes, there are {}", row.bytes, bytes.len());
    let mut digester = Digester::default();
    digester.update(bytes);
    let digest = case.limits.digest.then(|| digester.finish());
    ensure!(row.sha256 == digest, "the row's digest is not that of the file");
    if row.section == Section::Attachment {
        ensure!(row.count == 0, "an attachment holds no resources");
        return Ok(());
    }
    ensure!(bytes.ends_with(b"\n"), "the file does not end with a line end");
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty()).collect();
    // Where output is organised, what says whose the block is is no resource.
    let is_header = |line: &&[u8]| row.resource_type.is_none() && line.starts_with(HEADER);
    let lines: Vec<&[u8]> = lines.into_iter().filter(|line| !is_header(line)).collect();
    ensure!(row.count == lines.len() as u64, "the row says {} resources, there are {}", row.count, lines.len());
    let given: BTreeSet<&[u8]> = case.sources.values().flat_map(|source| source.lines()).map(bare).collect();
    for line in lines {
        let Typed { resource_type } = serde_json::from_slice(line).context("a line is no resource")?;
        if let Some(expected) = &row.resource_type {
            ensure!(resource_type == expected.as_str(), "a {resource_type} stands in a file of {expected}");
        }
        match row.section {
            Section::Output => ensure!(case.rewrites || given.contains(line), "a line is none of the sources'"),
            Section::Error => outcome(&serde_json::from_slice(line)?)?,
            Section::Deleted | Section::Attachment => {}
        }
    }
    Ok(())
}

/// All that is read of a resource here: the rest may hold numbers that no `Value` holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    resource_type: String,
}

/// No name is given twice.
pub(super) fn names(rows: &[OutputFile]) -> Result<()> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    ensure!(names.len() == rows.len(), "two files have one name");
    Ok(())
}

/// A response shows nothing of a resource, unless it is a file of resources; if it is an error, it says what is wrong.
pub(super) fn reply(reply: &Reply) -> Result<()> {
    let headers: String = reply.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
    ensure!(!headers.contains(SECRET), "a header shows patient data");
    if reply.is_file {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&reply.body);
    ensure!(!body.contains(SECRET), "a response shows patient data");
    if reply.status >= 400 {
        outcome(&serde_json::from_str(&body).context("an error is not JSON")?)?;
    }
    Ok(())
}

fn outcome(resource: &Value) -> Result<()> {
    ensure!(resource.get("resourceType").is_some_and(|kind| kind == "OperationOutcome"), "not an OperationOutcome");
    let issues = resource.get("issue").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    ensure!(!issues.is_empty(), "an OperationOutcome without an issue");
    for issue in issues {
        let complete =
            ["severity", "code", "diagnostics"].iter().all(|member| issue.get(member).is_some_and(Value::is_string));
        ensure!(complete, "an issue lacks severity, code or diagnostics");
    }
    ensure!(!resource.to_string().contains(SECRET), "an OperationOutcome shows patient data");
    Ok(())
}

/// A line as a reader of NDJSON takes it: without byte order mark, line end and white space around it.
fn bare(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}

/// How the line begins that says whose a block is.
const HEADER: &[u8] = br#"{"parameter":[{"name":"header""#;

/// What cases write where a resource holds what nobody but its reader may see.
const SECRET: &str = "SECRET";

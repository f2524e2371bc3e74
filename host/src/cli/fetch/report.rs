//! The report at the end, for a person.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use ehi_core::{
    client::{FailureReason, Finding, Outcome, PeerIssue, Report},
    manifest::Oddity,
};

/// As text. The server's own words, which may hold anything, are shown on a terminal only: elsewhere they would end up in
/// a log.
pub(super) fn text(report: &Report, out: &Path, terminal: bool) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<18} {value}");
    };
    row("outcome", report.outcome.as_str().to_owned());
    if let Outcome::Failed(failure) = &report.outcome {
        let status = failure.status.map_or_else(String::new, |status| format!(" (status {status})"));
        row("failed", format!("{}: {}{status}", failure.step, failure.reason));
        for issue in &failure.issues {
            row("server says", shown_issue(issue, terminal));
        }
    }
    row("folder", out.display().to_string());
    row("files", report.files.to_string());
    if report.deleted_files > 0 {
        row("  of deletions", report.deleted_files.to_string());
    }
    row("resources", report.resources.to_string());
    row("attachments", report.attachments.to_string());
    row("bytes", report.bytes.to_string());
    if report.failed_files > 0 {
        row("missing, doubtful", report.failed_files.to_string());
    }
    if !report.issues.is_empty() {
        let issues: Vec<_> = report.issues.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
        row("reported in error/", issues.join(", "));
    }
    if let Some(time) = &report.transaction_time {
        row("transaction time", format!("{} (the --since of the next)", plain(time)));
    }
    if let Some(url) = &report.documentation_url {
        row("documentation", plain(url));
    }
    for (finding, times) in counted(&report.findings) {
        let name = if finding.1 { "LOST" } else { "note" };
        let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
        row(name, format!("{}{times}", finding.0));
    }
    if report.findings_left_out > 0 {
        row("LOST", format!("{} more of these", report.findings_left_out));
    }
    format!("\n{text}")
}

fn shown_issue(issue: &PeerIssue, terminal: bool) -> String {
    let severity = issue.severity.as_deref().unwrap_or("issue");
    let code = issue.code.as_deref().unwrap_or("no code");
    match &issue.text {
        Some(text) if terminal => format!("{severity} {code}: {}", text.expose()),
        Some(_) => format!("{severity} {code} (its text is shown on a terminal only)"),
        None => format!("{severity} {code}"),
    }
}

/// Equal ones once, with their number; what is lost first.
fn counted(findings: &[Finding]) -> Vec<((String, bool), usize)> {
    let mut counted: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for finding in findings {
        *counted.entry((!finding.is_loss(), shown(finding))).or_default() += 1;
    }
    counted.into_iter().map(|((is_note, text), count)| ((text, !is_note), count)).collect()
}

fn shown(finding: &Finding) -> String {
    let with = |reason: &FailureReason, status: &Option<u16>| match status {
        Some(status) => format!("{reason} (status {status})"),
        None => reason.to_string(),
    };
    match finding {
        Finding::Manifest { page, oddity } => format!("manifest page {}: {}", page + 1, odd(*oddity)),
        Finding::MediaType { step } => format!("{step}: the answer is not labelled as JSON"),
        Finding::BareLink => String::from("a Link header without angle brackets"),
        Finding::LinkNotOpened { reason } => format!("a page for the patient that is not opened: {reason}"),
        Finding::RelativePollingLocation => String::from("a polling location that is not absolute"),
        Finding::RetryAfter => String::from("a Retry-After that cannot be read or is too long"),
        Finding::KickOffRepeated => String::from("kicked off twice: the server may still hold another export"),
        Finding::NotDiscovered { reason } => format!("discovery: {reason}"),
        Finding::UndeclaredSearchParameter { resource_type, name } => {
            format!("the server declares no search parameter `{name}` of {resource_type}")
        }
        Finding::PageGrew { page } => format!("manifest page {} grew after it was sent", page + 1),
        Finding::PageChanged { page } => format!("manifest page {} changed after it was sent", page + 1),
        Finding::UnaskedPages => String::from("a manifest in parts, which was not asked for"),
        Finding::PagesInACircle => String::from("manifest pages that lead in a circle"),
        Finding::RepeatedRow { page } => format!("manifest page {}: a file is listed twice", page + 1),
        Finding::RowsWithoutUrl { page, count } => format!("manifest page {}: {count} rows without a URL", page + 1),
        Finding::UnknownType { file } => format!("{file}: the manifest names no resource type"),
        Finding::Missing { file, reason, status } => format!("{file} is missing: {}", with(reason, status)),
        Finding::Doubtful { file, problem, line } => {
            let line = line.map_or_else(String::new, |line| format!(", first in line {line}"));
            format!("{file} is doubtful: {}{line}", FailureReason::File(*problem))
        }
        Finding::AttachmentsLeftOut { count } => format!("{count} attachments beyond the limit"),
        Finding::AttachmentUrl { file, reason } => format!("{file}: an attachment that is not fetched: {reason}"),
        Finding::NotDeleted { reason } => format!("the export is still on the server: {reason}"),
        // The core may come to find more than this text knows of.
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

fn odd(oddity: Oddity) -> &'static str {
    match oddity {
        Oddity::NoTransactionTime => "no transaction time that can be read: the next export cannot be incremental",
        Oddity::NoRequest => "no `request`",
        Oddity::NoRequiresAccessToken => "no `requiresAccessToken`",
        Oddity::NoOutput => "no `output`",
        Oddity::NoError => "no `error`",
        Oddity::Text => "a number or truth value written as text",
        Oddity::Number => "a number that cannot be read",
        Oddity::NotAnArray => "an array written as something else",
        Oddity::Links => "more than one next page",
        // The core may come to find more than this text knows of.
        _ => "something odd",
    }
}

/// What a server sent, without what would steer a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

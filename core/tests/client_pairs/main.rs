//! Client and server of this crate, talking to each other: real request and response bytes, and a clock that is a number.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is how tests fail"
)]

mod pages;
mod pair;
mod server;

use ehi_core::{
    Edition,
    client::{KickOffMethod, Outcome},
};
use ehi_requirement::requirement;
use pair::Pair;
use server::{LINES, ORIGIN, source_lines};

#[test]
fn every_edition_and_method_exports_all_lines_once() {
    for (edition, method) in [
        (Edition::Stu1, KickOffMethod::Get),
        (Edition::Stu2, KickOffMethod::Get),
        (Edition::Stu2, KickOffMethod::Post),
        (Edition::Stu3, KickOffMethod::Get),
        (Edition::Stu3, KickOffMethod::Post),
        (Edition::Stu4Ballot, KickOffMethod::Post),
    ] {
        let mut pair = Pair::new(edition, |request| request.method = Some(method));
        let report = pair.drive();
        assert_eq!(report.outcome, Outcome::Complete, "{edition:?} {method:?}: {report:?}");
        assert_eq!(report.findings, [], "{edition:?} {method:?}");
        assert_eq!(report.resources, LINES as u64, "{edition:?} {method:?}");
        assert_eq!(pair.lines(), source_lines(), "{edition:?} {method:?}");
        // The client said that it has everything, and the server forgot it.
        assert!(pair.server.jobs.values().all(|hosted| !hosted.job.state().is_unfinished()));
        assert!(pair.server.log.last().is_some_and(|line| line.starts_with("DELETE ")), "{:?}", pair.server.log);
    }
}

#[test]
fn a_filter_means_the_same_on_both_sides() {
    for edition in [Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot] {
        let mut pair = Pair::new(edition, |request| {
            request.types = vec!["Patient".into(), "Observation".into()];
            request.type_filters = vec![ehi_core::Sensitive::new("Observation?status=final,amended".into())];
        });
        let report = pair.drive();
        assert_eq!(report.outcome, Outcome::Complete, "{edition:?}: {report:?}");
        let expected: Vec<_> = source_lines().into_iter().filter(|line| !line.contains("preliminary")).collect();
        assert_eq!(pair.lines(), expected, "{edition:?}");
    }
}

#[test]
fn broken_connections_are_continued_by_range() {
    let mut pair = Pair::new(Edition::Stu3, |_| {});
    pair.cut_every = Some(1_000);
    let report = pair.drive();
    assert_eq!(report.outcome, Outcome::Complete, "{report:?}");
    assert_eq!(pair.lines(), source_lines());
    assert!(pair.server.log.iter().any(|line| line.contains("-> 206")), "{:?}", pair.server.log);
}

#[test]
fn a_client_that_restarts_all_the_time_ends_too() {
    // Long enough for the first file of a run to arrive: what takes longer than the time between two crashes never ends.
    for every in [17, 23, 41] {
        let mut pair = Pair::new(Edition::Stu3, |_| {});
        pair.restart_every = Some(every);
        let report = pair.drive();
        assert_eq!(report.outcome, Outcome::Complete, "{every}: {report:?}");
        assert_eq!(pair.lines(), source_lines(), "{every}");
    }
}

#[test]
fn a_token_of_another_client_is_refused_and_said_so() {
    let mut pair = Pair::new(Edition::Stu3, |_| {});
    pair.server.known_token = "another".into();
    let report = pair.drive();
    assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    assert!(pair.files.is_empty());
}

#[test]
fn a_cancelled_export_is_cancelled_on_the_server() {
    let mut pair = Pair::new(Edition::Stu3, |_| {});
    pair.cancel_at_wait = Some(1);
    let report = pair.drive();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!(pair.server.jobs.values().all(|hosted| !hosted.job.state().is_unfinished()));
}

#[test]
fn a_file_is_asked_for_as_ndjson_and_comes_however_it_is_asked_for() {
    let mut pair = Pair::new(Edition::Stu3, |request| request.delete_when_done = false);
    assert_eq!(pair.drive().outcome, Outcome::Complete);
    assert_eq!(pair.accepts, ["application/fhir+ndjson".to_owned()].into());
    let is_file = |line: &&String| line.contains("/files/") && line.ends_with(" -> 200");
    let fetched = pair.server.log.iter().find(is_file).unwrap().split(' ').nth(1).unwrap();
    let url = format!("{ORIGIN}{fetched}");
    let mut answers = Vec::new();
    for accept in [None, Some("*/*"), Some("application/fhir+ndjson")] {
        let headers: Vec<_> = accept.into_iter().map(|value| ("Accept".to_owned(), value.to_owned())).collect();
        answers.push(pair.send("GET", &url, &headers, b"", true));
    }
    let [(status, headers, body), others @ ..] = answers.as_slice() else { panic!("no answers") };
    assert_eq!(*status, 200);
    assert!(headers.contains(&("content-type".to_owned(), "application/fhir+ndjson".to_owned())), "{headers:?}");
    assert!(!body.is_empty() && others.iter().all(|other| other.0 == 200 && other.2 == *body));
    requirement!("core", "BD-FILE-13");
}

//! A manifest that grows page by page, read by the client while the server works.

use ehi_core::{
    Edition,
    client::Outcome,
    endpoint::{Auth, EndpointConfig},
    job::{EarlyPages, PartialManifests},
};

use crate::{
    pair::Pair,
    server::{BASE, LINES, Server, source_lines},
};

/// BD-PART-02, BD-PART-03, BD-PART-07.
#[test]
fn files_are_fetched_page_by_page_while_the_export_runs() {
    for edition in [Edition::Stu3, Edition::Stu4Ballot] {
        let mut pair = in_pages(edition);
        let report = pair.drive();
        assert_eq!(report.outcome, Outcome::Complete, "{edition:?}: {report:?}");
        assert_eq!((report.findings.as_slice(), report.resources), ([].as_slice(), LINES as u64), "{edition:?}");
        assert_eq!(pair.lines(), source_lines(), "{edition:?}");
        let log = &pair.server.log;
        let at = |what: &str| log.iter().position(|line| line.contains(what)).unwrap_or(usize::MAX);
        let complete = log.iter().position(|line| line.ends_with("0101 -> 200")).unwrap();
        assert!(at("/files/") < at("/manifests/2 -> 200") && at("/manifests/2 -> 200") < complete, "{log:?}");
        assert!(at("/manifests/3 -> 200") < usize::MAX && at("/manifests/4") == usize::MAX, "three pages: {log:?}");
        assert!(
            log[..complete].iter().filter(|line| line.ends_with("0101 -> 202")).count() > 3,
            "it polls on: {log:?}"
        );
        // Nothing that a page lists is missing, and nothing is fetched twice.
        let mut fetched: Vec<_> = log.iter().filter(|line| line.contains("/files/")).collect();
        assert!(fetched.iter().all(|line| line.ends_with(" -> 200")), "{log:?}");
        let count = fetched.len();
        fetched.sort();
        fetched.dedup();
        assert_eq!((fetched.len(), count), (pair.server.row_count(), pair.server.row_count()));
    }
}

#[test]
fn a_client_that_restarts_all_the_time_reads_growing_pages_to_their_end() {
    for every in [17, 23, 41] {
        let mut pair = in_pages(Edition::Stu3);
        pair.restart_every = Some(every);
        let report = pair.drive();
        assert_eq!(report.outcome, Outcome::Complete, "{every}: {report:?}");
        assert_eq!(pair.lines(), source_lines(), "{every}");
        assert!(pair.server.log.iter().any(|line| line.contains("/manifests/3 -> 200")), "{:?}", pair.server.log);
    }
}

/// BD-PART-01.
#[test]
fn a_server_without_pages_answers_who_allows_them_with_one_manifest() {
    let mut pair = Pair::new(Edition::Stu3, |request| request.allow_partial_manifests = true);
    pair.server.pace = 1;
    let report = pair.drive();
    assert_eq!((report.outcome, report.findings.as_slice()), (Outcome::Complete, [].as_slice()));
    assert_eq!(pair.lines(), source_lines());
    assert!(!pair.server.log.iter().any(|line| line.contains("/manifests/")), "{:?}", pair.server.log);
}

/// BD-MAN-28: what was fetched of the pages before stays with the client, which is told that there is no more.
#[test]
fn an_export_that_fails_between_pages_fails_and_leaves_what_arrived() {
    let mut pair = in_pages(Edition::Stu3);
    pair.server.fails_after = Some(9);
    let report = pair.drive();
    assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    assert!(!pair.files.is_empty());
    let lines: Vec<_> = pair.files.iter().filter(|(name, _)| !name.ends_with(".part")).collect();
    let lines = lines.iter().flat_map(|(_, file)| std::str::from_utf8(file).unwrap().lines());
    assert!(lines.clone().count() > 0 && lines.clone().count() < LINES);
    assert!(lines.into_iter().all(|line| source_lines().iter().any(|own| own == line)));
}

/// BD-MAN-27: the errors are on every page, and are fetched once.
#[test]
fn pages_that_all_list_the_errors_are_read_at_the_end() {
    let mut pair = with_pages(Edition::Stu3, EarlyPages::default());
    pair.server.source.push_str("\nno json\n[]");
    let report = pair.drive();
    assert_eq!((&report.outcome, report.resources), (&Outcome::Complete, LINES as u64 + 2), "{report:?}");
    assert_eq!(report.findings, [], "errors that come again are no repeat");
    let log = &pair.server.log;
    let complete = log.iter().position(|line| line.ends_with("0101 -> 200")).unwrap();
    let is_fetched = |line: &&String| line.contains("/files/") || line.contains("/manifests/");
    assert_eq!(log[..complete].iter().find(is_fetched), None, "nothing was told before: {log:?}");
    assert!(log.iter().any(|line| line.contains("/manifests/2 -> 200")), "{log:?}");
    let errors: Vec<_> = log.iter().filter(|line| line.contains("/files/error-")).collect();
    assert_eq!(errors.len(), 1, "{log:?}");
}

/// A client that allows pages, and a server that closes one with every fourth file, shows it at once, and takes its time.
fn in_pages(edition: Edition) -> Pair {
    with_pages(edition, EarlyPages::Always)
}

fn with_pages(edition: Edition, early: EarlyPages) -> Pair {
    let mut pair = Pair::new(edition, |request| request.allow_partial_manifests = true);
    pair.server = Server::with(EndpointConfig {
        edition,
        partial_manifests: Some(PartialManifests { files: 4, seconds: 3_600, early }),
        ..EndpointConfig::new(BASE, Auth::Bearer)
    });
    pair.server.pace = 1;
    pair
}

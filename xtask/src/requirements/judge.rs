//! What the list claims, held against what the tests reached.

use std::collections::{BTreeMap, BTreeSet};

use super::matrix::{Actor, Level, Matrix, Record, Requirement, Shown, Status, Via};

/// What a run knows of one requirement.
#[derive(Default)]
pub(super) struct Reached<'r> {
    pub(super) tests: BTreeSet<&'r str>,
    /// Whether one of them asked the component over HTTP.
    by_http: bool,
    /// Whether one of them asked core itself.
    by_core: bool,
}

impl<'r> Reached<'r> {
    pub(super) fn by_id(records: &'r [Record]) -> BTreeMap<&'r str, Self> {
        let mut reached: BTreeMap<&str, Self> = BTreeMap::new();
        for record in records {
            let entry = reached.entry(&record.id).or_default();
            entry.tests.insert(&record.test);
            entry.by_http |= record.via == Via::HttpComponent;
            entry.by_core |= record.via == Via::Core;
        }
        reached
    }
}

/// Everything that is wrong, each in one line.
pub(super) fn faults(matrix: &Matrix, records: &[Record]) -> Vec<String> {
    let reached = Reached::by_id(records);
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for requirement in &matrix.requirements {
        if !known.insert(requirement.id.as_str()) {
            faults.push(format!("{} is listed twice", requirement.id));
        }
        faults.extend(shown_fault(requirement));
        faults.extend(row_fault(requirement, reached.get(requirement.id.as_str())));
    }
    for (id, reached) in &reached {
        if !known.contains(id) {
            faults.push(format!("{id} is not in the list, yet reached by {}", names(&reached.tests)));
        }
    }
    faults.extend(crowded_tests(records));
    faults
}

/// Whoever could choose where a row is shown would choose where it is easy.
fn shown_fault(requirement: &Requirement) -> Option<String> {
    let may_be_core = requirement.actor == Actor::Server && AREAS_SHOWN_BY_CORE.contains(&requirement.area.as_str());
    (requirement.shown == Shown::Core && !may_be_core)
        .then(|| format!("{} cannot be shown by core: it has to be seen from outside", requirement.id))
}

fn row_fault(requirement: &Requirement, reached: Option<&Reached<'_>>) -> Option<String> {
    let id = &requirement.id;
    match (requirement.status, reached) {
        (Status::Covered, None) => Some(format!("{id} is listed as covered, yet no test reached it")),
        (Status::Covered, Some(reached)) if requirement.actor == Actor::Server => server_fault(requirement, reached),
        (Status::Covered, Some(_)) => None,
        (status, Some(reached)) => {
            Some(format!("{id} is listed as {}, yet reached by {}", status.name(), names(&reached.tests)))
        }
        (Status::NotApplicable, None) => excuse_fault(requirement),
        // What stands behind it, the documentation is asked.
        (Status::NotYet | Status::Documented, None) => None,
    }
}

/// What is asked of servers has to be seen where a client sees it, or where it is decided if there is no such place.
fn server_fault(requirement: &Requirement, reached: &Reached<'_>) -> Option<String> {
    let (is_shown, place) = match requirement.shown {
        Shown::HttpComponent => (reached.by_http, "through the component over HTTP"),
        Shown::Core => (reached.by_core, "through core"),
    };
    let id = &requirement.id;
    let tests = names(&reached.tests);
    (!is_shown).then(|| format!("{id} asks something of servers, yet no test reached it {place}: only {tests}"))
}

/// What is not applicable needs a reason, and what a guide demands may only be left out with a whole optional feature.
fn excuse_fault(requirement: &Requirement) -> Option<String> {
    let id = &requirement.id;
    if requirement.reason.trim().is_empty() {
        return Some(format!("{id} is listed as not applicable without a reason"));
    }
    let is_demanded = matches!(requirement.level, Level::Shall | Level::ShallNot);
    if is_demanded && !OPTIONAL_AREAS.contains(&requirement.area.as_str()) {
        return Some(format!("{id} is a {} of no optional feature and has to apply", requirement.level.name()));
    }
    None
}

/// A test that claims many requirements asserts none of them well.
fn crowded_tests(records: &[Record]) -> Vec<String> {
    let mut ids_by_test: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for record in records {
        ids_by_test.entry(&record.test).or_default().insert(&record.id);
    }
    ids_by_test
        .into_iter()
        .filter(|(_, ids)| ids.len() > IDS_PER_TEST_MAX)
        .map(|(test, ids)| {
            format!(
                "`{test}` claims {} requirements, more than {IDS_PER_TEST_MAX}: {}",
                ids.len(),
                ids.into_iter().collect::<Vec<_>>().join(", ")
            )
        })
        .collect()
}

fn names(tests: &BTreeSet<&str>) -> String {
    tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ")
}

/// What core decides for an endpoint that the embedder has and the host has not: who asks for an access token is a
/// matter of the authorisation server.
const AREAS_SHOWN_BY_CORE: [&str; 1] = ["smart-validation"];

/// Features that a server may leave out as a whole.
const OPTIONAL_AREAS: [&str; 3] = ["async-interaction (optional)", "cohort (optional, FMM1)", "bulk-submit"];

const IDS_PER_TEST_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_reached_as_listed_is_fine() {
        let matrix = matrix(&[row("A", "server", "SHALL", "covered"), row("B", "server", "SHALL", "not yet")]);
        assert!(faults(&matrix, &[record("A", "deletes", "http-component")]).is_empty());
    }

    #[test]
    fn a_covered_row_has_to_be_reached() {
        let matrix = matrix(&[row("A", "client", "MAY", "covered")]);
        assert_eq!(faults(&matrix, &[]), ["A is listed as covered, yet no test reached it"]);
    }

    #[test]
    fn a_reached_row_has_to_be_listed_as_covered() {
        let statuses = [("A", "not yet"), ("B", "not applicable"), ("C", "documented")];
        let matrix = matrix(&statuses.map(|(id, status)| row(id, "client", "MAY", status)));
        let records = ["A", "B", "C"].map(|id| record(id, "polls", "core"));
        let expected = statuses.map(|(id, status)| format!("{id} is listed as {status}, yet reached by `polls`"));
        assert_eq!(faults(&matrix, &records), expected);
    }

    #[test]
    fn an_id_has_to_be_in_the_list_once() {
        let matrix = matrix(&[row("A", "client", "MAY", "not yet"), row("A", "client", "MAY", "not yet")]);
        assert_eq!(
            faults(&matrix, &[record("X", "polls", "core")]),
            ["A is listed twice", "X is not in the list, yet reached by `polls`"]
        );
    }

    #[test]
    fn only_the_component_over_http_covers_what_servers_do() {
        let matrix = matrix(&[row("A", "server", "SHALL", "covered"), row("B", "client", "SHALL", "covered")]);
        let natively = [record("A", "deletes", "core"), record("A", "deletes_in_c", "c"), record("B", "polls", "core")];
        assert_eq!(
            faults(&matrix, &natively),
            ["A asks something of servers, yet no test reached it through the component over HTTP: only \
              `deletes`, `deletes_in_c`"]
        );
        let both = [
            record("A", "deletes", "core"),
            record("A", "deletes_over_http", "http-component"),
            record("B", "polls", "core"),
        ];
        assert!(faults(&matrix, &both).is_empty());
    }

    #[test]
    fn what_core_decides_for_an_embedders_endpoint_is_covered_by_core_and_by_nothing_less() {
        let matrix = matrix(&[shown_by_core("A", "server", "smart-validation")]);
        assert!(faults(&matrix, &[record("A", "refuses", "core")]).is_empty());
        assert_eq!(
            faults(&matrix, &[record("A", "refuses_in_c", "c"), record("A", "refuses_in_js", "js")]),
            ["A asks something of servers, yet no test reached it through core: only `refuses_in_c`, `refuses_in_js`"]
        );
    }

    #[test]
    fn only_rows_of_the_closed_list_are_shown_by_core() {
        let matrix = matrix(&[
            shown_by_core("A", "server", "status"),
            shown_by_core("B", "server", "smart-token-response"),
            shown_by_core("C", "client", "smart-validation"),
        ]);
        let records = [record("A", "polls", "core"), record("B", "polls", "core"), record("C", "polls", "core")];
        assert_eq!(
            faults(&matrix, &records),
            ["A", "B", "C"].map(|id| format!("{id} cannot be shown by core: it has to be seen from outside"))
        );
    }

    #[test]
    fn five_requirements_may_share_a_test_and_six_may_not() {
        let ids = ["A", "B", "C", "D", "E", "F"];
        let rows: Vec<String> = ids.iter().map(|id| row(id, "client", "MAY", "covered")).collect();
        let records: Vec<Record> = ids.iter().map(|id| record(id, "everything", "core")).collect();
        assert_eq!(
            faults(&matrix(&rows), &records),
            ["`everything` claims 6 requirements, more than 5: A, B, C, D, E, F"]
        );
        // The same requirement by two ways is one requirement.
        let records: Vec<Record> =
            ids.iter().take(5).flat_map(|id| [record(id, "most", "core"), record(id, "most", "c")]).collect();
        assert!(faults(&matrix(rows.get(..5).unwrap()), &records).is_empty());
    }

    #[test]
    fn what_does_not_apply_needs_a_reason() {
        let text = row("A", "server", "MAY", "not applicable").replace("reason = \"why\"", "");
        assert_eq!(faults(&matrix(&[text]), &[]), ["A is listed as not applicable without a reason"]);
    }

    #[test]
    fn a_demand_may_only_be_left_out_with_an_optional_feature() {
        let demanded = row("A", "server", "SHALL NOT", "not applicable");
        let optional = row("B", "server", "SHALL", "not applicable").replace("polling", "bulk-submit");
        assert_eq!(
            faults(&matrix(&[demanded, optional]), &[]),
            ["A is a SHALL NOT of no optional feature and has to apply"]
        );
    }

    fn matrix(rows: &[String]) -> Matrix {
        toml::from_str(&rows.concat()).unwrap()
    }

    fn row(id: &str, actor: &str, level: &str, status: &str) -> String {
        format!(
            "[[requirement]]\nid = \"{id}\"\nactor = \"{actor}\"\nlevel = \"{level}\"\nsince = \"2.0\"\n\
             area = \"polling\"\ntext = \"what\"\nstatus = \"{status}\"\nreason = \"why\"\n"
        )
    }

    fn shown_by_core(id: &str, actor: &str, area: &str) -> String {
        row(id, actor, "SHALL", "covered").replace("polling", area) + "shown = \"core\"\n"
    }

    fn record(id: &str, test: &str, via: &str) -> Record {
        serde_json::from_value(serde_json::json!({"id": id, "test": test, "via": via})).unwrap()
    }
}

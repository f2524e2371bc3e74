//! Who of the patients that a kick-off lists is exported.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Refusal,
    kick_off::{Facts, KickOff, Level, Need, about_patient},
    outcome::{Issue, IssueCode},
};

/// What must be known of the patients that are listed: at a group's level whether they are members, and no more.
pub(super) fn need(level: &Level, listed: &BTreeMap<String, u32>) -> Need {
    let patients = listed.keys().cloned().collect();
    match level {
        Level::Group(group) => Need::Members { group: group.clone(), patients },
        _ => Need::Patients(patients),
    }
}

/// The patients of the list who are exported, and what is to be said of the others.
///
/// One who is not on the server or not in the group is reported by the place in the request (BD-PAT-03): as an error of
/// the whole kick-off, or under lenient handling as a warning, and the others are exported. At a group's level one who
/// exists without being a member is answered like one who does not exist.
pub(super) fn listed(kick_off: &KickOff, facts: &Facts) -> Result<(Option<BTreeSet<String>>, Vec<Issue>), Refusal> {
    let Some(listed) = &kick_off.patients else { return Ok((None, Vec::new())) };
    let (known, diagnostics) = match &kick_off.level {
        Level::Group(_) => (&facts.members, "is not a member of the group"),
        _ => (&facts.patients, "is not on this server"),
    };
    let (found, unknown): (Vec<_>, Vec<_>) = listed.iter().partition(|(id, _)| known.contains(*id));
    let mut places: Vec<u32> = unknown.into_iter().map(|(_, place)| *place).collect();
    places.sort_unstable();
    let issues = issues(&places, diagnostics);
    if !issues.is_empty() && !kick_off.lenient {
        return Err(Refusal { status: 400, issues, headers: Vec::new() });
    }
    let found = found.into_iter().map(|(id, _)| id.clone()).collect();
    Ok((Some(found), issues.into_iter().map(Issue::as_warning).collect()))
}

/// One issue for each of the first, and one for how many there are more.
fn issues(places: &[u32], diagnostics: &str) -> Vec<Issue> {
    let named = places.iter().take(ISSUES_MAX);
    let mut issues: Vec<_> = named.map(|place| about_patient(*place, IssueCode::NotFound, diagnostics)).collect();
    let more = places.len().saturating_sub(ISSUES_MAX);
    if more > 0 {
        let diagnostics = format!("so it is with {more} more of the patients in `patient`");
        issues.push(Issue::error(IssueCode::NotFound, diagnostics).about("patient"));
    }
    issues
}

/// A client that is told of so many knows that its list is another server's.
const ISSUES_MAX: usize = 100;

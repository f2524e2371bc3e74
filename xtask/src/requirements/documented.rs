//! Rows that only documentation can meet: what they name is there, under that heading, and says that it is about them.

use std::fs;

use super::matrix::{Matrix, Requirement, Status};
use crate::workspace::Workspace;

/// Everything that is wrong with such rows, each in one line.
pub(super) fn faults(workspace: &Workspace, matrix: &Matrix) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(workspace.path(path)).ok();
    matrix.requirements.iter().filter_map(|requirement| fault(requirement, &read)).collect()
}

fn fault(requirement: &Requirement, read: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let Requirement { id, check, place, .. } = requirement;
    if requirement.status != Status::Documented {
        return (!place.is_empty()).then(|| format!("{id} names a place in the documentation and is not documented"));
    }
    // What a test can tell, a test has to tell.
    if check != DOC_ONLY {
        return Some(format!("{id} is listed as documented, yet its check is not `{DOC_ONLY}`"));
    }
    let Some((path, anchor)) = place.split_once('#').filter(|(path, _)| path.starts_with("docs/")) else {
        return Some(format!("{id} is listed as documented without `where = \"docs/…#…\"`"));
    };
    let Some(page) = read(path) else { return Some(format!("{id} is documented in {path}, which cannot be read")) };
    match section(&page, anchor) {
        None => Some(format!("{id} is documented in {place}, and {path} has no such heading")),
        Some(text) if !text.contains(id.as_str()) => {
            Some(format!("{id} is documented in {place}, which does not name it"))
        }
        Some(_) => None,
    }
}

/// What stands under the heading of that anchor, down to the next heading.
fn section(page: &str, anchor: &str) -> Option<String> {
    let mut lines = page.lines().skip_while(|line| heading(line).is_none_or(|heading| anchor_of(heading) != anchor));
    lines.next()?;
    Some(lines.take_while(|line| heading(line).is_none()).collect::<Vec<_>>().join("\n"))
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    (text.len() < line.len()).then(|| text.strip_prefix(' ')).flatten()
}

/// As GitHub makes it: lower case, a hyphen for each space, and nothing but letters, digits, hyphens and underscores.
fn anchor_of(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

const DOC_ONLY: &str = "Doc only";

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\n## Apps of the house\n\nThey ask first (A-1).\n\n## Others (A-2)\n\nA-3\n";

    fn fault_of(status: &str, check: &str, place: &str) -> Option<String> {
        let row = format!(
            "id = \"A-1\"\nactor = \"client\"\nlevel = \"SHOULD\"\nsince = \"2.0\"\narea = \"a\"\ntext = \"t\"\n\
             check = \"{check}\"\nstatus = \"{status}\"\nwhere = \"{place}\"\n"
        );
        let read = |path: &str| (path == "docs/page.md").then(|| PAGE.to_owned());
        fault(&toml::from_str(&row).unwrap(), &read)
    }

    #[test]
    fn a_row_is_documented_where_it_says_and_where_it_is_named() {
        assert_eq!(fault_of("documented", "Doc only", "docs/page.md#apps-of-the-house"), None);
        for (place, fault) in [
            ("", "A-1 is listed as documented without `where = \"docs/…#…\"`"),
            ("docs/page.md", "A-1 is listed as documented without `where = \"docs/…#…\"`"),
            ("src/page.md#page", "A-1 is listed as documented without `where = \"docs/…#…\"`"),
            ("docs/other.md#page", "A-1 is documented in docs/other.md, which cannot be read"),
            ("docs/page.md#apps", "A-1 is documented in docs/page.md#apps, and docs/page.md has no such heading"),
            ("docs/page.md#others-a-2", "A-1 is documented in docs/page.md#others-a-2, which does not name it"),
            // A section ends where the next begins.
            ("docs/page.md#page", "A-1 is documented in docs/page.md#page, which does not name it"),
        ] {
            assert_eq!(fault_of("documented", "Doc only", place).as_deref(), Some(fault), "{place}");
        }
    }

    #[test]
    fn only_what_no_test_can_tell_is_documented() {
        let place = "docs/page.md#apps-of-the-house";
        let fault = fault_of("documented", "Field diff", place);
        assert_eq!(fault.as_deref(), Some("A-1 is listed as documented, yet its check is not `Doc only`"));
        let fault = fault_of("covered", "Doc only", place);
        assert_eq!(fault.as_deref(), Some("A-1 names a place in the documentation and is not documented"));
    }
}

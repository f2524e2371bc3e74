//! The little of FHIRPath that search parameters over references are written in.
//!
//! A union of branches, each a path from a resource type down, with casts (`as`, `.as()`, `.ofType()`) and with
//! `.where(resolve() is Type)`. Anything else is an error: a path half understood would put patients' data into the
//! wrong compartment.

use anyhow::{Result, bail, ensure};

/// One branch of the union.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) elements: Vec<Element>,
    /// The only type that a reference may resolve to, if the branch names one.
    pub(super) resolves_to: Option<String>,
}

/// One step down.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    /// The data type, where the branch chooses one of several.
    pub(super) cast: Option<String>,
}

/// The branches that start at a resource type. Those of other types are not looked into.
pub(super) fn branches(expression: &str, resource_type: &str) -> Result<Vec<Branch>> {
    split(expression, "|")?
        .into_iter()
        .filter(|branch| root(branch) == resource_type)
        .map(|branch| read_branch(branch, resource_type))
        .collect()
}

fn root(branch: &str) -> &str {
    let path = branch.trim_start_matches(['(', ' ']);
    let end = path.find(|character: char| !character.is_ascii_alphanumeric());
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

fn read_branch(text: &str, resource_type: &str) -> Result<Branch> {
    let mut branch = Branch { elements: Vec::new(), resolves_to: None };
    read_cast(text, resource_type, &mut branch)?;
    ensure!(!branch.elements.is_empty(), "`{text}` names no element");
    Ok(branch)
}

/// `path` or `path as Type`.
fn read_cast(text: &str, resource_type: &str, branch: &mut Branch) -> Result<()> {
    match split(text, " as ")?.as_slice() {
        [path] => read_path(path, resource_type, branch),
        [path, data_type] => {
            read_path(path, resource_type, branch)?;
            cast(branch, data_type)
        }
        _ => bail!("`{text}` casts more than once"),
    }
}

/// Steps joined by dots; the first is the resource type or, in parentheses, a path with a cast of its own.
fn read_path(text: &str, resource_type: &str, branch: &mut Branch) -> Result<()> {
    let steps = split(text, ".")?;
    let Some((first, steps)) = steps.split_first() else {
        bail!("`{text}` is empty");
    };
    if let Some(inner) = argument(first, "") {
        read_cast(inner, resource_type, branch)?;
    } else {
        ensure!(*first == resource_type, "`{text}` does not start at {resource_type}");
    }
    steps.iter().try_for_each(|step| read_step(step, branch))
}

fn read_step(step: &str, branch: &mut Branch) -> Result<()> {
    if let Some(data_type) = argument(step, "as").or_else(|| argument(step, "ofType")) {
        return cast(branch, data_type);
    }
    if let Some(condition) = argument(step, "where") {
        let Some(target) = condition.strip_prefix("resolve() is ") else {
            bail!("the condition `{condition}` is not of the form `resolve() is Type`");
        };
        ensure!(is_name(target), "`{target}` is not a resource type");
        ensure!(branch.resolves_to.is_none(), "the branch has two conditions");
        branch.resolves_to = Some(target.to_owned());
        return Ok(());
    }
    ensure!(is_name(step), "the step `{step}` is neither an element nor a function we know");
    ensure!(branch.resolves_to.is_none(), "`{step}` lies beyond a reference");
    branch.elements.push(Element { name: step.to_owned(), cast: None });
    Ok(())
}

fn cast(branch: &mut Branch, data_type: &str) -> Result<()> {
    ensure!(is_name(data_type), "`{data_type}` is not a data type");
    match branch.elements.last_mut() {
        Some(element) if element.cast.is_none() => element.cast = Some(data_type.to_owned()),
        Some(element) => bail!("`{}` is cast twice", element.name),
        None => bail!("a cast to {data_type} without an element"),
    }
    Ok(())
}

/// What stands in the parentheses of `name(...)`, if `text` is nothing but that.
fn argument<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    Some(text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?.trim())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Cuts at every separator outside parentheses.
fn split<'t>(text: &'t str, separator: &str) -> Result<Vec<&'t str>> {
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (position, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => bail!("`{text}` closes a parenthesis that is not open"),
            ')' => depth -= 1,
            _ => {}
        }
        let here = text.get(position..).unwrap_or_default();
        if depth == 0 && position >= start && here.starts_with(separator) {
            parts.push(text.get(start..position).unwrap_or_default().trim());
            start = position + separator.len();
        }
    }
    ensure!(depth == 0, "`{text}` leaves a parenthesis open");
    parts.push(text.get(start..).unwrap_or_default().trim());
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_taken_from_the_branch_of_the_type() {
        assert_eq!(read("AuditEvent.agent.who | Basic.author.name", "Basic"), ["author.name"]);
    }

    #[test]
    fn several_branches_of_one_type_all_count() {
        assert_eq!(
            read(
                "AuditEvent.agent.who.where(resolve() is Patient) | AuditEvent.entity.what.where(resolve() is Patient)",
                "AuditEvent"
            ),
            ["agent.who -> Patient", "entity.what -> Patient"]
        );
    }

    #[test]
    fn a_type_that_only_begins_like_another_is_another() {
        assert_eq!(read("CarePlan.subject | Care.subject", "Care"), ["subject"]);
    }

    #[test]
    fn every_spelling_of_a_cast_means_the_same() {
        for expression in [
            "(Group.value as Reference)",
            "Group.value as Reference",
            "Group.value.as(Reference)",
            "Group.value.ofType(Reference)",
            "((Group.value) as Reference)",
        ] {
            assert_eq!(read(expression, "Group"), ["value(Reference)"], "{expression}");
        }
    }

    #[test]
    fn a_cast_may_be_followed_by_a_condition() {
        assert_eq!(
            read("(Group.value as Reference).where(resolve() is Patient)", "Group"),
            ["value(Reference) -> Patient"]
        );
    }

    #[test]
    fn other_shapes_are_refused() {
        for expression in [
            "Group",
            "Group.value.first()",
            "Group.telecom.where(system='phone')",
            "Group.value.where(resolve() is Patient).name",
            "(Group.value",
            "Group.value)",
            "Group.value as A as B",
            "Group.value.exists() and Group.other",
        ] {
            assert!(branches(expression, "Group").is_err(), "{expression}");
        }
    }

    #[test]
    fn shapes_in_the_branches_of_other_types_do_not_matter() {
        assert_eq!(read("Person.telecom.where(system='email') | Group.member", "Group"), ["member"]);
    }

    fn read(expression: &str, resource_type: &str) -> Vec<String> {
        branches(expression, resource_type).unwrap().iter().map(show).collect()
    }

    fn show(branch: &Branch) -> String {
        let elements: Vec<String> = branch
            .elements
            .iter()
            .map(|element| match &element.cast {
                Some(cast) => format!("{}({cast})", element.name),
                None => element.name.clone(),
            })
            .collect();
        let path = elements.join(".");
        match &branch.resolves_to {
            Some(target) => format!("{path} -> {target}"),
            None => path,
        }
    }
}

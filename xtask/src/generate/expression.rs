//! The little of FHIRPath that search parameters are written in.
//!
//! A union of branches, each a path from a resource type down, with casts (`as`, `.as()`, `.ofType()`), with filters
//! (`[0]`, `.where(element='text')`, `.extension('url')`, `.where(hasExtension('url'))`) and, at its end, with
//! `.where(resolve() is Type)`. Anything else is an error: a path half understood would put patients' data into the
//! wrong compartment, or the wrong resources into an export.

use std::fmt;

use anyhow::{Result, bail, ensure};

/// One branch of the union.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Branch {
    /// Whether a component of a composite leaves its context and starts at the resource (`%resource`).
    pub(super) from_resource: bool,
    /// None if the branch is where it starts: the resource itself.
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
    /// Which of the element's values count.
    pub(super) filter: Option<Filter>,
}

/// A condition on the values of an element.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// The value at that place, from 0.
    At(usize),
    /// Those with that text at the end of a path of plain elements.
    Equals { path: String, text: String },
}

/// As the tables write it.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(place) => write!(f, "[{place}]"),
            Self::Equals { path, text } => write!(f, "[{path}={text}]"),
        }
    }
}

/// The branches that start at a resource type, or that name no type at all. Those of other types are not looked into.
pub(super) fn branches(expression: &str, resource_type: &str) -> Result<Vec<Branch>> {
    split(expression, "|")?
        .into_iter()
        .filter(|branch| root(branch) == resource_type || starts_at_element(root(branch)))
        .map(|branch| read_branch(branch, resource_type))
        .collect()
}

/// The branches of a component, which start in the composite's context or at `%resource`.
pub(super) fn component_branches(expression: &str) -> Result<Vec<Branch>> {
    split(expression, "|")?
        .into_iter()
        .map(|text| match text.strip_prefix("%resource.") {
            Some(text) => Ok(Branch { from_resource: true, ..read_branch(text, "")? }),
            None => read_branch(text, ""),
        })
        .collect()
}

fn root(branch: &str) -> &str {
    let path = branch.trim_start_matches(['(', ' ']);
    let end = path.find(|character: char| !character.is_ascii_alphanumeric());
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

fn read_branch(text: &str, resource_type: &str) -> Result<Branch> {
    let mut branch = Branch { from_resource: false, elements: Vec::new(), resolves_to: None };
    read_cast(text, resource_type, &mut branch)?;
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

/// Steps joined by dots; the first is the resource type, an element of it or, in parentheses, a path with a cast of its
/// own.
fn read_path(text: &str, resource_type: &str, branch: &mut Branch) -> Result<()> {
    let steps = split(text, ".")?;
    let Some((first, steps)) = steps.split_first() else {
        bail!("`{text}` is empty");
    };
    if let Some(inner) = argument(first, "") {
        read_cast(inner, resource_type, branch)?;
    } else if starts_at_element(first) {
        read_step(first, branch)?;
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
            return filter(branch, equality(condition)?);
        };
        ensure!(is_name(target), "`{target}` is not a resource type");
        ensure!(branch.resolves_to.is_none(), "the branch has two conditions");
        branch.resolves_to = Some(target.to_owned());
        return Ok(());
    }
    ensure!(branch.resolves_to.is_none(), "`{step}` lies beyond a reference");
    if let Some(url) = argument(step, "extension") {
        branch.elements.push(Element { name: "extension".to_owned(), cast: None, filter: None });
        return filter(branch, Filter::Equals { path: "url".to_owned(), text: literal(url)? });
    }
    let (name, index) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
        Some((name, index)) => (name, Some(index)),
        None => (step, None),
    };
    ensure!(is_name(name), "the step `{step}` is neither an element nor a function we know");
    branch.elements.push(Element { name: name.to_owned(), cast: None, filter: None });
    index.map_or(Ok(()), |index| filter(branch, Filter::At(index.parse()?)))
}

/// `element='text'` or `hasExtension('url')`.
fn equality(condition: &str) -> Result<Filter> {
    if let Some(url) = argument(condition, "hasExtension") {
        return Ok(Filter::Equals { path: "extension.url".to_owned(), text: literal(url)? });
    }
    match condition.split_once('=') {
        Some((element, text)) if is_name(element) => {
            Ok(Filter::Equals { path: element.to_owned(), text: literal(text)? })
        }
        _ => bail!("the condition `{condition}` is neither an equality nor of the form `resolve() is Type`"),
    }
}

/// A text in quotes, of characters that need no escape here or in the tables.
fn literal(text: &str) -> Result<String> {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    match inner {
        Some(inner) if inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte)) => {
            Ok(inner.to_owned())
        }
        _ => bail!("`{text}` is not a plain text in quotes"),
    }
}

fn filter(branch: &mut Branch, filter: Filter) -> Result<()> {
    match branch.elements.last_mut() {
        Some(element) if element.filter.is_none() => element.filter = Some(filter),
        Some(element) => bail!("`{}` has two conditions", element.name),
        None => bail!("a condition without an element"),
    }
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

fn starts_at_element(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
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
            "Group.value.first()",
            "Group.telecom.where(system='phone').where(use='home')",
            "Group.telecom.where(system!='phone')",
            "Group.telecom.where(system=\"phone\")",
            "Group.telecom.where(system='it''s')",
            "Group.telecom[first]",
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

    #[test]
    fn filters_are_read() {
        for (expression, meaning) in [
            ("Group.telecom.where(system='phone')", "telecom[system=phone]"),
            ("Group.entry[0].resource", "entry[0].resource"),
            ("Group.extension('http://a.b/c')", "extension[url=http://a.b/c]"),
            ("Group.item.where(hasExtension('http://a.b/c')).answer", "item[extension.url=http://a.b/c].answer"),
        ] {
            assert_eq!(read(expression, "Group"), [meaning]);
        }
    }

    #[test]
    fn a_branch_may_start_at_an_element_or_be_the_resource() {
        assert_eq!(read("name | alias", "Group"), ["name", "alias"]);
        assert_eq!(read("Group | Group.member", "Group"), ["", "member"]);
    }

    #[test]
    fn a_component_starts_in_its_context_or_at_the_resource() {
        let branches = component_branches("value.as(Quantity) | %resource.code").unwrap();
        assert_eq!(branches.iter().map(show).collect::<Vec<_>>(), ["value(Quantity)", "code"]);
        assert_eq!(branches.iter().map(|branch| branch.from_resource).collect::<Vec<_>>(), [false, true]);
    }

    fn read(expression: &str, resource_type: &str) -> Vec<String> {
        branches(expression, resource_type).unwrap().iter().map(show).collect()
    }

    fn show(branch: &Branch) -> String {
        let elements: Vec<String> = branch
            .elements
            .iter()
            .map(|element| {
                let cast = element.cast.as_ref().map_or_else(String::new, |cast| format!("({cast})"));
                let filter = element.filter.as_ref().map_or_else(String::new, Filter::to_string);
                format!("{}{cast}{filter}", element.name)
            })
            .collect();
        let path = elements.join(".");
        match &branch.resolves_to {
            Some(target) => format!("{path} -> {target}"),
            None => path,
        }
    }
}

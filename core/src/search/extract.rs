//! Following expressions through the JSON text of a resource.

use std::borrow::Cow;

use crate::json::{self, RawElement, elements, members, string_of};
use crate::reference::is_id;

use super::expression::{Branch, Condition, Expression, Path, Route, Step};

/// A value that a search parameter is about. Never an array, and never without content.
#[derive(Clone, Copy)]
pub struct Node<'l> {
    /// Its JSON text.
    pub raw: &'l RawElement,
    /// Its FHIR type: `Quantity`, `dateTime`, `Reference`. What the JSON text is need not fit.
    pub kind: &'l str,
}

/// Where the components of a composite search parameter look.
#[derive(Clone, Copy)]
pub enum Context<'l> {
    /// The whole resource.
    Resource,
    /// An element of it.
    Element(&'l RawElement),
}

/// The values of an expression that starts at the resource.
pub(super) fn from_roots<'l>(expression: Expression<'l>, roots: &[(Cow<'l, str>, &'l RawElement)]) -> Vec<Node<'l>> {
    from_context(expression, Context::Resource, roots)
}

/// The values of an expression that starts at a composite's context.
pub(super) fn from_context<'l>(
    expression: Expression<'l>,
    context: Context<'l>,
    roots: &[(Cow<'l, str>, &'l RawElement)],
) -> Vec<Node<'l>> {
    let mut nodes = Vec::new();
    let mut reached = Vec::new();
    for branch in expression.branches() {
        match (branch.route, context) {
            (Route::HoldsOtherThanFalse(properties), _) => reached.extend(holds_other_than_false(properties, roots)),
            (Route::Path(path), Context::Element(element)) => below(element, path, &mut reached),
            (Route::Path(path), Context::Resource) | (Route::FromResource(path), _) => {
                among(roots, path, &mut reached);
            }
        }
        let kept = reached.drain(..).filter(|raw| is_kept(&branch, raw));
        nodes.extend(kept.map(|raw| Node { raw, kind: branch.kind }));
    }
    nodes
}

/// The values at the end of a path from the members of an object.
fn among<'l>(members: &[(Cow<'l, str>, &'l RawElement)], path: Path<'_>, found: &mut Vec<&'l RawElement>) {
    let Some((step, rest)) = path.split_first() else { return };
    for (_, value) in members.iter().filter(|(name, _)| name == step.property) {
        follow(value, step, rest, found);
    }
}

/// The values at the end of a path from an element. Depth is that of the path.
fn below<'l>(element: &'l RawElement, path: Path<'_>, found: &mut Vec<&'l RawElement>) {
    among(&members(element).unwrap_or_default(), path, found);
}

/// The values at the end of a path, of which the first step led to `value`.
fn follow<'l>(value: &'l RawElement, step: Step<'_>, rest: Path<'_>, found: &mut Vec<&'l RawElement>) {
    let is_end = rest.split_first().is_none();
    for (index, item) in items(value).into_iter().enumerate() {
        let counts = match step.condition {
            None => true,
            Some(Condition::At(place)) => index == place,
            Some(Condition::Equals { path, text }) => reaches(item, path, text),
        };
        match (counts, is_end) {
            (false, _) => {}
            (true, true) => found.extend(has_content(item).then_some(item)),
            (true, false) => below(item, rest, found),
        }
    }
}

/// The values that a value stands for: its items, if it is an array. FHIR knows no arrays of arrays.
fn items(value: &RawElement) -> Vec<&RawElement> {
    if value.get().starts_with('[') { elements(value) } else { vec![value] }
}

fn reaches(element: &RawElement, path: Path<'_>, text: &str) -> bool {
    let mut found = Vec::new();
    below(element, path, &mut found);
    found.into_iter().any(|raw| string_of(raw).is_some_and(|found| found == text))
}

/// Whether a value says more than why it is absent.
fn has_content(value: &RawElement) -> bool {
    match value.get().as_bytes().first() {
        Some(b'{') => members(value)
            .unwrap_or_default()
            .iter()
            .any(|(name, member)| name != "id" && name != "extension" && member.get() != "null"),
        Some(b'[' | b'n') | None => false,
        Some(_) => true,
    }
}

fn is_kept(branch: &Branch<'_>, value: &RawElement) -> bool {
    branch.resolves_to.is_none_or(|target| leads_to(value, target))
}

/// Whether a Reference says that it leads to a resource of that type: by its `type`, else by the text of its
/// `reference`. One that says neither does not.
fn leads_to(value: &RawElement, target: &str) -> bool {
    let members = members(value).unwrap_or_default();
    let texts = |wanted: &'static str| {
        members.iter().filter(move |(name, _)| name == wanted).filter_map(|(_, raw)| string_of(raw))
    };
    let mut types = texts("type").peekable();
    if types.peek().is_some() {
        return types.any(|name| name.strip_prefix(STRUCTURE_DEFINITION).unwrap_or(&name) == target);
    }
    texts("reference").any(|text| target_type(&text) == Some(target))
}

/// The type in a reference that ends with `Type/id` or `Type/id/_history/version`, relative or absolute. Fragments, URNs
/// and searches name no type.
fn target_type(reference: &str) -> Option<&str> {
    let current = reference.split_once("/_history/").map_or(reference, |(current, _)| current);
    let (before, id) = current.rsplit_once('/')?;
    let name = before.rsplit_once('/').map_or(before, |(_, name)| name);
    (is_id(id) && !name.is_empty()).then_some(name)
}

fn holds_other_than_false<'l>(
    properties: &str,
    roots: &[(Cow<'l, str>, &'l RawElement)],
) -> Option<&'static RawElement> {
    let holds = roots
        .iter()
        .filter(|(name, _)| properties.split(',').any(|property| property == name))
        .flat_map(|(_, value)| items(value))
        .any(|item| has_content(item) && item.get() != "false");
    json::boolean(holds)
}

/// What a `Reference.type` is relative to.
const STRUCTURE_DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";

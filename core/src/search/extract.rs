//! Following expressions through the JSON text of a resource.
//!
//! What is found is handed to a visitor, value by value; nothing is collected. A visitor that has seen enough breaks.

use std::ops::ControlFlow;

use crate::{json::Element, reference::is_id};

use super::{
    expression::{Branch, Condition, Expression, Path, Route, Step, read_path},
    roots::{RootNames, Roots, Slot},
};

/// A value that a search parameter is about. Never an array, and never without content.
#[derive(Clone, Copy)]
pub(crate) struct Node<'l, 'd> {
    /// Its JSON text.
    pub(crate) element: Element<'l>,
    /// Its FHIR type: `Quantity`, `dateTime`, `Reference`. What the JSON text is need not fit.
    pub(crate) kind: &'d str,
}

/// Where the components of a composite search parameter look.
#[derive(Clone, Copy)]
pub(crate) enum Context<'l> {
    /// The whole resource.
    Resource,
    /// An element of it.
    Element(Element<'l>),
}

/// An expression, ready for lines.
pub(crate) struct Extraction {
    ways: Box<[Way]>,
}

struct Way {
    start: Start,
    /// The FHIR type of the values.
    kind: Box<str>,
    /// The resource type that references must lead to.
    resolves_to: Option<Box<str>>,
}

enum Start {
    /// At the context, which may be the resource: then the first step is to that slot.
    Context { slot: Option<Slot>, path: Path },
    /// At the resource, wherever the context is.
    Resource { slot: Slot, path: Path },
    /// Whether one of these has a value other than `false`.
    HoldsOtherThanFalse(Box<[Slot]>),
}

impl Extraction {
    /// An expression that starts at the resource.
    pub(super) fn from_resource(expression: Expression<'_>, names: &mut RootNames) -> Self {
        Self::new(expression, names, true)
    }

    /// A component's expression, which starts at a context. Whether that may be the resource.
    pub(super) fn from_context(expression: Expression<'_>, names: &mut RootNames, may_be_resource: bool) -> Self {
        Self::new(expression, names, may_be_resource)
    }

    fn new(expression: Expression<'_>, names: &mut RootNames, may_be_resource: bool) -> Self {
        let way = |branch: Branch<'_>| {
            let mut slots = branch.roots().map(|root| names.slot(root));
            let start = match branch.route {
                Route::Path(path) if may_be_resource => Start::Context { slot: slots.next(), path: read_path(path) },
                Route::Path(path) => Start::Context { slot: None, path: read_path(path) },
                Route::FromResource(path) => Start::Resource { slot: slots.next()?, path: read_path(path) },
                Route::HoldsOtherThanFalse(_) => Start::HoldsOtherThanFalse(slots.collect()),
            };
            Some(Way { start, kind: branch.kind.into(), resolves_to: branch.resolves_to.map(Into::into) })
        };
        Self { ways: expression.branches().filter_map(way).collect() }
    }

    /// The root elements that it looks at.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.ways.iter().flat_map(|way| {
            let (one, several) = match &way.start {
                Start::Context { slot, .. } => (*slot, [].as_slice()),
                Start::Resource { slot, .. } => (Some(*slot), [].as_slice()),
                Start::HoldsOtherThanFalse(slots) => (None, &**slots),
            };
            one.into_iter().chain(several.iter().copied())
        })
    }

    /// Whether what it finds in one root element does not depend on the others.
    pub(crate) fn is_by_root(&self) -> bool {
        self.ways.iter().all(|way| !matches!(way.start, Start::HoldsOtherThanFalse(_)))
    }

    /// The values in one root element, if they do not depend on others.
    pub(crate) fn visit_root<'l, 'd>(
        &'d self,
        slot: Slot,
        element: Element<'l>,
        mut visit: impl FnMut(Node<'l, 'd>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for way in &self.ways {
            match &way.start {
                Start::Context { slot: Some(start), path } | Start::Resource { slot: start, path }
                    if *start == slot =>
                {
                    way.follow(element, path, &mut visit)?;
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    /// The values in a resource. Those that hold nothing but an id or extensions are left out.
    pub(crate) fn visit_resource<'l, 'd>(
        &'d self,
        roots: &Roots<'l>,
        visit: impl FnMut(Node<'l, 'd>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.visit_context(Context::Resource, roots, visit)
    }

    /// The values in one of a composite's contexts.
    pub(crate) fn visit_context<'l, 'd>(
        &'d self,
        context: Context<'l>,
        roots: &Roots<'l>,
        mut visit: impl FnMut(Node<'l, 'd>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for way in &self.ways {
            match (&way.start, context) {
                (Start::Context { path, .. }, Context::Element(element)) => {
                    below(element, path, &mut |found| way.keep(found, &mut visit))?;
                }
                (Start::Context { slot: Some(slot), path }, Context::Resource)
                | (Start::Resource { slot, path }, _) => {
                    if let Some(element) = roots.get(*slot) {
                        way.follow(element, path, &mut visit)?;
                    }
                }
                (Start::Context { slot: None, .. }, Context::Resource) => {}
                (Start::HoldsOtherThanFalse(slots), _) => {
                    let element = Element::new(if holds_other_than_false(slots, roots) { b"true" } else { b"false" });
                    visit(Node { element, kind: &way.kind })?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Way {
    /// The values at the end of a path whose first step leads to `root`.
    fn follow<'l, 'd>(
        &'d self,
        root: Element<'l>,
        path: &[Step],
        visit: &mut impl FnMut(Node<'l, 'd>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some((step, rest)) = path.split_first() else { return ControlFlow::Continue(()) };
        follow(root, step, rest, &mut |found| self.keep(found, visit))
    }

    fn keep<'l, 'd>(
        &'d self,
        element: Element<'l>,
        visit: &mut impl FnMut(Node<'l, 'd>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let is_kept = self.resolves_to.as_deref().is_none_or(|target| leads_to(element, target));
        if is_kept { visit(Node { element, kind: &self.kind }) } else { ControlFlow::Continue(()) }
    }
}

/// The values at the end of a path from an element. Depth is that of the path.
fn below<'l, F>(element: Element<'l>, path: &[Step], visit: &mut F) -> ControlFlow<()>
where
    F: FnMut(Element<'l>) -> ControlFlow<()>,
{
    let Some((step, rest)) = path.split_first() else { return ControlFlow::Continue(()) };
    for (name, value) in element.members() {
        if name.is(&step.property) {
            follow(value, step, rest, visit)?;
        }
    }
    ControlFlow::Continue(())
}

/// The values at the end of a path, of which the first step led to `value`.
fn follow<'l, F>(value: Element<'l>, step: &Step, rest: &[Step], visit: &mut F) -> ControlFlow<()>
where
    F: FnMut(Element<'l>) -> ControlFlow<()>,
{
    for (index, item) in values(value).enumerate() {
        let counts = match &step.condition {
            None => true,
            Some(Condition::At(place)) => index == *place,
            Some(Condition::Equals { path, text }) => reaches(item, path, text),
        };
        match (counts, rest.is_empty()) {
            (true, true) if has_content(item) => visit(item)?,
            (true, false) => below(item, rest, visit)?,
            _ => {}
        }
    }
    ControlFlow::Continue(())
}

/// The values that a value stands for: its items, if it is an array. FHIR knows no arrays of arrays.
fn values(value: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    let lone = (!value.is_array()).then_some(value);
    lone.into_iter().chain(value.items())
}

fn reaches(element: Element<'_>, path: &[Step], text: &str) -> bool {
    let mut is_it = |found: Element<'_>| match found.string() {
        Some(found) if *found == *text => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    below(element, path, &mut is_it).is_break()
}

/// Whether a value says more than why it is absent.
fn has_content(value: Element<'_>) -> bool {
    match value.text().first() {
        Some(b'{') => {
            value.members().any(|(name, member)| member.text() != b"null" && !name.is("id") && !name.is("extension"))
        }
        Some(b'[' | b'n') | None => false,
        Some(_) => true,
    }
}

/// Whether a Reference says that it leads to a resource of that type: by its `type`, else by the text of its
/// `reference`. One that says neither does not.
fn leads_to(value: Element<'_>, target: &str) -> bool {
    let texts = |wanted: &'static str| {
        value.members().filter(move |(name, _)| name.is(wanted)).filter_map(|(_, element)| element.string())
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

fn holds_other_than_false(slots: &[Slot], roots: &Roots<'_>) -> bool {
    let mut items = slots.iter().filter_map(|slot| roots.get(*slot)).flat_map(values);
    items.any(|item| has_content(item) && item.text() != b"false")
}

/// What a `Reference.type` is relative to.
const STRUCTURE_DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";

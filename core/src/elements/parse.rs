//! The values of `_elements`, read and checked (BD-ELEM-03).

use std::{cell::OnceCell, collections::BTreeSet};

use super::{Elements, ElementsError, ElementsErrorKind, ITEMS_MAX, Item, RootElement, error::Place};
use crate::{Definitions, ResourceType, search::nearest};

impl Elements {
    /// Reads all values of one kick-off, each a list of items separated by `,`. An item is `Type.element`, or `element`
    /// for every type (BD-ELEM-04), with or without white space around it.
    ///
    /// Accepted are root elements that resources of the type have, or without a type, those of any. A choice element is
    /// named without its type: `value`, not `valueQuantity` or `value[x]` (BD-ELEM-08). What is wrong is said of all
    /// items at once, or of the first [`ERRORS_MAX`] that are wrong.
    pub fn parse(values: &[&str], definitions: &Definitions<'_>) -> Result<Self, Vec<ElementsError>> {
        let known = Known { definitions, of_any_type: OnceCell::new() };
        let mut items = BTreeSet::new();
        let mut errors = Vec::new();
        for (index, (place, text)) in texts(values).enumerate() {
            if index == ITEMS_MAX {
                errors.push(ElementsError::new(ElementsErrorKind::TooManyItems, place));
                break;
            }
            match known.item(text) {
                Ok(item) => {
                    items.insert(item);
                }
                Err(kind) => errors.push(ElementsError::new(kind, place)),
            }
            if errors.len() == ERRORS_MAX {
                break;
            }
        }
        if errors.is_empty() { Ok(Self { items }) } else { Err(errors) }
    }
}

/// The items of all values, without the white space around them.
fn texts<'v>(values: &[&'v str]) -> impl Iterator<Item = (Place, &'v str)> {
    values.iter().enumerate().flat_map(|(value, text)| {
        text.split(',').enumerate().scan(0, move |next, (item, part)| {
            let begin = *next;
            *next = begin + part.len() + 1;
            let blanks = part.len() - part.trim_start().len();
            Some((Place { value, item, position: begin + blanks }, part.trim()))
        })
    })
}

/// The elements that there are.
struct Known<'a, 'd> {
    definitions: &'a Definitions<'d>,
    /// Those of all types together, collected when an item asks for them.
    of_any_type: OnceCell<BTreeSet<RootElement<'d>>>,
}

impl<'d> Known<'_, 'd> {
    fn item(&self, text: &str) -> Result<Item, ElementsErrorKind> {
        let Some((before, element)) = text.split_once('.') else {
            let is_type = self.definitions.resource_type(text).is_some();
            return if is_type { Err(ElementsErrorKind::Incomplete) } else { self.checked(None, text) };
        };
        match self.definitions.resource_type(before) {
            Some(resource_type) => match element.split_once('.') {
                Some((root, _)) => Err(self.not_root(Some(resource_type), root)),
                None => self.checked(Some(resource_type), element),
            },
            None => Err(self.without_type(before)),
        }
    }

    /// An item, if there is such an element.
    fn checked(&self, resource_type: Option<ResourceType>, element: &str) -> Result<Item, ElementsErrorKind> {
        if element.is_empty() {
            return Err(ElementsErrorKind::Incomplete);
        }
        let found = match &resource_type {
            Some(name) => find(element, || self.definitions.root_elements(name.as_str())),
            None => find(element, || self.of_any_type().iter().copied()),
        };
        match found {
            Ok(()) => Ok(Item { resource_type, element: element.into() }),
            Err(nearest) => Err(ElementsErrorKind::unknown_element(element, resource_type, nearest)),
        }
    }

    /// What is wrong if no resource type stands before the dot: it is mistyped, or the item is a path of elements.
    fn without_type(&self, before: &str) -> ElementsErrorKind {
        let types = || self.definitions.resource_types();
        if before.is_empty() {
            ElementsErrorKind::Incomplete
        } else if before.starts_with(|c: char| c.is_ascii_lowercase())
            && !types().any(|name| name.eq_ignore_ascii_case(before))
        {
            self.not_root(None, before)
        } else {
            ElementsErrorKind::unknown_type(before, nearest(before, types()))
        }
    }

    fn not_root(&self, resource_type: Option<ResourceType>, root: &str) -> ElementsErrorKind {
        let root = self.checked(resource_type, root).ok();
        ElementsErrorKind::NotRoot { root: root.map(|item| item.to_string()) }
    }

    fn of_any_type(&self) -> &BTreeSet<RootElement<'d>> {
        self.of_any_type.get_or_init(|| self.definitions.root_elements_of_any_type().collect())
    }
}

/// Finds an element by its name, or else the name that may have been meant.
fn find<'d, I: Iterator<Item = RootElement<'d>>>(name: &str, among: impl Fn() -> I) -> Result<(), Option<&'d str>> {
    if among().any(|element| element.name() == name) {
        return Ok(());
    }
    let name = name.strip_suffix("[x]").unwrap_or(name);
    let property_of = among().find(|element| element.name() == name || element.has_property(name));
    Err(property_of.map(|element| element.name()).or_else(|| nearest(name, among().map(|element| element.name()))))
}

/// Errors that are told at once: more than anybody reads, and each costs a search for what was meant.
pub const ERRORS_MAX: usize = 50;

//! What is wrong with an item, where, and what would be accepted instead.

use std::fmt;

use super::ITEMS_MAX;
use crate::ResourceType;

/// Why an item of `_elements` cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementsError {
    kind: ElementsErrorKind,
    place: Place,
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) value: usize,
    pub(super) item: usize,
    pub(super) position: usize,
}

impl ElementsError {
    pub(super) fn new(kind: ElementsErrorKind, place: Place) -> Self {
        Self { kind, place }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ElementsErrorKind {
        &self.kind
    }

    /// Which of the parameter's values, from 0.
    pub fn value(&self) -> usize {
        self.place.value
    }

    /// Which item of that value, from 0.
    pub fn item(&self) -> usize {
        self.place.item
    }

    /// Where in that value the item begins, in bytes.
    pub fn position(&self) -> usize {
        self.place.position
    }
}

impl fmt::Display for ElementsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { value, item, position } = self.place;
        write!(f, "`_elements` value {}, item {}, byte {position}: {}", value + 1, item + 1, self.kind)
    }
}

impl std::error::Error for ElementsError {}

/// What may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementsErrorKind {
    /// No element is named, or nothing stands before the dot.
    Incomplete,
    /// An element below the root (BD-ELEM-03).
    NotRoot {
        /// The root element above it, as an item.
        root: Option<String>,
    },
    /// More than `ITEMS_MAX` items in all values.
    TooManyItems,
    /// An element that resources of the type do not have, or those of no type.
    UnknownElement {
        /// As it was written, shortened.
        name: String,
        /// The type that was named with it.
        resource_type: Option<ResourceType>,
        /// The one that may have been meant.
        nearest: Option<String>,
    },
    /// A resource type that this FHIR version does not have.
    UnknownType {
        /// As it was written, shortened.
        name: String,
        /// The one that may have been meant.
        nearest: Option<String>,
    },
}

impl ElementsErrorKind {
    pub(super) fn unknown_element(name: &str, resource_type: Option<ResourceType>, nearest: Option<&str>) -> Self {
        Self::UnknownElement { name: shortened(name), resource_type, nearest: nearest.map(str::to_owned) }
    }

    pub(super) fn unknown_type(name: &str, nearest: Option<&str>) -> Self {
        Self::UnknownType { name: shortened(name), nearest: nearest.map(str::to_owned) }
    }
}

impl fmt::Display for ElementsErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("a name is missing: accepted are `element` and `Type.element`"),
            Self::NotRoot { root: Some(root) } => write!(f, "not at the root of a resource: accepted is `{root}`"),
            Self::NotRoot { root: None } => {
                f.write_str("not at the root of a resource: accepted are root elements, as `element` or `Type.element`")
            }
            Self::TooManyItems => write!(f, "more than {ITEMS_MAX} items in all"),
            Self::UnknownElement { name, resource_type, nearest } => {
                write!(f, "unknown root element `{name}` ")?;
                match resource_type {
                    Some(resource_type) => write!(f, "of `{resource_type}`: ")?,
                    None => f.write_str("of any resource type: ")?,
                }
                match nearest {
                    Some(nearest) => write!(f, "`{nearest}` is one"),
                    None => f.write_str("accepted are those that FHIR defines, such as `id`"),
                }
            }
            Self::UnknownType { name, nearest: Some(nearest) } => {
                write!(f, "unknown resource type `{name}`: `{nearest}` is one")
            }
            Self::UnknownType { name, nearest: None } => {
                write!(f, "unknown resource type `{name}`: accepted are those of FHIR, or an element alone")
            }
        }
    }
}

/// A name as an error text may show it: what no name has is `?`.
fn shortened(name: &str) -> String {
    let shown = name.chars().take(SHOWN_CHARACTERS_MAX);
    let mut shown: String = shown.map(|c| if c.is_ascii_graphic() && c != '`' { c } else { '?' }).collect();
    if name.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Characters of a name that an error text shows. The longest root element of R4 has 31.
const SHOWN_CHARACTERS_MAX: usize = 60;

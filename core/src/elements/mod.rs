//! `_elements`: resources that hold what was asked for, and what they cannot do without.
//!
//! [`Elements`] is what a kick-off asked for; it can be stored. A [`Trimmer`] is made of it for the lines.
//!
//! | of a resource of a type that is listed | becomes |
//! |---|---|
//! | a listed element, `_` siblings and choices (`valueQuantity` of `value`) with it | kept (BD-ELEM-02, BD-ELEM-08) |
//! | `resourceType`, `id` and every mandatory element | kept (BD-ELEM-05) |
//! | every modifier: `modifierExtension`, `implicitRules`, `active`, `verificationStatus`, … | kept (BD-ELEM-09) |
//! | `meta` | kept, and made where it is absent; its tags say `SUBSETTED` once (BD-ELEM-06) |
//! | anything else, `text`, `contained` and what FHIR does not define among it | cut |
//!
//! A type is listed by an item of its own, or by any item without a type. Other types stay whole (BD-ELEM-07).
//!
//! What is kept stands there byte for byte, in its order.
//!
//! # Why modifiers are kept
//!
//! Without `verificationStatus`, a diagnosis that was refuted looks like one that is confirmed. FHIR asks clients to list
//! all modifiers; one that forgets must not be misled. More may be returned than was asked for (BD-ELEM-07).
//!
//! # Why a resource is tagged though nothing was cut
//!
//! The tag says that the resource may lack something. If it stood only where something was cut, its absence would tell
//! that the record holds nothing else.

mod error;
mod parse;
mod root;
#[cfg(test)]
mod tests;
mod trim;
mod trimmer;

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, IntoDeserializer, value::Error as ShapeError},
};

use crate::ResourceType;

pub use error::{ElementsError, ElementsErrorKind};
pub use parse::ERRORS_MAX;
pub use root::RootElement;
pub use trimmer::Trimmer;

/// What `_elements` lists. Empty if it was not given: then all resources stay whole.
///
/// Displayed it is one value of `_elements`, which [`parse`](Self::parse)s to the same; in JSON an array of items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements {
    items: BTreeSet<Item>,
}

/// One root element, of one type or of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    resource_type: Option<ResourceType>,
    element: Box<str>,
}

impl Elements {
    /// Whether nothing is listed, so that all resources stay whole.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether an item is for resources of that type, or for all.
    fn concerns(&self, resource_type: &str) -> bool {
        self.items.iter().any(|item| item.is_for(resource_type))
    }

    /// Whether an element is listed for resources of that type, or for all.
    fn lists(&self, resource_type: &str, element: &str) -> bool {
        self.items.iter().any(|item| item.is_for(resource_type) && *item.element == *element)
    }

    fn has_item_for_all(&self) -> bool {
        self.items.iter().any(|item| item.resource_type.is_none())
    }
}

impl Item {
    fn is_for(&self, resource_type: &str) -> bool {
        self.resource_type.as_ref().is_none_or(|own| own.as_str() == resource_type)
    }

    /// Read back from our own records: the shape is checked, existence when a [`Trimmer`] is made.
    fn of_record(text: &str) -> Option<Self> {
        let (resource_type, element) = match text.split_once('.') {
            Some((name, element)) => {
                let name = IntoDeserializer::<ShapeError>::into_deserializer(name);
                (Some(ResourceType::deserialize(name).ok()?), element)
            }
            None => (None, text),
        };
        let well_formed = element.len() <= 64
            && element.starts_with(|c: char| c.is_ascii_lowercase())
            && element.bytes().all(|b| b.is_ascii_alphanumeric());
        well_formed.then(|| Self { resource_type, element: element.into() })
    }
}

impl fmt::Display for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = self.items.iter();
        items.next().map_or(Ok(()), |first| write!(f, "{first}"))?;
        items.try_for_each(|item| write!(f, ",{item}"))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.resource_type {
            Some(resource_type) => write!(f, "{resource_type}.{}", self.element),
            None => f.write_str(&self.element),
        }
    }
}

impl Serialize for Elements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.items.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let items: Option<BTreeSet<_>> = texts.iter().map(|text| Item::of_record(text)).collect();
        match items {
            Some(items) if items.len() <= ITEMS_MAX => Ok(Self { items }),
            _ => Err(D::Error::custom("not a list of elements")),
        }
    }
}

/// Items of a kick-off. All root elements of forty types fit, and lists are for naming few.
pub const ITEMS_MAX: usize = 1_000;

//! Looking into one JSON object.

use std::borrow::Cow;

use crate::json::{RawElement, elements, members, string_of};

/// The members of an object.
pub(super) struct Object<'l>(Vec<(Cow<'l, str>, &'l RawElement)>);

impl<'l> Object<'l> {
    /// `None` for any other JSON value.
    pub(super) fn of(raw: &'l RawElement) -> Option<Self> {
        members(raw).map(Self)
    }

    /// The member of that name, if it is there and not `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'l RawElement> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, raw)| *raw).filter(|raw| raw.get() != "null")
    }

    /// The member of that name as an object.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        self.get(name).and_then(Object::of)
    }

    /// The objects in the array of that name.
    pub(super) fn objects(&self, name: &str) -> impl Iterator<Item = Object<'l>> + use<'l> {
        self.items(name).into_iter().filter_map(Object::of)
    }

    /// The text of that name.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'l, str>> {
        self.get(name).and_then(string_of)
    }

    /// The texts in the array of that name.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = Cow<'l, str>> + use<'l> {
        self.items(name).into_iter().filter_map(string_of)
    }

    /// The items of the array of that name; a lone value is an item, too.
    fn items(&self, name: &str) -> Vec<&'l RawElement> {
        match self.get(name) {
            Some(raw) if raw.get().starts_with('[') => elements(raw),
            lone => lone.into_iter().collect(),
        }
    }
}

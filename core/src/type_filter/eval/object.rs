//! Looking into one JSON object.

use std::borrow::Cow;

use crate::json::Element;

/// An object, looked through once for each name asked for: elements of FHIR are small.
#[derive(Clone, Copy)]
pub(super) struct Object<'l>(Element<'l>);

impl<'l> Object<'l> {
    /// `None` for any other JSON value.
    pub(super) fn of(element: Element<'l>) -> Option<Self> {
        element.is_object().then_some(Self(element))
    }

    /// The first member of that name, if it is there and not `null`.
    pub(super) fn get(self, name: &str) -> Option<Element<'l>> {
        let first = self.0.members().find(|(member, _)| member.is(name));
        first.map(|(_, element)| element).filter(|element| element.text() != b"null")
    }

    /// The member of that name as an object.
    pub(super) fn object(self, name: &str) -> Option<Self> {
        self.get(name).and_then(Object::of)
    }

    /// The objects in the array of that name.
    pub(super) fn objects(self, name: &str) -> impl Iterator<Item = Object<'l>> + use<'l> {
        self.items(name).filter_map(Object::of)
    }

    /// The text of that name.
    pub(super) fn text(self, name: &str) -> Option<Cow<'l, str>> {
        self.get(name).and_then(Element::string)
    }

    /// The texts of those two names.
    pub(super) fn two_texts(self, one: &str, other: &str) -> (Option<Cow<'l, str>>, Option<Cow<'l, str>>) {
        let (mut first, mut second) = (None, None);
        for (name, element) in self.0.members() {
            if first.is_none() && name.is(one) {
                first = Some(element);
            } else if second.is_none() && name.is(other) {
                second = Some(element);
            }
            if first.is_some() && second.is_some() {
                break;
            }
        }
        (first.and_then(Element::string), second.and_then(Element::string))
    }

    /// The texts in the array of that name.
    pub(super) fn texts(self, name: &str) -> impl Iterator<Item = Cow<'l, str>> + use<'l> {
        self.items(name).filter_map(Element::string)
    }

    /// The items of the array of that name; a lone value is an item, too.
    fn items(self, name: &str) -> impl Iterator<Item = Element<'l>> + use<'l> {
        let value = self.get(name);
        let lone = value.filter(|value| !value.is_array());
        lone.into_iter().chain(value.into_iter().flat_map(Element::items))
    }
}

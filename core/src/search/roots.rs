//! The root elements of a resource by number. A name is looked up once for each member of a line; whatever asks for root
//! elements after that asks by slot.

use crate::{
    hash::{HashIndex, hash},
    json::{Element, Name},
};

/// The number of a root element among those that a request looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(usize);

/// The root elements that a request looks at, while it is made ready.
#[derive(Clone, Default)]
pub(crate) struct RootNames(Vec<Box<str>>);

/// The same, ready for lines.
pub(crate) struct RootTable {
    names: Vec<Box<str>>,
    index: HashIndex,
    /// By its trait, where a name may be: most others are passed over by that alone.
    places: [Place; TRAITS],
}

/// What was found of them in one line; of a repeated name the first.
#[derive(Default)]
pub(crate) struct Roots<'l>(Vec<(Slot, Element<'l>)>);

impl Slot {
    /// From 0.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

impl RootNames {
    /// The slot of that name, perhaps a new one.
    pub(crate) fn slot(&mut self, name: &str) -> Slot {
        let known = self.0.iter().position(|known| **known == *name);
        Slot(known.unwrap_or_else(|| {
            self.0.push(name.into());
            self.0.len() - 1
        }))
    }

    /// For lines.
    pub(crate) fn table(&self) -> RootTable {
        let entries: Vec<_> = (0..).zip(&self.0).map(|(number, name)| (hash(name.as_bytes()), number)).collect();
        let mut places = [Place::None; TRAITS];
        for (slot, name) in self.0.iter().enumerate() {
            if let Some(place) = places.get_mut(trait_of(name.as_bytes())) {
                *place = if *place == Place::None { Place::Only(Slot(slot)) } else { Place::OneOfSeveral };
            }
        }
        RootTable { names: self.0.clone(), index: HashIndex::new(&entries), places }
    }
}

impl RootTable {
    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name in a slot.
    pub(crate) fn name(&self, slot: Slot) -> Option<&str> {
        self.names.get(slot.0).map(|name| &**name)
    }

    /// The slot of a member, if anything looks at it.
    pub(crate) fn slot(&self, name: Name<'_>) -> Option<Slot> {
        if name.is_escaped() { self.slot_of(&name.decoded()?) } else { self.slot_of_bytes(name.text()) }
    }

    /// The slot of a decoded name.
    pub(crate) fn slot_of(&self, name: &str) -> Option<Slot> {
        self.slot_of_bytes(name.as_bytes())
    }

    #[inline]
    fn slot_of_bytes(&self, name: &[u8]) -> Option<Slot> {
        match self.places.get(trait_of(name))? {
            Place::None => return None,
            Place::Only(slot) => {
                return Some(*slot).filter(|slot| self.name(*slot).is_some_and(|it| it.as_bytes() == name));
            }
            Place::OneOfSeveral => {}
        }
        let is_it = |number: usize| self.names.get(number).is_some_and(|known| known.as_bytes() == name);
        let place = |number| usize::try_from(number).unwrap_or(usize::MAX);
        self.index.find(hash(name), |number| is_it(place(number))).map(|number| Slot(place(number)))
    }
}

impl<'l> Roots<'l> {
    /// Notes an element. Whether it is the first of its name; a later one is passed over.
    pub(crate) fn put(&mut self, slot: Slot, element: Element<'l>) -> bool {
        let is_first = self.get(slot).is_none();
        if is_first {
            self.0.push((slot, element));
        }
        is_first
    }

    /// A resource has a dozen root elements that anything looks at, at most, so they are searched from one end.
    pub(crate) fn get(&self, slot: Slot) -> Option<Element<'l>> {
        self.0.iter().find(|(known, _)| *known == slot).map(|(_, element)| *element)
    }

    /// In line order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, Element<'l>)> {
        self.0.iter().copied()
    }

    /// None, in the same memory, for another line.
    pub(crate) fn emptied<'n>(self) -> Roots<'n> {
        let mut old = self.0;
        old.clear();
        // Nothing is left to be of the old lifetime. The standard library collects in place.
        Roots(old.into_iter().map_while(|_| None).collect())
    }
}

/// Which names have one trait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    None,
    Only(Slot),
    OneOfSeveral,
}

/// A small number, by the length of a name and how it begins.
fn trait_of(name: &[u8]) -> usize {
    let first = name.first().copied().unwrap_or_default();
    (usize::from(first) + name.len() * 5) % TRAITS
}

const TRAITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Definitions;

    #[test]
    fn every_name_has_its_slot_and_no_other_has_one() {
        let mut names = RootNames::default();
        for resource_type in Definitions::R4.resource_types() {
            for code in Definitions::R4.search_codes(resource_type) {
                let parameter = Definitions::R4.search_parameter(resource_type, code).unwrap();
                parameter.roots().for_each(|root| assert_eq!(names.slot(root), names.slot(root)));
            }
        }
        let table = names.table();
        assert!(table.len() > 300);
        for number in 0..table.len() {
            let name = table.name(Slot(number)).unwrap();
            assert_eq!(table.slot_of(name), Some(Slot(number)));
            assert_eq!(table.slot_of(&name[1..]), None);
        }
    }

    #[test]
    fn an_escaped_name_is_the_same_and_the_first_of_a_name_counts() {
        let mut names = RootNames::default();
        let (code, subject) = (names.slot("code"), names.slot("subject"));
        let table = names.table();
        let line = Element::new(br#"{"x":1,"c\u006fde":2,"code":3,"subjec\"":4}"#);
        let mut roots = Roots::default();
        let mut repeated = 0;
        for (name, element) in line.members() {
            if let Some(slot) = table.slot(name) {
                repeated += usize::from(!roots.put(slot, element));
            }
        }
        assert_eq!((roots.get(code).unwrap().text(), repeated), (b"2".as_slice(), 1));
        assert!(roots.get(subject).is_none() && roots.iter().count() == 1);
        assert!(roots.emptied().get(code).is_none());
    }
}

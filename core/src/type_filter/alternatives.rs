//! The alternatives of a criterion, all read alike, and the values that meet one of them.

use super::{
    eval,
    value::{DateTest, IdTest, Keyed, NumberTest, OfType, QuantityTest, ReferenceTest, StringTest, TokenTest, UriTest},
};
use crate::{pass::SetWanted, search::Node, sets::Set};

/// What values are compared with besides what a query says.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    /// The server's own.
    pub(super) base_url: &'k str,
    /// All that the queries ask for.
    pub(super) sets: &'k [Set<'k>],
}

impl Known<'_> {
    /// Whether a set holds that text.
    fn holds(self, wanted: &SetWanted, text: &str) -> bool {
        self.sets.iter().any(|set| set.wanted() == wanted && set.contains(text))
    }
}

/// Alternatives, by how they read what they look at. A value is read once, however many there are.
pub(super) enum Alternatives {
    /// A reference to a resource that is in one of these sets.
    Chained(Vec<SetWanted>),
    Date(Vec<DateTest>),
    Id(Keyed<IdTest>),
    Name(Keyed<StringTest>),
    Number(Vec<NumberTest>),
    Quantity(Vec<QuantityTest>),
    Reference(Keyed<ReferenceTest>),
    ReferenceIdentifier(Keyed<TokenTest>),
    String(Keyed<StringTest>),
    Token(Keyed<TokenTest>),
    TokenOfType(Vec<OfType>),
    TokenText(Keyed<StringTest>),
    Uri(Keyed<UriTest>),
    /// A code that is in one of these sets.
    ValueSet(Vec<SetWanted>),
}

impl Alternatives {
    /// Whether a value of a resource meets one of them.
    pub(super) fn matches(&self, node: Node<'_, '_>, known: Known<'_>) -> bool {
        self.visit(node, known, |_| true)
    }

    /// The numbers of those that a value meets, until `visit` says that it has seen enough; whether it did. One may be
    /// visited twice.
    pub(super) fn visit(&self, node: Node<'_, '_>, known: Known<'_>, mut visit: impl FnMut(u32) -> bool) -> bool {
        let base_url = known.base_url;
        match self {
            Self::Chained(sets) => {
                eval::visit_resources(node, base_url, |target| any(sets, visit, |wanted| known.holds(wanted, target)))
            }
            Self::Date(tests) => eval::interval(node).is_some_and(|found| any(tests, visit, |t| t.matches(found))),
            Self::Id(tests) => node.element.string().is_some_and(|id| tests.visit(&&*id, visit)),
            Self::Name(tests) => eval::visit_names(node, |found| tests.visit(found, &mut visit)),
            Self::Number(tests) => any(tests, visit, |test| eval::matches_number(test, node)),
            Self::Quantity(tests) => any(tests, visit, |test| eval::matches_quantity(test, node)),
            Self::Reference(tests) => eval::visit_references(node, base_url, |found| tests.visit(found, visit)),
            Self::ReferenceIdentifier(tests) => eval::visit_identifiers(node, |found| tests.visit(found, visit)),
            Self::String(tests) => eval::visit_texts(node, |found| tests.visit(found, &mut visit)),
            Self::Token(tests) => eval::visit_tokens(node, |found| tests.visit(found, &mut visit)),
            Self::TokenOfType(tests) => any(tests, visit, |test| eval::matches_of_type(test, node)),
            Self::TokenText(tests) => eval::visit_labels(node, |found| tests.visit(found, &mut visit)),
            Self::Uri(tests) => eval::visit_uris(node, |found| tests.visit(found, visit)),
            Self::ValueSet(sets) => {
                eval::visit_codes(node, |code| any(sets, &mut visit, |wanted| known.holds(wanted, code)))
            }
        }
    }

    /// The sets that they look into.
    pub(super) fn sets(&self) -> &[SetWanted] {
        match self {
            Self::Chained(sets) | Self::ValueSet(sets) => sets,
            _ => &[],
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Chained(sets) | Self::ValueSet(sets) => sets.len(),
            Self::Date(tests) => tests.len(),
            Self::Id(tests) => tests.len(),
            Self::Name(tests) | Self::String(tests) | Self::TokenText(tests) => tests.len(),
            Self::Number(tests) => tests.len(),
            Self::Quantity(tests) => tests.len(),
            Self::Reference(tests) => tests.len(),
            Self::ReferenceIdentifier(tests) | Self::Token(tests) => tests.len(),
            Self::TokenOfType(tests) => tests.len(),
            Self::Uri(tests) => tests.len(),
        }
    }

    /// The keys of all of them; `None` if they are not all exact look-ups.
    pub(super) fn keys(&self) -> Option<Vec<u64>> {
        match self {
            Self::Chained(_) | Self::ValueSet(_) => None,
            Self::Date(_) | Self::Number(_) | Self::Quantity(_) | Self::TokenOfType(_) => None,
            Self::Id(tests) => tests.keys(),
            Self::Name(tests) | Self::String(tests) | Self::TokenText(tests) => tests.keys(),
            Self::Reference(tests) => tests.keys(),
            Self::ReferenceIdentifier(tests) | Self::Token(tests) => tests.keys(),
            Self::Uri(tests) => tests.keys(),
        }
    }

    /// Those of a whole list, in its order. The first says how they are read; any that is read otherwise is left out.
    pub(super) fn joined(list: Vec<Self>) -> Option<Self> {
        let mut list = list.into_iter();
        let mut all = list.next()?;
        all.extend(list);
        Some(all)
    }

    fn extend(&mut self, list: impl Iterator<Item = Self>) {
        /// One arm for each manner: takes the tests out of those that are read alike.
        macro_rules! tests_of {
            ($manner:path) => {
                list.filter_map(|other| if let $manner(tests) = other { Some(tests) } else { None })
            };
        }
        match self {
            Self::Chained(sets) => sets.extend(tests_of!(Self::Chained).flatten()),
            Self::Date(tests) => tests.extend(tests_of!(Self::Date).flatten()),
            Self::Id(tests) => tests.extend(tests_of!(Self::Id)),
            Self::Name(tests) => tests.extend(tests_of!(Self::Name)),
            Self::Number(tests) => tests.extend(tests_of!(Self::Number).flatten()),
            Self::Quantity(tests) => tests.extend(tests_of!(Self::Quantity).flatten()),
            Self::Reference(tests) => tests.extend(tests_of!(Self::Reference)),
            Self::ReferenceIdentifier(tests) => tests.extend(tests_of!(Self::ReferenceIdentifier)),
            Self::String(tests) => tests.extend(tests_of!(Self::String)),
            Self::Token(tests) => tests.extend(tests_of!(Self::Token)),
            Self::TokenOfType(tests) => tests.extend(tests_of!(Self::TokenOfType).flatten()),
            Self::TokenText(tests) => tests.extend(tests_of!(Self::TokenText)),
            Self::Uri(tests) => tests.extend(tests_of!(Self::Uri)),
            Self::ValueSet(sets) => sets.extend(tests_of!(Self::ValueSet).flatten()),
        }
    }

    /// Which manner of reading it is: two of one manner and parameter can be joined.
    pub(super) fn manner(&self) -> std::mem::Discriminant<Self> {
        std::mem::discriminant(self)
    }
}

fn any<T>(tests: &[T], mut visit: impl FnMut(u32) -> bool, matches: impl Fn(&T) -> bool) -> bool {
    (0..).zip(tests).any(|(number, test)| matches(test) && visit(number))
}

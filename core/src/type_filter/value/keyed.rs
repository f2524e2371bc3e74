//! Alternatives of which those that are exact look-ups cost the same however many they are.

use crate::hash::HashIndex;

/// A searched value that can be looked up by what is found.
pub(in crate::type_filter) trait KeyedTest {
    /// What is found in a resource.
    type Found<'f>;

    /// Whether what is found is what is searched.
    fn matches(&self, found: &Self::Found<'_>) -> bool;

    /// The keys under which the test is filed; none if it cannot be. Whatever it matches has one of them.
    fn keys(&self) -> impl Iterator<Item = u64>;

    /// The keys of what is found, until `look` says that it has seen enough; whether it did.
    fn find_keys(found: &Self::Found<'_>, look: impl FnMut(u64) -> bool) -> bool;
}

/// Alternatives, filed by their keys. A key says which to try; whether one matches it says itself.
pub(in crate::type_filter) struct Keyed<T> {
    tests: Vec<T>,
    /// If they are worth it.
    index: Option<Index>,
}

struct Index {
    table: HashIndex,
    /// Those that have no key.
    others: Vec<u32>,
}

impl<T: KeyedTest> Keyed<T> {
    pub(in crate::type_filter) fn new(tests: Vec<T>) -> Self {
        let index = (tests.len() > UNFILED_MAX).then(|| Index::new(&tests));
        Self { tests, index }
    }

    pub(in crate::type_filter) fn len(&self) -> usize {
        self.tests.len()
    }

    /// Takes the alternatives of others, too.
    pub(in crate::type_filter) fn extend(&mut self, others: impl Iterator<Item = Self>) {
        let mut tests = std::mem::take(&mut self.tests);
        tests.extend(others.flat_map(|other| other.tests));
        *self = Self::new(tests);
    }

    /// The keys of all alternatives; `None` if one has no key.
    pub(in crate::type_filter) fn keys(&self) -> Option<Vec<u64>> {
        let is_exact = self.tests.iter().all(|test| test.keys().next().is_some());
        is_exact.then(|| self.tests.iter().flat_map(KeyedTest::keys).collect())
    }

    /// The numbers of the alternatives that match, until `visit` says that it has seen enough; whether it did. One may
    /// be visited twice.
    pub(in crate::type_filter) fn visit(&self, found: &T::Found<'_>, mut visit: impl FnMut(u32) -> bool) -> bool {
        let Some(index) = &self.index else {
            return (0..).zip(&self.tests).any(|(number, test)| test.matches(found) && visit(number));
        };
        let mut try_one = |number: u32| {
            let test = usize::try_from(number).ok().and_then(|number| self.tests.get(number));
            test.is_some_and(|test| test.matches(found)) && visit(number)
        };
        let in_table = T::find_keys(found, |key| index.table.find(key, &mut try_one).is_some());
        in_table || index.others.iter().any(|number| try_one(*number))
    }
}

impl Index {
    fn new<T: KeyedTest>(tests: &[T]) -> Self {
        let (mut entries, mut others) = (Vec::new(), Vec::new());
        for (number, test) in (0..).zip(tests) {
            let before = entries.len();
            entries.extend(test.keys().map(|key| (key, number)));
            if entries.len() == before {
                others.push(number);
            }
        }
        Self { table: HashIndex::new(&entries), others }
    }
}

/// So few are tried faster than a text is hashed.
const UNFILED_MAX: usize = 3;

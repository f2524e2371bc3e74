//! `_id`: the logical id of the resource itself.

use super::{KeyedTest, unescaped};
use crate::{hash::hash, reference::is_id};

/// A searched id.
pub(in crate::type_filter) struct IdTest(String);

impl IdTest {
    /// `None` if no resource can have it.
    pub(in crate::type_filter) fn parse(text: &str) -> Option<Self> {
        Some(unescaped(text)).filter(|id| is_id(id)).map(Self)
    }
}

impl KeyedTest for IdTest {
    type Found<'f> = &'f str;

    fn matches(&self, found: &&str) -> bool {
        self.0 == *found
    }

    fn keys(&self) -> impl Iterator<Item = u64> {
        std::iter::once(hash(self.0.as_bytes()))
    }

    fn find_keys(found: &&str, mut look: impl FnMut(u64) -> bool) -> bool {
        look(hash(found.as_bytes()))
    }
}

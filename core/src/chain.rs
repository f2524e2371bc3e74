//! What an export asks about resources that exported ones refer to.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

/// A question about resources of one type, which a link of a chained parameter asks: those that meet it are a set.
///
/// A chain tells something of resources that may not be part of the export. So it is answered of those alone that the
/// client may export: what meets the question and is not granted, or withheld, or someone else's, counts as not there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chain {
    asked: String,
    /// What was granted of the type, if that is not all of it.
    granted: Option<BTreeSet<String>>,
    queries: Vec<String>,
}

/// Questions may name patients and what they have.
impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({})", self.resource_type())
    }
}

impl Chain {
    /// A question about all resources of its type.
    pub(crate) fn whole(asked: String) -> Self {
        Self { queries: vec![asked.clone()], granted: None, asked }
    }

    /// A question about what was granted of its type; both must hold of what meets one of `queries`.
    pub(crate) fn within(asked: String, granted: BTreeSet<String>, queries: Vec<String>) -> Self {
        Self { asked, granted: Some(granted), queries }
    }

    /// The same question, answered by what meets one of these.
    pub(crate) fn answered_by(self, queries: Vec<String>) -> Self {
        Self { queries, ..self }
    }

    /// The queries of what was granted of its type; `None` is all of it.
    pub(crate) fn granted(&self) -> Option<&BTreeSet<String>> {
        self.granted.as_ref()
    }

    /// The question, as the query of the type that it is about.
    pub(crate) fn asked(&self) -> &String {
        &self.asked
    }

    /// The same within what is granted: a resource that meets one of them is an answer.
    pub(crate) fn queries(&self) -> &[String] {
        &self.queries
    }

    /// The type that it is about, as it is written.
    pub(crate) fn resource_type(&self) -> &str {
        self.asked.split('?').next().unwrap_or_default()
    }
}

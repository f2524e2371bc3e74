//! What a writer goes through the data for. Most exports need one pass; what depends on what was exported needs more.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::writer::Checkpoint;

/// What a writer goes through the data for.
///
/// Every pass reads the same snapshot, so none depends on how far another came: each is a partition of the job, with a
/// checkpoint of its own. What one must know of the rest of the data, it is given as [`Set`](crate::sets::Set)s, which
/// are made anew after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pass {
    /// Writes what was asked for.
    #[default]
    Main,
    /// Finds what a set is made of, and writes no file.
    Collect(Collection),
    /// Writes what belongs to the exported resources without being part of a patient's compartment: their Provenance,
    /// and supporting resources that they refer to.
    Context,
    /// Reads tombstones and writes what was deleted.
    Deleted,
    /// Writes Binary resources whose security context is a resource other than a patient: it takes the rest of the data
    /// to tell whose they are.
    Binaries,
    /// Writes the contents of Binary resources to which Attachments lead, each to a file.
    Attachments,
}

/// What a collecting pass finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Collection {
    /// `Type/id` of every resource whose Provenance is exported.
    Subjects,
    /// `Type/id` of every resource in the compartments of the export's patients, exported or not.
    Compartment,
    /// `Type/id` of supporting resources that exported ones refer to.
    Supporting,
    /// The same, of what the supporting resources found so far refer to.
    SupportingOfSupporting,
    /// The newest Provenance of each subject.
    LatestProvenance,
    /// `Type/id` of what is the security context of a Binary, patients aside.
    SecurityContexts,
    /// Of these, what is in the compartments of the export's patients; in an export of everything also what is in nobody's.
    SecurityContextsFound,
    /// `Binary/id` of what the Attachments of exported resources lead to.
    Attachments,
    /// `Type/id` of what meets the question of that number in the plan's list of chains, and may be asked about.
    Chained(u32),
}

/// One part of the data, to be gone through for one pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionTask {
    /// Its number in the job; 0 for a collecting pass.
    pub partition: u32,
    /// For what. The main pass reads one part of the data for each of its partitions, any other all of it.
    #[serde(default)]
    pub pass: Pass,
    /// Where to go on.
    #[serde(default)]
    pub checkpoint: Option<Checkpoint>,
}

/// A set that must be there before a pass begins.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SetWanted {
    /// Made by a collecting pass over all partitions, which is given the sets before it in the list.
    Collected(Collection),
    /// What the embedder knows of consent: see [`Set`](crate::sets::Set) for its keys.
    Vetoes,
    /// The expansion of the ValueSet of that canonical, `url` or `url|version`: one that the kick-off was told is known.
    ValueSet(String),
}

/// The name alone: a canonical is what some client wrote.
impl fmt::Debug for SetWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SetWanted {
    /// The task whose findings make the set; `None` for what the embedder knows by itself.
    pub fn task(&self) -> Option<PartitionTask> {
        match self {
            Self::Collected(collection) => {
                Some(PartitionTask { pass: Pass::Collect(*collection), ..PartitionTask::default() })
            }
            Self::Vetoes | Self::ValueSet(_) => None,
        }
    }

    /// The name of the set.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Collected(Collection::Subjects) => "subjects",
            Self::Collected(Collection::Compartment) => "compartment",
            Self::Collected(Collection::Supporting) => "supporting",
            Self::Collected(Collection::SupportingOfSupporting) => "supportingOfSupporting",
            Self::Collected(Collection::LatestProvenance) => "latestProvenance",
            Self::Collected(Collection::SecurityContexts) => "securityContexts",
            Self::Collected(Collection::SecurityContextsFound) => "securityContextsFound",
            Self::Collected(Collection::Attachments) => "attachments",
            Self::Collected(Collection::Chained(_)) => "chained",
            Self::Vetoes => "vetoes",
            Self::ValueSet(_) => "valueSet",
        }
    }
}

impl fmt::Display for SetWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

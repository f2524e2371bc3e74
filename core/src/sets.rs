//! What a pass must know of the rest of the data: flat, exact sets of texts, made before its first line.

use std::{collections::BTreeMap, fmt};

use crate::{
    pass::{Collection, SetWanted},
    texts::{Texts, TextsBuilder, TextsError},
};

/// A set of texts as one block of position-independent bytes, borrowed by any number of writers.
///
/// Its texts are `Type/id` of resources. A set of vetoes holds any of these:
///
/// - `Type/id`: that resource is left out; of a Patient, everything in the compartment too;
/// - `Patient/id#system|code`: what is in that patient's compartment and carries that security label is left out.
///
/// The texts of a ValueSet are its codes, each as `system|code`, exactly as resources write them: `a` is not `A`. A set that
/// was made of them also knows each code alone, for elements of type `code`, whose system their definition fixes.
#[derive(Clone, Debug)]
pub struct Set<'s> {
    wanted: SetWanted,
    texts: Texts<'s>,
}

impl<'s> Set<'s> {
    /// Reads a block made by [`SetBuilder::seal`] for what was wanted.
    pub fn load(wanted: SetWanted, block: &'s [u8]) -> Result<Self, SetError> {
        Ok(Self { wanted, texts: Texts::load(block).map_err(SetError)? })
    }

    /// The same, owning its bytes.
    pub fn into_owned(self) -> Set<'static> {
        Set { wanted: self.wanted, texts: self.texts.into_owned() }
    }

    /// What it was made for.
    pub fn wanted(&self) -> &SetWanted {
        &self.wanted
    }

    /// How many texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.texts.contains(text)
    }
}

/// Collects what a set is made of.
pub struct SetBuilder {
    wanted: SetWanted,
    texts: TextsBuilder,
    /// Of each subject, the newest Provenance so far: when it was recorded, and its id.
    latest: BTreeMap<String, (String, String)>,
    texts_max: usize,
    /// A line that was cut between two pushes.
    begun: Vec<u8>,
    /// What went wrong: a set that lacks something must not be taken for a whole one.
    failed: Option<SetError>,
}

/// Its texts are ids of patients and of what is theirs.
impl fmt::Debug for SetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetBuilder({}, {} texts)", self.wanted.name(), self.texts.len() + self.latest.len())
    }
}

impl SetBuilder {
    /// A builder of at most so many texts. A code of a ValueSet is two.
    pub fn new(wanted: SetWanted, texts_max: usize) -> Self {
        Self {
            wanted,
            texts: TextsBuilder::default(),
            latest: BTreeMap::new(),
            texts_max,
            begun: Vec::new(),
            failed: None,
        }
    }

    /// Adds what [`Output::Found`](crate::writer::Output::Found) holds, or texts of your own, each ended by a line feed.
    /// May be cut anywhere. After an error nothing more is taken and no block is made.
    pub fn push(&mut self, found: &[u8]) -> Result<(), SetError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let taken = self.take(found);
        self.failed = taken.err();
        taken
    }

    fn take(&mut self, found: &[u8]) -> Result<(), SetError> {
        let mut rest = found;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                self.add(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(line);
                self.add(&whole)?;
            }
        }
        if self.begun.len() + rest.len() > LINE_BYTES_MAX {
            return Err(SetError(TextsError::TooLong));
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    /// The block.
    pub fn seal(mut self) -> Result<Vec<u8>, SetError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if !self.begun.is_empty() {
            return Err(SetError(TextsError::Malformed));
        }
        for (_, id) in std::mem::take(&mut self.latest).into_values() {
            self.texts.push(&format!("Provenance/{id}")).map_err(SetError)?;
        }
        Ok(self.texts.seal())
    }

    fn add(&mut self, line: &[u8]) -> Result<(), SetError> {
        let text = std::str::from_utf8(line).map_err(|_| SetError(TextsError::Malformed))?;
        let is_code = matches!(self.wanted, SetWanted::ValueSet(_));
        let room = if is_code { 2 } else { 1 };
        if self.texts.len() + self.latest.len() + room > self.texts_max {
            return Err(SetError(TextsError::TooMany { limit: self.texts_max }));
        }
        if is_code {
            let (system, code) = text.split_once('|').ok_or(SetError(TextsError::Malformed))?;
            if system.is_empty() || code.is_empty() {
                return Err(SetError(TextsError::Malformed));
            }
            // No system is empty, so this is no other code.
            self.texts.push(&format!("|{code}")).map_err(SetError)?;
        }
        if self.wanted == SetWanted::Collected(Collection::LatestProvenance) {
            let mut columns = text.split('\t');
            let (Some(subject), Some(recorded), Some(id), None) =
                (columns.next(), columns.next(), columns.next(), columns.next())
            else {
                return Err(SetError(TextsError::Malformed));
            };
            let newer = (recorded.to_owned(), id.to_owned());
            self.latest
                .entry(subject.to_owned())
                .and_modify(|newest| {
                    // Of two at the same instant the id decides, so that the order of the data does not.
                    if *newest < newer {
                        newest.clone_from(&newer);
                    }
                })
                .or_insert(newer);
            return Ok(());
        }
        self.texts.push(text).map_err(SetError)
    }
}

/// Why a set cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetError(TextsError);

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a set of the export: {}", self.0)
    }
}

impl std::error::Error for SetError {}

/// More than any `Type/id`, security label and instant together.
const LINE_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn block(wanted: &SetWanted, parts: &[&str]) -> Vec<u8> {
        let mut builder = SetBuilder::new(wanted.clone(), 100);
        parts.iter().for_each(|part| builder.push(part.as_bytes()).unwrap());
        builder.seal().unwrap()
    }

    #[test]
    fn texts_may_be_cut_anywhere() {
        let wanted = SetWanted::Collected(Collection::Subjects);
        let whole = "Observation/1\nPatient/a\nObservation/1\n";
        for cut in 0..whole.len() {
            let block = block(&wanted, &[&whole[..cut], &whole[cut..]]);
            let set = Set::load(wanted.clone(), &block).unwrap();
            assert_eq!(set.len(), 2);
            assert!(set.contains("Observation/1") && set.contains("Patient/a") && !set.contains("Patient/1"));
        }
    }

    #[test]
    fn the_newest_provenance_of_each_subject_counts() {
        let wanted = SetWanted::Collected(Collection::LatestProvenance);
        let found = ["A/1\t2024-01-01\tx\n", "A/1\t2024-03-01\ty\nA/2\t2023\tx\n", "A/1\t2024-02-01\tz\n"];
        let block = block(&wanted, &found);
        let set = Set::load(wanted, &block).unwrap();
        assert!(set.contains("Provenance/y") && set.contains("Provenance/x") && !set.contains("Provenance/z"));
    }

    #[test]
    fn the_codes_of_a_value_set_are_known_with_their_systems_and_alone() {
        let wanted = SetWanted::ValueSet("http://v".into());
        let block = block(&wanted, &["http://s|a\nhttp://s|a|b\n"]);
        let set = Set::load(wanted.clone(), &block).unwrap();
        for held in ["http://s|a", "http://s|a|b", "|a", "|a|b"] {
            assert!(set.contains(held), "{held}");
        }
        for other in ["a", "A", "|A", "http://t|a", "|b", "http://s|", "|"] {
            assert!(!set.contains(other), "{other}");
        }
        for wrong in ["a\n", "|a\n", "http://s|\n", "\n"] {
            assert!(SetBuilder::new(wanted.clone(), 10).push(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bounds_and_shapes_are_kept() {
        let mut builder = SetBuilder::new(SetWanted::Vetoes, 1);
        builder.push(b"Patient/1\n").unwrap();
        assert!(builder.push(b"Patient/2\n").is_err());
        assert!(builder.push(b"").is_err() && builder.seal().is_err(), "a part of a set is none");
        let mut builder = SetBuilder::new(SetWanted::Collected(Collection::LatestProvenance), 10);
        assert!(builder.push(b"Patient/1\n").is_err());
        let mut builder = SetBuilder::new(SetWanted::Vetoes, 10);
        builder.push(b"Patient/1").unwrap();
        assert!(builder.seal().is_err());
        assert!(Set::load(SetWanted::Vetoes, b"EHI").is_err());
    }
}

//! Which resources some files hold, by type and id: to follow references from one file into another, and to take what two
//! exports both hold once.

use std::{collections::BTreeMap, fmt};

use crate::{
    json::{Header, LineError},
    reference::local_target,
};

/// The resources of some files, by type and id. `P` says where each is: a file and an offset, or nothing.
pub struct ResourceIndex<P> {
    base_url: String,
    by_type: BTreeMap<String, BTreeMap<String, P>>,
    entries: usize,
    entries_max: usize,
}

impl<P> ResourceIndex<P> {
    /// An empty index of resources of the server with that base, for at most that many of them.
    pub fn new(base_url: &str, entries_max: usize) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        Self { base_url, by_type: BTreeMap::new(), entries: 0, entries_max }
    }

    /// Takes a line of a file. Whether its resource is new here; if it is not, the first stays.
    ///
    /// So where two exports overlap, give the lines of the later one first.
    pub fn insert(&mut self, line: &[u8], place: P) -> Result<bool, IndexError> {
        let header = Header::read(line, |_| false).map_err(IndexError::Line)?;
        let known = self.by_type.get(header.resource_type.as_ref());
        if known.is_some_and(|ids| ids.contains_key(header.id.as_ref())) {
            return Ok(false);
        }
        if self.entries >= self.entries_max {
            return Err(IndexError::Full);
        }
        self.entries += 1;
        self.by_type.entry(header.resource_type.into_owned()).or_default().insert(header.id.into_owned(), place);
        Ok(true)
    }

    /// Where the resource is that a literal reference names, relative or below the server's own base (BD-KICK-14); `None`
    /// for one that is not in the files, of another server, contained, or no literal reference at all. What stands behind
    /// `/_history/` is not looked at: an export holds one version of each.
    pub fn find(&self, reference: &str) -> Option<&P> {
        let (resource_type, id) = local_target(reference, &self.base_url)?;
        self.by_type.get(resource_type)?.get(id)
    }

    /// How many resources it knows.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }
}

/// How many, and nobody's ids.
impl<P> fmt::Debug for ResourceIndex<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceIndex({} resources)", self.entries)
    }
}

/// Why a line was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexError {
    /// It is no resource with a type and an id, as the header lines of an organised file are none.
    Line(LineError),
    /// The index holds as many as it may.
    Full,
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => write!(f, "{error}"),
            Self::Full => f.write_str("more resources than the index may hold"),
        }
    }
}

impl std::error::Error for IndexError {}

#[cfg(test)]
mod tests {
    use ehi_requirement::requirement;

    use super::*;

    #[test]
    fn references_find_their_targets_by_type_and_id() {
        let mut index = ResourceIndex::new("https://ehr.example/fhir/", 10);
        for (line, place) in [
            (&br#"{"resourceType":"Patient","id":"1"}"#[..], ("Patient.000.ndjson", 0)),
            (br#"{"resourceType":"Practitioner","id":"1"}"#, ("Practitioner.000.ndjson", 0)),
            (br#"{"id":"2","resourceType":"Patient"}"#, ("Patient.001.ndjson", 37)),
        ] {
            assert_eq!(index.insert(line, place), Ok(true));
        }
        for (reference, file) in [
            ("Patient/1", Some("Patient.000.ndjson")),
            ("Practitioner/1", Some("Practitioner.000.ndjson")),
            ("Patient/2/_history/3", Some("Patient.001.ndjson")),
            ("https://ehr.example/fhir/Patient/2", Some("Patient.001.ndjson")),
            ("https://other.example/fhir/Patient/2", None),
            ("Patient/3", None),
            ("Device/1", None),
            ("#1", None),
            ("urn:uuid:1", None),
            ("Patient?identifier=1", None),
        ] {
            assert_eq!(index.find(reference).map(|(file, _)| *file), file, "{reference}");
        }
        requirement!("core", "BD-KICK-14");
    }

    #[test]
    fn the_first_of_a_type_and_id_counts_and_the_bound_holds() {
        let mut index = ResourceIndex::new("https://ehr.example/fhir", 2);
        let line = |id: &str| format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#).into_bytes();
        assert!(index.is_empty());
        assert_eq!((index.insert(&line("1"), 'a'), index.insert(&line("1"), 'b')), (Ok(true), Ok(false)));
        assert_eq!(index.find("Patient/1"), Some(&'a'));
        assert_eq!(index.insert(&line("2"), 'c'), Ok(true));
        assert_eq!((index.insert(&line("3"), 'd'), index.insert(&line("2"), 'e')), (Err(IndexError::Full), Ok(false)));
        assert_eq!(index.len(), 2);
        let header = index.insert(br#"{"resourceType":"Parameters","parameter":[{"name":"header"}]}"#, 'f');
        assert_eq!(header, Err(IndexError::Line(LineError::Missing("id"))));
        assert_eq!(format!("{index:?}"), "ResourceIndex(2 resources)");
    }
}

//! From the rows of partitions to the rows of an export.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{OutputFile, Section};
use crate::ResourceType;

/// The rows of disjoint partitions as the rows of one export, in the order in which a manifest lists them: section, type,
/// partition, number of the file. Merging is associative and commutative, and a row that is given again changes nothing;
/// so the lists may come in any order, in groups, and from attempts that were repeated.
///
/// What a row says is not changed: each file still has the resources and bytes that its writer counted. Files of one name
/// that differ are two answers to one question, and refused: pick one attempt, as the job does by its epoch.
pub fn merge(lists: impl IntoIterator<Item: IntoIterator<Item = OutputFile>>) -> Result<Vec<OutputFile>, MergeError> {
    let mut rows = BTreeMap::new();
    for row in lists.into_iter().flatten() {
        let held = rows.entry(Place::of(&row)).or_insert_with(|| row.clone());
        if *held != row {
            return Err(MergeError);
        }
    }
    let names: BTreeSet<&str> = rows.values().map(|row| row.name.as_str()).collect();
    if names.len() == rows.len() { Ok(rows.into_values().collect()) } else { Err(MergeError) }
}

/// Two different files have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeError;

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("two files of one name differ: they are of two attempts at one partition")
    }
}

impl std::error::Error for MergeError {}

/// Where a row stands in a manifest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    section: Section,
    resource_type: Option<ResourceType>,
    partition: u64,
    number: u64,
    name: String,
}

impl Place {
    fn of(row: &OutputFile) -> Self {
        let (partition, number) = numbers(&row.name);
        Self {
            section: row.section,
            resource_type: row.resource_type.clone(),
            partition,
            number,
            name: row.name.clone(),
        }
    }
}

/// Partition and number in a name that a writer gave: `Patient-0001.ndjson`, `Patient-p2-10000.ndjson`. Other names come
/// first.
fn numbers(name: &str) -> (u64, u64) {
    let mut parts = name.split('.').next().unwrap_or_default().rsplit('-');
    let number = parts.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let partition = parts.next().and_then(|part| part.strip_prefix('p')).and_then(|number| number.parse().ok());
    (partition.unwrap_or(0), number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Definitions;

    fn row(section: Section, resource_type: &str, name: &str) -> OutputFile {
        OutputFile {
            section,
            resource_type: Definitions::R4.resource_type(resource_type),
            name: name.to_owned(),
            key: format!("1/{name}"),
            content_type: None,
            count: 1,
            bytes: 2,
            gzip_bytes: None,
            sha256: None,
            continues_in_file: None,
            page: None,
        }
    }

    #[test]
    fn rows_are_in_the_order_of_the_manifest_and_numbers_are_numbers() {
        let listed = [
            row(Section::Error, "OperationOutcome", "error-0001.ndjson"),
            row(Section::Output, "Patient", "Patient-p2-0001.ndjson"),
            row(Section::Output, "Patient", "Patient-10000.ndjson"),
            row(Section::Output, "Patient", "Patient-p10-0001.ndjson"),
            row(Section::Deleted, "Bundle", "deleted-p3-0001.ndjson"),
            row(Section::Output, "Patient", "Patient-9999.ndjson"),
            row(Section::Output, "Condition", "Condition-0001.ndjson"),
        ];
        let merged = merge(listed.map(|row| [row])).unwrap();
        let names: Vec<_> = merged.iter().map(|row| row.name.as_str()).collect();
        let expected = [
            "Condition-0001.ndjson",
            "Patient-9999.ndjson",
            "Patient-10000.ndjson",
            "Patient-p2-0001.ndjson",
            "Patient-p10-0001.ndjson",
            "deleted-p3-0001.ndjson",
            "error-0001.ndjson",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_row_counts_once_and_two_files_of_one_name_are_refused() {
        let one = row(Section::Output, "Patient", "Patient-0001.ndjson");
        assert_eq!(merge([vec![one.clone(), one.clone()], vec![one.clone()]]).unwrap(), std::slice::from_ref(&one));
        assert_eq!(merge(Vec::<Vec<OutputFile>>::new()).unwrap(), []);
        let of_another_attempt = OutputFile { key: "2/Patient-0001.ndjson".into(), ..one.clone() };
        let of_another_section = OutputFile { section: Section::Deleted, ..one.clone() };
        for other in [of_another_attempt, of_another_section] {
            assert_eq!(merge([[one.clone()], [other]]), Err(MergeError));
        }
    }
}

//! Writing a manifest: head, then rows in section order, then the end.
//!
//! Shapes by edition: 1.0.1 has no `deleted`; 4.0 names `error` `outcome`, drops `request`, makes `extension` an array of
//! FHIR Extensions, adds `manifestType` and `outputFormat`, gives items `fileSize` and leaves empty arrays away (BD4-03 to
//! BD4-07, BD4-10).

use std::fmt;

use serde_json::{Map, Value, json};

use super::{ManifestHead, OutputFile, Section};
use crate::{Edition, json::to_string};

/// Writes a manifest in memory that does not depend on the number of files.
///
/// Call [`row`](Self::row) for each file, sections in the order of [`Section`], then [`finish`](Self::finish). Where the
/// head names a page, give the rows of that page and those of no page alone.
#[derive(Debug)]
pub struct ManifestWriter {
    head: ManifestHead,
    begun: bool,
    /// That of the last row; rows may not go back behind it.
    section: Section,
    /// The array that is open.
    array: Option<Section>,
}

impl ManifestWriter {
    /// A writer for that head.
    pub fn new(head: ManifestHead) -> Self {
        Self { head, begun: false, section: Section::Output, array: None }
    }

    /// Appends one file to `out`; nothing for an attachment, which no manifest lists.
    pub fn row(&mut self, file: &OutputFile, out: &mut Vec<u8>) -> Result<(), ManifestError> {
        if !self.head.takes(file) {
            return Err(ManifestError::OtherPage);
        }
        if file.section < self.section {
            return Err(ManifestError::OutOfOrder);
        }
        if file.section == Section::Attachment {
            return Ok(());
        }
        if file.section == Section::Deleted && self.head.edition == Edition::Stu1 {
            return Err(ManifestError::NotInEdition);
        }
        self.section = file.section;
        self.begin(out);
        if self.array == Some(file.section) {
            out.push(b',');
        } else {
            self.begin_array(file.section, out);
        }
        out.extend_from_slice(to_string(&self.item(file)).as_bytes());
        Ok(())
    }

    /// Appends what is left.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.begin(out);
        // Up to 3.0 `output` and `error` are there even if they are empty. An empty element of FHIR is not (BD4-10).
        if !self.is_ballot() && self.array != Some(Section::Error) {
            self.begin_array(Section::Error, out);
        }
        if self.array.is_some() {
            out.push(b']');
        }
        out.push(b'}');
    }

    fn is_ballot(&self) -> bool {
        self.head.edition == Edition::Stu4Ballot
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let head = to_string(&self.members());
        out.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
    }

    fn begin_array(&mut self, section: Section, out: &mut Vec<u8>) {
        match self.array.replace(section) {
            Some(_) => out.push(b']'),
            None if section > Section::Output && !self.is_ballot() => out.extend_from_slice(b",\"output\":[]"),
            None => {}
        }
        let name: &[u8] = match section {
            Section::Output => b"output",
            Section::Deleted => b"deleted",
            Section::Error | Section::Attachment if self.is_ballot() => b"outcome",
            Section::Error | Section::Attachment => b"error",
        };
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name);
        out.extend_from_slice(b"\":[");
    }

    /// Everything but the arrays of files.
    fn members(&self) -> Map<String, Value> {
        let ballot = self.is_ballot();
        let mut members = Map::new();
        members.insert("transactionTime".into(), json!(self.head.transaction_time));
        if ballot {
            members.insert("manifestType".into(), json!(MANIFEST_TYPE));
            members.insert("outputFormat".into(), json!("application/fhir+ndjson"));
        } else {
            members.insert("request".into(), json!(self.head.request));
        }
        members.insert("requiresAccessToken".into(), json!(self.head.requires_access_token));
        if let Some(resource_type) = &self.head.output_organized_by {
            members.insert("outputOrganizedBy".into(), json!(resource_type));
        }
        if let Some(next) = &self.head.next {
            members.insert("link".into(), json!([{"relation": "next", "url": next}]));
        }
        if !self.head.extension.is_empty() {
            let said = self.head.extension.iter();
            let extension = if ballot {
                said.map(|(name, text)| json!({"url": format!("{EXTENSION_URL}{name}"), "valueString": text})).collect()
            } else {
                Value::Object(said.map(|(name, text)| (name.clone(), json!(text))).collect())
            };
            members.insert("extension".into(), extension);
        }
        members
    }

    fn item(&self, file: &OutputFile) -> Map<String, Value> {
        let ballot = self.is_ballot();
        let mut item = Map::new();
        if let Some(resource_type) = file.resource_type.as_ref().filter(|_| !ballot || file.section == Section::Output)
        {
            item.insert("type".into(), json!(resource_type));
        }
        let signature = |name: &str| self.head.signer.as_ref().map(|signer| signer.query(name)).unwrap_or_default();
        let url = |name: &str| json!(format!("{}{name}{}", self.head.files_url, signature(name)));
        item.insert("url".into(), url(&file.name));
        if let Some(name) = &file.continues_in_file {
            item.insert("continuesInFile".into(), url(name));
        }
        item.insert("count".into(), json!(file.count));
        if ballot {
            item.insert("fileSize".into(), json!(file.bytes));
            if let Some(sha256) = &file.sha256 {
                item.insert(
                    "extension".into(),
                    json!([{"url": format!("{EXTENSION_URL}sha256"), "valueString": sha256}]),
                );
            }
        } else {
            let mut extension = Map::new();
            extension.insert("fileSize".into(), json!(file.bytes));
            extension.extend(file.sha256.as_ref().map(|sha256| ("sha256".to_owned(), json!(sha256))));
            item.insert("extension".into(), Value::Object(extension));
        }
        item
    }
}

/// Our caller fed rows that a manifest cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// A row of an earlier section after one of a later.
    OutOfOrder,
    /// The edition has no such section.
    NotInEdition,
    /// A row of another page than the manifest is.
    OtherPage,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfOrder => "manifest rows must come in the order output, deleted, error",
            Self::NotInEdition => "this edition's manifest has no such section",
            Self::OtherPage => "the row is of another page of the manifest",
        })
    }
}

impl std::error::Error for ManifestError {}

const MANIFEST_TYPE: &str = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export";
const EXTENSION_URL: &str = "https://ehi-export.github.io/fhir/StructureDefinition/";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{definitions::Definitions, time::Timestamp};

    fn head(edition: Edition) -> ManifestHead {
        ManifestHead {
            edition,
            transaction_time: Timestamp::from_millis(1_700_000_000_000),
            request: "https://ehr.example/fhir/$export?_type=Patient%2CGroup".into(),
            output_organized_by: None,
            requires_access_token: true,
            files_url: "https://ehr.example/fhir/bulk/1/files/".into(),
            page: None,
            next: None,
            signer: None,
            extension: [("leftOut".to_owned(), "nothing".to_owned())].into(),
        }
    }

    fn row(index: usize, section: Section) -> OutputFile {
        OutputFile {
            section,
            resource_type: Definitions::R4.resource_type("Patient"),
            name: format!("Patient-{index}.ndjson"),
            key: "secret".into(),
            content_type: None,
            count: 3,
            bytes: 300,
            gzip_bytes: None,
            sha256: Some("ab".into()),
            continues_in_file: None,
            page: None,
        }
    }

    fn write(edition: Edition, sections: &[Section]) -> Result<Value, ManifestError> {
        let mut writer = ManifestWriter::new(head(edition));
        let mut out = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            writer.row(&row(index, *section), &mut out)?;
        }
        writer.finish(&mut out);
        Ok(serde_json::from_slice(&out).unwrap())
    }

    #[test]
    fn an_empty_manifest_has_its_arrays() {
        for edition in [Edition::Stu1, Edition::Stu2, Edition::Stu3] {
            let manifest = write(edition, &[]).unwrap();
            assert_eq!(manifest["output"], json!([]));
            assert_eq!(manifest["error"], json!([]));
            assert_eq!(manifest["request"], "https://ehr.example/fhir/$export?_type=Patient%2CGroup");
            assert_eq!(manifest["transactionTime"], "2023-11-14T22:13:20Z");
            assert_eq!(manifest["requiresAccessToken"], json!(true));
            assert_eq!(manifest["extension"], json!({"leftOut": "nothing"}));
        }
    }

    #[test]
    fn every_edition_has_its_shape() {
        use Section::{Deleted, Error, Output};
        let manifest = write(Edition::Stu3, &[Output, Output, Deleted, Error]).unwrap();
        assert_eq!(manifest["output"].as_array().unwrap().len(), 2);
        let expected = json!({"type": "Patient", "url": "https://ehr.example/fhir/bulk/1/files/Patient-1.ndjson", "count": 3,
            "extension": {"fileSize": 300, "sha256": "ab"}});
        assert_eq!(manifest["output"][1], expected);
        assert_eq!(manifest["deleted"].as_array().unwrap().len(), 1);
        assert_eq!(manifest["error"].as_array().unwrap().len(), 1);

        let ballot = write(Edition::Stu4Ballot, &[Output, Error]).unwrap();
        assert!(ballot.get("request").is_none() && ballot.get("error").is_none());
        assert_eq!(ballot["output"][0]["fileSize"], 300);
        assert!(ballot["outcome"][0].get("type").is_none());
        assert_eq!(ballot["extension"][0]["valueString"], "nothing");
    }

    /// BD4-07, BD4-10.
    #[test]
    fn the_ballot_leaves_empty_arrays_and_the_type_of_deletions_away() {
        use Section::{Deleted, Error, Output};
        let arrays = |manifest: &Value| ["output", "deleted", "outcome"].map(|name| manifest.get(name).is_some());
        let manifest = |sections: &[Section]| write(Edition::Stu4Ballot, sections).unwrap();
        assert_eq!(arrays(&manifest(&[])), [false, false, false]);
        assert_eq!(arrays(&manifest(&[Output])), [true, false, false]);
        assert_eq!(arrays(&manifest(&[Deleted, Deleted])), [false, true, false]);
        assert_eq!(arrays(&manifest(&[Error])), [false, false, true]);
        assert_eq!(arrays(&manifest(&[Output, Deleted, Error])), [true, true, true]);
        let deleted = manifest(&[Deleted]);
        let members: Vec<_> = deleted["deleted"][0].as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["count", "extension", "fileSize", "url"]);
        // Before it `output` and `error` are always there.
        let before = write(Edition::Stu3, &[Deleted]).unwrap();
        assert_eq!((&before["output"], &before["error"]), (&json!([]), &json!([])));
        assert_eq!(before["deleted"][0]["type"], "Patient");
    }

    #[test]
    fn a_page_links_to_the_next_and_lists_no_row_of_another() {
        for edition in [Edition::Stu3, Edition::Stu4Ballot] {
            let next = Some(String::from("https://ehr.example/fhir/bulk/1/manifests/3"));
            let head = ManifestHead { page: Some(2), next: next.clone(), ..head(edition) };
            let (mut writer, mut out) = (ManifestWriter::new(head), Vec::new());
            for page in [None, Some(1), Some(3)] {
                let other = OutputFile { page, ..row(0, Section::Output) };
                assert_eq!(writer.row(&other, &mut out), Err(ManifestError::OtherPage));
            }
            assert_eq!(writer.row(&OutputFile { page: Some(2), ..row(1, Section::Output) }, &mut out), Ok(()));
            // Errors of no page are on every one.
            assert_eq!(writer.row(&OutputFile { page: None, ..row(2, Section::Error) }, &mut out), Ok(()));
            writer.finish(&mut out);
            let manifest: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(manifest["link"], json!([{ "relation": "next", "url": next }]));
            assert_eq!(manifest["output"].as_array().unwrap().len(), 1);
        }
    }

    #[test]
    fn attachments_are_not_listed() {
        use Section::{Attachment, Error, Output};
        for edition in [Edition::Stu1, Edition::Stu3, Edition::Stu4Ballot] {
            let with = write(edition, &[Output, Error, Attachment, Attachment]);
            assert_eq!(with, write(edition, &[Output, Error]));
            assert_eq!(write(edition, &[Attachment]), write(edition, &[]));
        }
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        use Section::{Deleted, Error, Output};
        assert_eq!(write(Edition::Stu3, &[Error, Output]), Err(ManifestError::OutOfOrder));
        assert_eq!(write(Edition::Stu1, &[Deleted]), Err(ManifestError::NotInEdition));
    }
}

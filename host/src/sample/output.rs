//! The NDJSON files of a set: one for each resource type, written as the lines come.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::SampleReport;
use super::json::Object;

/// The files under way.
pub(super) struct Output {
    folder: PathBuf,
    files: BTreeMap<Kind, Lines>,
}

impl Output {
    /// Takes a folder, which is created if absent and must hold no NDJSON.
    pub(super) fn into_folder(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create the folder `{}`", folder.display()))?;
        let entries = fs::read_dir(folder).with_context(|| format!("cannot list the folder `{}`", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list the folder `{}`", folder.display()))?.path();
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ndjson")) {
                bail!("the folder `{}` already holds NDJSON files", folder.display());
            }
        }
        Ok(Self { folder: folder.to_owned(), files: BTreeMap::new() })
    }

    /// Writes one resource as one line.
    pub(super) fn resource(&mut self, kind: Kind, resource: Object) -> anyhow::Result<()> {
        self.part(kind, &resource.into_text())?;
        self.end_line(kind)
    }

    /// Writes a part of a line that is too long to hold.
    pub(super) fn part(&mut self, kind: Kind, text: &str) -> anyhow::Result<()> {
        let lines = self.lines(kind)?;
        lines.file.write_all(text.as_bytes()).with_context(|| cannot_write(kind))
    }

    /// Ends the line, and with it the resource.
    pub(super) fn end_line(&mut self, kind: Kind) -> anyhow::Result<()> {
        let lines = self.lines(kind)?;
        lines.count += 1;
        lines.file.write_all(b"\n").with_context(|| cannot_write(kind))
    }

    /// Sees every byte off and says what was made.
    pub(super) fn finish(self) -> anyhow::Result<SampleReport> {
        self.files
            .into_iter()
            .map(|(kind, mut lines)| {
                lines.file.flush().with_context(|| cannot_write(kind))?;
                Ok((kind.name(), lines.count))
            })
            .collect()
    }

    fn lines(&mut self, kind: Kind) -> anyhow::Result<&mut Lines> {
        use std::collections::btree_map::Entry;
        match self.files.entry(kind) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(new) => {
                let path = self.folder.join(file_name(kind));
                // Never over a file that came between the look and now.
                let file = File::create_new(path).with_context(|| cannot_write(kind))?;
                Ok(new.insert(Lines { file: BufWriter::with_capacity(BUFFER, file), count: 0 }))
            }
        }
    }
}

/// The resource types of a set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    AllergyIntolerance,
    Binary,
    CarePlan,
    CareTeam,
    Condition,
    Coverage,
    Device,
    DiagnosticReport,
    DocumentReference,
    Encounter,
    Goal,
    Group,
    Immunization,
    Location,
    Medication,
    MedicationRequest,
    Observation,
    Organization,
    Patient,
    Practitioner,
    PractitionerRole,
    Procedure,
    Provenance,
    RelatedPerson,
}

impl Kind {
    /// The type's name in FHIR.
    pub(super) const fn name(self) -> &'static str {
        self.name_and_prefix().0
    }

    /// What the ids of its resources begin with.
    pub(super) const fn prefix(self) -> &'static str {
        self.name_and_prefix().1
    }

    const fn name_and_prefix(self) -> (&'static str, &'static str) {
        match self {
            Self::AllergyIntolerance => ("AllergyIntolerance", "alg"),
            Self::Binary => ("Binary", "bin"),
            Self::CarePlan => ("CarePlan", "plan"),
            Self::CareTeam => ("CareTeam", "team"),
            Self::Condition => ("Condition", "cond"),
            Self::Coverage => ("Coverage", "cov"),
            Self::Device => ("Device", "dev"),
            Self::DiagnosticReport => ("DiagnosticReport", "rep"),
            Self::DocumentReference => ("DocumentReference", "doc"),
            Self::Encounter => ("Encounter", "enc"),
            Self::Goal => ("Goal", "goal"),
            Self::Group => ("Group", "group"),
            Self::Immunization => ("Immunization", "imm"),
            Self::Location => ("Location", "loc"),
            Self::Medication => ("Medication", "med"),
            Self::MedicationRequest => ("MedicationRequest", "mreq"),
            Self::Observation => ("Observation", "obs"),
            Self::Organization => ("Organization", "org"),
            Self::Patient => ("Patient", "pat"),
            Self::Practitioner => ("Practitioner", "prac"),
            Self::PractitionerRole => ("PractitionerRole", "role"),
            Self::Procedure => ("Procedure", "proc"),
            Self::Provenance => ("Provenance", "prov"),
            Self::RelatedPerson => ("RelatedPerson", "rel"),
        }
    }
}

struct Lines {
    file: BufWriter<File>,
    count: u64,
}

fn file_name(kind: Kind) -> String {
    format!("{}.ndjson", kind.name())
}

fn cannot_write(kind: Kind) -> String {
    format!("cannot write `{}`", file_name(kind))
}

/// Two dozen files are open at once; with this they hold less than a megabyte together.
const BUFFER: usize = 32 * 1024;

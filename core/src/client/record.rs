//! An export as it is saved: a journal of JSON lines, so that what is written grows with what happens and not with the
//! size of the export. A later line about the same thing replaces an earlier one; a last line without its line end was
//! torn by a crash and counts as not written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{
    limits::ClientLimits,
    origin::Url,
    plan::{ClientPlan, ExportRequest},
    report::{FailureReason, Finding, Outcome},
    state::Stage,
    verify::FileProblem,
};
use crate::{ResourceType, Sensitive, json::to_string, manifest::Section, time::Timestamp};

/// Everything of an export that outlives a run.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) plan: ClientPlan,
    pub(super) limits: ClientLimits,
    pub(super) export_id: String,
    pub(super) created: Timestamp,
    pub(super) head: Head,
    pub(super) pages: Vec<Page>,
    pub(super) files: BTreeMap<u32, File>,
    /// How many of the files are attachments.
    attachments: usize,
    findings: Vec<Finding>,
    findings_left_out: u64,
    unsaved: Unsaved,
}

#[derive(Debug, Default)]
struct Unsaved {
    everything: bool,
    head: bool,
    pages: BTreeSet<usize>,
    files: BTreeSet<u32>,
    findings: usize,
}

/// The small part that changes often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Head {
    pub(super) stage: Stage,
    /// Set and saved before the kick-off is sent.
    pub(super) kick_off_sent: bool,
    pub(super) polling_location: Option<Url>,
    /// The server applies `separate-export-status` (BD-HDR-08).
    pub(super) separate_status: bool,
    pub(super) requires_access_token: bool,
    pub(super) transaction_time: Option<String>,
    pub(super) documentation_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extension: Option<Sensitive<String>>,
    /// When the server removes the files.
    pub(super) expires: Option<Timestamp>,
    pub(super) refreshes: u32,
    pub(super) server: ServerFacts,
    pub(super) outcome: Option<Outcome>,
}

/// What discovery told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServerFacts {
    /// `software.name`
    pub software_name: Option<String>,
    /// `software.version`
    pub software_version: Option<String>,
    /// `software.releaseDate`
    pub software_release_date: Option<String>,
    /// `fhirVersion`
    pub fhir_version: Option<String>,
    /// `token_endpoint` of the SMART configuration, absolute (SM-WK-06).
    pub token_endpoint: Option<Url>,
}

/// A page of the manifest: its rows by file, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Page {
    pub(super) url: Url,
    /// `None` for a row that cannot be fetched.
    pub(super) rows: Vec<Option<u32>>,
    pub(super) next: Option<Url>,
}

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    pub(super) kind: FileKind,
    pub(super) resource_type: Option<ResourceType>,
    pub(super) url: Url,
    pub(super) count: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<String>,
    /// Of an attachment: `type/subtype`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    /// Made here; unique in the export.
    pub(super) name: String,
    pub(super) state: FileState,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileKind {
    Output,
    Deleted,
    Error,
    Attachment,
}

impl FileKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Deleted => "deleted",
            Self::Error => "error",
            Self::Attachment => "attachment",
        }
    }
}

impl From<Section> for FileKind {
    fn from(section: Section) -> Self {
        match section {
            Section::Output => Self::Output,
            Section::Deleted => Self::Deleted,
            Section::Error => Self::Error,
            Section::Attachment => Self::Attachment,
        }
    }
}

/// Where a file stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum FileState {
    /// Nothing of it is here.
    Waiting,
    /// The first bytes are here, and the server can be asked for the rest of the same representation.
    Partial { got: u64, etag: String },
    /// Here, under its name.
    Arrived {
        bytes: u64,
        resources: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<FileProblem>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        issues: BTreeMap<String, u64>,
    },
    /// Given up.
    Missing { reason: FailureReason },
}

/// Why a record is not resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeError {
    /// Not a record.
    Unreadable,
    /// Written by a newer version of this library: what would not be understood would be lost.
    TooNew,
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the saved export cannot be read",
            Self::TooNew => "the saved export was written by a newer version",
        })
    }
}

impl std::error::Error for ResumeError {}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Line {
    Begin(Box<Begin>),
    Head(Box<Head>),
    Page { page: usize, is: Page },
    File { file: u32, is: File },
    Finding(Finding),
    FindingsLeftOut(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Begin {
    version: u32,
    export_id: String,
    created: Timestamp,
    limits: ClientLimits,
    request: ExportRequest,
}

impl Record {
    pub(super) fn new(plan: ClientPlan, limits: ClientLimits, export_id: String, created: Timestamp) -> Self {
        let stage = if plan.request().discover { Stage::Discovering } else { Stage::KickingOff };
        let head = Head {
            stage,
            kick_off_sent: false,
            polling_location: None,
            separate_status: false,
            requires_access_token: true,
            transaction_time: None,
            documentation_url: None,
            extension: None,
            expires: None,
            refreshes: 0,
            server: ServerFacts::default(),
            outcome: None,
        };
        Self::begun(plan, limits, export_id, created, head)
    }

    fn begun(plan: ClientPlan, limits: ClientLimits, export_id: String, created: Timestamp, head: Head) -> Self {
        Self {
            plan,
            limits,
            export_id,
            created,
            head,
            pages: Vec::new(),
            files: BTreeMap::new(),
            attachments: 0,
            findings: Vec::new(),
            findings_left_out: 0,
            unsaved: Unsaved { everything: true, ..Unsaved::default() },
        }
    }

    /// Reads what was saved. The next save writes everything anew.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ResumeError> {
        #[derive(Deserialize)]
        struct Versioned {
            begin: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let first = lines.next().ok_or(ResumeError::Unreadable)?;
        match serde_json::from_slice::<Versioned>(first).map_err(|_| ResumeError::Unreadable)?.begin.version {
            VERSION => {}
            newer if newer > VERSION => return Err(ResumeError::TooNew),
            _ => return Err(ResumeError::Unreadable),
        }
        let Ok(Line::Begin(begin)) = serde_json::from_slice(first) else { return Err(ResumeError::Unreadable) };
        let Begin { export_id, created, limits, request, .. } = *begin;
        let plan = request.check().map_err(|_| ResumeError::Unreadable)?;
        let mut record = Self::new(plan, limits, export_id, created);
        for line in lines {
            match serde_json::from_slice(line).map_err(|_| ResumeError::Unreadable)? {
                Line::Begin(_) => return Err(ResumeError::Unreadable),
                Line::Head(head) => record.head = *head,
                Line::Page { page, is } if page == record.pages.len() => record.pages.push(is),
                Line::Page { page, is } => *record.pages.get_mut(page).ok_or(ResumeError::Unreadable)? = is,
                Line::File { file, is } => {
                    record.files.insert(file, is);
                }
                Line::Finding(finding) => record.findings.push(finding),
                Line::FindingsLeftOut(count) => record.findings_left_out = count,
            }
        }
        let known = |page: &Page| page.rows.iter().flatten().all(|id| record.files.contains_key(id));
        record.attachments = record.files.values().filter(|file| file.kind == FileKind::Attachment).count();
        if record.pages.iter().all(known) { Ok(record) } else { Err(ResumeError::Unreadable) }
    }

    /// What is to be saved, if anything: bytes, and whether they go after those saved before or replace them.
    pub(super) fn take_unsaved(&mut self) -> Option<(Vec<u8>, bool)> {
        let everything = self.unsaved.everything;
        if everything {
            self.unsaved.head = true;
            self.unsaved.pages = (0..self.pages.len()).collect();
            self.unsaved.files = self.files.keys().copied().collect();
            self.unsaved.findings = 0;
        }
        let Unsaved { head, pages, files, findings, .. } =
            std::mem::replace(&mut self.unsaved, Unsaved { findings: self.findings.len(), ..Unsaved::default() });
        let new_findings = self.findings.get(findings..).unwrap_or_default();
        if !everything && !head && pages.is_empty() && files.is_empty() && new_findings.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        let mut write = |line: &Line| {
            out.extend_from_slice(to_string(line).as_bytes());
            out.push(b'\n');
        };
        if everything {
            write(&Line::Begin(Box::new(Begin {
                version: VERSION,
                export_id: self.export_id.clone(),
                created: self.created,
                limits: self.limits,
                request: self.plan.request().clone(),
            })));
        }
        new_findings.iter().for_each(|finding| write(&Line::Finding(finding.clone())));
        if self.findings_left_out > 0 && (everything || head) {
            write(&Line::FindingsLeftOut(self.findings_left_out));
        }
        // Newest first: the attachments that a file refers to before the line that says the file is done, so that a torn
        // save forgets the file and not its attachments. Pages come after the files in their rows.
        for id in files.iter().rev() {
            self.files.get(id).into_iter().for_each(|file| write(&Line::File { file: *id, is: file.clone() }));
        }
        for page in pages {
            self.pages.get(page).into_iter().for_each(|is| write(&Line::Page { page, is: is.clone() }));
        }
        if head {
            write(&Line::Head(Box::new(self.head.clone())));
        }
        Some((out, !everything))
    }

    /// The head, to change.
    pub(super) fn head_mut(&mut self) -> &mut Head {
        self.unsaved.head = true;
        &mut self.head
    }

    /// A file, to change.
    pub(super) fn file_mut(&mut self, id: u32) -> Option<&mut File> {
        self.unsaved.files.insert(id);
        self.files.get_mut(&id)
    }

    /// A new file; `None` at the bound.
    pub(super) fn add_file(&mut self, file: File) -> Option<u32> {
        let id = self.files.last_key_value().map_or(0, |(last, _)| *last + 1);
        let is_attachment = file.kind == FileKind::Attachment;
        let (count, bound) = if is_attachment {
            (self.attachments, self.limits.attachments_max)
        } else {
            (self.files.len() - self.attachments, self.limits.files_max)
        };
        if count >= usize::try_from(bound).unwrap_or(usize::MAX) {
            return None;
        }
        self.attachments += usize::from(is_attachment);
        self.files.insert(id, file);
        self.unsaved.files.insert(id);
        Some(id)
    }

    /// How many attachments there are.
    pub(super) fn attachments(&self) -> u32 {
        u32::try_from(self.attachments).unwrap_or(u32::MAX)
    }

    /// Takes up an export that ended without being complete: what is missing or doubtful is wanted again.
    pub(super) fn reopen(&mut self, stage: Stage, now: Timestamp) {
        self.created = now;
        self.findings.retain(|finding| !matches!(finding, Finding::Missing { .. } | Finding::Doubtful { .. }));
        for file in self.files.values_mut() {
            if matches!(file.state, FileState::Missing { .. } | FileState::Arrived { problem: Some(_), .. }) {
                file.state = FileState::Waiting;
            }
        }
        (self.head.stage, self.head.outcome, self.head.refreshes) = (stage, None, 0);
        self.unsaved.everything = true;
    }

    /// Sets a page; the next after the last is new.
    pub(super) fn set_page(&mut self, index: usize, page: Page) {
        match self.pages.get_mut(index) {
            Some(known) if *known == page => return,
            Some(known) => *known = page,
            None => self.pages.push(page),
        }
        self.unsaved.pages.insert(index);
    }

    /// Notes a finding: once each, and no more than the bound.
    pub(super) fn find(&mut self, finding: Finding) {
        let bound = usize::try_from(self.limits.findings_max).unwrap_or(usize::MAX);
        if self.findings.len() >= bound {
            self.findings_left_out += 1;
            self.unsaved.head = true;
        } else if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub(super) fn findings(&self) -> (&[Finding], u64) {
        (&self.findings, self.findings_left_out)
    }
}

/// Raised when the meaning of a record changes; older versions are then read by their own shape.
const VERSION: u32 = 1;

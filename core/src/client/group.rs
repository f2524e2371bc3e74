//! A group over time: who has joined it since the last export is asked for whole, and everybody for what has changed
//! (BD-GRP-01). `_since` alone would leave out what new members had before they joined.

use std::{collections::BTreeSet, fmt};

use super::{ExportRequest, PlanError, PlanProblem};
use crate::{
    Sensitive,
    json::{Header, LineError},
    kick_off::Level,
};

/// The update of a group's data: up to three exports, in this order.
///
/// 1. [`members`](Self::members) asks who is in the group now; give each line of its Patient files to
///    [`add_member`](Self::add_member).
/// 2. [`joined`](Self::joined) asks for everything of those who were not in it before.
/// 3. [`changes`](Self::changes) asks for what has changed for the others, and for the new ones too.
///
/// What the last two both hold is taken once, by a [`ResourceIndex`](super::ResourceIndex) that is given the lines of the
/// last export first. For the next update keep the [`members_now`](Self::members_now) and the transaction time that the
/// **second** export reports, or the third if there was no second: what happened between two is then asked for again, and
/// not lost.
#[derive(Clone, PartialEq)]
pub struct GroupUpdate {
    request: ExportRequest,
    since: String,
    before: BTreeSet<String>,
    now: BTreeSet<String>,
}

impl GroupUpdate {
    /// An update of what that request exports, which is at the level of a group: its members by id when it was exported
    /// last, and the transaction time of that, verbatim (BD-GRP-02).
    pub fn new(
        request: ExportRequest,
        before: impl IntoIterator<Item = String>,
        since: impl Into<String>,
    ) -> Result<Self, PlanError> {
        let problem = |parameter, text: &str| PlanProblem { parameter, text: text.to_owned() };
        let mut problems = Vec::new();
        if !matches!(request.level, Level::Group(_)) {
            problems.push(problem("level", "an update of members is of a group"));
        }
        if !request.patients.is_empty() {
            problems.push(problem("patients", "an update of members is of the whole group"));
        }
        if !problems.is_empty() {
            return Err(PlanError { problems });
        }
        Ok(Self { request, since: since.into(), before: before.into_iter().collect(), now: BTreeSet::new() })
    }

    /// The export of who is in the group: `_type=Patient&_elements=id`.
    pub fn members(&self) -> ExportRequest {
        ExportRequest {
            since: None,
            until: None,
            types: vec!["Patient".into()],
            type_filters: Vec::new(),
            elements: vec!["id".into()],
            include_associated_data: Vec::new(),
            organize_output_by: None,
            attachments: false,
            ..self.request.clone()
        }
    }

    /// A line of a Patient file of that export.
    pub fn add_member(&mut self, line: &[u8]) -> Result<(), GroupUpdateError> {
        let header = Header::read(line, |_| false).map_err(GroupUpdateError::Line)?;
        if header.resource_type != "Patient" {
            return Err(GroupUpdateError::NotAPatient);
        }
        if self.now.len() >= MEMBERS_MAX && !self.now.contains(header.id.as_ref()) {
            return Err(GroupUpdateError::TooMany);
        }
        self.now.insert(header.id.into_owned());
        Ok(())
    }

    /// The export of everything of those who have joined; `None` if nobody has.
    pub fn joined(&self) -> Option<ExportRequest> {
        let patients: Vec<_> = self.now.difference(&self.before).cloned().map(Sensitive::new).collect();
        (!patients.is_empty()).then(|| ExportRequest { patients, since: None, ..self.request.clone() })
    }

    /// The export of what has changed.
    pub fn changes(&self) -> ExportRequest {
        ExportRequest { since: Some(self.since.clone()), ..self.request.clone() }
    }

    /// Who is in the group now, by id.
    pub fn members_now(&self) -> &BTreeSet<String> {
        &self.now
    }
}

/// How many, and nobody's ids.
impl fmt::Debug for GroupUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupUpdate({} members before, {} now)", self.before.len(), self.now.len())
    }
}

/// Why a line was not taken for a member.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupUpdateError {
    /// It is no resource with a type and an id.
    Line(LineError),
    /// It is a resource of another type.
    NotAPatient,
    /// The group has more members than an update can hold.
    TooMany,
}

impl fmt::Display for GroupUpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => write!(f, "{error}"),
            Self::NotAPatient => f.write_str("a resource that is no Patient among the members of the group"),
            Self::TooMany => f.write_str("more members than an update can hold"),
        }
    }
}

impl std::error::Error for GroupUpdateError {}

/// Ids are held in memory; larger groups are exported whole.
const MEMBERS_MAX: usize = 10_000_000;

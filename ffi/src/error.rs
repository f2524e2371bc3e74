//! Why a call failed: a status and a text. The text is that of the core's error, the same behind every face.

use std::borrow::Cow;

use ehi_core::{
    errors::{ConfigError, JobMisuse, ManifestError, PopulationError, TokenError, WriterError},
    sets::SetError,
};

use crate::status::Status;

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    /// Names inputs and says what is wrong with them, but repeats nothing of a resource or a record.
    pub(crate) text: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Status::Config, error.to_string())
    }
}

impl From<JobMisuse> for Failure {
    fn from(error: JobMisuse) -> Self {
        let status = match error {
            JobMisuse::Leased => Status::Leased,
            JobMisuse::Stale => Status::Stale,
            JobMisuse::WrongState(_) => Status::WrongState,
            JobMisuse::NoSuchPartition => Status::NoSuchPartition,
            JobMisuse::Unreadable => Status::UnreadableRecord,
            JobMisuse::TooNew => Status::RecordTooNew,
            _ => Status::Refused,
        };
        Self::new(status, error.to_string())
    }
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        let status = match error {
            ManifestError::OutOfOrder => Status::RowOutOfOrder,
            ManifestError::NotInEdition => Status::NotInEdition,
            ManifestError::OtherPage => Status::OtherPage,
            _ => Status::Refused,
        };
        Self::new(status, error.to_string())
    }
}

impl From<PopulationError> for Failure {
    fn from(error: PopulationError) -> Self {
        let status = match error {
            PopulationError::Malformed => Status::MalformedPopulation,
            PopulationError::MalformedId => Status::MalformedId,
            PopulationError::MalformedMember => Status::MalformedMember,
            PopulationError::TooMany => Status::TooManyPatients,
            _ => Status::Refused,
        };
        Self::new(status, error.to_string())
    }
}

impl From<SetError> for Failure {
    fn from(error: SetError) -> Self {
        Self::new(Status::Set, error.to_string())
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::new(Status::MalformedValue, error.to_string())
    }
}

impl From<WriterError> for Failure {
    fn from(error: WriterError) -> Self {
        let status = match error {
            WriterError::PopulationMismatch => Status::PopulationMismatch,
            WriterError::NotBegun => Status::NotBegun,
            WriterError::Limits => Status::Limits,
            WriterError::WrongPlace => Status::WrongPlace,
            WriterError::InsideLine => Status::InsideLine,
            WriterError::MissingSet => Status::MissingSet,
            WriterError::UnwantedSet => Status::UnwantedSet,
            WriterError::Finished => Status::Finished,
            _ => Status::Refused,
        };
        Self::new(status, error.to_string())
    }
}

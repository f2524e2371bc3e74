//! `ehi_status`: the numbers that calls return. A number is never given a second meaning.

use crate::view::View;

/// How a call ended. Numbers are fixed for good, and grouped by what they are about.
///
/// 1 to 99: the call itself. 100 to 199: endpoint. 200 to 299: job. 300 to 399: manifest. 400 to 499: population.
/// 500 to 599: writer. 600 to 699: set. 900 to 999: the library. A later version may add numbers.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done; the outputs are written.
    Ok = 0,

    /// A handle, an output or the start of a non-empty view is NULL.
    NullPointer = 1,
    /// A length is larger than any object.
    TooLarge = 2,
    /// Text is not UTF-8.
    NotUtf8 = 3,
    /// An input is not a value that this call takes: no JSON, a missing or unknown member, a wrong type or length.
    MalformedValue = 4,
    /// A value has nothing at that place.
    Absent = 5,
    /// What a value has at that place is of another type.
    OtherType = 6,
    /// The handle has finished; it can only be freed.
    Finished = 7,
    /// Refused for a reason that has no number in this version; the error says it.
    Refused = 8,

    /// The configuration cannot be used.
    Config = 100,

    /// Another host's lease on the job lasts.
    Leased = 200,
    /// The lease has passed to another host: stop working on the job.
    Stale = 201,
    /// The job's state does not allow the command, for example because it was deleted: stop working on the job.
    WrongState = 202,
    /// The job has no such partition, or it is finished.
    NoSuchPartition = 203,
    /// The bytes are not a job record.
    UnreadableRecord = 204,
    /// A newer version of this library wrote the job record.
    RecordTooNew = 205,

    /// A row of an earlier section came after one of a later.
    RowOutOfOrder = 300,
    /// The manifest of this edition has no such section.
    NotInEdition = 301,
    /// The row is of another page of the manifest.
    OtherPage = 302,

    /// The bytes are not a population block.
    MalformedPopulation = 400,
    /// A text is not a FHIR id.
    MalformedId = 401,
    /// More patients than a population holds.
    TooManyPatients = 402,
    /// A member that is no patient is of a type that groups do not list, or its id is not a FHIR id.
    MalformedMember = 403,

    /// A population must be given exactly when the export is of some patients only.
    PopulationMismatch = 500,
    /// The plan has no transaction time: the job has not begun.
    NotBegun = 501,
    /// A limit is zero, or smaller than another that it must hold.
    Limits = 502,
    /// The first block does not stand where the checkpoint says.
    WrongPlace = 503,
    /// A line has begun and not ended.
    InsideLine = 504,
    /// A set that the pass needs was not given: nothing is exported without it.
    MissingSet = 505,
    /// The pass needs no such set, or has it already.
    UnwantedSet = 506,

    /// A set cannot be made or read: the bytes are none, a text is malformed or too long, or there are too many.
    Set = 600,

    /// The library failed; that is a bug in it. The handle of the call is of no more use.
    Panic = 900,
    /// An earlier call on this handle ended with `EHI_STATUS_PANIC`; it can only be freed.
    Poisoned = 901,
}

/// What a status means in one sentence. The text is never freed. Any number may be asked for.
#[unsafe(no_mangle)]
pub extern "C" fn ehi_status_text(status: i32) -> View<'static> {
    let known = ALL.iter().find(|known| **known as i32 == status);
    View::of(known.map_or("a status that this version does not know", |known| known.text()).as_bytes())
}

impl Status {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::NullPointer => "a handle, an output or the start of a non-empty view is NULL",
            Self::TooLarge => "a length is larger than any object",
            Self::NotUtf8 => "text is not UTF-8",
            Self::MalformedValue => "an input is not a value that this call takes",
            Self::Absent => "the value has nothing at that place",
            Self::OtherType => "what the value has at that place is of another type",
            Self::Finished => "the handle has finished",
            Self::Refused => "the call was refused",
            Self::Config => "the configuration cannot be used",
            Self::Leased => "the job is leased to another host",
            Self::Stale => "the lease has passed to another host",
            Self::WrongState => "the job's state does not allow the command",
            Self::NoSuchPartition => "the job has no such unfinished partition",
            Self::UnreadableRecord => "the bytes are not a job record",
            Self::RecordTooNew => "the job record is of a newer version than this library reads",
            Self::RowOutOfOrder => "manifest rows must come in the order output, deleted, error",
            Self::NotInEdition => "this edition's manifest has no such section",
            Self::OtherPage => "the row is of another page of the manifest",
            Self::MalformedPopulation => "the bytes are not a population block",
            Self::MalformedId => "a listed patient has an id that is not a FHIR id",
            Self::TooManyPatients => "more patients than one population holds",
            Self::MalformedMember => {
                "a listed member that is no patient is of a type that groups do not list, or has an id that is not a FHIR id"
            }
            Self::PopulationMismatch => "a population must be given exactly when the export is of some patients only",
            Self::NotBegun => "the plan has no transaction time: the job has not begun",
            Self::Limits => "a writer limit is zero, or smaller than another that it must hold",
            Self::WrongPlace => "the first block does not stand where the checkpoint says",
            Self::InsideLine => "a line has begun and not ended",
            Self::MissingSet => "a set that this pass needs was not given",
            Self::UnwantedSet => "this pass needs no such set, or has it already",
            Self::Set => "a set cannot be made or read",
            Self::Panic => "the library failed; that is a bug in it",
            Self::Poisoned => "an earlier call on this handle made the library fail",
        }
    }
}

const ALL: [Status; 33] = [
    Status::Ok,
    Status::NullPointer,
    Status::TooLarge,
    Status::NotUtf8,
    Status::MalformedValue,
    Status::Absent,
    Status::OtherType,
    Status::Finished,
    Status::Refused,
    Status::Config,
    Status::Leased,
    Status::Stale,
    Status::WrongState,
    Status::NoSuchPartition,
    Status::UnreadableRecord,
    Status::RecordTooNew,
    Status::RowOutOfOrder,
    Status::NotInEdition,
    Status::OtherPage,
    Status::MalformedPopulation,
    Status::MalformedId,
    Status::TooManyPatients,
    Status::MalformedMember,
    Status::PopulationMismatch,
    Status::NotBegun,
    Status::Limits,
    Status::WrongPlace,
    Status::InsideLine,
    Status::MissingSet,
    Status::UnwantedSet,
    Status::Set,
    Status::Panic,
    Status::Poisoned,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_text() {
        let is_number =
            |line: &&str| line.trim_end_matches(',').split_once(" = ").is_some_and(|(_, n)| n.parse::<i32>().is_ok());
        assert_eq!(include_str!("status.rs").lines().filter(is_number).count(), ALL.len());
    }
}

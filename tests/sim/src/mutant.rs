//! Ways to break the code that the simulation must notice: faulty wrappers around calls of core, and faulty glue.

/// A way to break the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A host that lost its lease goes on under the newest one.
    NoFence,
    /// A checkpoint names the line after the one to go on from.
    CursorOffByOne,
    /// A checkpoint says that one record less is published.
    PublishedOffByOne,
    /// Files that are closed at the end are not published.
    ForgottenLateFile,
    /// Leases are not renewed.
    LeaseNotRenewed,
    /// The host releases the files itself.
    ReleaseSkipped,
    /// All clients of a job share one poll account.
    AccountShared,
    /// The job is stored, its new row is not.
    RowNotAppended,
    /// A publish is stored twice.
    DoublePublish,
    /// Whoever has a token is taken for the owner.
    WrongOwnerCheck,
    /// The clock that retention goes by stands still.
    ExpiredStillServed,
    /// Jobs are stored over whatever version there is.
    NoVersionCheck,
    /// Only files that were published are removed.
    RemovalByRows,
    /// A row is published before its file is stored.
    PublishBeforeUpload,
    /// The population of a group is taken anew by each host.
    PopulationTakenAnew,
    /// A deletion is answered and not stored.
    AnswerBeforeStore,
    /// Nobody compares counts.
    CountNotVerified,
    /// Nobody compares digests.
    HashNotVerified,
    /// The token goes along wherever the client is sent.
    TokenToOtherOrigin,
    /// A client goes on before its record is stored.
    RecordNotSaved,
    /// A page of the manifest is closed when somebody asks for it.
    PageCutAtPoll,
    /// Files of the page in the making are served.
    OpenPageServed,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::NoFence,
        Self::CursorOffByOne,
        Self::PublishedOffByOne,
        Self::ForgottenLateFile,
        Self::LeaseNotRenewed,
        Self::ReleaseSkipped,
        Self::AccountShared,
        Self::RowNotAppended,
        Self::DoublePublish,
        Self::WrongOwnerCheck,
        Self::ExpiredStillServed,
        Self::NoVersionCheck,
        Self::RemovalByRows,
        Self::PublishBeforeUpload,
        Self::PopulationTakenAnew,
        Self::AnswerBeforeStore,
        Self::CountNotVerified,
        Self::HashNotVerified,
        Self::TokenToOtherOrigin,
        Self::RecordNotSaved,
        Self::PageCutAtPoll,
        Self::OpenPageServed,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoFence => "no fence",
            Self::CursorOffByOne => "cursor off by one",
            Self::PublishedOffByOne => "published off by one",
            Self::ForgottenLateFile => "forgotten late file",
            Self::LeaseNotRenewed => "lease not renewed",
            Self::ReleaseSkipped => "release skipped",
            Self::AccountShared => "account shared over clients",
            Self::RowNotAppended => "row not appended",
            Self::DoublePublish => "double publish",
            Self::WrongOwnerCheck => "wrong owner check",
            Self::ExpiredStillServed => "expired job still served",
            Self::NoVersionCheck => "no version check",
            Self::RemovalByRows => "removal by rows",
            Self::PublishBeforeUpload => "publish before upload",
            Self::PopulationTakenAnew => "population taken anew",
            Self::AnswerBeforeStore => "answer before store",
            Self::CountNotVerified => "count not verified",
            Self::HashNotVerified => "hash not verified",
            Self::TokenToOtherOrigin => "token to other origin",
            Self::RecordNotSaved => "record not saved",
            Self::PageCutAtPoll => "page cut at a poll",
            Self::OpenPageServed => "file of an open page served",
        }
    }
}

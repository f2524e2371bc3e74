//! What the client asks its embedder to do.

use serde::{Deserialize, Serialize};

use super::{event::LogEvent, origin::Url, report::Report, verify::Expect};
use crate::{Sensitive, time::Timestamp};

/// An operation in flight; its answers carry it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Op(pub u64);

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ClientOutput {
    /// Send this request and hand over the [`Response`](super::ClientInput::Response), whatever its status, or
    /// [`Failed`](super::ClientInput::Failed).
    Transmit {
        /// To answer under.
        op: Op,
        /// `GET`, `POST` or `DELETE`.
        method: String,
        /// Where to.
        url: Url,
        /// Name and value of each header field, without `Authorization`.
        headers: Vec<(String, String)>,
        /// The body; empty for none.
        body: Sensitive<Vec<u8>>,
        /// Whether to send the access token. If not, it must not be sent.
        authorize: bool,
        /// A longer answer is `Failed` with `TooLarge`.
        body_bytes_max: u64,
    },
    /// Send this GET and hand over the head of the answer as `Response` before storing anything of its body: with an empty
    /// body if the status is 200 or 206, else with up to 64 KiB of it. Then do as [`Receive`](Self::Receive) says.
    Download {
        /// To answer under.
        op: Op,
        /// Where to.
        url: Url,
        /// Name and value of each header field. A library that decodes `Content-Encoding` sets `Accept-Encoding` itself
        /// if there is no `Range`.
        headers: Vec<(String, String)>,
        /// Whether to send the access token. If not, it must not be sent.
        authorize: bool,
        /// How many bytes of the file are there already, by what was saved. If there are fewer, `Failed` with `PartMissing`.
        from: u64,
        /// The file to store in, until it is kept under its own name.
        to: String,
        /// How to check it.
        expect: Expect,
    },
    /// Store the body from that byte on, dropping whatever lies there or after it; feed a [`Checker`](super::Checker) with
    /// the whole file; say [`Progress`](super::ClientInput::Progress) now and then, then
    /// [`Downloaded`](super::ClientInput::Downloaded).
    Receive {
        /// Which.
        op: Op,
        /// The first byte of the body in the file.
        from: u64,
        /// A longer file is `Failed` with `TooLarge`.
        file_bytes_max: u64,
    },
    /// Stop that request; nothing more of it is wanted.
    Abort {
        /// Which.
        op: Op,
    },
    /// The file is sound: rename it, over one that may be there. A name with `/` has its folder made.
    Keep {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// Remove what there is of that file.
    Discard {
        /// Its name.
        name: String,
    },
    /// Get an access token, then say [`TokenReady`](super::ClientInput::TokenReady) or
    /// [`TokenUnavailable`](super::ClientInput::TokenUnavailable). One that was used before was not accepted or is about
    /// to end.
    TokenNeeded,
    /// Show this page to the patient, in a browser (EHI-KICK-08).
    OpenBrowser {
        /// Where.
        url: Url,
    },
    /// Store this before doing anything else.
    Save {
        /// What. It holds addresses and ids: keep it as safe as the files.
        bytes: Sensitive<Vec<u8>>,
        /// Whether it goes after what was saved before, or replaces it.
        append: bool,
    },
    /// Write this line to the export log.
    Event(Box<LogEvent>),
    /// Nothing until then, or until an answer comes.
    Wait {
        /// Say [`Timeout`](super::ClientInput::Timeout) then, or just ask again.
        until: Timestamp,
    },
    /// It is over.
    Done(Box<Report>),
}

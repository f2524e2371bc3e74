//! What the embedder tells the client.

use serde::{Deserialize, Serialize};

use super::{output::Op, verify::Contents};
use crate::time::Timestamp;

/// What happened.
#[derive(Clone, Debug)]
pub enum ClientInput<'i> {
    /// A request was answered, with any status.
    Response {
        /// Which.
        op: Op,
        /// The status.
        status: u16,
        /// Name and value of each header field.
        headers: &'i [(&'i str, &'i [u8])],
        /// The body, decoded.
        body: &'i [u8],
    },
    /// That many bytes of the file are safely stored.
    Progress {
        /// Which.
        op: Op,
        /// Bytes from the beginning of the file.
        bytes: u64,
    },
    /// The body has ended as HTTP says it ends, and all of the file is safely stored.
    Downloaded {
        /// Which.
        op: Op,
        /// What is in the file.
        contents: &'i Contents,
    },
    /// A request or download did not come to an end.
    Failed {
        /// Which.
        op: Op,
        /// Why.
        error: TransferError,
    },
    /// There is an access token.
    TokenReady {
        /// When it ends, if that is known.
        expires: Option<Timestamp>,
    },
    /// There is none to be had.
    TokenUnavailable,
    /// Time has passed.
    Timeout,
    /// Stop, and tell the server.
    Cancel,
}

/// Why a request or download did not come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TransferError {
    /// No connection, a broken one, a timeout, or a body that ended too early.
    Network,
    /// The name resolves to an address that may not be contacted.
    AddressRefused,
    /// The body is longer than the output allows.
    TooLarge,
    /// The file cannot be stored.
    Storage,
    /// What should be there of the file is not.
    PartMissing,
}

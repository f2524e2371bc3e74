//! Who asks.

use std::sync::Arc;

use ehi_core::{access::Principal, time::Timestamp, values::RequestHead};

use super::tokens::{Bearer, Staff, Tokens};

/// How the server tells who asks.
#[derive(Clone)]
pub enum Identity {
    /// Not at all: whoever reaches it may have everything.
    Anyone,
    /// By the tokens of a file.
    Tokens(Arc<Tokens>),
}

impl Identity {
    pub(super) fn of(&self, head: &RequestHead) -> Bearer {
        match self {
            Self::Anyone => Bearer::new(Principal::Open),
            Self::Tokens(tokens) => tokens.bearer(head),
        }
    }

    /// Without tokens there is no staff: anyone could approve.
    pub(super) fn staff(&self, head: &RequestHead, now: Timestamp) -> Option<Staff> {
        match self {
            Self::Anyone => None,
            Self::Tokens(tokens) => tokens.staff(head, now),
        }
    }
}

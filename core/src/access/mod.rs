//! Who asks, and what they may have. Pure: signatures and sessions are the embedder's, the rules are here.

mod principal;
mod scope;

pub use principal::{Owner, Principal, TokenError};
pub use scope::TypeGrant;

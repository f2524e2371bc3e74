//! Who asks, and what they may have. Pure: signatures and sessions are the embedder's, the rules are here.

mod grant;
mod principal;
mod scope;
#[cfg(test)]
mod tests;

pub use grant::{Coverage, TypeGrant};
pub use principal::{Owner, Principal, TokenError};
pub use scope::{Context, Permissions, ResourceScope, Scope};

//! Who asks, and what they may have. Pure: signatures and sessions are the embedder's, the rules are here.

mod assertion;
mod claims;
mod grant;
mod jws;
mod principal;
mod roles;
mod scope;
mod signed_urls;
#[cfg(test)]
mod tests;

pub use assertion::{
    AssertionError, AssertionRules, ClientAssertion, ClientKey, ClientRegistration, Replay, ToVerify, invalid_client,
    keys_fresh_until,
};
pub use claims::TokenRules;
pub use grant::{Coverage, TypeGrant};
pub use jws::Algorithm;
pub(crate) use principal::Sight;
pub use principal::{Owner, Principal, TokenError};
pub(crate) use roles::Right;
pub use roles::{Preset, Reach, Role, Roles};
pub use scope::{Context, Permissions, ResourceScope, Scope};
pub(crate) use signed_urls::is_signed;
pub use signed_urls::{SignedUrls, UrlKey, UrlSigner};

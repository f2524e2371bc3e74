//! stub
mod limits;
mod origin;
mod random;
pub use limits::ClientLimits;
pub use origin::{Origin, OriginPolicy, Url, UrlError};

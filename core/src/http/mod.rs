//! The little of HTTP that we speak: requests as they were on the wire, responses as values.

mod date;
mod encoding;
mod link;
mod prefer;
mod reply;
mod request;
mod response;
mod target;

pub(crate) use encoding::accepts_gzip;
pub use prefer::{Handling, Prefer};
pub(crate) use reply::Reply;
pub use request::Request;
pub(crate) use response::FHIR_JSON;
pub use response::{Body, Response};
pub(crate) use target::{Target, decode_component};

//! What the tests of all faces share: a running server, a plain HTTP client, an authorisation server, small records, cases,
//! requirements, tokens, cut input.

pub mod authorization;
pub mod cases;
pub mod cut;
pub mod http;
pub mod pipe;
pub mod proxy;
pub mod records;
pub mod server;
pub mod tokens;

pub use ehi_requirement as requirement;
pub use ehi_requirement::requirement;

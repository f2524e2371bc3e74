//! What the tests of all faces share: a running server, a plain HTTP client, cases, requirements, cut input.

pub mod cases;
pub mod cut;
pub mod http;
pub mod server;
pub mod requirement;

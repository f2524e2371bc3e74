//! The reference server and command line: the engine component inside wasmtime, with HTTP, storage and a source of
//! resources around it. All decisions of the protocol are the engine's; this crate does I/O.

pub mod audit;
pub mod cli;
pub mod clock;
pub mod engine;
pub mod export;
pub mod fetch;
pub mod files;
pub mod sample;
pub mod serve;
pub mod source;
pub mod store;

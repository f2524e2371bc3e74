#![doc = include_str!("../README.md")]
//!
//! # Where things stand
//!
//! Each module holds one type of the header and the functions named after it: convert, call, convert back. `call`,
//! `input`, `error` and `raw` are what they share.
//!
//! The contract stands in the Rust signatures, so that the compiler holds us to it:
//!
//! - `Option<&T>` and `Option<&mut T>` are handles that a call borrows, `Option<Box<T>>` one that it takes; `None` is NULL;
//! - `&mut MaybeUninit<_>` is an output: it can be written and not read;
//! - [`View<'a>`](View) as an input lasts for the call. As an output it carries the lifetime of the handle that it was
//!   lent by: `&'a` is until the handle is freed, `&'a mut` until the next call on it;
//! - `Guarded<T: Send>` holds what any thread may use; `call_ref` asks for `Sync` besides, for many threads at once.
//!
//! So `unsafe` remains in two places: in `raw`, where bytes that C points to become a slice, and in the attribute that
//! gives each function its unmangled name.
#![allow(unsafe_code, reason = "a C ABI: exported names, and one block in `raw` that makes slices of pointers")]

mod call;
mod error;
mod input;
mod raw;

// The header has the types in this order.
mod status;
mod version;
mod view;

mod bytes;
mod value;

mod endpoint;
mod job;
mod plan;

mod population;
mod set;
mod writer;

mod digester;
mod manifest;

pub use bytes::*;
pub use digester::*;
pub use endpoint::*;
pub use job::*;
pub use manifest::*;
pub use plan::*;
pub use population::*;
pub use set::*;
pub use status::*;
pub use value::*;
pub use version::*;
pub use view::*;
pub use writer::*;

/// What getters read may be read by many threads at once.
const _: fn() = || {
    fn read_by_many<T: Send + Sync>() {}
    read_by_many::<Bytes>();
    read_by_many::<Value>();
};

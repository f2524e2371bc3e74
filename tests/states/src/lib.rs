//! The states of a job, checked exhaustively: every order of what two hosts, the patient, staff, the client, the network
//! and time may do with one job, up to the bounds of a [`Scenario`].
//!
//! The job is the core's own. Every step calls [`ehi_core::job::Job`], read from its stored record and stored again, as
//! a host does it (`host/src/export/run.rs`). Around it are a store with rows and files, two hosts that write, fail,
//! crash and come back, and people who may ask for anything at any time. A [`Ledger`] says what must come of it, without
//! the core's code; [`Fault`] lists what must never be, each as a property, and a last property is that every job is
//! forgotten in the end though nobody but the clock does anything.
//!
//! What may not be seen, does not happen: a file is stored and a job is stored at once, not in part. And two assumptions
//! are the host's: hosts do what is due before an hour passes, and a host that the store has not heard for an hour, which
//! is how long a tombstone stands, writes no further file.
//!
//! [`Mutant`] takes each guard away, and some property fails.

mod call;
mod check;
mod diagram;
mod engine;
mod fault;
mod judge;
mod ledger;
mod model;
mod mutant;
mod scenario;
mod world;

pub use call::{Account, Attempt, Call, File, HostId, Record};
pub use check::{Checked, check};
pub use diagram::diagram;
pub use engine::Transition;
pub use fault::Fault;
pub use ledger::{End, Ledger};
pub use model::Model;
pub use mutant::Mutant;
pub use scenario::{Hour, Scenario};
pub use world::{Action, Delivery, Host, Work, World};

//! What is shown while an export is fetched.

use ehi_core::client::Stage;

/// Where an export stands, to be shown.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The stage.
    pub stage: Stage,
    /// Files that are known.
    pub files: u64,
    /// Of them, those that have arrived or are given up.
    pub over: u64,
    /// The server's own words, which may hold anything: for a person's eyes and for no log.
    pub progress: Option<String>,
}

/// Shows what happens. All of it is called often and from several threads, and returns at once.
pub trait Watch: Send + Sync {
    /// Where the export stands, if it is wanted now.
    fn stands(&self, standing: &dyn Fn() -> Standing);
    /// A file is being received; of what length, if the server has said it.
    fn receives(&self, name: &str, length: Option<u64>) -> Box<dyn Meter>;
    /// Something that a person should know now.
    fn notice(&self, text: &str);
}

/// Shows one file. Dropped when nothing more comes.
pub trait Meter: Send {
    /// So many bytes of the file are there.
    fn reads(&self, bytes: u64);
}

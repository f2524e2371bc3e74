//! Manifests in pages: the files of an export are dealt into pages while it runs, and what a page lists can be fetched
//! at once (BD-PART-02 to BD-PART-05).
//!
//! A page is cut when files are published and never when somebody asks, so that all clients see the same pages and a
//! page that was seen never changes but for the link to the next. Each row says its page; the record holds only how far
//! the dealing came, however many files there are.
//!
//! 3.0 wants the errors to be the same on all pages (BD-MAN-27). Who shows a page before the last error is known breaks
//! that, or changes what was seen (BD-PART-04). So there the error files are on no page of their own, every page lists them
//! all, and no page is shown before the export is complete, unless the deployment would rather be early. The 4.0 ballot lets
//! the errors of pages differ.

use serde::{Deserialize, Serialize};

use super::{
    Job, State,
    record::{PartitionProgress, Record},
};
use crate::{
    Edition,
    manifest::{OutputFile, Section},
    pass::{PartitionTask, Pass},
    time::Timestamp,
};

/// When a page of a manifest is cut, whichever comes first; and when it may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartialManifests {
    /// When it has so many files; at most 100,000.
    #[serde(default = "default_files")]
    pub files: u32,
    /// When a file is published and the oldest of the page has waited for so many seconds; at most a day.
    #[serde(default = "default_seconds")]
    pub seconds: u64,
    /// In which editions pages may be seen while the export runs.
    #[serde(default)]
    pub early: EarlyPages,
}

/// In which editions pages of a manifest may be seen while the export runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EarlyPages {
    /// Where the errors of pages may differ: in the 4.0 ballot. In 3.0 all pages come with completion, each with all errors,
    /// as it asks (BD-MAN-27).
    #[default]
    WhereErrorsMayDiffer,
    /// In 3.0 too, at the price that there each page lists the errors that were published with it, and not all of the export.
    Always,
}

/// The defaults of its members.
impl Default for PartialManifests {
    fn default() -> Self {
        Self { files: default_files(), seconds: default_seconds(), early: EarlyPages::default() }
    }
}

impl PartialManifests {
    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if !(1..=FILES_MAX).contains(&self.files) {
            Some("`partialManifests.files` must be 1 to 100000")
        } else if !(1..=SECONDS_MAX).contains(&self.seconds) {
            Some("`partialManifests.seconds` must be 1 to 86400")
        } else {
            None
        }
    }

    /// Whether pages of that edition may be seen while the export runs.
    fn are_early(&self, edition: Edition) -> bool {
        self.early == EarlyPages::Always || edition >= Edition::Stu4Ballot
    }
}

/// How far the files of a job are dealt into pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pages {
    /// As the deployment had it at the kick-off.
    cut: Cut,
    /// The number of the page in the making, from 1. Those before it are closed.
    open: u32,
    /// How many files it has.
    files: u32,
    /// When the first of them was published.
    since: Option<Timestamp>,
    /// Whether every page lists all errors, so that none can be seen before the last error is known. Jobs from before there
    /// was a choice list errors on the page with which they were published.
    #[serde(default)]
    errors_on_all: bool,
}

/// When a page is closed: with so many files, or after so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    files: u32,
    seconds: u64,
}

impl Pages {
    fn new(config: PartialManifests, edition: Edition) -> Self {
        let cut = Cut { files: config.files, seconds: config.seconds };
        Self { cut, open: 1, files: 0, since: None, errors_on_all: !config.are_early(edition) }
    }

    /// How many pages are closed.
    fn closed(&self) -> u32 {
        self.open.saturating_sub(1)
    }

    /// How many pages may be seen before no file is to come any more.
    fn early(&self) -> u32 {
        if self.errors_on_all { 0 } else { self.closed() }
    }

    /// The number of the last page once no file is to come. An export without files has one page all the same.
    fn last(&self) -> u32 {
        if self.files == 0 { self.closed().max(1) } else { self.open }
    }

    /// Puts files on the page in the making. Attachments are with them, but no manifest lists them; errors that are on all
    /// pages are on none of their own.
    fn deal(&mut self, rows: &mut [OutputFile], now: Timestamp) {
        let errors_on_all = self.errors_on_all;
        for row in rows.iter_mut().filter(|row| !errors_on_all || row.section != Section::Error) {
            row.page = Some(self.open);
            if row.section != Section::Attachment {
                self.files = self.files.saturating_add(1);
                self.since.get_or_insert(now);
            }
        }
    }

    /// Closes the page in the making if it is time to. After the last number there is no other page.
    fn cut(&mut self, now: Timestamp) {
        let is_full = self.files >= self.cut.files;
        let is_old = self.since.is_some_and(|since| since.plus_seconds(self.cut.seconds) <= now);
        if (is_full || is_old)
            && let Some(next) = self.open.checked_add(1)
        {
            (self.open, self.files, self.since) = (next, 0, None);
        }
    }
}

impl PartitionProgress {
    /// Notes which file is still to come that a published one names as its continuation. A partition puts out the parts of
    /// a block one after another, so that one name is enough.
    pub(super) fn published(&mut self, rows: &[OutputFile]) {
        for row in rows {
            self.continues_in_file.take_if(|name| *name == row.name);
            self.continues_in_file = row.continues_in_file.clone().or(self.continues_in_file.take());
        }
    }
}

impl Job {
    /// The same with a manifest in pages.
    pub(crate) fn with_pages(mut self, config: Option<PartialManifests>) -> Self {
        let edition = self.record.plan.edition;
        self.record.pages = config.map(|config| Pages::new(config, edition));
        self
    }

    /// Tasks in the order in which they are best done: a page is not closed before the attachments that its files lead to
    /// are there, so these come first.
    pub(super) fn ordered(&self, mut tasks: Vec<PartitionTask>) -> Vec<PartitionTask> {
        if self.record.pages.is_some() {
            tasks.sort_by_key(|task| task.pass != Pass::Attachments);
        }
        tasks
    }

    /// Says of published rows on which page they are, whatever they said before, and closes the page if it is time to.
    ///
    /// Not while a file is still to come to which one of the page leads, as its continuation or as an attachment.
    pub(super) fn deal(&mut self, rows: &mut [OutputFile], now: Timestamp) {
        rows.iter_mut().for_each(|row| row.page = None);
        let is_awaited = |progress: &PartitionProgress| {
            progress.continues_in_file.is_some() || progress.pass == Pass::Attachments && !progress.finished
        };
        let is_whole = !self.record.partitions.values().any(is_awaited);
        if let Some(pages) = &mut self.record.pages {
            pages.deal(rows, now);
            if is_whole {
                pages.cut(now);
            }
        }
    }

    /// How many pages of the manifest may be seen: of a running job those that are closed, unless errors are still to come that
    /// they list or staff have to look at the files first; of a complete one all. Without pages none, also where there is a manifest.
    pub(super) fn pages_shown(&self) -> u32 {
        let Record { state, pages, steps, .. } = &self.record;
        match (state, pages) {
            (State::Complete, Some(pages)) => pages.last(),
            (State::Running, Some(pages)) if steps.release.is_empty() => pages.early(),
            _ => 0,
        }
    }

    /// Whether a client may have been told of that page.
    pub(super) fn was_linked(&self, page: u32) -> bool {
        let Record { pages, steps, .. } = &self.record;
        pages.as_ref().is_some_and(|pages| steps.release.is_empty() && (2..=pages.early()).contains(&page))
    }

    /// Whether a manifest that lists the file could have been served.
    pub(super) fn serves(&self, file: &OutputFile) -> bool {
        let is_shown = file.page.is_some_and(|page| (1..=self.pages_shown()).contains(&page));
        self.record.state == State::Complete || is_shown
    }
}

/// A manifest that is read at once; a client of a hundred times as many files asks a hundred times.
fn default_files() -> u32 {
    100
}

/// As often as clients poll.
fn default_seconds() -> u64 {
    60
}

/// What clients read of one manifest without trouble.
const FILES_MAX: u32 = 100_000;

/// Who waits for longer needs no pages.
const SECONDS_MAX: u64 = 24 * 60 * 60;

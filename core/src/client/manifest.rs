//! The manifest, page after page: rows become files, and what was seen before must not have changed.

use super::{
    Client, FailureReason, Finding, LogDetail, Stage, Task, Url, UrlError,
    control::{Control, is_transient, issues},
    record::{File, FileKind, FileState, Page},
    state::Event,
};
use crate::{
    Definitions, Edition, ResourceType,
    http::Reply,
    manifest::{ListedFile, Manifest, ManifestBounds, ManifestReadError},
    time::Timestamp,
};

/// A reading of the manifest's pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// The export is complete: the last page is the last.
    pub(super) complete: bool,
    /// All pages are read again, for fresh URLs; else only the last one known and what follows it.
    pub(super) refresh: bool,
    /// When to poll again if it is not complete.
    pub(super) poll_again: Timestamp,
}

impl Client {
    /// The page's URL: the polling location, or what the page before it links to.
    pub(super) fn page_url(&self, index: usize) -> Option<Url> {
        match index.checked_sub(1) {
            None => self.record.head.polling_location.clone(),
            Some(before) => self.record.pages.get(before)?.next.clone(),
        }
    }

    pub(super) fn read_manifest(&mut self, reply: Reply<'_>, whole: bool) -> Result<Manifest, FailureReason> {
        if reply.body.trim_ascii().is_empty() && !whole {
            return Err(FailureReason::Manifest(ManifestReadError::NotJson));
        }
        let limits = &self.record.limits;
        let bounds = ManifestBounds {
            bytes_max: limits.response_bytes_max,
            rows_max: usize::try_from(limits.files_max).unwrap_or(usize::MAX),
        };
        let ballot = self.record.plan.request().edition == Edition::Stu4Ballot;
        let manifest = Manifest::read(reply.body, ballot, bounds).map_err(FailureReason::Manifest)?;
        self.check_media_type(reply, Self::manifest_step(0));
        Ok(manifest)
    }

    pub(super) fn page_replied(&mut self, control: Control, index: usize, reply: Reply<'_>, now: Timestamp) {
        let walk = self.walk.take();
        let task = Task::Page(index);
        let reason = match (reply.status, walk) {
            (200 | 202, Some(walk)) => match self.read_manifest(reply, true) {
                Ok(manifest) => {
                    self.merge_page(index, manifest, now);
                    return self.walk_on(walk, index, now);
                }
                Err(reason) => {
                    self.walk = Some(walk);
                    return self.try_again(control, None, reason, now);
                }
            },
            (_, walk) if is_transient(reply) => {
                self.walk = walk;
                return self.try_again(control, Some(reply), FailureReason::Unreachable, now);
            }
            (404 | 410, _) => FailureReason::Gone,
            (400..=599, _) => FailureReason::ExportFailed,
            _ => FailureReason::UnexpectedStatus,
        };
        // BD-MAN-28.
        self.give_up(task, reason, Some(reply.status), issues(reply), now);
    }

    /// On to the next page, or what comes after the last.
    pub(super) fn walk_on(&mut self, walk: Walk, read: usize, now: Timestamp) {
        if self.report.is_some() {
            return;
        }
        // Pages in the middle do not change; the last one may have got a successor.
        let next = if walk.refresh { read + 1 } else { (read + 1).max(self.record.pages.len().saturating_sub(1)) };
        let linked =
            next.checked_sub(1).and_then(|before| self.record.pages.get(before)).and_then(|page| page.next.as_ref());
        if let Some(url) = linked {
            let repeats = self.record.pages.iter().take(next).any(|page| page.url == *url);
            if repeats {
                self.record.find(Finding::PagesInACircle);
            } else if next >= usize::try_from(self.record.limits.pages_max).unwrap_or(usize::MAX) {
                return self.fail(Task::Page(next).step(), FailureReason::TooMany, None, Vec::new(), now);
            } else {
                self.walk = Some(walk);
                return self.begin(Task::Page(next), now);
            }
        }
        self.walk = None;
        if walk.refresh {
            self.refreshed_urls();
        }
        if !walk.complete {
            self.begin_at(Task::Poll, walk.poll_again, now);
        } else if self.record.head.stage == Stage::Polling {
            self.log_manifest_complete(now);
            self.enter(Event::Listed);
        }
    }

    /// Takes the rows of a page.
    pub(super) fn merge_page(&mut self, index: usize, manifest: Manifest, now: Timestamp) {
        let Some(url) = self.page_url(index) else { return };
        self.note_manifest(index, &manifest);
        let known = self.record.pages.get(index).cloned();
        self.log_page(&manifest, now);
        let next = manifest.next.as_ref().and_then(|next| self.next_page(&url, next.expose(), index));
        let mut rows = Vec::with_capacity(manifest.files.len());
        let mut changed = known.as_ref().is_some_and(|known| known.rows.len() > manifest.files.len());
        let mut grown = false;
        for (position, row) in manifest.files.iter().enumerate() {
            let before = known.as_ref().and_then(|known| known.rows.get(position)).copied();
            // It could not be fetched before, and was told then.
            if before == Some(None) {
                rows.push(None);
                continue;
            }
            let before = before.flatten();
            grown |= known.is_some() && before.is_none();
            match self.merge_row(index, &url, row, before) {
                Ok(Merged { id, differs }) => {
                    changed |= differs;
                    rows.push(id);
                }
                Err(reason) => return self.fail(Self::manifest_step(index), reason, None, Vec::new(), now),
            }
        }
        if grown {
            self.record.find(Finding::PageGrew { page: page_number(index) });
        }
        if changed {
            self.record.find(Finding::PageChanged { page: page_number(index) });
        }
        // Rows that a page no longer lists are still wanted.
        rows.extend(known.iter().flat_map(|known| known.rows.get(rows.len()..)).flatten().copied().collect::<Vec<_>>());
        let next = next.or_else(|| known.and_then(|known| known.next));
        self.record.set_page(index, Page { url, rows, next });
    }

    fn note_manifest(&mut self, index: usize, manifest: &Manifest) {
        let page = page_number(index);
        for oddity in &manifest.oddities {
            self.record.find(Finding::Manifest { page, oddity: *oddity });
        }
        if manifest.rows_without_url > 0 {
            self.record.find(Finding::RowsWithoutUrl { page, count: manifest.rows_without_url });
        }
        let head = &self.record.head;
        let differs = head.transaction_time != manifest.transaction_time
            || head.requires_access_token != manifest.requires_access_token
            || manifest.documentation_url.is_some() && head.documentation_url != manifest.documentation_url
            || manifest.extension.is_some() && head.extension != manifest.extension;
        if differs && index == 0 {
            let head = self.record.head_mut();
            head.transaction_time = manifest.transaction_time.clone().or(head.transaction_time.take());
            head.requires_access_token = manifest.requires_access_token;
            head.documentation_url = manifest.documentation_url.clone().or(head.documentation_url.take());
            head.extension = manifest.extension.clone().or(head.extension.take());
        } else if differs && index > 0 && head.transaction_time != manifest.transaction_time {
            // BD-MAN-27.
            self.record.find(Finding::PageChanged { page });
        }
    }

    /// A page is a protocol answer, so it must come from a server that is believed.
    fn next_page(&mut self, page: &Url, next: &str, index: usize) -> Option<Url> {
        if !self.record.plan.request().allow_partial_manifests {
            self.record.find(Finding::UnaskedPages);
        }
        let policy = &self.record.plan.policy;
        let checked = page.resolve(next).and_then(|url| {
            if !policy.is_trusted(&url) {
                return Err(UrlError::ForeignOrigin);
            }
            policy.may_contact(&url).map(|()| url)
        });
        match checked {
            Ok(url) => Some(url),
            Err(reason) => {
                let file = format!("manifest page {}", index + 1);
                let finding = Finding::Missing { file, reason: FailureReason::Url(reason), status: None };
                self.record.find(finding);
                None
            }
        }
    }

    fn merge_row(
        &mut self,
        page: usize,
        page_url: &Url,
        row: &ListedFile,
        before: Option<u32>,
    ) -> Result<Merged, FailureReason> {
        let resolved = page_url.resolve(row.url.expose());
        let resolved = resolved.and_then(|url| self.record.plan.policy.may_contact(&url).map(|()| url));
        let kind = FileKind::from(row.section);
        if let Some(id) = before {
            let Some(file) = self.record.files.get(&id) else { return Ok(Merged { id: Some(id), differs: true }) };
            let same =
                file.kind == kind && file.count == row.count && file.size == row.size && file.sha256 == row.sha256;
            // BD-PART-04: a URL may be refreshed; the rest of a row may not change.
            if same && resolved.as_ref().is_ok_and(|url| *url != file.url) {
                self.refresh_file(id, resolved.ok());
            }
            return Ok(Merged { id: Some(id), differs: !same });
        }
        let url = match resolved {
            Ok(url) => url,
            Err(reason) => {
                let (_, name) = self.name(kind, row.type_name.as_deref());
                self.record.find(Finding::Missing { file: name, reason: FailureReason::Url(reason), status: None });
                return Ok(Merged { id: None, differs: false });
            }
        };
        if let Some(id) = self.by_url.get(&url) {
            let id = *id;
            // After a crash the rows of a page may be known and the page not; that is no repeat. Nor are errors on another
            // page, which 3.0 wants on all (BD-MAN-27).
            let is_of_all = kind == FileKind::Error && page > 0;
            if !self.listed.insert(id) && !is_of_all {
                self.record.find(Finding::RepeatedRow { page: page_number(page) });
            }
            return Ok(Merged { id: Some(id), differs: false });
        }
        let (resource_type, name) = self.name(kind, row.type_name.as_deref());
        let file = File {
            kind,
            resource_type,
            url: url.clone(),
            count: row.count,
            size: row.size,
            sha256: row.sha256.clone(),
            media_type: None,
            name,
            state: FileState::Waiting,
        };
        let id = self.record.add_file(file).ok_or(FailureReason::TooMany)?;
        self.by_url.insert(url, id);
        self.listed.insert(id);
        self.waiting.insert(id);
        Ok(Merged { id: Some(id), differs: false })
    }

    /// A name made of a known type and a number. Nothing else of a manifest gets into it.
    fn name(&mut self, kind: FileKind, type_name: Option<&str>) -> (Option<ResourceType>, String) {
        let resource_type = type_name.and_then(|name| Definitions::R4.resource_type(name));
        let (folder, assumed) = match kind {
            FileKind::Output | FileKind::Attachment => ("", "Resource"),
            FileKind::Deleted => ("deleted/", "Bundle"),
            FileKind::Error => ("error/", "OperationOutcome"),
        };
        // The 4.0 ballot leaves the type of these away (BD4-03, BD4-07), and there is only one that they can have.
        let resource_type = resource_type.or_else(|| match kind {
            FileKind::Output | FileKind::Attachment => None,
            FileKind::Deleted | FileKind::Error => Definitions::R4.resource_type(assumed),
        });
        let stem = resource_type.as_ref().map_or(assumed, ResourceType::as_str);
        let name = format!("{folder}{stem}.{:03}.ndjson", self.number(&format!("{folder}{stem}")));
        if type_name.is_some() && resource_type.is_none() {
            self.record.find(Finding::UnknownType { file: name.clone() });
        }
        (resource_type, name)
    }

    /// The next number of files of that stem, over all pages and runs (a page that begins again at one overwrites).
    pub(super) fn number(&mut self, stem: &str) -> u32 {
        let next = self.numbers.entry(stem.to_owned()).or_default();
        *next += 1;
        *next - 1
    }

    fn log_page(&mut self, manifest: &Manifest, now: Timestamp) {
        let count = |section| manifest.files.iter().filter(|file| file.section == section).count() as u64;
        use crate::manifest::Section::{Deleted, Error, Output};
        let detail = LogDetail::StatusPageComplete {
            transaction_time: manifest.transaction_time.clone(),
            output_file_count: count(Output),
            deleted_file_count: count(Deleted),
            error_file_count: count(Error),
        };
        self.log(detail, now);
    }

    fn log_manifest_complete(&mut self, now: Timestamp) {
        let count = |kind| self.record.files.values().filter(|file| file.kind == kind).count() as u64;
        let detail = LogDetail::ManifestComplete {
            transaction_time: self.record.head.transaction_time.clone(),
            total_output_file_count: count(FileKind::Output),
            total_deleted_file_count: count(FileKind::Deleted),
            total_error_file_count: count(FileKind::Error),
            total_manifests: self.record.pages.len() as u64,
        };
        self.log(detail, now);
    }
}

struct Merged {
    id: Option<u32>,
    differs: bool,
}

fn page_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

//! What clients are shown of a manifest in pages, held against what a page may be.

use ehi_core::{
    job::{Job, State},
    manifest::{ManifestHead, OutputFile, Section},
    values::{self, RequestHead},
};

use crate::{coverage::Fault, world::World};

impl World {
    /// Files were published: on no page of which anything was shown.
    pub(crate) fn published(&self, id: &str, rows: &[OutputFile]) {
        let ledger = self.ledger.borrow();
        let Some(facts) = ledger.jobs.get(id) else { return };
        if rows.iter().filter_map(|row| row.page).any(|page| page <= facts.shown) {
            self.violate(format!("a file of job {} came to a page that was shown already", facts.number));
        }
    }

    /// A file of that page was served.
    pub(crate) fn shown(&self, id: &str, page: Option<u32>) {
        let mut ledger = self.ledger.borrow_mut();
        let Some(facts) = ledger.jobs.get_mut(id).filter(|facts| facts.completed.is_none()) else { return };
        self.met(Fault::EarlyFile);
        match page {
            Some(page) => facts.shown = facts.shown.max(page),
            None => self.violate(format!("a file of job {} was served before any manifest listed it", facts.number)),
        }
    }

    /// A manifest was made for a client: of a whole job, or a page of it.
    pub(crate) fn listed(&self, id: &str, record: &str, head: &ManifestHead, rows: &[OutputFile], manifest: &[u8]) {
        let Ok(mut manifest) = serde_json::from_slice::<serde_json::Value>(manifest) else {
            return self.violate("a manifest is not JSON");
        };
        let link = manifest.as_object_mut().and_then(|members| members.remove("link"));
        let mut ledger = self.ledger.borrow_mut();
        // What is over by now is not there any more.
        let Some(facts) = ledger.jobs.get_mut(id).filter(|facts| facts.over.is_none()) else { return };
        let number = facts.number;
        if self.scenario.is_paged() != head.page.is_some() {
            return self
                .violate(format!("the manifest of job {number} is in pages, or is not, other than was asked for"));
        }
        let store = self.store.borrow();
        let get = RequestHead { method: "GET".into(), target: "/".into(), headers: Vec::new() };
        let is_there = |row: &OutputFile| {
            let served = values::serve_file(record, row, &get).is_ok_and(|response| response.status == 200);
            served && store.get(&row.key).is_some()
        };
        if !rows.iter().all(is_there) {
            return self.violate(format!("job {number} lists a file that cannot be fetched"));
        }
        let Some(page) = head.page else { return };
        // As it was when it was read; it may have gone on meanwhile.
        let is_complete = Job::decode(record).is_ok_and(|job| job.state() == State::Complete);
        if !is_complete {
            self.met(Fault::EarlyManifest);
            facts.shown = facts.shown.max(page);
            if !self.scenario.is_early() {
                return self.violate(format!("a page of job {number} was shown before all that it lists was known"));
            }
        }
        if page > 1 {
            self.met(Fault::LaterPage);
        }
        let follows = store.rows(id).iter().any(|row| row.page > Some(page));
        if link.is_some() && !follows || is_complete && link.is_none() && follows {
            return self.violate(format!("page {page} of job {number} links to what is not there, or not to what is"));
        }
        let before = facts.pages.entry(page).or_insert_with(|| manifest.clone());
        if *before != manifest {
            return self.violate(format!("page {page} of job {number} has changed"));
        }
        let differs = |other: &serde_json::Value| in_common(other) != in_common(&manifest);
        if self.scenario.are_errors_on_all() && facts.pages.values().any(differs) {
            self.violate(format!("page {page} of job {number} differs from others in what all have in common"));
        }
    }

    /// The pages of a complete job: each has files, and each file has its page, but for errors that are on all of them.
    pub(crate) fn check_pages(&self, rows: &[OutputFile]) -> Result<(), String> {
        let last = rows.iter().filter_map(|row| row.page).max().unwrap_or_default();
        let is_on = |page: u32| rows.iter().any(|row| row.page == Some(page));
        let is_on_one = |row: &OutputFile| {
            let is_on_all = row.section == Section::Error && self.scenario.are_errors_on_all();
            self.scenario.is_paged() && !is_on_all
        };
        let all = rows.iter().all(|row| row.page.is_some() == is_on_one(row));
        if all && (1..=last).all(is_on) { Ok(()) } else { Err("its files are not on its pages".into()) }
    }
}

/// What a page of 3.0 has in common with every other (BD-MAN-27).
fn in_common(page: &serde_json::Value) -> Vec<(&String, &serde_json::Value)> {
    let members = page.as_object().into_iter().flatten();
    members.filter(|(name, _)| !["output", "deleted", "link"].contains(&name.as_str())).collect()
}

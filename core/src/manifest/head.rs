//! What a manifest says besides its files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{OutputFile, Section};
use crate::{Edition, ResourceType, access::UrlSigner, time::Timestamp};

/// What a manifest says besides its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestHead {
    /// Whose shape it has.
    pub edition: Edition,
    /// `transactionTime` (BD-MAN-01).
    pub transaction_time: Timestamp,
    /// `request`: the kick-off URL as it was (BD-MAN-04); not written in the 4.0 ballot.
    pub request: String,
    /// `outputOrganizedBy` (BD-MAN-15), since 3.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_organized_by: Option<ResourceType>,
    /// `requiresAccessToken` (BD-MAN-05).
    pub requires_access_token: bool,
    /// What stands before a file's name in its URL, with the final `/`; empty for names relative to the manifest.
    pub files_url: String,
    /// The page that the manifest is: it lists the rows of that page and those of no page, which are on every one, and no
    /// others. Without one it lists all rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// `link` with relation `next`: the address of the page that follows, once there is one (BD-MAN-26).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Signs the addresses of the files, where these open by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<UrlSigner>,
    /// Members of the root `extension`, name to text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extension: BTreeMap<String, String>,
}

impl ManifestHead {
    /// Whether the manifest is to be given that row. Errors of no page are on every one; of anything else that is a mistake.
    pub fn takes(&self, row: &OutputFile) -> bool {
        let is_on_all = row.page.is_none() && row.section == Section::Error;
        self.page.is_none() || self.page == row.page || is_on_all
    }
}

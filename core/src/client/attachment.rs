//! Attachments: files that resources refer to, outside of the manifest.

use super::{
    Client, Finding, Url,
    record::{File, FileKind, FileState},
    verify::{Contents, FoundAttachment},
};

impl Client {
    /// The attachments of a file that has arrived become files to fetch, each once (BD-ATT-06).
    pub(super) fn take_attachments(&mut self, name: &str, contents: &Contents) {
        if !self.record.plan.request().attachments {
            return;
        }
        // A `Binary/7` is the server's own.
        let base = Url::parse(&self.record.plan.policy.base.join(""));
        let mut left_out = contents.attachments_left_out;
        for found in &contents.attachments {
            let url = base.as_ref().map_err(|error| *error).and_then(|base| base.resolve(found.url.expose()));
            let url = url.and_then(|url| self.record.plan.policy.may_contact(&url).map(|()| url));
            match url {
                Ok(url) if self.by_url.contains_key(&url) => {}
                Ok(url) => left_out += u64::from(!self.add_attachment(url, found)),
                Err(reason) => self.record.find(Finding::AttachmentUrl { file: name.to_owned(), reason }),
            }
        }
        if left_out > 0 {
            self.record.find(Finding::AttachmentsLeftOut { count: left_out });
        }
    }

    /// How many more there may be.
    pub(super) fn attachments_left(&self) -> u32 {
        self.record.limits.attachments_max.saturating_sub(self.record.attachments())
    }

    fn add_attachment(&mut self, url: Url, found: &FoundAttachment) -> bool {
        // It is asked for by name, of whichever server, only if the name is one that everybody knows.
        let media_type = found.content_type.as_deref().and_then(media_type).filter(|text| extension(text).is_some());
        let extension = media_type.as_deref().and_then(extension).unwrap_or("bin");
        let name = format!("{FOLDER}{:06}.{extension}", self.number(FOLDER));
        let file = File {
            kind: FileKind::Attachment,
            resource_type: None,
            url: url.clone(),
            count: None,
            size: found.size,
            sha256: None,
            media_type,
            name,
            state: FileState::Waiting,
        };
        match self.record.add_file(file) {
            Some(id) => {
                self.by_url.insert(url, id);
                self.waiting.insert(id);
                true
            }
            None => false,
        }
    }
}

/// `type/subtype` in lower case, if it is one: it goes into a header.
fn media_type(text: &str) -> Option<String> {
    let text = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let (kind, subtype) = text.split_once('/')?;
    (text.len() <= 100 && token(kind) && token(subtype)).then_some(text)
}

/// How a file of that type is named. Of others the name says nothing; the resource that refers to it does.
fn extension(media_type: &str) -> Option<&'static str> {
    EXTENSIONS.iter().find(|(name, _)| *name == media_type).map(|(_, extension)| *extension)
}

/// Where attachments lie.
pub(super) const FOLDER: &str = "attachments/";

const EXTENSIONS: [(&str, &str); 22] = [
    ("application/dicom", "dcm"),
    ("application/fhir+json", "json"),
    ("application/fhir+ndjson", "ndjson"),
    ("application/json", "json"),
    ("application/msword", "doc"),
    ("application/pdf", "pdf"),
    ("application/rtf", "rtf"),
    ("application/xml", "xml"),
    ("application/zip", "zip"),
    ("audio/mpeg", "mp3"),
    ("image/gif", "gif"),
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/tiff", "tif"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/rtf", "rtf"),
    ("text/tab-separated-values", "tsv"),
    ("text/xml", "xml"),
    ("video/mp4", "mp4"),
    ("application/gzip", "gz"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_gives_an_extension_from_a_list_and_nothing_else() {
        assert_eq!(media_type("Text/CSV; charset=utf-8").as_deref().and_then(extension), Some("csv"));
        for wrong in ["", "pdf", "a/b/c", "../../x", "text/csv\r\nx: y", "application/"] {
            assert_eq!(media_type(wrong), None, "{wrong}");
        }
        assert_eq!(extension("application/x-sh"), None);
    }
}

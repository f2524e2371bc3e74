//! What is listened to, and how a mark is recognised.

use std::{collections::BTreeMap, error::Error, fmt::Debug};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ehi_core::{
    audit::AuditEvent,
    http::{Body, Response},
};

/// Where nothing of a patient may be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    /// What a program would log: `Debug` of values and errors, and the export log of the client.
    Log,
    /// `Display` of errors.
    ErrorText,
    /// Bodies of responses, and lines of error files.
    OperationOutcome,
    /// Header fields, sent or answered.
    Header,
    /// Addresses that we make.
    Url,
    /// Audit events.
    AuditEvent,
}

impl Channel {
    pub(crate) const ALL: [Self; 6] =
        [Self::Log, Self::ErrorText, Self::OperationOutcome, Self::Header, Self::Url, Self::AuditEvent];
}

/// Patient data: in resources, lines, filters, forms, notes, tokens, parameters.
pub(crate) const MARK: &str = "Zebedee";
/// An id in an address.
pub(crate) const ID: &str = "Wilhelmina";
/// A name where the guides define names.
pub(crate) const NAME: &str = "Mirrormere";

/// Every mark, and where it may be heard all the same, by which requirement.
pub(crate) const MARKS: [(&str, &[(Channel, &str)]); 3] = [
    (MARK, &[]),
    // An access that was tried is told with whom it was about; an id is no more than that.
    (ID, &[(Channel::AuditEvent, "BALP entity:patient")]),
    // An error names the parameter, the resource type or the element that it is about.
    (NAME, &[(Channel::OperationOutcome, "BD-LEN-01, BD-KICK-18, BD-TF-13, BD-ELEM-03, BD-IAD-06")]),
];

/// Collects what is told, by channel.
#[derive(Default)]
pub(crate) struct Sentinel {
    heard: BTreeMap<Channel, Vec<(String, String)>>,
}

impl Sentinel {
    pub(crate) fn hear(&mut self, channel: Channel, from: &str, text: impl AsRef<str>) {
        self.heard.entry(channel).or_default().push((from.to_owned(), text.as_ref().to_owned()));
    }

    pub(crate) fn logged(&mut self, from: &str, value: &dyn Debug) {
        self.hear(Channel::Log, from, format!("{value:?}"));
    }

    pub(crate) fn error(&mut self, from: &str, error: &dyn Error) {
        self.logged(from, &error);
        let mut next = Some(error);
        while let Some(error) = next {
            self.hear(Channel::ErrorText, from, error.to_string());
            next = error.source();
        }
    }

    /// A response as it goes out. A manifest is heard where it is written.
    pub(crate) fn response(&mut self, from: &str, response: &Response) {
        for (name, value) in &response.headers {
            let is_address = ["content-location", "link", "location"].contains(&name.as_str());
            self.hear(if is_address { Channel::Url } else { Channel::Header }, from, format!("{name}: {value}"));
        }
        if let Body::Text(text) = &response.body {
            self.hear(Channel::OperationOutcome, from, text);
        }
    }

    pub(crate) fn events(&mut self, from: &str, events: &[AuditEvent]) {
        for event in events {
            self.logged(from, event);
            self.hear(Channel::AuditEvent, from, event.to_json());
        }
    }

    pub(crate) fn count(&self, channel: Channel) -> usize {
        self.heard.get(&channel).map_or(0, Vec::len)
    }

    /// Where a mark was heard that may not be: channel, mark, from what, and the text.
    pub(crate) fn leaks(&self) -> Vec<(Channel, &'static str, &str, &str)> {
        let is_excused = |mark, channel| {
            MARKS.iter().any(|(own, excuses)| *own == mark && excuses.iter().any(|(at, _)| *at == channel))
        };
        self.marks().into_iter().filter(|(channel, mark, ..)| !is_excused(*mark, *channel)).collect()
    }

    /// Whether a mark was heard there, leak or not.
    pub(crate) fn heard_mark(&self, mark: &str, channel: Channel) -> bool {
        self.marks().iter().any(|(at, own, ..)| *at == channel && *own == mark)
    }

    fn marks(&self) -> Vec<(Channel, &'static str, &str, &str)> {
        let texts = self.heard.iter().flat_map(|(channel, texts)| texts.iter().map(move |text| (*channel, text)));
        let marks = texts.flat_map(|(channel, (from, text))| {
            let carried = MARKS.iter().filter(|(mark, _)| carries(text, mark));
            carried.map(move |(mark, _)| (channel, *mark, from.as_str(), text.as_str()))
        });
        marks.collect()
    }
}

/// Whether a text holds the mark, in whichever case, and percent-encoded, escaped, in hexadecimal or in base64 too.
pub(crate) fn carries(text: &str, mark: &str) -> bool {
    let lower = mark.to_lowercase();
    let plain = |text: &str| text.to_lowercase().contains(&lower);
    let hexadecimal: String = mark.bytes().map(|byte| format!("{byte:02x}")).collect();
    plain(text)
        || plain(&decoded(text, "%", 2))
        || plain(&decoded(text, "\\u", 4))
        || text.to_lowercase().contains(&hexadecimal)
        || base64_of(mark).iter().any(|part| text.contains(part))
}

/// The text with each escape of so many hexadecimal digits replaced by its character.
fn decoded(text: &str, escape: &str, digits: usize) -> String {
    let mut parts = text.split(escape);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let character = part.get(..digits).and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        match character {
            Some(character) => {
                out.push(character);
                out.push_str(&part[digits..]);
            }
            None => out.push_str(part),
        }
    }
    out
}

/// What stands for the mark wherever it begins in what was encoded: the characters that no neighbour changes.
fn base64_of(mark: &str) -> [String; 3] {
    [0, 1, 2].map(|before| {
        let bytes = [&[0_u8; 2][..before], mark.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(&bytes);
        text[(before * 8).div_ceil(6)..bytes.len() * 8 / 6].to_owned()
    })
}

//! The contents of Binary resources that Attachments lead to, decoded.

use super::{SecurityContext, is_binary, security_context};
use crate::{
    Definitions,
    json::LineError,
    kick_off::Level,
    pass::Collection,
    plan::ExportPlan,
    population::Population,
    sets::Set,
    writer::{
        Validation, WriterError,
        context::{has, of_types, verdict},
        select::Selector,
        walk::{root_text, roots},
    },
};

/// Judges Binary resources by whether their content is part of the export.
pub(in crate::writer) struct Contents<'p> {
    selector: Selector<'static>,
    /// Those whose Binary resources may be read, if not everyone.
    population: Option<Population<'p>>,
    of_everything: bool,
    definitions: Definitions<'static>,
    base_url: String,
    document: Vec<u8>,
}

/// What a file is to hold.
pub(in crate::writer) struct Content {
    pub(in crate::writer) name: String,
    pub(in crate::writer) content_type: Option<String>,
    pub(in crate::writer) bytes: Vec<u8>,
}

impl<'p> Contents<'p> {
    pub(in crate::writer) fn new(plan: &ExportPlan, population: Option<Population<'p>>) -> Result<Self, WriterError> {
        let definitions = plan.definitions();
        let binary = definitions.resource_type("Binary").into_iter().collect();
        Ok(Self {
            selector: Selector::new(&of_types(plan, &binary), None, Validation::default())?,
            population,
            of_everything: plan.level == Level::System,
            definitions,
            base_url: plan.base_url.clone(),
            document: Vec::new(),
        })
    }

    /// Whether the content of a Binary is part of the export: an exported resource leads to it, and it is of nobody who
    /// is not part of the export. An Attachment alone opens nothing, for anyone who may write one could write any id.
    pub(in crate::writer) fn has(&self, line: &[u8], sets: &[Set<'_>]) -> bool {
        if !is_binary(line) {
            return false;
        }
        let linked =
            root_text(line, "id").is_some_and(|id| has(sets, Collection::Attachments, &format!("Binary/{id}")));
        let found = |text: &str| has(sets, Collection::SecurityContextsFound, text);
        let may_be_read = || match security_context(line, &self.definitions, &self.base_url) {
            SecurityContext::Nobody => true,
            SecurityContext::Patient(Some(id)) => self.population.as_ref().is_none_or(|listed| listed.contains(&id)),
            SecurityContext::Resource(target) => {
                found(&target) || self.of_everything && found(&super::nobodys(&target))
            }
            SecurityContext::Patient(None) | SecurityContext::Elsewhere => self.population.is_none(),
        };
        linked && may_be_read() && verdict(&self.selector, line, sets).is_some()
    }

    /// The document that a Binary would be, by which consent is asked; `None` for what is nobody's.
    pub(in crate::writer) fn document(&mut self, line: &[u8]) -> Result<Option<&[u8]>, LineError> {
        let context = security_context(line, &self.definitions, &self.base_url);
        self.document.clear();
        super::document::write(line, &context, &mut self.document)?;
        Ok((!matches!(context, SecurityContext::Nobody)).then_some(self.document.as_slice()))
    }

    /// Reads the content.
    pub(in crate::writer) fn read(&self, line: &[u8]) -> Result<Content, LineError> {
        let id = root_text(line, "id").ok_or(LineError::Missing("id"))?;
        let bytes = match roots(line, "data").next() {
            Some(data) => data.string().and_then(|text| decode(&text)).ok_or(LineError::WrongShape("data"))?,
            None => Vec::new(),
        };
        let content_type = root_text(line, "contentType").map(|text| text.chars().take(CONTENT_TYPE_MAX).collect());
        Ok(Content { name: content_name(&id), content_type, bytes })
    }
}

/// The public name of the file with the content of a Binary: known before the Binary is seen.
pub(in crate::writer) fn content_name(id: &str) -> String {
    format!("attachment-{id}")
}

/// Base64 as FHIR has it: with padding, and with white space anywhere.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut digits, mut padding) = (0_u32, 0_u8, 0_u8);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        match (byte, padding) {
            (b'=', _) => padding += u8::from(padding < 3),
            (_, 0) => {
                bits = bits << 6 | u32::from(digit(byte)?);
                digits += 1;
            }
            _ => return None,
        }
        if digits == 4 {
            bytes.extend_from_slice(bits.to_be_bytes().get(1..)?);
            (bits, digits) = (0, 0);
        }
    }
    // What is left over must be whole bytes, and padded to four.
    match (digits, padding) {
        (0, 0) => {}
        (2, 2) if bits & 0x0f == 0 => bytes.push(u8::try_from(bits >> 4).ok()?),
        (3, 1) if bits & 0x03 == 0 => bytes.extend_from_slice(u16::try_from(bits >> 2).ok()?.to_be_bytes().as_slice()),
        _ => return None,
    }
    Some(bytes)
}

/// Longer than any media type that means something.
const CONTENT_TYPE_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_strictly() {
        for (text, bytes) in [
            ("", b"".as_slice()),
            ("QQ==", b"A"),
            ("QUI=", b"AB"),
            ("QUJD", b"ABC"),
            (" QU\r\nJD\tRA = = ", b"ABCD"),
            ("+/+/", b"\xfb\xff\xbf"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        for wrong in ["Q", "QQ", "QUI", "QQ=", "QR==", "QUJ=", "QQ==QQ==", "=", "====", "QUJD=", "QU-_", "QUJD%"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn all_bytes_come_back() {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        for three in all[..255].chunks(3) {
            let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            text.extend((0..4).map(|digit| char::from(alphabet[bits >> (18 - 6 * digit) & 63])));
        }
        assert_eq!(decode(&text).unwrap(), &all[..255]);
    }
}

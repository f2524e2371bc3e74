//! A request, borrowed from the embedder's buffers.

use std::fmt;

/// A request as it was on the wire.
///
/// The target is **raw and undecoded**, in origin form (`/fhir/$export?_type=Patient`): a comma and `%2C` mean
/// different things in `_typeFilter`, so a framework's decoded query string is not enough.
#[derive(Clone, Copy)]
pub struct Request<'m> {
    /// `GET`, `POST`, `DELETE`, …
    pub method: &'m str,
    /// Path and query, percent-encoding intact.
    pub target: &'m str,
    /// Name and value of each header field, in order; names in any case.
    pub headers: &'m [(&'m str, &'m [u8])],
    /// The body, decoded from any transfer coding.
    pub body: &'m [u8],
}

/// Target, headers and body carry ids, tokens and whatever a client asks for: none of it is for logs.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, headers, body, .. } = self;
        write!(f, "Request(target of {} bytes, {} headers, body of {} bytes)", target.len(), headers.len(), body.len())
    }
}

impl<'m> Request<'m> {
    /// The values of a header field, in order; a value that is not text counts as empty, so that it never matches.
    pub fn header(&self, name: &str) -> impl Iterator<Item = &'m str> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| std::str::from_utf8(value).unwrap_or_default().trim())
    }

    /// The media types of `Accept` and `Content-Type`: comma lists without parameters, in lower case.
    pub(crate) fn media_types(&self, header: &str) -> Vec<String> {
        self.header(header)
            .flat_map(|value| value.split(','))
            .map(|item| item.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .filter(|item| !item.is_empty())
            .collect()
    }
}

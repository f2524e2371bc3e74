//! The URLs of Attachments: found, and made to lead where a client can follow (BD-ATT-02, BD-ATT-05).
//!
//! An Attachment is what the definitions call one, and any `valueAttachment`, as of an extension; in contained resources
//! and in those of a Bundle too. A URL is replaced or something is put before it; every other byte stays. In a name
//! written with escapes no Attachment is looked for.

use std::collections::BTreeMap;

use memchr::memmem::Finder;

use super::binary::content_name;
use crate::{
    Definitions,
    json::{Element, Items, Members, Name},
    plan::{Attachments, ExportPlan},
    reference::local_id,
};

/// Where the URLs of Attachments are to lead.
pub(super) struct Links {
    base_url: String,
    /// Scheme and authority of the base.
    origin: String,
    /// What stands before the name of a file of the export, if Binary resources are served as such.
    files_url: Option<String>,
    types: BTreeMap<&'static str, Vec<(&'static str, &'static str)>>,
    finders: Finders,
}

/// What a line holds that is worth a walk through it.
struct Finders {
    url: Finder<'static>,
    /// In lines of any type.
    any: [Finder<'static>; 2],
    by_type: BTreeMap<&'static str, Vec<Finder<'static>>>,
}

/// What becomes of a URL.
#[derive(Debug, PartialEq, Eq)]
enum Link<'u> {
    Stays,
    /// It gets this before it.
    Behind(&'u str),
    /// It gets the base and a slash before it.
    Below,
    /// It leads to that Binary of this server.
    Binary(&'u str),
}

impl Links {
    pub(super) fn new(plan: &ExportPlan) -> Self {
        let definitions = plan.definitions();
        let base_url = plan.base_url.clone();
        let authority = base_url.find("://").map_or(0, |colon| colon + "://".len());
        let origin_bytes =
            base_url.get(authority..).and_then(|rest| rest.find('/')).map_or(base_url.len(), |slash| authority + slash);
        let files_url = match &plan.attachments {
            Attachments::Link => None,
            Attachments::Serve { files_url } => Some(files_url.clone()),
        };
        Self {
            origin: base_url.get(..origin_bytes).unwrap_or_default().to_owned(),
            base_url,
            files_url,
            types: definitions
                .resource_types()
                .map(|name| (name, definitions.attachments(name).collect::<Vec<_>>()))
                .filter(|(_, attachments)| !attachments.is_empty())
                .collect(),
            finders: Finders::new(&definitions),
        }
    }

    /// Appends the line to `out` if a URL in it is to be another; says whether.
    pub(super) fn rewrite(&self, resource_type: &str, line: &[u8], out: &mut Vec<u8>) -> bool {
        let mut copied = 0;
        self.urls(resource_type, line, |url| {
            let Some(text) = url.string() else { return };
            let begin = url.text().as_ptr().addr().wrapping_sub(line.as_ptr().addr());
            let (put, from) = match self.link(&text) {
                Link::Stays => return,
                // Behind the quote.
                Link::Behind(before) => (before.to_owned(), begin.saturating_add(1)),
                Link::Below => (format!("{}/", self.base_url), begin.saturating_add(1)),
                Link::Binary(id) => match &self.files_url {
                    // Up to the quote.
                    Some(files_url) => {
                        let quote = begin.saturating_add(url.text().len()).saturating_sub(1);
                        out.extend_from_slice(line.get(copied..begin.saturating_add(1)).unwrap_or_default());
                        copied = quote;
                        (format!("{files_url}{}", content_name(id)), quote)
                    }
                    None => return,
                },
            };
            out.extend_from_slice(line.get(copied..from).unwrap_or_default());
            out.extend_from_slice(put.as_bytes());
            copied = from;
        });
        if copied > 0 {
            out.extend_from_slice(line.get(copied..).unwrap_or_default());
        }
        copied > 0
    }

    /// The ids of the Binary resources of this server to which a line's Attachments lead, where they are served.
    pub(super) fn binaries(&self, resource_type: &str, line: &[u8], mut found: impl FnMut(&str)) {
        self.urls(resource_type, line, |url| {
            if let Some(text) = url.string()
                && let Link::Binary(id) = self.link(&text)
            {
                found(id);
            }
        });
    }

    fn link<'u>(&'u self, url: &'u str) -> Link<'u> {
        if self.files_url.is_some()
            // A version of its own is not what is copied.
            && !url.contains("/_history/")
            && let Some(id) = local_id(url, "Binary", &self.base_url)
        {
            return Link::Binary(id);
        }
        // A fragment leads into the resource itself.
        if url.is_empty() || url.starts_with('#') || has_scheme(url) {
            Link::Stays
        } else if url.starts_with("//") {
            Link::Behind(self.origin.split_inclusive(':').next().unwrap_or_default())
        } else if url.starts_with('/') {
            Link::Behind(&self.origin)
        } else {
            Link::Below
        }
    }

    /// The URLs of the Attachments of a line, in its order.
    fn urls<'l>(&self, resource_type: &str, line: &'l [u8], mut found: impl FnMut(Element<'l>)) {
        if !self.finders.may_hold(resource_type, line) {
            return;
        }
        let mut open: Vec<Open<'l, '_>> = Vec::new();
        open.extend(Open::resource(Element::new(line.trim_ascii()), self.of(resource_type)));
        while let Some(innermost) = open.last_mut() {
            match innermost.next() {
                None => drop(open.pop()),
                Some((name, value)) => {
                    let Open { of_type, holder, is_attachment, .. } = innermost;
                    let name = name.or(*holder);
                    let is = |own: &str| name.is_some_and(|name| name.is(own));
                    if *is_attachment && is("url") && value.text().starts_with(b"\"") {
                        found(value);
                        continue;
                    }
                    let (of_type, holder, below) = (*of_type, *holder, innermost.is_array());
                    if (is("contained") || is("resource"))
                        && let Some(inner) = resource_type_of(value)
                    {
                        open.extend(Open::resource(value, self.of(&inner)));
                        continue;
                    }
                    // The items of an array are what the array is.
                    let is_attachment = if below {
                        innermost.is_attachment
                    } else {
                        let is_held = |own: &str| holder.map_or(own.is_empty(), |holder| holder.is(own));
                        is("valueAttachment") || of_type.iter().any(|(above, own)| is(own) && is_held(above))
                    };
                    open.extend(Open::element(value, of_type, name, is_attachment));
                }
            }
        }
    }

    fn of(&self, resource_type: &str) -> &[(&'static str, &'static str)] {
        self.types.get(resource_type).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Finders {
    fn new(definitions: &Definitions<'static>) -> Self {
        let finder = |name: &str| Finder::new(name).into_owned();
        let of_type = |name: &'static str| {
            let mut names: Vec<&str> = definitions.attachments(name).map(|(_, own)| own).collect();
            names.sort_unstable();
            names.dedup();
            (name, names.into_iter().map(|own| finder(&format!("\"{own}\""))).collect::<Vec<_>>())
        };
        Self {
            url: finder("\"url\""),
            any: [finder("\"valueAttachment\""), finder("\"contained\"")],
            by_type: definitions.resource_types().map(of_type).filter(|(_, names)| !names.is_empty()).collect(),
        }
    }

    fn may_hold(&self, resource_type: &str, line: &[u8]) -> bool {
        let has = |finder: &Finder<'_>| finder.find(line).is_some();
        let of_type = || self.by_type.get(resource_type).is_some_and(|names| names.iter().any(has));
        has(&self.url) && (matches!(resource_type, "Bundle" | "Parameters") || of_type() || self.any.iter().any(has))
    }
}

/// An object or array that is being walked: without recursion, for a line may nest without end.
struct Open<'l, 't> {
    walk: Walk<'l>,
    /// The Attachments of the resource that it is in.
    of_type: &'t [(&'static str, &'static str)],
    /// The member that it is the value of, or an item of; none for a resource.
    holder: Option<Name<'l>>,
    is_attachment: bool,
}

enum Walk<'l> {
    Object(Members<'l>),
    Array(Items<'l>),
}

impl<'l, 't> Open<'l, 't> {
    fn resource(element: Element<'l>, of_type: &'t [(&'static str, &'static str)]) -> Option<Self> {
        Self::element(element, of_type, None, false)
    }

    fn element(
        element: Element<'l>,
        of_type: &'t [(&'static str, &'static str)],
        holder: Option<Name<'l>>,
        is_attachment: bool,
    ) -> Option<Self> {
        let walk = match element.text().first() {
            Some(b'{') => Walk::Object(element.members()),
            Some(b'[') => Walk::Array(element.items()),
            _ => return None,
        };
        Some(Self { walk, of_type, holder, is_attachment })
    }

    fn is_array(&self) -> bool {
        matches!(self.walk, Walk::Array(_))
    }

    fn next(&mut self) -> Option<(Option<Name<'l>>, Element<'l>)> {
        match &mut self.walk {
            Walk::Object(members) => members.next().map(|(name, value)| (Some(name), value)),
            Walk::Array(items) => items.next().map(|value| (None, value)),
        }
    }
}

/// The type of an object that is a resource.
fn resource_type_of(element: Element<'_>) -> Option<std::borrow::Cow<'_, str>> {
    element.members().find(|(name, _)| name.is("resourceType")).and_then(|(_, value)| value.string())
}

/// Whether a URL is absolute (RFC 3986 §3.1).
fn has_scheme(url: &str) -> bool {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

//! One line without some of its members, and with the tag that says so (BD-ELEM-06).
//!
//! Nothing is written anew: what is kept is copied, with the white space before it, and one text is put in between.

use std::{borrow::Cow, ops::Range};

use crate::{
    errors::LineError,
    json::{RawElement, elements, members, string_of},
};

/// Appends a line to `out` without those of its members that are not kept, and with the tag. `captured` are all members
/// of the line, in order, with one `id` and at most one `meta` among them.
pub(super) fn trim(
    line: &[u8],
    captured: &[(Cow<'_, str>, &RawElement)],
    is_kept: impl Fn(&str) -> bool,
    out: &mut Vec<u8>,
) -> Result<(), LineError> {
    // What can fail comes before the first byte is written.
    let places = places(line, captured).ok_or(LineError::NotAnObject)?;
    let tag = tag(line, captured)?;
    let bytes = |range: Range<usize>| line.get(range).unwrap_or_default();
    let (begin, end) = (places.first().map_or(0, |first| first.start), places.last().map_or(0, |last| last.end));

    out.extend_from_slice(bytes(0..begin));
    let kept = captured.iter().zip(places).filter(|((name, _), _)| is_kept(name));
    for (index, (_, place)) in kept.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match &tag {
            Some(tag) if place.start < tag.at && tag.at <= place.end => {
                out.extend_from_slice(bytes(place.start..tag.at));
                [tag.before, SUBSETTED, tag.after].iter().for_each(|text| out.extend_from_slice(text.as_bytes()));
                out.extend_from_slice(bytes(tag.at..place.end));
            }
            _ => out.extend_from_slice(bytes(place)),
        }
    }
    out.extend_from_slice(bytes(end..line.len()));
    Ok(())
}

/// Where each member stands in the line: name and value, with the white space before, without the comma.
fn places(line: &[u8], captured: &[(Cow<'_, str>, &RawElement)]) -> Option<Vec<Range<usize>>> {
    let mut end_before = 0;
    let place = |(_, value): &(_, &RawElement)| {
        let end = range(line, value).end;
        // Only white space stands before it.
        let separator = memchr::memchr2(b'{', b',', line.get(end_before..end)?)?;
        let begin = end_before + separator + 1;
        end_before = end;
        Some(begin..end)
    };
    captured.iter().map(place).collect()
}

/// Where the tag belongs, and what it needs around it.
struct Tag {
    at: usize,
    before: &'static str,
    after: &'static str,
}

/// The tag to put in; `None` if it is there already.
fn tag(line: &[u8], captured: &[(Cow<'_, str>, &RawElement)]) -> Result<Option<Tag>, LineError> {
    let Some((_, meta)) = captured.iter().find(|(name, _)| name == "meta") else {
        let (_, id) = captured.iter().find(|(name, _)| name == "id").ok_or(LineError::Missing("id"))?;
        return Ok(Some(Tag { at: range(line, id).end, before: r#","meta":{"tag":["#, after: "]}" }));
    };
    let in_meta = members(meta).ok_or(LineError::WrongShape("meta"))?;
    let mut tags = in_meta.iter().filter(|(name, _)| name == "tag");
    let Some((_, tags_there)) = tags.next() else {
        let before = if in_meta.is_empty() { r#""tag":["# } else { r#","tag":["# };
        let at = end_within(line, meta, in_meta.last().map(|(_, value)| *value));
        return Ok(Some(Tag { at, before, after: "]" }));
    };
    if tags.next().is_some() {
        return Err(LineError::Repeated("meta.tag".into()));
    }
    if !tags_there.get().starts_with('[') {
        return Err(LineError::WrongShape("meta.tag"));
    }
    let codings = elements(tags_there);
    if codings.iter().any(|coding| is_subsetted(coding)) {
        return Ok(None);
    }
    let before = if codings.is_empty() { "" } else { "," };
    Ok(Some(Tag { at: end_within(line, tags_there, codings.last().copied()), before, after: "" }))
}

/// Where another item can stand in an array or object: after its last one, or after its bracket.
fn end_within(line: &[u8], container: &RawElement, last: Option<&RawElement>) -> usize {
    last.map_or_else(|| range(line, container).start.saturating_add(1), |last| range(line, last).end)
}

fn is_subsetted(coding: &RawElement) -> bool {
    let members = members(coding).unwrap_or_default();
    let has = |wanted: &str, text: &str| {
        members.iter().any(|(name, value)| name == wanted && string_of(value).is_some_and(|value| value == text))
    };
    has("system", "http://terminology.hl7.org/CodeSystem/v3-ObservationValue") && has("code", "SUBSETTED")
}

/// Where a part of a line stands in it. Of what is no part of the line, some range that is out of bounds or wrong.
fn range(line: &[u8], part: &RawElement) -> Range<usize> {
    let part = part.get().as_bytes();
    let begin = part.as_ptr().addr().wrapping_sub(line.as_ptr().addr());
    begin..begin.saturating_add(part.len())
}

const SUBSETTED: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

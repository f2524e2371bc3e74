//! Several values that must hold of one and the same element.

use std::borrow::Cow;

use crate::{json::RawElement, search::SearchParameter, type_filter::program::Part};

/// Whether in one of the parameter's contexts every part finds a value that matches.
pub(in crate::type_filter) fn matches<'d: 'l, 'l>(
    parameter: &SearchParameter<'d>,
    parts: &[Part<'d>],
    roots: &[(Cow<'l, str>, &'l RawElement)],
    base_url: &str,
) -> bool {
    parameter.contexts(roots).into_iter().any(|context| {
        parts.iter().all(|part| {
            let nodes = part.component.extract_from(context, roots);
            nodes.into_iter().any(|node| super::matches(&part.matcher, node, base_url))
        })
    })
}

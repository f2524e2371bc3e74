//! GET: parameters from the raw query string.

use super::parse::{Given, Reader};
use crate::{
    http::{Target, decode_component},
    outcome::{Issue, IssueCode},
};

/// Reads the query of a GET kick-off. Values stay undecoded beside their decoded text: `_typeFilter` needs both.
pub(super) fn given<'m>(target: &Target<'m>, reader: &mut Reader<'_>) -> Vec<Given<'m>> {
    let mut given = Vec::new();
    for (raw_name, raw_value) in target.raw_parameters() {
        match (decode_component(raw_name), decode_component(raw_value)) {
            (Some(name), Some(text)) => given.push(Given { name, text, raw: Some(raw_value), index: None }),
            (Some(name), None) => reader.problem(
                Issue::error(
                    IssueCode::Structure,
                    format!("the value of `{}` is not percent-encoded UTF-8", shown(&name)),
                )
                .about(shown(&name)),
            ),
            (None, _) => {
                reader.problem(Issue::error(IssueCode::Structure, "a parameter name is not percent-encoded UTF-8"))
            }
        }
    }
    given
}

/// A parameter name as it may be shown: short, and nothing but visible ASCII.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(40).map(|c| if c.is_ascii_graphic() && c != '`' { c } else { '?' }).collect()
}

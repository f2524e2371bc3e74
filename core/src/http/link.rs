//! The `Link` header (RFC 8288), and the bare form that the reference EHI server sends: `url; rel="…"` without `<>`.

/// The target of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link<'v> {
    /// What stands between `<` and `>`, or before the first `;`.
    pub(crate) target: &'v str,
    /// Whether it stood in angle brackets, as it must.
    pub(crate) bracketed: bool,
}

/// The first link with that relation in one field value (EHI-KICK-07, EHI-KICK-13).
pub(crate) fn find_link<'v>(value: &'v str, relation: &str) -> Option<Link<'v>> {
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (target, bracketed, after) = match rest.strip_prefix('<') {
            Some(after) => after.split_once('>').map(|(target, after)| (target, true, after))?,
            // Without brackets a comma may belong to the URL, so a bare link is the last one.
            None => rest.split_once(';').map(|(target, _)| (target, false, rest.get(target.len()..).unwrap_or("")))?,
        };
        let (parameters, following) = if bracketed { split_parameters(after) } else { (after, "") };
        if relations(parameters).any(|name| name.eq_ignore_ascii_case(relation)) {
            return Some(Link { target: target.trim(), bracketed });
        }
        if following.is_empty() {
            return None;
        }
        rest = following;
    }
}

/// The parameters of a link, up to the comma that ends it.
fn split_parameters(after: &str) -> (&str, &str) {
    unquoted(after, ',').next().and_then(|comma| after.split_at_checked(comma)).unwrap_or((after, ""))
}

fn relations(parameters: &str) -> impl Iterator<Item = &str> {
    let ends = unquoted(parameters, ';').chain([parameters.len()]);
    let mut start = 0;
    let each = ends.filter_map(move |end| parameters.get(std::mem::replace(&mut start, end + 1)..end));
    let named = each.filter_map(|parameter| parameter.split_once('='));
    let values = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel")).map(|(_, value)| value);
    values.flat_map(|value| value.trim().trim_matches('"').split_ascii_whitespace())
}

/// Where that character stands outside of quotes.
fn unquoted(text: &str, wanted: char) -> impl Iterator<Item = usize> {
    let mut quoted = false;
    text.char_indices().filter_map(move |(at, character)| {
        quoted ^= character == '"';
        (character == wanted && !quoted).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient_interaction(value: &str) -> Option<(&str, bool)> {
        find_link(value, "patient-interaction").map(|link| (link.target, link.bracketed))
    }

    #[test]
    fn the_link_is_found_among_others() {
        let form = "https://ehr.example/form?a=1,2;b";
        for value in [
            format!("<{form}>; rel=\"patient-interaction\""),
            format!(
                "<https://x.example/>; rel=next; title=\"a, <b>; rel=patient-interaction\" , <{form}>;rel=\"up Patient-Interaction\""
            ),
            format!("<{form}>; title=x; REL=patient-interaction, <https://other.example>; rel=next"),
        ] {
            assert_eq!(patient_interaction(&value), Some((form, true)), "{value}");
        }
    }

    #[test]
    fn the_bare_form_of_the_reference_server_is_read() {
        let value = "http://127.0.0.1:3000/jobs/17/customize; rel=\"patient-interaction\"";
        assert_eq!(patient_interaction(value), Some(("http://127.0.0.1:3000/jobs/17/customize", false)));
    }

    #[test]
    fn what_is_no_such_link_is_none() {
        for value in
            ["", "<", "<a", "<a>", "<a>; rel=next", "a", "; rel=next", ",,,", "<a>;rel=,<b", "<a>; rel=\"x, <b>"]
        {
            assert_eq!(patient_interaction(value), None, "{value}");
        }
    }
}

//! The request target: path segments and query parameters, decoded once and strictly.

/// A request target, split at the first `?` and nothing decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'m> {
    /// Before the first `?`.
    pub(crate) path: &'m str,
    /// After the first `?`; empty if there is none.
    pub(crate) query: &'m str,
}

impl<'m> Target<'m> {
    pub(crate) fn parse(target: &'m str) -> Self {
        // A fragment never reaches a server that is spoken to correctly; were it here, it would be part of the last value.
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { path, query }
    }

    /// The decoded segments below `base` (which starts with `/`), or `None` outside it or for a broken encoding.
    ///
    /// A decoded segment may hold `/` or `..`; segments are compared and looked up, never joined to a path.
    pub(crate) fn segments_below(&self, base: &str) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix(base.trim_end_matches('/'))?;
        let rest = rest.strip_prefix('/')?;
        rest.split('/').map(decode_component).collect()
    }

    /// Name and value of each query parameter, **undecoded**, split at `&` and at the first `=`.
    pub(crate) fn raw_parameters(&self) -> impl Iterator<Item = (&'m str, &'m str)> + use<'m> {
        self.query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }
}

/// Percent-decodes once. `+` stays `+`: offsets (`+01:00`) and `application/fhir+ndjson` are common, form encoding is not
/// what the guide speaks of. `None` for an incomplete escape or text that is not UTF-8.
pub(crate) fn decode_component(raw: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_parameters_are_split_before_they_are_decoded() {
        let target = Target::parse("/fhir/Patient/%24export?_type=A%2CB&x=1=2&&flag&a?b=c");
        assert_eq!(target.segments_below("/fhir").unwrap(), ["Patient", "$export"]);
        let pairs: Vec<_> = target.raw_parameters().collect();
        assert_eq!(pairs, [("_type", "A%2CB"), ("x", "1=2"), ("flag", ""), ("a?b", "c")]);
        assert_eq!(Target::parse("/fhir/a%2Fb").segments_below("/fhir").unwrap(), ["a/b"]);
        assert_eq!(Target::parse("/fhirx/a").segments_below("/fhir"), None);
        assert_eq!(Target::parse("/fhir").segments_below("/fhir"), None);
        assert_eq!(Target::parse("/a").segments_below("/").unwrap(), ["a"]);
    }

    #[test]
    fn broken_encodings_are_refused() {
        for raw in ["%", "%2", "%zz", "%+1", "%ff", "a%C3"] {
            assert_eq!(decode_component(raw), None, "{raw}");
        }
        assert_eq!(decode_component("a+b%C3%A9%25").unwrap(), "a+bé%");
    }
}

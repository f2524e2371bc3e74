//! The `Prefer` header (RFC 7240): comma lists, repeated fields, parameters after `;`, names in any case (BD-HDR-09).

use super::Request;

/// The preferences that we act on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    /// `respond-async`.
    pub respond_async: bool,
    /// `separate-export-status` (BD-HDR-05).
    pub separate_export_status: bool,
    /// `handling=strict` or `handling=lenient`; the first one said counts.
    pub handling: Option<Handling>,
}

/// What to do about parameters that are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Refuse.
    Strict,
    /// Tolerate where that discloses no more than was asked for, and report.
    Lenient,
}

impl Prefer {
    /// Reads all `Prefer` fields of a request. Preferences that we do not know are ignored, as RFC 7240 §2 says.
    pub fn of(request: &Request<'_>) -> Self {
        let mut prefer = Self::default();
        for preference in request.header("prefer").flat_map(|value| value.split(',')) {
            let token = preference.split(';').next().unwrap_or_default();
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => prefer.respond_async = true,
                "separate-export-status" => prefer.separate_export_status = true,
                "handling" => prefer.handling = prefer.handling.or_else(|| Handling::parse(value)),
                _ => {}
            }
        }
        prefer
    }
}

impl Handling {
    fn parse(value: &str) -> Option<Self> {
        match value.trim().trim_matches('"').to_ascii_lowercase().as_str() {
            "strict" => Some(Self::Strict),
            "lenient" => Some(Self::Lenient),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_recognised() {
        let read = |values: &[&'static str]| {
            let headers: Vec<_> = values.iter().map(|value| ("PREFER", value.as_bytes())).collect();
            Prefer::of(&Request { method: "GET", target: "/", headers: &headers, body: b"" })
        };
        for spelling in [
            &["respond-async, handling=lenient"][..],
            &["respond-async", "handling=lenient"],
            &["Respond-Async; wait=10,HANDLING = \"lenient\"; x=y"],
            &["return=minimal, respond-async", "handling=lenient, handling=strict"],
        ] {
            assert_eq!(
                read(spelling),
                Prefer { respond_async: true, separate_export_status: false, handling: Some(Handling::Lenient) },
                "{spelling:?}"
            );
        }
        assert_eq!(read(&["handling=lenientx", "respond-asynchronously"]), Prefer::default());
    }
}

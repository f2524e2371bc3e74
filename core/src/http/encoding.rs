//! The `Accept-Encoding` header (RFC 9110 §12.5.3), as far as gzip goes.

use super::Request;

/// Whether a client says that it takes gzip. One that says nothing gets what it can certainly read.
pub(crate) fn accepts_gzip(request: &Request<'_>) -> bool {
    let codings = request.header("accept-encoding").flat_map(|value| value.split(','));
    let mut any = false;
    for coding in codings {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_taken = !is_zero(weight);
        match name.trim().to_ascii_lowercase().as_str() {
            // What is said of gzip itself counts more than what is said of everything.
            "gzip" | "x-gzip" => return is_taken,
            "*" => any = is_taken,
            _ => {}
        }
    }
    any
}

/// Whether a weight is `q=0`, however many digits it is written with.
fn is_zero(weight: &str) -> bool {
    let Some((name, value)) = weight.split_once('=') else { return false };
    let value = value.trim();
    name.trim().eq_ignore_ascii_case("q")
        && value.starts_with('0')
        && !value.bytes().any(|digit| matches!(digit, b'1'..=b'9'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let accepts = |values: &[&'static str]| {
            let headers: Vec<_> = values.iter().map(|value| ("Accept-Encoding", value.as_bytes())).collect();
            accepts_gzip(&Request { method: "GET", target: "/", headers: &headers, body: b"" })
        };
        for taken in
            [&["gzip"][..], &["br, GZIP;q=0.5"], &["br", "x-gzip"], &["*"], &["*;q=0, gzip"], &["gzip; q = 0.001"]]
        {
            assert!(accepts(taken), "{taken:?}");
        }
        for refused in
            [&[][..], &[""], &["identity"], &["br"], &["gzip;q=0"], &["gzip; q=0.000, *"], &["*;q=0"], &["gzipped"]]
        {
            assert!(!accepts(refused), "{refused:?}");
        }
    }
}

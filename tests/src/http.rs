//! A plain HTTP/1.1 client that sends just what it is told: raw targets, any header, any body. A kept client would
//! tidy up what these tests are about.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// With any transfer coding undone.
    pub body: Vec<u8>,
}

impl Reply {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body, which must be an OperationOutcome sent as FHIR JSON (BD-KRSP-05): its diagnostics, one a line.
    pub fn outcome(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/fhir+json"), "{self:?}");
        let outcome = self.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        let issues = outcome["issue"].as_array().expect("issue is an array");
        assert!(!issues.is_empty());
        let text = |issue: &Value| {
            assert!(issue["severity"].is_string() && issue["code"].is_string(), "{issue}");
            issue["diagnostics"].as_str().unwrap_or_default().to_owned()
        };
        issues.iter().map(text).collect::<Vec<_>>().join("\n")
    }

    /// The names of the parameters that the OperationOutcome is about.
    pub fn expressions(&self) -> Vec<String> {
        let outcome = self.json();
        let issues = outcome["issue"].as_array().cloned().unwrap_or_default();
        let names = issues.iter().flat_map(|issue| issue["expression"].as_array().cloned().unwrap_or_default());
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }
}

/// Seconds since 1970 of an HTTP date in its preferred form (RFC 9110 §5.6.7), such as
/// `Sun, 06 Nov 1994 08:49:37 GMT`; `None` for anything else.
pub fn date(text: &str) -> Option<i64> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape.len() != 29 || shape[3..8] != *", 00 " || shape[11..] != *" 0000 00:00:00 GMT" {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let month = i64::try_from(MONTHS.iter().position(|month| *month == &text[8..11])?).ok()?;
    let (day, year) = (number(5, 7)?, number(12, 16)?);
    // Days of the civil calendar, the year beginning in March.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let weekday = WEEKDAYS[usize::try_from((days + 4) % 7).ok()?];
    let seconds = number(17, 19)? * 3600 + number(20, 22)? * 60 + number(23, 25)?;
    (weekday == &text[..3]).then_some(days * 86_400 + seconds)
}

/// Sends a request to `host:port` and reads the whole answer. Header `Host` is added unless given.
pub fn send(
    address: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| std::io::Error::other("the answer is not HTTP or was cut off"))
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers: Vec<_> = lines.map(field).collect::<Option<_>>()?;
    let mut reply = Reply { status, headers, body: answer[end + 4..].to_vec() };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = unchunk(&reply.body)?;
    } else if let Some(length) = reply.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        // An answer to HEAD has none of the bytes that it announces.
        if !reply.body.is_empty() && reply.body.len() != length {
            return None;
        }
    }
    Some(reply)
}

/// `None` if the last chunk is missing: the server stopped in the middle.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_strictly() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
        ] {
            assert_eq!(date(text), Some(seconds), "{text}");
        }
        for wrong in
            ["", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC"]
        {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }
}

//! Requests and responses as bytes, as far as both sides here speak HTTP.

/// A message without its first line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A request that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn new(method: &str, target: &str, token: Option<&str>) -> Self {
        let headers = token.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: headers.into_iter().collect(), body: Vec::new() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let first = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        message(first, &self.headers, &self.body)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, headers, body) = split(bytes)?;
        let (method, rest) = first.split_once(' ')?;
        let target = rest.strip_suffix(" HTTP/1.1")?;
        Some(Self { method: method.to_owned(), target: target.to_owned(), headers, body: body.to_vec() })
    }
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new(status) }.with("content-type", "application/json")
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        message(format!("HTTP/1.1 {} X\r\n", self.status), &self.headers, &self.body)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, headers, body) = split(bytes)?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, headers, body: body.to_vec() })
    }
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn message(first: String, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut head = first;
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// The first line, the header fields and the body.
type Parts<'b> = (&'b str, Vec<(String, String)>, &'b [u8]);

fn split(bytes: &[u8]) -> Option<Parts<'_>> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = bytes.split_at_checked(end)?;
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let first = lines.next()?;
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned()));
    Some((first, headers.collect(), body.get(4..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let asked = Asked { body: b"{}\r\n\r\nx".to_vec(), ..Asked::new("POST", "/a?b=c", Some("t")) };
        assert_eq!(Asked::parse(&asked.to_bytes()), Some(asked));
        let answer = Answer::json(202, "x").with("a", "b: c");
        assert_eq!(Answer::parse(&answer.to_bytes()), Some(answer));
        assert_eq!(Answer::parse(b"HTTP/1.1 200 X\r\n"), None);
    }
}

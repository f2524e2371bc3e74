//! Bytes in a case file: text, JSON as it stands there, base64 for what is not text, or text that repeats.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

/// Bytes that are written as a JSON string, which is their text; as any other JSON value, which stands for itself byte
/// for byte; as `{"base64": "…"}`; or as `{"repeat": [["…", 3], …]}`, texts and how often each stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(Vec<u8>);

impl Text {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, where the text `@name:3` names the third line of a source.
    pub(super) fn resolve<'t>(&'t self, source: impl Fn(&str) -> Option<&'t Source>) -> Result<&'t [u8]> {
        let Some(reference) = self.0.strip_prefix(b"@") else { return Ok(&self.0) };
        let reference = std::str::from_utf8(reference)?;
        let (name, line) = reference.rsplit_once(':').context("a reference to a line is `@name:line`")?;
        let lines = source(name).with_context(|| format!("no source `{name}`"))?.lines();
        let line = line.parse::<usize>().ok().and_then(|line| lines.get(line.checked_sub(1)?).copied());
        line.map(|line| line.strip_suffix(b"\n").unwrap_or(line)).with_context(|| format!("no line `@{reference}`"))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        read(raw.get()).map(Self).map_err(D::Error::custom)
    }
}

/// The bytes of one source: lines, each of which gets its line end, or a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source(Vec<u8>);

impl Source {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its lines, with their line ends.
    pub(super) fn lines(&self) -> Vec<&[u8]> {
        self.0.split_inclusive(|byte| *byte == b'\n').collect()
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('[') {
            return read(raw.get()).map(Self).map_err(D::Error::custom);
        }
        let lines: Vec<Text> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        if lines.iter().any(|line| line.bytes().contains(&b'\n')) {
            return Err(D::Error::custom("a line of a source holds a line end"));
        }
        Ok(Self(lines.iter().flat_map(|line| [line.bytes(), b"\n"]).flatten().copied().collect()))
    }
}

fn read(json: &str) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Written {
        Base64(String),
        Repeat(Vec<(String, usize)>),
    }
    if json.starts_with('"') {
        return Ok(serde_json::from_str::<String>(json)?.into_bytes());
    }
    match serde_json::from_str(json) {
        Ok(Written::Base64(text)) => decode_base64(&text),
        Ok(Written::Repeat(parts)) => {
            Ok(parts.iter().flat_map(|(text, times)| text.bytes().cycle().take(text.len() * times)).collect())
        }
        Err(_) => Ok(json.as_bytes().to_vec()),
    }
}

/// RFC 4648 §4, with padding.
fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    ensure!(text.len().is_multiple_of(4) && text.len() - digits.len() <= 2, "base64 comes in groups of four");
    let mut bytes = Vec::new();
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | digit_value(*digit)?;
        }
        let padded = bits << (6 * (4 - group.len()) + 8);
        bytes.extend_from_slice(padded.to_be_bytes().get(..group.len() - 1).context("a digit alone is no byte")?);
    }
    Ok(bytes)
}

fn digit_value(digit: u8) -> Result<u32> {
    Ok(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => bail!("a character is no base64 digit"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_json_or_base64() {
        let read = |json: &str| serde_json::from_str::<Text>(json).map(|text| text.0);
        assert_eq!(read(r#""a\nb""#).unwrap(), b"a\nb");
        assert_eq!(read(r#"{"b":1.10, "a":"\u0041"}"#).unwrap(), br#"{"b":1.10, "a":"\u0041"}"#);
        assert_eq!(read(r#"{"base64":"/w=="}"#).unwrap(), b"\xff");
        assert_eq!(read(r#"{"repeat":[["ab",2],["c",3],["d",0]]}"#).unwrap(), b"ababccc");
        assert!(read(r#"{"base64":"/w="}"#).is_err());
    }

    #[test]
    fn base64_of_every_length_is_read() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")] {
            assert_eq!(decode_base64(text).unwrap(), bytes.as_bytes(), "{text}");
        }
        for wrong in ["Z", "Zg", "Zg=", "Z===", "Zm9*", "Zm9v\n"] {
            assert!(decode_base64(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_source_is_lines_or_a_whole() {
        let source: Source = serde_json::from_str(r#"[{"a":1},"b",{"base64":"/w=="}]"#).unwrap();
        assert_eq!(source.bytes(), b"{\"a\":1}\nb\n\xff\n");
        assert!(serde_json::from_str::<Source>("[{\"a\":\n1}]").is_err());
        let whole: Source = serde_json::from_str(r#""a\r\nb""#).unwrap();
        assert_eq!(whole.lines(), [b"a\r\n".as_slice(), b"b"]);
        let line = |text: &str| {
            let text = Text(text.as_bytes().to_vec());
            text.resolve(|name| (name == "s").then_some(&whole)).map(<[u8]>::to_vec)
        };
        assert_eq!(line("@s:2").unwrap(), b"b");
        assert_eq!(line("@s:1").unwrap(), b"a\r");
        assert!(line("@s:3").is_err() && line("@s:0").is_err() && line("@t:1").is_err());
    }
}

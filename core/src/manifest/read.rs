//! Reading the manifests of peers, of every edition: strict about what would lose data, tolerant of the rest, and bounded.
//!
//! What is tolerated is told as an [`Oddity`]. Unknown members are ignored, as the guides ask; the members of `extension`
//! that this library writes are understood.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Section;
use crate::{Sensitive, time::Timestamp};

/// A manifest as a peer sent it. What the peer calls a type or a URL is not checked here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// `transactionTime` as it was written, if it is an instant: the next export's `_since`, verbatim (BD-GRP-02).
    pub transaction_time: Option<String>,
    /// `requiresAccessToken`. Absent counts as true: the token goes to trusted servers only, whatever is said here.
    pub requires_access_token: bool,
    /// The files, in the order of their arrays.
    pub files: Vec<ListedFile>,
    /// `link` with relation `next`.
    pub next: Option<Sensitive<String>>,
    /// `outputOrganizedBy`.
    pub organized_by: Option<String>,
    /// `extension.ehiDocumentationUrl` (EHI-MAN-01).
    pub documentation_url: Option<String>,
    /// `extension` as it was written, if it is not too long to keep.
    pub extension: Option<Sensitive<String>>,
    /// Rows that name no URL: files that cannot be fetched.
    pub rows_without_url: u64,
    /// What was tolerated, each kind once.
    pub oddities: Vec<Oddity>,
}

/// A row of a peer's manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// In which array it stood.
    pub section: Section,
    /// `type` as it was written.
    pub type_name: Option<String>,
    /// `url` as it was written. It may be a capability.
    pub url: Sensitive<String>,
    /// `count`.
    pub count: Option<u64>,
    /// `fileSize`, of the 4.0 ballot or in our extension.
    pub size: Option<u64>,
    /// SHA-256 in our extension: 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
}

/// What a manifest has that it should not, or has not that it should, and that is no reason to lose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Oddity {
    /// No `transactionTime`, or not an instant: the next export cannot be incremental.
    NoTransactionTime,
    /// No `request` (BD-MAN-04).
    NoRequest,
    /// No `requiresAccessToken`.
    NoRequiresAccessToken,
    /// No `output` (BD-MAN-08).
    NoOutput,
    /// No `error` (BD-MAN-17).
    NoError,
    /// A number or truth value written as text.
    Text,
    /// A number that cannot be read; it counts as absent.
    Number,
    /// An array written as a single object, or as `null`.
    NotAnArray,
    /// More than one `link` with relation `next`; the first counts.
    Links,
    /// An `extension` longer than the bound; only what is understood of it was kept.
    Extension,
}

/// The bounds of one manifest.
#[derive(Clone, Copy, Debug)]
pub struct ManifestBounds {
    /// Bytes.
    pub bytes_max: u64,
    /// Rows of all arrays.
    pub rows_max: usize,
}

impl Manifest {
    /// Reads a manifest. `ballot`: the 4.0 ballot has no `request`, and leaves empty arrays away (BD4-03, BD4-10).
    pub fn read(bytes: &[u8], ballot: bool, bounds: ManifestBounds) -> Result<Self, ManifestReadError> {
        if u64::try_from(bytes.len()).map_or(true, |length| length > bounds.bytes_max) {
            return Err(ManifestReadError::TooLong);
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut state = Reading { rows_left: bounds.rows_max, ..Reading::default() };
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let read = ManifestSeed(&mut state).deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match read {
            Ok(()) => state.finish(ballot),
            Err(_) if state.too_many => Err(ManifestReadError::TooManyRows),
            Err(error) if error.is_data() => Err(ManifestReadError::Shape),
            Err(_) => Err(ManifestReadError::NotJson),
        }
    }
}

/// Why a body is no manifest. Carries nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ManifestReadError {
    /// More bytes than the bound.
    TooLong,
    /// More rows than the bound.
    TooManyRows,
    /// Not one JSON value; perhaps cut off.
    NotJson,
    /// JSON, but with a member of another type than a manifest's, or twice.
    Shape,
    /// A JSON object, but neither a member of a manifest in it.
    NotAManifest,
}

impl fmt::Display for ManifestReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the manifest is longer than the limit",
            Self::TooManyRows => "the manifest lists more files than the limit",
            Self::NotJson => "the manifest is not JSON, or was cut off",
            Self::Shape => "a member of the manifest has the wrong JSON type or stands there twice",
            Self::NotAManifest => "the response is JSON, but no manifest",
        })
    }
}

impl std::error::Error for ManifestReadError {}

#[derive(Default)]
struct Reading {
    manifest: Manifest,
    token: Option<bool>,
    seen: Vec<Member>,
    rows_left: usize,
    too_many: bool,
    odd_next: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    TransactionTime,
    Request,
    RequiresAccessToken,
    Output,
    Deleted,
    Error,
    Outcome,
    Link,
    OutputOrganizedBy,
    Extension,
}

impl Member {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "transactionTime" => Self::TransactionTime,
            "request" => Self::Request,
            "requiresAccessToken" => Self::RequiresAccessToken,
            "output" => Self::Output,
            "deleted" => Self::Deleted,
            "error" => Self::Error,
            "outcome" => Self::Outcome,
            "link" => Self::Link,
            "outputOrganizedBy" => Self::OutputOrganizedBy,
            "extension" => Self::Extension,
            _ => return None,
        })
    }
}

impl Reading {
    fn odd(&mut self, oddity: Oddity) {
        if !self.manifest.oddities.contains(&oddity) {
            self.manifest.oddities.push(oddity);
        }
    }

    fn finish(mut self, ballot: bool) -> Result<Manifest, ManifestReadError> {
        let has = |member| self.seen.contains(&member);
        // A resource, an error page in JSON, an empty object: reading it as an export without files would lose all.
        let is_manifest = has(Member::Output) || has(Member::TransactionTime) && has(Member::RequiresAccessToken);
        if !is_manifest {
            return Err(ManifestReadError::NotAManifest);
        }
        let missing = [
            (self.manifest.transaction_time.is_none(), Oddity::NoTransactionTime),
            (!ballot && !has(Member::Request), Oddity::NoRequest),
            (self.token.is_none(), Oddity::NoRequiresAccessToken),
            (!ballot && !has(Member::Output), Oddity::NoOutput),
            (!ballot && !has(Member::Error) && !has(Member::Outcome), Oddity::NoError),
        ];
        missing.into_iter().filter(|(missing, _)| *missing).for_each(|(_, oddity)| self.odd(oddity));
        if self.odd_next {
            self.odd(Oddity::Links);
        }
        self.manifest.oddities.sort_unstable();
        self.manifest.requires_access_token = self.token.unwrap_or(true);
        Ok(self.manifest)
    }

    fn row(&mut self, section: Section, row: Row<'_>) {
        let count = self.number(row.count);
        let size = self.number(row.file_size);
        let ours = row.extension.map(|raw| Said::read(raw.get())).unwrap_or_default();
        let size = size.or_else(|| self.number(ours.file_size.as_deref()));
        let Some(url) = row.url.filter(|url| !url.is_empty()) else {
            self.manifest.rows_without_url += 1;
            return;
        };
        let sha256 = ours.sha256.map(|text| text.to_ascii_lowercase());
        self.manifest.files.push(ListedFile {
            section,
            type_name: row.type_name,
            url: Sensitive::new(url),
            count,
            size,
            sha256: sha256.filter(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())),
        });
    }

    /// A number, also one that was written as text.
    fn number(&mut self, raw: Option<&RawValue>) -> Option<u64> {
        let raw = raw?.get();
        if raw == "null" {
            return None;
        }
        let number = match raw.parse::<u64>() {
            Ok(number) => Some(number),
            Err(_) => serde_json::from_str::<String>(raw).ok().and_then(|text| text.trim().parse().ok()),
        };
        match number {
            Some(_) if raw.starts_with('"') => self.odd(Oddity::Text),
            None => self.odd(Oddity::Number),
            Some(_) => {}
        }
        number
    }

    fn truth(&mut self, raw: &RawValue) -> Option<bool> {
        let truth = match raw.get() {
            "true" => Some(true),
            "false" => Some(false),
            other => match serde_json::from_str::<String>(other).ok()?.trim().to_ascii_lowercase().as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
        };
        if truth.is_some() && raw.get().starts_with('"') {
            self.odd(Oddity::Text);
        }
        truth
    }

    fn link(&mut self, raw: &RawValue) {
        #[derive(Deserialize)]
        struct Link {
            relation: Option<String>,
            url: Option<String>,
        }
        let links = match serde_json::from_str::<Vec<Link>>(raw.get()) {
            Ok(links) => links,
            Err(_) => match serde_json::from_str::<Link>(raw.get()) {
                Ok(link) => {
                    self.odd(Oddity::NotAnArray);
                    vec![link]
                }
                // `null`, or a shape of another making: no next page is known, and that is said.
                Err(_) => {
                    self.odd(Oddity::NotAnArray);
                    return;
                }
            },
        };
        let next =
            links.into_iter().filter(|link| link.relation.as_deref() == Some("next")).filter_map(|link| link.url);
        let mut next = next.filter(|url| !url.is_empty());
        self.manifest.next = next.next().map(Sensitive::new);
        self.odd_next = next.next().is_some();
    }
}

/// The members of `extension` that this library writes: an object of them, or an array of FHIR Extensions.
#[derive(Default)]
struct Said {
    file_size: Option<Box<RawValue>>,
    sha256: Option<String>,
    documentation_url: Option<String>,
}

impl Said {
    fn read(json: &str) -> Self {
        #[derive(Deserialize)]
        struct Object {
            #[serde(rename = "fileSize")]
            file_size: Option<Box<RawValue>>,
            sha256: Option<String>,
            #[serde(rename = "ehiDocumentationUrl")]
            documentation_url: Option<String>,
        }
        #[derive(Deserialize)]
        struct Extension {
            url: Option<String>,
            #[serde(rename = "valueString", alias = "valueUrl", alias = "valueUri")]
            value: Option<String>,
        }
        if let Ok(object) = serde_json::from_str::<Object>(json) {
            let Object { file_size, sha256, documentation_url } = object;
            return Self { file_size, sha256, documentation_url };
        }
        let mut said = Self::default();
        for extension in serde_json::from_str::<Vec<Extension>>(json).unwrap_or_default() {
            let name = extension.url.as_deref().and_then(|url| url.rsplit('/').next());
            match name {
                Some("sha256") => said.sha256 = extension.value,
                Some("ehiDocumentationUrl") => said.documentation_url = extension.value,
                _ => {}
            }
        }
        said
    }
}

/// Members of any type but text for `type` and `url` are read later, one by one, so that an odd one costs itself only.
#[derive(Deserialize)]
struct Row<'m> {
    #[serde(rename = "type", default, deserialize_with = "text_or_nothing")]
    type_name: Option<String>,
    #[serde(default, deserialize_with = "text_or_nothing")]
    url: Option<String>,
    #[serde(borrow)]
    count: Option<&'m RawValue>,
    #[serde(borrow, rename = "fileSize")]
    file_size: Option<&'m RawValue>,
    #[serde(borrow)]
    extension: Option<&'m RawValue>,
}

fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

struct ManifestSeed<'s>(&'s mut Reading);

impl<'de> DeserializeSeed<'de> for ManifestSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ManifestSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let state = self.0;
        while let Some(name) = map.next_key::<String>()? {
            let Some(member) = Member::named(&name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            // Readers disagree which of two counts.
            if state.seen.contains(&member) {
                return Err(de::Error::custom("repeated member"));
            }
            state.seen.push(member);
            match member {
                Member::Output => map.next_value_seed(Rows { state, section: Section::Output })?,
                Member::Deleted => map.next_value_seed(Rows { state, section: Section::Deleted })?,
                Member::Error | Member::Outcome => map.next_value_seed(Rows { state, section: Section::Error })?,
                Member::TransactionTime => {
                    let text = serde_json::from_str::<String>(map.next_value::<&RawValue>()?.get()).ok();
                    state.manifest.transaction_time = text.filter(|text| Timestamp::parse_instant(text).is_ok());
                }
                Member::RequiresAccessToken => {
                    let raw = map.next_value::<&RawValue>()?;
                    state.token = state.truth(raw);
                }
                Member::Link => {
                    let raw = map.next_value::<&RawValue>()?;
                    state.link(raw);
                }
                Member::OutputOrganizedBy => {
                    state.manifest.organized_by = serde_json::from_str(map.next_value::<&RawValue>()?.get()).ok();
                }
                Member::Extension => {
                    let json = map.next_value::<&RawValue>()?.get();
                    state.manifest.documentation_url = Said::read(json).documentation_url;
                    if json.len() <= EXTENSION_BYTES_MAX {
                        state.manifest.extension = Some(Sensitive::new(json.to_owned()));
                    } else {
                        state.odd(Oddity::Extension);
                    }
                }
                Member::Request => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct Rows<'s> {
    state: &'s mut Reading,
    section: Section,
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of files")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.state.odd(Oddity::NotAnArray);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Row<'de>>()? {
            match self.state.rows_left.checked_sub(1) {
                Some(left) => self.state.rows_left = left,
                None => {
                    self.state.too_many = true;
                    return Err(de::Error::custom("too many rows"));
                }
            }
            self.state.row(self.section, row);
        }
        Ok(())
    }
}

/// An `extension` is written into the saved export with every change of its head, so it must stay small.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Manifest, ManifestReadError> {
        Manifest::read(json.as_bytes(), false, BOUNDS)
    }

    const BOUNDS: ManifestBounds = ManifestBounds { bytes_max: 10_000, rows_max: 3 };

    #[test]
    fn what_this_library_writes_is_read_in_every_edition() {
        use crate::{
            Definitions, Edition,
            manifest::{ManifestHead, ManifestWriter, OutputFile},
        };
        for edition in [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot] {
            let head = ManifestHead {
                edition,
                transaction_time: Timestamp::from_millis(1_700_000_000_000),
                request: "https://ehr.example/fhir/$export".into(),
                output_organized_by: None,
                requires_access_token: false,
                files_url: "https://ehr.example/files/".into(),
                page: None,
                next: None,
                signer: None,
                extension: Default::default(),
            };
            let sha256 = "ab".repeat(32);
            let mut writer = ManifestWriter::new(head);
            let mut out = Vec::new();
            for section in [Section::Output, Section::Error] {
                let row = OutputFile {
                    section,
                    resource_type: Definitions::R4.resource_type("Patient"),
                    name: "Patient-1.ndjson".into(),
                    key: "k".into(),
                    content_type: None,
                    count: 3,
                    bytes: 300,
                    gzip_bytes: None,
                    sha256: Some(sha256.clone()),
                    continues_in_file: None,
                    page: None,
                };
                writer.row(&row, &mut out).unwrap();
            }
            writer.finish(&mut out);
            let manifest = Manifest::read(&out, edition == Edition::Stu4Ballot, BOUNDS).unwrap();
            assert_eq!(manifest.oddities, [], "{edition:?}");
            assert_eq!(manifest.transaction_time.as_deref(), Some("2023-11-14T22:13:20Z"));
            assert!(!manifest.requires_access_token);
            let [output, error] = manifest.files.as_slice() else { panic!("{edition:?}") };
            assert_eq!((output.count, output.size, output.sha256.as_ref()), (Some(3), Some(300), Some(&sha256)));
            assert_eq!(output.url.expose(), "https://ehr.example/files/Patient-1.ndjson");
            assert_eq!((output.section, error.section), (Section::Output, Section::Error));
        }
    }

    /// BD4-10.
    #[test]
    fn an_array_that_is_absent_is_empty_in_every_edition() {
        let bare = r#"{"transactionTime":"2024-01-01T00:00:00Z","request":"r","requiresAccessToken":false}"#;
        for ballot in [false, true] {
            let manifest = Manifest::read(bare.as_bytes(), ballot, BOUNDS).unwrap();
            assert_eq!((manifest.files.len(), manifest.rows_without_url), (0, 0));
            let told = if ballot { vec![] } else { vec![Oddity::NoOutput, Oddity::NoError] };
            assert_eq!(manifest.oddities, told);
        }
    }

    #[test]
    fn what_peers_leave_out_is_tolerated_and_told() {
        // The shape of the EHI reference server, with a count as text and a token flag as text.
        let manifest = read(
            r#"{"transactionTime":"2024-01-01T00:00:00.000Z","requiresAccessToken":"true","output":[{"type":"Patient","url":"u","count":"7","x":{}}],"unknown":[1]}"#,
        )
        .unwrap();
        assert_eq!(manifest.files[0].count, Some(7));
        assert!(manifest.requires_access_token);
        assert_eq!(manifest.oddities, [Oddity::NoRequest, Oddity::NoError, Oddity::Text]);
        let bare =
            read(r#"{"output":null,"error":[{"type":7},{"url":"e","count":-1}],"link":{"relation":"next","url":"n"}}"#)
                .unwrap();
        assert_eq!(bare.rows_without_url, 1);
        assert_eq!(bare.files[0].count, None);
        assert_eq!(bare.next.map(|url| url.expose().clone()).as_deref(), Some("n"));
        assert!(bare.requires_access_token);
        assert_eq!(
            bare.oddities,
            [
                Oddity::NoTransactionTime,
                Oddity::NoRequest,
                Oddity::NoRequiresAccessToken,
                Oddity::Number,
                Oddity::NotAnArray
            ]
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let rows = |count| format!(r#"{{"output":[{}]}}"#, vec![r#"{"url":"u"}"#; count].join(","));
        for (json, error) in [
            ("", ManifestReadError::NotJson),
            (r#"{"output":[{"url":"u"}"#, ManifestReadError::NotJson),
            (r#"{"output":[]} x"#, ManifestReadError::NotJson),
            ("[]", ManifestReadError::Shape),
            (r#"{"output":{}}"#, ManifestReadError::Shape),
            (r#"{"output":[1]}"#, ManifestReadError::Shape),
            (r#"{"output":[],"output":[]}"#, ManifestReadError::Shape),
            ("{}", ManifestReadError::NotAManifest),
            (r#"{"resourceType":"OperationOutcome"}"#, ManifestReadError::NotAManifest),
            (&rows(4), ManifestReadError::TooManyRows),
            (&" ".repeat(10_001), ManifestReadError::TooLong),
        ] {
            assert_eq!(read(json), Err(error), "{json}");
        }
        assert_eq!(read(&rows(3)).unwrap().files.len(), 3);
    }
}

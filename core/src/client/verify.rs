//! What is in a downloaded file, and whether it is what the manifest says.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Definitions, ResourceType, Sensitive,
    json::{elements, members, string_of},
    manifest::Section,
    ndjson::{Line, Lines},
    writer::Digester,
};

/// What is in a file: counted by a [`Checker`], or by the embedder's own reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Contents {
    /// Bytes of the whole file, decoded.
    pub bytes: u64,
    /// SHA-256 of the whole file in hexadecimal, if one was taken.
    pub sha256: Option<String>,
    /// Lines that are resources. In an organised file its header lines are not among them (BD-ORG-11).
    pub resources: u64,
    /// Header lines of an organised file.
    pub headers: u64,
    /// Lines that are no resource; blank lines are ignored (BD-NDJ-02).
    pub malformed: u64,
    /// The first of them, counted from 1.
    pub first_malformed: Option<u64>,
    /// Whether the last line is one of them and has no line end: the file was cut off.
    pub cut_off: bool,
    /// Lines of another type than the file's.
    pub other_types: u64,
    /// Issues of OperationOutcomes by severity.
    pub issues: BTreeMap<String, u64>,
    /// The attachments that the resources refer to by URL.
    pub attachments: Vec<FoundAttachment>,
    /// Attachments beyond the bound.
    pub attachments_left_out: u64,
}

/// An attachment that a resource refers to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FoundAttachment {
    /// `url` as it was written.
    pub url: Sensitive<String>,
    /// `contentType`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// `size`.
    #[serde(default)]
    pub size: Option<u64>,
}

/// What the data say of it is theirs.
impl fmt::Debug for FoundAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FoundAttachment(withheld)")
    }
}

/// What the embedder has to know to check a file that it is about to receive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Expect {
    /// NDJSON: feed a [`Checker`] made for this.
    Lines {
        /// Which array of the manifest it stands in.
        section: Section,
        /// The type of all its resources; `None` in a file of several types.
        resource_type: Option<ResourceType>,
        /// How many attachments may still be told of; none are looked for if it is 0.
        attachments_max: u32,
    },
    /// Anything: count bytes and take the digest.
    Bytes,
}

/// Reads a file as it comes in, in blocks cut anywhere, and counts. Holds no more than one line.
///
/// A download that goes on after a break is checked from its beginning: feed what is there already first.
#[derive(Debug)]
pub struct Checker {
    expect: Expect,
    lines: Lines,
    line: u64,
    digester: Digester,
    contents: Contents,
}

impl Checker {
    /// A checker for one file.
    pub fn new(expect: Expect) -> Self {
        let lines = Lines::new(LINE_BYTES_MAX);
        Self { expect, lines, line: 0, digester: Digester::default(), contents: Contents::default() }
    }

    /// The next bytes of the file.
    pub fn update(&mut self, block: &[u8]) {
        self.digester.update(block);
        self.contents.bytes = self.contents.bytes.saturating_add(block.len() as u64);
        if self.expect == Expect::Bytes {
            return;
        }
        let mut rest = block;
        while !rest.is_empty() {
            let (taken, line) = self.lines.take(rest);
            rest = rest.get(taken..).unwrap_or_default();
            let Some(line) = line else { break };
            self.line += 1;
            Self::count(&self.expect, &mut self.contents, self.line, &line);
            self.lines.clear();
        }
    }

    /// The file has ended.
    pub fn finish(mut self) -> Contents {
        if self.lines.has_begun() {
            let malformed = self.contents.malformed;
            let line = self.lines.line();
            Self::count(&self.expect, &mut self.contents, self.line + 1, &line);
            self.contents.cut_off = self.contents.malformed > malformed;
        }
        self.contents.sha256 = Some(self.digester.finish());
        self.contents
    }

    fn count(expect: &Expect, contents: &mut Contents, number: u64, line: &Line<'_>) {
        let Expect::Lines { section, resource_type, attachments_max } = expect else { return };
        let read = match line {
            Line::Blank => return,
            Line::TooLong => None,
            Line::Text(text) => serde_json::from_slice::<Resource<'_>>(text).ok(),
        };
        let Some(resource) = read else {
            contents.malformed += 1;
            contents.first_malformed.get_or_insert(number);
            return;
        };
        let name = resource.resource_type.as_ref();
        if resource_type.is_none() && name == "Parameters" && resource.is_header() {
            contents.headers += 1;
            return;
        }
        contents.resources += 1;
        let other = match resource_type {
            Some(expected) => name != expected.as_str(),
            None => Definitions::R4.resource_type(name).is_none(),
        };
        contents.other_types += u64::from(other);
        if name == "OperationOutcome" && *section == Section::Error {
            resource.count_issues(&mut contents.issues);
        }
        if *section == Section::Output && *attachments_max > 0 {
            for attachment in resource.attachments() {
                if u32::try_from(contents.attachments.len()).is_ok_and(|count| count < *attachments_max) {
                    contents.attachments.push(attachment);
                } else {
                    contents.attachments_left_out += 1;
                }
            }
        }
    }
}

/// What a line is looked at for. Everything else is checked to be JSON and forgotten.
#[derive(Deserialize)]
struct Resource<'l> {
    #[serde(borrow, rename = "resourceType")]
    resource_type: Cow<'l, str>,
    #[serde(borrow)]
    issue: Option<&'l RawValue>,
    #[serde(borrow)]
    content: Option<&'l RawValue>,
    #[serde(borrow, rename = "presentedForm")]
    presented_form: Option<&'l RawValue>,
    #[serde(borrow)]
    parameter: Option<&'l RawValue>,
}

impl<'l> Resource<'l> {
    /// BD-ORG-04: a Parameters resource whose parameter is named `header`.
    fn is_header(&self) -> bool {
        let first = self.parameter.and_then(|raw| elements(raw).into_iter().next());
        first.and_then(|entry| text_member(entry, "name")).is_some_and(|name| name == "header")
    }

    fn count_issues(&self, issues: &mut BTreeMap<String, u64>) {
        for issue in self.issue.map(elements).unwrap_or_default() {
            let severity = text_member(issue, "severity");
            let known = ["fatal", "error", "warning", "information", "success"];
            let severity = known.into_iter().find(|known| severity.as_deref() == Some(known));
            *issues.entry(severity.unwrap_or("unknown").to_owned()).or_default() += 1;
        }
    }

    /// The attachments of a DocumentReference, a DiagnosticReport or a Media that are not in the resource itself.
    fn attachments(&self) -> Vec<FoundAttachment> {
        let attachments: Vec<&RawValue> = match self.resource_type.as_ref() {
            "DocumentReference" => {
                let contents = self.content.map(objects).unwrap_or_default();
                contents.into_iter().filter_map(|content| member(content, "attachment")).collect()
            }
            "DiagnosticReport" => self.presented_form.map(objects).unwrap_or_default(),
            "Media" => self.content.map(objects).unwrap_or_default(),
            _ => return Vec::new(),
        };
        attachments.into_iter().filter_map(found).collect()
    }
}

fn found(attachment: &RawValue) -> Option<FoundAttachment> {
    let url = text_member(attachment, "url").filter(|url| !url.is_empty())?;
    Some(FoundAttachment {
        url: Sensitive::new(url.into_owned()),
        content_type: text_member(attachment, "contentType").map(Cow::into_owned),
        size: member(attachment, "size").and_then(|raw| raw.get().parse().ok()),
    })
}

fn objects(raw: &RawValue) -> Vec<&RawValue> {
    if raw.get().starts_with('{') { vec![raw] } else { elements(raw) }
}

fn member<'l>(object: &'l RawValue, wanted: &str) -> Option<&'l RawValue> {
    members(object)?.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
}

fn text_member<'l>(object: &'l RawValue, wanted: &str) -> Option<Cow<'l, str>> {
    member(object, wanted).and_then(string_of)
}

/// What the manifest says of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims<'c> {
    pub(super) count: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<&'c str>,
    /// The length that the response announced.
    pub(super) length: Option<u64>,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileProblem {
    /// Fewer or more bytes than the response announced.
    Length,
    /// Fewer or more bytes than the manifest says.
    Size,
    /// Another digest than the manifest says.
    Digest,
    /// The manifest has a digest and the embedder took none.
    DigestNotTaken,
    /// The last line is cut off.
    CutOff,
    /// Fewer or more resources than the manifest says.
    Count,
    /// Lines that are no resources.
    Malformed,
    /// Resources of another type than the manifest says.
    OtherType,
}

impl FileProblem {
    /// Whether the bytes are not those of the file: it is fetched again, and not kept if that does not help.
    pub(super) fn is_broken(self) -> bool {
        matches!(self, Self::Length | Self::Size | Self::Digest | Self::DigestNotTaken | Self::CutOff)
    }
}

/// Compares (BD-FILE-17). The first problem is the gravest.
pub(super) fn problems(contents: &Contents, claims: Claims<'_>) -> Vec<FileProblem> {
    let differs = |claim: Option<u64>, found: u64| claim.is_some_and(|claim| claim != found);
    let digest = match (claims.sha256, contents.sha256.as_deref()) {
        (Some(claim), Some(found)) => (!claim.eq_ignore_ascii_case(found)).then_some(FileProblem::Digest),
        (Some(_), None) => Some(FileProblem::DigestNotTaken),
        (None, _) => None,
    };
    let checks = [
        (differs(claims.length, contents.bytes), FileProblem::Length),
        (differs(claims.size, contents.bytes), FileProblem::Size),
        (contents.cut_off, FileProblem::CutOff),
        (differs(claims.count, contents.resources), FileProblem::Count),
        (contents.malformed > 0, FileProblem::Malformed),
        (contents.other_types > 0, FileProblem::OtherType),
    ];
    let mut found: Vec<_> = checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, problem)| problem).collect();
    found.extend(digest);
    found.sort_unstable();
    found
}

/// Inline attachments make lines long; a server's own writer stops far below.
const LINE_BYTES_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(resource_type: Option<&str>, section: Section) -> Expect {
        let resource_type = resource_type.map(|name| Definitions::R4.resource_type(name).unwrap());
        Expect::Lines { section, resource_type, attachments_max: 2 }
    }

    fn check(expect: &Expect, text: &[u8], block: usize) -> Contents {
        let mut checker = Checker::new(expect.clone());
        text.chunks(block).for_each(|block| checker.update(block));
        checker.finish()
    }

    #[test]
    fn c1_a_cut_inside_a_character_changes_nothing() {
        let text = "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"Müller-Ōé𝄞\"}]}\n".repeat(3);
        let expect = lines(Some("Patient"), Section::Output);
        let whole = check(&expect, text.as_bytes(), text.len());
        assert_eq!((whole.resources, whole.malformed, whole.bytes), (3, 0, text.len() as u64));
        for block in 1..40 {
            assert_eq!(check(&expect, text.as_bytes(), block), whole, "{block}");
        }
    }

    #[test]
    fn bd_ndj_02_line_ends_and_blank_lines() {
        let expect = lines(Some("Patient"), Section::Output);
        for text in [
            "{\"resourceType\":\"Patient\"}\r\n{\"resourceType\":\"Patient\"}\r\n",
            "\n{\"resourceType\":\"Patient\"}\n\n{\"resourceType\":\"Patient\"}",
        ] {
            let contents = check(&expect, text.as_bytes(), 7);
            assert_eq!((contents.resources, contents.malformed, contents.cut_off), (2, 0, false), "{text:?}");
        }
    }

    #[test]
    fn bd_file_17_a_cut_file_is_noticed() {
        let contents =
            check(&lines(Some("Patient"), Section::Output), b"{\"resourceType\":\"Patient\"}\n{\"resourceTy", 9);
        assert_eq!((contents.resources, contents.cut_off, contents.first_malformed), (1, true, Some(2)));
        let claims = Claims { count: Some(2), size: None, sha256: None, length: None };
        assert_eq!(problems(&contents, claims), [FileProblem::CutOff, FileProblem::Count, FileProblem::Malformed]);
    }

    #[test]
    fn bd_org_11_headers_are_not_counted_as_resources() {
        let text = br#"{"resourceType":"Parameters","parameter":[{"name":"header","valueReference":{"reference":"Patient/1"}}]}
{"resourceType":"Patient"}
{"resourceType":"Nonsense"}"#;
        let contents = check(&lines(None, Section::Output), text, 11);
        assert_eq!((contents.headers, contents.resources, contents.other_types), (1, 2, 1));
    }

    #[test]
    fn issues_are_counted_and_their_texts_forgotten() {
        let text = br#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","diagnostics":"Muster"},{"severity":"Muster"}]}"#;
        let contents = check(&lines(Some("OperationOutcome"), Section::Error), text, 50);
        assert_eq!(contents.issues, [("error".into(), 1), ("unknown".into(), 1)].into());
        assert!(!format!("{contents:?}").contains("Muster"));
    }

    #[test]
    fn a1_and_a2_every_attachment_of_every_line_is_found_with_or_without_title() {
        let text = br#"{"resourceType":"DocumentReference","content":[{"attachment":{"url":"a","contentType":"text/csv","size":5}},{"attachment":{"data":"QQ=="}}]}
{"resourceType":"DocumentReference","content":[{"attachment":{"url":"b"}},{"attachment":{"url":"c"}},{"attachment":7},8]}"#;
        let contents = check(&lines(Some("DocumentReference"), Section::Output), text, 33);
        let urls: Vec<_> = contents.attachments.iter().map(|found| found.url.expose().as_str()).collect();
        assert_eq!((urls, contents.attachments_left_out), (vec!["a", "b"], 1));
        assert_eq!((contents.attachments[0].size, contents.malformed), (Some(5), 0));
    }

    #[test]
    fn digests_and_sizes_are_compared() {
        let contents = check(&Expect::Bytes, b"abc", 2);
        let claim = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let other = claim.replace('b', "c");
        let claims = |sha256, size| Claims { count: None, size, sha256, length: None };
        assert_eq!(problems(&contents, claims(Some(claim), Some(3))), []);
        assert_eq!(problems(&contents, claims(Some(&other), Some(4))), [FileProblem::Size, FileProblem::Digest]);
        let untaken = Contents { sha256: None, ..contents };
        assert_eq!(problems(&untaken, claims(Some(claim), None)), [FileProblem::DigestNotTaken]);
    }
}

//! Ways to lie, and the answers that come of them.

use serde_json::{Value, json};

use super::answers::Kind;
use crate::{
    data::DAY,
    scenario::ORIGIN,
    wire::{Answer, Asked},
    world::{START, World},
};

macro_rules! lies {
    ($($lie:ident $name:literal [$($kind:ident)*])*) => {
        /// A way to lie.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Lie {
            $(#[doc = $name] $lie,)*
        }

        impl Lie {
            pub(crate) const ALL: [Self; [$($name),*].len()] = [$(Self::$lie),*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$lie => $name,)* }
            }

            /// Whether an answer of that kind can be spoilt so; no kind is all of them.
            pub(super) fn fits(self, kind: Kind) -> bool {
                let kinds: &[Kind] = match self { $(Self::$lie => &[$(Kind::$kind),*],)* };
                kinds.is_empty() || kinds.contains(&kind)
            }

            /// Whether answers of few kinds can be spoilt so.
            pub(super) fn is_of_few_kinds(self) -> bool {
                let kinds: &[Kind] = match self { $(Self::$lie => &[$(Kind::$kind),*],)* };
                matches!(kinds, [_] | [_, _])
            }
        }
    };
}

lies! {
    AnyStatus "any status" []
    NoBody "no body" []
    Garbage "garbage for a body" []
    CutBody "a body that is cut off" []
    DeepNesting "JSON that nests without end" [Discovery KickOff Status Page Delete]
    OddShapes "JSON of other shapes" [Discovery Status Page]
    OddHeaders "header fields that are repeated or no text" []
    OddMediaType "another media type" []
    RetryAfter "an absurd Retry-After" []
    Elsewhere "a redirect to another origin" []
    Circle "a redirect to itself" []
    Private "a redirect to a private address" []
    Unauthorized "401" []
    Throttled "429" []
    Unavailable "503" []
    Silence "no answer" []
    NoLocation "no polling location" [KickOff]
    ForeignLocation "a polling location at another origin" [KickOff]
    TwoLocations "two polling locations" [KickOff]
    NeverDone "an export that is never done" [Status]
    ForeignForm "a page of elsewhere for the patient" [KickOff Status]
    WrongCount "a wrong count" [Status]
    WrongSize "a wrong size" [Status]
    WrongDigest "a wrong digest" [Status]
    ForeignFiles "files at another origin" [Status]
    PrivateFiles "files at private addresses and other schemes" [Status]
    NoUrl "a row without a URL" [Status]
    RepeatedRow "a row that is repeated" [Status]
    OddType "a type that is a path" [Status]
    MillionRows "a manifest of a million rows" [Status]
    EndlessPages "pages without end" [Status Page]
    PagesInCircle "pages in a circle" [Status Page]
    ForeignPage "a page at another origin" [Status]
    OtherBytes "other bytes of the same length" [File]
    MissingLine "a line less" [File]
    ExtraLine "a line more" [File]
    OtherType "a line of another type" [File]
    NoJson "a line that is no JSON" [File]
    OtherRange "another range than was asked for" [File]
    WrongLength "a wrong Content-Length" [File]
    EndlessBody "a body without end" [File]
}

/// The answer as it goes out; nothing for silence.
pub(super) fn spoil(lie: Lie, world: &World, asked: &Asked, honest: Answer, body_bytes_max: usize) -> Option<Answer> {
    let redirect =
        |to: String| Answer::new([301, 302, 307, 308][world.rng(|rng| rng.usize(0..4))]).with("location", to);
    let mut answer = honest;
    Some(match lie {
        Lie::AnyStatus => Answer { status: world.rng(|rng| rng.u16(100..600)), ..answer },
        Lie::NoBody => Answer { body: Vec::new(), ..answer },
        Lie::Garbage => {
            Answer { body: world.rng(|rng| (0..rng.usize(1..300)).map(|_| rng.u8(..)).collect()), ..answer }
        }
        Lie::CutBody => {
            let length = world.rng(|rng| rng.usize(0..answer.body.len().max(1)));
            answer.body.truncate(length);
            answer
        }
        Lie::DeepNesting => Answer { body: "[{\"a\":".repeat(8_000).into_bytes(), ..answer },
        Lie::OddShapes => {
            let shapes =
                ["[]", "null", "7", "{\"output\":{}}", "{\"output\":[7]}", "{\"output\":[{\"url\":7}],\"error\":null}"];
            Answer { body: shapes[world.rng(|rng| rng.usize(0..shapes.len()))].into(), ..answer }
        }
        Lie::OddHeaders => {
            let copies = answer.headers.clone();
            answer.headers.extend(copies);
            (0..200).fold(answer, |answer, n| answer.with("link", format!("<{n}\u{7f}ä>; rel=;;\"")))
        }
        Lie::OddMediaType => {
            answer.headers.retain(|(name, _)| name != "content-type");
            answer.with("content-type", "text/html; charset=\"")
        }
        Lie::RetryAfter => {
            let texts = [
                "-1",
                "0",
                "",
                "NaN",
                "1e30",
                "99999999999999999999",
                "Fri, 31 Dec 9999 23:59:59 GMT",
                "Thu, 01 Jan 1970 00:00:00 GMT",
                "Wed, 21 Oct 2015",
            ];
            let status = if answer.status == 202 { 202 } else { 503 };
            Answer { status, ..answer }.with("retry-after", texts[world.rng(|rng| rng.usize(0..texts.len()))])
        }
        Lie::Elsewhere => redirect(format!("{ELSEWHERE}{}", asked.target)),
        Lie::Circle => redirect(format!("{ORIGIN}{}", asked.target)),
        Lie::Private => redirect(PRIVATE[world.rng(|rng| rng.usize(0..PRIVATE.len()))].to_owned()),
        Lie::Unauthorized => Answer::new(401),
        Lie::Throttled => Answer::new(429).with("retry-after", "1"),
        Lie::Unavailable => Answer::new(503),
        Lie::Silence => return None,
        Lie::NoLocation => Answer::new(202),
        Lie::ForeignLocation => Answer::new(202).with("content-location", format!("{ELSEWHERE}/poll/1")),
        Lie::TwoLocations => answer.with("content-location", format!("{ELSEWHERE}/poll/1")),
        Lie::NeverDone => Answer::new(202).with("retry-after", "1"),
        Lie::ForeignForm => {
            answer.with("link", format!("<{ELSEWHERE}/form/{}>; rel=\"patient-interaction\"", world.pick(0..1_000)))
        }
        Lie::EndlessBody => {
            let line = "{\"resourceType\":\"Patient\",\"id\":\"more\"}\n";
            answer.headers.retain(|(name, _)| name != "content-length");
            Answer { body: line.repeat(2_000).into_bytes(), ..answer }
        }
        Lie::OtherRange => {
            answer.headers.retain(|(name, _)| name != "content-range");
            let total = answer.body.len() + 10;
            Answer { status: 206, ..answer }.with("content-range", format!("bytes 3-{}/{total}", total - 8))
        }
        Lie::WrongLength => {
            answer.headers.retain(|(name, _)| name != "content-length");
            let length = world.rng(|rng| rng.usize(0..2 * answer.body.len() + 1));
            answer.with("content-length", length.to_string())
        }
        Lie::OtherBytes | Lie::MissingLine | Lie::ExtraLine | Lie::OtherType | Lie::NoJson => file(lie, answer),
        Lie::MillionRows => Answer { body: rows(body_bytes_max), ..Answer::json(200, Vec::new()) },
        Lie::WrongCount
        | Lie::WrongSize
        | Lie::WrongDigest
        | Lie::ForeignFiles
        | Lie::PrivateFiles
        | Lie::NoUrl
        | Lie::RepeatedRow
        | Lie::OddType
        | Lie::EndlessPages
        | Lie::PagesInCircle
        | Lie::ForeignPage => manifest(lie, world, answer),
    })
}

fn file(lie: Lie, mut answer: Answer) -> Answer {
    match lie {
        Lie::OtherBytes => {
            let changed = String::from_utf8_lossy(&answer.body).replace("\"en\"", "\"de\"");
            return Answer { body: changed.into_bytes(), ..answer };
        }
        Lie::MissingLine => {
            let end = answer.body.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            answer.body.drain(..end);
        }
        Lie::ExtraLine => answer.body.extend(b"{\"resourceType\":\"Patient\",\"id\":\"more\"}\n"),
        Lie::OtherType => answer.body.extend(b"{\"resourceType\":\"Device\",\"id\":\"more\"}\n"),
        _ => answer.body.extend(b"{\"resourceType\":\n"),
    }
    answer.headers.retain(|(name, _)| name != "content-length");
    answer
}

fn manifest(lie: Lie, world: &World, answer: Answer) -> Answer {
    let Ok(mut manifest) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let next = |to: String| json!([{"relation": "next", "url": to}]);
    match lie {
        Lie::EndlessPages => manifest["link"] = next(format!("{ORIGIN}/page/{}", world.rng(|rng| rng.u32(..)))),
        Lie::PagesInCircle => manifest["link"] = next(format!("{ORIGIN}/poll/1")),
        Lie::ForeignPage => manifest["link"] = next(format!("{ELSEWHERE}/page/1")),
        Lie::RepeatedRow => {
            if let Some(rows) = manifest["output"].as_array_mut() {
                rows.extend(rows.first().cloned());
            }
        }
        _ => {
            let row = &mut manifest["output"][0];
            if row.is_null() {
                return answer;
            }
            match lie {
                Lie::WrongCount => row["count"] = json!(row["count"].as_u64().unwrap_or(5) + 1),
                Lie::WrongSize => row["extension"]["fileSize"] = json!(1),
                Lie::WrongDigest => row["extension"]["sha256"] = json!("ab".repeat(32)),
                Lie::ForeignFiles => row["url"] = json!(format!("{ELSEWHERE}/files/0")),
                Lie::PrivateFiles => row["url"] = json!(PRIVATE[world.rng(|rng| rng.usize(0..PRIVATE.len()))]),
                Lie::OddType => row["type"] = json!("../../etc/passwd\u{0}"),
                _ => drop(row.as_object_mut().and_then(|row| row.remove("url"))),
            }
        }
    }
    Answer { body: manifest.to_string().into_bytes(), ..answer }
}

/// A manifest of a million rows, or as much of it as anyone reads.
fn rows(bytes_max: usize) -> Vec<u8> {
    let mut body = format!("{{\"transactionTime\":\"{}\",\"output\":[", ehi_core::Timestamp::from_millis(START - DAY));
    for n in 0..1_000_000 {
        if body.len() > bytes_max {
            break;
        }
        body.push_str(&format!("{}{{\"type\":\"Patient\",\"url\":\"/f/{n}\"}}", if n == 0 { "" } else { "," }));
    }
    body.push_str("],\"error\":[]}");
    body.into_bytes()
}

const ELSEWHERE: &str = "https://elsewhere.example";

const PRIVATE: [&str; 6] = [
    "https://127.0.0.1/files/0",
    "https://10.0.0.1/files/0",
    "https://[::1]/files/0",
    "http://ehr.example/files/0",
    "file:///etc/passwd",
    "https://ehr.example@elsewhere.example/files/0",
];

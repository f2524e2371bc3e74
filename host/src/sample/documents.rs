//! Notes with their attachments, and the provenance of what a visit left behind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::calendar::{Fraction, MINUTE};
use super::chart::Chart;
use super::codes::{Code, hl7, loinc, us_core};
use super::conditions::Problem;
use super::elements::{named_reference, period, reference};
use super::json::Object;
use super::output::Kind;
use super::random::{Table, table};
use super::visits::Visit;

/// Writes a visit's DocumentReference, and the Binary of each attachment that is not inline. Returns their addresses.
pub(super) fn write_note(chart: &mut Chart, visit: &Visit, reason: Option<&Problem>) -> anyhow::Result<Vec<String>> {
    let kind = chart.draw.pick(&NOTES);
    let written = visit.end.plus(chart.draw.between(0, 50) * MINUTE);
    let (address, document) = chart.begin(Kind::DocumentReference, written);
    let mut made = vec![address];
    let text = note(kind, visit, reason, chart);
    let mut contents = Vec::new();
    match chart.draw.below(100) {
        0..60 => contents.push(inline_attachment(kind.display, &text)),
        60..90 => contents.push(linked_attachment(chart, visit, &mut made, kind.display, &text)?),
        _ => {
            contents.push(inline_attachment("Abstract", first_line(&text)));
            contents.push(linked_attachment(chart, visit, &mut made, kind.display, &text)?);
        }
    }
    let zone = chart.zone();
    let site = chart.person.site;
    let context = Object::new()
        .list("encounter", [visit.reference()])
        .field("period", period(visit.start, Some(visit.end), zone));
    let document = document
        .field("status", "current")
        .field("docStatus", if chart.draw.chance(80) { "final" } else { "amended" })
        .field("type", kind.concept())
        .list("category", [CLINICAL_NOTE.concept()])
        .field("subject", chart.person.reference())
        .field("date", written.instant(zone, Fraction::Millis))
        .list("author", [visit.clinician.reference()])
        .field("custodian", named_reference(&site.organization(), site.name))
        .field("description", format!("{} – {}", kind.display, visit.kind.kind.display))
        .list("content", contents.into_iter().map(|attachment| Object::new().field("attachment", attachment)))
        .field("context", context);
    chart.put(Kind::DocumentReference, document)?;
    Ok(made)
}

/// An Attachment that holds its text.
pub(super) fn inline_attachment(title: &str, text: &str) -> Object {
    let data = STANDARD.encode(text);
    Object::new().field("contentType", PLAIN_TEXT).field("data", data).and(fingerprint(text)).field("title", title)
}

/// Writes the Provenance of what was made at a visit; at the first visit, and now and then, of the patient's record too.
pub(super) fn write_provenance(
    chart: &mut Chart,
    visit: &Visit,
    is_first: bool,
    made: &[String],
) -> anyhow::Result<()> {
    let recorded = visit.end.plus(chart.draw.between(0, 90) * MINUTE);
    let (_, provenance) = chart.begin(Kind::Provenance, recorded);
    let is_about_patient = (is_first && chart.draw.chance(60)) || chart.draw.chance(5);
    let patient = is_about_patient.then(|| chart.person.address());
    let zone = chart.zone();
    let site = chart.person.site;
    let author = Object::new()
        .field("type", AUTHOR.concept())
        .field("who", visit.clinician.reference())
        .field("onBehalfOf", reference(&site.organization()));
    let transmitter = Object::new()
        .field("type", TRANSMITTER.concept())
        .field("who", named_reference(&site.organization(), site.name));
    let provenance = provenance
        .list("target", patient.iter().chain(made).map(|target| reference(target)))
        .field("occurredPeriod", period(visit.start, Some(visit.end), zone))
        .field("recorded", recorded.instant(zone, Fraction::Millis))
        .field("activity", if chart.draw.chance(85) { &CREATE } else { &UPDATE }.concept())
        .list("agent", [author, transmitter]);
    chart.put(Kind::Provenance, provenance)
}

/// Writes the text as a Binary, and makes the Attachment that refers to it.
fn linked_attachment(
    chart: &mut Chart,
    visit: &Visit,
    made: &mut Vec<String>,
    title: &str,
    text: &str,
) -> anyhow::Result<Object> {
    let (address, binary) = chart.begin(Kind::Binary, visit.end);
    let binary = binary
        .field("contentType", PLAIN_TEXT)
        .field("securityContext", reference(&chart.person.address()))
        .field("data", STANDARD.encode(text));
    chart.put(Kind::Binary, binary)?;
    let attachment = Object::new()
        .field("contentType", PLAIN_TEXT)
        .field("url", &address)
        .and(fingerprint(text))
        .field("title", title);
    made.push(address);
    Ok(attachment)
}

/// An Attachment's size in bytes and its SHA-1, as R4 wants it.
fn fingerprint(text: &str) -> Object {
    Object::new().field("size", text.len()).field("hash", STANDARD.encode(Sha1::digest(text)))
}

/// What the clinician wrote. One note in fifty goes on and on.
fn note(kind: &Code, visit: &Visit, reason: Option<&Problem>, chart: &mut Chart) -> String {
    let mut text = format!(
        "{}\nPatient: {}\nDate: {}\nReason: {}\n\n",
        kind.display,
        chart.person.name.display(),
        visit.start.date(chart.zone()),
        reason.map_or("none given", |reason| reason.code.display),
    );
    let sentences = if chart.draw.chance(2) { 300 } else { 3 + chart.draw.below(8) };
    for _ in 0..sentences {
        text.push_str(chart.draw.word(&SENTENCES));
        text.push('\n');
    }
    text.push_str(&format!("\nSigned: {}", visit.clinician.display()));
    text
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

const PLAIN_TEXT: &str = "text/plain";

static CLINICAL_NOTE: Code = us_core("us-core-documentreference-category", "clinical-note", "Clinical Note");
static AUTHOR: Code = hl7("provenance-participant-type", "author", "Author");
static TRANSMITTER: Code = us_core("us-core-provenance-participant-type", "transmitter", "Transmitter");
static CREATE: Code = hl7("v3-DataOperation", "CREATE", "create");
static UPDATE: Code = hl7("v3-DataOperation", "UPDATE", "revise");

static NOTES: Table<Code> = table![
    loinc("34117-2", "History and physical note"),
    loinc("11506-3", "Progress note"),
    loinc("11488-4", "Consult note"),
    loinc("18842-5", "Discharge summary"),
    loinc("51847-2", "Evaluation + Plan note"),
];

static SENTENCES: Table<&str> = table![
    "Feels well and sleeps through the night.",
    "Reports pain, 4/10, worse in the morning.",
    "Température 37,5 °C ; pouls régulier.",
    "No known drug interactions.",
    "Advised rest, fluids & patience.",
    "Le duele el hombro desde el año pasado.",
    "Walks 30 min a day, \"rain or shine\".",
    "Labs ordered; results to follow.\tSee the report.",
    "Laughed at the doctor's joke 😄.",
    "前回と変わりなし。",
    "Return in 2–4 weeks, or sooner if <worse>.",
    "Medication list reviewed and unchanged.",
];

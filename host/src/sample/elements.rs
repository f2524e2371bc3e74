//! The FHIR data types that many resources share.

use super::calendar::{DAY, Fraction, HOUR, Moment, SERVER_ZONES, UTC, Zone};
use super::codes::{Code, hl7};
use super::json::{Decimal, Object};
use super::output::Kind;
use super::random::Draw;

/// A resource's first fields. It was last updated at some moment after `since`, when what it tells of happened.
pub(super) fn resource(kind: Kind, id: &str, since: Moment, draw: &mut Draw) -> Object {
    Object::new().field("resourceType", kind.name()).field("id", id).field("meta", meta(since, draw))
}

/// The first fields of a resource that is about nobody, and could have been updated at any time.
pub(super) fn shared_resource(kind: Kind, id: &str, draw: &mut Draw) -> Object {
    let since = Moment::between(FIRST_UPDATE, LAST_UPDATE, draw);
    resource(kind, id, since, draw)
}

/// `Type/id`.
pub(super) fn address(kind: Kind, id: &str) -> String {
    format!("{}/{id}", kind.name())
}

/// A Reference.
pub(super) fn reference(to: &str) -> Object {
    Object::new().field("reference", to)
}

/// A Reference that says what it refers to.
pub(super) fn named_reference(to: &str, display: &str) -> Object {
    reference(to).field("display", display)
}

/// A Coding.
pub(super) fn coding(code: &Code) -> Object {
    let (first, last) = code.system;
    Object::new().field("system", format!("{first}{last}")).field("code", code.code).field("display", code.display)
}

/// A CodeableConcept of words alone.
pub(super) fn words(text: &str) -> Object {
    Object::new().field("text", text)
}

/// An Identifier in one of our own systems.
pub(super) fn identifier(system: &str, value: &str) -> Object {
    Object::new().field("system", format!("http://records.example.org/{system}")).field("value", value)
}

/// A Quantity in a UCUM unit.
pub(super) fn quantity(value: Decimal, unit: &str, ucum: &str) -> Object {
    Object::new()
        .field("value", value)
        .field("unit", unit)
        .field("system", "http://unitsofmeasure.org")
        .field("code", ucum)
}

/// A Period with or without an end.
pub(super) fn period(start: Moment, end: Option<Moment>, zone: &Zone) -> Object {
    Object::new().field("start", start.date_time(zone)).maybe("end", end.map(|end| end.date_time(zone)))
}

/// A telephone number from the range kept free for fiction.
pub(super) fn fictitious_phone(area: &str, used: &str, draw: &mut Draw) -> Object {
    let number = format!("+1-{area}-555-01{:02}", draw.below(100));
    Object::new().field("system", "phone").field("value", number).field("use", used)
}

/// A generated Narrative of one paragraph.
pub(super) fn narrative(paragraph: &str) -> Object {
    let escaped = paragraph.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{escaped}</p></div>");
    Object::new().field("status", "generated").field("div", div)
}

/// The number, now and then with a trailing zero more than it needs.
pub(super) fn loosely_written(number: Decimal, draw: &mut Draw) -> Decimal {
    if draw.chance(15) { number.with_trailing_zero() } else { number }
}

fn meta(since: Moment, draw: &mut Draw) -> Object {
    let version = if draw.chance(70) { 1 } else { 2 + draw.below(9) };
    Object::new()
        .field("versionId", version.to_string())
        .field("lastUpdated", last_updated(since, draw))
        .list("security", [coding(&TEST_DATA)])
}

/// Most resources are stamped within days, some long after, by a server in some zone.
fn last_updated(since: Moment, draw: &mut Draw) -> String {
    let patience = match draw.below(10) {
        0..6 => 3 * DAY,
        6..9 => 120 * DAY,
        _ => LAST_UPDATE.since(FIRST_UPDATE),
    };
    let earliest = since.clamp(FIRST_UPDATE, LAST_UPDATE);
    let updated = Moment::between(earliest, earliest.plus(patience).min(LAST_UPDATE), draw);
    let fraction = match draw.below(10) {
        0..3 => Fraction::None,
        3..9 => Fraction::Millis,
        _ => Fraction::Micros,
    };
    let zone = if draw.chance(70) { &UTC } else { draw.pick(&SERVER_ZONES) };
    updated.instant(zone, fraction)
}

/// `lastUpdated` lies from 2019-01-01 to 2026-06-30 whichever zone it is written in, hence the half days.
const FIRST_UPDATE: Moment = Moment::midnight(2019, 1, 1).plus(12 * HOUR);
pub(super) const LAST_UPDATE: Moment = Moment::midnight(2026, 6, 30).plus(12 * HOUR);

/// How FHIR marks a record that is nobody's.
static TEST_DATA: Code = hl7("v3-ActReason", "HTEST", "test health data");

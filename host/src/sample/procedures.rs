//! What was done to the patient at a visit.

use super::calendar::MINUTE;
use super::chart::Chart;
use super::codes::{Code, snomed};
use super::elements::{period, reference};
use super::json::Object;
use super::output::Kind;
use super::random::{Table, table};
use super::visits::Visit;

/// Writes one Procedure and returns its address.
pub(super) fn write_procedure(chart: &mut Chart, visit: &Visit) -> anyhow::Result<String> {
    let code = chart.draw.pick(&PROCEDURES);
    let (address, procedure) = chart.begin(Kind::Procedure, visit.end);
    let performer = Object::new()
        .field("actor", visit.clinician.reference())
        .field("onBehalfOf", reference(&chart.person.site.organization()));
    let procedure = procedure
        .field("status", "completed")
        .field("code", code.concept())
        .field("subject", chart.person.reference())
        .field("encounter", visit.reference());
    let procedure = if chart.draw.chance(60) {
        let end = visit.start.plus(chart.draw.between(5, 45) * MINUTE).min(visit.end);
        procedure.field("performedPeriod", period(visit.start, Some(end), chart.zone()))
    } else {
        procedure.field("performedDateTime", visit.start.date_time(chart.zone()))
    };
    let note = chart.draw.chance(15).then(|| Object::new().field("text", chart.draw.word(&REMARKS)));
    let procedure = procedure
        .list("performer", [performer])
        .field("location", reference(&chart.person.site.location()))
        .list("note", note);
    chart.put(Kind::Procedure, procedure)?;
    Ok(address)
}

static PROCEDURES: Table<Code> = table![
    snomed("430193006", "Medication Reconciliation"),
    snomed("5880005", "Physical examination procedure"),
    snomed("399208008", "Plain chest X-ray"),
    snomed("23426006", "Measurement of respiratory function"),
    snomed("73761001", "Colonoscopy"),
    snomed("171207006", "Depression screening"),
    snomed("710824005", "Assessment of health and social care needs"),
    snomed("274474001", "Bone immobilization"),
    snomed("288086009", "Suture open wound"),
    snomed("54550000", "Electroencephalogram"),
    snomed("117015009", "Throat culture"),
    snomed("398171003", "Hearing examination"),
];

static REMARKS: Table<&str> = table![
    "Borne well. No complications.",
    "Patient said: \"never again\".\nOffered water & a rest.",
    "Temps de repos < 10 min ; à revoir.",
    "Image stored under C:\\scans\\today",
];

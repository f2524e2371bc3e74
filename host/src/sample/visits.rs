//! Encounters, and all that happens in them.

use super::calendar::{DAY, HOUR, MINUTE, Moment};
use super::chart::Chart;
use super::codes::{Code, hl7, snomed};
use super::conditions::{Problem, write_diagnosis};
use super::directory::Clinician;
use super::documents::{write_note, write_provenance};
use super::elements::{coding, identifier, named_reference, period, reference};
use super::json::Object;
use super::laboratory::write_panel;
use super::medications::write_prescription;
use super::output::Kind;
use super::procedures::write_procedure;
use super::random::{Table, table};
use super::vitals::{write_smoking_status, write_vital_signs};

/// Writes the patient's visits from the first to the last.
pub(super) fn write_all(chart: &mut Chart, problems: &[Problem]) -> anyhow::Result<()> {
    let count = 3 + chart.draw.below(3);
    let mut starts: Vec<Moment> = (0..count).map(|_| chart.moment()).collect();
    starts.sort_unstable();
    for (nth, start) in starts.into_iter().enumerate() {
        write_visit(chart, start, nth == 0, problems)?;
    }
    Ok(())
}

/// One encounter under way.
pub(super) struct Visit {
    pub(super) address: String,
    pub(super) start: Moment,
    pub(super) end: Moment,
    pub(super) clinician: Clinician,
    pub(super) kind: &'static VisitKind,
}

impl Visit {
    /// A Reference to the Encounter.
    pub(super) fn reference(&self) -> Object {
        reference(&self.address)
    }

    pub(super) fn is_inpatient(&self) -> bool {
        self.kind.class.code == INPATIENT.code
    }

    fn is_virtual(&self) -> bool {
        self.kind.class.code == VIRTUAL.code
    }
}

/// A way of being seen.
pub(super) struct VisitKind {
    class: Code,
    pub(super) kind: Code,
    /// It takes this long, and up to twice as long.
    minutes: i64,
    is_for_something_acute: bool,
}

fn write_visit(chart: &mut Chart, start: Moment, is_first: bool, problems: &[Problem]) -> anyhow::Result<()> {
    let kind = chart.draw.pick(&VISIT_KINDS);
    let end = start.plus(chart.draw.between(kind.minutes, 2 * kind.minutes) * MINUTE);
    let (address, encounter) = chart.begin(Kind::Encounter, end);
    let visit = Visit { address, start, end, clinician: chart.clinician(), kind };

    let diagnosis = if kind.is_for_something_acute { Some(write_diagnosis(chart, &visit)?) } else { None };
    let reason = match &diagnosis {
        Some(diagnosis) => Some(diagnosis),
        None => chart.draw.any(problems),
    };
    let encounter = finish_encounter(encounter, &visit, reason, chart);
    chart.put(Kind::Encounter, encounter)?;

    let mut made = vec![visit.address.clone()];
    if !visit.is_virtual() {
        made.append(&mut write_vital_signs(chart, &visit)?);
    }
    if is_first && chart.person.age(start) >= 13 {
        made.push(write_smoking_status(chart, &visit)?);
    }
    if !visit.is_virtual() && chart.draw.chance(50) {
        made.append(&mut write_panel(chart, &visit)?);
    }
    if !visit.is_virtual() && chart.draw.chance(50) {
        made.push(write_procedure(chart, &visit)?);
    }
    if chart.draw.chance(50) {
        made.push(write_prescription(chart, &visit, reason)?);
    }
    if chart.draw.chance(65) {
        made.append(&mut write_note(chart, &visit, reason)?);
    }
    write_provenance(chart, &visit, is_first, &made)
}

fn finish_encounter(encounter: Object, visit: &Visit, reason: Option<&Problem>, chart: &mut Chart) -> Object {
    let zone = chart.zone();
    let site = chart.person.site;
    let number = visit.address.replace("Encounter/", "V-");
    let participant = Object::new()
        .list("type", [PRIMARY_PERFORMER.concept()])
        .field("period", period(visit.start, Some(visit.end), zone))
        .field("individual", visit.clinician.reference());
    let diagnosis = reason.map(|reason| {
        Object::new()
            .field("condition", reason.reference())
            .field("use", DISCHARGE_DIAGNOSIS.concept())
            .field("rank", 1_u32)
    });
    let hospitalization = visit
        .is_inpatient()
        .then(|| Object::new().field("dischargeDisposition", chart.draw.pick(&DISPOSITIONS).concept()));
    let location = Object::new().field("location", reference(&site.location())).field("status", "completed");
    encounter
        .list("identifier", [identifier("visit", &number)])
        .field("status", "finished")
        .field("class", coding(&visit.kind.class))
        .list("type", [visit.kind.kind.concept()])
        .field("subject", chart.person.reference())
        .list("participant", [participant])
        .field("period", period(visit.start, Some(visit.end), zone))
        .list("reasonCode", reason.map(|reason| reason.code.concept()))
        .list("diagnosis", diagnosis)
        .maybe("hospitalization", hospitalization)
        .list("location", (!visit.is_virtual()).then_some(location))
        .field("serviceProvider", named_reference(&site.organization(), site.name))
}

const AMBULATORY: Code = hl7("v3-ActCode", "AMB", "ambulatory");
const EMERGENCY: Code = hl7("v3-ActCode", "EMER", "emergency");
const INPATIENT: Code = hl7("v3-ActCode", "IMP", "inpatient encounter");
const VIRTUAL: Code = hl7("v3-ActCode", "VR", "virtual");

static PRIMARY_PERFORMER: Code = hl7("v3-ParticipationType", "PPRF", "primary performer");
static DISCHARGE_DIAGNOSIS: Code = hl7("diagnosis-role", "DD", "Discharge diagnosis");

static DISPOSITIONS: Table<Code> = table![
    hl7("discharge-disposition", "home", "Home"),
    hl7("discharge-disposition", "rehab", "Rehabilitation"),
    hl7("discharge-disposition", "snf", "Skilled nursing facility"),
];

static VISIT_KINDS: Table<VisitKind> = table![
    VisitKind {
        class: AMBULATORY,
        kind: snomed("185349003", "Encounter for check up"),
        minutes: 20,
        is_for_something_acute: false,
    },
    VisitKind {
        class: AMBULATORY,
        kind: snomed("185345009", "Encounter for symptom"),
        minutes: 15,
        is_for_something_acute: true,
    },
    VisitKind {
        class: AMBULATORY,
        kind: snomed("390906007", "Follow-up encounter"),
        minutes: 15,
        is_for_something_acute: false,
    },
    VisitKind {
        class: EMERGENCY,
        kind: snomed("50849002", "Emergency room admission"),
        minutes: 4 * HOUR / MINUTE,
        is_for_something_acute: true,
    },
    VisitKind {
        class: INPATIENT,
        kind: snomed("32485007", "Hospital admission"),
        minutes: DAY / MINUTE,
        is_for_something_acute: true,
    },
    VisitKind {
        class: VIRTUAL,
        kind: snomed("185347001", "Encounter for problem"),
        minutes: 10,
        is_for_something_acute: false,
    },
];

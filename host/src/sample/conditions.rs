//! What ails the patient: the problem list, and what brings the patient in.

use super::calendar::{DAY, Moment, YEAR};
use super::chart::Chart;
use super::codes::{Code, hl7, snomed};
use super::elements::named_reference;
use super::json::Object;
use super::output::Kind;
use super::random::{Table, table};
use super::visits::Visit;

/// A condition that other resources refer to.
pub(super) struct Problem {
    pub(super) address: String,
    pub(super) code: &'static Code,
}

impl Problem {
    pub(super) fn reference(&self) -> Object {
        named_reference(&self.address, self.code.display)
    }
}

/// Writes the problem list.
pub(super) fn write_problems(chart: &mut Chart) -> anyhow::Result<Vec<Problem>> {
    let table = if chart.person.is_adult() { &CHRONIC_OF_ADULTS } else { &CHRONIC_OF_CHILDREN };
    let count = 1 + chart.draw.below(3);
    let mut problems = Vec::new();
    for code in chart.draw.pick_several(table, count) {
        let recorded = chart.moment();
        let onset = recorded.plus(-chart.draw.between(0, 6 * YEAR)).max(chart.person.birth.plus(DAY));
        let (address, condition) = chart.begin(Kind::Condition, recorded);
        let is_resolved = chart.draw.chance(15);
        let abatement = Moment::between(recorded, chart.person.record_end, &mut chart.draw);
        let condition = condition
            .field("clinicalStatus", if is_resolved { RESOLVED } else { ACTIVE }.bare_concept())
            .field("verificationStatus", CONFIRMED.bare_concept())
            .list("category", [PROBLEM.bare_concept()])
            .field("code", code.concept())
            .field("subject", chart.person.reference())
            .field("onsetDateTime", as_remembered(onset, chart))
            .maybe("abatementDateTime", is_resolved.then(|| abatement.date(chart.zone())))
            .field("recordedDate", recorded.date_time(chart.zone()))
            .field("asserter", chart.clinician().reference());
        chart.put(Kind::Condition, condition)?;
        problems.push(Problem { address, code });
    }
    Ok(problems)
}

/// Writes the diagnosis of a visit that something acute led to.
pub(super) fn write_diagnosis(chart: &mut Chart, visit: &Visit) -> anyhow::Result<Problem> {
    let code = chart.draw.pick(&ACUTE);
    let (address, condition) = chart.begin(Kind::Condition, visit.end);
    let onset = visit.start.plus(-chart.draw.between(DAY / 2, 9 * DAY)).max(chart.person.birth);
    let abatement = visit.end.plus(chart.draw.between(2 * DAY, 30 * DAY));
    let is_resolved = abatement < chart.person.record_end;
    let condition = condition
        .field("clinicalStatus", if is_resolved { RESOLVED } else { ACTIVE }.bare_concept())
        .field("verificationStatus", if chart.draw.chance(85) { CONFIRMED } else { PROVISIONAL }.bare_concept())
        .list("category", [DIAGNOSIS.bare_concept()])
        .field("severity", chart.draw.pick(&SEVERITIES).concept())
        .field("code", code.concept())
        .field("subject", chart.person.reference())
        .field("encounter", visit.reference())
        .field("onsetDateTime", onset.date(chart.zone()))
        .maybe("abatementDateTime", is_resolved.then(|| abatement.date(chart.zone())))
        .field("recordedDate", visit.end.date_time(chart.zone()))
        .field("recorder", visit.clinician.reference());
    chart.put(Kind::Condition, condition)?;
    Ok(Problem { address, code })
}

/// The onset of a long-standing problem, as exactly as people remember it.
fn as_remembered(onset: Moment, chart: &mut Chart) -> String {
    match chart.draw.below(4) {
        0 => onset.year(chart.zone()),
        1 => onset.month(chart.zone()),
        _ => onset.date(chart.zone()),
    }
}

const ACTIVE: Code = hl7("condition-clinical", "active", "Active");
const RESOLVED: Code = hl7("condition-clinical", "resolved", "Resolved");
const CONFIRMED: Code = hl7("condition-ver-status", "confirmed", "Confirmed");
const PROVISIONAL: Code = hl7("condition-ver-status", "provisional", "Provisional");
const PROBLEM: Code = hl7("condition-category", "problem-list-item", "Problem List Item");
const DIAGNOSIS: Code = hl7("condition-category", "encounter-diagnosis", "Encounter Diagnosis");

static SEVERITIES: Table<Code> =
    table![snomed("255604002", "Mild"), snomed("6736007", "Moderate"), snomed("24484000", "Severe")];

static CHRONIC_OF_ADULTS: Table<Code> = table![
    snomed("59621000", "Essential hypertension"),
    snomed("44054006", "Diabetes mellitus type 2"),
    snomed("55822004", "Hyperlipidemia"),
    snomed("195967001", "Asthma"),
    snomed("15777000", "Prediabetes"),
    snomed("239873007", "Osteoarthritis of knee"),
    snomed("64859006", "Osteoporosis"),
    snomed("78275009", "Obstructive sleep apnea syndrome"),
    snomed("431856006", "Chronic kidney disease stage 2"),
    snomed("278860009", "Chronic low back pain"),
    snomed("40055000", "Chronic sinusitis"),
    snomed("414545008", "Ischemic heart disease"),
    snomed("162864005", "Body mass index 30+ - obesity"),
    snomed("271737000", "Anemia"),
    snomed("73595000", "Stress"),
];

static CHRONIC_OF_CHILDREN: Table<Code> = table![
    snomed("233678006", "Childhood asthma"),
    snomed("24079001", "Atopic dermatitis"),
    snomed("367498001", "Seasonal allergic rhinitis"),
    snomed("128613002", "Seizure disorder"),
];

static ACUTE: Table<Code> = table![
    snomed("10509002", "Acute bronchitis"),
    snomed("444814009", "Viral sinusitis"),
    snomed("195662009", "Acute viral pharyngitis"),
    snomed("43878008", "Streptococcal sore throat"),
    snomed("65363002", "Otitis media"),
    snomed("44465007", "Sprain of ankle"),
    snomed("62106007", "Concussion with no loss of consciousness"),
    snomed("284549007", "Laceration of hand"),
    snomed("38822007", "Cystitis"),
    snomed("65966004", "Fracture of forearm"),
];

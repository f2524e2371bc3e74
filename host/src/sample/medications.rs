//! The formulary, and what is prescribed from it.

use super::calendar::{DAY, Moment};
use super::chart::Chart;
use super::codes::{Code, hl7, rxnorm, snomed};
use super::conditions::Problem;
use super::elements::{address, loosely_written, named_reference, period, quantity};
use super::json::{Decimal, Object};
use super::output::Kind;
use super::random::{Table, table};
use super::visits::Visit;

/// Something that can be prescribed.
pub(super) struct Drug {
    /// The id of its Medication.
    pub(super) id: &'static str,
    pub(super) code: Code,
    instruction: &'static str,
    times_a_day: u32,
    /// Taken only when needed.
    as_needed: bool,
}

/// All that can be prescribed.
pub(super) fn formulary() -> impl Iterator<Item = &'static Drug> {
    FOR_YEARS.entries().chain(FOR_DAYS.entries())
}

/// Writes what a grown-up takes for years.
pub(super) fn write_long_term(chart: &mut Chart) -> anyhow::Result<()> {
    if !chart.person.is_adult() {
        return Ok(());
    }
    let count = chart.draw.below(3);
    for drug in chart.draw.pick_several(&FOR_YEARS, count) {
        let written = chart.moment();
        write_request(chart, drug, written, &COMMUNITY, None, None)?;
    }
    Ok(())
}

/// Writes what was prescribed at a visit, and returns its address.
pub(super) fn write_prescription(chart: &mut Chart, visit: &Visit, reason: Option<&Problem>) -> anyhow::Result<String> {
    let category = if visit.is_inpatient() { &INPATIENT } else { &OUTPATIENT };
    let drug = chart.draw.pick(&FOR_DAYS);
    write_request(chart, drug, visit.end, category, Some(visit), reason)
}

fn write_request(
    chart: &mut Chart,
    drug: &Drug,
    written: Moment,
    category: &Code,
    visit: Option<&Visit>,
    reason: Option<&Problem>,
) -> anyhow::Result<String> {
    let (request_address, request) = chart.begin(Kind::MedicationRequest, written);
    let requester = match visit {
        Some(visit) => visit.clinician.reference(),
        None => chart.clinician().reference(),
    };
    let status = chart.draw.word(&table!["completed", "active", "completed", "stopped"]);
    let request = request.field("status", status).field("intent", "order").list("category", [category.bare_concept()]);
    // Both spellings are common in the wild: the code itself, and a reference to the formulary.
    let request = if chart.draw.chance(60) {
        request.field("medicationCodeableConcept", drug.code.concept())
    } else {
        let medication = address(Kind::Medication, drug.id);
        request.field("medicationReference", named_reference(&medication, drug.code.display))
    };
    let request = request
        .field("subject", chart.person.reference())
        .maybe("encounter", visit.map(Visit::reference))
        .field("authoredOn", written.date_time(chart.zone()))
        .field("requester", requester)
        .list("reasonReference", reason.map(Problem::reference))
        .list("dosageInstruction", [dosage(drug, chart)])
        .field("dispenseRequest", dispense(drug, written, chart));
    chart.put(Kind::MedicationRequest, request)?;
    Ok(request_address)
}

fn dosage(drug: &Drug, chart: &mut Chart) -> Object {
    let day = loosely_written(Decimal::whole(1), &mut chart.draw);
    let repeat = Object::new().field("frequency", drug.times_a_day).field("period", day).field("periodUnit", "d");
    let dose = Object::new()
        .field("type", ORDERED.bare_concept())
        .field("doseQuantity", quantity(Decimal::whole(1), "tablet", "{tbl}"));
    Object::new()
        .field("sequence", 1_u32)
        .field("text", drug.instruction)
        .field("timing", Object::new().field("repeat", repeat))
        .field("asNeededBoolean", drug.as_needed)
        .field("route", ORAL.concept())
        .list("doseAndRate", [dose])
}

fn dispense(drug: &Drug, written: Moment, chart: &mut Chart) -> Object {
    let days = *chart.draw.pick(&table![30_u32, 90, 14]);
    let tablets = Decimal::whole(i64::from(days * drug.times_a_day));
    let valid_until = written.plus(365 * DAY);
    Object::new()
        .field("validityPeriod", period(written, Some(valid_until), chart.zone()))
        .field("numberOfRepeatsAllowed", chart.draw.below(4))
        .field("quantity", quantity(loosely_written(tablets, &mut chart.draw), "tablet", "{tbl}"))
        .field("expectedSupplyDuration", quantity(Decimal::whole(i64::from(days)), "days", "d"))
}

static COMMUNITY: Code = hl7("medicationrequest-category", "community", "Community");
static INPATIENT: Code = hl7("medicationrequest-category", "inpatient", "Inpatient");
static OUTPATIENT: Code = hl7("medicationrequest-category", "outpatient", "Outpatient");
static ORDERED: Code = hl7("dose-rate-type", "ordered", "Ordered");
static ORAL: Code = snomed("26643006", "Oral route");

static FOR_YEARS: Table<Drug> = table![
    Drug {
        id: "med-lisinopril-10",
        code: rxnorm("314076", "lisinopril 10 MG Oral Tablet"),
        instruction: "1 tablet each morning",
        times_a_day: 1,
        as_needed: false,
    },
    Drug {
        id: "med-hydrochlorothiazide-25",
        code: rxnorm("310798", "Hydrochlorothiazide 25 MG Oral Tablet"),
        instruction: "1 tablet each morning; \"water tablet\"",
        times_a_day: 1,
        as_needed: false,
    },
    Drug {
        id: "med-simvastatin-20",
        code: rxnorm("312961", "Simvastatin 20 MG Oral Tablet"),
        instruction: "1 tablet at bedtime",
        times_a_day: 1,
        as_needed: false,
    },
    Drug {
        id: "med-metformin-500",
        code: rxnorm("860975", "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet"),
        instruction: "1 tablet twice a day\nwith breakfast and supper",
        times_a_day: 2,
        as_needed: false,
    },
    Drug {
        id: "med-aspirin-81",
        code: rxnorm("243670", "Aspirin 81 MG Oral Tablet"),
        instruction: "1 tablet a day",
        times_a_day: 1,
        as_needed: false,
    },
    Drug {
        id: "med-ferrous-sulfate-325",
        code: rxnorm("310325", "ferrous sulfate 325 MG Oral Tablet"),
        instruction: "1 tablet a day, not with tea",
        times_a_day: 1,
        as_needed: false,
    },
];

static FOR_DAYS: Table<Drug> = table![
    Drug {
        id: "med-acetaminophen-325",
        code: rxnorm("313782", "Acetaminophen 325 MG Oral Tablet"),
        instruction: "1 tablet every 6 hours when needed, no more than 4 a day",
        times_a_day: 4,
        as_needed: true,
    },
    Drug {
        id: "med-ibuprofen-200",
        code: rxnorm("310965", "Ibuprofen 200 MG Oral Tablet"),
        instruction: "1 tablet every 8 hours when needed, with food",
        times_a_day: 3,
        as_needed: true,
    },
    Drug {
        id: "med-penicillin-v-500",
        code: rxnorm("834102", "Penicillin V Potassium 500 MG Oral Tablet"),
        instruction: "1 tablet every 6 hours for 10 days",
        times_a_day: 4,
        as_needed: false,
    },
    Drug {
        id: "med-naproxen-220",
        code: rxnorm("849574", "Naproxen sodium 220 MG Oral Tablet"),
        instruction: "1 tablet every 12 hours when needed",
        times_a_day: 2,
        as_needed: true,
    },
    Drug {
        id: "med-fexofenadine-30",
        code: rxnorm("997488", "Fexofenadine hydrochloride 30 MG Oral Tablet"),
        instruction: "½ – 1 tablet twice a day in the season",
        times_a_day: 2,
        as_needed: false,
    },
];

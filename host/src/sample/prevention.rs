//! What to keep the patient from, and against what: allergies and immunizations.

use super::calendar::YEAR;
use super::chart::Chart;
use super::codes::{Code, cvx, hl7, rxnorm, snomed};
use super::elements::{loosely_written, quantity, reference};
use super::json::{Decimal, Object};
use super::output::Kind;
use super::random::{Table, table};

/// Writes the allergies, or that none are known; some charts say nothing.
pub(super) fn write_allergies(chart: &mut Chart) -> anyhow::Result<()> {
    if chart.draw.chance(30) {
        return write_no_known_allergy(chart);
    }
    let count = chart.draw.below(3);
    for allergen in chart.draw.pick_several(&ALLERGENS, count) {
        let recorded = chart.moment();
        let (_, allergy) = chart.begin(Kind::AllergyIntolerance, recorded);
        let manifestations = 1 + chart.draw.below(2);
        let manifestations = chart.draw.pick_several(&REACTIONS, manifestations);
        let reaction = Object::new()
            .list("manifestation", manifestations.into_iter().map(Code::concept))
            .field("severity", chart.draw.word(&table!["mild", "moderate", "severe"]));
        let allergy = allergy
            .field("clinicalStatus", ACTIVE.bare_concept())
            .field("verificationStatus", CONFIRMED.bare_concept())
            .field("type", "allergy")
            .list("category", [allergen.category])
            .field("criticality", chart.draw.word(&table!["low", "high", "unable-to-assess"]))
            .field("code", allergen.code.concept())
            .field("patient", chart.person.reference())
            .field("recordedDate", recorded.date_time(chart.zone()))
            .list("reaction", [reaction]);
        chart.put(Kind::AllergyIntolerance, allergy)?;
    }
    Ok(())
}

/// Writes the immunizations. A few were refused.
pub(super) fn write_immunizations(chart: &mut Chart) -> anyhow::Result<()> {
    let table = if chart.person.is_adult() { &VACCINES_OF_ADULTS } else { &VACCINES_OF_CHILDREN };
    let count = 2 + chart.draw.below(3);
    for vaccine in chart.draw.pick_several(table, count) {
        let given = chart.moment();
        let (_, immunization) = chart.begin(Kind::Immunization, given);
        let immunization = match chart.draw.below(100) {
            0..5 => immunization.field("status", "not-done").field("statusReason", OBJECTION.concept()),
            _ => immunization.field("status", "completed"),
        };
        let immunization = immunization
            .field("vaccineCode", vaccine.concept())
            .field("patient", chart.person.reference())
            .field("occurrenceDateTime", given.date_time(chart.zone()));
        let immunization = if chart.draw.chance(75) {
            given_here(immunization, chart)
        } else {
            immunization.field("primarySource", false).field("reportOrigin", FROM_RECORD.concept())
        };
        chart.put(Kind::Immunization, immunization)?;
    }
    Ok(())
}

fn write_no_known_allergy(chart: &mut Chart) -> anyhow::Result<()> {
    let recorded = chart.moment();
    let (_, allergy) = chart.begin(Kind::AllergyIntolerance, recorded);
    let allergy = allergy
        .field("clinicalStatus", ACTIVE.bare_concept())
        .field("verificationStatus", CONFIRMED.bare_concept())
        .field("code", NO_KNOWN_ALLERGY.concept())
        .field("patient", chart.person.reference())
        .field("recordedDate", recorded.date(chart.zone()));
    chart.put(Kind::AllergyIntolerance, allergy)
}

/// What is known of a vaccination in one's own house.
fn given_here(immunization: Object, chart: &mut Chart) -> Object {
    let dose = loosely_written(Decimal { units: 5, scale: 1 }, &mut chart.draw);
    let expiration = chart.person.record_end.plus(chart.draw.between(0, YEAR));
    let performer =
        Object::new().field("function", ADMINISTERING.bare_concept()).field("actor", chart.clinician().reference());
    immunization
        .field("primarySource", true)
        .field("location", reference(&chart.person.site.location()))
        .field("lotNumber", format!("LOT-{:04}", chart.draw.below(10_000)))
        .field("expirationDate", expiration.date(chart.zone()))
        .field("site", LEFT_ARM.concept())
        .field("route", INTRAMUSCULAR.concept())
        .field("doseQuantity", quantity(dose, "mL", "mL"))
        .list("performer", [performer])
        .list("protocolApplied", [Object::new().field("doseNumberPositiveInt", 1 + chart.draw.below(3))])
}

struct Allergen {
    code: Code,
    category: &'static str,
}

const ACTIVE: Code = hl7("allergyintolerance-clinical", "active", "Active");
const CONFIRMED: Code = hl7("allergyintolerance-verification", "confirmed", "Confirmed");

static NO_KNOWN_ALLERGY: Code = snomed("716186003", "No known allergy");
static OBJECTION: Code = hl7("v3-ActReason", "PATOBJ", "patient objection");
static FROM_RECORD: Code = hl7("immunization-origin", "record", "Written Record");
static LEFT_ARM: Code = hl7("v3-ActSite", "LA", "left arm");
static INTRAMUSCULAR: Code = hl7("v3-RouteOfAdministration", "IM", "Injection, intramuscular");
static ADMINISTERING: Code = hl7("v2-0443", "AP", "Administering Provider");

static ALLERGENS: Table<Allergen> = table![
    Allergen { code: rxnorm("1191", "Aspirin"), category: "medication" },
    Allergen { code: rxnorm("7980", "penicillin G"), category: "medication" },
    Allergen { code: rxnorm("10831", "Sulfamethoxazole / Trimethoprim"), category: "medication" },
    Allergen { code: snomed("102263004", "Eggs (edible)"), category: "food" },
    Allergen { code: snomed("442571000124108", "Tree nut"), category: "food" },
    Allergen { code: snomed("111088007", "Latex"), category: "environment" },
    Allergen { code: snomed("264287008", "Animal dander"), category: "environment" },
    Allergen { code: snomed("260147004", "House dust mite"), category: "environment" },
    Allergen { code: snomed("782576004", "Tree pollen"), category: "environment" },
    Allergen { code: snomed("288328004", "Bee venom"), category: "environment" },
];

static REACTIONS: Table<Code> = table![
    snomed("247472004", "Wheal"),
    snomed("271807003", "Eruption of skin"),
    snomed("39579001", "Anaphylaxis"),
    snomed("267036007", "Dyspnea"),
    snomed("418290006", "Itching"),
    snomed("267101005", "Nose running"),
    snomed("878820003", "Rhinoconjunctivitis"),
];

static VACCINES_OF_ADULTS: Table<Code> = table![
    cvx("140", "Influenza, seasonal, injectable, preservative free"),
    cvx("113", "Td (adult), 5 Lf tetanus toxoid, preservative free, adsorbed"),
    cvx("115", "Tdap"),
    cvx("33", "pneumococcal polysaccharide vaccine, 23 valent"),
    cvx("187", "zoster recombinant"),
    cvx("43", "Hep B, adult"),
    cvx("52", "Hep A, adult"),
];

static VACCINES_OF_CHILDREN: Table<Code> = table![
    cvx("03", "MMR"),
    cvx("10", "IPV"),
    cvx("20", "DTaP"),
    cvx("21", "varicella"),
    cvx("83", "Hep A, ped/adol, 2 dose"),
    cvx("114", "meningococcal MCV4P"),
    cvx("140", "Influenza, seasonal, injectable, preservative free"),
];

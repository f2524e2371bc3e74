//! Vital signs and the smoking status.

use super::calendar::{MINUTE, Moment};
use super::chart::{Chart, Person};
use super::codes::{Code, loinc, snomed};
use super::json::Object;
use super::observations::{Measure, NOT_PERFORMED, SOCIAL_HISTORY, Spread, VITAL_SIGNS, begin_observation};
use super::output::Kind;
use super::random::{Table, table};
use super::visits::Visit;

/// Writes the vital signs taken at a visit and returns their addresses.
pub(super) fn write_vital_signs(chart: &mut Chart, visit: &Visit) -> anyhow::Result<Vec<String>> {
    let taken = visit.start.plus(chart.draw.between(1, 6) * MINUTE);
    let mut made = vec![write_blood_pressure(chart, visit, taken)?];
    for sign in chart.draw.pick_several(&AT_A_GLANCE, 2) {
        let units = sign.drawn(chart);
        made.push(write_measured(chart, visit, taken, &sign.measure, Some(units))?);
    }
    if chart.draw.chance(40) {
        let (height, weight) = size(&chart.person, taken);
        let weight = weight + chart.draw.between(-20, 20);
        // Kilograms over square metres, both known in tenths of something: hence the powers of ten.
        let index = weight * 10_000_000 / (height * height);
        // A clinician who could not weigh the patient says so, and works out no index.
        let is_weighed = chart.draw.chance(92);
        made.push(write_measured(chart, visit, taken, &HEIGHT, Some(height))?);
        made.push(write_measured(chart, visit, taken, &WEIGHT, is_weighed.then_some(weight))?);
        if is_weighed {
            made.push(write_measured(chart, visit, taken, &BODY_MASS_INDEX, Some(index))?);
        }
    }
    Ok(made)
}

/// Writes whether the patient smokes, and returns the observation's address.
pub(super) fn write_smoking_status(chart: &mut Chart, visit: &Visit) -> anyhow::Result<String> {
    let (address, observation) = begin_observation(chart, visit, visit.start, &SOCIAL_HISTORY, &SMOKING_STATUS);
    let status = chart.draw.pick(&SMOKING_STATUSES);
    chart.put(Kind::Observation, observation.field("valueCodeableConcept", status.concept()))?;
    Ok(address)
}

fn write_blood_pressure(chart: &mut Chart, visit: &Visit, taken: Moment) -> anyhow::Result<String> {
    let (address, panel) = begin_observation(chart, visit, taken, &VITAL_SIGNS, &BLOOD_PRESSURE);
    let systolic = SYSTOLIC.drawn(chart);
    let diastolic = systolic - chart.draw.between(35, 55);
    let components = [(&SYSTOLIC.measure, systolic), (&DIASTOLIC, diastolic)]
        .map(|(measure, units)| component(measure, units, chart));
    chart.put(Kind::Observation, panel.list("component", components))?;
    Ok(address)
}

fn component(measure: &Measure, units: i64, chart: &mut Chart) -> Object {
    measure.report(Object::new().field("code", measure.code.concept()), units, chart)
}

fn write_measured(
    chart: &mut Chart,
    visit: &Visit,
    taken: Moment,
    measure: &Measure,
    units: Option<i64>,
) -> anyhow::Result<String> {
    let (address, observation) = begin_observation(chart, visit, taken, &VITAL_SIGNS, &measure.code);
    let observation = match units {
        Some(units) => measure.report(observation, units, chart),
        None => observation.field("dataAbsentReason", NOT_PERFORMED.concept()),
    };
    chart.put(Kind::Observation, observation)?;
    Ok(address)
}

/// Height in millimetres and weight in hectograms at that moment: those of a grown-up, or a share of them by age.
fn size(person: &Person, at: Moment) -> (i64, i64) {
    let age = person.age(at).clamp(0, 18);
    let height = person.adult_height * (40 + age * 60 / 18) / 100;
    let weight = person.adult_weight * (10 + age * age * 90 / (18 * 18)) / 100;
    (height, weight)
}

static BLOOD_PRESSURE: Code = loinc("85354-9", "Blood pressure panel with all children optional");

static SYSTOLIC: Spread = Spread {
    measure: millimetres_of_mercury(loinc("8480-6", "Systolic blood pressure"), (90, 130)),
    values: (94, 168),
};

static DIASTOLIC: Measure = millimetres_of_mercury(loinc("8462-4", "Diastolic blood pressure"), (60, 80));

static AT_A_GLANCE: Table<Spread> = table![
    Spread { measure: per_minute(loinc("8867-4", "Heart rate"), "beats/minute", (60, 100)), values: (48, 128) },
    Spread { measure: per_minute(loinc("9279-1", "Respiratory rate"), "breaths/minute", (12, 20)), values: (10, 24) },
    Spread {
        measure: Measure {
            code: loinc("8310-5", "Body temperature"),
            unit: "°C",
            ucum: "Cel",
            scale: 1,
            normal: Some((360, 375)),
        },
        values: (358, 396),
    },
    Spread {
        measure: Measure {
            code: loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
            unit: "%",
            ucum: "%",
            scale: 0,
            normal: Some((95, 100)),
        },
        values: (88, 100),
    },
];

static HEIGHT: Measure =
    Measure { code: loinc("8302-2", "Body height"), unit: "cm", ucum: "cm", scale: 1, normal: None };

static WEIGHT: Measure =
    Measure { code: loinc("29463-7", "Body weight"), unit: "kg", ucum: "kg", scale: 1, normal: None };

static BODY_MASS_INDEX: Measure = Measure {
    code: loinc("39156-5", "Body mass index (BMI) [Ratio]"),
    unit: "kg/m2",
    ucum: "kg/m2",
    scale: 2,
    normal: None,
};

const fn millimetres_of_mercury(code: Code, normal: (i64, i64)) -> Measure {
    Measure { code, unit: "mmHg", ucum: "mm[Hg]", scale: 0, normal: Some(normal) }
}

const fn per_minute(code: Code, unit: &'static str, normal: (i64, i64)) -> Measure {
    Measure { code, unit, ucum: "/min", scale: 0, normal: Some(normal) }
}

static SMOKING_STATUS: Code = loinc("72166-2", "Tobacco smoking status");

static SMOKING_STATUSES: Table<Code> = table![
    snomed("266919005", "Never smoked tobacco"),
    snomed("8517006", "Ex-smoker"),
    snomed("449868002", "Smokes tobacco daily"),
    snomed("428041000124106", "Occasional tobacco smoker"),
];

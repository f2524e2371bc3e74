//! What all observations have in common.

use super::calendar::Moment;
use super::chart::Chart;
use super::codes::{Code, hl7};
use super::elements::{loosely_written, quantity};
use super::json::{Decimal, Object};
use super::output::Kind;
use super::visits::Visit;

/// An observation made at a visit, complete but for its value: its address, and the resource.
pub(super) fn begin_observation(
    chart: &mut Chart,
    visit: &Visit,
    observed: Moment,
    category: &Code,
    code: &Code,
) -> (String, Object) {
    let (address, observation) = chart.begin(Kind::Observation, visit.end);
    let observation = observation
        .field("status", if chart.draw.chance(95) { "final" } else { "amended" })
        .list("category", [category.bare_concept()])
        .field("code", code.concept())
        .field("subject", chart.person.reference())
        .field("encounter", visit.reference())
        .field("effectiveDateTime", observed.date_time(chart.zone()))
        .list("performer", [visit.clinician.reference()]);
    (address, observation)
}

/// Something that is measured in a unit.
pub(super) struct Measure {
    pub(super) code: Code,
    pub(super) unit: &'static str,
    pub(super) ucum: &'static str,
    /// How many digits of a number stand behind the point.
    pub(super) scale: usize,
    /// What is normal, if that can be said.
    pub(super) normal: Option<(i64, i64)>,
}

impl Measure {
    /// Adds to an observation, or to a component, its value and what that means.
    pub(super) fn report(&self, observation: Object, units: i64, chart: &mut Chart) -> Object {
        let value = loosely_written(self.decimal(units), &mut chart.draw);
        let observation = observation.field("valueQuantity", quantity(value, self.unit, self.ucum));
        let Some((low, high)) = self.normal else {
            return observation;
        };
        let interpretation = match units {
            _ if units < low => &LOW,
            _ if units > high => &HIGH,
            _ => &NORMAL,
        };
        let range = Object::new()
            .field("low", quantity(self.decimal(low), self.unit, self.ucum))
            .field("high", quantity(self.decimal(high), self.unit, self.ucum));
        observation.list("interpretation", [interpretation.bare_concept()]).list("referenceRange", [range])
    }

    /// Adds to an observation that its value is above what can be told.
    pub(super) fn report_above(&self, observation: Object, units: i64) -> Object {
        let value = quantity(self.decimal(units), self.unit, self.ucum).field("comparator", ">");
        observation.field("valueQuantity", value)
    }

    const fn decimal(&self, units: i64) -> Decimal {
        Decimal { units, scale: self.scale }
    }
}

/// A measure, and from what to what its values are drawn.
pub(super) struct Spread {
    pub(super) measure: Measure,
    pub(super) values: (i64, i64),
}

impl Spread {
    pub(super) fn drawn(&self, chart: &mut Chart) -> i64 {
        chart.draw.between(self.values.0, self.values.1)
    }
}

pub(super) static VITAL_SIGNS: Code = hl7("observation-category", "vital-signs", "Vital Signs");
pub(super) static LABORATORY: Code = hl7("observation-category", "laboratory", "Laboratory");
pub(super) static SOCIAL_HISTORY: Code = hl7("observation-category", "social-history", "Social History");
/// Why there is no value.
pub(super) static NOT_PERFORMED: Code = hl7("data-absent-reason", "not-performed", "Not Performed");

static LOW: Code = hl7("v3-ObservationInterpretation", "L", "Low");
static HIGH: Code = hl7("v3-ObservationInterpretation", "H", "High");
static NORMAL: Code = hl7("v3-ObservationInterpretation", "N", "Normal");

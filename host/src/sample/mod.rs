//! Made-up patient records: FHIR R4 (4.0.1) as NDJSON, the same bytes for the same number of patients and the same seed.
//!
//! The set has a directory that depends on the seed alone (organizations, locations, clinicians, medications), one chart
//! per patient that depends on the seed and the patient's number alone, and three groups. A larger set therefore begins
//! with the smaller one, byte for byte, in every file but `Group.ndjson`. Arithmetic is on integers throughout, and lines
//! are written as they are made: memory does not grow with the number of patients.
//!
//! The content is meant to be awkward where FHIR allows it: letters of many scripts, quotes, line breaks and emoji in
//! names, decimals with trailing zeros, partial dates, instants in many zones and precisions, attachments inline and
//! behind a `Binary`.

mod calendar;
mod chart;
mod codes;
mod conditions;
mod devices;
mod directory;
mod documents;
mod elements;
mod groups;
mod json;
mod laboratory;
mod medications;
mod names;
mod observations;
mod output;
mod people;
mod planning;
mod prevention;
mod procedures;
mod random;
mod visits;
mod vitals;

use std::collections::BTreeMap;
use std::path::Path;

use self::output::Output;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleOptions {
    /// How many patients.
    pub patients: u32,
    /// What everything drawn depends on.
    pub seed: u64,
}

/// What was made: per type, how many resources, in name order.
pub type SampleReport = BTreeMap<&'static str, u64>;

/// Writes one NDJSON file per resource type into `out`.
///
/// The folder is created if absent. One that already holds NDJSON is refused, since two sets in one folder would be
/// neither.
pub fn write(options: &SampleOptions, out: &Path) -> anyhow::Result<SampleReport> {
    let mut output = Output::into_folder(out)?;
    directory::write(options.seed, &mut output)?;
    for number in 1..=options.patients {
        chart::write(options.seed, number, &mut output)?;
    }
    groups::write(options, &mut output)?;
    output.finish()
}

#[cfg(test)]
mod tests;

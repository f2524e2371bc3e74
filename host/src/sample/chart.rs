//! One patient's chart: who it is about, and everything written for that patient.

use std::collections::BTreeMap;

use super::calendar::{DAY, HOUR, Moment, SECOND, YEAR, Zone};
use super::directory::{Clinician, SITES, Site};
use super::elements::{LAST_UPDATE, address, named_reference, resource};
use super::json::Object;
use super::names::Name;
use super::output::{Kind, Output};
use super::random::{Draw, Subject};
use super::{conditions, devices, medications, people, planning, prevention, visits};

/// Writes all that there is about one patient.
pub(super) fn write(seed: u64, number: u32, output: &mut Output) -> anyhow::Result<()> {
    let mut chart = Chart::open(seed, number, output);
    people::write_patient(&mut chart)?;
    let guardian = people::write_relative(&mut chart)?;
    people::write_coverage(&mut chart, guardian.as_deref())?;
    let problems = conditions::write_problems(&mut chart)?;
    prevention::write_allergies(&mut chart)?;
    prevention::write_immunizations(&mut chart)?;
    medications::write_long_term(&mut chart)?;
    devices::write(&mut chart)?;
    planning::write(&mut chart, &problems, guardian.as_deref())?;
    visits::write_all(&mut chart, &problems)
}

/// A chart under way.
pub(super) struct Chart<'o> {
    pub(super) person: Person,
    pub(super) draw: Draw,
    seed: u64,
    output: &'o mut Output,
    made: BTreeMap<Kind, u32>,
}

impl<'o> Chart<'o> {
    fn open(seed: u64, number: u32, output: &'o mut Output) -> Self {
        let mut draw = Draw::new(seed, Subject::Chart, number);
        let person = Person::drawn(number, &mut draw);
        Self { person, draw, seed, output, made: BTreeMap::new() }
    }

    /// Begins a resource about something that happened at that moment: its address, and its first fields.
    pub(super) fn begin(&mut self, kind: Kind, happened: Moment) -> (String, Object) {
        let count = self.made.entry(kind).or_default();
        *count += 1;
        let id = format!("{}-{}-{count:02}", kind.prefix(), self.person.number);
        (address(kind, &id), resource(kind, &id, happened, &mut self.draw))
    }

    /// Begins the patient's own resource.
    pub(super) fn begin_patient(&mut self, happened: Moment) -> Object {
        resource(Kind::Patient, &patient_id(&self.person.number), happened, &mut self.draw)
    }

    /// Writes a resource that is complete.
    pub(super) fn put(&mut self, kind: Kind, resource: Object) -> anyhow::Result<()> {
        self.output.resource(kind, resource)
    }

    /// One of the clinicians where the patient is seen.
    pub(super) fn clinician(&mut self) -> Clinician {
        self.person.site.clinician(self.seed, &mut self.draw)
    }

    /// A moment within the time that the chart covers, at an hour when people see their doctor, and long enough before
    /// the end for whatever it begins.
    pub(super) fn moment(&mut self) -> Moment {
        let latest = self.person.record_end.plus(-LONGEST_VISIT);
        let day = Moment::between(self.person.record_start, latest, &mut self.draw);
        day.local_midnight(self.zone()).plus(self.draw.between(8 * HOUR / SECOND, 17 * HOUR / SECOND) * SECOND)
    }

    /// The last time that something changed in what is kept up to date about the patient: the death, or any moment.
    pub(super) fn last_change(&mut self) -> Moment {
        let moment = self.moment();
        self.person.death.unwrap_or(moment)
    }

    /// The zone in which the patient's dates are written.
    pub(super) fn zone(&self) -> &'static Zone {
        &self.person.site.zone
    }
}

/// Who the chart is about.
pub(super) struct Person {
    /// The patient's number as it stands in ids.
    pub(super) number: String,
    pub(super) gender: &'static str,
    pub(super) name: Name,
    pub(super) birth: Moment,
    pub(super) death: Option<Moment>,
    /// From when to when things happen to the patient that the chart tells of.
    pub(super) record_start: Moment,
    pub(super) record_end: Moment,
    pub(super) site: &'static Site,
    /// How tall the patient is or will be, in millimetres.
    pub(super) adult_height: i64,
    /// What the patient weighs or will weigh, in hectograms.
    pub(super) adult_weight: i64,
}

impl Person {
    /// The patient's address.
    pub(super) fn address(&self) -> String {
        patient_address(&self.number)
    }

    /// A Reference to the patient.
    pub(super) fn reference(&self) -> Object {
        named_reference(&self.address(), &self.name.display())
    }

    /// Age in years.
    pub(super) fn age(&self, at: Moment) -> i64 {
        at.since(self.birth) / YEAR
    }

    /// Whether the patient is grown up by the end of the chart.
    pub(super) fn is_adult(&self) -> bool {
        self.age(self.record_end) >= 18
    }

    fn drawn(number: u32, draw: &mut Draw) -> Self {
        let gender = match draw.below(100) {
            0..49 => "female",
            49..97 => "male",
            97..99 => "other",
            _ => "unknown",
        };
        let name = Name::drawn_in_full(gender, draw);
        let birth = Moment::between(EARLIEST_BIRTH, LATEST_BIRTH, draw);
        let died = birth < BORN_EARLY_ENOUGH_TO_DIE && draw.chance(20);
        let death = died.then(|| Moment::between(EARLIEST_DEATH, LATEST_EVENT, draw));
        Self {
            number: padded(number),
            gender,
            name,
            birth,
            death,
            record_start: birth.plus(14 * DAY).max(EARLIEST_EVENT),
            record_end: death.unwrap_or(LATEST_EVENT),
            site: draw.pick(&SITES),
            adult_height: draw.between(1_520, 1_930),
            adult_weight: draw.between(500, 1_150),
        }
    }
}

/// A patient's address, by the number in its ids.
pub(super) fn patient_address(number: &str) -> String {
    address(Kind::Patient, &patient_id(number))
}

/// A patient's number as it stands in ids.
pub(super) fn padded(number: u32) -> String {
    format!("{number:06}")
}

fn patient_id(number: &str) -> String {
    format!("{}-{number}", Kind::Patient.prefix())
}

/// Until two days after its start at the latest hour.
const LONGEST_VISIT: i64 = 3 * DAY;
const EARLIEST_BIRTH: Moment = Moment::midnight(1931, 1, 1);
const LATEST_BIRTH: Moment = Moment::midnight(2025, 3, 1);
const BORN_EARLY_ENOUGH_TO_DIE: Moment = Moment::midnight(1958, 1, 1);
const EARLIEST_DEATH: Moment = Moment::midnight(2022, 1, 1);
const EARLIEST_EVENT: Moment = Moment::midnight(2019, 1, 3);
/// Early enough that what is stamped after the last event is still within the stamps' range.
const LATEST_EVENT: Moment = LAST_UPDATE.plus(-10 * DAY);

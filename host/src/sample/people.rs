//! The patient, a relative of the patient, and the insurance.

use super::calendar::{DAY, YEAR};
use super::chart::Chart;
use super::codes::{Code, cdc_race, hl7};
use super::directory::INSURERS;
use super::elements::{coding, fictitious_phone, identifier, named_reference, narrative, period, reference};
use super::json::Object;
use super::output::Kind;
use super::random::{Table, table};

/// Writes the Patient.
pub(super) fn write_patient(chart: &mut Chart) -> anyhow::Result<()> {
    let zone = chart.zone();
    let changed = chart.last_change();
    let patient = chart.begin_patient(changed);
    let address = home(chart);
    let phone = fictitious_phone(chart.person.site.area, "home", &mut chart.draw);
    let race = cdc_extension("race", chart.draw.pick(&RACES));
    let ethnicity = cdc_extension("ethnicity", chart.draw.pick(&ETHNICITIES));
    let marital_status = chart.person.is_adult().then(|| chart.draw.pick(&MARITAL_STATUSES).concept());
    let is_second_twin = chart.draw.chance(3);
    let has_birth_time = chart.draw.chance(15);
    let clinician = chart.clinician();

    let person = &chart.person;
    let birth_time = extension(BIRTH_TIME).field("valueDateTime", person.birth.date_time(zone));
    let birth_sex = match person.gender {
        "female" => "F",
        "male" => "M",
        _ => "UNK",
    };
    let patient = patient
        .field("text", narrative(&format!("{}, born in {}", person.name.display(), person.birth.year(zone))))
        .list("extension", [race, ethnicity, extension(BIRTH_SEX).field("valueCode", birth_sex)])
        .list("identifier", [record_number(&person.number)])
        .field("active", person.death.is_none())
        .list("name", person.name.human_names(None))
        .list("telecom", [phone, email(&person.number)])
        .field("gender", person.gender)
        .field("birthDate", person.birth.date(zone))
        .maybe("_birthDate", has_birth_time.then(|| Object::new().list("extension", [birth_time])))
        .maybe("deceasedDateTime", person.death.map(|death| death.date_time(zone)))
        .list("address", [address])
        .maybe("maritalStatus", marital_status)
        .maybe("multipleBirthInteger", is_second_twin.then_some(2_u32))
        .list("communication", [speaks(&person.site.language)])
        .list("generalPractitioner", [clinician.reference()])
        .field("managingOrganization", named_reference(&person.site.organization(), person.site.name));
    chart.put(Kind::Patient, patient)
}

/// Writes a RelatedPerson if there is one: a parent of most children, a partner of some adults. Returns its address.
pub(super) fn write_relative(chart: &mut Chart) -> anyhow::Result<Option<String>> {
    let is_adult = chart.person.is_adult();
    if !chart.draw.chance(if is_adult { 25 } else { 90 }) {
        return Ok(None);
    }
    let changed = chart.last_change();
    let (relative, resource) = chart.begin(Kind::RelatedPerson, changed);
    let gender = if chart.draw.chance(50) { "female" } else { "male" };
    let relationship = match (is_adult, gender) {
        (true, _) => &PARTNER,
        (false, "female") => &MOTHER,
        (false, _) => &FATHER,
    };
    let name = chart.person.name.relative(gender, &mut chart.draw);
    let phone = fictitious_phone(chart.person.site.area, "mobile", &mut chart.draw);
    let resource = resource
        .field("active", true)
        .field("patient", chart.person.reference())
        .list("relationship", [relationship.concept()])
        .list("name", name.human_names(None))
        .list("telecom", [phone])
        .field("gender", gender);
    chart.put(Kind::RelatedPerson, resource)?;
    Ok(Some(relative))
}

/// Writes the Coverage. A child is covered through its parent.
pub(super) fn write_coverage(chart: &mut Chart, relative: Option<&str>) -> anyhow::Result<()> {
    let changed = chart.last_change();
    let (_, coverage) = chart.begin(Kind::Coverage, changed);
    let insurer = chart.draw.pick(&INSURERS);
    let patient = chart.person.address();
    let (subscriber, relationship) = match relative {
        Some(parent) if !chart.person.is_adult() => (parent, &CHILD),
        _ => (patient.as_str(), &SELF),
    };
    let start = chart.person.record_start.plus(-chart.draw.between(0, 4 * YEAR)).max(chart.person.birth);
    let end = chart.person.death.map(|death| death.plus(DAY));
    let group = format!("GRP-{:03}", chart.draw.below(1_000));
    let class =
        Object::new().field("type", GROUP.concept()).field("value", group).field("name", "Employees & families");
    let coverage = coverage
        .field("status", if end.is_some() { "cancelled" } else { "active" })
        .field("type", insurer.plan.concept())
        .field("subscriber", reference(subscriber))
        .field("subscriberId", format!("SUB-{}", chart.person.number))
        .field("beneficiary", chart.person.reference())
        .field("relationship", relationship.concept())
        .field("period", period(start, end, chart.zone()))
        .list("payor", [named_reference(&insurer.address(), insurer.name)])
        .list("class", [class])
        .field("order", 1_u32);
    chart.put(Kind::Coverage, coverage)
}

fn home(chart: &mut Chart) -> Object {
    let site = chart.person.site;
    let line = format!("{} {}", 1 + chart.draw.below(999), chart.draw.word(&STREETS));
    let text = format!("{line}\n{}, {} {}", site.city, site.state, site.postal_code);
    Object::new()
        .field("use", "home")
        .field("text", text)
        .list("line", [line])
        .field("city", site.city)
        .field("state", site.state)
        .field("postalCode", site.postal_code)
        .field("country", site.country)
}

fn record_number(number: &str) -> Object {
    Object::new().field("use", "usual").field("type", RECORD_NUMBER.concept()).and(identifier("mrn", number))
}

fn email(number: &str) -> Object {
    Object::new().field("system", "email").field("value", format!("patient-{number}@example.org"))
}

fn speaks(language: &Code) -> Object {
    Object::new().field("language", language.concept()).field("preferred", true)
}

fn cdc_extension(what: &str, category: &Code) -> Object {
    let category_extension = extension("ombCategory").field("valueCoding", coding(category));
    let text_extension = extension("text").field("valueString", category.display);
    let url = format!("http://hl7.org/fhir/us/core/StructureDefinition/us-core-{what}");
    Object::new().list("extension", [category_extension, text_extension]).field("url", url)
}

fn extension(url: &str) -> Object {
    Object::new().field("url", url)
}

const BIRTH_SEX: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex";
const BIRTH_TIME: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthTime";

static RECORD_NUMBER: Code = hl7("v2-0203", "MR", "Medical record number");
static GROUP: Code = hl7("coverage-class", "group", "Group");
static SELF: Code = hl7("subscriber-relationship", "self", "Self");
static CHILD: Code = hl7("subscriber-relationship", "child", "Child");
static PARTNER: Code = hl7("v3-RoleCode", "DOMPART", "domestic partner");
static MOTHER: Code = hl7("v3-RoleCode", "MTH", "mother");
static FATHER: Code = hl7("v3-RoleCode", "FTH", "father");

static MARITAL_STATUSES: Table<Code> = table![
    hl7("v3-MaritalStatus", "M", "Married"),
    hl7("v3-MaritalStatus", "S", "Never Married"),
    hl7("v3-MaritalStatus", "D", "Divorced"),
    hl7("v3-MaritalStatus", "W", "Widowed"),
];

static RACES: Table<Code> = table![
    cdc_race("2106-3", "White"),
    cdc_race("2054-5", "Black or African American"),
    cdc_race("2028-9", "Asian"),
    cdc_race("1002-5", "American Indian or Alaska Native"),
    cdc_race("2076-8", "Native Hawaiian or Other Pacific Islander"),
];

static ETHNICITIES: Table<Code> =
    table![cdc_race("2186-5", "Not Hispanic or Latino"), cdc_race("2135-2", "Hispanic or Latino")];

static STREETS: Table<&str> = table![
    "Elm Street",
    "Rue de l’Église, app. nº 4",
    "Ala Moana Boulevard",
    "Calle del Año Viejo",
    "\"The Old Mill\", Mill Lane",
    "Unit 4\\B, Dock Road",
    "Größenstraße",
    "Peak View, Trailer #7",
];

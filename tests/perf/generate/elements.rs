//! Data types of FHIR, as the resources here use them, and the codes in them.

use crate::{
    random::{Random, instant, prose},
    write::Value::{self, List, Number, Object, Text},
};

pub(crate) fn text(x: impl Into<String>) -> Value {
    Text(x.into())
}
pub(crate) fn coding(sys: &str, code: &str, disp: &str) -> Value {
    Object(vec![("system", text(sys)), ("code", text(code)), ("display", text(disp))])
}
pub(crate) fn concept(sys: &str, code: &str, disp: &str) -> Value {
    Object(vec![("coding", List(vec![coding(sys, code, disp)])), ("text", text(disp))])
}
pub(crate) fn reference(t: &str, id: &str) -> Value {
    Object(vec![("reference", text(format!("{t}/{id}")))])
}
pub(crate) fn narrative(random: &mut Random, n: u64) -> Value {
    Object(vec![
        ("status", text("generated")),
        (
            "div",
            text(format!(
                "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p><b>Summary</b></p><p>{}</p></div>",
                prose(random, n)
            )),
        ),
    ])
}
pub(crate) fn meta(random: &mut Random, prof: &str) -> Value {
    let mut members = vec![
        ("versionId", text(format!("{}", 1 + random.below(5)))),
        ("lastUpdated", text(instant(random, 2015, 2025))),
    ];
    if random.percent(80) {
        members.push(("profile", List(vec![text(format!("http://hl7.org/fhir/us/core/StructureDefinition/{prof}"))])))
    }
    if random.percent(10) {
        members.push(("source", text("#a1b2c3d4e5f6")));
    }
    if random.percent(10) {
        members.push(("tag", List(vec![coding("http://example.org/tags", "bulk", "Bulk data")])))
    }
    if random.percent(20) {
        members.swap(0, 1)
    }
    Object(members)
}
pub(crate) fn number(random: &mut Random, hi: u64) -> Value {
    Number(format!("{}.{}", random.below(hi), 1 + random.below(99999)))
}
pub(crate) fn quantity(random: &mut Random, unit: &str) -> Value {
    Object(vec![("value", number(random, 250)), ("unit", text(unit)), ("system", text(UCUM)), ("code", text(unit))])
}
pub(crate) fn money(random: &mut Random) -> Value {
    Object(vec![
        ("value", Number(format!("{}.{:02}", random.below(3000), random.below(100)))),
        ("currency", text("USD")),
    ])
}
pub(crate) fn contained(random: &mut Random) -> Value {
    List(vec![Object(vec![
        ("resourceType", text("Observation")),
        ("id", text("c1")),
        ("meta", Object(vec![("lastUpdated", text("2024-01-01T00:00:00Z"))])),
        ("status", text("final")),
        (
            "category",
            List(vec![concept(
                "http://terminology.hl7.org/CodeSystem/observation-category",
                "laboratory",
                "Laboratory",
            )]),
        ),
        ("effectiveDateTime", text(instant(random, 2010, 2024))),
    ])])
}
pub(crate) const LABORATORY: &[(&str, &str, &str)] = &[
    ("2093-3", "Total Cholesterol", "mg/dL"),
    ("2571-8", "Triglycerides", "mg/dL"),
    ("18262-6", "Low Density Lipoprotein Cholesterol", "mg/dL"),
    ("2085-9", "High Density Lipoprotein Cholesterol", "mg/dL"),
    ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%"),
    ("2339-0", "Glucose", "mg/dL"),
    ("6299-2", "Urea Nitrogen", "mg/dL"),
    ("38483-4", "Creatinine", "mg/dL"),
    ("49765-1", "Calcium", "mg/dL"),
    ("2947-0", "Sodium", "mmol/L"),
    ("6298-4", "Potassium", "mmol/L"),
    ("2069-3", "Chloride", "mmol/L"),
    ("20565-8", "Carbon Dioxide", "mmol/L"),
    ("33914-3", "Estimated Glomerular Filtration Rate", "mL/min/{1.73_m2}"),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL"),
    ("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count", "%"),
];
pub(crate) const VITAL_SIGNS: &[(&str, &str, &str)] = &[
    ("8302-2", "Body Height", "cm"),
    ("29463-7", "Body Weight", "kg"),
    ("39156-5", "Body Mass Index", "kg/m2"),
    ("8867-4", "Heart rate", "/min"),
    ("9279-1", "Respiratory rate", "/min"),
    ("8310-5", "Body temperature", "Cel"),
];
pub(crate) const CONDITIONS: &[(&str, &str)] = &[
    ("59621000", "Hypertension"),
    ("44054006", "Diabetes mellitus type 2 (disorder)"),
    ("195662009", "Acute viral pharyngitis (disorder)"),
    ("10509002", "Acute bronchitis (disorder)"),
    ("55822004", "Hyperlipidemia"),
    ("40055000", "Chronic sinusitis (disorder)"),
    ("271737000", "Anemia (disorder)"),
    ("15777000", "Prediabetes"),
    ("162864005", "Body mass index 30+ - obesity (finding)"),
];
pub(crate) const MEDICATIONS: &[(&str, &str)] = &[
    ("314076", "lisinopril 10 MG Oral Tablet"),
    ("860975", "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet"),
    ("313782", "Acetaminophen 325 MG Oral Tablet"),
    ("314231", "Simvastatin 10 MG Oral Tablet"),
    ("1049221", "Acetaminophen 325 MG / Oxycodone Hydrochloride 5 MG Oral Tablet"),
    ("197361", "Amlodipine 5 MG Oral Tablet"),
];
pub(crate) const LOINC: &str = "http://loinc.org";
pub(crate) const SNOMED: &str = "http://snomed.info/sct";
pub(crate) const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const UCUM: &str = "http://unitsofmeasure.org";

//! Resources of ten types, shaped as servers in the field shape them.

use crate::{
    documents,
    elements::*,
    random::{Random, date, instant, patient_id, prose, random_id},
    write::{
        Members,
        Value::{Flag, List, Number, Object},
    },
};

/// The kinds of resources, and how many of a thousand are of each.
pub(crate) const KINDS: [(&str, u64); 11] = [
    ("Patient", 15),
    ("Encounter", 90),
    ("Condition", 75),
    ("Observation", 260),
    ("Observation", 210),
    ("MedicationRequest", 95),
    ("Procedure", 135),
    ("DiagnosticReport", 50),
    ("DocumentReference", 25),
    ("Claim", 27),
    ("ExplanationOfBenefit", 18),
];

/// A resource of that kind.
pub(crate) fn resource(random: &mut Random, kind: usize) -> Members {
    let patient_number = random.below(1_000_000);
    let ids = Ids { patient: patient_id(patient_number), encounter: random_id(random), id: random_id(random) };
    let mut members = Members::new();
    match kind {
        0 => patient(&mut members, random, &ids),
        1 => encounter(&mut members, random, &ids),
        2 => condition(&mut members, random, &ids),
        3 | 4 => observation(&mut members, random, &ids, kind),
        5 => medication_request(&mut members, random, &ids),
        6 => procedure(&mut members, random, &ids),
        7 => documents::diagnostic_report(&mut members, random, &ids),
        8 => documents::document_reference(&mut members, random, &ids),
        _ => documents::claim(&mut members, random, &ids, kind),
    }
    members
}

/// Whose it is, and under which id.
pub(crate) struct Ids {
    pub(crate) patient: String,
    pub(crate) encounter: String,
    id: String,
}

/// The members that all have.
pub(crate) fn base(ids: &Ids, members: &mut Members, resource_type: &str, profile: &str, random: &mut Random) {
    members.push(("resourceType", text(resource_type)));
    members.push(("id", text(ids.id.clone())));
    members.push(("meta", meta(random, profile)));
}

fn patient(members: &mut Members, random: &mut Random, ids: &Ids) {
    base(ids, members, "Patient", "us-core-patient", random);
    members[1].1 = text(ids.patient.clone());
    members.push(("text", narrative(random, 12)));
    members.push((
        "extension",
        List(vec![
            Object(vec![
                ("url", text("http://hl7.org/fhir/us/core/StructureDefinition/us-core-race")),
                (
                    "extension",
                    List(vec![
                        Object(vec![
                            ("url", text("ombCategory")),
                            ("valueCoding", coding("urn:oid:2.16.840.1.113883.6.238", "2106-3", "White")),
                        ]),
                        Object(vec![("url", text("text")), ("valueString", text("White"))]),
                    ]),
                ),
            ]),
            Object(vec![
                ("url", text("http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity")),
                (
                    "extension",
                    List(vec![
                        Object(vec![
                            ("url", text("ombCategory")),
                            (
                                "valueCoding",
                                coding("urn:oid:2.16.840.1.113883.6.238", "2186-5", "Not Hispanic or Latino"),
                            ),
                        ]),
                        Object(vec![("url", text("text")), ("valueString", text("Not Hispanic or Latino"))]),
                    ]),
                ),
            ]),
            Object(vec![
                ("url", text("http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName")),
                ("valueString", text("Marisela850 O'Conner199")),
            ]),
            Object(vec![
                ("url", text("http://synthetichealth.github.io/synthea/disability-adjusted-life-years")),
                ("valueDecimal", number(random, 10)),
            ]),
        ]),
    ));
    members.push((
        "identifier",
        List(
            (0..4)
                .map(|i| {
                    Object(vec![
                        (
                            "type",
                            concept(
                                "http://terminology.hl7.org/CodeSystem/v2-0203",
                                ["MR", "SS", "DL", "PPN"][i],
                                "Identifier",
                            ),
                        ),
                        ("system", text("http://hospital.smarthealthit.org")),
                        ("value", text(random_id(random))),
                    ])
                })
                .collect(),
        ),
    ));
    members.push((
        "name",
        List(vec![Object(vec![
            ("use", text("official")),
            ("family", text("Runolfsdottir785")),
            ("given", List(vec![text("Jacinto644"), text("Élodie")])),
            ("prefix", List(vec![text("Mr.")])),
        ])]),
    ));
    members.push((
        "telecom",
        List(vec![Object(vec![("system", text("phone")), ("value", text("555-401-9128")), ("use", text("home"))])]),
    ));
    members.push(("gender", text(random.pick(&["male", "female"]))));
    let d = date(random, 1930, 2020);
    members.push(("birthDate", text(format!("{:04}-{:02}-{:02}", d.0, d.1, d.2))));
    members.push((
        "address",
        List(vec![Object(vec![
            (
                "extension",
                List(vec![Object(vec![
                    ("url", text("http://hl7.org/fhir/StructureDefinition/geolocation")),
                    (
                        "extension",
                        List(vec![
                            Object(vec![("url", text("latitude")), ("valueDecimal", number(random, 60))]),
                            Object(vec![("url", text("longitude")), ("valueDecimal", number(random, 60))]),
                        ]),
                    ),
                ])]),
            ),
            ("line", List(vec![text("1053 Harber Overpass Unit 17")])),
            ("city", text("Boston")),
            ("state", text("MA")),
            ("postalCode", text("02115")),
            ("country", text("US")),
        ])]),
    ));
    members.push(("maritalStatus", concept("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M", "Married")));
    members.push(("multipleBirthBoolean", Flag(false)));
    members.push((
        "communication",
        List(vec![Object(vec![("language", concept("urn:ietf:bcp:47", "en-US", "English"))])]),
    ));
}

fn encounter(members: &mut Members, random: &mut Random, ids: &Ids) {
    base(ids, members, "Encounter", "us-core-encounter", random);
    members.push(("status", text("finished")));
    members.push((
        "class",
        Object(vec![("system", text("http://terminology.hl7.org/CodeSystem/v3-ActCode")), ("code", text("AMB"))]),
    ));
    members.push(("type", List(vec![concept(SNOMED, "162673000", "General examination of patient (procedure)")])));
    members.push((
        "subject",
        Object(vec![
            ("reference", text(format!("Patient/{}", ids.patient))),
            ("display", text("Mr. Jacinto644 Runolfsdottir785")),
        ]),
    ));
    members.push((
        "participant",
        List(vec![Object(vec![
            (
                "type",
                List(vec![concept(
                    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                    "PPRF",
                    "primary performer",
                )]),
            ),
            (
                "period",
                Object(vec![("start", text(instant(random, 2010, 2024))), ("end", text(instant(random, 2010, 2024)))]),
            ),
            (
                "individual",
                Object(vec![
                    ("reference", text(format!("Practitioner/{}", random_id(random)))),
                    ("display", text("Dr. Willian804 Shields502")),
                ]),
            ),
        ])]),
    ));
    members.push((
        "period",
        Object(vec![("start", text(instant(random, 2010, 2024))), ("end", text(instant(random, 2010, 2024)))]),
    ));
    members.push((
        "location",
        List(vec![Object(vec![(
            "location",
            Object(vec![
                ("reference", text(format!("Location/{}", random_id(random)))),
                ("display", text("BETH ISRAEL DEACONESS HOSPITAL")),
            ]),
        )])]),
    ));
    members.push((
        "serviceProvider",
        Object(vec![
            ("reference", text(format!("Organization/{}", random_id(random)))),
            ("display", text("BETH ISRAEL")),
        ]),
    ));
}

fn condition(members: &mut Members, random: &mut Random, ids: &Ids) {
    base(ids, members, "Condition", "us-core-condition", random);
    members.push((
        "clinicalStatus",
        Object(vec![(
            "coding",
            List(vec![Object(vec![
                ("system", text("http://terminology.hl7.org/CodeSystem/condition-clinical")),
                ("code", text(random.pick(&["active", "resolved"]))),
            ])]),
        )]),
    ));
    members.push((
        "verificationStatus",
        Object(vec![(
            "coding",
            List(vec![Object(vec![
                ("system", text("http://terminology.hl7.org/CodeSystem/condition-ver-status")),
                ("code", text("confirmed")),
            ])]),
        )]),
    ));
    members.push((
        "category",
        List(vec![concept(
            "http://terminology.hl7.org/CodeSystem/condition-category",
            "encounter-diagnosis",
            "Encounter Diagnosis",
        )]),
    ));
    let c = CONDITIONS[random.below(CONDITIONS.len() as u64) as usize];
    members.push(("code", concept(SNOMED, c.0, c.1)));
    members.push(("subject", reference("Patient", &ids.patient)));
    members.push(("encounter", reference("Encounter", &ids.encounter)));
    members.push(("onsetDateTime", text(instant(random, 2010, 2024))));
    members.push(("recordedDate", text(instant(random, 2010, 2024))));
    if random.percent(20) {
        members.push(("note", List(vec![Object(vec![("text", text(prose(random, 60)))])])))
    }
}

fn observation(members: &mut Members, random: &mut Random, ids: &Ids, kind: usize) {
    base(
        ids,
        members,
        "Observation",
        if kind == 3 { "us-core-observation-lab" } else { "us-core-vital-signs" },
        random,
    );
    if random.percent(15) {
        members.push(("text", narrative(random, 40)))
    }
    if random.percent(3) {
        members.push(("contained", contained(random)))
    }
    members.push(("status", text(random.pick(&["final", "final", "final", "amended", "preliminary"]))));
    let cat = if kind == 3 {
        concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "Laboratory")
    } else {
        concept("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital signs")
    };
    let mut cats = vec![cat];
    if random.percent(10) {
        cats.insert(0, concept("http://example.org/local-category", "chem", "Chemistry"))
    }
    members.push(("category", List(cats)));
    if kind == 4 && random.percent(40) {
        members.push((
            "code",
            Object(vec![
                (
                    "coding",
                    List(vec![
                        coding(LOINC, "85354-9", "Blood pressure panel with all children optional"),
                        coding(LOINC, "55284-4", "Blood Pressure"),
                    ]),
                ),
                ("text", text("Blood pressure")),
            ]),
        ));
        members.push((
            "component",
            List(vec![
                Object(vec![
                    ("code", concept(LOINC, "8462-4", "Diastolic Blood Pressure")),
                    ("valueQuantity", quantity(random, "mm[Hg]")),
                ]),
                Object(vec![
                    ("code", concept(LOINC, "8480-6", "Systolic Blood Pressure")),
                    ("valueQuantity", quantity(random, "mm[Hg]")),
                ]),
            ]),
        ));
    } else {
        let l = if kind == 3 { LABORATORY } else { VITAL_SIGNS };
        let c = l[random.below(l.len() as u64) as usize];
        members.push(("code", concept(LOINC, c.0, c.1)));
        members.push(("valueQuantity", quantity(random, c.2)));
    }
    members.push(("subject", reference("Patient", &ids.patient)));
    members.push(("encounter", reference("Encounter", &ids.encounter)));
    if random.percent(90) {
        members.push((
            "effectiveDateTime",
            text(if random.percent(6) {
                instant(random, 2010, 2024)[..10].to_string()
            } else {
                instant(random, 2010, 2024)
            }),
        ))
    } else {
        let mut a = instant(random, 2010, 2024);
        let mut b = instant(random, 2010, 2024);
        if a > b {
            std::mem::swap(&mut a, &mut b)
        }
        members.push(("effectivePeriod", Object(vec![("start", text(a)), ("end", text(b))])))
    }
    members.push(("issued", text(instant(random, 2010, 2024))));
    if kind == 3 && random.percent(40) {
        members.push((
            "referenceRange",
            List(vec![Object(vec![
                ("low", quantity(random, "mg/dL")),
                ("high", quantity(random, "mg/dL")),
                ("text", text("normal range")),
            ])]),
        ));
        members.push((
            "interpretation",
            List(vec![concept("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "N", "Normal")]),
        ))
    }
    if random.percent(5) {
        members.push(("note", List(vec![Object(vec![("text", text(prose(random, 50)))])])))
    }
}

fn medication_request(members: &mut Members, random: &mut Random, ids: &Ids) {
    base(ids, members, "MedicationRequest", "us-core-medicationrequest", random);
    members.push(("status", text(random.pick(&["active", "stopped", "completed", "stopped"]))));
    members.push(("intent", text("order")));
    members.push((
        "category",
        List(vec![concept(
            "http://terminology.hl7.org/CodeSystem/medicationrequest-category",
            "community",
            "Community",
        )]),
    ));
    let c = MEDICATIONS[random.below(MEDICATIONS.len() as u64) as usize];
    members.push(("medicationCodeableConcept", concept(RXNORM, c.0, c.1)));
    members.push(("subject", reference("Patient", &ids.patient)));
    members.push(("encounter", reference("Encounter", &ids.encounter)));
    members.push(("authoredOn", text(instant(random, 2010, 2024))));
    members.push((
        "requester",
        Object(vec![
            ("reference", text(format!("Practitioner/{}", random_id(random)))),
            ("display", text("Dr. Willian804 Shields502")),
        ]),
    ));
    members.push(("reasonReference", List(vec![reference("Condition", &random_id(random))])));
    members.push((
        "dosageInstruction",
        List(vec![Object(vec![
            ("sequence", Number("1".into())),
            ("text", text("Take once daily.")),
            (
                "timing",
                Object(vec![(
                    "repeat",
                    Object(vec![
                        ("frequency", Number("1".into())),
                        ("period", Number("1.0".into())),
                        ("periodUnit", text("d")),
                    ]),
                )]),
            ),
            ("asNeededBoolean", Flag(false)),
            (
                "doseAndRate",
                List(vec![Object(vec![
                    ("type", concept("http://terminology.hl7.org/CodeSystem/dose-rate-type", "ordered", "Ordered")),
                    ("doseQuantity", Object(vec![("value", Number("1.0".into()))])),
                ])]),
            ),
        ])]),
    ));
}

fn procedure(members: &mut Members, random: &mut Random, ids: &Ids) {
    base(ids, members, "Procedure", "us-core-procedure", random);
    members.push(("status", text("completed")));
    members.push(("code", concept(SNOMED, "430193006", "Medication Reconciliation (procedure)")));
    members.push(("subject", reference("Patient", &ids.patient)));
    members.push(("encounter", reference("Encounter", &ids.encounter)));
    members.push((
        "performedPeriod",
        Object(vec![("start", text(instant(random, 2010, 2024))), ("end", text(instant(random, 2010, 2024)))]),
    ));
    members.push((
        "location",
        Object(vec![
            ("reference", text(format!("Location/{}", random_id(random)))),
            ("display", text("BETH ISRAEL DEACONESS HOSPITAL")),
        ]),
    ));
    members.push((
        "reasonReference",
        List(vec![Object(vec![
            ("reference", text(format!("Condition/{}", random_id(random)))),
            ("display", text("Hypertension")),
        ])]),
    ));
}

//! Resources that are long: reports, documents with their text inside, claims with their items.

use crate::{
    elements::*,
    random::{Random, base64, instant, random_id},
    resources::{Ids, base},
    write::{
        Members,
        Value::{Flag, List, Number, Object},
    },
};

pub(crate) fn diagnostic_report(members: &mut Members, random: &mut Random, ids: &Ids) {
    base(ids, members, "DiagnosticReport", "us-core-diagnosticreport-lab", random);
    members.push(("status", text("final")));
    members
        .push(("category", List(vec![concept("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB", "Laboratory")])));
    members.push(("code", concept(LOINC, "57698-3", "Lipid panel with direct LDL - Serum or Plasma")));
    members.push(("subject", reference("Patient", &ids.patient)));
    members.push(("encounter", reference("Encounter", &ids.encounter)));
    members.push(("effectiveDateTime", text(instant(random, 2010, 2024))));
    members.push(("issued", text(instant(random, 2010, 2024))));
    members.push((
        "result",
        List(
            (0..4 + random.below(8))
                .map(|_| {
                    Object(vec![
                        ("reference", text(format!("Observation/{}", random_id(random)))),
                        ("display", text("Total Cholesterol")),
                    ])
                })
                .collect(),
        ),
    ));
    if random.percent(30) {
        let n = 800 + random.below(1200);
        members.push((
            "presentedForm",
            List(vec![Object(vec![("contentType", text("text/plain")), ("data", text(base64(random, n)))])]),
        ))
    }
}

pub(crate) fn document_reference(members: &mut Members, random: &mut Random, ids: &Ids) {
    base(ids, members, "DocumentReference", "us-core-documentreference", random);
    members.push((
        "identifier",
        List(vec![Object(vec![
            ("system", text("urn:ietf:rfc:3986")),
            ("value", text(format!("urn:uuid:{}", random_id(random)))),
        ])]),
    ));
    members.push(("status", text("current")));
    members.push(("type", concept(LOINC, "34117-2", "History and physical note")));
    members.push((
        "category",
        List(vec![concept(
            "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
            "clinical-note",
            "Clinical Note",
        )]),
    ));
    members.push(("subject", reference("Patient", &ids.patient)));
    members.push(("date", text(instant(random, 2010, 2024))));
    members.push(("author", List(vec![reference("Practitioner", &random_id(random))])));
    let n = 2000 + random.below(5000);
    members.push((
        "content",
        List(vec![Object(vec![
            (
                "attachment",
                Object(vec![("contentType", text("text/plain; charset=utf-8")), ("data", text(base64(random, n)))]),
            ),
            (
                "format",
                Object(vec![
                    ("system", text("http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem")),
                    ("code", text("urn:ihe:iti:xds:2017:mimeTypeSufficient")),
                ]),
            ),
        ])]),
    ));
    members.push((
        "context",
        Object(vec![
            ("encounter", List(vec![reference("Encounter", &ids.encounter)])),
            ("period", Object(vec![("start", text(instant(random, 2010, 2024)))])),
        ]),
    ));
}

pub(crate) fn claim(members: &mut Members, random: &mut Random, ids: &Ids, kind: usize) {
    let eob = kind == 10;
    base(ids, members, if eob { "ExplanationOfBenefit" } else { "Claim" }, "C4BB-ExplanationOfBenefit", random);
    if eob {
        members.push((
            "contained",
            List(vec![
                Object(vec![
                    ("resourceType", text("ServiceRequest")),
                    ("id", text("referral")),
                    ("status", text("completed")),
                    ("intent", text("order")),
                    ("subject", reference("Patient", &ids.patient)),
                    ("requester", reference("Practitioner", &random_id(random))),
                ]),
                Object(vec![
                    ("resourceType", text("Coverage")),
                    ("id", text("coverage")),
                    ("status", text("active")),
                    ("type", Object(vec![("text", text("Aetna"))])),
                    ("beneficiary", reference("Patient", &ids.patient)),
                    ("payor", List(vec![Object(vec![("display", text("Aetna"))])])),
                ]),
            ]),
        ));
    }
    members.push((
        "identifier",
        List(vec![
            Object(vec![
                ("system", text("https://bluebutton.cms.gov/resources/variables/clm_id")),
                ("value", text(random_id(random))),
            ]),
            Object(vec![
                ("system", text("https://bluebutton.cms.gov/resources/identifier/claim-group")),
                ("value", text("99999999999")),
            ]),
        ]),
    ));
    members.push(("status", text("active")));
    members
        .push(("type", concept("http://terminology.hl7.org/CodeSystem/claim-type", "institutional", "Institutional")));
    members.push(("use", text("claim")));
    members.push(("patient", reference("Patient", &ids.patient)));
    members.push((
        "billablePeriod",
        Object(vec![("start", text(instant(random, 2010, 2024))), ("end", text(instant(random, 2010, 2024)))]),
    ));
    members.push(("created", text(instant(random, 2010, 2024))));
    members.push(("provider", reference("Practitioner", &random_id(random))));
    members.push((
        "diagnosis",
        List(
            (0..1 + random.below(4))
                .map(|i| {
                    Object(vec![
                        ("sequence", Number(format!("{}", i + 1))),
                        ("diagnosisReference", reference("Condition", &random_id(random))),
                        (
                            "type",
                            List(vec![concept(
                                "http://terminology.hl7.org/CodeSystem/ex-diagnosistype",
                                "principal",
                                "Principal",
                            )]),
                        ),
                    ])
                })
                .collect(),
        ),
    ));
    members.push((
        "insurance",
        List(vec![Object(vec![("focal", Flag(true)), ("coverage", Object(vec![("display", text("Aetna"))]))])]),
    ));
    let n = if eob { 1 + random.below(5) } else { 3 + random.below(7) };
    members.push((
        "item",
        List(
            (0..n)
                .map(|i| {
                    let mut it = vec![
                        ("sequence", Number(format!("{}", i + 1))),
                        (
                            "category",
                            concept(
                                "https://bluebutton.cms.gov/resources/variables/line_cms_type_srvc_cd",
                                "1",
                                "Medical care",
                            ),
                        ),
                        ("productOrService", concept(SNOMED, "185345009", "Encounter for symptom")),
                        (
                            "servicedPeriod",
                            Object(vec![
                                ("start", text(instant(random, 2010, 2024))),
                                ("end", text(instant(random, 2010, 2024))),
                            ]),
                        ),
                        (
                            "locationCodeableConcept",
                            concept(
                                "http://terminology.hl7.org/CodeSystem/ex-serviceplace",
                                "21",
                                "Inpatient Hospital",
                            ),
                        ),
                        ("net", money(random)),
                    ];
                    if eob {
                        it.push((
                            "adjudication",
                            List(
                                [
                                    "line_bene_ptb_ddctbl_amt",
                                    "line_coinsrnc_amt",
                                    "line_prvdr_pmt_amt",
                                    "line_sbmtd_chrg_amt",
                                    "line_alowd_chrg_amt",
                                ]
                                .iter()
                                .map(|c| {
                                    Object(vec![
                                        (
                                            "category",
                                            concept(
                                                &format!(
                                                    "https://bluebutton.cms.gov/resources/codesystem/adjudication"
                                                ),
                                                &format!("https://bluebutton.cms.gov/resources/variables/{c}"),
                                                "Adjudication amount",
                                            ),
                                        ),
                                        ("amount", money(random)),
                                    ])
                                })
                                .collect(),
                            ),
                        ))
                    }
                    Object(it)
                })
                .collect(),
        ),
    ));
    members.push((
        "total",
        if eob {
            List(vec![Object(vec![
                (
                    "category",
                    concept("http://terminology.hl7.org/CodeSystem/adjudication", "submitted", "Submitted Amount"),
                ),
                ("amount", money(random)),
            ])])
        } else {
            money(random)
        },
    ));
    if eob {
        members.push(("payment", Object(vec![("amount", money(random))])))
    }
}

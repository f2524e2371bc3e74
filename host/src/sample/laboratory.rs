//! Laboratory panels: the report, and the observations that it is made of.

use super::calendar::{HOUR, MINUTE};
use super::chart::Chart;
use super::codes::{Code, hl7, loinc, snomed};
use super::documents::inline_attachment;
use super::elements::{reference, words};
use super::json::Object;
use super::observations::{LABORATORY, Measure, Spread, begin_observation};
use super::output::Kind;
use super::random::{Table, table};
use super::visits::Visit;

/// Writes one DiagnosticReport with its Observations and returns the addresses of them all.
pub(super) fn write_panel(chart: &mut Chart, visit: &Visit) -> anyhow::Result<Vec<String>> {
    let panel = chart.draw.pick(&PANELS);
    let issued = visit.end.plus(chart.draw.between(HOUR, 30 * HOUR));
    let (report_address, report) = chart.begin(Kind::DiagnosticReport, issued);
    let mut results = Vec::new();
    for test in panel.tests.entries() {
        results.push(write_result(chart, visit, test)?);
    }
    if chart.draw.chance(15) {
        results.push(write_result(chart, visit, &COMMENT)?);
    }
    let conclusion = chart.draw.chance(50).then(|| chart.draw.word(&CONCLUSIONS));
    let printed = chart.draw.chance(10).then(|| printed_report(panel, conclusion, chart));
    let report = report
        .field("status", "final")
        .list("category", [LABORATORY_SECTION.bare_concept()])
        .field("code", panel.code.concept())
        .field("subject", chart.person.reference())
        .field("encounter", visit.reference())
        .field("effectiveDateTime", visit.start.date_time(chart.zone()))
        .field("issued", issued.date_time(chart.zone()))
        .list("performer", [reference(&chart.person.site.organization())])
        .list("resultsInterpreter", [visit.clinician.reference()])
        .list("result", results.iter().map(|result| reference(result)))
        .maybe("conclusion", conclusion)
        .list("presentedForm", printed);
    chart.put(Kind::DiagnosticReport, report)?;
    results.push(report_address);
    Ok(results)
}

fn write_result(chart: &mut Chart, visit: &Visit, test: &Test) -> anyhow::Result<String> {
    let drawn = visit.start.plus(chart.draw.between(2, 12) * MINUTE);
    let (address, result) = begin_observation(chart, visit, drawn, &LABORATORY, test.code());
    let result = match test {
        Test::Measured(spread) => {
            let units = spread.drawn(chart);
            spread.measure.report(result, units, chart)
        }
        Test::MeasuredUpTo(spread) => {
            let units = spread.drawn(chart);
            let limit = spread.measure.normal.map_or(units, |(low, _)| low);
            if units > limit {
                spread.measure.report_above(result, limit)
            } else {
                spread.measure.report(result, units, chart)
            }
        }
        Test::Coded(_, answers) => result.field("valueCodeableConcept", chart.draw.pick(answers).concept()),
        Test::Said(_, answers) => result.field("valueString", chart.draw.word(answers)),
        Test::Judged(_, answers) => result.field("valueCodeableConcept", words(chart.draw.word(answers))),
    };
    chart.put(Kind::Observation, result)?;
    Ok(address)
}

fn printed_report(panel: &Panel, conclusion: Option<&str>, chart: &Chart) -> Object {
    let text = format!(
        "{}\n{}\n\nPatient: {}\n{}\n",
        chart.person.site.name,
        panel.code.display,
        chart.person.name.display(),
        conclusion.unwrap_or("See the single results."),
    );
    inline_attachment("Report as printed", &text)
}

struct Panel {
    code: Code,
    tests: Table<Test>,
}

/// A test, by the kind of answer it gives.
enum Test {
    Measured(Spread),
    /// Measured exactly only up to the lower end of what is normal.
    MeasuredUpTo(Spread),
    Coded(Code, Table<Code>),
    /// Answered with a string.
    Said(Code, Table<&'static str>),
    /// Answered with a concept that has words but no code.
    Judged(Code, Table<&'static str>),
}

impl Test {
    fn code(&self) -> &Code {
        match self {
            Self::Measured(spread) | Self::MeasuredUpTo(spread) => &spread.measure.code,
            Self::Coded(code, _) | Self::Said(code, _) | Self::Judged(code, _) => code,
        }
    }
}

const fn measured(code: Code, unit: &'static str, scale: usize, values: (i64, i64), normal: (i64, i64)) -> Test {
    Test::Measured(spread(code, unit, scale, values, normal))
}

const fn spread(code: Code, unit: &'static str, scale: usize, values: (i64, i64), normal: (i64, i64)) -> Spread {
    Spread { measure: Measure { code, unit, ucum: unit, scale, normal: Some(normal) }, values }
}

static LABORATORY_SECTION: Code = hl7("v2-0074", "LAB", "Laboratory");

static COMMENT: Test = Test::Said(
    loinc("48767-8", "Annotation comment [Interpretation] Narrative"),
    table![
        "Specimen slightly hæmolysed.\nRepeat advised: \"fasting\"\t(08:00)",
        "Value checked twice ✅ — 値は確認済み",
        "See C:\\lab\\results for the curve; Δ to last value < 5 %",
    ],
);

static CONCLUSIONS: Table<&str> = table![
    "Reviewed; nothing to be done today.",
    "Flags: \"H\" above,\n\"L\" below the reference range",
    "À contrôler dans 3 mois.",
    "Repeat in 2–3 weeks.",
];

static PANELS: Table<Panel> = table![
    Panel {
        code: loinc("51990-0", "Basic metabolic panel - Blood"),
        tests: table![
            measured(loinc("2345-7", "Glucose [Mass/volume] in Serum or Plasma"), "mg/dL", 0, (62, 188), (70, 99)),
            measured(loinc("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma"), "mg/dL", 0, (6, 30), (7, 20)),
            measured(loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"), "mg/dL", 2, (50, 190), (60, 130)),
            measured(
                loinc("2951-2", "Sodium [Moles/volume] in Serum or Plasma"),
                "mmol/L",
                1,
                (1_310, 1_480),
                (1_350, 1_450)
            ),
            measured(
                loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma"),
                "mmol/L",
                2,
                (320, 570),
                (350, 510)
            ),
            measured(loinc("17861-6", "Calcium [Mass/volume] in Serum or Plasma"), "mg/dL", 1, (80, 110), (85, 105)),
            Test::MeasuredUpTo(spread(loinc("33914-3", KIDNEY_FUNCTION), "mL/min/{1.73_m2}", 0, (25, 120), (60, 120))),
        ],
    },
    Panel {
        code: loinc("57698-3", "Lipid panel with direct LDL - Serum or Plasma"),
        tests: table![
            measured(
                loinc("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                0,
                (120, 290),
                (125, 200)
            ),
            measured(loinc("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma"), "mg/dL", 0, (45, 380), (0, 150)),
            measured(loinc("18262-6", LDL), "mg/dL", 0, (40, 200), (0, 100)),
            measured(
                loinc("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                0,
                (25, 95),
                (40, 60)
            ),
        ],
    },
    Panel {
        code: loinc("58410-2", "CBC panel - Blood by Automated count"),
        tests: table![
            measured(
                loinc("6690-2", "Leukocytes [#/volume] in Blood by Automated count"),
                "10*3/uL",
                1,
                (28, 160),
                (45, 110)
            ),
            measured(
                loinc("789-8", "Erythrocytes [#/volume] in Blood by Automated count"),
                "10*6/uL",
                2,
                (350, 610),
                (410, 580)
            ),
            measured(loinc("718-7", "Hemoglobin [Mass/volume] in Blood"), "g/dL", 1, (95, 180), (120, 170)),
            measured(
                loinc("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count"),
                "%",
                1,
                (300, 540),
                (360, 500)
            ),
            measured(
                loinc("777-3", "Platelets [#/volume] in Blood by Automated count"),
                "10*3/uL",
                0,
                (90, 480),
                (150, 400)
            ),
        ],
    },
    Panel {
        code: loinc("24356-8", "Urinalysis complete panel - Urine"),
        tests: table![
            Test::Said(loinc("5778-6", "Color of Urine"), table!["Yellow", "Straw", "Amber", "Colourless"]),
            Test::Judged(loinc("5767-9", "Appearance of Urine"), table!["Clear", "Slightly cloudy", "Turbid"]),
            measured(loinc("5803-2", "pH of Urine by Test strip"), "[pH]", 1, (45, 85), (50, 80)),
            measured(
                loinc("5811-5", "Specific gravity of Urine by Test strip"),
                "{ratio}",
                3,
                (1_001, 1_035),
                (1_005, 1_030)
            ),
        ],
    },
    Panel {
        code: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        tests: table![measured(
            loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
            "%",
            1,
            (46, 98),
            (40, 56)
        )],
    },
    Panel {
        code: loinc("78012-2", STREPTOCOCCI),
        tests: table![Test::Coded(
            loinc("78012-2", STREPTOCOCCI),
            table![snomed("260415000", "Not detected"), snomed("260373001", "Detected")],
        )],
    },
];

const KIDNEY_FUNCTION: &str = "Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] in Serum or Plasma by \
                               Creatinine-based formula (MDRD)";
const LDL: &str = "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay";
const STREPTOCOCCI: &str = "Streptococcus pyogenes Ag [Presence] in Throat by Rapid immunoassay";

//! The exports that writers are made for.

use std::sync::LazyLock;

use ehi_core::{
    Edition,
    access::Principal,
    endpoint::{Decision, Route},
    http::Request,
    plan::{ExportPlan, Organize},
};

use crate::deployment::{bearer, begin, decide, endpoint};

/// An export that has begun.
pub(super) struct Export {
    pub(super) plan: ExportPlan,
    /// What is written are lines of the input, as they stand.
    pub(super) is_verbatim: bool,
    /// Every line is exported if it can be.
    pub(super) is_complete: bool,
    pub(super) is_organized: bool,
}

pub(super) fn exports() -> &'static [Export] {
    &EXPORTS
}

static EXPORTS: LazyLock<Vec<Export>> = LazyLock::new(|| {
    ASKED.iter().enumerate().map(|(number, (edition, target))| make(number, *edition, target)).collect()
});

/// One in each edition and at each level, and one for each thing that can be asked for.
const ASKED: [(Edition, &str); 14] = [
    (Edition::Stu1, "/fhir/$export"),
    (
        Edition::Stu3,
        "/fhir/$export?_type=Patient,Observation,Goal&_since=2020-01-01T00:00:00Z&_until=2023-01-01T00:00:00Z",
    ),
    (
        Edition::Stu3,
        "/fhir/$export?_typeFilter=Observation?code=http://loinc.org%257C1-8&_typeFilter=Patient?gender=male&_typeFilter=Goal?_lastUpdated=gt2019",
    ),
    (
        Edition::Stu2,
        "/fhir/Patient/$export?includeAssociatedData=LatestProvenanceResources&_since=2020-01-01T00:00:00Z",
    ),
    (Edition::Stu3, "/fhir/Patient/$export?includeAssociatedData=RelevantProvenanceResources"),
    (Edition::Stu3, "/fhir/Group/g/$export"),
    (Edition::Stu1, "/fhir/Patient/p1/$export"),
    (Edition::Stu3, "/fhir/$export?_elements=id,Patient.name,Observation.code"),
    (Edition::Stu3, "/fhir/Group/g/$export?organizeOutputBy=Patient"),
    (Edition::Stu3, "/fhir/$export?organizeOutputBy=Patient"),
    (Edition::Stu2, "/fhir/Group/g/$export?_since=2020-01-01T00:00:00Z"),
    (Edition::Stu3, "/fhir/$export"),
    (
        Edition::Stu3,
        "/fhir/$export?_typeFilter=Observation?code:in=http://v%26patient.gender=male&_typeFilter=Observation?subject:Patient.general-practitioner:Practitioner.name=doe",
    ),
    (
        Edition::Stu3,
        "/fhir/Group/g/$export?_typeFilter=Observation?patient.gender=male&_typeFilter=Encounter?status:not-in=http://v",
    ),
];

/// By a deployment that withholds, and copies attachments.
const WITHHOLDING: std::ops::Range<usize> = 10..12;

fn make(number: usize, edition: Edition, target: &str) -> Export {
    let is_open = !WITHHOLDING.contains(&number);
    let (endpoint, principal) = (endpoint(edition, is_open), if is_open { Principal::Open } else { bearer(false) });
    let request = Request { method: "GET", target, headers: &[], body: b"" };
    let Route::KickOff(kick_off) = endpoint.route(&request, &principal) else { panic!("{target} is no kick-off") };
    let Decision::Accepted(mut job, _) = decide(endpoint, *kick_off, &principal) else { panic!("{target} is refused") };
    begin(&mut job).expect("it waits for nobody");
    let plan = job.plan().clone();
    Export {
        is_verbatim: is_open && plan.elements.is_empty() && !plan.binary_documents,
        is_complete: number == 0,
        is_organized: plan.organize == Organize::ByPatient,
        plan,
    }
}

//! What scopes let through.

use super::*;
use crate::{
    pass::PartitionTask,
    writer::{Output, Source, Writer, WriterLimits},
};

const LABORATORY: &str = "system/Observation.rs?category=http://x.example|laboratory";
const SURVEY: &str = "system/Observation.rs?category=survey";

/// The ids of what an export of the job writes of some Observations and a Practitioner.
fn written(job: &mut Job) -> Vec<String> {
    let begin = Command::Begin {
        holder: "h".into(),
        until: at(60),
        transaction_time: at(1),
        snapshot: String::new(),
        partitions: 1,
    };
    job.apply(begin, at(1)).unwrap();
    let observation = |id: &str, system: &str, category: &str, status: &str| {
        let category = json!([{ "coding": [{ "system": system, "code": category }] }]);
        json!({ "resourceType": "Observation", "id": id, "status": status, "category": category,
            "subject": { "reference": "Patient/p1" } })
    };
    let lines = [
        observation("lab", "http://x.example", "laboratory", "final"),
        observation("lab-draft", "http://x.example", "laboratory", "preliminary"),
        observation("lab-elsewhere", "http://y.example", "laboratory", "final"),
        observation("survey", "http://x.example", "survey", "final"),
        json!({ "resourceType": "Practitioner", "id": "d1" }),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let mut writer = Writer::new(job.plan(), &PartitionTask::default(), None, WriterLimits::default()).unwrap();
    writer.write_lines(lines.as_bytes(), Source { name: "a", cursor: b"", offset: 0 }).unwrap();
    writer.finish();
    let mut bytes = Vec::new();
    while let Some(output) = writer.poll_output() {
        if let Output::Append { bytes: more, .. } = output {
            bytes.extend_from_slice(more);
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect()
}

/// SM-SCP-05, SM-SCP-06, BD-SEC-06.
#[test]
fn a_scope_with_a_search_exports_what_meets_it() {
    let endpoint = endpoint(json!({}));
    let export = |target: &str, scopes: &[&str]| written(&mut kick_off(&endpoint, target, &client(scopes)).unwrap());
    assert_eq!(export("/fhir/$export", &[LABORATORY]), ["lab", "lab-draft"]);
    assert_eq!(export("/fhir/$export", &[LABORATORY, SURVEY]), ["lab", "lab-draft", "survey"]);
    assert_eq!(export("/fhir/$export?_type=Observation", &[LABORATORY]), ["lab", "lab-draft"]);
    let asked = "/fhir/$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Dfinal";
    assert_eq!(export(asked, &[LABORATORY]), ["lab"], "both hold");
    assert_eq!(export(asked, &[LABORATORY, SURVEY]), ["lab", "survey"]);
    let elsewhere = "/fhir/$export?_type=Observation&_typeFilter=Observation%3Fcategory%3Dsurvey";
    assert_eq!(export(elsewhere, &[LABORATORY]), [""; 0]);
    assert_eq!(export("/fhir/$export", &[LABORATORY, "system/Observation.rs"]).len(), 4, "the whole type");
    assert_eq!(export("/fhir/$export", &[LABORATORY, "system/Practitioner.read"]), ["lab", "lab-draft", "d1"]);
}

#[test]
fn what_a_search_leaves_out_is_said_whether_or_not_there_is_any() {
    let endpoint = endpoint(json!({}));
    let job = kick_off(&endpoint, "/fhir/$export", &client(&[LABORATORY])).unwrap();
    let left_out = job.plan().left_out().unwrap();
    assert!(left_out.contains("scopes of the token") && left_out.ends_with("Observation"), "{left_out}");
    assert_eq!(kick_off(&endpoint, "/fhir/$export", &client(&["system/*.rs"])).unwrap().plan().left_out(), None);
}

/// SM-ACC-02, SM-ACC-03, BD-SEC-07.
#[test]
fn what_was_asked_for_by_name_and_is_not_covered_is_refused() {
    let endpoint = endpoint(json!({}));
    let status = |target: &str, scopes: &[&str]| status(&endpoint, target, &client(scopes));
    assert_eq!(status("/fhir/$export?_type=Observation", &["system/Patient.rs"]), 403);
    assert_eq!(status("/fhir/$export?_type=Observation", &["system/Patient.rs", LABORATORY]), 202);
    assert_eq!(status("/fhir/$export?_type=Observation", &["system/Observation.rs?nonsense=1"]), 403);
    assert_eq!(status("/fhir/$export", &["system/Observation.rs?nonsense=1"]), 403);
    assert_eq!(status("/fhir/$export", &["system/Fax.rs"]), 403, "no type that there is");
    assert_eq!(status("/fhir/Group/g1/$export", &["system/Patient.rs"]), 403);
    assert_eq!(status("/fhir/Group/g1/$export", &["system/Patient.rs", "system/Group.rs"]), 202);
    // Context resources go by no search, so they want their whole type.
    let provenance = "/fhir/$export?includeAssociatedData=RelevantProvenanceResources";
    assert_eq!(status(provenance, &["system/Patient.rs", "system/Provenance.rs?target=Patient/p1"]), 403);
    assert_eq!(status(provenance, &["system/Patient.rs", "system/Provenance.rs"]), 202);
}

/// BD-SEC-03.
#[test]
fn a_poll_with_a_narrower_search_is_refused() {
    let endpoint = endpoint(json!({}));
    let mut job = kick_off(&endpoint, "/fhir/$export", &client(&[LABORATORY, SURVEY])).unwrap();
    let mut status = |scopes: &[&str]| poll(&mut job, &endpoint, &client(scopes));
    assert_eq!(status(&[LABORATORY, SURVEY]), 202);
    assert_eq!(status(&[SURVEY, LABORATORY, "system/Patient.rs"]), 202);
    assert_eq!(status(&["system/Observation.rs"]), 202);
    assert_eq!(status(&[LABORATORY]), 403);
    assert_eq!(status(&["system/Patient.rs"]), 403);
    let mut whole = kick_off(&endpoint, "/fhir/$export?_type=Observation", &client(&["system/*.rs"])).unwrap();
    assert_eq!(poll(&mut whole, &endpoint, &client(&[LABORATORY, SURVEY])), 403);
}

#[test]
fn supporting_resources_are_of_types_that_were_granted_whole() {
    let endpoint = endpoint(json!({ "supporting": "all" }));
    let scopes = ["system/Patient.rs", "system/Organization.rs", "system/Practitioner.rs?_id=d1"];
    let job = kick_off(&endpoint, "/fhir/Patient/$export", &client(&scopes)).unwrap();
    let supporting = &job.plan().supporting;
    assert!(supporting.has("Organization") && !supporting.has("Practitioner"));
}

#[test]
fn a_product_of_searches_is_bounded() {
    let endpoint = endpoint(json!({}));
    let scopes: Vec<String> = (0..40).map(|n| format!("system/Observation.rs?code={n}")).collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let filters: String = (0..40).map(|n| format!("&_typeFilter=Observation%3Fstatus%3D{n}")).collect();
    let refused = kick_off(&endpoint, &format!("/fhir/$export?_type=Observation{filters}"), &client(&scopes));
    let refused = refused.unwrap_err();
    assert!(refused.status == 400 && text(&refused).contains("_typeFilter"), "{}", text(&refused));
}

#[test]
fn a_patients_scopes_export_that_patient_and_nobody_else() {
    let endpoint = endpoint(json!({}));
    let own = of_patient(&client(&["patient/*.rs", "launch/patient", "openid"]), "p1");
    assert_eq!(status(&endpoint, "/fhir/Patient/p1/$export", &own), 202);
    for other in ["/fhir/Patient/p2/$export", "/fhir/Patient/nobody/$export", "/fhir/Patient/$export", "/fhir/$export"]
    {
        assert_eq!(status(&endpoint, other, &own), 403, "{other}");
    }
    assert_eq!(status(&endpoint, "/fhir/Patient/p1/$export", &client(&["patient/*.rs"])), 403, "no patient in context");
    let mut job = kick_off(&endpoint, "/fhir/Patient/p1/$export", &own).unwrap();
    assert_eq!(poll(&mut job, &endpoint, &own), 202);
    assert_eq!(poll(&mut job, &endpoint, &of_patient(&own, "p2")), 403);
}

/// EHI-AUTH-01, EHI-AUTH-02, EHI-AUTH-05, EHI-AUTH-06.
#[test]
fn only_the_scope_of_the_operation_opens_it() {
    let endpoint = endpoint(json!({ "ehi": { "documentationUrl": "https://ehr.example/formats" } }));
    let status = |scopes: &[&str], target: &str| status(&endpoint, target, &of_patient(&client(scopes), "p1"));
    let (own, other) = ("/fhir/Patient/p1/$ehi-export", "/fhir/Patient/p2/$ehi-export");
    for scope in ["patient/$ehi-export", "patient/%24ehi-export"] {
        assert_eq!((status(&[scope], own), status(&[scope], other)), (202, 403), "{scope}");
    }
    assert_eq!((status(&["system/$ehi-export"], own), status(&["system/%24ehi-export"], other)), (202, 202));
    for scopes in [&["patient/*.rs"][..], &["system/*.rs"], &["system/*.*", "user/$ehi-export"], &["patient/$export"]] {
        assert_eq!(status(scopes, own), 403, "{scopes:?}");
    }
    assert_eq!(status(&["patient/$ehi-export"], "/fhir/Patient/p1/$export"), 403, "nor the other way");
}

//! Errors of what callers hand over, made of marked values.

use ehi_core::{
    Definitions, Edition, Endpoint, Sensitive, Timestamp,
    access::{ClientAssertion, Principal, SignedUrls, TokenRules},
    client::{Client, ExportRequest, Url, VendorParameter},
    elements::Elements,
    endpoint::EndpointConfig,
    group,
    job::Job,
    kick_off::Level,
    manifest::{Manifest, ManifestBounds},
    pass::SetWanted,
    population::{Population, PopulationBuilder},
    sets::{Set, SetBuilder},
    type_filter::{self, Filter, FilterContext, TypeFilterSource},
};
use serde_json::json;

use super::channels::{MARK, Sentinel};

/// Each error type of the crate that is made of what may be patient data.
pub(crate) fn all(sentinel: &mut Sentinel) {
    sentinel.logged("sensitive", &Some(Sensitive::new(MARK)));
    filters(sentinel);
    values(sentinel);
    requests_of_a_client(sentinel);
}

fn filters(sentinel: &mut Sentinel) {
    let mut errors = 0;
    for query in FILTERS {
        let query = query.replace("MARK", MARK);
        for source in [TypeFilterSource::Post(&query), TypeFilterSource::Get(&query)] {
            for edition in [Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot] {
                let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
                let parsed = type_filter::parse(&[source], edition, &Definitions::R4);
                let compiled = parsed.and_then(|queries| Filter::compile(&queries, &Definitions::R4, &context));
                for error in compiled.err().unwrap_or_default() {
                    sentinel.error(&query, &error);
                    errors += 1;
                }
            }
        }
    }
    assert!(errors > FILTERS.len(), "{errors}");
}

fn values(sentinel: &mut Sentinel) {
    let marked = json!({ MARK: MARK }).to_string();
    let assertion = format!("{MARK}.{MARK}.{MARK}");
    sentinel.error("instant", &Timestamp::parse_instant(MARK).unwrap_err());
    sentinel.error("elements", &Elements::parse(&[&format!("name.{MARK}")], &Definitions::R4).unwrap_err()[0]);
    sentinel.error("principal", &Principal::from_json(&marked).unwrap_err());
    let rules = TokenRules { issuer: "i".into(), audience: vec!["a".into()], skew_seconds: 0 };
    sentinel.error("claims", &Principal::from_claims(&marked, &rules, Timestamp::from_millis(0)).unwrap_err());
    sentinel.error("assertion", &ClientAssertion::read(&assertion).unwrap_err());
    sentinel.error("signed URLs", &serde_json::from_value::<SignedUrls>(json!({ "keys": MARK })).unwrap_err());
    sentinel.error("job record", &Job::decode(&marked).unwrap_err());
    sentinel.error("client record", &Client::resume(marked.as_bytes(), 0, Timestamp::from_millis(0)).unwrap_err());
    sentinel.error("population", &PopulationBuilder::default().push(&format!("{MARK}/{MARK}")).unwrap_err());
    sentinel.error("population", &Population::load(MARK.as_bytes()).unwrap_err());
    sentinel.error("set", &Set::load(SetWanted::Vetoes, MARK.as_bytes()).unwrap_err());
    let mut builder = SetBuilder::new(SetWanted::Vetoes, 0);
    sentinel.error("set", &builder.push(format!("{MARK}\n").as_bytes()).unwrap_err());
    sentinel.logged("set", &builder);
    let value_set = SetWanted::ValueSet(format!("http://v/{MARK}"));
    sentinel.logged("set", &value_set);
    let mut builder = SetBuilder::new(value_set, 1);
    sentinel.error("set", &builder.push(format!("{MARK}\n").as_bytes()).unwrap_err());
    sentinel.logged("set", &builder);
    let line = json!({ "resourceType": "Group", "member": [{ "entity": { "reference": format!("Patient/{MARK}") } }] });
    sentinel.logged("members", &group::members(line.to_string().as_bytes(), "", Timestamp::from_millis(0), None));
    for body in [MARK, &marked, &json!({ "output": MARK }).to_string(), &json!({ "output": [MARK] }).to_string()] {
        let bounds = ManifestBounds { bytes_max: 1_000, rows_max: 10 };
        if let Err(error) = Manifest::read(body.as_bytes(), false, bounds) {
            sentinel.error("manifest", &error);
        }
    }
    let config = EndpointConfig::from_json(r#"{"baseUrl":"https://ehr.example/fhir","auth":"bearer"}"#).unwrap();
    sentinel.logged("endpoint", &Endpoint::new(config).unwrap());
}

fn requests_of_a_client(sentinel: &mut Sentinel) {
    let mut request = ExportRequest::new("https://ehr.example/fhir");
    request.level = Level::Patient(format!("{MARK}/{MARK}"));
    request.since = Some(MARK.into());
    request.types = vec![MARK.into()];
    request.elements = vec![format!("{MARK}.a.b.c")];
    request.patients = vec![Sensitive::new(format!("{MARK} {MARK}"))];
    request.type_filters = vec![Sensitive::new(format!("Patient?birthdate={MARK}"))];
    request.include_associated_data = vec![format!("{MARK},{MARK}")];
    request.organize_output_by = Some(MARK.into());
    request.prefer = vec![format!("{MARK}={MARK}; {MARK}")];
    let value = Sensitive::new(json!(MARK));
    request.vendor = vec![VendorParameter { name: "concern".into(), member: "other".into(), value }];
    let error = request.check().unwrap_err();
    assert!(error.problems.len() >= 6, "{error}");
    sentinel.error("request of the client", &error);
    for url in [MARK, "https://MARK", "ftp://MARK/MARK", "https://u:MARK@ehr.example/", "https://ehr.example/ MARK"] {
        if let Err(error) = Url::parse(&url.replace("MARK", MARK)) {
            sentinel.error("URL", &error);
        }
    }
    sentinel.logged("URL", &Url::parse(&format!("https://ehr.example/{MARK}?{MARK}")).unwrap());
}

/// Marks where values stand.
const FILTERS: &[&str] = &[
    "Patient?birthdate=MARK",
    "Patient?birthdate=ge MARK",
    "Patient?gender:missing=MARK",
    "Patient?name=MARK\\",
    "Patient?name=MARK%ZZ",
    "Patient?name=,MARK",
    "Patient?name=MARK&_count=MARK",
    "Patient?name:exact=MARK&birthdate=MARK",
    "Patient?identifier:of-type=MARK",
    "Patient?_id=MARK%2FMARK",
    "Patient?general-practitioner.name=MARK",
    "Patient?_has:Observation:patient:code=MARK",
    "Patient?_list=MARK",
    "Patient?_filter=name eq MARK",
    "Observation?code:in=MARK",
    "Observation?code-value-quantity=MARK",
    "Observation?value-quantity=MARK",
    "Observation?subject:Patient=MARK%2FMARK",
    "RiskAssessment?probability=MARK",
    "ValueSet?url:below=MARK",
];

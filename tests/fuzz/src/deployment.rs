//! The deployments that requests are made to, and who makes them.

use std::sync::LazyLock;

use ehi_core::{
    Edition, Endpoint, Sensitive, Timestamp,
    access::Principal,
    endpoint::{Decision, EndpointConfig},
    job::{Command, Epoch, Job, JobId},
    kick_off::{Facts, KickOff, Level},
    population::PopulationBuilder,
};
use serde_json::json;

/// One in each edition, first without authorisation, then with it and all that goes with that.
pub(crate) fn endpoint(edition: Edition, is_open: bool) -> &'static Endpoint {
    let place = ENDPOINTS.0.iter().position(|known| *known == edition).expect("all editions are there");
    &ENDPOINTS.1[2 * place + usize::from(is_open)]
}

/// The bearer of a token for everything, or of one patient's for that patient.
pub(crate) fn bearer(is_patient: bool) -> Principal {
    let scopes: &[&str] =
        if is_patient { &["patient/*.rs", "patient/$ehi-export"] } else { &["system/*.rs", "system/$ehi-export"] };
    Principal::Known {
        client: "app".into(),
        user: None,
        patient: is_patient.then(|| Sensitive::new("p1".into())),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        roles: Vec::new(),
        expires: at(1 << 30),
    }
}

/// What is decided about a kick-off where there are one patient, one group and one ValueSet.
pub(crate) fn decide(endpoint: &Endpoint, kick_off: KickOff, principal: &Principal) -> Decision {
    let facts = Facts {
        patients: ["p1".to_owned()].into(),
        groups: ["g".to_owned()].into(),
        value_sets: ["http://v".to_owned()].into(),
        active_jobs: Some(0),
        ..Facts::default()
    };
    endpoint.decide(kick_off, principal, &facts, id(), at(0))
}

/// The id of every job.
pub(crate) fn id() -> JobId {
    JobId::from_entropy([7; 16])
}

/// Lets a job begin, if it can.
pub(crate) fn begin(job: &mut Job) -> Option<Epoch> {
    let begin = Command::Begin {
        holder: "host".into(),
        until: at(100),
        transaction_time: at(1),
        snapshot: "1".into(),
        partitions: 1,
    };
    job.apply(begin, at(1)).ok().map(|(epoch, _)| epoch)
}

/// The block of the one patient, where a level wants one.
pub(crate) fn population(level: &Level) -> Option<Vec<u8>> {
    let mut builder = PopulationBuilder::default();
    builder.push("p1").expect("it is an id");
    matches!(level, Level::Group(_) | Level::Patient(_)).then(|| builder.seal())
}

/// So many seconds after the beginning.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).plus_seconds(seconds)
}

/// Where all of them are.
pub(crate) const BASE: &str = "https://ehr.example/fhir";

static ENDPOINTS: LazyLock<([Edition; 4], Vec<Endpoint>)> = LazyLock::new(|| {
    let editions = [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot];
    let endpoints = editions.iter().flat_map(|edition| [false, true].map(|is_open| make(*edition, is_open)));
    (editions, endpoints.collect())
});

fn make(edition: Edition, is_open: bool) -> Endpoint {
    let pages = json!({ "files": 1, "seconds": 1 });
    let mut config =
        json!({ "baseUrl": BASE, "auth": "none", "edition": edition, "supporting": "all", "partialManifests": pages });
    config["filterSets"] = json!({ "valueSets": true, "chains": true });
    if !is_open {
        let step = json!({ "name": "review", "progress": "being reviewed", "deadlineSeconds": 60, "operations": ["ehi-export"] });
        let key = json!({ "id": "k1", "secret": "00".repeat(32) });
        let more = json!({
            "auth": "bearer",
            "hosts": [],
            "ehi": { "documentationUrl": "https://ehr.example/formats" },
            "separateExportStatus": true,
            "pollStrikesMax": 3,
            "vendorParameters": {
                "charts": { "operations": ["export", "ehi-export"], "values": ["all", "signed"] },
                "note": { "operations": ["ehi-export"] },
            },
            "steps": { "release": [step], "rejectionCodes": [{ "code": "identity", "text": "not confirmed" }] },
            "signedUrls": { "keys": [key], "seconds": 60 },
            "smart": { "tokenEndpoint": "https://ehr.example/token" },
            "attachments": "serve",
            "withheldLabels": ["s|R"],
            "vetoes": true,
        });
        let more = more.as_object().expect("it is one").clone();
        config.as_object_mut().expect("it is one").extend(more);
    }
    let config = EndpointConfig::from_json(&config.to_string()).expect("the configuration can be read");
    Endpoint::new(config).expect("the configuration can be used")
}

//! What is exported, and under which rules: the deployment, the kick-off, and how much may go wrong.

use anyhow::{Context, Result, bail};
use ehi_core::{
    Endpoint, Sensitive, Timestamp,
    access::Principal,
    endpoint::{Decision, EndpointConfig, Route},
    http::Request,
    job::{Job, JobId},
    kick_off::Facts,
};
use serde_json::{Value, json};

use crate::call::File;

/// Hours since the kick-off: the clock of the model. An hour is how long a tombstone stands, and everything that a
/// deployment can set is a number of hours here.
pub type Hour = u8;

/// One deployment, one kick-off, and how much may go wrong.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, for reports.
    pub name: &'static str,
    /// Whether it is `$ehi-export`, with the patient's form and the staff's steps, or `$export`, with neither.
    pub ehi: bool,
    /// How many steps staff take before the export.
    pub before: u8,
    /// How many steps staff take before the release.
    pub release: u8,
    /// Into how many partitions the data are cut.
    pub partitions: u8,
    /// How many files each partition has.
    pub files: u8,
    /// How long the work may take.
    pub run_hours: Hour,
    /// How long an ended job is told of.
    pub retention_hours: Hour,
    /// How often a client polls ahead of time at most; none means that it does not poll at all.
    pub early_polls: Option<u8>,
    /// Whether others may come between a host's reading of the job and its writing.
    pub split: bool,
    /// How many messages between host and store are lost or repeated.
    pub faults: u8,
    /// How many hosts crash.
    pub crashes: u8,
    /// Whether the last file of each partition reports more than an export may, so that none completes.
    pub spoilt: bool,
}

impl Scenario {
    /// What CI checks. Each scenario has more of one thing and less of the others, so that all together are a matter of
    /// a minute; in [`large`](Self::large) each has its full share of what may go wrong.
    pub fn small() -> Vec<Self> {
        vec![
            Self::polled(),
            Self::no_time(),
            Self::apart(),
            Self::faults(),
            Self::long(),
            Self::crash(),
            Self::steps_each(),
            Self::two_partitions(),
            Self::spoilt(),
        ]
    }

    /// The same with two messages lost or repeated and one crash in each, and two files.
    pub fn large() -> Vec<Self> {
        let whole = |scenario: Self| Self {
            run_hours: scenario.run_hours.max(2),
            files: 2 / scenario.partitions.clamp(1, 2),
            faults: 2,
            crashes: 1,
            ..scenario
        };
        Self::small().into_iter().map(whole).collect()
    }

    pub(crate) fn polled() -> Self {
        Self { name: "$export, polled", early_polls: Some(2), ..BULK }
    }

    pub(crate) fn no_time() -> Self {
        Self { name: "$export, kept for no time", retention_hours: 0, ..BULK }
    }

    pub(crate) fn apart() -> Self {
        Self { name: "$export, read and written apart", split: true, run_hours: 1, ..BULK }
    }

    pub(crate) fn faults() -> Self {
        Self { name: "$export, two messages lost or repeated", faults: 2, ..BULK }
    }

    /// Long enough for a renewal to arrive after a later one.
    pub(crate) fn long() -> Self {
        Self { name: "$export, three hours", run_hours: 3, faults: 1, retention_hours: 0, ..BULK }
    }

    pub(crate) fn crash() -> Self {
        Self { name: "$export, two files and a crash", files: 2, crashes: 1, ..BULK }
    }

    pub(crate) fn steps_each() -> Self {
        Self { name: "$ehi-export, two steps each", before: 2, release: 2, partitions: 1, run_hours: 1, ..EHI }
    }

    pub(crate) fn two_partitions() -> Self {
        Self { name: "$ehi-export, two partitions", faults: 1, run_hours: 1, ..EHI }
    }

    pub(crate) fn spoilt() -> Self {
        Self { name: "$export, two files and too many reports", files: 2, faults: 1, spoilt: true, ..BULK }
    }

    /// Whether a file reports more than an export may.
    pub(crate) fn is_spoilt(&self, file: File) -> bool {
        self.spoilt && file.number + 1 == self.files
    }

    /// How many steps staff take.
    pub fn steps(&self) -> u8 {
        self.before + self.release
    }

    /// By when a job is forgotten, whatever happens: every wait once, then the outcome, then the tombstone.
    pub fn over_by(&self) -> Hour {
        let people = u8::from(self.ehi) + self.steps();
        people + self.run_hours + self.retention_hours + TOMBSTONE_HOURS
    }

    /// The front door of the deployment.
    pub(crate) fn endpoint(&self) -> Result<Endpoint> {
        let step = |number: u8| {
            json!({
                "name": step_name(number),
                "progress": "waiting for staff",
                "deadlineSeconds": HOUR_SECONDS,
                "operations": ["ehi-export"],
            })
        };
        let steps = |range: std::ops::Range<u8>| range.map(step).collect::<Vec<Value>>();
        let config = json!({
            "baseUrl": "https://ehr.example/fhir",
            "auth": "bearer",
            "ehi": { "documentationUrl": "https://ehr.example/formats" },
            "retentionSeconds": u64::from(self.retention_hours) * HOUR_SECONDS,
            "runSeconds": u64::from(self.run_hours) * HOUR_SECONDS,
            "pollIntervalMillis": HOUR_SECONDS * 1000,
            "pollStrikesMax": STRIKES_MAX,
            "failAbove": { "reports": REPORTS_MAX },
            "steps": {
                "patientForm": { "url": "https://ehr.example/forms/{job}", "deadlineSeconds": HOUR_SECONDS },
                "before": steps(0..self.before),
                "release": steps(self.before..self.steps()),
                "rejectionCodes": [{ "code": KNOWN_CODE, "text": "the request was not signed" }],
            },
        });
        Ok(Endpoint::new(EndpointConfig::from_json(&config.to_string())?)?)
    }

    /// Who asks for the export.
    pub(crate) fn owner(&self) -> Principal {
        principal("app", self.ehi)
    }

    /// The job as it is accepted at hour 0.
    pub(crate) fn kick_off(&self, endpoint: &Endpoint) -> Result<Job> {
        let (method, target) =
            if self.ehi { ("POST", "/fhir/Patient/p1/$ehi-export") } else { ("GET", "/fhir/$export?_type=Patient") };
        let headers: &[(&str, &[u8])] = &[("Prefer", b"respond-async")];
        let request = Request { method, target, headers, body: b"" };
        let Route::KickOff(kick_off) = endpoint.route(&request, &self.owner()) else { bail!("not a kick-off") };
        let facts = Facts { patients: ["p1".to_owned()].into(), active_jobs: Some(0), ..Facts::default() };
        match endpoint.decide(*kick_off, &self.owner(), &facts, JobId::from_entropy([7; 16]), instant(0)) {
            Decision::Accepted(job, _) => Ok(*job),
            Decision::Refused(response) => None.with_context(|| format!("refused with {}", response.status)),
        }
    }
}

/// Who has the same rights as the owner of the job, and is another.
pub(crate) fn stranger(ehi: bool) -> Principal {
    principal("another-app", ehi)
}

fn principal(client: &str, ehi: bool) -> Principal {
    let scope = if ehi { "patient/$ehi-export" } else { "system/*.read" };
    Principal::Known {
        client: client.to_owned(),
        user: None,
        patient: ehi.then(|| Sensitive::new("p1".to_owned())),
        scopes: vec![scope.to_owned()],
        roles: Vec::new(),
        expires: instant(Hour::MAX),
    }
}

/// The name of the staff's step of that number.
pub(crate) fn step_name(number: u8) -> String {
    format!("step-{number}")
}

/// When an hour begins.
pub(crate) fn instant(hour: Hour) -> Timestamp {
    Timestamp::from_millis(KICK_OFF_MILLIS).plus_seconds(u64::from(hour) * HOUR_SECONDS)
}

/// For how long a host is promised the job with each renewal.
pub(crate) const LEASE_HOURS: Hour = 1;

/// How long a tombstone stands; the core's own constant.
pub(crate) const TOMBSTONE_HOURS: Hour = 1;

/// Early polls after which an export is ended.
pub(crate) const STRIKES_MAX: u8 = 1;

/// More reports than these fail an export.
pub(crate) const REPORTS_MAX: u64 = 2;

/// The one code with which staff may reject a step.
pub(crate) const KNOWN_CODE: &str = "unsigned";

const HOUR_SECONDS: u64 = 60 * 60;

const KICK_OFF_MILLIS: i64 = 1_800_000_000_000;

const BULK: Scenario = Scenario {
    name: "$export",
    ehi: false,
    before: 0,
    release: 0,
    partitions: 1,
    files: 1,
    run_hours: 2,
    retention_hours: 1,
    early_polls: None,
    split: false,
    faults: 0,
    crashes: 0,
    spoilt: false,
};

const EHI: Scenario = Scenario { name: "$ehi-export", ehi: true, release: 1, partitions: 2, ..BULK };

//! What a seed decides before anything happens: who asks for what, how the deployment is set up, what may go wrong.

use std::collections::{BTreeMap, BTreeSet};

use ehi_core::{
    Edition, Sensitive, Timestamp,
    client::{ClientLimits, ExportRequest, KickOffMethod, Stage},
    endpoint::{Auth, Downloads, EhiConfig, EndpointConfig},
    job::{EarlyPages, PartialManifests, PatientForm, RejectionCode, StepConfig, StepsConfig},
    kick_off::{Level, Operation},
    writer::WriterLimits,
};
use fastrand::Rng;

use crate::{
    coverage::Fault,
    data::{DAY, HOUR, LABEL, MINUTE, SECOND},
    reference::Ask,
};

/// What a seed decides before anything happens.
pub(crate) struct Scenario {
    pub(crate) ask: Ask,
    pub(crate) config: EndpointConfig,
    pub(crate) request: ExportRequest,
    pub(crate) client_limits: ClientLimits,
    pub(crate) writer_limits: WriterLimits,
    pub(crate) hosts: usize,
    pub(crate) partitions: u32,
    /// Of each opportunity, how many in a thousand go wrong, and how often at most.
    pub(crate) faults: BTreeMap<Fault, (u16, u32)>,
    /// Whether a host that meets an error fails the job, or leaves it for later.
    pub(crate) fails_on_error: bool,
    /// The source and the number of the block at which every host crashes.
    pub(crate) poison: Option<(String, usize)>,
    /// Whether another client may follow the export, and does.
    pub(crate) has_follower: bool,
    pub(crate) token_millis: i64,
    /// At which stage the client is cancelled, if it is, and of a thousand waits at which.
    pub(crate) cancels: (Stage, i64),
    /// When the first host comes, in milliseconds.
    pub(crate) hosts_late: i64,
    /// How long staff and patients take at most.
    pub(crate) people_millis: i64,
}

impl Scenario {
    pub(crate) fn draw(rng: &mut Rng, start: i64) -> Self {
        let ask = ask(rng, start);
        let faults = faults(rng);
        let config = config(rng, &ask, &faults);
        let mut scenario = Self {
            request: request(rng, &ask),
            client_limits: client_limits(rng),
            writer_limits: writer_limits(rng),
            hosts: rng.usize(1..3),
            partitions: rng.u32(1..4),
            fails_on_error: rng.u8(0..4) == 0,
            poison: None,
            has_follower: config.downloads == Downloads::Scope && !ask.is_ehi,
            token_millis: if rng.bool() { HOUR } else { 15 * MINUTE },
            cancels: *rng.choice(&CANCELS).unwrap_or(&CANCELS[0]),
            hosts_late: if rng.u8(0..8) == 0 { rng.i64(0..HOUR) } else { 0 },
            people_millis: rng.i64(SECOND..20 * MINUTE),
            ask,
            config,
            faults,
        };
        if scenario.may(Fault::PoisonedLine) {
            scenario.poison = Some((format!("source-{}", rng.u8(0..3)), rng.usize(0..3)));
        }
        scenario
    }

    /// The same with nothing of our own server: only connections break, and the client may have had enough.
    pub(crate) fn with_hostile_server(mut self) -> Self {
        self.faults.retain(|fault, _| *fault == Fault::ClientCancels);
        self.faults.insert(Fault::DownloadCut, (200, 6));
        self
    }

    pub(crate) fn may(&self, fault: Fault) -> bool {
        self.faults.contains_key(&fault)
    }

    /// Whether nothing goes wrong but what people decide.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether the manifest comes in pages.
    pub(crate) fn is_paged(&self) -> bool {
        self.config.partial_manifests.is_some() && self.request.allow_partial_manifests
    }

    /// Whether the client may see files before the export is complete: no staff has to release them, and no page is to list
    /// errors that are still to come.
    pub(crate) fn is_early(&self) -> bool {
        self.is_paged() && self.config.steps.release.is_empty() && !self.are_errors_on_all()
    }

    /// Whether every page is to list all errors.
    pub(crate) fn are_errors_on_all(&self) -> bool {
        let early = self.config.partial_manifests.map(|pages| pages.early);
        self.is_paged() && early != Some(EarlyPages::Always) && self.ask.edition < Edition::Stu4Ballot
    }

    /// How far clocks may be apart, in milliseconds.
    pub(crate) fn skew_max(&self) -> i64 {
        if self.may(Fault::ClockJump) { 2 * SKEW } else { 0 }
    }
}

fn ask(rng: &mut Rng, start: i64) -> Ask {
    let is_ehi = rng.u8(0..3) == 0;
    let level = match rng.u8(0..6) {
        _ if is_ehi => Level::Patient("p0".into()),
        0 | 1 => Level::System,
        2 => Level::AllPatients,
        3 | 4 => Level::Group("g1".into()),
        _ => Level::Patient("p1".into()),
    };
    let edition = match rng.u8(0..6) {
        _ if is_ehi => Edition::Stu2,
        0 => Edition::Stu1,
        1 => Edition::Stu2,
        2 => Edition::Stu4Ballot,
        _ => Edition::Stu3,
    };
    let all = ["Patient", "Observation", "Encounter", "Organization", "Provenance"];
    let some: BTreeSet<&'static str> = all.into_iter().filter(|_| rng.u8(0..3) > 0).collect();
    // Nothing but what is nobody's is refused where only patients' data are exported.
    let is_sound = some.iter().any(|name| *name != "Organization");
    let types = (!is_ehi && rng.bool() && is_sound).then_some(some);
    let is_finals_only =
        !is_ehi && types.as_ref().is_none_or(|types| types.contains("Observation")) && rng.u8(0..3) == 0;
    Ask {
        level,
        edition,
        types,
        since: (!is_ehi && rng.bool()).then(|| start - rng.i64(HOUR..2 * DAY)),
        until: (!is_ehi && edition > Edition::Stu2 && rng.u8(0..4) == 0).then(|| start - rng.i64(MINUTE..HOUR)),
        is_finals_only,
        is_label_withheld: rng.u8(0..4) == 0,
        is_ehi,
    }
}

fn config(rng: &mut Rng, ask: &Ask, faults: &BTreeMap<Fault, (u16, u32)>) -> EndpointConfig {
    let of_both = || BTreeSet::from([Operation::Export, Operation::EhiExport]);
    let step = |name: &str, rng: &mut Rng| StepConfig {
        name: name.to_owned(),
        progress: format!("waiting for {name}"),
        deadline_seconds: rng.u64(10 * 60..60 * 60),
        operations: of_both(),
    };
    let mut steps = |names: [&str; 2]| -> Vec<StepConfig> {
        let taken = names.into_iter().filter(|_| rng.u8(0..if ask.is_ehi { 2 } else { 4 }) == 0);
        let taken: Vec<&str> = taken.collect();
        taken.into_iter().map(|name| step(name, rng)).collect()
    };
    let (before, release) = (steps(["contract", "fee"]), steps(["review", "second-review"]));
    let form = PatientForm { url: format!("{ORIGIN}/forms/{{job}}"), deadline_seconds: 3600, bare_link: rng.bool() };
    let retry_after_seconds = rng.u64(1..20);
    EndpointConfig {
        edition: ask.edition,
        ehi: Some(EhiConfig { documentation_url: format!("{ORIGIN}/formats") }),
        jobs_per_client_max: rng.u32(1..4),
        retention_seconds: *rng.choice(&[60, 300, 1_800, 7_200, 86_400]).unwrap_or(&300),
        retry_after_seconds,
        // Whoever waits as told is never too early.
        poll_interval_millis: retry_after_seconds * 900,
        poll_strikes_max: faults.contains_key(&Fault::FastPolls).then_some(3),
        run_seconds: rng.u64(1_200..2_400),
        downloads: *rng.choice(&[Downloads::Client, Downloads::User, Downloads::Scope]).unwrap_or(&Downloads::Client),
        partial_manifests: (rng.u8(0..3) > 0).then(|| PartialManifests {
            files: rng.u32(1..4),
            seconds: rng.u64(1..120),
            early: if rng.bool() { EarlyPages::Always } else { EarlyPages::WhereErrorsMayDiffer },
        }),
        withheld_labels: ask.is_label_withheld.then(|| LABEL.to_owned()).into_iter().collect(),
        steps: StepsConfig {
            patient_form: (rng.u8(0..3) > 0).then_some(form),
            before,
            release,
            rejection_codes: vec![RejectionCode { code: "identity".into(), text: "who asks is not known".into() }],
        },
        ..EndpointConfig::new(BASE, Auth::Bearer)
    }
}

fn request(rng: &mut Rng, ask: &Ask) -> ExportRequest {
    let instant = |at: Option<i64>| at.map(|at| Timestamp::from_millis(at).to_string());
    let mut request = match &ask.level {
        Level::Patient(id) if ask.is_ehi => ExportRequest::ehi(BASE, id.clone()),
        level => ExportRequest { level: level.clone(), ..ExportRequest::new(BASE) },
    };
    request.edition = ask.edition;
    request.method = match ask.edition {
        _ if ask.is_ehi => None,
        Edition::Stu1 => Some(KickOffMethod::Get),
        Edition::Stu4Ballot => Some(KickOffMethod::Post),
        Edition::Stu2 | Edition::Stu3 => {
            *rng.choice(&[Some(KickOffMethod::Get), Some(KickOffMethod::Post)]).unwrap_or(&None)
        }
    };
    request.types = ask.types.iter().flatten().map(|name| (*name).to_owned()).collect();
    (request.since, request.until) = (instant(ask.since), instant(ask.until));
    if ask.is_finals_only {
        request.type_filters.push(Sensitive::new("Observation?status=final".into()));
    }
    request.allow_partial_manifests = ask.edition > Edition::Stu2 && rng.u8(0..4) > 0;
    request.discover = rng.bool();
    request.delete_when_done = rng.u8(0..3) > 0;
    request
}

fn client_limits(rng: &mut Rng) -> ClientLimits {
    ClientLimits {
        total_seconds_max: CLIENT_SECONDS_MAX,
        downloads_max: rng.u32(1..4),
        save_bytes: rng.u64(50..2_000),
        backoff_millis_max: 30_000,
        ..ClientLimits::default()
    }
}

fn writer_limits(rng: &mut Rng) -> WriterLimits {
    let is_small = rng.bool();
    WriterLimits {
        shard_resources_max: rng.u64(1..8),
        shard_bytes_max: if is_small { rng.u64(200..2_000) } else { 1 << 20 },
        append_bytes: rng.usize(1..400),
        queue_bytes_max: rng.usize(100..2_000),
        open_span_bytes_max: if is_small { rng.u64(100..3_000) } else { 1 << 30 },
        digest: rng.bool(),
        ..WriterLimits::default()
    }
}

/// Each fault is there in some runs only: what always goes wrong hides what goes wrong later.
fn faults(rng: &mut Rng) -> BTreeMap<Fault, (u16, u32)> {
    if rng.u8(0..8) == 0 {
        return BTreeMap::new();
    }
    let all = [
        (Fault::HostCrash, 2, 20, 6),
        (Fault::HostPause, 2, 15, 6),
        (Fault::ClockJump, 4, 20, 4),
        (Fault::StoreUnavailable, 4, 15, 4),
        (Fault::StoreAnswerLost, 4, 15, 4),
        (Fault::SourceFails, 8, 20, 2),
        (Fault::PoisonedLine, 12, 1_000, u32::MAX),
        (Fault::AccountLost, 4, 100, 5),
        (Fault::RequestLost, 3, 60, 6),
        (Fault::ResponseLost, 3, 60, 6),
        (Fault::RequestRepeated, 4, 60, 6),
        (Fault::DownloadCut, 2, 300, 8),
        (Fault::ClientCrash, 3, 20, 5),
        (Fault::SaveTorn, 6, 30, 2),
        (Fault::PartTorn, 1, 1_000, 5),
        (Fault::TokenRefused, 6, 40, 3),
        (Fault::ClientCancels, 3, 1_000, 1),
        (Fault::StaffSilent, 8, 300, 1),
        (Fault::StaffRejects, 6, 300, 1),
        (Fault::FormSilent, 5, 500, 1),
        (Fault::FormWrong, 4, 500, 3),
        (Fault::FastPolls, 8, 500, 6),
    ];
    let drawn = all.into_iter().filter(|(_, one_in, ..)| rng.u8(0..*one_in) == 0);
    drawn.map(|(fault, _, rate, most)| (fault, (rate, most))).collect()
}

pub(crate) const ORIGIN: &str = "https://ehr.example";
pub(crate) const BASE: &str = "https://ehr.example/fhir";

const CANCELS: [(Stage, i64); 7] = [
    (Stage::Discovering, 400),
    (Stage::Discovering, 400),
    (Stage::KickingOff, 400),
    (Stage::Polling, 150),
    (Stage::Polling, 40),
    (Stage::Polling, 20),
    (Stage::Fetching, 300),
];

/// How far the clock of a host may be off.
pub(crate) const SKEW: i64 = 5 * MINUTE;

pub(crate) const CLIENT_SECONDS_MAX: u64 = 6 * 60 * 60;

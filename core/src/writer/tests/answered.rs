//! `_typeFilter` with sets, from the kick-off to the lines: what is asked for and when, and who may be asked about.

mod join;

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::json;

use super::*;
use crate::{
    Endpoint,
    access::Principal,
    endpoint::{Decision, Route},
    http::{Body, Request},
    job::JobId,
    kick_off::{Facts, Need},
    pass::Collection,
    plan::Chain,
    population::PopulationBuilder,
    sets::SetBuilder,
};

/// A deployment that answers with sets, whose embedder knows one ValueSet.
struct Deployment {
    config: serde_json::Value,
    scopes: Vec<&'static str>,
    prefer: &'static str,
}

impl Deployment {
    fn new() -> Self {
        let config = json!({
            "baseUrl": BASE, "auth": "bearer", "edition": "3.0", "filterSets": { "valueSets": true, "chains": true },
        });
        Self { config, scopes: vec!["system/*.rs"], prefer: "respond-async" }
    }

    fn with(mut self, name: &str, value: serde_json::Value) -> Self {
        self.config[name] = value;
        self
    }

    fn scopes(self, scopes: &[&'static str]) -> Self {
        Self { scopes: scopes.to_vec(), ..self }
    }

    fn lenient(self) -> Self {
        Self { prefer: "respond-async, handling=lenient", ..self }
    }

    /// The plan of an export by these queries; otherwise status and diagnostics.
    fn plan(&self, level: &str, queries: &[&str]) -> Result<ExportPlan, (u16, String)> {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let endpoint = Endpoint::new(EndpointConfig::from_json(&self.config.to_string()).unwrap()).unwrap();
        let principal = Principal::Known {
            client: "app".into(),
            user: None,
            patient: None,
            scopes: self.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            roles: Vec::new(),
            expires: now.plus_seconds(60),
        };
        let encode = |query: &str| query.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let values: Vec<_> = queries.iter().map(|query| format!("_typeFilter={}", encode(query))).collect();
        let target = format!("/fhir{level}/$export?{}", values.join("&"));
        let headers = [("Prefer", self.prefer.as_bytes())];
        let request = Request { method: "GET", target: &target, headers: &headers, body: b"" };
        let refused = |response: crate::http::Response| {
            let Body::Text(text) = &response.body else { panic!("{response:?}") };
            let outcome: serde_json::Value = serde_json::from_str(text).unwrap();
            (response.status, outcome["issue"][0]["diagnostics"].as_str().unwrap().to_owned())
        };
        let kick_off = match endpoint.route(&request, &principal) {
            Route::KickOff(kick_off) => *kick_off,
            Route::Respond(response) => return Err(refused(response)),
            other => panic!("{other:?}"),
        };
        let mut facts = Facts { groups: ["g".to_owned()].into(), active_jobs: Some(0), ..Facts::default() };
        for need in endpoint.needs(&kick_off, &principal) {
            if let Need::ValueSet(url) = need {
                facts.value_sets.extend(VALUE_SETS.iter().any(|(known, _)| *known == url).then_some(url));
            }
        }
        match endpoint.decide(kick_off, &principal, &facts, JobId::from_entropy([1; 16]), now) {
            Decision::Accepted(job, _) => Ok(ExportPlan { transaction_time: Some(now), ..job.plan().clone() }),
            Decision::Refused(response) => Err(refused(response)),
        }
    }
}

const BASE: &str = "https://ehr.example/fhir";

const VALUE_SETS: [(&str, &[&str]); 2] = [("http://v", &["http://s|a", "http://s|b"]), ("http://empty", &[])];

/// A host, and what it is asked while it exports.
struct Host<'h> {
    plan: &'h ExportPlan,
    data: &'h str,
    vetoes: &'h str,
    log: RefCell<Vec<Did>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Did {
    /// Told what it alone knows.
    LookedUp(SetWanted),
    /// Went through the data for a set.
    Collected(Collection),
    /// Gave a line to a writer of files.
    Fed,
}

impl<'h> Host<'h> {
    fn new(plan: &'h ExportPlan, data: &'h str) -> Self {
        Self { plan, data, vetoes: "", log: RefCell::new(Vec::new()) }
    }

    /// `Type/id` of what the passes write, sorted.
    fn export(&self) -> Vec<String> {
        let passes = self.plan.passes().into_iter().filter(|pass| !matches!(pass, Pass::Deleted | Pass::Attachments));
        let mut written: Vec<_> = passes.flat_map(|pass| passes::resources(&self.run(pass))).collect();
        written.sort();
        written
    }

    /// All that a pass appends or finds. Its sets are made first, as a host makes them.
    fn run(&self, pass: Pass) -> Vec<u8> {
        let mut made: Vec<(SetWanted, Vec<u8>)> = Vec::new();
        for wanted in self.plan.sets(pass) {
            let found = match wanted.task() {
                Some(task) => {
                    let found = self.feed(task.pass, &made);
                    let Pass::Collect(collection) = task.pass else { panic!("no collecting pass") };
                    self.log.borrow_mut().push(Did::Collected(collection));
                    found
                }
                None => self.look_up(&wanted).into_bytes(),
            };
            let mut builder = SetBuilder::new(wanted.clone(), 1_000);
            builder.push(&found).unwrap();
            made.push((wanted, builder.seal().unwrap()));
        }
        self.feed(pass, &made)
    }

    fn look_up(&self, wanted: &SetWanted) -> String {
        self.log.borrow_mut().push(Did::LookedUp(wanted.clone()));
        match wanted {
            SetWanted::Vetoes => self.vetoes.to_owned(),
            SetWanted::ValueSet(url) => {
                let (_, codes) = VALUE_SETS.iter().find(|(known, _)| known == url).unwrap();
                codes.iter().map(|code| format!("{code}\n")).collect()
            }
            SetWanted::Collected(_) => panic!("found by a pass"),
        }
    }

    /// Gives a writer the sets that its pass wants of those made so far, then the data line by line.
    fn feed(&self, pass: Pass, made: &[(SetWanted, Vec<u8>)]) -> Vec<u8> {
        let mut population = PopulationBuilder::default();
        population.push("p0").unwrap();
        population.push("p1").unwrap();
        let population = population.seal();
        let population = self.plan.has_listed_patients().then(|| Population::load(&population).unwrap());
        let task = PartitionTask { pass, ..PartitionTask::default() };
        let mut writer = Writer::new(self.plan, &task, population, WriterLimits::default()).unwrap();
        let at = Source { name: "data", cursor: b"", offset: 0 };
        for wanted in self.plan.sets(pass) {
            assert_eq!(writer.write_lines(b"\n", at), Err(WriterError::MissingSet), "{wanted}");
            let (_, block) = made.iter().find(|(set, _)| *set == wanted).expect("made before it is needed");
            writer.add_set(Set::load(wanted, block).unwrap()).unwrap();
        }
        let mut offset = 0;
        for line in self.data.split_inclusive('\n') {
            if !matches!(pass, Pass::Collect(_)) {
                self.log.borrow_mut().push(Did::Fed);
            }
            writer.write_lines(line.as_bytes(), Source { offset, ..at }).unwrap();
            offset += line.len() as u64;
        }
        writer.finish();
        let mut bytes = Vec::new();
        while let Some(output) = writer.poll_output() {
            if let Output::Append { bytes: part, .. } | Output::Found { bytes: part } = output {
                bytes.extend_from_slice(part);
            }
        }
        bytes
    }
}

/// p0 and p1 are members of the group, p2 is not.
const DATA: &str = r#"{"resourceType":"Patient","id":"p0","name":[{"family":"Nye"}],"gender":"male","generalPractitioner":[{"reference":"Practitioner/d0"}]}
{"resourceType":"Patient","id":"p1","name":[{"family":"Nyman"}],"gender":"female","generalPractitioner":[{"reference":"Practitioner/d1"}]}
{"resourceType":"Patient","id":"p2","name":[{"family":"Nye"}],"gender":"male"}
{"resourceType":"Practitioner","id":"d0","name":[{"family":"Doe"}],"meta":{"security":[{"system":"s","code":"R"}]}}
{"resourceType":"Practitioner","id":"d1","name":[{"family":"Doe"}]}
{"resourceType":"Encounter","id":"e0","status":"finished","class":{"system":"c","code":"AMB"},"subject":{"reference":"Patient/p0"}}
{"resourceType":"Encounter","id":"e2","status":"finished","class":{"system":"c","code":"AMB"},"subject":{"reference":"Patient/p2"}}
{"resourceType":"Observation","id":"o0","status":"final","code":{"coding":[{"system":"http://s","code":"a"}]},"subject":{"reference":"Patient/p0"},"encounter":{"reference":"Encounter/e0"},"performer":[{"reference":"Practitioner/d0"}]}
{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://s","code":"c"}]},"subject":{"reference":"https://ehr.example/fhir/Patient/p1"},"encounter":{"reference":"Encounter/e2"},"performer":[{"reference":"Practitioner/d1/_history/1"}]}
{"resourceType":"Observation","id":"o2","status":"amended","code":{"coding":[{"system":"http://s","code":"b"}]},"subject":{"reference":"Patient/p2"},"encounter":{"reference":"Encounter/e2"}}
"#;

fn observations(deployment: &Deployment, level: &str, query: &str, vetoes: &str) -> Vec<String> {
    let plan = deployment.plan(level, &[query]).unwrap();
    let only = TypeSelection::Only([plan.definitions().resource_type("Observation").unwrap()].into());
    let plan = ExportPlan { types: only, ..plan };
    Host { vetoes, ..Host::new(&plan, DATA) }.export()
}

const ALL: &str = "";
const GROUP: &str = "/Group/g";

#[test]
fn chains_and_value_sets_select() {
    let exported = |query: &str| observations(&Deployment::new(), ALL, query, "");
    assert_eq!(exported("Observation?subject:Patient.name=nye"), ["Observation/o0", "Observation/o2"]);
    assert_eq!(exported("Observation?patient.gender=female"), ["Observation/o1"]);
    assert_eq!(
        exported("Observation?patient.general-practitioner:Practitioner.name=doe"),
        ["Observation/o0", "Observation/o1"]
    );
    assert_eq!(
        exported("Observation?encounter:Encounter.patient.name=nye&status=final"),
        ["Observation/o0", "Observation/o1"]
    );
    assert_eq!(exported("Observation?code:in=http://v"), ["Observation/o0", "Observation/o2"]);
    assert_eq!(exported("Observation?code:in=http://v,http://empty&status=final"), ["Observation/o0"]);
    assert_eq!(exported("Observation?code:not-in=http://v"), ["Observation/o1"]);
    assert!(exported("Observation?code:in=http://empty").is_empty());
    assert!(exported("Observation?subject:Patient.name=nobody").is_empty());
}

/// What the client may not export, a chain does not tell of.
#[test]
fn a_chain_is_refused_to_who_may_not_export_what_it_leads_to() {
    let query = "Observation?subject:Patient.general-practitioner:Practitioner.name=doe";
    for (scopes, name) in [
        (&["system/Observation.rs"][..], "Practitioner"),
        (&["system/Observation.rs", "system/Patient.rs"], "Practitioner"),
        (&["system/Observation.rs", "system/Practitioner.rs"], "Patient"),
        (&["system/Observation.rs", "system/Practitioner.rs", "system/Patient.r"], "Patient"),
    ] {
        for deployment in [Deployment::new(), Deployment::new().lenient()] {
            let (status, text) = deployment.scopes(scopes).plan(ALL, &[query]).unwrap_err();
            let expected =
                format!("the token does not grant the export of `{name}`, which a chain in `_typeFilter` asks about");
            assert_eq!((status, text), (403, expected));
        }
    }
    let granted = Deployment::new().scopes(&["system/Observation.rs", "system/Patient.rs", "system/Practitioner.rs"]);
    assert!(granted.plan(ALL, &[query]).is_ok());
}

#[test]
fn a_chain_finds_what_the_searches_of_the_scopes_select() {
    let granted = ["system/Observation.rs", "system/Patient.rs?gender=female", "system/Patient.rs?_id=p2"];
    let deployment = Deployment::new().scopes(&granted);
    let exported = |query: &str| observations(&deployment, ALL, query, "");
    assert_eq!(exported("Observation?subject:Patient.name=ny"), ["Observation/o1", "Observation/o2"]);
    // The search of a scope is evaluated alone, so a set in it grants nothing.
    let chained = Deployment::new().scopes(&["system/Observation.rs?subject:Patient.name=nye", "system/Patient.rs"]);
    assert_eq!(chained.plan(ALL, &["Patient?name=x"]).unwrap().granted_filters.len(), 0);
    assert!(!chained.plan(ALL, &["Patient?name=x"]).unwrap().types.has("Observation"));
}

#[test]
fn what_is_withheld_counts_as_not_there() {
    let labelled = Deployment::new().with("withheldLabels", json!(["s|R"]));
    let query = "Observation?performer:Practitioner.name=doe";
    assert_eq!(observations(&Deployment::new(), ALL, query, ""), ["Observation/o0", "Observation/o1"]);
    assert_eq!(observations(&labelled, ALL, query, ""), ["Observation/o1"]);
    let inner = "Observation?patient.general-practitioner:Practitioner.name=doe";
    assert_eq!(observations(&labelled, ALL, inner, ""), ["Observation/o1"], "on the way, too");
    let vetoing = Deployment::new().with("vetoes", json!(true));
    assert_eq!(observations(&vetoing, ALL, query, "Practitioner/d1\n"), ["Observation/o0"]);
    let encounters = "Observation?encounter:Encounter.status=finished";
    assert_eq!(observations(&vetoing, ALL, encounters, "Patient/p2\n"), ["Observation/o0"], "o1 leads to p2's");
}

#[test]
fn an_export_of_some_patients_tells_nothing_of_others() {
    let exported = |query: &str| observations(&Deployment::new(), GROUP, query, "");
    assert_eq!(
        exported("Observation?encounter:Encounter.status=finished"),
        ["Observation/o0"],
        "o1 leads to p2's encounter"
    );
    assert_eq!(exported("Observation?encounter:Encounter.status:missing=true"), [""; 0]);
    assert_eq!(exported("Observation?subject:Patient.name=nye"), ["Observation/o0"]);
    assert_eq!(exported("Observation?performer:Practitioner.name=doe"), ["Observation/o0", "Observation/o1"]);
    let all = observations(&Deployment::new(), "/Patient", "Observation?encounter:Encounter.status=finished", "");
    assert_eq!(all, ["Observation/o0", "Observation/o1", "Observation/o2"]);
}

#[test]
fn a_chain_is_judged_by_the_newest_version_before_the_transaction() {
    let plan = Deployment::new().plan(ALL, &["Observation?subject:Patient.name=nye"]).unwrap();
    let collect = Pass::Collect(Collection::Chained(0));
    let task = PartitionTask { pass: collect, ..PartitionTask::default() };
    let lines = [
        r#"{"resourceType":"Patient","id":"old","name":[{"family":"Nye"}]}"#,
        r#"{"resourceType":"Patient","id":"old","name":[{"family":"Else"}]}"#,
        r#"{"resourceType":"Patient","id":"late","meta":{"lastUpdated":"2099-01-01T00:00:00Z"},"name":[{"family":"Nye"}]}"#,
        r#"{"resourceType":"Patient","id":"long-ago","meta":{"lastUpdated":"1999-01-01T00:00:00Z"},"name":[{"family":"Nye"}]}"#,
        r#"{"resourceType":"Person","id":"x","name":[{"family":"Nye"}]}"#,
    ];
    let mut writer = Writer::new(&plan, &task, None, WriterLimits::default()).unwrap();
    writer.supersede_next_line().unwrap();
    let at = Source { name: "data", cursor: b"", offset: 0 };
    writer.write_lines(format!("{}\n", lines.join("\n")).as_bytes(), at).unwrap();
    writer.finish();
    let mut found = Vec::new();
    while let Some(output) = writer.poll_output() {
        let Output::Found { bytes } = output else { panic!("a file") };
        found.extend_from_slice(bytes);
    }
    assert_eq!(String::from_utf8(found).unwrap(), "Patient/long-ago\n");
}

#[test]
fn a_value_set_that_is_not_known_is_refused_by_name_or_its_query_is_dropped() {
    let unknown = "Observation?status=final&code:in=http://other";
    let (status, text) = Deployment::new().plan(ALL, &["Patient?", unknown]).unwrap_err();
    let expected = "`_typeFilter` value 2, query 1 for `Observation`, byte 33: parameter `code:in`: no such value set \
                    is known here; accepted are the codes themselves, separated by `,`";
    assert_eq!((status, text.as_str()), (400, expected));

    let lenient = |queries: &[&str]| Deployment::new().lenient().plan(ALL, queries).unwrap();
    let plan = lenient(&[unknown]);
    assert!(!plan.types.has("Observation") && plan.types.has("Patient"), "nothing of the type, rather than all of it");
    assert!(plan.type_filters.is_empty() && plan.value_sets.is_empty());
    assert!(plan.notices.iter().any(|notice| notice.diagnostics == expected.replace("value 2", "value 1")));
    let plan = lenient(&["Observation?code:in=http://v", unknown, "Patient?gender=male"]);
    assert!(plan.types.has("Observation"));
    assert_eq!(plan.type_filters, ["Observation?code:in=http://v", "Patient?gender=male"]);
    assert_eq!(plan.value_sets, ["http://v"]);
}

#[test]
fn a_deployment_that_answers_nothing_refuses_by_name() {
    for config in [json!({}), json!({ "valueSets": true })] {
        let deployment = Deployment::new().with("filterSets", config);
        let (status, text) = deployment.plan(ALL, &["Observation?subject:Patient.name=x"]).unwrap_err();
        assert!(status == 400 && text.contains("a chained parameter looks at the resource referred to"), "{text}");
    }
    let deployment = Deployment::new().with("filterSets", json!({ "chains": true }));
    let (status, text) = deployment.plan(ALL, &["Observation?code:in=http://v"]).unwrap_err();
    assert!(status == 400 && text.contains("looks into code systems and value sets"), "{text}");
}

#[test]
fn every_pass_that_judges_by_the_queries_wants_what_they_ask_for() {
    let query = "Observation?subject:Patient.general-practitioner:Practitioner.name=doe&code:in=http://v";
    let deployment = Deployment::new()
        .with("vetoes", json!(true))
        .with("supporting", json!("all"))
        .with("attachments", json!("serve"));
    let plan = ExportPlan { since: Some(Timestamp::from_millis(0)), ..deployment.plan(GROUP, &[query]).unwrap() };
    let asked = [
        SetWanted::Vetoes,
        SetWanted::ValueSet("http://v".into()),
        SetWanted::Collected(Collection::Chained(0)),
        SetWanted::Collected(Collection::Chained(1)),
    ];
    assert_eq!(plan.sets(Pass::Main), asked);
    for pass in [Pass::Context, Pass::Binaries, Pass::Attachments] {
        assert!(plan.passes().contains(&pass) && plan.sets(pass).starts_with(&asked), "{pass:?}");
        for set in plan.sets(pass).iter().skip(asked.len()) {
            let task = set.task().unwrap();
            assert!(plan.sets(task.pass).starts_with(&asked), "{set}");
        }
    }
    assert_eq!(plan.sets(Pass::Deleted), asked[..1]);
    assert_eq!(plan.sets(Pass::Collect(Collection::Chained(0))), asked[..2]);
    assert_eq!(plan.sets(Pass::Collect(Collection::Chained(1))), asked[..3], "the inner before the outer");
    let types = |number| plan.types_of(Pass::Collect(Collection::Chained(number))).unwrap();
    assert!(types(0).iter().all(|name| name.as_str() == "Practitioner") && types(0).len() == 1);
    assert!(types(1).iter().all(|name| name.as_str() == "Patient") && types(1).len() == 1);
    assert!(types(2).is_empty());
}

#[test]
fn a_plan_that_does_not_say_what_its_queries_ask_for_makes_no_writer() {
    let plan = Deployment::new().plan(ALL, &["Observation?subject:Patient.name=x&code:in=http://v"]).unwrap();
    let made = |plan: &ExportPlan, pass| {
        let task = PartitionTask { pass, ..PartitionTask::default() };
        Writer::new(plan, &task, None, WriterLimits::default()).map(|_| ())
    };
    assert_eq!(made(&plan, Pass::Main), Ok(()));
    assert_eq!(made(&ExportPlan { chains: Vec::new(), ..plan.clone() }, Pass::Main), Err(WriterError::TypeFilter));
    assert_eq!(made(&ExportPlan { value_sets: Vec::new(), ..plan.clone() }, Pass::Main), Err(WriterError::TypeFilter));
    let other = Chain::whole("Patient?name=y".into());
    assert_eq!(made(&ExportPlan { chains: vec![other], ..plan.clone() }, Pass::Main), Err(WriterError::TypeFilter));
    assert_eq!(made(&plan, Pass::Collect(Collection::Chained(1))), Err(WriterError::UnwantedSet));
    assert!(!format!("{plan:?} {:?}", plan.chains).contains("name"));
}

/// All that is asked is asked before the first line, and how often does not depend on how many lines there are.
#[test]
fn nothing_is_asked_while_lines_flow() {
    let query = "Observation?subject:Patient.general-practitioner:Practitioner.name=doe&code:in=http://v,http://empty";
    let plan = Deployment::new().with("vetoes", json!(true)).plan(ALL, &[query, "Patient?"]).unwrap();
    let mut asked = Vec::new();
    for times in [1, 200] {
        let data = DATA.repeat(times);
        let host = Host::new(&plan, &data);
        let written = passes::resources(&host.run(Pass::Main));
        assert!(written.len() >= 4 * times, "lines flow: {}", written.len());
        let log = host.log.take();
        let first = log.iter().position(|did| *did == Did::Fed).unwrap();
        assert!(log[first..].iter().all(|did| *did == Did::Fed), "nothing is asked after the first line");
        assert_eq!(log.len() - first, data.lines().count());
        asked.push(log[..first].to_vec());
    }
    let expected = [
        Did::LookedUp(SetWanted::Vetoes),
        Did::LookedUp(SetWanted::ValueSet("http://v".into())),
        Did::LookedUp(SetWanted::ValueSet("http://empty".into())),
        Did::Collected(Collection::Chained(0)),
        Did::Collected(Collection::Chained(1)),
    ];
    assert_eq!(asked, [&expected, &expected]);
}

#[test]
fn one_value_set_is_asked_about_once_and_of_nobody_who_may_export_nothing() {
    let endpoint = Endpoint::new(EndpointConfig::from_json(&Deployment::new().config.to_string()).unwrap()).unwrap();
    let of = |scope: &str| Principal::Known {
        client: "app".into(),
        user: None,
        patient: None,
        scopes: vec![scope.to_owned()],
        roles: Vec::new(),
        expires: Timestamp::from_millis(1),
    };
    let headers = [("Prefer", b"respond-async".as_slice())];
    let target = "/fhir/$export?_typeFilter=Observation%3Fcode:in=http://v&_typeFilter=Condition%3Fcode:in=http://v";
    let request = Request { method: "GET", target, headers: &headers, body: b"" };
    let asked = |principal: &Principal| {
        let Route::KickOff(kick_off) = endpoint.route(&request, &of("system/*.rs")) else { panic!("no kick-off") };
        let needs = endpoint.needs(&kick_off, principal);
        needs.into_iter().filter(|need| matches!(need, Need::ValueSet(url) if url == "http://v")).count()
    };
    assert_eq!(asked(&of("system/*.rs")), 1);
    assert_eq!(asked(&of("openid")), 0);
    assert_eq!(format!("{:?}", Need::ValueSet("http://v".into())), "ValueSet");
    let by_number: BTreeMap<_, _> = {
        let Route::KickOff(kick_off) = endpoint.route(&request, &of("system/*.rs")) else { panic!("no kick-off") };
        kick_off.value_sets.into_iter().map(|asked| (asked.query, asked.url)).collect()
    };
    assert_eq!(by_number.into_keys().collect::<Vec<_>>(), [0, 1]);
}

//! Resources in which every text is marked, and lines that are broken in every way: written by every pass, under every
//! check. In the files of resources the marks must be; in error files and in names none may be.

use std::collections::BTreeMap;

use ehi_core::{
    job::Command,
    manifest::{OutputFile, Section},
    pass::{PartitionTask, Pass, SetWanted},
    plan::{ExportPlan, Organize},
    population::{Population, PopulationBuilder},
    sets::{Set, SetBuilder},
    writer::{Output, Source, Validation, Writer, WriterLimits},
};
use serde_json::{Value, json};

use super::{
    channels::{Channel, MARK, Sentinel, carries},
    server::{Ask, Host, at, patient, system},
};

/// Exports of the marked data, by different selections.
pub(crate) fn written(sentinel: &mut Sentinel) {
    let queries = [
        String::new(),
        format!("?_typeFilter=Patient%3Fname%3D{MARK}&_elements=id,name"),
        format!("?_typeFilter=Observation%3Fcode%3D{MARK}&_since=2020-01-01T00:00:00Z"),
        String::from("?organizeOutputBy=Patient"),
        String::from("?includeAssociatedData=RelevantProvenanceResources&_since=2020-01-01T00:00:00Z"),
    ];
    for query in &queries {
        let plan = plan(sentinel, &Ask::get(format!("/fhir/$export{query}")), &system());
        assert!(!files(sentinel, &plan).is_empty(), "{query}");
    }
    let plan = plan(sentinel, &Ask::post("/fhir/Patient/p1/$ehi-export", ""), &patient());
    assert!(!files(sentinel, &plan).is_empty());
}

fn plan(sentinel: &mut Sentinel, ask: &Ask<'_>, principal: &ehi_core::access::Principal) -> ExportPlan {
    let mut host = Host::new(|config| {
        config["steps"] = json!({});
        config["attachments"] = json!("serve");
        config["vetoes"] = json!(true);
        config["withheldLabels"] = json!([format!("s|{MARK}-label")]);
    });
    assert_eq!(host.ask(sentinel, ask, principal, 0).status, 202, "{}", ask.target);
    let (holder, snapshot) = ("host-a".into(), "s".into());
    host.command(
        sentinel,
        Command::Begin { holder, until: at(60), transaction_time: at(1), snapshot, partitions: 1 },
        1,
    );
    host.job.unwrap().plan().clone()
}

/// What all passes of a plan write. The content stays here; what is told of it is heard.
pub(crate) fn files(sentinel: &mut Sentinel, plan: &ExportPlan) -> Vec<OutputFile> {
    let mut rows = Vec::new();
    let mut exported = Vec::new();
    for pass in plan.passes() {
        for validate in [Validation::StrictAll, Validation::Trust, Validation::StrictOutput] {
            rows.truncate(rows.len() - rows.iter().rev().take_while(|(of, _)| *of == pass).count());
            let mut open = BTreeMap::new();
            let task = PartitionTask { pass, ..PartitionTask::default() };
            run(sentinel, plan, &task, validate, &mut |sentinel, output| match output {
                Output::Open { file, section, resource_type, name, content_type } => {
                    sentinel.hear(Channel::Url, "the name of a file", name);
                    let content_type = content_type.map(str::to_owned);
                    open.insert(file, (section, resource_type.cloned(), name.to_owned(), content_type, Vec::new()));
                }
                Output::Append { file, bytes } => open.get_mut(&file).unwrap().4.extend_from_slice(bytes),
                Output::Found { .. } => panic!("no pass of a job finds something"),
                Output::Close { file, count, bytes, sha256, checkpoint, .. } => {
                    let (section, resource_type, name, content_type, content) = open.remove(&file).unwrap();
                    sentinel.logged("checkpoint", checkpoint);
                    let content = String::from_utf8_lossy(&content).into_owned();
                    match section {
                        Section::Error => sentinel.hear(Channel::OperationOutcome, "error file", content),
                        Section::Output | Section::Deleted | Section::Attachment => exported.push(content),
                    }
                    let key = name.clone();
                    let sha256 = sha256.map(str::to_owned);
                    let continues_in_file = None;
                    let row = OutputFile {
                        section,
                        resource_type,
                        name,
                        key,
                        content_type,
                        count,
                        bytes,
                        gzip_bytes: None,
                        sha256,
                        continues_in_file,
                        page: None,
                    };
                    rows.push((pass, row));
                }
            });
        }
    }
    assert!(exported.iter().any(|content| carries(content, MARK)), "what is exported is marked");
    rows.into_iter().map(|(_, row)| row).collect()
}

type See<'s> = dyn FnMut(&mut Sentinel, Output<'_>) + 's;

/// One pass, once the sets that it needs are there.
fn run(sentinel: &mut Sentinel, plan: &ExportPlan, task: &PartitionTask, validate: Validation, see: &mut See<'_>) {
    let mut sets = Vec::new();
    for wanted in plan.sets(task.pass) {
        let mut builder = SetBuilder::new(wanted.clone(), 10_000);
        match wanted.task() {
            Some(task) => run(sentinel, plan, &task, validate, &mut |_, output| {
                if let Output::Found { bytes } = output {
                    builder.push(bytes).unwrap();
                }
            }),
            None => {
                assert_eq!(wanted, SetWanted::Vetoes);
                builder.push(format!("Observation/{MARK}-vetoed\n").as_bytes()).unwrap();
            }
        }
        sentinel.logged("set builder", &builder);
        sets.push((wanted, builder.seal().unwrap()));
    }
    let mut population = PopulationBuilder::default();
    population.push("p1").unwrap();
    let population = population.seal();
    let population =
        (!matches!(plan.level, ehi_core::kick_off::Level::System | ehi_core::kick_off::Level::AllPatients))
            .then(|| Population::load(&population).unwrap());
    sentinel.logged("population", &population);
    let limits = WriterLimits { validate, line_bytes_max: 100_000, ..WriterLimits::default() };
    let mut writer = Writer::new(plan, task, population, limits).unwrap();
    for (wanted, block) in &sets {
        let set = Set::load(wanted.clone(), block).unwrap();
        sentinel.logged("set", &set);
        writer.add_set(set).unwrap();
    }
    let mut source = Source { name: "part-1", cursor: b"c", offset: 0 };
    let lines = if task.pass == Pass::Deleted { tombstones() } else { lines() };
    if let Err(error) = writer.begin_block(&format!("{MARK}/{MARK}")) {
        sentinel.error("begin block", &error);
    }
    if plan.organize == Organize::ByPatient && task.pass == Pass::Main {
        writer.begin_block("p1").unwrap();
    }
    for (place, line) in lines.iter().enumerate() {
        if place % 5 == 4 {
            writer.supersede_next_line().unwrap();
        }
        let line = [line, b"\n".as_slice()].concat();
        assert_eq!(writer.write_lines(&line, source).unwrap().consumed, line.len());
        source.offset += line.len() as u64;
        while let Some(output) = writer.poll_output() {
            see(sentinel, output);
        }
    }
    sentinel.logged("writer", &writer);
    writer.finish();
    while let Some(output) = writer.poll_output() {
        see(sentinel, output);
    }
    if let Err(error) = writer.write_lines(MARK.as_bytes(), source) {
        sentinel.error("written after the end", &error);
    }
}

fn lines() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = resources().iter().map(|resource| resource.to_string().into_bytes()).collect();
    // Each again, cut off in many places, and with a text that is no UTF-8.
    for whole in lines.clone() {
        lines.extend((1..whole.len()).step_by(29).map(|end| whole[..end].to_vec()));
        let mut broken = whole;
        let at = broken.windows(MARK.len()).position(|window| window == MARK.as_bytes()).unwrap();
        broken[at] = 0xff;
        lines.push(broken);
    }
    lines.extend(BROKEN.iter().map(|line| line.replace("MARK", MARK).into_bytes()));
    lines.push(format!("{{\"resourceType\":\"Patient\",\"id\":\"{}\"}}", MARK.repeat(20_000)).into_bytes());
    lines
}

/// Every text a mark, but for what must be something else to be looked at.
fn resources() -> Vec<Value> {
    let text = |more: &str| format!("{MARK} {more}");
    let of_p1 = json!({ "reference": "Patient/p1", "display": MARK, "identifier": { "value": MARK } });
    let coded =
        json!({ "text": text("text"), "coding": [{ "system": format!("urn:{MARK}"), "code": MARK, "display": MARK }] });
    let meta = json!({ "lastUpdated": "2024-01-01T00:00:00Z", "source": MARK, "tag": [{ "code": MARK }] });
    let attachment = json!({ "contentType": format!("text/{MARK}"), "url": "Binary/b1", "title": MARK });
    let resource = |of: &str, id: &str, more: Value| {
        let mut resource = json!({ "resourceType": of, "id": id, "meta": meta, "text": { "status": "generated", "div": text("div") } });
        resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        resource
    };
    vec![
        resource(
            "Patient",
            "p1",
            json!({ "name": [{ "family": MARK, "given": [MARK] }], "birthDate": MARK, "address": [{ "line": [MARK], "city": MARK }], "telecom": [{ "value": MARK }] }),
        ),
        resource(
            "Patient",
            &format!("{MARK}-1"),
            json!({ "name": [{ "text": MARK }], "generalPractitioner": [{ "reference": format!("Practitioner/{MARK}-2") }] }),
        ),
        resource("Practitioner", &format!("{MARK}-2"), json!({ "name": [{ "family": MARK }] })),
        resource(
            "Observation",
            "o1",
            json!({ "status": "final", "code": coded, "subject": of_p1, "valueString": MARK, "note": [{ "text": MARK }] }),
        ),
        resource(
            "Observation",
            &format!("{MARK}-vetoed"),
            json!({ "status": "final", "code": coded, "subject": of_p1 }),
        ),
        resource(
            "Observation",
            &format!("{MARK}-3"),
            json!({ "status": MARK, "code": coded, "subject": { "reference": MARK }, "effectiveDateTime": MARK, "valueQuantity": { "value": 1, "unit": MARK, "code": MARK } }),
        ),
        resource(
            "Condition",
            "c1",
            json!({ "meta": { "lastUpdated": MARK, "security": [{ "system": "s", "code": MARK }] }, "code": coded, "subject": of_p1 }),
        ),
        resource(
            "Condition",
            "c2",
            json!({ "meta": { "security": [{ "system": "s", "code": format!("{MARK}-label") }] }, "code": coded, "subject": of_p1 }),
        ),
        resource(
            "Condition",
            "c3",
            json!({ "meta": { "lastUpdated": "2999-01-01T00:00:00Z" }, "code": coded, "subject": of_p1 }),
        ),
        resource(
            "DocumentReference",
            "d1",
            json!({ "status": "current", "subject": of_p1, "content": [{ "attachment": attachment }, { "attachment": { "url": format!("https://ehr.example/fhir/Binary/{MARK}"), "title": MARK } }] }),
        ),
        resource(
            "Binary",
            "b1",
            json!({ "contentType": format!("text/{MARK}"), "data": "WmViZWRlZQ==", "securityContext": of_p1 }),
        ),
        resource(
            "Binary",
            MARK,
            json!({ "contentType": MARK, "data": MARK, "securityContext": { "reference": MARK } }),
        ),
        resource(
            "Provenance",
            "v1",
            json!({ "target": [{ "reference": "Observation/o1" }, { "reference": format!("Patient/{MARK}-1") }], "recorded": MARK, "agent": [{ "who": { "display": MARK } }] }),
        ),
        resource(
            "Group",
            "g1",
            json!({ "member": [{ "entity": { "reference": format!("Patient/{MARK}-1"), "display": MARK } }] }),
        ),
        resource(
            "Questionnaire",
            "q1",
            json!({ "title": MARK, "contained": [{ "resourceType": "Patient", "id": MARK }] }),
        ),
    ]
}

fn tombstones() -> Vec<Vec<u8>> {
    let lines = [
        r#"{"type":"Observation","id":"MARK-9","deletedAt":"2024-01-01T00:00:00Z","patients":["p1","MARK-1"],"labels":[]}"#,
        r#"{"type":"MARK","id":"MARK","deletedAt":"MARK","patients":["MARK"],"labels":["s|MARK"]}"#,
        r#"{"type":"Observation","id":"MARK/MARK","deletedAt":"2024-01-01T00:00:00Z","patients":["p1"],"labels":[]}"#,
        r#"{"type":"Observation","id":"o9","deletedAt":"2024-01-01T00:00:00Z","patients":"MARK","MARK":1}"#,
        r#"{"type":"Observation","id":"o9""#,
        "MARK",
    ];
    lines.iter().map(|line| line.replace("MARK", MARK).into_bytes()).collect()
}

const BROKEN: &[&str] = &[
    "MARK",
    "\"MARK\"",
    "[\"MARK\"]",
    "{\"MARK\":",
    "{\"MARK\":\"MARK\"}",
    r#"{"resourceType":"MARK","id":"1"}"#,
    r#"{"resourceType":"Patient MARK","id":"1"}"#,
    r#"{"resourceType":["MARK"],"id":"1"}"#,
    r#"{"resourceType":"Patient","id":"MARK MARK"}"#,
    r#"{"resourceType":"Patient","id":{"MARK":1}}"#,
    r#"{"resourceType":"Patient","id":"1","id":"MARK"}"#,
    r#"{"resourceType":"Patient","resourceType":"MARK","id":"1"}"#,
    r#"{"resourceType":"Patient","id":"2","name":[{"family":"MARK}]}"#,
    r#"{"resourceType":"Patient","id":"2","meta":{"lastUpdated":{"MARK":1}}}"#,
    r#"{"resourceType":"Patient","id":"2","meta":"MARK"}"#,
    r#"{"resourceType":"Patient","id":"2","name":"MARK","name":"MARK"}"#,
    r#"{"resourceType":"Observation","id":"3","subject":"MARK"}"#,
    r#"{"resourceType":"Observation","id":"3","subject":[{"reference":"MARK"}]} MARK"#,
    r#"{"resourceType":"Observation","id":"3","subject":{"reference":"Patient/p1"},"valueString":"MARK\x"}"#,
    r#"{"resourceType":"Binary","id":"4","data":{"MARK":"MARK"},"securityContext":"MARK"}"#,
];

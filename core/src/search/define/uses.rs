//! Definitions as they are used: from a deployment's configuration to files, and as another FHIR version.

use serde_json::{Value, json};

use super::SearchParameterSet;
use crate::{
    Definitions, Edition, Endpoint, Timestamp,
    access::Principal,
    endpoint::{Auth, Decision, EndpointConfig, Route},
    http::Request,
    job::{Command, Job, JobId},
    kick_off::Facts,
    pass::PartitionTask,
    type_filter::{Filter, FilterContext, TypeFilterSource, parse},
    writer::{Output, Source, Writer, WriterLimits},
};

/// Every parameter that US Core adds finds what it is about.
#[test]
fn us_core_is_asked_by_default() {
    let race = r#"{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3"}},{"url":"text","valueString":"White"}]}"#;
    let identity = r#"{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-genderIdentity","valueCodeableConcept":{"coding":[{"code":"male"}]}}"#;
    let asserted =
        r#"{"url":"http://hl7.org/fhir/StructureDefinition/condition-assertedDate","valueDateTime":"2016-08-10"}"#;
    let ethnicity = race.replace("us-core-race", "us-core-ethnicity").replace("2106-3", "2186-5");
    for (query, wrong, resource) in [
        ("Patient?race=2106-3", "Patient?race=2186-5", patient(race)),
        ("Patient?race=urn:oid:2.16.840.1.113883.6.238|2106-3", "Patient?ethnicity=2106-3", patient(race)),
        ("Patient?ethnicity=2186-5", "Patient?race=2186-5", patient(&ethnicity)),
        ("Patient?gender-identity=male", "Patient?gender-identity=female", patient(identity)),
        (
            "Condition?asserted-date=ge2016",
            "Condition?asserted-date=2017",
            format!(r#"{{"resourceType":"Condition","id":"x","extension":[{asserted}]}}"#),
        ),
        (
            "CareTeam?role=17561000",
            "CareTeam?role=1",
            r#"{"resourceType":"CareTeam","id":"x","participant":[{"role":[{"coding":[{"code":"17561000"}]}]}]}"#.into(),
        ),
        (
            "Encounter?discharge-disposition=home",
            "Encounter?discharge-disposition=exp",
            r#"{"resourceType":"Encounter","id":"x","hospitalization":{"dischargeDisposition":{"coding":[{"code":"home"}]}}}"#.into(),
        ),
        (
            "Goal?description:text=eat",
            "Goal?description:text=run",
            r#"{"resourceType":"Goal","id":"x","description":{"text":"Eat more vegetables"}}"#.into(),
        ),
    ] {
        let config = EndpointConfig::new("https://ehr.example/fhir", Auth::None);
        assert!(exports(&config, query, &resource), "{query}");
        assert!(!exports(&config, wrong, &resource), "{wrong}");
        let job = accepted(&config, query).unwrap();
        assert_eq!(job.plan().search_parameters, "", "what every writer knows is not carried along");
        let without = EndpointConfig { us_core_search_parameters: false, ..config };
        assert!(accepted(&without, query).unwrap_err().contains("unknown search parameter"), "{query}");
    }
    assert_eq!(Definitions::US_CORE_SEARCH_PARAMETERS.lines().count(), 7);
}

#[test]
fn a_deployments_own_parameters_reach_the_writer() {
    let config = own("eye-colour", "Patient.extension('https://ehr.example/eye').value.as(code)");
    let eye = |code| patient(&format!(r#"{{"url":"https://ehr.example/eye","valueCode":"{code}"}}"#));
    assert!(exports(&config, "Patient?eye-colour=green", &eye("green")));
    assert!(!exports(&config, "Patient?eye-colour=green", &eye("blue")));
    // Together with US Core's.
    assert!(exports(&config, "Patient?eye-colour=green&race:missing=true", &eye("green")));
    assert!(exports(&config, "Observation?code=x&_lastUpdated=gt2020", &eye("blue")), "another type passes whole");
    let job = accepted(&config, "Patient?eye-colour=green").unwrap();
    let codes = job.plan().search_parameters.lines().map(|row| row.split('\t').nth(1).unwrap()).collect::<Vec<_>>();
    assert_eq!(codes, ["eye-colour"]);
    assert_eq!(accepted(&config, "Patient?gender=male").unwrap().plan().search_parameters, "");
}

/// How a value is compared goes by what it is, not by what the parameter is called.
#[test]
fn added_parameters_are_judged_by_the_types_of_their_values() {
    let contact = own("contact-phone", "Patient.contact.telecom");
    let patient = |rest: &str| format!(r#"{{"resourceType":"Patient","id":"x","contact":[{{{rest}}}]}}"#);
    let telecom = patient(r#""telecom":[{"system":"phone","value":"555"}]"#);
    assert!(exports(&contact, "Patient?contact-phone=555", &telecom));
    let refused = accepted(&contact, "Patient?contact-phone=phone|555").unwrap_err();
    assert!(refused.contains("parameter `contact-phone`: a phone number or mail address has no system"), "{refused}");
    let mut family = own("contact-family", "Patient.contact.name.family");
    family.search_parameters[0]["type"] = json!("string");
    let name = patient(r#""name":{"family":"van Dyck"}"#);
    assert!(exports(&family, "Patient?contact-family=dyck", &name));
    assert!(!exports(&family, "Patient?contact-family=yck", &name));
    let near = own("near", "Patient.address.use");
    let address = r#"{"resourceType":"Patient","id":"x","address":[{"use":"home"}]}"#;
    assert!(exports(&near, "Patient?near=home", address));
}

#[test]
fn a_configuration_whose_parameters_cannot_be_evaluated_is_refused() {
    for (code, expression, text) in [
        (
            "own",
            "Patient.name.first()",
            "configuration: `searchParameters`: search parameter `https://ehr.example/own`: \
            the expression, byte 13: the function `first` is outside the subset; the subset has",
        ),
        ("race", "Patient.maritalStatus", "`Patient` has another parameter of that code already"),
    ] {
        let error = Endpoint::new(own(code, expression)).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let race = EndpointConfig { us_core_search_parameters: false, ..own("race", "Patient.maritalStatus") };
    assert!(Endpoint::new(race).is_ok());
}

/// R5 has resource types, elements and parameters that R4 has not. None of it is code.
#[test]
fn another_version_is_data() {
    let resource_types = "ActorDefinition\nAppointment\nObservation\nPatient\n";
    let compartment = "Appointment\tactor\tparticipant.actor\nAppointment\tsubject\tsubject\n";
    let element_types = "\
        *\tboolean|integer64|string|CodeableReference\n\
        ActorDefinition\tIdentifier:identifier canonical:derivedFrom code:status,type dateTime:date uri:url\n\
        Appointment\t.:participant CodeableReference:reason Reference:subject\n\
        Appointment.participant\tReference:actor\n\
        BackboneElement\tExtension:modifierExtension\n\
        CodeableReference\tCodeableConcept:concept Reference:reference\n\
        DomainResource\tExtension:extension,modifierExtension\n\
        Element\tExtension:extension string:id\n\
        Extension\t*:value[x] string:url\n\
        Observation\tCodeableConcept:code canonical|Reference:instantiates[x]\n\
        Resource\tMeta:meta string:id\n";
    let version = Definitions::from_tables(resource_types, compartment).with_element_types(element_types);
    let mut set = SearchParameterSet::of_version(version);
    let entries = [
        ("instantiates-canonical", "Observation", "uri", "Observation.instantiates.ofType(canonical)"),
        ("type", "ActorDefinition", "token", "ActorDefinition.type"),
        ("date", "ActorDefinition", "date", "ActorDefinition.date"),
        ("derived-from", "ActorDefinition", "reference", "ActorDefinition.derivedFrom"),
        ("reason-code", "Appointment", "token", "Appointment.reason.concept"),
        ("reason-reference", "Appointment", "reference", "Appointment.reason.reference"),
        ("patient", "Appointment", "reference", "Appointment.subject.where(resolve() is Patient)"),
        ("_id", "Resource", "token", "Resource.id"),
    ]
    .map(|(code, base, parameter_type, expression)| {
        json!({ "resource": {
            "resourceType": "SearchParameter", "url": format!("http://hl7.org/fhir/SearchParameter/{base}-{code}"),
            "code": code, "base": [base], "type": parameter_type, "expression": expression, "processingMode": "normal",
        } })
    });
    set.add(&json!({ "resourceType": "Bundle", "entry": entries }).to_string()).unwrap();
    let table = set.to_table();
    let definitions = version.with_search_parameters(&table);
    assert_eq!(definitions.patient_paths("Appointment").collect::<Vec<_>>(), ["participant.actor", "subject"]);
    assert!(!definitions.in_patient_compartment("ActorDefinition"));
    for (query, resource, expected) in [
        ("Observation?instantiates-canonical=http://a", r#"{"instantiatesCanonical":"http://a|2"}"#, true),
        ("Observation?instantiates-canonical=http://b", r#"{"instantiatesCanonical":"http://a"}"#, false),
        ("ActorDefinition?type=person&date=2024", r#"{"type":"person","date":"2024-05-01"}"#, true),
        ("ActorDefinition?type=system", r#"{"type":"person"}"#, false),
        ("ActorDefinition?derived-from=http://a", r#"{"derivedFrom":["http://a"]}"#, true),
        ("Appointment?reason-code=flu", r#"{"reason":[{"concept":{"coding":[{"code":"flu"}]}}]}"#, true),
        (
            "Appointment?reason-reference=Observation/1",
            r#"{"reason":[{"reference":{"reference":"Observation/1"}}]}"#,
            true,
        ),
        ("Appointment?patient=1", r#"{"subject":{"reference":"Patient/1"}}"#, true),
        ("Appointment?_id=x", r#"{"id":"x"}"#, true),
    ] {
        let queries = parse(&[TypeFilterSource::Post(query)], Edition::Stu4Ballot, &definitions).unwrap();
        let now = Timestamp::parse_instant("2024-01-01T00:00:00Z").unwrap();
        let context = FilterContext { base_url: "http://example.org/fhir".to_owned(), now };
        let filter = Filter::compile(&queries, &definitions, &context).unwrap();
        let resource_type = query.split('?').next().unwrap();
        let resource = resource.replacen('{', &format!(r#"{{"resourceType":"{resource_type}","#), 1);
        assert_eq!(filter.matches(resource.as_bytes()), expected, "{query}");
    }
    // What only R4 has is unknown there, and the other way round.
    assert!(parse(&[TypeFilterSource::Post("Group?_id=x")], Edition::Stu4Ballot, &definitions).is_err());
    assert!(Definitions::R4.resource_type("ActorDefinition").is_none());
    assert!(definitions.search_parameter("Observation", "code").is_none());
}

fn patient(extension: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"x","extension":[{extension}]}}"#)
}

fn own(code: &str, expression: &str) -> EndpointConfig {
    let definition: Value = json!({
        "resourceType": "SearchParameter", "url": format!("https://ehr.example/{code}"), "code": code,
        "base": ["Patient"], "type": "token", "expression": expression,
    });
    EndpointConfig {
        search_parameters: vec![definition],
        ..EndpointConfig::new("https://ehr.example/fhir", Auth::None)
    }
}

/// The job of a kick-off with that query, or the refusal.
fn accepted(config: &EndpointConfig, query: &str) -> Result<Job, String> {
    let endpoint = Endpoint::new(config.clone()).unwrap();
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let target = format!("/fhir/$export?_typeFilter={encoded}");
    let request = Request { method: "GET", target: &target, headers: &[], body: b"" };
    let kick_off = match endpoint.route(&request, &Principal::Open) {
        Route::KickOff(kick_off) => kick_off,
        Route::Respond(response) => return Err(format!("{:?}", response.body)),
        Route::Job(_) | Route::LookUp(_) => panic!("no kick-off"),
    };
    let facts = Facts { active_jobs: Some(0), ..Facts::default() };
    let now = Timestamp::parse_instant("2026-01-01T00:00:00Z").unwrap();
    match endpoint.decide(*kick_off, &Principal::Open, &facts, JobId::from_entropy([7; 16]), now) {
        Decision::Accepted(job, _) => Ok(*job),
        Decision::Refused(response) => Err(format!("{:?}", response.body)),
    }
}

/// Whether a writer that knows nothing but the stored job writes the resource.
fn exports(config: &EndpointConfig, query: &str, resource: &str) -> bool {
    let mut job = accepted(config, query).unwrap();
    let now = Timestamp::parse_instant("2026-01-01T00:00:00Z").unwrap();
    let (holder, snapshot, until) = ("host-a".to_owned(), "1".to_owned(), now.plus_seconds(30));
    job.apply(Command::Begin { holder, until, transaction_time: now, snapshot, partitions: 1 }, now).unwrap();
    let stored = serde_json::to_string(job.plan()).unwrap();
    let plan = serde_json::from_str(&stored).unwrap();
    let mut writer = Writer::new(&plan, &PartitionTask::default(), None, WriterLimits::default()).unwrap();
    writer.write_lines(resource.as_bytes(), Source { name: "x", cursor: b"", offset: 0 }).unwrap();
    writer.finish();
    let mut written = false;
    while let Some(output) = writer.poll_output() {
        written |= matches!(output, Output::Append { .. });
    }
    written
}

//! What anybody wrote is in no event, whatever it was and wherever it stood.

use proptest::prelude::*;

use super::*;
use crate::job::Epoch;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_event_of_a_request_repeats_what_was_written(
        mark in "Zq[a-z0-9]{6,20}",
        target in prop::sample::select(TARGETS),
        method in prop::sample::select(&["GET", "POST", "DELETE", "HEAD"][..]),
        who in 0..4_u8,
        status in prop::sample::select(&[200_u16, 202, 206, 400, 401, 403, 404, 413, 429, 500][..]),
        well_formed: bool,
        with_job: bool,
    ) {
        let mut host = Host::new(|_| {});
        host.ask("POST", EHI, &ehi(), 0);
        let job = host.job.take().unwrap();
        let target = target.replace("MARK", &mark).replace("{job}", &job.id().to_string());
        let parameter = json!([{ "name": mark, "valueString": mark }, { "name": "_type", "valueString": mark }, mark]);
        let body = json!({ "resourceType": "Parameters", "id": mark, "parameter": parameter }).to_string();
        let body = if well_formed { body } else { format!("{{{body}{mark}") };
        let headers: &[(&str, &[u8])] = &[(&mark, b"x"), ("authorization", mark.as_bytes()), ("accept", mark.as_bytes())];
        let request = Request { method, target: &target, headers, body: body.as_bytes() };
        let marked = Principal::Known {
            client: "app".into(),
            user: Some(Sensitive::new("user-3".into())),
            patient: Some(Sensitive::new(mark.clone())),
            scopes: vec![mark.clone(), format!("system/Patient.rs?name={mark}")],
            roles: vec![mark.clone()],
            expires: at(100),
        };
        let principal = match who {
            0 => Principal::Anonymous,
            1 => Principal::Open,
            2 => ehi(),
            _ => marked,
        };
        let response = Response { body: Body::Text(mark.clone()), ..Response::new(status).with("x-progress", &mark) };
        let job = Some(&job).filter(|_| with_job);
        let exchange = Exchange { request: &request, principal: &principal, peer: None, response: &response, job, changed: true };
        for mut event in super::super::request(&host.endpoint, &exchange, at(1)) {
            // A file that was served is named: it is a row of the job, and was not written by who asked.
            if event.decision == Audited::Download && status < 400 {
                event.details.retain(|(name, _)| *name != "file");
            }
            prop_assert!(!event.to_json().contains(&mark), "{}", event.to_json());
        }
    }

    #[test]
    fn no_event_of_a_command_repeats_what_was_written(mark in "Zq[a-z0-9]{6,20}", which in 0..7_u8, waits in 0..3_u8) {
        let mut host = Host::new(|_| {});
        host.ask("POST", EHI, &ehi(), 0);
        if waits > 0 {
            host.command(Command::FormSubmitted { answers: FormAnswers::default() }, 1);
        }
        if waits > 1 {
            host.command(approve("contract"), 2);
            host.command(begin(3), 3);
        }
        let answers = FormAnswers {
            types: Some([mark.clone()].into()),
            withheld_labels: [format!("s|{mark}")].into(),
            type_filters: vec![format!("Patient?name={mark}")],
        };
        let by = String::from("staff-7");
        let command = match which {
            0 => Command::FormSubmitted { answers },
            1 => Command::FormSubmitted { answers: FormAnswers { types: None, ..answers } },
            2 => Command::Approve { step: mark.clone(), by },
            3 => Command::Reject { step: "contract".into(), code: mark.clone(), by, note: mark.clone() },
            4 => Command::Reject { step: "contract".into(), code: "identity".into(), by, note: mark.clone() },
            5 => Command::Fail { epoch: Epoch(1), diagnostics: mark.clone() },
            _ => Command::Begin { holder: mark.clone(), until: at(60), transaction_time: at(4), snapshot: mark.clone(), partitions: 1 },
        };
        for event in host.command(command, 4).iter().chain(&host.timeout(1_000_000)) {
            prop_assert!(!event.to_json().contains(&mark), "{}", event.to_json());
        }
    }
}

#[test]
fn debug_shows_no_patient_and_no_user() {
    let mut host = Host::new(|_| {});
    let (_, events) = host.ask("POST", EHI, &ehi(), 0);
    let shown = format!("{events:?}");
    assert!(!shown.contains("p1") && !shown.contains("user-3"), "{shown}");
}

const TARGETS: &[&str] = &[
    "/fhir/$export?_typeFilter=Patient%3Fname%3DMARK&MARK=MARK&_since=MARK",
    "/fhir/Patient/$export?_type=MARK&MARK",
    "/fhir/MARK/x/$export",
    "/fhir/Patient/MARK!/$export",
    "/fhir/Patient/p1/$ehi-export?charts=MARK",
    "/fhir/Patient/p1/$MARK",
    "/fhir/bulk/MARK",
    "/fhir/bulk/{job}?MARK=MARK",
    "/fhir/bulk/{job}/files/MARK",
    "/fhir/bulk/{job}/files/MARK/MARK",
    "/fhir/MARK",
    "/MARK",
    "MARK",
];

//! Requests that are refused, each for another reason, with marks wherever a client can write.

use ehi_core::access::Principal;
use serde_json::{Value, json};

use super::{
    channels::{ID, MARK, NAME, Sentinel},
    server::{Ask, Host, patient, system},
};

/// Sends them all, strictly and leniently.
pub(crate) fn refused(sentinel: &mut Sentinel) {
    for edition in ["1.0.1", "2.0", "3.0", "4.0-ballot"] {
        for handling in ["strict", "lenient"] {
            let prefer = format!("respond-async, handling={handling}");
            let mut sent = 0;
            for (ask, principal) in all() {
                let mut host = Host::new(|config| config["edition"] = json!(edition));
                let response = host.ask(sentinel, &ask.with("Prefer", prefer.as_str()), &principal, 0);
                sent += usize::from(response.status >= 400);
            }
            assert!(sent > 30, "{sent} of {edition} {handling}");
        }
    }
    let mut host = Host::new(|config| config["hosts"] = json!(["ehr.example"]));
    assert_eq!(host.ask(sentinel, &Ask::get("/fhir/$export").with("Host", MARK), &system(), 0).status, 421);
}

fn all() -> Vec<(Ask<'static>, Principal)> {
    let queries = QUERIES.iter().map(|query| (Ask::get(filled(&format!("/fhir/$export?{query}"))), system()));
    let addresses = ADDRESSES.iter().map(|address| (Ask::get(filled(address)), system()));
    let strangers = ADDRESSES.iter().map(|address| (Ask::get(filled(address)), Principal::Anonymous));
    let bodies = bodies().into_iter().flat_map(|body| {
        let ehi = Ask::post("/fhir/Patient/p1/$ehi-export", &body);
        [(Ask::post("/fhir/$export", &body), system()), (ehi, patient())]
    });
    let headers = HEADERS.iter().map(|name| (Ask::get("/fhir/$export?_type=x").with(name, MARK), system()));
    let typed = Ask { method: "POST", ..Ask::get("/fhir/$export") }.with("Content-Type", MARK);
    let method = Ask { method: MARK, ..Ask::get("/fhir/$export") };
    let long = Ask::get(format!("/fhir/$export?_typeFilter={}", MARK.repeat(10_000)));
    let others = [(typed, system()), (method, system()), (long, system())];
    queries.chain(addresses).chain(strangers).chain(bodies).chain(headers).chain(others).collect()
}

fn bodies() -> Vec<String> {
    let parameter = |parameter: Value| json!({ "resourceType": "Parameters", "parameter": parameter }).to_string();
    let text = |name: &str, value: &str| parameter(json!([{ "name": name, "valueString": value }]));
    vec![
        format!("{{\"{MARK}"),
        format!("{{\"resourceType\":\"{MARK}\",\"{MARK}\":1}}"),
        parameter(json!(MARK)),
        parameter(
            json!([MARK, { "valueString": MARK }, { "name": { "x": MARK } }, { "name": 7, "valueString": MARK }]),
        ),
        parameter(json!([{ "name": "_since", "valueString": MARK }, { "name": "_since", "valueInstant": MARK }])),
        parameter(json!([{ "name": "_type", "valueCode": MARK }, { "name": "_until", "valueDate": MARK }])),
        parameter(
            json!([{ "name": "patient", "valueReference": { "reference": format!("Patient/{MARK}"), "display": MARK } }]),
        ),
        parameter(json!([{ "name": "includeAssociatedData", "valueCoding": { "system": MARK, "display": MARK } }])),
        text("_typeFilter", &format!("Patient?birthdate={MARK}")),
        text("_typeFilter", &format!("Observation?value-quantity={MARK}&name={MARK}&status={MARK}\\")),
        text("organizeOutputBy", MARK),
        text("charts", MARK),
        text("concern", &MARK.repeat(1_000)),
        text(NAME, MARK),
        text("_type", NAME),
    ]
}

fn filled(text: &str) -> String {
    text.replace("MARK", MARK).replace("ID", ID).replace("NAME", NAME)
}

const QUERIES: &[&str] = &[
    "_since=MARK",
    "_until=MARK",
    "_outputFormat=MARK",
    "_elements=NAME.a.b",
    "organizeOutputBy=MARK",
    "allowPartialManifests=MARK",
    "patient=Patient/MARK",
    "charts=MARK",
    "NAME=MARK",
    "_type=NAME",
    "_elements=NAME",
    "includeAssociatedData=_NAME",
    "_since=2020-01-01T00:00:00Z&_since=MARK",
    "_typeFilter=Patient%3Fbirthdate%3DMARK",
    "_typeFilter=Patient%3Fgender%3Amissing%3DMARK",
    "_typeFilter=Patient%3Fname%3DMARK%5C",
    "_typeFilter=Patient%3Fname%3DMARK%25ZZ",
    "_typeFilter=Patient%3Fname%3D%2CMARK",
    "_typeFilter=Patient%3FNAME%3DMARK",
    "_typeFilter=Patient%3Fname%3ANAME%3DMARK",
    "_typeFilter=Patient%3F_id%3DMARK%2F",
    "_typeFilter=Patient%3Fidentifier%3Aof-type%3DMARK",
    "_typeFilter=Patient%3Fgeneral-practitioner.name%3DMARK",
    "_typeFilter=Patient%3F_has%3AObservation%3Apatient%3Acode%3DMARK",
    "_typeFilter=Patient%3F_list%3DMARK%26_filter%3DMARK%26_text%3DMARK%26near%3DMARK",
    "_typeFilter=Observation%3Fcode%3Ain%3DMARK",
    "_typeFilter=Observation%3Fcode-value-quantity%3DMARK",
    "_typeFilter=Observation%3Fvalue-quantity%3DMARK",
    "_typeFilter=Observation%3Fsubject%3APatient%3DMARK%2FMARK",
    "_typeFilter=RiskAssessment%3Fprobability%3DMARK",
    "_typeFilter=Patient%3Fname%3DMARK&_since=MARK&_until=MARK",
    "_since=%ZZMARK",
    "%ZZ=MARK",
];

const ADDRESSES: &[&str] = &[
    "/fhir/Patient/ID/$export",
    "/fhir/Group/unknown/$export",
    "/fhir/Patient/ID/$ehi-export",
    "/fhir/Patient/MARK%20MARK/$export",
    "/fhir/MARK/1/$export",
    "/fhir/Patient/MARK",
    "/fhir/bulk/MARK",
    "/fhir/bulk/MARK/files/MARK",
    "/fhir/bulk/07070707070707070707070707070707",
    "/fhir/bulk/07070707070707070707070707070707/files/MARK?s=MARK&e=MARK&k=MARK",
    "/fhir/MARK?MARK=MARK",
    "/MARK",
    "MARK",
];

const HEADERS: &[&str] = &[
    "Authorization",
    "Accept",
    "Content-Type",
    "Cookie",
    "Host",
    "Origin",
    "Prefer",
    "Referer",
    "User-Agent",
    "X-Forwarded-Host",
    "X-Request-Id",
    MARK,
];

//! The kick-off request: the plan as a URL, or as a URL and a Parameters resource.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::plan::{ClientPlan, ExportKind, KickOffMethod};
use crate::{
    Edition,
    kick_off::{ASSOCIATED_DATA_SYSTEM, Level},
};

/// A request to send.
pub(super) struct KickOffRequest {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl KickOffRequest {
    pub(super) fn new(plan: &ClientPlan) -> Self {
        let operation = plan.policy.base.join(&path(plan));
        let query = query(plan);
        let mut headers = headers(plan);
        // Too long for many servers: then as POST, where the edition has it and nothing else was said.
        let long =
            query.len() > QUERY_BYTES_MAX && plan.request.method.is_none() && plan.request.edition > Edition::Stu1;
        if plan.method == KickOffMethod::Get && !long {
            let url = if query.is_empty() { operation } else { format!("{operation}?{query}") };
            return Self { method: "GET", url, headers, body: Vec::new() };
        }
        let parameters = parameters(plan);
        // EHI-KICK-02: without parameters an empty body, and no type of it.
        let body = if parameters.is_empty() && plan.request.kind == ExportKind::Ehi {
            Vec::new()
        } else {
            headers.push(("content-type".into(), crate::http::FHIR_JSON.into()));
            json!({"resourceType": "Parameters", "parameter": parameters}).to_string().into_bytes()
        };
        Self { method: "POST", url: operation, headers, body }
    }
}

fn path(plan: &ClientPlan) -> String {
    match (&plan.request.level, plan.request.kind) {
        (Level::System, _) => "$export".into(),
        (Level::AllPatients, _) => "Patient/$export".into(),
        (Level::Group(id), _) => format!("Group/{id}/$export"),
        (Level::Practitioner(id), _) => format!("Practitioner/{id}/$export"),
        (Level::Patient(id), ExportKind::BulkData) => format!("Patient/{id}/$export"),
        (Level::Patient(id), ExportKind::Ehi) => format!("Patient/{id}/$ehi-export"),
    }
}

/// BD-HDR-01, BD-HDR-03, BD-HDR-05; sent in all editions, since the R4 base requires both (ASY-01).
fn headers(plan: &ClientPlan) -> Vec<(String, String)> {
    let request = &plan.request;
    let mut prefer = String::from("respond-async");
    let said = [(request.lenient, "handling=lenient"), (request.separate_export_status, "separate-export-status")];
    let said = said.into_iter().filter(|(said, _)| *said).map(|(_, text)| text);
    for preference in said.chain(request.prefer.iter().map(String::as_str)) {
        prefer.push_str(", ");
        prefer.push_str(preference);
    }
    vec![("accept".into(), crate::http::FHIR_JSON.into()), ("prefer".into(), prefer)]
}

/// Parameters in a URL. Lists are joined by raw commas, which all servers of these editions read; a comma within a value
/// is encoded.
fn query(plan: &ClientPlan) -> String {
    let request = &plan.request;
    let mut query = Pairs(String::new());
    let list = |items: &[String]| items.iter().map(|item| encoded(item)).collect::<Vec<_>>().join(",");
    query.add("_outputFormat", request.output_format.iter().map(|text| encoded(text)));
    query.add("_since", request.since.iter().map(|text| encoded(text)));
    query.add("_until", request.until.iter().map(|text| encoded(text)));
    query.add("_type", [list(&request.types)]);
    let filters = plan.queries.iter().map(|query| query.as_get_value().to_string());
    if request.edition < Edition::Stu3 {
        // BD-TF-04: one list, where a raw comma separates.
        query.add("_typeFilter", [filters.collect::<Vec<_>>().join(",")]);
    } else {
        query.add("_typeFilter", filters);
    }
    query.add("_elements", [list(&request.elements)]);
    query.add("includeAssociatedData", [list(&request.include_associated_data)]);
    query.add("allowPartialManifests", request.allow_partial_manifests.then(|| "true".to_owned()));
    query.add("organizeOutputBy", request.organize_output_by.iter().map(|text| encoded(text)));
    for one in &request.vendor {
        query.add(&encoded(&one.name), one.value.expose().as_str().map(encoded));
    }
    query.0
}

struct Pairs(String);

impl Pairs {
    /// Each value, already encoded, under that name; empty ones say nothing.
    fn add(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        for value in values.into_iter().filter(|value| !value.is_empty()) {
            let separator = if self.0.is_empty() { "" } else { "&" };
            // Writing to a string cannot fail.
            let _ = write!(self.0, "{separator}{name}={value}");
        }
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn parameters(plan: &ClientPlan) -> Vec<Value> {
    let request = &plan.request;
    let ballot = request.edition == Edition::Stu4Ballot;
    let mut parameters = Vec::new();
    let mut add = |name: &str, member: &str, value: Value| parameters.push(json!({"name": name, member: value}));
    // BD4-02: no lists inside one value in the 4.0 ballot; before it they are what every server reads.
    let lists = |items: &[String]| -> Vec<String> {
        if ballot || items.is_empty() { items.to_vec() } else { vec![items.join(",")] }
    };
    request.output_format.iter().for_each(|text| add("_outputFormat", "valueString", json!(text)));
    request.since.iter().for_each(|text| add("_since", "valueInstant", json!(text)));
    request.until.iter().for_each(|text| add("_until", "valueInstant", json!(text)));
    lists(&request.types).iter().for_each(|text| add("_type", "valueString", json!(text)));
    plan.queries.iter().for_each(|query| add("_typeFilter", "valueString", json!(query.to_string())));
    lists(&request.elements).iter().for_each(|text| add("_elements", "valueString", json!(text)));
    for id in &request.patients {
        add("patient", "valueReference", json!({"reference": format!("Patient/{}", id.expose())}));
    }
    for code in &request.include_associated_data {
        // BD4-09. A code of a server's own begins with `_` and is in a system that we do not know.
        let (member, value) = match code {
            _ if !ballot => ("valueCode", json!(code)),
            own if own.starts_with('_') => ("valueCoding", json!({"code": own})),
            _ => ("valueCoding", json!({"system": ASSOCIATED_DATA_SYSTEM, "code": code})),
        };
        add("includeAssociatedData", member, value);
    }
    if request.allow_partial_manifests {
        add("allowPartialManifests", "valueBoolean", json!(true));
    }
    request.organize_output_by.iter().for_each(|text| add("organizeOutputBy", "valueString", json!(text)));
    request.vendor.iter().for_each(|one| add(&one.name, &one.member, one.value.expose().clone()));
    parameters
}

/// Servers commonly accept request lines of 8 KiB, and some proxies of 4.
const QUERY_BYTES_MAX: usize = 3_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Sensitive,
        client::{ExportRequest, VendorParameter},
    };

    fn request(edition: Edition) -> ExportRequest {
        let mut request = ExportRequest::new("https://ehr.example/fhir");
        request.edition = edition;
        request.level = Level::Group("g1".into());
        request.types = vec!["Patient".into(), "Observation".into()];
        request.since = Some("2024-01-01T00:00:00+01:00".into());
        let filters = ["Observation?status=a,b&date=ge2020", "Observation?code=x"];
        request.type_filters = filters.map(|text| Sensitive::new(text.to_owned())).to_vec();
        request
    }

    fn kick_off(request: ExportRequest) -> KickOffRequest {
        KickOffRequest::new(&request.check().unwrap())
    }

    #[test]
    fn bd_hdr_01_and_03_accept_and_prefer_are_always_sent() {
        let mut asked = request(Edition::Stu2);
        asked.separate_export_status = true;
        let headers = kick_off(asked).headers;
        assert_eq!(headers[0], ("accept".into(), "application/fhir+json".into()));
        assert_eq!(headers[1], ("prefer".into(), "respond-async, separate-export-status".into()));
    }

    #[test]
    fn c9_lenient_handling_is_not_asked_for_unless_told() {
        let prefer = |request: ExportRequest| kick_off(request).headers[1].1.clone();
        assert!(!prefer(request(Edition::Stu3)).contains("lenient"));
        assert!(prefer(ExportRequest { lenient: true, ..request(Edition::Stu3) }).contains("handling=lenient"));
    }

    #[test]
    fn bd_tf_04_filters_are_a_list_before_stu3_and_repeats_from_it() {
        let (first, second) = ("Observation%3Fstatus%3Da%2Cb%26date%3Dge2020", "Observation%3Fcode%3Dx");
        let start = "https://ehr.example/fhir/Group/g1/$export?_since=2024-01-01T00%3A00%3A00%2B01%3A00&_type=Patient,Observation";
        assert_eq!(kick_off(request(Edition::Stu2)).url, format!("{start}&_typeFilter={first},{second}"));
        assert_eq!(kick_off(request(Edition::Stu3)).url, format!("{start}&_typeFilter={first}&_typeFilter={second}"));
    }

    #[test]
    fn bd4_02_the_ballot_gets_no_comma_lists() {
        let kick_off = kick_off(request(Edition::Stu4Ballot));
        assert_eq!((kick_off.method, kick_off.url.as_str()), ("POST", "https://ehr.example/fhir/Group/g1/$export"));
        let body: Value = serde_json::from_slice(&kick_off.body).unwrap();
        let types: Vec<_> = body["parameter"].as_array().unwrap().iter().filter(|p| p["name"] == "_type").collect();
        assert_eq!(types.len(), 2);
    }

    #[test]
    fn bd_pat_patients_go_by_post_as_references() {
        let mut asked = request(Edition::Stu3);
        asked.patients = vec![Sensitive::new("p1".into())];
        let kick_off = kick_off(asked);
        let body: Value = serde_json::from_slice(&kick_off.body).unwrap();
        let patient = body["parameter"].as_array().unwrap().iter().find(|p| p["name"] == "patient").unwrap().clone();
        assert_eq!(patient, json!({"name": "patient", "valueReference": {"reference": "Patient/p1"}}));
        assert!(!kick_off.url.contains("p1"));
    }

    #[test]
    fn ehi_kick_02_without_parameters_the_body_is_empty() {
        let plain = kick_off(ExportRequest::ehi("https://ehr.example/fhir", "p1"));
        assert_eq!(plain.url, "https://ehr.example/fhir/Patient/p1/$ehi-export");
        assert!(plain.body.is_empty() && plain.headers.iter().all(|(name, _)| name != "content-type"));
    }

    #[test]
    fn ehi_kick_03_vendor_parameters_are_sent_as_given() {
        let mut asked = ExportRequest::ehi("https://ehr.example/fhir", "p1");
        let value = Sensitive::new(json!({"code": "images"}));
        asked.vendor = vec![VendorParameter { name: "class".into(), member: "valueCoding".into(), value }];
        let body: Value = serde_json::from_slice(&kick_off(asked).body).unwrap();
        assert_eq!(body["parameter"], json!([{"name": "class", "valueCoding": {"code": "images"}}]));
    }

    #[test]
    fn a_query_too_long_for_a_url_goes_by_post() {
        let mut asked = request(Edition::Stu2);
        asked.type_filters = vec![Sensitive::new(format!("Observation?code={}", "x".repeat(QUERY_BYTES_MAX)))];
        assert_eq!(kick_off(asked.clone()).method, "POST");
        asked.method = Some(KickOffMethod::Get);
        assert_eq!(kick_off(asked).method, "GET");
    }

    #[test]
    fn our_own_server_reads_what_is_sent() {
        use crate::{
            Endpoint,
            access::Principal,
            endpoint::{Auth, EndpointConfig, Route},
            http::Request,
        };
        for edition in [Edition::Stu1, Edition::Stu2, Edition::Stu3, Edition::Stu4Ballot] {
            let config = EndpointConfig { edition, ..EndpointConfig::new("https://ehr.example/fhir", Auth::None) };
            let endpoint = Endpoint::new(config).unwrap();
            let sent = kick_off(request(edition));
            let headers: Vec<_> = sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            let target = sent.url.strip_prefix("https://ehr.example").unwrap();
            let received = Request { method: sent.method, target, headers: &headers, body: &sent.body };
            let Route::KickOff(kick_off) = endpoint.route(&received, &Principal::Open) else { panic!("{edition:?}") };
            assert_eq!(
                kick_off.type_filters,
                ["Observation?status=a,b&date=ge2020", "Observation?code=x"],
                "{edition:?}"
            );
            assert_eq!(kick_off.types.unwrap().len(), 2);
            assert_eq!(kick_off.since, Some(Timestamp::parse_instant("2023-12-31T23:00:00Z").unwrap()));
        }
    }

    use crate::time::Timestamp;
}

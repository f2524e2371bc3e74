//! Whether a request can be sent, and whether it asks for what was meant: all problems together.

use std::collections::BTreeSet;

use super::{ExportKind, ExportRequest, KickOffMethod, Origin, PlanProblem, Url};
use crate::{
    Definitions, Edition,
    kick_off::Level,
    reference::is_id,
    time::Timestamp,
    type_filter::{self, Query, TypeFilterSource},
};

/// What is wrong with a request, or doubtful, as far as it was looked at.
#[derive(Default)]
pub(super) struct Check {
    pub(super) problems: Vec<PlanProblem>,
    pub(super) warnings: Vec<PlanProblem>,
}

impl Check {
    pub(super) fn base(&mut self, request: &ExportRequest) -> Option<Url> {
        match Url::parse(request.base_url.trim_end_matches('/')) {
            Err(error) => self.problem("baseUrl", error.to_string()),
            Ok(base) if base.as_str().contains('?') => self.problem("baseUrl", "a FHIR base has no query"),
            Ok(base) if !base.is_https() && !request.insecure_http => {
                self.problem("baseUrl", "must be https, unless `insecureHttp` allows http");
            }
            Ok(base) => return Some(base),
        }
        None
    }

    pub(super) fn origins(&mut self, request: &ExportRequest) -> BTreeSet<Origin> {
        let mut allowed = BTreeSet::new();
        for text in &request.allowed_origins {
            match Url::parse(text) {
                Ok(url) if url.is_https() || request.insecure_http => {
                    allowed.insert(url.origin());
                }
                Ok(_) => self.problem("allowedOrigins", "must be https, unless `insecureHttp` allows http"),
                Err(error) => self.problem("allowedOrigins", error.to_string()),
            }
        }
        allowed
    }

    pub(super) fn level(&mut self, request: &ExportRequest) {
        if let Level::Group(id) | Level::Practitioner(id) | Level::Patient(id) = &request.level
            && !is_id(id)
        {
            self.problem("level", "not a FHIR id");
        }
        if request.kind == ExportKind::Ehi && !matches!(request.level, Level::Patient(_)) {
            self.problem("level", "an EHI export is of one patient");
        }
    }

    pub(super) fn parameters(&mut self, request: &ExportRequest) {
        let edition = request.edition;
        for (name, value) in [("since", &request.since), ("until", &request.until)] {
            if value.as_ref().is_some_and(|text| Timestamp::parse_instant(text).is_err()) {
                self.problem(name, "not a FHIR instant");
            }
        }
        let known = |name: &str| Definitions::R4.resource_type(name).is_some();
        if !request.types.iter().all(|name| known(name)) {
            self.problem("types", "names what is not a resource type");
        }
        if request.organize_output_by.as_ref().is_some_and(|name| !known(name)) {
            self.problem("organizeOutputBy", "not a resource type");
        }
        if !request.elements.iter().all(|element| is_element(element)) {
            self.problem("elements", "each is `element` or `Type.element`, root elements only");
        }
        if !request.patients.iter().all(|id| is_id(id.expose())) {
            self.problem("patients", "not a FHIR id");
        }
        if !request.patients.is_empty()
            && matches!(request.level, Level::System | Level::Practitioner(_) | Level::Patient(_))
        {
            self.problem("patients", "goes with the levels of all patients and of a group only");
        }
        if !request.include_associated_data.iter().chain(&request.output_format).all(|code| is_plain(code)) {
            self.problem("includeAssociatedData", "codes and formats are visible ASCII without comma");
        }
        if !request.prefer.iter().all(|preference| is_token(preference)) {
            self.problem("prefer", "each preference is `name` or `name=value`");
        }
        if request.vendor.iter().any(|one| one.name.is_empty() || !one.member.starts_with("value")) {
            self.problem("vendor", "each has a name and a member that begins with `value`");
        }
        let since_stu3 = [
            ("until", request.until.is_some()),
            ("allowPartialManifests", request.allow_partial_manifests),
            ("organizeOutputBy", request.organize_output_by.is_some()),
        ];
        for (name, _) in since_stu3.into_iter().filter(|(_, used)| *used && edition < Edition::Stu3) {
            self.warning(name, "the server's edition does not have it");
        }
        // BD-TF-17.
        if request.until.is_some() {
            self.warning(
                "until",
                "it is about when the server last changed a resource; a window of clinical dates goes into `typeFilters`",
            );
        }
        if request.lenient {
            self.warning(
                "lenient",
                "the server may leave out what it does not support, and export more than asked for",
            );
        }
    }

    /// BD-TF-03, BD-TF-11, BD-TF-12.
    pub(super) fn type_filters(&mut self, request: &ExportRequest) -> Vec<Query> {
        let sources: Vec<_> = request.type_filters.iter().map(|text| TypeFilterSource::Post(text.expose())).collect();
        // Each value is one query here, whatever the server's edition makes of commas.
        match type_filter::parse(&sources, Edition::Stu3, &Definitions::R4) {
            Ok(queries) => {
                for query in &queries {
                    let name = query.resource_type().as_str();
                    if !request.types.is_empty() && !request.types.iter().any(|asked| asked == name) {
                        self.warning("typeFilters", format!("filters `{name}`, which `types` does not ask for"));
                    }
                }
                queries
            }
            Err(errors) => {
                for error in errors {
                    self.problem("typeFilters", error.to_string());
                }
                Vec::new()
            }
        }
    }

    pub(super) fn method(&mut self, request: &ExportRequest) -> KickOffMethod {
        let post_only = if request.kind == ExportKind::Ehi {
            Some("an EHI export is kicked off by POST")
        } else if request.edition == Edition::Stu4Ballot {
            Some("the 4.0 ballot has no GET")
        } else if !request.patients.is_empty() {
            Some("`patients` is sent by POST")
        } else if request.vendor.iter().any(|one| !one.value.expose().is_string()) {
            Some("a vendor parameter that is not text is sent by POST")
        } else {
            None
        };
        match (post_only, request.method) {
            (Some(reason), Some(KickOffMethod::Get)) => self.problem("method", reason),
            (Some(_), _) => return KickOffMethod::Post,
            (None, Some(KickOffMethod::Post)) if request.edition == Edition::Stu1 => {
                self.problem("method", "edition 1.0.1 has no POST");
            }
            (None, Some(method)) => return method,
            (None, None) => {}
        }
        if request.edition == Edition::Stu1 && !request.patients.is_empty() {
            self.problem("patients", "edition 1.0.1 does not have it");
        }
        KickOffMethod::Get
    }

    fn problem(&mut self, parameter: &'static str, text: impl Into<String>) {
        self.problems.push(PlanProblem { parameter, text: text.into() });
    }

    fn warning(&mut self, parameter: &'static str, text: impl Into<String>) {
        self.warnings.push(PlanProblem { parameter, text: text.into() });
    }
}

/// BD-ELEM-03: `element` or `Type.element`.
fn is_element(text: &str) -> bool {
    let name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    match text.split_once('.') {
        None => name(text),
        Some((resource_type, element)) => Definitions::R4.resource_type(resource_type).is_some() && name(element),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

fn is_token(text: &str) -> bool {
    is_plain(text) && !text.contains(['"', ';', ' '])
}

#[cfg(test)]
mod tests {
    use ehi_requirement::requirement;

    use super::*;
    use crate::Sensitive;

    fn problems(change: impl FnOnce(&mut ExportRequest)) -> Vec<&'static str> {
        let mut request = ExportRequest::new("https://ehr.example/fhir/");
        change(&mut request);
        request.check().map_or_else(|error| error.problems.iter().map(|p| p.parameter).collect(), |_| Vec::new())
    }

    fn filters(texts: &[&str]) -> Vec<Sensitive<String>> {
        texts.iter().map(|text| Sensitive::new((*text).to_owned())).collect()
    }

    #[test]
    fn bd_sec_01_http_only_when_told() {
        assert_eq!(problems(|r| r.base_url = "http://ehr.example/fhir".into()), ["baseUrl"]);
        let told = |r: &mut ExportRequest| {
            r.base_url = "http://ehr.example/fhir".into();
            r.insecure_http = true;
        };
        assert_eq!(problems(told), [""; 0]);
    }

    #[test]
    fn bd_tf_11_result_parameters_are_refused_in_a_filter() {
        for wrong in ["Observation?_count=5", "Observation?_sort=date", "?code=1", "Patient/1/Observation?x=1"] {
            assert_eq!(problems(|r| r.type_filters = filters(&[wrong])), ["typeFilters"], "{wrong}");
        }
        assert_eq!(problems(|r| r.type_filters = filters(&["Observation?code=a,b&status=final"])), [""; 0]);
    }

    #[test]
    fn bd_tf_03_a_filter_of_a_type_that_is_not_asked_for_is_warned_of() {
        let mut request = ExportRequest::new("https://ehr.example/fhir");
        request.types = vec!["Patient".into()];
        request.type_filters = filters(&["Observation?status=final"]);
        let plan = request.check().unwrap();
        assert_eq!(plan.warnings().len(), 1);
        assert_eq!(plan.warnings()[0].parameter, "typeFilters");
        requirement!("core", "BD-TF-03");
    }

    #[test]
    fn all_problems_are_told_together() {
        let wrong = |r: &mut ExportRequest| {
            r.base_url = "ftp://x".into();
            r.level = Level::Group("no id!".into());
            r.since = Some("yesterday".into());
            r.types = vec!["Patients".into()];
            r.elements = vec!["Patient.name.family".into()];
            r.prefer = vec!["a\r\nb".into()];
            r.patients = vec![Sensitive::new("a/b".into())];
        };
        assert_eq!(problems(wrong), ["baseUrl", "level", "since", "types", "elements", "patients", "prefer"]);
    }

    #[test]
    fn bd4_01_and_ehi_kick_01_are_post_only() {
        let method = |request: ExportRequest| request.check().map(|plan| plan.method);
        assert_eq!(method(ExportRequest::ehi("https://ehr.example/fhir", "p1")), Ok(KickOffMethod::Post));
        assert_eq!(method(ExportRequest::new("https://ehr.example/fhir")), Ok(KickOffMethod::Get));
        let mut ballot = ExportRequest::new("https://ehr.example/fhir");
        ballot.edition = Edition::Stu4Ballot;
        assert_eq!(method(ballot.clone()), Ok(KickOffMethod::Post));
        ballot.method = Some(KickOffMethod::Get);
        assert!(method(ballot).is_err());
    }

    #[test]
    fn a_problem_shows_no_value() {
        let mut request = ExportRequest::new("https://ehr.example/fhir");
        request.type_filters = filters(&["Patient?name=Muster&_count=1"]);
        request.patients = vec![Sensitive::new("Muster?".into())];
        let error = request.check().unwrap_err();
        assert!(!error.to_string().contains("Muster"), "{error}");
    }
}

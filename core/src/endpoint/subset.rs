//! Exports of a FHIR subset, such as US Core (BD-KICK-17): standing queries of the deployment, which hold beside those that
//! a client asks by and those that its scopes grant.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Grant, config::ConfigError, filter_sets};
use crate::{
    Definitions, Edition, Refusal, ResourceType, Timestamp,
    kick_off::KickOff,
    outcome::{Issue, IssueCode},
    plan::{Provenance, TypeSelection},
    type_filter::{self, Filter, FilterContext, Query, TypeFilterSource},
};

/// The part of the data that `$export` holds. `$ehi-export` is of everything there is of a patient, and is not limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subset {
    /// Queries like those of `_typeFilter`, such as
    /// `Condition?_profile=http://hl7.org/fhir/us/core/StructureDefinition/us-core-condition-problems-health-concerns`. Of a
    /// type with queries, what meets one of them is exported; one without parameters, such as `Patient`, is met by all of its
    /// type.
    pub only_matching: Vec<String>,
    /// Whether types without queries are left out.
    #[serde(default)]
    pub others_left_out: bool,
}

impl Subset {
    /// The queries, if one resource decides each of them.
    pub(super) fn read(&self, definitions: &Definitions<'_>) -> Result<Vec<Query>, ConfigError> {
        let wrong = |text: String| ConfigError::new(format!("`subset.onlyMatching`: {text}"));
        let sources: Vec<_> = self.only_matching.iter().map(|query| TypeFilterSource::Post(query)).collect();
        let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
        let queries = type_filter::parse(&sources, Edition::Stu3, definitions);
        let queries = queries.and_then(|queries| Filter::compile(&queries, definitions, &context).map(|_| queries));
        match queries {
            Ok(queries) if queries.is_empty() => Err(wrong(String::from("there is no query"))),
            Ok(queries) => Ok(queries.into_iter().map(|query| query.with_targets(definitions)).collect()),
            Err(errors) => Err(wrong(errors.first().map(ToString::to_string).unwrap_or_default())),
        }
    }

    /// Whether resources of that type may be exported.
    pub(super) fn has(&self, resource_type: &str) -> bool {
        !self.others_left_out || self.queries_of(resource_type).next().is_some()
    }

    /// The queries of a type.
    pub(super) fn queries_of<'s>(&'s self, resource_type: &'s str) -> impl Iterator<Item = &'s String> {
        self.only_matching.iter().filter(move |query| query.split('?').next() == Some(resource_type))
    }

    /// The grant within the subset.
    ///
    /// What was asked for by name and is no part of it is refused, or under lenient handling reported. That a type is
    /// limited is said of every such export alike, see [`ExportPlan::left_out`](crate::plan::ExportPlan::left_out).
    pub(super) fn narrow(
        &self,
        grant: Grant,
        kick_off: &KickOff,
        definitions: &Definitions<'_>,
    ) -> Result<Grant, Refusal> {
        let mut notices = self.missing(kick_off);
        if !notices.is_empty() && !kick_off.lenient {
            return Err(Refusal { status: 400, issues: notices, headers: Vec::new() });
        }
        // It is not asked for by a type that could be left away.
        if kick_off.provenance != Provenance::Unasked && !self.has("Provenance") {
            return Err(Refusal::new(400, left_out("Provenance").about("includeAssociatedData")));
        }
        let types = self.types(grant.types);
        let subset = self.read(definitions).map_err(|_| filter_sets::too_many())?;
        let subset: Vec<Query> = subset.into_iter().filter(|query| types.has(query.resource_type().as_str())).collect();
        let asked = filter_sets::read(&grant.type_filters, definitions)?;
        let type_filters = filter_sets::met_by_both(&asked, &subset)?;
        let limits_binaries = self.queries_of("Binary").any(|query| query.contains('?'));
        notices = notices.into_iter().map(Issue::as_warning).chain(grant.notices).collect();
        Ok(Grant {
            types,
            type_filters,
            subset: subset.iter().map(ToString::to_string).collect(),
            // Their contents come under another type, of which no query of theirs can be asked.
            binaries: grant.binaries && !limits_binaries,
            notices,
            ..grant
        })
    }

    /// What the kick-off names and no export holds.
    fn missing(&self, kick_off: &KickOff) -> Vec<Issue> {
        let asked = kick_off.types.iter().flatten().map(ResourceType::as_str);
        asked.filter(|name| !self.has(name)).map(|name| left_out(name).about("_type")).collect()
    }

    fn types(&self, types: TypeSelection) -> TypeSelection {
        if !self.others_left_out {
            return types;
        }
        let definitions = Definitions::R4;
        let names = self.only_matching.iter().filter_map(|query| query.split('?').next());
        let named: BTreeSet<ResourceType> = names.filter_map(|name| definitions.resource_type(name)).collect();
        TypeSelection::Only(named.into_iter().filter(|name| types.has(name.as_str())).collect())
    }
}

/// The profiles that the queries of a type name.
pub(super) fn profiles(queries: &[Query], resource_type: &str) -> BTreeSet<String> {
    let of_type = queries.iter().filter(|query| query.resource_type().as_str() == resource_type);
    let by_profile = of_type.flat_map(Query::criteria).filter(|criterion| {
        let name = criterion.name();
        name.code() == "_profile" && name.modifier().is_none() && name.links().is_empty()
    });
    by_profile.flat_map(|criterion| criterion.alternatives()).map(|value| value.as_str().to_owned()).collect()
}

/// That a type is no part of the subset.
pub(super) fn left_out(resource_type: &str) -> Issue {
    let diagnostics = format!("the exports of this server hold no `{resource_type}`");
    Issue::error(IssueCode::NotSupported, diagnostics)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Endpoint,
        access::Principal,
        endpoint::{Decision, EndpointConfig, Route},
        http::{Body, Request},
        job::JobId,
        kick_off::Facts,
        plan::ExportPlan,
    };

    fn endpoint(subset: Value) -> Result<Endpoint, ConfigError> {
        let config =
            json!({ "baseUrl": "https://ehr.example/fhir", "auth": "none", "subset": subset, "supporting": "all" });
        EndpointConfig::from_json(&config.to_string()).and_then(Endpoint::new)
    }

    fn us_core() -> Endpoint {
        let queries = ["Observation?_profile=http://a|1,http://b&status=final", "Observation?category=lab", "Patient"];
        endpoint(json!({ "onlyMatching": queries, "othersLeftOut": true })).unwrap()
    }

    /// The plan, or the status and what is said.
    fn decide(endpoint: &Endpoint, target: &str, prefer: &str) -> Result<ExportPlan, (u16, String)> {
        let target = format!("/fhir/{target}");
        let headers: &[(&str, &[u8])] = &[("Prefer", prefer.as_bytes())];
        let request = Request { method: "GET", target: &target, headers, body: b"" };
        let text = |response: crate::http::Response| match response.body {
            Body::Text(text) => (response.status, text),
            _ => (response.status, String::new()),
        };
        let kick_off = match endpoint.route(&request, &Principal::Open) {
            Route::KickOff(kick_off) => kick_off,
            Route::Respond(response) => return Err(text(response)),
            _ => panic!("no kick-off"),
        };
        let facts = Facts { active_jobs: Some(0), ..Facts::default() };
        let (id, now) = (JobId::from_entropy([7; 16]), Timestamp::from_millis(0));
        match endpoint.decide(*kick_off, &Principal::Open, &facts, id, now) {
            Decision::Accepted(job, _) => Ok(job.plan().clone()),
            Decision::Refused(response) => Err(text(response)),
        }
    }

    const PREFER: &str = "respond-async";
    const LENIENT: &str = "respond-async, handling=lenient";

    #[test]
    fn standing_queries_hold_beside_those_that_are_asked() {
        let endpoint = us_core();
        let all = decide(&endpoint, "$export", PREFER).unwrap();
        let profiled = "Observation?_profile=http://a|1,http://b&status=final";
        assert_eq!(all.type_filters, [profiled, "Observation?category=lab", "Patient?"]);
        assert_eq!(all.subset, all.type_filters);
        assert!(all.types.has("Patient") && all.types.has("Observation") && !all.types.has("Condition"));
        assert!(all.left_out().unwrap().contains("subset"));
        let asked = decide(&endpoint, "$export?_type=Observation&_typeFilter=Observation?code=x", PREFER).unwrap();
        let both = ["Observation?code=x&_profile=http://a|1,http://b&status=final", "Observation?code=x&category=lab"];
        assert_eq!(asked.type_filters, both);
        assert_eq!(asked.subset, [profiled, "Observation?category=lab"], "of types that are exported");
    }

    #[test]
    fn what_is_no_part_of_it_is_refused_by_name() {
        let endpoint = us_core();
        let (status, said) = decide(&endpoint, "$export?_type=Patient,Condition", PREFER).unwrap_err();
        assert!(status == 400 && said.contains("hold no `Condition`") && !said.contains("`Patient`"), "{said}");
        let lenient = decide(&endpoint, "$export?_type=Patient,Condition", LENIENT).unwrap();
        assert!(lenient.types.has("Patient") && !lenient.types.has("Condition"));
        assert!(lenient.notices.iter().any(|notice| notice.diagnostics.contains("hold no `Condition`")));
        let nothing = decide(&endpoint, "$export?_type=Condition", LENIENT).unwrap();
        assert_eq!(nothing.types, TypeSelection::Only(BTreeSet::new()), "an export of nothing, not of everything");
        let provenance = "$export?includeAssociatedData=RelevantProvenanceResources";
        assert_eq!(decide(&endpoint, provenance, LENIENT).unwrap_err().0, 400);
    }

    #[test]
    fn others_are_whole_unless_it_says_so() {
        let endpoint = endpoint(json!({ "onlyMatching": ["Observation?status=final"] })).unwrap();
        let plan = decide(&endpoint, "$export?_type=Observation,Condition", PREFER).unwrap();
        assert!(plan.types.has("Condition"));
        assert_eq!(plan.type_filters, ["Observation?status=final"]);
        assert_eq!(decide(&endpoint, "$export?_type=Condition", PREFER).unwrap().left_out(), None);
    }

    #[test]
    fn a_subset_that_cannot_be_held_to_is_no_configuration() {
        for wrong in [
            json!({ "onlyMatching": [] }),
            json!({ "onlyMatching": ["Foo?x=1"] }),
            json!({ "onlyMatching": ["Observation?surprise=1"] }),
            json!({ "onlyMatching": ["Observation?date=yesterday"] }),
            json!({ "onlyMatching": ["Observation?subject:Patient.name=x"] }),
            json!({ "onlyMatching": ["Observation?code:in=http://example.org/v"] }),
            json!({ "onlyMatching": ["Observation?status=final"], "surprise": true }),
            json!({ "othersLeftOut": true }),
        ] {
            assert!(endpoint(wrong.clone()).is_err(), "{wrong}");
        }
        let error = endpoint(json!({ "onlyMatching": ["Observation?surprise=1"] })).unwrap_err().to_string();
        assert!(error.contains("subset.onlyMatching") && error.contains("surprise"), "{error}");
    }

    #[test]
    fn it_is_declared() {
        let request = Request { method: "GET", target: "/fhir/metadata", headers: &[], body: b"" };
        let Route::Respond(response) = us_core().route(&request, &Principal::Open) else { panic!("no response") };
        let Body::Text(text) = response.body else { panic!("no text") };
        let rest = &serde_json::from_str::<Value>(&text).unwrap()["rest"][0];
        let documentation = rest["documentation"].as_str().unwrap();
        assert!(documentation.contains("Observation?category=lab") && documentation.contains("no other types"));
        let resources = rest["resource"].as_array().unwrap();
        let types: Vec<_> = resources.iter().map(|resource| resource["type"].as_str().unwrap()).collect();
        // Groups and practitioners can be asked for, though no export holds them.
        assert_eq!(types, ["Group", "Observation", "Patient", "Practitioner"]);
        assert_eq!(resources[1]["supportedProfile"], json!(["http://a|1", "http://b"]));
        assert_eq!(resources[2].get("supportedProfile"), None);
    }
}

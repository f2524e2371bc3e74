//! The CapabilityStatement (BD-CAP rows): what this deployment does, made from its configuration.

use serde_json::{Value, json};

use super::{Auth, Endpoint, EndpointConfig, NewMembers, Subset, subset};
use crate::{
    Edition,
    http::{FHIR_JSON, Response},
    kick_off::Operation,
    plan::Supporting,
    type_filter::Filter,
};

/// The answer to `[base]/metadata`.
pub(super) fn statement(endpoint: &Endpoint) -> Response {
    let config = &endpoint.config;
    let mut statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": config.published,
        "kind": "instance",
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "software": { "name": "ehi-export", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "FHIR Bulk Data Access", "url": config.base_url },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{
            "mode": "server",
            "documentation": documentation(config),
            "security": security(config.auth),
            "resource": resources(endpoint),
            "operation": operations(config, "export"),
        }],
    });
    if !config.bulk_export {
        without(&mut statement, "instantiates");
        statement.pointer_mut("/rest/0").into_iter().for_each(|rest| without(rest, "operation"));
    }
    Response::json(200, FHIR_JSON, statement.to_string())
}

fn security(auth: Auth) -> Value {
    match auth {
        Auth::None => json!({ "description": "none: anyone who can reach this address may export" }),
        Auth::Bearer => json!({
            "service": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                "code": "SMART-on-FHIR",
            }] }],
            "description": "SMART Backend Services",
        }),
    }
}

/// BD-CAP-03, BD-KICK-17: what can be exported, and what there are operations of.
fn resources(endpoint: &Endpoint) -> Vec<Value> {
    let definitions = endpoint.definitions();
    let subset = endpoint.config.subset.as_ref();
    let is_one = |name: &&str| {
        subset.is_none_or(|subset| subset.has(name)) || matches!(*name, "Group" | "Patient" | "Practitioner")
    };
    let queries = subset.and_then(|subset| subset.read(&definitions).ok()).unwrap_or_default();
    let resource = |name| {
        let mut resource = resource(endpoint, name);
        let profiles = subset::profiles(&queries, name);
        if let Some(members) = resource.as_object_mut().filter(|_| !profiles.is_empty()) {
            members.insert("supportedProfile".into(), json!(profiles));
        }
        resource
    };
    definitions.resource_types().filter(is_one).map(resource).collect()
}

/// BD-CAP-02. The operations, and no REST interaction but the look-ups.
fn resource(endpoint: &Endpoint, name: &str) -> Value {
    let mut resource = match name {
        "Patient" => {
            let one = json!({
                "name": "patient-instance-export",
                "definition": "https://ehi-export.github.io/fhir/OperationDefinition/patient-instance-export",
                "documentation": "Patient/[id]/$export: the compartment of one patient, with the parameters of patient-export",
            });
            let one = offered(&endpoint.config, [one]);
            let ehi = endpoint.config.ehi.as_ref().map(|ehi| {
                json!({
                    "name": "ehi-export",
                    "definition": "http://hl7.org/fhir/us/ehi-api/OperationDefinition/ehi-export",
                    "documentation": format!(
                        "the format is documented at {}; {}",
                        ehi.documentation_url,
                        ehi_parameters(&endpoint.config)
                    ),
                })
            });
            let exports = operations(&endpoint.config, "patient-export").into_iter().chain(one).chain(ehi);
            json!({ "type": name, "operation": exports.collect::<Vec<_>>() })
        }
        "Group" => {
            json!({ "type": name, "operation": operations(&endpoint.config, "group-export") })
        }
        "Practitioner" => {
            let of_provider = json!({
                "name": "export",
                "definition": "https://ehi-export.github.io/fhir/OperationDefinition/provider-export",
                "documentation": "Practitioner/[id]/$export: Provider Export, the compartments of the patients of one practitioner, with the parameters of group-export but for patient",
            });
            json!({ "type": name, "operation": offered(&endpoint.config, [of_provider]) })
        }
        _ => json!({ "type": name }),
    };
    if resource.get("operation").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        without(&mut resource, "operation");
    }
    if let (Some(members), Some((interactions, documentation))) = (resource.as_object_mut(), look_ups(name)) {
        members.insert("interaction".into(), interactions);
        members.insert("documentation".into(), Value::String(documentation));
    }
    let parameters = search_parameters(endpoint, name);
    if let Some(members) = resource.as_object_mut().filter(|_| !parameters.is_empty()) {
        members.insert("searchParam".into(), Value::Array(parameters));
    }
    resource
}

/// FHIR has no empty lists.
fn without(value: &mut Value, member: &str) {
    if let Some(members) = value.as_object_mut() {
        members.remove(member);
    }
}

/// Operations of `$export`, where there is one.
fn offered<const N: usize>(config: &EndpointConfig, operations: [Value; N]) -> Vec<Value> {
    if config.bulk_export { operations.into() } else { Vec::new() }
}

/// EHI-KICK-04: what a client may choose by.
fn ehi_parameters(config: &EndpointConfig) -> String {
    let own = config.vendor_parameters.iter();
    let own = own.filter(|(_, parameter)| parameter.operations.contains(&Operation::EhiExport));
    let told: Vec<_> = own
        .map(|(name, parameter)| {
            let values = parameter.values.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("`{name}` ({})", if values.is_empty() { "any text" } else { values.as_str() })
        })
        .collect();
    if told.is_empty() { "it has no parameters".into() } else { format!("its parameters: {}", told.join(", ")) }
}

/// BD-KICK-15: what can be read and searched, and by what.
fn look_ups(name: &str) -> Option<(Value, String)> {
    let codes: &[&str] = match name {
        "Group" => &["read", "search-type"],
        "Patient" | "Practitioner" => &["search-type"],
        _ => return None,
    };
    let interactions = codes.iter().map(|code| json!({ "code": code })).collect();
    let documentation = "A search is by _id, identifier and name, at most 100 are shown, and there are no further pages. The \
        other search parameters are those of _typeFilter.";
    Some((interactions, documentation.to_owned()))
}

/// BD-CAP-04: what `_typeFilter` can ask of a type, as the evaluator has it.
fn search_parameters(endpoint: &Endpoint, name: &str) -> Vec<Value> {
    let definitions = endpoint.definitions();
    let known = definitions.search_codes(name).filter_map(|code| definitions.search_parameter(name, code));
    let usable = known.filter(|parameter| Filter::supports(parameter));
    let known =
        usable.map(|parameter| json!({ "name": parameter.code(), "type": parameter.parameter_type().as_str() }));
    // R4 has no name of a Group, and a search by it is what the guide asks for.
    let group_name = (name == "Group" && definitions.search_parameter(name, "name").is_none())
        .then(|| json!({ "name": "name", "type": "string", "extension": not_in_exports() }));
    known.chain(group_name).collect()
}

/// BD-CAP-05: what a look-up can be asked by, and no `_typeFilter`.
fn not_in_exports() -> Value {
    let flag = |operation| {
        json!({
            "url": "http://hl7.org/fhir/uv/bulkdata/Extension/operation-not-supported",
            "valueCanonical": definition(operation),
        })
    };
    ["export", "patient-export", "group-export"].into_iter().map(flag).collect()
}

/// The operations of one definition: where several editions are spoken, one of each, told apart by name and by the version
/// of the definition (BD-CAP-08).
fn operations(config: &EndpointConfig, canonical: &str) -> Vec<Value> {
    let operation = |(name, edition): (&str, Edition)| {
        let version = if config.also_editions.is_empty() { String::new() } else { format!("|{}", edition.version()) };
        json!({ "name": name, "definition": definition(canonical) + &version })
    };
    if config.bulk_export { config.exports().map(operation).collect() } else { Vec::new() }
}

fn definition(canonical: &str) -> String {
    format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{canonical}")
}

/// The parameters that came with later editions than the first, as far as this deployment acts on them in any.
fn later_parameters(config: &EndpointConfig) -> String {
    let spoken = |since| config.exports().any(|(_, edition)| edition >= since);
    let (since_3, since_4) = (spoken(Edition::Stu3), spoken(Edition::Stu4Ballot));
    let all = [
        ("organizeOutputBy with Patient, ", since_3),
        ("allowPartialManifests, ", since_3 && config.partial_manifests.is_some()),
        ("_minimumFileSize and _maximumFileSize, ", since_4),
    ];
    all.into_iter().filter(|(_, is_one)| *is_one).map(|(text, _)| text).collect()
}

/// Which operation speaks which edition, where there is more than one.
fn editions(config: &EndpointConfig) -> String {
    if config.also_editions.is_empty() {
        return String::new();
    }
    let spoken = config.exports().map(|(name, edition)| format!("${name} speaks {}", edition.version()));
    format!(" {}, each at all levels and with the parameters of its edition.", spoken.collect::<Vec<_>>().join(", "))
}

/// BD-TYPE-03: what is refused although the guide has it.
fn unsupported(config: &EndpointConfig) -> String {
    let names: Vec<_> = config.unsupported_parameters.iter().map(String::as_str).collect();
    if names.is_empty() { String::new() } else { format!(" Not supported: {}.", names.join(", ")) }
}

/// BD-KICK-17: which part of the data exports hold.
fn subset_of(config: &EndpointConfig) -> String {
    let Some(Subset { only_matching, others_left_out }) = &config.subset else {
        return String::from("Resources pass as they are stored, without a profile filter.");
    };
    let others = if *others_left_out { ", and no other types" } else { ", and all of other types" };
    format!(
        "Resources pass as they are stored. $export holds a subset of FHIR: of types with queries what meets one of {}{others}; \
         that goes for supporting resources too, and not for deletions.",
        only_matching.join(" ")
    )
}

/// BD-CAP-06: what a client would otherwise have to try out.
fn documentation(config: &EndpointConfig) -> String {
    let supporting = match &config.supporting {
        Supporting::Off => String::from("supporting resources outside it are not added"),
        Supporting::All => String::from("supporting resources outside it that exported ones refer to are added"),
        Supporting::Types(types) => {
            let types = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!("supporting resources outside it that exported ones refer to are added if they are {types}")
        }
    };
    let later = later_parameters(config);
    let new_members = match config.new_members {
        NewMembers::LikeOthers => "applies alike to new members",
        NewMembers::Whole => "does not apply to the data of patients whose membership began after it, in the export",
    };
    let undated = if config.undated_included { "is" } else { "is not" };
    format!(
        "Levels: system, Patient, Group, the patients of one practitioner, one patient. Parameters: _type, _since, _until, _elements, _outputFormat \
         (application/fhir+ndjson), _typeFilter with the search parameters listed for each type, includeAssociatedData \
         with LatestProvenanceResources and RelevantProvenanceResources, {later}and patient by POST at Patient and Group level. \
         {} Files hold one resource type each and are split by number of resources and by bytes. At Patient \
         and Group level the Patient compartment decides; {supporting}, whatever their last update and whatever \
         _typeFilter says. Provenance of what is in the compartment is added from edition 2.0 on, unless _type leaves it \
         out. _since {new_members} of a group. What has no meta.lastUpdated {undated} exported with _since \
         and _until.{}{}",
        subset_of(config),
        unsupported(config),
        editions(config)
    )
}

//! What is asked for, from arguments to the client's request.

use clap::Args;
use ehi_core::{
    Sensitive,
    client::{ExportRequest, KickOffMethod, PlanError, PlanProblem, VendorParameter},
    kick_off::Level,
};
use serde_json::Value;

use crate::cli::selection::EditionName;

/// The parameters of an export.
#[derive(Args)]
#[command(next_help_heading = "What to export")]
pub(super) struct Parameters {
    /// Whose data: system (everything), patient (all patients), group/ID, practitioner/ID, patient/ID [default: system]
    #[arg(long, conflicts_with = "ehi")]
    level: Option<String>,
    /// The whole record of this patient, by the EHI operation Patient/ID/$ehi-export
    #[arg(long, value_name = "PATIENT")]
    ehi: Option<String>,
    /// Only this resource type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only what changed after this FHIR instant, such as 2024-01-01T00:00:00Z: the transaction time of the last export
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Only what changed before this FHIR instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// Of a type only what this search finds, such as 'Observation?category=laboratory'; may be repeated, and then either
    /// counts
    #[arg(long = "type-filter", value_name = "QUERY")]
    type_filters: Vec<String>,
    /// Of each resource only these elements and the mandatory ones, such as id,Patient.name
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    elements: Vec<String>,
    /// Only this patient, of those of the level; may be repeated
    #[arg(long = "patient", value_name = "ID")]
    patients: Vec<String>,
    /// Resources that go with those exported, such as LatestProvenanceResources; may be repeated
    #[arg(long, value_name = "CODE")]
    include_associated_data: Vec<String>,
    /// Group the output by this resource type, such as Patient
    #[arg(long, value_name = "TYPE")]
    organize_by: Option<String>,
    /// The format of the files, as the server names it
    #[arg(long, value_name = "FORMAT")]
    output_format: Option<String>,
    /// Fetch files while the server still writes others, from manifests that come in parts
    #[arg(long)]
    allow_partial_manifests: bool,
    /// A parameter of the server's own: NAME=VALUE for text, NAME:valueBoolean=true for another type; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = vendor)]
    vendor: Vec<VendorParameter>,
    /// Leave the attachments that resources refer to where they are
    #[arg(long)]
    no_attachments: bool,
    /// The edition of the Bulk Data guide that the server speaks [default: 3]
    #[arg(long, value_enum, help_heading = "Server")]
    edition: Option<EditionName>,
    /// Kick off by POST also where GET would do
    #[arg(long, help_heading = "Server")]
    post: bool,
    /// Let the server leave aside what it does not support; it may then export more than was asked for
    #[arg(long, help_heading = "Server")]
    lenient: bool,
    /// One more preference to send with the kick-off, `name` or `name=value`; may be repeated
    #[arg(long, value_name = "PREFERENCE", help_heading = "Server")]
    prefer: Vec<String>,
    /// Ask for the export's status in a header of its own (Prefer: separate-export-status)
    #[arg(long, help_heading = "Server")]
    separate_export_status: bool,
    /// Do not read /metadata and /.well-known/smart-configuration first
    #[arg(long, help_heading = "Server")]
    no_discovery: bool,
    /// Leave the export on the server
    #[arg(long, help_heading = "Server")]
    keep: bool,
    /// Contact servers without TLS too: what they send, and the token, can be read on the way
    #[arg(long, help_heading = "Server")]
    insecure_http: bool,
    /// Another origin that belongs to the server, such as https://files.ehr.example: it is believed and sees the token; may
    /// be repeated
    #[arg(long = "allow-origin", value_name = "ORIGIN", help_heading = "Server")]
    allowed_origins: Vec<String>,
}

impl Parameters {
    pub(super) fn request(&self, base: Option<&str>, authorize: bool) -> Result<ExportRequest, String> {
        let base = base.unwrap_or_default();
        let request = match &self.ehi {
            Some(patient) => ExportRequest::ehi(base, patient),
            None => ExportRequest { level: self.level()?, ..ExportRequest::new(base) },
        };
        let sensitive = |texts: &[String]| texts.iter().cloned().map(Sensitive::new).collect();
        Ok(ExportRequest {
            edition: self.edition.map_or(request.edition, Into::into),
            method: self.post.then_some(KickOffMethod::Post),
            output_format: self.output_format.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            types: self.types.clone(),
            type_filters: sensitive(&self.type_filters),
            elements: self.elements.clone(),
            patients: sensitive(&self.patients),
            include_associated_data: self.include_associated_data.clone(),
            allow_partial_manifests: self.allow_partial_manifests,
            organize_output_by: self.organize_by.clone(),
            vendor: self.vendor.clone(),
            lenient: self.lenient,
            separate_export_status: self.separate_export_status,
            prefer: self.prefer.clone(),
            authorize,
            insecure_http: self.insecure_http,
            allowed_origins: self.allowed_origins.clone(),
            discover: !self.no_discovery,
            attachments: !self.no_attachments,
            delete_when_done: !self.keep,
            ..request
        })
    }

    fn level(&self) -> Result<Level, String> {
        let level = self.level.as_deref().unwrap_or("system");
        match level.split_once('/') {
            None if level == "system" => Ok(Level::System),
            None if level == "patient" => Ok(Level::AllPatients),
            Some(("group", id)) if !id.is_empty() => Ok(Level::Group(id.to_owned())),
            Some(("practitioner", id)) if !id.is_empty() => Ok(Level::Practitioner(id.to_owned())),
            Some(("patient", id)) if !id.is_empty() => Ok(Level::Patient(id.to_owned())),
            _ => Err(String::from("--level is one of system, patient, group/ID, practitioner/ID, patient/ID")),
        }
    }
}

/// Whether what is asked for with `--resume` is what was begun: nothing, or the same. How to get a token may differ.
pub(super) fn agrees(asked: &ExportRequest, begun: &ExportRequest) -> bool {
    let base_url = if asked.base_url.is_empty() { begun.base_url.clone() } else { asked.base_url.clone() };
    let asked = ExportRequest { base_url: base_url.clone(), authorize: begun.authorize, ..asked.clone() };
    let nothing = ExportRequest { authorize: begun.authorize, ..ExportRequest::new(base_url.clone()) };
    base_url == begun.base_url && (asked == nothing || asked == *begun)
}

/// All problems, one a line, under the names that they have here.
pub(super) fn problems(error: &PlanError) -> String {
    error.problems.iter().map(shown).collect::<Vec<_>>().join("\nehi: ")
}

pub(super) fn shown(problem: &PlanProblem) -> String {
    let name = NAMES.iter().find(|(parameter, _)| *parameter == problem.parameter);
    let text = problem.text.replace("`insecureHttp`", "--insecure-http").replace("`types`", "--type");
    format!("{}: {text}", name.map_or(problem.parameter, |(_, name)| name))
}

fn vendor(text: &str) -> Result<VendorParameter, String> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    let (name, member) =
        name.split_once(":value").map_or((name, String::new()), |(name, rest)| (name, rest.to_owned()));
    let member = if member.is_empty() { String::from("String") } else { member };
    let as_json = value.starts_with('{') || NOT_TEXT.contains(&member.as_str());
    let value = if as_json {
        serde_json::from_str(value).map_err(|_| format!("that is no value{member} in JSON"))?
    } else {
        Value::from(value)
    };
    Ok(VendorParameter { name: name.to_owned(), member: format!("value{member}"), value: Sensitive::new(value) })
}

/// The client's names of parameters, and ours.
const NAMES: [(&str, &str); 15] = [
    ("allowedOrigins", "--allow-origin"),
    ("baseUrl", "BASE_URL"),
    ("elements", "--elements"),
    ("includeAssociatedData", "--include-associated-data"),
    ("lenient", "--lenient"),
    ("level", "--level"),
    ("method", "--post"),
    ("organizeOutputBy", "--organize-by"),
    ("patients", "--patient"),
    ("prefer", "--prefer"),
    ("since", "--since"),
    ("typeFilters", "--type-filter"),
    ("types", "--type"),
    ("until", "--until"),
    ("vendor", "--vendor"),
];

/// Types whose values are no JSON strings.
const NOT_TEXT: [&str; 5] = ["Boolean", "Decimal", "Integer", "PositiveInt", "UnsignedInt"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_parameters_are_text_unless_they_say_otherwise() {
        let read = |text: &str| vendor(text).map(|one| (one.name, one.member, one.value.expose().clone()));
        assert_eq!(read("_x=1=2").unwrap(), ("_x".into(), "valueString".into(), Value::from("1=2")));
        assert_eq!(read("a:valueBoolean=true").unwrap(), ("a".into(), "valueBoolean".into(), Value::from(true)));
        assert_eq!(read("a:valueCode=b").unwrap(), ("a".into(), "valueCode".into(), Value::from("b")));
        assert_eq!(read("a:valuePeriod={\"start\":\"2024\"}").unwrap().2["start"], "2024");
        assert!(read("a:valueInteger=b").is_err() && read("a").is_err());
    }

    #[test]
    fn a_resumed_export_is_the_one_that_was_begun() {
        let begun = ExportRequest { types: vec!["Patient".into()], ..ExportRequest::new("https://ehr.example/fhir") };
        let same = ExportRequest { authorize: false, ..begun.clone() };
        let other = ExportRequest { types: vec!["Group".into()], ..begun.clone() };
        assert!(agrees(&ExportRequest::new(""), &begun) && agrees(&ExportRequest::new(&begun.base_url), &begun));
        assert!(agrees(&same, &begun));
        assert!(!agrees(&other, &begun) && !agrees(&ExportRequest::new("https://other.example/fhir"), &begun));
    }
}

//! Which resources are wanted: the flags that `ehi export` and `ehi filter` share, and the kick-off that asks for the
//! same. The engine reads it as it reads any other, so that a flag means what its parameter means.

use clap::{Args, ValueEnum};
use ehi_core::{
    Edition,
    endpoint::{Auth, EndpointConfig},
    values::RequestHead,
    writer::Validation,
};
use serde_json::json;

/// Which resources are wanted.
#[derive(Args)]
pub(super) struct Selection {
    /// Only this resource type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only what changed after this FHIR instant, such as 2024-01-01T00:00:00Z
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
    #[arg(long, value_name = "LIST")]
    elements: Option<String>,
    /// What is checked of lines
    #[arg(long, value_enum, default_value_t = ValidateName::StrictOutput)]
    validate: ValidateName,
    /// The edition of the guide by which the other flags are read
    #[arg(long, value_enum, default_value_t = EditionName::Three)]
    edition: EditionName,
    /// The FHIR base of the server that the records come from: absolute references below it are local
    #[arg(long, value_name = "URL", default_value = "http://localhost/fhir")]
    base_url: String,
}

/// The editions, as they are called on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum EditionName {
    /// 1.0.1
    #[value(name = "1")]
    One,
    /// 2.0
    #[value(name = "2")]
    Two,
    /// 3.0
    #[value(name = "3")]
    Three,
    /// The 4.0 ballot
    #[value(name = "4")]
    Four,
}

impl From<EditionName> for Edition {
    fn from(name: EditionName) -> Self {
        match name {
            EditionName::One => Self::Stu1,
            EditionName::Two => Self::Stu2,
            EditionName::Three => Self::Stu3,
            EditionName::Four => Self::Stu4Ballot,
        }
    }
}

/// How lines are checked, as it is called on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum ValidateName {
    /// Whatever is selected, as a whole; other lines as far as it takes to tell that they are not
    StrictOutput,
    /// Every line, as a whole
    StrictAll,
    /// As little as it takes: for lines that something else has checked
    Trust,
}

impl From<ValidateName> for Validation {
    fn from(name: ValidateName) -> Self {
        match name {
            ValidateName::StrictOutput => Self::StrictOutput,
            ValidateName::StrictAll => Self::StrictAll,
            ValidateName::Trust => Self::Trust,
        }
    }
}

impl Selection {
    /// An endpoint for a job without a server: nothing listens at its address.
    pub(super) fn config(&self) -> EndpointConfig {
        EndpointConfig {
            insecure_http: true,
            edition: self.edition(),
            ..EndpointConfig::new(self.base_url.clone(), Auth::None)
        }
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn edition(&self) -> Edition {
        self.edition.into()
    }

    pub(super) fn validation(&self) -> Validation {
        self.validate.into()
    }

    pub(super) fn type_filters(&self) -> &[String] {
        &self.type_filters
    }

    /// The kick-off that asks for this, of that level: the path between base and operation.
    pub(super) fn request(&self, level: &str) -> (RequestHead, Vec<u8>) {
        let operation = format!("{}/{level}$export", path(&self.base_url));
        match self.edition {
            EditionName::Four => self.post(operation),
            EditionName::One | EditionName::Two | EditionName::Three => (self.get(operation), Vec::new()),
        }
    }

    fn get(&self, mut target: String) -> RequestHead {
        for (index, (name, _, value)) in self.parameters().into_iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            target.push_str(&encode(&value));
        }
        RequestHead { method: String::from("GET"), target, headers: Vec::new() }
    }

    /// The ballot has no other.
    fn post(&self, target: String) -> (RequestHead, Vec<u8>) {
        let parameter = |(name, kind, value): (&str, &str, String)| json!({ "name": name, kind: value });
        let parameters: Vec<_> = self.parameters().into_iter().map(parameter).collect();
        let body = json!({ "resourceType": "Parameters", "parameter": parameters }).to_string();
        let headers = vec![(String::from("content-type"), String::from("application/fhir+json"))];
        (RequestHead { method: String::from("POST"), target, headers }, body.into_bytes())
    }

    /// Name, member of `Parameters.parameter` and value of each.
    fn parameters(&self) -> Vec<(&'static str, &'static str, String)> {
        let types = match self.edition {
            // One value of `_type` was a list; in the ballot each is one type.
            EditionName::Four => self.types.clone(),
            _ if self.types.is_empty() => Vec::new(),
            _ => vec![self.types.join(",")],
        };
        let types = types.into_iter().map(|types| ("_type", "valueString", types));
        let since = self.since.iter().map(|instant| ("_since", "valueInstant", instant.clone()));
        let until = self.until.iter().map(|instant| ("_until", "valueInstant", instant.clone()));
        let filters = self.type_filters.iter().map(|query| ("_typeFilter", "valueString", query.clone()));
        let elements = self.elements.iter().map(|list| ("_elements", "valueString", list.clone()));
        types.chain(since).chain(until).chain(filters).chain(elements).collect()
    }
}

/// A text as a part of a URL. A comma stays one: encoded, it would separate nothing in the editions that have lists.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The path of a URL.
fn path(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
    after_scheme.find('/').and_then(|slash| after_scheme.get(slash..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        selection: Selection,
    }

    fn request(arguments: &[&str]) -> (String, String) {
        let (head, body) = Only::parse_from([&["ehi"], arguments].concat()).selection.request("Patient/");
        (format!("{} {}", head.method, head.target), String::from_utf8(body).unwrap())
    }

    fn get(arguments: &[&str]) -> String {
        let (line, body) = request(arguments);
        assert_eq!(body, "");
        line.strip_prefix("GET ").unwrap().to_owned()
    }

    #[test]
    fn flags_become_the_parameters_of_a_kick_off() {
        assert_eq!(get(&[]), "/fhir/Patient/$export");
        assert_eq!(
            get(&["--type", "Patient", "--type", "Group", "--since", "2024-01-01T00:00:00+01:00", "--elements", "id"]),
            "/fhir/Patient/$export?_type=Patient,Group&_since=2024-01-01T00:00:00%2B01:00&_elements=id"
        );
        assert_eq!(
            get(&["--type-filter", "Patient?name=a%20b,c", "--type-filter", "Group?", "--until", "x"]),
            "/fhir/Patient/$export?_until=x&_typeFilter=Patient%3Fname%3Da%2520b,c&_typeFilter=Group%3F"
        );
        assert_eq!(get(&["--base-url", "https://ehr.example"]), "/Patient/$export");
    }

    #[test]
    fn the_ballot_is_asked_by_post() {
        let (line, body) = request(&["--edition", "4", "--type", "Patient", "--type", "Group", "--since", "x"]);
        assert_eq!(line, "POST /fhir/Patient/$export");
        let parameters = json!([
            { "name": "_type", "valueString": "Patient" },
            { "name": "_type", "valueString": "Group" },
            { "name": "_since", "valueInstant": "x" },
        ]);
        let expected = json!({ "resourceType": "Parameters", "parameter": parameters });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);
    }
}

//! The kick-off parameters, written once: name, value type in Parameters, and since when there is one.

use std::collections::BTreeSet;

use crate::Edition;

/// A parameter that the guides define.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The members of `Parameters.parameter` that may carry it (BD-KICK-20).
    pub(super) values: &'static [&'static str],
    /// Before that edition it is refused; under lenient handling dropped and reported, since without it no one else's data
    /// is exported (BD-LEN).
    pub(super) since: Edition,
    /// Whether it may be given more than once (BD-KICK-08).
    pub(super) repeats: bool,
    /// Whether it says which resources are exported.
    pub(super) narrows: bool,
}

pub(super) fn find(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

/// Whether the guides define a parameter of that name.
pub(crate) fn is_parameter(name: &str) -> bool {
    find(name).is_some()
}

/// The names that are acted on, for the text of refusals.
pub(super) fn supported_names(edition: Edition, unsupported: &BTreeSet<String>) -> String {
    let is_supported = |parameter: &Parameter| parameter.since <= edition && !unsupported.contains(parameter.name);
    let supported = PARAMETERS.iter().filter(|parameter| is_supported(parameter));
    supported.map(|parameter| format!("`{}`", parameter.name)).collect::<Vec<_>>().join(", ")
}

const fn parameter(name: &'static str, values: &'static [&'static str], since: Edition, repeats: bool) -> Parameter {
    Parameter { name, values, since, repeats, narrows: false }
}

const fn narrowing(name: &'static str, values: &'static [&'static str], repeats: bool) -> Parameter {
    Parameter { name, values, since: Edition::Stu1, repeats, narrows: true }
}

static PARAMETERS: &[Parameter] = &[
    parameter("_outputFormat", &["valueString"], Edition::Stu1, false),
    narrowing("_since", &["valueInstant"], false),
    narrowing("_type", &["valueString"], true),
    narrowing("_typeFilter", &["valueString"], true),
    parameter("_elements", &["valueString"], Edition::Stu1, true),
    narrowing("_until", &["valueInstant"], false),
    parameter("_minimumFileSize", &["valuePositiveInt"], Edition::Stu4Ballot, false),
    parameter("_maximumFileSize", &["valuePositiveInt"], Edition::Stu4Ballot, false),
    parameter("allowPartialManifests", &["valueBoolean"], Edition::Stu3, false),
    parameter("includeAssociatedData", &["valueCode", "valueCoding"], Edition::Stu1, true),
    parameter("organizeOutputBy", &["valueString", "valueCode"], Edition::Stu3, false),
    narrowing("patient", &["valueReference"], true),
];

//! The kick-off parameters, written once: name, value type in Parameters, and what becomes of them here.

use std::collections::BTreeSet;

/// A parameter that the guides define.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The members of `Parameters.parameter` that may carry it (BD-KICK-20).
    pub(super) values: &'static [&'static str],
    pub(super) support: Support,
    /// Whether it may be given more than once (BD-KICK-08).
    pub(super) repeats: bool,
    /// Whether it says which resources are exported.
    pub(super) narrows: bool,
}

/// What becomes of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// It is acted on.
    Supported,
    /// Refused; under lenient handling dropped and reported, since without it no one else's data is exported (BD-LEN).
    Ignorable,
}

pub(super) fn find(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

/// Whether the guides define a parameter of that name.
pub(crate) fn is_parameter(name: &str) -> bool {
    find(name).is_some()
}

/// The names that are acted on, for the text of refusals.
pub(super) fn supported_names(unsupported: &BTreeSet<String>) -> String {
    let is_supported =
        |parameter: &Parameter| parameter.support == Support::Supported && !unsupported.contains(parameter.name);
    let supported = PARAMETERS.iter().filter(|parameter| is_supported(parameter));
    supported.map(|parameter| format!("`{}`", parameter.name)).collect::<Vec<_>>().join(", ")
}

const fn parameter(name: &'static str, values: &'static [&'static str], support: Support, repeats: bool) -> Parameter {
    Parameter { name, values, support, repeats, narrows: false }
}

const fn narrowing(name: &'static str, values: &'static [&'static str], repeats: bool) -> Parameter {
    Parameter { name, values, support: Support::Supported, repeats, narrows: true }
}

static PARAMETERS: &[Parameter] = &[
    parameter("_outputFormat", &["valueString"], Support::Supported, false),
    narrowing("_since", &["valueInstant"], false),
    narrowing("_type", &["valueString"], true),
    narrowing("_typeFilter", &["valueString"], true),
    parameter("_elements", &["valueString"], Support::Supported, true),
    narrowing("_until", &["valueInstant"], false),
    parameter("allowPartialManifests", &["valueBoolean"], Support::Ignorable, false),
    parameter("includeAssociatedData", &["valueCode", "valueCoding"], Support::Supported, true),
    parameter("organizeOutputBy", &["valueString", "valueCode"], Support::Supported, false),
    narrowing("patient", &["valueReference"], true),
];

//! The kick-off parameters, written once: name, value type in Parameters, and what becomes of them here.

/// A parameter that the guides define.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The members of `Parameters.parameter` that may carry it (BD-KICK-20).
    pub(super) values: &'static [&'static str],
    pub(super) support: Support,
    /// Whether it may be given more than once (BD-KICK-08).
    pub(super) repeats: bool,
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
pub(super) fn supported_names() -> String {
    let supported = PARAMETERS.iter().filter(|parameter| parameter.support == Support::Supported);
    supported.map(|parameter| format!("`{}`", parameter.name)).collect::<Vec<_>>().join(", ")
}

const fn parameter(name: &'static str, values: &'static [&'static str], support: Support, repeats: bool) -> Parameter {
    Parameter { name, values, support, repeats }
}

static PARAMETERS: &[Parameter] = &[
    parameter("_outputFormat", &["valueString"], Support::Supported, false),
    parameter("_since", &["valueInstant"], Support::Supported, false),
    parameter("_type", &["valueString"], Support::Supported, true),
    parameter("_typeFilter", &["valueString"], Support::Supported, true),
    parameter("_elements", &["valueString"], Support::Supported, true),
    parameter("_until", &["valueInstant"], Support::Supported, false),
    parameter("allowPartialManifests", &["valueBoolean"], Support::Ignorable, false),
    parameter("includeAssociatedData", &["valueCode", "valueCoding"], Support::Supported, true),
    parameter("organizeOutputBy", &["valueString", "valueCode"], Support::Supported, false),
    parameter("patient", &["valueReference"], Support::Supported, true),
];

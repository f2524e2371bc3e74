//! The syntax tree: what a query says, before anyone asks whether it can be evaluated.

use std::fmt;

use crate::ResourceType;

/// One query, `Type?code:modifier=a,b&code=c`: the resources of its type that meet every criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) resource_type: ResourceType,
    pub(super) criteria: Vec<Criterion>,
    pub(super) ignored: Vec<ParameterName>,
    pub(super) origin: Origin,
}

impl Query {
    /// The one resource type that the query filters; others it leaves alone (BD-TF-09, BD-TF-12).
    pub fn resource_type(&self) -> &ResourceType {
        &self.resource_type
    }

    /// What a resource must meet, all of it. Empty: every resource of the type matches (BD-TF-23).
    pub fn criteria(&self) -> &[Criterion] {
        &self.criteria
    }

    /// The parameters that came with an empty value, `code=`. FHIR search ignores them, so they are no criteria; they
    /// are kept because one that does not exist is an error all the same (BD-TF-13).
    pub fn ignored(&self) -> &[ParameterName] {
        &self.ignored
    }
}

/// One `name=value` of a query: a resource meets it when any alternative matches (BD-TF-21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    pub(super) name: ParameterName,
    pub(super) alternatives: Vec<ValueText>,
}

impl Criterion {
    /// What stands before the `=`.
    pub fn name(&self) -> &ParameterName {
        &self.name
    }

    /// The value, cut at its unescaped commas. Never empty, and neither is any of them.
    pub fn alternatives(&self) -> &[ValueText] {
        &self.alternatives
    }
}

/// The name of a search parameter: `code` or `code:modifier`, perhaps behind a chain (FHIR R4 search, 3.1.1.4.4,
/// 3.1.1.4.15 and 3.1.1.4.16).
///
/// A chain is a list and not a nest, so that no name however long can exhaust the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterName {
    pub(super) links: Vec<Link>,
    pub(super) code: String,
    pub(super) modifier: Option<Modifier>,
    pub(super) place: Place,
}

impl ParameterName {
    /// The way from the filtered resource to the one that has the parameter; empty without a chain (BD-TF-15).
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The search parameter's code, such as `birthdate` or `_id`: ASCII letters, digits, `-` and `_`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What follows the `:`, if anything.
    pub fn modifier(&self) -> Option<&Modifier> {
        self.modifier.as_ref()
    }
}

/// One step of a chained parameter name (FHIR R4 search, 3.1.1.4.15 and 3.1.1.4.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// `subject:Patient.` or `subject.`: on to the resource that this one refers to.
    Chain {
        /// The reference parameter followed.
        code: String,
        /// The type of the resource referred to, where it is said.
        target: Option<ResourceType>,
    },
    /// `_has:Observation:patient:`: on to the resources that refer to this one.
    Has {
        /// The type of the referring resources.
        source: ResourceType,
        /// Their reference parameter that points here.
        reference: String,
    },
}

/// What a parameter's `:modifier` asks for (FHIR R4 search, 3.1.1.4.4 and under the parameter types). Which type allows
/// which is not the grammar's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Modifier {
    /// `:above`
    Above,
    /// `:below`
    Below,
    /// `:contains`
    Contains,
    /// `:exact`
    Exact,
    /// `:identifier`
    Identifier,
    /// `:in`
    In,
    /// `:missing`
    Missing,
    /// `:not`
    Not,
    /// `:not-in`
    NotIn,
    /// `:of-type`
    OfType,
    /// `:text`
    Text,
    /// A resource type, as in `subject:Patient`: the type of the resource referred to.
    Type(ResourceType),
}

impl Modifier {
    /// As it is written after the `:`.
    pub fn as_str(&self) -> &str {
        match self {
            Modifier::Above => "above",
            Modifier::Below => "below",
            Modifier::Contains => "contains",
            Modifier::Exact => "exact",
            Modifier::Identifier => "identifier",
            Modifier::In => "in",
            Modifier::Missing => "missing",
            Modifier::Not => "not",
            Modifier::NotIn => "not-in",
            Modifier::OfType => "of-type",
            Modifier::Text => "text",
            Modifier::Type(resource_type) => resource_type.as_str(),
        }
    }

    /// Every modifier that is not a resource type.
    pub(super) const NAMED: [Modifier; 11] = [
        Modifier::Above,
        Modifier::Below,
        Modifier::Contains,
        Modifier::Exact,
        Modifier::Identifier,
        Modifier::In,
        Modifier::Missing,
        Modifier::Not,
        Modifier::NotIn,
        Modifier::OfType,
        Modifier::Text,
    ];
}

/// One alternative of a criterion, percent-decoded, not yet read by the parameter's type.
///
/// Its escapes are kept, and every one is legal: `\,` `\|` `\$` `\\` (FHIR R4 search, 3.1.1.4.19). They go when the
/// value is read, after the splits at unescaped `$` and `|`. It holds no unescaped comma and is not empty.
#[derive(Clone, PartialEq, Eq)]
pub struct ValueText {
    pub(super) text: String,
    pub(super) place: Place,
}

impl ValueText {
    /// The text, escapes and all. A searched value may identify a patient: not for logs or error texts.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Says the length, never the text.
impl fmt::Debug for ValueText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueText({} bytes)", self.text.len())
    }
}

/// The byte of its query at which a part of the tree began, for errors that are found later.
///
/// All places are equal, so that trees are equal that say the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place(pub(super) usize);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

/// Which of the parameter's values a query came from, and which query of that value it is, for errors that are found
/// later. All origins are equal, as all places are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    pub(super) value: usize,
    pub(super) query: usize,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

//! Why a definition of a search parameter cannot be used. Of what was given errors show names, and those cut short: what
//! is no definition may be anything.

use std::fmt;

/// A definition that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefineError {
    parameter: String,
    kind: Box<DefineErrorKind>,
}

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefineErrorKind {
    /// Not JSON, or a member of another kind than FHIR has; says where.
    Json(String),
    /// A resource of this type where a SearchParameter, or a Bundle of them, is wanted.
    ResourceType(String),
    /// The definition lacks this member.
    Missing(&'static str),
    /// The code is not one that a query can name.
    Code,
    /// A code that FHIR has given a meaning which is not that of an expression.
    Reserved,
    /// No type of search parameters, or one that no value can be compared by.
    ParameterType(String),
    /// The values are to be compared in this way, which is none that one resource decides.
    Usage(String),
    /// No resource type of this FHIR version.
    UnknownResourceType(String),
    /// The definitions of this FHIR version lack the table that expressions are read with.
    NoElementTypes,
    /// The expression, or that of a component, lies outside the subset.
    Expression {
        /// Of which component, from 0, if it is not the parameter's own.
        component: Option<usize>,
        /// What is wrong with it, and where.
        error: ExpressionError,
    },
    /// Components of what is no composite.
    Components,
    /// A component's definition is neither one of FHIR's own nor one that was added before.
    UnknownComponent(String),
    /// The resource type has a parameter of that code, which is defined otherwise.
    Clash {
        /// The resource type.
        resource_type: String,
    },
    /// A line is no row of a table of search parameters.
    Row,
    /// More than a set may hold.
    TooMuch(&'static str),
}

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    problem: ExpressionProblem,
    position: usize,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpressionProblem {
    /// Something else is wanted at that place.
    Unexpected {
        /// What stands there; `None` for the end.
        found: Option<String>,
        /// What may stand there.
        expected: &'static str,
    },
    /// FHIRPath may know the function, the subset does not.
    UnknownFunction(String),
    /// A quote without its other.
    Unclosed,
    /// A parenthesis without its other.
    NotOpen,
    /// Too many parentheses in parentheses.
    TooDeep,
    /// A text in quotes that cannot be searched for as it stands.
    Text,
    /// An element has one condition at most.
    SecondCondition,
    /// An element has one cast at most.
    SecondCast,
    /// A cast or a condition without an element.
    NoElementYet,
    /// References are not followed.
    BeyondReference,
    /// A branch begins with a name that is no type.
    UnknownType(String),
    /// The type has no such element.
    UnknownElement {
        /// What was named.
        name: String,
        /// The type, or the path of the element, that lacks it.
        of: String,
        /// The element that may have been meant.
        nearest: Option<String>,
    },
    /// The element is never of that type.
    NeverOfType {
        /// The types that it may have.
        types: Vec<String>,
    },
    /// `resolve()` of what is no reference.
    NotAReference,
    /// A condition compares the text of an element that has none.
    NotAText,
    /// No branch starts at the resource type.
    NoBranch(String),
    /// The ways through choice elements are too many to be written down.
    TooManyWays,
    /// The parameter's type has no use for values of these types.
    Unsuitable {
        /// The type of the search parameter.
        parameter_type: &'static str,
        /// The types that the expression leads to.
        kinds: Vec<String>,
    },
    /// An extension, whose value may be of any type, and the parameter's type does not say of which.
    AnyType,
}

impl DefineError {
    pub(super) fn new(parameter: &str, kind: DefineErrorKind) -> Self {
        Self { parameter: name(parameter), kind: Box::new(kind) }
    }

    /// The parameter by its URL, else its code; empty if the definition has neither.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// What is wrong.
    pub fn kind(&self) -> &DefineErrorKind {
        &self.kind
    }
}

impl ExpressionError {
    pub(super) fn new(problem: ExpressionProblem, position: usize) -> Self {
        Self { problem, position }
    }

    /// What is wrong.
    pub fn problem(&self) -> &ExpressionProblem {
        &self.problem
    }

    /// The byte of the expression at which it is wrong, from 0.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether the expression is FHIRPath of a kind that the subset leaves out, rather than a mistake about elements.
    fn is_outside_subset(&self) -> bool {
        use ExpressionProblem as P;
        matches!(
            self.problem,
            P::Unexpected { .. } | P::UnknownFunction(_) | P::BeyondReference | P::SecondCast | P::SecondCondition
        )
    }
}

impl std::error::Error for DefineError {}

impl std::error::Error for ExpressionError {}

impl fmt::Display for DefineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parameter.as_str() {
            "" => write!(f, "search parameter: {}", self.kind),
            parameter => write!(f, "search parameter `{parameter}`: {}", self.kind),
        }
    }
}

impl fmt::Display for DefineErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(what) => write!(f, "not the JSON of a definition: {what}"),
            Self::ResourceType(found) => {
                write!(f, "`{found}` is neither a SearchParameter nor a Bundle of them")
            }
            Self::Missing(member) => write!(f, "`{member}` is missing"),
            Self::Code => f.write_str("`code` must be letters, digits, `-` and `_`, and begin with a letter or `_`"),
            Self::Reserved => {
                f.write_str("`code` is one that FHIR gives a meaning of its own, which no expression has")
            }
            Self::ParameterType(found) => write!(f, "`type` is `{found}`, by which no value is compared"),
            Self::Usage(usage) => write!(f, "its values are to be compared as `{usage}`, which is not supported"),
            Self::UnknownResourceType(name) => write!(f, "`{name}` is no resource type of this FHIR version"),
            Self::NoElementTypes => f.write_str(
                "the definitions of this FHIR version have no types of elements to read the expression with",
            ),
            Self::Expression { component, error } => {
                f.write_str("the expression")?;
                component.map_or(Ok(()), |place| write!(f, " of component {}", place + 1))?;
                write!(f, ", byte {}: {error}", error.position)?;
                if error.is_outside_subset() { write!(f, "; the subset has {SUBSET}") } else { Ok(()) }
            }
            Self::Components => f.write_str("`component` is for parameters of type `composite` only"),
            Self::UnknownComponent(url) => {
                write!(f, "the component `{url}` is not defined; add its definition before this one or in one Bundle")
            }
            Self::Clash { resource_type } => write!(f, "`{resource_type}` has another parameter of that code already"),
            Self::Row => f.write_str("not a row of a table of search parameters"),
            Self::TooMuch(what) => write!(f, "too much: {what}"),
        }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl fmt::Display for ExpressionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { found: Some(found), expected } => write!(f, "`{found}` where {expected} is expected"),
            Self::Unexpected { found: None, expected } => write!(f, "the end where {expected} is expected"),
            Self::UnknownFunction(name) => write!(f, "the function `{name}` is outside the subset"),
            Self::Unclosed => f.write_str("a quote is left open"),
            Self::NotOpen => f.write_str("a parenthesis is closed that is not open"),
            Self::TooDeep => f.write_str("too many parentheses in parentheses"),
            Self::Text => f.write_str("a text that is empty or has a control character or one of `\\ | ; [ ]`"),
            Self::SecondCondition => f.write_str("a second condition on one element"),
            Self::SecondCast => f.write_str("a second cast of one element"),
            Self::NoElementYet => f.write_str("a cast or a condition with no element before it"),
            Self::BeyondReference => f.write_str("a step beyond a reference"),
            Self::UnknownType(name) => write!(f, "`{name}` is no type of this FHIR version"),
            Self::UnknownElement { name, of, nearest } => {
                write!(f, "`{of}` has no element `{name}`")?;
                nearest.as_ref().map_or(Ok(()), |nearest| write!(f, ": `{nearest}` is one"))
            }
            Self::NeverOfType { types } => write!(f, "the element is never of that type, but {}", listed(types)),
            Self::NotAReference => f.write_str("only a reference resolves"),
            Self::NotAText => f.write_str("the element of the condition is no text"),
            Self::NoBranch(resource_type) => write!(f, "no branch starts at `{resource_type}`"),
            Self::TooManyWays => f.write_str("too many ways through elements that may be of any type; cast them"),
            Self::Unsuitable { parameter_type, kinds } => {
                write!(f, "it leads to {}, which a {parameter_type} parameter does not compare", listed(kinds))
            }
            Self::AnyType => f.write_str("the value may be of any type; cast it"),
        }
    }
}

/// A name that was given, as errors show it: to the first character that no name has, and not without end. A symbol shows
/// whole.
pub(super) fn name(given: &str) -> String {
    let is_of_name = |character: &char| character.is_ascii_alphanumeric() || "-_.:/$%#[]".contains(*character);
    let name: String = given.chars().take_while(is_of_name).take(NAME_MAX).collect();
    let is_symbol = given.len() <= 2 && given.bytes().all(|byte| byte.is_ascii_punctuation());
    if is_symbol || name.len() == given.len() { given.to_owned() } else { name + "…" }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

/// A URL and then some.
const NAME_MAX: usize = 120;

/// For those who meet its border.
const SUBSET: &str = "paths of elements joined by `|`, casts (`as`, `.as()`, `.ofType()`), `[0]`, `.extension('url')`, \
    `.where(element='text')`, `.where(hasExtension('url'))`, `.where(resolve() is Type)` at the end, and \
    `x.exists() and x != false`";

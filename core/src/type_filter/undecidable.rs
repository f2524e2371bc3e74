//! Questions that one resource does not answer, and what may be asked instead.

use std::fmt;

/// Why a question cannot be answered by looking at one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undecidable {
    /// A chained parameter looks at the resource referred to.
    Chain,
    /// `_filter` is a language of its own, which is not spoken here.
    FilterExpression,
    /// Who may see a Binary or a Provenance, other resources decide.
    Guarded,
    /// `:above` and `:below` of a reference follow a hierarchy of resources.
    Hierarchy,
    /// `_list` looks at a List.
    List,
    /// `_query` names a query that servers define for themselves.
    NamedQuery,
    /// The definitions do not say where in a resource to look.
    NoExpression,
    /// How names sound is not defined.
    Phonetic,
    /// `near` measures distances, in a way that servers define for themselves.
    Position,
    /// `_has` looks at the resources that refer to this one.
    ReverseChain,
    /// `:above`, `:below`, `:in` and `:not-in` of a token look into code systems and value sets.
    Terminology,
    /// `_text` and `_content` search in a way that servers define for themselves.
    Text,
}

impl fmt::Display for Undecidable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not decided by one resource alone: ")?;
        f.write_str(match self {
            Self::Chain => {
                "a chained parameter looks at the resource referred to; accepted is the reference itself, as `Type/id`"
            }
            Self::FilterExpression => "`_filter` is not supported; accepted are search parameters joined by `&`",
            Self::Guarded => {
                "other resources decide who may see a `Binary` or a `Provenance`; accepted is the reference itself, as \
                 `Type/id`"
            }
            Self::Hierarchy => {
                "`:above` and `:below` follow a hierarchy of resources; accepted is `url|version` of a canonical"
            }
            Self::List => "`_list` looks at a list; accepted are its entries by `_id`",
            Self::NamedQuery => "`_query` names a query of some server; accepted are search parameters",
            Self::NoExpression => "the definition does not say where to look; accepted are other search parameters",
            Self::Phonetic => "how names sound is not defined; accepted is `name`, also with `:contains`",
            Self::Position => "how to measure distances is not defined; accepted are `address` and its parts",
            Self::ReverseChain => {
                "`_has` looks at the resources that refer to this one; accepted are parameters of the resource itself"
            }
            Self::Terminology => {
                "the modifier looks into code systems and value sets; accepted are the codes, separated by `,`"
            }
            Self::Text => "searching all text is not defined; accepted are string parameters and the `:text` of tokens",
        })
    }
}

//! Search parameters of FHIR, and what they find in one resource.
//!
//! [`Definitions::search_parameter`](crate::Definitions::search_parameter) gives a [`SearchParameter`] by resource type
//! and code. Its expression was resolved when the tables were generated: what is left are paths of JSON property names,
//! each with the FHIR type at its end, so nothing here knows FHIRPath or the shape of a resource. Extraction works on
//! slices of JSON text, builds no tree and descends as deep as the path, whatever the input nests.
//!
//! | In the table | Means |
//! |---|---|
//! | `a.b:Type` | the values of property `b` of the values of `a`; an array stands for its items |
//! | <code>x\|y</code> | the values of both branches |
//! | `a[b.c=text]` | those values of `a` for which a value of `b.c` is that text |
//! | `a[0]` | the first value of `a` |
//! | `a:Reference>Type` | those references that lead to a resource of that type |
//! | `?a,b:boolean` | always one value: whether a value of `a` or `b` is there and is not `false` |
//! | `:Type` | the resource itself, as the context of a composite |
//! | `%a.b:Type` | in a component: from the resource, not from the context |

mod define;
mod expression;
mod extract;
mod find;
mod parameter;
mod roots;
mod suggest;
#[cfg(test)]
mod tests;

pub use define::{DefineError, DefineErrorKind, ExpressionError, ExpressionProblem, SearchParameterSet};
pub(crate) use extract::{Extraction, Node};
pub use find::Found;
pub(crate) use parameter::Composite;
pub use parameter::{ParameterType, SearchParameter};
pub(crate) use roots::{RootNames, RootTable, Roots, Slot};
pub use suggest::nearest;

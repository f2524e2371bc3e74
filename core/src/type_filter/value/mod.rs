//! Searched values, parsed when the query is compiled into types that hold no nonsense.
//!
//! None of these types shows itself (`Debug`, `Display`): a searched value may identify a patient.

mod date;
mod decimal;
mod id;
mod keyed;
mod number;
mod prefix;
mod quantity;
mod reference;
mod string;
mod text;
mod token;
mod uri;
mod value_set;

pub(super) use date::{DateTest, Interval};
pub(super) use decimal::{Decimal, Written};
pub(super) use id::IdTest;
pub(super) use keyed::{Keyed, KeyedTest};
pub(super) use number::{NumberTest, Span};
pub(super) use prefix::Prefix;
pub(super) use quantity::{QuantityTest, Unit};
pub(super) use reference::{CanonicalOrder, FoundReference, ReferenceTest, canonical_parts};
pub(super) use string::{FoundText, StringTest, TextRule};
pub(super) use text::{split, unescaped};
pub(super) use token::{FoundToken, OfType, TokenTest, same_code};
pub(super) use uri::{FoundUri, UriRule, UriTest};
pub(super) use value_set::{VALUE_SET_BYTES_MAX, code_of_value_set, is_coded, value_set_canonical};

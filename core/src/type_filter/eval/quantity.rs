//! How much: numbers, with units and without.

use std::{borrow::Cow, ops::Bound};

use super::object::Object;
use crate::{
    json::Element,
    search::Node,
    type_filter::value::{Decimal, NumberTest, QuantityTest, Span, Unit, Written},
};

pub(in crate::type_filter) fn matches_number(test: &NumberTest, node: Node<'_, '_>) -> bool {
    match node.kind {
        "integer" | "positiveInt" | "unsignedInt" => {
            decimal(node.element).is_some_and(|integer| test.matches_integer(integer))
        }
        "decimal" => decimal(node.element).is_some_and(|number| test.matches(&Span::point(number))),
        _ => span(node, &Unit::Any).is_some_and(|span| test.matches(&span)),
    }
}

pub(in crate::type_filter) fn matches(test: &QuantityTest, node: Node<'_, '_>) -> bool {
    span(node, &test.unit).is_some_and(|span| test.number.matches(&span))
}

/// What a value covers; `None` if that is nothing, or in another unit.
fn span(node: Node<'_, '_>, unit: &Unit) -> Option<Span> {
    let element = Object::of(node.element)?;
    match node.kind {
        "Age" | "Count" | "Distance" | "Duration" | "MoneyQuantity" | "Quantity" | "SimpleQuantity" => {
            quantity(element, unit)
        }
        "Money" => money(element, unit),
        "Range" => range(element, unit),
        "SampledData" => sampled_data(element, unit),
        _ => None,
    }
}

fn quantity(quantity: Object<'_>, unit: &Unit) -> Option<Span> {
    if !has_unit(quantity, unit) {
        return None;
    }
    let value = decimal(quantity.get("value")?)?;
    match quantity.text("comparator").as_deref() {
        None => Some(Span::point(value)),
        Some("<") => Some(Span { low: Bound::Unbounded, high: Bound::Excluded(value) }),
        Some("<=") => Some(Span { low: Bound::Unbounded, high: Bound::Included(value) }),
        Some(">=") => Some(Span { low: Bound::Included(value), high: Bound::Unbounded }),
        Some(">") => Some(Span { low: Bound::Excluded(value), high: Bound::Unbounded }),
        Some(_) => None,
    }
}

/// An amount whose unit is its currency.
fn money(money: Object<'_>, unit: &Unit) -> Option<Span> {
    let has_currency = |code: &str| money.text("currency").is_some_and(|currency| currency == code);
    let is_meant = match unit {
        Unit::Any => true,
        Unit::Coded { system, code } => system == CURRENCIES && has_currency(code),
        Unit::Named(code) => has_currency(code),
        Unit::OfSystem(system) => system == CURRENCIES && money.get("currency").is_some(),
    };
    is_meant.then(|| decimal(money.get("value")?).map(Span::point)).flatten()
}

/// Without bound where one is absent; both must be in the unit.
fn range(range: Object<'_>, unit: &Unit) -> Option<Span> {
    let (low, high) = (range.object("low"), range.object("high"));
    if low.is_none() && high.is_none() {
        return None;
    }
    let bound = |quantity: Option<Object<'_>>| match quantity {
        None => Some(Bound::Unbounded),
        Some(quantity) if has_unit(quantity, unit) => decimal(quantity.get("value")?).map(Bound::Included),
        Some(_) => None,
    };
    Some(Span { low: bound(low)?, high: bound(high)? })
}

/// Between the limits of what could be measured; nothing if neither is said.
fn sampled_data(data: Object<'_>, unit: &Unit) -> Option<Span> {
    let limits = [data.get("lowerLimit"), data.get("upperLimit")];
    if limits.iter().all(Option::is_none) || !data.object("origin").is_some_and(|origin| has_unit(origin, unit)) {
        return None;
    }
    let bound = |limit: Option<Element<'_>>| match limit {
        None => Some(Bound::Unbounded),
        Some(limit) => decimal(limit).map(Bound::Included),
    };
    let [low, high] = limits.map(bound);
    Some(Span { low: low?, high: high? })
}

fn has_unit(quantity: Object<'_>, unit: &Unit) -> bool {
    let has = |name: &str, wanted: &str| quantity.text(name).as_ref().map(Cow::as_ref) == Some(wanted);
    match unit {
        Unit::Any => true,
        Unit::Coded { system, code } => has("system", system) && has("code", code),
        Unit::Named(code) => has("code", code) || has("unit", code),
        Unit::OfSystem(system) => has("system", system),
    }
}

/// A JSON number, as it is written.
fn decimal(element: Element<'_>) -> Option<Decimal> {
    Written::parse(element.scalar()?).map(|written| written.value())
}

/// The system of `Money.currency`.
const CURRENCIES: &str = "urn:iso:std:iso:4217";

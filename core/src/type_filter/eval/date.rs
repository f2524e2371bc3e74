//! When: the time that an element covers.

use super::object::Object;
use crate::{json::Element, search::Node, type_filter::value::Interval};

/// The time that a value covers; `None` if it has none, as a text or an age has none.
pub(in crate::type_filter) fn interval(node: Node<'_, '_>) -> Option<Interval> {
    match node.kind {
        "date" | "dateTime" => date(node.element),
        "instant" => date(node.element).map(Interval::instant),
        "Period" => period(Object::of(node.element)?),
        "Timing" => timing(Object::of(node.element)?),
        _ => None,
    }
}

fn date(element: Element<'_>) -> Option<Interval> {
    Interval::read(element.undecoded()?).or_else(|| Interval::parse(&element.string()?))
}

/// From the start of `start` to the end of `end`; without bound where one is absent, no time at all without both.
fn period(period: Object<'_>) -> Option<Interval> {
    let bound = |name| period.text(name).map(|text| Interval::parse(&text));
    let (start, end) = (bound("start"), bound("end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    Some(Interval {
        lower: start.map_or(Some(i128::MIN), |start| Some(start?.lower))?,
        upper: end.map_or(Some(i128::MAX), |end| Some(end?.upper))?,
    })
}

/// From the first to the last of its events and bounds. A rule of repetition without bounds says no time.
fn timing(timing: Object<'_>) -> Option<Interval> {
    let events = timing.texts("event").filter_map(|event| Interval::parse(&event));
    let bounds = timing.object("repeat").and_then(|repeat| repeat.object("boundsPeriod"));
    events.chain(bounds.and_then(period)).reduce(Interval::joined)
}
